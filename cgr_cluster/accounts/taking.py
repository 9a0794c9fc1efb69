"""Taking equal increments from balances, and counting them (spec 20 §3.4, §7.2)."""

from __future__ import annotations

from cgr_cluster.accounts.hooks import Consumption, Subject
from cgr_cluster.accounts.ledger import Drafts, Payer, affordable
from cgr_cluster.accounts.types import Account


class Taker:
    """Takes for one request. `counted`: ids of the accounts whose counters a real debit calls."""

    __slots__ = ("_drafts", "_subject", "counted")

    def __init__(self, drafts: Drafts, subject: Subject) -> None:
        self._drafts = drafts
        self._subject = subject
        self.counted: dict[str, None] = {}

    def take_plain(self, payer: Payer, amount: int, limit: int) -> int:
        """`take` from one payer whose owner has no triggers and counters. Answers how many."""
        count = limit
        if amount:
            count = min(limit, affordable(payer.type, payer.balance.value, amount, self._drafts.rounding))
            if not count:
                return 0
        self._drafts.take(payer, amount, count)
        self.counted[payer.owner.id] = None
        return count

    def take(
        self,
        payers: tuple[Payer, ...],
        parts: tuple[Consumption, ...],
        limit: int,
        turn: Payer,
        forced: bool = False,
    ) -> tuple[int, list[int]]:
        """Take up to `limit` equal increments, part i from payer i (no payers: nothing is taken, only counted), as many
        as the values cover and the triggers of the owner whose `turn` it is allow in one go. `forced`: the last payer
        may go below zero. Answers how many, and what the payers' balances hold after them."""
        count = limit
        hook = turn.hook
        for payer, part in zip(payers[:-1] if forced else payers, parts, strict=False):
            if part.change:
                count = min(count, affordable(payer.type, payer.balance.value, part.change, self._drafts.rounding))
        if not count:
            return 0, []
        if hook is not None:
            count = hook.reach(parts, count, self._subject)
        values = []
        for payer, part in zip(payers, parts, strict=False):
            self._drafts.take(payer, part.change, count)
            values.append(payer.balance.value)
        self.count(parts, count, turn.owner)
        return count, values

    def count(self, parts: tuple[Consumption, ...], count: int, account: Account) -> None:
        self.counted[account.id] = None
        hook = self._drafts.hook(account)
        if hook is not None:
            hook.taken(parts, count, self._subject)
