"""Typing and comparison of texts for `*lt *lte *gt *gte *eq` and `*rsr` (spec chapter 50, section 4.1)."""

from __future__ import annotations

import re
from decimal import Decimal
from math import isfinite
from typing import NamedTuple

from cgr_cluster.events.calendar import calendar
from cgr_cluster.events.durations import Duration, parse_duration
from cgr_cluster.events.instant import Instant
from cgr_cluster.events.integers import read_int
from cgr_cluster.events.times import parse_time
from cgr_cluster.rpc.errors import ApiError

_INTEGER = re.compile(r"[+-]?[0-9]+\Z")
_FLOAT = re.compile(r"[+-]?([0-9]+(?:\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?\Z")
_BOOLS = {
    **dict.fromkeys(("t", "T", "true", "TRUE", "True"), True),
    **dict.fromkeys(("f", "F", "false", "FALSE", "False"), False),
}


class Typed(NamedTuple):
    """A text with its type: `number` (int, float or `Duration`), `bool`, `time` or `text`."""

    kind: str
    value: int | float | bool | Instant | str


def typed(text: str, now_ns: int, zone: str = "UTC") -> Typed:
    """The first rule that fits: empty text, integer, bool, float, time, duration (nanoseconds), text.

    `now_ns` is for relative times (`+1h`), `zone` for times that name none."""
    if not text:
        return Typed("text", text)
    if _INTEGER.match(text) and -(1 << 63) <= (number := read_int(text)) < 1 << 63:
        return Typed("number", number)
    if text in _BOOLS:
        return Typed("bool", _BOOLS[text])
    if _FLOAT.match(text) and isfinite(double := float(text)):
        return Typed("number", double)
    try:
        return Typed("time", parse_time(text, now_ns, zone))
    except ApiError:
        pass
    try:
        return Typed("number", Duration(parse_duration(text)))
    except ApiError:
        return Typed("text", text)


def compare(element: Typed, value: Typed) -> int:
    """-1, 0 or 1. Raises the errors of 50 §4.1; two texts can only be compared for equality (`equal`)."""
    if element.kind != value.kind:
        raise ApiError(f"incomparable: <{_printed(element)}> with <{_printed(value)}>")
    if element.kind in ("text", "bool"):
        name = "string" if element.kind == "text" else "bool"
        raise ApiError(f"unsupported comparison type: {name}, kind: {name}")
    a, b = _order(element), _order(value)
    return (a > b) - (a < b)


def equal(element: Typed, value: Typed) -> bool:
    if element.kind == value.kind == "text":
        return element.value == value.value
    return compare(element, value) == 0


def _order(typed_value: Typed) -> int | float:
    value = typed_value.value
    return value.ns if isinstance(value, Instant) else value  # type: ignore[return-value]  # texts never get here


def _printed(side: Typed) -> str:
    """As the API prints the sides of an incomparable pair: numbers as floats, text and bool as nil."""
    value = side.value
    if side.kind == "number":
        return _float_text(float(value))  # type: ignore[arg-type]  # a number's value is an int or a float
    if isinstance(value, Instant):
        return printed(value)
    return "<nil>"


def printed(at: Instant) -> str:
    """A time as errors show it: `2024-01-01 00:00:00 +0000 UTC`."""
    days, second = divmod(at.seconds, 86_400)
    year, month, day, _ = calendar(days)
    clock = f"{second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}"
    return f"{year:04d}-{month:02d}-{day:02d} {clock} +0000 UTC"


def _float_text(number: float) -> str:
    """The shortest form, with an exponent of two digits from 10^6 on and below 10^-4 (`1e+10`)."""
    sign, digits, shift = Decimal(repr(number)).normalize().as_tuple()
    assert isinstance(shift, int)
    exponent = len(digits) + shift - 1
    if -4 <= exponent < 6:
        return format(Decimal(repr(number)).normalize(), "f")
    mantissa = str(digits[0]) + ("." + "".join(map(str, digits[1:])) if len(digits) > 1 else "")
    return f"{'-' if sign else ''}{mantissa}e{'-' if exponent < 0 else '+'}{abs(exponent):02d}"
