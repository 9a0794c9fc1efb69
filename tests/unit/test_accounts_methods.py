"""Methods on accounts and balances, answer by answer (spec 20 §4)."""

from __future__ import annotations

from typing import Any

import pytest

from cgr_cluster.node.node import Node
from tests.unit.actions_world import MONEY, add, group, money, new_node, ok, stored, values

SECOND = 1_000_000_000
PARTIAL = "PARTIALLY_EXECUTED"


def call(node: Node, method: str, params: Any) -> Any:
    """What a method answers: its error, or its result."""
    answer = node.call(method, params)
    node.run()
    return answer["error"] or answer["result"]


def ids(node: Node, method: str, params: Any) -> Any:
    found = call(node, method, params)
    return found if isinstance(found, str) else [one.get("ID", one.get("Id")) for one in found]


# --- accounts ----------------------------------------------------------------------------------------------------


def trigger(node: Node, name: str, *unique_ids: str, kind: str = "*min_balance") -> None:
    for unique_id in unique_ids:
        fields = {"ThresholdType": kind, "ThresholdValue": -9, "BalanceType": MONEY, "ActionsID": "TOP"}
        ok(
            node,
            "APIerSv1.SetActionTrigger",
            {"GroupID": name, "UniqueID": unique_id, "ActionTrigger": fields},
        )


def with_plans() -> Node:
    node = new_node(3)
    group(node, "TOP", money("*topup", "5"))
    for name, time in (("P1", "*monthly"), ("P2", "*monthly"), ("NOW", "*asap")):
        row = {"ActionsId": "TOP", "Time": time}
        ok(node, "APIerSv1.SetActionPlan", {"Id": name, "ActionPlan": [row]})
    trigger(node, "T1", "u1", "u2")
    trigger(node, "T2", "u1", kind="*max_event_counter")
    return node


def plans(node: Node) -> list[str]:
    return [one["ActionPlanId"] for one in ok(node, "APIerSv1.GetAccountActionPlan", {"Account": "a"})]


def triggers(node: Node) -> list[tuple[str, str]]:
    return [(one["ID"], one["UniqueID"]) for one in stored(node)["ActionTriggers"] or ()]


Held = tuple[list[str], list[tuple[str, str]]]
T1, T2 = [("T1", "u1"), ("T1", "u2")], [("T2", "u1")]


@pytest.mark.parametrize(
    ("version", "steps"),
    [
        (
            2,
            [
                ({"ActionPlanIDs": ["P1"], "ActionTriggerIDs": ["T1"]}, (["P1"], T1)),
                ({"ActionPlanIDs": ["P2"], "ActionTriggerIDs": ["T2", "T1"]}, (["P1", "P2"], T1 + T2)),
                ({}, (["P1", "P2"], T1 + T2)),
                ({"ActionPlanIDs": ["P2"], "ActionPlansOverwrite": True}, (["P2"], T1 + T2)),
                ({"ActionTriggerIDs": ["T2"], "ActionTriggerOverwrite": True}, (["P2"], T2)),
                ({"ActionPlanIDs": ["NOW"]}, (["P2"], T2)),  # only *asap: a task, no link
                ({"ActionPlansOverwrite": True, "ActionTriggerOverwrite": True}, ([], [])),
            ],
        ),
        (
            1,
            [
                ({"ActionPlanID": "P1", "ActionTriggersID": "T1"}, (["P1"], T1)),
                ({"ActionPlanID": "P2"}, (["P2"], T1)),
                ({"ActionTriggersID": "T2"}, (["P2"], T2)),
                ({"ExtraOptions": {"AllowNegative": True}}, (["P2"], T2)),
                ({"ActionPlanID": "NOW"}, (["NOW"], T2)),
            ],
        ),
    ],
)
def test_plans_and_triggers_of_set_account(version: int, steps: list[tuple[dict[str, Any], Held]]) -> None:
    node = with_plans()
    for params, held in steps:
        ok(node, f"APIerSv{version}.SetAccount", {"Account": "a", **params})
        assert (plans(node), triggers(node)) == held, params
    counted = any(group_id == "T2" for group_id, _ in triggers(node))
    assert (stored(node)["UnitCounters"] is not None) == counted


