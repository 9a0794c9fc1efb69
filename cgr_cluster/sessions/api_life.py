"""SessionSv1: authorize, initiate, update, terminate, messages and CDRs (spec 30.5, 30.7, 30.8)."""

from __future__ import annotations

from typing import Any, TypeVar

from cgr_cluster.actions.dynaprepaid import NotMadeError
from cgr_cluster.attributes.answers import processed_json
from cgr_cluster.caches.responses import once
from cgr_cluster.cdrs.pipeline import process_events
from cgr_cluster.cdrs.stages import configured, stages_of
from cgr_cluster.engine.domain import Operation, Steps, release, sleep
from cgr_cluster.events.event import CGREvent
from cgr_cluster.events.values import duration_of
from cgr_cluster.ips import process as ip_process
from cgr_cluster.resources.process import allocate as allocate_resources
from cgr_cluster.resources.process import authorize as authorize_resources
from cgr_cluster.resources.process import release as release_resources
from cgr_cluster.rpc.errors import ApiError, missing, partially_executed
from cgr_cluster.rpc.owners import EVENT
from cgr_cluster.rpc.registry import method
from cgr_cluster.sessions import parts
from cgr_cluster.sessions.charging import smallest
from cgr_cluster.sessions.handover import post_cdrs
from cgr_cluster.sessions.life import (
    authorized,
    end_session,
    find_for_cdr,
    initiate_session,
    interval_of,
    make_session,
    one_shot_end,
    one_shot_message,
    turn_of,
    update_session,
    with_cgrid,
)
from cgr_cluster.sessions.params import (
    AuthorizeArgs,
    EventParams,
    InitArgs,
    MessageArgs,
    TerminateArgs,
    UpdateArgs,
    WithEvent,
    event_of,
)
from cgr_cluster.sessions.reading import (
    chargeable,
    initial_cgrid_of,
    optional_duration,
    read_usage,
    text_field,
    time_field,
)
from cgr_cluster.sessions.settings import session_settings
from cgr_cluster.sessions.steps import ABSENT, EXISTS, EndRequest, Reply

T = TypeVar("T")
MS = 1_000_000
AS_ASKED = ("*postpaid", "*rated")
AUTHORIZE_DIGEST: dict[str, Any] = dict.fromkeys(
    ("AttributesDigest", "AllocatedIP", "ResourceAllocation", "MaxUsage", "RoutesDigest", "Thresholds", "StatQueues")
)
INITIATE_DIGEST: dict[str, Any] = {name: None for name in AUTHORIZE_DIGEST if name != "RoutesDigest"}


def rals_error(text: str) -> ApiError:
    return ApiError(f"RALS_ERROR:{text}")


def answered_once(op: Operation, name: str, params: WithEvent, event: CGREvent, work: Steps[T]) -> Steps[T]:
    """The answer of a method of SessionSv1, where the cache of answers is on that of the first request with the event's ID."""
    return once(op, f"SessionSv1.{name}", (event.tenant, params.ID or ""), work)


def no_subsystem() -> ApiError:
    return missing(["Subsystems"])


# --- authorize ---------------------------------------------------------------------------------------------------


def max_usages(op: Operation, event: CGREvent) -> Steps[list[tuple[str, int]]]:
    """What each run of an event may use (30.5.1). Raises the answer's error."""
    settings = session_settings(op.generation)
    if "Usage" in event.event:
        asked = duration_of(event.event["Usage"])
    else:
        asked = settings.usage_of_tor(text_field(event.event, "ToR"))
    session = yield from make_session(op, event, False, 0)
    try:
        return (yield from authorized(op, session, asked))
    except NotMadeError:
        raise
    except ApiError as error:
        raise rals_error(error.text) from error


def _authorize(op: Operation, params: AuthorizeArgs) -> Steps[dict[str, Any]]:
    event = event_of(op, params)
    return (yield from answered_once(op, "AuthorizeEvent", params, event, _authorized(op, params, event)))


