"""Methods that process events and records, and keep session costs (spec 40 §3.1, §3.6)."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from cgr_cluster.accounts.steps import refund_rounding
from cgr_cluster.caches.responses import once
from cgr_cluster.cdrs.conversion import (
    defaults_of,
    event_json,
    event_of_cdr,
    fill_defaults,
    read_cost_details,
)
from cgr_cluster.cdrs.pipeline import Processed, process_events
from cgr_cluster.cdrs.session_costs import store_session_cost
from cgr_cluster.cdrs.stages import Stages, configured, stages_of
from cgr_cluster.cdrs.types import CDR, SessionCost
from cgr_cluster.engine.domain import Operation, Steps
from cgr_cluster.engine.owner import Owner, registry_owner
from cgr_cluster.events.amounts import nano_of
from cgr_cluster.events.durations import parse_duration
from cgr_cluster.events.event import CGREvent
from cgr_cluster.events.instant import ZERO, Instant
from cgr_cluster.events.times import parse_time
from cgr_cluster.rating.event_cost_pieces import add_rounding
from cgr_cluster.rating.types import CallDescriptor
from cgr_cluster.rpc.errors import ApiError, missing, partially_executed
from cgr_cluster.rpc.owners import event, record
from cgr_cluster.rpc.registry import Params, method

OK = "OK"


# --- processing ---------------------------------------------------------------------------------------------------


class ArgV1ProcessEvent(Params, go="engine.ArgV1ProcessEvent"):
    Flags: list[str] | None = None
    Tenant: str = ""
    ID: str = ""
    Time: Instant | None = None
    Event: dict[str, Any] | None = None
    APIOpts: dict[str, Any] | None = None


def _process_event(op: Operation, params: ArgV1ProcessEvent) -> Steps[list[Processed]]:
    stages = stages_of(configured(op.generation), params.Flags, params.APIOpts)
    if params.Event is None:
        raise partially_executed()
    cgr_event = CGREvent(
        op.tenant(params.Tenant), params.ID or op.new_uuid(), params.Time, params.Event, params.APIOpts or {}
    )
    return (yield from process_events(op, [cgr_event], stages))


@method("CDRsV1.ProcessEvent", owner=event(), changes=True)
def process_event(op: Operation, params: ArgV1ProcessEvent) -> Steps[str]:
    return (yield from once(op, "CDRsV1.ProcessEvent", (op.tenant(params.Tenant), params.ID), _processed(op, params)))


def _processed(op: Operation, params: ArgV1ProcessEvent) -> Steps[str]:
    yield from _process_event(op, params)
    return OK


@method("CDRsV2.ProcessEvent", owner=event(), changes=True)
def process_event_v2(op: Operation, params: ArgV1ProcessEvent) -> Steps[list[dict[str, Any]]]:
    return (
        yield from once(op, "CDRsV2.ProcessEvent", (op.tenant(params.Tenant), params.ID), _processed_v2(op, params))
    )


def _processed_v2(op: Operation, params: ArgV1ProcessEvent) -> Steps[list[dict[str, Any]]]:
    runs = yield from _process_event(op, params)
    return [{"Flags": run.flags, "Event": event_json(run.final().event)} for run in runs]


class EventOfBatch(Params, go="utils.CGREvent"):
    Tenant: str = ""
    ID: str = ""
    Event: dict[str, Any] | None = None
    APIOpts: dict[str, Any] | None = None


class ArgV1ProcessEvents(Params, go="engine.ArgV1ProcessEvents"):
    Flags: list[str] | None = None
    CGREvents: list[EventOfBatch] | None = None
    APIOpts: dict[str, Any] | None = None


@method("CDRsV1.ProcessEvents", changes=True)
def process_several(op: Operation, params: ArgV1ProcessEvents) -> Steps[str]:
    stages = stages_of(configured(op.generation), params.Flags, params.APIOpts)
    events = []
    for given in params.CGREvents or ():
        if given.Event is None:
            raise partially_executed()
        events.append(
            CGREvent(op.tenant(given.Tenant), given.ID or op.new_uuid(), None, given.Event, given.APIOpts or {})
        )
    yield from process_events(op, events, stages)
    return OK


class CDRWithAPIOpts(Params, go="engine.CDRWithAPIOpts"):
    CGRID: str = ""
    RunID: str = ""
    OrderID: int = 0
    OriginHost: str = ""
    Source: str = ""
    OriginID: str = ""
    ToR: str = ""
    RequestType: str = ""
    Tenant: str = ""
    Category: str = ""
    Account: str = ""
    Subject: str = ""
    Destination: str = ""
    SetupTime: Instant = ZERO
    AnswerTime: Instant = ZERO
    Usage: int = 0
    ExtraFields: dict[str, str] | None = None
    ExtraInfo: str = ""
    Partial: bool = False
    PreRated: bool = False
    CostSource: str = ""
    Cost: float = 0.0
    CostDetails: dict[str, Any] | None = None
    APIOpts: dict[str, Any] | None = None


def process_record(op: Operation, cdr: CDR, opts: dict[str, Any] | None) -> Steps[str]:
    """A CDR object through the configured stages; a prerated one is neither forked nor rated."""
    fill_defaults(cdr, defaults_of(op.generation))
    return (yield from once(op, "CDRsV1.ProcessCDR", (cdr.cgrid, cdr.run_id), _processed_record(op, cdr, opts)))


def _processed_record(op: Operation, cdr: CDR, opts: dict[str, Any] | None) -> Steps[str]:
    base = configured(op.generation)
    stages = Stages(
        attributes=base.attributes,
        chargers=base.chargers and not cdr.pre_rated,
        rate=not cdr.pre_rated,
        store=base.store,
        thresholds=base.thresholds,
        stats=base.stats,
        export=base.export,
    )
    yield from process_events(op, [CGREvent(cdr.tenant, op.new_uuid(), None, event_of_cdr(cdr), opts or {})], stages)
    return OK


@method("CDRsV1.ProcessCDR", owner=record(), changes=True)
def process_cdr(op: Operation, params: CDRWithAPIOpts) -> Steps[str]:
    cdr = CDR(
        params.CGRID,
        params.RunID,
        params.OrderID,
        params.OriginHost,
        params.Source,
        params.OriginID,
        params.ToR,
        params.RequestType,
        params.Tenant,
        params.Category,
        params.Account,
        params.Subject,
        params.Destination,
        params.SetupTime,
        params.AnswerTime,
        params.Usage,
        params.ExtraFields or {},
        params.ExtraInfo,
        params.Partial,
        params.PreRated,
        params.CostSource,
        nano_of(params.Cost),
        read_cost_details(params.CostDetails),
    )
    return (yield from process_record(op, cdr, params.APIOpts))


class ExternalCDRWithAPIOpts(Params, go="engine.ExternalCDRWithAPIOpts"):
    CGRID: str = ""
    RunID: str = ""
    OrderID: int = 0
    OriginHost: str = ""
    Source: str = ""
    OriginID: str = ""
    ToR: str = ""
    RequestType: str = ""
    Tenant: str = ""
    Category: str = ""
    Account: str = ""
    Subject: str = ""
    Destination: str = ""
    SetupTime: str = ""
    AnswerTime: str = ""
    Usage: str = ""
    ExtraFields: dict[str, str] | None = None
    CostSource: str = ""
    Cost: float = 0.0
    CostDetails: str = ""
    ExtraInfo: str = ""
    PreRated: bool = False
    APIOpts: dict[str, Any] | None = None


@method("CDRsV1.ProcessExternalCDR", owner=record(), changes=True)
def process_external_cdr(op: Operation, params: ExternalCDRWithAPIOpts) -> Steps[str]:
    zone = defaults_of(op.generation).timezone
    cdr = CDR(
        params.CGRID,
        params.RunID,
        params.OrderID,
        params.OriginHost,
        params.Source,
        params.OriginID,
        params.ToR,
        params.RequestType,
        params.Tenant,
        params.Category,
        params.Account,
        params.Subject,
        params.Destination,
        parse_time(params.SetupTime, op.now_ns, zone),
        parse_time(params.AnswerTime, op.now_ns, zone),
        parse_duration(params.Usage),
        params.ExtraFields or {},
        "",
        False,
        params.PreRated,
        params.CostSource,
        nano_of(params.Cost),
        read_cost_details(params.CostDetails or None),
    )
    return (yield from process_record(op, cdr, params.APIOpts))


# --- session costs ------------------------------------------------------------------------------------------------


class SMCost(Params, go="engine.SMCost"):
    CGRID: str = ""
    RunID: str = ""
    OriginHost: str = ""
    OriginID: str = ""
    CostSource: str = ""
    Usage: int = 0
    CostDetails: dict[str, Any] | None = None


class AttrCDRSStoreSMCost(Params, go="engine.AttrCDRSStoreSMCost"):
    Cost: SMCost | None = None
    CheckDuplicate: bool = False


class ArgsV2CDRSStoreSMCost(AttrCDRSStoreSMCost, go="engine.ArgsV2CDRSStoreSMCost"):
    pass


def _session_cost(params: AttrCDRSStoreSMCost) -> SessionCost | None:
    """The cost to store, None without cost details. Raises for a missing Cost or CGRID."""
    cost = params.Cost
    if cost is None:
        raise missing(["Cost"])
    if not cost.CGRID:
        raise ApiError("mandatory information missing: CGRID")
    details = read_cost_details(cost.CostDetails)
    if details is None:
        return None
    return SessionCost(cost.CGRID, cost.RunID, cost.OriginHost, cost.OriginID, cost.CostSource, cost.Usage, details)


@method("CDRsV1.StoreSessionCost", changes=True)
def store_cost(op: Operation, params: AttrCDRSStoreSMCost) -> Steps[str]:
    cost = _session_cost(params)
    if cost is not None:
        yield store_session_cost.at(registry_owner(cost.cgrid), cost, params.CheckDuplicate)
    return OK


@method("CDRsV2.StoreSessionCost", changes=True)
def store_cost_rounded(op: Operation, params: ArgsV2CDRSStoreSMCost) -> Steps[str]:
    """The cost is stored rounded; what rounding has added (or taken) is settled with the accounts that paid."""
    cost = _session_cost(params)
    if cost is None:
        return OK
    rounded, increments = add_rounding(cost.cost_details)
    yield store_session_cost.at(registry_owner(cost.cgrid), replace(cost, cost_details=rounded), params.CheckDuplicate)
    for increment in increments:
        assert increment.balance_info is not None
        owner = Owner("account", increment.balance_info.account_id)
        yield refund_rounding.at(owner, CallDescriptor(increments=[increment], cgrid=cost.cgrid, run_id=cost.run_id))
    return OK
