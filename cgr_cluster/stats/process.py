"""Processing events: matching, counting at the owners, informing thresholds (spec chapter 60, sections 1.3, 1.4, 1.8).

Theory of operation. What matches is found where the event is, and what the event gives to each metric too. The owner of a
queue only adds these numbers. When all queues have the event, each tells the thresholds of its metrics, as one event more
of this operation, so that what that causes has happened before the sender is answered.
"""

from __future__ import annotations

import logging
from typing import Any

from cgr_cluster.engine.domain import Operation, Steps, task, together
from cgr_cluster.engine.owner import object_owner
from cgr_cluster.events.durations import Duration
from cgr_cluster.events.event import CGREvent
from cgr_cluster.exporters.process import sending_fails
from cgr_cluster.filters.handing_over import TO_QUEUES, log_failure
from cgr_cluster.filters.live import with_live
from cgr_cluster.rpc.errors import ApiError, not_found, partially_executed
from cgr_cluster.stats.matching import STAT_UPDATE, any_queues, names_candidates, queues_of, samples_of, stat_settings
from cgr_cluster.stats.metrics import CompiledQueue, typed_form
from cgr_cluster.stats.steps import Values, count
from cgr_cluster.stats.types import StatQueueProfile
from cgr_cluster.thresholds.matching import EVENT_TYPE, any_thresholds
from cgr_cluster.thresholds.matching import PROFILE_IDS as THRESHOLD_IDS
from cgr_cluster.thresholds.process import process_event as process_threshold_event

logger = logging.getLogger("cgr_cluster.stats")

NOBODY = ("*none",)


def process_event(op: Operation, event: CGREvent, hops: int = 0) -> Steps[list[str]]:
    """`StatSv1.ProcessEvent`: ids of the queues that have taken the event, in order. `hops`: length of the chain of actions
    and events that led here, when it is longer than the operation knows.

    Raises `NOT_FOUND`, `PARTIALLY_EXECUTED`, errors of filters and options."""
    generation = op.generation
    if not names_candidates(event.opts) and not any_queues(generation, event.tenant):
        raise not_found()
    found = yield from with_live(lambda live: samples_of(generation, op.now_ns, event, live))
    if not found:
        raise not_found()
    settings = stat_settings(generation)
    informs = settings.thresholds_connected and any_thresholds(generation, event.tenant)
    calls = []
    for queue, samples in found:
        profile = queue.profile
        wanted = settings.exports or (informs and profile.threshold_ids != NOBODY)
        calls.append(
            count.at(object_owner(profile.tenant, profile.id), profile.tenant, profile.id, event.id, samples, wanted)
        )
    outcomes = yield together(calls)
    failed = False
    taken: list[tuple[StatQueueProfile, Values]] = []
    for (queue, _), outcome in zip(found, outcomes, strict=True):
        if isinstance(outcome, ApiError):
            logger.error("queue %s:%s did not take an event: %s", queue.profile.tenant, queue.profile.id, outcome.text)
            failed = True
        elif outcome[0]:
            taken.append((queue.profile, outcome[1]))
    for profile, values in taken:
        if settings.exports:
            failed = (yield from _export_fails(op, event, profile, values, hops)) or failed
        if informs and profile.threshold_ids != NOBODY:
            failed = (yield from _inform(op, event, profile, values, hops)) or failed
    if failed:
        raise partially_executed()
    return [profile.id for profile, _ in taken]


def _export_fails(op: Operation, event: CGREvent, profile: StatQueueProfile, values: Values, hops: int) -> Steps[bool]:
    """Tell the exporters of a queue's metrics. Answers whether that has failed."""
    metrics = {metric_id: typed_form(metric_id, value) for metric_id, value in values.items()}
    fields = {"EventType": STAT_UPDATE, "StatID": profile.id, "Metrics": plain_fields(metrics)}
    update = CGREvent(event.tenant, op.new_uuid(), None, fields, {**event.opts, EVENT_TYPE: STAT_UPDATE})
    wanted = op.generation.config("stats").get("ees_exporter_ids") or ()
    return (yield from sending_fails(op, f"queue {profile.tenant}:{profile.id}", update, wanted, hops))


def _inform(op: Operation, event: CGREvent, profile: StatQueueProfile, values: Values, hops: int) -> Steps[bool]:
    """Tell the thresholds of a queue's metrics. Answers whether that has failed; nothing that matches is no failure."""
    fields: dict[str, Any] = {"EventType": STAT_UPDATE, "StatID": profile.id}
    fields.update((metric_id, typed_form(metric_id, value)) for metric_id, value in values.items())
    opts = {**event.opts, EVENT_TYPE: STAT_UPDATE, THRESHOLD_IDS: list(profile.threshold_ids)}
    try:
        update = CGREvent(event.tenant, op.new_uuid(), None, fields, opts)
        yield from process_threshold_event(op, update, hops, plain)
    except ApiError as error:
        if error.text != "NOT_FOUND":
            logger.warning("thresholds of queue %s:%s: %s", profile.tenant, profile.id, error.text)
            return True
    return False


def plain(event: CGREvent) -> CGREvent:
    """The event with JSON values only."""
    return CGREvent(event.tenant, event.id, event.time, plain_fields(event.event), event.opts)


def plain_fields(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: int(value) if isinstance(value, Duration) else value for name, value in fields.items()}


def queue_ids_of(op: Operation, event: CGREvent) -> Steps[list[str]]:
    """Ids of the event's queues, in order; nothing is counted. Raises as `process_event`."""
    found: list[CompiledQueue] = yield from with_live(lambda live: queues_of(op.generation, op.now_ns, event, live))
    if not found:
        raise not_found()
    return [queue.profile.id for queue in found]


@task(TO_QUEUES, awaited=True)
def process(op: Operation, event: CGREvent, hops: int) -> Steps[None]:
    """An event that a part has handed over."""
    try:
        yield from process_event(op, event, hops)
    except ApiError as error:
        if error.text != "NOT_FOUND":
            log_failure(TO_QUEUES, event, error)
