"""Debits of a fixed amount of money: Responder.DebitMonetary and CDRs of request type `*directdebit` (spec 20 §3.7,
40 §3.4). Pure."""

from __future__ import annotations

from cgr_cluster.accounts.amounts import MONETARY, system_rounding
from cgr_cluster.accounts.debit import Outcome, Setting, take_counted, usable
from cgr_cluster.accounts.expiry import removes_expired
from cgr_cluster.accounts.hooks import Subject
from cgr_cluster.accounts.ledger import Ledger, Payer, affordable
from cgr_cluster.accounts.matching import active, useful
from cgr_cluster.accounts.shared_groups import expanded
from cgr_cluster.accounts.summary import summarised
from cgr_cluster.accounts.types import Account
from cgr_cluster.rating.types import CallCost, CallDescriptor


def debit_money(
    setting: Setting, account: Account | None, descriptor: CallDescriptor, cost_nano: int, rated: CallCost | None
) -> Outcome:
    """Take `cost_nano` from the useful money balances in order, the rest from `*default` below zero. With `rated`, a
    balance that cannot pay all that is left gives what it can pay of the rated increments only; `rated` is then the
    answer. Raises as a debit does; a dry run keeps nothing."""
    found = usable(account, setting.generation, descriptor)
    dry = descriptor.dry_run
    ledger = Ledger(
        found, setting.read, setting.new_uuid, None if dry else setting.hook_of, system_rounding(setting.generation)
    )
    at = descriptor.time_start
    own = useful(setting.generation, ledger.own, MONETARY, descriptor.category, descriptor.destination, at.ns)
    payers = expanded(
        ledger, setting.generation, setting.members_of, own, MONETARY, descriptor.category, descriptor.destination,
        at.ns, setting.seed,
    )  # fmt: skip
    prices = [
        [increment.cost_nano, increment.compress_factor * span.compress_factor]
        for span in (rated.timespans or () if rated is not None else ())
        for increment in span.increments
        if increment.cost_nano and increment.duration_ns
    ]
    subject = Subject(descriptor.category, descriptor.destination)
    left = cost_nano
    before = [payer.balance.value for payer in payers]
    for payer in payers:
        if left <= 0:
            break
        if payer.balance.value > 0 and active(payer.balance, at):
            given = min(left, _payable(ledger, payer, left, prices, rated is not None))
            if given:
                take_counted(ledger, payer, given, subject)
                left -= given
    if left > 0:
        take_counted(ledger, ledger.default(), left, subject)
    assert ledger.money_taken_nano == max(0, cost_nano), "money conserved: what was asked was taken"
    changed = dict.fromkeys(p.owner.id for p, value in zip(payers, before, strict=True) if p.balance.value != value)
    balances_too = setting.generation.derived(removes_expired)
    ids = ledger.cleaned(list(ledger.touched), setting.now_ns, balances_too)
    summary = summarised(ledger.own, found)
    if rated is None:
        cost = CallCost(
            descriptor.category, descriptor.tenant, descriptor.subject, descriptor.account, descriptor.destination,
            descriptor.tor, cost_nano,
        )  # fmt: skip
    else:
        cost = rated
    cost.account_summary = summary
    if dry:
        return Outcome(cost)
    return Outcome(cost, {account_id: ledger.drafts[account_id] for account_id in ids}, list(changed))


def _payable(ledger: Ledger, payer: Payer, left: int, prices: list[list[int]], by_increments: bool) -> int:
    """What a balance can give of `left`; of rated increments, those in order that it covers, which are used up."""
    value = payer.balance.value
    if value >= left or not by_increments:
        return value
    given = 0
    for price in prices:
        count = min(price[1], affordable(payer.type, value - given, price[0], ledger.rounding))
        given += count * price[0]
        price[1] -= count
        if price[1]:
            break
    return given
