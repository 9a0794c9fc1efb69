"""Paths and values of rules: `~*req.Field`, constants, search-and-replace, converters (spec chapters 50 §2.2 and 41 §1).

A rule text is compiled once into a function of a view. What is not there is `MISSING`, never an exception; errors of the
chapters are `ApiError`s.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from cgr_cluster.events.rules import Nested, Rule, Value, parse_rule
from cgr_cluster.events.values import text_of
from cgr_cluster.filters.event_sources import EVENT_SOURCES
from cgr_cluster.filters.view import View
from cgr_cluster.filters.walk import MISSING as MISSING
from cgr_cluster.filters.walk import steps_of, walk
from cgr_cluster.rpc.errors import ApiError

Reader = Callable[[View], Any]

MAX_PASTES = 32  # `<...>` of one rule that are evaluated one after the other
LONGEST_KEPT = 512  # characters of a text whose rule is kept
_LIVE = frozenset({"*accounts", "*stats", "*resources", "*trends", "*rankings"})


def compile_value(rule: str) -> Value:
    """The value of a rule. Raises the errors of a bad converter or expression (50 §2.2, 5.1 check 3)."""
    return _compile(rule, _compile_path, 0)


def compile_constant(rule: str) -> Value:
    """The value of a rule whose paths see an empty source: they give an empty text (41 §3, `*constant`)."""
    return _compile(rule, _compile_empty, 0)


def _compile_empty(path: str) -> Reader:
    return lambda view: ""


def _compile(text: str, reader_of: Callable[[str], Reader], depth: int) -> Value:
    rule = parse_rule(text)
    if isinstance(rule, Nested):
        return _compile_nested(rule, reader_of, depth)
    if rule.path is not None:
        return Value(None, _reading(rule, reader_of(rule.path)))
    constant = rule.constant
    if not rule.converters:
        return Value(constant, lambda view: constant)
    return Value(None, lambda view: rule.finished(constant, view))


def _reading(rule: Rule, read: Reader) -> Reader:
    if not rule.replacements and not rule.converters:
        return read

    def finished(view: View) -> Any:
        value = read(view)
        return MISSING if value is MISSING else rule.finished(value, view)

    return finished


_compile_pasted = lru_cache(maxsize=4096)(_compile)  # few texts come again and again


def _compile_nested(nested: Nested, reader_of: Callable[[str], Reader], depth: int) -> Value:
    """The inner value is pasted in, then the whole is a rule, which may have another `<...>`: one of its own, or one that
    an event brought, and so they are bounded."""
    inner = [_compile(rule, reader_of, depth) for rule in nested.rules]
    before, after = nested.before, nested.after
    if not inner:
        return Value("", lambda view: "")

    def read(view: View) -> Any:
        pasted = ""
        for value in inner:
            found = value.read(view)
            if found is MISSING:
                return MISSING
            pasted += text_of(found)
        if depth >= MAX_PASTES:
            raise ApiError("MAX_RECURSION_DEPTH")
        whole = f"{before}{pasted}{after}"
        if not whole:
            return ""
        compile_whole = _compile_pasted if len(whole) <= LONGEST_KEPT else _compile
        return compile_whole(whole, reader_of, depth + 1).read(view)

    return Value(None, read)


def split_path(path: str) -> list[str]:
    """Parts separated by `.`, not inside `[...]` or `<...>`, and not from the part with the first `#` on."""
    parts, start, depth = [], 0, 0
    for i, char in enumerate(path):
        if char in "[<":
            depth += 1
        elif char in "]>":
            depth -= 1
        elif char == "#" and not depth:
            break
        elif char == "." and not depth:
            parts.append(path[start:i])
            start = i + 1
    parts.append(path[start:])
    return parts


_MAPS: dict[str, Reader] = {
    "*req": lambda view: view.event,
    "*opts": lambda view: view.opts,
    "*vars": lambda view: MISSING if view.variables is None else view.variables,
}


def _compile_path(path: str) -> Reader:
    root, *parts = split_path(path)
    if root == "*tenant" and not parts:
        return lambda view: view.tenant if view.tenant_path else MISSING
    if not parts and root in _MAPS:
        return _MAPS[root]
    if root in _MAPS:
        return _of_map(root, parts)
    if not parts:
        return _of_sources(root, (), ApiError(f"invalid fieldname <[{root}]>"))
    if root in EVENT_SOURCES:
        source, fields = EVENT_SOURCES[root], tuple(parts)
        return lambda view: source(view, fields)
    if root in _LIVE:
        names = tuple(parts)

        def live(view: View) -> Any:
            if view.live is None:
                raise ApiError(f"NOT_CONNECTED: {root}")
            return view.live.read(view, root, names)

        return live
    return _of_sources(root, tuple(parts), None)


def _of_sources(root: str, parts: tuple[str, ...], otherwise: ApiError | None) -> Reader:
    """A root that only some views have; without it the path has failed, or there is nothing."""

    def read(view: View) -> Any:
        if view.sources is not None:
            return view.sources(root, parts)
        if otherwise is not None:
            raise otherwise
        return MISSING

    return read


def _of_map(root: str, parts: list[str]) -> Reader:
    first = parts[0]
    if len(parts) == 1 and not first.endswith("]"):
        if root == "*req":
            return lambda view: view.event.get(first, MISSING)
        if root == "*opts":
            return lambda view: view.opts.get(first, MISSING)
        return lambda view: MISSING if view.variables is None else view.variables.get(first, MISSING)
    steps = steps_of(parts)
    if root == "*req":
        return lambda view: walk(view.event, steps)
    if root == "*opts":
        return lambda view: walk(view.opts, steps)
    return lambda view: MISSING if view.variables is None else walk(view.variables, steps)
