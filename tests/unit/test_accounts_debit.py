"""Debits, maximum usage and refunds of accounts (spec 20 §3, §10)."""

from __future__ import annotations

from typing import Any

import pytest

from cgr_cluster.accounts.types import Account, Balance
from cgr_cluster.engine.generation import Generation
from cgr_cluster.events.amounts import GRAINS, NANO
from cgr_cluster.events.instant import NS
from cgr_cluster.rating.types import Timing
from cgr_cluster.rpc.errors import ApiError
from tests.unit.accounts_world import (
    FIXED,
    GERMANY,
    MOBILE,
    NOW,
    PREMIUM,
    Bank,
    call,
    money,
    returned,
    shape,
    units,
    voice,
    worked_example,
)
from tests.unit.rating_world import at


@pytest.fixture(scope="module")
def tariff() -> Generation:
    return worked_example().generation()


@pytest.fixture
def bank(tariff: Generation) -> Bank:
    return Bank(tariff)


# --- the worked example of 3.12 ----------------------------------------------------------------------------------


def test_units_pay_first_and_money_the_rest(bank: Bank) -> None:
    bank.account("1001", money(5), voice(100, weight=20.0, destination_ids={"MOBILE_HOME": True}))
    assert bank.max_time(call(7200)) == 2600 * NS
    cost = bank.debit(call(160))
    assert shape(cost) == [[(1, 0, 100)], [(1, 0.002, 60)]]
    assert cost.cost_nano == 120_000_000
    assert (bank.seconds(), bank.money()) == (0, 4.88)
    free, paid = cost.timespans or ()
    assert (free.rating_plan_id, free.matched_prefix, free.matched_dest_id) == ("*none", "+40721", "MOBILE_HOME")
    assert (free.duration_index_ns, paid.duration_index_ns) == (0, 60 * NS)
    summary = cost.account_summary
    assert summary is not None
    assert [(b.id, b.initial, b.value) for b in summary.balances] == [
        ("V", 100 * NS * GRAINS, 0),
        ("MAIN", 5 * NANO, 4_880_000_000),
    ]


def test_connect_fee_is_the_first_increment(bank: Bank) -> None:
    bank.account("1001", money(1))
    assert bank.max_time(call(45, GERMANY)) == 45 * NS
    cost = bank.debit(call(31, GERMANY))
    assert shape(cost) == [[(0, 0.05, 1), (30, 0.15, 2)]]
    assert cost.cost_nano == 350_000_000
    assert cost.rated_usage_ns == 60 * NS


def test_priced_units_take_units_and_money(bank: Bank) -> None:
    bank.account("1001", money(1), voice(100, "FLAT", rating_subject="FLAT"))
    cost = bank.debit(call(45))
    assert shape(cost) == [[(10, 0.005, 5)]]
    assert (bank.seconds("FLAT"), bank.money()) == (50, 0.975)
    assert cost.rated_usage_ns == 50 * NS
    info = (cost.timespans or [])[0].increments[0].balance_info
    assert info is not None and info.unit is not None and info.monetary is not None
    assert (info.unit.consumed, info.unit.value, info.monetary.value_nano) == (
        10 * NS * GRAINS,
        50 * NS * GRAINS,
        975_000_000,
    )


# --- maximum usage -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "seconds", "destination", "expected"),
    [
        (1.0, 3600, MOBILE, 500),
        (1.0, 3600, FIXED, 980),
        (1.0, 45, GERMANY, 45),
        (1.0, 600, PREMIUM, 0),  # money for the fee, not for the first increment
        (0.04, 60, GERMANY, 0),  # not even the fee
        (0.005, 60, MOBILE, 2),  # 2.5 increments: 2 are paid
        (0.15 * 1.5 + 0.05, 1000, GERMANY, 30),  # money for 45 s in steps of 30 s
    ],
)
def test_maximum_usage_of_money(bank: Bank, value: float, seconds: int, destination: str, expected: int) -> None:
    bank.account("1001", money(value))
    assert bank.max_time(call(seconds, destination)) == expected * NS
    cost = bank.max_debit(call(seconds, destination))
    assert sum(s.duration_ns for s in cost.timespans or ()) >= min(expected, seconds) * NS
    if expected == 0:
        assert (cost.timespans, cost.cost_nano) == (None, 0)


