"""Triggers of accounts, sentence by sentence: thresholds and evaluation (spec 20 §7.1, 7.2)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.actions_world import MONEY, add, execute, group, ok, values
from tests.unit.triggers_world import (
    FIXED,
    GERMANY,
    MOBILE,
    NOTE,
    SECOND,
    ZERO,
    debit,
    debit_balance,
    new_node,
    quiet_trigger,
    times,
    triggers,
)

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
