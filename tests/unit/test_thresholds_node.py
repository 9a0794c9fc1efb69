"""ThresholdS on a node of one and of three workers (spec chapter 51, sections 2 to 4)."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cgr_cluster.engine.owner import account_owner, object_owner
from cgr_cluster.node.node import Node
from tests.calls import error, ok
from tests.conformance.inprocess import ROOT

TENANT = "cgrates.org"
S = 10**9


@pytest.fixture(params=[1, 3], ids=["one worker", "three workers"])
def node(request: pytest.FixtureRequest) -> Iterator[Node]:
    yield Node(request.param)


def threshold(node: Node, name: str, *filters: str, **more: Any) -> None:
    ok(node, "APIerSv1.SetThresholdProfile", ID=name, FilterIDs=list(filters), **{"MaxHits": -1, **more})


def hits(node: Node, name: str) -> int:
    return int(ok(node, "ThresholdSv1.GetThreshold", ID=name)["Hits"])


def event(node: Node, opts: dict[str, Any] | None = None, /, **fields: Any) -> list[str]:
    found: list[str] = ok(node, "ThresholdSv1.ProcessEvent", ID="e", Event=fields, APIOpts=opts or {})
    return found


def actions(node: Node, group: str, *types: str) -> None:
    rows = [{"Identifier": t, "Weight": 100 - n} for n, t in enumerate(types)]
    ok(node, "APIerSv2.SetActions", ActionsId=group, Overwrite=True, Actions=rows)


def topup(node: Node, group: str, units: str = "1") -> None:
    row = {"Identifier": "*topup", "BalanceType": "*monetary", "BalanceId": "gift", "Units": units}
    ok(node, "APIerSv2.SetActions", ActionsId=group, Overwrite=True, Actions=[row])


def money(node: Node, account: str) -> float:
    found = ok(node, "APIerSv2.GetAccount", Account=account)
    return sum(float(b["Value"]) for b in (found["BalanceMap"] or {}).get("*monetary", ()))


def add_money(node: Node, account: str, value: float, balance: str = "main") -> None:
    ok(node, "APIerSv1.AddBalance", Account=account, BalanceType="*monetary", Value=value, Balance={"ID": balance})


# --- states --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "kept"),
    [
        ({"MaxHits": 9}, False),
        ({"MinHits": 1}, False),
        ({"MinSleep": 1}, False),
        ({"Weight": 7, "Blocker": True, "Async": True, "ActionIDs": ["A"], "EeIDs": ["*none"]}, True),
        ({"FilterIDs": []}, True),
    ],
)
def test_a_state_begins_anew_when_the_limits_change(node: Node, change: dict[str, Any], kept: bool) -> None:
    threshold(node, "T", "*string:~*req.A:1")
    assert event(node, A="1") == ["T"]
    profile = {"ID": "T", "FilterIDs": ["*string:~*req.A:1"], "MaxHits": -1, **change}
    ok(node, "APIerSv1.SetThresholdProfile", **profile)
    assert hits(node, "T") == (1 if kept else 0)


def test_a_state_goes_with_its_profile(node: Node) -> None:
    threshold(node, "T", "*string:~*req.A:1")
    event(node, A="1")
    ok(node, "APIerSv1.RemoveThresholdProfile", ID="T")
    assert error(node, "ThresholdSv1.GetThreshold", ID="T") == "NOT_FOUND"
    assert ok(node, "ThresholdSv1.GetThresholdIDs") == []
    assert not [key for _, key in node.disk if key.startswith("threshold/")]
    threshold(node, "T", "*string:~*req.A:1")
    assert hits(node, "T") == 0


def test_a_folder_that_is_loaded_again_keeps_the_states_and_its_removal_ends_them(node: Node) -> None:
    folder = str(ROOT / "tariffplans/filters_thresholds")
    ok(node, "APIerSv1.LoadTariffPlanFromFolder", FolderPath=folder)
    event(node, Account="6003")
    ok(node, "APIerSv1.LoadTariffPlanFromFolder", FolderPath=folder)
    assert hits(node, "THD_6003_LOW") == 1
    ok(node, "APIerSv1.RemoveTPFromFolder", FolderPath=folder)
    assert ok(node, "ThresholdSv1.GetThresholdIDs") == []
    assert not [key for _, key in node.disk if key.startswith("threshold/")]


def test_reset_clears_hits_and_snooze(node: Node) -> None:
    threshold(node, "T", "*string:~*req.A:1", MinSleep=3600 * S)
    assert event(node, A="1") == ["T"]
    assert ok(node, "ThresholdSv1.GetThreshold", ID="T")["Snooze"] > "2026"
    ok(node, "ThresholdSv1.ResetThreshold", ID="T")
    assert ok(node, "ThresholdSv1.GetThreshold", ID="T") == {
        "Tenant": TENANT, "ID": "T", "Hits": 0, "Snooze": "0001-01-01T00:00:00Z",
    }  # fmt: skip


# --- events --------------------------------------------------------------------------------------------------------


def test_actions_of_a_threshold_come_before_the_hits_of_those_behind_it(node: Node) -> None:
    """The first resets the second; then the second counts."""
    row = {"Identifier": "*reset_threshold", "ExtraParameters": f"{TENANT}:SECOND"}
    ok(node, "APIerSv2.SetActions", ActionsId="RESET", Overwrite=True, Actions=[row])
    threshold(node, "SECOND", "*string:~*req.A:1", Weight=10)
    event(node, A="1")
    event(node, A="1")
    threshold(node, "FIRST", "*string:~*req.A:1", Weight=20, ActionIDs=["RESET"])
    assert event(node, A="1") == ["FIRST", "SECOND"]
    assert hits(node, "SECOND") == 1


def test_a_failing_group_does_not_stop_the_others(node: Node) -> None:
    topup(node, "GIFT")
    threshold(node, "T1", "*string:~*req.A:1", Weight=20, ActionIDs=["NONE", "GIFT"])
    threshold(node, "T2", "*string:~*req.A:1", Weight=10)
    assert error(node, "ThresholdSv1.ProcessEvent", ID="e", Event={"A": "1", "Account": "x"}) == "PARTIALLY_EXECUTED"
    assert (hits(node, "T1"), hits(node, "T2"), money(node, "x")) == (1, 1, 1)


@pytest.mark.parametrize(
    ("fields", "opts", "account"),
    [
        ({"Account": "a"}, {}, "a"),
        ({"Account": "a"}, {"*accountID": "o"}, "o"),
        ({"Account": "a", "AccountID": "u"}, {"*eventType": "AccountUpdate"}, "u"),
        ({"Account": "a", "AccountID": "u"}, {"*eventType": "StatUpdate"}, "a"),
        ({"Account": 17}, {}, "17"),
    ],
)
def test_the_account_of_the_actions(node: Node, fields: dict[str, Any], opts: dict[str, Any], account: str) -> None:
    topup(node, "GIFT")
    threshold(node, "T", "*exists:~*req.Account:", ActionIDs=["GIFT"])
    assert event(node, {"*thdProfileIDs": ["T"], **opts}, **fields) == ["T"]
    assert money(node, account) == 1


def test_without_account_actions_of_accounts_are_left_out(node: Node) -> None:
    topup(node, "GIFT")
    threshold(node, "T", "*string:~*req.A:1", ActionIDs=["GIFT"])
    assert event(node, A="1") == ["T"]
    assert node.call("APIerSv2.GetAccounts", {})["result"] in (None, [])


def test_exporters_that_are_named_are_missed(node: Node) -> None:
    threshold(node, "T", "*string:~*req.A:1", EeIDs=["exp"])
    assert error(node, "ThresholdSv1.ProcessEvent", ID="e", Event={"A": "1"}) == "PARTIALLY_EXECUTED"
    threshold(node, "T", "*string:~*req.A:1", EeIDs=["*none"])
    assert event(node, A="1") == ["T"]
    assert hits(node, "T") == 2


@pytest.mark.parametrize("method", ["ProcessEvent", "GetThresholdsForEvent"])
def test_bad_options_are_refused_where_there_is_no_threshold(node: Node, method: str) -> None:
    for opts, text in (
        ({"*thdProfileIDs": "T"}, "cannot convert field: string to []string"),
        ({"*thdProfileIgnoreFilters": "x"}, 'strconv.ParseBool: parsing "x": invalid syntax'),
        ({"*thdProfileIDs": ["T"]}, "NOT_FOUND"),
        ({}, "NOT_FOUND"),
    ):
        assert error(node, f"ThresholdSv1.{method}", ID="e", Event={"A": 1}, APIOpts=opts) == text


@pytest.mark.parametrize(
    ("opts", "text"),
    [
        ({"*thdProfileIDs": "T"}, "cannot convert field: string to []string"),
        ({"*thdProfileIDs": 5}, "cannot convert field: 5 to []string"),
        ({"*thdProfileIDs": ["T"], "*thdProfileIgnoreFilters": "maybe"}, 'strconv.ParseBool: parsing "maybe": invalid syntax'),
    ],
)  # fmt: skip
def test_wrong_options(node: Node, opts: dict[str, Any], text: str) -> None:
    threshold(node, "T", "*string:~*req.A:1")
    for method in ("ThresholdSv1.ProcessEvent", "ThresholdSv1.GetThresholdsForEvent"):
        assert error(node, method, ID="e", Event={"A": "1"}, APIOpts=opts) == text
    assert hits(node, "T") == 0


def test_filters_on_accounts_that_live_elsewhere(node: Node) -> None:
    for name, value in (("rich", 10), ("poor", 1)):
        add_money(node, name, value)
    threshold(node, "T", "*string:~*req.A:1", "*gt:~*accounts.<~*req.Who>.BalanceMap.*monetary.GetTotalValue:5")
    assert event(node, A="1", Who="rich") == ["T"]
    for who in ("poor", "nobody"):
        assert error(node, "ThresholdSv1.ProcessEvent", ID="e", Event={"A": "1", "Who": who}) == "NOT_FOUND"


# --- account events ------------------------------------------------------------------------------------------------


def test_an_account_event_is_counted_when_the_answer_leaves() -> None:
    """At the very moment of the answer the hit is in the log of its owner, whichever worker that is."""
    node = Node(3)
    threshold(node, "T", "*string:~*opts.*eventType:AccountUpdate")
    owner = node.shard_map[object_owner(TENANT, "T").shard]
    account = next(n for n in map(str, range(99)) if node.shard_map[account_owner(TENANT, n).shard] != owner)
    params = {"Account": account, "BalanceType": "*monetary", "Value": 1}
    uid = node.send("APIerSv1.AddBalance", params)
    while uid not in node._answers:
        assert node._step()
    assert [key for _, key in node.disk if key == f"threshold/{TENANT}:T"]


def test_a_synchronous_action_on_the_account_whose_debit_caused_it(node: Node) -> None:
    """It waits its turn behind the debit, and the answer waits for it."""
    topup(node, "GIFT", "3")
    add_money(node, "a", 10)
    threshold(node, "LOW", "*string:~*opts.*eventType:AccountUpdate", "*lt:~*asm.BalanceSummaries.main.Value:5",
              ActionIDs=["GIFT"])  # fmt: skip
    ok(node, "APIerSv1.DebitBalance", Account="a", BalanceType="*monetary", Value=4, Balance={"ID": "main"})
    assert (hits(node, "LOW"), money(node, "a")) == (0, 6)
    ok(node, "APIerSv1.DebitBalance", Account="a", BalanceType="*monetary", Value=4, Balance={"ID": "main"})
    assert (hits(node, "LOW"), money(node, "a")) == (1, 5)


def test_the_values_of_an_account_event(node: Node) -> None:
    threshold(
        node, "T", "*string:~*opts.*eventType:AccountUpdate", "*string:~*req.AccountID:a", f"*string:~*req.Tenant:{TENANT}",
        "*eq:~*req.BalanceSummaries[0].Initial:10", "*eq:~*asm.BalanceSummaries.main.Value:7", "*string:~*asm.Disabled:false",
        "*string:~*req.BalanceSummaries[0].Type:*monetary", "*notexists:~*asm.BalanceSummaries.other:",
    )  # fmt: skip
    add_money(node, "a", 10)
    assert hits(node, "T") == 0
    ok(node, "APIerSv1.DebitBalance", Account="a", BalanceType="*monetary", Value=3, Balance={"ID": "main"})
    assert hits(node, "T") == 1


def test_failures_of_thresholds_are_not_those_of_accounts(node: Node) -> None:
    threshold(node, "T", "*string:~*opts.*eventType:AccountUpdate", "*gt:~*req.AccountID:5")  # a text: incomparable
    add_money(node, "a", 1)
    threshold(node, "T", "*string:~*opts.*eventType:AccountUpdate", ActionIDs=["NOBODY"])
    add_money(node, "a", 1)
    assert (hits(node, "T"), money(node, "a")) == (1, 2)


def test_account_events_are_off_without_connection(node: Node) -> None:
    ok(node, "ConfigSv1.SetConfigFromJSON", Config='{"rals":{"thresholds_conns":[]}}')
    threshold(node, "T", "*string:~*opts.*eventType:AccountUpdate")
    add_money(node, "a", 1)
    assert hits(node, "T") == 0


def test_account_events_with_filters_on_accounts(node: Node) -> None:
    """The part cannot ask another owner: a task does, before the answer leaves."""
    threshold(node, "T", "*string:~*opts.*eventType:AccountUpdate", "*string:~*accounts.other.Disabled:false")
    ok(node, "APIerSv1.SetAccount", Account="other")
    add_money(node, "a", 1)
    assert hits(node, "T") == 1


# --- chains --------------------------------------------------------------------------------------------------------


def test_a_chain_of_account_events_ends(node: Node, caplog: pytest.LogCaptureFixture) -> None:
    actions(node, "AGAIN", "*publish_account")
    threshold(node, "T", "*string:~*opts.*eventType:AccountUpdate", ActionIDs=["AGAIN"])
    with caplog.at_level(logging.WARNING, "cgr_cluster"):
        add_money(node, "a", 1)
    assert hits(node, "T") == 9
    assert any("chain" in record.getMessage() for record in caplog.records)


def test_a_chain_of_cdrs_ends(node: Node) -> None:
    topup_and_log = [
        {"Identifier": "*topup", "BalanceType": "*monetary", "BalanceId": "gift", "Units": "1", "Weight": 20},
        {"Identifier": "*cdrlog", "Weight": 10},
    ]
    ok(node, "APIerSv2.SetActions", ActionsId="LOG", Overwrite=True, Actions=topup_and_log)
    threshold(node, "T", "*string:~*opts.*eventType:CDR", ActionIDs=["LOG"])
    node.call("CDRsV1.ProcessEvent", {"Flags": ["*chargers:false", "*rals:false"], "Event": {
        "OriginID": "1", "Account": "a", "RequestType": "*none", "ToR": "*voice", "Destination": "1", "Usage": "1s",
        "SetupTime": "2026-01-01T00:00:00Z", "AnswerTime": "2026-01-01T00:00:00Z", "Category": "call",
    }})  # fmt: skip
    assert hits(node, "T") == 9


def test_an_action_on_the_session_whose_event_it_is(node: Node) -> None:
    """The request lets go of the session before actions run: the disconnect finds it free."""
    ok(node, "APIerSv1.LoadTariffPlanFromFolder", FolderPath=str(ROOT / "tariffplans/sessions_retail"))
    account = "r1"
    add_money(node, account, 10)
    row = {"Identifier": "*force_disconnect_sessions", "ExtraParameters": ";*string:~*req.OriginID:c;;;"}
    ok(node, "APIerSv2.SetActions", ActionsId="CUT", Overwrite=True, Actions=[row])
    threshold(node, "T", "*string:~*req.Destination:442071112222", "*notexists:~*opts.*eventType:", ActionIDs=["CUT"])
    fields = {
        "OriginID": "c", "OriginHost": "sw1", "ToR": "*voice", "RequestType": "*prepaid", "Account": account,
        "Destination": "442071112222", "AnswerTime": "2026-03-02T10:00:00Z", "Usage": "30s",
    }  # fmt: skip
    answer = node.call("SessionSv1.InitiateSession", {"InitSession": True, "ProcessThresholds": True, "Event": fields})
    assert answer["error"] is None or answer["error"] == "PARTIALLY_EXECUTED", answer
    assert hits(node, "T") == 1
    assert ok(node, "SessionSv1.GetActiveSessionsCount") == 0


def test_a_row_without_a_readable_sleep_is_refused(node: Node, tmp_path: Path) -> None:
    (tmp_path / "Thresholds.csv").write_text(f"{TENANT},T,,,-1,1,soon,,10,,,\n")
    text = 'SERVER_ERROR: time: invalid duration "soon"'
    assert error(node, "APIerSv1.LoadTariffPlanFromFolder", FolderPath=str(tmp_path)) == text
