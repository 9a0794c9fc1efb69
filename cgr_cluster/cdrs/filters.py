"""The API's filters as queries (spec 40 §4): new names, old names, ranges, order and page."""

from __future__ import annotations

import math
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

from cgr_cluster.cdrs.queries import (
    MAX_64,
    MIN_64,
    ORDERS,
    Bound,
    CdrQuery,
    CostIs,
    Extra,
    Nothing,
    OneOf,
    Prefix,
    Test,
    time_column,
)
from cgr_cluster.events.amounts import NANO, nano_of
from cgr_cluster.events.durations import parse_duration
from cgr_cluster.events.times import parse_time
from cgr_cluster.events.values import float_of, int_of
from cgr_cluster.rpc.errors import ApiError, server_error
from cgr_cluster.rpc.registry import Params

NOT_RATED = -1.0


class RPCCDRsFilter(Params, go="utils.RPCCDRsFilter"):
    CGRIDs: list[str] | None = None
    NotCGRIDs: list[str] | None = None
    RunIDs: list[str] | None = None
    NotRunIDs: list[str] | None = None
    OriginIDs: list[str] | None = None
    NotOriginIDs: list[str] | None = None
    OriginHosts: list[str] | None = None
    NotOriginHosts: list[str] | None = None
    Sources: list[str] | None = None
    NotSources: list[str] | None = None
    ToRs: list[str] | None = None
    NotToRs: list[str] | None = None
    RequestTypes: list[str] | None = None
    NotRequestTypes: list[str] | None = None
    Tenants: list[str] | None = None
    NotTenants: list[str] | None = None
    Categories: list[str] | None = None
    NotCategories: list[str] | None = None
    Accounts: list[str] | None = None
    NotAccounts: list[str] | None = None
    Subjects: list[str] | None = None
    NotSubjects: list[str] | None = None
    DestinationPrefixes: list[str] | None = None
    NotDestinationPrefixes: list[str] | None = None
    Costs: list[float] | None = None
    NotCosts: list[float] | None = None
    ExtraFields: dict[str, str] | None = None
    NotExtraFields: dict[str, str] | None = None
    SetupTimeStart: str = ""
    SetupTimeEnd: str = ""
    AnswerTimeStart: str = ""
    AnswerTimeEnd: str = ""
    CreatedAtStart: str = ""
    CreatedAtEnd: str = ""
    UpdatedAtStart: str = ""
    UpdatedAtEnd: str = ""
    MinUsage: str = ""
    MaxUsage: str = ""
    OrderBy: str = ""
    ExtraArgs: dict[str, Any] | None = None
    Limit: int | None = None
    Offset: int | None = None


class RPCCDRsFilterWithAPIOpts(RPCCDRsFilter, go="utils.RPCCDRsFilterWithAPIOpts"):
    APIOpts: dict[str, Any] | None = None
    Tenant: str = ""


class AttrGetCdrs(Params, go="utils.AttrGetCdrs"):
    """The old names."""

    CgrIds: list[str] | None = None
    MediationRunIds: list[str] | None = None
    TORs: list[str] | None = None
    CdrHosts: list[str] | None = None
    CdrSources: list[str] | None = None
    ReqTypes: list[str] | None = None
    Tenants: list[str] | None = None
    Categories: list[str] | None = None
    Accounts: list[str] | None = None
    Subjects: list[str] | None = None
    DestinationPrefixes: list[str] | None = None
    RatedAccounts: list[str] | None = None
    RatedSubjects: list[str] | None = None
    OrderIdStart: int | None = None
    OrderIdEnd: int | None = None
    TimeStart: str = ""
    TimeEnd: str = ""
    SkipErrors: bool = False
    SkipRated: bool = False
    OrderBy: str = ""
    Limit: int | None = None
    Offset: int | None = None


_LISTS = {
    "CGRIDs": "cgrid",
    "RunIDs": "run_id",
    "OriginIDs": "origin_id",
    "OriginHosts": "origin_host",
    "Sources": "source",
    "ToRs": "tor",
    "RequestTypes": "request_type",
    "Tenants": "tenant",
    "Categories": "category",
    "Accounts": "account",
    "Subjects": "subject",
}
_TIMES = (
    ("SetupTimeStart", "setup", ">="),
    ("SetupTimeEnd", "setup", "<"),
    ("AnswerTimeStart", "answer", ">="),
    ("AnswerTimeEnd", "answer", "<="),
    ("CreatedAtStart", "created", ">="),
    ("CreatedAtEnd", "created", "<"),
    ("UpdatedAtStart", "version", ">="),
    ("UpdatedAtEnd", "version", "<"),
)


class Selection(msgspec.Struct, frozen=True, gc=False):
    """A filter that has been read. `lists`: its tests by lists alone; `usage_error`: the error of a usage that cannot be
    read, which shows only when the lists select something; `order_error`: of an unknown order, which shows only when
    something is found. `ordered`: an order was asked for. `limit` and `offset` as given."""

    query: CdrQuery
    lists: tuple[Test, ...]
    usage_error: str = ""
    order_error: str = ""
    ordered: bool = False
    limit: int | None = None
    offset: int = 0


