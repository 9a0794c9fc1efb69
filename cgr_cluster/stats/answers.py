"""Queues and profiles as the API shows them (spec chapter 60, sections 1.1 and 1.7)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from cgr_cluster.engine.codec import opened
from cgr_cluster.events.instant import Instant
from cgr_cluster.events.rules import split_value
from cgr_cluster.events.times import format_instant
from cgr_cluster.filters.params import interval_json, list_json
from cgr_cluster.rating.answers import number
from cgr_cluster.rpc.encode import encode_result
from cgr_cluster.rpc.errors import ApiError
from cgr_cluster.rpc.pieces import Joined
from cgr_cluster.stats.metrics import base_and_field
from cgr_cluster.stats.queue import Snapshot
from cgr_cluster.stats.types import (
    ANSWERED,
    DURATIONS,
    HIGHEST,
    LOWEST,
    ONCE,
    VALUES,
    Metric,
    MetricState,
    StatEntry,
    StatItem,
    StatQueueProfile,
)
from cgr_cluster.tariffs.slices import Slices

Json = dict[str, Any]


def profile_json(profile: StatQueueProfile) -> Json:
    return {
        "Tenant": profile.tenant,
        "ID": profile.id,
        "FilterIDs": list_json(profile.filter_ids),
        "ActivationInterval": interval_json(profile.activation_interval),
        "QueueLength": profile.queue_length,
        "TTL": profile.ttl_ns,
        "MinItems": profile.min_items,
        "Metrics": [{"MetricID": one.id, "FilterIDs": list_json(one.filter_ids)} for one in profile.metrics] or None,
        "Stored": profile.stored,
        "Blocker": profile.blocker,
        "Weight": number(profile.weight),
        "ThresholdIDs": list_json(profile.threshold_ids),
    }


def queue_in_slices(found: Snapshot) -> Slices[Json]:
    """The queue as the API shows it, item after item in the order in which they came. Items are null until there has been
    one or a reset."""
    head, profile = found.head, found.profile
    measured = [metric for metric in profile.measured if metric.number in head.metrics]
    items = Joined()
    shown = {
        metric.number: _Shown(head.metrics[metric.number].shape, found.values.get(metric.number, ()))
        for metric in measured
    }
    for start in range(0, len(found.items), SLICE_ITEMS):
        if start:
            yield
        piece = [opened(StatItem, item) for item in found.items[start : start + SLICE_ITEMS]]
        items.add([{"EventID": item.event_id, "ExpiryTime": _expiry(item.expiry_ns)} for item in piece])
        entries: dict[str, StatEntry] = {}
        for item in piece:
            packed = found.entries.pop(item.event_id, None)  # each once
            if packed is not None:
                entries[item.event_id] = opened(StatEntry, packed)
        for place, metric_shown in shown.items():
            metric_shown.add(place, entries)
    return {
        "Tenant": profile.tenant,
        "ID": profile.id,
        "SQItems": items.array() if head.end or head.resets else None,
        "SQMetrics": {
            metric.id: _metric_json(profile, metric, head.metrics[metric.number], shown[metric.number])
            for metric in measured
        },
    }


SLICE_ITEMS = 250  # some milliseconds


def _expiry(at_ns: int) -> str | None:
    return format_instant(Instant.of(at_ns)) if at_ns else None


class _Shown:
    """What event ids have added to one metric."""

    __slots__ = ("_holders", "_shape", "events")

    def __init__(self, shape: str, values: Sequence[str]) -> None:
        self._shape = shape
        self._holders: dict[str, list[bytes]] = {value: [] for value in values}
        self.events = Joined()

    def add(self, place: int, entries: dict[str, StatEntry]) -> None:
        shape = self._shape
        if shape == VALUES:
            held = {event_id: entry.values[place] for event_id, entry in entries.items() if place in entry.values}
            for event_id, values in held.items():
                member = encode_result(event_id) + b":{}"
                for value in values:
                    self._holders.setdefault(value, []).append(member)
            self.events.add(held)
        elif shape in (HIGHEST, LOWEST):
            self.events.add(
                {one: number(entry.numbers[place]) for one, entry in entries.items() if place in entry.numbers}
            )
        elif shape == ONCE:
            self.events.add({one: {} for one, entry in entries.items() if place in entry.numbers})
        else:
            mean = "Duration" if shape == DURATIONS else "Stat"
            self.events.add(
                {
                    event_id: {mean: number(entry.means[place][0]), "CompressFactor": entry.means[place][1]}
                    for event_id, entry in entries.items()
                    if place in entry.means
                }
            )

    def field_values(self) -> dict[str, msgspec.Raw]:
        return {value: msgspec.Raw(b"{%b}" % b",".join(members)) for value, members in self._holders.items()}


def _metric_json(profile: StatQueueProfile, metric: Metric, state: MetricState, shown: _Shown) -> Json:
    out: Json = {"FilterIDs": list_json(metric.filter_ids), "Count": state.count, "MinItems": profile.min_items}
    if state.shape == VALUES:
        out["FieldValues"] = shown.field_values()
    elif state.shape in (HIGHEST, LOWEST):
        out[state.shape.capitalize()] = number(state.total)
    elif state.shape != ONCE:
        out["Answered" if state.shape == ANSWERED else "Sum"] = number(state.total)
    out["Events"] = shown.events.object()
    return out | _definition(metric)


def _definition(metric: Metric) -> Json:
    """What a metric says of itself beyond its running values."""
    name = metric.id.partition("#")[0]
    field = base_and_field(metric.id)[1]
    if name == "*sum":
        try:
            rules = split_value(field)
        except ApiError:
            rules = (field,)
        return {"Fields": [{"Rules": rule} for rule in rules] or None}
    if name in ("*average", "*distinct", "*highest", "*lowest"):
        return {"FieldName": field}
    return {"ErrorType": field} if name == "*repfc" else {}
