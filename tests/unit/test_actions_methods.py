"""Methods on action groups, answer by answer, and the CDRs of `*cdrlog` (spec 20 §5, 5.4, 5.5)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cgr_cluster.node.node import Node
from tests.unit.actions_world import MONEY, add, execute, group, money, new_node, ok, stored, values

SECOND = 1_000_000_000


def call(node: Node, method: str, params: Any) -> Any:
    answer = node.call(method, params)
    node.run()
    return answer["error"] or answer["result"]


def set_actions(*rows: Any, version: int = 2, node: Node | None = None, **more: Any) -> Any:
    params = {"ActionsId": "X", "Overwrite": True, "Actions": list(rows), **more}
    return call(node or new_node(), f"APIerSv{version}.SetActions", params)


LOG = {"Identifier": "*log"}
FIVE = {"Identifier": "*topup", "BalanceType": MONEY, "Units": "5"}


@pytest.mark.parametrize(
    ("rows", "error"),
    [
        ([], "MANDATORY_IE_MISSING: [Actions]"),
        ([{}], "MANDATORY_IE_MISSING:Action::[Identifier]"),
        ([{"BalanceType": MONEY}], "MANDATORY_IE_MISSING:Action::[Identifier Units]"),
        ([{"Identifier": "*topup", "BalanceType": MONEY}], "MANDATORY_IE_MISSING:Action:*topup:[Units]"),
        ([{**FIVE, "Units": "long"}, {"Identifier": ""}], "MANDATORY_IE_MISSING:Action::[Identifier]"),  # of all rows first
        ([{**FIVE, "Units": "long", "TimingTags": "NOPE"}], "Invalid value: long"),
        ([{**FIVE, "TimingTags": "NOPE"}, {**FIVE, "Units": "long"}], 'error: NOT_FOUND querying timing with id: "NOPE"'),
        ([{**FIVE, "Units": '{"Method":'}], 'Invalid value: {"Method":'),
        ([{**FIVE, "Units": '{"Method":5}'}], 'Invalid value: {"Method":5}'),
        ([{**FIVE, "Units": '{"Params":[]}'}], 'Invalid value: {"Params":[]}'),
        ([{**FIVE, "Units": "90s"}], "Invalid value: 90s"),  # a duration is of *voice only
        ([{**FIVE, "BalanceWeight": "heavy"}], 'strconv.ParseFloat: parsing "heavy": invalid syntax'),
        ([{**FIVE, "BalanceBlocker": "perhaps"}], 'strconv.ParseBool: parsing "perhaps": invalid syntax'),
        ([{**FIVE, "Units": 5}], "json: cannot unmarshal number into Go struct field TPAction.Actions.Units of type string"),
        ([{**FIVE, "Weight": "1"}], "json: cannot unmarshal string into Go struct field TPAction.Actions.Weight of type float64"),
        ([{"Identifier": "*no_such_type", "ExpiryTime": "soon", "Filters": "NOPE"}], "OK"),  # seen when it runs
    ],
)  # fmt: skip
def test_rows_of_set_actions(rows: list[Any], error: str) -> None:
    assert set_actions(*rows) == error


def test_a_group_is_not_overwritten_unless_told() -> None:
    node = new_node()
    assert set_actions(FIVE, node=node, Overwrite=False) == "OK"
    assert set_actions({**FIVE, "Units": "long"}, node=node, Overwrite=False) == "EXISTS"
    assert set_actions({"Identifier": ""}, node=node, Overwrite=False) == "MANDATORY_IE_MISSING:Action::[Identifier]"
    assert set_actions(LOG, node=node) == "OK"
    assert [one["ActionType"] for one in ok(node, "APIerSv2.GetActions", {})["X"]] == ["*log"]


@pytest.mark.parametrize(
    ("kind", "units", "static", "shown"),
    [
        (MONEY, "5.25", 5.25, "5.25"),
        (MONEY, "-5", -5, "-5"),
        (MONEY, "5e3", 5000, "5000"),
        ("*voice", "90s", 90 * SECOND, "90000000000"),
        ("*voice", "1h1m", 3660 * SECOND, "3660000000000"),
        ("*voice", "90", 90, "90"),
        ("*data", "1048576", 1048576, "1048576"),
        (MONEY, '{"Static": 5}', 5, "5"),
    ],
)
def test_units(kind: str, units: str, static: float, shown: str) -> None:
    node = new_node()
    assert set_actions({**FIVE, "BalanceType": kind, "Units": units}, node=node) == "OK"
    value = ok(node, "APIerSv2.GetActions", {})["X"][0]["Balance"]["Value"]
    assert value == {"Method": "", "Params": None, "Static": static}
    assert ok(node, "APIerSv1.GetActions", "X")[0]["Units"] == shown


NOT_GIVEN = dict.fromkeys(
    ("Uuid", "ID", "Type", "Value", "ExpirationDate", "Weight", "DestinationIDs", "RatingSubject", "Categories",
     "SharedGroups", "TimingIDs", "Timings", "Disabled", "Factors", "Blocker")
)  # fmt: skip
EMPTY: dict[str, Any] = {
    **NOT_GIVEN, "Uuid": "", "ID": "", "Type": "", "DestinationIDs": {}, "RatingSubject": "", "Categories": {},
    "SharedGroups": {}, "TimingIDs": {},
}  # fmt: skip
ZERO = {"Method": "", "Params": None, "Static": 0}


@pytest.mark.parametrize(
    ("version", "row", "balance"),
    [
        (2, LOG, EMPTY),
        (2, {"Identifier": "*reset_triggers", "BalanceId": "x"}, NOT_GIVEN),
        (1, LOG, {**EMPTY, "Value": ZERO}),
        (1, {"Identifier": "*reset_triggers", "BalanceId": "x"}, {**EMPTY, "ID": "x", "Value": ZERO}),
        (1, {"Identifier": "*topup", "BalanceType": MONEY, "BalanceWeight": 0}, {**EMPTY, "Type": MONEY, "Value": ZERO, "Weight": 0}),
        (
            2,
            {
                "Identifier": "*topup", "BalanceId": "B", "BalanceUuid": "U", "BalanceType": MONEY, "Units": "1",
                "DestinationIds": "A; !B ;", "Categories": "*zero", "SharedGroups": "G", "RatingSubject": "*zero",
                "BalanceWeight": "10", "BalanceBlocker": "true", "BalanceDisabled": "false",
            },
            {
                **EMPTY, "Uuid": "U", "ID": "B", "Type": MONEY, "Value": {**ZERO, "Static": 1}, "Weight": 10,
                "DestinationIDs": {"A": True, "B": False}, "SharedGroups": {"G": True}, "RatingSubject": "*zero",
                "Blocker": True, "Disabled": False,
            },
        ),
    ],
)  # fmt: skip
def test_what_is_left_out_is_given_as_empty(version: int, row: dict[str, Any], balance: dict[str, Any]) -> None:
    node = new_node()
    assert set_actions(row, node=node, version=version) == "OK"
    assert ok(node, "APIerSv2.GetActions", {})["X"][0]["Balance"] == balance


def by_tariff_plan(node: Node, row: dict[str, Any]) -> None:
    ok(node, "APIerSv1.SetTPActions", {"TPid": "T", "ID": "TP", "Actions": [row]})
    ok(node, "APIerSv1.LoadTariffPlanFromStorDb", {"TPid": "T"})


def test_what_a_tariff_plan_leaves_out_is_not_given() -> None:
    node = new_node()
    by_tariff_plan(node, FIVE)
    assert ok(node, "APIerSv2.GetActions", {"ActionIDs": ["TP"]})["TP"][0]["Balance"] == {
        **NOT_GIVEN, "Type": MONEY, "Value": {**ZERO, "Static": 5},
    }  # fmt: skip
    with_subject = {"RatingSubject": "r", "DestinationIDs": "D", "Categories": "call"}
    add(node, "A", 1, **with_subject)
    run = {"Account": "a", "ActionsId": "TP"}
    assert call(node, "APIerSv1.ExecuteAction", run) == "OK"
    assert values(node) == {"A": 6}  # any balance of the type
    assert execute(node, FIVE) is None
    assert values(node) == {"A": 6, "": 5}  # only one without rating subject
    by_tariff_plan(node, {"Identifier": "*set_balance", "BalanceType": MONEY, "BalanceId": "A", "Units": "9"})
    assert call(node, "APIerSv1.ExecuteAction", run) == "OK"
    assert stored(node)["BalanceMap"][MONEY][0]["RatingSubject"] == "r"
    assert execute(node, money("*set_balance", "3", "A")) is None
    found = stored(node)["BalanceMap"][MONEY][0]
    assert (found["Value"], found["RatingSubject"], found["DestinationIDs"], found["Categories"]) == (3, "", {}, {})


def test_version_1_shows_the_form_of_the_input() -> None:
    node = new_node()
    row = {
        "Identifier": "*topup", "BalanceId": "B", "BalanceType": "*voice", "Units": "90s", "ExpiryTime": "+1h",
        "Filters": "F; *string:~*req.ID:x", "DestinationIds": "A;!B", "ExtraParameters": "p;q", "Weight": 20.5,
    }  # fmt: skip
    assert set_actions(row, LOG, node=node) == "OK"
    empty = {
        "Identifier": "*log", "BalanceId": "", "BalanceUuid": "", "BalanceType": "", "Units": "0", "ExpiryTime": "", "Filters": "",
        "TimingTags": "", "DestinationIds": "", "RatingSubject": "", "Categories": "", "SharedGroups": "", "BalanceWeight": "0",
        "ExtraParameters": "", "BalanceBlocker": "false", "BalanceDisabled": "false", "Weight": 0,
    }  # fmt: skip
    first = {**empty, **row, "Units": "90000000000", "Filters": "F;*string:~*req.ID:x"}
    assert ok(node, "APIerSv1.GetActions", "X") == [first, empty]
    assert call(node, "APIerSv1.GetActions", "") == "MANDATORY_IE_MISSING ActionsId: "
    assert call(node, "APIerSv1.GetActions", "NOPE") == "SERVER_ERROR: NOT_FOUND"
    assert call(node, "APIerSv1.GetActions", {}) == "json: cannot unmarshal object into Go value of type string"


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({}, "ABC"),
        ({"ActionIDs": ["B", "A"]}, "BA"),
        ({"ActionIDs": ["A", ""]}, "A"),
        ({"ActionIDs": [""]}, ""),
        ({"ActionIDs": ["A", "NOPE"]}, "SERVER_ERROR: NOT_FOUND"),
        ({"ActionIDs": ["A", "NOPE"], "Limit": 1}, "A"),
        ({"Offset": 1, "Limit": 1}, "B"),
        ({"Offset": 9}, ""),
        ({"Offset": -1, "Limit": -1}, "ABC"),
    ],
)
def test_version_2_shows_groups(params: dict[str, Any], expected: str) -> None:
    node = new_node()
    for name in "CAB":
        group(node, name, LOG)
    found = call(node, "APIerSv2.GetActions", params)
    assert (found if isinstance(found, str) else "".join(found)) == expected


def test_removing_and_counting() -> None:
    node = new_node()
    for name in "AB":
        group(node, name, LOG)
    assert call(node, "APIerSv2.GetActionsCount", {}) == 2
    for ids, answer in ((None, "NOT_FOUND"), ([], "OK"), (["NOPE", ""], "OK"), (["A", "B"], "OK"), (["A"], "OK")):
        assert call(node, "APIerSv1.RemoveActions", {"ActionIDs": ids}) == answer
    assert call(node, "APIerSv2.GetActionsCount", {}) == "NOT_FOUND"
    assert call(node, "APIerSv2.GetActions", {}) == {}


@pytest.mark.parametrize(
    ("params", "answer"),
    [
        ({}, "MANDATORY_IE_MISSING: [ActionsId]"),
        ({"Account": "a", "ActionsId": "NOPE"}, "NOT_FOUND"),
        ({"Account": "a", "ActionsId": "TOP"}, "OK"),
        ({"Tenant": "t", "Account": "a", "ActionsId": "TOP"}, "OK"),
        ({"ActionsId": "TOP"}, "OK"),  # without account it is skipped
    ],
)
def test_execute_action_makes_the_account(params: dict[str, Any], answer: str) -> None:
    node = new_node(3)
    group(node, "TOP", money("*topup", "5"))
    assert call(node, "APIerSv1.ExecuteAction", params) == answer
    if answer == "OK" and "Account" in params:
        where = {"Tenant": params.get("Tenant", ""), "Account": "a"}
        assert ok(node, "APIerSv2.GetAccount", where)["BalanceMap"][MONEY][0]["Value"] == 5
    else:
        assert call(node, "APIerSv1.GetAccountsCount", {}) == 0


# --- *cdrlog -----------------------------------------------------------------------------------------------------


def cdrs(node: Node) -> list[dict[str, Any]]:
    answer = node.call("CDRsV1.GetCDRs", {"OrderBy": "OrderID"})
    return [] if answer["error"] else answer["result"]


def told(node: Node) -> list[tuple[str, float]]:
    return [(cdr["RunID"], cdr["Cost"]) for cdr in cdrs(node)]


CDRLOG = {"Identifier": "*cdrlog"}


def test_a_cdr_of_a_top_up() -> None:
    node = new_node()
    assert execute(node, {**money("*topup", "5"), "DestinationIds": "D"}, CDRLOG) is None
    cdr = cdrs(node)[0]
    changing = ("CGRID", "OrderID", "OriginID", "SetupTime", "AnswerTime")
    assert cdr["SetupTime"] == cdr["AnswerTime"]
    assert {name: value for name, value in cdr.items() if name not in changing} == {
        "RunID": "*topup", "OriginHost": "127.0.0.1", "Source": "*cdrlog", "ToR": MONEY, "RequestType": "*none",
        "Tenant": "cgrates.org", "Category": "call", "Account": "a", "Subject": "a", "Destination": "", "Usage": 1,
        "ExtraFields": {}, "ExtraInfo": "", "Partial": False, "PreRated": True, "CostSource": "", "Cost": 5,
        "CostDetails": None,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([money("*topup", "-5"), money("*debit", "2")], [("*topup", -5), ("*debit", 2)]),
        ([money("*topup_reset", "5"), money("*debit_reset", "2"), money("*set_balance", "9")],
         [("*topup_reset", 5), ("*debit_reset", 2), ("*set_balance", 9)]),
        ([LOG, money("*topup_zero_negative", "-1"), {"Identifier": "*allow_negative"}], []),
        ([money("*topup", "5", Weight=1)], [("*topup", 5)]),  # that runs after it
        ([money("*remove_balance", "0", "")], [("*remove_balance", 10), ("*remove_balance", 3)]),
    ],
)  # fmt: skip
def test_which_actions_have_a_cdr(rows: list[dict[str, Any]], expected: list[tuple[str, float]]) -> None:
    node = new_node()
    add(node, "MAIN", 10)
    add(node, "B", 3)
    assert execute(node, *rows, {**CDRLOG, "Weight": 2}) is None
    assert told(node) == expected


def test_cdrs_of_what_was_removed_and_of_transfers() -> None:
    node = new_node(3)
    add(node, "OLD", 2, "*sms", ExpiryTime="+1s")
    node.advance(2 * SECOND)
    assert execute(node, {"Identifier": "*remove_expired"}, CDRLOG) is None
    removed = cdrs(node)[0]
    assert (removed["RunID"], removed["ToR"], removed["Cost"]) == ("*remove_expired", "*sms", 2)
    assert removed["ExtraFields"] == {"BalanceID": "OLD"}
    add(node, "S", 10, Weight=5)
    add(node, "T", 1, account="b")
    move = {
        "SourceAccountID": "a", "SourceBalanceID": "S", "DestinationAccountID": "b", "Units": 4, "Cdrlog": True,
    }  # fmt: skip
    for target, initial in (("T", 1), ("NEW", 0)):
        ok(node, "APIerSv1.TransferBalance", {**move, "DestinationBalanceID": target})
        node.run()
        cdr = cdrs(node)[-1]
        assert (cdr["RunID"], cdr["Cost"], cdr["Account"], cdr["Destination"]) == ("*transfer_balance", 4, "a", "b")
        uuids = {b["ID"]: b["Uuid"] for name in "ab" for b in stored(node, name)["BalanceMap"][MONEY]}
        source, given = (json.loads(cdr["ExtraFields"][f"{side}BalanceSummary"]) for side in ("Source", "Destination"))
        assert given == {
            "UUID": uuids[target], "ID": target, "Type": MONEY, "Initial": initial, "Value": initial + 4, "Disabled": False,
        }  # fmt: skip
        assert (source["UUID"], source["Weight"], source["Initial"] - source["Value"]) == (uuids["S"], 5, 4)


RULES = {
    "~*acnt.Tenant": "cgrates.org", "~*acnt.Account": "a", "~*acnt.AccountID": "cgrates.org:a", "~*acnt.BalanceType": MONEY,
    "~*acnt.BalanceUUID": "", "~*acnt.BalanceID": "MAIN", "~*acnt.BalanceValue": "15.5", "~*acnt.DestinationIDs": "D1;D2",
    "~*acnt.ExtraParameters": "p", "~*acnt.RatingSubject": "r", "~*acnt.Category": "c1;c2", "~*acnt.SharedGroups": "g",
    "~*act.ActionID": "G", "~*act.ActionType": "*topup", "~*act.ActionValue": "5.5", "constant": "constant",
    "is ;~*act.ActionType;!": "is *topup!", "~*act.ActionType:s/^.(.*)$/${1}/": "topup",
}  # fmt: skip


def test_rules_add_extra_fields() -> None:
    node = new_node()
    add(node, "MAIN", 10)
    topup = money(
        "*topup",
        "5.5",
        DestinationIds="D1;D2",
        RatingSubject="r",
        Categories="c1;c2",
        SharedGroups="g",
        ExtraParameters="p",
    )
    rules = {f"F{place}": rule for place, rule in enumerate(RULES)}
    assert execute(node, topup, {**CDRLOG, "ExtraParameters": json.dumps(rules)}) is None
    assert cdrs(node)[0]["ExtraFields"] == dict(zip(rules, RULES.values(), strict=True))


@pytest.mark.parametrize(
    ("field", "rule", "value"),
    [
        ("ToR", "*sms", "*sms"),
        ("Account", "b", "b"),
        ("Subject", "s", "s"),
        ("Tenant", "t", "t"),
        ("Category", "c", "c"),
        ("Destination", "d", "d"),
        ("RequestType", "*prepaid", "*prepaid"),
        ("RunID", "run", "run"),
        ("Source", "src", "src"),
        ("OriginHost", "h", "h"),
        ("Usage", "60", 60),
        ("Usage", "60s", 1),  # a whole number or nothing
        ("Cost", "7.5", 7.5),
        ("Cost", "dear", 0),
        ("PreRated", "false", True),
    ],
)
def test_rules_override_fields(field: str, rule: str, value: Any) -> None:
    node = new_node()
    assert execute(node, money("*topup", "5"), {**CDRLOG, "ExtraParameters": json.dumps({field: rule})}) is None
    assert cdrs(node)[0][field] == value


@pytest.mark.parametrize("method", ["AddBalance", "DebitBalance", "SetBalance"])
def test_methods_write_cdrs_with_extra_data(method: str) -> None:
    node = new_node(3)
    change = {"Account": "a", "BalanceType": MONEY, "Value": 3, "Balance": {"ID": "M"}}
    extra = {"Number": 5, "Amount": "~*act.ActionValue", "Destination": "d"}
    ok(node, f"APIerSv1.{method}", change)
    ok(node, f"APIerSv1.{method}", {**change, "Cdrlog": True, "ActionExtraData": extra})
    node.run()
    (cdr,) = cdrs(node)
    assert (cdr["RunID"], cdr["Cost"], cdr["Destination"]) == (
        {"AddBalance": "*topup", "DebitBalance": "*debit", "SetBalance": "*set_balance"}[method], 3, "d",
    )  # fmt: skip
    assert cdr["ExtraFields"] == {"Number": "5", "Amount": "3"}


def test_cdrs_of_groups_that_fail() -> None:
    node = new_node()
    assert execute(node, money("*topup", "5"), {**CDRLOG, "ExtraParameters": "{"}) == "PARTIALLY_EXECUTED"
    assert told(node) == []
    assert execute(node, money("*topup", "5"), CDRLOG, {"Identifier": "*nope"}) == "PARTIALLY_EXECUTED"
    assert told(node) == [("*topup", 5)]  # what was done outside stays
    assert call(node, "APIerSv2.GetAccount", {"Account": "a"}) == "NOT_FOUND"


def test_without_cdrs_the_group_fails() -> None:
    node = new_node(schedulers={"cdrs_conns": []})
    assert execute(node, money("*topup", "5"), CDRLOG) == "PARTIALLY_EXECUTED"
    assert call(node, "APIerSv2.GetAccount", {"Account": "a"}) == "NOT_FOUND"
