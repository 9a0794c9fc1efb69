"""CacheSv1 (spec chapter 70, section 4): which objects have been read, and dropping them. The objects themselves stay."""

from __future__ import annotations

from typing import Any

import msgspec

from cgr_cluster.caches.changes import Wanted, drop_items
from cgr_cluster.caches.items import Item, items, load
from cgr_cluster.caches.partitions import PARTITIONS, names
from cgr_cluster.engine.domain import Operation, Part, Steps, everywhere, invoke
from cgr_cluster.engine.owner import LEADER
from cgr_cluster.events.instant import ZERO, Instant
from cgr_cluster.events.times import format_instant
from cgr_cluster.filters.index_items import index_items
from cgr_cluster.rpc.errors import ApiError, not_found
from cgr_cluster.rpc.registry import Params, method, service

service("CacheSv1")

ANY_ITEM = "*any"
DEFAULT = "*default"  # the partition of what has none


class ItemParams(Params, go="utils.ArgsGetCacheItemWithAPIOpts"):
    CacheID: str = ""
    ItemID: str = ""
    Tenant: str = ""
    APIOpts: dict[str, Any] | None = None


class ItemIDsParams(Params, go="utils.ArgsGetCacheItemIDsWithAPIOpts"):
    CacheID: str = ""
    ItemIDPrefix: str = ""
    Tenant: str = ""
    APIOpts: dict[str, Any] | None = None


class GroupParams(Params, go="utils.ArgsGetGroupWithAPIOpts"):
    CacheID: str = ""
    GroupID: str = ""
    Tenant: str = ""
    APIOpts: dict[str, Any] | None = None


class CacheIDsParams(Params, go="utils.AttrCacheIDsWithAPIOpts"):
    CacheIDs: list[str] | None = None
    Tenant: str = ""
    APIOpts: dict[str, Any] | None = None


class RemoveParams(Params, go="utils.ArgCacheReplicateRemove"):
    CacheID: str = ""
    ItemID: str = ""
    Tenant: str = ""
    APIOpts: dict[str, Any] | None = None


class ReloadParams(Params, go="utils.AttrReloadCacheWithAPIOpts"):
    """Lists of ids by partition; `["*any"]` stands for all."""

    Tenant: str = ""
    APIOpts: dict[str, Any] | None = None
    DestinationIDs: list[str] | None = None
    ReverseDestinationIDs: list[str] | None = None
    RatingPlanIDs: list[str] | None = None
    RatingProfileIDs: list[str] | None = None
    ActionIDs: list[str] | None = None
    ActionPlanIDs: list[str] | None = None
    AccountActionPlanIDs: list[str] | None = None
    ActionTriggerIDs: list[str] | None = None
    SharedGroupIDs: list[str] | None = None
    ResourceProfileIDs: list[str] | None = None
    ResourceIDs: list[str] | None = None
    IPProfileIDs: list[str] | None = None
    IPIDs: list[str] | None = None
    StatsQueueIDs: list[str] | None = None
    StatsQueueProfileIDs: list[str] | None = None
    RankingIDs: list[str] | None = None
    RankingProfileIDs: list[str] | None = None
    TrendIDs: list[str] | None = None
    TrendProfileIDs: list[str] | None = None
    ThresholdIDs: list[str] | None = None
    ThresholdProfileIDs: list[str] | None = None
    FilterIDs: list[str] | None = None
    RouteProfileIDs: list[str] | None = None
    AttributeProfileIDs: list[str] | None = None
    ChargerProfileIDs: list[str] | None = None
    DispatcherProfileIDs: list[str] | None = None
    DispatcherHostIDs: list[str] | None = None
    Dispatchers: list[str] | None = None
    TimingIDs: list[str] | None = None
    AttributeFilterIndexIDs: list[str] | None = None
    ResourceFilterIndexIDs: list[str] | None = None
    IPFilterIndexIDs: list[str] | None = None
    StatFilterIndexIDs: list[str] | None = None
    ThresholdFilterIndexIDs: list[str] | None = None
    RouteFilterIndexIDs: list[str] | None = None
    ChargerFilterIndexIDs: list[str] | None = None
    DispatcherFilterIndexIDs: list[str] | None = None
    FilterIndexIDs: list[str] | None = None

    def wanted(self) -> Wanted:
        """Partition → its items, None for all; partitions that are not named are left out."""
        given = {one.name: getattr(self, one.ids) for one in PARTITIONS.values() if one.ids}
        return {name: None if ids == [ANY_ITEM] else ids for name, ids in given.items() if ids}


def _items(partitions: list[str] | None) -> Steps[dict[tuple[str, str], Item]]:
    """What is cached, over all workers: by partition and id, the latest reading of each."""
    found: dict[tuple[str, str], Item] = {}
    for some in (yield everywhere(items, partitions)):
        for one in some:
            place = one.partition, one.id
            if place not in found or found[place].expiry_ns < one.expiry_ns:
                found[place] = one
    return found


def _item(params: ItemParams) -> Steps[Item | None]:
    found = yield from _items([params.CacheID])
    return found.get((params.CacheID, params.ItemID))


# --- items -------------------------------------------------------------------------------------------------------


@method("CacheSv1.HasItem")
def has_item(op: Operation, params: ItemParams) -> Steps[bool]:
    return (yield from _item(params)) is not None


