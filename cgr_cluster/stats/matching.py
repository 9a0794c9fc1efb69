"""Which queues an event belongs to, and what its options say (spec chapter 60, sections 1.2 and 1.3). Pure."""

from __future__ import annotations

from typing import Any

import msgspec

from cgr_cluster.engine.domain import GenerationView
from cgr_cluster.events.event import CGREvent
from cgr_cluster.events.values import bool_of, texts_of
from cgr_cluster.filters.kinds import profile_kind
from cgr_cluster.filters.live import NOTHING_LIVE, Live
from cgr_cluster.filters.selection import matching, until_blocker
from cgr_cluster.filters.tenant_profiles import profiles_of
from cgr_cluster.filters.view import View
from cgr_cluster.stats.metrics import CompiledQueue, Sample

STATS = profile_kind("stat_profile", "*stats", "stats", compiled=CompiledQueue)

PROFILE_IDS, IGNORE_FILTERS = "*stsProfileIDs", "*stsProfileIgnoreFilters"
STAT_UPDATE = "StatUpdate"


class StatSettings(msgspec.Struct, frozen=True, gc=False):
    """Of the section `stats`, and how answers are rounded."""

    profile_ids: tuple[str, ...]
    ignore_filters: bool
    thresholds_connected: bool
    exports: bool
    decimals: int


def stat_settings(generation: GenerationView) -> StatSettings:
    return generation.derived(_settings, "config")


def _settings(generation: GenerationView) -> StatSettings:
    config = generation.config("stats")
    opts = config.get("opts") or {}
    return StatSettings(
        profile_ids=tuple(opts.get("*profileIDs") or ()),
        ignore_filters=bool(opts.get("*profileIgnoreFilters", False)),
        thresholds_connected=bool(config.get("thresholds_conns")),
        exports=bool(config.get("ees_conns")),
        decimals=int(generation.config("general").get("rounding_decimals", 5)),
    )


def any_queues(generation: GenerationView, tenant: str) -> bool:
    """Whether the tenant has any: most events of a system without need nothing more."""
    return bool(generation.keys(STATS.name)) and bool(profiles_of(STATS, generation, tenant).indexes)


def queues_of(
    generation: GenerationView, now_ns: int, event: CGREvent, live: Live = NOTHING_LIVE
) -> list[CompiledQueue]:
    """The event's queues in order, up to the first Blocker. Raises `cannot convert field: ...`, errors of filters, and
    `Need`."""
    ids, ignore_filters = _options(generation, event.opts)
    view = View(generation, now_ns, event.tenant, event.event, event.opts, live=live)
    found: list[CompiledQueue] = matching(STATS, view, event.time, ids, ignore_filters)
    return until_blocker(found, lambda queue: queue.profile.blocker)


def names_candidates(opts: dict[str, Any]) -> bool:
    """Whether an event says itself what it may belong to. Such options are read, and refused, where there is nothing to find too."""
    return PROFILE_IDS in opts or IGNORE_FILTERS in opts


def samples_of(
    generation: GenerationView, now_ns: int, event: CGREvent, live: Live
) -> list[tuple[CompiledQueue, dict[int, Sample]]]:
    """The event's queues with what it gives to their metrics. Raises as `queues_of`."""
    view = View(generation, now_ns, event.tenant, event.event, event.opts, live=live)
    return [(queue, queue.samples(view)) for queue in queues_of(generation, now_ns, event, live)]


def _options(generation: GenerationView, opts: dict[str, Any]) -> tuple[list[str], bool]:
    """(ids of candidates, whether their filters are not looked at)."""
    settings = stat_settings(generation)
    ids = texts_of(opts[PROFILE_IDS]) if PROFILE_IDS in opts else list(settings.profile_ids)
    ignore_filters = settings.ignore_filters
    if IGNORE_FILTERS in opts:
        ignore_filters = bool_of(opts[IGNORE_FILTERS])
    return ids, ignore_filters
