"""Values below maps and lists, and what is not there (spec chapter 50, section 2.2)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cgr_cluster.events.values import parse_int
from cgr_cluster.rpc.errors import ApiError


class _Missing:
    def __repr__(self) -> str:
        return "MISSING"


MISSING: Any = _Missing()


def steps_of(parts: Sequence[str]) -> list[str]:
    """Parts of a path as steps of `walk`: `Name[i]` is two, `Name` and `[i`."""
    steps = []
    for part in parts:
        name, bracket, rest = part.partition("[")
        steps.append(name)
        if bracket:
            steps += [f"[{index}" for index in rest.removesuffix("]").split("][")]
    return steps


def walk(value: Any, steps: list[str]) -> Any:
    """The value below maps and lists; MISSING when something is not there, WRONG_PATH below a plain value."""
    for step in steps:
        index = step[1:] if step.startswith("[") else None
        if isinstance(value, dict):
            value = value.get(step if index is None else index, MISSING)
        elif isinstance(value, list) and index is not None:
            if "|" in index:
                return MISSING  # two steps in one: only message trees of agents have such
            if "|" in index:
                return MISSING  # two steps in one: only message trees of agents have such
            at = parse_int(index, "Atoi")
            value = value[at] if 0 <= at < len(value) else MISSING
        elif value is None:
            return MISSING
        else:
            raise ApiError("WRONG_PATH")
        if value is MISSING:
            return MISSING
    return value