def test_dearer_rates_than_asked_for_are_refused(bank: Bank) -> None:
    bank.account("1001", voice(20), money(5))
    for most, seconds in ((0.12, 60), (0.11, 20)):
        assert bank.max_time(call(60, max_rate=most, max_rate_unit_ns=60 * NS)) == seconds * NS


def test_an_account_that_may_go_negative_has_no_limit(bank: Bank) -> None:
    bank.account("1001", allow_negative=True)
    assert bank.max_time(call(60)) == -1
    bank.max_debit(call(60))
    assert bank.money("*default") == -0.12


@pytest.mark.parametrize(
    ("account", "descriptor", "error"),
    [
        (None, call(60), "ACCOUNT_NOT_FOUND"),
        (None, call(73 * 3600), "MAX_USAGE_EXCEEDED"),
        (Account("cgrates.org:1001", disabled=True), call(60), "ACCOUNT_DISABLED"),
        (
            Account("cgrates.org:1001", {"*monetary": [Balance("m", "M", NANO)]}),
            call(60, "+33"),
            "UNAUTHORIZED_DESTINATION",
        ),
        (
            Account("cgrates.org:1001", {"*monetary": [Balance("m", "M", NANO)]}),
            call(60, category="nothing"),
            "RATING_PLAN_NOT_FOUND",
        ),
        (
            Account("cgrates.org:1001", {"*monetary": [Balance("m", "M", NANO, shared_groups={"NONE": True})]}),
            call(60),
            "NOT_FOUND",
        ),
    ],
)
def test_refusals(bank: Bank, account: Account | None, descriptor: Any, error: str) -> None:
    if account is not None:
        bank.stored[account.id] = account
    for request in (bank.debit, bank.max_debit, bank.max_time):
        with pytest.raises(ApiError) as refused:
            request(descriptor)
        assert refused.value.text == error


def test_force_duration_is_all_or_nothing(bank: Bank) -> None:
    bank.account("1001", money(0.1))
    with pytest.raises(ApiError, match="INSUFFICIENT_CREDIT"):
        bank.max_debit(call(60, force_duration=True))
    assert bank.money() == 0.1
    assert bank.max_debit(call(50, force_duration=True)).cost_nano == 100_000_000


def test_max_debit_cuts_usage_and_index(bank: Bank) -> None:
    bank.account("1001", money(0.06))
    cost = bank.max_debit(call(60, start=NOW.plus(20 * NS), loop_index=1, duration_index_ns=80 * NS))
    (span,) = cost.timespans or ()
    assert (span.duration_ns, span.duration_index_ns) == (30 * NS, 50 * NS)
    assert bank.money() == 0


# --- below zero --------------------------------------------------------------------------------------------------


def test_a_debit_goes_to_the_default_balance(bank: Bank) -> None:
    bank.account("1001", money(0.04, "SMALL"))
    cost = bank.debit(call(30, GERMANY))
    assert shape(cost) == [[(0, 0.05, 1)], [(30, 0.15, 1)]]
    assert (bank.money("SMALL"), bank.money("*default")) == (0.04, -0.2)


def test_denied_negative_leaves_out_what_cannot_be_paid(bank: Bank) -> None:
    bank.account("1001", money(0.1))
    cost = bank.debit(call(60, deny_negative_account=True))
    assert shape(cost) == [[(1, 0.002, 50)]]
    assert bank.money() == 0


def test_the_fee_of_a_debit_is_owed_even_when_negative_is_denied(bank: Bank) -> None:
    bank.account("1001", money(0.04, "SMALL"))
    bank.debit(call(30, GERMANY, deny_negative_account=True))
    assert bank.money("*default") == -0.05


def test_what_is_free_needs_no_balance(bank: Bank) -> None:
    bank.account("1001")
    cost = bank.debit(call(60, subject="FREE"))
    assert shape(cost) == [[(1, 0, 60)]]
    info = (cost.timespans or [])[0].increments[0].balance_info
    assert info is not None and (info.unit, info.monetary, info.account_id) == (None, None, "cgrates.org:1001")
    assert bank.stored["cgrates.org:1001"].balances is None


def test_free_units_first_leave_no_fee(bank: Bank) -> None:
    bank.account("1001", voice(20), money(1))
    cost = bank.debit(call(30, PREMIUM))
    assert shape(cost) == [[(1, 0, 20)], [(60, 1.2, 1)]]


