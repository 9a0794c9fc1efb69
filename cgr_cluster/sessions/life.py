"""The life of a session as operations: initiate, update, terminate, messages (spec 30.5, 30.7).

Theory of operation. The work is done at the session's home, in one step when all charged accounts live there. A request
looks at the home that its own Account suggests first, then asks the registry. A session of several owners is charged here,
in the operation: the home gives a copy and is busy until `store` brings it back; every account is reached by a step, so
an operation that is run again after a crash comes to the same result.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from cgr_cluster.actions.dynaprepaid import make_account
from cgr_cluster.chargers.runs import ChargingRun, charge_runs
from cgr_cluster.engine.domain import Call, Operation, Steps, exclusive, sleep
from cgr_cluster.engine.owner import Owner, account_owner, registry_owner
from cgr_cluster.events.event import CGREvent
from cgr_cluster.filters.live import with_live
from cgr_cluster.rpc.errors import ApiError
from cgr_cluster.sessions import charging
from cgr_cluster.sessions.build import build_session
from cgr_cluster.sessions.charging import Charging
from cgr_cluster.sessions.closed import give_up_claim
from cgr_cluster.sessions.handover import leave_costs
from cgr_cluster.sessions.reading import cgrid_of, chargeable, debit_interval, initial_cgrid_of, text_field
from cgr_cluster.sessions.registry import claim_for, release, where
from cgr_cluster.sessions.settings import session_settings
from cgr_cluster.sessions.steps import (
    ABSENT,
    ACCOUNT_STEPS,
    AWAY,
    BUSY,
    DONE,
    ELSEWHERE,
    EXISTS,
    EndRequest,
    Found,
    Reply,
    UpdateRequest,
    end,
    ending,
    for_cdr,
    granted_by_run,
    initiate,
    keep_one_shot,
    message,
    one_shot,
    renew_claim,
    store,
    update,
)
from cgr_cluster.sessions.types import Claim, Session, Usage

T = TypeVar("T")
MS = 1_000_000
LONGEST_PAUSE_NS = 250 * MS
MAX_LOOKS = 120  # about half a minute


# --- waiting and charging ----------------------------------------------------------------------------------------


def patiently(call: Call) -> Steps[Any]:
    """Run a step at a home until the session is not busy. Raises `SERVER_ERROR: ...` when that takes too long."""
    pause, following = MS, MS
    for _ in range(MAX_LOOKS):
        reply = yield call
        if reply.kind != BUSY:
            return reply
        yield sleep(pause)
        pause, following = min(following, LONGEST_PAUSE_NS), pause + following
    raise ApiError("SERVER_ERROR: the session is being charged by another request")


def through_steps(op: Operation, work: Charging[T]) -> Steps[T]:
    """Run a charging generator by steps at the accounts' owners."""
    try:
        call = next(work)
        while True:
            try:
                if isinstance(call, charging.Provision):
                    yield from make_account(
                        op, session_settings(op.generation).scheduler_connected, call.tenant, call.account
                    )
                    result = None
                else:
                    owner = account_owner(call.descriptor.tenant, call.descriptor.account)
                    result = yield ACCOUNT_STEPS[type(call)].at(owner, call.descriptor)
            except ApiError as error:
                call = work.throw(error)
            else:
                call = work.send(result)
    except StopIteration as done:
        value: T = done.value
        return value


def charge_away(op: Operation, busy: Session, work: Callable[[Session], Charging[Any]], *, ended: bool) -> Steps[Reply]:
    """Charge a busy session and bring it back to its home. `work` answers the grants of the runs, or a refusal. `busy` is
    a step's result, which must stay as it is for the operation to be run again: a copy is charged."""
    reply = Reply(DONE)
    session = busy.draft()
    try:
        outcome = yield from through_steps(op, work(session))
        if isinstance(outcome, list):
            reply.granted = granted_by_run(session, outcome)
        elif isinstance(outcome, ApiError):
            reply.error = outcome.text
    except ApiError as error:
        reply.error = error.text
    yield store.at(session.home, session, op.uid, ended)
    if ended:
        reply.session = session
    return reply


