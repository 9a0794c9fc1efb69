"""Why a text is not JSON, in the words of Go's reader, which the API hands on for CostDetails (spec 40 §3.1)."""

from __future__ import annotations

import re

_BLANK = " \t\r\n"
_DIGITS = re.compile(r"[0-9]*")
_HEX = frozenset("0123456789abcdefABCDEF")


class _Wrong(Exception):  # noqa: N818  never leaves this module
    """The character at `place` (none: the text ends) is wrong there."""

    def __init__(self, place: int, where: str) -> None:
        self.place = place
        self.where = where


def json_error(text: str) -> str:
    """`invalid character 'b' looking for beginning of value`, `unexpected end of JSON input`; "" when it is JSON."""
    try:
        end = _blank(text, _value(text, _blank(text, 0)))
        if end < len(text):
            raise _Wrong(end, "after top-level value")
    except _Wrong as wrong:
        if wrong.place >= len(text):
            return "unexpected end of JSON input"
        char = text[wrong.place]
        shown = {"'": r"'\''", '"': "'\"'"}.get(char, f"'{char}'")
        return f"invalid character {shown} {wrong.where}"
    return ""


def _blank(text: str, at: int) -> int:
    while at < len(text) and text[at] in _BLANK:
        at += 1
    return at


def _char(text: str, at: int) -> str:
    return text[at] if at < len(text) else ""


def _value(text: str, at: int) -> int:
    """The place behind the value at `at`."""
    char = _char(text, at)
    if char == "{":
        return _object(text, _blank(text, at + 1))
    if char == "[":
        return _list(text, _blank(text, at + 1))
    if char == '"':
        return _string(text, at)
    if char and char in "-0123456789":
        return _number(text, at)
    for literal in ("true", "false", "null"):
        if char == literal[0]:
            for offset, expected in enumerate(literal):
                if _char(text, at + offset) != expected:
                    raise _Wrong(at + offset, f"in literal {literal} (expecting '{expected}')")
            return at + len(literal)
    raise _Wrong(at, "looking for beginning of value")


def _object(text: str, at: int) -> int:
    if _char(text, at) == "}":
        return at + 1
    while True:
        if _char(text, at) != '"':
            raise _Wrong(at, "looking for beginning of object key string")
        at = _blank(text, _string(text, at))
        if _char(text, at) != ":":
            raise _Wrong(at, "after object key")
        at = _blank(text, _value(text, _blank(text, at + 1)))
        if _char(text, at) == "}":
            return at + 1
        if _char(text, at) != ",":
            raise _Wrong(at, "after object key:value pair")
        at = _blank(text, at + 1)


def _list(text: str, at: int) -> int:
    if _char(text, at) == "]":
        return at + 1
    while True:
        at = _blank(text, _value(text, at))
        if _char(text, at) == "]":
            return at + 1
        if _char(text, at) != ",":
            raise _Wrong(at, "after array element")
        at = _blank(text, at + 1)


def _string(text: str, at: int) -> int:
    at += 1
    while (char := _char(text, at)) != '"':
        if not char or char < " ":
            raise _Wrong(at, "in string literal")
        if char == "\\":
            at += 1
            if _char(text, at) == "u":
                for _ in range(4):
                    at += 1
                    if _char(text, at) not in _HEX:
                        raise _Wrong(at, "in \\u hexadecimal character escape")
            elif _char(text, at) not in frozenset('"\\/bfnrt'):
                raise _Wrong(at, "in string escape code")
        at += 1
    return at + 1


def _digits(text: str, at: int, where: str) -> int:
    found = _DIGITS.match(text, at)
    assert found is not None  # it matches nothing, too
    if found.end() == at:
        raise _Wrong(at, where)
    return found.end()


def _number(text: str, at: int) -> int:
    if text[at] == "-":
        at += 1
    at = at + 1 if _char(text, at) == "0" else _digits(text, at, "in numeric literal")
    if _char(text, at) == ".":
        at = _digits(text, at + 1, "after decimal point in numeric literal")
    if _char(text, at) in ("e", "E"):
        at += 2 if _char(text, at + 1) in ("+", "-") else 1
        at = _digits(text, at, "in exponent of numeric literal")
    return at
