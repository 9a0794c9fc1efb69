"""What an exporter counts (spec 40 §7): as soon as an event has the field, failed events too. Pure."""

from __future__ import annotations

from typing import Any

import msgspec

from cgr_cluster.events.amounts import nano_of
from cgr_cluster.events.durations import Duration
from cgr_cluster.events.instant import Instant
from cgr_cluster.events.times import format_instant
from cgr_cluster.events.values import duration_of, float_of, int_of, text_of, time_of
from cgr_cluster.rating.answers import money
from cgr_cluster.rpc.errors import ApiError

MAX_IDS = 100_000  # of events that are remembered by each of the two sets; the oldest go
VOICE = "*voice"
_TOTALS = {
    VOICE: "TotalDuration",
    "*sms": "TotalSMSUsage",
    "*mms": "TotalMMSUsage",
    "*generic": "TotalGenericUsage",
    "*data": "TotalDataUsage",
}


class Totals(msgspec.Struct, array_like=True, gc=False):
    """`cost_nano`, times and order ids are None until an event has had one; `usages`: ns or units by type of record."""

    created_ns: int
    export_path: str = ""
    number_of_events: int = 0
    first_answer: Instant | None = None
    last_answer: Instant | None = None
    first_order_id: int | None = None
    last_order_id: int | None = None
    cost_nano: int | None = None
    usages: dict[str, int] = {}


class Metrics:
    """`positive` and `negative`: ids of exported and of failed events, in the order of their first coming."""

    __slots__ = ("negative", "positive", "totals")

    def __init__(self, totals: Totals) -> None:
        self.totals = totals
        self.positive: dict[str, None] = {}
        self.negative: dict[str, None] = {}

    def count(self, event_id: str, event: dict[str, Any], failed: bool, now_ns: int, zone: str) -> None:
        """One event more. A field that its type does not take counts as none."""
        totals = self.totals
        totals.number_of_events += 1
        ids = self.negative if failed else self.positive
        ids[event_id] = None
        if len(ids) > MAX_IDS:
            del ids[next(iter(ids))]
        answer = _read(event, "AnswerTime", lambda value: time_of(value, now_ns, zone))
        if answer:  # the zero time is none
            if totals.first_answer is None or answer.ns < totals.first_answer.ns:
                totals.first_answer = answer
            if totals.last_answer is None or answer.ns > totals.last_answer.ns:
                totals.last_answer = answer
        order_id = _read(event, "OrderID", int_of)
        if order_id is not None:
            if not totals.first_order_id or order_id < totals.first_order_id:  # one of 0 stands for none yet
                totals.first_order_id = order_id
            totals.last_order_id = max(order_id, totals.last_order_id or 0)
        cost_nano = _read(event, "Cost", lambda value: nano_of(float_of(value)))
        if cost_nano is not None:
            totals.cost_nano = (totals.cost_nano or 0) + cost_nano
        kind = text_of(event.get("ToR"))
        usage = _read(event, "Usage", duration_of) if kind in _TOTALS else None
        if usage is not None:
            totals.usages = {**totals.usages, kind: totals.usages.get(kind, 0) + usage}

    def source(self, coming: int = 0) -> dict[str, Any]:
        """`*em`: typed values. `coming`: events under way that count already."""
        totals = self.totals
        found: dict[str, Any] = {
            "NumberOfEvents": totals.number_of_events + coming,
            "PositiveExports": list(self.positive),
            "NegativeExports": list(self.negative),
            "TimeNow": Instant.of(totals.created_ns),
        }
        if totals.export_path:
            found["ExportPath"] = totals.export_path
        if totals.first_answer is not None:
            found["FirstEventATime"], found["LastEventATime"] = totals.first_answer, totals.last_answer
        if totals.first_order_id is not None:
            found["FirstExpOrderID"], found["LastExpOrderID"] = totals.first_order_id, totals.last_order_id
        if totals.cost_nano is not None:
            found["TotalCost"] = money(totals.cost_nano)
        for kind, usage in totals.usages.items():
            found[_TOTALS[kind]] = Duration(usage) if kind == VOICE else usage
        return found

    def answer(self) -> dict[str, Any]:
        """As `EeSv1.ProcessEvent` answers them."""
        return {
            name: format_instant(value) if isinstance(value, Instant) else int(value) if isinstance(value, Duration) else value
            for name, value in self.source().items()
        }  # fmt: skip


def _read(event: dict[str, Any], name: str, read: Any) -> Any:
    if name not in event:
        return None
    try:
        return read(event[name])
    except (ApiError, ValueError, OverflowError):  # the latter: numbers that are none, or endless
        return None
