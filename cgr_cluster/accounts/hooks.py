"""What a debit or refund asks of the triggers and counters of an account (spec 20 §7.2, §7.3).

Counters are fed and triggers evaluated after every increment. A debit computes equal increments arithmetically, so it
asks first how far it may go: up to and including the increment after whose evaluation a trigger executes. `actions` has
the implementation; an account without triggers and counters has no hook, and then nothing is asked.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

from cgr_cluster.accounts.types import Account, Balance


class Consumption(NamedTuple):
    """One call of the counters for one increment. `amount` is in the grain of `counted_type` (amounts.py), negative in a
    refund. `balance`, of the list `balance_type`, is the balance that changes by minus `change` (its own grain): for most
    increments `change` is `amount`, for a free increment or a connection count it is 0. None: nothing changes."""

    counted_type: str  # the request's ToR, `*monetary`, or `*event_connect`
    amount: int
    balance: Balance | None
    balance_type: str
    change: int


class Subject(NamedTuple):
    """What `*event` counters match (20 §7.3)."""

    category: str
    destination: str


class TriggerHook(Protocol):
    """Triggers and counters of one account (`account` of the factory), for one request."""

    def reach(self, consumed: tuple[Consumption, ...], count: int, subject: Subject) -> int:
        """How many of `count` equal increments (1..count), each consuming `consumed`, may be taken at once: no trigger
        executes in the evaluations of all but the last of them. Nothing is changed; the balances are as before the
        first."""
        ...

    def taken(self, consumed: tuple[Consumption, ...], count: int, subject: Subject) -> None:
        """The balances have been changed by `count` increments (at most `reach`): feed the counters, and evaluate the
        triggers after each consumption of the last. May change the account and its balances in place."""
        ...


HookOf = Callable[[Account], "TriggerHook | None"]
