"""ChargerSv1, and the methods on charger profiles (spec 30.10)."""

from __future__ import annotations

from typing import Any

import msgspec

from cgr_cluster.chargers.runs import charge_runs, matching_chargers
from cgr_cluster.chargers.types import ChargerProfile
from cgr_cluster.engine.domain import Operation, Part, Steps
from cgr_cluster.events.event import CGREvent
from cgr_cluster.events.instant import ZERO, Instant
from cgr_cluster.events.times import format_instant
from cgr_cluster.filters.lists import check_references
from cgr_cluster.filters.live import with_live
from cgr_cluster.filters.types import ActivationInterval
from cgr_cluster.rpc.errors import ApiError, missing, not_found, require, server_error
from cgr_cluster.rpc.owners import ANY, LEADER_RULE
from cgr_cluster.rpc.registry import Params, method, service

service("ChargerSv1")
service("APIerSv1")


class Interval(msgspec.Struct, gc=False):
    """An activation interval as the API spells it."""

    ActivationTime: Instant | None = None
    ExpiryTime: Instant | None = None


class Charger(Params, go="v1.ChargerWithAPIOpts"):
    Tenant: str = ""
    ID: str = ""
    FilterIDs: list[str] | None = None
    ActivationInterval: Interval | None = None
    RunID: str = ""
    AttributeIDs: list[str] | None = None
    Weight: float = 0.0


class TenantID(Params, go="utils.TenantID"):
    Tenant: str = ""
    ID: str = ""


class TenantIDWithOpts(Params, go="utils.TenantIDWithAPIOpts"):
    Tenant: str = ""
    ID: str = ""


class Paginator(Params, go="utils.PaginatorWithTenant"):
    Tenant: str = ""
    Limit: int | None = None
    Offset: int | None = None
    Search: str = ""


class EventParams(Params, go="utils.CGREvent"):
    Tenant: str = ""
    ID: str = ""
    Time: Instant | None = None
    Event: dict[str, Any] | None = None
    APIOpts: dict[str, Any] | None = None


# --- profiles ----------------------------------------------------------------------------------------------------


@method("APIerSv1.SetChargerProfile", owner=LEADER_RULE, changes=True)
def set_charger_profile(part: Part, params: Charger) -> str:
    require(params, "ID")
    tenant = part.tenant(params.Tenant)
    filter_ids = tuple(params.FilterIDs or ())
    try:
        check_references(part.generation, tenant, params.ID, filter_ids)
    except ApiError as error:
        raise server_error(error) from error
    interval = params.ActivationInterval
    profile = ChargerProfile(
        tenant,
        params.ID,
        filter_ids,
        None if interval is None else ActivationInterval(interval.ActivationTime or ZERO, interval.ExpiryTime or ZERO),
        params.RunID,
        tuple(params.AttributeIDs or ()),
        params.Weight,
    )
    part.set_reference("charger", f"{tenant}:{params.ID}", profile)
    return "OK"


@method("APIerSv1.GetChargerProfile", owner=ANY)
def get_charger_profile(part: Part, params: TenantID) -> dict[str, Any]:
    require(params, "ID")
    profile = part.generation.get("charger", f"{part.tenant(params.Tenant)}:{params.ID}")
    if profile is None:
        raise not_found()
    return profile_json(profile)


@method("APIerSv1.GetChargerProfileIDs", owner=ANY)
def get_charger_profile_ids(part: Part, params: Paginator) -> list[str] | None:
    prefix = f"{part.tenant(params.Tenant)}:"
    ids = sorted(
        key.removeprefix(prefix)
        for key in part.generation.keys("charger")
        if key.startswith(prefix) and params.Search in key.removeprefix(prefix)
    )
    if not ids:
        raise not_found()
    offset = params.Offset or 0
    if offset >= len(ids):
        return None
    return ids[offset : offset + params.Limit] if params.Limit else ids[offset:]


@method("APIerSv1.RemoveChargerProfile", owner=LEADER_RULE, changes=True)
def remove_charger_profile(part: Part, params: TenantIDWithOpts) -> str:
    require(params, "ID")
    key = f"{part.tenant(params.Tenant)}:{params.ID}"
    if part.generation.get("charger", key) is None:
        raise not_found()
    part.remove_reference("charger", key)
    return "OK"


def profile_json(profile: ChargerProfile) -> dict[str, Any]:
    interval = profile.activation_interval
    return {
        "Tenant": profile.tenant,
        "ID": profile.id,
        "FilterIDs": list(profile.filter_ids),
        "ActivationInterval": None
        if interval is None
        else {
            "ActivationTime": format_instant(interval.activation_time),
            "ExpiryTime": format_instant(interval.expiry_time),
        },
        "RunID": profile.run_id,
        "AttributeIDs": list(profile.attribute_ids),
        "Weight": profile.weight,
    }


# --- events ------------------------------------------------------------------------------------------------------


def _event(op: Operation, params: EventParams) -> CGREvent:
    if params.Event is None:
        raise missing(["Event"])
    return CGREvent(op.tenant(params.Tenant), params.ID, params.Time, params.Event, params.APIOpts or {})


@method("ChargerSv1.GetChargersForEvent", owner=ANY)
def get_chargers_for_event(op: Operation, params: EventParams) -> Steps[list[dict[str, Any]]]:
    try:
        event = _event(op, params)
        found = yield from with_live(lambda live: matching_chargers(op.generation, op.now_ns, event, live))
    except ApiError as error:
        raise error if error.text.startswith("MANDATORY_IE_MISSING") else server_error(error) from error
    if not found:
        raise not_found()
    return [profile_json(charger.profile) for charger in found]


@method("ChargerSv1.ProcessEvent", owner=ANY)
def process_event(op: Operation, params: EventParams) -> Steps[list[dict[str, Any]]]:
    event = _event(op, params)
    try:
        runs = yield from with_live(lambda live: charge_runs(op.generation, op.now_ns, event, live))
    except ApiError as error:
        raise error if error.text.startswith("SERVER_ERROR: ") else server_error(error) from error
    if not runs:
        raise not_found()
    return [
        {
            "ChargerSProfile": run.charger.id,
            "AttributeSProfiles": run.matched,
            "AlteredFields": run.altered,
            "CGREvent": {
                "Tenant": run.event.tenant,
                "ID": run.event.id,
                "Time": None if run.event.time is None else format_instant(run.event.time),
                "Event": run.event.event,
                "APIOpts": run.event.opts,
            },
        }
        for run in runs
    ]
