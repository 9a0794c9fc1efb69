"""Responder's methods on accounts and the old usage methods over a node (spec 20 §3.1, 3.2, 3.7, 3.10; 10 §7.1): parameters,
errors in their order, the answers' exact shapes."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest

from cgr_cluster.node.node import Node

PLAN = Path(__file__).resolve().parents[1] / "conformance" / "tariffplans" / "accounts_main"
MOBILE, GERMANY, FIXED, NOWHERE = "+40721000111", "+49301234567", "+40211234567", "+33100000000"
START, HOUR = "2026-03-10T09:00:00Z", 3600 * 10**9
_names = itertools.count(1)

Json = dict[str, Any]


@pytest.fixture(scope="module")
def node() -> Node:
    made = Node(1)
    assert call(made, "APIerSv1.LoadTariffPlanFromFolder", FolderPath=str(PLAN)) == "OK"
    return made


def call(node: Node, method: str, **params: Any) -> Any:
    answer = node.call(method, params)
    return answer["result"] if answer["error"] is None else answer["error"]


def account(node: Node, *balances: tuple[str, float, Json], **options: bool) -> str:
    name = f"acc{next(_names)}"
    assert call(node, "APIerSv2.SetAccount", Account=name, ExtraOptions=options) == "OK"
    for kind, value, balance in balances:
        assert call(node, "APIerSv1.AddBalance", Account=name, BalanceType=kind, Value=value, Balance=balance) == "OK"
    return name


def money(value: float, id: str = "MAIN", **fields: Any) -> tuple[str, float, Json]:
    return "*monetary", value, {"ID": id, **fields}


def voice(seconds: float, id: str = "V", **fields: Any) -> tuple[str, float, Json]:
    return "*voice", seconds * 10**9, {"ID": id, **fields}


def asked(name: str, seconds: int = 60, destination: str = MOBILE, **fields: Any) -> Json:
    end = f"2026-03-10T{9 + seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}Z"
    return {
        "ToR": "*voice", "Category": "call", "Tenant": "cgrates.org", "Account": name, "Subject": name,
        "Destination": destination, "TimeStart": START, "TimeEnd": end, **fields,
    }  # fmt: skip


def values(node: Node, name: str) -> dict[str, float]:
    found = call(node, "APIerSv2.GetAccount", Account=name)["BalanceMap"] or {}
    return {balance["ID"]: balance["Value"] for held in found.values() for balance in held}


# --- errors, in the order in which they are tested ----------------------------------------------------------------

DEBITS = ("Responder.Debit", "Responder.MaxDebit", "Responder.GetMaxSessionTime")


@pytest.mark.parametrize("method", DEBITS)
def test_errors_come_in_their_order(node: Node, method: str) -> None:
    long = {"TimeEnd": "2026-03-14T09:00:00Z"}
    off = account(node, money(5, SharedGroups="NO_GROUP"), Disabled=True)
    lost = account(node, money(5, SharedGroups="NO_GROUP"))
    rich = account(node, money(5))
    assert call(node, method, **asked("nobody", destination=NOWHERE, **long)) == "MAX_USAGE_EXCEEDED"
    assert call(node, method, **asked("nobody", destination=NOWHERE)) == "ACCOUNT_NOT_FOUND"
    assert call(node, method, **asked(off, destination=NOWHERE)) == "ACCOUNT_DISABLED"
    assert call(node, method, **asked(lost, destination=NOWHERE)) == "NOT_FOUND"  # the group
    assert call(node, method, **asked(rich, destination=NOWHERE)) == "UNAUTHORIZED_DESTINATION"
    assert call(node, method, **asked(rich, Category="none")) == "RATING_PLAN_NOT_FOUND"


@pytest.mark.parametrize("method", [*DEBITS, "Responder.RefundIncrements", "Responder.RefundRounding"])
@pytest.mark.parametrize(
    ("tor", "most"),
    [
        ("*voice", 72 * HOUR),
        ("*data", 107374182400),
        ("*sms", 10000),
        ("*mms", 10000),
        ("", 189 * HOUR),
        ("*x", 189 * HOUR),
    ],
)
def test_the_longest_usage_of_a_type(node: Node, method: str, tor: str, most: int) -> None:
    for over in (0, 1):
        seconds, nanos = divmod(most + over, 10**9)
        hours, rest = divmod(seconds, 3600)
        day, hour = divmod(hours, 24)
        end = f"2026-03-{10 + day}T{hour:02}:{rest // 60:02}:{rest % 60:02}.{nanos:09}Z"
        found = call(node, method, **asked("nobody", ToR=tor, TimeStart="2026-03-10T00:00:00Z", TimeEnd=end))
        assert (found == "MAX_USAGE_EXCEEDED") is (over == 1)


def test_force_duration_and_blockers(node: Node) -> None:
    poor = account(node, money(0.1))
    assert call(node, "Responder.MaxDebit", **asked(poor, ForceDuration=True)) == "INSUFFICIENT_CREDIT"
    barred = account(node, voice(10, Blocker=True), money(5))
    assert call(node, "Responder.Debit", **asked(barred)) == "INSUFFICIENT_CREDIT_BALANCE_BLOCKER"
    assert call(node, "Responder.GetMaxSessionTime", **asked(barred)) == 10 * 10**9
    assert (values(node, poor), values(node, barred)) == ({"MAIN": 0.1}, {"V": 10 * 10**9, "MAIN": 5})


# --- dry runs ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "dry", [{"DryRun": True}, {"APIOpts": {"*ralsDryRun": True}}, {"APIOpts": {"*ralsDryRun": "true"}}]
)
def test_a_dry_run_answers_like_a_debit(node: Node, dry: Json) -> None:
    name = account(node, voice(30), money(5))
    answer = call(node, "Responder.Debit", **asked(name, **dry))
    assert values(node, name) == {"V": 30 * 10**9, "MAIN": 5}
    assert answer == call(node, "Responder.Debit", **asked(name))
    assert values(node, name) == {"V": 0, "MAIN": 4.94}


def test_dry_runs_are_of_debits_only(node: Node) -> None:
    name = account(node, money(5))
    call(node, "Responder.MaxDebit", **asked(name, DryRun=True, APIOpts={"*ralsDryRun": True}))
    assert values(node, name) == {"MAIN": 4.88}
    bad = {"APIOpts": {"*ralsDryRun": "nope"}}
    assert call(node, "Responder.Debit", **asked(name, **bad)) == 'strconv.ParseBool: parsing "nope": invalid syntax'
    assert call(node, "Responder.Debit", **asked(name, **bad, TimeEnd="2026-03-14T09:00:00Z")) == "MAX_USAGE_EXCEEDED"


# --- usage 0, defaults -------------------------------------------------------------------------------------------


def test_usage_zero(node: Node) -> None:
    name = account(node, money(5))
    for method in ("Responder.Debit", "Responder.MaxDebit"):
        answer = call(node, method, **asked(name, 0, ToR=""))
        assert (answer["Cost"], answer["ToR"], answer["RatedUsage"]) == (0, "", 0)
        assert answer["AccountSummary"]["AccountID"] == name
        assert answer["Timespans"] == [
            {
                "TimeStart": START, "TimeEnd": START, "Cost": 0, "RateInterval": None, "DurationIndex": 0, "Increments": None,
                "RoundIncrement": None, "MatchedSubject": "*out:cgrates.org:call:*any", "MatchedPrefix": "+40721",
                "MatchedDestId": "MOBILE_HOME", "RatingPlanId": "RP_VOICE", "CompressFactor": 0,
            }
        ]  # fmt: skip
    assert call(node, "Responder.Debit", **asked(name, 0, NOWHERE))["Timespans"] is None
    assert call(node, "Responder.MaxDebit", **asked(name, 0, NOWHERE)) == "UNAUTHORIZED_DESTINATION"
    assert call(node, "Responder.GetMaxSessionTime", **asked(name, 0, NOWHERE)) == 0


def test_tenant_subject_and_tor_have_defaults(node: Node) -> None:
    name = account(node, voice(10), money(5))
    answer = call(node, "Responder.Debit", **asked(name, 20, Tenant="", Subject="", ToR=""))
    assert {key: answer[key] for key in ("Tenant", "Subject", "Account", "ToR", "Destination", "Category")} == {
        "Tenant": "cgrates.org", "Subject": name, "Account": name, "ToR": "*voice", "Destination": MOBILE, "Category": "call",
    }  # fmt: skip
    assert [span["Increments"][0]["CompressFactor"] for span in answer["Timespans"]] == [10, 10]


def test_the_shape_of_an_answer(node: Node) -> None:
    """Free units, then priced units with their money, then money."""
    name = account(
        node,
        voice(5, "FREE", Weight=30),
        voice(20, "FLAT", Weight=20, RatingSubject="BUNDLE_FLAT"),
        money(5, Weight=10),
    )
    answer = call(node, "Responder.Debit", **asked(name, 35))
    free, priced, paid = (span["Increments"][0] for span in answer["Timespans"])
    assert free["BalanceInfo"]["Monetary"] is None and free["BalanceInfo"]["Unit"]["RateInterval"] is None
    unit, price = priced["BalanceInfo"]["Unit"], priced["BalanceInfo"]["Monetary"]
    assert (unit["ID"], unit["Value"], unit["Consumed"], unit["Factor"], unit["ToR"], unit["DestinationID"]) == (
        "FLAT", 0, 10 * 10**9, 1, "*voice", MOBILE,
    )  # fmt: skip
    assert unit["RateInterval"]["Rating"]["Rates"][0]["Value"] == 0.03
    assert (price["ID"], price["Value"], price["RateInterval"]) == ("MAIN", 4.99, None)
    assert paid["BalanceInfo"] == {
        "Unit": None, "Monetary": {**price, "Value": 4.97}, "AccountID": f"cgrates.org:{name}",
    }  # fmt: skip
    assert [(s["TimeStart"][-3:-1], s["TimeEnd"][-3:-1], s["DurationIndex"] // 10**9) for s in answer["Timespans"]] == [
        ("00", "05", 0), ("05", "25", 20), ("25", "35", 30),
    ]  # fmt: skip
    assert (answer["Cost"], answer["RatedUsage"]) == (0.03, 35 * 10**9)
    assert [(b["ID"], b["Type"], b["Initial"], b["Value"], b.get("Weight")) for b in answer["AccountSummary"]["BalanceSummaries"]] == [
        ("FREE", "*voice", 5 * 10**9, 0, 30), ("FLAT", "*voice", 20 * 10**9, 0, 20), ("MAIN", "*monetary", 5, 4.97, 10),
    ]  # fmt: skip


# --- DebitMonetary, maximum on several accounts -------------------------------------------------------------------


def cdr(name: str, cost: float = 1.5, **fields: Any) -> Json:
    return {
        "ToR": "*voice", "Tenant": "cgrates.org", "Category": "call", "Account": name, "Subject": name,
        "Destination": MOBILE, "SetupTime": "2026-03-10T08:59:50Z", "AnswerTime": START, "Usage": 600 * 10**9, "Cost": cost,
        **fields,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("funds", "cost", "left"),
    [
        ((1, 5), 1.5, {"A": 0, "B": 4.5}),  # A pays 500 of the 600 rated increments
        ((3, 5), 1.5, {"A": 1.5, "B": 5}),
        ((0.0031, 5), 1.5, {"A": 0.0011, "B": 3.502}),  # one increment
        ((0.001, 5), 1.5, {"A": 0.001, "B": 3.5}),
        ((0.5, 0.5), 1.5, {"A": 0, "B": 0, "*default": -0.5}),
        ((5, 5), 0, {"A": 5, "B": 5}),
    ],
)
def test_a_fixed_amount_from_the_money_balances(
    node: Node, funds: tuple[float, float], cost: float, left: dict[str, float]
) -> None:
    name = account(node, voice(900), money(funds[0], "A", Weight=20), money(funds[1], "B"))
    answer = call(node, "Responder.DebitMonetary", **cdr(name, cost))
    assert (answer["Cost"], answer["RatedUsage"]) == (1.2, 600 * 10**9)
    assert values(node, name) == {"V": 900 * 10**9, **left}
    summary = {b["ID"]: b["Value"] for b in answer["AccountSummary"]["BalanceSummaries"]}
    assert summary == values(node, name)


def test_refusals_of_a_fixed_amount(node: Node) -> None:
    name = account(node, money(5))
    off = account(node, Disabled=True)
    method = "Responder.DebitMonetary"
    assert call(node, method, **cdr("nobody", Destination=NOWHERE)) == "ACCOUNT_NOT_FOUND"
    assert call(node, method, **cdr(off, Destination=NOWHERE)) == "ACCOUNT_DISABLED"
    assert call(node, method, **cdr(name, Destination=NOWHERE)) == "UNAUTHORIZED_DESTINATION"
    assert call(node, method, **cdr(name, Usage=73 * HOUR)) == "MAX_USAGE_EXCEEDED"
    assert call(node, method, **cdr(name, APIOpts={"*ralsDryRun": True}))["Cost"] == 1.2
    assert values(node, name) == {"MAIN": 5}


def test_the_first_account_without_error(node: Node) -> None:
    name = account(node, money(0.5))
    method = "Responder.GetMaxSessionTimeOnAccounts"
    routes = {"Destination": MOBILE, "SetupTime": START, "Usage": HOUR}
    assert call(node, method, **routes, AccountIDs=[name]) == "RATING_PLAN_NOT_FOUND"
    plan = {"RatingPlanId": "RP_VOICE", "ActivationTime": "2020-01-01T00:00:00Z"}
    call(node, "APIerSv1.SetRatingProfile", Category="*routes", Subject=name, RatingPlanActivations=[plan])
    found = call(node, method, **routes, AccountIDs=["nobody", name, account(node, money(5))])
    assert found == {"MaxUsage": 250 * 10**9, "Cost": 0, "Account": name}
    assert call(node, method, **routes, AccountIDs=[name, "nobody"])["Account"] == name
    assert call(node, method, **routes, AccountIDs=["nobody"]) == "ACCOUNT_NOT_FOUND"


# --- the old usage methods ---------------------------------------------------------------------------------------


def test_maximum_usage_of_a_record(node: Node) -> None:
    name = account(node, money(1))
    method = "APIerSv1.GetMaxUsage"
    assert call(node, method, Account=name, Destination=MOBILE) == 500 * 10**9  # of the default usage, from now on
    assert call(node, method, Account=name, Destination=MOBILE, Usage="90s", SetupTime=START) == 90 * 10**9
    assert call(node, method, Account=name, Destination=MOBILE, ToR="*sms", Category="sms", Usage="20") == 14
    assert call(node, method, Account=name, Destination=NOWHERE) == "UNAUTHORIZED_DESTINATION"
    assert call(node, method) == "ACCOUNT_NOT_FOUND"
    assert call(node, method, Account=name, Usage="long") == 'SERVER_ERROR: time: invalid duration "long"'
    assert call(node, method, Account=name, SetupTime="noon") == "SERVER_ERROR: Unsupported time format"
    assert call(node, method, Account=account(node, AllowNegative=True), Destination=MOBILE) == -1


def test_debits_of_a_record(node: Node) -> None:
    name = account(node, money(0.05))
    record = {"Account": name, "Destination": MOBILE, "Usage": "10s", "AnswerTime": START}
    assert call(node, "APIerSv1.DebitUsage", **record) == "OK"
    assert call(node, "APIerSv1.DebitUsage", **record, APIOpts={"*ralsDryRun": True}) == "OK"
    assert values(node, name) == {"MAIN": 0.03}
    method = "APIerSv1.DebitUsageWithOptions"
    assert call(node, method, UsageRecord={**record, "Usage": "1m"}) == "OK"  # what cannot be paid is left out
    assert values(node, name) == {"MAIN": 0}
    assert call(node, method, UsageRecord=record, AllowNegativeAccount=True) == "OK"
    assert values(node, name) == {"MAIN": 0, "*default": -0.02}


def test_refusals_of_records(node: Node) -> None:
    record = {"Account": "nobody", "Destination": MOBILE, "Usage": "10s"}
    for method in ("APIerSv1.DebitUsage", "APIerSv1.DebitUsageWithOptions"):

        def send(method: str = method, **fields: Any) -> Any:
            return call(node, method, **fields) if method.endswith("Usage") else call(node, method, UsageRecord=fields)

        assert send() == "MANDATORY_IE_MISSING: [Account Destination Usage]"
        assert send(Account="x", Usage="1s") == "MANDATORY_IE_MISSING: [Destination]"
        assert send(**record) == "SERVER_ERROR: ACCOUNT_NOT_FOUND"
        assert send(**{**record, "Usage": "73h"}) == "SERVER_ERROR: MAX_USAGE_EXCEEDED"
        assert send(**record, AnswerTime="noon") == "SERVER_ERROR: Unsupported time format"
        assert send(**{**record, "Usage": "long"}) == 'SERVER_ERROR: time: invalid duration "long"'
