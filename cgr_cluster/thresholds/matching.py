"""Which thresholds an event belongs to, and what its options say (spec chapter 51, sections 3.1 and 3.2). Pure."""

from __future__ import annotations

from typing import Any

from cgr_cluster.engine.domain import GenerationView
from cgr_cluster.events.event import CGREvent
from cgr_cluster.events.values import bool_of, cannot_convert, text_of
from cgr_cluster.filters.live import NOTHING_LIVE, Live
from cgr_cluster.filters.selection import matching, until_blocker
from cgr_cluster.filters.tenant_profiles import profiles_of
from cgr_cluster.filters.view import View
from cgr_cluster.rpc.errors import ApiError
from cgr_cluster.thresholds.types import THRESHOLDS, ThresholdProfile

PROFILE_IDS, IGNORE_FILTERS = "*thdProfileIDs", "*thdProfileIgnoreFilters"
EVENT_TYPE, ACCOUNT_ID = "*eventType", "*accountID"
ACCOUNT_UPDATE = "AccountUpdate"


def any_thresholds(generation: GenerationView, tenant: str) -> bool:
    """Whether the tenant has any: most events of a system without need nothing more."""
    return bool(generation.keys(THRESHOLDS.name)) and bool(profiles_of(THRESHOLDS, generation, tenant).indexes)


def names_candidates(opts: dict[str, Any]) -> bool:
    """Whether an event says itself what it may belong to. Such options are read, and refused, where there is nothing to find too."""
    return PROFILE_IDS in opts or IGNORE_FILTERS in opts


def thresholds_of(
    generation: GenerationView, now_ns: int, event: CGREvent, live: Live = NOTHING_LIVE
) -> list[ThresholdProfile]:
    """The event's thresholds in order, up to the first Blocker (51 §3.1, steps 1 to 3). Raises `cannot convert field: ...`,
    errors of filters, and `Need`."""
    ids, ignore_filters = _options(generation, event.opts)
    view = View(generation, now_ns, event.tenant, event.event, event.opts, live=live)
    found: list[ThresholdProfile] = matching(THRESHOLDS, view, event.time, ids, ignore_filters)
    return until_blocker(found, lambda profile: profile.blocker)


def _options(generation: GenerationView, opts: dict[str, Any]) -> tuple[list[str], bool]:
    """(ids of candidates, whether their filters are not looked at)."""
    if not names_candidates(opts):
        defaults = generation.derived(_defaults, "config")
        if not defaults[0]:
            return defaults
    ids, ignore_filters = generation.derived(_defaults, "config")
    if PROFILE_IDS in opts:
        ids = id_list(opts[PROFILE_IDS])
    if IGNORE_FILTERS in opts:
        ignore_filters = bool_of(opts[IGNORE_FILTERS])
    return ids, ignore_filters


def id_list(value: Any) -> list[str]:
    """A list of ids in an option. Raises `cannot convert field: string to []string` for what is no list."""
    if isinstance(value, list | tuple):
        return [text_of(one) for one in value]
    if value is None:
        return []
    if isinstance(value, str):
        raise ApiError("cannot convert field: string to []string")
    raise cannot_convert(value, "[]string")


def _defaults(generation: GenerationView) -> tuple[list[str], bool]:
    opts = generation.config("thresholds").get("opts") or {}
    return list(opts.get("*profileIDs") or ()), bool(opts.get("*profileIgnoreFilters", False))


def account_of(event: CGREvent, default_tenant: str) -> str:
    """`TENANT:ACCOUNT` that actions run on, "" for none (51 §3.2)."""
    account = text_of(event.opts.get(ACCOUNT_ID, ""))
    if not account:
        updated = event.opts.get(EVENT_TYPE) == ACCOUNT_UPDATE
        account = text_of(event.event.get("AccountID" if updated else "Account"))
    return f"{event.tenant or default_tenant}:{account}" if account else ""
