"""StatSv1, and the methods on profiles of statistic queues (spec chapter 60, section 1.2)."""

from __future__ import annotations

from typing import Any

from cgr_cluster.caches.changes import changed
from cgr_cluster.caches.items import note_state, noted_event
from cgr_cluster.engine.domain import Operation, Part, Steps, step
from cgr_cluster.engine.owner import LEADER, object_owner
from cgr_cluster.filters.params import (
    EventParams,
    Interval,
    Paginator,
    TenantID,
    TenantIDWithOpts,
    TenantWithOpts,
    event_of,
    read_interval,
)
from cgr_cluster.filters.profiles import remove_profile, store_profile
from cgr_cluster.filters.reading import ids_page, profile_asked
from cgr_cluster.rating.answers import number
from cgr_cluster.rpc.errors import ApiError, not_found, require, server_error
from cgr_cluster.rpc.owners import ANY, EVENT, LEADER_RULE, shared_object
from cgr_cluster.rpc.registry import Params, method, service
from cgr_cluster.stats.answers import profile_json, queue_in_slices
from cgr_cluster.stats.matching import STATS
from cgr_cluster.stats.metrics import base_and_field, text_form
from cgr_cluster.stats.process import process_event, queue_ids_of
from cgr_cluster.stats.queue import Snapshot
from cgr_cluster.stats.steps import Values, forget, look_at, note_read, reset, snapshot
from cgr_cluster.stats.types import Metric, Number, StatQueueProfile, with_state
from cgr_cluster.tariffs.slices import paced

service("StatSv1")
service("APIerSv1")


class MetricParams(Params, go="engine.MetricWithFilters"):
    MetricID: str = ""
    FilterIDs: list[str] | None = None


class StatQueueParams(Params, go="engine.StatQueueProfileWithAPIOpts"):
    Tenant: str = ""
    ID: str = ""
    FilterIDs: list[str] | None = None
    ActivationInterval: Interval | None = None
    QueueLength: int = 0
    TTL: int = 0
    MinItems: int = 0
    Metrics: list[MetricParams] | None = None
    Stored: bool = False
    Blocker: bool = False
    Weight: float = 0.0
    ThresholdIDs: list[str] | None = None
    APIOpts: dict[str, Any] | None = None


# --- profiles ----------------------------------------------------------------------------------------------------


@step("stats.set_profile")
def set_profile(part: Part, profile: StatQueueProfile) -> str:
    """Store a profile. Answers the era that has ended by it, "" for none. Raises `SERVER_ERROR: ...`, and nothing is stored."""
    old: StatQueueProfile | None = STATS.get(part.generation, profile.tenant, profile.id)
    stored = with_state(profile, old, part.new_uuid(), part.now_ns)
    store_profile(part, STATS, stored)
    for metric in profile.metrics:
        try:
            base_and_field(metric.id)
        except ApiError as error:
            raise server_error(error) from error
    return old.era if old is not None and old.era != stored.era else ""


@step("stats.remove_profile")
def remove_one(part: Part, tenant: str, queue_id: str) -> str:
    """Remove a profile. Answers its era. Raises `NOT_FOUND`."""
    removed: StatQueueProfile = remove_profile(part, STATS, tenant, queue_id)
    return removed.era


@method("APIerSv1.SetStatQueueProfile", owner=LEADER_RULE, changes=True)
def set_stat_queue_profile(op: Operation, params: StatQueueParams) -> Steps[str]:
    require(params, "ID")
    tenant = op.tenant(params.Tenant)
    metrics = tuple(Metric(one.MetricID, tuple(one.FilterIDs or ())) for one in params.Metrics or ())
    profile = StatQueueProfile(
        tenant,
        params.ID,
        tuple(params.FilterIDs or ()),
        read_interval(params.ActivationInterval),
        params.QueueLength,
        params.TTL,
        params.MinItems,
        metrics,
        params.Stored,
        params.Blocker,
        params.Weight,
        tuple(params.ThresholdIDs or ()),
    )
    ended = yield set_profile.at(LEADER, profile)
    if ended:
        yield forget.at(object_owner(tenant, params.ID), tenant, params.ID, ended)
    yield from changed(op, STATS.name, f"{tenant}:{params.ID}", params.APIOpts)
    return "OK"


