"""Steps at the owner of a tenant's resources: each is one atomic change or read of all that match (spec chapter 60, section 2.4)."""

from __future__ import annotations

from typing import Any

import msgspec

from cgr_cluster.caches.items import note_event, note_state
from cgr_cluster.engine.domain import Operation, Part, Steps, step, task
from cgr_cluster.engine.owner import tenant_owner
from cgr_cluster.events.amounts import NANO
from cgr_cluster.filters.live import live_source
from cgr_cluster.filters.view import View
from cgr_cluster.filters.walk import MISSING, steps_of, walk
from cgr_cluster.rating.answers import number
from cgr_cluster.resources.answers import profile_json, resource_json, units_of, usage_json
from cgr_cluster.resources.pool import Pool, Snapshot, drop_chain, drop_content
from cgr_cluster.resources.types import RESOURCES, Resource, ResourceProfile


class Held(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """What came of an allocation or a release. `message`: of the resource that has room, "" for none. `totals`: units in use now,
    in 10^-9, by resource. `missing`: a usage that should have been there was not."""

    message: str = ""
    totals: dict[str, int] = {}
    missing: bool = False


def _pools(part: Part, tenant: str, ids: list[str]) -> list[Pool]:
    """Those of the resources that are still there."""
    profiles = [RESOURCES.get(part.generation, tenant, resource_id) for resource_id in ids]
    return [Pool(part, profile) for profile in profiles if profile is not None]


def _note(part: Part, pools: list[Pool]) -> None:
    for pool in pools:
        note_event(part, RESOURCES.name, RESOURCES.key(pool.profile.tenant, pool.profile.id))


def _totals(pools: list[Pool]) -> dict[str, int]:
    return {pool.profile.id: pool.head.used_nano for pool in pools}


@step("resources.authorize", reads=True)
def authorize(part: Part, tenant: str, ids: list[str], units_nano: int) -> tuple[str, bool]:
    """(message of the first resource with room, "" for none; whether usages have ended that are still held)."""
    message, stale = "", False
    for pool in _pools(part, tenant, ids):
        gone = sum(usage.units_nano for usage in pool.expired(part.now_ns))
        stale = stale or next(pool.expired(part.now_ns), None) is not None
        if not message and pool.profile.has_room(pool.head.used_nano - gone + units_nano):
            message = pool.profile.message
    return message, stale


@step("resources.expire", idempotent=True)
def expire(part: Part, tenant: str, ids: list[str]) -> None:
    """Drop what has ended by itself."""
    for pool in _pools(part, tenant, ids):
        pool.expire()


@step("resources.allocate")
def allocate(part: Part, tenant: str, ids: list[str], usage_id: str, units_nano: int, ttl_ns: int) -> Held:
    """Hold units in all the resources if one has room. `ttl_ns`: of this usage, 0: that of each profile. What the usage held
    before is free afterwards, also when none has room."""
    pools = _pools(part, tenant, ids)
    message = ""
    for pool in pools:
        pool.expire()
        pool.free(usage_id)
        if not message and pool.profile.has_room(pool.head.used_nano + units_nano):
            message = pool.profile.message
    _note(part, pools)
    if not message:
        return Held()
    for pool in pools:
        pool.record(usage_id, units_nano, ttl_ns or pool.profile.usage_ttl_ns)
    return Held(message, _totals(pools))


@step("resources.release")
def release(part: Part, tenant: str, ids: list[str], usage_id: str, ttl_ns: int) -> Held:
    """Give all units of a usage back. One that is not there is `missing` where usages end by themselves, or the release has a
    TTL of its own."""
    pools = _pools(part, tenant, ids)
    absent = False
    for pool in pools:
        if not pool.free(usage_id) and (ttl_ns or pool.profile.usage_ttl_ns > 0):
            absent = True
    _note(part, pools)
    return Held(totals=_totals(pools), missing=absent)


@step("resources.forget")
def forget(part: Part, tenant: str, resource_id: str, state_id: str) -> None:
    """Drop the usages of a profile that has been removed or emptied."""
    key = RESOURCES.key(tenant, resource_id)
    found = part.read(Resource, key)
    if found is not None and found.state_id == state_id:
        part.delete(Resource, key)
        drop_content(part, tenant, found)


@step("resources.sweep")
def sweep(part: Part, tenant: str, state_id: str, first: str) -> None:
    drop_chain(part, tenant, state_id, first)


@task("resources.sweep")
def sweep_rest(op: Operation, tenant: str, state_id: str, first: str) -> Steps[None]:
    """The next piece of a large resource that is no more."""
    yield sweep.at(tenant_owner(tenant), tenant, state_id, first)


# --- looking at them ---------------------------------------------------------------------------------------------


@step("resources.shown", reads=True)
def shown(part: Part, tenant: str, ids: list[str]) -> list[dict[str, Any]]:
    """The resources as the API shows them; unknown ones are left out."""
    return [resource_json(pool) for pool in _pools(part, tenant, ids)]


_USAGES = "Usages"
_WITH_USAGE = "\n"  # between the ids of a resource and of one of its usages


def object_named(parts: tuple[str, ...]) -> str:
    """What a path asks for: the resource, with the usage whose fields it reads. Ids of usages may have dots."""
    if len(parts) > 3 and parts[1] == _USAGES:
        return f"{parts[0]}{_WITH_USAGE}{'.'.join(parts[2:-1])}"
    return parts[0]


@step("resources.snapshot", reads=True)
def snapshot(part: Part, tenant: str, resource_id: str) -> Snapshot | None:
    """All that a resource holds; None for an unknown one."""
    profile: ResourceProfile | None = RESOURCES.get(part.generation, tenant, resource_id)
    return None if profile is None else Pool(part, profile).snapshot()


@step("resources.note_read")
def note_read(part: Part, tenant: str, resource_id: str) -> None:
    note_state(part, RESOURCES.name, RESOURCES.key(tenant, resource_id))


@step("resources.look_at", reads=True)
def look_at(part: Part, tenant: str, named: str) -> dict[str, Any] | None:
    """What paths read of a resource, or of one of its usages; None for an unknown one."""
    resource_id, _, usage_id = named.partition(_WITH_USAGE)
    profile: ResourceProfile | None = RESOURCES.get(part.generation, tenant, resource_id)
    if profile is None:
        return None
    pool = Pool(part, profile)
    if usage_id:
        usage = pool.usage(usage_id)
        return None if usage is None else usage_json(tenant, usage)
    used = pool.head.used_nano
    return {
        "Tenant": tenant,
        "ID": resource_id,
        "TotalUsage": units_of(used),
        "Available": number((profile.limit * NANO - used) / NANO),
        "Config": profile_json(profile),
    }


def value_at(found: dict[str, Any], parts: tuple[str, ...], view: View) -> Any:
    """`~*resources.ID.TotalUsage` and the like (50 §2.2); another field is not found."""
    if not parts:
        return MISSING
    return walk(found, steps_of(parts[-1:] if parts[0] == _USAGES else parts))


live_source("*resources", lambda tenant, _: tenant_owner(tenant), look_at, value_at, object_named)
