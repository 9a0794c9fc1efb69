"""TrendSv1, and the methods on trend profiles (spec chapter 60, section 3)."""

from __future__ import annotations

from typing import Any

from cgr_cluster.caches.changes import changed
from cgr_cluster.caches.items import note_state
from cgr_cluster.engine.domain import Operation, Part, Steps, step
from cgr_cluster.engine.owner import LEADER, object_owner
from cgr_cluster.events.times import parse_time
from cgr_cluster.filters.params import Paginator, TenantID, TenantIDWithOpts
from cgr_cluster.filters.reading import ids_page, profile_asked
from cgr_cluster.rpc.errors import not_found, require
from cgr_cluster.rpc.owners import ANY, LEADER_RULE, shared_object
from cgr_cluster.rpc.registry import Params, method, service
from cgr_cluster.stats.queries import schedule_all, schedule_json
from cgr_cluster.tariffs.slices import paced
from cgr_cluster.trends.answers import given, profile_json, samples_in_slices
from cgr_cluster.trends.steps import TREND_QUERIES, Snapshot, forget, look_at, note_read, snapshot
from cgr_cluster.trends.types import KIND, TrendProfile, trend_profile, with_state

service("TrendSv1")
service("APIerSv1")


class TrendParams(Params, go="engine.TrendProfileWithAPIOpts"):
    Tenant: str = ""
    ID: str = ""
    Schedule: str = ""
    StatID: str = ""
    Metrics: list[str] | None = None
    TTL: int = 0
    QueueLength: int = 0
    MinItems: int = 0
    CorrelationType: str = ""
    Tolerance: float = 0.0
    Stored: bool = False
    ThresholdIDs: list[str] | None = None
    APIOpts: dict[str, Any] | None = None


class GetTrendParams(Params, go="utils.ArgGetTrend"):
    Tenant: str = ""
    APIOpts: dict[str, Any] | None = None
    ID: str = ""
    RunIndexStart: int = 0
    RunIndexEnd: int = 0
    RunTimeStart: str = ""
    RunTimeEnd: str = ""


class ScheduleParams(Params, go="utils.ArgScheduleTrendQueries"):
    Tenant: str = ""
    ID: str = ""
    APIOpts: dict[str, Any] | None = None
    TrendIDs: list[str] | None = None


class ScheduledParams(Params, go="utils.ArgScheduledTrends"):
    Tenant: str = ""
    ID: str = ""
    APIOpts: dict[str, Any] | None = None
    TrendIDPrefixes: list[str] | None = None


# --- profiles ------------------------------------------------------------------------------------------------------


@step("trends.set_profile")
def set_profile(part: Part, profile: TrendProfile) -> str:
    """Store a profile. Answers the id of the state that has ended by it, "" for none."""
    old = trend_profile(part.generation, profile.tenant, profile.id)
    stored = with_state(profile, old, part.new_uuid())
    part.set_reference(KIND, f"{profile.tenant}:{profile.id}", stored)
    return old.state_id if old is not None and old.state_id != stored.state_id else ""


@step("trends.remove_profile")
def remove_one(part: Part, tenant: str, trend_id: str) -> str:
    """Remove a profile. Answers the id of its state. Raises `NOT_FOUND`."""
    profile = trend_profile(part.generation, tenant, trend_id)
    if profile is None:
        raise not_found()
    part.remove_reference(KIND, f"{tenant}:{trend_id}")
    return profile.state_id


@method("APIerSv1.SetTrendProfile", owner=LEADER_RULE, changes=True)
def set_trend_profile(op: Operation, params: TrendParams) -> Steps[str]:
    require(params, "ID")
    tenant = op.tenant(params.Tenant)
    profile = TrendProfile(
        tenant,
        params.ID,
        params.Schedule,
        params.StatID,
        given(params.Metrics),
        params.TTL,
        params.QueueLength,
        params.MinItems,
        params.CorrelationType,
        params.Tolerance,
        params.Stored,
        given(params.ThresholdIDs),
    )
    ended = yield set_profile.at(LEADER, profile)
    if ended:
        yield forget.at(object_owner(tenant, params.ID), tenant, params.ID, ended)
    yield from changed(op, KIND, f"{tenant}:{params.ID}", params.APIOpts)
    return "OK"


