"""Methods on live rating data: destinations, timings, rating plans and profiles, shared groups (spec chapter 10 §8)."""

from __future__ import annotations

from typing import Any

from cgr_cluster.accounts.joining import group_owner
from cgr_cluster.accounts.types import SharedGroupMembers
from cgr_cluster.caches.items import note, note_object, noted
from cgr_cluster.engine.domain import Operation, Part, Steps, step
from cgr_cluster.events.times import format_instant, parse_time
from cgr_cluster.filters.timings import active_at
from cgr_cluster.rating.answers import number, slots_json
from cgr_cluster.rating.reference import (
    Activation,
    Destination,
    RatingPlan,
    RatingProfile,
    SharedGroup,
    StoredTiming,
)
from cgr_cluster.rating.types import Rating, Timing
from cgr_cluster.rpc.errors import ApiError, missing, not_found, require
from cgr_cluster.rpc.owners import LEADER_RULE
from cgr_cluster.rpc.registry import Params, method
from cgr_cluster.tariffs.loading import fallback_keys, profile_id
from cgr_cluster.tariffs.paging import page_or_not_found
from cgr_cluster.tariffs.tp_types import RatingActivation


def zone_of(part: Part | Operation) -> str:
    return str(part.generation.config("general").get("default_timezone", ""))


# --- destinations (8.1) ------------------------------------------------------------------------------------------


class AttrSetDestination(Params, go="utils.AttrSetDestination"):
    Id: str = ""
    Prefixes: list[str] = []
    Overwrite: bool = False


class AttrRemoveDestination(Params, go="v1.AttrRemoveDestination"):
    DestinationIDs: list[str] = []
    Prefixes: list[str] = []


class AttrGetDestinations(Params, go="v2.AttrGetDestinations"):
    DestinationIDs: list[str] = []


def _destination_json(destination: Destination) -> dict[str, Any]:
    return {"Id": destination.id, "Prefixes": list(destination.prefixes)}


@method("APIerSv1.SetDestination", owner=LEADER_RULE, changes=True)
def set_destination(part: Part, params: AttrSetDestination) -> str:
    require(params, "Id", "Prefixes")
    if not params.Overwrite and part.generation.get("destination", params.Id) is not None:
        raise ApiError("EXISTS")
    part.set_reference("destination", params.Id, Destination(params.Id, tuple(params.Prefixes)))
    return "OK"


@method("APIerSv1.GetDestination")
def get_destination(part: Part, params: str) -> Any:
    found: Destination | None = part.generation.get("destination", params)
    if found is None:
        raise not_found()
    note_object(part, "destination", params)
    return _destination_json(found)


@method("APIerSv2.GetDestinations")
def get_destinations(part: Part, params: AttrGetDestinations) -> Any:
    names = params.DestinationIDs or sorted(part.generation.keys("destination"))
    return [get_destination(part, name) for name in names]


@method("APIerSv1.RemoveDestination", owner=LEADER_RULE, changes=True)
def remove_destination(part: Part, params: AttrRemoveDestination) -> str:
    gone = set(params.Prefixes)
    for name in params.DestinationIDs:
        found: Destination | None = part.generation.get("destination", name)
        if found is None:
            raise not_found()
        kept = tuple(prefix for prefix in found.prefixes if prefix not in gone) if gone else ()
        if kept:
            part.set_reference("destination", name, Destination(name, kept))
        else:
            part.remove_reference("destination", name)
    return "OK"


@method("APIerSv1.GetReverseDestination")
def get_reverse_destination(part: Part, params: str) -> Any:
    if not params:
        raise missing(["prefix"])
    found = part.generation.destinations_of(params)
    if not found:
        raise not_found()
    note(part, "*reverse_destinations", params)
    return list(found)


@method("APIerSv1.ComputeReverseDestinations")
def compute_reverse_destinations(part: Part, params: str) -> str:
    """The index is a part of every generation: there is nothing to rebuild."""
    return "OK"


# --- timings (8.2) -----------------------------------------------------------------------------------------------


class TPTimingWithAPIOpts(Params, go="utils.TPTimingWithAPIOpts"):
    Tenant: str = ""
    ID: str = ""
    Years: list[int] = []
    Months: list[int] = []
    MonthDays: list[int] = []
    WeekDays: list[int] = []
    StartTime: str = ""
    EndTime: str = ""
    APIOpts: dict[str, Any] = {}


