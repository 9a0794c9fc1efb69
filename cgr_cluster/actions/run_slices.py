"""What of a plan run happens at one shard: its accounts in slices, each paid in a group of its own (spec 20 §6.2).

Theory of operation. A run begins with a walk over all shards (plan_runs.py). The step of the walk leaves the shard's
accounts in slices (`RunSlice`) and sets the shard's timer. Each time the timer fires, as background work, one slice is
taken: its group runs on its accounts, and in the same group of the log the slice is deleted and the run's counts go on
(`ShardRun`). So each account is paid once whenever the process dies, a million accounts are never in one group, and calls
go first. What an account can not finish within its shard (a transfer or call that has to ask, an account that has moved) is left
to an operation of its own. When the last account is done the leader is told.

The slices say whom to look at, not what is due: an account that is not in the plan any more when its turn comes, or has
been removed, is skipped. Runs of different plans take turns; runs of one plan go one after the other in a shard.
"""

from __future__ import annotations

import logging

import msgspec
from msgspec.structs import replace

from cgr_cluster.actions.calls import Answer
from cgr_cluster.actions.membership import (
    ALL,
    NO_ACCOUNT,
    Attached,
    PendingActions,
    drop_taken,
    is_member,
    listed,
    next_taken,
)
from cgr_cluster.actions.runs import GroupRun, Outcome, asked, deliver, owner_of, run_group
from cgr_cluster.actions.transfers import Target
from cgr_cluster.engine.domain import Call, GenerationView, Operation, Part, Steps, step, stored, task, timer
from cgr_cluster.engine.placement import shard_owner
from cgr_cluster.filters.lists import find_filter
from cgr_cluster.filters.rules import Test, compile_rule
from cgr_cluster.filters.view import View
from cgr_cluster.rpc.errors import ApiError

logger = logging.getLogger("cgr_cluster.actions")

SLICE = 32  # accounts that one piece of background work pays; a millisecond or two
MAX_OPEN = 256  # accounts of one run in one shard that may wait for other shards
FULL_PAUSE_NS = 10_000_000  # how long the shard waits when so many do
FAILURES_LOGGED = 100  # of one run in one shard
TIMER = "actions.runs"


