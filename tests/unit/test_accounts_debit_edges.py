"""Edges of debits (spec 20 §3.2, 3.3, 3.4, 3.9, 3.11): ends before starts, missing groups, odd sets and strategies, who is
cleaned, what increments show."""

from __future__ import annotations

from typing import Any

import pytest

from cgr_cluster.accounts.amounts import MONETARY, system_rounding
from cgr_cluster.accounts.hooks import HookOf
from cgr_cluster.accounts.ledger import Payer
from cgr_cluster.accounts.operations import add_amount
from cgr_cluster.accounts.shared_groups import by_strategy
from cgr_cluster.accounts.types import Account, Balance
from cgr_cluster.actions.triggers import Evaluator
from cgr_cluster.actions.types import ActionTrigger, BalanceFilter
from cgr_cluster.engine.generation import Generation
from cgr_cluster.events.amounts import GRAINS, NANO
from cgr_cluster.events.instant import NS
from cgr_cluster.rating.types import CallCost
from cgr_cluster.rpc.errors import ApiError
from tests.unit.accounts_world import (
    GERMANY,
    MOBILE,
    NOW,
    Bank,
    call,
    money,
    returned,
    shape,
    units,
    voice,
    worked_example,
)
from tests.unit.rating_world import ANY_TIME, LONG_AGO, per_minute


@pytest.fixture(scope="module")
def tariff() -> Generation:
    return worked_example().destination("BERLIN", "+4930").generation()


@pytest.fixture
def bank(tariff: Generation) -> Bank:
    return Bank(tariff)


def payers(cost: CallCost) -> list[list[tuple[str, str, str]]]:
    """Per span the (unit balance, money balance, account) of its increments."""
    return [
        [
            (i.balance_info.unit.id if i.balance_info.unit else "", i.balance_info.monetary.id if i.balance_info.monetary else "",
             i.balance_info.account_id.partition(":")[2])
            for i in span.increments
            if i.balance_info is not None
        ]
        for span in cost.timespans or ()
    ]  # fmt: skip


def hook_of(generation: Generation) -> HookOf:
    return Evaluator(generation, NOW, True, lambda actions_id: False, lambda *args: True).hook


# --- an end before the start -------------------------------------------------------------------------------------


def test_an_end_before_the_start_is_charged_one_increment(bank: Bank) -> None:
    bank.account("1001", money(5))
    assert bank.max_time(call(-30)) == -30 * NS
    assert shape(bank.debit(call(-30))) == [[(1, 0.002, 1)]]
    assert shape(bank.max_debit(call(-30))) == [[(1, 0.002, 1)]]


def test_without_credit_the_length_is_negative_all_the_same(bank: Bank) -> None:
    bank.account("1001")
    assert bank.max_time(call(-30)) == -30 * NS
    assert shape(bank.max_debit(call(-30))) == [[(1, 0.002, 1)]]  # so the whole of it is debited
    assert bank.money("*default") == -0.002
    bank.account("1002", money(0.01))
    assert bank.max_time(call(-30, GERMANY, account="1002")) == 0  # the connect fee cannot be paid


# --- shared groups that are not there, strategies ----------------------------------------------------------------


@pytest.mark.parametrize("seconds", [0, 60])
@pytest.mark.parametrize("negative", [False, True])
@pytest.mark.parametrize("balance", [money(0, shared_groups={"NONE": True}), voice(5, shared_groups={"NONE": True})])
def test_a_missing_group_is_an_error_whatever_is_asked(
    bank: Bank, seconds: int, negative: bool, balance: tuple[str, Balance]
) -> None:
    bank.account("1001", balance, money(5), allow_negative=negative)
    for request in (bank.debit, bank.max_debit, bank.max_time):
        with pytest.raises(ApiError) as refused:
            request(call(seconds))
        assert refused.value.text == "NOT_FOUND"


@pytest.mark.parametrize(
    "fields", [{"disabled": True}, {"destination_ids": {"PREMIUM": True}}, {"categories": {"x": True}}]
)
def test_a_missing_group_of_a_balance_that_is_not_useful_does_not_matter(bank: Bank, fields: dict[str, Any]) -> None:
    bank.account("1001", money(1, "LOST", shared_groups={"NONE": True}, **fields), money(5))
    assert bank.max_time(call(60)) == 60 * NS


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [
        ("*lowest", "A OWN C"),
        ("*highest", "C OWN A"),
        ("*mine_lowest", "OWN A C"),
        ("*mine_highest", "OWN C A"),
        ("*mine_random", "OWN"),
        ("", "OWN"),
        ("lowest", "OWN"),  # a strategy that is none is *mine_random
        ("*cheapest", "OWN"),
    ],
)
def test_the_order_of_a_strategy(strategy: str, expected: str) -> None:
    account = Account("cgrates.org:x")
    held = [Balance(f"u{name}", name, value) for name, value in (("A", 1), ("OWN", 2), ("C", 3))]
    shared = [Payer(balance, MONETARY, account, None) for balance in held]
    for seed in ("1", "2", "3"):
        ordered = by_strategy(shared, strategy, held[1], seed)
        assert " ".join(p.balance.id for p in ordered).startswith(expected)
        assert sorted(p.balance.id for p in ordered) == ["A", "C", "OWN"]


