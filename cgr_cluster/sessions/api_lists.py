"""SessionSv1: lists, forced ends, passive sessions and helpers (spec 30.11-30.15)."""

from __future__ import annotations

import logging
from typing import Any

from cgr_cluster.engine.domain import ALL_CLIENTS, Operation, Part, Steps, ask_client, everywhere, sleep
from cgr_cluster.engine.owner import registry_owner
from cgr_cluster.rpc.errors import ApiError, missing, not_found, partially_executed
from cgr_cluster.rpc.owners import ANY
from cgr_cluster.rpc.registry import method
from cgr_cluster.sessions.channel_sync import sync
from cgr_cluster.sessions.disconnect import ALTER, DISCONNECT_PEER, force_end
from cgr_cluster.sessions.listing import all_ids, count_sessions, home_of, list_sessions, matching_sessions
from cgr_cluster.sessions.params import (
    Duration,
    PassiveSession,
    Peer,
    Replication,
    SessionFilter,
    SessionFilterWithEvent,
    SessionIDs,
    TenantParams,
)
from cgr_cluster.sessions.passive import home_of_passive, make_passive, remove_passive, set_passive, switch
from cgr_cluster.sessions.registry import claim_for, where
from cgr_cluster.sessions.settings import session_settings
from cgr_cluster.sessions.types import Claim, Session

logger = logging.getLogger("cgr_cluster.sessions")


def _limit(params: SessionFilter | SessionFilterWithEvent) -> int:
    """How many at most; 0, also for a Limit below it: all."""
    return max(params.Limit or 0, 0)


def _list(op: Operation, params: SessionFilter, passive: bool) -> Steps[list[dict[str, Any]]]:
    limit = _limit(params)
    found: list[list[dict[str, Any]]] = yield everywhere(
        list_sessions, op.tenant(params.Tenant), params.Filters, passive, limit
    )
    entries = [entry for part in found for entry in part]
    if not entries:
        raise not_found()
    return entries[:limit] if limit else entries


def _count(op: Operation, params: SessionFilter, passive: bool) -> Steps[int]:
    found: list[int] = yield everywhere(count_sessions, op.tenant(params.Tenant), params.Filters, passive)
    return sum(found)


@method("SessionSv1.GetActiveSessions", owner=ANY)
def get_active_sessions(op: Operation, params: SessionFilter) -> Steps[list[dict[str, Any]]]:
    return (yield from _list(op, params, False))


@method("SessionSv1.GetActiveSessionsCount", owner=ANY)
def get_active_sessions_count(op: Operation, params: SessionFilter) -> Steps[int]:
    return (yield from _count(op, params, False))


@method("SessionSv1.GetPassiveSessions", owner=ANY)
def get_passive_sessions(op: Operation, params: SessionFilter) -> Steps[list[dict[str, Any]]]:
    return (yield from _list(op, params, True))


@method("SessionSv1.GetPassiveSessionsCount", owner=ANY)
def get_passive_sessions_count(op: Operation, params: SessionFilter) -> Steps[int]:
    return (yield from _count(op, params, True))


# --- forced ends and clients -------------------------------------------------------------------------------------


def _matching(op: Operation, params: SessionFilterWithEvent) -> Steps[list[Session]]:
    limit = _limit(params)
    found: list[list[Session]] = yield everywhere(matching_sessions, op.tenant(params.Tenant), params.Filters, limit)
    sessions = [session for part in found for session in part]
    if not sessions:
        raise not_found()
    return sessions[:limit] if limit else sessions


@method("SessionSv1.ForceDisconnect", owner=ANY, changes=True, when_full=True, deadline_s=None)
def force_disconnect(op: Operation, params: SessionFilterWithEvent) -> Steps[str]:
    sessions = yield from _matching(op, params)
    whole = True
    for session in sessions:
        whole = (yield from force_end(op, session, params.Event, "", params.APIOpts)) and whole
    return "OK" if whole else "PARTIALLY_EXECUTED"


@method("SessionSv1.AlterSessions", owner=ANY, changes=True, deadline_s=None)
def alter_sessions(op: Operation, params: SessionFilterWithEvent) -> Steps[str]:
    sessions = yield from _matching(op, params)
    whole = True
    for session in sessions:
        event = {**session.event_start, **params.Event}
        told = {"Tenant": "", "ID": op.new_uuid(), "Time": None, "Event": event, "APIOpts": params.APIOpts}
        whole = (yield from _client_does(op, session.connection, ALTER, told)) and whole
    if not whole:
        raise partially_executed()
    return "OK"


