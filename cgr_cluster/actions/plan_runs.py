"""Runs of action timings over all accounts of their plans, as the leader sees them (spec 20 §6.2).

A run is opened in the group that takes its timing out of the queue, so an instant is run once. Then a walk over the shards
leaves the plan's accounts there in slices (run_slices.py), which each shard pays by itself, and the run ends when the
last shard is done. Runs that are due together share one walk; a run of a timing whose former run has not ended waits for
it. The tasks that a reload takes (`*asap`) are a run too.

Once in REPORT_NS the leader asks how far the shards are and logs it; a run that makes no progress for a long time, which
takes a defect, is given up, so that it does not block the following ones.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from functools import partial

import msgspec
from msgspec.structs import replace

from cgr_cluster.actions.membership import ALL, NO_ACCOUNT, shards_with_plans, shards_with_tasks
from cgr_cluster.actions.run_slices import (
    ShardProgress,
    Wanted,
    drop_shard_run,
    leave,
    list_members,
    shard_progress,
    shards_with_runs,
    take_tasks,
)
from cgr_cluster.actions.types import ActionPlan
from cgr_cluster.actions.walk import meeting_each_once, over_shards
from cgr_cluster.engine.domain import Call, Operation, Part, Steps, everywhere, sleep, step, stored, task, timer
from cgr_cluster.engine.owner import LEADER
from cgr_cluster.engine.placement import shard_owner
from cgr_cluster.events.instant import NS

logger = logging.getLogger("cgr_cluster.actions")

REPORT_NS = 10 * NS
STALLED_REPORTS = 60  # reports without progress after which a run is given up
ENDED_KEPT = 50  # ended runs that can be looked at
LARGE = 1_000  # accounts; tasks of fewer are not worth a line in the log, nor to be kept
MAX_WAITING = 100  # runs of one timing that wait for their former ones
FIRST_LOOK_NS = 2_000_000  # who waits for a run looks after this time, then more and more seldom
LAST_LOOK_NS = NS

WAITING, LISTING, RUNNING, ENDED = "WAITING", "LISTING", "RUNNING", "ENDED"


@stored("plan_run")
class PlanRun(msgspec.Struct, array_like=True, gc=False):
    """A run; kept at the leader under its id. `due_ns`: the instant it is for. `after`: the run that must have ended
    before; `batch`: who waits for it (wait_for), and takes it away. `done`, `failed` and `skipped` are of ended shards."""

    wanted: Wanted
    timing_id: str
    due_ns: int
    after: str = ""
    batch: str = ""
    state: str = WAITING
    started_ns: int = 0
    ended_ns: int = 0
    accounts: int = 0
    shards: int = 0  # that have accounts
    ended_shards: list[int] = []
    done: int = 0
    failed: int = 0
    skipped: int = 0
    seen: int = 0  # accounts that were through at the last report
    stalled: int = 0  # reports since then

    def draft(self) -> PlanRun:
        return replace(self, ended_shards=list(self.ended_shards))

    @property
    def name(self) -> str:
        return f"plan {self.wanted.plan_id}, actions {self.wanted.actions_id}" if self.wanted.plan_id else "tasks"

    @property
    def is_loud(self) -> bool:
        return bool(self.wanted.plan_id) or self.accounts >= LARGE


# --- the beginning -----------------------------------------------------------------------------------------------


def open_runs(part: Part, wanted: Iterable[tuple[Wanted, str, int]], batch: str = "") -> None:
    """At the leader: let runs begin, (what, timing id, instant in ns) each, in this order. With a batch one after the
    other, else together."""
    ready: list[str] = []
    before = ""
    for place, (what, timing_id, due_ns) in enumerate(wanted):
        run_id = f"{due_ns:020d}-{place:05d}-{part.new_uuid()}"
        run = PlanRun(what, timing_id, due_ns, batch=batch)
        if batch:
            run.after, before = before, run_id
        else:
            former = [
                (key, other) for key, other in _runs(part) if other.timing_id == timing_id and other.state != ENDED
            ]
            if len(former) >= MAX_WAITING:
                logger.error("run of %s is left out: %d runs of it have not ended", run.name, len(former))
                continue
            run.after = max(former)[0] if former else ""
        part.put(PlanRun, run_id, run)
        if not run.after:
            ready.append(run_id)
    _start(part, ready)


def _runs(part: Part) -> list[tuple[str, PlanRun]]:
    return sorted(part.all(PlanRun), key=lambda item: item[0])


def _start(part: Part, run_ids: list[str]) -> None:
    if not run_ids:
        return
    for run_id in run_ids:
        run = part.edit(PlanRun, run_id)
        assert run is not None
        run.state, run.started_ns = LISTING, part.now_ns
    part.spawn("actions.list_runs", run_ids)
    part.set_timer("actions.report", part.now_ns + REPORT_NS, "actions.report")


@task("actions.list_runs")
def list_runs(op: Operation, run_ids: list[str]) -> Steps[None]:
    """Leave the accounts of these runs' plans at their shards; the slices begin at once."""
    runs: list[tuple[str, Wanted]] = yield current_runs.at(LEADER, run_ids)
    if not runs:
        return
    found = yield from meeting_each_once(
        op.uid, shards_with_plans, lambda number: list_members.at(shard_owner(number), number, runs)
    )
    for place, (run_id, _) in enumerate(runs):
        yield listed.at(LEADER, run_id, [(shard, counts[place]) for shard, counts in found if counts[place]])


