"""Methods of CDRsV1 and CDRsV2, and those of APIerSv1/2 on CDRs (spec 40 §3.1, §3.6, §4, §5)."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from cgr_cluster.cdrs.conversion import (
    cdr_json,
    cost_nano_of,
    defaults_of,
    details_json,
    event_json,
    event_of_cdr,
    external_json,
    fill_defaults,
    read_cost_details,
)
from cgr_cluster.cdrs.filters import (
    AttrGetCdrs,
    RPCCDRsFilter,
    RPCCDRsFilterWithAPIOpts,
    Selection,
    selection_of,
    selection_of_old,
)
from cgr_cluster.cdrs.pipeline import Processed, process_events
from cgr_cluster.cdrs.select import count, find, select
from cgr_cluster.cdrs.session_costs import store_session_cost
from cgr_cluster.cdrs.stages import NO_STAGES, Stages, configured, stages_of
from cgr_cluster.cdrs.tail import remove
from cgr_cluster.cdrs.types import CDR, DEFAULT_RUN, NOT_RATED_NANO, Identity, SessionCost, StoredCdr
from cgr_cluster.engine.domain import Operation, Steps
from cgr_cluster.engine.owner import Owner, registry_owner
from cgr_cluster.events.durations import parse_duration
from cgr_cluster.events.event import CGREvent
from cgr_cluster.events.instant import ZERO, Instant
from cgr_cluster.events.times import parse_time
from cgr_cluster.rpc.errors import ApiError, missing, not_found, partially_executed, require, server_error
from cgr_cluster.rpc.owners import event, record
from cgr_cluster.rpc.registry import Params, method, service

service("CDRsV1")
service("CDRsV2", extends="CDRsV1")
service("CdrsV1", alias_of="CDRsV1")
service("CdrsV2", alias_of="CDRsV2")

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
    yield from _process_event(op, params)
    return OK


@method("CDRsV2.ProcessEvent", owner=event(), changes=True)
def process_event_v2(op: Operation, params: ArgV1ProcessEvent) -> Steps[list[dict[str, Any]]]:
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


def _process_record(op: Operation, cdr: CDR, opts: dict[str, Any] | None) -> Steps[str]:
    """A CDR object through the configured stages; a prerated one is neither forked nor rated."""
    fill_defaults(cdr, defaults_of(op.generation))
    base = configured(op.generation)
    stages = Stages(
        attributes=base.attributes,
        chargers=base.chargers and not cdr.pre_rated,
        rate=not cdr.pre_rated,
        store=base.store,
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
        cost_nano_of(params.Cost),
        read_cost_details(params.CostDetails),
    )
    return (yield from _process_record(op, cdr, params.APIOpts))


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
        cost_nano_of(params.Cost),
        read_cost_details(params.CostDetails or None),
    )
    return (yield from _process_record(op, cdr, params.APIOpts))


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


# --- queries ------------------------------------------------------------------------------------------------------


def selected(selection: Selection) -> Steps[list[StoredCdr]]:
    """The records of a filter. Raises `NOT_FOUND` when there are none, and the errors that show only when there are."""
    if selection.usage_error:
        found = yield from count(selection.lists)
        raise ApiError(selection.usage_error) if found else not_found()
    if selection.order_error or (selection.limit is not None and selection.limit <= 0):
        found = yield from count(selection.query.tests)
        if found and selection.order_error:
            raise ApiError(selection.order_error)
        if found and selection.ordered and selection.limit == 0:
            return []
        raise not_found()
    rows = yield from select(selection.query)
    if not rows:
        raise not_found()
    return rows


def counted(selection: Selection) -> Steps[int]:
    """How many records a filter selects; its page reduces the number, its order does not matter."""
    if selection.usage_error:
        if (yield from count(selection.lists)):
            raise ApiError(selection.usage_error)
        return 0
    total = yield from count(selection.query.tests)
    total = max(total - selection.offset, 0)
    return total if selection.limit is None else min(total, max(selection.limit, 0))


def _selection(op: Operation, params: RPCCDRsFilter) -> Selection:
    return selection_of(params, op.now_ns, defaults_of(op.generation).timezone)


@method("APIerSv2.GetCDRs")
def get_cdrs_external(op: Operation, params: RPCCDRsFilter) -> Steps[list[dict[str, Any]]]:
    rows = yield from selected(_selection(op, params))
    return [external_json(row.cdr) for row in rows]


@method("APIerSv1.GetCDRs")
def get_cdrs_old(op: Operation, params: AttrGetCdrs) -> Steps[list[dict[str, Any]]]:
    rows = yield from selected(selection_of_old(params, op.now_ns, defaults_of(op.generation).timezone))
    return [external_json(row.cdr) for row in rows]


@method("CDRsV1.GetCDRs")
def get_cdrs(op: Operation, params: RPCCDRsFilterWithAPIOpts) -> Steps[list[dict[str, Any]]]:
    rows = yield from _found_or_server_error(_selection(op, params))
    return [cdr_json(row.cdr) for row in rows]


def _found_or_server_error(selection: Selection) -> Steps[list[StoredCdr]]:
    try:
        return (yield from selected(selection))
    except ApiError as error:
        if error == not_found():
            raise server_error(error) from None
        raise


@method("CDRsV1.GetCDRsCount")
def get_cdrs_count(op: Operation, params: RPCCDRsFilterWithAPIOpts) -> Steps[int]:
    return (yield from counted(_selection(op, params)))


@method("APIerSv2.CountCDRs")
def count_cdrs(op: Operation, params: RPCCDRsFilter) -> Steps[int]:
    return (yield from counted(_selection(op, params)))


@method("APIerSv1.RemoveCDRs", changes=True)
def remove_cdrs(op: Operation, params: RPCCDRsFilter) -> Steps[str]:
    rows = yield from _found_or_server_error(_selection(op, params))
    by_home: dict[Owner, list[Identity]] = {}
    for row in rows:
        by_home.setdefault(row.cdr.home, []).append(Identity(*row.cdr.key, row.version))
    for home, identities in by_home.items():
        yield remove.at(home, home.shard, identities)
    return OK


class AttrGetCallCost(Params, go="utils.AttrGetCallCost"):
    CgrId: str = ""
    RunId: str = ""


@method("APIerSv1.GetEventCost")
def get_event_cost(op: Operation, params: AttrGetCallCost) -> Steps[dict[str, Any]]:
    require(params, "CgrId")
    found = yield from find(params.CgrId, params.RunId or DEFAULT_RUN)
    details = details_json(found[0].cdr.cost_details, found[0].cdr.cost_source) if found else None
    if details is None:
        raise not_found()
    return details


# --- rating again -------------------------------------------------------------------------------------------------


class ArgRateCDRs(RPCCDRsFilter, go="engine.ArgRateCDRs"):
    Flags: list[str] | None = None
    Tenant: str = ""
    APIOpts: dict[str, Any] | None = None


def _process_again(op: Operation, params: ArgRateCDRs, stages: Stages, unrated: bool) -> Steps[str]:
    rows = yield from selected(_selection(op, params))
    events = []
    for row in rows:
        cdr = row.cdr
        if unrated:
            cdr = cdr.copy()
            cdr.cost_nano = NOT_RATED_NANO
        events.append(CGREvent(cdr.tenant, op.new_uuid(), None, event_of_cdr(cdr), params.APIOpts or {}))
    try:
        yield from process_events(op, events, stages)
    except ApiError as error:
        raise server_error(error) from None
    return OK


@method("CDRsV1.RateCDRs", changes=True)
def rate_cdrs(op: Operation, params: ArgRateCDRs) -> Steps[str]:
    stages = stages_of(configured(op.generation), params.Flags, params.APIOpts)
    stages = replace(stages, rate=True)
    return (yield from _process_again(op, params, stages, True))


@method("CDRsV1.ReprocessCDRs", changes=True)
def reprocess_cdrs(op: Operation, params: ArgRateCDRs) -> Steps[str]:
    stages = stages_of(NO_STAGES, params.Flags, params.APIOpts)
    stages = replace(stages, reprocess=True)
    return (yield from _process_again(op, params, stages, False))
