"""Cost details of debits (spec 20 §3.13): which balance an increment's accounting entry names, and what it says of it."""

from __future__ import annotations

from typing import Any

import pytest

from cgr_cluster.engine.generation import Generation
from cgr_cluster.rating.answers import event_cost_json
from cgr_cluster.rating.event_cost import event_cost_of
from cgr_cluster.rating.types import CallDescriptor
from tests.unit.accounts_world import GERMANY, MOBILE, NOW, Bank, call, money, voice, worked_example

SECOND = 10**9
Json = dict[str, Any]


@pytest.fixture(scope="module")
def tariff() -> Generation:
    return worked_example().generation()


@pytest.fixture
def bank(tariff: Generation) -> Bank:
    return Bank(tariff)


def details(bank: Bank, asked: CallDescriptor) -> Json:
    return event_cost_json(event_cost_of(bank.debit(asked), "cgrid", "*default"))


def entries(bank: Bank, cost: Json) -> list[list[Any]]:
    """Per charge its increments: (usage in s, cost, count, entry), entries as (balance id, units, rating plan, extra charge)."""
    names = {b.uuid: b.id for a in bank.stored.values() for held in (a.balances or {}).values() for b in held}

    def plan(key: str) -> str:
        return (
            cost["RatingFilters"][cost["Rating"][key]["RatingFiltersID"]]["RatingPlanID"]
            if key in cost["Rating"]
            else key
        )

    def entry(key: str) -> Any:
        found = cost["Accounting"].get(key)
        if found is None:
            return key
        return names[found["BalanceUUID"]], found["Units"], plan(found["RatingID"]), entry(found["ExtraChargeID"])

    return [
        [(i["Usage"] / SECOND, i["Cost"], i["CompressFactor"], entry(i["AccountingID"])) for i in charge["Increments"]]
        for charge in cost["Charges"]
    ]


def test_money_and_free_units(bank: Bank) -> None:
    bank.account("1001", voice(5, factors={"f": 1.5}, destination_ids={"MOBILE_HOME": True}), money(5))
    cost = details(bank, call(20, extra_fields={"BalanceFactorID": "f"}))
    assert entries(bank, cost) == [
        [(1, 0, 3, ("V", 1.5 * SECOND, "", "*none"))],
        [(1, 0.002, 17, ("MAIN", 0.002, "", ""))],
    ]
    free = cost["Rating"][cost["Charges"][0]["RatingID"]]
    assert (free["TimingID"], free["RoundingMethod"], free["ConnectFee"]) == ("", "", 0)
    assert cost["Rates"][free["RatesID"]] == [
        {"GroupIntervalStart": 0, "Value": 0, "RateIncrement": SECOND, "RateUnit": SECOND}
    ]
    assert cost["RatingFilters"][free["RatingFiltersID"]] == {
        "DestinationID": "MOBILE_HOME", "DestinationPrefix": "+40721", "RatingPlanID": "*none",
        "Subject": bank.balance("V").uuid,
    }  # fmt: skip
    (by_factor,) = [e for e in cost["Accounting"].values() if e["ExtraChargeID"] == "*none"]
    assert (by_factor["BalanceFactor"], by_factor["AccountID"]) == (1.5, "cgrates.org:1001")
    assert (cost["Usage"], cost["Cost"], cost["CGRID"], cost["RunID"]) == (20 * SECOND, 0.034, "cgrid", "*default")


def test_without_destinations_free_units_match_the_whole_number(bank: Bank) -> None:
    bank.account("1001", voice(5))
    (found,) = details(bank, call(5))["RatingFilters"].values()
    assert (found["DestinationID"], found["DestinationPrefix"]) == ("*any", MOBILE)


def test_units_with_a_cost_have_a_second_entry(bank: Bank) -> None:
    bank.account("1001", voice(100, "FLAT", rating_subject="FLAT"), money(1))
    cost = details(bank, call(45))
    assert entries(bank, cost) == [[(10, 0.005, 5, ("FLAT", 10 * SECOND, "RP_FLAT", ("MAIN", 0.005, "", "")))]]


