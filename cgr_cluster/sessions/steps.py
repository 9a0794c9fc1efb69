"""Steps at a session's home: each is one atomic change of a session and, when all its accounts live there too, of them.

Theory of operation. A request that charges runs the generators of `charging.py`. When the session is `local` that is
done here, in one step. Else the step marks the session `busy` and answers a copy (`AWAY`); the operation charges that copy
by steps at the accounts' owners, one after the other, and brings it back with `store`. Meanwhile other operations are
answered `BUSY` and come again. A refusal of the charging is a value of the reply, never an exception: what was done
before it stays (30.4.1).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from cgr_cluster.accounts import steps as accounts
from cgr_cluster.engine.domain import Part, StepDef, step
from cgr_cluster.engine.owner import Owner
from cgr_cluster.rpc.errors import ApiError
from cgr_cluster.sessions import charging
from cgr_cluster.sessions.charging import AccountCall, Charging
from cgr_cluster.sessions.closed import find_closed, keep_closed, use_closed
from cgr_cluster.sessions.deadlines import (
    activate,
    restart_ttl,
    set_debit_timer,
    set_ttl_timer,
    start_debit_loops,
    stop_timers,
)
from cgr_cluster.sessions.reading import text_field
from cgr_cluster.sessions.settings import session_settings
from cgr_cluster.sessions.types import UNLIMITED_NS, ClaimLost, Session, Usage

T = TypeVar("T")

DONE, ABSENT, EXISTS, BUSY, AWAY, ELSEWHERE = "done", "absent", "exists", "busy", "away", "elsewhere"
TAKE_OVER_NS = 60 * 10**9  # an operation that holds a session longer has been given up
KEPT_FIELDS = ("CGRID", "OriginHost", "OriginID", "Usage")  # of EventStart; an update does not change them


def _account_steps() -> dict[type[AccountCall], StepDef]:
    return {
        charging.MaxDebit: accounts.max_debit,
        charging.MaxUsage: accounts.max_session_time,
        charging.Debit: accounts.debit,
        charging.Refund: accounts.refund_increments,
        charging.RoundingDebit: accounts.refund_rounding,
    }


ACCOUNT_STEPS = _account_steps()


class Reply(msgspec.Struct, array_like=True, gc=False):
    """What a step at the home answers. `granted`: (run id, duration) in charger order. `error`: the refusal that ended
    the charging, without prefix. `session`: a busy session's copy (AWAY), or the closed session."""

    kind: str
    granted: list[tuple[str, int]] = []
    error: str = ""
    session: Session | None = None
    moved: bool = False  # the session has got a new CGRID (30.5.5)
    home_kind: str = ""
    home_key: str = ""

    @property
    def home(self) -> Owner | None:
        return Owner(self.home_kind, self.home_key) if self.moved else None


class UpdateRequest(msgspec.Struct, array_like=True, gc=False):
    """An update of an existing session (30.5.3). `initial_cgrid`: its CGRID before a relocation, or empty."""

    cgrid: str
    initial_cgrid: str
    event: dict[str, Any]
    opts: dict[str, Any]
    usage: Usage
    chargeable: bool
    uid: str


class EndRequest(msgspec.Struct, array_like=True, gc=False):
    """A termination (30.5.6), or a forced end. `chargeable` None: as it is. `alter`: copy the alterable fields of the event."""

    cgrid: str
    initial_cgrid: str
    event: dict[str, Any]
    uid: str
    total_ns: int | None = None
    last_used_ns: int | None = None
    answer_time: Any = None
    chargeable: bool | None = None
    alter: bool = True
    extra_usage_ns: int = 0  # debited before the end, on runs that debit


# --- driving the charging ----------------------------------------------------------------------------------------


def drive_here(part: Part, work: Charging[T]) -> T:
    """Run a charging generator with the accounts of this shard."""
    try:
        call = next(work)
        while True:
            try:
                result = ACCOUNT_STEPS[type(call)].function(part, call.descriptor)  # type: ignore[union-attr]  # no Provision when local
            except ApiError as error:
                call = work.throw(error)
            else:
                call = work.send(result)
    except StopIteration as done:
        value: T = done.value
        return value


def mark_away(part: Part, session: Session, uid: str) -> Reply:
    """Mark the session busy; the operation `uid` charges the copy."""
    session.busy, session.busy_since_ns = uid, part.now_ns
    part.put(Session, session.cgrid, session)
    return Reply(AWAY, session=session.draft())


def granted_by_run(session: Session, granted: list[int]) -> list[tuple[str, int]]:
    return [(run.run_id, grant) for run, grant in zip(session.runs, granted, strict=True)]


