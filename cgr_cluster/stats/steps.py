"""Steps at a queue's owner: each is one atomic change or read of it (spec chapter 60, sections 1.4, 1.7, 1.9)."""

from __future__ import annotations

from typing import Any

from cgr_cluster.caches.items import note_event, note_state
from cgr_cluster.engine.domain import Operation, Part, Steps, step, task
from cgr_cluster.engine.owner import object_owner
from cgr_cluster.filters.live import live_source
from cgr_cluster.filters.paths import MISSING
from cgr_cluster.filters.view import View
from cgr_cluster.rpc.errors import not_found
from cgr_cluster.stats.matching import STATS, stat_settings
from cgr_cluster.stats.metrics import Sample, typed_form, value_of
from cgr_cluster.stats.queue import Queue, Snapshot
from cgr_cluster.stats.types import MetricState, Number, StatEntry, StatItem, StatQueue, StatQueueProfile, StatValue

SWEPT_AT_ONCE = 500  # items of a queue that one step drops
Values = dict[str, Number | None]  # metric → value, None: not available


def _queue(part: Part, tenant: str, queue_id: str) -> Queue | None:
    """A working copy; None for an unknown queue."""
    profile: StatQueueProfile | None = STATS.get(part.generation, tenant, queue_id)
    if profile is None:
        return None
    return Queue(part, profile, part.read(StatQueue, STATS.key(tenant, queue_id)))


def _save(part: Part, queue: Queue) -> None:
    profile = queue.profile
    queue.save(STATS.key(profile.tenant, profile.id))
    if queue.replaced is not None:
        _drop_content(part, profile.tenant, profile.id, queue.replaced)


def _values(part: Part, queue: Queue) -> Values:
    decimals = stat_settings(part.generation).decimals
    states, profile = queue.head.metrics, queue.profile
    return {
        metric.id: value_of(metric.id, states[metric.number], profile.min_items, decimals)
        for metric in profile.measured
        if metric.number in states
    }


@step("stats.count")
def count(
    part: Part, tenant: str, queue_id: str, event_id: str, samples: dict[int, Sample], wanted: bool
) -> tuple[bool, Values]:
    """Count an event that has matched (60 §1.4): (whether the queue has taken it, its metrics after it when they are
    `wanted`). `samples`: what the event gives to the metrics, by number."""
    queue = _queue(part, tenant, queue_id)
    if queue is None:
        return False, {}
    if not queue.outdated:
        queue.take(event_id, samples, part.now_ns)
        _save(part, queue)
        note_event(part, STATS.name, STATS.key(tenant, queue_id))
    return True, _values(part, queue) if wanted else {}


@step("stats.reset")
def reset(part: Part, tenant: str, queue_id: str) -> None:
    """Empty items and metrics (60 §1.9). Raises `NOT_FOUND`."""
    queue = _queue(part, tenant, queue_id)
    if queue is None:
        raise not_found()
    if queue.outdated:
        return  # emptied since
    old = queue.head
    metrics = {number: MetricState.fresh(state.shape) for number, state in old.metrics.items()}
    emptied = StatQueue(old.era, old.revision, old.resets + 1, metrics=metrics)
    part.put(StatQueue, STATS.key(tenant, queue_id), emptied)
    for gone in (old, queue.replaced):
        if gone is not None:
            _drop_content(part, tenant, queue_id, gone)


@step("stats.forget")
def forget(part: Part, tenant: str, queue_id: str, era: str) -> None:
    """Drop the content of a profile that has been removed or emptied."""
    key = STATS.key(tenant, queue_id)
    found = part.read(StatQueue, key)
    if found is not None and found.era == era:
        part.delete(StatQueue, key)
        _drop_content(part, tenant, queue_id, found)


def _drop_content(part: Part, tenant: str, queue_id: str, old: StatQueue) -> None:
    """Drop the objects of a queue that is no more. A large one goes by pieces, afterwards."""
    if old.first == old.end:
        for key in [key for key in part.keys(StatValue) if key.startswith(old.base)]:
            part.delete(StatValue, key)
    elif old.end - old.first <= SWEPT_AT_ONCE:
        sweep(part, old.base, old.first, old.end)
    else:
        part.spawn("stats.sweep", tenant, queue_id, old.base, old.first, old.end)


@step("stats.sweep")
def sweep(part: Part, base: str, first: int, end: int) -> None:
    for place in range(first, end):
        item = part.read(StatItem, f"{base}{place}")
        if item is None:
            continue
        part.delete(StatItem, f"{base}{place}")
        entry = part.read(StatEntry, f"{base}{item.event_id}")
        if entry is None:
            continue
        for number, held in entry.values.items():
            for value in held:
                if part.read(StatValue, f"{base}{number}:{value}") is not None:
                    part.delete(StatValue, f"{base}{number}:{value}")
        part.delete(StatEntry, f"{base}{item.event_id}")


@task("stats.sweep")
def sweep_all(op: Operation, tenant: str, queue_id: str, base: str, first: int, end: int) -> Steps[None]:
    """The pieces of a large queue that is no more."""
    for start in range(first, end, SWEPT_AT_ONCE):
        yield sweep.at(object_owner(tenant, queue_id), base, start, min(start + SWEPT_AT_ONCE, end))


# --- looking at them ---------------------------------------------------------------------------------------------


def _read(part: Part, tenant: str, queue_id: str) -> Queue | None:
    """The queue as it is now. What has expired leaves for good with the next event."""
    queue = _queue(part, tenant, queue_id)
    if queue is not None:
        queue.expire(part.now_ns)
    return queue


@step("stats.look_at", reads=True)
def look_at(part: Part, tenant: str, queue_id: str) -> Values | None:
    """Values of the metrics; None for an unknown queue."""
    queue = _read(part, tenant, queue_id)
    return None if queue is None else _values(part, queue)


@step("stats.snapshot", reads=True)
def snapshot(part: Part, tenant: str, queue_id: str) -> Snapshot | None:
    """All that the queue holds; None for an unknown queue."""
    queue = _read(part, tenant, queue_id)
    return None if queue is None else queue.snapshot()


@step("stats.note_read")
def note_read(part: Part, tenant: str, queue_id: str) -> None:
    note_state(part, STATS.name, STATS.key(tenant, queue_id))


def metric_at(values: Values, parts: tuple[str, ...], view: View) -> Any:
    """`~*stats.ID.*tcc` (50 §2.2): -1 while it is not available; another metric is not found."""
    if len(parts) != 1 or parts[0] not in values:
        return MISSING
    return typed_form(parts[0], values[parts[0]])


live_source("*stats", object_owner, look_at, metric_at)