class ArgsGetTimingID(Params, go="utils.ArgsGetTimingID"):
    ID: str = ""


class TimeParams(Params, go="v1.TimeParams"):
    TimingID: str = ""
    Time: str = ""


def timing_json(timing: Timing) -> dict[str, Any]:
    return {
        "ID": timing.id,
        "Years": list(timing.years),
        "Months": list(timing.months),
        "MonthDays": list(timing.month_days),
        "WeekDays": list(timing.week_days),
        "StartTime": timing.start_time,
        "EndTime": timing.end_time,
    }


@method("APIerSv1.SetTiming", owner=LEADER_RULE, changes=True)
def set_timing(part: Part, params: TPTimingWithAPIOpts) -> str:
    require(params, "ID")
    timing = Timing(
        params.ID, tuple(params.Years), tuple(params.Months), tuple(params.MonthDays), tuple(params.WeekDays),
        params.StartTime, params.EndTime,
    )  # fmt: skip
    part.set_reference("timing", params.ID, StoredTiming(timing))
    return "OK"


def _timing(part: Part, name: str) -> Timing:
    found: StoredTiming | None = part.generation.get("timing", name)
    if found is None:
        raise not_found()
    return found.timing


@method("APIerSv1.GetTiming")
def get_timing(part: Part, params: ArgsGetTimingID) -> Any:
    require(params, "ID")
    found = _timing(part, params.ID)
    note_object(part, "timing", params.ID)
    return timing_json(found)


@method("APIerSv1.RemoveTiming", owner=LEADER_RULE, changes=True)
def remove_timing(part: Part, params: TPTimingWithAPIOpts) -> str:
    require(params, "ID")
    part.remove_reference("timing", params.ID)
    return "OK"


@method("APIerSv1.TimingIsActiveAt")
def timing_is_active_at(part: Part, params: TimeParams) -> bool:
    timing = _timing(part, params.TimingID)
    return active_at(timing, parse_time(params.Time, part.now_ns, zone_of(part)))


# --- rating plans (8.3) ------------------------------------------------------------------------------------------


class PaginatorWithTenant(Params, go="utils.PaginatorWithTenant"):
    Tenant: str = ""
    Search: str = ""
    Limit: int | None = None
    Offset: int | None = None


def _rating_json(rating: Rating) -> dict[str, Any]:
    return {
        "ConnectFee": number(rating.connect_fee),
        "RoundingMethod": rating.rounding_method,
        "RoundingDecimals": rating.rounding_decimals,
        "MaxCost": number(rating.max_cost),
        "MaxCostStrategy": rating.max_cost_strategy,
        "Rates": slots_json(rating.slots),
    }


@method("APIerSv1.GetRatingPlan")
def get_rating_plan(part: Part, params: str) -> Any:
    plan: RatingPlan | None = part.generation.get("rating_plan", params)
    if plan is None:
        raise not_found()
    note_object(part, "rating_plan", params)
    return {
        "Id": plan.id,
        "Timings": {key: timing_json(timing) for key, timing in plan.timings.items()},
        "Ratings": {key: _rating_json(rating) for key, rating in plan.ratings.items()},
        "DestinationRates": {
            name: [{"Timing": b.timing, "Rating": b.rating, "Weight": number(b.weight)} for b in bindings]
            for name, bindings in plan.bindings.items()
        },
    }


@method("APIerSv1.GetRatingPlanIDs")
def get_rating_plan_ids(part: Part, params: PaginatorWithTenant) -> list[str] | None:
    return page_or_not_found(part.generation.keys("rating_plan"), params.Search, params.Limit, params.Offset)


@method("APIerSv1.RemoveRatingPlan", owner=LEADER_RULE, changes=True)
def remove_rating_plan(part: Part, params: str) -> str:
    if not params:
        raise missing(["ID"])
    part.remove_reference("rating_plan", params)
    return "OK"


# --- rating profiles (8.3) ---------------------------------------------------------------------------------------


class AttrSetRatingProfile(Params, go="utils.AttrSetRatingProfile"):
    Tenant: str = ""
    Category: str = ""
    Subject: str = ""
    Overwrite: bool = False
    RatingPlanActivations: list[RatingActivation] = []
    APIOpts: dict[str, Any] = {}


