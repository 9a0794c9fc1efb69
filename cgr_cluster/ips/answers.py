"""Profiles and allocations as the API shows them (spec chapter 60, section 5)."""

from __future__ import annotations

from typing import Any

from cgr_cluster.engine.codec import opened
from cgr_cluster.events.instant import Instant
from cgr_cluster.events.times import format_instant
from cgr_cluster.filters.params import interval_json, list_json
from cgr_cluster.ips.state import Snapshot
from cgr_cluster.ips.types import Allocation, IPPool, IPProfile
from cgr_cluster.rating.answers import number
from cgr_cluster.tariffs.slices import Slices

Json = dict[str, Any]


def pool_json(pool: IPPool) -> Json:
    return {
        "ID": pool.id,
        "FilterIDs": list_json(pool.filter_ids),
        "Type": pool.type,
        "Range": pool.range,
        "Strategy": pool.strategy,
        "Message": pool.message,
        "Weight": number(pool.weight),
        "Blocker": pool.blocker,
    }


def profile_json(profile: IPProfile) -> Json:
    return {
        "Tenant": profile.tenant,
        "ID": profile.id,
        "FilterIDs": list_json(profile.filter_ids),
        "ActivationInterval": interval_json(profile.activation_interval),
        "Weight": number(profile.weight),
        "TTL": profile.ttl_ns,
        "Stored": profile.stored,
        "Pools": [pool_json(pool) for pool in profile.pools] or None,
    }


def allocated_json(profile: IPProfile, pool: IPPool, address: str) -> Json:
    """What AuthorizeIP and AllocateIP answer."""
    return {"ProfileID": profile.id, "PoolID": pool.id, "Message": pool.message, "Address": address}


def allocated_text(allocated: Json) -> str:
    """The same in answers of the WithDigest methods."""
    return ":".join(allocated[name] for name in ("ProfileID", "PoolID", "Message", "Address"))


SLICE_ALLOCATIONS = 500  # some milliseconds


def allocations_in_slices(found: Snapshot) -> Slices[Json]:
    """The allocations as the API shows them, in the order of their times."""
    allocations: Json = {}
    ending: list[str] = []
    following = found.head.chain.first
    while following:
        one = opened(Allocation, found.allocations[following])
        allocations[one.id] = {
            "PoolID": one.pool_id,
            "Address": one.address,
            "Time": format_instant(Instant.of(one.time_ns)),
        }
        if one.expiry_ns:
            ending.append(one.id)
        following = one.after
        if following and len(allocations) % SLICE_ALLOCATIONS == 0:
            yield
    return {
        "Tenant": found.profile.tenant,
        "ID": found.profile.id,
        "Allocations": allocations,
        "TTLIndex": ending if found.head.had_ending else None,
    }
