"""Money and units are conserved, refunds restore exactly, a maximum debit never takes more than it may (invariants 7, 9)."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from cgr_cluster.accounts import operations
from cgr_cluster.accounts.amounts import MONETARY, VOICE
from cgr_cluster.accounts.debit import UNLIMITED
from cgr_cluster.accounts.types import Account, Balance
from cgr_cluster.actions.types import BalanceFilter
from cgr_cluster.events.amounts import NANO
from cgr_cluster.events.instant import NS
from cgr_cluster.rating.types import CallCost, CallDescriptor
from cgr_cluster.rpc.errors import ApiError
from tests.unit.accounts_world import (
    FIXED,
    GERMANY,
    MOBILE,
    NOW,
    PREMIUM,
    ROUNDING,
    TENANT,
    Bank,
    call,
    money,
    returned,
    voice,
    worked_example,
)

TARIFF = worked_example().generation()
FAMILY = {"FAMILY_MINE_LOWEST": True}
NAMES = ("1001", "1002")

balances = st.one_of(
    st.builds(
        lambda value, **fields: money(value / 1000, **fields),
        st.integers(0, 3000),
        id=st.sampled_from(["A", "B", "*default"]),
        weight=st.sampled_from([0.0, 10.0]),
        rating_subject=st.sampled_from(["", "", "FLAT", "FREE"]),
        shared_groups=st.sampled_from([{}, {}, FAMILY]),
    ),
    st.builds(
        lambda value, **fields: voice(value, **fields),
        st.integers(0, 200),
        id=st.sampled_from(["V", "W"]),
        weight=st.sampled_from([0.0, 10.0]),
        rating_subject=st.sampled_from(["", "*zero30s", "*zero7s", "FLAT", "CAPPED_FREE"]),
        destination_ids=st.sampled_from([{}, {"MOBILE_HOME": True}, {"NATIONAL": True, "PREMIUM": False}]),
        factors=st.sampled_from([None, {"f": 2.5}, {"f": 1 / 3}]),
        shared_groups=st.sampled_from([{}, {}, FAMILY]),
        blocker=st.sampled_from([False, False, False, True]),
    ),
)
calls = st.builds(
    call,
    st.integers(0, 400),
    st.sampled_from([MOBILE, GERMANY, FIXED, PREMIUM]),
    account=st.sampled_from(NAMES),
    subject=st.sampled_from(["", "", "FLAT", "ROUND", "CAPPED_FREE", "CAPPED_CUT", "FREE"]),
    loop_index=st.integers(0, 1),
    duration_index_ns=st.integers(0, 500).map(lambda s: s * NS),
    perform_rounding=st.booleans(),
    deny_negative_account=st.booleans(),
    extra_fields=st.sampled_from([{}, {"BalanceFactorID": "f"}]),
)
banks = st.builds(
    lambda first, second: Bank(TARIFF).account("1001", *first).account("1002", *second),
    st.lists(balances, max_size=5),
    st.lists(balances, max_size=3),
)


def try_debit(bank: Bank, request: CallDescriptor, maximum: bool) -> CallCost | None:
    try:
        return bank.max_debit(request) if maximum else bank.debit(request)
    except ApiError:
        return None


def values(bank: Bank) -> dict[str, int]:
    """Value by UUID, balances of 0 left out."""
    return {
        balance.uuid: balance.value
        for account in bank.stored.values()
        for held in (account.balances or {}).values()
        for balance in held
        if balance.value
    }


def units_shown(cost: CallCost) -> int:
    return sum(
        i.balance_info.unit.consumed * i.compress_factor * s.compress_factor
        for s in cost.timespans or ()
        for i in s.increments
        if i.balance_info is not None and i.balance_info.unit is not None
    )


@settings(deadline=None, max_examples=150)
@given(banks, st.lists(st.tuples(calls, st.booleans()), max_size=6))
def test_what_balances_lose_is_what_the_answer_says(bank: Bank, requests: list[tuple[CallDescriptor, bool]]) -> None:
    for request, maximum in requests:
        before, units, kept = bank.total(), bank.total(VOICE), values(bank)
        cost = try_debit(bank, request, maximum)
        if cost is None:
            assert values(bank) == kept
            continue
        assert before - bank.total() == cost.cost_nano
        assert units - bank.total(VOICE) == units_shown(cost)
        for account in bank.stored.values():
            for held in (account.balances or {}).values():
                if not any(r.perform_rounding for r, _ in requests):  # a rounding difference is owed by its balance
                    assert all(b.value >= 0 or b.id == "*default" for b in held)
                assert all(isinstance(b.value, int) for b in held)


@settings(deadline=None, max_examples=150)
@given(banks, calls, st.booleans())
def test_a_refund_of_a_debit_restores_every_balance(bank: Bank, request: CallDescriptor, maximum: bool) -> None:
    before = values(bank)
    cost = try_debit(bank, request, maximum)
    if cost is not None:
        bank.refund(returned(cost, request))
        assert values(bank) == before


@settings(deadline=None, max_examples=150)
@given(banks, calls)
def test_a_maximum_debit_takes_no_more_than_asked_and_granted(bank: Bank, request: CallDescriptor) -> None:
    try:
        granted = bank.max_time(request)
        before = values(bank)
        cost = bank.max_debit(request)
    except ApiError:
        return
    asked = request.time_end.ns - request.time_start.ns
    paid = sum(span.duration_ns for span in cost.timespans or ())
    assert granted == UNLIMITED or 0 <= granted <= asked
    if granted == 0:
        assert paid == 0 and values(bank) == before
    elif paid:
        largest = max(i.duration_ns for s in cost.timespans or () for i in s.increments)
        assert granted <= paid < granted + largest or largest == 0


@settings(deadline=None, max_examples=100)
@given(banks, calls)
def test_a_dry_debit_changes_nothing_and_answers_like_a_real_one(bank: Bank, request: CallDescriptor) -> None:
    before = values(bank)
    request.dry_run = True
    dry = try_debit(bank, request, False)
    assert values(bank) == before
    request.dry_run = False
    real = try_debit(bank, request, False)
    if real is not None and dry is not None and request.subject != "CAPPED_CUT":
        blockers = any(b.blocker for a in bank.stored.values() for held in (a.balances or {}).values() for b in held)
        if not blockers and not _priced(real):
            assert dry.cost_nano == real.cost_nano


def _priced(cost: CallCost) -> bool:
    """A dry run has no `*default` below zero for the price of units."""
    return any(
        i.balance_info is not None and i.balance_info.monetary is not None and i.balance_info.monetary.id == "*default"
        for s in cost.timespans or ()
        for i in s.increments
    )


# --- operations --------------------------------------------------------------------------------------------------

AMOUNTS = st.integers(-(10**14), 10**14)


@settings(deadline=None, max_examples=150)
@given(
    st.lists(st.tuples(st.integers(-(10**13), 10**13), st.sampled_from(["A", "B", "*default"])), max_size=4),
    st.lists(st.tuples(st.integers(0, 10**13), st.sampled_from(["A", "B"])), max_size=3),
    st.sampled_from(["A", "B", "*default"]),
    st.sampled_from(["A", "B", "C", "*default"]),
    AMOUNTS,
    st.none() | AMOUNTS,
)
def test_transfers_conserve_money(
    source: list[tuple[int, str]],
    target: list[tuple[int, str]],
    source_id: str,
    target_id: str,
    units: int,
    reference: int | None,
) -> None:
    def account(name: str, rows: list[tuple[int, str]]) -> Account:
        held = [Balance(f"{name}{n}", id, value * ROUNDING) for n, (value, id) in enumerate(rows)]
        return Account(f"{TENANT}:{name}", {MONETARY: held})

    giver, taker = account("s", source), account("t", target)

    def total() -> int:
        return sum(b.value for a in (giver, taker) for b in (a.balances or {})[MONETARY])

    before = total()
    try:
        kind, given = operations.transfer_source(giver, source_id, NOW.ns)
        found = operations.transfer_target(taker, kind, target_id, NOW.ns)
        amount = operations.transfer_amount(
            kind, units, reference, given.value, given.id, 0 if found is None else found.value, target_id, ROUNDING
        )
    except ApiError:
        assert total() == before
        return
    operations.move_out(given, kind, amount, ROUNDING)
    moved = operations.move_in(taker, kind, target_id, amount, NOW.ns, lambda: "new", ROUNDING)
    assert total() == before
    assert moved.id == target_id


@settings(deadline=None, max_examples=150)
@given(st.lists(st.tuples(st.integers(0, 10**15), st.booleans()), max_size=8))
def test_top_ups_and_debits_of_one_balance_add_up(changes: list[tuple[int, bool]]) -> None:
    account = Account(f"{TENANT}:1001")
    wanted = BalanceFilter(id="MAIN", type=MONETARY)
    expected = 0
    for nano, taken in changes:
        amount = nano // ROUNDING * ROUNDING
        amount = -amount if taken else amount
        operations.add_amount(account, wanted, amount, NOW.ns, lambda: "u", ROUNDING)
        expected += amount
        (balance,) = (account.balances or {})[MONETARY]
        assert balance.value == expected


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 10**12), st.integers(0, 10**6))
def test_many_increments_cost_like_few(count: int, credit: int) -> None:
    bank = Bank(TARIFF).account("1001", money(credit))
    request: dict[str, Any] = {"tor": "*generic", "category": "bytes", "usage": count}
    cost = bank.max_debit(call(**request)) if count < 10**14 else None
    assert cost is not None
    paid = sum(i.compress_factor for s in cost.timespans or () for i in s.increments)
    assert paid == min(count, credit * NANO // ROUNDING)