@pytest.mark.parametrize(
    ("version", "params", "error"),
    [
        (1, {"Account": ""}, "MANDATORY_IE_MISSING: [Account]"),
        (2, {}, "MANDATORY_IE_MISSING: [Account]"),
        (1, {"Account": "a", "ActionPlanID": "NOPE"}, "SERVER_ERROR: NOT_FOUND"),
        (1, {"Account": "a", "ActionTriggersID": "NOPE"}, "SERVER_ERROR: NOT_FOUND"),
        (2, {"Account": "a", "ActionPlanIDs": ["P1", "NOPE"]}, "SERVER_ERROR: NOT_FOUND"),
        (2, {"Account": "a", "ActionTriggerIDs": ["T1", "NOPE"]}, "SERVER_ERROR: NOT_FOUND"),
    ],
)
def test_a_refused_set_account_makes_nothing(version: int, params: dict[str, Any], error: str) -> None:
    node = with_plans()
    assert call(node, f"APIerSv{version}.SetAccount", params) == error
    assert call(node, "APIerSv2.GetAccount", {"Account": "a"}) == "NOT_FOUND"
    assert call(node, "APIerSv1.GetAccountActionPlan", {"Account": "a"}) == []


def test_options_that_are_not_given_stay() -> None:
    node = new_node()
    for options in ({"AllowNegative": True}, {"Disabled": True}, {}, None, {"Other": True}):
        ok(node, "APIerSv2.SetAccount", {"Account": "a", "ExtraOptions": options})
    assert (stored(node)["AllowNegative"], stored(node)["Disabled"]) == (True, True)
    ok(node, "APIerSv1.SetAccount", {"Account": "a", "ExtraOptions": {"AllowNegative": False}})
    assert (stored(node)["AllowNegative"], stored(node)["Disabled"]) == (False, True)


def test_asap_plans_run_at_the_reload_and_again_when_attached_again() -> None:
    node = with_plans()
    for reloads, expected in ((True, {"MAIN": 5}), (False, {"MAIN": 5}), (True, {"MAIN": 15})):
        ok(node, "APIerSv2.SetAccount", {"Account": "a", "ActionPlanIDs": ["NOW"], "ReloadScheduler": reloads})
        node.advance(SECOND)
        assert values(node) == expected


def test_removing_an_account_detaches_it() -> None:
    node = with_plans()
    ok(node, "APIerSv2.SetAccount", {"Account": "a", "ActionPlanIDs": ["P1"]})
    for _ in range(2):
        assert call(node, "APIerSv1.RemoveAccount", {"Account": "a"}) == "OK"
    assert call(node, "APIerSv2.GetAccount", {"Account": "a"}) == "NOT_FOUND"
    assert ok(node, "APIerSv1.GetActionPlan", {"ID": "P1"})[0]["AccountIDs"] == {}
    assert call(node, "APIerSv1.RemoveAccount", {}) == "MANDATORY_IE_MISSING: [Account]"
    assert call(node, "APIerSv1.GetAccountActionPlan", {}) == "MANDATORY_IE_MISSING: [Account ]"


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({}, "01234"),
        ({"Limit": 2}, "01"),
        ({"Offset": 1, "Limit": 2}, "12"),
        ({"Offset": 9}, ""),
        ({"Limit": -1, "Offset": -1}, "01234"),
        ({"AccountIDs": ["x3", "nope", "x1"]}, "31"),
        ({"AccountIDs": ["x3", "nope", "x1"], "Limit": 2}, "3"),  # the unknown one counts in the page
        ({"AccountIDs": ["nope"]}, ""),
        ({"accountids": ["x1"]}, "1"),
        ({"Filter": {"AllowNegative": True}}, "024"),
        ({"Filter": {"AllowNegative": True}, "Limit": 2}, "0"),  # cut before it is filtered
        ({"Filter": {"AllowNegative": True, "Disabled": True}}, "4"),
        ({"Filter": {"Disabled": False}, "Offset": 1}, "12"),
        ({"Tenant": "nobody"}, ""),
    ],
)
def test_get_accounts(params: dict[str, Any], expected: str) -> None:
    node = new_node(3)
    for number in range(5):
        options = {"AllowNegative": number % 2 == 0, "Disabled": number > 2}
        ok(node, "APIerSv2.SetAccount", {"Tenant": "t", "Account": f"x{number}", "ExtraOptions": options})
    ok(node, "APIerSv2.SetAccount", {"Account": "other"})
    wanted = {"Tenant": "t", **params}
    assert ids(node, "APIerSv2.GetAccounts", wanted) == [f"t:x{digit}" for digit in expected]
    assert ids(node, "APIerSv1.GetAccounts", wanted) == [f"*out:t:x{digit}" for digit in expected]


