"""What sessions do by themselves: TTL, automatic debits, forgetting closed ones (spec 30.12).

Each timer carries the deadline it was set for; the step that it runs does nothing when the session has another one by
then, so a deadline fires once however often it is delivered.
"""

from __future__ import annotations

import msgspec

from cgr_cluster.engine.domain import Operation, Part, Steps, step, timer
from cgr_cluster.engine.owner import Owner
from cgr_cluster.rpc.errors import ApiError
from cgr_cluster.sessions import charging
from cgr_cluster.sessions.deadlines import set_debit_timer
from cgr_cluster.sessions.disconnect import ask_to_disconnect, finish_forced, warn_low_balance
from cgr_cluster.sessions.life import charge_away, patiently
from cgr_cluster.sessions.settings import session_settings
from cgr_cluster.sessions.steps import (
    ABSENT,
    AWAY,
    BUSY,
    DONE,
    Reply,
    close,
    drive_here,
    is_busy,
    mark_away,
)
from cgr_cluster.sessions.types import Session

SESSION_TIMEOUT = "SESSION_TIMEOUT"
INSUFFICIENT_CREDIT = "INSUFFICIENT_CREDIT"
UNAUTHORIZED_DESTINATION = "UNAUTHORIZED_DESTINATION"
SERVER_ERROR = "SERVER_ERROR"


# --- TTL ---------------------------------------------------------------------------------------------------------


@timer("sessions.expire")
def expire(op: Operation, kind: str, key: str, cgrid: str, deadline_ns: int) -> Steps[None]:
    home = Owner(kind, key)
    reply: Reply = yield from patiently(expire_here.at(home, cgrid, deadline_ns, op.uid))
    if reply.kind == ABSENT or reply.session is None:
        return
    session = reply.session
    if reply.kind == AWAY:
        limit = session.time_to_live
        assert limit is not None
        charged = yield from charge_away(op, session, lambda s: charging.expire(s, limit), ended=True)
        session = charged.session or session
    yield from finish_forced(op, session, {}, SESSION_TIMEOUT, {})


@step("sessions.expire_here")
def expire_here(part: Part, cgrid: str, deadline_ns: int, uid: str) -> Reply:
    """End a session whose deadline it is; ABSENT when there is none, or a later deadline."""
    session = part.read(Session, cgrid)
    if session is None or session.passive:
        return Reply(ABSENT)
    limit = session.time_to_live
    if limit is None or limit.deadline_ns != deadline_ns:
        return Reply(ABSENT)
    if is_busy(part, session, uid):
        return Reply(BUSY)
    draft = part.edit(Session, cgrid)
    assert draft is not None
    if not draft.local:
        return mark_away(part, draft, uid)
    drive_here(part, charging.expire(draft, limit))
    close(part, draft)
    return Reply(DONE, session=draft)


# --- automatic debits --------------------------------------------------------------------------------------------


class Tick(msgspec.Struct, array_like=True, gc=False):
    """What a tick of a debit loop came to. `left_ns`: the money ends in so long; None: it goes on."""

    kind: str
    session: Session | None = None
    error: str = ""
    left_ns: int | None = None


@timer("sessions.debit")
def debit(op: Operation, kind: str, key: str, cgrid: str, index: int, due_ns: int) -> Steps[None]:
    home = Owner(kind, key)
    tick: Tick = yield from patiently(debit_here.at(home, cgrid, index, due_ns, op.uid))
    if tick.kind == ABSENT or tick.session is None:
        return
    session = tick.session
    if tick.kind == AWAY:
        asked = tick.left_ns or 0
        reply = yield from charge_away(op, session, lambda s: _granted_of(s, index, asked), ended=False)
        granted = reply.granted[index][1] if reply.granted else 0
        tick = yield after_debit.at(home, cgrid, index, due_ns, asked, granted, reply.error)
        if tick.session is None:
            return
        session = tick.session
    if tick.error:
        cause = UNAUTHORIZED_DESTINATION if tick.error == UNAUTHORIZED_DESTINATION else SERVER_ERROR
        yield from ask_to_disconnect(op, session, cause)
        return
    if tick.left_ns is not None:
        warn_below = session_settings(op.generation).min_dur_low_balance_ns
        if 0 < warn_below < session.debit_interval_ns and tick.left_ns <= warn_below:
            yield from warn_low_balance(op, session)


def _granted_of(session: Session, index: int, duration_ns: int) -> charging.Charging[list[int]]:
    granted = yield from charging.automatic_debit(session, index, duration_ns)
    return [granted if place == index else 0 for place in range(len(session.runs))]


@step("sessions.debit_here")
def debit_here(part: Part, cgrid: str, index: int, due_ns: int, uid: str) -> Tick:
    """One tick; ABSENT when the loop has ended or this tick was done. AWAY: `left_ns` is what is to be debited."""
    session = part.read(Session, cgrid)
    if session is None or session.passive or index >= len(session.runs) or session.runs[index].next_debit_ns != due_ns:
        return Tick(ABSENT)
    if is_busy(part, session, uid):
        return Tick(BUSY)
    draft = part.edit(Session, cgrid)
    assert draft is not None
    interval = draft.debit_interval_ns
    missed = max(0, part.now_ns - due_ns) // interval  # ticks of a time when nobody could debit become one
    asked = interval * (1 + missed)
    if not draft.local:
        return Tick(AWAY, mark_away(part, draft, uid).session, left_ns=asked)
    try:
        granted = drive_here(part, charging.automatic_debit(draft, index, asked))
    except ApiError as error:
        return _after(part, draft, index, due_ns, asked, 0, error.text)
    return _after(part, draft, index, due_ns, asked, granted, "")


@step("sessions.after_debit")
def after_debit(part: Part, cgrid: str, index: int, due_ns: int, asked_ns: int, granted_ns: int, error: str) -> Tick:
    """The rest of a tick that was debited elsewhere."""
    draft = part.edit(Session, cgrid)
    if draft is None or draft.runs[index].next_debit_ns != due_ns:
        return Tick(ABSENT)
    return _after(part, draft, index, due_ns, asked_ns, granted_ns, error)


def _after(part: Part, session: Session, index: int, due_ns: int, asked_ns: int, granted_ns: int, error: str) -> Tick:
    run = session.runs[index]
    if error:
        run.next_debit_ns = 0
        return Tick(DONE, session.draft(), error)
    if granted_ns < asked_ns:
        run.next_debit_ns = 0
        ends = part.now_ns + max(0, granted_ns)
        part.set_timer(
            f"debit/{session.cgrid}/{index}", ends, "sessions.money_ended", session.home_kind, session.home_key,
            session.cgrid, index, run.loop_index,
        )  # fmt: skip
        return Tick(DONE, session.draft(), left_ns=granted_ns)
    run.next_debit_ns = due_ns + asked_ns
    set_debit_timer(part, session, index, run.next_debit_ns)
    return Tick(DONE, session.draft())


@timer("sessions.money_ended")
def money_ended(op: Operation, kind: str, key: str, cgrid: str, index: int, loop_index: int) -> Steps[None]:
    """The granted time after the last debit is over."""
    session: Session | None = yield still_running.at(Owner(kind, key), cgrid, index, loop_index)
    if session is not None:
        yield from ask_to_disconnect(op, session, INSUFFICIENT_CREDIT)


@step("sessions.still_running", reads=True)
def still_running(part: Part, cgrid: str, index: int, loop_index: int) -> Session | None:
    session = part.read(Session, cgrid)
    if session is None or session.passive or session.runs[index].loop_index != loop_index:
        return None
    return session
