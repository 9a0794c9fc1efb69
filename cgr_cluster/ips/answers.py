"""Profiles and allocations as the API shows them (spec chapter 60, section 5)."""

from __future__ import annotations

from typing import Any

from cgr_cluster.events.instant import Instant
from cgr_cluster.events.times import format_instant
from cgr_cluster.filters.params import interval_json, list_json
from cgr_cluster.ips.state import ProfileState
from cgr_cluster.ips.types import IPPool, IPProfile
from cgr_cluster.rating.answers import number

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


def allocations_json(profile: IPProfile, state: ProfileState) -> Json:
    held = list(state.all())
    return {
        "Tenant": profile.tenant,
        "ID": profile.id,
        "Allocations": {
            one.id: {"PoolID": one.pool_id, "Address": one.address, "Time": format_instant(Instant.of(one.time_ns))}
            for one in held
        },
        "TTLIndex": [one.id for one in held if one.expiry_ns] if state.head.had_ending else None,
    }
