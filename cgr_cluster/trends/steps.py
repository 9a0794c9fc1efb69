"""Trends at their owners: sampling, forgetting and reading them (spec chapter 60, section 3)."""

from __future__ import annotations

import logging
from typing import Any

import msgspec

from cgr_cluster.caches.items import note_state
from cgr_cluster.engine.domain import Operation, Part, Steps, step, task
from cgr_cluster.engine.owner import object_owner
from cgr_cluster.events.instant import ZERO
from cgr_cluster.events.times import format_instant
from cgr_cluster.filters.live import live_source
from cgr_cluster.filters.paths import MISSING
from cgr_cluster.filters.view import View
from cgr_cluster.filters.walk import steps_of, walk
from cgr_cluster.stats.queries import connected, drop, inform, query_kind
from cgr_cluster.stats.steps import SWEPT_AT_ONCE
from cgr_cluster.stats.steps import look_at as look_at_queue
from cgr_cluster.trends.answers import metrics_json, time_text
from cgr_cluster.trends.types import KIND, Sample, Trend, TrendProfile, Values, trend_profile

logger = logging.getLogger("cgr_cluster.trends")

TREND_UPDATE = "TrendUpdate"


def _schedule_of(generation: Any, tenant: str, trend_id: str) -> str | None:
    profile = trend_profile(generation, tenant, trend_id)
    return None if profile is None else profile.schedule


TREND_QUERIES = query_kind("trends", KIND, "trends.run", _schedule_of)


def trend_of(part: Part, profile: TrendProfile) -> Trend:
    """The trend as it counts now; not to be changed."""
    found = part.read(Trend, f"{profile.tenant}:{profile.id}")
    return found if found is not None and found.state_id == profile.state_id else Trend(profile.state_id)


@task("trends.run")
def run(op: Operation, tenant: str, trend_id: str) -> Steps[None]:
    """One run of a trend. A queue that does not exist gives no sample."""
    profile = trend_profile(op.generation, tenant, trend_id)
    if profile is None or not connected(op, TREND_QUERIES, trend_id):
        return
    found = yield look_at_queue.at(object_owner(tenant, profile.stat_id), tenant, profile.stat_id)
    if found is None:
        logger.warning("trend %s:%s: queue %s: NOT_FOUND", tenant, trend_id, profile.stat_id)
        return
    values: Values = {name: -1 if value is None else value for name, value in found.items()}
    update = yield record.at(object_owner(tenant, trend_id), tenant, trend_id, profile.state_id, values)
    if update is not None:
        yield from inform(op, TREND_QUERIES, tenant, TREND_UPDATE, update, profile.threshold_ids or ())


@step("trends.record")
def record(part: Part, tenant: str, trend_id: str, state_id: str, values: Values) -> dict[str, Any] | None:
    """Drop what is too old, then add a sample of a queue's metrics. Answers the event for thresholds; None while there are
    fewer samples than MinItems, and when the profile has gone or samples another queue since."""
    profile = trend_profile(part.generation, tenant, trend_id)
    if profile is None or profile.state_id != state_id:
        return None
    wanted = profile.metrics or tuple(values)
    if not wanted:
        return None
    replaced = part.read(Trend, f"{tenant}:{trend_id}")
    trend = trend_of(part, profile).draft()
    if replaced is not None and replaced.state_id != trend.state_id:
        _drop_samples(part, tenant, trend_id, replaced)
    _drop_old(part, profile, trend)
    metrics = {name: trend.measure(profile, name, values[name]) for name in wanted if name in values}
    last = part.read(Sample, trend.key(trend.end - 1))
    sample = Sample(part.now_ns if last is None else max(part.now_ns, last.at_ns + 1), metrics)
    part.put(Sample, trend.key(trend.end), sample)
    trend.take(sample)
    part.put(Trend, f"{tenant}:{trend_id}", trend)
    if trend.end - trend.first < profile.min_items:
        return None
    return {"TrendID": trend_id, "Time": time_text(sample), "Metrics": metrics_json(sample)}