@method("APIerSv1.RemoveTrendProfile", owner=LEADER_RULE, changes=True)
def remove_trend_profile(op: Operation, params: TenantIDWithOpts) -> Steps[str]:
    require(params, "ID")
    tenant = op.tenant(params.Tenant)
    ended = yield remove_one.at(LEADER, tenant, params.ID)
    yield forget.at(object_owner(tenant, params.ID), tenant, params.ID, ended)
    yield from changed(op, KIND, f"{tenant}:{params.ID}", params.APIOpts, removed=True)
    return "OK"


@method("APIerSv1.GetTrendProfile", owner=ANY)
def get_trend_profile(part: Part, params: TenantID) -> dict[str, Any]:
    return profile_json(profile_asked(part, KIND, params))


@method("APIerSv1.GetTrendProfileIDs", owner=ANY)
def get_trend_profile_ids(part: Part, params: Paginator) -> list[str] | None:
    return ids_page(part, KIND, params)


# --- trends --------------------------------------------------------------------------------------------------------


@method("TrendSv1.ScheduleQueries", owner=ANY, changes=True)
def schedule_queries(op: Operation, params: ScheduleParams) -> Steps[int]:
    return (yield from schedule_all(op, TREND_QUERIES, op.tenant(params.Tenant), params.TrendIDs or ()))


@method("TrendSv1.GetScheduledTrends", owner=ANY)
def get_scheduled_trends(op: Operation, params: ScheduledParams) -> Steps[list[dict[str, str]]]:
    tenant = op.tenant(params.Tenant)
    return (yield from schedule_json(TREND_QUERIES, "TrendID", tenant, params.TrendIDPrefixes))


@method("TrendSv1.GetTrend", owner=shared_object())
def get_trend(op: Operation, params: GetTrendParams) -> Steps[dict[str, Any]]:
    """Samples by index and time: start inclusive and end exclusive. Many are written out over several turns. Raises
    `NOT_FOUND` when none remains."""
    require(params, "ID")
    tenant = op.tenant(params.Tenant)
    owner = object_owner(tenant, params.ID)
    found: Snapshot | None = yield snapshot.at(owner, tenant, params.ID)
    if found is None:
        raise not_found()
    zone = str(op.generation.config("general").get("default_timezone", ""))
    since = parse_time(params.RunTimeStart, op.now_ns, zone).ns if params.RunTimeStart else None
    until = parse_time(params.RunTimeEnd, op.now_ns, zone).ns if params.RunTimeEnd else None
    times, metrics = yield from paced(samples_in_slices(_samples_asked(found, params), since, until))
    if not times:
        raise not_found()
    yield note_read.at(owner, tenant, params.ID)  # last: what has changed something logs its waits
    return {"Tenant": tenant, "ID": params.ID, "RunTimes": times, "Metrics": metrics}


def _samples_asked(found: Snapshot, params: GetTrendParams) -> list[Any]:
    """Those of the asked indexes, as they lie."""
    first, count = found.trend.first, found.trend.end - found.trend.first
    start = min(max(params.RunIndexStart, 0), count)
    end = params.RunIndexEnd if start <= params.RunIndexEnd <= count and params.RunIndexEnd else count
    return [found.samples[str(first + place)] for place in range(start, end)]


@method("TrendSv1.GetTrendSummary", owner=shared_object())
def get_trend_summary(part: Part, params: TenantIDWithOpts) -> dict[str, Any]:
    tenant = part.tenant(params.Tenant)
    found: dict[str, Any] | None = look_at(part, tenant, params.ID)
    if found is None:
        raise not_found()
    note_state(part, KIND, f"{tenant}:{params.ID}")
    return found
