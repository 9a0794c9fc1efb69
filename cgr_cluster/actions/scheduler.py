"""The scheduler: a queue of action timings at the leader, and tasks for the next reload (spec 20 §6.2, 6.3).

The queue is durable state of shard 0, one `ScheduledTiming` for each timing and one timer for the earliest, so that it
survives restarts and exactly one process owns it. When the timer fires, the due timings are taken from the queue, put back
for their next run, and their runs are opened (plan_runs.py), in one group: so an instant is run once.

Reloads are coalesced: while one is under way, any number of requests make one more. What was missed while no process ran
(due more than MISSED_NS ago) is not made up; a `+duration` timing, which has no other chance, still runs. Such a timing runs
once for each account: again only when accounts have been attached since, and for those (`DelayedTiming`).
"""

from __future__ import annotations

import logging

import msgspec

from cgr_cluster.accounts.types import Account
from cgr_cluster.actions.membership import ALL, Attached, shards_with_tasks
from cgr_cluster.actions.plan_runs import open_runs, run_tasks
from cgr_cluster.actions.run_slices import Wanted
from cgr_cluster.actions.schedule import delay_of, is_asap, next_run
from cgr_cluster.actions.types import ActionPlan, ActionTiming
from cgr_cluster.engine.domain import Operation, Part, Steps, everywhere, step, stored, task, timer
from cgr_cluster.engine.owner import LEADER

logger = logging.getLogger("cgr_cluster.actions")

MISSED_NS = 60_000_000_000  # a run that is later than this was missed
RELOAD_LIMIT_NS = 600_000_000_000  # a reload that takes longer is taken for lost
TIMER = "scheduler"
_KEY = ""


@stored("scheduler")
class SchedulerState(msgspec.Struct, array_like=True, gc=False):
    """`stopped`: by ServiceManagerV1. `reloading_ns`: when the reload that is under way began (0: none is); `again_ns`:
    when it was last asked for once more (0: it was not). `loaded_ns`: what the last reload has seen is from before then."""

    stopped: bool = False
    reloading_ns: int = 0
    again_ns: int = 0
    loaded_ns: int = 0

    def draft(self) -> SchedulerState:
        return SchedulerState(self.stopped, self.reloading_ns, self.again_ns, self.loaded_ns)


