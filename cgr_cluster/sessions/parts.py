"""Parts of a session request that belong to other subsystems (spec 30.5)."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from cgr_cluster.attributes.process import PROFILE_IDS, Processed, process_attributes
from cgr_cluster.engine.domain import Operation, Steps
from cgr_cluster.events.event import CGREvent
from cgr_cluster.events.values import text_of
from cgr_cluster.filters.live import with_live
from cgr_cluster.ips import process as ip_process
from cgr_cluster.ips.answers import allocated_text
from cgr_cluster.ips.matching import ALLOCATION_ID, any_ips
from cgr_cluster.rating.answers import number
from cgr_cluster.resources.matching import UNITS, USAGE_ID, any_resources
from cgr_cluster.resources.process import authorize, release
from cgr_cluster.routes.answers import routes_json, shown_texts
from cgr_cluster.routes.process import SortedRoutes, get_routes
from cgr_cluster.routes.settings import IGNORE_ERRORS, LIMIT, MAX_COST, OFFSET
from cgr_cluster.rpc.errors import ApiError, missing, partially_executed
from cgr_cluster.sessions.params import AuthorizeArgs, InitArgs, MessageArgs, TerminateArgs
from cgr_cluster.sessions.reading import text_field
from cgr_cluster.sessions.settings import SessionSettings, session_settings
from cgr_cluster.sessions.types import Session
from cgr_cluster.stats.matching import PROFILE_IDS as QUEUE_IDS
from cgr_cluster.stats.matching import STAT_UPDATE
from cgr_cluster.stats.process import process_event as process_stat_event
from cgr_cluster.thresholds.matching import EVENT_TYPE
from cgr_cluster.thresholds.matching import PROFILE_IDS as THRESHOLD_IDS
from cgr_cluster.thresholds.process import process_event

logger = logging.getLogger("cgr_cluster.sessions")

CONTEXT = "*sessions"
STORED_ORIGIN = "*originID"  # option of a session's start: the usage id of its resources

Work = Callable[[Operation, CGREvent], Steps[str]]  # authorize, allocate or release
AddressWork = Callable[[Operation, CGREvent], Steps[Any]]  # the same of addresses


def attributes(op: Operation, event: CGREvent, ids: list[str]) -> Steps[Processed | None]:
    """Let AttributeS alter the event in place; None when no profile matches. Raises `ATTRIBUTES_ERROR:...`."""
    if not session_settings(op.generation).attributes_connected:
        raise ApiError("ATTRIBUTES_ERROR:NOT_CONNECTED: AttributeS")
    event.opts = {**event.opts, "*subsys": CONTEXT, PROFILE_IDS: ids or None}
    try:
        processed: Processed | None = yield from with_live(
            lambda live: process_attributes(op.generation, op.now_ns, event, CONTEXT, live)
        )
    except ApiError as error:
        raise ApiError(f"ATTRIBUTES_ERROR:{error.text}") from error
    if processed is not None:
        altered = processed.event
        event.tenant, event.event, event.opts = altered.tenant, altered.event, altered.opts
    return processed


def attributes_digest(answer: dict[str, Any], settings: SessionSettings) -> str:
    """`Field:Value` of the altered fields that the event has, out of the plain form of `Attributes`."""
    event = answer["Event"]
    names = [path.removeprefix("*req.") for path in answer["AlteredFields"]]
    pairs = (f"{name}{settings.digest_equal}{text_of(event[name])}" for name in names if name in event)
    return settings.digest_separator.join(pairs)


def resources(op: Operation, event: CGREvent, work: Work) -> Steps[str]:
    """One unit for the session of the event; answers the message. Raises as `for_one_unit`, and `RESOURCES_ERROR:...`."""
    for_one_unit(op, event, any_id=work is authorize)
    try:
        return (yield from work(op, event))
    except ApiError as error:
        raise ApiError(f"RESOURCES_ERROR:{error.text}") from error


def for_one_unit(op: Operation, event: CGREvent, *, any_id: bool = False) -> None:
    """Let the event's options say what resources it is about: its OriginID, or with `any_id` a new id when it has none, and one
    unit. Raises `NOT_CONNECTED: ResourceS`, `MANDATORY_IE_MISSING: [OriginID]`."""
    if not session_settings(op.generation).resources_connected:
        raise ApiError("NOT_CONNECTED: ResourceS")
    event.opts = {**event.opts, USAGE_ID: _origin_id(op, event, any_id), UNITS: 1}


def _origin_id(op: Operation, event: CGREvent, any_id: bool) -> str:
    """The event's OriginID, or with `any_id` a new id when it has none. Raises `MANDATORY_IE_MISSING: [OriginID]`."""
    origin_id = text_field(event.event, "OriginID")
    if not origin_id and not any_id:
        raise missing(["OriginID"])
    return origin_id or op.new_uuid()


