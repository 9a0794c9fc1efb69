"""Parameters of SessionSv1 (spec params.txt), and the event that they carry."""

from __future__ import annotations

from typing import Any

import msgspec

from cgr_cluster.engine.domain import Operation, Part
from cgr_cluster.events.event import CGREvent
from cgr_cluster.events.instant import Instant
from cgr_cluster.rpc.errors import missing
from cgr_cluster.rpc.registry import Params


class AuthorizeArgs(Params, go="sessions.V1AuthorizeArgs"):
    GetAttributes: bool = False
    AuthorizeIP: bool = False
    AuthorizeResources: bool = False
    GetMaxUsage: bool = False
    ForceDuration: bool = False
    ProcessThresholds: bool = False
    ProcessStats: bool = False
    GetRoutes: bool = False
    RoutesMaxCost: str = ""
    RoutesIgnoreErrors: bool = False
    AttributeIDs: list[str] = []
    ThresholdIDs: list[str] = []
    StatIDs: list[str] = []
    Tenant: str | None = None
    ID: str | None = None
    Time: Instant | None = None
    Event: dict[str, Any] | None = None
    APIOpts: dict[str, Any] | None = None
    Limit: int | None = None
    Offset: int | None = None


class InitArgs(Params, go="sessions.V1InitSessionArgs"):
    GetAttributes: bool = False
    AllocateIP: bool = False
    AllocateResources: bool = False
    InitSession: bool = False
    ForceDuration: bool = False
    ProcessThresholds: bool = False
    ProcessStats: bool = False
    AttributeIDs: list[str] = []
    ThresholdIDs: list[str] = []
    StatIDs: list[str] = []
    Tenant: str | None = None
    ID: str | None = None
    Time: Instant | None = None
    Event: dict[str, Any] | None = None
    APIOpts: dict[str, Any] | None = None


class UpdateArgs(Params, go="sessions.V1UpdateSessionArgs"):
    GetAttributes: bool = False
    UpdateSession: bool = False
    ForceDuration: bool = False
    ProcessThresholds: bool = False
    ProcessStats: bool = False
    AttributeIDs: list[str] = []
    ThresholdIDs: list[str] = []
    StatIDs: list[str] = []
    Tenant: str | None = None
    ID: str | None = None
    Time: Instant | None = None
    Event: dict[str, Any] | None = None
    APIOpts: dict[str, Any] | None = None


class TerminateArgs(Params, go="sessions.V1TerminateSessionArgs"):
    TerminateSession: bool = False
    ForceDuration: bool = False
    ReleaseIP: bool = False
    ReleaseResources: bool = False
    ProcessThresholds: bool = False
    ProcessStats: bool = False
    ThresholdIDs: list[str] = []
    StatIDs: list[str] = []
    Tenant: str | None = None
    ID: str | None = None
    Time: Instant | None = None
    Event: dict[str, Any] | None = None
    APIOpts: dict[str, Any] | None = None


class MessageArgs(Params, go="sessions.V1ProcessMessageArgs"):
    GetAttributes: bool = False
    AllocateIP: bool = False
    AllocateResources: bool = False
    Debit: bool = False
    ForceDuration: bool = False
    ProcessThresholds: bool = False
    ProcessStats: bool = False
    GetRoutes: bool = False
    RoutesMaxCost: str = ""
    RoutesIgnoreErrors: bool = False
    AttributeIDs: list[str] = []
    ThresholdIDs: list[str] = []
    StatIDs: list[str] = []
    Tenant: str | None = None
    ID: str | None = None
    Time: Instant | None = None
    Event: dict[str, Any] | None = None
    APIOpts: dict[str, Any] | None = None
    Limit: int | None = None
    Offset: int | None = None


class EventArgs(Params, go="sessions.V1ProcessEventArgs"):
    Flags: list[str] = []
    Tenant: str | None = None
    ID: str | None = None
    Time: Instant | None = None
    Event: dict[str, Any] | None = None
    APIOpts: dict[str, Any] | None = None
    Limit: int | None = None
    Offset: int | None = None


class EventParams(Params, go="utils.CGREvent"):
    Tenant: str | None = None
    ID: str | None = None
    Time: Instant | None = None
    Event: dict[str, Any] | None = None
    APIOpts: dict[str, Any] | None = None


class SessionFilter(Params, go="utils.SessionFilter"):
    Limit: int | None = None
    Filters: list[str] = []
    Tenant: str = ""
    APIOpts: dict[str, Any] = {}


class SessionFilterWithEvent(Params, go="utils.SessionFilterWithEvent"):
    Limit: int | None = None
    Filters: list[str] = []
    Tenant: str = ""
    APIOpts: dict[str, Any] = {}
    Event: dict[str, Any] = {}


class SessionIDs(Params, go="utils.SessionIDsWithArgsDispatcher"):
    IDs: list[str] = []
    Tenant: str = ""


class Replication(Params, go="dispatchers.ArgsReplicateSessionsWithAPIOpts"):
    Tenant: str = ""
    CGRID: str = ""
    Passive: bool = False
    ConnIDs: list[str] = []


class Peer(Params, go="utils.DPRArgs"):
    OriginHost: str = ""
    OriginRealm: str = ""
    RemoteAddr: str = ""
    DisconnectCause: int = 0


class Duration(Params, go="utils.DurationArgs"):
    Duration: int = 0


class TenantParams(Params, go="utils.TenantWithAPIOpts"):
    Tenant: str = ""


WithEvent = AuthorizeArgs | InitArgs | UpdateArgs | TerminateArgs | MessageArgs | EventArgs | EventParams


def event_of(op: Operation | Part, params: WithEvent) -> CGREvent:
    """The event of a request with its defaults; a copy that may be written to. Raises `MANDATORY_IE_MISSING`: `CGREvent`
    when none of its members is there, else `Event`."""
    event = params.Event
    if event is None:
        given = (params.Tenant, params.ID, params.Time, params.APIOpts)
        raise missing(["CGREvent"] if all(member is None for member in given) else ["Event"])
    return CGREvent(
        op.tenant(params.Tenant or ""), params.ID or op.new_uuid(), params.Time, dict(event), params.APIOpts or {}
    )


class CallDescriptorParams(msgspec.Struct, gc=False):
    """The descriptor of a replicated run, as the API spells it."""

    Category: str = ""
    Tenant: str = ""
    Subject: str = ""
    Account: str = ""
    Destination: str = ""
    TimeStart: Instant | None = None
    TimeEnd: Instant | None = None
    LoopIndex: float = 0
    DurationIndex: int = 0
    MaxCostSoFar: float = 0
    ForceDuration: bool = False
    ToR: str = ""
    RunID: str = ""
    ExtraFields: dict[str, str] = {}


class RunParams(msgspec.Struct, gc=False):
    Event: dict[str, Any] = {}
    CD: CallDescriptorParams | None = None
    EventCost: Any = None
    ExtraDuration: int = 0
    LastUsage: int = 0
    TotalUsage: int = 0
    NextAutoDebit: Instant | None = None


class PassiveSession(Params, go="sessions.Session"):
    CGRID: str = ""
    Tenant: str = ""
    ResourceID: str = ""
    ClientConnID: str = ""
    EventStart: dict[str, Any] | None = None
    DebitInterval: int = 0
    Chargeable: bool | None = None
    SRuns: list[RunParams] = []
    OptsStart: dict[str, Any] = {}
