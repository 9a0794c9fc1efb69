"""Flags of a reader become calls of SessionS (spec 40 §9, 80 §1.4). Pure."""

from __future__ import annotations

from typing import Any

from cgr_cluster.events.times import format_instant, in_zone
from cgr_cluster.events.values import int_of
from cgr_cluster.readers.types import ReaderEvent
from cgr_cluster.rpc.errors import ApiError
from cgr_cluster.sessions.flags import Flags

DRY_RUN = "*dryrun"
MESSAGE = "*message"
EVENT = "*event"
CDRS = "*cdrs"
NONE = "*none"
ACTIONS = (DRY_RUN, "*authorize", "*initiate", "*update", "*terminate", MESSAGE, CDRS, EVENT, NONE)
METHODS = {
    "*authorize": "SessionSv1.AuthorizeEvent",
    "*initiate": "SessionSv1.InitiateSession",
    "*update": "SessionSv1.UpdateSession",
    "*terminate": "SessionSv1.TerminateSession",
    MESSAGE: "SessionSv1.ProcessMessage",
    EVENT: "SessionSv1.ProcessEvent",
}
_ACCOUNTS = {
    "*authorize": "GetMaxUsage", "*initiate": "InitSession", "*update": "UpdateSession",
    "*terminate": "TerminateSession", MESSAGE: "Debit",
}  # fmt: skip
_RESOURCES = {
    "*authorize": "AuthorizeResources", "*initiate": "AllocateResources", "*terminate": "ReleaseResources",
    MESSAGE: "AllocateResources",
}  # fmt: skip
_IPS = {"*authorize": "AuthorizeIP", "*initiate": "AllocateIP", "*terminate": "ReleaseIP", MESSAGE: "AllocateIP"}
_ROUTES = ("*authorize", MESSAGE)


def action_of(flags: Flags) -> str:
    """What is to be done with an event. Raises `unsupported reqType: <>`."""
    for action in ACTIONS:
        if flags.present(action):
            return action
    raise ApiError("unsupported reqType: <>")


def event_params(event: ReaderEvent) -> dict[str, Any]:
    """The event as parameters of any method that takes one."""
    return {
        "Tenant": event.tenant,
        "ID": event.id,
        "Time": format_instant(in_zone(event.at_ns, "UTC")),
        "Event": event.event,
        "APIOpts": event.opts,
    }


def call_params(action: str, flags: Flags, texts: tuple[str, ...], event: ReaderEvent) -> dict[str, Any]:
    """Parameters of the method of `action` (METHODS). Raises ApiError where a paging option is no number."""
    params = event_params(event)
    if action == EVENT:
        return {**params, "Flags": list(texts), **_page(event)}
    params["ForceDuration"] = flags.present("*fd")
    params[_ACCOUNTS[action]] = flags.present("*accounts")
    if action in _RESOURCES:
        params[_RESOURCES[action]] = flags.on("*resources")
    if action in _IPS:
        params[_IPS[action]] = flags.on("*ips")
    if action != "*terminate":
        params["GetAttributes"] = flags.on("*attributes")
        params["AttributeIDs"] = flags.values("*attributes", "*ids")
    params["ProcessThresholds"] = flags.on("*thresholds")
    params["ThresholdIDs"] = flags.values("*thresholds", "*ids")
    params["ProcessStats"] = flags.on("*stats")
    params["StatIDs"] = flags.values("*stats", "*ids")
    if action in _ROUTES:
        params["GetRoutes"] = flags.on("*routes")
        params["RoutesIgnoreErrors"] = flags.present("*routes_ignore_errors")
        event_cost = "*event_cost" if flags.present("*routes_event_cost") else ""
        params["RoutesMaxCost"] = event_cost or next(iter(flags.subs("*routes_maxcost")), "")
        params.update(_page(event))
    return params


def _page(event: ReaderEvent) -> dict[str, int]:
    """Options that page routes."""
    names = {"*routesLimit": "Limit", "*routesOffset": "Offset"}
    return {name: int_of(event.opts[option]) for option, name in names.items() if event.opts.get(option)}


def ids_of(flags: Flags, flag: str) -> list[str]:
    """`*ersStats:ID1&ID2`."""
    return [name for sub in flags.subs(flag) for name in sub.split("&") if name]
