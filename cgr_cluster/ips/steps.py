"""Steps at the owner of a profile's allocations: each is one atomic change or read (spec chapter 60, section 5)."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

import msgspec

from cgr_cluster.caches.items import note_event, note_object, note_state
from cgr_cluster.engine.domain import Operation, Part, Steps, step, task, timer
from cgr_cluster.engine.owner import object_owner
from cgr_cluster.ips.answers import allocated_json, allocations_in_slices
from cgr_cluster.ips.matching import ip_settings
from cgr_cluster.ips.state import EXPIRE, SWEPT_AT_ONCE, ProfileState, Snapshot, sweep
from cgr_cluster.ips.types import IPS, Allocation, Allocations, CompiledProfile, IPPool, IPProfile
from cgr_cluster.rpc.errors import ApiError, not_found
from cgr_cluster.tariffs.slices import whole


class Outcome(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """What came of a request for an address: what the API answers, or why all pools refuse."""

    allocated: dict[str, Any] | None = None
    refusal: str = ""


def _profile(part: Part, tenant: str, profile_id: str) -> tuple[CompiledProfile, ProfileState]:
    """Raises `NOT_FOUND` for one that has gone."""
    profile: IPProfile | None = IPS.get(part.generation, tenant, profile_id)
    if profile is None:
        raise not_found()
    return CompiledProfile(profile), ProfileState(part, tenant, profile_id, profile.state_id)


def _still_its_own(compiled: CompiledProfile, held: Allocation | None) -> IPPool | None:
    """The pool of an allocation; None when the profile has it no more, or not with this address."""
    if held is None:
        return None
    of = compiled.ranges.get(held.pool_id)
    if of is None or not of.holds(ip_address(held.address)):
        return None
    return next(pool for pool in compiled.profile.pools if pool.id == held.pool_id)


def _free_address(
    part: Part, compiled: CompiledProfile, state: ProfileState, pool_ids: list[str]
) -> tuple[IPPool | None, str]:
    """(pool with a free address, the address), else (None, why the last one refuses). Raises what a pool cannot do."""
    refusal = ""
    by_id = {pool.id: pool for pool in reversed(compiled.profile.pools)}
    for pool_id in pool_ids:
        pool = by_id.get(pool_id)
        if pool is None:
            continue
        of = compiled.ranges[pool_id]
        if not of.single and not ip_settings(part.generation).ranges:
            raise ApiError("only single IP Pools are supported for now")
        address = state.free_in(pool, of)
        if address:
            return pool, address
        refusal = state.refusal(pool, of)
    if not refusal:
        raise not_found()
    return None, refusal


@step("ips.authorize", reads=True)
def authorize(part: Part, tenant: str, profile_id: str, pool_ids: list[str], allocation_id: str) -> Outcome:
    """The address that an allocation of this id would be given."""
    compiled, state = _profile(part, tenant, profile_id)
    held = state.get(allocation_id)
    pool = _still_its_own(compiled, held)
    if held is not None and pool is not None:
        return Outcome(allocated_json(compiled.profile, pool, held.address))
    pool, text = _free_address(part, compiled, state, pool_ids)
    return Outcome(refusal=text) if pool is None else Outcome(allocated_json(compiled.profile, pool, text))


@step("ips.allocate")
def allocate(part: Part, tenant: str, profile_id: str, pool_ids: list[str], allocation_id: str, ttl_ns: int) -> Outcome:
    """Give the id an address of the first pool that has one; the same again, for `ttl_ns` from now, when it has one."""
    compiled, state = _profile(part, tenant, profile_id)
    note_event(part, IPS.name, IPS.key(tenant, profile_id))
    held = state.get(allocation_id)
    pool = _still_its_own(compiled, held)
    if held is not None and pool is not None:
        state.renew(held, ttl_ns)
        return Outcome(allocated_json(compiled.profile, pool, held.address))
    if held is not None:
        state.free(held)
    pool, text = _free_address(part, compiled, state, pool_ids)
    if pool is None:
        return Outcome(refusal=text)
    state.take(allocation_id, pool.id, text, ttl_ns)
    return Outcome(allocated_json(compiled.profile, pool, text))


@step("ips.release")
def release(part: Part, tenant: str, profile_id: str, allocation_id: str) -> None:
    """Take the id's address back, if it has one."""
    _, state = _profile(part, tenant, profile_id)
    held = state.get(allocation_id)
    if held is not None:
        state.free(held)


@step("ips.clear")
def clear(part: Part, tenant: str, profile_id: str, ids: list[str]) -> None:
    """Take the addresses of these ids back, of all or none. Raises `cannot find allocation records with ids: [...]`."""
    _, state = _profile(part, tenant, profile_id)
    unknown = [allocation_id for allocation_id in ids if state.get(allocation_id) is None]
    if unknown:
        raise ApiError(f"cannot find allocation records with ids: [{' '.join(unknown)}]")
    for allocation_id in dict.fromkeys(ids):
        held = state.get(allocation_id)
        if held is not None:
            state.free(held)


@step("ips.clear_some")
def clear_some(part: Part, tenant: str, profile_id: str, until_ns: int) -> bool:
    """Take addresses back that were given until then, the oldest first; whether there may be more."""
    _, state = _profile(part, tenant, profile_id)
    for _ in range(SWEPT_AT_ONCE):
        held = next(state.all(), None)
        if held is None or held.time_ns > until_ns:
            return False
        state.free(held)
    return True


@step("ips.forget")
def forget(part: Part, tenant: str, profile_id: str, state_id: str) -> None:
    """Drop the allocations of a profile that has been removed."""
    key = IPS.key(tenant, profile_id)
    found = part.read(Allocations, key)
    if found is not None and found.state_id == state_id:
        part.delete(Allocations, key)
        sweep(part, tenant, profile_id, state_id, found.chain.first)


@step("ips.sweep")
def sweep_some(part: Part, tenant: str, profile_id: str, state_id: str, first: str) -> None:
    sweep(part, tenant, profile_id, state_id, first)


@task("ips.sweep")
def sweep_rest(op: Operation, tenant: str, profile_id: str, state_id: str, first: str) -> Steps[None]:
    """The next piece of the many allocations of a profile that is no more."""
    yield sweep_some.at(object_owner(tenant, profile_id), tenant, profile_id, state_id, first)


@timer(EXPIRE)
def expire(part: Part, tenant: str, profile_id: str, state_id: str, allocation_id: str, expiry_ns: int) -> None:
    """An allocation ends by itself."""
    state = ProfileState(part, tenant, profile_id, state_id)
    held = state.get(allocation_id)
    if held is not None and held.expiry_ns == expiry_ns and state.head.chain.first:
        state.free(held)


@step("ips.shown", reads=True)
def shown(part: Part, tenant: str, profile_id: str) -> dict[str, Any]:
    """The allocations as the API shows them. Raises `NOT_FOUND` for a profile that has gone."""
    compiled, state = _profile(part, tenant, profile_id)
    return whole(allocations_in_slices(state.snapshot(compiled.profile)))


@step("ips.snapshot", reads=True)
def snapshot(part: Part, tenant: str, profile_id: str) -> Snapshot:
    """All allocations. Raises `NOT_FOUND` for a profile that has gone."""
    compiled, state = _profile(part, tenant, profile_id)
    return state.snapshot(compiled.profile)


@step("ips.note_read")
def note_read(part: Part, tenant: str, profile_id: str) -> None:
    note_object(part, IPS.name, IPS.key(tenant, profile_id))
    note_state(part, IPS.name, IPS.key(tenant, profile_id))
