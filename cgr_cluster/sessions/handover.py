"""Handing a session's runs over to CDRs (spec 30.8)."""

from __future__ import annotations

import msgspec

from cgr_cluster.cdrs.pipeline import process_events
from cgr_cluster.cdrs.stages import configured
from cgr_cluster.engine.domain import Operation, Steps
from cgr_cluster.events.event import CGREvent
from cgr_cluster.rating.event_cost import cost_nano
from cgr_cluster.rpc.errors import ApiError
from cgr_cluster.sessions.types import Run, Session

SESSION_COST = "*sessions"
ALWAYS_RATED = frozenset({"*postpaid", "*pseudoprepaid", "*rated"})
NANO = 1_000_000_000


def post_cdrs(op: Operation, session: Session) -> Steps[list[ApiError]]:
    """Post the CDR of every run, without chargers; a run that fails does not keep the others back. Answers the failures."""
    failures = []
    stages = msgspec.structs.replace(configured(op.generation), chargers=False)
    for run in session.runs:
        rated = stages.rate or run.request_type in ALWAYS_RATED
        event = CGREvent(session.tenant, op.new_uuid(), None, cdr_event(session, run), {})
        try:
            yield from process_events(op, [event], msgspec.structs.replace(stages, rate=rated))
        except ApiError as error:
            failures.append(error)
    return failures


def cdr_event(session: Session, run: Run) -> dict[str, object]:
    """The run's event as CDRs get it: with what the session has charged, if it charged anything."""
    event: dict[str, object] = {**run.event, "Usage": run.total_ns}
    if run.cost is not None:
        event["Cost"] = cost_nano(run.cost) / NANO
        event["CostDetails"] = run.cost
        event["CostSource"] = SESSION_COST
    return event
