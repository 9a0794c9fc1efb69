"""The `*dynamic_*` family: a threshold's event makes objects (spec 20 §5.3)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest

from cgr_cluster.actions.dynamic import DYNAMIC, run_dynamic, split_columns
from cgr_cluster.actions.types import Action
from cgr_cluster.events.event import CGREvent
from cgr_cluster.node.node import Node
from cgr_cluster.rpc.schema import schema
from tests.unit.actions_world import execute, group, hit, money, new_node, ok, values

EVENT = {"Account": "1001", "Destination": "4930", "Plan": "RP", "N": 7}


def dynamic(kind: str, *columns: str) -> dict[str, Any]:
    return {"Identifier": f"*dynamic_{kind}", "ExtraParameters": ";".join(columns)}


@pytest.mark.parametrize(
    ("kind", "count"),
    [
        ("threshold", 13), ("stats", 14), ("attribute", 12), ("action_plan", 5), ("action_plan_accounts", 6), ("action", 18),
        ("destination", 2), ("filter", 7), ("route", 17), ("ranking", 10), ("rating_profile", 7), ("trend", 13),
        ("resource", 12), ("action_trigger", 21),
    ],
)  # fmt: skip
def test_the_number_of_columns_is_exact(kind: str, count: int) -> None:
    node = new_node()
    for columns in (1, count - 1, count + 1):
        error = hit(node, dynamic(kind, *[""] * columns), event=EVENT)
        assert error == f"invalid number of parameters <{columns}> expected {count}"
    assert len(DYNAMIC[f"*dynamic_{kind}"].columns) == count


def test_only_a_threshold_can_run_them() -> None:
    node = new_node()
    assert execute(node, dynamic("destination", "D", "49")) == "PARTIALLY_EXECUTED"
    assert node.call("APIerSv1.GetDestination", "D")["error"] == "NOT_FOUND"
    assert hit(new_node(thresholds={"apiers_conns": []}), dynamic("destination", "D", "49"), event={}) == (
        "NOT_CONNECTED: ApierS"
    )


# action, the method that shows the object, its parameters, the object
MADE: list[tuple[dict[str, Any], str, Any, Any]] = [
    (
        dynamic("trend", "*tenant", "T_<~*req.Account>", "@every 5s", "ST", "*tcc&*acd", "1h", "10", "2", "*last", "1.5", "true",
                "*none", ""),
        "APIerSv1.GetTrendProfile", {"ID": "T_1001"},
        {
            "Tenant": "cgrates.org", "ID": "T_1001", "Schedule": "@every 5s", "StatID": "ST", "Metrics": ["*tcc", "*acd"],
            "TTL": 3600 * 10**9, "QueueLength": 10, "MinItems": 2, "CorrelationType": "*last", "Tolerance": 1.5, "Stored": True,
            "ThresholdIDs": ["*none"],
        },
    ),
    (
        dynamic("ranking", "*tenant", "R_<~*req.Account>", "@hourly", "S1&S2", "*tcc", "*desc", "*tcc:false", "true", "*none", ""),
        "APIerSv1.GetRankingProfile", {"ID": "R_1001"},
        {
            "Tenant": "cgrates.org", "ID": "R_1001", "Schedule": "@hourly", "StatIDs": ["S1", "S2"], "MetricIDs": ["*tcc"],
            "Sorting": "*desc", "SortingParameters": ["*tcc:false"], "Stored": True, "ThresholdIDs": ["*none"],
        },
    ),
    (
        dynamic("destination", "DST_<~*req.Account>", "~*req.Destination&49<~*req.N+~*opts.*x>"),
        "APIerSv1.GetDestination", "DST_1001", {"Id": "DST_1001", "Prefixes": ["4930", "497op"]},
    ),
    (
        dynamic("filter", "*tenant", "F_<~*req.Account>", "*string", "~*req.Account", "~*req.Account&b", "", "k:v"),
        "APIerSv1.GetFilter", {"ID": "F_1001"},
        {
            "Tenant": "cgrates.org", "ID": "F_1001",
            "Rules": [{"Type": "*string", "Element": "~*req.Account", "Values": ["1001", "b"]}],
            "ActivationInterval": {"ActivationTime": "0001-01-01T00:00:00Z", "ExpiryTime": "0001-01-01T00:00:00Z"},
        },
    ),
    (
        dynamic("filter", "t2", "F", "*prefix", "~*req.A", "4", "2030-01-01T00:00:00Z&2031-01-01T00:00:00Z", ""),
        "APIerSv1.GetFilter", {"Tenant": "t2", "ID": "F"},
        {
            "Tenant": "t2", "ID": "F", "Rules": [{"Type": "*prefix", "Element": "~*req.A", "Values": ["4"]}],
            "ActivationInterval": {"ActivationTime": "2030-01-01T00:00:00Z", "ExpiryTime": "2031-01-01T00:00:00Z"},
        },
    ),
    (
        dynamic(
            "action", "ACT", "*topup", '\f{"a":1;2}\f', "*string:~*opts.*x:op&F", "B", "*voice", "call&sms", "A&!B", "*zero1s",
            "SG", "+1h", "", "90s", "10", "true", "false", "20", "true",
        ),
        "APIerSv1.GetActions", "ACT",
        [
            {
                "Identifier": "*topup", "BalanceId": "B", "BalanceUuid": "", "BalanceType": "*voice", "Units": "90000000000",
                "ExpiryTime": "+1h", "Filters": "*string:~*opts.*x:op;F", "TimingTags": "", "DestinationIds": "A;!B",
                "RatingSubject": "*zero1s", "Categories": "call;sms", "SharedGroups": "SG", "BalanceWeight": "10",
                "ExtraParameters": '{"a":1;2}', "BalanceBlocker": "true", "BalanceDisabled": "false", "Weight": 20,
            }
        ],
    ),
    (
        dynamic(
            "stats", "", "Q_<~*req.Account>", "*string:~*req.Account:<~*req.Account>", "", "5", "1m", "1", "*tcc&*acd",
            "*string:~*opts.*x:op", "true", "false", "10", "*none", "",
        ),
        "APIerSv1.GetStatQueueProfile", {"ID": "Q_1001"},
        {
            "Tenant": "cgrates.org", "ID": "Q_1001", "FilterIDs": ["*string:~*req.Account:1001"],
            "ActivationInterval": {"ActivationTime": "0001-01-01T00:00:00Z", "ExpiryTime": "0001-01-01T00:00:00Z"},
            "QueueLength": 5, "TTL": 60_000_000_000, "MinItems": 1, "Stored": True, "Blocker": False, "Weight": 10,
            "Metrics": [{"MetricID": name, "FilterIDs": ["*string:~*opts.*x:op"]} for name in ("*tcc", "*acd")],
            "ThresholdIDs": ["*none"],
        },
    ),
    (
        dynamic("rating_profile", "", "call", "~*req.Account", "2020-01-01T00:00:00Z", "~*req.Plan", "a&b", ""),
        "APIerSv1.GetRatingProfile", {"Category": "call", "Subject": "1001"},
        {
            "Id": "*out:cgrates.org:call:1001",
            "RatingPlanActivations": [
                {
                    "ActivationTime": "2020-01-01T00:00:00Z", "RatingPlanId": "RP",
                    "FallbackKeys": ["*out:cgrates.org:call:a", "*out:cgrates.org:call:b"],
                }
            ],
        },
    ),
    (
        dynamic(
            "action_trigger", "TRG", "u1", "*min_balance", "2.5", "true", "1s", "2040-01-01T00:00:00Z", "", "MAIN", "*monetary",
            "call&sms", "D1", "", "", "", "", "10", "", "false", "TOPUP", "5",
        ),
        "APIerSv1.GetActionTriggers", {"GroupIDs": ["TRG"]},
        [
            {
                "ID": "TRG", "UniqueID": "u1", "ThresholdType": "*min_balance", "ThresholdValue": 2.5, "Recurrent": True,
                "MinSleep": 1_000_000_000, "ExpirationDate": "2040-01-01T00:00:00Z", "ActivationDate": "0001-01-01T00:00:00Z",
                "Balance": {
                    "Uuid": None, "ID": "MAIN", "Type": "*monetary", "Value": None, "ExpirationDate": None, "Weight": 10,
                    "DestinationIDs": {"D1": True}, "RatingSubject": None, "Categories": {"call": True, "sms": True},
                    "SharedGroups": None, "TimingIDs": None, "Timings": None, "Disabled": False, "Factors": None,
                    "Blocker": None,
                },
                "Weight": 5, "ActionsID": "TOPUP", "MinQueuedItems": 0, "Executed": False,
                "LastExecutionTime": "0001-01-01T00:00:00Z",
            }
        ],
    ),
    (
        dynamic(
            "threshold", "*tenant", "TH_<~*req.Account>", "*string:~*req.Account:<~*req.Account>", "2030-01-01T00:00:00Z", "-1",
            "2", "1s", "true", "20", "A&B", "true", "E1&E2", "k:v",
        ),
        "APIerSv1.GetThresholdProfile", {"ID": "TH_1001"},
        {
            "Tenant": "cgrates.org", "ID": "TH_1001", "FilterIDs": ["*string:~*req.Account:1001"],
            "ActivationInterval": {"ActivationTime": "2030-01-01T00:00:00Z", "ExpiryTime": "0001-01-01T00:00:00Z"},
            "MaxHits": -1, "MinHits": 2, "MinSleep": 1_000_000_000, "Blocker": True, "Weight": 20,
            "ActionIDs": ["A", "B"], "Async": True, "EeIDs": ["E1", "E2"],
        },
    ),
    (
        dynamic(
            "attribute", "", "AT", "*any&call", "", "", "*string:~*req.X:y", "*req.Out", "*constant", "a&~*req.Account", "",
            "30", "",
        ),
        "APIerSv1.GetAttributeProfile", {"ID": "AT"},
        {
            "Tenant": "cgrates.org", "ID": "AT", "Contexts": ["*any", "call"], "FilterIDs": [],
            "ActivationInterval": {"ActivationTime": "0001-01-01T00:00:00Z", "ExpiryTime": "0001-01-01T00:00:00Z"},
            "Attributes": [
                {
                    "FilterIDs": ["*string:~*req.X:y"], "Path": "*req.Out", "Type": "*constant",
                    "Value": [{"Rules": "a"}, {"Rules": "1001"}],
                }
            ],
            "Blocker": False, "Weight": 30,
        },
    ),
    (
        dynamic(
            "stats", "", "SQ_<~*req.Account>", "*string:~*req.Account:1001", "", "10", "1h", "2", "*acd&*sum#~*req.Cost", "F1&F2",
            "true", "", "20", "*none", "k:v",
        ),
        "APIerSv1.GetStatQueueProfile", {"ID": "SQ_1001"},
        {
            "Tenant": "cgrates.org", "ID": "SQ_1001", "FilterIDs": ["*string:~*req.Account:1001"],
            "ActivationInterval": {"ActivationTime": "0001-01-01T00:00:00Z", "ExpiryTime": "0001-01-01T00:00:00Z"},
            "QueueLength": 10, "TTL": 3_600_000_000_000, "MinItems": 2,
            "Metrics": [
                {"MetricID": "*acd", "FilterIDs": ["F1", "F2"]}, {"MetricID": "*sum#~*req.Cost", "FilterIDs": ["F1", "F2"]},
            ],
            "Stored": True, "Blocker": False, "Weight": 20, "ThresholdIDs": ["*none"],
        },
    ),
]  # fmt: skip


def with_plan(node: Node) -> None:
    """A rating plan `RP`, through the store."""
    ok(node, "APIerSv1.SetTPDestination", {"TPid": "t", "ID": "D", "Prefixes": ["49"]})
    rate = {"Rate": 0.1, "RateUnit": "60s", "RateIncrement": "60s", "GroupIntervalStart": "0"}
    ok(node, "APIerSv1.SetTPRate", {"TPid": "t", "ID": "R", "RateSlots": [rate]})
    binding = {"DestinationId": "D", "RateId": "R", "RoundingMethod": "*up", "RoundingDecimals": 4}
    ok(node, "APIerSv1.SetTPDestinationRate", {"TPid": "t", "ID": "DR", "DestinationRates": [binding]})
    row = {"DestinationRatesId": "DR", "TimingId": "*any", "Weight": 10}
    ok(node, "APIerSv1.SetTPRatingPlan", {"TPid": "t", "ID": "RP", "RatingPlanBindings": [row]})
    ok(node, "APIerSv1.LoadTariffPlanFromStorDb", {"TPid": "t"})


@pytest.mark.parametrize(("action", "method", "params", "expected"), MADE, ids=lambda value: str(value)[:40])
def test_what_is_made(action: dict[str, Any], method: str, params: Any, expected: Any) -> None:
    node = new_node()
    with_plan(node)
    assert hit(node, action, event=EVENT, opts={"*x": "op"}) == ""
    assert ok(node, method, params) == expected


def test_plans_run_their_accounts() -> None:
    node = new_node()
    group(node, "TEN", money("*topup", "10"))
    ok(node, "APIerSv1.SetTiming", {"ID": "NOON", "WeekDays": [1, 2], "StartTime": "12:00:00"})
    accounts = "cgrates.org:~*req.Account&cgrates.org:<~*req.Account>"
    assert hit(node, dynamic("action_plan", "P", "TEN", "NOON", "5", "true"), event=EVENT) == ""
    assert hit(node, dynamic("action_plan_accounts", "Q", "TEN", "*daily", "", "", accounts), event=EVENT) == ""
    timing = ok(node, "APIerSv1.GetActionPlan", {"ID": "P"})[0]["ActionTimings"][0]
    assert (timing["ActionsID"], timing["Weight"]) == ("TEN", 5)
    assert timing["Timing"]["Timing"] == {
        "ID": "NOON", "Years": [], "Months": [], "MonthDays": [], "WeekDays": [1, 2], "StartTime": "12:00:00", "EndTime": "",
    }  # fmt: skip
    assert sorted(ok(node, "APIerSv1.GetActionPlan", {"ID": "Q"})[0]["AccountIDs"]) == [
        "cgrates.org:1001", "cgrates.org:~*req.Account",
    ]  # fmt: skip
    node.advance(25 * 3600 * 10**9)  # the scheduler has been reloaded
    assert values(node, account="1001") == {"MAIN": 10}


@pytest.mark.parametrize(
    ("action", "error"),
    [
        (dynamic("destination", "D", "~*req.Nothing"), "NOT_FOUND"),
        (dynamic("destination", "D", "<~*req.Account"), "WRONG_PATH"),
        (dynamic("destination", "D", ""), "MANDATORY_IE_MISSING: [Prefixes]"),
        (dynamic("filter", "", "", "*string", "~*req.A", "x", "", ""), "MANDATORY_IE_MISSING: [ID]"),
        (dynamic("filter", "", "F", "*string", "~*req.A", "x", "a&b&c", ""), "UNSUPPORTED_FORMAT"),
        (dynamic("filter", "", "F", "*string", "~*req.A", "x", "", "novalue"), "invalid key-value pair: novalue"),
        (dynamic("action_plan", "P", "", "*daily", "", ""), "empty ActionsId for <P> dynamic_action_plan"),
        (dynamic("action_plan", "P", "NOPE", "*daily", "", ""), "BROKEN_REFERENCE:NOPE"),
        (dynamic("action_plan", "P", "G", "NOPE", "", ""), "NOT_FOUND"),
        (dynamic("action_plan", "P", "G", "", "", ""), "MANDATORY_IE_MISSING:Action:G:[Time]"),
        (dynamic("action_plan", "P", "G", "*daily", "heavy", ""), 'strconv.ParseFloat: parsing "heavy": invalid syntax'),
        (dynamic("action", *[""] * 18), "empty ActionsId for dynamic_action"),
        (dynamic("action", "A", *[""] * 17), "empty Action for <A> dynamic_action"),
        (dynamic("action_trigger", *[""] * 21), "MANDATORY_IE_MISSING: [GroupID]"),
    ],
)  # fmt: skip
def test_errors_undo_the_group(action: dict[str, Any], error: str) -> None:
    node = new_node()
    assert hit(node, money("*topup", "4"), action, event=EVENT, account="a") == error
    assert node.call("APIerSv2.GetAccount", {"Account": "a"})["error"] == "NOT_FOUND"


def test_an_object_that_was_made_stays_when_the_group_fails_later() -> None:
    node = new_node()
    assert hit(node, dynamic("destination", "D", "49"), {"Identifier": "*nope"}, event=EVENT) != ""
    assert ok(node, "APIerSv1.GetDestination", "D")["Prefixes"] == ["49"]
    assert hit(node, dynamic("destination", "D", "50"), event=EVENT) == "EXISTS"


def threshold(node: Node, name: str, *rows: dict[str, Any]) -> None:
    """A threshold that takes events whose T is its name."""
    group(node, f"G_{name}", *rows)
    profile = {"ID": name, "FilterIDs": [f"*string:~*req.T:{name}"], "MaxHits": -1, "ActionIDs": [f"G_{name}"]}
    ok(node, "APIerSv1.SetThresholdProfile", profile)


def event(node: Node, name: str, **fields: Any) -> Any:
    answer = node.call("ThresholdSv1.ProcessEvent", {"ID": "e", "Event": {"T": name, **fields}})
    node.run()
    return answer["error"] or answer["result"]


def hits(node: Node, name: str) -> int:
    found: int = ok(node, "ThresholdSv1.GetThreshold", {"ID": name})["Hits"]
    return found


def test_a_threshold_makes_another_that_takes_the_next_event() -> None:
    node = new_node(3)
    group(node, "TEN", money("*topup", "10"))
    columns = (
        "",
        "TH_<~*req.Account>",
        "*string:~*req.Account:<~*req.Account>",
        "",
        "-1",
        "",
        "",
        "",
        "",
        "TEN",
        "",
        "",
        "",
    )
    threshold(node, "make", dynamic("threshold", *columns))
    assert event(node, "make", Account="1001") == ["make"]
    assert sorted(event(node, "make", Account="1001")) == ["TH_1001", "make"]
    assert values(node, account="1001") == {"MAIN": 10}
    assert event(node, "make", Account="1002") == ["make"]


def test_thresholds_are_reset_by_actions() -> None:
    node = new_node(3)
    threshold(node, "counted", {"Identifier": "*log"})
    threshold(node, "resets", {"Identifier": "*reset_threshold", "ExtraParameters": "cgrates.org:counted"})
    threshold(node, "wrong", {"Identifier": "*reset_threshold", "ExtraParameters": "cgrates.org:nope"})
    for _ in range(2):
        assert event(node, "counted") == ["counted"]
    assert hits(node, "counted") == 2
    assert event(node, "resets") == ["resets"]
    assert hits(node, "counted") == 0
    assert event(node, "wrong") == "PARTIALLY_EXECUTED"


def test_a_threshold_whose_action_sends_it_the_event_again_ends() -> None:
    node = new_node(3)
    again = {"Tenant": "cgrates.org", "ID": "e", "Event": {"T": "loop"}}
    call = {"Address": "*internal", "Method": "ThresholdSv1.ProcessEvent", "Params": again}
    threshold(node, "loop", {"Identifier": "*cgr_rpc", "ExtraParameters": json.dumps(call)})
    assert event(node, "loop") == "PARTIALLY_EXECUTED"
    assert 1 < hits(node, "loop") <= 8


def test_columns_in_form_feeds_keep_their_semicolons() -> None:
    assert split_columns("a;\fb;c\f;d\fe;f\f") == ["a", "b;c", "de;f"]


FILLED = {
    "list": "a&b",
    "texts": "a",
    "int": "1",
    "float": "1",
    "bool": "true",
    "duration": "1s",
    "interval": "",
    "opts": "k:v",
}


@pytest.mark.parametrize("action_type", sorted(DYNAMIC))
def test_the_method_of_a_table_line_knows_all_its_members(action_type: str) -> None:
    """Also that of a method that is not built yet."""
    node, calls = new_node(), []
    group(node, "x", money("*topup", "1"))
    ok(node, "APIerSv1.SetTiming", {"ID": "x", "StartTime": "12:00:00"})
    wanted = DYNAMIC[action_type]
    cells = [
        FILLED.get(column.kind, "2030-01-01T00:00:00Z" if column.kind == "time" else "x") for column in wanted.columns
    ]
    part = node.workers[0].engine.generation
    run = SimpleNamespace(
        part=SimpleNamespace(generation=part, now_ns=node.now_ns),
        event=CGREvent("cgrates.org", "e", None, EVENT, {}),
        zone="UTC",
        called=lambda place, call: calls.append(call),
    )
    run_dynamic(cast(Any, run), Action(action_type, ";".join(cells)), 0)
    go_type = schema().type_of(calls[0].method)
    assert go_type is not None
    unknown = list(_unknown(go_type, json.loads(calls[0].params)))
    assert unknown == []


def _unknown(go_type: str, value: Any) -> Iterator[str]:
    """Members of `value` that the type does not have."""
    shape = schema().shape(go_type)
    if shape.kind == "list":
        for item in value:
            yield from _unknown(shape.element, item)
    elif shape.kind == "object":
        for name, item in value.items():
            member = shape.members.get(name.lower())
            if member is None or member.name != name:
                yield name
            else:
                yield from _unknown(member.go_type, item)
