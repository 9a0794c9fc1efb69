"""Passive sessions: copies that a peer keeps, without timers (spec 30.14)."""

from __future__ import annotations

from cgr_cluster.engine.domain import Operation, Part, step
from cgr_cluster.engine.owner import Owner, account_owner, registry_owner
from cgr_cluster.events.amounts import nano_of
from cgr_cluster.events.instant import ZERO
from cgr_cluster.rating.event_cost_reading import event_cost_from_json
from cgr_cluster.rating.types import CallDescriptor
from cgr_cluster.sessions.build import extra_fields, is_local
from cgr_cluster.sessions.deadlines import activate, deactivate
from cgr_cluster.sessions.params import PassiveSession, RunParams
from cgr_cluster.sessions.reading import bearable_interval, text_field
from cgr_cluster.sessions.steps import is_busy
from cgr_cluster.sessions.types import ON_ACCOUNT, Run, Session


def make_passive(op: Operation, params: PassiveSession) -> Session:
    """The session that a peer sent."""
    start = params.EventStart or {}
    runs = [_run(params.CGRID, op.tenant(params.Tenant), run) for run in params.SRuns]
    session = Session(
        params.CGRID,
        op.tenant(params.Tenant),
        start,
        params.OptsStart,
        runs,
        "",
        "",
        connection=params.ClientConnID,
        debit_interval_ns=bearable_interval(params.DebitInterval),
        chargeable=params.Chargeable is not False,
        resource_id=params.ResourceID,
        updated_ns=op.now_ns,
        passive=True,
    )
    session.local = is_local(runs, home_of_passive(session))
    return session


def home_of_passive(session: Session) -> Owner:
    """The account of the first run that looks at one, else that of the event."""
    for run in session.runs:
        if run.request_type in ON_ACCOUNT:
            return account_owner(run.descriptor.tenant, run.descriptor.account)
    account = text_field(session.event_start, "Account")
    return account_owner(session.tenant, account) if account else registry_owner(session.cgrid)


def _run(cgrid: str, tenant: str, sent: RunParams) -> Run:
    descriptor = CallDescriptor(tenant=tenant, cgrid=cgrid)
    end_ns = 0
    given = sent.CD
    if given is not None:
        descriptor.tenant = given.Tenant or tenant
        descriptor.category, descriptor.subject, descriptor.account = given.Category, given.Subject, given.Account
        descriptor.destination, descriptor.tor, descriptor.run_id = given.Destination, given.ToR, given.RunID
        descriptor.time_start = given.TimeStart or ZERO
        descriptor.time_end = given.TimeEnd or ZERO
        descriptor.force_duration = given.ForceDuration
        descriptor.extra_fields = given.ExtraFields or extra_fields(sent.Event)
        end_ns = descriptor.time_end.ns
    run = Run(sent.Event, text_field(sent.Event, "RequestType"), descriptor, end_ns)
    run.extra_ns, run.last_ns, run.total_ns = sent.ExtraDuration, sent.LastUsage, sent.TotalUsage
    if given is not None:
        run.loop_index = int(given.LoopIndex)
        run.shown_index_ns = run.rated_index_ns = given.DurationIndex
        run.cost_so_far_nano = nano_of(given.MaxCostSoFar)
    if sent.EventCost is not None:
        run.cost = event_cost_from_json(sent.EventCost)
    if sent.NextAutoDebit:
        run.next_debit_ns = sent.NextAutoDebit.ns
    return run


@step("sessions.set_passive")
def set_passive(part: Part, session: Session) -> None:
    """Keep a passive session; an active one of this CGRID stops without being ended or charged."""
    held = part.edit(Session, session.cgrid)
    if held is not None:
        deactivate(part, held)
    part.put(Session, session.cgrid, session.draft())


@step("sessions.remove_passive")
def remove_passive(part: Part, cgrid: str) -> bool:
    held = part.read(Session, cgrid)
    if held is None or not held.passive:
        return False
    part.delete(Session, cgrid)
    return True


@step("sessions.switch")
def switch(part: Part, cgrid: str, passive: bool) -> bool:
    """Make a session passive or active; false when it is not there (any more) or just being charged."""
    held = part.read(Session, cgrid)
    if held is None or held.passive == passive or is_busy(part, held, ""):
        return False
    session = part.edit(Session, cgrid)
    assert session is not None
    if passive:
        deactivate(part, session)
    else:
        activate(part, session)
    return True
