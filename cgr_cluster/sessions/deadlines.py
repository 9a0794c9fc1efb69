"""The deadlines that a session has set: TTL, debit loops (spec 30.12), and their stop and restart (30.14). What happens at
a deadline is in `timers.py`."""

from __future__ import annotations

from typing import Any

import msgspec

from cgr_cluster.engine.domain import Part
from cgr_cluster.sessions.reading import time_to_live
from cgr_cluster.sessions.settings import session_settings
from cgr_cluster.sessions.types import Session, TimeToLive


def restart_ttl(part: Part, session: Session, opts: dict[str, Any], uid: str) -> None:
    limit = time_to_live(opts, session.opts_start, session_settings(part.generation), part.now_ns, uid)
    if limit is not None:
        session.time_to_live = limit
        set_ttl_timer(part, session, limit)


def set_ttl_timer(part: Part, session: Session, limit: TimeToLive) -> None:
    part.set_timer(
        f"ttl/{session.cgrid}",
        limit.deadline_ns,
        "sessions.expire",
        session.home_kind,
        session.home_key,
        session.cgrid,
        limit.deadline_ns,
    )


def start_debit_loops(part: Part, session: Session) -> None:
    """The first debit of each loop is made at once (30.12); after a take-over the time set before is kept."""
    for index, run in enumerate(session.runs):
        if run.debits:
            run.next_debit_ns = max(run.next_debit_ns, part.now_ns)
            set_debit_timer(part, session, index, run.next_debit_ns)


def set_debit_timer(part: Part, session: Session, index: int, due_ns: int) -> None:
    part.set_timer(
        f"debit/{session.cgrid}/{index}",
        due_ns,
        "sessions.debit",
        session.home_kind,
        session.home_key,
        session.cgrid,
        index,
        due_ns,
    )


def stop_timers(part: Part, session: Session) -> None:
    if session.time_to_live is not None:
        part.cancel_timer(f"ttl/{session.cgrid}")
    if session.debit_interval_ns > 0:
        for index, run in enumerate(session.runs):
            if run.debits:
                part.cancel_timer(f"debit/{session.cgrid}/{index}")


def activate(part: Part, session: Session) -> None:
    """A passive session becomes active: its debit loops and its TTL start again (30.14, 30.16)."""
    session.passive = False
    if session.debits_by_itself:
        start_debit_loops(part, session)
    limit = session.time_to_live
    if limit is not None:
        session.time_to_live = msgspec.structs.replace(limit, deadline_ns=part.now_ns + limit.ttl_ns)
        set_ttl_timer(part, session, session.time_to_live)


def deactivate(part: Part, session: Session) -> None:
    """An active session becomes passive: no timers (30.14)."""
    stop_timers(part, session)
    session.passive = True
