"""Giving back what was debited (spec 20 §3.9, 40 §5): increment by increment, each to the balance that paid it. Pure.

Balances are found by their UUID; an account or balance that is gone is skipped, and so is what it would have got.
"""

from __future__ import annotations

from collections.abc import Iterable

from cgr_cluster.accounts.amounts import GENERIC, MONETARY, VOICE, system_rounding
from cgr_cluster.accounts.debit import Setting, take_counted
from cgr_cluster.accounts.expiry import removes_expired
from cgr_cluster.accounts.hooks import Consumption, Subject
from cgr_cluster.accounts.ledger import Drafts, Payer, units_of
from cgr_cluster.accounts.types import Account
from cgr_cluster.events.amounts import NANO
from cgr_cluster.rating.types import CallDescriptor, Increment, UnitInfo


def refund_increments(setting: Setting, descriptor: CallDescriptor) -> dict[str, Account]:
    """Give the descriptor's increments back, to the accounts that they name. Answers the drafts to store. Counters go
    back by the same amounts, and triggers are evaluated, increment by increment."""
    drafts = Drafts(setting.read, setting.hook_of, system_rounding(setting.generation))
    subject = Subject(descriptor.category, descriptor.destination)
    counted: dict[str, None] = {}
    for increment in descriptor.increments:
        owner = _owner(drafts, increment)
        if owner is None:
            continue
        parts = _returned(setting, drafts, owner, descriptor.tor or VOICE, increment)
        if parts:
            counted[owner.id] = None
            _give(drafts, parts, increment.compress_factor, subject)
    return _to_store(setting, drafts, counted)


def refund_rounding(setting: Setting, descriptor: CallDescriptor) -> dict[str, Account]:
    """Take the Cost of each increment (negative: give it) from the money balance that it names. Answers the drafts to
    store."""
    drafts = Drafts(setting.read, setting.hook_of, system_rounding(setting.generation))
    subject = Subject(descriptor.category, descriptor.destination)
    counted: dict[str, None] = {}
    for increment in descriptor.increments:
        owner = _owner(drafts, increment)
        info = increment.balance_info
        if owner is None or info is None or info.monetary is None:
            continue
        payer = drafts.find_shared(owner, MONETARY, info.monetary.uuid, setting.members_of)
        if payer is not None:
            counted[owner.id] = None
            take_counted(drafts, payer, increment.cost_nano, subject)
    return _to_store(setting, drafts, counted)


def _owner(drafts: Drafts, increment: Increment) -> Account | None:
    info = increment.balance_info
    return None if info is None or not info.account_id else drafts.account(info.account_id)


def _returned(
    setting: Setting, drafts: Drafts, owner: Account, tor: str, increment: Increment
) -> list[tuple[Payer, Consumption]]:
    """What one of the equal increments gives back to which balances."""
    info = increment.balance_info
    assert info is not None
    parts: list[tuple[Payer, Consumption]] = []
    if info.unit is not None and info.unit.uuid:
        found = _unit_balance(drafts, owner, tor, info.unit)
        if found is None:
            return []  # its money part is lost too
        payer, counted_type = found
        if payer.type == MONETARY:
            amount = increment.duration_ns * NANO
        else:
            amount = units_of(increment.duration_ns, info.unit.factor, drafts.rounding)
        parts.append((payer, Consumption(counted_type, -amount, payer.balance, payer.type, -amount)))
    if info.monetary is not None and info.monetary.uuid:
        money = drafts.find_shared(owner, MONETARY, info.monetary.uuid, setting.members_of)
        if money is not None:
            cost = increment.cost_nano
            parts.append((money, Consumption(MONETARY, -cost, money.balance, MONETARY, -cost)))
    return parts


def _unit_balance(drafts: Drafts, owner: Account, tor: str, unit: UnitInfo) -> tuple[Payer, str] | None:
    """The balance that gave units, and the type under which they were counted: of the request's ToR, a `*generic` one, or
    a money balance with a `*zero...` subject (20 §3.4)."""
    for balance_type in (tor, GENERIC, MONETARY):
        payer = drafts.find(owner, balance_type, unit.uuid)
        if payer is not None:
            return payer, tor if balance_type == GENERIC else balance_type
    return None


def _give(drafts: Drafts, parts: list[tuple[Payer, Consumption]], count: int, subject: Subject) -> None:
    hook = parts[0][0].hook
    consumed = tuple(consumption for _, consumption in parts)
    done = 0
    while done < count:
        some = count - done if hook is None else hook.reach(consumed, count - done, subject)
        for payer, consumption in parts:
            drafts.take(payer, consumption.change, some)
        if hook is not None:
            hook.taken(consumed, some, subject)
        done += some


def _to_store(setting: Setting, drafts: Drafts, counted: Iterable[str]) -> dict[str, Account]:
    balances_too = setting.generation.derived(removes_expired)
    return {
        account_id: drafts.drafts[account_id] for account_id in drafts.cleaned(counted, setting.now_ns, balances_too)
    }
