"""ResourceSv1, and the methods on resource profiles (spec chapter 60, section 2.2)."""

from __future__ import annotations

from typing import Any

from cgr_cluster.caches.changes import changed
from cgr_cluster.caches.items import noted_event
from cgr_cluster.engine.domain import Operation, Part, Steps, step
from cgr_cluster.engine.owner import LEADER, tenant_owner
from cgr_cluster.filters.params import (
    EventParams,
    Interval,
    Paginator,
    TenantID,
    TenantIDWithOpts,
    event_as_given,
    read_interval,
)
from cgr_cluster.filters.profiles import remove_profile, store_profile
from cgr_cluster.filters.reading import ids_page, profile_asked
from cgr_cluster.resources import process
from cgr_cluster.resources.answers import profile_json, resource_in_slices
from cgr_cluster.resources.pool import Snapshot
from cgr_cluster.resources.steps import forget, note_read, snapshot
from cgr_cluster.resources.types import RESOURCES, ResourceProfile, with_state
from cgr_cluster.rpc.errors import not_found, require
from cgr_cluster.rpc.owners import ANY, LEADER_RULE, tenant_object
from cgr_cluster.rpc.registry import Params, method, service
from cgr_cluster.tariffs.slices import paced

service("ResourceSv1")
service("APIerSv1")


class ResourceParams(Params, go="engine.ResourceProfileWithAPIOpts"):
    Tenant: str = ""
    ID: str = ""
    FilterIDs: list[str] | None = None
    ActivationInterval: Interval | None = None
    UsageTTL: int = 0
    Limit: float = 0.0
    AllocationMessage: str = ""
    Blocker: bool = False
    Stored: bool = False
    Weight: float = 0.0
    ThresholdIDs: list[str] | None = None
    APIOpts: dict[str, Any] | None = None


# --- profiles ----------------------------------------------------------------------------------------------------


@step("resources.set_profile")
def set_profile(part: Part, profile: ResourceProfile) -> str:
    """Store a profile. Answers the id of the state that has ended by it, "" for none."""
    old: ResourceProfile | None = RESOURCES.get(part.generation, profile.tenant, profile.id)
    stored = with_state(profile, old, part.new_uuid())
    store_profile(part, RESOURCES, stored)
    return old.state_id if old is not None and old.state_id != stored.state_id else ""


@step("resources.remove_profile")
def remove_one(part: Part, tenant: str, resource_id: str) -> str:
    """Remove a profile. Answers the id of its state. Raises `NOT_FOUND`."""
    removed: ResourceProfile = remove_profile(part, RESOURCES, tenant, resource_id)
    return removed.state_id


@method("APIerSv1.SetResourceProfile", owner=LEADER_RULE, changes=True)
def set_resource_profile(op: Operation, params: ResourceParams) -> Steps[str]:
    require(params, "ID")
    tenant = op.tenant(params.Tenant)
    profile = ResourceProfile(
        tenant,
        params.ID,
        tuple(params.FilterIDs or ()),
        read_interval(params.ActivationInterval),
        params.UsageTTL,
        params.Limit,
        params.AllocationMessage,
        params.Blocker,
        params.Stored,
        params.Weight,
        tuple(params.ThresholdIDs or ()),
    )
    ended = yield set_profile.at(LEADER, profile)
    if ended:
        yield forget.at(tenant_owner(tenant), tenant, params.ID, ended)
    yield from changed(op, RESOURCES.name, f"{tenant}:{params.ID}", params.APIOpts)
    return "OK"


@method("APIerSv1.RemoveResourceProfile", owner=LEADER_RULE, changes=True)
def remove_resource_profile(op: Operation, params: TenantIDWithOpts) -> Steps[str]:
    require(params, "ID")
    tenant = op.tenant(params.Tenant)
    ended = yield remove_one.at(LEADER, tenant, params.ID)
    yield forget.at(tenant_owner(tenant), tenant, params.ID, ended)
    yield from changed(op, RESOURCES.name, f"{tenant}:{params.ID}", params.APIOpts, removed=True)
    return "OK"


@method("APIerSv1.GetResourceProfile", owner=ANY)
def get_resource_profile(part: Part, params: TenantID) -> dict[str, Any]:
    return profile_json(profile_asked(part, RESOURCES.name, params))


@method("APIerSv1.GetResourceProfileIDs", owner=ANY)
def get_resource_profile_ids(part: Part, params: Paginator) -> list[str] | None:
    return ids_page(part, RESOURCES.name, params)


# --- resources and events ----------------------------------------------------------------------------------------


@method("ResourceSv1.AuthorizeResources", owner=tenant_object(), changes=True, when_full=True)
def authorize_resources(op: Operation, params: EventParams) -> Steps[str]:
    return (yield from process.authorize(op, event_as_given(params, op.tenant(params.Tenant))))


@method("ResourceSv1.AllocateResources", owner=tenant_object(), changes=True)
def allocate_resources(op: Operation, params: EventParams) -> Steps[str]:
    return (yield from process.allocate(op, event_as_given(params, op.tenant(params.Tenant))))


@method("ResourceSv1.ReleaseResources", owner=tenant_object(), changes=True, when_full=True)
def release_resources(op: Operation, params: EventParams) -> Steps[str]:
    return (yield from process.release(op, event_as_given(params, op.tenant(params.Tenant))))


@method("ResourceSv1.GetResourcesForEvent", owner=tenant_object())
def get_resources_for_event(op: Operation, params: EventParams) -> Steps[list[dict[str, Any]]]:
    found = yield from process.resources_for(op, event_as_given(params, op.tenant(params.Tenant)))
    yield from noted_event(op, RESOURCES.name, [RESOURCES.key(one["Tenant"], one["ID"]) for one in found])
    return found


def _shown(op: Operation, params: TenantIDWithOpts) -> Steps[tuple[ResourceProfile, dict[str, Any]]]:
    """The resource that is asked for. One with many usages is written out over several turns. Raises `NOT_FOUND`."""
    require(params, "ID")
    tenant = op.tenant(params.Tenant)
    found: Snapshot | None = yield snapshot.at(tenant_owner(tenant), tenant, params.ID)
    if found is None:
        raise not_found()
    shown = yield from paced(resource_in_slices(found))
    yield note_read.at(tenant_owner(tenant), tenant, params.ID)  # last: what has changed something logs its waits
    return found.profile, shown


@method("ResourceSv1.GetResource", owner=tenant_object())
def get_resource(op: Operation, params: TenantIDWithOpts) -> Steps[dict[str, Any]]:
    _, shown = yield from _shown(op, params)
    return shown


@method("ResourceSv1.GetResourceWithConfig", owner=tenant_object())
def get_resource_with_config(op: Operation, params: TenantIDWithOpts) -> Steps[dict[str, Any]]:
    profile, shown = yield from _shown(op, params)
    return {**shown, "Config": profile_json(profile)}
