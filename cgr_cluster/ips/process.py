"""Authorizing, allocating and releasing addresses (spec chapter 60, section 5).

Theory of operation. The profile and its pools are found where the event is. The owner of the profile then finds a free address
and gives it away in one step, so that two requests never get the same one.
"""

from __future__ import annotations

from typing import Any

from cgr_cluster.engine.domain import Operation, Steps
from cgr_cluster.engine.owner import object_owner
from cgr_cluster.events.event import CGREvent
from cgr_cluster.filters.live import Live, with_live
from cgr_cluster.ips import steps
from cgr_cluster.ips.matching import allocation_id_of, any_ips, ip_settings, pools_of, profile_of, ttl_of, view_of
from cgr_cluster.ips.steps import Outcome
from cgr_cluster.ips.types import IPPool, IPProfile
from cgr_cluster.rpc.errors import ApiError, not_found

Json = dict[str, Any]


def _check_service(op: Operation, name: str) -> None:
    """Sessions may be connected to a service that is not there."""
    if not ip_settings(op.generation).enabled:
        raise ApiError(f"rpc: can't find service IPsV1.{name}")


def _profile(op: Operation, event: CGREvent) -> Steps[IPProfile]:
    """Raises `NOT_FOUND`, and errors of filters."""
    if not any_ips(op.generation, event.tenant):
        raise not_found()
    found = yield from with_live(lambda live: profile_of(view_of(op.generation, op.now_ns, event, live), event))
    return found.profile


def _profile_and_pools(op: Operation, event: CGREvent) -> Steps[tuple[IPProfile, list[str]]]:
    """The profile and the ids of the pools to be tried. Raises `NOT_FOUND`, and errors of filters."""
    if not any_ips(op.generation, event.tenant):
        raise not_found()

    def found(live: Live) -> tuple[IPProfile, list[IPPool]]:
        view = view_of(op.generation, op.now_ns, event, live)
        compiled = profile_of(view, event)
        return compiled.profile, pools_of(view, compiled)

    profile, pools = yield from with_live(found)
    return profile, [pool.id for pool in pools]


def authorize(op: Operation, event: CGREvent) -> Steps[Json]:
    """`IPsV1.AuthorizeIP`: what an allocation would be answered; nothing is held. Raises `MANDATORY_IE_MISSING: ...`, errors of
    filters, `NOT_FOUND`, `IP_UNAUTHORIZED`."""
    _check_service(op, "AuthorizeIP")
    allocation_id = allocation_id_of(op.generation, event)
    profile, pool_ids = yield from _profile_and_pools(op, event)
    owner = object_owner(profile.tenant, profile.id)
    outcome: Outcome = yield steps.authorize.at(owner, profile.tenant, profile.id, pool_ids, allocation_id)
    if outcome.allocated is None:
        raise ApiError("IP_UNAUTHORIZED")
    return outcome.allocated


def allocate(op: Operation, event: CGREvent) -> Steps[Json]:
    """`IPsV1.AllocateIP`. Raises as `authorize`, errors of the option `*ipTTL`, and what the last pool says when all are in use."""
    _check_service(op, "AllocateIP")
    allocation_id = allocation_id_of(op.generation, event)
    profile, pool_ids = yield from _profile_and_pools(op, event)
    ttl_ns = ttl_of(op.generation, event, profile)
    owner = object_owner(profile.tenant, profile.id)
    outcome: Outcome = yield steps.allocate.at(owner, profile.tenant, profile.id, pool_ids, allocation_id, ttl_ns)
    if outcome.allocated is None:
        raise ApiError(outcome.refusal)
    return outcome.allocated


def release(op: Operation, event: CGREvent) -> Steps[str]:
    """`IPsV1.ReleaseIP`: `OK` also for an id that has no address. Raises as `authorize`."""
    _check_service(op, "ReleaseIP")
    allocation_id = allocation_id_of(op.generation, event)
    profile = yield from _profile(op, event)
    owner = object_owner(profile.tenant, profile.id)
    yield steps.release.at(owner, profile.tenant, profile.id, allocation_id)
    return "OK"


def allocations_for(op: Operation, event: CGREvent) -> Steps[Json]:
    """`IPsV1.GetIPAllocationForEvent`: those of the event's profile. Raises as `authorize`."""
    allocation_id_of(op.generation, event)
    profile = yield from _profile(op, event)
    shown: Json = yield steps.shown.at(object_owner(profile.tenant, profile.id), profile.tenant, profile.id)
    return shown


def clear_all(op: Operation, tenant: str, profile_id: str) -> Steps[None]:
    """Take back all addresses that were given until now, a piece after the other."""
    owner = object_owner(tenant, profile_id)
    while (yield steps.clear_some.at(owner, tenant, profile_id, op.now_ns)):
        pass
