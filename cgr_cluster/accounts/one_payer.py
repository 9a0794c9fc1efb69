"""Debits that one money balance pays in full: what nearly every request meets (spec 20 §3.2). Pure.

The same answer as `DebitPass`, without its search for who pays what: a look over the account, one rating, one subtraction a
span. Everything that could matter otherwise (units, shared groups, timings, own subjects, caps, triggers, expired balances,
not enough money) is left to the pass.
"""

from __future__ import annotations

from cgr_cluster.accounts.amounts import GENERIC, MONETARY, VOICE, round_system
from cgr_cluster.accounts.ledger import Ledger, affordable
from cgr_cluster.accounts.matching import useful
from cgr_cluster.accounts.types import Account, Balance
from cgr_cluster.engine.domain import GenerationView
from cgr_cluster.events.instant import ZERO_S, Instant
from cgr_cluster.rating.rate import connect_fee_nano, rate
from cgr_cluster.rating.types import BalanceInfo, CallDescriptor, Increment, MonetaryInfo, Timespan


class Payment:
    """What the balance pays: `fee_nano` of a first part (None: not the first), then `rated`; `values` are what is left of it
    after the fee, then after each span."""

    __slots__ = ("balance", "fee_nano", "rated", "values")

    def __init__(self, balance: Balance, fee_nano: int | None, rated: list[Timespan], values: list[int]) -> None:
        self.balance = balance
        self.fee_nano = fee_nano
        self.rated = rated
        self.values = values


class PaidRun:
    """What `DebitPass` has after its run: the paid spans, the accounts to store, those that have changed."""

    __slots__ = ("_changed", "_stored", "spans")

    def __init__(self, spans: list[Timespan], stored: list[str], changed: list[str]) -> None:
        self.spans = spans
        self._stored = stored
        self._changed = changed

    def stored(self, now_ns: int) -> list[str]:
        return self._stored

    def changed(self) -> list[str]:
        return self._changed


def only_payer(generation: GenerationView, account: Account, descriptor: CallDescriptor, now_ns: int) -> Balance | None:
    """The first useful balance, when it is plain money and nothing about the account is special."""
    lists = account.balances
    if not lists or account.triggers or account.unit_counters or descriptor.max_rate_unit_ns > 0:
        return None
    if lists.get(descriptor.tor or VOICE) or lists.get(GENERIC):
        return None
    for balances in lists.values():
        for balance in balances:
            if balance.expiration_date.seconds != ZERO_S and balance.expired(now_ns):
                return None
    start_ns = descriptor.time_start.ns
    found = useful(generation, account, MONETARY, descriptor.category, descriptor.destination, start_ns)
    if not found or any(balance.shared_groups for balance, _ in found):
        return None
    first = found[0][0]
    if first.value <= 0 or first.rating_subject or first.timings or first.blocker:
        return None
    return first


def payment_of(
    generation: GenerationView,
    account: Account,
    descriptor: CallDescriptor,
    now_ns: int,
    end: Instant,
    index_ns: int,
) -> Payment | None:
    """How one balance pays the whole interval; None: the pass has to look. Raises the rating's errors."""
    balance = only_payer(generation, account, descriptor, now_ns)
    if balance is None:
        return None
    rated = rate(generation, descriptor, start=descriptor.time_start, end=end, duration_index_ns=index_ns)
    value = left = balance.value
    values: list[int] = []
    fee_nano: int | None = None
    if descriptor.loop_index == 0:
        fee_nano = connect_fee_nano(rated[0])
        left -= fee_nano
        if left < 0:
            return None
        value = round_system(MONETARY, value - fee_nano)
        values.append(value)
    for span in rated:
        asked = span.increments[0]
        interval = span.rate_interval
        if interval is None or (interval.rating.max_cost > 0 and interval.rating.max_cost_strategy):
            return None
        cost = asked.cost_nano
        if cost:
            if value <= 0:
                return None
            count = asked.compress_factor
            left -= cost * count
            if left < 0 or affordable(MONETARY, value, cost) < count:
                return None
            value = round_system(MONETARY, value - cost * count)
        values.append(value)
    return Payment(balance, fee_nano, rated, values)


def _drafted(ledger: Ledger, balance: Balance) -> Balance:
    """The draft's copy of a balance of the stored account."""
    lists = ledger.own.balances
    stored = ledger.stored.balances
    assert lists is not None and stored is not None
    for copy, original in zip(lists[MONETARY], stored[MONETARY], strict=True):
        if original is balance:
            return copy
    raise AssertionError("the balance is one of the stored account")


def pay(ledger: Ledger, payment: Payment) -> PaidRun:
    """Take it from the ledger's draft of the caller's account."""
    own = ledger.own
    balance = payment.balance
    found = ledger.payer(_drafted(ledger, balance), MONETARY, own)
    values = iter(payment.values)
    fee: Increment | None = None
    if payment.fee_nano is not None:
        ledger.take(found, payment.fee_nano, 1)
        left = next(values)
        if payment.fee_nano:
            info = BalanceInfo(None, MonetaryInfo(balance.uuid, balance.id, left), own.id)
            fee = Increment(0, payment.fee_nano, 1, info)
    for span, left in zip(payment.rated, values, strict=True):
        asked = span.increments[0]
        if asked.cost_nano:
            ledger.take(found, asked.cost_nano, asked.compress_factor)
        asked.balance_info = BalanceInfo(None, MonetaryInfo(balance.uuid, balance.id, left), own.id)
        if fee is not None:
            span.increments = [fee, asked]
            fee = None
        assert found.balance.value == left, "the balance holds what was computed"
    changed = [own.id] if found.balance.value != balance.value else []
    return PaidRun(payment.rated, list(ledger.touched), changed)
