"""Accounts over a small tariff, for tests of debits: `Bank(generation).account("1001", money(5))`."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

from cgr_cluster.accounts.amounts import MONETARY, VOICE
from cgr_cluster.accounts.debit import Outcome, Setting, debit, max_debit, max_session_time
from cgr_cluster.accounts.hooks import HookOf
from cgr_cluster.accounts.refund import refund_increments, refund_rounding
from cgr_cluster.accounts.types import Account, Balance
from cgr_cluster.engine.domain import GenerationView
from cgr_cluster.events.amounts import GRAINS, NANO
from cgr_cluster.events.instant import NS, Instant
from cgr_cluster.rating.reference import GroupParameters, SharedGroup
from cgr_cluster.rating.types import CallCost, CallDescriptor
from tests.unit.rating_world import ANY_TIME, LONG_AGO, World, at, per_minute, rates

NOW = at("2026-03-10T09:00:00Z")
MOBILE, GERMANY, FIXED, PREMIUM = "+40721000111", "+49301234567", "+40211234567", "+40901234567"
TENANT = "cgrates.org"
ROUNDING = 10_000  # the system rounding of the tests' worlds: 5 decimals, in nano

_uuids = itertools.count(1)


def worked_example() -> World:
    """The tariff of spec 20 §3.12, with some more rates."""
    world = World(balance_rating_subject={"*any": "*zero1ns", "*voice": "*zero1s"}, remove_expired=True)
    world.destination("MOBILE_HOME", "+40721", "+40722").destination("FIXED_HOME", "+4021")
    world.destination("NATIONAL", "+40").destination("PREMIUM", "+4090")
    world.destination("GERMANY", "+49").destination("BERLIN", "+4930")
    world.plan(
        "RP",
        ("MOBILE_HOME", ANY_TIME, per_minute(0.12), 10.0),
        ("FIXED_HOME", ANY_TIME, rates((0.06, "60s", "60s", "0s"), (0.06, "60s", "1s", "60s"), fee=0.02), 10.0),
        ("GERMANY", ANY_TIME, per_minute(0.30, "30s", fee=0.05), 10.0),
        ("PREMIUM", ANY_TIME, per_minute(1.2, "60s", fee=0.5), 10.0),
    )
    for name, rating in {
        "FLAT": per_minute(0.03, "10s"),
        "FREE": per_minute(0.0),
        "ROUND": rates((0.1, "60s", "7s", "0s"), rounding_decimals=2),
        "CAPPED_FREE": per_minute(0.12, max_cost=0.1, max_cost_strategy="*free"),
        "CAPPED_CUT": per_minute(0.12, max_cost=0.1, max_cost_strategy="*disconnect"),
        "DATA": rates((0.002, "1048576", "1048576", "0")),
        "BYTE": rates((0.00001, "1", "1", "0")),
    }.items():
        world.plan(f"RP_{name}", ("*any", ANY_TIME, rating, 10.0))
        world.profile(name, (LONG_AGO, f"RP_{name}", ""))
    world.profile("*any", (LONG_AGO, "RP", ""))
    world.profile("*any", (LONG_AGO, "RP_DATA", ""), category="data")
    world.profile("*any", (LONG_AGO, "RP_BYTE", ""), category="bytes")
    for strategy in ("lowest", "highest", "mine_lowest"):
        name = f"FAMILY_{strategy.upper()}"
        world.objects["shared_group", name] = SharedGroup(name, {"*any": GroupParameters(f"*{strategy}")})
    return world


def money(value: float, id: str = "MAIN", **fields: Any) -> tuple[str, Balance]:
    return MONETARY, Balance(f"u{next(_uuids)}", id, round(value * NANO), **fields)


def voice(seconds: float, id: str = "V", **fields: Any) -> tuple[str, Balance]:
    return VOICE, Balance(f"u{next(_uuids)}", id, round(seconds * NS) * GRAINS, **fields)


def units(kind: str, value: int, id: str = "U", **fields: Any) -> tuple[str, Balance]:
    return kind, Balance(f"u{next(_uuids)}", id, value * GRAINS, **fields)


def call(seconds: float = 60, destination: str = MOBILE, account: str = "1001", **fields: Any) -> CallDescriptor:
    """A call from NOW on; `usage` for other units than seconds."""
    length = fields.pop("usage", round(seconds * NS))
    start: Instant = fields.pop("start", NOW)
    made: dict[str, Any] = {
        "tenant": TENANT, "category": "call", "subject": account, "account": account, "tor": VOICE,
    }  # fmt: skip
    made.update(fields)
    return CallDescriptor(destination=destination, time_start=start, time_end=start.plus(length), **made)


class Bank:
    """Stored accounts, and requests on them. Nothing of a request that raises is kept."""

    def __init__(self, generation: GenerationView, hook_of: HookOf | None = None) -> None:
        self.generation = generation
        self.stored: dict[str, Account] = {}
        self.members: dict[str, list[str]] = {}
        self.changed: list[str] = []
        self._hook_of = hook_of

    def account(self, name: str, *balances: tuple[str, Balance], **fields: Any) -> Bank:
        lists: dict[str, list[Balance]] = {}
        for kind, balance in balances:
            lists.setdefault(kind, []).append(balance)
            for group in balance.shared_groups:
                self.members.setdefault(group, []).append(f"{TENANT}:{name}")
        account = Account(f"{TENANT}:{name}", lists or None, **fields)
        self.stored[account.id] = account
        return self

    @property
    def setting(self) -> Setting:
        return Setting(
            self.generation, NOW.ns, self.stored.get, lambda group: self.members.get(group, ()),
            lambda: f"u{next(_uuids)}", self._hook_of or (lambda account: None), "seed",
        )  # fmt: skip

    def _own(self, descriptor: CallDescriptor) -> Account | None:
        return self.stored.get(f"{descriptor.tenant}:{descriptor.account}")

    def _keep(self, outcome: Outcome) -> CallCost:
        self.stored.update(outcome.drafts)
        self.changed = outcome.changed
        return outcome.cost

    def debit(self, descriptor: CallDescriptor) -> CallCost:
        return self._keep(debit(self.setting, self._own(descriptor), descriptor))

    def max_debit(self, descriptor: CallDescriptor) -> CallCost:
        return self._keep(max_debit(self.setting, self._own(descriptor), descriptor))

    def max_time(self, descriptor: CallDescriptor) -> int:
        return max_session_time(self.setting, self._own(descriptor), descriptor)

    def refund(self, descriptor: CallDescriptor, rounding: bool = False) -> None:
        work: Callable[..., dict[str, Account]] = refund_rounding if rounding else refund_increments
        self.stored.update(work(self.setting, descriptor))

    def balance(self, id: str, name: str = "1001") -> Balance:
        for balances in (self.stored[f"{TENANT}:{name}"].balances or {}).values():
            for balance in balances:
                if balance.id == id:
                    return balance
        raise KeyError(id)

    def money(self, id: str = "MAIN", name: str = "1001") -> float:
        return self.balance(id, name).value / NANO

    def seconds(self, id: str = "V", name: str = "1001") -> float:
        return self.balance(id, name).value / GRAINS / NS

    def total(self, kind: str = MONETARY) -> int:
        """The sum of all values of a type, in its grain."""
        return sum(b.value for account in self.stored.values() for b in (account.balances or {}).get(kind, ()))


def shape(cost: CallCost) -> list[list[tuple[float, float, int]]]:
    """Per span its increments: (seconds, cost, count)."""
    return [
        [(i.duration_ns / NS, i.cost_nano / NANO, i.compress_factor) for i in span.increments]
        for span in cost.timespans or ()
    ]


def returned(cost: CallCost, descriptor: CallDescriptor) -> CallDescriptor:
    """The descriptor of a refund of all that a debit has taken, rounding included."""
    back = CallDescriptor(
        tenant=descriptor.tenant, category=descriptor.category, account=descriptor.account,
        destination=descriptor.destination, tor=descriptor.tor,
    )  # fmt: skip
    for span in cost.timespans or ():
        for increment in span.increments:
            one = type(increment)(
                increment.duration_ns, increment.cost_nano, increment.compress_factor * span.compress_factor,
                increment.balance_info,
            )  # fmt: skip
            back.increments.append(one)
        if span.round_increment is not None:  # of the span as a whole, however many it stands for
            back.increments.append(span.round_increment)
    return back