@method("CacheSv1.GetItemIDs")
def get_item_ids(op: Operation, params: ItemIDsParams) -> Steps[list[str]]:
    found = yield from _items([params.CacheID])
    ids = sorted(item for _, item in found if item.startswith(params.ItemIDPrefix))
    if not ids:
        raise not_found()
    return ids


@method("CacheSv1.GetItem", "CacheSv1.GetItemWithRemote")
def get_item(op: Operation, params: ItemParams) -> Steps[Any]:
    """The object as its own method shows it; of an index the set of profiles under a key. There are no remote caches."""
    found = yield from _item(params)
    if found is None:
        raise not_found()
    partition = PARTITIONS[params.CacheID]
    if partition.item:
        key = found.id.removeprefix(f"{found.group}:")
        return {name: {} for name in index_items(op.generation, partition.item, found.group)[key]}
    if not partition.method:
        raise not_found()
    if not partition.by:
        return (yield invoke(partition.method, msgspec.json.encode(found.id)))
    values = found.id.split(":", len(partition.by) - 1)
    named: dict[str, Any] = {
        name: [value] if name.endswith("IDs") else value
        for name, value in zip(partition.by, values, strict=True)
        if name
    }
    return (yield invoke(partition.method, msgspec.json.encode(named)))


@method("CacheSv1.GetItemExpiryTime")
def get_item_expiry_time(op: Operation, params: ItemParams) -> Steps[str]:
    found = yield from _item(params)
    if found is None:
        raise not_found()
    return format_instant(Instant.of(found.expiry_ns) if found.expiry_ns else ZERO)


@method("CacheSv1.RemoveItem", changes=True)
def remove_item(op: Operation, params: ItemParams) -> Steps[str]:
    yield from drop_items({params.CacheID: [params.ItemID]})
    return "OK"


@method("CacheSv1.ReplicateRemove", changes=True)
def replicate_remove(op: Operation, params: RemoveParams) -> Steps[str]:
    """As RemoveItem: what a cache elsewhere has dropped."""
    yield from drop_items({params.CacheID: [params.ItemID]})
    return "OK"


@method("CacheSv1.RemoveItems", changes=True)
def remove_items(op: Operation, params: ReloadParams) -> Steps[str]:
    wanted = params.wanted()
    if wanted:
        yield from drop_items(wanted)
    return "OK"


@method("CacheSv1.Clear", changes=True)
def clear(op: Operation, params: CacheIDsParams) -> Steps[str]:
    yield from drop_items(dict.fromkeys(params.CacheIDs or PARTITIONS))
    return "OK"


@method("CacheSv1.ReloadCache", changes=True)
def reload_cache(op: Operation, params: ReloadParams) -> Steps[str]:
    """What is read is always what is in force, so that there is only to drop what has gone."""
    if params.wanted():
        yield from drop_items({})
    return "OK"


@method("CacheSv1.LoadCache", changes=True)
def load_cache(op: Operation, params: ReloadParams) -> Steps[str]:
    wanted = params.wanted()
    if wanted:
        yield load.at(LEADER, wanted)
    return "OK"


# --- groups ------------------------------------------------------------------------------------------------------


def _group(params: GroupParams) -> Steps[list[str]]:
    found = yield from _items([params.CacheID])
    return sorted(one.id for one in found.values() if one.group and one.group == params.GroupID)


@method("CacheSv1.HasGroup")
def has_group(op: Operation, params: GroupParams) -> Steps[bool]:
    return bool((yield from _group(params)))


@method("CacheSv1.GetGroupItemIDs")
def get_group_item_ids(op: Operation, params: GroupParams) -> Steps[list[str]]:
    found = yield from _group(params)
    if not found:
        raise not_found()
    return found


@method("CacheSv1.RemoveGroup", changes=True)
def remove_group(op: Operation, params: GroupParams) -> Steps[str]:
    if params.GroupID:
        yield from drop_items({params.CacheID: None}, params.GroupID)
    return "OK"


# --- partitions --------------------------------------------------------------------------------------------------


def _stats(op: Operation, params: CacheIDsParams) -> Steps[dict[str, dict[str, int]]]:
    asked = params.CacheIDs or [DEFAULT, *names(op.generation)]
    found = yield from _items(asked)
    stats = {name: {"Items": 0, "Groups": 0} for name in asked}
    groups: dict[str, set[str]] = {name: set() for name in asked}
    for one in found.values():
        stats[one.partition]["Items"] += 1
        if one.group:
            groups[one.partition].add(one.group)
    for name, some in groups.items():
        stats[name]["Groups"] = len(some)
    return stats


@method("CacheSv1.GetCacheStats")
def get_cache_stats(op: Operation, params: CacheIDsParams) -> Steps[dict[str, dict[str, int]]]:
    return (yield from _stats(op, params))


@method("CacheSv1.GetStats")
def get_stats(op: Operation, params: CacheIDsParams) -> Steps[dict[str, Any]]:
    stats = yield from _stats(op, params)
    return {
        "CacheStatistics": stats,
        "Metadata": {"NodeID": str(op.generation.config("general").get("node_id", ""))},
    }


@method("CacheSv1.PrecacheStatus")
def precache_status(part: Part, params: CacheIDsParams) -> dict[str, str]:
    """Always ready: there is nothing to fill before it can be read."""
    known = names(part.generation)
    for name in params.CacheIDs or ():
        if name not in known:
            raise ApiError(f"unknown cacheID: {name}")
    return dict.fromkeys(params.CacheIDs or known, "*ready")
