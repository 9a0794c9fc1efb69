"""RankingSv1, and the methods on ranking profiles (spec chapter 60, section 4)."""

from __future__ import annotations

from typing import Any

from cgr_cluster.caches.changes import changed, spawn_changed
from cgr_cluster.caches.items import note_state
from cgr_cluster.engine.domain import Operation, Part, Steps, step
from cgr_cluster.engine.owner import LEADER, object_owner
from cgr_cluster.filters.params import Paginator, TenantID, TenantIDWithOpts
from cgr_cluster.filters.reading import ids_page, profile_asked
from cgr_cluster.rankings.steps import RANKING_QUERIES, forget, look_at, summary
from cgr_cluster.rankings.types import KIND, RankingProfile, ranking_profile, with_state
from cgr_cluster.rpc.errors import not_found, require
from cgr_cluster.rpc.owners import ANY, LEADER_RULE, shared_object
from cgr_cluster.rpc.registry import Params, method, service
from cgr_cluster.stats.queries import schedule_all, schedule_json
from cgr_cluster.trends.answers import given, list_as_given

service("RankingSv1")
service("APIerSv1")


class RankingParams(Params, go="engine.RankingProfileWithAPIOpts"):
    Tenant: str = ""
    ID: str = ""
    Schedule: str = ""
    StatIDs: list[str] | None = None
    MetricIDs: list[str] | None = None
    Sorting: str = ""
    SortingParameters: list[str] | None = None
    Stored: bool = False
    ThresholdIDs: list[str] | None = None
    APIOpts: dict[str, Any] | None = None


class ScheduleParams(Params, go="utils.ArgScheduleRankingQueries"):
    Tenant: str = ""
    ID: str = ""
    APIOpts: dict[str, Any] | None = None
    RankingIDs: list[str] | None = None


class ScheduledParams(Params, go="utils.ArgScheduledRankings"):
    Tenant: str = ""
    ID: str = ""
    APIOpts: dict[str, Any] | None = None
    RankingIDPrefixes: list[str] | None = None


@method("APIerSv1.SetRankingProfile", owner=LEADER_RULE, changes=True)
def set_ranking_profile(part: Part, params: RankingParams) -> str:
    require(params, "ID")
    tenant = part.tenant(params.Tenant)
    profile = RankingProfile(
        tenant,
        params.ID,
        params.Schedule,
        given(params.StatIDs),
        given(params.MetricIDs),
        params.Sorting,
        given(params.SortingParameters),
        params.Stored,
        given(params.ThresholdIDs),
    )
    stored = with_state(profile, ranking_profile(part.generation, tenant, params.ID), part.new_uuid())
    part.set_reference(KIND, f"{tenant}:{params.ID}", stored)
    spawn_changed(part, KIND, f"{tenant}:{params.ID}", params.APIOpts)
    return "OK"


@method("APIerSv1.GetRankingProfile", owner=ANY)
def get_ranking_profile(part: Part, params: TenantID) -> dict[str, Any]:
    profile: RankingProfile = profile_asked(part, KIND, params)
    return {
        "Tenant": profile.tenant,
        "ID": profile.id,
        "Schedule": profile.schedule,
        "StatIDs": list_as_given(profile.stat_ids),
        "MetricIDs": list_as_given(profile.metric_ids),
        "Sorting": profile.sorting,
        "SortingParameters": list_as_given(profile.sorting_parameters),
        "Stored": profile.stored,
        "ThresholdIDs": list_as_given(profile.threshold_ids),
    }


@method("APIerSv1.GetRankingProfileIDs", owner=ANY)
def get_ranking_profile_ids(part: Part, params: Paginator) -> list[str] | None:
    return ids_page(part, KIND, params)


@step("rankings.remove_profile")
def remove_one(part: Part, tenant: str, ranking_id: str) -> str:
    """Remove a profile. Answers the id of its state. Raises `NOT_FOUND`."""
    profile = ranking_profile(part.generation, tenant, ranking_id)
    if profile is None:
        raise not_found()
    part.remove_reference(KIND, f"{tenant}:{ranking_id}")
    return profile.state_id


@method("APIerSv1.RemoveRankingProfile", owner=LEADER_RULE, changes=True)
def remove_ranking_profile(op: Operation, params: TenantIDWithOpts) -> Steps[str]:
    require(params, "ID")
    tenant = op.tenant(params.Tenant)
    state_id = yield remove_one.at(LEADER, tenant, params.ID)
    yield forget.at(object_owner(tenant, params.ID), tenant, params.ID, state_id)
    yield from changed(op, KIND, f"{tenant}:{params.ID}", params.APIOpts, removed=True)
    return "OK"


@method("RankingSv1.ScheduleQueries", owner=ANY, changes=True)
def schedule_queries(op: Operation, params: ScheduleParams) -> Steps[int]:
    return (yield from schedule_all(op, RANKING_QUERIES, op.tenant(params.Tenant), params.RankingIDs or ()))


@method("RankingSv1.GetSchedule", owner=ANY)
def get_schedule(op: Operation, params: ScheduledParams) -> Steps[list[dict[str, str]]]:
    tenant = op.tenant(params.Tenant)
    return (yield from schedule_json(RANKING_QUERIES, "RankingID", tenant, params.RankingIDPrefixes))


def _found(part: Part, params: TenantIDWithOpts) -> dict[str, Any]:
    tenant = part.tenant(params.Tenant)
    found: dict[str, Any] | None = look_at(part, tenant, params.ID)
    if found is None:
        raise not_found()
    note_state(part, KIND, f"{tenant}:{params.ID}")
    return found


@method("RankingSv1.GetRanking", owner=shared_object())
def get_ranking(part: Part, params: TenantIDWithOpts) -> dict[str, Any]:
    return _found(part, params)


@method("RankingSv1.GetRankingSummary", owner=shared_object())
def get_ranking_summary(part: Part, params: TenantIDWithOpts) -> dict[str, Any]:
    return summary(_found(part, params))
