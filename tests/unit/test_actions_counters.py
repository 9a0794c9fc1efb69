"""Counters of accounts, sentence by sentence (spec 20 §7.3)."""

from __future__ import annotations

from tests.unit.actions_world import MONEY, add, ok, stored
from tests.unit.triggers_world import (
    FIXED,
    GERMANY,
    MOBILE,
    SECOND,
    counters,
    debit,
    new_node,
    quiet_trigger,
    times,
    trigger,
    triggers,
)


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
