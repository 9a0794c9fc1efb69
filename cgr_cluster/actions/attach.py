"""Attaching action plans and trigger groups to an account (spec 20 §4 SetAccount, 6.3, 7.5, 8).

Functions on the account's part: they change the account's draft, its plan links and its tasks; what is unknown raises
`NOT_FOUND`, and then the part leaves nothing behind.
"""

from __future__ import annotations

from msgspec.structs import replace

from cgr_cluster.accounts.types import Account
from cgr_cluster.actions import counters, membership
from cgr_cluster.actions.schedule import is_asap
from cgr_cluster.actions.types import ActionPlan, ActionTrigger, ActionTriggerGroup
from cgr_cluster.engine.domain import GenerationView, Part, step
from cgr_cluster.events.instant import Instant
from cgr_cluster.rpc.errors import not_found


def trigger_group(generation: GenerationView, group_id: str) -> ActionTriggerGroup:
    """Raises `NOT_FOUND`."""
    group: ActionTriggerGroup | None = generation.get("action_trigger", group_id)
    if group is None:
        raise not_found()
    return group


def action_plan(generation: GenerationView, plan_id: str) -> ActionPlan:
    """Raises `NOT_FOUND`."""
    plan: ActionPlan | None = generation.get("action_plan", plan_id)
    if plan is None:
        raise not_found()
    return plan


def add_triggers(
    generation: GenerationView,
    account: Account,
    group_ids: list[str],
    overwrite: bool,
    activation: Instant | None = None,
    executed: bool | None = None,
) -> None:
    """Copy the groups' triggers onto the account, those left out that it has (same ID and UniqueID); with `overwrite` in
    place of all it has. Counters are set up."""
    triggers = [] if overwrite else list(account.triggers or ())
    for group_id in group_ids:
        for template in trigger_group(generation, group_id).triggers:
            if any(held.id == template.id and held.unique_id == template.unique_id for held in triggers):
                continue
            triggers.append(_copy(template, activation, executed))
    account.triggers = triggers or None
    counters.rebuild(account)


def _copy(template: ActionTrigger, activation: Instant | None, executed: bool | None) -> ActionTrigger:
    changes: dict[str, Instant | bool] = {}
    if activation is not None:
        changes["activation_date"] = activation
    if executed is not None:
        changes["executed"] = executed
    return replace(template, **changes) if changes else template


def only_asap(plan: ActionPlan) -> bool:
    return all(is_asap(timing.timing) for timing in plan.timings)


def add_plans(part: Part, account_id: str, plan_ids: list[str], overwrite: bool) -> bool:
    """APIerSv2.SetAccount: `*asap` timings become tasks, the account joins plans with others. With `overwrite` it leaves
    all other plans. Answers whether anything changed."""
    wanted = [action_plan(part.generation, plan_id) for plan_id in plan_ids]
    held = membership.plans_of(part, account_id)
    kept = [plan for plan in held if plan.id in plan_ids] if overwrite else list(held)
    changed = len(kept) != len(held)
    for plan in wanted:
        for timing in plan.timings:
            if is_asap(timing.timing):
                membership.add_pending(part, account_id, timing.actions_id)
                changed = True
        if not only_asap(plan) and plan.id not in [one.id for one in kept]:
            kept.append(plan)
            changed = True
    if [plan.id for plan in kept] != [plan.id for plan in held]:
        membership.set_links(part, account_id, kept)
        for plan in kept:
            if plan.id not in [one.id for one in held]:
                _tell_delayed(part, plan)
    return changed


def _tell_delayed(part: Part, plan: ActionPlan) -> None:
    """The scheduler is told of an account that joins a plan with a delayed timing, which may have run before."""
    if any(timing.timing is not None and timing.timing.start_time.startswith("+") for timing in plan.timings):
        part.spawn("actions.joined", plan.id)


def replace_plan(part: Part, account_id: str, plan_id: str) -> bool:
    """APIerSv1.SetAccount: the plan replaces all others, `*asap` ones too; tasks only when it was not attached yet."""
    plan = action_plan(part.generation, plan_id)
    held = membership.plans_of(part, account_id)
    attached = any(one.id == plan.id for one in held)
    if not attached:
        for timing in plan.timings:
            if is_asap(timing.timing):
                membership.add_pending(part, account_id, timing.actions_id)
    if attached and len(held) == 1:
        return False
    membership.set_links(part, account_id, [plan])
    if not attached:
        _tell_delayed(part, plan)
    return True


def forget_account(part: Part, account_id: str) -> None:
    """RemoveAccount, `*remove_account`: no plan has the account any more, and its tasks are gone."""
    membership.detach(part, account_id)
    if part.read(membership.PendingActions, account_id) is not None:
        part.delete(membership.PendingActions, account_id)


@step("actions.load_account")
def load_account(
    part: Part, account_id: str, plan_id: str, triggers_id: str, allow_negative: bool, disabled: bool
) -> None:
    """Take over a row of AccountActions.csv (20 §8; empty ids: none): triggers, counters and flags are replaced,
    balances and other plans stay. The tasks of `*asap` timings come by `load_tasks`. Raises `NOT_FOUND` for an unknown
    plan or trigger group."""
    account = part.edit(Account, account_id)
    if account is None:
        account = Account(account_id)
        part.put(Account, account_id, account)
    account.allow_negative, account.disabled = allow_negative, disabled
    account.unit_counters = None
    add_triggers(part.generation, account, [triggers_id] if triggers_id else [], overwrite=True)
    if plan_id:
        plan = action_plan(part.generation, plan_id)
        held = membership.plans_of(part, account_id)
        if not only_asap(plan) and plan.id not in [one.id for one in held]:
            membership.set_links(part, account_id, [*held, plan])


@step("actions.load_tasks")
def load_tasks(part: Part, account_id: str, actions_ids: list[str]) -> None:
    """Action groups to run on the account (without account: at the leader) at the next reload of the scheduler."""
    for actions_id in actions_ids:
        membership.add_pending(part, account_id, actions_id)