class AttrGetRatingProfile(Params, go="utils.AttrGetRatingProfile"):
    Tenant: str = ""
    Category: str = ""
    Subject: str = ""


class AttrRemoveRatingProfile(Params, go="v1.AttrRemoveRatingProfile"):
    Tenant: str = ""
    Category: str = ""
    Subject: str = ""
    APIOpts: dict[str, Any] = {}


@method("APIerSv1.SetRatingProfile", owner=LEADER_RULE, changes=True)
def set_rating_profile(part: Part, params: AttrSetRatingProfile) -> str:
    require(params, "Subject", "RatingPlanActivations")
    for row in params.RatingPlanActivations:
        absent = [name for name in ("ActivationTime", "RatingPlanId") if not getattr(row, name)]
        if absent:
            raise ApiError(f"MANDATORY_IE_MISSING:RatingPlanActivation:[{' '.join(absent)}]")
    tenant = part.tenant(params.Tenant)
    key = profile_id(tenant, params.Category, params.Subject)
    existing: RatingProfile | None = None if params.Overwrite else part.generation.get("rating_profile", key)
    activations = list(existing.activations) if existing is not None else []
    for row in params.RatingPlanActivations:
        try:
            at = parse_time(row.ActivationTime, part.now_ns, zone_of(part))
        except ApiError:
            raise ApiError(f"SERVER_ERROR:Cannot parse activation time from {row.ActivationTime}") from None
        if part.generation.get("rating_plan", row.RatingPlanId) is None:
            raise ApiError(f"NOT_FOUND:RatingPlanId:{row.RatingPlanId}")
        keys = fallback_keys(tenant, params.Category, row.FallbackSubjects)
        activations.append(Activation(at, row.RatingPlanId, keys))
    part.set_reference("rating_profile", key, RatingProfile(key, tuple(activations)))
    return "OK"


@method("APIerSv1.GetRatingProfile")
def get_rating_profile(part: Part, params: AttrGetRatingProfile) -> Any:
    require(params, "Category", "Subject")
    key = profile_id(part.tenant(params.Tenant), params.Category, params.Subject)
    profile: RatingProfile | None = part.generation.get("rating_profile", key)
    if profile is None:
        raise not_found()
    note_object(part, "rating_profile", key)
    return {
        "Id": profile.id,
        "RatingPlanActivations": [
            {
                "ActivationTime": format_instant(activation.activation_time),
                "RatingPlanId": activation.rating_plan_id,
                "FallbackKeys": list(activation.fallback_keys) or None,
            }
            for activation in profile.activations
        ],
    }


@method("APIerSv1.GetRatingProfileIDs")
def get_rating_profile_ids(part: Part, params: PaginatorWithTenant) -> list[str] | None:
    prefix = profile_id(part.tenant(params.Tenant), "", "")[:-1]
    names = [key[len(prefix) :] for key in part.generation.keys("rating_profile") if key.startswith(prefix)]
    return page_or_not_found(names, params.Search, params.Limit, params.Offset)


@method("APIerSv1.RemoveRatingProfile", owner=LEADER_RULE, changes=True)
def remove_rating_profile(part: Part, params: AttrRemoveRatingProfile) -> str:
    if params.Subject and not params.Category:
        raise ApiError("MANDATORY_IE_MISSING")
    part.remove_reference("rating_profile", profile_id(part.tenant(params.Tenant), params.Category, params.Subject))
    return "OK"


# --- shared groups -----------------------------------------------------------------------------------------------


@step("tariffs.group_members", reads=True)
def group_members(part: Part, group_id: str) -> list[str]:
    found = part.read(SharedGroupMembers, group_id)
    return [] if found is None else found.members


@method("APIerSv1.GetSharedGroup")
def get_shared_group(op: Operation, params: str) -> Steps[Any]:
    group: SharedGroup | None = op.generation.get("shared_group", params)
    if group is None:
        return {"Id": "", "AccountParameters": None, "MemberIds": None}
    yield from noted(op, "shared_group", params)
    members = yield group_members.at(group_owner(params), params)
    return {
        "Id": group.id,
        "AccountParameters": {
            account: {"Strategy": parameters.strategy, "RatingSubject": parameters.rating_subject}
            for account, parameters in group.account_parameters.items()
        },
        "MemberIds": dict.fromkeys(members, True) or None,
    }
