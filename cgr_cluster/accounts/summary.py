"""AccountSummary of an account, as debit answers, cost details and account events show it (spec 20 §2.4). Pure."""

from __future__ import annotations

from cgr_cluster.accounts.amounts import DATA, GENERIC, MMS, MONETARY, SMS, VOICE
from cgr_cluster.accounts.types import Account, Balance
from cgr_cluster.rating.types import AccountSummary, BalanceSummary

LISTED_TYPES = (DATA, SMS, MMS, VOICE, GENERIC, MONETARY)
_MONEY = {MONETARY: None}.keys()


def balance_summarised(balance: Balance, balance_type: str, initial: int, value: int) -> BalanceSummary:
    return BalanceSummary(
        balance.uuid,
        balance.id or balance.uuid,
        balance_type,
        initial,
        value,
        balance.weight,
        balance.disabled,
        balance.factors,
    )


def summarised(account: Account, before: Account | None = None) -> AccountSummary:
    """The summary of `account`; `Initial` values are those of `before`, the account at the start of the request (None: it
    had none). A balance of `before` that is gone is listed last with Initial and Value 0."""
    earlier = (before.balances or {}) if before is not None else {}
    out: list[BalanceSummary] = []
    gone: list[BalanceSummary] = []
    lists = account.balances or {}
    only_money = len(lists) == 1 and MONETARY in lists and earlier.keys() <= _MONEY  # most accounts
    for kind in _MONEY if only_money else LISTED_TYPES:
        held = lists.get(kind)
        old = earlier.get(kind)
        if not held and not old:
            continue
        if held and old and len(held) == 1 and len(old) == 1 and held[0].uuid == old[0].uuid:
            out.append(balance_summarised(held[0], kind, old[0].value, held[0].value))
            continue
        initial = {b.uuid: b for b in old} if old else {}
        for balance in held or ():
            same = initial.pop(balance.uuid, None)
            out.append(balance_summarised(balance, kind, 0 if same is None else same.value, balance.value))
        for balance in initial.values():
            gone.append(balance_summarised(balance, kind, 0, 0))
    out += gone
    tenant, _, name = account.id.partition(":")
    return AccountSummary(tenant, name, out, account.allow_negative, account.disabled)
