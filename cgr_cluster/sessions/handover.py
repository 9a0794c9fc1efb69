"""Handing what a session has charged over to CDRs (spec 30.8, 30.15)."""

from __future__ import annotations

import msgspec

from cgr_cluster.accounts.steps import refund_increments
from cgr_cluster.cdrs.pipeline import process_events
from cgr_cluster.cdrs.session_costs import store_session_cost
from cgr_cluster.cdrs.stages import Stages, configured
from cgr_cluster.cdrs.types import SessionCost
from cgr_cluster.engine.domain import GenerationView, Operation, Steps
from cgr_cluster.engine.owner import account_owner, registry_owner
from cgr_cluster.events.event import CGREvent
from cgr_cluster.rating.event_cost import cost_nano, usage_ns
from cgr_cluster.rating.event_cost_pieces import increments_of
from cgr_cluster.rating.rounding import amount_of
from cgr_cluster.rpc.errors import ApiError
from cgr_cluster.sessions.reading import text_field
from cgr_cluster.sessions.settings import session_settings
from cgr_cluster.sessions.types import Run, Session

SESSION_COST = "*sessions"
ALWAYS_RATED = frozenset({"*postpaid", "*pseudoprepaid", "*rated"})


def _stages_of_runs(generation: GenerationView) -> tuple[Stages, Stages]:
    """The stages of a run's record: as configured, and of a run that is rated in any case."""
    stages = msgspec.structs.replace(configured(generation), attributes=False, chargers=False)
    return stages, msgspec.structs.replace(stages, rate=True)


def post_cdrs(op: Operation, session: Session) -> Steps[list[ApiError]]:
    """Post the CDR of every run, without chargers; a run that fails does not keep the others back. Answers the failures."""
    failures = []
    stages, always = op.generation.derived(_stages_of_runs, "config")
    for run in session.runs:
        event = CGREvent(session.tenant, op.new_uuid(), None, cdr_event(session, run), {})
        try:
            yield from process_events(op, [event], always if run.request_type in ALWAYS_RATED else stages)
        except ApiError as error:
            failures.append(error)
    return failures


def cdr_event(session: Session, run: Run) -> dict[str, object]:
    """The run's event as CDRs get it: with what the session has charged, if it charged anything."""
    event: dict[str, object] = {**run.event, "Usage": run.total_ns}
    if run.cost is not None:
        event["Cost"] = amount_of(cost_nano(run.cost))
        event["CostDetails"] = run.cost
        event["CostSource"] = SESSION_COST
    return event


def leave_costs(op: Operation, session: Session) -> Steps[None]:
    """With `store_session_costs`: leave the costs of an ended session for CDRs that come from elsewhere. A run whose cost
    is there already is refunded."""
    if not session_settings(op.generation).store_session_costs:
        return
    origin_host = text_field(session.event_start, "OriginHost")
    origin_id = text_field(session.event_start, "OriginID")
    for run in session.runs:
        if run.cost is None:
            continue
        cost = SessionCost(
            session.cgrid, run.run_id, origin_host, origin_id, SESSION_COST, usage_ns(run.cost), run.cost
        )
        try:
            yield store_session_cost.at(registry_owner(session.cgrid), cost, True)
        except ApiError:
            refund = msgspec.structs.replace(run.descriptor, increments=increments_of(run.cost, run.descriptor.tor))
            yield refund_increments.at(account_owner(refund.tenant, refund.account), refund)