@pytest.mark.parametrize(
    ("method", "params", "expected"),
    [
        ("APIerSv1.GetAccountsCount", {"Tenant": "t"}, 3),
        ("APIerSv2.GetAccountsCount", {"Tenant": "t"}, 3),
        ("APIerSv1.GetAccountsCount", {"Tenant": "none"}, 0),
        ("APIerSv2.GetAccountsCount", {"Tenant": "none"}, "NOT_FOUND"),
        ("APIerSv1.GetAccountIDs", {"Tenant": "t"}, ["a", "ab", "b"]),
        ("APIerSv1.GetAccountIDs", {"Tenant": "t", "Search": "a"}, ["a", "ab"]),
        ("APIerSv1.GetAccountIDs", {"Tenant": "t", "Limit": 1, "Offset": 1}, ["ab"]),
        ("APIerSv1.GetAccountIDs", {"Tenant": "t", "Offset": 9}, None),
        ("APIerSv1.GetAccountIDs", {"Tenant": "t", "Search": "z"}, "NOT_FOUND"),
        ("APIerSv1.GetAccountIDs", {"Tenant": "none"}, "NOT_FOUND"),
        ("APIerSv2.GetAccount", {}, "NOT_FOUND"),
        ("APIerSv1.GetAccount", {"Tenant": "t", "Account": "z"}, "NOT_FOUND"),
    ],
)
def test_counts_and_names(method: str, params: dict[str, Any], expected: Any) -> None:
    node = new_node(3)
    for name in ("b", "ab", "a"):
        ok(node, "APIerSv2.SetAccount", {"Tenant": "t", "Account": name})
    assert call(node, method, params) == expected


@pytest.mark.parametrize(
    ("method", "params", "error"),
    [
        ("APIerSv1.AddBalance", {"Value": "12"}, "string into Go struct field AttrAddBalance.Value of type float64"),
        ("APIerSv1.AddBalance", {"Overwrite": "true"}, "string into Go struct field AttrAddBalance.Overwrite of type bool"),
        ("APIerSv1.AddBalance", {"Account": 1001}, "number into Go struct field AttrAddBalance.Account of type string"),
        ("APIerSv1.DebitBalance", {"Cdrlog": 1}, "number into Go struct field AttrAddBalance.Cdrlog of type bool"),
        ("APIerSv1.SetBalance", {"Value": []}, "array into Go struct field AttrSetBalance.Value of type float64"),
        ("APIerSv1.SetBalances", {"Balances": [{"Value": "5"}]}, "string into Go struct field AttrBalance.Balances.Value of type float64"),
        ("APIerSv1.RemoveBalances", {"BalanceType": 1}, "number into Go struct field AttrSetBalance.BalanceType of type string"),
        ("APIerSv1.TransferBalance", {"Units": "1"}, "string into Go struct field AttrTransferBalance.Units of type float64"),
        ("APIerSv2.SetAccount", {"ActionPlanIDs": "P"}, "string into Go struct field AttrSetAccount.ActionPlanIDs of type []string"),
        ("APIerSv2.SetAccount", {"ExtraOptions": {"Disabled": "yes"}}, "string into Go struct field AttrSetAccount.ExtraOptions of type bool"),
        ("APIerSv1.RemoveAccount", {"Account": {}}, "object into Go struct field AttrRemoveAccount.Account of type string"),
        ("APIerSv2.GetAccounts", {"Limit": "x"}, "string into Go struct field AttrGetAccounts.Limit of type int"),
        ("APIerSv1.ExecuteAction", {"ActionsId": 1}, "number into Go struct field AttrExecuteAction.ActionsId of type string"),
        ("APIerSv2.GetAccount", "a", "string into Go value of type utils.AttrGetAccount"),
    ],
)  # fmt: skip
def test_wrong_types_are_refused(method: str, params: Any, error: str) -> None:
    assert call(new_node(), method, params) == f"json: cannot unmarshal {error}"


