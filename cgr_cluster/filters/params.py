"""Parameters that methods on profiles of all kinds share, and how intervals are read and shown."""

from __future__ import annotations

from typing import Any

import msgspec

from cgr_cluster.events.event import CGREvent
from cgr_cluster.events.instant import ZERO, Instant
from cgr_cluster.events.times import format_instant
from cgr_cluster.filters.types import ActivationInterval
from cgr_cluster.rpc.errors import missing
from cgr_cluster.rpc.registry import Params


class Interval(msgspec.Struct, gc=False):
    """An activation interval as the API spells it."""

    ActivationTime: Instant | None = None
    ExpiryTime: Instant | None = None


class TenantID(Params, go="utils.TenantID"):
    Tenant: str = ""
    ID: str = ""


class TenantIDWithOpts(Params, go="utils.TenantIDWithAPIOpts"):
    Tenant: str = ""
    ID: str = ""
    APIOpts: dict[str, Any] | None = None


class TenantWithOpts(Params, go="utils.TenantWithAPIOpts"):
    Tenant: str = ""
    APIOpts: dict[str, Any] | None = None


class Paginator(Params, go="utils.PaginatorWithTenant"):
    Tenant: str = ""
    Limit: int | None = None
    Offset: int | None = None
    Search: str = ""


class EventParams(Params, go="utils.CGREvent"):
    Tenant: str = ""
    ID: str = ""
    Time: Instant | None = None
    Event: dict[str, Any] | None = None
    APIOpts: dict[str, Any] | None = None


def event_of(params: EventParams, tenant: str, *, needs_id: bool = False) -> CGREvent:
    """The event that a call carries, for `tenant`. Raises `MANDATORY_IE_MISSING: [ID]`, where the service needs one, then
    `[Event]`; an empty event is one (50 §2.1)."""
    if needs_id and not params.ID:
        raise missing(["ID"])
    if params.Event is None:
        raise missing(["Event"])
    return CGREvent(tenant, params.ID, params.Time, params.Event, params.APIOpts or {})


def event_as_given(params: EventParams, tenant: str) -> CGREvent:
    """The event that a call carries, for `tenant`, for services that say themselves what it lacks: none is an empty one."""
    return CGREvent(tenant, params.ID, params.Time, params.Event or {}, params.APIOpts or {})


def read_interval(given: Interval | None) -> ActivationInterval | None:
    return None if given is None else ActivationInterval(given.ActivationTime or ZERO, given.ExpiryTime or ZERO)


def interval_json(interval: ActivationInterval | None) -> dict[str, str] | None:
    if interval is None:
        return None
    return {
        "ActivationTime": format_instant(interval.activation_time),
        "ExpiryTime": format_instant(interval.expiry_time),
    }


def list_json(texts: tuple[str, ...]) -> list[str] | None:
    """A list of a profile; an empty one is null."""
    return list(texts) or None
