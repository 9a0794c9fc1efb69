"""SessionSv1.ProcessEvent and GetCost (spec 30.9)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from cgr_cluster.attributes.answers import processed_json
from cgr_cluster.attributes.process import Processed
from cgr_cluster.chargers.runs import ChargingRun
from cgr_cluster.engine.domain import Operation, Steps
from cgr_cluster.events.event import CGREvent
from cgr_cluster.ips import process as ip_process
from cgr_cluster.rating.answers import event_cost_json, money
from cgr_cluster.rating.call_cost import call_cost
from cgr_cluster.rating.event_cost import cost_nano, event_cost_of
from cgr_cluster.rating.types import Charge, EventCost
from cgr_cluster.resources.process import allocate as allocate_resources
from cgr_cluster.resources.process import authorize as authorize_resources
from cgr_cluster.resources.process import release as release_resources
from cgr_cluster.routes.answers import routes_json
from cgr_cluster.routes.settings import EVENT_COST
from cgr_cluster.rpc.errors import ApiError, partially_executed
from cgr_cluster.rpc.owners import ANY, EVENT
from cgr_cluster.rpc.registry import method
from cgr_cluster.sessions import parts
from cgr_cluster.sessions.api_life import (
    answered_once,
    continue_session,
    end_request,
    max_usages,
    process_cdr_of,
    rals_error,
)
from cgr_cluster.sessions.api_stir import authenticate_event, identify_event
from cgr_cluster.sessions.build import describe
from cgr_cluster.sessions.charging import smallest
from cgr_cluster.sessions.flags import Flags
from cgr_cluster.sessions.life import (
    charging_runs,
    end_session,
    initiate_session,
    interval_of,
    make_session,
)
from cgr_cluster.sessions.params import EventArgs, event_of
from cgr_cluster.sessions.reading import optional_duration, read_usage, text_field, time_field
from cgr_cluster.sessions.settings import session_settings
from cgr_cluster.sessions.steps import ABSENT, EXISTS, Reply

RAW = "*raw"
DERIVED = "*derived_reply"


@method("SessionSv1.ProcessEvent", owner=EVENT, changes=True)
def process_event(op: Operation, params: EventArgs) -> Steps[dict[str, Any]]:
    event = event_of(op, params)
    return (yield from answered_once(op, "ProcessEvent", params, event, _processed(op, params, event)))


def _processed(op: Operation, params: EventArgs, event: CGREvent) -> Steps[dict[str, Any]]:
    flags = Flags(params.Flags)
    blocker = flags.on("*blocker_error")
    answer: dict[str, Any] = {}
    failed = False
    runs: list[ChargingRun] = (yield from charging_runs(op, event)) if flags.on("*chargers") else []
    altered = yield from _attributes(op, event, runs, flags)
    if flags.on("*routes"):
        answer["RouteProfiles"] = yield from _routes(op, event, runs, flags, params)
    if flags.on("*thresholds"):
        failed = yield from _inform(op, event, runs, flags, _THRESHOLDS, answer)
    if flags.on("*stats"):
        failed = (yield from _inform(op, event, runs, flags, _STATS, answer)) or failed
    yield from _stir(op, event, runs, flags, answer)
    if flags.on("*resources"):
        failed = (yield from _resources(op, event, runs, flags, answer)) or failed
    if flags.on("*ips"):
        failed = (yield from _ips(op, event, runs, flags, answer)) or failed
    if flags.on("*rals"):
        if flags.has("*rals", "*cost"):
            answer["Cost"] = _costs(op, event, runs, flags.has("*rals", DERIVED))
        yield from _charge(op, event, flags, answer)
    if flags.on("*cdrs"):
        try:
            yield from process_cdr_of(op, event, flags.subs("*cdrs"))
        except ApiError as error:
            if error.text == "NOT_CONNECTED: CDRs":
                raise
            if blocker:
                raise ApiError(f"CDRS_ERROR:{error.text}") from error
            failed = True
    if failed:
        raise partially_executed()
    if flags.on("*attributes"):  # last: what the parts have written into the events shows up
        answer["Attributes"] = {run_id: processed_json(processed, each) for run_id, processed, each in altered}
    return answer


def _attributes(
    op: Operation, event: CGREvent, runs: list[ChargingRun], flags: Flags
) -> Steps[list[tuple[str, Processed, CGREvent]]]:
    """`*attributes`: alter the event, with `*derived_reply` its runs too. What was altered, by run id."""
    out: list[tuple[str, Processed, CGREvent]] = []
    if not flags.on("*attributes"):
        return out
    for run_id, each in _events(event, runs, flags, "*attributes"):
        processed = yield from parts.attributes(op, each, flags.values("*attributes", "*ids"))
        if processed is not None:
            out.append((run_id, processed, each))
    return out


def _events(event: CGREvent, runs: list[ChargingRun], flags: Flags, main: str) -> list[tuple[str, CGREvent]]:
    """The event, with `*derived_reply` its runs too, by run id."""
    events = [(RAW, event)]
    if flags.has(main, DERIVED):
        events += [(text_field(run.event.event, "RunID"), run.event) for run in runs]
    return events


def _routes(
    op: Operation, event: CGREvent, runs: list[ChargingRun], flags: Flags, params: EventArgs
) -> Steps[dict[str, Any]]:
    """`*routes`: those of the event, with `*derived_reply` of its runs too. Raises `ROUTES_ERROR:...`."""
    max_cost = EVENT_COST if flags.has("*routes", EVENT_COST) else next(iter(flags.values("*routes", "*maxcost")), "")
    ignore_errors = flags.has("*routes", "*ignore_errors")
    found: dict[str, Any] = {}
    for run_id, each in _events(event, runs, flags, "*routes"):
        sorted_routes = yield from parts.routes(op, each, max_cost, ignore_errors, params.Limit, params.Offset)
        found[run_id] = routes_json(sorted_routes)
    return found


class _Informed(NamedTuple):
    """Who is told of an event: by which flag, with which error and answer."""

    flag: str
    part: str
    error: str
    answer: str
    process: Callable[[Operation, CGREvent, list[str]], Steps[list[str]]]


_THRESHOLDS = _Informed("*thresholds", "thresholds", "THRESHOLDS_ERROR", "ThresholdIDs", parts.thresholds)
_STATS = _Informed("*stats", "statistics", "STATS_ERROR", "StatQueueIDs", parts.stats)


def _inform(
    op: Operation, event: CGREvent, runs: list[ChargingRun], flags: Flags, whom: _Informed, answer: dict[str, Any]
) -> Steps[bool]:
    """`*thresholds` and `*stats`: answers whether one of the events has failed. Raises `THRESHOLDS_ERROR:...` and
    `STATS_ERROR:...` with `*blocker_error`."""
    failed = False
    found: dict[str, list[str] | None] = {}
    for run_id, each in _events(event, runs, flags, whom.flag):
        try:
            found[run_id] = yield from whom.process(op, each, flags.values(whom.flag, "*ids"))
        except ApiError as error:
            if flags.on("*blocker_error"):
                raise ApiError(f"{whom.error}:{error.text}") from error
            failed = parts.part_failed(whom.part, each, error)
            found[run_id] = None
    answer[whom.answer] = found
    return failed


_RESOURCES: dict[str, parts.Work] = {
    "*authorize": authorize_resources,
    "*allocate": allocate_resources,
    "*release": release_resources,
}


def _resources(
    op: Operation, event: CGREvent, runs: list[ChargingRun], flags: Flags, answer: dict[str, Any]
) -> Steps[bool]:
    """`*resources`: always with the event itself, also for its runs. Answers whether that has failed. Raises
    `RESOURCES_ERROR:...` with `*blocker_error`."""
    failed = False
    messages: dict[str, str] = {}
    work = _RESOURCES.get(flags.first("*resources", tuple(_RESOURCES)) or "")
    if work is not None:
        for run_id, _ in _events(event, runs, flags, "*resources"):
            parts.for_one_unit(op, event)
            try:
                messages[run_id] = yield from work(op, event)
            except ApiError as error:
                if flags.on("*blocker_error"):
                    raise ApiError(f"RESOURCES_ERROR:{error.text}") from error
                failed = parts.part_failed("resources", event, error)
    answer["ResourceAllocation"] = messages
    return failed


_ADDRESSES: dict[str, parts.AddressWork] = {
    "*authorize": ip_process.authorize,
    "*allocate": ip_process.allocate,
    "*release": ip_process.release,
}


def _ips(op: Operation, event: CGREvent, runs: list[ChargingRun], flags: Flags, answer: dict[str, Any]) -> Steps[bool]:
    """`*ips`: as `_resources`. A release answers no address. Raises `IPS_ERROR:...` with `*blocker_error`."""
    failed = False
    addresses: dict[str, Any] = {}
    work = _ADDRESSES.get(flags.first("*ips", tuple(_ADDRESSES)) or "")
    if work is not None:
        for run_id, _ in _events(event, runs, flags, "*ips"):
            parts.for_address(op, event)
            try:
                found = yield from work(op, event)
            except ApiError as error:
                if flags.on("*blocker_error"):
                    raise ApiError(f"IPS_ERROR:{error.text}") from error
                failed = parts.part_failed("addresses", event, error)
                continue
            if work is not ip_process.release:
                addresses[run_id] = found
    answer["AllocatedIP"] = addresses
    return failed


def _stir(op: Operation, event: CGREvent, runs: list[ChargingRun], flags: Flags, answer: dict[str, Any]) -> Steps[None]:
    """`*stir_authenticate`, else `*stir_initiate` (30.15)."""
    if flags.on("*stir_authenticate"):
        yield from authenticate_event(op, event)
        if flags.has("*stir_authenticate", DERIVED):
            for run in runs:
                yield from authenticate_event(op, run.event)
    elif flags.on("*stir_initiate"):
        identities = {RAW: (yield from identify_event(op, event))}
        if flags.has("*stir_initiate", DERIVED):
            for run in runs:
                identities[text_field(run.event.event, "RunID")] = yield from identify_event(op, run.event)
        answer["STIRIdentity"] = identities


def _costs(op: Operation, event: CGREvent, runs: list[ChargingRun], derived: bool) -> dict[str, int | float]:
    """`*rals:*cost`: prices without account, of the event and, when asked, of its runs. Errors bare."""
    costs = {RAW: money(cost_nano(price(op, event)))}
    if derived:
        for run in runs:
            costs[text_field(run.event.event, "RunID")] = money(cost_nano(price(op, run.event)))
    return costs


def price(op: Operation, event: CGREvent) -> EventCost:
    """The cost of an event, nothing being charged; a usage of 0 or none costs nothing."""
    settings = session_settings(op.generation)
    fields = event.event
    zone = settings.zone
    start = time_field(fields, "AnswerTime", op.now_ns, zone) or time_field(fields, "SetupTime", op.now_ns, zone)
    usage = optional_duration(fields, "Usage") or 0
    if usage == 0:
        return EventCost(event.id, text_field(fields, "RunID"), start, [Charge("")])
    descriptor = describe(event.tenant, fields, event.id, settings, start, usage)
    return event_cost_of(call_cost(op.generation, descriptor), event.id, text_field(fields, "RunID"))


def _charge(op: Operation, event: CGREvent, flags: Flags, answer: dict[str, Any]) -> Steps[None]:
    """The first of authorize, initiate, update and terminate."""
    what = flags.first("*rals", ("*authorize", "*initiate", "*update", "*terminate"))
    force = flags.has("*rals", "*fd")
    if what == "*authorize":
        granted = yield from max_usages(op, event)
    elif what == "*initiate":
        granted = yield from _initiate(op, event, force)
    elif what == "*update":
        granted = yield from continue_session(op, event, force)
    elif what == "*terminate":
        yield from _terminate(op, event, force)
        return
    else:
        return
    usages = {RAW: smallest([grant for _, grant in granted])}
    if flags.has("*rals", DERIVED):
        for run_id, grant in granted:
            if run_id != RAW or len(granted) == 1:
                usages[run_id] = grant
    answer["MaxUsage"] = usages


def _initiate(op: Operation, event: CGREvent, force: bool) -> Steps[list[tuple[str, int]]]:
    """As InitiateSession, but with automatic debit the default usage of the ToR is answered."""
    interval = interval_of(op, event)
    settings = session_settings(op.generation)
    session = yield from make_session(op, event, force, interval)
    reply: Reply = yield from initiate_session(op, session, read_usage(event.event, settings, creating=True))
    if reply.kind == EXISTS:
        raise ApiError("EXISTS")
    if reply.error:
        raise rals_error(reply.error)
    if session.debits_by_itself:
        default = settings.usage_of_tor(text_field(event.event, "ToR"))
        return [(run_id, default) for run_id, _ in reply.granted]
    return reply.granted


def _terminate(op: Operation, event: CGREvent, force: bool) -> Steps[None]:
    """As TerminateSession, but an unknown session is made, updated and ended; a refused debit leaves it listed."""
    interval = interval_of(op, event)
    request = end_request(op, event, alter=False)
    reply: Reply = yield from end_session(op, event, request)
    if reply.kind == ABSENT:
        session = yield from make_session(op, event, force, interval)
        session.debit_interval_ns = 0
        usage = read_usage(event.event, session_settings(op.generation), creating=True)
        made: Reply = yield from initiate_session(op, session, usage)
        if made.error:
            raise ApiError(made.error)
        reply = yield from end_session(op, event, request)
    if reply.error:
        raise rals_error(reply.error)


@method("SessionSv1.GetCost", owner=ANY)
def get_cost(op: Operation, params: EventArgs) -> Steps[dict[str, Any]]:
    event = event_of(op, params)
    flags = Flags(params.Flags)
    altered: Processed | None = None
    if flags.on("*attributes"):
        altered = yield from parts.attributes(op, event, flags.values("*attributes", "*ids"))
    cost = event_cost_json(price(op, event))
    return {"Attributes": None if altered is None else processed_json(altered, event), "EventCost": cost}