# --- balances ----------------------------------------------------------------------------------------------------


def held(node: Node, account: str = "a") -> dict[str, list[tuple[str, float]]]:
    """Type → (ID, Value) of the balances, in their order."""
    lists = stored(node, account)["BalanceMap"] or {}
    return {kind: [(b["ID"], b["Value"]) for b in balances] for kind, balances in lists.items()}


BALANCE = {"Account": "a", "BalanceType": MONEY}


@pytest.mark.parametrize(
    ("method", "params", "error"),
    [
        *[
            (method, {}, f"MANDATORY_IE_MISSING: [{missing}]")
            for method, missing in (
                ("AddBalance", "Account BalanceType"),
                ("DebitBalance", "Account BalanceType"),
                ("SetBalance", "Account BalanceType"),
                ("RemoveBalances", "Account BalanceType"),
                ("SetBalances", "Account Balances"),
                ("TransferBalance", "SourceAccountID SourceBalanceID DestinationAccountID DestinationBalanceID"),
            )
        ],
        ("SetBalance", BALANCE, "MANDATORY_IE_MISSING: [BalanceID or BalanceUUID]"),
        ("SetBalance", {**BALANCE, "Balance": {"Weight": "heavy"}}, 'strconv.ParseFloat: parsing "heavy": invalid syntax'),
        ("SetBalance", {**BALANCE, "Balance": {"UUID": "none"}}, PARTIAL),
        ("AddBalance", {**BALANCE, "Balance": {"ExpiryTime": "soon"}}, "Unsupported time format"),
        ("AddBalance", {**BALANCE, "Balance": {"ExpiryTime": "+soon"}}, 'time: invalid duration "soon"'),
        ("AddBalance", {**BALANCE, "Balance": {"Blocker": "perhaps"}}, 'strconv.ParseBool: parsing "perhaps": invalid syntax'),
        ("AddBalance", {**BALANCE, "Balance": {"TimingIDs": "NOPE"}}, "NOT_FOUND"),
        ("RemoveBalances", BALANCE, "NOT_FOUND"),
    ],
)  # fmt: skip
def test_refused_changes_of_balances(method: str, params: dict[str, Any], error: str) -> None:
    node = new_node()
    assert call(node, f"APIerSv1.{method}", params) == error
    # An unknown account is made once the Balance object has been read, before what it names is looked up.
    made = error in (PARTIAL, "NOT_FOUND") and method != "RemoveBalances"
    assert (call(node, "APIerSv2.GetAccount", {"Account": "a"}) == "NOT_FOUND") != made


