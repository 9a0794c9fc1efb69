"""CacheSv1 on a node of one and of three workers: what has been read is cached, and what is dropped is read again (70 §4)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from cgr_cluster.caches.partitions import PARTITIONS
from cgr_cluster.node.node import Node
from tests.calls import error, ok

S = 10**9
ZERO = "0001-01-01T00:00:00Z"
PROFILES, QUEUES, THRESHOLDS = "*statqueue_profiles", "*statqueues", "*thresholds"


@pytest.fixture(params=[1, 3], ids=["one worker", "three workers"])
def node(request: pytest.FixtureRequest) -> Iterator[Node]:
    yield Node(request.param)


def queue(node: Node, name: str, **more: Any) -> None:
    wanted = {"Metrics": [{"MetricID": "*sum#1"}], "ThresholdIDs": ["*none"], "QueueLength": 10, **more}
    ok(node, "APIerSv1.SetStatQueueProfile", ID=name, **wanted)


def has(node: Node, partition: str, item: str) -> bool:
    return bool(ok(node, "CacheSv1.HasItem", CacheID=partition, ItemID=f"cgrates.org:{item}"))


def read(node: Node, name: str) -> None:
    """Read it on every worker."""
    for _ in node.workers:
        ok(node, "APIerSv1.GetStatQueueProfile", ID=name)


def partition(node: Node, name: str, **settings: Any) -> None:
    """Change the settings of a partition."""
    found = ok(node, "ConfigSv1.GetConfig", Section="caches")["caches"]["partitions"]
    changed = {"partitions": {**found, name: {**found[name], **settings}}}
    ok(node, "ConfigSv1.SetConfig", Config={"caches": changed})


def test_an_object_is_cached_once_it_has_been_read(node: Node) -> None:
    queue(node, "Q1")
    queue(node, "Q2")
    assert not has(node, PROFILES, "Q1")
    read(node, "Q1")
    assert has(node, PROFILES, "Q1")
    assert not has(node, PROFILES, "Q2")
    assert not has(node, QUEUES, "Q1")
    ok(node, "StatSv1.GetQueueStringMetrics", ID="Q2")
    assert has(node, QUEUES, "Q2")
    assert not has(node, PROFILES, "Q2")
    item = {"CacheID": PROFILES, "ItemID": "cgrates.org:Q1"}
    assert ok(node, "CacheSv1.GetItemExpiryTime", **item) == ZERO
    assert ok(node, "CacheSv1.GetItem", **item)["QueueLength"] == 10
    assert ok(node, "CacheSv1.GetItem", CacheID=QUEUES, ItemID="cgrates.org:Q2")["ID"] == "Q2"
    assert error(node, "CacheSv1.GetItem", CacheID=QUEUES, ItemID="cgrates.org:Q1") == "NOT_FOUND"
    stats = ok(node, "CacheSv1.GetCacheStats", CacheIDs=[PROFILES, QUEUES, "*nope"])
    assert stats == {name: {"Items": name != "*nope", "Groups": 0} for name in (PROFILES, QUEUES, "*nope")}


def test_events_read_what_counts_them(node: Node) -> None:
    queue(node, "Q")
    ok(node, "APIerSv1.SetThresholdProfile", ID="T", MaxHits=-1)
    ok(node, "APIerSv1.SetResourceProfile", ID="R", Limit=2, UsageTTL=-1, ThresholdIDs=["*none"])
    event = {"ID": "e", "Event": {"Account": "1001"}}
    ok(node, "StatSv1.ProcessEvent", **event)
    ok(node, "ThresholdSv1.ProcessEvent", **event)
    ok(node, "ResourceSv1.AllocateResources", **event, APIOpts={"*rsUsageID": "u", "*rsUnits": 1})
    for name, item in ((PROFILES, "Q"), (QUEUES, "Q"), (THRESHOLDS, "T"), ("*threshold_profiles", "T")):
        assert has(node, name, item), name
    assert has(node, "*resources", "R")
    assert has(node, "*resource_profiles", "R")


def test_asking_for_what_an_event_belongs_to_reads_it(node: Node) -> None:
    queue(node, "Q")
    ok(node, "APIerSv1.SetThresholdProfile", ID="T", MaxHits=-1)
    ok(node, "APIerSv1.SetResourceProfile", ID="R", Limit=2, UsageTTL=-1, ThresholdIDs=["*none"])
    event = {"ID": "e", "Event": {"Account": "1001"}}
    ok(node, "StatSv1.GetStatQueuesForEvent", **event)
    ok(node, "ThresholdSv1.GetThresholdsForEvent", **event)
    ok(node, "ResourceSv1.GetResourcesForEvent", **event, APIOpts={"*rsUsageID": "u"})
    for name, item in (("*statqueue", "Q"), ("*threshold", "T"), ("*resource", "R")):
        assert has(node, f"{name}_profiles", item), name
        assert has(node, f"{name}s", item), name


def test_what_is_dropped_is_read_again_and_loses_nothing(node: Node) -> None:
    queue(node, "Q")
    ok(node, "StatSv1.ProcessEvent", ID="e", Event={"Account": "1001"})
    before = ok(node, "StatSv1.GetQueueStringMetrics", ID="Q")
    for method, params in (
        ("RemoveItem", {"CacheID": QUEUES, "ItemID": "cgrates.org:Q"}),
        ("ReplicateRemove", {"CacheID": QUEUES, "ItemID": "cgrates.org:Q"}),
        ("RemoveItems", {"StatsQueueIDs": ["cgrates.org:Q"]}),
        ("RemoveItems", {"StatsQueueIDs": ["*any"]}),
        ("Clear", {"CacheIDs": [QUEUES]}),
        ("Clear", {}),
    ):
        assert has(node, QUEUES, "Q")
        assert ok(node, f"CacheSv1.{method}", **params) == "OK"
        assert not has(node, QUEUES, "Q")
        assert ok(node, "StatSv1.GetQueueStringMetrics", ID="Q") == before


def test_nothing_else_is_dropped(node: Node) -> None:
    for name in ("Q1", "Q2"):
        queue(node, name)
        read(node, name)
    ok(node, "CacheSv1.RemoveItem", CacheID=PROFILES, ItemID="cgrates.org:Q1")
    ok(node, "CacheSv1.RemoveItems")
    ok(node, "CacheSv1.RemoveItems", ThresholdIDs=["*any"])
    ok(node, "CacheSv1.Clear", CacheIDs=[QUEUES])
    ok(node, "CacheSv1.ReloadCache", StatsQueueProfileIDs=["cgrates.org:Q1", "cgrates.org:Q2"])
    assert ok(node, "CacheSv1.GetItemIDs", CacheID=PROFILES) == ["cgrates.org:Q2"]
    assert ok(node, "CacheSv1.GetItemIDs", CacheID=PROFILES, ItemIDPrefix="cgrates.org:Q2") == ["cgrates.org:Q2"]
    assert error(node, "CacheSv1.GetItemIDs", CacheID=PROFILES, ItemIDPrefix="cgrates.org:Q1") == "NOT_FOUND"


def test_loading_takes_in_what_was_not_read(node: Node) -> None:
    queue(node, "Q1")
    queue(node, "Q2")
    ok(node, "CacheSv1.LoadCache", StatsQueueProfileIDs=["cgrates.org:Q1", "cgrates.org:NONE"], FilterIDs=["*any"])
    assert ok(node, "CacheSv1.GetItemIDs", CacheID=PROFILES) == ["cgrates.org:Q1"]
    ok(node, "CacheSv1.LoadCache", StatsQueueProfileIDs=["*any"], StatsQueueIDs=["*any"])
    assert ok(node, "CacheSv1.GetItemIDs", CacheID=PROFILES) == ["cgrates.org:Q1", "cgrates.org:Q2"]
    assert ok(node, "CacheSv1.GetItemIDs", CacheID=QUEUES) == ["cgrates.org:Q1", "cgrates.org:Q2"]
    ok(
        node,
        "CacheSv1.LoadCache",
        Dispatchers=["x"],
        ThresholdFilterIndexIDs=["*any"],
        IPProfileIDs=["cgrates.org:NONE"],
    )
    for name in ("*dispatchers", "*threshold_filter_indexes", "*ip_profiles"):
        assert error(node, "CacheSv1.GetItemIDs", CacheID=name) == "NOT_FOUND"


def test_an_object_that_was_removed_and_set_again_is_not_cached(node: Node) -> None:
    queue(node, "Q")
    read(node, "Q")
    ok(node, "APIerSv1.RemoveStatQueueProfile", ID="Q")
    assert not has(node, PROFILES, "Q")
    queue(node, "Q")
    assert not has(node, PROFILES, "Q")


@pytest.mark.parametrize(
    ("way", "cached"),
    [
        ("*none", {"Q", "Q2"}), ("*reload", {"Q", "Q2"}), ("*load", {"Q", "Q2", "NEW"}), ("*remove", {"Q2"}),
        ("*clear", set()),
    ],
)  # fmt: skip
def test_the_option_cache_says_what_a_set_does(node: Node, way: str, cached: set[str]) -> None:
    for name in ("Q", "Q2"):
        queue(node, name)
        read(node, name)
    for name in ("NEW", "Q"):
        queue(node, name, QueueLength=3, APIOpts={"*cache": way})
        assert ok(node, "APIerSv1.GetStatQueueProfile", ID="Q2")["QueueLength"] == 10 or way != "*clear"
        if way == "*clear":
            ok(node, "CacheSv1.Clear", CacheIDs=[PROFILES])
    assert {name for name in ("Q", "Q2", "NEW") if has(node, PROFILES, name)} == cached
    assert ok(node, "APIerSv1.GetStatQueueProfile", ID="Q")["QueueLength"] == 3


def test_the_option_clear_drops_the_partition_its_states_and_its_index(node: Node) -> None:
    queue(node, "Q", FilterIDs=["*string:~*req.A:1"])
    read(node, "Q")
    ok(node, "StatSv1.GetStatQueue", ID="Q")
    ok(node, "APIerSv1.GetFilterIndexes", ItemType="*stats")
    ok(node, "APIerSv1.SetThresholdProfile", ID="T", MaxHits=-1)
    ok(node, "ThresholdSv1.GetThreshold", ID="T")
    queue(node, "Q2", APIOpts={"*cache": "*clear"})
    stats = ok(node, "CacheSv1.GetStats", CacheIDs=[PROFILES, QUEUES, "*stat_filter_indexes", THRESHOLDS])
    assert stats["Metadata"] == {"NodeID": "node1"}
    assert {name: one["Items"] for name, one in stats["CacheStatistics"].items()} == {
        PROFILES: 0, QUEUES: 0, "*stat_filter_indexes": 0, THRESHOLDS: 1,
    }  # fmt: skip


def test_an_unknown_way_of_caching_is_an_error(node: Node) -> None:
    refused = error(node, "APIerSv1.SetTrendProfile", ID="T", APIOpts={"*cache": "*nope"})
    assert refused == "SERVER_ERROR: rpc: service/method request ill-formed: "


def test_items_of_an_index_are_in_the_group_of_their_tenant(node: Node) -> None:
    queue(node, "Q1", FilterIDs=["*string:~*req.A:1"])
    queue(node, "Q2")
    index = {"CacheID": "*stat_filter_indexes", "GroupID": "cgrates.org"}
    assert not ok(node, "CacheSv1.HasGroup", **index)
    ok(node, "APIerSv1.GetFilterIndexes", ItemType="*stats")
    assert ok(node, "CacheSv1.HasGroup", **index)
    items = ["cgrates.org:*none:*any:*any", "cgrates.org:*string:*req.A:1"]
    assert ok(node, "CacheSv1.GetGroupItemIDs", **index) == items
    assert ok(node, "CacheSv1.GetItem", **index, ItemID=items[1]) == {"Q1": {}}
    stats = ok(node, "CacheSv1.GetCacheStats", CacheIDs=["*stat_filter_indexes"])
    assert stats == {"*stat_filter_indexes": {"Items": 2, "Groups": 1}}
    queue(node, "Q1")
    assert ok(node, "CacheSv1.GetGroupItemIDs", **index) == items[:1]
    assert ok(node, "CacheSv1.RemoveGroup", **index) == "OK"
    assert error(node, "CacheSv1.GetGroupItemIDs", **index) == "NOT_FOUND"
    assert not ok(node, "CacheSv1.HasGroup", CacheID=PROFILES, GroupID="")


def test_a_partition_with_limit_0_holds_nothing(node: Node) -> None:
    ok(node, "APIerSv1.SetChargerProfile", ID="C")
    ok(node, "APIerSv1.GetChargerProfile", ID="C")
    assert not has(node, "*charger_profiles", "C")
    partition(node, "*charger_profiles", limit=-1)
    ok(node, "APIerSv1.GetChargerProfile", ID="C")
    assert has(node, "*charger_profiles", "C")
    ok(node, "APIerSv1.RemoveChargerProfile", ID="C")
    ok(node, "APIerSv1.SetChargerProfile", ID="C")
    assert not has(node, "*charger_profiles", "C")
    ok(node, "APIerSv1.SetChargerProfile", ID="C", APIOpts={"*cache": "*load"})
    assert has(node, "*charger_profiles", "C")
    partition(node, "*charger_profiles", limit=0)
    assert not has(node, "*charger_profiles", "C")


@pytest.mark.parametrize(("static", "still"), [(True, False), (False, True)])
def test_items_go_after_their_ttl(node: Node, static: bool, still: bool) -> None:
    partition(node, PROFILES, ttl="10s", static_ttl=static)
    queue(node, "Q")
    read(node, "Q")
    node.advance(6 * S)
    read(node, "Q")
    node.advance(6 * S)
    assert has(node, PROFILES, "Q") == still
    node.advance(10 * S)
    assert not has(node, PROFILES, "Q")
    read(node, "Q")
    assert has(node, PROFILES, "Q")
    expiry = ok(node, "CacheSv1.GetItemExpiryTime", CacheID=PROFILES, ItemID="cgrates.org:Q")
    assert expiry > "2026"


def test_settings_of_a_partition_are_checked(node: Node) -> None:
    bad = {"caches": {"partitions": {PROFILES: {"ttl": "soon"}}}}
    assert "*statqueue_profiles.ttl = 'soon' is no duration" in error(node, "ConfigSv1.SetConfig", Config=bad)
    bad = {"caches": {"partitions": {PROFILES: {"limit": -2}}}}
    assert "limit = -2; a whole number" in error(node, "ConfigSv1.SetConfig", Config=bad)


def test_rating_objects_are_items_too(node: Node) -> None:
    for name in ("*destinations", "*reverse_destinations", "*actions", "*action_triggers", "*action_plans", "*timings"):
        partition(node, name, limit=-1)
    ok(node, "APIerSv1.SetDestination", Id="DE", Prefixes=["49"])
    ok(node, "APIerSv1.SetTiming", ID="T", Time="00:00:00")
    ok(node, "APIerSv2.SetActions", ActionsId="A", Actions=[{"Identifier": "*log"}])
    ok(node, "APIerSv1.SetActionTrigger", GroupID="G", UniqueID="1")
    plan = [{"ActionsId": "A", "Time": "00:00:00", "Weight": 1, "Years": "*any", "Months": "*any", "MonthDays": "*any", "WeekDays": "*any"}]  # fmt: skip
    ok(node, "APIerSv1.SetActionPlan", Id="P", ActionPlan=plan)
    for method, params in (
        ("GetDestination", "DE"), ("GetReverseDestination", "49"), ("GetActions", "A"), ("GetTiming", {"ID": "T"}),
        ("GetActionTriggers", {"GroupIDs": ["G"]}), ("GetActionPlan", {"ID": "P"}),
    ):  # fmt: skip
        assert node.call(f"APIerSv1.{method}", params)["error"] is None, method
    found = {"*destinations": "DE", "*reverse_destinations": "49", "*actions": "A", "*timings": "T", "*action_triggers": "G", "*action_plans": "P"}  # fmt: skip
    for name, item in found.items():
        assert ok(node, "CacheSv1.GetItemIDs", CacheID=name) == [item]
        assert ok(node, "CacheSv1.GetItem", CacheID=name, ItemID=item)
    ok(node, "APIerSv1.RemoveDestination", DestinationIDs=["DE"])
    for name in ("*destinations", "*reverse_destinations"):
        assert error(node, "CacheSv1.GetItemIDs", CacheID=name) == "NOT_FOUND"


def test_all_partitions_are_there_and_ready(node: Node) -> None:
    status = ok(node, "CacheSv1.PrecacheStatus")
    assert set(status.values()) == {"*ready"}
    assert set(PARTITIONS) <= set(status)
    assert set(ok(node, "CacheSv1.GetCacheStats")) == {"*default", *status}
    assert error(node, "CacheSv1.PrecacheStatus", CacheIDs=["*nope"]) == "unknown cacheID: *nope"


def test_what_is_cached_outlives_a_worker(node: Node) -> None:
    queue(node, "Q")
    read(node, "Q")
    for number in range(len(node.workers)):
        node.kill(number)
    assert has(node, PROFILES, "Q")
