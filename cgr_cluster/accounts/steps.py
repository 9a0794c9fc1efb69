"""Steps on accounts: one atomic change of an account and the members of its groups, which live in one shard.

Inside another step of the same shard (sessions) they are called as functions: `max_debit(part, descriptor)`. A debit that
raises has changed nothing of any account. Steps on one account run at `account_owner(tenant, account)`.
"""

from __future__ import annotations

from cgr_cluster.accounts import debit as debits
from cgr_cluster.accounts import refund as refunds
from cgr_cluster.accounts.debit import Outcome, Setting
from cgr_cluster.accounts.money_debit import debit_money
from cgr_cluster.accounts.shared_groups import joined
from cgr_cluster.accounts.summary import summarised
from cgr_cluster.accounts.types import Account, SharedGroupMembers
from cgr_cluster.actions.execute import hooks_of
from cgr_cluster.actions.publish import publish_account, somebody_listens
from cgr_cluster.engine.domain import Part, step
from cgr_cluster.engine.owner import Owner
from cgr_cluster.rating.types import AccountSummary, CallCost, CallDescriptor


def setting(part: Part) -> Setting:
    """What a debit or refund in this part sees."""

    def members_of(group_id: str) -> list[str]:
        found = part.read(SharedGroupMembers, group_id)
        return [] if found is None else found.members

    return Setting(
        part.generation,
        part.now_ns,
        lambda account_id: part.read(Account, account_id) if part.lives_here(Owner("account", account_id)) else None,
        members_of,
        part.new_uuid,
        lambda account: hooks_of(part)(account),  # asked for accounts with triggers or counters only
        part.op_id,
    )


def account_id(part: Part, descriptor: CallDescriptor) -> str:
    return f"{part.tenant(descriptor.tenant)}:{descriptor.account}"


def _own(part: Part, descriptor: CallDescriptor) -> Account | None:
    return part.read(Account, account_id(part, descriptor))


def keep(part: Part, outcome: Outcome) -> CallCost:
    """Store what a debit has changed, and send the account events that are due (20 §3.10)."""
    if not outcome.changed or not somebody_listens(part.generation):
        _store(part, outcome.drafts)
        return outcome.cost
    published = [
        (outcome.drafts[account_id], part.read(Account, account_id))
        for account_id in outcome.changed
        if account_id in outcome.drafts
    ]
    _store(part, outcome.drafts)
    for account, before in published:
        publish_account(part, part.spawn, account, before, part.hops)
    return outcome.cost


def _store(part: Part, drafts: dict[str, Account]) -> None:
    for key, draft in drafts.items():
        if draft.triggers:  # their actions may have made shared balances
            groups = joined(part.generation, draft, part.read(Account, key))
            if groups:
                part.spawn("accounts.join", key, groups)
        part.put(Account, key, draft)


@step("accounts.debit")
def debit(part: Part, descriptor: CallDescriptor) -> CallCost:
    """Responder.Debit (20 §3.2). Raises its errors."""
    return keep(part, debits.debit(setting(part), _own(part, descriptor), descriptor))


@step("accounts.max_debit")
def max_debit(part: Part, descriptor: CallDescriptor) -> CallCost:
    """Responder.MaxDebit: the dry run and the debit of what it grants (20 §3.2)."""
    return keep(part, debits.max_debit(setting(part), _own(part, descriptor), descriptor))


@step("accounts.max_session_time", reads=True)
def max_session_time(part: Part, descriptor: CallDescriptor) -> int:
    """Responder.GetMaxSessionTime in ns (units); -1: no limit (20 §3.7)."""
    return debits.max_session_time(setting(part), _own(part, descriptor), descriptor)


@step("accounts.dry_debit", reads=True)
def dry_debit(part: Part, descriptor: CallDescriptor) -> CallCost:
    """The answer of a debit that is not made; the descriptor has `dry_run`."""
    return debits.debit(setting(part), _own(part, descriptor), descriptor).cost


@step("accounts.debit_monetary")
def debit_monetary(part: Part, descriptor: CallDescriptor, cost_nano: int, rated: CallCost | None) -> CallCost:
    """Take a fixed amount of money (20 §3.7); `rated`: the cost whose increments bound what each balance gives."""
    return keep(part, debit_money(setting(part), _own(part, descriptor), descriptor, cost_nano, rated))


def _refunded(part: Part, descriptor: CallDescriptor, drafts: dict[str, Account]) -> AccountSummary | None:
    _store(part, drafts)
    own = _own(part, descriptor)
    return None if own is None else summarised(own, own)


@step("accounts.refund_increments")
def refund_increments(part: Part, descriptor: CallDescriptor) -> AccountSummary | None:
    """Give `descriptor.increments` back to the accounts of this shard that they name (20 §3.9). Answers the summary of the
    descriptor's own account after it, None when it is not here."""
    return _refunded(part, descriptor, refunds.refund_increments(setting(part), descriptor))


@step("accounts.refund_rounding")
def refund_rounding(part: Part, descriptor: CallDescriptor) -> AccountSummary | None:
    """Take the rounding differences of `descriptor.increments` (20 §3.9); answers as `refund_increments`."""
    return _refunded(part, descriptor, refunds.refund_rounding(setting(part), descriptor))
