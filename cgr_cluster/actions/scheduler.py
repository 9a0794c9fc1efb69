"""The scheduler: a queue of action timings at the leader, and tasks for the next reload (spec 20 §6.2, 6.3).

The queue is durable state of shard 0, one `ScheduledTiming` for each timing and one timer for the earliest, so that it
survives restarts and exactly one process owns it. When the timer fires, the due timings are taken from the queue and put
back for their next run in one group (so an instant is run once), then each run goes through the shards: every shard lists
its members of the plan and leaves them in tasks of RUNS_PER_TASK accounts, which run by themselves. A plan of a million
accounts is thus many small pieces of work over many turns, each done exactly once.

Reloads are coalesced: while one is under way, any number of requests make one more. What was missed while no process ran
(due more than MISSED_NS ago) is not made up; a `+duration` timing, which has no other chance, still runs.
"""

from __future__ import annotations

import msgspec

from cgr_cluster.accounts.types import Account
from cgr_cluster.actions.membership import NO_ACCOUNT, AccountPlans, PendingActions, members_here
from cgr_cluster.actions.runs import run_each
from cgr_cluster.actions.schedule import delay_of, is_asap, next_run
from cgr_cluster.actions.types import ActionPlan, ActionTiming
from cgr_cluster.engine.domain import (
    GenerationView,
    Operation,
    Part,
    Steps,
    everywhere,
    exclusive,
    sleep,
    step,
    stored,
    task,
    timer,
    together,
)
from cgr_cluster.engine.owner import LEADER, SHARDS, Owner
from cgr_cluster.engine.placement import locate
from cgr_cluster.filters.lists import find_filter
from cgr_cluster.filters.rules import compile_rule
from cgr_cluster.filters.view import View

RUNS_PER_TASK = 64  # accounts that one task runs
SHARDS_AT_ONCE = 16  # shards that are asked together
ENOUGH = 2_000  # objects looked at before an operation lets other work go first
PAUSE_NS = 1_000_000  # how long it then waits
MISSED_NS = 60_000_000_000  # a run that is later than this was missed
RELOAD_LIMIT_NS = 600_000_000_000  # a reload that takes longer is taken for lost
TIMER = "scheduler"
_KEY = ""


@stored("scheduler")
class SchedulerState(msgspec.Struct, array_like=True, gc=False):
    """`stopped`: by ServiceManagerV1. `reloading_ns`: when the reload that is under way began (0: none is); `again`: it
    was asked for once more."""

    stopped: bool = False
    reloading_ns: int = 0
    again: bool = False

    def draft(self) -> SchedulerState:
        return SchedulerState(self.stopped, self.reloading_ns, self.again)