@step("actions.current_runs")
def current_runs(part: Part, run_ids: list[str]) -> list[tuple[str, Wanted]]:
    """What these runs want. Those whose plan has been removed or set anew end here."""
    found = []
    for run_id in run_ids:
        run = part.edit(PlanRun, run_id)
        if run is None or run.state != LISTING:
            continue
        plan: ActionPlan | None = part.generation.get("action_plan", run.wanted.plan_id)
        if plan is None or plan.membership != run.wanted.membership:
            _end(part, run_id, run)
        else:
            found.append((run_id, run.wanted))
    return found


@step("actions.open_tasks")
def open_tasks(part: Part, run_id: str) -> None:
    part.put(PlanRun, run_id, PlanRun(Wanted(), "", part.now_ns, state=LISTING, started_ns=part.now_ns))
    part.set_timer("actions.report", part.now_ns + REPORT_NS, "actions.report")


def run_tasks(run_id: str) -> Steps[None]:
    """Let the tasks run that wait in all shards (a reload)."""
    yield open_tasks.at(LEADER, run_id)
    found = yield from meeting_each_once(
        run_id, shards_with_tasks, lambda number: take_tasks.at(shard_owner(number), number, run_id)
    )
    yield listed.at(LEADER, run_id, [(shard, count) for shard, count in found if count])


@step("actions.listed")
def listed(part: Part, run_id: str, counts: list[tuple[int, int]]) -> None:
    """All shards have been asked; `counts` are accounts by shard. A plan without accounts runs on none; not again for
    accounts that came later, and have gone."""
    run = part.edit(PlanRun, run_id)
    if run is None or run.state != LISTING:
        return
    run.state = RUNNING
    run.accounts = sum(count for _, count in counts)
    run.shards = len(counts)
    if run.is_loud:
        logger.info("run of %s begins: %d accounts (%s)", run.name, run.accounts, run_id)
    if not counts and run.wanted.plan_id and run.wanted.attached.after_ns == ALL.after_ns:
        run.shards = 1
        leave(part, LEADER.shard, run_id, run.wanted, [NO_ACCOUNT])
    _end_if_done(part, run_id, run)


# --- the end -----------------------------------------------------------------------------------------------------


@task("actions.shard_ended")
def shard_ended(op: Operation, run_id: str, shard: int, done: int, failed: int, skipped: int) -> Steps[None]:
    yield add_shard.at(LEADER, run_id, shard, done, failed, skipped)
    yield drop_shard_run.at(shard_owner(shard), run_id)


@step("actions.add_shard")
def add_shard(part: Part, run_id: str, shard: int, done: int, failed: int, skipped: int) -> None:
    run = part.edit(PlanRun, run_id)
    if run is None or run.state == ENDED:
        return
    run.ended_shards.append(shard)
    run.done += done
    run.failed += failed
    run.skipped += skipped
    _end_if_done(part, run_id, run)


def _end_if_done(part: Part, run_id: str, run: PlanRun) -> None:
    if run.state == RUNNING and len(run.ended_shards) == run.shards:
        _end(part, run_id, run)


def _end(part: Part, run_id: str, run: PlanRun) -> None:
    """`run` is a draft. Those that wait for it begin."""
    run.state, run.ended_ns = ENDED, part.now_ns
    if run.is_loud:
        seconds = (run.ended_ns - run.started_ns) / NS
        logger.info(
            "run of %s has ended: %d accounts in %.1f s, %d done, %d failed, %d skipped (%s)",
            run.name, run.accounts, seconds, run.done, run.failed, run.skipped, run_id,
        )  # fmt: skip
    elif not run.batch:
        part.delete(PlanRun, run_id)
    _go_on(part, run_id, run)
    runs = _runs(part)
    ended = sorted((other.ended_ns, key) for key, other in runs if other.state == ENDED and not other.batch)
    for _, key in ended[:-ENDED_KEPT]:
        part.delete(PlanRun, key)