# what the account has: A (weight 10), B, C of *monetary, and S of *sms, of 10 each
@pytest.mark.parametrize(
    ("method", "params", "expected"),
    [
        ("AddBalance", {"Value": 1}, "A11 B11 C11 S10"),  # no fields: all of the type
        ("AddBalance", {"Value": -1, "Balance": {"ID": "B"}}, "A10 B11 C10 S10"),  # the sign is dropped
        ("AddBalance", {"Value": 1, "Balance": {"ID": "B", "Weight": 99}}, "A10 B11 C10 S10"),  # by ID alone
        ("AddBalance", {"Value": 1, "Balance": {"Weight": "10"}}, "A11 B10 C10 S10"),
        ("AddBalance", {"Value": 1, "Balance": {"Weight": 11}}, "A10 B10 C10 1 S10"),  # none: a new one
        ("AddBalance", {"Value": 1, "Overwrite": True, "Balance": {"ID": "C"}}, "A10 B10 C1 S10"),
        ("AddBalance", {"Balance": {"ID": "C", "Value": "2.5"}}, "A10 B10 C12.5 S10"),
        ("AddBalance", {"Value": 1, "Balance": {"ID": "C", "Value": 2}}, "A10 B10 C11 S10"),  # the upper Value wins
        ("AddBalance", {"Value": 1, "Balance": {"id": "D", "Unknown": 1}}, "A10 B10 C10 D1 S10"),
        ("DebitBalance", {"Value": 30, "Balance": {"ID": "C"}}, "A10 B10 C-20 S10"),
        ("DebitBalance", {"Value": 30, "Balance": {"ID": "D"}}, "A10 B10 C10 D-30 S10"),
        ("DebitBalance", {"Value": 3, "Overwrite": True, "Balance": {"ID": "C"}}, "A10 B10 C-3 S10"),
        ("SetBalance", {"Value": 0.1234567, "Balance": {"ID": "B"}}, "A10 B0.1234567 C10 S10"),  # not rounded
        ("SetBalance", {"Value": 0, "Balance": {"ID": "B"}}, "A10 B10 C10 S10"),
        ("SetBalance", {"Balance": {"ID": "B", "Value": 0}}, "A10 B0 C10 S10"),
        ("SetBalance", {"Value": -4, "Balance": {"ID": "B"}}, "A10 B4 C10 S10"),
        ("SetBalance", {"Value": 4, "Balance": {"ID": "S"}}, "A10 B10 C10 S4 S10"),  # an ID is looked for in its type
        ("SetBalance", {"Value": 4, "Balance": {"ID": "S", "UUID": "<S>"}}, "A10 B10 C10 S4"),  # a UUID in all
        ("SetBalance", {"Balance": {"ID": "NEW", "UUID": "<A>"}}, "NEW10 B10 C10 S10"),
        ("SetBalance", {"Balance": {"ID": "*default", "Weight": 7}}, "A10 B10 C10 *default0 S10"),
        ("RemoveBalances", {"Balance": {"ID": "A"}}, "C10 B10 S10"),  # the last takes its place
        ("RemoveBalances", {"Balance": {"UUID": "<B>"}}, "A10 C10 S10"),
        ("RemoveBalances", {}, "S10"),
        ("RemoveBalances", {"Balance": {"ID": "S"}}, PARTIAL),
    ],
)
def test_changes_of_balances(method: str, params: dict[str, Any], expected: str) -> None:
    node = new_node()
    for name, kind in (("A", MONEY), ("B", MONEY), ("C", MONEY), ("S", "*sms")):
        add(node, name, 10, kind, Weight=10 if name == "A" else 0)
    uuids = {f"<{b['ID']}>": b["Uuid"] for lists in stored(node)["BalanceMap"].values() for b in lists}
    balance = {name: uuids.get(value, value) for name, value in params.get("Balance", {}).items()}
    answer = call(node, f"APIerSv1.{method}", {**BALANCE, **params, "Balance": balance})
    if expected == PARTIAL:
        assert answer == PARTIAL
        return
    assert answer == "OK"
    lists = held(node)
    assert " ".join(f"{name}{value}" for kind in (MONEY, "*sms") for name, value in lists[kind]) == expected


