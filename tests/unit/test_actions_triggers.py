"""Triggers and counters of accounts, sentence by sentence (spec 20 §7)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cgr_cluster.node.node import Node
from tests.unit.actions_world import MONEY, add, execute, group, ok, stored, values

PLAN = Path(__file__).parents[1] / "conformance" / "tariffplans" / "accounts_main"
SECOND = 1_000_000_000
ZERO = "0001-01-01T00:00:00Z"
GERMANY, MOBILE, FIXED = "+49301234567", "+40721000111", "+40211234567"
NOTE = {"Identifier": "*topup", "BalanceType": "*sms", "Units": "1", "BalanceId": "N"}


def new_node(money: float = 10, plan: bool = False) -> Node:
    """An account `a` with `money` in MAIN; group NOTE gives an SMS, so that values(node, "*sms") counts executions."""
    node = Node(2)
    if plan:
        ok(node, "APIerSv1.LoadTariffPlanFromFolder", {"FolderPath": str(PLAN)})
    group(node, "NOTE", NOTE)
    add(node, "MAIN", money)
    return node


def trigger(node: Node, unique: str, **fields: Any) -> None:
    """A trigger of the account; setting it evaluates it (every balance counts as changed)."""
    wanted = {"ActionsID": "NOTE", "BalanceType": MONEY, **fields}
    ok(
        node,
        "APIerSv1.SetAccountActionTriggers",
        {"Account": "a", "GroupID": "T", "UniqueID": unique, "ActionTrigger": wanted},
    )


def quiet_trigger(node: Node, unique: str, **fields: Any) -> None:
    """The same by a group, which evaluates nothing."""
    wanted = {"ActionsID": "NOTE", "BalanceType": MONEY, **fields}
    ok(node, "APIerSv1.SetActionTrigger", {"GroupID": "Q", "UniqueID": unique, "ActionTrigger": wanted})
    ok(node, "APIerSv1.AddAccountActionTriggers", {"Account": "a", "ActionTriggerIDs": ["Q"]})


def times(node: Node) -> float:
    """How often NOTE has been executed."""
    return values(node, "*sms").get("N", 0)


def triggers(node: Node) -> dict[str, dict[str, Any]]:
    return {found["UniqueID"]: found for found in stored(node)["ActionTriggers"] or ()}


def debit_balance(node: Node, amount: float, balance: str = "MAIN", kind: str = MONEY) -> None:
    wanted = {"Account": "a", "BalanceType": kind, "Value": amount, "Balance": {"ID": balance}}
    ok(node, "APIerSv1.DebitBalance", wanted)


def debit(node: Node, number: str, seconds: int, **fields: Any) -> dict[str, Any]:
    call = {
        "ToR": "*voice", "Category": "call", "Account": "a", "Destination": number,
        "TimeStart": "2026-03-10T09:00:00Z", "TimeEnd": f"2026-03-10T09:{seconds // 60:02d}:{seconds % 60:02d}Z", **fields,
    }  # fmt: skip
    found: dict[str, Any] = ok(node, "Responder.Debit", call)
    return found


# --- 7.1: thresholds ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"ThresholdType": "*min_balance", "ThresholdValue": 7}, 1),  # it is 7 by then: at the limit
        ({"ThresholdType": "*min_balance", "ThresholdValue": 6.99999}, 0),
        ({"ThresholdType": "*max_balance", "ThresholdValue": 7}, 1),
        ({"ThresholdType": "*max_balance", "ThresholdValue": 7.00001}, 0),
        ({"ThresholdType": "*min_balance", "ThresholdValue": 7, "BalanceID": "MAIN"}, 1),
        ({"ThresholdType": "*min_balance", "ThresholdValue": 7, "BalanceID": "OTHER"}, 0),
        ({"ThresholdType": "*min_balance", "ThresholdValue": 7, "BalanceType": "*voice"}, 0),
        ({"ThresholdType": "*min_balance", "ThresholdValue": 7, "BalanceType": ""}, 0),  # sees no balance
        ({"ThresholdType": "*min_balance", "ThresholdValue": 7, "BalanceWeight": 0}, 1),
        ({"ThresholdType": "*min_balance", "ThresholdValue": 7, "BalanceWeight": 10}, 0),
        ({"ThresholdType": "*min_balance", "ThresholdValue": 7, "BalanceRatingSubject": ""}, 1),
        ({"ThresholdType": "*min_balance", "ThresholdValue": 7, "BalanceRatingSubject": "X"}, 0),
        ({"ThresholdType": "*min_balance", "ThresholdValue": 7, "BalanceCategories": ["call"]}, 0),
        ({"ThresholdType": "*min_balance", "ThresholdValue": 7, "BalanceBlocker": False, "BalanceDisabled": False}, 1),
        ({"ThresholdType": "*min_balance", "ThresholdValue": 7, "BalanceDisabled": True}, 0),
        ({"ThresholdType": "*balance", "ThresholdValue": 7}, 0),
        ({"ThresholdType": "*low", "ThresholdValue": 7}, 0),
        ({"ThresholdType": "*connect", "ThresholdValue": 7}, 0),
        ({"ThresholdType": "*balance_expired"}, 0),
        ({"ThresholdType": "*min_event_counter", "ThresholdValue": 0}, 1),  # at once, as long as it is low
        ({"ThresholdType": "*min_balance_counter", "ThresholdValue": 0}, 1),
        ({"ThresholdType": "*max_event_counter", "ThresholdValue": 1}, 0),
    ],
)
def test_conditions_when_a_balance_of_ten_becomes_seven(fields: dict[str, Any], expected: float) -> None:
    node = new_node()
    quiet_trigger(node, "T", **fields)
    assert times(node) == 0
    debit_balance(node, 3)
    assert times(node) == expected


def test_filters_of_sets_are_equal_not_included() -> None:
    node = new_node()
    ok(node, "APIerSv1.SetBalance", {
        "Account": "a", "BalanceType": MONEY, "Balance": {"ID": "MAIN", "DestinationIDs": "A;B"},
    })  # fmt: skip
    for unique, ids in (("ONE", ["A"]), ("BOTH", ["B", "A"])):
        quiet_trigger(node, unique, ThresholdType="*min_balance", ThresholdValue=9, BalanceDestinationIds=ids)
    debit_balance(node, 3)
    assert {unique: found["Executed"] for unique, found in triggers(node).items()} == {"ONE": False, "BOTH": True}


def test_only_balances_changed_in_the_request_are_looked_at_but_all_after_a_reset() -> None:
    node = new_node(money=3)
    add(node, "OTHER", 100)
    quiet_trigger(node, "LOW", ThresholdType="*min_balance", ThresholdValue=4, Recurrent=True)
    debit_balance(node, 1, "OTHER")  # MAIN is low, but has not changed
    assert times(node) == 0
    ok(node, "APIerSv1.ResetAccountActionTriggers", {"Account": "a"})
    assert times(node) == 1
    ok(node, "APIerSv1.SetAccountActionTriggers", {"Account": "a", "UniqueID": "LOW", "ActionTrigger": {"Weight": 1}})
    assert times(node) == 2
    assert execute(node, {"Identifier": "*reset_triggers"}) is None
    assert times(node) == 3
    ok(node, "APIerSv1.ResetAccountActionTriggers", {"Account": "a", "Executed": True})
    assert (times(node), triggers(node)["LOW"]["Executed"]) == (3, True)


def test_an_expired_balance_fires_before_it_is_removed() -> None:
    node = new_node()
    add(node, "OLD", 5, ExpiryTime="+10s")
    quiet_trigger(node, "GONE", ThresholdType="*balance_expired", BalanceID="OLD")
    debit_balance(node, 1)
    assert times(node) == 0
    node.advance(11 * SECOND)
    assert values(node) == {"MAIN": 9, "OLD": 5}  # no timer: it stays until the next evaluation
    debit_balance(node, 1)  # not OLD itself
    assert (values(node), times(node)) == ({"MAIN": 8}, 1)


def test_a_balance_that_expires_goes_at_the_next_evaluation_without_triggers_too() -> None:
    node = new_node()
    add(node, "OLD", 5, ExpiryTime="+10s")
    node.advance(11 * SECOND)
    add(node, "MAIN", 1)
    assert values(node) == {"MAIN": 11}


# --- 7.2: evaluation ---------------------------------------------------------------------------------------------


def test_triggers_run_by_weight_and_are_stored_so() -> None:
    node = new_node()
    group(node, "RESET", {**NOTE, "Identifier": "*topup_reset", "Units": "100"})
    for unique, weight, actions in (("A", 1, "NOTE"), ("B", 3, "RESET"), ("C", 2, "NOTE")):
        quiet_trigger(node, unique, ThresholdType="*min_balance", ThresholdValue=9, Weight=weight, ActionsID=actions)
    assert list(triggers(node)) == ["A", "B", "C"]
    debit_balance(node, 5)
    assert list(triggers(node)) == ["B", "C", "A"]
    assert times(node) == 102


@pytest.mark.parametrize(
    ("fields", "expected", "kept"),
    [
        ({}, 1, True),
        ({"Executed": True}, 0, True),
        ({"ActivationDate": "+1h"}, 0, True),
        ({"ActivationDate": "-1h"}, 1, True),
        ({"ExpirationDate": "+1h"}, 1, True),
        ({"ExpirationDate": "-1h"}, 0, False),  # and removed by the evaluation
    ],
)
def test_triggers_that_are_skipped(fields: dict[str, Any], expected: float, kept: bool) -> None:
    node = new_node()
    wanted = {"ThresholdType": "*min_balance", "ThresholdValue": 9, "BalanceType": MONEY, "ActionsID": "NOTE", **fields}
    ok(node, "APIerSv1.SetActionTrigger", {"GroupID": "Q", "UniqueID": "T", "ActionTrigger": wanted})
    ok(node, "APIerSv2.SetAccount", {"Account": "a", "ActionTriggerIDs": ["Q"]})
    debit_balance(node, 5)
    assert (times(node), list(triggers(node))) == (expected, ["T"] if kept else [])


def test_min_sleep_is_for_recurrent_triggers() -> None:
    node = new_node()
    quiet_trigger(node, "T", ThresholdType="*min_balance", ThresholdValue=9, Recurrent=True, MinSleep="10s")
    for seconds, expected in ((0, 1), (5, 1), (6, 2), (9, 2), (2, 3)):
        node.advance(seconds * SECOND)
        debit_balance(node, 2)
        assert times(node) == expected


def test_what_an_execution_leaves_behind() -> None:
    node = new_node()
    assert execute(node, {"Identifier": "*disable_account"}) is None
    quiet_trigger(node, "T", ThresholdType="*min_balance", ThresholdValue=9)
    debit_balance(node, 5)
    found = triggers(node)["T"]
    assert (found["Executed"], found["LastExecutionTime"] != ZERO, times(node)) == (
        False,
        True,
        0,
    )  # a disabled account
    assert execute(node, {"Identifier": "*enable_account"}) is None
    quiet_trigger(node, "U", ThresholdType="*min_balance", ThresholdValue=9, ActionsID="NOPE")
    debit_balance(node, 1)
    found = triggers(node)["U"]
    assert (found["Executed"], found["LastExecutionTime"] != ZERO) == (False, True)  # unknown actions
    assert (triggers(node)["T"]["Executed"], times(node)) == (True, 1)


def test_actions_of_a_trigger_evaluate_no_triggers() -> None:
    node = new_node()
    group(node, "MORE", {"Identifier": "*topup", "BalanceType": MONEY, "Units": "100", "BalanceId": "MAIN"})
    quiet_trigger(node, "LOW", ThresholdType="*min_balance", ThresholdValue=9, ActionsID="MORE", Weight=1)
    quiet_trigger(node, "HIGH", ThresholdType="*max_balance", ThresholdValue=50, Weight=2)  # its turn has been
    debit_balance(node, 5)
    assert (values(node), times(node)) == ({"MAIN": 105}, 0)
    debit_balance(node, 5)
    assert times(node) == 1


def test_a_trigger_may_top_up_the_balance_that_pays() -> None:
    node = new_node(money=0.06, plan=True)
    group(node, "MORE", {"Identifier": "*topup", "BalanceType": MONEY, "Units": "1", "BalanceId": "MAIN"})
    quiet_trigger(node, "LOW", ThresholdType="*min_balance", ThresholdValue=0.02, ActionsID="MORE")
    answer = debit(node, GERMANY, 30)
    assert answer["Cost"] == 0.2
    assert values(node) == {"MAIN": 0.86}  # 0.06 less the fee of 0.05, then 1 more, then 0.15
    fee = answer["Timespans"][0]["Increments"][0]
    assert (fee["Cost"], fee["BalanceInfo"]["Monetary"]["Value"]) == (0.05, 1.01)  # after the evaluations


def test_a_new_balance_is_not_used_by_the_running_request() -> None:
    node = new_node(money=0.1, plan=True)
    group(node, "BONUS", {"Identifier": "*topup", "BalanceType": MONEY, "Units": "1", "BalanceId": "BONUS"})
    quiet_trigger(node, "LOW", ThresholdType="*min_balance", ThresholdValue=0.05, ActionsID="BONUS", BalanceID="MAIN")
    debit(node, GERMANY, 30)
    assert values(node) == {"MAIN": 0.05, "BONUS": 1, "*default": -0.15}


def test_a_trigger_that_disables_the_account_does_not_stop_the_debit() -> None:
    node = new_node(plan=True)
    group(node, "LOCK", {"Identifier": "*disable_account"})
    quiet_trigger(node, "LOW", ThresholdType="*min_balance", ThresholdValue=9.9, ActionsID="LOCK")
    assert debit(node, GERMANY, 60)["Cost"] == 0.35
    answer = node.call("Responder.Debit", {"ToR": "*voice", "Category": "call", "Account": "a", "Destination": GERMANY,
                                           "TimeStart": "2026-03-10T09:00:00Z", "TimeEnd": "2026-03-10T09:01:00Z"})  # fmt: skip
    assert answer["error"] == "ACCOUNT_DISABLED"


@pytest.mark.parametrize(
    ("number", "seconds", "fields", "expected"),
    [
        (GERMANY, 120, {}, 6),  # the fee as connection and as money, four increments
        (GERMANY, 120, {"LoopIndex": 1}, 4),  # no fee in a later part
        (MOBILE, 20, {}, 22),  # a fee of 0 counts too
        (MOBILE, 20, {"LoopIndex": 1}, 20),
        (FIXED, 60, {}, 3),
    ],
)
def test_how_often_a_debit_evaluates(number: str, seconds: int, fields: dict[str, Any], expected: float) -> None:
    node = new_node(money=5, plan=True)
    quiet_trigger(
        node, "T", ThresholdType="*min_balance", ThresholdValue=5, Recurrent=True, BalanceID="MAIN"
    )  # fmt: skip
    debit(node, number, seconds, **fields)
    assert times(node) == expected


def test_free_units_before_evaluate_without_a_fee() -> None:
    node = new_node(money=5, plan=True)
    add(node, "V", 10 * SECOND, "*voice")
    quiet_trigger(
        node, "T", ThresholdType="*min_balance", ThresholdValue=100 * SECOND, Recurrent=True, BalanceType="*voice"
    )
    debit(node, MOBILE, 20)
    assert times(node) == 20  # 10 free seconds, and 10 paid ones: V has changed in this request, and is low


def test_each_refunded_increment_evaluates() -> None:
    node = new_node(money=5, plan=True)
    answer = debit(node, GERMANY, 120)
    quiet_trigger(node, "T", ThresholdType="*max_balance", ThresholdValue=0, Recurrent=True, BalanceID="MAIN")
    increments = answer["Timespans"][0]["Increments"]
    assert [entry["CompressFactor"] for entry in increments] == [1, 4]
    ok(node, "Responder.RefundIncrements", {"ToR": "*voice", "Account": "a", "Increments": increments})
    assert (values(node), times(node)) == ({"MAIN": 5}, 5)


# --- 7.3: counters -----------------------------------------------------------------------------------------------


def counters(node: Node) -> dict[str, float]:
    """Unique id of the trigger → value."""
    found = stored(node)["UnitCounters"] or {}
    return {
        counter["Filter"]["ID"]: counter["Value"]
        for kinds in found.values()
        for unit_counter in kinds
        for counter in unit_counter["Counters"]
    }


def test_what_counters_are_fed() -> None:
    node = new_node(plan=True)
    add(node, "V", 60 * SECOND, "*voice", Weight=20, DestinationIDs="MOBILE_HOME")
    wanted = {
        "MONEY": {"BalanceType": MONEY},
        "CONNECTIONS": {"BalanceType": "*event_connect"},
        "VOICE": {"BalanceType": "*voice"},
        "GERMANY": {"BalanceType": MONEY, "BalanceDestinationIds": ["GERMANY"]},
        "HOME": {"BalanceType": MONEY, "BalanceDestinationIds": ["FIXED_HOME", "NATIONAL"]},
        "CALLS": {"BalanceType": MONEY, "BalanceCategories": ["call"]},
        "OTHER": {"BalanceType": MONEY, "BalanceCategories": ["sms"]},
    }
    for unique, fields in wanted.items():
        quiet_trigger(node, unique, ThresholdType="*max_event_counter", ThresholdValue=10**15, **fields)
    for unique, fields in {
        "B_MONEY": {"BalanceType": MONEY},
        "B_HEAVY": {"BalanceType": "*voice", "BalanceWeight": 20},
        "B_LIGHT": {"BalanceType": "*voice", "BalanceWeight": 1},
    }.items():
        quiet_trigger(node, unique, ThresholdType="*max_balance_counter", ThresholdValue=10**15, **fields)
    debit(node, MOBILE, 80)  # 60 s from V, 20 s at 0.002
    debit(node, GERMANY, 60)  # 0.05 and 0.3
    debit(node, FIXED, 60)  # 0.02 and 0.06
    assert counters(node) == {
        "MONEY": 0.47, "CONNECTIONS": 2, "VOICE": 60 * SECOND, "GERMANY": 0.35, "HOME": 0.12, "CALLS": 0.47, "OTHER": 0,
        "B_MONEY": 0.47, "B_HEAVY": 60 * SECOND, "B_LIGHT": 0,
    }  # fmt: skip


def test_counters_go_with_their_trigger_and_keep_their_value_when_made_anew() -> None:
    node = new_node(plan=True)
    assert stored(node)["UnitCounters"] is None
    quiet_trigger(node, "A", ThresholdType="*max_event_counter", ThresholdValue=99)
    assert counters(node) == {"A": 0}  # attaching a group sets them up
    debit(node, GERMANY, 30)
    quiet_trigger(node, "B", ThresholdType="*max_balance_counter", ThresholdValue=99)
    assert counters(node) == {"A": 0.2, "B": 0}
    assert {u["CounterType"] for u in stored(node)["UnitCounters"][MONEY]} == {"*event", "*balance"}
    trigger(node, "C", ThresholdType="*max_event_counter", ThresholdValue=99)  # only at the next change of a balance
    assert "C" not in counters(node)
    add(node, "MAIN", 1)
    assert counters(node) == {"A": 0.2, "B": 0, "C": 0}
    ok(node, "APIerSv1.RemoveAccountActionTriggers", {"Account": "a", "UniqueID": "A"})
    assert counters(node) == {"B": 0, "C": 0}
    ok(node, "APIerSv1.RemoveAccountActionTriggers", {"Account": "a"})
    assert (stored(node)["UnitCounters"], stored(node)["ActionTriggers"]) == (None, None)


def test_a_balance_id_given_to_a_counter_trigger_is_lost() -> None:
    node = new_node(plan=True)
    quiet_trigger(node, "U", ThresholdType="*max_event_counter", ThresholdValue=0.1, BalanceID="MAIN")
    assert counters(node) == {"MAIN": 0}
    debit(node, GERMANY, 30)
    assert triggers(node)["U"]["Balance"]["ID"] == "U"
    add(node, "MAIN", 1)  # its counter is made anew under the new id
    assert counters(node) == {"U": 0}


def test_a_counter_trigger_fires_when_its_counter_gets_there() -> None:
    node = new_node(plan=True)
    quiet_trigger(node, "CAP", ThresholdType="*max_event_counter", ThresholdValue=0.5)
    debit(node, GERMANY, 60)
    assert times(node) == 0
    debit(node, GERMANY, 60)
    assert (times(node), counters(node)) == (1, {"CAP": 0.7})
    debit(node, GERMANY, 60)
    assert times(node) == 1


# --- 7.4: which triggers an action means -------------------------------------------------------------------------


def three_triggers(node: Node) -> None:
    for unique, group_id, fields in (
        ("LOW", "G1", {"ThresholdType": "*min_balance", "BalanceID": "MAIN"}),
        ("HIGH", "G1", {"ThresholdType": "*max_balance", "BalanceWeight": 10}),
        ("VOICE", "G2", {"ThresholdType": "*min_balance", "BalanceType": "*voice"}),
    ):
        wanted = {"BalanceType": MONEY, "ThresholdValue": -1, "ActionsID": "NOTE", "Executed": True, **fields}
        ok(node, "APIerSv1.SetActionTrigger", {"GroupID": group_id, "UniqueID": unique, "ActionTrigger": wanted})
    params = {"Account": "a", "ActionTriggerIDs": ["G1", "G2"], "Executed": True}
    ok(node, "APIerSv1.AddAccountActionTriggers", params)


@pytest.mark.parametrize(
    ("row", "extra", "expected"),
    [
        ({}, {}, {"LOW", "HIGH", "VOICE"}),
        ({"BalanceType": MONEY, "Units": "0", "BalanceId": "MAIN"}, {}, {"LOW", "HIGH", "VOICE"}),  # even those given
        ({}, {"GroupID": "G1"}, {"LOW", "HIGH"}),
        ({}, {"GroupID": "G1", "UniqueID": "VOICE"}, {"LOW", "HIGH"}),  # the group alone decides
        ({}, {"UniqueID": "VOICE"}, {"VOICE"}),
        ({}, {"ThresholdType": "*min_balance"}, {"LOW", "VOICE"}),
        ({}, {"UniqueID": "NOPE"}, set()),
    ],
)
def test_reset_triggers_means(row: dict[str, Any], extra: dict[str, str], expected: set[str]) -> None:
    node = new_node()
    three_triggers(node)
    action = {"Identifier": "*reset_triggers", **row, "ExtraParameters": json.dumps(extra) if extra else ""}
    assert execute(node, action) is None
    assert {unique for unique, found in triggers(node).items() if not found["Executed"]} == expected


@pytest.mark.parametrize(
    ("row", "extra", "expected"),
    [
        ({}, {}, set()),  # its Type is "": no trigger without type
        ({"BalanceType": MONEY, "Units": "0"}, {}, {"LOW", "HIGH"}),
        ({"BalanceType": "*voice", "Units": "0"}, {}, {"VOICE"}),
        ({"BalanceType": MONEY, "Units": "0", "BalanceId": "MAIN"}, {}, {"LOW"}),
        ({"BalanceType": MONEY, "Units": "0", "BalanceWeight": "10"}, {}, {"HIGH"}),
        ({"BalanceType": MONEY, "Units": "0"}, {"UniqueID": "HIGH"}, {"HIGH"}),
        ({"BalanceType": "*voice", "Units": "0"}, {"UniqueID": "HIGH"}, set()),
        ({"BalanceType": MONEY, "Units": "0"}, {"GroupID": "G2"}, set()),
    ],
)
def test_set_recurrent_means(row: dict[str, Any], extra: dict[str, str], expected: set[str]) -> None:
    node = new_node()
    three_triggers(node)
    action = {"Identifier": "*set_recurrent", **row, "ExtraParameters": json.dumps(extra) if extra else ""}
    assert execute(node, action) is None
    assert {unique for unique, found in triggers(node).items() if found["Recurrent"]} == expected


# --- 7.5: methods ------------------------------------------------------------------------------------------------

LOW = {"ThresholdType": "*min_balance", "ThresholdValue": 2, "BalanceType": MONEY, "ActionsID": "NOTE"}


@pytest.mark.parametrize(
    ("method", "params", "expected"),
    [
        ("SetActionTrigger", {}, "MANDATORY_IE_MISSING: [GroupID]"),
        ("SetActionTrigger", {"GroupID": "G", "ActionTrigger": {"ThresholdValue": "few"}},
         'strconv.ParseFloat: parsing "few": invalid syntax'),
        ("SetActionTrigger", {"GroupID": "G", "ActionTrigger": {"Recurrent": "perhaps"}},
         'strconv.ParseBool: parsing "perhaps": invalid syntax'),
        ("SetActionTrigger", {"GroupID": "G", "ActionTrigger": {"MinSleep": "soon"}}, 'time: invalid duration "soon"'),
        ("SetActionTrigger", {"GroupID": "G", "ActionTrigger": {"ExpirationDate": "soon"}}, "Unsupported time format"),
        ("SetActionTrigger", {"GroupID": "G", "ActionTrigger": {"BalanceWeight": "heavy"}},
         'strconv.ParseFloat: parsing "heavy": invalid syntax'),
        ("GetActionTriggers", {}, "NOT_FOUND"),
        ("GetActionTriggers", {"GroupIDs": ["NOPE"]}, "NOT_FOUND"),
        ("RemoveActionTrigger", {}, "MANDATORY_IE_MISSING: [GroupID]"),
        ("RemoveActionTrigger", {"GroupID": "NOPE", "UniqueID": "U"}, "NOT_FOUND"),
        ("RemoveActionTrigger", {"GroupID": "NOPE"}, None),
        ("GetAccountActionTriggers", {}, "MANDATORY_IE_MISSING: [Account]"),
        ("GetAccountActionTriggers", {"Account": "nobody"}, "SERVER_ERROR: NOT_FOUND"),
        ("GetAccountActionTriggers", {"Account": "a"}, None),
        ("AddAccountActionTriggers", {}, "MANDATORY_IE_MISSING: [Account]"),
        ("AddAccountActionTriggers", {"Account": "nobody"}, "NOT_FOUND"),
        ("AddAccountActionTriggers", {"Account": "a", "ActionTriggerIDs": ["NOPE"]}, "NOT_FOUND"),
        ("AddAccountActionTriggers", {"Account": "a", "ActivationDate": "soon"}, "Unsupported time format"),
        ("SetAccountActionTriggers", {}, "MANDATORY_IE_MISSING: [Account]"),
        ("SetAccountActionTriggers", {"Account": "nobody", "GroupID": "G", "ActionTrigger": LOW}, "NOT_FOUND"),
        ("SetAccountActionTriggers", {"Account": "a"}, "MANDATORY_IE_MISSING: [GroupID]"),
        ("SetAccountActionTriggers", {"Account": "a", "GroupID": "G"},
         "MANDATORY_IE_MISSING: [ThresholdType ThresholdValue]"),
        ("SetAccountActionTriggers", {"Account": "a", "GroupID": "G", "ActionTrigger": {"ThresholdType": "*min_balance"}},
         "MANDATORY_IE_MISSING: [ThresholdValue]"),
        ("SetAccountActionTriggers", {"Account": "a", "GroupID": "G", "ActionTrigger": {**LOW, "Weight": "x"}},
         'strconv.ParseFloat: parsing "x": invalid syntax'),
        ("ResetAccountActionTriggers", {}, "MANDATORY_IE_MISSING: [Account]"),
        ("ResetAccountActionTriggers", {"Account": "nobody"}, "NOT_FOUND"),
        ("RemoveAccountActionTriggers", {}, "MANDATORY_IE_MISSING: [Account]"),
        ("RemoveAccountActionTriggers", {"Account": "nobody"}, "NOT_FOUND"),
        ("AddTriggeredAction", {}, "MANDATORY_IE_MISSING: [Account]"),
        ("AddTriggeredAction", {"Account": "nobody"}, "SERVER_ERROR: NOT_FOUND"),
    ],
)  # fmt: skip
def test_errors_of_methods(method: str, params: dict[str, Any], expected: str | None) -> None:
    node = new_node()
    before = stored(node)
    assert node.call(f"APIerSv1.{method}", params)["error"] == expected
    assert stored(node) == before


def test_all_fields_of_a_trigger_are_read_and_shown() -> None:
    node = new_node()
    fields = {
        "ThresholdType": "*max_balance", "ThresholdValue": "2.5", "Recurrent": "true", "Executed": True, "MinSleep": "1m",
        "ExpirationDate": "2030-01-02T03:04:05Z", "ActivationDate": "2020-01-01T00:00:00Z", "BalanceID": "B",
        "BalanceType": "*voice", "BalanceDestinationIds": ["D1", "!D2"], "BalanceWeight": 7.5,
        "BalanceExpirationDate": "2031-01-01T00:00:00Z", "BalanceTimingTags": ["TM"], "BalanceRatingSubject": "RS",
        "BalanceCategories": ["call"], "BalanceSharedGroups": ["SG"], "BalanceBlocker": True, "BalanceDisabled": "false",
        "MinQueuedItems": 3, "ActionsID": "NOTE", "Weight": 9, "Unknown": "ignored",
    }  # fmt: skip
    ok(node, "APIerSv1.SetActionTrigger", {"GroupID": "G", "UniqueID": "U", "ActionTrigger": fields})
    assert ok(node, "APIerSv1.GetActionTriggers", {"GroupIDs": ["G"]}) == [
        {
            "ID": "G", "UniqueID": "U", "ThresholdType": "*max_balance", "ThresholdValue": 2.5, "Recurrent": True,
            "MinSleep": 60 * SECOND, "ExpirationDate": "2030-01-02T03:04:05Z", "ActivationDate": "2020-01-01T00:00:00Z",
            "Balance": {
                "Uuid": None, "ID": "B", "Type": "*voice", "Value": None, "ExpirationDate": "2031-01-01T00:00:00Z",
                "Weight": 7.5, "DestinationIDs": {"D1": True, "D2": False}, "RatingSubject": "RS",
                "Categories": {"call": True}, "SharedGroups": {"SG": True}, "TimingIDs": {"TM": True}, "Timings": None,
                "Disabled": False, "Factors": None, "Blocker": True,
            },
            "Weight": 9, "ActionsID": "NOTE", "MinQueuedItems": 3, "Executed": True, "LastExecutionTime": ZERO,
        }
    ]  # fmt: skip


def test_groups_are_listed_changed_and_removed() -> None:
    node = new_node()
    ok(node, "APIerSv1.SetActionTrigger", {"GroupID": "G", "ActionTrigger": LOW})
    made = ok(node, "APIerSv1.GetActionTriggers", {})[0]["UniqueID"]
    assert len(made) == 36  # generated
    ok(node, "APIerSv1.SetActionTrigger", {"GroupID": "G", "ActionTrigger": LOW})  # another one
    ok(node, "APIerSv1.SetActionTrigger", {"GroupID": "G", "UniqueID": made, "ActionTrigger": {"ThresholdValue": 9}})
    ok(node, "APIerSv1.SetActionTrigger", {"GroupID": "H", "UniqueID": "U", "ActionTrigger": LOW})
    found = ok(node, "APIerSv1.GetActionTriggers", {})
    assert [(one["ID"], one["ThresholdValue"]) for one in found] == [("G", 9), ("G", 2), ("H", 2)]
    ok(node, "APIerSv1.RemoveActionTrigger", {"GroupID": "G", "UniqueID": made})
    assert len(ok(node, "APIerSv1.GetActionTriggers", {"GroupIDs": ["G"]})) == 1
    ok(node, "APIerSv1.RemoveActionTrigger", {"GroupID": "G"})
    assert [one["ID"] for one in ok(node, "APIerSv1.GetActionTriggers", {})] == ["H"]


def test_attached_triggers_are_copies() -> None:
    node = new_node()
    ok(node, "APIerSv1.SetActionTrigger", {"GroupID": "G", "UniqueID": "U", "ActionTrigger": LOW})
    add_group = {"Account": "a", "ActionTriggerIDs": ["G"]}
    ok(node, "APIerSv1.AddAccountActionTriggers", {**add_group, "ActivationDate": "2022-02-02T00:00:00Z"})
    ok(node, "APIerSv1.AddAccountActionTriggers", add_group)  # it has it already
    assert [found["ActivationDate"] for found in triggers(node).values()] == ["2022-02-02T00:00:00Z"]
    assert ok(node, "APIerSv1.GetActionTriggers", {})[0]["ActivationDate"] == ZERO
    ok(node, "APIerSv1.SetActionTrigger", {"GroupID": "G", "UniqueID": "U", "ActionTrigger": {"ThresholdValue": 50}})
    assert triggers(node)["U"]["ThresholdValue"] == 2
    ok(node, "APIerSv1.SetActionTrigger", {"GroupID": "H", "UniqueID": "V", "ActionTrigger": LOW})
    overwrite = {"Account": "a", "ActionTriggerIDs": ["H"], "ActionTriggerOverwrite": True, "Executed": True}
    ok(node, "APIerSv1.AddAccountActionTriggers", overwrite)
    assert {unique: found["Executed"] for unique, found in triggers(node).items()} == {"V": True}


def test_triggers_of_an_account_are_meant_by_their_ids() -> None:
    node = new_node()
    for group_id, unique in (("G", "U1"), ("G", "U2"), ("H", "U1")):
        fields = {**LOW, "ThresholdValue": -5}
        ok(node, "APIerSv1.SetActionTrigger", {"GroupID": group_id, "UniqueID": unique, "ActionTrigger": fields})
    ok(node, "APIerSv1.AddAccountActionTriggers", {"Account": "a", "ActionTriggerIDs": ["G", "H"]})

    def weights() -> list[float]:
        return [one["Weight"] for one in sorted(stored(node)["ActionTriggers"], key=lambda t: (t["ID"], t["UniqueID"]))]

    for ids, expected in (
        ({"GroupID": "G"}, [1, 1, 0]),
        ({"UniqueID": "U1"}, [2, 1, 2]),
        ({"GroupID": "H", "UniqueID": "U1"}, [2, 1, 3]),
        ({}, [4, 4, 4]),
    ):
        weight = max(expected)
        ok(node, "APIerSv1.SetAccountActionTriggers", {"Account": "a", **ids, "ActionTrigger": {"Weight": weight}})
        assert weights() == expected
    ok(
        node,
        "APIerSv1.ResetAccountActionTriggers",
        {"Account": "a", "GroupID": "G", "UniqueID": "U2", "Executed": True},
    )
    assert sum(one["Executed"] for one in stored(node)["ActionTriggers"]) == 1
    ok(node, "APIerSv1.RemoveAccountActionTriggers", {"Account": "a", "UniqueID": "U1"})
    assert [one["UniqueID"] for one in stored(node)["ActionTriggers"]] == ["U2"]


def test_the_old_way_of_adding_a_trigger() -> None:
    node = new_node()
    params = {
        "Account": "a", "ActionTriggersId": "OLD", "ThresholdType": "*min_balance", "ThresholdValue": 7,
        "BalanceType": MONEY, "BalanceDestinationIds": "D1;D2", "BalanceWeight": 3, "BalanceRatingSubject": "RS",
        "BalanceSharedGroup": "SG", "BalanceId": "MAIN", "Weight": 5, "ActionsId": "NOTE",
    }  # fmt: skip
    ok(node, "APIerSv1.AddTriggeredAction", params)
    (found,) = stored(node)["ActionTriggers"]
    assert (found["ID"], found["UniqueID"], found["ThresholdValue"], found["Weight"]) == ("OLD", "", 7, 5)
    balance = found["Balance"]
    assert (balance["ID"], balance["Weight"], balance["ExpirationDate"]) == ("MAIN", 3, ZERO)
    assert (balance["DestinationIDs"], balance["SharedGroups"]) == ({"D1": True, "D2": True}, {"SG": True})
    debit_balance(node, 4)
    assert times(node) == 1  # by its id


def test_a_counter_trigger_without_unique_id() -> None:
    node = new_node(plan=True)
    params = {"Account": "a", "ActionTriggersId": "OLD", "ThresholdType": "*max_event_counter", "ThresholdValue": 0.3}
    ok(node, "APIerSv1.AddTriggeredAction", {**params, "BalanceType": MONEY, "ActionsId": "NOTE"})
    add(node, "MAIN", 1)
    assert counters(node) == {None: 0}
    debit(node, GERMANY, 60)
    assert (times(node), counters(node)) == (1, {None: 0.35})
    assert stored(node)["ActionTriggers"][0]["Balance"]["ID"] is None