def test_a_connect_fee_is_an_increment_without_usage(bank: Bank) -> None:
    bank.account("1001", money(1))
    assert entries(bank, details(bank, call(31, GERMANY))) == [
        [(0, 0.05, 1, ("MAIN", 0.05, "", "")), (30, 0.15, 2, ("MAIN", 0.15, "", ""))]
    ]


@pytest.mark.parametrize("value", [0, 5])
def test_a_free_rate_names_the_money_that_was_tried(bank: Bank, value: float) -> None:
    bank.account("1001", money(value))
    entry = ("MAIN", 0, "", "") if value else ""
    assert entries(bank, details(bank, call(20, subject="FREE"))) == [[(1, 0, 20, entry)]]


def test_what_a_cap_makes_free_names_the_balance(bank: Bank) -> None:
    bank.account("1001", money(5))
    assert entries(bank, details(bank, call(90, subject="CAPPED_FREE"))) == [
        [(1, 0.002, 50, ("MAIN", 0.002, "", "")), (1, 0, 40, ("MAIN", 0, "", ""))]
    ]
    bank.account("1001", voice(100, rating_subject="CAPPED_FREE"), money(5))
    assert entries(bank, details(bank, call(90))) == [
        [
            (1, 0.002, 50, ("V", SECOND, "RP_CAPPED_FREE", ("MAIN", 0.002, "", ""))),
            (1, 0, 40, ("V", 0, "RP_CAPPED_FREE", "")),
        ]
    ]
    assert bank.seconds() == 50


def test_rounding_is_one_more_increment(bank: Bank) -> None:
    bank.account("1001", money(5))
    cost = details(bank, call(20, subject="ROUND", perform_rounding=True))
    assert entries(bank, cost) == [
        [(7, 0.01167, 3, ("MAIN", 0.01167, "", "")), (0, 0.00499, 1, ("MAIN", 0.00499, "*rounding", ""))]
    ]
    assert (cost["Cost"], bank.money()) == (0.04, 4.96)


def test_money_with_its_own_subject_names_its_rate(bank: Bank) -> None:
    bank.account("1001", money(5, rating_subject="FLAT"))
    assert entries(bank, details(bank, call(20))) == [[(10, 0.005, 2, ("MAIN", 0.005, "RP_FLAT", ""))]]


def test_debts_and_other_members(bank: Bank) -> None:
    shared = {"FAMILY_LOWEST": True}
    bank.account("1001", voice(0, "OWN", shared_groups=shared))
    bank.account("mum", voice(5, "MV", shared_groups=shared))
    cost = details(bank, call(10))
    assert entries(bank, cost) == [
        [(1, 0, 5, ("MV", SECOND, "", "*none"))],
        [(1, 0.002, 5, ("*default", 0.002, "", ""))],
    ]
    assert [entry["AccountID"] for entry in cost["Accounting"].values()] == ["cgrates.org:mum", "cgrates.org:1001"]
    summary = cost["AccountSummary"]  # of the caller only
    assert [(b["ID"], b["Initial"], b["Value"]) for b in summary["BalanceSummaries"]] == [
        ("OWN", 0, 0), ("*default", 0, -0.01),
    ]  # fmt: skip


def test_nothing_paid_has_no_charges(bank: Bank) -> None:
    bank.account("1001")
    cost = details(bank, call(20, deny_negative_account=True))
    assert (cost["Charges"], cost["Cost"], cost["Usage"]) == ([], 0, 0)
    assert cost["StartTime"] == "0001-01-01T00:00:00Z"


def test_a_call_over_midnight_is_one_charge_when_its_halves_are_alike(bank: Bank) -> None:
    bank.account("1001", money(5))
    late = NOW.plus((15 * 3600 - 60) * SECOND)  # 23:59
    cost = details(bank, call(120, start=late))
    assert entries(bank, cost) == [[(1, 0.002, 60, ("MAIN", 0.002, "", ""))]]
    assert [charge["CompressFactor"] for charge in cost["Charges"]] == [2]
    assert (cost["Cost"], bank.money()) == (0.24, 4.76)
