"""SMGenericV1: sessions by the bare event, in seconds, as older switches ask (spec 30.5.7)."""

from __future__ import annotations

from typing import Any

from cgr_cluster.engine.domain import Operation, Steps
from cgr_cluster.events.event import CGREvent
from cgr_cluster.rating.answers import number
from cgr_cluster.rpc.owners import RECORD
from cgr_cluster.rpc.registry import method, service
from cgr_cluster.sessions.api_life import (
    continue_session,
    end_of_session,
    max_usages,
    process_cdr_of,
    start_session,
)
from cgr_cluster.sessions.charging import smallest
from cgr_cluster.sessions.params import EventParams, event_of
from cgr_cluster.sessions.reading import text_field

service("SMGenericV1")

SECOND_NS = 1_000_000_000


def _event(op: Operation, fields: Any) -> CGREvent:
    """The event itself is the parameter."""
    tenant = text_field(fields, "Tenant")
    return event_of(op, EventParams(Tenant=tenant, Event=fields))


def _seconds(granted: list[tuple[str, int]]) -> int | float:
    """The least of what the runs may use; -1: any usage."""
    least = smallest([grant for _, grant in granted])
    return -1 if least == -1 else number(least / SECOND_NS)


@method("SMGenericV1.GetMaxUsage", owner=RECORD, changes=True, when_full=True)
def get_max_usage(op: Operation, params: Any) -> Steps[int | float]:
    return _seconds((yield from max_usages(op, _event(op, params))))


@method("SMGenericV1.InitiateSession", owner=RECORD, changes=True)
def initiate_session(op: Operation, params: Any) -> Steps[int | float]:
    return _seconds((yield from start_session(op, _event(op, params), False)))


@method("SMGenericV1.UpdateSession", owner=RECORD, changes=True)
def update_session(op: Operation, params: Any) -> Steps[int | float]:
    return _seconds((yield from continue_session(op, _event(op, params), False)))


@method("SMGenericV1.TerminateSession", owner=RECORD, changes=True, when_full=True)
def terminate_session(op: Operation, params: Any) -> Steps[str]:
    yield from end_of_session(op, _event(op, params), False)
    return "OK"


@method("SMGenericV1.ProcessCDR", owner=RECORD, changes=True, when_full=True)
def process_cdr(op: Operation, params: Any) -> Steps[str]:
    event = _event(op, params)
    event.event.setdefault("Source", "*sessions")
    yield from process_cdr_of(op, event, ["*rals"])
    return "OK"
