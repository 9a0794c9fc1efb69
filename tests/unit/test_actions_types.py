"""Every action type on an account, and how a group runs (spec 20 §5.1, 5.2, 7.4)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cgr_cluster.config import settings
from cgr_cluster.node.node import Node
from cgr_cluster.rpc.errors import ApiError

SECOND = 1_000_000_000
MONEY = "*monetary"


def ok(node: Node, method: str, params: Any) -> Any:
    answer = node.call(method, params)
    assert answer["error"] is None, (method, answer)
    return answer["result"]


def group(node: Node, name: str, *rows: dict[str, Any]) -> None:
    full = [{"Weight": 100 - place, **row} for place, row in enumerate(rows)]
    ok(node, "APIerSv2.SetActions", {"ActionsId": name, "Overwrite": True, "Actions": full})


def run(node: Node, *rows: dict[str, Any], account: str = "a") -> str | None:
    """The error of executing a group of these actions."""
    group(node, "G", *rows)
    answer = node.call("APIerSv1.ExecuteAction", {"Account": account, "ActionsId": "G"})
    node.run()
    return answer["error"]


def add(node: Node, balance: str, value: float, kind: str = MONEY, account: str = "a", **fields: Any) -> None:
    ok(
        node,
        "APIerSv1.AddBalance",
        {"Account": account, "BalanceType": kind, "Value": value, "Balance": {"ID": balance, **fields}},
    )


def stored(node: Node, account: str = "a") -> dict[str, Any]:
    found: dict[str, Any] = ok(node, "APIerSv2.GetAccount", {"Account": account})
    return found


def values(node: Node, kind: str = MONEY, account: str = "a") -> dict[str, float]:
    return {b["ID"]: b["Value"] for b in (stored(node, account)["BalanceMap"] or {}).get(kind, ())}


def money(identifier: str, units: str, balance: str = "MAIN", **more: Any) -> dict[str, Any]:
    return {"Identifier": identifier, "BalanceType": MONEY, "Units": units, "BalanceId": balance, **more}


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([money("*topup", "4")], {"MAIN": 14}),
        ([money("*topup", "-4")], {"MAIN": 14}),  # the sign is dropped
        ([money("*topup", "0.123456789")], {"MAIN": 10.12346}),
        ([money("*topup_reset", "4")], {"MAIN": 4}),
        ([money("*debit", "4")], {"MAIN": 6}),
        ([money("*debit", "-2")], {"MAIN": 12}),  # the sign counts
        ([money("*debit", "30")], {"MAIN": -20}),
        ([money("*debit_reset", "4")], {"MAIN": -4}),
        ([money("*debit", "30"), money("*topup_zero_negative", "-3")], {"MAIN": 3}),
        ([money("*topup_zero_negative", "3")], {"MAIN": 7}),  # what it takes is subtracted
        ([money("*topup", "4", "NEW")], {"MAIN": 10, "NEW": 4}),
        ([money("*set_balance", "0.1234567")], {"MAIN": 0.1234567}),
        ([money("*set_balance", "5", "NEW")], {"MAIN": 10, "NEW": 5}),
        ([money("*remove_balance", "0")], {}),
        (
            [money("*topup", "4", "B"), money("*transfer_monetary_default", "0", "")],
            {"MAIN": 0, "B": 0, "*default": 14},
        ),
        ([{"Identifier": "*reset_account"}], {"": 0}),
        ([money("*topup", "1"), money("*topup_reset", "2")], {"MAIN": 2}),
        ([money("*topup_reset", "2", Weight=1), money("*topup", "1", Weight=2)], {"MAIN": 2}),  # by weight
    ],
)
def test_money_of_an_account_with_ten(rows: list[dict[str, Any]], expected: dict[str, float]) -> None:
    node = Node()
    add(node, "MAIN", 10)
    assert run(node, *rows) is None
    assert values(node) == expected


@pytest.mark.parametrize(
    "failing",
    [
        {"Identifier": "*no_such_type"},
        money("*remove_balance", "0", "NOT_THERE"),
        {"Identifier": "*remove_expired"},
        {"Identifier": "*set_balance", "BalanceId": "X"},
        {"Identifier": "*transfer_balance", "BalanceId": "MAIN", "Units": "1", "ExtraParameters": "no json"},
        {"Identifier": "*dynamic_filter"},
    ],
)
def test_an_error_undoes_the_whole_group(failing: dict[str, Any]) -> None:
    node = Node()
    add(node, "MAIN", 10)
    assert run(node, money("*topup", "4"), failing, money("*topup", "4")) == "PARTIALLY_EXECUTED"
    assert values(node) == {"MAIN": 10}


@pytest.mark.parametrize(
    ("filters", "error", "expected"),
    [
        ("*gte:~*req.BalanceMap.*monetary.GetTotalValue:10", None, 14),
        ("*gt:~*req.BalanceMap.*monetary.GetTotalValue:10", None, 11),
        ("*string:~*req.BalanceMap.*monetary[0].ID:MAIN", None, 14),
        ("*eq:~*req.BalanceMap.*monetary.MAIN.Value:10", None, 14),
        ("*string:~*req.Disabled:false", None, 14),
        ("*string:~*req.BalanceMap.*monetary[7].ID:MAIN", None, 11),  # past the end: no match
        ("*gt:~*req.BalanceMap.*sms.GetTotalValue:0", None, 11),  # no such type: no match
        ("*string:~*req.BalanceMap.*monetary.NOPE.ID:MAIN", None, 10),  # cannot be evaluated: nothing, yet OK
        ("FLTR_UNKNOWN", None, 10),
        ("*no_type:~*req.ID:x", None, 10),
        ("*string:~*req.ID:cgrates.org:a", None, 14),
        ("*string:~*req.ID:cgrates.org:a;*string:~*req.Disabled:true", None, 11),  # all must pass
        ("*notstring:~*req.Nope:x", None, 14),
        ("*notstring:~*req.BalanceMap.*monetary.NOPE.ID:x", None, 10),
        ("*eq:~*accounts.b.BalanceMap.*monetary[0].Value:7", None, 14),  # in another shard
        ("*gt:~*accounts.b.BalanceMap.*monetary[0].Value:7", None, 11),
        ("*eq:~*accounts.nobody.BalanceMap.*monetary[0].Value:7", None, 11),
        ("*eq:~*accounts.b.Nope:7", None, 10),
    ],
)
def test_filters(filters: str, error: str | None, expected: float) -> None:
    node = Node(3)
    add(node, "MAIN", 10)
    add(node, "OTHER", 7, account="b")
    assert run(node, money("*topup", "1", Weight=1), money("*topup", "3", Filters=filters)) == error
    assert values(node) == {"MAIN": expected}


def test_filters_on_statistics() -> None:
    node = Node(3)
    metrics = [{"MetricID": "*ddc"}]
    ok(
        node,
        "APIerSv1.SetStatQueueProfile",
        {"ID": "Q", "QueueLength": 9, "Metrics": metrics, "ThresholdIDs": ["*none"]},
    )
    for number in range(2):
        ok(node, "StatSv1.ProcessEvent", {"ID": f"e{number}", "Event": {"Destination": f"49{number}"}})
    for filters, expected in (
        ("*gte:~*stats.Q.*ddc:2", 3),
        ("*gt:~*stats.Q.*ddc:2", 0),
        ("*gt:~*stats.NOPE.*ddc:0", 0),
    ):
        assert run(node, money("*topup_reset", "0"), money("*topup", "3", Filters=filters)) is None
        assert values(node) == {"MAIN": expected}


def test_flags() -> None:
    node = Node()
    assert run(node, {"Identifier": "*allow_negative"}, {"Identifier": "*disable_account"}) is None
    assert (stored(node)["AllowNegative"], stored(node)["Disabled"]) == (True, True)
    assert run(node, {"Identifier": "*deny_negative"}, {"Identifier": "*enable_account"}) is None
    assert (stored(node)["AllowNegative"], stored(node)["Disabled"]) == (False, False)


def test_expiry() -> None:
    node = Node()
    add(node, "MAIN", 10)
    assert run(node, money("*set_expiry", "0", ExpiryTime="2044-06-30T00:00:00Z")) is None
    assert stored(node)["BalanceMap"][MONEY][0]["ExpirationDate"] == "2044-06-30T00:00:00Z"
    assert run(node, money("*set_expiry", "0", ExpiryTime="+1s")) is None
    node.advance(2 * SECOND)
    assert run(node, {"Identifier": "*remove_expired", "BalanceType": MONEY, "Units": "0"}) is None
    assert stored(node)["BalanceMap"] == {MONEY: []}


def test_the_last_takes_the_place_of_an_expired_one_that_is_removed() -> None:
    node = Node()
    for name in "ABCDE":
        add(node, name, 1, ExpiryTime="+1s" if name in "BD" else "")
    node.advance(2 * SECOND)
    assert run(node, {"Identifier": "*remove_expired", "BalanceType": "*sms", "Units": "0"}) == "PARTIALLY_EXECUTED"
    assert run(node, money("*remove_expired", "0", "A")) == "PARTIALLY_EXECUTED"  # it has not expired
    assert run(node, {"Identifier": "*remove_expired"}) is None
    assert list(values(node)) == ["A", "E", "C"]


def test_a_trigger_s_actions_read_others_too() -> None:
    node = Node(3)
    add(node, "MAIN", 10)
    add(node, "OTHER", 7, account="b")
    group(node, "LOW", money("*topup", "50", Filters="*eq:~*accounts.b.BalanceMap.*monetary[0].Value:7"))
    low = {"ThresholdType": "*min_balance", "ThresholdValue": 3, "BalanceType": MONEY, "ActionsID": "LOW"}
    ok(node, "APIerSv1.SetActionTrigger", {"GroupID": "T", "UniqueID": "u", "ActionTrigger": low})
    ok(node, "APIerSv2.SetAccount", {"Account": "a", "ActionTriggerIDs": ["T"]})
    assert run(node, money("*debit", "8")) is None
    node.run()
    assert values(node) == {"MAIN": 52}


def test_a_removed_account_is_gone() -> None:
    node = Node()
    add(node, "MAIN", 10)
    add(node, "MAIN", 10, account="b")
    extra = json.dumps({"Tenant": "cgrates.org", "Account": "b"})
    group(node, "G", {"Identifier": "*remove_account", "ExtraParameters": extra})
    ok(node, "APIerSv1.ExecuteAction", {"ActionsId": "G"})  # without account
    assert run(node, {"Identifier": "*remove_account"}) is None
    for account in "ab":
        assert node.call("APIerSv2.GetAccount", {"Account": account})["error"] == "NOT_FOUND"


def test_without_account_only_what_needs_none_runs() -> None:
    node = Node()
    group(node, "G", money("*topup", "4"), {"Identifier": "*log"})
    ok(node, "APIerSv1.ExecuteAction", {"ActionsId": "G"})
    assert node.call("APIerSv1.GetAccountIDs", {})["error"] == "NOT_FOUND"


def trigger(node: Node, unique: str, **fields: Any) -> None:
    ok(
        node,
        "APIerSv1.SetAccountActionTriggers",
        {"Account": "a", "GroupID": "T", "UniqueID": unique, "ActionTrigger": fields},
    )


def executed(node: Node) -> dict[str, bool]:
    return {t["UniqueID"]: t["Executed"] for t in stored(node)["ActionTriggers"]}


def armed_node() -> Node:
    """An account with 3 of money and two triggers that have executed: LOW on money, LONG on voice."""
    node = Node()
    group(node, "NOTE", {"Identifier": "*topup", "BalanceType": "*sms", "Units": "1", "BalanceId": "N"})
    add(node, "MAIN", 10)
    add(node, "V", 100, "*voice")
    trigger(node, "LOW", ThresholdType="*min_balance", ThresholdValue=4, BalanceType=MONEY, ActionsID="NOTE")
    trigger(node, "LONG", ThresholdType="*max_balance", ThresholdValue=50, BalanceType="*voice", ActionsID="NOTE")
    assert run(node, money("*debit", "7")) is None
    return node


def test_triggers_execute_once_until_they_are_reset() -> None:
    node = armed_node()
    assert executed(node) == {"LOW": True, "LONG": True}
    assert values(node, "*sms") == {"N": 2}
    assert (
        run(node, {"Identifier": "*reset_triggers"}) is None
    )  # armed, and at once executed again: still low, still long
    assert executed(node) == {"LOW": True, "LONG": True}
    assert values(node, "*sms") == {"N": 4}


@pytest.mark.parametrize(
    ("extra", "sms"),
    [
        ({"UniqueID": "LOW"}, 3),
        ({"GroupID": "T"}, 4),
        ({"GroupID": "OTHER"}, 2),
        ({"ThresholdType": "*max_balance"}, 3),
    ],
)
def test_reset_triggers_names_its_triggers(extra: dict[str, str], sms: int) -> None:
    node = armed_node()
    assert run(node, {"Identifier": "*reset_triggers", "ExtraParameters": json.dumps(extra)}) is None
    assert values(node, "*sms") == {"N": sms}


def test_set_recurrent_needs_the_type_of_the_trigger() -> None:
    node = armed_node()
    assert run(node, {"Identifier": "*set_recurrent"}) is None
    assert [t["Recurrent"] for t in stored(node)["ActionTriggers"]] == [False, False]
    extra = json.dumps({"UniqueID": "LOW"})
    row = {"BalanceType": MONEY, "Units": "0", "ExtraParameters": extra}
    assert run(node, {"Identifier": "*set_recurrent", **row}) is None
    assert {t["UniqueID"]: t["Recurrent"] for t in stored(node)["ActionTriggers"]} == {"LOW": True, "LONG": False}
    assert run(node, {"Identifier": "*unset_recurrent", **row}) is None
    assert [t["Recurrent"] for t in stored(node)["ActionTriggers"]] == [False, False]


def test_a_trigger_group_that_fails_keeps_what_was_done() -> None:
    node = Node()
    group(node, "HALF", money("*topup", "1", "BONUS"), {"Identifier": "*no_such_type"}, money("*topup", "1", "BONUS"))
    add(node, "MAIN", 10)
    trigger(
        node, "LOW", ThresholdType="*min_balance", ThresholdValue=4, BalanceType=MONEY, BalanceID="MAIN",
        ActionsID="HALF", Recurrent=True,
    )  # fmt: skip
    assert run(node, money("*debit", "7")) is None
    assert values(node) == {"MAIN": 3, "BONUS": 1}
    assert executed(node) == {"LOW": True}  # even a recurrent one


def test_a_failing_group_undoes_what_its_triggers_did() -> None:
    node = armed_node()
    ok(node, "APIerSv1.ResetAccountActionTriggers", {"Account": "a", "Executed": True})
    before = stored(node)
    assert run(node, {"Identifier": "*reset_triggers"}, {"Identifier": "*no_such_type"}) == "PARTIALLY_EXECUTED"
    assert stored(node) == before


def test_two_balances_below_the_limit_execute_twice() -> None:
    node = Node()
    group(node, "NOTE", {"Identifier": "*topup", "BalanceType": "*sms", "Units": "1", "BalanceId": "N"})
    add(node, "A", 10)
    add(node, "B", 10)
    trigger(node, "LOW", ThresholdType="*min_balance", ThresholdValue=4, BalanceType=MONEY, ActionsID="NOTE")
    assert run(node, {"Identifier": "*debit", "BalanceType": MONEY, "Units": "7"}) is None
    assert values(node, "*sms") == {"N": 2}


def test_counters_are_fed_reset_and_kept() -> None:
    node = Node()
    add(node, "MAIN", 10)
    trigger(node, "SPENT", ThresholdType="*max_event_counter", ThresholdValue=50, BalanceType=MONEY, ActionsID="X")
    assert stored(node)["UnitCounters"] is None  # made by the next change of a balance
    add(node, "MAIN", 1)
    counter = stored(node)["UnitCounters"][MONEY][0]
    assert (counter["CounterType"], counter["Counters"][0]["Filter"]["ID"]) == ("*event", "SPENT")
    assert run(node, {"Identifier": "*reset_counters"}) is None
    ok(node, "APIerSv1.RemoveAccountActionTriggers", {"Account": "a", "UniqueID": "SPENT"})
    assert stored(node)["UnitCounters"] is None


def test_a_dead_mail_server_delays_nothing_and_is_tried_five_times() -> None:
    node, tries = Node(), []

    def dead(*args: Any) -> None:
        tries.append(node.now_ns)
        raise ApiError("connection refused")

    node.outside["send_mail"] = dead
    assert run(node, money("*topup", "4"), {"Identifier": "*mail_async", "ExtraParameters": "a@x;b@x,ignored"}) is None
    assert values(node) == {"MAIN": 4}
    node.advance(3600 * SECOND)
    minutes = [round((at - tries[0]) / (60 * SECOND)) for at in tries]
    assert minutes == [0, 1, 3, 6, 10]


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        ({"Units": 31, "Interval": "month", "Increment": "day"}, {28: 1.10714, 29: 1.06897, 30: 1.03333, 31: 1}),
        ({"Units": 48, "Interval": "day", "Increment": "hour"}, dict.fromkeys((28, 29, 30, 31), 2)),
        ({"Units": 5, "Interval": "moon", "Increment": "hour"}, dict.fromkeys((28, 29, 30, 31), 0)),
    ],
)
def test_units_by_formula(formula: dict[str, Any], expected: dict[int, float]) -> None:
    from calendar import monthrange
    from datetime import datetime, timezone

    node = Node()
    units = json.dumps({"Method": "*incremental", "Params": formula})
    assert run(node, money("*topup", units)) is None
    now = datetime.fromtimestamp(node.now_ns / 1e9, timezone.utc)
    assert values(node) == {"MAIN": expected[monthrange(now.year, now.month)[1]]}


PLAN = Path(__file__).parents[1] / "conformance" / "tariffplans" / "accounts_main"


@pytest.mark.parametrize(
    ("number", "seconds", "limit", "sleep", "times"),
    [
        ("+49301234567", 120, 4.99, "0", 6),  # a fee (connection and money) and four increments, all below the limit
        ("+40721000111", 20, 100, "0", 22),  # a fee of 0 counts too
        ("+40721000111", 20, 100, "1s", 1),  # MinSleep: once at a time
        ("+40721000111", 20, 4.98, "0", 11),  # from the increment on at which it is low
    ],
)
def test_a_recurrent_trigger_executes_at_every_increment(
    number: str, seconds: int, limit: float, sleep: str, times: int
) -> None:
    node = Node()
    ok(node, "APIerSv1.LoadTariffPlanFromFolder", {"FolderPath": str(PLAN)})
    group(node, "NOTE", {"Identifier": "*topup", "BalanceType": "*sms", "Units": "1", "BalanceId": "N"})
    fields = {
        "ThresholdType": "*min_balance", "ThresholdValue": limit, "BalanceType": MONEY, "BalanceID": "MAIN",
        "ActionsID": "NOTE", "Recurrent": True, "MinSleep": sleep,
    }  # fmt: skip
    ok(node, "APIerSv1.SetActionTrigger", {"GroupID": "GRP", "UniqueID": "LOW", "ActionTrigger": fields})
    add(node, "MAIN", 5)
    ok(node, "APIerSv2.SetAccount", {"Account": "a", "ActionTriggerIDs": ["GRP"]})
    call = {
        "ToR": "*voice", "Category": "call", "Account": "a", "Destination": number,
        "TimeStart": "2026-03-10T09:00:00Z", "TimeEnd": f"2026-03-10T09:{seconds // 60:02d}:{seconds % 60:02d}Z",
    }  # fmt: skip
    ok(node, "Responder.Debit", call)
    assert values(node, "*sms") == {"N": times}


def test_sessions_are_disconnected_by_an_action() -> None:
    node = Node(
        config={**settings.ephemeral(), "rals": {**settings.ephemeral()["rals"], "sessions_conns": ["*internal"]}}
    )
    event = {"OriginID": "o1", "Account": "a", "RequestType": "*none", "Usage": "10s", "ToR": "*voice"}
    opts = {"*sesInitiate": True}
    profile = {"ID": "DFLT", "RunID": "*default", "AttributeIDs": ["*none"]}
    ok(node, "APIerSv1.SetChargerProfile", profile)
    ok(node, "SessionSv1.InitiateSession", {"InitSession": True, "ID": "1", "Event": event, "APIOpts": opts})
    assert ok(node, "SessionSv1.GetActiveSessionsCount", {}) == 1
    row = {"Identifier": "*force_disconnect_sessions", "ExtraParameters": ";*string:~*req.Account:a;;;"}
    assert run(node, row) is None
    assert ok(node, "SessionSv1.GetActiveSessionsCount", {}) == 0
    assert run(node, {**row, "ExtraParameters": "a;b"}) == "PARTIALLY_EXECUTED"