def selection_of(params: RPCCDRsFilter, now_ns: int, zone: str) -> Selection:
    """Read a filter. Raises ApiError `SERVER_ERROR: ...` for times and ExtraArgs that cannot be read."""
    try:
        bounds = _time_bounds(params, now_ns, zone) + _extra_args(params.ExtraArgs or {})
    except ApiError as error:
        raise server_error(error) from None
    lists = _list_tests(params)
    usage_error = ""
    try:
        for text, operator in ((params.MinUsage, ">="), (params.MaxUsage, "<=")):
            if text:
                bounds.append(Bound("usage", operator, parse_duration(text)))
    except ApiError as error:
        usage_error = server_error(error).text
    return _paged(params.OrderBy, params.Limit, params.Offset, lists, bounds, usage_error)


def selection_of_old(params: AttrGetCdrs, now_ns: int, zone: str) -> Selection:
    """Read a filter with the old names. Raises as `selection_of`."""
    extra: dict[str, Any] = {}
    if params.OrderIdStart is not None:
        extra["OrderIDStart"] = params.OrderIdStart
    if params.OrderIdEnd is not None:
        extra["OrderIDEnd"] = params.OrderIdEnd
    if params.SkipRated:
        extra["MaxCost"] = NOT_RATED
    elif params.SkipErrors:
        extra["MinCost"], extra["MaxCost"] = 0.0, NOT_RATED
    return selection_of(
        RPCCDRsFilter(
            CGRIDs=params.CgrIds,
            RunIDs=params.MediationRunIds,
            ToRs=params.TORs,
            OriginHosts=params.CdrHosts,
            Sources=params.CdrSources,
            RequestTypes=params.ReqTypes,
            Tenants=params.Tenants,
            Categories=params.Categories,
            Accounts=params.Accounts,
            Subjects=params.Subjects,
            DestinationPrefixes=params.DestinationPrefixes,
            AnswerTimeStart=params.TimeStart,
            AnswerTimeEnd=params.TimeEnd,
            OrderBy=params.OrderBy,
            ExtraArgs=extra,
            Limit=params.Limit,
            Offset=params.Offset,
        ),
        now_ns,
        zone,
    )


def _paged(
    order_by: str, limit: int | None, offset: int | None, lists: list[Test], bounds: list[Test], usage_error: str
) -> Selection:
    name, _, direction = order_by.partition(";")
    order = ORDERS.get(name or "OrderID")
    given_offset = max(offset or 0, 0)
    query = CdrQuery(
        (*lists, *bounds),
        order or "order_id",
        direction == "desc",
        None if limit is None else max(limit, 0),
        given_offset,
    )
    order_error = "" if order is not None else f"SERVER_ERROR: Invalid value : {name}"
    return Selection(query, tuple(lists), usage_error, order_error, bool(order_by), limit, given_offset)


def _list_tests(params: RPCCDRsFilter) -> list[Test]:
    tests: list[Test] = []
    for name, column in _LISTS.items():
        if values := getattr(params, name):
            tests.append(OneOf(column, tuple(values)))
        if values := getattr(params, f"Not{name}"):
            tests.append(OneOf(column, tuple(values), True))
    for prefixes, negated in ((params.DestinationPrefixes, False), (params.NotDestinationPrefixes, True)):
        if prefixes:
            tests.append(Prefix(tuple(prefixes), negated))
    for costs, negated in ((params.Costs, False), (params.NotCosts, True)):
        if costs:
            tests.append(CostIs(tuple(nano_of(cost) for cost in costs), negated))
    for fields, negated in ((params.ExtraFields, False), (params.NotExtraFields, True)):
        tests += [Extra(name, value, negated) for name, value in (fields or {}).items()]
    return tests


def _time_bounds(params: RPCCDRsFilter, now_ns: int, zone: str) -> list[Test]:
    """A time that reads as the zero time is no bound."""
    bounds: list[Test] = []
    for name, column, operator in _TIMES:
        if text := getattr(params, name):
            at = parse_time(text, now_ns, zone)
            if at:
                bounds.append(Bound(column, operator, time_column(at)))
    return bounds


def _extra_args(args: dict[str, Any]) -> list[Test]:
    bounds: list[Test] = []
    for name, operator in (("OrderIDStart", ">="), ("OrderIDEnd", "<")):
        if name in args:
            bounds += _order_bound(operator, int_of(args[name]))
    least = float_of(args["MinCost"]) if "MinCost" in args else None
    below = float_of(args["MaxCost"]) if "MaxCost" in args else None
    if below == NOT_RATED:  # said to mean the rated ones, whatever it was meant to mean
        return [*bounds, Bound("cost", ">=", 0) if least in (None, 0.0) else Nothing()]
    if least is not None:
        bounds.append(_cost_bound(">=", least))
    if below is not None:
        bounds.append(_cost_bound("<", below))
    return bounds


def _order_bound(operator: str, value: int) -> list[Test]:
    """OrderIDs have 64 bits: what lies beyond them bounds nothing, or leaves nothing."""
    if MIN_64 <= value <= MAX_64:
        return [Bound("order_id", operator, value)]
    return [] if (value < 0) == (operator == ">=") else [Nothing()]


def _cost_bound(operator: str, value: float) -> Test:
    """`value` in nano, rounded up: an integer is at least (below) x exactly when it is at least (below) x rounded up."""
    try:
        nano = math.ceil(Decimal(repr(value)) * NANO)
    except (InvalidOperation, ValueError, OverflowError):
        nano = None
    if nano is None or abs(nano) >= 1 << 63:
        return Bound("cost", operator, value * NANO)
    return Bound("cost", operator, nano)
