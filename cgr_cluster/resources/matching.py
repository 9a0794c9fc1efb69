"""Which resources an event belongs to, and what its options say (spec chapter 60, sections 2.2 and 2.3). Pure."""

from __future__ import annotations

from typing import Any

import msgspec

from cgr_cluster.engine.domain import GenerationView
from cgr_cluster.events.amounts import nano_of
from cgr_cluster.events.event import CGREvent
from cgr_cluster.events.values import duration_of, float_of, text_of
from cgr_cluster.filters.live import Live
from cgr_cluster.filters.selection import matching, until_blocker
from cgr_cluster.filters.tenant_profiles import profiles_of
from cgr_cluster.filters.view import View
from cgr_cluster.resources.types import RESOURCES, ResourceProfile
from cgr_cluster.rpc.errors import missing

USAGE_ID, UNITS, USAGE_TTL = "*rsUsageID", "*rsUnits", "*rsUsageTTL"


class ResourceSettings(msgspec.Struct, frozen=True, gc=False):
    """Of the section `resources`: values of options that an event does not have."""

    usage_id: Any
    units: Any
    usage_ttl: Any
    thresholds_connected: bool


def resource_settings(generation: GenerationView) -> ResourceSettings:
    return generation.derived(_settings, "config")


def _settings(generation: GenerationView) -> ResourceSettings:
    config = generation.config("resources")
    opts = config.get("opts") or {}
    connected = bool(config.get("thresholds_conns"))
    return ResourceSettings(opts.get("*usageID", ""), opts.get("*units", 1), opts.get("*usageTTL", 0), connected)


def any_resources(generation: GenerationView, tenant: str) -> bool:
    """Whether the tenant has any."""
    return bool(generation.keys(RESOURCES.name)) and bool(profiles_of(RESOURCES, generation, tenant).indexes)


def usage_of(generation: GenerationView, event: CGREvent) -> tuple[str, int]:
    """(usage id, TTL in ns of this usage, 0: that of the profile). Raises `MANDATORY_IE_MISSING: [ID Event]`, `[UsageID]`, and
    `time: invalid duration "x"`, in this order. An event without fields counts as missing."""
    absent = [name for name, given in (("ID", event.id), ("Event", event.event)) if not given]
    if absent:
        raise missing(absent)
    settings = resource_settings(generation)
    usage_id = text_of(event.opts.get(USAGE_ID, settings.usage_id))
    if not usage_id:
        raise missing(["UsageID"])
    return usage_id, duration_of(event.opts.get(USAGE_TTL, settings.usage_ttl))


def units_nano_of(generation: GenerationView, event: CGREvent) -> int:
    """The units that are asked for, in 10^-9. Raises `strconv.ParseFloat: ...` for what is no number."""
    return nano_of(float_of(event.opts.get(UNITS, resource_settings(generation).units)))


def resources_of(generation: GenerationView, now_ns: int, event: CGREvent, live: Live) -> list[ResourceProfile]:
    """The event's resources in order, up to the first Blocker. Raises errors of filters, and `Need`."""
    view = View(generation, now_ns, event.tenant, event.event, event.opts, live=live)
    found: list[ResourceProfile] = matching(RESOURCES, view, event.time)
    return until_blocker(found, lambda profile: profile.blocker)
