"""Inline filters `TYPE:ELEMENT:VALUES` (spec chapter 50, section 3)."""

from __future__ import annotations

from cgr_cluster.filters.types import Filter, Rule
from cgr_cluster.rpc.errors import ApiError


def is_inline(filter_id: str) -> bool:
    return filter_id.startswith("*")


def parse_inline(tenant: str, text: str) -> Filter:
    """The filter that `text` writes; its id is the text. Raises `inline parse error for string: <...>`."""
    cuts = _outside(text, ":", 2)
    if len(cuts) < 2:
        raise ApiError(f"inline parse error for string: <{text}>")
    first, second = cuts
    values = text[second + 1 :]
    return Filter(tenant, text, (Rule(text[:first], text[first + 1 : second], split_values(values)),))


def split_values(values: str) -> tuple[str, ...]:
    """Values separated by `|`, not inside `<...>`; an empty text has none."""
    if not values:
        return ()
    out, start = [], 0
    for cut in _outside(values, "|", -1, brackets="<>"):
        out.append(values[start:cut])
        start = cut + 1
    return (*out, values[start:])


def _outside(text: str, separator: str, limit: int, brackets: str = "[]<>") -> list[int]:
    """Positions of `separator` outside brackets, at most `limit` (-1: all)."""
    found: list[int] = []
    depth = 0
    opening, closing = brackets[::2], brackets[1::2]
    for i, char in enumerate(text):
        if char in opening:
            depth += 1
        elif char in closing:
            depth = max(0, depth - 1)
        elif char == separator and not depth:
            found.append(i)
            if len(found) == limit:
                break
    return found
