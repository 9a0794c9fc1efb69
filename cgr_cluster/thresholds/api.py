"""ThresholdSv1, and the methods on threshold profiles (spec chapter 51, section 3.3)."""

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
from cgr_cluster.filters.reading import ids_page, profile_asked, profile_count
from cgr_cluster.rpc.errors import not_found, require
from cgr_cluster.rpc.owners import ANY, EVENT, LEADER_RULE, shared_object
from cgr_cluster.rpc.registry import Params, method, service
from cgr_cluster.thresholds.answers import profile_json
from cgr_cluster.thresholds.process import process_event, states_of
from cgr_cluster.thresholds.steps import forget, reset, shown
from cgr_cluster.thresholds.types import THRESHOLDS, ThresholdProfile, with_state

service("ThresholdSv1")
service("APIerSv1")


class ThresholdParams(Params, go="engine.ThresholdProfileWithAPIOpts"):
    Tenant: str = ""
    ID: str = ""
    FilterIDs: list[str] | None = None
    ActivationInterval: Interval | None = None
    MaxHits: int = 0
    MinHits: int = 0
    MinSleep: int = 0
    Blocker: bool = False
    Weight: float = 0.0
    ActionIDs: list[str] | None = None
    Async: bool = False
    EeIDs: list[str] | None = None
    APIOpts: dict[str, Any] | None = None


# --- profiles ----------------------------------------------------------------------------------------------------


@step("thresholds.set_profile")
def set_profile(part: Part, profile: ThresholdProfile) -> str:
    """Store a profile. Answers the id of the state that has ended by it, "" for none."""
    old: ThresholdProfile | None = THRESHOLDS.get(part.generation, profile.tenant, profile.id)
    stored = with_state(profile, old, part.new_uuid())
    store_profile(part, THRESHOLDS, stored)
    return old.state_id if old is not None and old.state_id != stored.state_id else ""


@step("thresholds.remove_profile")
def remove_one(part: Part, tenant: str, threshold_id: str) -> str:
    """Remove a profile. Answers the id of its state. Raises `NOT_FOUND`."""
    removed: ThresholdProfile = remove_profile(part, THRESHOLDS, tenant, threshold_id)
    return removed.state_id


@method("APIerSv1.SetThresholdProfile", owner=LEADER_RULE, changes=True)
def set_threshold_profile(op: Operation, params: ThresholdParams) -> Steps[str]:
    require(params, "ID")
    tenant = op.tenant(params.Tenant)
    profile = ThresholdProfile(
        tenant,
        params.ID,
        tuple(params.FilterIDs or ()),
        read_interval(params.ActivationInterval),
        params.MaxHits,
        params.MinHits,
        params.MinSleep,
        params.Blocker,
        params.Weight,
        tuple(params.ActionIDs or ()),
        params.Async,
        tuple(params.EeIDs or ()),
    )
    ended = yield set_profile.at(LEADER, profile)
    if ended:
        yield forget.at(object_owner(tenant, params.ID), tenant, params.ID, ended)
    yield from changed(op, THRESHOLDS.name, f"{tenant}:{params.ID}", params.APIOpts)
    return "OK"


@method("APIerSv1.RemoveThresholdProfile", owner=LEADER_RULE, changes=True)
def remove_threshold_profile(op: Operation, params: TenantIDWithOpts) -> Steps[str]:
    require(params, "ID")
    tenant = op.tenant(params.Tenant)
    ended = yield remove_one.at(LEADER, tenant, params.ID)
    yield forget.at(object_owner(tenant, params.ID), tenant, params.ID, ended)
    yield from changed(op, THRESHOLDS.name, f"{tenant}:{params.ID}", params.APIOpts, removed=True)
    return "OK"


@method("APIerSv1.GetThresholdProfile", owner=ANY)
def get_threshold_profile(part: Part, params: TenantID) -> dict[str, Any]:
    return profile_json(profile_asked(part, THRESHOLDS.name, params))


@method("APIerSv1.GetThresholdProfileIDs", owner=ANY)
def get_threshold_profile_ids(part: Part, params: Paginator) -> list[str] | None:
    return ids_page(part, THRESHOLDS.name, params)


@method("APIerSv1.GetThresholdProfileCount", owner=ANY)
def get_threshold_profile_count(part: Part, params: TenantWithOpts) -> int:
    return profile_count(part, THRESHOLDS.name, params)


# --- states and events -------------------------------------------------------------------------------------------


@method("ThresholdSv1.ProcessEvent", owner=EVENT, changes=True)
def process(op: Operation, params: EventParams) -> Steps[list[str]]:
    event = event_of(params, op.tenant(params.Tenant), needs_id=True)
    return (yield from process_event(op, event))


@method("ThresholdSv1.GetThresholdsForEvent", owner=EVENT)
def get_thresholds_for_event(op: Operation, params: EventParams) -> Steps[list[dict[str, Any]]]:
    event = event_of(params, op.tenant(params.Tenant), needs_id=True)
    states = yield from states_of(op, event)
    yield from noted_event(op, THRESHOLDS.name, [THRESHOLDS.key(one["Tenant"], one["ID"]) for one in states])
    return states


@method("ThresholdSv1.GetThreshold", owner=shared_object())
def get_threshold(part: Part, params: TenantIDWithOpts) -> dict[str, Any]:
    tenant = part.tenant(params.Tenant)
    found: dict[str, Any] | None = shown(part, tenant, params.ID)
    if found is None:
        raise not_found()
    note_state(part, THRESHOLDS.name, THRESHOLDS.key(tenant, params.ID))
    return found


@method("ThresholdSv1.GetThresholdIDs", owner=ANY)
def get_threshold_ids(part: Part, params: TenantWithOpts) -> list[str]:
    return THRESHOLDS.ids(part.generation, part.tenant(params.Tenant))


@method("ThresholdSv1.ResetThreshold", owner=shared_object(), changes=True)
def reset_threshold(part: Part, params: TenantIDWithOpts) -> str:
    tenant = part.tenant(params.Tenant)
    reset(part, tenant, params.ID)
    note_state(part, THRESHOLDS.name, THRESHOLDS.key(tenant, params.ID))
    return "OK"