def _drop_old(part: Part, profile: TrendProfile, trend: Trend) -> None:
    while trend.first < trend.end:
        sample = part.read(Sample, trend.key(trend.first))
        assert sample is not None
        too_long = 0 < profile.queue_length < trend.end - trend.first
        if not too_long and not (profile.ttl_ns >= 0 and sample.at_ns <= part.now_ns - profile.ttl_ns):
            return
        part.delete(Sample, trend.key(trend.first))
        trend.leave(sample)


# --- forgetting ----------------------------------------------------------------------------------------------------


@step("trends.forget")
def forget(part: Part, tenant: str, trend_id: str, state_id: str) -> None:
    """Drop the samples of a profile that has been removed or samples another queue; with a removed one its schedule."""
    if trend_profile(part.generation, tenant, trend_id) is None:
        drop(part, TREND_QUERIES.name, tenant, trend_id)
    found = part.read(Trend, f"{tenant}:{trend_id}")
    if found is not None and found.state_id == state_id:
        part.delete(Trend, f"{tenant}:{trend_id}")
        _drop_samples(part, tenant, trend_id, found)


def _drop_samples(part: Part, tenant: str, trend_id: str, trend: Trend) -> None:
    """A long trend goes by pieces, afterwards."""
    if trend.end - trend.first <= SWEPT_AT_ONCE:
        sweep(part, trend.state_id, trend.first, trend.end)
    else:
        part.spawn("trends.sweep", tenant, trend_id, trend.state_id, trend.first, trend.end)


@step("trends.sweep")
def sweep(part: Part, state_id: str, first: int, end: int) -> None:
    trend = Trend(state_id)
    for place in range(first, end):
        if part.read(Sample, trend.key(place)) is not None:
            part.delete(Sample, trend.key(place))


@task("trends.sweep")
def sweep_all(op: Operation, tenant: str, trend_id: str, state_id: str, first: int, end: int) -> Steps[None]:
    for start in range(first, end, SWEPT_AT_ONCE):
        yield sweep.at(object_owner(tenant, trend_id), state_id, start, min(start + SWEPT_AT_ONCE, end))


# --- looking at them -----------------------------------------------------------------------------------------------


@step("trends.look_at", reads=True)
def look_at(part: Part, tenant: str, trend_id: str) -> dict[str, Any] | None:
    """The last sample as the API shows it, with zero time before the first; None for an unknown trend."""
    profile = trend_profile(part.generation, tenant, trend_id)
    if profile is None:
        return None
    trend = trend_of(part, profile)
    last = part.read(Sample, trend.key(trend.end - 1))
    return {
        "Tenant": tenant,
        "ID": trend_id,
        "Time": format_instant(ZERO) if last is None else time_text(last),
        "Metrics": {} if last is None else metrics_json(last),
    }


class Snapshot(msgspec.Struct, gc=False):
    """A trend at one moment, to be read on while it goes its way. `samples`: by their numbers, as they lie: packed ones are
    bytes."""

    trend: Trend
    samples: dict[str, Any]


@step("trends.snapshot", reads=True)
def snapshot(part: Part, tenant: str, trend_id: str) -> Snapshot | None:
    """All samples; None for an unknown trend."""
    profile = trend_profile(part.generation, tenant, trend_id)
    if profile is None:
        return None
    trend = trend_of(part, profile)
    return Snapshot(trend, part.kept(Sample, trend.key("")))


@step("trends.note_read")
def note_read(part: Part, tenant: str, trend_id: str) -> None:
    note_state(part, KIND, f"{tenant}:{trend_id}")


def value_at(summary: dict[str, Any], parts: tuple[str, ...], view: View) -> Any:
    """`~*trends.ID.Metrics.*acd.Value` (50 §2.2). Ids of metrics may have dots."""
    if not parts:
        return MISSING
    if parts[0] == "Metrics" and len(parts) > 2:
        metric = summary["Metrics"].get(".".join(parts[1:-1]))
        return MISSING if metric is None else metric.get(parts[-1], MISSING)
    return walk(summary, steps_of(parts))


live_source("*trends", object_owner, look_at, value_at)
