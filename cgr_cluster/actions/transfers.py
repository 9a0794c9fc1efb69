"""What transfers between accounts of different shards ask and leave to do (spec 20 §4.4; runs.py)."""

from __future__ import annotations

import msgspec

from cgr_cluster.accounts.types import Balance


class Target(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """What a transfer must know of its destination: the balance (None: it has to be made), or why it can not take
    anything ("": it can)."""

    account_id: str
    balance_type: str
    balance_id: str
    balance: Balance | None = None
    refusal: str = ""

    @property
    def value(self) -> int:
        return 0 if self.balance is None else self.balance.value

    def names(self, other: Target | Credit) -> bool:
        """Whether it is the same destination."""
        return (self.account_id, self.balance_type, self.balance_id) == (
            other.account_id, other.balance_type, other.balance_id,
        )  # fmt: skip


class Credit(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """What a transfer has taken from the source `balance_uuid` and gives to a destination; amounts in the type's grain
    (negative: it is taken back from there). `hops`: length of the chain of triggers and transfers that led here.
    `uuid`: of the balance that the destination makes if it has none."""

    account_id: str
    balance_type: str
    balance_id: str
    amount: int
    balance_uuid: str
    hops: int = 0
    uuid: str = ""


class TargetUnknownError(Exception):
    """The group goes on when this destination is known."""

    def __init__(self, target: Target) -> None:
        super().__init__(target.account_id)
        self.target = target