def test_a_random_order_depends_on_the_request_only() -> None:
    account = Account("cgrates.org:x")
    shared = [Payer(Balance(f"u{n}", str(n)), MONETARY, account, None) for n in range(9)]
    orders = {seed: [p.balance.id for p in by_strategy(shared, "*random", Balance("x"), seed)] for seed in "abcdef"}
    assert len({tuple(order) for order in orders.values()}) > 1
    assert orders["a"] == [p.balance.id for p in by_strategy(shared, "*random", Balance("x"), "a")]


# --- destinations -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("destination_ids", "number", "pays"),
    [
        ({"GERMANY": False}, "+4989", False),
        ({"GERMANY": False}, "+4930", True),  # BERLIN, which is not excluded, has the longest known prefix
        ({"GERMANY": False}, "+33", False),  # no known prefix at all
        ({"GERMANY": False, "BERLIN": False}, "+4930", False),
        ({"NATIONAL": True, "PREMIUM": False}, "+4090123", False),
        ({"NATIONAL": True, "PREMIUM": False}, "+40721", True),
        ({"*any": True, "PREMIUM": False}, "+4090123", True),
        ({"*any": False}, "+4989", True),  # an exclusion of `*any` excludes no destination
        ({"*any": False, "GERMANY": True}, "+4989", True),
        ({"*any": False, "GERMANY": True}, "+40721", False),
    ],
)
def test_which_numbers_a_balance_pays(bank: Bank, destination_ids: dict[str, bool], number: str, pays: bool) -> None:
    bank.account("1001", voice(100, destination_ids=destination_ids))
    assert bank.max_time(call(60, number, subject="FREE", loop_index=1)) == 60 * NS  # what nobody pays is free here
    bank.debit(call(60, number, subject="FREE"))
    assert (bank.seconds() == 40) is pays


# --- factors, money that pays twice ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("factors", "extra", "left"),
    [
        ({"f": 2.5}, {"BalanceFactorID": "f"}, 50),
        ({"f": 2.5}, {"BalanceFactorID": "g"}, 80),
        ({"f": 2.5}, {}, 80),
        ({"": 2.5}, {}, 80),  # a factor without a name is not the one of requests that name none
        ({"f": 0.0}, {"BalanceFactorID": "f"}, 100),
    ],
)
def test_factors(bank: Bank, factors: dict[str, float], extra: dict[str, str], left: float) -> None:
    bank.account("1001", voice(100, factors=factors))
    asked = call(20, extra_fields=extra)
    cost = bank.debit(asked)
    assert bank.seconds() == left
    bank.refund(returned(cost, asked))
    assert bank.seconds() == 100


def test_money_may_pay_units_and_their_price(bank: Bank) -> None:
    """A request of ToR `*monetary`: each increment takes a nanosecond's worth of money and its price from it."""
    bank.account("1001", money(10.00001, rating_subject="BYTE"))
    cost = bank.debit(call(usage=20, tor=MONETARY, category="bytes"))
    assert [[i.compress_factor for i in span.increments] for span in cost.timespans or ()] == [[9], [11]]
    assert payers(cost) == [[("MAIN", "MAIN", "1001")], [("", "MAIN", "1001")]]  # then there is 1 left, for prices only
    assert bank.money() == round(10.00001 - 9 * 1.00001 - 11 * 0.00001, 5)


# --- what increments show, what is cleaned -----------------------------------------------------------------------


def test_a_maximum_debit_cleans_like_a_debit(bank: Bank) -> None:
    expired = NOW.plus(-NS)
    for request in (bank.debit, bank.max_debit):
        bank.account(
            "1001", money(1, "OLD", expiration_date=expired), money(5), voice(1, "GONE", expiration_date=expired)
        )
        cost = request(call(20))
        assert cost.account_summary is not None
        assert [(b.id, b.initial, b.value) for b in cost.account_summary.balances] == [
            ("MAIN", 5 * NANO, 4_960_000_000),
            ("GONE", 0, 0),
            ("OLD", 0, 0),
        ]
        assert bank.stored["cgrates.org:1001"].balances is not None
        assert bank.stored["cgrates.org:1001"].balances["*voice"] == []


def test_taking_nothing_rounds_too(bank: Bank) -> None:
    for subject in ("FREE", "1001"):
        bank.account("1001", money(1.123456789, rating_subject="FREE"))
        bank.debit(call(20, subject=subject))
        assert bank.money() == 1.12346


def test_a_price_is_refunded_to_the_member_that_paid_it(bank: Bank) -> None:
    """Units of one member, money of another: an increment names the owner of the units only."""
    shared = {"FAMILY_LOWEST": True}
    bank.account("1001", voice(0, "OPEN", shared_groups=shared), money(1))
    bank.account("mum", voice(100, "MV", rating_subject="FLAT", shared_groups=shared))
    asked = call(45)
    cost = bank.debit(asked)
    assert payers(cost) == [[("MV", "MAIN", "mum")]]
    assert (bank.seconds("MV", "mum"), bank.money()) == (50, 0.975)
    bank.refund(returned(cost, asked))
    assert (bank.seconds("MV", "mum"), bank.money()) == (100, 1)