# --- making ------------------------------------------------------------------------------------------------------


def charging_runs(op: Operation, event: CGREvent) -> Steps[list[ChargingRun]]:
    """The runs of ChargerS. Raises `CHARGERS_ERROR:...`."""
    if not session_settings(op.generation).chargers_connected:
        raise ApiError("ChargerS is disabled")
    try:
        runs = yield from with_live(lambda live: charge_runs(op.generation, op.now_ns, event, live))
    except ApiError as error:
        raise ApiError(f"CHARGERS_ERROR:{error.text}") from error
    if not runs:
        raise ApiError("CHARGERS_ERROR:NOT_FOUND")
    return runs


def with_cgrid(event: CGREvent) -> str:
    """The CGRID, which is written into the event."""
    cgrid = cgrid_of(event.event)
    event.event["CGRID"] = cgrid
    return cgrid


def make_session(op: Operation, event: CGREvent, force_duration: bool, interval_ns: int) -> Steps[Session]:
    """An unregistered session of the event."""
    cgrid = with_cgrid(event)
    runs = yield from charging_runs(op, event)
    return build_session(
        event,
        cgrid,
        runs,
        session_settings(op.generation),
        op.now_ns,
        connection=op.connection,
        debit_interval_ns=interval_ns,
        force_duration=force_duration,
        chargeable=chargeable(event.opts),
    )


def interval_of(op: Operation, event: CGREvent) -> int:
    """The debit interval of a request. Raises `RALS_ERROR:...` when its option cannot be read."""
    try:
        return debit_interval(event.opts, session_settings(op.generation))
    except ApiError as error:
        raise ApiError(f"RALS_ERROR:{error.text}") from error


def turn_of(cgrid: str) -> str:
    """What an operation holds while it works on a session: requests for it that reach this worker one after the other
    (such as those of one connection, which are not waited for) keep their order."""
    return f"session {cgrid}"


def initiate_session(op: Operation, session: Session, usage: Usage) -> Steps[Reply]:
    """Register a session and do its first update pass. The reply is DONE or EXISTS."""
    yield exclusive(turn_of(session.cgrid))
    while True:
        session.claim = (yield from claim_for(session.cgrid, session.home)).number
        if not session.claim:
            return Reply(EXISTS)
        reply: Reply = yield initiate.at(session.home, session, usage, op.uid)
        if reply.kind != ELSEWHERE:
            break
    if reply.kind == AWAY:
        assert reply.session is not None
        return (yield from charge_away(op, reply.session, lambda s: charging.update(s, usage), ended=False))
    return reply


# --- finding -----------------------------------------------------------------------------------------------------


def at_home(event: CGREvent, cgrid: str, initial: str, ask: Callable[[Owner], Call]) -> Steps[Any]:
    """Ask the home that the event's account suggests, then those that the registry names, until one does not answer
    ABSENT (or an empty Found)."""
    asked: Owner | None = None
    reply: Any = None
    account = text_field(event.event, "Account")
    if account:
        asked = account_owner(event.tenant, account)
        reply = yield from patiently(ask(asked))
        if reply.kind != ABSENT:
            return reply
    for known in (cgrid, initial):
        if not known:
            continue
        claim: Claim | None = yield where.at(registry_owner(known), known)
        if claim is not None and claim.home != asked:
            asked = claim.home
            reply = yield from patiently(ask(asked))
            if reply.kind != ABSENT:
                return reply
    return reply if reply is not None else Reply(ABSENT)


def moved(op: Operation, session_home: Owner, cgrid: str, initial: str) -> Steps[None]:
    """After a relocation: the new CGRID is claimed, the old one is free again (30.5.5)."""
    old: Claim | None = yield where.at(registry_owner(initial), initial)
    claimed = yield from claim_for(cgrid, session_home)
    if claimed.number:
        yield renew_claim.at(session_home, cgrid, claimed.number)
    if old is not None and old.home == session_home:
        yield release.at(registry_owner(initial), initial, old.number)


