"""The amount of an action: Units as texts and numbers, and formulas (spec 20 §5.5). Amounts are 10^-9 of the unit."""

from __future__ import annotations

from calendar import isleap, monthrange
from datetime import datetime
from decimal import Decimal

from cgr_cluster.accounts.amounts import VOICE
from cgr_cluster.actions.types import ValueFormula
from cgr_cluster.events.amounts import NANO, nano_of
from cgr_cluster.events.durations import parse_duration
from cgr_cluster.events.instant import Instant
from cgr_cluster.events.nesting import read_json
from cgr_cluster.events.times import in_zone
from cgr_cluster.events.values import number_text, parse_float
from cgr_cluster.rpc.errors import ApiError

INCREMENTAL = "*incremental"


def parse_units(text: str, balance_type: str) -> ValueFormula:
    """Units as a text: a duration for `*voice` (a bare number is nanoseconds), else a number; or a formula in JSON.

    Raises ApiError `Invalid value: X`.
    """
    if text.lstrip().startswith("{"):
        return _formula(text)
    try:
        if balance_type == VOICE:
            return ValueFormula(static_nano=_voice_ns(text) * NANO)
        parse_float(text)
        return ValueFormula(static_nano=nano_of(Decimal(text)))
    except (ApiError, ArithmeticError, ValueError):
        raise ApiError(f"Invalid value: {text}") from None


def _voice_ns(text: str) -> int:
    try:
        return parse_duration(text)
    except ApiError:
        return int(Decimal(text))  # 9e10


def _formula(text: str) -> ValueFormula:
    try:
        document = {name.lower(): value for name, value in read_json(text).items() if value is not None}
    except (ValueError, AttributeError):
        raise ApiError(f"Invalid value: {text}") from None
    method, params, static = document.get("method", ""), document.get("params"), document.get("static", 0)
    if not isinstance(method, str) or not isinstance(params, dict | None) or isinstance(static, bool):
        raise ApiError(f"Invalid value: {text}")
    if not isinstance(static, int | float):
        raise ApiError(f"Invalid value: {text}")
    return ValueFormula(method=method, params=params, static_nano=nano_of(static))


def amount_nano(value: ValueFormula | None, now_ns: int, zone: str) -> int:
    """What an action's Units are when it runs at `now_ns`; no Units: 0. A formula that cannot be computed gives 0."""
    if value is None:
        return 0
    if not value.method:
        return value.static_nano
    if value.method != INCREMENTAL:
        return 0
    params = value.params or {}
    units, interval, increment = params.get("Units"), params.get("Interval"), params.get("Increment")
    if isinstance(units, bool) or not isinstance(units, int | float):
        return 0
    parts = _parts(str(interval), str(increment), in_zone(now_ns, zone))
    return nano_of(Decimal(repr(units)) / parts) if parts else 0


def _parts(interval: str, increment: str, now: Instant) -> int:
    """How many increments the current interval has; 0: unknown names."""
    wall = datetime.fromordinal(719163 + (now.seconds + now.offset_s) // 86400)
    days = {
        "day": 1,
        "week": 7,
        "month": monthrange(wall.year, wall.month)[1],
        "year": 366 if isleap(wall.year) else 365,
    }
    per_day = {"day": 1, "hour": 24, "minute": 1440}.get(increment)
    if interval == "hour":
        return 60 if increment == "minute" else 0
    return days[interval] * per_day if interval in days and per_day else 0


def number_of_nano(nano: int) -> float | int:
    """The JSON number of an amount."""
    return nano // NANO if nano % NANO == 0 else nano / NANO


def units_text(value: ValueFormula | None, now_ns: int, zone: str) -> str:
    """Units as GetActions (v1) shows them: what they are now."""
    return number_text(number_of_nano(amount_nano(value, now_ns, zone)))
