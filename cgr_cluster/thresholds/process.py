"""Processing events: matching, counting at the owners, running actions (spec chapter 51, sections 3.1 and 3.2).

Theory of operation. What matches is found where the event is. Each threshold counts at its owner, by a step; what it says
decides what is run. Actions of a threshold whose Async is false are steps of the same operation: they come after its
own hit and before the hits of the thresholds behind it, as the chapter has them, and their failure is the operation's.
Asynchronous ones are a task that the hit leaves behind at the owner. Nothing is held from one step to the next, so an
action on the account whose debit caused the event is simply done after it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from cgr_cluster.actions.membership import NO_ACCOUNT
from cgr_cluster.actions.runs import MAX_HOPS, run_on
from cgr_cluster.engine.domain import Operation, Steps, release_all, task, together
from cgr_cluster.engine.owner import object_owner
from cgr_cluster.events.event import CGREvent
from cgr_cluster.exporters.process import sending_fails
from cgr_cluster.filters.handing_over import TO_THRESHOLDS, log_failure
from cgr_cluster.filters.live import with_live
from cgr_cluster.rpc.errors import ApiError, not_found, partially_executed
from cgr_cluster.thresholds.answers import profile_json
from cgr_cluster.thresholds.matching import EVENT_TYPE, account_of, any_thresholds, names_candidates, thresholds_of
from cgr_cluster.thresholds.steps import DUE, NOT_HIT, ActionRun, hit, shown
from cgr_cluster.thresholds.types import ThresholdProfile

logger = logging.getLogger("cgr_cluster.thresholds")

NO_EXPORT = ("*none",)
THRESHOLD_HIT = "ThresholdHit"


def process_event(
    op: Operation, event: CGREvent, hops: int = 0, plain: Callable[[CGREvent], CGREvent] | None = None
) -> Steps[list[str]]:
    """`ThresholdSv1.ProcessEvent` (51 §3.1): ids of the thresholds that were hit, in order. `hops`: length of the chain of
    actions and events that led here, when it is longer than the operation knows. `plain` makes of an event with values that
    are not JSON one with JSON values only, for whoever it is sent to.

    Raises `NOT_FOUND`, `PARTIALLY_EXECUTED`, errors of filters and options."""
    if not names_candidates(event.opts) and not any_thresholds(op.generation, event.tenant):
        raise not_found()
    found = yield from with_live(lambda live: thresholds_of(op.generation, op.now_ns, event, live))
    if not found:
        raise not_found()
    hits, failed = yield from _hit_all(op, event if plain is None else plain(event), found, max(hops, op.hops))
    if failed:
        raise partially_executed()
    return hits


def _hit_all(op: Operation, event: CGREvent, found: list[ThresholdProfile], hops: int) -> Steps[tuple[list[str], bool]]:
    """(ids that were hit, whether something that they caused has failed)."""
    hits: list[str] = []
    failed = False
    begun: list[ThresholdProfile] = []
    for place, profile in enumerate(found):
        begun.append(profile)
        if (profile.runs_async or not profile.action_ids) and place + 1 < len(found):
            continue  # what it causes disturbs nobody: it is hit together with those behind it
        calls = [
            hit.at(object_owner(one.tenant, one.id), one.tenant, one.id, _run(op, event, one, hops)) for one in begun
        ]
        outcomes = yield together(calls)
        for one, outcome in zip(begun, outcomes, strict=True):
            if isinstance(outcome, ApiError):
                logger.error("threshold %s:%s did not take an event: %s", one.tenant, one.id, outcome.text)
                failed = True
            elif outcome != NOT_HIT:
                hits.append(one.id)
                if outcome == DUE:
                    failed = (yield from _cause(op, event, one, hops)) or failed
        begun = []
    return hits, failed


def _run(op: Operation, event: CGREvent, profile: ThresholdProfile, hops: int) -> ActionRun | None:
    if not profile.runs_async or not profile.action_ids:
        return None
    return ActionRun(account_of(event, op.generation.default_tenant), event, hops)


def _cause(op: Operation, event: CGREvent, profile: ThresholdProfile, hops: int) -> Steps[bool]:
    """What a hit causes that its sender waits for. Answers whether any of it has failed."""
    failed = False
    if not profile.runs_async:
        account_id = account_of(event, op.generation.default_tenant)
        failed = yield from _act(account_id, list(profile.action_ids), event, hops)
    return (yield from _export_fails(op, event, profile, hops)) or failed


def _act(account_id: str, actions_ids: list[str], event: CGREvent, hops: int) -> Steps[bool]:
    """Run action sets in order, all of them. Answers whether any has failed."""
    failed = False
    yield release_all()  # an action may call anything, a method on the very session whose event this is, too
    for actions_id in actions_ids:
        if hops >= MAX_HOPS:
            error = f"a chain of more than {MAX_HOPS} thresholds and actions"
        else:
            error = yield from run_on(account_id or NO_ACCOUNT, actions_id, hops=hops + 1, event=event)
        if error:
            failed = True
            logger.warning("threshold actions %s on account %s ended with: %s", actions_id, account_id or "-", error)
    return failed


def _export_fails(op: Operation, event: CGREvent, profile: ThresholdProfile, hops: int) -> Steps[bool]:
    """Tell the exporters of a hit (51 §3.4). Answers whether that has failed."""
    config = op.generation.config("thresholds")
    wanted = profile.ee_ids or tuple(config.get("ees_exporter_ids") or ())
    if not wanted or wanted == NO_EXPORT:
        return False
    if not config.get("ees_conns"):
        logger.warning("threshold %s:%s: NOT_CONNECTED: EEs (%s)", profile.tenant, profile.id, ", ".join(wanted))
        return True
    owner = object_owner(profile.tenant, profile.id)
    state: dict[str, Any] | None = yield shown.at(owner, profile.tenant, profile.id)
    if state is None:
        return False  # it has been removed meanwhile
    limits = {name: value for name, value in profile_json(profile).items() if name not in ("Tenant", "ID")}
    limits["FilterIDs"] = sorted(profile.filter_ids)
    fields = {
        "EventType": THRESHOLD_HIT,
        "ID": profile.id,
        "Hits": state["Hits"],
        "Snooze": state["Snooze"],
        "ThresholdConfig": limits,
    }
    told = CGREvent(event.tenant, op.new_uuid(), None, fields, {**event.opts, EVENT_TYPE: THRESHOLD_HIT})
    return (yield from sending_fails(op, f"a hit of threshold {profile.tenant}:{profile.id}", told, wanted, hops))


@task("thresholds.act")
def act(op: Operation, run: ActionRun, actions_ids: list[str]) -> Steps[None]:
    """Actions of an asynchronous threshold."""
    yield from _act(run.account_id, actions_ids, run.event, run.hops)


@task(TO_THRESHOLDS, awaited=True)
def process(op: Operation, event: CGREvent, hops: int) -> Steps[None]:
    """An event that a part has handed over."""
    try:
        yield from process_event(op, event, hops)
    except ApiError as error:
        if error.text != "NOT_FOUND":
            log_failure(TO_THRESHOLDS, event, error)


# --- looking at them ---------------------------------------------------------------------------------------------


def states_of(op: Operation, event: CGREvent) -> Steps[list[dict[str, Any]]]:
    """The states of the event's thresholds, in order; nothing is counted. Raises as `process_event`."""
    found = yield from with_live(lambda live: thresholds_of(op.generation, op.now_ns, event, live))
    if not found:
        raise not_found()
    states = yield together([shown.at(object_owner(one.tenant, one.id), one.tenant, one.id) for one in found])
    for state in states:
        if isinstance(state, ApiError):
            raise state
    return [state for state in states if state is not None]
