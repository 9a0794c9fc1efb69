"""Profiles and resources as the API shows them (spec chapter 60, sections 2.1 and 2.2)."""

from __future__ import annotations

from typing import Any

from cgr_cluster.engine.codec import opened
from cgr_cluster.events.amounts import NANO
from cgr_cluster.events.instant import ZERO, Instant
from cgr_cluster.events.times import format_instant
from cgr_cluster.filters.params import interval_json, list_json
from cgr_cluster.rating.answers import number
from cgr_cluster.resources.pool import Pool, Snapshot
from cgr_cluster.resources.types import ResourceProfile, Usage
from cgr_cluster.rpc.pieces import Joined
from cgr_cluster.tariffs.slices import Slices

Json = dict[str, Any]
SLICE_USAGES = 500  # some milliseconds


def units_of(nano: int) -> int | float:
    return number(nano / NANO)


def profile_json(profile: ResourceProfile) -> Json:
    return {
        "Tenant": profile.tenant,
        "ID": profile.id,
        "FilterIDs": list_json(profile.filter_ids),
        "ActivationInterval": interval_json(profile.activation_interval),
        "UsageTTL": profile.usage_ttl_ns,
        "Limit": number(profile.limit),
        "AllocationMessage": profile.allocation_message,
        "Blocker": profile.blocker,
        "Stored": profile.stored,
        "Weight": number(profile.weight),
        "ThresholdIDs": list_json(profile.threshold_ids),
    }


def resource_json(pool: Pool) -> Json:
    profile, head = pool.profile, pool.head
    ending = list(pool.usages(head.ending))
    usages = [*ending, *pool.usages(head.lasting)]
    return {
        "Tenant": profile.tenant,
        "ID": profile.id,
        "Usages": {usage.id: usage_json(profile.tenant, usage) for usage in usages},
        "TTLIdx": [usage.id for usage in ending] if head.had_ending else None,
    }


def resource_in_slices(found: Snapshot) -> Slices[Json]:
    """As `resource_json`, of a resource that may have many usages."""
    profile, head = found.profile, found.head
    usages, ending = Joined(), Joined()
    for chain, ids in ((head.ending, ending), (head.lasting, None)):
        following = chain.first
        while following:
            piece: list[Usage] = []
            while following and len(piece) < SLICE_USAGES:
                piece.append(opened(Usage, found.usages[following]))
                following = piece[-1].after
            usages.add({usage.id: usage_json(profile.tenant, usage) for usage in piece})
            if ids is not None:
                ids.add([usage.id for usage in piece])
            if following:
                yield
    return {
        "Tenant": profile.tenant,
        "ID": profile.id,
        "Usages": usages.object(),
        "TTLIdx": ending.array() if head.had_ending else None,
    }


def usage_json(tenant: str, usage: Usage) -> Json:
    expiry = Instant.of(usage.expiry_ns) if usage.expiry_ns else ZERO
    return {"Tenant": tenant, "ID": usage.id, "ExpiryTime": format_instant(expiry), "Units": units_of(usage.units_nano)}