def free_resources(op: Operation, ended: Session) -> Steps[None]:
    """What a session holds that is ended by the system (30.11). A failure is only logged."""
    usage_id = text_of(ended.opts_start.get(STORED_ORIGIN)) or ended.resource_id
    connected = session_settings(op.generation).resources_connected
    if not connected or not usage_id or not any_resources(op.generation, ended.tenant):
        return
    opts = {**ended.opts_start, USAGE_ID: usage_id, UNITS: 1}
    try:
        yield from release(op, CGREvent(ended.tenant, op.new_uuid(), None, ended.event_start, opts))
    except ApiError as error:
        if error.text != "NOT_FOUND":
            logger.warning("resources of ended session %s (%s): %s", ended.cgrid, usage_id, error.text)


def ips(op: Operation, event: CGREvent, work: AddressWork) -> Steps[Any]:
    """An address for the session of the event; answers what is allocated, or `OK` for a release. Raises as `for_address`, and
    `IPS_ERROR:...`."""
    for_address(op, event, any_id=work is ip_process.authorize)
    try:
        return (yield from work(op, event))
    except ApiError as error:
        raise ApiError(f"IPS_ERROR:{error.text}") from error


def for_address(op: Operation, event: CGREvent, *, any_id: bool = False) -> None:
    """Let the event's options say whose address it is about: that of its OriginID, or with `any_id` of a new id when it has none.
    Raises `NOT_CONNECTED: IPs`, `MANDATORY_IE_MISSING: [OriginID]`."""
    if not session_settings(op.generation).ips_connected:
        raise ApiError("NOT_CONNECTED: IPs")
    event.opts = {**event.opts, ALLOCATION_ID: _origin_id(op, event, any_id)}


def free_address(op: Operation, ended: Session) -> Steps[None]:
    """That of a session that is ended by the system (30.11). A failure is only logged."""
    allocation_id = text_of(ended.opts_start.get(STORED_ORIGIN)) or ended.resource_id
    if (
        not session_settings(op.generation).ips_connected
        or not allocation_id
        or not any_ips(op.generation, ended.tenant)
    ):
        return
    opts = {**ended.opts_start, ALLOCATION_ID: allocation_id}
    try:
        yield from ip_process.release(op, CGREvent(ended.tenant, op.new_uuid(), None, ended.event_start, opts))
    except ApiError as error:
        if error.text != "NOT_FOUND":
            logger.warning("address of ended session %s (%s): %s", ended.cgrid, allocation_id, error.text)


def routes(
    op: Operation, event: CGREvent, max_cost: str, ignore_errors: bool, limit: int | None, offset: int | None
) -> Steps[list[SortedRoutes]]:
    """The routes of the event; it works on a copy. `max_cost`: number, `*event_cost`, or empty. Raises `ROUTES_ERROR:...`."""
    if not session_settings(op.generation).routes_connected:
        raise ApiError("NOT_CONNECTED: RouteS")
    own = event.copy()
    if own.event.get("ACD") is not None:
        own.event["Usage"] = own.event["ACD"]
    if max_cost:
        own.opts[MAX_COST] = max_cost
    if ignore_errors:
        own.opts[IGNORE_ERRORS] = True
    if limit is not None:
        own.opts[LIMIT] = limit
    if offset is not None:
        own.opts[OFFSET] = offset
    try:
        return (yield from get_routes(op, own))
    except ApiError as error:
        raise ApiError(f"ROUTES_ERROR:{error.text}") from error