def test_the_first_balance_that_can_pays_the_fee(bank: Bank) -> None:
    bank.account("1001", money(0.01, "SMALL", weight=20.0), money(1, "BIG", weight=10.0))
    cost = bank.debit(call(60, FIXED))
    assert shape(cost) == [[(0, 0.02, 1)], [(60, 0.06, 1)]]
    assert (bank.money("SMALL"), bank.money("BIG")) == (0.01, 0.92)


# --- order, blockers, subjects -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("destination_ids", "destination", "pays"),
    [
        ({}, MOBILE, True),
        ({"*any": True}, MOBILE, True),
        ({"NATIONAL": True, "PREMIUM": False}, MOBILE, True),
        ({"NATIONAL": True, "PREMIUM": False}, PREMIUM, False),
        ({"GERMANY": False}, "+49891234567", False),
        ({"GERMANY": False}, GERMANY, True),  # BERLIN's longer prefix decides (oddity, kept)
        ({"GERMANY": False}, "+1", False),  # no known prefix at all
        ({"GERMANY": True}, MOBILE, False),
    ],
)
def test_destinations_of_balances(bank: Bank, destination_ids: dict[str, bool], destination: str, pays: bool) -> None:
    bank.account("1001", voice(100, destination_ids=destination_ids), allow_negative=True)
    bank.debit(call(10, destination, subject="FREE"))
    assert bank.seconds() == (90 if pays else 100)


def test_precision_then_weight_then_list_order(bank: Bank) -> None:
    bank.account(
        "1001",
        voice(1, "FIRST", weight=10.0),
        voice(1, "SECOND", weight=10.0),
        voice(1, "HEAVY", weight=20.0),
        voice(1, "WIDE", destination_ids={"NATIONAL": True}),
        voice(1, "NARROW", destination_ids={"MOBILE_HOME": True}),
    )
    cost = bank.debit(call(5))
    ids = [i.balance_info.unit.id for s in cost.timespans or () for i in s.increments if i.balance_info.unit]  # type: ignore[union-attr]
    assert ids == ["NARROW", "WIDE", "HEAVY", "FIRST", "SECOND"]


@pytest.mark.parametrize(
    "fields",
    [
        {"disabled": True},
        {"categories": {"sms": True}},
        {"expiration_date": at("2026-03-10T08:59:59Z")},
        {"timings": (Timing("T", years=(2044,)),), "timing_ids": {"T": True}},
        {"timings": (Timing("T"),), "timing_ids": {"T": False}},  # only negated
    ],
)
def test_balances_that_do_not_pay(bank: Bank, fields: dict[str, Any]) -> None:
    bank.account("1001", voice(100, **fields), money(1))
    bank.debit(call(10))
    assert bank.money() == 0.98


def test_expiry_follows_the_start_of_the_call(bank: Bank) -> None:
    bank.account("1001", voice(100, expiration_date=at("2026-03-10T08:00:00Z")), money(1))
    assert bank.max_time(call(10, start=at("2026-03-10T07:00:00Z"))) == 10 * NS
    cost = bank.debit(call(10, start=at("2026-03-10T07:00:00Z")))
    assert cost.cost_nano == 0
    with pytest.raises(KeyError):
        bank.seconds()  # cleaning follows the clock
    assert cost.account_summary is not None
    gone = cost.account_summary.balances[-1]
    assert (gone.id, gone.initial, gone.value) == ("V", 0, 0)


def test_a_blocker_bars_what_comes_after_it(bank: Bank) -> None:
    bank.account("1001", voice(30, blocker=True, weight=20.0), money(10))
    assert bank.max_time(call(100)) == 30 * NS
    with pytest.raises(ApiError, match="INSUFFICIENT_CREDIT_BALANCE_BLOCKER"):
        bank.debit(call(100))
    assert bank.seconds() == 30
    assert shape(bank.max_debit(call(100))) == [[(1, 0, 30)]]
    assert bank.max_time(call(100)) == 0  # empty, it blocks all the same


def test_steps_of_free_units_round_up(bank: Bank) -> None:
    bank.account("1001", voice(100, rating_subject="*zero30s"), money(10))
    cost = bank.debit(call(45))
    assert shape(cost) == [[(30, 0, 2)]]
    assert (cost.timespans or [])[0].duration_index_ns == 15 * NS
    cost = bank.debit(call(55))
    assert shape(cost) == [[(30, 0, 1)], [(1, 0.002, 25)]]


def test_money_with_a_subject_is_rated_with_it(bank: Bank) -> None:
    bank.account("1001", money(0.05, "CHEAP", weight=20.0, rating_subject="FLAT"), money(3))
    cost = bank.debit(call(130))
    assert shape(cost) == [[(10, 0.005, 10)], [(1, 0.002, 30)]]
    assert (bank.money("CHEAP"), bank.money()) == (0, 2.94)


