"""Events, external records and CDRs turned into each other (spec 40 §1): the reading rule of each field, the defaults."""

from __future__ import annotations

from typing import Any

import msgspec

from cgr_cluster.cdrs.types import CDR, DEFAULT_RUN, NOT_RATED_NANO, VOICE
from cgr_cluster.engine.domain import GenerationView
from cgr_cluster.events.amounts import nano_of
from cgr_cluster.events.durations import Duration, format_duration, parse_duration
from cgr_cluster.events.instant import ZERO, Instant
from cgr_cluster.events.json_syntax import json_error
from cgr_cluster.events.nesting import read_json
from cgr_cluster.events.times import format_instant, parse_time
from cgr_cluster.events.values import bool_of, cannot_convert, duration_of, json_text, parse_float, parse_int, text_of
from cgr_cluster.rating.answers import event_cost_json, money
from cgr_cluster.rating.event_cost_reading import event_cost_from_json
from cgr_cluster.rating.rounding import amount_of
from cgr_cluster.rating.types import EventCost
from cgr_cluster.rpc.errors import ApiError
from cgr_cluster.rpc.owners import cgrid_of

INT64_END = 1 << 63
RESERVED_FIELD = "rated"
RATED_ANEW = "CDRs"  # CostSource

_FIELDS = frozenset(
    (
        "CGRID", "RunID", "OrderID", "OriginHost", "Source", "OriginID", "ToR", "RequestType", "Tenant", "Category",
        "Account", "Subject", "Destination", "SetupTime", "AnswerTime", "Usage", "ExtraInfo", "Partial", "PreRated",
        "CostSource", "Cost", "CostDetails",
    )
)  # fmt: skip


class Defaults(msgspec.Struct, frozen=True):
    """What fills empty fields, from the section `general` of the configuration."""

    request_type: str
    tenant: str
    category: str
    timezone: str


def defaults_of(generation: GenerationView) -> Defaults:
    return generation.derived(_build_defaults)


def _build_defaults(generation: GenerationView) -> Defaults:
    general = generation.config("general")
    return Defaults(
        general.get("default_request_type") or "*rated",
        generation.default_tenant,
        general.get("default_category") or "call",
        general.get("default_timezone") or "Local",
    )


def fill_defaults(cdr: CDR, defaults: Defaults) -> None:
    """Give the empty fields of a CDR their defaults, in place."""
    if not cdr.cgrid:
        cdr.cgrid = cgrid_of(cdr.origin_id, cdr.origin_host)
    if not cdr.run_id:
        cdr.run_id = DEFAULT_RUN
    if not cdr.tor:
        cdr.tor = VOICE
    if not cdr.request_type:
        cdr.request_type = defaults.request_type
    if not cdr.tenant:
        cdr.tenant = defaults.tenant
    if not cdr.category:
        cdr.category = defaults.category
    if not cdr.subject:
        cdr.subject = cdr.account


# --- reading ------------------------------------------------------------------------------------------------------


def read_time(value: Any, now_ns: int, zone: str) -> Instant:
    if isinstance(value, str):
        return parse_time(value, now_ns, zone)
    if isinstance(value, Instant):
        return value
    raise cannot_convert(value, "time.Time")


def read_usage(value: Any) -> int:
    return duration_of(value)