def _authorized(op: Operation, params: AuthorizeArgs, event: CGREvent) -> Steps[dict[str, Any]]:
    if not (
        params.GetAttributes
        or params.GetMaxUsage
        or params.AuthorizeResources
        or params.AuthorizeIP
        or params.GetRoutes
    ):
        raise no_subsystem()
    answer: dict[str, Any] = {}
    altered = (yield from parts.attributes(op, event, params.AttributeIDs)) if params.GetAttributes else None
    if params.GetMaxUsage:
        granted = yield from max_usages(op, event)
        answer["MaxUsage"] = smallest([grant for _, grant in granted])
    if params.AuthorizeResources:
        answer["ResourceAllocation"] = yield from parts.resources(op, event, authorize_resources)
    if params.AuthorizeIP:
        answer["AllocatedIP"] = yield from parts.ips(op, event, ip_process.authorize)
    if params.GetRoutes:
        answer["RouteProfiles"] = yield from parts.asked_routes(op, event, params)
    yield from parts.thresholds_and_stats(op, event, params, answer)
    if altered is not None:
        answer["Attributes"] = processed_json(altered, event)
    return answer


@method("SessionSv1.AuthorizeEvent", owner=EVENT, changes=True, when_full=True)
def authorize(op: Operation, params: AuthorizeArgs) -> Steps[dict[str, Any]]:
    return (yield from _authorize(op, params))


@method("SessionSv1.AuthorizeEventWithDigest", owner=EVENT, changes=True, when_full=True)
def authorize_with_digest(op: Operation, params: AuthorizeArgs) -> Steps[dict[str, Any]]:
    return parts.digest(op, (yield from _authorize(op, params)), AUTHORIZE_DIGEST)


# --- initiate ----------------------------------------------------------------------------------------------------


def start_session(op: Operation, event: CGREvent, force_duration: bool) -> Steps[list[tuple[str, int]]]:
    """Initiate (30.5.2): what each run is granted. Raises the answer's error."""
    interval = interval_of(op, event)
    session = yield from make_session(op, event, force_duration, interval)
    usage = read_usage(event.event, session_settings(op.generation), creating=True)
    reply: Reply = yield from initiate_session(op, session, usage)
    if reply.kind == EXISTS:
        raise ApiError("EXISTS")
    if reply.error:
        raise rals_error(reply.error)
    return reply.granted


def _initiate(op: Operation, params: InitArgs) -> Steps[dict[str, Any]]:
    event = event_of(op, params)
    return (yield from answered_once(op, "InitiateSession", params, event, _initiated(op, params, event)))


def _initiated(op: Operation, params: InitArgs, event: CGREvent) -> Steps[dict[str, Any]]:
    if not (params.GetAttributes or params.InitSession or params.AllocateResources or params.AllocateIP):
        raise no_subsystem()
    answer: dict[str, Any] = {}
    altered = (yield from parts.attributes(op, event, params.AttributeIDs)) if params.GetAttributes else None
    if params.AllocateResources:
        answer["ResourceAllocation"] = yield from parts.resources(op, event, allocate_resources)
    if params.AllocateIP:
        answer["AllocatedIP"] = yield from parts.ips(op, event, ip_process.allocate)
    if params.InitSession:
        granted = yield from start_session(op, event, params.ForceDuration)
        answer["MaxUsage"] = smallest([grant for _, grant in granted])
    yield from parts.thresholds_and_stats(op, event, params, answer)
    if altered is not None:
        answer["Attributes"] = processed_json(altered, event)
    return answer


@method("SessionSv1.InitiateSession", owner=EVENT, changes=True)
def initiate(op: Operation, params: InitArgs) -> Steps[dict[str, Any]]:
    return (yield from _initiate(op, params))


@method("SessionSv1.InitiateSessionWithDigest", owner=EVENT, changes=True)
def initiate_with_digest(op: Operation, params: InitArgs) -> Steps[dict[str, Any]]:
    return parts.digest(op, (yield from _initiate(op, params)), INITIATE_DIGEST)


