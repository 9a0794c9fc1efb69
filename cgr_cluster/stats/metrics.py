"""The metrics: what each takes from an event, and how its running values read (spec chapter 60, section 1.5). Pure."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import msgspec

from cgr_cluster.events.durations import Duration, format_duration, parse_duration
from cgr_cluster.events.rules import Nested, parse_rule, split_value
from cgr_cluster.events.values import duration_of, float_of, number_text, text_of, time_of
from cgr_cluster.filters.lists import passes
from cgr_cluster.filters.paths import MISSING, compile_value
from cgr_cluster.filters.view import View
from cgr_cluster.rating.rounding import MIDDLE, round_amount
from cgr_cluster.rpc.errors import ApiError, not_found
from cgr_cluster.stats.types import (
    ANSWERED,
    DURATIONS,
    HIGHEST,
    LOWEST,
    ONCE,
    SUM,
    VALUES,
    Metric,
    MetricState,
    Number,
    StatQueueProfile,
)

Sample = int | float | str
Read = Callable[[View], Sample | None]  # None: nothing to count; ApiError: the value cannot be had

NUMBER, DURATION, PERCENT = "number", "duration", "percent"
NOT_AVAILABLE = "N/A"
_REPLY_OK = "OK"
_NO_FRACTION = float(1 << 53)  # doubles from here on are whole


class Base(msgspec.Struct, frozen=True, eq=False, gc=False):
    """What the metrics of one name have in common. `reader` makes the reading of an event from what follows the `#`."""

    shape: str
    unit: str
    reader: Callable[[str], Read]
    averages: bool = False


class CompiledMetric:
    """A metric of a profile, ready to take samples."""

    __slots__ = ("base", "filter_ids", "id", "number", "read")

    def __init__(self, metric: Metric) -> None:
        base, field = base_and_field(metric.id)
        self.id = metric.id
        self.number = metric.number
        self.filter_ids = metric.filter_ids
        self.base = base
        self.read = base.reader(field)


class CompiledQueue:
    """What selection answers for a profile."""

    __slots__ = ("metrics", "profile")

    def __init__(self, profile: StatQueueProfile) -> None:
        self.profile = profile
        self.metrics = tuple(CompiledMetric(metric) for metric in profile.measured)

    def samples(self, view: View) -> dict[int, Sample]:
        """What the event gives to each metric, by the metric's number. Metric filters see what profile filters see, values only
        the fields. A metric that cannot have its value takes no part (60 §1.4). Raises `Need`."""
        fields = View(view.generation, view.now_ns, view.tenant, view.event, {})
        taken: dict[int, Sample] = {}
        for metric in self.metrics:
            try:
                if metric.filter_ids and not passes(view, metric.filter_ids):
                    continue
                sample = metric.read(fields)
            except ApiError:
                continue
            if sample is not None:
                taken[metric.number] = sample
        return taken


def base_and_field(metric_id: str) -> tuple[Base, str]:
    """Raises `unsupported metric type <*x>`."""
    name, _, field = metric_id.partition("#")
    base = BASES.get(name)
    if base is None:
        raise ApiError(f"unsupported metric type <{name}>")
    return base, field


# --- reading events ----------------------------------------------------------------------------------------------


def _field(view: View, name: str) -> Any:
    if name not in view.event:
        raise not_found()
    return view.event[name]


def _answered(field: str) -> Read:
    def read(view: View) -> int:
        value = view.event.get("AnswerTime", "")
        if value == "":
            return 0
        return 1 if time_of(value, view.now_ns, view.zone) else 0

    return read


def _duration(name: str) -> Callable[[str], Read]:
    return lambda field: lambda view: int(duration_of(_field(view, name)))


def _cost(field: str) -> Read:
    def read(view: View) -> float:
        cost = float_of(_field(view, "Cost"))
        if cost < 0:
            raise ApiError("NEGATIVE:Cost")
        return cost

    return read


def _destination(field: str) -> Read:
    return lambda view: text_of(_field(view, "Destination"))


def number_of(value: Any) -> float:
    """A number, its text, or a duration in nanoseconds. Raises ApiError for the rest."""
    if not isinstance(value, str):
        return float_of(value)
    try:
        return float_of(value)
    except ApiError:
        if not value or value[-1] not in "smh":  # units of durations; what else is a text without number
            raise
        return float(parse_duration(value))


def _never(view: View) -> None:
    raise not_found()


def _plain(field: str) -> Callable[[View], Any]:
    """The value of a constant or a plain path."""
    if not field:
        return _never
    if not field.startswith("~"):
        return lambda view: field
    try:
        rule = parse_rule(field)
        if isinstance(rule, Nested) or rule.replacements or rule.converters:
            return _never
        value = compile_value(field)
    except ApiError:
        return _never

    def read(view: View) -> Any:
        found = value.read(view)
        if found is MISSING:
            raise not_found()
        return found

    return read


def _joined(field: str) -> Read:
    """Value expressions whose texts are joined before the number is read."""
    try:
        values = [compile_value(rule) for rule in split_value(field)]
    except ApiError:
        return _never
    if not values:
        return _never

    def read(view: View) -> float:
        found = [value.constant if value.constant is not None else value.read(view) for value in values]
        if MISSING in found:
            raise not_found()
        return number_of(found[0] if len(found) == 1 else "".join(map(text_of, found)))

    return read


def _number(field: str) -> Read:
    value = _plain(field)
    return lambda view: number_of(value(view))


def _text(field: str) -> Read:
    if not field.startswith("~*req."):
        return _never
    value = _plain(field)
    return lambda view: text_of(value(view))


def _succeeded(field: str) -> Read:
    return lambda view: 1 if text_of(_field(view, "ReplyState")) == _REPLY_OK else None


def _failed(field: str) -> Read:
    def read(view: View) -> int | None:
        state = text_of(_field(view, "ReplyState"))
        failed = field in state.split(";") if field else state != _REPLY_OK
        return 1 if failed else None

    return read


BASES: dict[str, Base] = {
    "*asr": Base(ANSWERED, PERCENT, _answered),
    "*acd": Base(DURATIONS, DURATION, _duration("Usage"), averages=True),
    "*tcd": Base(DURATIONS, DURATION, _duration("Usage")),
    "*acc": Base(SUM, NUMBER, _cost, averages=True),
    "*tcc": Base(SUM, NUMBER, _cost),
    "*pdd": Base(DURATIONS, DURATION, _duration("PDD"), averages=True),
    "*ddc": Base(VALUES, NUMBER, _destination),
    "*sum": Base(SUM, NUMBER, _joined),
    "*average": Base(SUM, NUMBER, _number, averages=True),
    "*distinct": Base(VALUES, NUMBER, _text),
    "*highest": Base(HIGHEST, NUMBER, _number),
    "*lowest": Base(LOWEST, NUMBER, _number),
    "*repsc": Base(ONCE, NUMBER, _succeeded),
    "*repfc": Base(ONCE, NUMBER, _failed),
}


# --- what running values say -------------------------------------------------------------------------------------


def value_of(metric_id: str, state: MetricState, min_items: int, decimals: int) -> Number | None:
    """The metric, rounded: nanoseconds for durations; None while it is not available."""
    base, _ = base_and_field(metric_id)
    if state.count < min_items or (not state.count and base is not BASES["*sum"]):
        return None
    if base.shape == DURATIONS:
        total = int(state.total)
        return rounded_ns(_cut(total, state.count) if base.averages else total, decimals)
    if base.shape == ONCE:
        return state.count
    value: Number = state.total
    if base.shape == ANSWERED:
        value = 100 * state.total / state.count
    elif base.averages:
        value = state.total / state.count
    return value if isinstance(value, int) else rounded(value, decimals)


def _cut(total: int, count: int) -> int:
    """Division of whole numbers towards zero."""
    return total // count if total >= 0 else -(-total // count)


def rounded(value: float, decimals: int) -> float:
    """Half away from zero."""
    if abs(value) >= _NO_FRACTION:
        return value
    size = round_amount(abs(value), decimals, MIDDLE)
    return size if value >= 0 else -size


def rounded_ns(ns: int, decimals: int) -> int:
    """To 10^(9-decimals) ns, half away from zero."""
    step: int = 10 ** max(0, 9 - decimals)
    size = (2 * abs(ns) + step) // (2 * step) * step
    return size if ns >= 0 else -size


def text_form(metric_id: str, value: Number | None) -> str:
    if value is None:
        return NOT_AVAILABLE
    unit = base_and_field(metric_id)[0].unit
    if unit == DURATION:
        return format_duration(int(value))
    return f"{number_text(value)}%" if unit == PERCENT else number_text(value)


def typed_form(metric_id: str, value: Number | None) -> Number:
    """The value as filters compare it: durations as such, -1 when it is not available."""
    found = -1 if value is None else value
    return Duration(found) if base_and_field(metric_id)[0].unit == DURATION else found


def summed(total: Number, sample: Number) -> Number | None:
    """The sum, or None where it is beyond what a number can hold."""
    result = total + sample
    return result if math.isfinite(result) else None