def test_its_rounding_is_taken_from_the_member_that_pays(bank: Bank) -> None:
    shared = {"FAMILY_LOWEST": True}
    bank.account("1001", voice(0, "OPEN", shared_groups=shared), money(5))
    bank.account("mum", voice(100, "MV", rating_subject="ROUND", shared_groups=shared))
    assert bank.debit(call(20, perform_rounding=True)).cost_nano == 40_000_000
    assert bank.money() == 4.96


def test_units_of_money_come_back_by_any_increments(bank: Bank) -> None:
    """`*zero...` on money; increments made from a CDR's cost details know the request's ToR only."""
    bank.account("1001", money(60, rating_subject="*zero1"))
    asked = call(usage=12, tor="*sms")
    cost = bank.debit(asked)
    assert bank.money() == 48
    back = returned(cost, asked)
    assert back.increments[0].balance_info is not None and back.increments[0].balance_info.unit is not None
    assert back.increments[0].balance_info.unit.tor == MONETARY
    back.increments[0].balance_info.unit.tor = "*sms"
    bank.refund(back)
    assert bank.money() == 60


def test_a_refund_without_tor_is_one_of_voice(bank: Bank) -> None:
    bank.account("1001", voice(30), units("*sms", 5, "S"))
    asked = call(20, MOBILE, tor="")
    bank.refund(returned(bank.debit(asked), asked))
    assert bank.seconds() == 30


# --- the system rounding -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("decimals", "debit", "left", "topped_up"),
    [
        (2, 0.0, 1.12, 4.12),
        (5, 0.0001, 1.12336, 4.12346),
        (7, 0.000123, 1.1233338, 4.1234568),
        (9, 0.00012333, 1.123333459, 4.123456789),
    ],
)
def test_balances_round_to_the_decimals_of_prices(decimals: int, debit: float, left: float, topped_up: float) -> None:
    """`general.rounding_decimals`: ten seconds at 0.00074 a minute, from 1.123456789; 4 and 0.123456789."""
    world = worked_example().plan("RP_FINE", ("*any", ANY_TIME, per_minute(0.00074), 10.0))
    world.profile("FINE", (LONG_AGO, "RP_FINE", ""))
    world.config["general"]["rounding_decimals"] = decimals
    generation = world.generation()
    for trigger in ([], [ActionTrigger("G", "U", "*min_balance", -NANO, balance=BalanceFilter(type=MONETARY))]):
        bank = Bank(generation, hook_of(generation)).account("1001", money(1.123456789))
        bank.stored["cgrates.org:1001"].triggers = trigger or None
        cost = bank.debit(call(10, subject="FINE"))
        assert (cost.cost_nano / NANO, bank.money()) == (debit, left)
    account = Account("cgrates.org:1001", {MONETARY: [Balance("u", "MAIN", 4 * NANO)]})
    wanted = BalanceFilter(id="MAIN", type=MONETARY)
    add_amount(account, wanted, 123_456_789, NOW.ns, lambda: "x", system_rounding(generation))
    assert account.balances is not None and account.balances[MONETARY][0].value / NANO == topped_up


def test_decimals_that_balances_have_not_round_nothing() -> None:
    """`*down` to 6 decimals cuts 0.12976, in doubles, to 0.129759; money and prices have 5."""
    rating = per_minute(0.4866, rounding_decimals=6, rounding_method="*down")
    world = worked_example().plan("RP_SIX", ("*any", ANY_TIME, rating, 10.0))
    world.profile("SIX", (LONG_AGO, "RP_SIX", ""))
    generation = world.generation()
    for trigger in ([], [ActionTrigger("G", "U", "*min_balance", -NANO, balance=BalanceFilter(type=MONETARY))]):
        bank = Bank(generation, hook_of(generation)).account("1001", money(1))
        bank.stored["cgrates.org:1001"].triggers = trigger or None
        cost = bank.debit(call(16, subject="SIX", perform_rounding=True))
        (span,) = cost.timespans or ()
        assert (cost.cost_nano / NANO, span.round_increment, bank.money()) == (0.12976, None, 0.87024)


@pytest.mark.parametrize(("decimals", "taken"), [(2, 3.34), (5, 3.33334), (7, 3.33334)])
def test_factors_round_up_to_them(decimals: int, taken: float) -> None:
    """10 times a third; units have five decimals at most."""
    world = worked_example()
    world.config["general"]["rounding_decimals"] = decimals
    bank = Bank(world.generation()).account(
        "1001", units("*sms", 100, "S", factors={"f": 1 / 3}, rating_subject="*zero10")
    )
    bank.debit(call(usage=10, tor="*sms", extra_fields={"BalanceFactorID": "f"}))
    assert bank.balance("S").value / GRAINS == round(100 - taken, 5)
