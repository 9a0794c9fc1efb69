"""Methods that price without an account (spec 10 §7.1, §8.3)."""

from __future__ import annotations

from typing import Any

from cgr_cluster.engine.domain import Part
from cgr_cluster.events.durations import parse_duration
from cgr_cluster.events.instant import ZERO, Instant
from cgr_cluster.events.times import parse_time
from cgr_cluster.rating.answers import Json, call_cost_json, data_cost_json, event_cost_json, money
from cgr_cluster.rating.call_cost import TEMPORARY, call_cost, cost_of_usage, cost_on_plan
from cgr_cluster.rating.event_cost import event_cost_of
from cgr_cluster.rating.lookup import UNAUTHORIZED_DESTINATION
from cgr_cluster.rating.params import CallDescriptorParams, descriptor_of
from cgr_cluster.rating.types import CallCost, CallDescriptor
from cgr_cluster.rpc.errors import ApiError, require, server_error
from cgr_cluster.rpc.registry import Params, method, service

service("Responder")
service("RALsV1")


class AttrGetCost(Params, go="v1.AttrGetCost"):
    Tenant: str = ""
    Category: str = ""
    Subject: str = ""
    AnswerTime: str = ""
    Destination: str = ""
    Usage: str = ""
    APIOpts: dict[str, Any] | None = None


class AttrGetDataCost(Params, go="v1.AttrGetDataCost"):
    Tenant: str = ""
    Category: str = ""
    Subject: str = ""
    AnswerTime: str = ""
    Usage: int = 0
    Opts: dict[str, Any] | None = None


class GetCostOnRatingPlansArgs(Params, go="utils.GetCostOnRatingPlansArgs"):
    Account: str = ""
    Subject: str = ""
    Destination: str = ""
    Tenant: str = ""
    SetupTime: Instant = ZERO
    Usage: int = 0
    RatingPlanIDs: list[str] | None = None
    APIOpts: dict[str, Any] | None = None


class RatingPlanCostArg(Params, go="utils.RatingPlanCostArg"):
    RatingPlanIDs: list[str] = []
    Destination: str = ""
    SetupTime: str = ""
    Usage: str = ""
    APIOpts: dict[str, Any] | None = None


@method("APIerSv1.GetCost")
def get_cost(part: Part, params: AttrGetCost) -> Json:
    """The EventCost of a call without an account. Errors of texts are plain, those of rating `SERVER_ERROR: ...`."""
    return event_cost_json(event_cost_of(_call_cost(part, cost_request(part, params))))


def cost_request(part: Part, params: AttrGetCost) -> CallDescriptor:
    """What GetCost rates. Raises ApiError `NOT_CONNECTED: RALs`, and those of wrong texts."""
    _check_connected(part)
    usage_ns = parse_duration(params.Usage)
    start = _time(part, params.AnswerTime)
    return CallDescriptor(
        params.Tenant,
        params.Category,
        params.Subject,
        destination=params.Destination,
        time_start=start,
        time_end=start.plus(usage_ns),
        duration_index_ns=usage_ns,
    )


@method("APIerSv1.GetDataCost")
def get_data_cost(part: Part, params: AttrGetDataCost) -> Json:
    """The DataCost of an amount of data."""
    _check_connected(part)
    start = _time(part, params.AnswerTime)
    descriptor = CallDescriptor(
        params.Tenant,
        params.Category,
        params.Subject,
        tor="*data",
        time_start=start,
        time_end=start.plus(params.Usage),
        duration_index_ns=params.Usage,
    )
    return data_cost_json(_call_cost(part, descriptor))


@method("Responder.GetCost")
def responder_get_cost(part: Part, params: CallDescriptorParams) -> Json:
    """The CallCost of a descriptor."""
    return call_cost_json(call_cost(part.generation, descriptor_of(params)))


@method("Responder.GetCostOnRatingPlans")
def get_cost_on_rating_plans(part: Part, params: GetCostOnRatingPlansArgs) -> Json:
    """The cost with the first plan of the list. An error of that plan is the answer: the others are never tried."""
    if not params.RatingPlanIDs:
        return {}
    plan_id = params.RatingPlanIDs[0]
    cost = cost_of_usage(
        part.generation,
        params.Tenant,
        params.Account,
        params.Subject,
        params.Destination,
        params.SetupTime,
        params.Usage,
        plan_id,
    )
    return {"Cost": money(cost.cost_nano), "RatingPlanID": plan_id}


@method("RALsV1.GetRatingPlansCost")
def get_rating_plans_cost(part: Part, params: RatingPlanCostArg) -> Json:
    """The EventCost of a call of the default tenant with the first plan of the list that has rates for it; without any,
    an empty one."""
    require(params, "RatingPlanIDs", "Destination", "SetupTime", "Usage")
    start = _time(part, params.SetupTime)
    usage_ns = parse_duration(params.Usage)
    descriptor = CallDescriptor(
        category=TEMPORARY,
        destination=params.Destination,
        time_start=start,
        time_end=start.plus(usage_ns),
        duration_index_ns=usage_ns,
    )
    for plan_id in params.RatingPlanIDs:
        try:
            cost = cost_on_plan(part.generation, descriptor, plan_id)
        except ApiError as error:
            if error.text != UNAUTHORIZED_DESTINATION:
                raise
        else:
            return {"EventCost": event_cost_json(event_cost_of(cost)), "RatingPlanID": plan_id}
    return {"EventCost": None, "RatingPlanID": ""}


def _check_connected(part: Part) -> None:
    if not part.generation.config("rals").get("enabled", False):
        raise ApiError("NOT_CONNECTED: RALs")


def _time(part: Part, text: str) -> Instant:
    zone = str(part.generation.config("general").get("default_timezone", "Local"))
    return parse_time(text, part.now_ns, zone)


def _call_cost(part: Part, descriptor: CallDescriptor) -> CallCost:
    try:
        return call_cost(part.generation, descriptor)
    except ApiError as error:
        raise server_error(error) from None
