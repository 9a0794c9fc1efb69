"""The actions and methods on triggers, sentence by sentence (spec 20 §7.4, 7.5)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cgr_cluster.node.node import Node
from tests.unit.actions_world import MONEY, add, execute, ok, stored
from tests.unit.triggers_world import (
    GERMANY,
    SECOND,
    ZERO,
    counters,
    debit,
    debit_balance,
    new_node,
    times,
    triggers,
)

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
