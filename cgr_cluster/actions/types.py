"""Reference data of actions: action groups, action plans, trigger groups (spec chapter 20, sections 5 to 7).

All types are frozen; a change is a replacement. Balance filters, amounts and triggers are the account's own types: a
trigger group holds templates, which attaching copies (20 §7.1).
"""

from __future__ import annotations

import msgspec

from cgr_cluster.accounts.types import ActionTrigger, BalanceFilter
from cgr_cluster.engine.domain import reference
from cgr_cluster.rating.types import Timing

ASAP = "*asap"


class Action(msgspec.Struct, frozen=True, gc=False):
    """One action of a group (20 §5). `expiration_string` is read when the action runs; `filters` are filter ids or inline
    rules over the account. `balance` with None fields is "not given"; its Units are `balance.value`."""

    action_type: str
    extra_parameters: str = ""
    filters: tuple[str, ...] = ()
    expiration_string: str = ""
    weight: float = 0.0
    balance: BalanceFilter = msgspec.field(default_factory=BalanceFilter)


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


@reference("action_trigger")
class ActionTriggerGroup(msgspec.Struct, frozen=True, gc=False):
    """A group of triggers; the key is its id. `triggers` in the order in which they were set."""

    id: str
    triggers: tuple[ActionTrigger, ...] = ()
