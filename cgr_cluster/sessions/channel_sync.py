"""Channel sync: active sessions that no connected client knows of any more are ended (spec 30.12).

Theory of operation. The active sessions are listed first, then the clients are asked for theirs, so that a session that
begins meanwhile is not missed. What is listed and not named by any client is ended, if it is still there.
"""

from __future__ import annotations

import logging
from typing import Any
from zlib import crc32

from cgr_cluster.config import consistency
from cgr_cluster.engine.domain import ALL_CLIENTS, Operation, Part, Steps, ask_client, everywhere, step, task, timer
from cgr_cluster.engine.owner import LEADER
from cgr_cluster.events.values import text_of
from cgr_cluster.rpc.errors import ApiError
from cgr_cluster.sessions.disconnect import FORCED_DISCONNECT, GONE, force_end
from cgr_cluster.sessions.listing import matching_sessions
from cgr_cluster.sessions.reading import computed_cgrid, text_field
from cgr_cluster.sessions.settings import session_settings
from cgr_cluster.sessions.types import Session

logger = logging.getLogger("cgr_cluster.sessions")

TIMER = "sessions.channel_sync"
ACTIVE_IDS = "AgentV1.GetActiveSessionIDs"
OLD_ACTIVE_IDS = {1.0: "SessionSv1.GetActiveSessionIDs", 0.0: "SMGClientV1.GetActiveSessionIDs"}


class Named:
    """What clients have answered. `gone`: connections of sessions whose client is gone, kept where not every client that is
    connected could be heard: one of them may have come back over another connection."""

    def __init__(self) -> None:
        self.cgrids: set[str] = set()
        self.gone: set[str] = set()

    def add(self, answer: Any) -> None:
        """A client's list of `{"OriginHost", "OriginID"}`; anything else names none."""
        for each in answer if isinstance(answer, list) else ():
            if isinstance(each, dict):
                self.cgrids.add(computed_cgrid(text_of(each.get("OriginID")), text_of(each.get("OriginHost"))))

    def has(self, session: Session) -> bool:
        start = session.event_start
        ids = computed_cgrid(text_field(start, "OriginID"), text_field(start, "OriginHost"))
        return session.cgrid in self.cgrids or ids in self.cgrids


def sync(op: Operation) -> Steps[None]:
    """End the sessions that no client names."""
    found: list[list[Session]] = yield everywhere(matching_sessions, op.tenant(""), [], 0)
    sessions = [session for part in found for session in part]
    if not sessions:
        return
    named = yield from _named(op, sessions)
    most_extra = session_settings(op.generation).stale_chan_max_extra_usage_ns
    for session in sessions:
        if named.has(session):
            continue
        if session.connection in named.gone:
            logger.warning(
                "channel sync: session %s stays: its client is gone, and others did not answer", session.cgrid
            )
            continue
        extra = crc32(f"{op.uid}{session.cgrid}".encode()) % most_extra if most_extra else 0
        yield from force_end(op, session, {}, FORCED_DISCONNECT, {}, extra)


def _named(op: Operation, sessions: list[Session]) -> Steps[Named]:
    """Ask all clients at once; where one of them fails, so that the others' answers are lost, those that have sessions
    one by one."""
    settings = session_settings(op.generation)
    method = OLD_ACTIVE_IDS.get(settings.client_protocol, ACTIVE_IDS)
    timeout_ns = settings.channel_sync_timeout_ns
    named = Named()
    try:
        for answer in (yield ask_client(ALL_CLIENTS, method, "", timeout_ns)):
            named.add(answer)
        return named
    except ApiError as error:
        logger.info("channel sync: a client answers %s", error.text)
    for connection in sorted({session.connection for session in sessions if session.connection}):
        try:
            named.add((yield ask_client(connection, method, "", timeout_ns)))
        except ApiError as error:  # `NO_ACTIVE_SESSION`, or a failure that counts as having none
            if error.text == GONE:
                named.gone.add(connection)
    return named


# --- by itself, every `channel_sync_interval` ----------------------------------------------------------------------


@task("sessions.schedule_sync", awaited=True)
def schedule(op: Operation) -> Steps[None]:
    """The configuration of sessions has changed."""
    yield arm.at(LEADER)


@step("sessions.sync_started")
def node_started(part: Part) -> None:
    """The node starts, perhaps with another configuration than before."""
    arm.function(part)


@step("sessions.arm_sync", idempotent=True)
def arm(part: Part) -> None:
    interval_ns = session_settings(part.generation).channel_sync_interval_ns
    if interval_ns > 0:
        part.set_timer(TIMER, part.now_ns + interval_ns, TIMER)
    else:
        part.cancel_timer(TIMER)


@timer(TIMER)
def due(part: Part) -> None:
    arm.function(part)
    part.spawn("sessions.sync")


@task("sessions.sync")
def sync_by_itself(op: Operation) -> Steps[None]:
    yield from sync(op)


def _nothing(*_: Any) -> Any:
    return []


consistency.register(consistency.Rules("sessions", _nothing, _nothing, "sessions.schedule_sync"))