def read_cost(value: Any) -> int:
    """A cost in nano: a number, a numeric text, or a duration text, which counts its nanoseconds."""
    if isinstance(value, str):
        if not value:
            raise cannot_convert(value, "float64")
        try:
            value = parse_float(value)
        except ApiError:
            value = parse_duration(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise cannot_convert(value, "float64")
    return nano_of(value)


def read_cost_details(value: Any) -> EventCost | None:
    if value is None or isinstance(value, EventCost):
        return value
    if isinstance(value, str):
        if not value:
            raise cannot_convert(value, "EventCost")
        try:
            value = read_json(value)
        except ValueError as error:
            raise ApiError(json_error(value) or str(error)) from None
        if value is None:
            return None
    if isinstance(value, dict):
        return event_cost_from_json(value)
    raise cannot_convert(value, "EventCost")


def read_order_id(value: Any) -> int:
    if isinstance(value, str):
        return parse_int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not -INT64_END <= value < INT64_END:
        raise cannot_convert(value, "int64")
    return value


def _text(event: dict[str, Any], name: str) -> str:
    value = event.get(name)
    return value if type(value) is str else text_of(value)


def cdr_of_event(event: dict[str, Any], tenant: str, defaults: Defaults, now_ns: int) -> CDR:
    """The CDR of an event's fields. `tenant`: of the envelope, when the event has none of its own.

    Raises ApiError for a value that its field does not take, and for the reserved field `rated`.
    """
    if RESERVED_FIELD in event:
        raise ApiError(f"unimplemented CDR field: <{RESERVED_FIELD}>")
    zone = defaults.timezone
    account = _text(event, "Account")
    cdr = CDR(
        _text(event, "CGRID"),
        _text(event, "RunID") or DEFAULT_RUN,
        read_order_id(event["OrderID"]) if "OrderID" in event else 0,
        _text(event, "OriginHost"),
        _text(event, "Source"),
        _text(event, "OriginID"),
        _text(event, "ToR") or VOICE,
        _text(event, "RequestType") or defaults.request_type,
        _text(event, "Tenant") or tenant or defaults.tenant,
        _text(event, "Category") or defaults.category,
        account,
        _text(event, "Subject") or account,
        _text(event, "Destination"),
        read_time(event["SetupTime"], now_ns, zone) if "SetupTime" in event else ZERO,
        read_time(event["AnswerTime"], now_ns, zone) if "AnswerTime" in event else ZERO,
        read_usage(event["Usage"]) if "Usage" in event else 0,
        {
            name: value if type(value) is str else text_of(value)
            for name, value in event.items()
            if name not in _FIELDS and value is not None
        },
        _text(event, "ExtraInfo"),
        bool_of(event["Partial"]) if "Partial" in event else False,
        bool_of(event["PreRated"]) if "PreRated" in event else False,
        _text(event, "CostSource"),
        read_cost(event["Cost"]) if "Cost" in event else NOT_RATED_NANO,
        read_cost_details(event["CostDetails"]) if "CostDetails" in event else None,
    )
    if not cdr.cgrid:
        cdr.cgrid = cgrid_of(cdr.origin_id, cdr.origin_host)
    return cdr


# --- writing ------------------------------------------------------------------------------------------------------


def event_of_cdr(cdr: CDR) -> dict[str, Any]:
    """A CDR as an event again: its fields beside its extra fields (which lose against a field of the same name). Times are
    `Instant`, Usage a `Duration`, CostDetails (only if there is one) an `EventCost`: filters and attributes read them as texts."""
    event: dict[str, Any] = dict(cdr.extra_fields)
    event["CGRID"] = cdr.cgrid
    event["RunID"] = cdr.run_id
    event["OrderID"] = cdr.order_id
    event["OriginHost"] = cdr.origin_host
    event["Source"] = cdr.source
    event["OriginID"] = cdr.origin_id
    event["ToR"] = cdr.tor
    event["RequestType"] = cdr.request_type
    event["Tenant"] = cdr.tenant
    event["Category"] = cdr.category
    event["Account"] = cdr.account
    event["Subject"] = cdr.subject
    event["Destination"] = cdr.destination
    event["SetupTime"] = cdr.setup_time
    event["AnswerTime"] = cdr.answer_time
    event["Usage"] = Duration(cdr.usage_ns)
    event["ExtraInfo"] = cdr.extra_info
    event["Partial"] = cdr.partial
    event["PreRated"] = cdr.pre_rated
    event["CostSource"] = cdr.cost_source
    event["Cost"] = amount_of(cdr.cost_nano)
    if cdr.cost_details is not None:
        event["CostDetails"] = cdr.cost_details
    return event


def event_json(event: dict[str, Any]) -> dict[str, Any]:
    """An event as JSON: `Instant`, `Duration` and `EventCost` values written as the API writes them."""
    out = event
    for name, value in event.items():
        if isinstance(value, Instant | Duration | EventCost):
            if out is event:
                out = dict(event)
            if isinstance(value, Instant):
                out[name] = format_instant(value)
            elif isinstance(value, Duration):
                out[name] = int(value)
            else:
                out[name] = details_json(value, text_of(event.get("CostSource")))
    return out


def details_json(details: EventCost | None, cost_source: str) -> dict[str, Any] | None:
    """CostDetails as answered. Those of a CDR rated anew for another usage than its session's have Usage null (3.4 step 4;
    such a CDR is told by its CostSource)."""
    if details is None:
        return None
    out = event_cost_json(details)
    if cost_source == RATED_ANEW:
        out["Usage"] = None
    return out


def cdr_json(cdr: CDR) -> dict[str, Any]:
    """The CDR form of CDRsV1.*."""
    return {
        "CGRID": cdr.cgrid,
        "RunID": cdr.run_id,
        "OrderID": cdr.order_id,
        "OriginHost": cdr.origin_host,
        "Source": cdr.source,
        "OriginID": cdr.origin_id,
        "ToR": cdr.tor,
        "RequestType": cdr.request_type,
        "Tenant": cdr.tenant,
        "Category": cdr.category,
        "Account": cdr.account,
        "Subject": cdr.subject,
        "Destination": cdr.destination,
        "SetupTime": format_instant(cdr.setup_time),
        "AnswerTime": format_instant(cdr.answer_time),
        "Usage": cdr.usage_ns,
        "ExtraFields": cdr.extra_fields,
        "ExtraInfo": cdr.extra_info,
        "Partial": cdr.partial,
        "PreRated": cdr.pre_rated,
        "CostSource": cdr.cost_source,
        "Cost": money(cdr.cost_nano),
        "CostDetails": details_json(cdr.cost_details, cdr.cost_source),
    }


def _whole_seconds(at: Instant) -> str:
    return format_instant(Instant(at.seconds, 0, at.offset_s))


def external_json(cdr: CDR) -> dict[str, Any]:
    """The ExternalCDR form of APIerSv1/2.GetCDRs: times in whole seconds, usage and cost details as texts."""
    return {
        "CGRID": cdr.cgrid,
        "RunID": cdr.run_id,
        "OrderID": cdr.order_id,
        "OriginHost": cdr.origin_host,
        "Source": cdr.source,
        "OriginID": cdr.origin_id,
        "ToR": cdr.tor,
        "RequestType": cdr.request_type,
        "Tenant": cdr.tenant,
        "Category": cdr.category,
        "Account": cdr.account,
        "Subject": cdr.subject,
        "Destination": cdr.destination,
        "SetupTime": _whole_seconds(cdr.setup_time),
        "AnswerTime": _whole_seconds(cdr.answer_time),
        "Usage": format_duration(cdr.usage_ns) if cdr.tor == VOICE else str(cdr.usage_ns),
        "ExtraFields": cdr.extra_fields,
        "CostSource": cdr.cost_source,
        "Cost": money(cdr.cost_nano),
        "CostDetails": json_text(details_json(cdr.cost_details, cdr.cost_source)),
        "ExtraInfo": cdr.extra_info,
        "PreRated": cdr.pre_rated,
    }
