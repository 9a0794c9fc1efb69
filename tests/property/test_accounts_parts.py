"""What holds of whole calls, however they are charged: in parts, up to the credit, and given back (spec 20 §3.2, 3.7, 3.9);
and that the number of increments costs nothing (design 11)."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cgr_cluster.accounts.amounts import MONETARY
from cgr_cluster.accounts.types import Balance
from cgr_cluster.actions.types import ActionTrigger, BalanceFilter
from cgr_cluster.events.amounts import GRAINS
from cgr_cluster.events.instant import NS
from cgr_cluster.rating.event_cost import cost_nano, event_cost_of, usage_ns
from cgr_cluster.rating.event_cost_pieces import increments_of
from cgr_cluster.rating.types import CallCost, CallDescriptor
from cgr_cluster.rpc.errors import ApiError
from tests.property.account_cases import TARIFF, Cases, evaluator
from tests.property.test_accounts_naive import Real, seeds
from tests.unit.accounts_world import (
    FIXED,
    GERMANY,
    MOBILE,
    NOW,
    PREMIUM,
    TENANT,
    Bank,
    call,
    money,
    returned,
    units,
    voice,
)

# --- a call in parts ---------------------------------------------------------------------------------------------


funds = st.lists(
    st.one_of(
        st.builds(
            lambda cents, **fields: money(cents / 100, **fields),
            st.integers(0, 400),
            id=st.sampled_from(["A", "B"]),
            weight=st.sampled_from([0.0, 10.0]),
        ),
        st.builds(
            lambda value, **fields: voice(value, **fields),
            st.integers(0, 150),
            weight=st.sampled_from([0.0, 10.0]),
            rating_subject=st.sampled_from(["", "*zero7s", "*zero30s", "FLAT"]),
            factors=st.sampled_from([None, {"f": 1.5}]),
        ),
    ),
    max_size=4,
)


@settings(deadline=None, max_examples=150)
@given(
    funds,
    st.sampled_from([MOBILE, GERMANY, FIXED, PREMIUM]),
    st.lists(st.integers(1, 300), min_size=1, max_size=6),
    st.sampled_from(["debit", "max_debit"]),
)
def test_a_call_in_parts_costs_what_the_whole_costs(
    held: list[tuple[str, Balance]], destination: str, lengths: list[int], way: str
) -> None:
    """As sessions charge it: each part begins where what is paid ends, and says how long the call is by then."""
    fields: dict[str, Any] = {"extra_fields": {"BalanceFactorID": "f"}}
    whole, parts = Bank(TARIFF), Bank(TARIFF)
    for bank in (whole, parts):
        bank.account("1001", *[(kind, balance.copy()) for kind, balance in held])
    total = sum(lengths)
    at_once = getattr(whole, way)(call(total, destination, duration_index_ns=total * NS, **fields))
    if at_once.rated_usage_ns < total * NS:
        return  # the credit ends first: a maximum debit of the whole stops there, parts may find some more
    asked = paid = cost = part = 0
    for length in lengths:
        asked += length * NS
        if asked <= paid:
            continue
        answer = getattr(parts, way)(
            call(
                usage=asked - paid, start=NOW.plus(paid), destination=destination, duration_index_ns=asked,
                loop_index=part, **fields,
            )
        )  # fmt: skip
        part += 1
        paid += answer.rated_usage_ns
        cost += answer.cost_nano
    assert (cost, paid) == (at_once.cost_nano, at_once.rated_usage_ns)
    for kind in (MONETARY, "*voice"):  # which of them paid may differ: a dear first minute is behind
        assert parts.total(kind) == whole.total(kind)


# --- up to the credit --------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=250)
@given(seeds)
def test_a_maximum_debit_takes_no_balance_below_zero(seed: int) -> None:
    """But for the price of units that no money can pay, which a real debit puts on `*default` (20 §3.4)."""
    cases = Cases(seed, watched=False)
    asked = cases.request()
    own = cases.accounts[f"{TENANT}:1001"]
    if own.allow_negative or asked.perform_rounding or asked.time_end.ns < asked.time_start.ns:
        return
    real = Real(cases)
    before = {b.uuid: b.value for a in real.stored.values() for held in (a.balances or {}).values() for b in held}
    try:
        cost = real.max_debit(asked)
    except ApiError:
        return
    below = {
        b.uuid
        for account in real.stored.values()
        for held in (account.balances or {}).values()
        for b in held
        if b.value < min(0, before.get(b.uuid, 0))
    }
    paid_for_units = {
        i.balance_info.monetary.uuid
        for s in cost.timespans or ()
        for i in s.increments
        if i.balance_info is not None and i.balance_info.unit is not None and i.balance_info.monetary is not None
    }
    assert below <= paid_for_units


# --- and back ----------------------------------------------------------------------------------------------------


def values(bank: Bank) -> dict[str, int]:
    return {
        b.uuid: b.value
        for account in bank.stored.values()
        for kind, held in (account.balances or {}).items()
        for b in held
        if b.value
    }


@settings(deadline=None, max_examples=250)
@given(seeds, st.booleans())
def test_a_refund_gives_back_what_a_debit_took(seed: int, by_cost_details: bool) -> None:
    """By the increments of the answer, or by those of the CDR's EventCost."""
    cases = Cases(seed, watched=False, aligned=True)
    asked = cases.request()
    asked.dry_run = False
    real = Real(cases)
    before = values(real)
    try:
        cost = real.debit(asked)
    except ApiError:
        return
    back = returned(cost, asked)
    details = event_cost_of(cost)
    assert (cost_nano(details), usage_ns(details)) == (cost.cost_nano, cost.rated_usage_ns)
    if by_cost_details:
        back.increments = increments_of(details, asked.tor)
    real.refund(back)
    kept = {b.uuid for a in real.stored.values() for held in (a.balances or {}).values() for b in held}
    assert values(real) == {uuid: value for uuid, value in before.items() if uuid in kept}  # expired ones went


