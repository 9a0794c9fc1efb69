"""Expired balances and triggers leave an account when it is evaluated, not by a timer (spec 20 §7.2)."""

from __future__ import annotations

from cgr_cluster.accounts.types import Account
from cgr_cluster.engine.domain import GenerationView
from cgr_cluster.events.instant import ZERO_S


def removes_expired(generation: GenerationView) -> bool:
    """`rals.remove_expired`."""
    return bool(generation.config("rals").get("remove_expired", True))


def remove_expired(account: Account, now_ns: int, balances_too: bool) -> bool:
    """Drop from a draft what is expired by the clock; an emptied list stays. Answers whether anything was dropped."""
    dropped = False
    if balances_too and account.balances:
        for kind, balances in account.balances.items():
            for balance in balances:
                if balance.expiration_date.seconds != ZERO_S and balance.expired(now_ns):
                    account.balances[kind] = [b for b in balances if not b.expired(now_ns)]
                    dropped = True
                    break
    if account.triggers:
        kept = [t for t in account.triggers if not t.expiration_date or t.expiration_date.ns >= now_ns]
        if len(kept) != len(account.triggers):
            account.triggers = kept
            dropped = True
    return dropped