def test_the_rest_is_rated_with_the_last_money_subject(bank: Bank) -> None:
    bank.account("1001", money(0.02, rating_subject="FLAT"))
    cost = bank.debit(call(60))
    assert shape(cost) == [[(10, 0.005, 4)], [(10, 0.005, 2)]]
    assert bank.money("*default") == -0.01


def test_a_factor_multiplies_what_a_unit_takes(bank: Bank) -> None:
    bank.account("1001", voice(100, factors={"roam": 2.5, "third": 1 / 3}))
    bank.debit(call(20, extra_fields={"BalanceFactorID": "roam"}))
    assert bank.seconds() == 50
    cost = bank.debit(call(1, extra_fields={"BalanceFactorID": "third"}))
    unit = (cost.timespans or [])[0].increments[0].balance_info
    assert unit is not None and unit.unit is not None
    assert unit.unit.consumed == 33_333_333_333_334  # rounded up in the fifth decimal of a nanosecond


def test_index_is_raised_by_max_debit_at_once_and_by_debit_when_rating(bank: Bank) -> None:
    for request, index in ((bank.debit, 60 * NS), (bank.max_debit, 160 * NS)):
        bank.account("1001", voice(100), money(5))
        spans = request(call(160)).timespans or []
        assert spans[1].duration_index_ns == index


# --- caps --------------------------------------------------------------------------------------------------------


def test_a_free_cap_makes_the_rest_free(bank: Bank) -> None:
    bank.account("1001", money(5))
    assert shape(bank.debit(call(90, subject="CAPPED_FREE"))) == [[(1, 0.002, 50), (1, 0, 40)]]
    assert bank.max_time(call(900, subject="CAPPED_FREE")) == 900 * NS
    cost = bank.max_debit(call(60, subject="CAPPED_FREE", max_cost_so_far_nano=90_000_000))
    assert shape(cost) == [[(1, 0.002, 5), (1, 0, 55)]]


def test_a_disconnect_cap_ends_a_dry_run_only(bank: Bank) -> None:
    bank.account("1001", money(5))
    assert bank.max_time(call(900, subject="CAPPED_CUT")) == 50 * NS
    assert shape(bank.max_debit(call(90, subject="CAPPED_CUT"))) == [[(1, 0.002, 50)]]
    assert shape(bank.debit(call(90, subject="CAPPED_CUT"))) == [[(1, 0.002, 90)]]


# --- rounding, dry run, numbers ----------------------------------------------------------------------------------


def test_rounding_debits_the_difference(bank: Bank) -> None:
    bank.account("1001", money(5))
    cost = bank.debit(call(20, subject="ROUND", perform_rounding=True))
    (span,) = cost.timespans or ()
    assert span.round_increment is not None
    assert (cost.cost_nano, span.round_increment.cost_nano) == (40_000_000, 4_990_000)
    info = span.round_increment.balance_info
    assert info is not None and info.monetary is not None and info.monetary.value_nano == 4_964_990_000
    assert bank.money() == 4.96


def test_a_dry_run_keeps_nothing(bank: Bank) -> None:
    bank.account("1001", voice(30), money(5))
    cost = bank.debit(call(40, dry_run=True, perform_rounding=True))
    assert shape(cost) == [[(1, 0, 30)], [(1, 0.002, 10)]]
    assert (bank.seconds(), bank.money(), bank.changed) == (30, 5, [])


def test_usage_zero_debits_nothing(bank: Bank) -> None:
    bank.account("1001", money(5))
    (span,) = bank.debit(call(0)).timespans or ()
    assert (span.matched_prefix, span.rate_interval, span.increments) == ("+40721", None, [])
    assert bank.debit(call(0, "+33")).timespans is None
    with pytest.raises(ApiError, match="UNAUTHORIZED_DESTINATION"):
        bank.max_debit(call(0, "+33"))
    assert bank.money() == 5


def test_an_unaligned_value_is_rounded_by_its_first_debit(bank: Bank) -> None:
    bank.account("1001", money(1.123456789))
    bank.debit(call(1))
    assert bank.money() == 1.12146


def test_small_debts_do_not_drift(bank: Bank) -> None:
    bank.account("1001")
    for _ in range(60):
        bank.debit(call(1))
    assert bank.balance("*default").value == -120_000_000