def update_session(op: Operation, event: CGREvent, usage: Usage) -> Steps[Reply]:
    """An update pass of the event's session; ABSENT when there is none."""
    cgrid = with_cgrid(event)
    yield exclusive(turn_of(cgrid))
    initial = initial_cgrid_of(event.event)
    request = UpdateRequest(cgrid, initial, event.event, event.opts, usage, chargeable(event.opts), op.uid)
    reply: Reply = yield from at_home(event, cgrid, initial, lambda home: update.at(home, request))
    if reply.moved and reply.home is not None:
        yield from moved(op, reply.home, cgrid, initial)
    if reply.kind == AWAY:
        assert reply.session is not None
        return (yield from charge_away(op, reply.session, lambda s: charging.update(s, usage), ended=False))
    return reply


def end_session(op: Operation, event: CGREvent, request: EndRequest) -> Steps[Reply]:
    """End the event's session; ABSENT when there is none. The reply has the closed session."""
    yield exclusive(turn_of(request.cgrid))
    reply: Reply = yield from at_home(event, request.cgrid, request.initial_cgrid, lambda home: end.at(home, request))
    if reply.moved and reply.home is not None:
        yield from moved(op, reply.home, request.cgrid, request.initial_cgrid)
    if reply.kind == AWAY:
        assert reply.session is not None
        reply = yield from charge_away(op, reply.session, lambda s: ending(s, request), ended=True)
    if reply.session is not None:
        yield from leave_costs(op, reply.session)
    return reply


def find_for_cdr(op: Operation, event: CGREvent) -> Steps[Session | None]:
    """The active or closed session that a CDR is for (30.8)."""
    cgrid = with_cgrid(event)
    yield exclusive(turn_of(cgrid))
    initial = initial_cgrid_of(event.event)
    found: Found = yield from at_home(
        event, cgrid, initial, lambda home: for_cdr.at(home, cgrid, initial, event.event, op.uid)
    )
    if found.kind == ABSENT or found.session is None:
        return None
    if found.moved:
        yield from moved(op, found.session.home, cgrid, initial)
    return found.session


# --- one-shots ---------------------------------------------------------------------------------------------------


def one_shot_message(op: Operation, session: Session, usage: Usage, as_asked: bool) -> Steps[Reply]:
    """Debit and end a message (30.7)."""
    session.claim = (yield from claim_for(session.cgrid, session.home)).number
    if session.local:
        reply: Reply = yield message.at(session.home, session, usage, as_asked)
        if reply.session is not None:
            yield from leave_costs(op, reply.session)
        return reply
    work = charging.message(session, usage, as_asked)
    granted, refusal = yield from through_steps(op, work)
    yield keep_one_shot.at(session.home, session)
    yield from leave_costs(op, session)
    if refusal is not None:
        return Reply(DONE, error=refusal.text)
    return Reply(DONE, granted_by_run(session, granted))


def one_shot_end(op: Operation, session: Session, usage: Usage, request: EndRequest) -> Steps[Reply]:
    """A terminate without session (30.5.6). ABSENT with an error: the debit was refused."""
    claimed = yield from claim_for(session.cgrid, session.home)
    session.claim = claimed.number
    if session.local:
        reply: Reply = yield one_shot.at(session.home, session, usage, request)
        if reply.session is not None:
            yield from leave_costs(op, reply.session)
        else:
            yield from give_up_claim(session.cgrid, session.home, claimed)
        return reply
    work = charging.one_shot(session, usage, request.total_ns, request.last_used_ns, request.answer_time)
    try:
        failure = yield from through_steps(op, work)
    except ApiError as error:
        yield from give_up_claim(session.cgrid, session.home, claimed)
        return Reply(ABSENT, error=error.text)
    yield keep_one_shot.at(session.home, session)
    yield from leave_costs(op, session)
    return Reply(DONE, error="" if failure is None else failure.text, session=session)


def authorized(op: Operation, session: Session, asked_ns: int) -> Steps[list[tuple[str, int]]]:
    """What each run may use; nothing is stored. Raises the account's refusal."""
    granted = yield from through_steps(op, charging.authorize(session, asked_ns))
    return granted_by_run(session, granted)
