"""The accounts of a run, and what the tool expects of each: its own ledger in integers."""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

import msgspec

from cgr_cluster.cli.stress.pricing import Charge
from conf.demo.tariff import BUNDLES, demo_account

NANO = 1_000_000_000
NANO_PER_UNIT = 10_000  # a unit of the tariff is 10^-5
SECOND_NS = 1_000_000_000


class Holdings(NamedTuple):
    """What an account has: all its money in 10^-9, all its free talk in ns."""

    money_nano: int
    voice_ns: int


NOTHING = Holdings(0, 0)


class _Balance(msgspec.Struct):
    ID: str
    Value: Decimal


class _Account(msgspec.Struct):
    BalanceMap: dict[str, list[_Balance]] | None = None


_decode = msgspec.json.Decoder(_Account).decode


def exact(value: Decimal, scale: int) -> int:
    """A number of the wire as an integer of 1/`scale`. Raises ValueError when it has more digits than that."""
    scaled = value * scale
    whole = int(scaled)
    if whole != scaled:
        raise ValueError(f"{value} has more digits than 1/{scale}")
    return whole


class AccountView(NamedTuple):
    """GetAccount's answer as far as it matters here; balances by ID."""

    holdings: Holdings
    money: dict[str, int]  # nano
    voice: dict[str, int]  # ns


def read_account(answer: bytes) -> AccountView:
    balances = _decode(answer).BalanceMap or {}
    money = {balance.ID: exact(balance.Value, NANO) for balance in balances.get("*monetary") or ()}
    voice = {balance.ID: exact(balance.Value, 1) for balance in balances.get("*voice") or ()}
    total = sum(exact(b.Value, NANO) for b in balances.get("*monetary") or ())
    return AccountView(Holdings(total, sum(exact(b.Value, 1) for b in balances.get("*voice") or ())), money, voice)


class Account:
    """One account during a run. `money` and `free_s` are what it has left by the tool's own arithmetic.

    Calls of an account run side by side as long as their order cannot matter. It does when free minutes are left, or
    when the money may end: then they run one after the other, so that each grant can be foretold exactly.
    """

    __slots__ = (
        "after", "before", "calls", "charged_free_s", "charged_money", "free_s", "id", "in_flight", "mode", "money",
        "refused", "reserved",
    )  # fmt: skip

    def __init__(self, number: int) -> None:
        demo = demo_account(number)
        self.id = demo.id
        self.mode = demo.mode
        self.money = 0  # 10^-5
        self.free_s = 0
        self.before = NOTHING
        self.after = NOTHING
        self.in_flight = 0
        self.reserved = 0  # 10^-5: the most that the calls in flight may take
        self.calls = 0
        self.refused = 0
        self.charged_money = 0  # 10^-5, also of calls that are only rated
        self.charged_free_s = 0

    @property
    def is_limited(self) -> bool:
        """Whether its calls end when the money does."""
        return self.mode in ("*prepaid", "*pseudoprepaid")

    @property
    def is_debited(self) -> bool:
        return self.mode != "*rated"

    def begin(self, view: AccountView) -> None:
        self.before = view.holdings
        self.money = sum(value for value in view.money.values() if value > 0) // NANO_PER_UNIT
        self.free_s = self.before.voice_ns // SECOND_NS if self.mode == "*prepaid" else 0

    def may_start(self, worst: int) -> bool:
        """Whether a call that takes at most `worst` can start now."""
        if not self.in_flight or not self.is_limited:
            return True
        return not self.free_s and self.money - self.reserved >= worst

    def settle(self, charge: Charge) -> None:
        self.calls += 1
        self.charged_money += charge.money
        self.charged_free_s += charge.free_s
        self.free_s -= charge.free_s
        if self.is_limited:
            self.money -= charge.money


class Bundle(NamedTuple):
    """What the demo plan gives an account: money in nano, free talk in ns, and where that goes."""

    money_nano: int
    voice_ns: int
    minutes_to: str


def bundle_of(number: int) -> Bundle:
    bundle = BUNDLES[demo_account(number).bundle]
    return Bundle(bundle.money * NANO_PER_UNIT, bundle.minutes * 60 * SECOND_NS, bundle.minutes_to)
