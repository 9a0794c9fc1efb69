"""ChargerSv1, and the methods on charger profiles (spec 30.10)."""

from __future__ import annotations

from typing import Any

from cgr_cluster.caches.changes import spawn_changed
from cgr_cluster.chargers.runs import CHARGERS, charge_runs, matching_chargers
from cgr_cluster.chargers.types import ChargerProfile
from cgr_cluster.engine.domain import Operation, Part, Steps
from cgr_cluster.events.times import format_instant
from cgr_cluster.filters.live import with_live
from cgr_cluster.filters.params import (
    EventParams,
    Interval,
    Paginator,
    TenantID,
    TenantIDWithOpts,
    event_of,
    interval_json,
    read_interval,
)
from cgr_cluster.filters.profiles import remove_profile, store_profile
from cgr_cluster.filters.reading import ids_page, profile_asked
from cgr_cluster.rating.answers import number
from cgr_cluster.rpc.errors import ApiError, not_found, require, server_error
from cgr_cluster.rpc.owners import ANY, LEADER_RULE
from cgr_cluster.rpc.registry import Params, method, service

service("ChargerSv1")
service("APIerSv1")


class Charger(Params, go="v1.ChargerWithAPIOpts"):
    Tenant: str = ""
    ID: str = ""
    FilterIDs: list[str] | None = None
    ActivationInterval: Interval | None = None
    RunID: str = ""
    AttributeIDs: list[str] | None = None
    Weight: float = 0.0
    APIOpts: dict[str, Any] | None = None


# --- profiles ----------------------------------------------------------------------------------------------------


@method("APIerSv1.SetChargerProfile", owner=LEADER_RULE, changes=True)
def set_charger_profile(part: Part, params: Charger) -> str:
    require(params, "ID")
    tenant = part.tenant(params.Tenant)
    filter_ids = tuple(params.FilterIDs or ())
    profile = ChargerProfile(
        tenant,
        params.ID,
        filter_ids,
        read_interval(params.ActivationInterval),
        params.RunID,
        tuple(params.AttributeIDs or ()),
        params.Weight,
    )
    store_profile(part, CHARGERS, profile)
    spawn_changed(part, CHARGERS.name, CHARGERS.key(tenant, params.ID), params.APIOpts)
    return "OK"


@method("APIerSv1.GetChargerProfile", owner=ANY)
def get_charger_profile(part: Part, params: TenantID) -> dict[str, Any]:
    return profile_json(profile_asked(part, CHARGERS.name, params))


@method("APIerSv1.GetChargerProfileIDs", owner=ANY)
def get_charger_profile_ids(part: Part, params: Paginator) -> list[str] | None:
    return ids_page(part, CHARGERS.name, params)


@method("APIerSv1.RemoveChargerProfile", owner=LEADER_RULE, changes=True)
def remove_charger_profile(part: Part, params: TenantIDWithOpts) -> str:
    require(params, "ID")
    tenant = part.tenant(params.Tenant)
    remove_profile(part, CHARGERS, tenant, params.ID)
    spawn_changed(part, CHARGERS.name, CHARGERS.key(tenant, params.ID), params.APIOpts, removed=True)
    return "OK"


def profile_json(profile: ChargerProfile) -> dict[str, Any]:
    return {
        "Tenant": profile.tenant,
        "ID": profile.id,
        "FilterIDs": list(profile.filter_ids),
        "ActivationInterval": interval_json(profile.activation_interval),
        "RunID": profile.run_id,
        "AttributeIDs": list(profile.attribute_ids),
        "Weight": number(profile.weight),
    }


# --- events ------------------------------------------------------------------------------------------------------


@method("ChargerSv1.GetChargersForEvent", owner=ANY)
def get_chargers_for_event(op: Operation, params: EventParams) -> Steps[list[dict[str, Any]]]:
    try:
        event = event_of(params, op.tenant(params.Tenant))
        found = yield from with_live(lambda live: matching_chargers(op.generation, op.now_ns, event, live))
    except ApiError as error:
        raise error if error.text.startswith("MANDATORY_IE_MISSING") else server_error(error) from error
    if not found:
        raise not_found()
    return [profile_json(charger.profile) for charger in found]


@method("ChargerSv1.ProcessEvent", owner=ANY)
def process_event(op: Operation, params: EventParams) -> Steps[list[dict[str, Any]]]:
    event = event_of(params, op.tenant(params.Tenant))
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