@stored("scheduled_timing")
class ScheduledTiming(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A timing in the queue; kept under its uuid."""

    plan_id: str
    uuid: str
    next_ns: int
    weight: float

    def draft(self) -> ScheduledTiming:
        return self


@stored("delayed_timing")
class DelayedTiming(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A `+duration` timing that has run; kept at the leader under its uuid. Accounts that were attached until `done_ns` have
    had it. `fresh`: others have come since, so the next reload schedules it for them."""

    done_ns: int
    fresh: bool = False

    def draft(self) -> DelayedTiming:
        return self


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
        if any((yield everywhere(shards_with_tasks))):
            yield from run_tasks(op.new_uuid())
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
        state.again_ns = part.now_ns
        return False
    state.reloading_ns = part.now_ns
    return True


@step("actions.end_reload")
def end_reload(part: Part) -> bool:
    """Rebuild the queue; whether to reload once more."""
    state = part.edit(SchedulerState, _KEY)
    assert state is not None
    if state.stopped:
        return False
    rebuild_queue(part)
    again_ns = state.again_ns
    state.loaded_ns = max(state.loaded_ns, state.reloading_ns)
    state.reloading_ns, state.again_ns = again_ns, 0
    return again_ns > 0


# --- the queue ---------------------------------------------------------------------------------------------------


def rebuild_queue(part: Part) -> None:
    """Put every timing of every plan into the queue; those that wait already keep their time."""
    held = set(part.keys(ScheduledTiming))
    delayed = set(part.keys(DelayedTiming))
    zone = zone_of(part)
    for plan_id in part.generation.keys("action_plan"):
        plan: ActionPlan = part.generation.get("action_plan", plan_id)
        for timing in plan.timings:
            done = part.read(DelayedTiming, timing.uuid)
            delayed.discard(timing.uuid)
            if timing.uuid in held:
                held.discard(timing.uuid)
            elif done is None or done.fresh:
                _schedule(part, plan, timing, zone)
    for gone in held:
        part.delete(ScheduledTiming, gone)
    for gone in delayed:
        part.delete(DelayedTiming, gone)
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
    """Take the runs that are due now out of the queue and open them; their timings go back."""
    state = part.read(SchedulerState, _KEY)
    stopped = state is not None and state.stopped
    known_ns = loaded_ns(part)
    zone = zone_of(part)
    runs: list[tuple[Wanted, str, int]] = []
    for entry, plan, timing in queue(part):
        if entry.next_ns > part.now_ns:
            continue
        part.delete(ScheduledTiming, entry.uuid)
        assert timing.timing is not None
        once = delay_of(timing.timing) is not None
        late_ns = part.now_ns - entry.next_ns
        if not stopped and (once or late_ns <= MISSED_NS):
            done = part.read(DelayedTiming, timing.uuid)
            attached = Attached(ALL.after_ns if done is None else done.done_ns, known_ns)
            runs.append((Wanted(plan.id, plan.membership, timing.actions_id, attached), timing.uuid, entry.next_ns))
            if once:
                part.put(DelayedTiming, timing.uuid, DelayedTiming(known_ns))
        elif not stopped:
            logger.warning("run of plan %s was missed by %d s and is not made up", plan.id, late_ns // 10**9)
        if not stopped and not once:
            _schedule(part, plan, timing, zone)
    open_runs(part, runs)
    _drop_gone(part)
    _set_timer(part)


@task("actions.joined")
def joined(op: Operation, plan_id: str) -> Steps[None]:
    yield note_joined.at(LEADER, plan_id)


@step("actions.note_joined", idempotent=True)
def note_joined(part: Part, plan_id: str) -> None:
    """An account has been attached to a plan that has a delayed timing."""
    plan: ActionPlan | None = part.generation.get("action_plan", plan_id)
    for timing in plan.timings if plan is not None else ():
        done = part.read(DelayedTiming, timing.uuid)
        if done is not None and not done.fresh:
            part.put(DelayedTiming, timing.uuid, DelayedTiming(done.done_ns, True))


def _drop_gone(part: Part) -> None:
    waiting = {entry.uuid for entry, _, _ in queue(part)}
    for uuid, _ in list(part.all(ScheduledTiming)):
        if uuid not in waiting:
            part.delete(ScheduledTiming, uuid)


@step("actions.make_account")
def make_account(part: Part, account_id: str) -> None:
    """Make the account if there is none."""
    if part.read(Account, account_id) is None:
        part.put(Account, account_id, Account(account_id))


# --- start and stop ----------------------------------------------------------------------------------------------


def start(part: Part) -> None:
    """ServiceManagerV1.StartService: the queue is rebuilt from now."""
    part.put(SchedulerState, _KEY, SchedulerState(loaded_ns=loaded_ns(part)))
    request_reload(part)


def stop(part: Part) -> None:
    """ServiceManagerV1.StopService: the queue is emptied; tasks wait. Runs that have begun go on."""
    part.put(SchedulerState, _KEY, SchedulerState(stopped=True, loaded_ns=loaded_ns(part)))
    for uuid, _ in list(part.all(ScheduledTiming)):
        part.delete(ScheduledTiming, uuid)
    part.cancel_timer(TIMER)


def loaded_ns(part: Part) -> int:
    """The accounts that were attached until then are those that the scheduler knows."""
    state = part.read(SchedulerState, _KEY)
    return 0 if state is None else state.loaded_ns


def is_running(part: Part) -> bool:
    state = part.read(SchedulerState, _KEY)
    enabled = bool(part.generation.config("schedulers").get("enabled", False))
    return enabled and not (state is not None and state.stopped)