def ending(session: Session, request: EndRequest) -> Charging[ApiError | None]:
    if request.extra_usage_ns:
        return charging.end_after(session, request.extra_usage_ns, request.last_used_ns, request.total_ns)
    return charging.end(session, request.total_ns, request.last_used_ns, request.answer_time)


def _charge(part: Part, session: Session, work: Callable[[Session], Charging[list[int]]]) -> Reply:
    """Charge a local session of this part, already put or drafted."""
    try:
        return Reply(DONE, granted_by_run(session, drive_here(part, work(session))))
    except ApiError as error:
        return Reply(DONE, error=error.text)


# --- life --------------------------------------------------------------------------------------------------------


@step("sessions.initiate")
def initiate(part: Part, made: Session, usage: Usage, uid: str) -> Reply:
    """Register a new session and do its first update pass (30.5.2)."""
    cgrid = made.cgrid
    lost = part.read(ClaimLost, cgrid)
    if lost is not None and made.claim <= lost.number:
        return Reply(ELSEWHERE)
    existing = part.read(Session, cgrid)
    if existing is not None and not existing.passive:
        if made.claim > existing.claim:
            renew_claim.function(part, cgrid, made.claim)
        return Reply(EXISTS)
    session = made.draft()
    part.put(Session, cgrid, session)
    restart_ttl(part, session, session.opts_start, uid)
    if session.debits_by_itself:
        start_debit_loops(part, session)
        return Reply(DONE, granted_by_run(session, [UNLIMITED_NS] * len(session.runs)))
    if not session.local:
        return mark_away(part, session, uid)
    return _charge(part, session, lambda s: charging.update(s, usage))


@step("sessions.update")
def update(part: Part, request: UpdateRequest) -> Reply:
    """An update pass of an existing session; ABSENT when it is not here."""
    session, moved = find_session(part, request.cgrid, request.initial_cgrid, request.event)
    if session is None:
        return Reply(ABSENT)
    if is_busy(part, session, request.uid):
        return Reply(BUSY)
    event = {name: value for name, value in request.event.items() if name not in KEPT_FIELDS}
    session.event_start = {**session.event_start, **event}
    _alter(part, session, request.event)
    session.updated_ns = part.now_ns
    restart_ttl(part, session, request.opts, request.uid)
    session.chargeable = request.chargeable
    if not session.local:
        reply = mark_away(part, session, request.uid)
    else:
        reply = _charge(part, session, lambda s: charging.update(s, request.usage))
    if moved:
        reply.moved, reply.home_kind, reply.home_key = True, session.home_kind, session.home_key
    return reply


@step("sessions.end")
def end(part: Part, request: EndRequest) -> Reply:
    """End a session; ABSENT when it is not here. The reply has the closed session."""
    session, moved = find_session(part, request.cgrid, request.initial_cgrid, request.event)
    if session is None:
        return Reply(ABSENT)
    if is_busy(part, session, request.uid):
        return Reply(BUSY)
    if request.alter:
        _alter(part, session, request.event)
    if request.chargeable is not None:
        session.chargeable = request.chargeable
    if not session.local:
        reply = mark_away(part, session, request.uid)
    else:
        failure = drive_here(part, ending(session, request))
        reply = _closed(part, session, failure)
    if moved:
        reply.moved, reply.home_kind, reply.home_key = True, session.home_kind, session.home_key
    return reply


@step("sessions.message")
def message(part: Part, made: Session, usage: Usage, as_asked: bool) -> Reply:
    """A local one-shot event: debited and ended at once, never listed (30.7)."""
    session = made.draft()
    granted, refusal = drive_here(part, charging.message(session, usage, as_asked))
    keep_closed(part, session)
    if refusal is not None:
        return Reply(DONE, error=refusal.text, session=session)
    return Reply(DONE, granted_by_run(session, granted), session=session)


@step("sessions.one_shot")
def one_shot(part: Part, made: Session, usage: Usage, request: EndRequest) -> Reply:
    """A local terminate without session (30.5.6). `error` with a kind of ABSENT: the debit was refused, nothing is kept."""
    session = made.draft()
    work = charging.one_shot(session, usage, request.total_ns, request.last_used_ns, request.answer_time)
    try:
        failure = drive_here(part, work)
    except ApiError as error:
        return Reply(ABSENT, error=error.text)
    keep_closed(part, session)
    return Reply(DONE, error="" if failure is None else failure.text, session=session)


class Found(msgspec.Struct, array_like=True, gc=False):
    """A session for its CDR: `kind` is DONE, ABSENT or BUSY. `moved`: it has got a new CGRID."""

    kind: str
    session: Session | None = None
    moved: bool = False


