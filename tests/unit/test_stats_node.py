"""StatS on a node of one and of three workers (spec chapter 60, section 1): queues, profiles, options, senders, tariff plans."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cgr_cluster.config import settings
from cgr_cluster.node.node import Node
from cgr_cluster.stats import answers
from cgr_cluster.stats.types import StatEntry, StatItem, StatValue
from tests.calls import error, ok
from tests.simulation.crashing import of_kind

TENANT = "cgrates.org"
S = 10**9
_ids = itertools.count(1)


@pytest.fixture(params=[1, 3], ids=["one worker", "three workers"])
def node(request: pytest.FixtureRequest) -> Iterator[Node]:
    yield Node(request.param)


def queue(node: Node, name: str, *metrics: str, **more: Any) -> None:
    rows = [{"MetricID": metric} for metric in metrics or ("*sum#1",)]
    ok(node, "APIerSv1.SetStatQueueProfile", ID=name, **{"TTL": -1, "Metrics": rows, "ThresholdIDs": ["*none"], **more})


def event(node: Node, opts: dict[str, Any] | None = None, /, **fields: Any) -> list[str]:
    found: list[str] = ok(node, "StatSv1.ProcessEvent", ID=f"e{next(_ids)}", Event=fields, APIOpts=opts or {})
    return found


def texts(node: Node, name: str) -> dict[str, str]:
    found: dict[str, str] = ok(node, "StatSv1.GetQueueStringMetrics", ID=name)
    return found


def items(node: Node, name: str) -> list[str] | None:
    found = ok(node, "StatSv1.GetStatQueue", ID=name)["SQItems"]
    return None if found is None else [item["EventID"] for item in found]


def objects(node: Node) -> int:
    """Objects of items that the log has."""
    node.run()
    kinds = {"stat_item": StatItem, "stat_entry": StatEntry, "stat_value": StatValue}
    return sum(len(of_kind(node, kind, as_type)) for kind, as_type in kinds.items())


# --- profiles (1.2, 1.9) -----------------------------------------------------------------------------------------

CHANGES: list[tuple[dict[str, Any], dict[str, str]]] = [
    ({}, {"*tcc": "3", "*sum#1": "2"}),
    ({"Weight": 30, "Blocker": True, "FilterIDs": ["*string:~*req.A:1"], "ThresholdIDs": []}, {"*tcc": "3", "*sum#1": "2"}),
    ({"QueueLength": 5}, {"*tcc": "N/A", "*sum#1": "0"}),
    ({"TTL": 3600 * S}, {"*tcc": "N/A", "*sum#1": "0"}),
    ({"MinItems": 1}, {"*tcc": "N/A", "*sum#1": "N/A"}),
    ({"Stored": False}, {"*tcc": "N/A", "*sum#1": "0"}),
    ({"Metrics": [{"MetricID": "*tcc"}, {"MetricID": "*acc"}]}, {"*tcc": "3", "*acc": "N/A"}),
    (
        {"Metrics": [{"MetricID": "*tcc", "FilterIDs": ["*string:~*req.A:1"]}, {"MetricID": "*sum#1"}]},
        {"*tcc": "N/A", "*sum#1": "2"},
    ),
    ({"Metrics": [{"MetricID": "*sum#1"}]}, {"*sum#1": "2"}),
]  # fmt: skip


@pytest.mark.parametrize(("change", "expected"), CHANGES)
def test_a_change_of_the_profile_keeps_what_it_can(change: dict[str, Any], expected: dict[str, str]) -> None:
    node = Node(3)
    first = {"QueueLength": 10, "Stored": True}
    queue(node, "Q", "*tcc", "*sum#1", **first)
    event(node, Cost=1)
    event(node, Cost=2)
    queue(node, "Q", "*tcc", "*sum#1", **{**first, **change})
    assert texts(node, "Q") == expected


def test_of_two_metrics_with_one_id_the_last_counts(node: Node) -> None:
    rows = [{"MetricID": "*tcc", "FilterIDs": None}, {"MetricID": "*tcc", "FilterIDs": ["*string:~*req.A:1"]}]
    for _ in range(2):
        queue(node, "Q", Metrics=rows)
        assert ok(node, "APIerSv1.GetStatQueueProfile", ID="Q")["Metrics"] == rows
        event(node, Cost=1)
        event(node, Cost=2, A=1)
    assert texts(node, "Q") == {"*tcc": "4"}


def test_stored_later_keeps(node: Node) -> None:
    queue(node, "Q")
    event(node)
    queue(node, "Q", Stored=True)
    assert texts(node, "Q") == {"*sum#1": "1"}


def test_a_refused_change_changes_nothing(node: Node) -> None:
    queue(node, "Q")
    event(node)
    for more, text in (
        ({"Metrics": [{"MetricID": "*sum#1"}, {"MetricID": "*mos"}]}, "SERVER_ERROR: unsupported metric type <*mos>"),
        ({"Metrics": [{"MetricID": "*mos#x"}]}, "SERVER_ERROR: unsupported metric type <*mos>"),
        ({"FilterIDs": ["NO"], "Metrics": [{"MetricID": "*mos"}]},
         f"SERVER_ERROR: broken reference to filter: <NO> for item with ID: {TENANT}:Q"),
    ):  # fmt: skip
        assert error(node, "APIerSv1.SetStatQueueProfile", ID="Q", **more) == text
    assert event(node) == ["Q"]
    assert texts(node, "Q") == {"*sum#1": "2"}


def test_a_removed_queue_is_gone_with_all_it_held(node: Node) -> None:
    queue(node, "Q", "*ddc", "*tcc")
    for number in range(1200):
        event(node, Destination=str(number % 7), Cost=1)
    assert objects(node) == 2407
    ok(node, "APIerSv1.RemoveStatQueueProfile", ID="Q")
    assert objects(node) == 0
    assert error(node, "StatSv1.GetStatQueue", ID="Q") == "NOT_FOUND"
    queue(node, "Q", "*ddc", "*tcc")
    assert (texts(node, "Q"), items(node, "Q")) == ({"*ddc": "N/A", "*tcc": "N/A"}, None)


@pytest.mark.parametrize("how", ["StatSv1.ResetStatQueue", "APIerSv1.SetStatQueueProfile"])
@pytest.mark.parametrize("counter_only", [False, True])
def test_an_emptied_queue_keeps_no_objects(node: Node, how: str, counter_only: bool) -> None:
    queue(node, "Q", "*distinct#~*req.C", QueueLength=-1 if counter_only else 0)
    for number in range(5):
        event(node, C=str(number))
    if how.startswith("Stat"):
        ok(node, how, ID="Q")
        assert items(node, "Q") == []
    else:
        queue(node, "Q", "*distinct#~*req.C", QueueLength=7)
        assert items(node, "Q") is None
    assert objects(node) == 0
    event(node, C="1")
    assert texts(node, "Q") == {"*distinct#~*req.C": "1"}


# --- choosing and options (1.2, 1.3) -----------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["ProcessEvent", "GetStatQueuesForEvent"])
def test_bad_options_are_refused_where_there_is_no_queue(node: Node, method: str) -> None:
    for opts, text in (
        ({"*stsProfileIDs": "Q"}, "cannot convert field: string to []string"),
        ({"*stsProfileIgnoreFilters": "x"}, 'strconv.ParseBool: parsing "x": invalid syntax'),
        ({"*stsProfileIDs": ["Q"]}, "NOT_FOUND"),
        ({}, "NOT_FOUND"),
    ):
        assert error(node, f"StatSv1.{method}", ID="e", Event={"A": 1}, APIOpts=opts) == text


def test_order_blocker_and_options(node: Node) -> None:
    queue(node, "A", Weight=10, FilterIDs=["*string:~*req.X:1"])
    queue(node, "B", Weight=20, FilterIDs=["*string:~*req.X:1"])
    queue(node, "C", Weight=10, FilterIDs=["*string:~*req.X:1"], Blocker=True)
    queue(node, "D", Weight=5, FilterIDs=["*string:~*req.X:1"])
    assert event(node, X=1) == ["B", "A", "C"]
    assert ok(node, "StatSv1.GetStatQueuesForEvent", ID="x", Event={"X": 1}) == ["B", "A", "C"]
    assert texts(node, "B") == {"*sum#1": "1"}  # looking counts nothing
    assert event(node, {"*stsProfileIDs": ["D", "A", "NO"]}, X=1) == ["A", "D"]
    ignored = {"*stsProfileIDs": ["D"], "*stsProfileIgnoreFilters": True}
    assert event(node, ignored, X=2) == ["D"]
    for opts in ({"*stsProfileIDs": ["D"]}, {"*stsProfileIgnoreFilters": True}, {"*stsProfileIDs": ["NO"]}):
        assert error(node, "StatSv1.ProcessEvent", ID="x", Event={"X": 2}, APIOpts=opts) == "NOT_FOUND"
    text = "cannot convert field: string to []string"
    assert error(node, "StatSv1.ProcessEvent", ID="x", Event={}, APIOpts={"*stsProfileIDs": "D"}) == text
    assert ok(node, "StatSv1.GetQueueIDs") == ["A", "B", "C", "D"]
    assert ok(node, "StatSv1.GetQueueIDs", Tenant="other") == []


def test_options_of_the_configuration() -> None:
    config = dict(settings.ephemeral())
    config["stats"] = {**config["stats"], "opts": {"*profileIDs": ["B"], "*profileIgnoreFilters": True}}
    node = Node(1, config)
    queue(node, "A")
    queue(node, "B", FilterIDs=["*string:~*req.X:1"])
    assert event(node) == ["B"]
    assert event(node, {"*stsProfileIDs": ["A"]}) == ["A"]


# --- items (1.4) -------------------------------------------------------------------------------------------------


def test_what_has_expired_is_neither_shown_nor_counted(node: Node) -> None:
    queue(node, "Q", "*tcc", "*sum#1", TTL=10 * S)
    event(node, Cost=1)
    node.advance(6 * S)
    event(node, Cost=2)
    node.advance(4 * S)  # ExpiryTime <= now
    assert texts(node, "Q") == {"*tcc": "2", "*sum#1": "1"}
    assert len(items(node, "Q") or []) == 1
    node.advance(60 * S)
    assert (texts(node, "Q"), items(node, "Q")) == ({"*tcc": "N/A", "*sum#1": "0"}, [])
    event(node, Cost=4)
    assert texts(node, "Q") == {"*tcc": "4", "*sum#1": "1"}
    assert objects(node) == 2


def test_metric_filters_and_values_that_cannot_be_had(node: Node) -> None:
    """With several metrics the others go on. Metric filters see the options, values do not."""
    rows = [
        {"MetricID": "*tcc"},
        {"MetricID": "*sum#1", "FilterIDs": ["*string:~*opts.*kind:x", "*string:~*req.A:1"]},
        {"MetricID": "*sum#2", "FilterIDs": ["NO_SUCH_FILTER"]},
        {"MetricID": "*tcd"},
    ]
    queue(node, "Q", Metrics=rows)
    event(node, {"*kind": "x"}, A=1, Usage="1s")
    event(node, {"*kind": "y"}, A=1, Cost=3)
    assert texts(node, "Q") == {"*tcc": "3", "*sum#1": "1", "*sum#2": "0", "*tcd": "1s"}
    assert len(items(node, "Q") or []) == 2


def test_whole_numbers_are_written_without_fraction(node: Node) -> None:
    metrics = [{"MetricID": name} for name in ("*tcc", "*acc", "*highest#~*req.Cost", "*lowest#~*req.None")]
    ok(node, "APIerSv1.SetStatQueueProfile", ID="Q", Metrics=metrics, ThresholdIDs=["*none"])
    assert event(node, {"*stsProfileIDs": ["Q"]}, Cost=5) == ["Q"]
    assert '"*tcc": 5,' in json.dumps(ok(node, "StatSv1.GetQueueFloatMetrics", ID="Q"))
    shown = json.dumps(ok(node, "StatSv1.GetStatQueue", ID="Q")["SQMetrics"])
    assert '"Sum": 5,' in shown and '"Stat": 5,' in shown and '"Highest": 5,' in shown
    assert '"Lowest": 1.7976931348623157e+308' in shown
    assert "5.0" not in shown
    routes = [{"ID": "gw", "StatIDs": ["Q"]}]
    ok(node, "APIerSv1.SetRouteProfile", ID="R", Sorting="*qos", SortingParameters=["*pdd"], Routes=routes)
    found = json.dumps(ok(node, "RouteSv1.GetRoutes", ID="e", Event={"A": 1}))
    assert '"*tcc": 5,' in found and '"*pdd": 1.7976931348623157e+308' in found and "5.0" not in found


def test_filters_read_metrics(node: Node) -> None:
    queue(node, "Q", "*acd", "*tcc", FilterIDs=["*string:~*req.To:Q"])
    for name, rule in (("LONG", "*gte:~*stats.Q.*acd:1m"), ("NONE", "*eq:~*stats.Q.*tcc:-1"), ("GONE", "*gt:~*stats.X.*tcc:-5"),
                       ("NOT", "*gt:~*stats.Q.*tcd:-5")):  # fmt: skip
        queue(node, name, FilterIDs=["*string:~*req.A:1", rule])
    assert event(node, A=1) == ["NONE"]
    event(node, To="Q", Usage="60s", Cost=1)
    assert event(node, A=1) == ["LONG"]


# --- who sends events, who is told (1.8, 1.10) -------------------------------------------------------------------


def hits(node: Node, name: str) -> int:
    return int(ok(node, "ThresholdSv1.GetThreshold", ID=name)["Hits"])


def threshold(node: Node, name: str, *filters: str, **more: Any) -> None:
    ok(node, "APIerSv1.SetThresholdProfile", ID=name, FilterIDs=list(filters), **{"MaxHits": -1, **more})


def test_thresholds_are_told_of_metrics(node: Node) -> None:
    update = "*string:~*opts.*eventType:StatUpdate"
    threshold(node, "COST", update, "*string:~*req.StatID:Q", "*gt:~*req.*tcc:5", "*string:~*opts.*mine:x")
    threshold(node, "LONG", update, "*gte:~*req.*acd:1m", "*string:~*req.*acd:1m0s")
    threshold(node, "SUM", update, "*eq:~*req.*sum#~*req.Cost:6")
    threshold(node, "EMPTY", update, "*eq:~*req.*tcc:-1")
    threshold(node, "TEXT", "*string:~*req.EventType:StatUpdate")
    queue(node, "Q", "*tcc", "*acd", "*sum#~*req.Cost", ThresholdIDs=[])
    queue(node, "NAMED", ThresholdIDs=["TEXT"])
    queue(node, "MUTE", "*tcc", ThresholdIDs=["*none"])
    event(node, {"*mine": "x"}, Cost=6, Usage="1m")
    event(node, Usage="1m")
    assert [hits(node, name) for name in ("COST", "LONG", "SUM", "EMPTY", "TEXT")] == [1, 2, 2, 0, 4]


def test_an_action_of_a_threshold_fails_the_event_that_counts(node: Node) -> None:
    threshold(node, "T", ActionIDs=["NO_SUCH_ACTIONS"])
    queue(node, "Q", ThresholdIDs=[])
    assert error(node, "StatSv1.ProcessEvent", ID="e", Event={}) == "PARTIALLY_EXECUTED"
    assert texts(node, "Q") == {"*sum#1": "1"}


def test_a_spend_guard(node: Node) -> None:
    """51 §3.2: the statistic event hands its options on, and the account that they name is disabled."""
    ok(node, "APIerSv2.SetAccount", Account="1001")
    ok(node, "APIerSv2.SetActions", ActionsId="OFF", Actions=[{"Identifier": "*disable_account"}])
    threshold(node, "GUARD", "*gt:~*req.*tcc:5", ActionIDs=["OFF"])
    queue(node, "Q", "*tcc", ThresholdIDs=["GUARD"])
    event(node, {"*accountID": "1001"}, Cost=6)
    assert ok(node, "APIerSv2.GetAccount", Account="1001")["Disabled"] is True


@pytest.mark.parametrize(("extra", "left"), [(f"{TENANT}:Q", "0"), ("Q", "0"), ("other:Q", "1")])
def test_actions_reset_queues(node: Node, extra: str, left: str) -> None:
    queue(node, "Q")
    event(node)
    rows = [{"Identifier": "*reset_stat_queue", "ExtraParameters": extra}]
    ok(node, "APIerSv2.SetActions", ActionsId="RESET", Actions=rows)
    answer = node.call("APIerSv1.ExecuteAction", {"ActionsId": "RESET"})
    assert (answer["error"] is None) == (left == "0")
    assert texts(node, "Q") == {"*sum#1": left}


def test_account_events(node: Node) -> None:
    queue(node, "Q", "*sum#~*req.BalanceSummaries[0].Value", FilterIDs=["*string:~*opts.*eventType:AccountUpdate"])
    for value in (2, 3):
        row = {"Account": "1001", "BalanceType": "*monetary", "Value": value, "Balance": {"ID": "m"}}
        ok(node, "APIerSv1.AddBalance", **row)
        assert texts(node, "Q") == {"*sum#~*req.BalanceSummaries[0].Value": {2: "2", 3: "7"}[value]}


@pytest.mark.parametrize(("flags", "came"), [(["*stats"], 1), (["*stats:false"], 0), ([], 1)])
def test_cdrs(node: Node, flags: list[str], came: int) -> None:
    queue(node, "Q", "*tcd", FilterIDs=["*string:~*opts.*eventType:CDR"])
    fields = {
        "OriginID": "o",
        "RequestType": "*rated",
        "Account": "1",
        "Usage": "90s",
        "SetupTime": "2026-02-01T10:00:00Z",
    }
    ok(node, "CDRsV1.ProcessEvent", ID="c", Flags=["*rals:false", "*chargers:false", *flags], Event=fields)
    assert texts(node, "Q") == {"*tcd": "1m30s" if came else "N/A"}


def test_cdr_options_and_settings() -> None:
    config = dict(settings.ephemeral())
    config["cdrs"] = {**config["cdrs"], "stats_conns": []}
    node = Node(1, config)
    queue(node, "Q")
    for number, opts in enumerate(({}, {"*statS": True})):
        fields = {"OriginID": f"o{number}", "RequestType": "*rated", "Account": "1", "Usage": "9s"}
        ok(node, "CDRsV1.ProcessEvent", ID="c", Flags=["*rals:false", "*chargers:false"], Event=fields, APIOpts=opts)
    assert texts(node, "Q") == {"*sum#1": "1"}


def test_sessions(node: Node) -> None:
    queue(node, "A", Weight=5)
    queue(node, "B")
    asked = {"ProcessStats": True, "ID": "e", "Event": {"OriginID": "o", "Account": "1"}}
    answer = ok(node, "SessionSv1.ProcessMessage", **asked)
    assert answer == {"StatQueueIDs": ["A", "B"]}
    assert ok(node, "SessionSv1.ProcessMessage", **asked, StatIDs=["B"]) == {"StatQueueIDs": ["B"]}
    assert ok(node, "SessionSv1.ProcessMessage", **asked, StatIDs=["X"]) == {"StatQueueIDs": []}
    flags = ["*stats:*ids:B&A", "*stats:*derived_reply"]
    shown = ok(node, "SessionSv1.ProcessEvent", ID="e", Flags=flags, Event=asked["Event"])
    assert shown == {"StatQueueIDs": {"*raw": ["A", "B"]}}
    threshold(node, "T", ActionIDs=["NO_SUCH_ACTIONS"])
    queue(node, "A", Weight=5, ThresholdIDs=[])
    assert error(node, "SessionSv1.ProcessMessage", **asked) == "PARTIALLY_EXECUTED"
    flags = ["*stats", "*blocker_error"]
    text = error(node, "SessionSv1.ProcessEvent", ID="e", Flags=flags, Event=asked["Event"])
    assert text == "STATS_ERROR:PARTIALLY_EXECUTED"
    assert (
        error(node, "SessionSv1.ProcessEvent", ID="e", Flags=["*stats"], Event=asked["Event"]) == "PARTIALLY_EXECUTED"
    )


def test_the_options_of_a_session_event_say_what_happened(node: Node) -> None:
    queue(node, "A")
    attribute = {"Path": "*req.X", "Value": [{"Rules": "1"}]}
    ok(node, "APIerSv1.SetAttributeProfile", ID="AT", Contexts=["*sessions"], Attributes=[attribute])
    asked = {"GetAttributes": True, "ProcessStats": True, "StatIDs": ["A"], "ID": "e", "Event": {"OriginID": "o"}}
    opts = ok(node, "SessionSv1.ProcessMessage", **asked)["Attributes"]["APIOpts"]
    assert opts == {
        "*subsys": "*sessions",
        "*attrProfileIDs": None,
        "*stsProfileIDs": ["A"],
        "*eventType": "StatUpdate",
    }


@pytest.mark.parametrize(
    ("flag", "text"), [("*stats", "PARTIALLY_EXECUTED"), ("*blocker_error", "STATS_ERROR:NOT_CONNECTED: StatS")]
)
def test_without_connection(flag: str, text: str) -> None:
    config = dict(settings.ephemeral())
    config["sessions"] = {**config["sessions"], "stats_conns": []}
    node = Node(1, config)
    assert error(node, "SessionSv1.ProcessEvent", ID="e", Flags=["*stats", flag], Event={"OriginID": "o"}) == text


# --- tariff plans (1.1) ------------------------------------------------------------------------------------------

HEAD = "#Tenant,Id,FilterIDs,ActivationInterval,QueueLength,TTL,MinItems,Metrics,MetricFilterIDs,Stored,Blocker,Weight,ThresholdIDs\n"


def folder(tmp_path: Path, *rows: str) -> dict[str, str]:
    (tmp_path / "Stats.csv").write_text(HEAD + "".join(f"{row}\n" for row in rows))
    return {"FolderPath": str(tmp_path)}


def test_rows_of_one_profile(node: Node, tmp_path: Path) -> None:
    plan = folder(
        tmp_path,
        f"{TENANT},Q,*string:~*req.A:1,2026-01-01T00:00:00Z;2027-01-01T00:00:00Z,3,1h,2,*asr;*acd,,true,,20,T1",
        f"{TENANT},Q,*string:~*req.B:1,,4,*unlimited,,*tcd;*acd,*string:~*req.C:1,false,true,,T1;T2",
        f"{TENANT},R,,,,5,,*sum#1,,,,,*none",
    )
    ok(node, "APIerSv1.LoadTariffPlanFromFolder", **plan)
    found = ok(node, "APIerSv1.GetStatQueueProfile", ID="Q")
    assert {m["MetricID"]: m["FilterIDs"] for m in found.pop("Metrics")} == {
        "*asr": None, "*acd": ["*string:~*req.C:1"], "*tcd": ["*string:~*req.C:1"],
    }  # fmt: skip
    assert found == {
        "Tenant": TENANT, "ID": "Q", "FilterIDs": ["*string:~*req.A:1", "*string:~*req.B:1"],
        "ActivationInterval": {"ActivationTime": "2026-01-01T00:00:00Z", "ExpiryTime": "2027-01-01T00:00:00Z"},
        "QueueLength": 4, "TTL": -1, "MinItems": 2, "Stored": True, "Blocker": True, "Weight": 20,
        "ThresholdIDs": ["T1", "T2"],
    }  # fmt: skip
    assert ok(node, "APIerSv1.GetStatQueueProfile", ID="R")["TTL"] == 5


@pytest.mark.parametrize(
    ("row", "text"),
    [
        (f"{TENANT},Q,,,x,,,*asr,,,,,", 'SERVER_ERROR: invalid value "x" for field StatMdl.QueueLength'),
        (f"{TENANT},Q,,,,,,*asr,,maybe,,,", 'SERVER_ERROR: invalid value "maybe" for field StatMdl.Stored'),
        (f"{TENANT},Q,,,,soon,,*asr,,,,,", 'SERVER_ERROR: time: invalid duration "soon"'),
        (f"{TENANT},Q,,,,,,*mos,,,,,", "SERVER_ERROR: unsupported metric type <*mos>"),
        (
            f"{TENANT},Q,NO,,,,,*asr,,,,,",
            f"SERVER_ERROR: broken reference to filter: <NO> for item with ID: {TENANT}:Q",
        ),
    ],
)
def test_rows_that_are_refused(tmp_path: Path, row: str, text: str) -> None:
    node = Node(1)
    assert error(node, "APIerSv1.LoadTariffPlanFromFolder", **folder(tmp_path, row)) == text
    assert ok(node, "StatSv1.GetQueueIDs") == []


def test_loads_keep_content_removals_end_it(node: Node, tmp_path: Path) -> None:
    plan = folder(tmp_path, f"{TENANT},Q,,,3,1h,,*sum#1;*tcc,,true,,20,*none")
    ok(node, "APIerSv1.LoadTariffPlanFromFolder", **plan)
    event(node, Cost=1)
    compared = ok(node, "APIerSv1.DiffTariffPlan", **plan)["Kinds"]["stat_profile"]
    assert (compared["Changed"], compared["Unchanged"]) == (0, 1)
    ok(node, "APIerSv1.LoadTariffPlanFromFolder", **plan)
    assert texts(node, "Q") == {"*sum#1": "1", "*tcc": "1"}
    ok(node, "APIerSv1.RemoveTPFromFolder", **plan)
    assert error(node, "StatSv1.GetStatQueue", ID="Q") == "NOT_FOUND"
    assert objects(node) == 0


def test_a_tariff_plan_of_the_store(node: Node) -> None:
    row = {
        "TPid": "TP", "Tenant": TENANT, "ID": "Q", "QueueLength": 2, "TTL": "1m", "Metrics": [{"MetricID": "*sum#1"}],
    }  # fmt: skip
    ok(node, "APIerSv1.SetTPStat", **row)
    assert ok(node, "APIerSv1.GetTPStatIDs", TPid="TP") == [f"{TENANT}:Q"]
    ok(node, "APIerSv1.LoadTariffPlanFromStorDb", TPid="TP")
    assert ok(node, "APIerSv1.GetStatQueueProfile", ID="Q")["TTL"] == 60 * S
    assert event(node) == ["Q"]


# --- large queues ------------------------------------------------------------------------------------------------


def filled(node: Node, count: int) -> None:
    metrics = (
        "*tcc",
        "*acd",
        "*asr",
        "*ddc",
        "*distinct#~*req.Cost",
        "*highest#~*req.Cost",
        "*repsc",
        "*sum#~*req.Cost",
    )
    queue(node, "Q", *metrics, TTL=3600 * S)
    for number in range(count):
        fields = {
            "Cost": number % 4,
            "Usage": "60s",
            "Destination": f"49{number % 3}",
            "AnswerTime": "2026-01-01T00:00:00Z",
        }
        ok(node, "StatSv1.ProcessEvent", ID=f"e{number % 15}", Event={**fields, "ReplyState": "OK"})


def test_a_queue_in_pieces_is_the_queue(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    filled(node, 20)
    expected = ok(node, "StatSv1.GetStatQueue", ID="Q")
    assert [item["EventID"] for item in expected["SQItems"]] == [f"e{number % 15}" for number in range(20)]
    assert list(expected["SQMetrics"]["*tcc"]["Events"]) == [f"e{number}" for number in range(15)]
    monkeypatch.setattr(answers, "SLICE_ITEMS", 3)
    assert json.dumps(ok(node, "StatSv1.GetStatQueue", ID="Q")) == json.dumps(expected)
    reborn = Node(len(node.workers), disk=dict(node.disk))  # everything is packed
    assert json.dumps(ok(reborn, "StatSv1.GetStatQueue", ID="Q")) == json.dumps(expected)


def test_others_are_served_while_a_large_queue_is_read_and_it_is_shown_as_it_was(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(node, 20)
    expected = ok(node, "StatSv1.GetStatQueue", ID="Q")
    monkeypatch.setattr(answers, "SLICE_ITEMS", 1)
    asked = node.send("StatSv1.GetStatQueue", {"ID": "Q"})
    others = [
        node.send("StatSv1.ProcessEvent", {"ID": "e3", "Event": {"Cost": 99}}),
        node.send("StatSv1.ResetStatQueue", {"ID": "Q"}),
    ]
    for other in others:
        while other not in node._answers:
            node._step() or node.advance(1)
        assert asked not in node._answers
    assert node.wait(asked)["result"] == expected
    assert ok(node, "StatSv1.GetStatQueue", ID="Q")["SQItems"] == []