def _go_on(part: Part, run_id: str, run: PlanRun) -> None:
    """Let the runs begin that wait for this one; after a failure in a batch none of it."""
    ready = []
    for key, other in _runs(part):
        if other.state != WAITING or other.after != run_id:
            continue
        if run.batch and run.failed and other.batch == run.batch:
            for left_out, waiting in _runs(part):
                if waiting.batch == run.batch and waiting.state == WAITING:
                    part.delete(PlanRun, left_out)
        else:
            ready.append(key)
    _start(part, ready)


def wait_for(batch: str) -> Steps[int]:
    """Wait until all runs of the batch have ended. Answers how many accounts failed."""
    pause_ns = FIRST_LOOK_NS
    while True:
        failed: int | None = yield take_batch.at(LEADER, batch)
        if failed is not None:
            return failed
        yield sleep(pause_ns)
        pause_ns = min(pause_ns * 3 // 2, LAST_LOOK_NS)


@step("actions.take_batch")
def take_batch(part: Part, batch: str) -> int | None:
    """How many accounts failed in the runs of the batch, which are those of anybody from now on; None: not all have ended."""
    runs = [(run_id, run) for run_id, run in _runs(part) if run.batch == batch]
    if any(run.state != ENDED for _, run in runs):
        return None
    for run_id, run in runs:
        part.put(PlanRun, run_id, replace(run, batch=""))
    return sum(run.failed for _, run in runs)


# --- progress ----------------------------------------------------------------------------------------------------


@timer("actions.report")
def report(op: Operation) -> Steps[None]:
    """Log how far the runs are."""
    rows = yield everywhere(shard_progress)
    given_up = yield note_progress.at(LEADER, [row for some in rows for row in some])
    for run_id in given_up:
        yield from over_shards(shards_with_runs, partial(_give_up, run_id))


def _give_up(run_id: str, shard: int) -> Call:
    return give_up_here.at(shard_owner(shard), run_id)


def with_progress(run_id: str, run: PlanRun, rows: list[ShardProgress]) -> PlanRun:
    """The run with what its shards have done that have not ended."""
    live = [row for row in rows if row.run_id == run_id and row.shard not in run.ended_shards]
    return replace(
        run,
        done=run.done + sum(row.done for row in live),
        failed=run.failed + sum(row.failed for row in live),
        skipped=run.skipped + sum(row.skipped for row in live),
    )


def rate(run: PlanRun, now_ns: int) -> float:
    """Accounts a second that are through, since the run began."""
    through = run.done + run.failed + run.skipped
    return through * NS / max((run.ended_ns or now_ns) - run.started_ns, 1) if run.started_ns else 0.0


@step("actions.note_progress")
def note_progress(part: Part, rows: list[ShardProgress]) -> list[str]:
    """Log the progress of what runs. Answers which runs are given up."""
    given_up = []
    runs = [(run_id, run) for run_id, run in _runs(part) if run.state in (LISTING, RUNNING)]
    for run_id, found in runs:
        run = part.edit(PlanRun, run_id)
        assert run is not None
        now = with_progress(run_id, found, rows)
        through = now.done + now.failed + now.skipped
        run.stalled = run.stalled + 1 if through == run.seen else 0
        run.seen = through
        if run.stalled >= STALLED_REPORTS:
            logger.error(
                "run of %s is given up: no progress for %d s, %d of %d accounts are through (%s)",
                run.name, STALLED_REPORTS * REPORT_NS // NS, through, run.accounts, run_id,
            )  # fmt: skip
            run.done, run.failed, run.skipped = now.done, now.failed + max(run.accounts - through, 0), now.skipped
            given_up.append(run_id)
            _end(part, run_id, run)
        elif run.is_loud:
            logger.info(
                "run of %s: %d of %d accounts, %.0f a second, %d failed, %d skipped (%s)",
                run.name, through, run.accounts, rate(now, part.now_ns), now.failed, now.skipped, run_id,
            )  # fmt: skip
    if runs:
        part.set_timer("actions.report", part.now_ns + REPORT_NS, "actions.report")
    return given_up


@step("actions.give_up_here", idempotent=True)
def give_up_here(part: Part, run_id: str) -> tuple[None, int]:
    drop_shard_run(part, run_id)
    return None, 1


@step("actions.plan_runs", reads=True)
def plan_runs(part: Part) -> list[tuple[str, PlanRun]]:
    """All runs that the leader knows, the newest last."""
    return _runs(part)
