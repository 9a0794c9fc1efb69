"""The partitions of CacheS: what each holds, how a key is read, its name in ReloadCache (spec chapter 70, section 4)."""

from __future__ import annotations

from typing import Any

import msgspec

from cgr_cluster.engine.domain import GenerationView
from cgr_cluster.events.durations import parse_duration


class Partition(msgspec.Struct, frozen=True, gc=False):
    """`kind` of reference data whose objects, or whose objects' live states, have the keys of this partition ("": neither).
    `method` reads an object by a key, in the form `by`: the members of its parameter, in the order of the parts of the key;
    none for a plain text. `ids`: the member of ReloadCache, LoadCache and RemoveItems. `item`: of an index, the ItemType."""

    name: str
    kind: str = ""
    method: str = ""
    by: tuple[str, ...] = ()
    ids: str = ""
    item: str = ""


_TENANT_ID = ("Tenant", "ID")
_ALL = (
    Partition("*destinations", "destination", "APIerSv1.GetDestination", (), "DestinationIDs"),
    Partition("*reverse_destinations", "", "APIerSv1.GetReverseDestination", (), "ReverseDestinationIDs"),
    Partition("*rating_plans", "rating_plan", "APIerSv1.GetRatingPlan", (), "RatingPlanIDs"),
    Partition("*rating_profiles", "rating_profile", "APIerSv1.GetRatingProfile", ("", "Tenant", "Category", "Subject"), "RatingProfileIDs"),
    Partition("*timings", "timing", "APIerSv1.GetTiming", ("ID",), "TimingIDs"),
    Partition("*shared_groups", "shared_group", "APIerSv1.GetSharedGroup", (), "SharedGroupIDs"),
    Partition("*actions", "actions", "APIerSv1.GetActions", (), "ActionIDs"),
    Partition("*action_plans", "action_plan", "APIerSv1.GetActionPlan", ("ID",), "ActionPlanIDs"),
    Partition("*account_action_plans", "", "APIerSv1.GetAccountActionPlan", ("Tenant", "Account"), "AccountActionPlanIDs"),
    Partition("*action_triggers", "action_trigger", "APIerSv1.GetActionTriggers", ("GroupIDs",), "ActionTriggerIDs"),
    Partition("*resource_profiles", "resource_profile", "APIerSv1.GetResourceProfile", _TENANT_ID, "ResourceProfileIDs"),
    Partition("*statqueue_profiles", "stat_profile", "APIerSv1.GetStatQueueProfile", _TENANT_ID, "StatsQueueProfileIDs"),
    Partition("*threshold_profiles", "threshold_profile", "APIerSv1.GetThresholdProfile", _TENANT_ID, "ThresholdProfileIDs"),
    Partition("*trend_profiles", "trend_profile", "APIerSv1.GetTrendProfile", _TENANT_ID, "TrendProfileIDs"),
    Partition("*ranking_profiles", "ranking_profile", "APIerSv1.GetRankingProfile", _TENANT_ID, "RankingProfileIDs"),
    Partition("*ip_profiles", "ip_profile", "APIerSv1.GetIPProfile", _TENANT_ID, "IPProfileIDs"),
    Partition("*route_profiles", "route_profile", "APIerSv1.GetRouteProfile", _TENANT_ID, "RouteProfileIDs"),
    Partition("*attribute_profiles", "attribute_profile", "APIerSv1.GetAttributeProfile", _TENANT_ID, "AttributeProfileIDs"),
    Partition("*charger_profiles", "charger", "APIerSv1.GetChargerProfile", _TENANT_ID, "ChargerProfileIDs"),
    Partition("*dispatcher_profiles", "dispatcher_profile", "APIerSv1.GetDispatcherProfile", _TENANT_ID, "DispatcherProfileIDs"),
    Partition("*dispatcher_hosts", "dispatcher_host", "APIerSv1.GetDispatcherHost", _TENANT_ID, "DispatcherHostIDs"),
    Partition("*filters", "filter", "APIerSv1.GetFilter", _TENANT_ID, "FilterIDs"),
    Partition("*resources", "resource_profile", "ResourceSv1.GetResource", _TENANT_ID, "ResourceIDs"),
    Partition("*statqueues", "stat_profile", "StatSv1.GetStatQueue", _TENANT_ID, "StatsQueueIDs"),
    Partition("*thresholds", "threshold_profile", "ThresholdSv1.GetThreshold", _TENANT_ID, "ThresholdIDs"),
    Partition("*trends", "trend_profile", "TrendSv1.GetTrend", _TENANT_ID, "TrendIDs"),
    Partition("*rankings", "ranking_profile", "RankingSv1.GetRanking", _TENANT_ID, "RankingIDs"),
    Partition("*ip_allocations", "ip_profile", "IPsV1.GetIPAllocations", _TENANT_ID, "IPIDs"),
    Partition("*resource_filter_indexes", ids="ResourceFilterIndexIDs", item="*resources"),
    Partition("*stat_filter_indexes", ids="StatFilterIndexIDs", item="*stats"),
    Partition("*threshold_filter_indexes", ids="ThresholdFilterIndexIDs", item="*thresholds"),
    Partition("*route_filter_indexes", ids="RouteFilterIndexIDs", item="*routes"),
    Partition("*attribute_filter_indexes", ids="AttributeFilterIndexIDs", item="*attributes"),
    Partition("*charger_filter_indexes", ids="ChargerFilterIndexIDs", item="*chargers"),
    Partition("*dispatcher_filter_indexes", ids="DispatcherFilterIndexIDs", item="*dispatchers"),
    Partition("*ip_filter_indexes", ids="IPFilterIndexIDs", item="*ips"),
    Partition("*reverse_filter_indexes", ids="FilterIndexIDs"),
    Partition("*dispatchers", ids="Dispatchers"),
)  # fmt: skip

PARTITIONS = {one.name: one for one in _ALL}
INDEXES = {one.item: one for one in _ALL if one.item}
PROFILES = {one.kind: one for one in _ALL if one.kind and one.name.endswith("_profiles")}
STATES = {one.kind: one for one in _ALL if one.kind in PROFILES and one.name != PROFILES[one.kind].name}
OF_KIND = {one.kind: one for one in reversed(_ALL) if one.kind and STATES.get(one.kind) is not one}


class Settings(msgspec.Struct, frozen=True, gc=False):
    """Of one partition. `ttl_ns` 0: what is in it stays. `static_ttl`: a reading does not renew it."""

    ttl_ns: int
    static_ttl: bool


def configured(generation: GenerationView) -> dict[str, Settings]:
    """The partitions that hold anything: all of the configuration but those with limit 0. For `derived`."""
    found: dict[str, Any] = generation.config("caches").get("partitions") or {}
    return {
        name: Settings(parse_duration(str(one.get("ttl") or "0")), bool(one.get("static_ttl")))
        for name, one in found.items()
        if one.get("limit") != 0
    }


def names(generation: GenerationView) -> list[str]:
    """All partitions of the configuration."""
    return sorted(generation.config("caches").get("partitions") or {})
