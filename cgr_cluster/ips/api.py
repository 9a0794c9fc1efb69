"""IPsV1, and the methods on IP profiles (spec chapter 60, section 5)."""

from __future__ import annotations

from typing import Any

from cgr_cluster.caches.changes import changed, spawn_changed
from cgr_cluster.engine.domain import Operation, Part, Steps, step
from cgr_cluster.engine.owner import LEADER, object_owner
from cgr_cluster.filters.lists import check_references
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
from cgr_cluster.ips import process
from cgr_cluster.ips.answers import allocations_in_slices, profile_json
from cgr_cluster.ips.state import Snapshot
from cgr_cluster.ips.steps import clear, forget, note_read, snapshot
from cgr_cluster.ips.types import IPS, IPPool, IPProfile, with_state
from cgr_cluster.rpc.errors import ApiError, require, server_error
from cgr_cluster.rpc.owners import ANY, EVENT, LEADER_RULE, shared_object
from cgr_cluster.rpc.registry import Params, method, service
from cgr_cluster.tariffs.slices import paced

service("IPsV1", section="ips")
service("APIerSv1")


class PoolParams(Params, go="engine.IPPool"):
    ID: str = ""
    FilterIDs: list[str] | None = None
    Type: str = ""
    Range: str = ""
    Strategy: str = ""
    Message: str = ""
    Weight: float = 0.0
    Blocker: bool = False


class ProfileParams(Params, go="engine.IPProfileWithAPIOpts"):
    Tenant: str = ""
    ID: str = ""
    FilterIDs: list[str] | None = None
    ActivationInterval: Interval | None = None
    Weight: float = 0.0
    TTL: int = 0
    Stored: bool = False
    Pools: list[PoolParams | None] | None = None
    APIOpts: dict[str, Any] | None = None


class ClearParams(Params, go="engine.ClearIPAllocationsArgs"):
    Tenant: str = ""
    ID: str = ""
    AllocationIDs: list[str] | None = None
    APIOpts: dict[str, Any] | None = None


# --- profiles ----------------------------------------------------------------------------------------------------


def _pool(given: PoolParams) -> IPPool:
    return IPPool(
        given.ID, tuple(given.FilterIDs or ()), given.Type, given.Range, given.Strategy, given.Message, given.Weight,
        given.Blocker,
    )  # fmt: skip


@method("APIerSv1.SetIPProfile", owner=LEADER_RULE, changes=True)
def set_ip_profile(part: Part, params: ProfileParams) -> str:
    """A profile that replaces one has its allocations: addresses stay with those who have them."""
    require(params, "ID")
    profile = IPProfile(
        part.tenant(params.Tenant),
        params.ID,
        tuple(params.FilterIDs or ()),
        read_interval(params.ActivationInterval),
        params.Weight,
        params.TTL,
        params.Stored,
        tuple(_pool(pool) for pool in params.Pools or () if pool is not None),
    )
    try:
        profile = with_state(profile, part.generation, part.new_uuid())
        for pool in profile.pools:
            check_references(part.generation, profile.tenant, profile.id, pool.filter_ids)
    except ApiError as error:
        raise server_error(error) from error
    store_profile(part, IPS, profile)
    spawn_changed(part, IPS.name, IPS.key(profile.tenant, profile.id), params.APIOpts)
    return "OK"


@step("ips.remove_profile")
def remove_one(part: Part, tenant: str, profile_id: str) -> str:
    """Remove a profile. Answers the id of its state. Raises `NOT_FOUND`."""
    removed: IPProfile = remove_profile(part, IPS, tenant, profile_id)
    return removed.state_id


@method("APIerSv1.RemoveIPProfile", owner=LEADER_RULE, changes=True)
def remove_ip_profile(op: Operation, params: TenantIDWithOpts) -> Steps[str]:
    require(params, "ID")
    tenant = op.tenant(params.Tenant)
    ended = yield remove_one.at(LEADER, tenant, params.ID)
    yield forget.at(object_owner(tenant, params.ID), tenant, params.ID, ended)
    yield from changed(op, IPS.name, IPS.key(tenant, params.ID), params.APIOpts, removed=True)
    return "OK"


@method("APIerSv1.GetIPProfile", owner=ANY)
def get_ip_profile(part: Part, params: TenantID) -> dict[str, Any]:
    return profile_json(profile_asked(part, IPS.name, params))


@method("APIerSv1.GetIPProfileIDs", owner=ANY)
def get_ip_profile_ids(part: Part, params: Paginator) -> list[str] | None:
    return ids_page(part, IPS.name, params)


# --- addresses ---------------------------------------------------------------------------------------------------


@method("IPsV1.AuthorizeIP", owner=EVENT)
def authorize_ip(op: Operation, params: EventParams) -> Steps[dict[str, Any]]:
    return (yield from process.authorize(op, event_as_given(params, op.tenant(params.Tenant))))


@method("IPsV1.AllocateIP", owner=EVENT, changes=True)
def allocate_ip(op: Operation, params: EventParams) -> Steps[dict[str, Any]]:
    return (yield from process.allocate(op, event_as_given(params, op.tenant(params.Tenant))))


@method("IPsV1.ReleaseIP", owner=EVENT, changes=True, when_full=True)
def release_ip(op: Operation, params: EventParams) -> Steps[str]:
    return (yield from process.release(op, event_as_given(params, op.tenant(params.Tenant))))


@method("IPsV1.GetIPAllocationForEvent", owner=EVENT)
def get_ip_allocation_for_event(op: Operation, params: EventParams) -> Steps[dict[str, Any]]:
    return (yield from process.allocations_for(op, event_as_given(params, op.tenant(params.Tenant))))


@method("IPsV1.GetIPAllocations", owner=shared_object())
def get_ip_allocations(op: Operation, params: TenantIDWithOpts) -> Steps[dict[str, Any]]:
    """Many allocations are written out over several turns."""
    require(params, "ID")
    tenant = op.tenant(params.Tenant)
    owner = object_owner(tenant, params.ID)
    found: Snapshot = yield snapshot.at(owner, tenant, params.ID)
    shown = yield from paced(allocations_in_slices(found))
    yield note_read.at(owner, tenant, params.ID)  # last: what has changed something logs its waits
    return shown


@method("IPsV1.ClearIPAllocations", owner=shared_object(), changes=True, when_full=True)
def clear_ip_allocations(op: Operation, params: ClearParams) -> Steps[str]:
    """Without ids: all that were given until now."""
    require(params, "ID")
    tenant = op.tenant(params.Tenant)
    if params.AllocationIDs:
        yield clear.at(object_owner(tenant, params.ID), tenant, params.ID, params.AllocationIDs)
    else:
        yield from process.clear_all(op, tenant, params.ID)
    return "OK"
