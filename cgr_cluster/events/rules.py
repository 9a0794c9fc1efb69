"""The rule language: constants, paths, search and replace, converters (spec chapter 41, section 1).

A rule text is taken apart here; what a path reads is for its user (filters and attributes: filters/paths.py).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import re2

from cgr_cluster.events.converters import Converter, Surroundings, compile_converters
from cgr_cluster.events.expressions import Replacement
from cgr_cluster.events.values import text_of
from cgr_cluster.rpc.errors import ApiError

SEPARATOR = ";"
# What comes between `:s/`: SEARCH/REPLACE/, where the last slashes without a backslash decide. RE2: in linear time.
_SEARCH_AND_REPLACE = re2.compile(r"(.*[^\\])/((?:.*[^\\])?)/")


class Rule(msgspec.Struct, frozen=True):
    """One rule. `path` None: the text is the constant `constant`. Replacements, then converters, work on the text."""

    constant: str = ""
    path: str | None = None
    replacements: tuple[Replacement, ...] = ()
    converters: tuple[Converter, ...] = ()

    def finished(self, value: Any, around: Surroundings) -> Any:
        """What the rule gives for the value at its path (or its constant). Raises the errors of converters."""
        if not self.replacements and not self.converters:
            return value
        text = value if type(value) is str else text_of(value)
        for replacement in self.replacements:
            text = replacement.apply(text)
        out: Any = text
        for convert in self.converters:
            out = convert(out, around)
        return out


class Nested(msgspec.Struct, frozen=True):
    """A rule with `<...>`: the value between is made first, then the whole is a rule again. `rules` are those between;
    None of them makes the whole an empty text."""

    before: str
    rules: tuple[str, ...]
    after: str


def parse_rule(text: str) -> Rule | Nested:
    """Raises the errors of chapter 41: `invalid converter terminator in rule: <...>` and so on."""
    if not text:
        raise ApiError("emtpy RSRParser in rule: <>")
    opening = text.find("<")
    closing = text.find(">", opening) if opening >= 0 else -1
    if closing >= 0:
        return Nested(text[:opening], split_value(text[opening + 1 : closing]), text[closing + 1 :])
    rest, converters = _split_converters(text)
    if not rest.startswith("~") or rest == "~":
        return Rule(rest, converters=converters)
    path, *parts = rest[1:].split(":s/")
    return Rule("", path, tuple(_replacement(part) for part in parts), converters)


def _split_converters(text: str) -> tuple[str, tuple[Converter, ...]]:
    at = text.find("{*")
    if at < 0:
        return text, ()
    if not text.endswith("}"):
        raise ApiError(f"invalid converter terminator in rule: <{text}>")
    return text[:at], compile_converters(text[at + 1 : -1])


def _replacement(part: str) -> Replacement:
    found = _SEARCH_AND_REPLACE.search(part)
    if found is None:
        raise ApiError(f"not enough members in Search&Replace, ruleStr: <{part}>, matches: [], ")
    try:
        return Replacement(found[1], found[2])
    except ApiError:
        raise ApiError(f"invalid Search&Replace subfield rule: <{found[1]}>") from None


def split_value(text: str, separator: str = SEPARATOR) -> tuple[str, ...]:
    """The rules of a value: separated by `;`, but not between back quotes, which go. Raises `Unclosed unspilit syntax`.
    An empty value has none; an empty rule between separators is refused when the rules are compiled."""
    if "`" not in text:
        return tuple(text.split(separator)) if text else ()
    if text.count("`") % 2:
        raise ApiError("Unclosed unspilit syntax")
    rules = [""]
    for number, part in enumerate(text.split("`")):
        if number % 2:
            rules[-1] += part
            continue
        first, *more = part.split(separator)
        rules[-1] += first
        rules += more
    return tuple(rules)


class Value:
    """A compiled rule: `read(source)` gives its value, or what stands for nothing found. `constant`: its text, when that
    is known beforehand."""

    __slots__ = ("constant", "read")

    def __init__(self, constant: str | None, read: Callable[[Any], Any]) -> None:
        self.constant = constant
        self.read = read
