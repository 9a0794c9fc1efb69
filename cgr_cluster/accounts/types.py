"""Accounts, balances, and what hangs on them (spec 20 §2, §7.1, §7.3).

Values of balances and counters are integers; their grain is by balance type (`amounts.py`). Sets (`destination_ids`,
`categories`, ...) are maps id -> True, or False for an excluded one (`!ID`); like all maps here they are replaced, never
changed in place, so that drafts share them. Triggers and filters are those of `actions.types`, which are frozen. The
records are arrays: new fields go to the end, with a default.
"""

from __future__ import annotations

import msgspec

from cgr_cluster.actions.types import ActionTrigger, BalanceFilter
from cgr_cluster.engine.domain import stored
from cgr_cluster.engine.placement import belongs_by_key
from cgr_cluster.events.instant import ZERO, ZERO_S, Instant
from cgr_cluster.rating.types import Timing

IdSet = dict[str, bool]
DEFAULT_ID = "*default"  # the money balance that may go below zero


class Balance(msgspec.Struct, array_like=True, gc=False):
    """One balance (20 §2.2). `value` in nano for type `*monetary`, else in 10^-5 units. `timings` None: no restriction."""

    uuid: str
    id: str = ""
    value: int = 0
    expiration_date: Instant = ZERO
    weight: float = 0.0
    destination_ids: IdSet = {}
    rating_subject: str = ""
    categories: IdSet = {}
    shared_groups: IdSet = {}
    timings: tuple[Timing, ...] | None = None
    timing_ids: IdSet = {}
    disabled: bool = False
    factors: dict[str, float] | None = None
    blocker: bool = False

    def expired(self, at_ns: int) -> bool:
        """Expired when its date is before `at_ns`; the zero time means never."""
        expiration = self.expiration_date
        return expiration.seconds != ZERO_S and expiration.ns < at_ns

    def copy(self) -> Balance:
        copy: Balance = self.__copy__()  # type: ignore[attr-defined]  # every Struct has it
        return copy


class CounterFilter(msgspec.Struct, array_like=True, gc=False):
    """One counter and what it counts. `value` in the grain of the counter's balance type."""

    value: int
    filter: BalanceFilter


class UnitCounter(msgspec.Struct, array_like=True, gc=False):
    """Counters of one type (20 §7.3): `counter_type` is `*event` or `*balance`."""

    counter_type: str
    counters: list[CounterFilter] = []


@belongs_by_key("account")
@stored("account")
class Account(msgspec.Struct, array_like=True, gc=False):
    """20 §2.1; kept in its owner's shard under its `id`, `tenant:account`. `balances` None: never had a balance."""

    id: str
    balances: dict[str, list[Balance]] | None = None
    unit_counters: dict[str, list[UnitCounter]] | None = None
    triggers: list[ActionTrigger] | None = None
    allow_negative: bool = False
    disabled: bool = False

    @property
    def tenant(self) -> str:
        return self.id.partition(":")[0]

    @property
    def name(self) -> str:
        """The id without its tenant."""
        return self.id.partition(":")[2]

    def draft(self) -> Account:
        """A copy whose balances, counters and triggers may be changed; only their sets and maps are shared."""
        out: Account = self.__copy__()  # type: ignore[attr-defined]  # every Struct has it
        if self.balances:
            out.balances = {kind: [b.copy() for b in balances] for kind, balances in self.balances.items()}
        elif self.balances is not None:
            out.balances = {}
        if self.unit_counters is not None:
            out.unit_counters = {
                kind: [
                    UnitCounter(c.counter_type, [CounterFilter(f.value, f.filter) for f in c.counters])
                    for c in counters
                ]
                for kind, counters in self.unit_counters.items()
            }
        if self.triggers is not None:
            out.triggers = list(self.triggers)  # a trigger is frozen: changing it is replacing it
        return out


@belongs_by_key("group")
@stored("shared_group_members")
class SharedGroupMembers(msgspec.Struct, array_like=True, gc=False):
    """Ids (`tenant:account`) of a group's members, in the order in which they joined; kept under the group's id in the
    group's shard (20 §3.11). Members never leave."""

    members: list[str] = []

    def draft(self) -> SharedGroupMembers:
        return SharedGroupMembers(list(self.members))
