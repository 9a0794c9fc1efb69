"""`*sum`, `*difference`, `*multiply`, `*divide` of texts (spec chapters 50 §8.3 and 41 §3). Pure.

The first value's type rules: an integer stays one, a number is a double, a duration a duration; times move by durations.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from cgr_cluster.events.durations import Duration, parse_duration
from cgr_cluster.events.instant import Instant
from cgr_cluster.events.values import parse_float, parse_int, text_of
from cgr_cluster.filters.typing_rules import printed, typed
from cgr_cluster.rpc.errors import ApiError

Fit = Callable[[Any], Any]


def compute(kind: str, texts: list[str], now_ns: int, zone: str) -> str:
    """The result of an arithmetic type as text. Raises `NotEnoughParameters`, `unsupported type`,
    `cannot convert field: 1.19 to int`, `division by zero`."""
    if len(texts) < 2:
        raise ApiError("NotEnoughParameters")
    first, *others = (typed(text, now_ns, zone).value for text in texts)
    if isinstance(first, Instant) and kind in ("*sum", "*difference"):
        return text_of(_move(kind, first, others))
    if isinstance(first, Duration) and kind in ("*sum", "*difference"):
        return text_of(Duration(_in_64_bits(_fold(kind, int(first), [_as_duration(other) for other in others]))))
    if isinstance(first, float):
        return text_of(_fold(kind, first, [_as_number(other) for other in others]))
    if isinstance(first, int) and not isinstance(first, bool | Duration):
        return text_of(_in_64_bits(_fold(kind, first, [_as_integer(other) for other in others])))
    if kind == "*sum":
        return ""
    raise ApiError("unsupported type")


def _fold(kind: str, total: Any, others: list[Any]) -> Any:
    for other in others:
        if kind == "*sum":
            total += other
        elif kind == "*difference":
            total -= other
        elif kind == "*multiply":
            total *= other
        elif isinstance(total, float):
            total = _divided(total, other)
        elif other == 0:
            raise ApiError("division by zero")
        else:
            total = abs(total) // abs(other) * (1 if (total < 0) == (other < 0) else -1)
    return total


def _in_64_bits(total: int) -> int:
    if not -(1 << 63) <= total < 1 << 63:
        raise ApiError("value out of range")
    return total


def _divided(number: float, divisor: float) -> float:
    if divisor:
        return number / divisor
    return math.nan if number == 0 or math.isnan(number) else math.copysign(math.inf, number)


def _move(kind: str, first: Instant, others: list[Any]) -> Any:
    """A time and durations; a time less a time is the duration between them."""
    moved: Instant | Duration = first
    for other in others:
        if isinstance(other, Instant) and isinstance(moved, Instant) and kind == "*difference":
            moved = Duration(moved.ns - other.ns)
            continue
        distance = _as_duration(other) * (-1 if kind == "*difference" else 1)
        moved = moved.plus(distance) if isinstance(moved, Instant) else Duration(moved + distance)
    return moved


def _no_fit(value: Any, kind: str) -> ApiError:
    return ApiError(
        f"cannot convert field: {printed(value) if isinstance(value, Instant) else text_of(value)} to {kind}"
    )


def _as_integer(value: Any) -> int:
    if isinstance(value, str):
        return parse_int(value, "Atoi")
    if isinstance(value, bool | float | Instant):
        raise _no_fit(value, "int")
    return int(value)


def _as_number(value: Any) -> float:
    if isinstance(value, str):
        return parse_float(value)
    if isinstance(value, bool | Instant):
        raise _no_fit(value, "float64")
    return float(value)


def _as_duration(value: Any) -> int:
    if isinstance(value, str):
        return parse_duration(value)
    if isinstance(value, bool | Instant):
        raise _no_fit(value, "time.Duration")
    return int(value)
