"""Methods on action plans (spec 20 §6.4)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cgr_cluster.actions import membership
from cgr_cluster.actions.attach import action_plan
from cgr_cluster.actions.definitions import plan_timing
from cgr_cluster.actions.schedule import next_run
from cgr_cluster.actions.scheduler import request_reload, zone_of
from cgr_cluster.actions.types import ActionPlan, ActionTiming
from cgr_cluster.actions.walk import over_shards
from cgr_cluster.actions.wire import plan_json
from cgr_cluster.caches.items import noted
from cgr_cluster.engine.domain import Operation, Part, Steps, step, together
from cgr_cluster.engine.owner import LEADER, Owner, account_owner
from cgr_cluster.engine.placement import shard_owner
from cgr_cluster.events.instant import ZERO
from cgr_cluster.events.times import format_instant, in_zone
from cgr_cluster.rpc.errors import ApiError, missing, not_found, require, server_error
from cgr_cluster.rpc.owners import LEADER_RULE, account
from cgr_cluster.rpc.registry import Params, method
from cgr_cluster.tariffs.paging import page_or_not_found

ACCOUNTS_AT_ONCE = 64


class AttrActionPlan(Params, go="engine.AttrActionPlan"):
    """A row of a plan: an action group and when it runs."""

    ActionsId: str = ""
    TimingID: str = ""
    Years: str = ""
    Months: str = ""
    MonthDays: str = ""
    WeekDays: str = ""
    Time: str = ""
    Weight: float = 0.0


class AttrSetActionPlan(Params, go="engine.AttrSetActionPlan"):
    Id: str = ""
    ActionPlan: list[AttrActionPlan] = []
    Overwrite: bool = False
    ReloadScheduler: bool = False


class AttrSetActionPlanAccounts(Params, go="engine.AttrSetActionPlanAccounts"):
    Id: str = ""
    ActionPlan: list[AttrActionPlan] = []
    AccountIDs: list[str] = []
    Overwrite: bool = False
    ReloadScheduler: bool = False


class AttrGetActionPlan(Params, go="v1.AttrGetActionPlan"):
    ID: str = ""


class PaginatorWithTenant(Params, go="utils.PaginatorWithTenant"):
    Tenant: str = ""
    Search: str = ""
    Limit: int | None = None
    Offset: int | None = None


class AttrRemoveActionTiming(Params, go="v1.AttrRemoveActionTiming"):
    ActionPlanId: str = ""
    ActionTimingId: str = ""
    Tenant: str = ""
    Account: str = ""
    ReloadScheduler: bool = False


class TenantAccount(Params, go="utils.TenantAccount"):
    Tenant: str = ""
    Account: str = ""


def _define(part: Part, plan_id: str, rows: Sequence[AttrActionPlan], overwrite: bool) -> ActionPlan:
    """Set the plan anew; it has no accounts. Errors in the order of 20 §6.4."""
    absent = [name for name, value in (("Id", plan_id), ("ActionPlan", rows)) if not value]
    if absent:
        raise missing(absent)
    for row in rows:
        lacking = [name for name in ("ActionsId", "Time") if not getattr(row, name)]
        if lacking:
            raise ApiError(f"MANDATORY_IE_MISSING:Action:{row.ActionsId}:[{' '.join(lacking)}]")
    if not overwrite and part.generation.get("action_plan", plan_id) is not None:
        raise ApiError("EXISTS")
    timings = []
    for row in rows:
        if part.generation.get("actions", row.ActionsId) is None:
            raise ApiError(f"BROKEN_REFERENCE:{row.ActionsId}")
        timing = plan_timing(
            row.TimingID, row.Years, row.Months, row.MonthDays, row.WeekDays, row.Time, part.now_ns, zone_of(part)
        )
        timings.append(ActionTiming(part.new_uuid(), timing, row.ActionsId, row.Weight))
    plan = ActionPlan(plan_id, part.new_uuid(), tuple(timings))
    part.set_reference("action_plan", plan_id, plan)
    return plan


@method("APIerSv1.SetActionPlan", owner=LEADER_RULE, changes=True)
def set_action_plan(part: Part, params: AttrSetActionPlan) -> str:
    _define(part, params.Id, params.ActionPlan, params.Overwrite)
    if params.ReloadScheduler:
        request_reload(part)
    return "OK"


@step("actions.define_plan")
def define_plan(part: Part, plan_id: str, rows: list[AttrActionPlan], overwrite: bool) -> ActionPlan:
    """SetActionPlan at the leader, for operations."""
    return _define(part, plan_id, rows, overwrite)


@step("actions.reload_scheduler")
def reload_scheduler(part: Part) -> None:
    request_reload(part)


@method("APIerSv1.SetActionPlanAccounts", owner=LEADER_RULE, changes=True)
def set_action_plan_accounts(op: Operation, params: AttrSetActionPlanAccounts) -> Steps[str]:
    plan: ActionPlan = yield define_plan.at(LEADER, params.Id, params.ActionPlan, params.Overwrite)
    account_ids = params.AccountIDs
    for start in range(0, len(account_ids), ACCOUNTS_AT_ONCE):
        yield together(
            [
                membership.attach.at(Owner("account", account_id), account_id, plan.id, plan.membership)
                for account_id in account_ids[start : start + ACCOUNTS_AT_ONCE]
            ]
        )
    if params.ReloadScheduler:
        yield reload_scheduler.at(LEADER)
    return "OK"


@method("APIerSv1.GetActionPlan", deadline_s=None)
def get_action_plan(op: Operation, params: AttrGetActionPlan) -> Steps[list[dict[str, Any]]]:
    plan_ids = sorted(op.generation.keys("action_plan")) if params.ID in ("", "*") else [params.ID]
    plans = [action_plan(op.generation, plan_id) for plan_id in plan_ids]
    if not plans:
        raise not_found()
    for plan in plans:
        yield from noted(op, "action_plan", plan.id)
    accounts = yield from membership.members_of(plans)
    return [plan_json(plan, ids) for plan, ids in zip(plans, accounts, strict=True)]


@method("APIerSv1.GetActionPlanIDs")
def get_action_plan_ids(part: Part, params: PaginatorWithTenant) -> list[str] | None:
    return page_or_not_found(part.generation.keys("action_plan"), params.Search, params.Limit, params.Offset)


@method("APIerSv1.RemoveActionPlan", owner=LEADER_RULE, changes=True)
def remove_action_plan(part: Part, params: AttrGetActionPlan) -> str:
    """The accounts' links become void with it (membership.py)."""
    require(params, "ID")
    if part.generation.get("action_plan", params.ID) is not None:
        part.remove_reference("action_plan", params.ID)
    return "OK"