# --- update ------------------------------------------------------------------------------------------------------


def continue_session(op: Operation, event: CGREvent, force_duration: bool) -> Steps[list[tuple[str, int]]]:
    """Update (30.5.3): what each run is granted; an unknown session is made. Raises the answer's error."""
    settings = session_settings(op.generation)
    interval = interval_of(op, event)
    while True:
        reply: Reply = yield from update_session(op, event, read_usage(event.event, settings, creating=False))
        if reply.kind == ABSENT:
            session = yield from make_session(op, event, force_duration, interval)
            usage = read_usage(event.event, settings, creating=True)
            reply = yield from initiate_session(op, session, usage)
            if session.debits_by_itself:  # loops debit it: the update is just answered
                reply.error = usage.error
                reply.granted = [(run_id, usage.asked_ns) for run_id, _ in reply.granted]
        if reply.kind != EXISTS:  # else another request has made it just now
            break
    if reply.error:
        raise rals_error(reply.error)
    return reply.granted


@method("SessionSv1.UpdateSession", owner=EVENT, changes=True)
def update(op: Operation, params: UpdateArgs) -> Steps[dict[str, Any]]:
    event = event_of(op, params)
    return (yield from answered_once(op, "UpdateSession", params, event, _updated(op, params, event)))


def _updated(op: Operation, params: UpdateArgs, event: CGREvent) -> Steps[dict[str, Any]]:
    if not (params.GetAttributes or params.UpdateSession):
        raise no_subsystem()
    answer: dict[str, Any] = {}
    altered = (yield from parts.attributes(op, event, params.AttributeIDs)) if params.GetAttributes else None
    if params.UpdateSession:
        granted = yield from continue_session(op, event, params.ForceDuration)
        answer["MaxUsage"] = smallest([grant for _, grant in granted])
    if params.ProcessThresholds:
        try:
            answer["ThresholdIDs"] = yield from parts.thresholds(op, event, params.ThresholdIDs)
        except ApiError as error:
            raise ApiError(f"THRESHOLDS_ERROR:{error.text}") from error
    if params.ProcessStats:
        try:
            answer["StatQueueIDs"] = yield from parts.stats(op, event, params.StatIDs)
        except ApiError as error:
            parts.part_failed("statistics", event, error)
    if altered is not None:
        answer["Attributes"] = processed_json(altered, event)
    return answer


# --- terminate ---------------------------------------------------------------------------------------------------


def end_request(op: Operation, event: CGREvent, *, alter: bool) -> EndRequest:
    """The end that an event asks for (30.5.6); durations that cannot be read count as absent."""
    fields = event.event
    answer_time = fields.get("AnswerTime")
    if not time_field(fields, "AnswerTime", op.now_ns, session_settings(op.generation).zone):
        answer_time = None
    return EndRequest(
        with_cgrid(event),
        initial_cgrid_of(fields),
        fields,
        op.uid,
        optional_duration(fields, "Usage"),
        optional_duration(fields, "LastUsed"),
        answer_time,
        chargeable(event.opts),
        alter,
    )


@method("SessionSv1.TerminateSession", owner=EVENT, changes=True, when_full=True)
def terminate(op: Operation, params: TerminateArgs) -> Steps[str]:
    event = event_of(op, params)
    return (yield from answered_once(op, "TerminateSession", params, event, _terminated(op, params, event)))


def _terminated(op: Operation, params: TerminateArgs, event: CGREvent) -> Steps[str]:
    if not (params.TerminateSession or params.ReleaseResources or params.ReleaseIP):
        raise no_subsystem()
    if params.TerminateSession:
        yield from end_of_session(op, event, params.ForceDuration)
    if params.ReleaseResources:
        yield from parts.resources(op, event, release_resources)
    if params.ReleaseIP:
        yield from parts.ips(op, event, ip_process.release)
    yield from parts.thresholds_and_stats(op, event, params, {})
    return "OK"


