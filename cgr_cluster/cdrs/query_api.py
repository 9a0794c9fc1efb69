"""Methods that ask for, remove and rate again stored CDRs (spec 40 §4, §5)."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from cgr_cluster.cdrs.conversion import (
    cdr_json,
    defaults_of,
    details_json,
    event_of_cdr,
    external_json,
)
from cgr_cluster.cdrs.filters import (
    AttrGetCdrs,
    RPCCDRsFilter,
    RPCCDRsFilterWithAPIOpts,
    Selection,
    selection_of,
    selection_of_old,
)
from cgr_cluster.cdrs.pipeline import process_events
from cgr_cluster.cdrs.select import count, find, select
from cgr_cluster.cdrs.stages import NO_STAGES, Stages, configured, stages_of
from cgr_cluster.cdrs.tail import remove
from cgr_cluster.cdrs.types import DEFAULT_RUN, NOT_RATED_NANO, Identity, StoredCdr
from cgr_cluster.engine.domain import Operation, Steps
from cgr_cluster.engine.owner import Owner
from cgr_cluster.events.event import CGREvent
from cgr_cluster.rpc.errors import ApiError, not_found, require, server_error
from cgr_cluster.rpc.registry import Params, method

OK = "OK"


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
