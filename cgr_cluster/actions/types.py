"""Reference data of actions: action groups, action plans, trigger groups (spec chapter 20, sections 5 to 7).

A leaf module: accounts, tariffs and the rest of this package import it. All types are frozen; a change is a replacement,
so that drafts of accounts share triggers and filters with the originals.
"""

from __future__ import annotations

from typing import Any

import msgspec

from cgr_cluster.engine.domain import reference
from cgr_cluster.events.instant import ZERO, Instant
from cgr_cluster.rating.types import Timing

ASAP = "*asap"


class ValueFormula(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The amount of an action: `static_nano`, 10^-9 of the balance's unit whatever its type (7.5 → 7_500_000_000), or a
    formula (`method` with `params`, 20 §5.5), computed when the action runs."""

    method: str = ""
    params: dict[str, Any] | None = None
    static_nano: int = 0


class BalanceFilter(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A balance as actions, triggers and counters name it: None is "not given", "" and {} are given as empty (20 §5).

    Sets map an id to False when it was written with `!`.
    """

    uuid: str | None = None
    id: str | None = None
    type: str | None = None
    value: ValueFormula | None = None
    expiration_date: Instant | None = None
    weight: float | None = None
    destination_ids: dict[str, bool] | None = None
    rating_subject: str | None = None
    categories: dict[str, bool] | None = None
    shared_groups: dict[str, bool] | None = None
    timing_ids: dict[str, bool] | None = None
    timings: tuple[Timing, ...] | None = None
    disabled: bool | None = None
    factors: dict[str, float] | None = None
    blocker: bool | None = None


class Action(msgspec.Struct, frozen=True, gc=False):
    """One action of a group (20 §5). `expiration_string` is read when the action runs; `filters` are filter ids or inline
    rules over the account."""

    action_type: str
    extra_parameters: str = ""
    filters: tuple[str, ...] = ()
    expiration_string: str = ""
    weight: float = 0.0
    balance: BalanceFilter = BalanceFilter()


@reference("actions")
class ActionGroup(msgspec.Struct, frozen=True, gc=False):
    """An action group; the key is its id. `actions` in the order given (they run by weight descending, 20 §5.1)."""

    id: str
    actions: tuple[Action, ...] = ()


class ActionTiming(msgspec.Struct, frozen=True, gc=False):
    """When a plan runs an action group (20 §6.1). `timing.start_time` is `hh:mm:ss` (parts may be `*`), `*asap` or
    `+duration`; predefined timings are fixed when the plan is set or loaded."""

    uuid: str
    timing: Timing | None
    actions_id: str
    weight: float = 0.0


@reference("action_plan")
class ActionPlan(msgspec.Struct, frozen=True, gc=False):
    """An action plan; the key is its id. Its accounts are state and live in the accounts' shards (membership.py): they
    belong to this plan as long as they carry its `membership`, a unique id given when the plan is set anew. Loading a
    plan that exists keeps it; setting it with Overwrite makes a new one and so loses the accounts (20 §6.3)."""

    id: str
    membership: str
    timings: tuple[ActionTiming, ...] = ()


class ActionTrigger(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A trigger (20 §7.1), as template in a group and as copy on an account. `threshold_nano` counts 10^-9 of the unit
    of the balance or counter, whatever its type is."""

    id: str
    unique_id: str
    threshold_type: str = ""
    threshold_nano: int = 0
    recurrent: bool = False
    min_sleep_ns: int = 0
    expiration_date: Instant = ZERO
    activation_date: Instant = ZERO
    balance: BalanceFilter = BalanceFilter()
    weight: float = 0.0
    actions_id: str = ""
    min_queued_items: int = 0
    executed: bool = False
    last_execution_time: Instant = ZERO


@reference("action_trigger")
class ActionTriggerGroup(msgspec.Struct, frozen=True, gc=False):
    """A group of triggers; the key is its id. `triggers` in the order in which they were set."""

    id: str
    triggers: tuple[ActionTrigger, ...] = ()
