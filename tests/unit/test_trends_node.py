"""TrendS and RankingS on a node of one and of three workers (spec chapter 60, sections 3 and 4)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from cgr_cluster.config import settings
from cgr_cluster.engine import messages as m
from cgr_cluster.engine.codec import pack
from cgr_cluster.engine.owner import LEADER
from cgr_cluster.node.node import Node
from cgr_cluster.stats.queries import node_started
from cgr_cluster.trends import answers
from tests.calls import error, ok
from tests.conformance.inprocess import ROOT

S = 10**9
ZERO = "0001-01-01T00:00:00Z"


@pytest.fixture(params=[1, 3], ids=["one worker", "three workers"])
def node(request: pytest.FixtureRequest) -> Iterator[Node]:
    yield Node(request.param)


def queue(node: Node, name: str = "Q", *metrics: str) -> None:
    wanted = [{"MetricID": metric} for metric in metrics or ("*tcc",)]
    ok(node, "APIerSv1.SetStatQueueProfile", ID=name, FilterIDs=[f"*string:~*req.Q:{name}"], TTL=-1, Metrics=wanted,
       ThresholdIDs=["*none"])  # fmt: skip


def cost(node: Node, amount: float, name: str = "Q", **fields: Any) -> None:
    ok(node, "StatSv1.ProcessEvent", ID=f"e{amount}", Event={"Q": name, "Cost": amount, **fields})


def trend(node: Node, **more: Any) -> None:
    wanted = {"Schedule": "@every 10s", "StatID": "Q", "TTL": -1, "QueueLength": -1, "MinItems": 1,
              "CorrelationType": "*last", "ThresholdIDs": ["*none"], **more}  # fmt: skip
    ok(node, "APIerSv1.SetTrendProfile", ID="T", **wanted)


def runs(node: Node, **more: Any) -> list[dict[str, Any]]:
    found = ok(node, "TrendSv1.GetTrend", ID="T", **more)
    assert list(found["Metrics"]) == found["RunTimes"]
    return [found["Metrics"][at] for at in found["RunTimes"]]


def values(node: Node, **more: Any) -> list[Any]:
    return [sample["*tcc"]["Value"] for sample in runs(node, **more)]


def after_costs(node: Node, *amounts: float) -> None:
    """A run after each amount."""
    assert ok(node, "TrendSv1.ScheduleQueries", TrendIDs=["T"]) == 1
    for amount in amounts:
        cost(node, amount)
        node.advance(10 * S)


def test_growth_against_the_last_and_the_average(node: Node) -> None:
    queue(node)
    trend(node, Tolerance=10)
    after_costs(node, 10, 10, 1, -0.0)
    assert [(one["*tcc"]["TrendGrowth"], one["*tcc"]["TrendLabel"]) for one in runs(node)] == [
        (-1, "N/A"), (100, "*positive"), (5, "*constant"), (0, "*constant"),
    ]  # fmt: skip
    trend(node, CorrelationType="*average")
    cost(node, 8)
    node.advance(10 * S)
    last = ok(node, "TrendSv1.GetTrendSummary", ID="T")["Metrics"]["*tcc"]
    assert last == {"ID": "*tcc", "Value": 29, "TrendGrowth": 61.11111, "TrendLabel": "*positive"}  # of 10, 20, 21, 21
    trend(node, CorrelationType="*other")
    node.advance(10 * S)
    last = ok(node, "TrendSv1.GetTrendSummary", ID="T")["Metrics"]["*tcc"]
    assert (last["TrendGrowth"], last["TrendLabel"]) == (-1, "N/A")


def test_nothing_to_divide_by_and_metrics_that_are_not_there(node: Node) -> None:
    queue(node, "Q", "*tcc", "*sum#~*req.Bytes", "*acd")
    trend(node, Metrics=["*sum#~*req.Bytes", "*acd", "*asr"])
    after_costs(node, 1, 2)
    assert runs(node)[1] == {
        "*sum#~*req.Bytes": {"ID": "*sum#~*req.Bytes", "Value": 0, "TrendGrowth": 0, "TrendLabel": "N/A"},
        "*acd": {"ID": "*acd", "Value": -1, "TrendGrowth": 0, "TrendLabel": "*constant"},
    }


@pytest.mark.parametrize(
    ("limits", "kept"),
    [({}, [1, 3, 6, 10]), ({"QueueLength": 2}, [3, 6, 10]), ({"TTL": 0}, [10]), ({"TTL": 20 * S}, [6, 10])],
)
def test_samples_that_go(node: Node, limits: dict[str, int], kept: list[int]) -> None:
    queue(node)
    trend(node, **limits)
    after_costs(node, 1, 2, 3, 4)
    assert values(node) == kept
    assert len([key for _, key in node.disk if key.startswith("trend_sample/")]) == len(kept)


def test_the_average_is_that_of_the_kept_samples(node: Node) -> None:
    queue(node)
    trend(node, QueueLength=2, CorrelationType="*average")
    after_costs(node, 1, 2, 3, 4, 0.1)
    assert [one["*tcc"]["TrendGrowth"] for one in runs(node)] == [200, 122.22222, 26.25]


def test_parts_of_a_trend(node: Node) -> None:
    queue(node)
    trend(node)
    after_costs(node, 1, 2, 3, 4)
    times = ok(node, "TrendSv1.GetTrend", ID="T")["RunTimes"]
    assert values(node, RunIndexStart=1, RunIndexEnd=3) == [3, 6]
    assert values(node, RunIndexStart=2, RunIndexEnd=9) == [6, 10]
    assert values(node, RunIndexStart=-5, RunIndexEnd=1) == [1]
    assert error(node, "TrendSv1.GetTrend", ID="T", RunIndexStart=9) == "NOT_FOUND"
    assert values(node, RunTimeStart=times[1], RunTimeEnd=times[3]) == [3, 6]
    assert error(node, "TrendSv1.GetTrend", ID="T", RunTimeEnd=times[0]) == "NOT_FOUND"
    assert "Unsupported time format" in error(node, "TrendSv1.GetTrend", ID="T", RunTimeStart="soon")


def test_the_schedule(node: Node) -> None:
    queue(node)
    trend(node)
    assert error(node, "TrendSv1.GetScheduledTrends") == "NOT_FOUND"
    assert ok(node, "TrendSv1.ScheduleQueries") == 0
    assert error(node, "TrendSv1.ScheduleQueries", TrendIDs=["NO", "T"]) == "PARTIALLY_EXECUTED"
    (found,) = ok(node, "TrendSv1.GetScheduledTrends", TrendIDPrefixes=["X", "T"])
    assert (found["TrendID"], found["Previous"]) == ("T", ZERO)
    node.advance(10 * S)
    (after,) = ok(node, "TrendSv1.GetScheduledTrends")
    assert after["Previous"][:19] == found["Next"][:19]
    assert after["Next"] > found["Next"]
    assert error(node, "TrendSv1.GetScheduledTrends", TrendIDPrefixes=["X"]) == "NOT_FOUND"
    assert error(node, "TrendSv1.GetScheduledTrends", Tenant="other") == "NOT_FOUND"
    ok(node, "APIerSv1.RemoveTrendProfile", ID="T")
    node.run()
    assert error(node, "TrendSv1.GetScheduledTrends") == "NOT_FOUND"
    assert not [key for _, key in node.disk if key.startswith(("trend/", "trend_sample/", "scheduled_query/"))]
    node.advance(30 * S)
    assert error(node, "TrendSv1.GetTrend", ID="T") == "NOT_FOUND"


def test_a_restart_keeps_the_schedule_and_runs_each_instant_once(node: Node) -> None:
    queue(node)
    trend(node)
    after_costs(node, 1)
    for number in range(len(node.workers)):
        node.kill(number)
    node.advance(10 * S)
    assert values(node) == [1, 1]


def started(node: Node) -> None:
    """As when the processes of the node start."""
    leader = node.workers[0].engine
    owner = (LEADER.kind, LEADER.key)
    number = leader.generation.number
    step = m.StepRequest(
        "start:2", 0, node_started.name, owner, LEADER.shard, pack([]), node.now_ns, number, "", 0, 0, 0
    )
    node.workers[0].inbox.append(step)
    node.run()


@pytest.mark.parametrize(
    ("named", "scheduled"),
    [
        ({}, ["cgrates.org:T", "cgrates.org:U", "other:T"]),
        ({"cgrates.org": ["U", "NONE"]}, ["cgrates.org:U"]),
        ({"other": [], "cgrates.org": ["T", "T"]}, ["cgrates.org:T", "other:T"]),
        ({"nobody": []}, []),
    ],
)
@pytest.mark.parametrize("kind", ["Trend", "Ranking"])
@pytest.mark.parametrize("workers", [1, 3])
def test_what_is_scheduled_when_the_service_starts(
    workers: int, kind: str, named: dict[str, list[str]], scheduled: list[str]
) -> None:
    section = f"{kind.lower()}s"
    config = settings.ephemeral()
    node = Node(workers, config={**config, section: {**config[section], "scheduled_ids": named}})
    for tenant, name in (("cgrates.org", "T"), ("cgrates.org", "U"), ("other", "T")):
        ok(node, f"APIerSv1.Set{kind}Profile", Tenant=tenant, ID=name, Schedule="@every 10s", StatID="Q", TTL=-1)
    ok(node, f"APIerSv1.Set{kind}Profile", ID="BAD", Schedule="never")  # stored, and refused only when it is scheduled

    def schedule() -> list[str]:
        method = "TrendSv1.GetScheduledTrends" if kind == "Trend" else "RankingSv1.GetSchedule"
        found = {tenant: node.call(method, {"Tenant": tenant})["result"] or [] for tenant in ("cgrates.org", "other")}
        return sorted(f"{tenant}:{one[f'{kind}ID']}" for tenant, some in found.items() for one in some)

    assert schedule() == []  # a profile does nothing until then
    started(node)
    assert schedule() == scheduled


def test_a_start_leaves_alone_what_is_scheduled(node: Node) -> None:
    queue(node)
    trend(node)
    ok(node, "TrendSv1.ScheduleQueries", TrendIDs=["T"])
    node.advance(15 * S)
    before = ok(node, "TrendSv1.GetScheduledTrends")
    assert before[0]["Previous"] != ZERO
    node.advance(S)
    started(node)
    assert ok(node, "TrendSv1.GetScheduledTrends") == before


def test_another_queue_begins_anew(node: Node) -> None:
    queue(node)
    queue(node, "R")
    trend(node)
    after_costs(node, 1)
    trend(node, StatID="R")
    assert error(node, "TrendSv1.GetTrend", ID="T") == "NOT_FOUND"
    assert ok(node, "TrendSv1.GetTrendSummary", ID="T")["Time"] == ZERO
    node.advance(10 * S)
    assert values(node) == [-1]


def test_thresholds_are_told_and_filters_read(node: Node) -> None:
    queue(node)
    ok(node, "APIerSv1.SetThresholdProfile", ID="TH", MaxHits=-1,
       FilterIDs=["*string:~*opts.*eventType:TrendUpdate", "*gt:~*req.Metrics.*tcc.Value:2"])  # fmt: skip
    trend(node, ThresholdIDs=[], MinItems=2)
    after_costs(node, 3, 1)
    assert ok(node, "ThresholdSv1.GetThreshold", ID="TH")["Hits"] == 1  # the first run has too few samples
    ok(node, "APIerSv1.SetThresholdProfile", ID="LIVE", MaxHits=-1,
       FilterIDs=["*string:~*req.A:1", "*gt:~*trends.T.Metrics.*tcc.Value:3"])  # fmt: skip
    assert ok(node, "ThresholdSv1.ProcessEvent", ID="e", Event={"A": "1"}) == ["LIVE"]


# --- rankings ------------------------------------------------------------------------------------------------------


def ranking(node: Node, **more: Any) -> dict[str, Any]:
    wanted = {"Schedule": "@every 10s", "StatIDs": ["A", "B", "C"], "Sorting": "*desc", "SortingParameters": ["*tcc"],
              "ThresholdIDs": ["*none"], **more}  # fmt: skip
    ok(node, "APIerSv1.SetRankingProfile", ID="R", **wanted)
    assert ok(node, "RankingSv1.ScheduleQueries", RankingIDs=["R"]) == 1
    node.advance(10 * S)
    found: dict[str, Any] = ok(node, "RankingSv1.GetRanking", ID="R")
    return found


def carriers(node: Node) -> None:
    queue(node, "A", "*tcc", "*acd")
    queue(node, "B", "*tcc")
    queue(node, "C", "*tcc", "*acd")
    cost(node, 5, "A", Usage="10s")
    cost(node, 9, "B")
    cost(node, 5, "C", Usage="20s")


@pytest.mark.parametrize(
    ("more", "order"),
    [
        ({}, ["B", "A", "C"]),
        ({"Sorting": "*asc"}, ["A", "C", "B"]),
        ({"SortingParameters": ["*tcc", "*acd"]}, ["B", "C", "A"]),
        ({"SortingParameters": ["*acd"]}, ["C", "A", "B"]),
        ({"SortingParameters": ["*acd:false"]}, ["A", "C", "B"]),
        ({"SortingParameters": None}, ["A", "B", "C"]),
        ({"MetricIDs": ["*acd"], "SortingParameters": ["*acd"]}, ["C", "A"]),
        ({"StatIDs": ["A", "NO"]}, []),
    ],
)
def test_order(node: Node, more: dict[str, Any], order: list[str]) -> None:
    carriers(node)
    found = ranking(node, **more)
    assert found["SortedStatIDs"] == order
    assert sorted(found["Metrics"]) == sorted(order)
    assert found["LastUpdate"] != ZERO


def test_a_sorting_that_is_none_skips_the_run(node: Node) -> None:
    carriers(node)
    found = ranking(node, Sorting="*best")
    assert (found["LastUpdate"], found["Metrics"], found["SortedStatIDs"]) == (ZERO, {}, [])


def test_rankings_are_told_read_and_removed(node: Node) -> None:
    carriers(node)
    ok(node, "APIerSv1.SetThresholdProfile", ID="TH", MaxHits=-1,
       FilterIDs=["*string:~*opts.*eventType:RankingUpdate", "*string:~*req.SortedStatIDs[0]:B"])  # fmt: skip
    ranking(node, ThresholdIDs=["TH"])
    assert ok(node, "ThresholdSv1.GetThreshold", ID="TH")["Hits"] == 1
    ok(node, "APIerSv1.SetThresholdProfile", ID="LIVE", MaxHits=-1,
       FilterIDs=["*string:~*req.A:1", "*string:~*rankings.R.SortedStatIDs[2]:C"])  # fmt: skip
    assert ok(node, "ThresholdSv1.ProcessEvent", ID="e", Event={"A": "1"}) == ["LIVE"]
    assert error(node, "RankingSv1.GetRankingSummary") == "NOT_FOUND"
    assert error(node, "APIerSv1.RemoveRankingProfile", Tenant="x") == "MANDATORY_IE_MISSING: [ID]"
    ok(node, "APIerSv1.RemoveRankingProfile", ID="R")
    node.run()
    assert error(node, "RankingSv1.GetSchedule") == "NOT_FOUND"
    assert error(node, "APIerSv1.GetRankingProfileIDs") == "NOT_FOUND"
    assert not [key for _, key in node.disk if key.startswith(("ranking/", "scheduled_query/"))]


def test_a_folder_that_is_loaded_again_keeps_samples_and_its_removal_ends_them(node: Node) -> None:
    folder = str(ROOT / "tariffplans/platform_carrier")
    ok(node, "APIerSv1.LoadTariffPlanFromFolder", FolderPath=folder)
    assert ok(node, "APIerSv1.GetTrendProfileIDs") == ["TRD_NORDTEL"]
    ok(node, "TrendSv1.ScheduleQueries", TrendIDs=["TRD_NORDTEL"])
    ok(node, "RankingSv1.ScheduleQueries", RankingIDs=["RNK_CARRIERS"])
    node.advance(2 * S)
    ok(node, "APIerSv1.LoadTariffPlanFromFolder", FolderPath=folder)
    assert ok(node, "TrendSv1.GetTrend", ID="TRD_NORDTEL")["RunTimes"]
    kinds = ok(node, "APIerSv1.DiffTariffPlan", FolderPath=folder)["Kinds"]
    assert [kinds.get(kind, {}).get("Changed") for kind in ("trend_profile", "ranking_profile")] == [0, 0]
    ok(node, "APIerSv1.RemoveTPFromFolder", FolderPath=folder)
    node.run()
    assert error(node, "TrendSv1.GetTrend", ID="TRD_NORDTEL") == "NOT_FOUND"
    assert not [
        key for _, key in node.disk if key.startswith(("trend/", "trend_sample/", "ranking/", "scheduled_query/"))
    ]


def test_a_trend_in_pieces_is_the_trend_as_it_was(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes meanwhile does not show, and does not wait."""
    queue(node)
    trend(node, QueueLength=5)
    after_costs(node, *range(1, 8))
    expected = ok(node, "TrendSv1.GetTrend", ID="T")
    assert len(expected["RunTimes"]) == 6
    for samples in (1, 2, 3, 50):
        monkeypatch.setattr(answers, "SLICE_SAMPLES", samples)
        reborn = Node(len(node.workers), disk=dict(node.disk))  # everything is packed
        for one in (node, reborn):
            assert ok(one, "TrendSv1.GetTrend", ID="T") == expected
    monkeypatch.setattr(answers, "SLICE_SAMPLES", 1)
    asked = node.send("TrendSv1.GetTrend", {"ID": "T"})
    other = node.send("APIerSv1.RemoveTrendProfile", {"ID": "T"})
    while other not in node._answers:
        node._step() or node.advance(1)
    assert node.wait(asked)["result"] == expected
    assert error(node, "TrendSv1.GetTrend", ID="T") == "NOT_FOUND"
