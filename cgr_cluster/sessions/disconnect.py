"""Forced ends, and what clients of two-way connections are told (spec 30.11-30.13)."""

from __future__ import annotations

import logging
from typing import Any

from cgr_cluster.engine.domain import Operation, Part, Steps, ask_client, sleep, step
from cgr_cluster.rpc.errors import ApiError
from cgr_cluster.sessions.handover import leave_costs, post_cdrs
from cgr_cluster.sessions.life import charge_away, patiently
from cgr_cluster.sessions.parts import free_address, free_resources
from cgr_cluster.sessions.settings import session_settings
from cgr_cluster.sessions.steps import ABSENT, AWAY, EndRequest, Reply, end, ending
from cgr_cluster.sessions.types import Session

logger = logging.getLogger("cgr_cluster.sessions")

MS = 1_000_000
FORCED_DISCONNECT = "FORCED_DISCONNECT"
GONE = "DISCONNECTED"  # the error of a call to a client that is not connected any more
DISCONNECT, WARN, ALTER = "AgentV1.DisconnectSession", "AgentV1.WarnDisconnect", "AgentV1.AlterSession"
DISCONNECT_PEER = "AgentV1.DisconnectPeer"
OLD_DISCONNECT = {1.0: "SessionSv1.DisconnectSession", 0.0: "SMGClientV1.DisconnectSession"}


@step("sessions.tell_client")
def tell_client(part: Part, connection: str, method: str, params: Any) -> None:
    """Call a client on its two-way connection, after the commit; a forced end does not wait for the answer."""
    part.tell(connection, method, params)


def _disconnect_call(
    op: Operation, session: Session, extra: dict[str, Any], cause: str, opts: dict[str, Any]
) -> tuple[str, Any]:
    """Method and parameter that disconnect a session at its client. `extra` is merged over EventStart; an empty `cause` is
    not sent."""
    leading = session.leading_run
    event = {**session.event_start, "Usage": 0 if leading is None else leading.total_ns, **extra}
    if cause:
        event["DisconnectCause"] = cause
    old = OLD_DISCONNECT.get(session_settings(op.generation).client_protocol)
    if old is not None:
        return old, {"EventStart": event, "Reason": cause}
    return DISCONNECT, {"Tenant": "", "ID": op.new_uuid(), "Time": None, "Event": event, "APIOpts": opts}


def tell_disconnect(
    op: Operation, session: Session, extra: dict[str, Any], cause: str, opts: dict[str, Any]
) -> Steps[None]:
    """Tell the session's client that it has ended."""
    if session.connection:
        method, params = _disconnect_call(op, session, extra, cause, opts)
        yield tell_client.at(session.home, session.connection, method, params)


def warn_low_balance(op: Operation, session: Session) -> Steps[None]:
    if session.connection:
        yield tell_client.at(session.home, session.connection, WARN, session.event_start)


def ask_to_disconnect(op: Operation, session: Session, cause: str) -> Steps[None]:
    """Money has ended, or a debit was refused: the client is asked to end the session, which stays until it does. When it
    refuses each time, and without a client, the session is ended here (30.12)."""
    if session.connection and (yield from _agrees_to_disconnect(op, session, cause)):
        return
    yield from force_end(op, session, {}, FORCED_DISCONNECT, {})


def _agrees_to_disconnect(op: Operation, session: Session, cause: str) -> Steps[bool]:
    settings = session_settings(op.generation)
    method, params = _disconnect_call(op, session, {}, cause, {})
    pause, following = MS, MS
    for attempt in range(settings.terminate_attempts):
        if attempt:
            yield sleep(pause)
            pause, following = following, pause + following
        try:
            yield ask_client(session.connection, method, params, settings.reply_timeout_ns)
            return True
        except ApiError as error:
            logger.warning("client of session %s, asked to disconnect it: %s", session.cgrid, error.text)
            if error.text == GONE:
                return False
    return False


def force_end(
    op: Operation, session: Session, extra: dict[str, Any], cause: str, opts: dict[str, Any], extra_usage_ns: int = 0
) -> Steps[bool]:
    """End an active session as it is, post its CDRs, tell its client. Answers whether all of it worked; true when it has
    ended by itself meanwhile."""
    request = EndRequest(session.cgrid, "", {}, op.uid, alter=False, extra_usage_ns=extra_usage_ns)
    home = session.home
    reply: Reply = yield from patiently(end.at(home, request))
    if reply.kind == ABSENT or reply.session is None:
        return True
    if reply.kind == AWAY:
        reply = yield from charge_away(op, reply.session, lambda s: ending(s, request), ended=True)
    assert reply.session is not None
    return (yield from finish_forced(op, reply.session, extra, cause, opts))


def finish_forced(
    op: Operation, ended: Session, extra: dict[str, Any], cause: str, opts: dict[str, Any]
) -> Steps[bool]:
    """What follows a forced end: CDRs for every run, its resources and its address are free, the client is told."""
    yield from leave_costs(op, ended)
    failures = []
    if session_settings(op.generation).cdrs_connected:
        failures = yield from post_cdrs(op, ended)
    yield from free_resources(op, ended)
    yield from free_address(op, ended)
    yield from tell_disconnect(op, ended, extra, cause, opts)
    return not failures