def _client_does(op: Operation, connection: str, method_name: str, params: Any) -> Steps[bool]:
    """Whether the client of a connection is there and does what it is asked."""
    if not connection:
        return False
    try:
        yield ask_client(connection, method_name, params, session_settings(op.generation).reply_timeout_ns)
    except ApiError as error:
        logger.warning("%s at client %s: %s", method_name, connection, error.text)
        return False
    return True


@method("SessionSv1.DisconnectPeer", owner=ANY, changes=True)
def disconnect_peer(op: Operation, params: Peer) -> Steps[str]:
    told = {
        "OriginHost": params.OriginHost,
        "OriginRealm": params.OriginRealm,
        "RemoteAddr": params.RemoteAddr,
        "DisconnectCause": params.DisconnectCause,
    }
    if not (yield from _client_does(op, ALL_CLIENTS, DISCONNECT_PEER, told)):
        raise partially_executed()
    return "OK"


@method("SessionSv1.SyncSessions", owner=ANY, changes=True, when_full=True, deadline_s=None)
def sync_sessions(op: Operation, params: TenantParams) -> Steps[str]:
    yield from sync(op)
    return "OK"


# --- passive sessions --------------------------------------------------------------------------------------------


@method("SessionSv1.SetPassiveSession", owner=ANY, changes=True)
def set_passive_session(op: Operation, params: PassiveSession) -> Steps[str]:
    if not params.CGRID:
        raise missing(["CGRID"])
    claim: Claim | None = yield where.at(registry_owner(params.CGRID), params.CGRID)
    if params.EventStart is None:
        removed: bool = False if claim is None else (yield remove_passive.at(claim.home, params.CGRID))
        if not removed:
            raise not_found()
        return "OK"
    session = make_passive(op, params)
    home = claim.home if claim is not None else home_of_passive(session)
    session.home_kind, session.home_key = home.kind, home.key
    session.claim = (yield from claim_for(session.cgrid, home)).number
    yield set_passive.at(home, session)
    return "OK"


def _switch(op: Operation, params: SessionIDs, passive: bool) -> Steps[str]:
    """Make the named sessions (none: all) passive or active."""
    found: list[list[tuple[str, str, str]]] = yield everywhere(all_ids, not passive)
    homes = {session[0]: home_of(session) for part in found for session in part}
    wanted = params.IDs or list(homes)
    whole = True
    for cgrid in wanted:
        if cgrid in homes:
            whole = (yield switch.at(homes[cgrid], cgrid, passive)) and whole
        else:
            whole = False
    if not whole:
        raise partially_executed()
    return "OK"


@method("SessionSv1.ActivateSessions", owner=ANY, changes=True)
def activate_sessions(op: Operation, params: SessionIDs) -> Steps[str]:
    return (yield from _switch(op, params, False))


@method("SessionSv1.DeactivateSessions", owner=ANY, changes=True)
def deactivate_sessions(op: Operation, params: SessionIDs) -> Steps[str]:
    return (yield from _switch(op, params, True))


@method("SessionSv1.ReplicateSessions", owner=ANY)
def replicate_sessions(part: Part, params: Replication) -> str:
    """Sessions are kept by the cluster's own log; there is no peer to send them to (30.14)."""
    return "OK"


@method("SessionSv1.BackupActiveSessions", owner=ANY)
def backup_active_sessions(op: Operation, params: str) -> Steps[int]:
    """All sessions are in the log already: answers how many there are."""
    found: list[list[tuple[str, str, str]]] = yield everywhere(all_ids, False)
    return sum(len(part) for part in found)


# --- helpers -----------------------------------------------------------------------------------------------------


@method("SessionSv1.Sleep", owner=ANY, deadline_s=None)
def sleep_for(op: Operation, params: Duration) -> Steps[str]:
    yield sleep(params.Duration)
    return "OK"


@method("SessionSv1.CapsError", owner=ANY)
def caps_error(part: Part, params: Any) -> str:
    raise ApiError("max concurrent rpc exceeded")


@method("SessionSv1.RegisterInternalBiJSONConn", owner=ANY)
def register_internal_connection(part: Part, params: str) -> str:
    return "OK"