@step("sessions.for_cdr")
def for_cdr(part: Part, cgrid: str, initial_cgrid: str, event: dict[str, Any], uid: str) -> Found:
    """The active or else the closed session that a CDR is for, with the event's alterable fields (30.8)."""
    session, moved = find_session(part, cgrid, initial_cgrid, event)
    if session is not None:
        if is_busy(part, session, uid):
            return Found(BUSY)
        _alter(part, session, event)
        return Found(DONE, session.draft(), moved)
    closed = find_closed(part, cgrid)
    if closed is None:
        return Found(ABSENT)
    if any(name in event for name in session_settings(part.generation).alterable_fields):
        closed = closed.draft()
        _alter(part, closed, event)
        keep_closed(part, closed)
    else:
        use_closed(part, closed)
    return Found(DONE, closed)


@step("sessions.store")
def store(part: Part, session: Session, uid: str, ended: bool) -> None:
    """Bring a session back that was charged elsewhere. `ended`: it goes to the closed ones."""
    held = part.read(Session, session.cgrid)
    if held is not None and held.busy != uid and held.busy:
        return  # another operation has waited too long and taken it over; it has what this one was given
    kept = session.draft()
    kept.busy = ""
    if held is not None:
        kept.claim = held.claim
    if ended:
        close(part, kept)
        return
    if held is not None:
        kept.time_to_live = held.time_to_live
    part.put(Session, kept.cgrid, kept)


def find_session(part: Part, cgrid: str, initial_cgrid: str, event: dict[str, Any]) -> tuple[Session | None, bool]:
    """The draft of a session that is active, becomes active, or has had another CGRID; and whether it was relocated."""
    session = part.edit(Session, cgrid)
    moved = False
    if session is None and initial_cgrid:
        session = part.edit(Session, initial_cgrid)
        if session is not None and not session.busy:
            _relocate(part, session, cgrid, event)
            moved = True
    if session is not None and session.passive:
        activate(part, session)
    return session, moved


@step("sessions.renew_claim")
def renew_claim(part: Part, cgrid: str, number: int) -> None:
    """The session knows the newest claim of its CGRID, to release it in the end."""
    session = part.edit(Session, cgrid)
    if session is not None:
        session.claim = number


@step("sessions.keep_one_shot")
def keep_one_shot(part: Part, session: Session) -> None:
    """Keep a one-shot that was charged elsewhere, for its CDR."""
    keep_closed(part, session.draft())


def is_busy(part: Part, session: Session, uid: str) -> bool:
    """Whether another operation is charging the session elsewhere."""
    return bool(session.busy) and session.busy != uid and part.now_ns < session.busy_since_ns + TAKE_OVER_NS


def _relocate(part: Part, session: Session, cgrid: str, event: dict[str, Any]) -> None:
    """Give a session the CGRID and OriginID of the event (30.5.5)."""
    part.delete(Session, session.cgrid)
    stop_timers(part, session)
    session.cgrid = cgrid
    changed = {"CGRID": cgrid}
    if "OriginID" in event:
        changed["OriginID"] = event["OriginID"]
        session.resource_id = text_field(event, "OriginID")
    session.event_start = {**session.event_start, **changed}
    for run in session.runs:
        run.event = {**run.event, **changed}
        run.descriptor = run.descriptor.copy()
        run.descriptor.cgrid = cgrid
        if run.cost is not None:
            run.cost = msgspec.structs.replace(run.cost, cgrid=cgrid)
    part.put(Session, cgrid, session)
    if session.time_to_live is not None:
        set_ttl_timer(part, session, session.time_to_live)
    for index, run in enumerate(session.runs):
        if run.next_debit_ns:
            set_debit_timer(part, session, index, run.next_debit_ns)


def _alter(part: Part, session: Session, event: dict[str, Any]) -> None:
    """Copy the alterable fields into the runs (30.5.3 step 2)."""
    for name in session_settings(part.generation).alterable_fields:
        if name in event:
            for run in session.runs:
                run.event = {**run.event, name: event[name]}


def _closed(part: Part, session: Session, failure: ApiError | None) -> Reply:
    close(part, session)
    return Reply(DONE, error="" if failure is None else failure.text, session=session)


def close(part: Part, session: Session) -> None:
    """Move an ended session to the closed ones, where its CDR finds it for 10 s."""
    cgrid = session.cgrid
    if part.read(Session, cgrid) is not None:
        part.delete(Session, cgrid)
        stop_timers(part, session)
    session.busy = ""
    keep_closed(part, session)