@method("APIerSv1.RemoveStatQueueProfile", owner=LEADER_RULE, changes=True)
def remove_stat_queue_profile(op: Operation, params: TenantIDWithOpts) -> Steps[str]:
    require(params, "ID")
    tenant = op.tenant(params.Tenant)
    ended = yield remove_one.at(LEADER, tenant, params.ID)
    yield forget.at(object_owner(tenant, params.ID), tenant, params.ID, ended)
    yield from changed(op, STATS.name, f"{tenant}:{params.ID}", params.APIOpts, removed=True)
    return "OK"


@method("APIerSv1.GetStatQueueProfile", owner=ANY)
def get_stat_queue_profile(part: Part, params: TenantID) -> dict[str, Any]:
    return profile_json(profile_asked(part, STATS.name, params))


@method("APIerSv1.GetStatQueueProfileIDs", owner=ANY)
def get_stat_queue_profile_ids(part: Part, params: Paginator) -> list[str] | None:
    return ids_page(part, STATS.name, params)


# --- queues and events -------------------------------------------------------------------------------------------


@method("StatSv1.ProcessEvent", owner=EVENT, changes=True)
def process(op: Operation, params: EventParams) -> Steps[list[str]]:
    event = event_of(params, op.tenant(params.Tenant), needs_id=True)
    return (yield from process_event(op, event))


@method("StatSv1.GetStatQueuesForEvent", owner=EVENT)
def get_stat_queues_for_event(op: Operation, params: EventParams) -> Steps[list[str]]:
    event = event_of(params, op.tenant(params.Tenant), needs_id=True)
    ids = yield from queue_ids_of(op, event)
    yield from noted_event(op, STATS.name, [STATS.key(event.tenant, queue_id) for queue_id in ids])
    return ids


def _values(part: Part, params: TenantIDWithOpts) -> Values:
    require(params, "ID")
    tenant = part.tenant(params.Tenant)
    found: Values | None = look_at(part, tenant, params.ID)
    if found is None:
        raise not_found()
    note_state(part, STATS.name, STATS.key(tenant, params.ID))
    return found


@method("StatSv1.GetQueueStringMetrics", owner=shared_object())
def get_queue_string_metrics(part: Part, params: TenantIDWithOpts) -> dict[str, str]:
    return {metric_id: text_form(metric_id, value) for metric_id, value in _values(part, params).items()}


@method("StatSv1.GetQueueFloatMetrics", owner=shared_object())
def get_queue_float_metrics(part: Part, params: TenantIDWithOpts) -> dict[str, Number]:
    return {metric_id: -1 if value is None else number(value) for metric_id, value in _values(part, params).items()}


@method("StatSv1.GetStatQueue", owner=shared_object())
def get_stat_queue(op: Operation, params: TenantIDWithOpts) -> Steps[dict[str, Any]]:
    """A large queue is written out over several turns."""
    require(params, "ID")
    tenant = op.tenant(params.Tenant)
    found: Snapshot | None = yield snapshot.at(object_owner(tenant, params.ID), tenant, params.ID)
    if found is None:
        raise not_found()
    shown = yield from paced(queue_in_slices(found))
    yield note_read.at(
        object_owner(tenant, params.ID), tenant, params.ID
    )  # last: what has changed something logs its waits
    return shown


@method("StatSv1.GetQueueIDs", owner=ANY)
def get_queue_ids(part: Part, params: TenantWithOpts) -> list[str]:
    return STATS.ids(part.generation, part.tenant(params.Tenant))


@method("StatSv1.ResetStatQueue", owner=shared_object(), changes=True)
def reset_stat_queue(part: Part, params: TenantIDWithOpts) -> str:
    require(params, "ID")
    reset(part, part.tenant(params.Tenant), params.ID)
    return "OK"