@stored("scheduled_timing")
class ScheduledTiming(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A timing in the queue; kept under its uuid."""

    plan_id: str
    uuid: str
    next_ns: int
    weight: float

    def draft(self) -> ScheduledTiming:
        return self


class DueRun(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """One run of one timing: the group, and the plan whose accounts it is for."""

    plan_id: str
    membership: str
    actions_id: str


def shard_owner(number: int) -> Owner:
    return Owner("shard", str(number))


def zone_of(part: Part) -> str:
    return str(part.generation.config("general").get("default_timezone", ""))


# --- reload ------------------------------------------------------------------------------------------------------


def request_reload(part: Part) -> None:
    """Reload the scheduler soon after this part is durable. From any shard."""
    part.spawn("actions.reload")


@task("actions.reload")
def reload(op: Operation) -> Steps[None]:
    """Run the pending tasks, then rebuild the queue."""
    if not (yield begin_reload.at(LEADER)):
        return
    while True:
        found = yield everywhere(shards_with_tasks)
        looked_at = 0
        for number in sorted({number for numbers in found for number in numbers}):
            looked_at += yield start_tasks.at(shard_owner(number))
            if looked_at > ENOUGH:
                looked_at = 0
                yield sleep(PAUSE_NS)
        if not (yield end_reload.at(LEADER)):
            return


@step("actions.begin_reload")
def begin_reload(part: Part) -> bool:
    """Whether the caller is to reload: the scheduler runs, and no other reload is under way (that one goes again)."""
    state = part.edit(SchedulerState, _KEY)
    if state is None:
        state = SchedulerState()
        part.put(SchedulerState, _KEY, state)
    if state.stopped or not part.generation.config("schedulers").get("enabled", False):
        return False
    if part.now_ns - state.reloading_ns < RELOAD_LIMIT_NS:
        state.again = True
        return False
    state.reloading_ns = part.now_ns
    return True


@step("actions.end_reload")
def end_reload(part: Part) -> bool:
    """Rebuild the queue; whether to reload once more."""
    state = part.edit(SchedulerState, _KEY)
    assert state is not None
    rebuild_queue(part)
    again = state.again
    state.reloading_ns, state.again = part.now_ns if again else 0, False
    return again


@step("actions.shards_with_tasks", reads=True)
def shards_with_tasks(part: Part) -> list[int]:
    """Shards of this worker that have tasks."""
    return sorted({_shard_of(part.generation, key) for key, _ in part.all(PendingActions)})


def _shard_of(generation: GenerationView, account_id: str) -> int:
    return locate(generation, LEADER if account_id == NO_ACCOUNT else Owner("account", account_id))


@step("actions.start_tasks")
def start_tasks(part: Part) -> int:
    """Take the tasks of one shard and let them run; how many. Those that `schedulers.filters` leave out are dropped."""
    runs: list[tuple[str, str]] = []
    for account_id, pending in list(part.all(PendingActions)):
        part.delete(PendingActions, account_id)
        runs += [(account_id, actions_id) for actions_id in pending.actions_ids]
    _spawn_runs(part, runs)
    return len(runs)


def _spawn_runs(part: Part, runs: list[tuple[str, str]]) -> None:
    allowed = [run for run in runs if _allowed(part, *run)]
    for start in range(0, len(allowed), RUNS_PER_TASK):
        part.spawn("actions.run_accounts", allowed[start : start + RUNS_PER_TASK])


@task("actions.run_accounts")
def run_accounts(op: Operation, runs: list[tuple[str, str]]) -> Steps[None]:
    """Run action groups on accounts, (account id, actions id) each. What fails is logged by the run.

    A worker runs one such task at a time and pauses in between, so that a large plan leaves room for calls.
    """
    yield exclusive("actions.run_accounts")
    yield sleep(PAUSE_NS)
    yield from run_each(runs, wait=False)


def _allowed(part: Part, account_id: str, actions_id: str) -> bool:
    """`schedulers.filters`: rules over `~*act.AccountID` and `~*act.ActionsID`."""
    filters = part.generation.config("schedulers").get("filters") or ()
    if not filters:
        return True
    act = {"AccountID": account_id, "ActionsID": actions_id}
    view = View(part.generation, part.now_ns, part.generation.default_tenant, act, {})
    for filter_id in filters:
        for rule in find_filter(part.generation, part.generation.default_tenant, filter_id).rules:
            test = compile_rule(msgspec.structs.replace(rule, element=rule.element.replace("~*act.", "~*req.")))
            if not test(view):
                return False
    return True


# --- the queue ---------------------------------------------------------------------------------------------------


def rebuild_queue(part: Part) -> None:
    """Put every timing of every plan into the queue; those that wait already keep their time."""
    held = {entry.uuid: entry for _, entry in part.all(ScheduledTiming)}
    zone = zone_of(part)
    for plan_id in part.generation.keys("action_plan"):
        plan: ActionPlan = part.generation.get("action_plan", plan_id)
        for timing in plan.timings:
            entry = held.pop(timing.uuid, None)
            if entry is not None and entry.next_ns > part.now_ns:
                continue
            _schedule(part, plan, timing, zone)
    for gone in held:
        part.delete(ScheduledTiming, gone)
    _set_timer(part)


def _schedule(part: Part, plan: ActionPlan, timing: ActionTiming, zone: str) -> None:
    at_ns = None if is_asap(timing.timing) else next_run(timing.timing, part.now_ns, zone)
    if at_ns is not None:
        part.put(ScheduledTiming, timing.uuid, ScheduledTiming(plan.id, timing.uuid, at_ns, timing.weight))


def _set_timer(part: Part) -> None:
    times = [entry.next_ns for _, entry in part.all(ScheduledTiming)]
    if times:
        part.set_timer(TIMER, min(times), "actions.due")
    else:
        part.cancel_timer(TIMER)


def queue(part: Part) -> list[tuple[ScheduledTiming, ActionPlan, ActionTiming]]:
    """What waits, by time, then weight descending. Timings of plans that are gone are left out."""
    out = []
    for _, entry in part.all(ScheduledTiming):
        plan: ActionPlan | None = part.generation.get("action_plan", entry.plan_id)
        timing = None if plan is None else next((t for t in plan.timings if t.uuid == entry.uuid), None)
        if plan is not None and timing is not None:
            out.append((entry, plan, timing))
    out.sort(key=lambda found: (found[0].next_ns, -found[0].weight))
    return out


@timer("actions.due")
def due(part: Part) -> None:
    """Take the runs that are due now out of the queue and let each go its way; their timings go back."""
    state = part.read(SchedulerState, _KEY)
    stopped = state is not None and state.stopped
    zone = zone_of(part)
    for entry, plan, timing in queue(part):
        if entry.next_ns > part.now_ns:
            continue
        part.delete(ScheduledTiming, entry.uuid)
        assert timing.timing is not None
        once = delay_of(timing.timing) is not None
        if not stopped and (once or part.now_ns - entry.next_ns <= MISSED_NS):
            part.spawn("actions.start_run", DueRun(plan.id, plan.membership, timing.actions_id))
        if not stopped and not once:
            _schedule(part, plan, timing, zone)
    _drop_gone(part)
    _set_timer(part)


def _drop_gone(part: Part) -> None:
    waiting = {entry.uuid for entry, _, _ in queue(part)}
    for uuid, _ in list(part.all(ScheduledTiming)):
        if uuid not in waiting:
            part.delete(ScheduledTiming, uuid)


@task("actions.start_run")
def start_run(op: Operation, run: DueRun) -> Steps[None]:
    """Let a timing's group run on all accounts of its plan, in the background; without accounts once, on none."""
    members = looked_at = 0
    for start in range(0, SHARDS, SHARDS_AT_ONCE):
        found = yield together(
            [
                start_run_here.at(shard_owner(number), run.plan_id, run.membership, run.actions_id)
                for number in range(start, start + SHARDS_AT_ONCE)
            ]
        )
        for here, scanned in found:
            members += here
            looked_at += scanned
        if looked_at > ENOUGH:
            looked_at = 0
            yield sleep(PAUSE_NS)
    if members == 0:
        yield from run_each([(NO_ACCOUNT, run.actions_id)], wait=False)


@step("actions.start_run")
def start_run_here(part: Part, plan_id: str, membership: str, actions_id: str) -> tuple[int, int]:
    """Leave the plan's accounts of one shard in tasks. Answers how many there are, and how many have any plan."""
    members, scanned = members_here(part, plan_id, membership)
    _spawn_runs(part, [(account_id, actions_id) for account_id in members])
    return len(members), scanned


def members_of(plans: list[ActionPlan]) -> Steps[list[list[str]]]:
    """The accounts of each plan, from all shards, sorted."""
    out: list[list[str]] = [[] for _ in plans]
    wanted = [(plan.id, plan.membership) for plan in plans]
    looked_at = 0
    for start in range(0, SHARDS, SHARDS_AT_ONCE):
        found = yield together(
            [members_in_shard.at(shard_owner(n), wanted) for n in range(start, start + SHARDS_AT_ONCE)]
        )
        for answer in found:
            if isinstance(answer, Exception):
                raise answer
            lists, scanned = answer
            looked_at += scanned
            for place, ids in enumerate(lists):
                out[place] += ids
        if looked_at > ENOUGH:
            looked_at = 0
            yield sleep(PAUSE_NS)
    for ids in out:
        ids.sort()
    return out


@step("actions.members_in_shard", reads=True)
def members_in_shard(part: Part, plans: list[tuple[str, str]]) -> tuple[list[list[str]], int]:
    """Accounts of each (plan id, membership) in one shard, and how many accounts have any plan."""
    out: list[list[str]] = [[] for _ in plans]
    scanned = 0
    wanted = {plan: place for place, plan in enumerate(plans)}
    for account_id, links in part.all(AccountPlans):
        scanned += 1
        for link in links.plans.items():
            place = wanted.get(link)
            if place is not None:
                out[place].append(account_id)
    return out, scanned


@step("actions.make_account")
def make_account(part: Part, account_id: str) -> None:
    """Make the account if there is none."""
    if part.read(Account, account_id) is None:
        part.put(Account, account_id, Account(account_id))


# --- start and stop ----------------------------------------------------------------------------------------------


def start(part: Part) -> None:
    """ServiceManagerV1.StartService: the queue is rebuilt from now."""
    part.put(SchedulerState, _KEY, SchedulerState())
    request_reload(part)


def stop(part: Part) -> None:
    """ServiceManagerV1.StopService: the queue is emptied; tasks wait."""
    part.put(SchedulerState, _KEY, SchedulerState(stopped=True))
    for uuid, _ in list(part.all(ScheduledTiming)):
        part.delete(ScheduledTiming, uuid)
    part.cancel_timer(TIMER)


def is_running(part: Part) -> bool:
    state = part.read(SchedulerState, _KEY)
    enabled = bool(part.generation.config("schedulers").get("enabled", False))
    return enabled and not (state is not None and state.stopped)
