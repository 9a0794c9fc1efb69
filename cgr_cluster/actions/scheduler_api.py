"""SchedulerSv1, GetScheduledActions, and starting and stopping the scheduler (spec 20 §6.4, 70 §5)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import takewhile
from typing import Any

from cgr_cluster.actions import scheduler
from cgr_cluster.actions.attach import action_plan
from cgr_cluster.actions.membership import Attached, counts_of
from cgr_cluster.actions.plan_runs import PlanRun, open_runs, plan_runs, rate, wait_for, with_progress
from cgr_cluster.actions.run_slices import Wanted, shard_progress
from cgr_cluster.actions.runs import owner_of, run_each
from cgr_cluster.actions.schedule import is_asap, next_run
from cgr_cluster.actions.types import ActionPlan, ActionTiming
from cgr_cluster.engine.domain import Operation, Part, Steps, everywhere, step
from cgr_cluster.engine.owner import LEADER
from cgr_cluster.events.instant import ZERO, Instant
from cgr_cluster.events.times import format_instant, in_zone
from cgr_cluster.rpc.errors import ApiError, missing, not_found, partially_executed
from cgr_cluster.rpc.owners import LEADER_RULE, account
from cgr_cluster.rpc.registry import Params, method

MAX_REPLAYED = 2_000  # runs of one replay of an interval: a day and a half of a plan that runs every minute
SCHEDULER = "*scheduler"


class CGREventParams(Params, go="utils.CGREvent"):
    """Reload looks at no field of its event."""


class ArgsGetScheduledActions(Params, go="scheduler.ArgsGetScheduledActions"):
    Tenant: str | None = None
    Account: str | None = None
    TimeStart: Instant | None = None
    TimeEnd: Instant | None = None
    Limit: int | None = None
    Offset: int | None = None


class AttrsExecuteActions(Params, go="utils.AttrsExecuteActions"):
    ActionPlanID: str = ""
    TimeStart: Instant = ZERO
    TimeEnd: Instant = ZERO


class AttrsExecuteActionPlans(Params, go="utils.AttrsExecuteActionPlans"):
    ActionPlanIDs: list[str] = []
    Tenant: str = ""
    AccountID: str = ""


class ArgStartService(Params, go="dispatchers.ArgStartServiceWithAPIOpts"):
    ServiceID: str = ""


# --- SchedulerSv1 ------------------------------------------------------------------------------------------------


@method("SchedulerSv1.Reload", owner=LEADER_RULE, changes=True)
def reload(part: Part, params: CGREventParams) -> str:
    """Asynchronous: the answer does not wait for the tasks."""
    if not scheduler.is_running(part):
        raise ApiError("SERVICE_NOT_OPERATIONAL: SchedulerS")
    scheduler.request_reload(part)
    return "OK"


def _by_weight(timings: tuple[ActionTiming, ...]) -> list[ActionTiming]:
    return sorted(timings, key=lambda timing: -timing.weight)


@step("actions.open_batch")
def open_batch(part: Part, batch: str, wanted: list[tuple[Wanted, str, int]]) -> None:
    open_runs(part, wanted, batch)


def _wanted(plan: ActionPlan, timing: ActionTiming, at_ns: int) -> tuple[Wanted, str, int]:
    """A run that somebody asks for; `schedulers.filters` are for what the scheduler does by itself."""
    return Wanted(plan.id, plan.membership, timing.actions_id, filtered=False), timing.uuid, at_ns


@method("SchedulerSv1.ExecuteActions", owner=LEADER_RULE, changes=True, deadline_s=None)
def execute_actions(op: Operation, params: AttrsExecuteActions) -> Steps[str]:
    """A plan's timings now, `*asap` ones skipped; and the replay of all plans in an interval. One run after the other, up
    to the first with a failure; the answer comes when the last has ended."""
    wanted = []
    if params.ActionPlanID:
        plan = action_plan(op.generation, params.ActionPlanID)
        wanted = [_wanted(plan, timing, op.now_ns) for timing in _by_weight(plan.timings) if not is_asap(timing.timing)]
    if params.TimeStart and params.TimeEnd:
        plans: list[ActionPlan] = [
            action_plan(op.generation, plan_id) for plan_id in sorted(op.generation.keys("action_plan"))
        ]
        wanted += _replayed(op, plans, params.TimeStart.ns, params.TimeEnd.ns)
    there = list(takewhile(lambda run: op.generation.get("actions", run[0].actions_id) is not None, wanted))
    if there:
        yield open_batch.at(LEADER, op.uid, there)
        if (yield from wait_for(op.uid)):
            raise partially_executed()
    if len(there) < len(wanted):
        raise not_found()
    return "OK"


def _replayed(op: Operation, plans: list[ActionPlan], start_ns: int, end_ns: int) -> list[tuple[Wanted, str, int]]:
    """What ran from start to end, both included, in order."""
    zone = str(op.generation.config("general").get("default_timezone", ""))
    found: list[tuple[int, float, int, ActionTiming]] = []
    for place, plan in enumerate(plans):
        for timing in plan.timings:
            for at_ns in _runs_between(timing, start_ns, end_ns, zone):
                found.append((at_ns, -timing.weight, place, timing))
                if len(found) > MAX_REPLAYED:
                    raise ApiError(f"SERVER_ERROR: more than {MAX_REPLAYED} runs in the interval")
    found.sort(key=lambda run: run[:3])
    return [_wanted(plans[place], timing, at_ns) for at_ns, _, place, timing in found]


def _runs_between(timing: ActionTiming, start_ns: int, end_ns: int, zone: str) -> Iterator[int]:
    if timing.timing is None or timing.timing.start_time.startswith("+"):
        return
    at_ns = next_run(timing.timing, start_ns - 1_000_000_000, zone)
    while at_ns is not None and at_ns <= end_ns:
        if at_ns >= start_ns:
            yield at_ns
        at_ns = next_run(timing.timing, at_ns, zone)


@method("SchedulerSv1.ExecuteActionPlans", owner=account("Tenant", "AccountID"), changes=True, deadline_s=None)
def execute_action_plans(op: Operation, params: AttrsExecuteActionPlans) -> Steps[str]:
    """All timings of the plans now, on this one account, which is made if there is none; up to the first that fails."""
    absent = [name for name in ("ActionPlanIDs", "AccountID") if not getattr(params, name)]
    if absent:
        raise missing(absent)
    account_id = f"{op.tenant(params.Tenant)}:{params.AccountID}"
    yield scheduler.make_account.at(owner_of(account_id), account_id)
    for plan_id in params.ActionPlanIDs:
        plan = action_plan(op.generation, plan_id)
        for timing in _by_weight(plan.timings):
            if op.generation.get("actions", timing.actions_id) is None:
                raise not_found()
            if (yield from run_each([(account_id, timing.actions_id)])):
                raise partially_executed()
    return "OK"


class ArgsGetRuns(Params, go="scheduler.ArgsGetRuns"):
    ActionPlanID: str = ""
    Limit: int = 0
    Offset: int = 0


@method("SchedulerSv1.GetRuns", deadline_s=None)
def get_runs(op: Operation, params: ArgsGetRuns) -> Steps[list[dict[str, Any]]]:
    """A method of ours: runs that are under way and the last that have ended, the newest first. An empty list: none."""
    runs: list[tuple[str, PlanRun]] = yield plan_runs.at(LEADER)
    rows = [row for some in (yield everywhere(shard_progress)) for row in some]
    zone = str(op.generation.config("general").get("default_timezone", ""))
    wanted = [
        (run_id, with_progress(run_id, run, rows))
        for run_id, run in reversed(runs)
        if params.ActionPlanID in ("", run.wanted.plan_id)
    ]
    wanted = wanted[max(params.Offset, 0) :]
    if params.Limit > 0:
        wanted = wanted[: params.Limit]
    return [_run_json(run_id, run, op.now_ns, zone) for run_id, run in wanted]


def _run_json(run_id: str, run: PlanRun, now_ns: int, zone: str) -> dict[str, Any]:
    def time(at_ns: int) -> str:
        return format_instant(in_zone(at_ns, zone) if at_ns else ZERO)

    return {
        "RunID": run_id,
        "ActionPlanID": run.wanted.plan_id,
        "ActionTimingUUID": run.timing_id,
        "ActionsID": run.wanted.actions_id,
        "Status": run.state,
        "ScheduledTime": time(run.due_ns),
        "StartTime": time(run.started_ns),
        "EndTime": time(run.ended_ns),
        "Accounts": run.accounts,
        "Done": run.done,
        "Failed": run.failed,
        "Skipped": run.skipped,
        "AccountsPerSecond": round(rate(run, now_ns), 1),
    }


# --- the queue ---------------------------------------------------------------------------------------------------


@step("actions.read_queue", reads=True)
def read_queue(part: Part) -> tuple[list[tuple[int, str, str]], int]:
    """(next run in ns, plan id, timing id) in queue order, and `scheduler.loaded_ns`."""
    entries = [(entry.next_ns, plan.id, timing.uuid) for entry, plan, timing in scheduler.queue(part)]
    return entries, scheduler.loaded_ns(part)


@method("APIerSv1.GetScheduledActions", deadline_s=None)
def get_scheduled_actions(op: Operation, params: ArgsGetScheduledActions) -> Steps[list[dict[str, Any]]]:
    entries: list[tuple[int, str, str]]
    entries, loaded_ns = yield read_queue.at(LEADER)
    start_ns = params.TimeStart.ns if params.TimeStart else None
    end_ns = params.TimeEnd.ns if params.TimeEnd else None
    entries = [
        entry
        for entry in entries
        if (start_ns is None or entry[0] >= start_ns) and (end_ns is None or entry[0] < end_ns)
    ]
    plans: list[ActionPlan] = []
    for plan_id in dict.fromkeys(plan_id for _, plan_id, _ in entries):
        plan: ActionPlan | None = op.generation.get("action_plan", plan_id)
        if plan is not None:
            plans.append(plan)
    counts = yield from counts_of(plans, Attached(until_ns=loaded_ns), params.Tenant, params.Account)
    by_plan = {plan.id: (plan, *count) for plan, count in zip(plans, counts, strict=True)}
    anyone = params.Tenant is None and params.Account is None
    zone = str(op.generation.config("general").get("default_timezone", ""))
    out = []
    for at_ns, plan_id, timing_id in entries:
        if plan_id not in by_plan:
            continue
        plan, accounts, concerned = by_plan[plan_id]
        timing = next((t for t in plan.timings if t.uuid == timing_id), None)
        if timing is not None and (anyone or concerned):
            out.append(
                {
                    "NextRunTime": format_instant(in_zone(at_ns, zone)),
                    "Accounts": accounts,
                    "ActionPlanID": plan_id,
                    "ActionTimingUUID": timing_id,
                    "ActionsID": timing.actions_id,
                }
            )
    if params.Offset is not None and 0 <= params.Offset <= len(out):
        out = out[params.Offset :]
    if params.Limit is not None and 0 <= params.Limit <= len(out):
        out = out[: params.Limit]
    if not out:
        raise not_found()
    return out


# --- ServiceManagerV1 --------------------------------------------------------------------------------------------


def _check(params: ArgStartService) -> None:
    if params.ServiceID != SCHEDULER:
        raise ApiError("UNSUPPORTED_SERVICE_ID")


@method("ServiceManagerV1.ServiceStatus", owner=LEADER_RULE)
def service_status(part: Part, params: ArgStartService) -> str:
    _check(params)
    return "RUNNING" if scheduler.is_running(part) else "STOPPED"


@method("ServiceManagerV1.StartService", owner=LEADER_RULE, changes=True)
def start_service(part: Part, params: ArgStartService) -> str:
    _check(params)
    if not scheduler.is_running(part):
        scheduler.start(part)
    return "OK"


@method("ServiceManagerV1.StopService", owner=LEADER_RULE, changes=True)
def stop_service(part: Part, params: ArgStartService) -> str:
    _check(params)
    scheduler.stop(part)
    return "OK"