class Wanted(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """What a run does: the group of a plan's timing on the plan's accounts; with an empty plan the tasks that a reload
    took. `attached`: which of the plan's accounts. `filtered`: `schedulers.filters` apply."""

    plan_id: str = ""
    membership: str = ""
    actions_id: str = ""
    attached: Attached = ALL
    filtered: bool = True


@stored("shard_run")
class ShardRun(msgspec.Struct, array_like=True, gc=False):
    """A run in one shard; kept under the run's id. `next` of `slices` is taken next; `open` accounts are with operations
    of their own; the rest counts accounts."""

    shard: int
    wanted: Wanted
    slices: int = 0
    next: int = 0
    open: int = 0
    done: int = 0
    failed: int = 0
    skipped: int = 0

    def draft(self) -> ShardRun:
        return replace(self)


@stored("run_slice")
class RunSlice(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """Accounts of a run; kept under `run id/number`."""

    account_ids: list[str]

    def draft(self) -> RunSlice:
        return self


# --- the beginning -----------------------------------------------------------------------------------------------


@step("actions.list_members")
def list_members(part: Part, shard: int, runs: list[tuple[str, Wanted]]) -> tuple[list[int], int]:
    """Leave the accounts of the runs' plans in slices. Answers how many accounts each run has here, and how many were looked at."""
    counts = [0] * len(runs)
    scanned = 0
    for attached in {wanted.attached for _, wanted in runs}:  # one, but for delayed timings
        some = [(place, run_id, wanted) for place, (run_id, wanted) in enumerate(runs) if wanted.attached == attached]
        plans = list(dict.fromkeys((wanted.plan_id, wanted.membership) for _, _, wanted in some))
        lists, here = listed(part, plans, attached)
        scanned += here
        by_plan = dict(zip(plans, lists, strict=True))
        for place, run_id, wanted in some:
            ids = by_plan[wanted.plan_id, wanted.membership]
            leave(part, shard, run_id, wanted, ids)
            counts[place] = len(ids)
    return counts, scanned


@step("actions.take_tasks")
def take_tasks(part: Part, shard: int, run_id: str) -> tuple[int, int]:
    """A reload: the tasks that wait in this shard are to run; those that `schedulers.filters` leave out go on waiting.
    Answers how many accounts have some, and again how many were looked at."""
    ids = []
    for account_id, pending in list(part.scan(PendingActions)):
        taken = [actions_id for actions_id in pending.waiting if allowed(part, account_id, actions_id)]
        if taken:
            left = [actions_id for actions_id in pending.waiting if actions_id not in taken]
            part.put(PendingActions, account_id, PendingActions(left, pending.taken + taken))
            ids.append(account_id)
    leave(part, shard, run_id, Wanted(), ids)
    return len(ids), len(ids)


def leave(part: Part, shard: int, run_id: str, wanted: Wanted, account_ids: list[str]) -> None:
    """Leave accounts of this shard to the background."""
    if not account_ids:
        return
    slices = 0
    for start in range(0, len(account_ids), SLICE):
        part.put(RunSlice, f"{run_id}/{slices}", RunSlice(account_ids[start : start + SLICE]))
        slices += 1
    part.put(ShardRun, run_id, ShardRun(shard, wanted, slices))
    part.set_timer(TIMER, part.now_ns, "actions.slice", "")


# --- the slices --------------------------------------------------------------------------------------------------


@timer("actions.slice", background=True)
def take_slice(part: Part, last: str) -> None:
    """Pay one slice; `last` is the plan whose turn was before."""
    heads: dict[str, str] = {}  # plan → its first run that has slices left
    for run_id in sorted(part.keys(ShardRun)):
        run = part.read(ShardRun, run_id)
        assert run is not None
        if run.next < run.slices:
            heads.setdefault(run.wanted.plan_id, run_id)
    if not heads:
        return
    plans = sorted(heads)
    turn = next((place for place, plan_id in enumerate(plans) if plan_id > last), 0)
    left, paused = SLICE, True
    for plan_id in plans[turn:] + plans[:turn]:
        run = part.edit(ShardRun, heads[plan_id])
        assert run is not None
        if run.open >= MAX_OPEN:
            continue
        key = f"{heads[plan_id]}/{run.next}"
        found = part.read(RunSlice, key)
        assert found is not None
        if not paused and len(found.account_ids) > left:
            break
        for account_id in found.account_ids:
            _pay(part, heads[plan_id], run, account_id)
        part.delete(RunSlice, key)
        run.next += 1
        _end_if_done(part, heads[plan_id], run)
        last, paused = plan_id, False
        left -= len(found.account_ids)
    part.set_timer(TIMER, part.now_ns + (FULL_PAUSE_NS if paused else 1), "actions.slice", last)


def _pay(part: Part, run_id: str, run: ShardRun, account_id: str) -> None:
    """Do what the run wants of one account."""
    part.ids_from(f"{run_id}/{run.next}/{account_id}")
    if not part.lives_here(owner_of(account_id)):
        _leave_to_operation(part, run_id, run, account_id, None, False)
        return
    ran = failed = False
    for _ in range(SLICE):
        try:
            outcome = run_wanted(part, run.wanted, account_id, [], [])
        except Exception:  # a defect that one account meets must not stop all others; nothing of it is in the part yet
            logger.exception("run %s on account %s is given up", run_id, account_id or "-")
            outcome = Outcome("internal error")
            if not run.wanted.plan_id:
                drop_taken(part, account_id)
        if outcome is None:
            break
        ran = True
        if outcome.asks or outcome.credits or outcome.groups:
            _leave_to_operation(part, run_id, run, account_id, outcome, failed)
            return
        if outcome.error:
            failed = True
            _log_failure(run_id, run, account_id, outcome.error)
        if run.wanted.plan_id:
            break
    else:  # it has more tasks than fit: another slice
        part.put(RunSlice, f"{run_id}/{run.slices}", RunSlice([account_id]))
        run.slices += 1
        return
    _count(run, ran, failed)


def run_wanted(
    part: Part, wanted: Wanted, account_id: str, targets: list[Target], answers: list[Answer]
) -> Outcome | None:
    """Run the group that the run wants on an account of this shard; of several tasks the first. None: there is nothing
    to do, since the account is not in the plan any more, or has no task, or `schedulers.filters` leave it out."""
    if wanted.plan_id:
        if account_id != NO_ACCOUNT and not is_member(part, account_id, wanted.plan_id, wanted.membership):
            return None
        if wanted.filtered and not allowed(part, account_id, wanted.actions_id):
            return None
        outcome: Outcome = run_group(part, GroupRun(account_id, wanted.actions_id), targets, answers)
        return outcome
    actions_id = next_taken(part, account_id)
    if actions_id is None:
        return None
    outcome = run_group(part, GroupRun(account_id, actions_id), targets, answers)
    if not outcome.asks:
        drop_taken(part, account_id)
    return outcome


def _count(run: ShardRun, ran: bool, failed: bool) -> None:
    if failed:
        run.failed += 1
    elif ran:
        run.done += 1
    else:
        run.skipped += 1


def _log_failure(run_id: str, run: ShardRun, account_id: str, error: str) -> None:
    if run.failed <= FAILURES_LOGGED:
        more = "" if run.failed < FAILURES_LOGGED else "; further ones in this shard are not logged"
        logger.warning("run %s on account %s ended with: %s%s", run_id, account_id or "-", error, more)


# --- accounts that need other shards -----------------------------------------------------------------------------


def _leave_to_operation(
    part: Part, run_id: str, run: ShardRun, account_id: str, outcome: Outcome | None, failed: bool
) -> None:
    run.open += 1
    part.spawn("actions.finish_account", run_id, run.shard, run.wanted, account_id, outcome, failed)


@step("actions.run_wanted")
def run_wanted_there(
    part: Part, wanted: Wanted, account_id: str, targets: list[Target], answers: list[Answer]
) -> Outcome | None:
    return run_wanted(part, wanted, account_id, targets, answers)


@step("actions.drop_task")
def drop_task(part: Part, account_id: str) -> None:
    drop_taken(part, account_id)


@task("actions.finish_account")
def finish_account(
    op: Operation, run_id: str, shard: int, wanted: Wanted, account_id: str, outcome: Outcome | None, failed: bool
) -> Steps[None]:
    """What a slice has begun (`outcome`), or could not begin, with one account. `failed`: an earlier task of it has."""

    def again(targets: list[Target], answers: list[Answer]) -> Call:
        return run_wanted_there.at(owner_of(account_id), wanted, account_id, targets, answers)

    ran, error = outcome is not None, ""
    if outcome is None:
        outcome = yield again([], [])
    while outcome is not None:
        try:
            outcome = yield from asked(outcome, 0, again)
        except ApiError as refused:
            outcome = Outcome(refused.text)
            if not wanted.plan_id:
                yield drop_task.at(owner_of(account_id), account_id)
        if outcome is None:
            break
        ran = True
        error = (yield from deliver(account_id, outcome)) or error
        outcome = None if wanted.plan_id else (yield again([], []))
    yield account_ended.at(shard_owner(shard), run_id, account_id, ran, error, failed)


@step("actions.account_ended")
def account_ended(part: Part, run_id: str, account_id: str, ran: bool, error: str, failed: bool) -> None:
    run = part.edit(ShardRun, run_id)
    if run is None:
        return  # the run was given up
    run.open -= 1
    if error:
        _log_failure(run_id, run, account_id, error)
    _count(run, ran, failed or bool(error))
    _end_if_done(part, run_id, run)


# --- the end -----------------------------------------------------------------------------------------------------


def _end_if_done(part: Part, run_id: str, run: ShardRun) -> None:
    if run.next == run.slices and not run.open:
        part.spawn("actions.shard_ended", run_id, run.shard, run.done, run.failed, run.skipped)


@step("actions.drop_shard_run", idempotent=True)
def drop_shard_run(part: Part, run_id: str) -> None:
    """The leader knows that this shard is done, or has given the run up."""
    run = part.read(ShardRun, run_id)
    if run is None:
        return
    for number in range(run.next, run.slices):
        part.delete(RunSlice, f"{run_id}/{number}")
    part.delete(ShardRun, run_id)


@step("actions.shards_with_runs", reads=True)
def shards_with_runs(part: Part) -> list[int]:
    return part.shards_with(ShardRun)


class ShardProgress(msgspec.Struct, array_like=True, frozen=True, gc=False):
    run_id: str
    shard: int
    done: int
    failed: int
    skipped: int


@step("actions.shard_progress", reads=True)
def shard_progress(part: Part) -> list[ShardProgress]:
    """How far the runs are in this worker's shards."""
    return [ShardProgress(run_id, r.shard, r.done, r.failed, r.skipped) for run_id, r in part.all(ShardRun)]


# --- schedulers.filters ------------------------------------------------------------------------------------------


def allowed(part: Part, account_id: str, actions_id: str) -> bool:
    """`schedulers.filters`: rules over `~*act.AccountID` and `~*act.ActionsID`. What cannot be tested is not allowed."""
    tests = part.generation.derived(_tests, "config", "filter")
    if not tests:
        return True
    act = {"AccountID": account_id, "ActionsID": actions_id}
    view = View(part.generation, part.now_ns, part.generation.default_tenant, act, {})
    try:
        return all(test(view) for test in tests)
    except ApiError:
        return False


def _tests(generation: GenerationView) -> list[Test]:
    tests: list[Test] = []
    for filter_id in generation.config("schedulers").get("filters") or ():
        try:
            rules = find_filter(generation, generation.default_tenant, filter_id).rules
            tests += [compile_rule(replace(rule, element=rule.element.replace("~*act.", "~*req."))) for rule in rules]
        except ApiError as error:
            logger.error("schedulers.filters: %s: %s; nothing is run", filter_id, error.text)
            return [lambda view: False]
    return tests