@method("APIerSv1.RemoveActionTiming", owner=LEADER_RULE, changes=True)
def remove_action_timing(op: Operation, params: AttrRemoveActionTiming) -> Steps[str]:
    """Detaches an account, or drops one timing, or removes the plan."""
    require(params, "ActionPlanId")
    if op.generation.get("action_plan", params.ActionPlanId) is None:
        raise server_error(not_found())
    if params.Account:
        owner = account_owner(op.tenant(params.Tenant), params.Account)
        yield detach_account.at(owner, owner.key, params.ActionPlanId)
    else:
        yield drop_timing.at(LEADER, params.ActionPlanId, params.ActionTimingId)
    if params.ReloadScheduler:
        yield reload_scheduler.at(LEADER)
    return "OK"


@step("actions.detach_account")
def detach_account(part: Part, account_id: str, plan_id: str) -> bool:
    return membership.detach(part, account_id, plan_id)


@step("actions.drop_timing")
def drop_timing(part: Part, plan_id: str, timing_id: str) -> None:
    """Drop one timing of a plan (an unknown one: nothing), or the plan when no timing is named or none is left."""
    plan: ActionPlan | None = part.generation.get("action_plan", plan_id)
    if plan is None:
        return
    if not timing_id:
        part.remove_reference("action_plan", plan_id)
        return
    kept = tuple(timing for timing in plan.timings if timing.uuid != timing_id)
    if not kept:
        part.remove_reference("action_plan", plan_id)
    elif len(kept) != len(plan.timings):
        part.set_reference("action_plan", plan_id, ActionPlan(plan.id, plan.membership, kept))


@method("APIerSv1.GetAccountActionPlan", owner=account("Tenant", "Account"))
def get_account_action_plan(part: Part, params: TenantAccount) -> list[dict[str, Any]]:
    if not params.Account:
        raise missing(["Account "])  # the blank is the API's
    zone = zone_of(part)
    out = []
    for plan in membership.plans_of(part, f"{part.tenant(params.Tenant)}:{params.Account}"):
        for timing in plan.timings:
            at_ns = next_run(timing.timing, part.now_ns, zone)
            out.append(
                {
                    "ActionPlanId": plan.id,
                    "Uuid": timing.uuid,
                    "ActionsId": timing.actions_id,
                    "NextExecTime": format_instant(ZERO if at_ns is None else in_zone(at_ns, zone)),
                }
            )
    return out


# --- indexes -----------------------------------------------------------------------------------------------------


class TenantWithAPIOpts(Params, go="utils.TenantWithAPIOpts"):
    Tenant: str = ""


@step("actions.sweep_links", idempotent=True)
def sweep_links(part: Part) -> tuple[None, int]:
    """Drop what is void of the links of one shard."""
    scanned = 0
    for account_id, links in list(part.scan(membership.AccountPlans)):
        scanned += 1
        plans = membership.current_plans(links, part.generation)
        if len(plans) != len(links.plans):
            membership.set_links(part, account_id, plans)
    return None, scanned


def _sweep() -> Steps[str]:
    yield from over_shards(membership.shards_with_plans, lambda number: sweep_links.at(shard_owner(number)))
    return "OK"


@method("APIerSv1.ComputeAccountActionPlans", changes=True, deadline_s=None)
def compute_account_action_plans(op: Operation, params: TenantWithAPIOpts) -> Steps[str]:
    """The links are the index, and always right; what is left to do is to drop void ones."""
    return (yield from _sweep())


@method("APIerSv1.ComputeActionPlanIndexes", changes=True, deadline_s=None)
def compute_action_plan_indexes(op: Operation, params: str) -> Steps[str]:
    return (yield from _sweep())