def asked_routes(op: Operation, event: CGREvent, params: AuthorizeArgs | MessageArgs) -> Steps[list[dict[str, Any]]]:
    """Those that the flags of a request ask for, as the API shows them. Raises as `routes`."""
    found = yield from routes(op, event, params.RoutesMaxCost, params.RoutesIgnoreErrors, params.Limit, params.Offset)
    return routes_json(found)


def thresholds(op: Operation, event: CGREvent, ids: list[str]) -> Steps[list[str]]:
    """The thresholds that the event hits, of `ids` when some are given. Raises ApiError without prefix."""
    if not session_settings(op.generation).thresholds_connected:
        raise ApiError("NOT_CONNECTED: ThresholdS")
    if ids:
        event.opts = {**event.opts, THRESHOLD_IDS: ids}
    try:
        return (yield from process_event(op, event))
    except ApiError as error:
        if error.text != "NOT_FOUND":
            raise
        return []


def stats(op: Operation, event: CGREvent, ids: list[str]) -> Steps[list[str]]:
    """The queues that take the event, of `ids` when some are given; the event's options say so then (30 §5). Raises ApiError
    without prefix."""
    if not session_settings(op.generation).stats_connected:
        raise ApiError("NOT_CONNECTED: StatS")
    if ids:
        event.opts = {**event.opts, QUEUE_IDS: ids}
    try:
        taken = yield from process_stat_event(op, event)
    except ApiError as error:
        if error.text != "NOT_FOUND":
            raise
        return []
    event.opts = {**event.opts, EVENT_TYPE: STAT_UPDATE}
    return taken


def thresholds_and_stats(
    op: Operation,
    event: CGREvent,
    params: AuthorizeArgs | InitArgs | TerminateArgs | MessageArgs,
    answer: dict[str, Any],
) -> Steps[None]:
    """They follow the main work, and both are done: a failure of one leaves the rest done. Raises `PARTIALLY_EXECUTED`."""
    failed = False
    if params.ProcessThresholds:
        try:
            answer["ThresholdIDs"] = yield from thresholds(op, event, params.ThresholdIDs)
        except ApiError as error:
            failed = part_failed("thresholds", event, error)
    if params.ProcessStats:
        try:
            answer["StatQueueIDs"] = yield from stats(op, event, params.StatIDs)
        except ApiError as error:
            failed = part_failed("statistics", event, error)
    if failed:
        raise partially_executed()


def part_failed(part: str, event: CGREvent, error: ApiError) -> bool:
    logger.warning("%s of session event %s (%s): %s", part, event.id, text_of(event.event.get("OriginID")), error.text)
    return True


def digest(op: Operation, answer: dict[str, Any], empty: dict[str, Any]) -> dict[str, Any]:
    """The flat answer of the WithDigest methods, made of the plain one; usage in seconds."""
    flat = {**empty, "MaxUsage": number(answer.get("MaxUsage", 0) / 1_000_000_000)}
    for name, ids in (("Thresholds", "ThresholdIDs"), ("StatQueues", "StatQueueIDs")):
        if ids in answer:
            flat[name] = ",".join(answer[ids])
    if "ResourceAllocation" in answer:
        flat["ResourceAllocation"] = answer["ResourceAllocation"]
    if "AllocatedIP" in answer:
        flat["AllocatedIP"] = allocated_text(answer["AllocatedIP"])
    if "RouteProfiles" in answer:
        flat["RoutesDigest"] = ",".join(shown_texts(answer["RouteProfiles"]))
    if "Attributes" in answer:
        flat["AttributesDigest"] = attributes_digest(answer["Attributes"], session_settings(op.generation))
    return flat