def test_set_balances_stops_at_the_first_error_and_keeps_what_was_set() -> None:
    node = new_node()
    one = {"BalanceType": MONEY, "Value": 1}
    wanted = [{**one, "Balance": {"ID": "A"}}, one, {**one, "Balance": {"ID": "B"}}]
    assert call(node, "APIerSv1.SetBalances", {"Account": "a", "Balances": wanted}) == (
        "MANDATORY_IE_MISSING: [BalanceID or BalanceUUID]"
    )
    assert values(node) == {"A": 1}


def test_an_expired_balance_is_removed_but_neither_changed_nor_found() -> None:
    node = new_node()
    for name in ("A", "B"):
        add(node, name, 1, ExpiryTime="+1s")
    node.advance(2 * SECOND)
    move = {"SourceAccountID": "a", "SourceBalanceID": "A", "DestinationAccountID": "a", "DestinationBalanceID": "X"}
    assert call(node, "APIerSv1.TransferBalance", {**move, "Units": 1}) == f"SERVER_ERROR: {PARTIAL}"
    assert call(node, "APIerSv1.RemoveBalances", {**BALANCE, "Balance": {"ID": "A"}}) == "OK"
    assert call(node, "APIerSv1.SetBalance", {**BALANCE, "Value": 3, "Balance": {"ID": "B"}}) == "OK"
    assert held(node) == {MONEY: [("B", 3)]}  # the expired one has been cleaned away


# a has M 10 and *default -5 of money, b has M 1 and E, which is expired
@pytest.mark.parametrize(
    ("params", "a", "b"),
    [
        ({"Units": 4}, {"M": 6}, {"M": 5}),
        ({"Units": -1}, {"M": 11}, {"M": 0}),
        ({"DestinationReferenceValue": 3}, {"M": 8}, {"M": 3}),
        ({"DestinationReferenceValue": 0, "Units": 7}, {"M": 11}, {"M": 0}),
        ({"Units": 1, "DestinationBalanceID": "NEW"}, {"M": 9}, {"NEW": 1}),
        ({"Units": 1, "SourceBalanceID": "*default"}, {"*default": -6}, {"M": 2}),
        ({"Units": -7, "DestinationBalanceID": "*default"}, {"M": 17}, {"*default": -7}),
        ({"Units": 0}, None, None),
        ({"DestinationReferenceValue": 1}, None, None),
        ({"Units": 10.00001}, None, None),
        ({"Units": -1.5}, None, None),
        ({"Units": 1, "SourceBalanceID": "NOPE"}, None, None),
        ({"Units": 1, "SourceAccountID": "nobody"}, None, None),
        ({"Units": 1, "DestinationAccountID": "nobody"}, None, None),
        ({"Units": 1, "DestinationBalanceID": "E"}, None, None),
    ],
)
def test_transfers(params: dict[str, Any], a: dict[str, float] | None, b: dict[str, float] | None) -> None:
    node = new_node(3)
    add(node, "M", 10)
    ok(node, "APIerSv1.DebitBalance", {**BALANCE, "Value": 5, "Balance": {"ID": "*default"}})
    add(node, "M", 1, account="b")
    add(node, "E", 1, account="b", ExpiryTime="+1s")
    node.advance(2 * SECOND)
    before = values(node), values(node, account="b")
    move = {"SourceAccountID": "a", "SourceBalanceID": "M", "DestinationAccountID": "b", "DestinationBalanceID": "M"}
    answer = node.call("APIerSv1.TransferBalance", {**move, **params})
    after = values(node), values(node, account="b")
    if a is None or b is None:
        assert (answer["error"], after) == (f"SERVER_ERROR: {PARTIAL}", before)
        assert call(node, "APIerSv2.GetAccount", {"Account": "nobody"}) == "NOT_FOUND"
    else:
        assert answer["result"] == ""
        assert (a.items() <= after[0].items(), b.items() <= after[1].items()) == (True, True), after