# --- any number of increments ------------------------------------------------------------------------------------


def calls_made(work: Callable[[], Any]) -> int:
    """How many Python functions a piece of work calls."""
    made = 0

    def count(frame: Any, event: str, arg: Any) -> None:
        nonlocal made
        made += event == "call"

    gc.disable()  # its callbacks are functions too
    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(None)
        gc.enable()
    return made


def watched(bank: Bank) -> Bank:
    """The same account with triggers: one that never fires, a counter, and one that fires in the middle."""
    account = bank.stored[f"{TENANT}:1001"]
    half = max(b.value for b in (account.balances or {})[MONETARY]) // 2
    account.triggers = [
        ActionTrigger("G", "NEVER", "*min_balance", -1, balance=BalanceFilter(type=MONETARY), actions_id="OFF"),
        ActionTrigger("G", "HALF", "*min_balance", half, balance=BalanceFilter(type=MONETARY), actions_id="BROKEN"),
    ]
    bank._hook_of = evaluator().hook
    return bank


BYTES: dict[str, Any] = {"tor": "*generic", "category": "bytes"}
WAYS: dict[str, Callable[[int], tuple[Bank, CallDescriptor]]] = {
    "money": lambda n: (Bank(TARIFF).account("1001", money(n / 100_000)), call(usage=n, **BYTES)),
    "money with triggers": lambda n: (watched(Bank(TARIFF).account("1001", money(n / 100_000))), call(usage=n, **BYTES)),
    "free units": lambda n: (Bank(TARIFF).account("1001", units("*generic", 10**15)), call(usage=n, **BYTES)),
    "a part of free units": lambda n: (
        Bank(TARIFF).account("1001", units("*generic", n // 2), money(n)), call(usage=n, **BYTES)
    ),
    "units by a factor": lambda n: (
        Bank(TARIFF).account("1001", units("*generic", 10**15, factors={"f": 1 / 3})),
        call(usage=n, extra_fields={"BalanceFactorID": "f"}, **BYTES),
    ),
    "priced units": lambda n: (
        Bank(TARIFF).account("1001", units("*generic", 10**15, rating_subject="BYTE"), money(10**15)),
        call(usage=n, **BYTES),
    ),
    "below zero": lambda n: (Bank(TARIFF).account("1001"), call(usage=n, **BYTES)),
}  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
def test_a_billion_increments_cost_what_ten_cost(way: str) -> None:
    made = []
    for n in (10, 10, 10**9, 10**13):  # the first fills caches
        bank, asked = WAYS[way](n)
        costs: list[CallCost] = []
        calls = calls_made(lambda: costs.append(bank.debit(asked)))  # noqa: B023
        assert costs[0].rated_usage_ns == n
        back = returned(costs[0], asked)
        calls += calls_made(lambda: bank.refund(back))  # noqa: B023
        calls += calls_made(lambda: bank.max_time(asked))  # noqa: B023
        made.append(calls)
    assert made[1] == made[2] == made[3]


def test_the_largest_amounts_are_exact() -> None:
    """10^15 of money and units, and as many increments as the usage limit allows."""
    bank = Bank(TARIFF).account("1001", money(10**15), units("*generic", 10**15, rating_subject="BYTE"))
    asked = call(usage=680_400_000_000_000, **BYTES)  # 189 h in ns
    cost = bank.debit(asked)
    assert cost.cost_nano == 680_400_000_000_000 * 10_000
    assert bank.balance("U").value == (10**15 - 680_400_000_000_000) * GRAINS
    assert bank.balance("MAIN").value == 10**15 * 10**9 - cost.cost_nano
    bank.refund(returned(cost, asked))
    assert (bank.balance("U").value, bank.balance("MAIN").value) == (10**15 * GRAINS, 10**15 * 10**9)