def end_of_session(op: Operation, event: CGREvent, force_duration: bool) -> Steps[None]:
    """End the session of an event; without one charge the event at once (30.5.6). Raises the answer's error."""
    if not text_field(event.event, "OriginID"):
        raise missing(["OriginID"])
    interval = interval_of(op, event)
    request = end_request(op, event, alter=True)
    pause, following = MS, MS
    for attempt in range(session_settings(op.generation).terminate_attempts):
        if attempt:
            yield release(turn_of(request.cgrid))  # an initiate that is on its way comes first
            yield sleep(pause)
            pause, following = following, pause + following
        reply: Reply = yield from end_session(op, event, request)
        if reply.kind != ABSENT:
            if reply.error:
                raise rals_error(reply.error)
            return
    try:
        session = yield from make_session(op, event, force_duration, interval)
    except ApiError as error:
        raise rals_error(error.text) if error.text.startswith("CHARGERS_ERROR:") else error from error
    session.debit_interval_ns = 0  # a one-shot has no debit loops
    usage = read_usage(event.event, session_settings(op.generation), creating=True)
    reply = yield from one_shot_end(op, session, usage, request)
    if reply.error:
        raise ApiError(reply.error) if reply.kind == ABSENT else rals_error(reply.error)


# --- messages and CDRs -------------------------------------------------------------------------------------------


@method("SessionSv1.ProcessMessage", owner=EVENT, changes=True)
def process_message(op: Operation, params: MessageArgs) -> Steps[dict[str, Any]]:
    event = event_of(op, params)
    return (yield from answered_once(op, "ProcessMessage", params, event, _processed(op, params, event)))


def _processed(op: Operation, params: MessageArgs, event: CGREvent) -> Steps[dict[str, Any]]:
    answer: dict[str, Any] = {}
    altered = (yield from parts.attributes(op, event, params.AttributeIDs)) if params.GetAttributes else None
    if params.AllocateResources:
        answer["ResourceAllocation"] = yield from parts.resources(op, event, allocate_resources)
    if params.AllocateIP:
        answer["AllocatedIP"] = yield from parts.ips(op, event, ip_process.allocate)
    if params.GetRoutes:
        answer["RouteProfiles"] = yield from parts.asked_routes(op, event, params)
    if params.Debit:
        session = yield from make_session(op, event, params.ForceDuration, 0)
        usage = read_usage(event.event, session_settings(op.generation), creating=True)
        as_asked = text_field(event.event, "RequestType") in AS_ASKED
        reply: Reply = yield from one_shot_message(op, session, usage, as_asked)
        if reply.error:
            raise rals_error(reply.error)
        answer["MaxUsage"] = smallest([grant for _, grant in reply.granted])
    yield from parts.thresholds_and_stats(op, event, params, answer)
    if altered is not None:
        answer["Attributes"] = processed_json(altered, event)
    return answer


def process_cdr_of(op: Operation, event: CGREvent, flags: list[str]) -> Steps[None]:
    """Post the CDRs of the event's session, else give the event to CDRs with `flags` (30.8). Raises bare errors."""
    if not session_settings(op.generation).cdrs_connected:
        raise ApiError("NOT_CONNECTED: CDRs")
    session = yield from find_for_cdr(op, event)
    if session is not None:
        failures = yield from post_cdrs(op, session)
        if failures:
            raise partially_executed()
        return
    stages = stages_of(configured(op.generation), flags, event.opts)
    yield from process_events(op, [event], stages)


@method("SessionSv1.ProcessCDR", owner=EVENT, changes=True, when_full=True)
def process_cdr(op: Operation, params: EventParams) -> Steps[str]:
    if params.Event is None:
        raise missing(["Event"])
    event = event_of(op, params)
    if "Source" not in event.event:
        event.event["Source"] = "*sessions"
    return (yield from answered_once(op, "ProcessCDR", params, event, _cdr_posted(op, event)))


def _cdr_posted(op: Operation, event: CGREvent) -> Steps[str]:
    yield from process_cdr_of(op, event, ["*rals"])
    return "OK"
