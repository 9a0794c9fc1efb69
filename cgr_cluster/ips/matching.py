"""Which profile and pools an event belongs to, and what its options say (spec chapter 60, section 5). Pure."""

from __future__ import annotations

from typing import Any

import msgspec

from cgr_cluster.engine.domain import GenerationView
from cgr_cluster.events.event import CGREvent
from cgr_cluster.events.values import duration_of, text_of
from cgr_cluster.filters.lists import passes
from cgr_cluster.filters.live import Live
from cgr_cluster.filters.selection import matching, until_blocker
from cgr_cluster.filters.tenant_profiles import profiles_of
from cgr_cluster.filters.view import View
from cgr_cluster.ips.types import IPS, CompiledProfile, IPPool, IPProfile
from cgr_cluster.rpc.errors import missing, not_found

ALLOCATION_ID, TTL = "*ipAllocationID", "*ipTTL"


class IPSettings(msgspec.Struct, frozen=True, gc=False):
    """Of the section `ips`: values of options that an event does not have. `ranges`: whether pools may have more than one
    address (`cluster.ip_ranges`)."""

    enabled: bool
    allocation_id: Any
    ttl: Any
    ranges: bool


def ip_settings(generation: GenerationView) -> IPSettings:
    return generation.derived(_settings, "config")


def _settings(generation: GenerationView) -> IPSettings:
    config = generation.config("ips")
    opts = config.get("opts") or {}
    ranges = bool(generation.config("cluster").get("ip_ranges", False))
    return IPSettings(bool(config.get("enabled")), opts.get("*allocationID", ""), opts.get("*ttl", 0), ranges)


def any_ips(generation: GenerationView, tenant: str) -> bool:
    """Whether the tenant has profiles, and the service is there."""
    if not ip_settings(generation).enabled or not generation.keys(IPS.name):
        return False
    return bool(profiles_of(IPS, generation, tenant).indexes)


def allocation_id_of(generation: GenerationView, event: CGREvent) -> str:
    """Raises `MANDATORY_IE_MISSING: [ID Event]`, then `[AllocationID]`. An event without fields counts as missing."""
    absent = [name for name, given in (("ID", event.id), ("Event", event.event)) if not given]
    if absent:
        raise missing(absent)
    allocation_id = text_of(event.opts.get(ALLOCATION_ID, ip_settings(generation).allocation_id))
    if not allocation_id:
        raise missing(["AllocationID"])
    return allocation_id


def ttl_of(generation: GenerationView, event: CGREvent, profile: IPProfile) -> int:
    """How long an allocation lasts, in ns, below 0 until it is released: by the event's option, else by the profile, else
    by the configuration. Raises `time: invalid duration "x"`."""
    given = duration_of(event.opts[TTL]) if TTL in event.opts else 0
    return given or profile.ttl_ns or duration_of(ip_settings(generation).ttl) or -1


def profile_of(view: View, event: CGREvent) -> CompiledProfile:
    """The event's profile of the greatest weight. Raises `NOT_FOUND`, errors of filters, and `Need`."""
    found: list[CompiledProfile] = matching(IPS, view, event.time)
    if not found:
        raise not_found()
    return found[0]


def pools_of(view: View, profile: CompiledProfile) -> list[IPPool]:
    """The pools that the event may use, in order, up to the first Blocker. Raises as `profile_of`."""
    found = until_blocker([pool for pool in profile.pools if passes(view, pool.filter_ids)], lambda pool: pool.blocker)
    if not found:
        raise not_found()
    return found


def view_of(generation: GenerationView, now_ns: int, event: CGREvent, live: Live) -> View:
    return View(generation, now_ns, event.tenant, event.event, event.opts, live=live)
