"""Sessions that have ended: kept 10 s for their CDRs, restarted by every use (spec 30.4.3, 30.8).

Theory of operation. A closed session is logged once, when it ends; a use logs only until when it is kept. There is no timer for
each: a shard sweeps its closed sessions together, at most once a second, and their claims are given back by one task a sweep.
So one may be swept a little late; it is not found any more from its time on. The sweep belongs to the shard, not to an
owner: where closed sessions arrive with an owner that has moved, one is begun.
"""

from __future__ import annotations

from itertools import islice

import msgspec

from cgr_cluster.engine.domain import Operation, Part, Steps, step, stored, task, timer, together
from cgr_cluster.engine.owner import Owner, registry_owner
from cgr_cluster.engine.placement import arrival, belongs
from cgr_cluster.sessions.registry import Claimed, refuse_claim, release
from cgr_cluster.sessions.types import Session

KEPT_NS = 10 * 10**9
SWEEP_NS = 10**9  # the least time between two sweeps of a shard
SWEPT_AT_ONCE = 200  # of a shard in one turn, which is to be short; the others in the next
SWEEP = "closed"  # the timer of a shard's next sweep


@belongs(lambda _, closed: f"{closed.session.home_kind}:{closed.session.home_key}")
@stored("closed_session")
class ClosedSession(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A session that has ended; the key is its CGRID. Kept until `expires_ns`, or what a later use says."""

    session: Session
    expires_ns: int

    def draft(self) -> ClosedSession:
        return self


@belongs(lambda _, use: use.owner)
@stored("closed_use")
class ClosedUse(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A closed session (the key is its CGRID) was used, and is kept until `expires_ns`. `owner`: `kind:key` of its home.
    There is none without its closed session."""

    expires_ns: int
    owner: str

    def draft(self) -> ClosedUse:
        return self


def keep_closed(part: Part, session: Session) -> None:
    expires_ns = part.now_ns + KEPT_NS
    before = part.read(ClosedSession, session.cgrid)
    if before is not None:
        session.claim = max(session.claim, before.session.claim)  # the newest is to be given back
        _forget_use(part, session.cgrid)
    part.put(ClosedSession, session.cgrid, ClosedSession(session, expires_ns))
    _see_to_sweep(part, expires_ns)


def find_closed(part: Part, cgrid: str) -> Session | None:
    """The closed session of a CGRID, which is not to be changed."""
    closed = part.read(ClosedSession, cgrid)
    return None if closed is None or _expires_ns(part, cgrid, closed) <= part.now_ns else closed.session


def use_closed(part: Part, session: Session) -> None:
    """Keep it for another while."""
    owner = f"{session.home_kind}:{session.home_key}"
    part.put(ClosedUse, session.cgrid, ClosedUse(part.now_ns + KEPT_NS, owner))


def _expires_ns(part: Part, cgrid: str, closed: ClosedSession) -> int:
    use = part.read(ClosedUse, cgrid)
    return closed.expires_ns if use is None else use.expires_ns


def _forget_use(part: Part, cgrid: str) -> None:
    if part.read(ClosedUse, cgrid) is not None:
        part.delete(ClosedUse, cgrid)


# --- sweeping ------------------------------------------------------------------------------------------------------


@arrival("closed_session")
def arrived(part: Part, cgrid: str, closed: ClosedSession) -> None:
    _see_to_sweep(part, closed.expires_ns)


def _see_to_sweep(part: Part, at_ns: int) -> None:
    if not part.has_timer(SWEEP):
        _sweep_at(part, at_ns, 0, 0)


def _sweep_at(part: Part, at_ns: int, kept: int, next_ns: int) -> None:
    part.set_shard_timer(SWEEP, at_ns, "sessions.sweep_closed", kept, next_ns)


@timer("sessions.sweep_closed")
def sweep_closed(part: Part, kept: int, next_ns: int) -> None:
    """Forget the closed sessions whose time is over, and give their claims back. The sweep has kept the first `kept` so far,
    of which the first expires at `next_ns` (0: none)."""
    now_ns = part.now_ns
    claims: list[tuple[str, int]] = []
    looked = 0
    for cgrid, closed in islice(part.all(ClosedSession), kept, kept + SWEPT_AT_ONCE):
        looked += 1
        expires_ns = _expires_ns(part, cgrid, closed)
        if expires_ns > now_ns:
            kept += 1
            next_ns = min(next_ns or expires_ns, expires_ns)
            continue
        part.delete(ClosedSession, cgrid)
        _forget_use(part, cgrid)
        if closed.session.claim:
            claims.append((cgrid, closed.session.claim))
    if claims:
        part.spawn("sessions.release_claims", claims)
    if looked == SWEPT_AT_ONCE:
        _sweep_at(part, now_ns + 1, kept, next_ns)
    elif kept:
        _sweep_at(part, max(next_ns, now_ns + SWEEP_NS), 0, 0)


@task("sessions.release_claims")
def release_claims(op: Operation, claims: list[tuple[str, int]]) -> Steps[None]:
    yield together([release.at(registry_owner(cgrid), cgrid, number) for cgrid, number in claims])


# --- claims by which nothing was made ----------------------------------------------------------------------------------


@step("sessions.leave_claim")
def leave_claim(part: Part, cgrid: str, number: int) -> bool:
    """At a home: nothing has been made by the claim `number`. What else is here of the CGRID has it from now on, and gives it
    back in the end; with nothing here it is free to go, and no request that is still on its way makes a session by it."""
    session = part.edit(Session, cgrid)
    if session is not None:
        session.claim = max(session.claim, number)
        return False
    closed = part.read(ClosedSession, cgrid)
    if closed is not None:
        kept = closed.session.draft()
        kept.claim = max(kept.claim, number)
        part.put(ClosedSession, cgrid, ClosedSession(kept, closed.expires_ns))
        return False
    refuse_claim(part, cgrid, number)
    return True


def give_up_claim(cgrid: str, home: Owner, claimed: Claimed) -> Steps[None]:
    """A request has made nothing by its claim."""
    if not claimed.number:
        return
    if claimed.renewed and not (yield leave_claim.at(home, cgrid, claimed.number)):
        return
    yield release.at(registry_owner(cgrid), cgrid, claimed.number)


# --- what logs from before there were sweeps may hold: a timer for each closed session, a task for each claim ------


@timer("sessions.forget_closed")
def forget_closed(part: Part, cgrid: str, expires_ns: int) -> None:
    _see_to_sweep(part, part.now_ns + SWEEP_NS)


@task("sessions.release_claim")
def release_claim(op: Operation, cgrid: str, number: int) -> Steps[None]:
    yield release.at(registry_owner(cgrid), cgrid, number)
