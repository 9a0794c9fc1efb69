"""Debits that one money balance pays in full: what nearly every request meets (spec 20 §3.2). Pure.

The same answer as `DebitPass`, without its search for who pays what: a look over the account, one rating, one subtraction a
span, and a draft in which only that balance is copied. Everything that could matter otherwise (units, shared groups, timings,
own subjects, caps, triggers, expired balances, not enough money) is left to the pass.
"""

from __future__ import annotations

from cgr_cluster.accounts.amounts import GENERIC, MONETARY, VOICE, round_system, system_rounding
from cgr_cluster.accounts.ledger import affordable
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


def only_payer(generation: GenerationView, account: Account, descriptor: CallDescriptor, now_ns: int) -> Balance | None:
    """The first useful balance, when it is plain money and nothing about the account is special."""
    lists = account.balances
    if not lists or account.triggers or account.unit_counters or descriptor.max_rate_unit_ns > 0:
        return None
    tor = descriptor.tor or VOICE
    start_ns = descriptor.time_start.ns
    if (lists.get(tor) or lists.get(GENERIC)) and useful(
        generation, account, tor, descriptor.category, descriptor.destination, start_ns
    ):
        return None
    for balances in lists.values():
        for balance in balances:
            if balance.expiration_date.seconds != ZERO_S and balance.expired(now_ns):
                return None
    money = lists.get(MONETARY)
    if not money:
        return None
    first = money[0]
    if len(money) > 1 or not _is_plain(first):
        found = useful(generation, account, MONETARY, descriptor.category, descriptor.destination, start_ns)
        if not found:
            return None
        for balance, _ in found:
            if balance.shared_groups:
                return None
        first = found[0][0]
    if first.value <= 0 or first.rating_subject or first.timings or first.blocker:
        return None
    return first


def _is_plain(balance: Balance) -> bool:
    """Whether the balance is useful for any call, if there is money in it."""
    return not (
        balance.disabled
        or balance.categories
        or balance.destination_ids
        or balance.shared_groups
        or balance.expiration_date.seconds != ZERO_S
    )


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
    rated = rate(generation, descriptor, end=end, duration_index_ns=index_ns)
    rounding = system_rounding(generation)
    value = left = balance.value
    values: list[int] = []
    fee_nano: int | None = None
    if descriptor.loop_index == 0:
        fee_nano = connect_fee_nano(rated[0])
        left -= fee_nano
        if left < 0:
            return None
        value = round_system(MONETARY, value - fee_nano, rounding)
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
            if left < 0 or affordable(MONETARY, value, cost, rounding) < count:
                return None
        value = round_system(MONETARY, value - cost * asked.compress_factor, rounding)
        values.append(value)
    return Payment(balance, fee_nano, rated, values)


def drafted(account: Account, balance: Balance) -> tuple[Account, Balance]:
    """A draft of the account in which only this money balance may be changed, and the balance's copy in it."""
    lists = account.balances
    assert lists is not None
    held = lists[MONETARY]
    draft: Account = account.__copy__()  # type: ignore[attr-defined]  # every Struct has it
    copy = balance.copy()
    draft.balances = {**lists, MONETARY: [copy] if len(held) == 1 else [copy if b is balance else b for b in held]}
    return draft, copy


def pay(account_id: str, payment: Payment) -> int:
    """Put into the spans who has paid them, fee included. Answers what they cost together."""
    balance = payment.balance
    uuid, name = balance.uuid, balance.id
    values = payment.values
    place = total = 0
    fee: Increment | None = None
    if payment.fee_nano is not None:
        place = 1
        if payment.fee_nano:
            total = payment.fee_nano
            info = BalanceInfo(None, MonetaryInfo(uuid, name, values[0]), account_id)
            fee = Increment(0, total, 1, info)
    for span in payment.rated:
        asked = span.increments[0]
        asked.balance_info = BalanceInfo(None, MonetaryInfo(uuid, name, values[place]), account_id)
        place += 1
        total += span.cost_nano
        if fee is not None:
            span.increments = [fee, asked]
            span.cost_nano += fee.cost_nano
            fee = None
    return total
