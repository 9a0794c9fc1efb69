"""Queues and profiles as the API shows them (spec chapter 60, sections 1.1 and 1.7)."""

from __future__ import annotations

from typing import Any

from cgr_cluster.events.instant import Instant
from cgr_cluster.events.rules import split_value
from cgr_cluster.events.times import format_instant
from cgr_cluster.filters.params import interval_json, list_json
from cgr_cluster.rating.answers import number
from cgr_cluster.rpc.errors import ApiError
from cgr_cluster.stats.metrics import base_and_field
from cgr_cluster.stats.queue import Queue
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
    StatQueueProfile,
)

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


def queue_json(queue: Queue) -> Json:
    """Items are null until there has been one or a reset."""
    head, profile = queue.head, queue.profile
    entries = list(queue.entries())
    items = [
        {
            "EventID": item.event_id,
            "ExpiryTime": format_instant(Instant.of(item.expiry_ns)) if item.expiry_ns else None,
        }
        for item in queue.items()
    ]
    return {
        "Tenant": profile.tenant,
        "ID": profile.id,
        "SQItems": items if head.end or head.resets else None,
        "SQMetrics": {
            metric.id: _metric_json(queue, metric, head.metrics[metric.number], entries)
            for metric in profile.measured
            if metric.number in head.metrics
        },
    }


def _metric_json(queue: Queue, metric: Metric, state: MetricState, entries: list[tuple[str, StatEntry]]) -> Json:
    number = metric.number
    out: Json = {
        "FilterIDs": list_json(metric.filter_ids),
        "Count": state.count,
        "MinItems": queue.profile.min_items,
    }
    if state.shape == VALUES:
        held = {event_id: entry.values[number] for event_id, entry in entries if number in entry.values}
        found: dict[str, Json] = {}
        if queue.profile.counter_only:
            found = {value: {} for value in queue.values(number)}
        for event_id, values in held.items():
            for value in values:
                found.setdefault(value, {})[event_id] = {}
        out |= {"FieldValues": found, "Events": held}
    elif state.shape in (HIGHEST, LOWEST):
        out[state.shape.capitalize()] = state.total
        out["Events"] = {event_id: entry.numbers[number] for event_id, entry in entries if number in entry.numbers}
    elif state.shape == ONCE:
        out["Events"] = {event_id: {} for event_id, entry in entries if number in entry.numbers}
    else:
        mean = "Duration" if state.shape == DURATIONS else "Stat"
        out["Answered" if state.shape == ANSWERED else "Sum"] = state.total
        out["Events"] = {
            event_id: {mean: entry.means[number][0], "CompressFactor": entry.means[number][1]}
            for event_id, entry in entries
            if number in entry.means
        }
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