def test_ten_billion_increments_are_one_division(bank: Bank) -> None:
    bank.account("1001", units("*data", 10**10), money(10**6))
    data = {"tor": "*data", "category": "bytes"}
    assert bank.max_time(call(usage=10**11, **data)) == 10**11
    cost = bank.debit(call(usage=10**11, **data))
    assert [[i.compress_factor for i in s.increments] for s in cost.timespans or ()] == [[10**10], [9 * 10**10]]
    assert bank.money() == 10**6 - 900_000


def test_events_name_the_account_once_for_money_and_once_for_units(bank: Bank) -> None:
    bank.account("1001", voice(10), money(5))
    bank.debit(call(20))
    assert bank.changed == ["cgrates.org:1001", "cgrates.org:1001"]
    bank.account("1002")
    bank.debit(call(20, account="1002"))
    assert bank.changed == []  # a `*default` made by the debit alone


# --- shared groups -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("group", "own", "others", "expected"),
    [
        ("FAMILY_LOWEST", 1.0, {"mum": 0.3}, [("MUM", 150), ("OWN", 50)]),
        ("FAMILY_HIGHEST", 0.1, {"rich": 3.0}, [("RICH", 200)]),
        ("FAMILY_MINE_LOWEST", 0.2, {"a": 0.1, "b": 0.3}, [("OWN", 100), ("A", 50), ("B", 50)]),
        ("FAMILY_LOWEST", 0.0, {"mum": 5.0}, [("MUM", 200)]),  # no credit of its own opens the group all the same
    ],
)
def test_shared_balances(
    bank: Bank, group: str, own: float, others: dict[str, float], expected: list[tuple[str, int]]
) -> None:
    shared = {group: True}
    bank.account("1001", money(own, "OWN", shared_groups=shared))
    for name, value in others.items():
        bank.account(name, money(value, name.upper(), shared_groups=shared))
    before = bank.total()
    assert bank.max_time(call(7200)) == round((own + sum(others.values())) / 0.002) * NS
    cost = bank.debit(call(200))
    paid = [
        (i.balance_info.monetary.id, i.compress_factor)  # type: ignore[union-attr]
        for s in cost.timespans or ()
        for i in s.increments
    ]
    assert paid == expected
    assert before - bank.total() == cost.cost_nano


def test_units_and_money_of_one_member_are_one_account(bank: Bank) -> None:
    shared = {"FAMILY_LOWEST": True}
    bank.account("1001", voice(0, shared_groups=shared), money(0, "OWN", shared_groups=shared))
    bank.account("mum", voice(10, "MV", shared_groups=shared), money(1, "MM", shared_groups=shared))
    bank.debit(call(20))
    assert (bank.seconds("MV", "mum"), bank.money("MM", "mum")) == (0, 0.98)


def test_a_disabled_member_is_left_out(bank: Bank) -> None:
    shared = {"FAMILY_HIGHEST": True}
    bank.account("1001", money(0.1, "OWN", shared_groups=shared))
    bank.account("rich", money(9, "RICH", shared_groups=shared), disabled=True)
    assert bank.max_time(call(3600)) == 50 * NS


# --- refunds -----------------------------------------------------------------------------------------------------


def test_a_refund_restores_units_and_money(bank: Bank) -> None:
    bank.account("1001", voice(30), money(5), units("*generic", 10 * NS, "G"))
    asked = call(90, GERMANY, perform_rounding=True)
    bank.refund(returned(bank.debit(asked), asked))
    assert (bank.seconds(), bank.money(), bank.seconds("G")) == (30, 5, 10)


def test_what_is_gone_is_skipped(bank: Bank) -> None:
    bank.account("1001", voice(30), money(5))
    asked = call(90)
    back = returned(bank.debit(asked), asked)
    bank.account("1001", money(0, "NEW"))
    bank.refund(back)
    assert bank.money("NEW") == 0
    back.increments[0].balance_info = None
    bank.stored.clear()
    bank.refund(back)
    assert bank.stored == {}


def test_a_rounding_refund_takes_its_cost(bank: Bank) -> None:
    bank.account("1001", money(5))
    asked = call(20, subject="ROUND", perform_rounding=True)
    cost = bank.debit(asked)
    back = call(20)
    increment = (cost.timespans or [])[0].round_increment
    assert increment is not None
    back.increments = [increment]
    bank.refund(back, rounding=True)
    assert bank.money() == 4.95501
