"""RouteSv1, and the methods on route profiles (spec chapter 51, section 6.2)."""

from __future__ import annotations

from typing import Any

from cgr_cluster.caches.changes import spawn_changed
from cgr_cluster.engine.domain import Operation, Part, Steps
from cgr_cluster.filters.params import (
    EventParams,
    Interval,
    Paginator,
    TenantID,
    TenantIDWithOpts,
    event_of,
    read_interval,
)
from cgr_cluster.filters.profiles import remove_profile, store_profile
from cgr_cluster.filters.reading import ids_page, profile_asked
from cgr_cluster.routes.answers import profile_json, routes_json, shown_texts
from cgr_cluster.routes.process import get_routes, profiles_of_event
from cgr_cluster.routes.types import ROUTES, CompiledRoutes, Route, RouteProfile
from cgr_cluster.rpc.errors import ApiError, require, server_error
from cgr_cluster.rpc.owners import ANY, EVENT, LEADER_RULE
from cgr_cluster.rpc.registry import Params, method, service

service("RouteSv1")
service("APIerSv1")


class RouteParams(Params, go="engine.Route"):
    ID: str = ""
    FilterIDs: list[str] | None = None
    AccountIDs: list[str] | None = None
    RatingPlanIDs: list[str] | None = None
    ResourceIDs: list[str] | None = None
    StatIDs: list[str] | None = None
    Weight: float = 0.0
    Blocker: bool = False
    RouteParameters: str = ""


class RouteProfileParams(Params, go="engine.RouteWithAPIOpts"):
    Tenant: str = ""
    ID: str = ""
    FilterIDs: list[str] | None = None
    ActivationInterval: Interval | None = None
    Sorting: str = ""
    SortingParameters: list[str] | None = None
    Routes: list[RouteParams] | None = None
    Weight: float = 0.0
    APIOpts: dict[str, Any] | None = None


# --- profiles ----------------------------------------------------------------------------------------------------


def _route(params: RouteParams) -> Route:
    return Route(
        params.ID,
        tuple(params.FilterIDs or ()),
        tuple(params.AccountIDs or ()),
        tuple(params.RatingPlanIDs or ()),
        tuple(params.ResourceIDs or ()),
        tuple(params.StatIDs or ()),
        params.Weight,
        params.Blocker,
        params.RouteParameters,
    )


@method("APIerSv1.SetRouteProfile", owner=LEADER_RULE, changes=True)
def set_route_profile(part: Part, params: RouteProfileParams) -> str:
    require(params, "ID")
    profile = RouteProfile(
        part.tenant(params.Tenant),
        params.ID,
        tuple(params.FilterIDs or ()),
        read_interval(params.ActivationInterval),
        params.Sorting,
        tuple(params.SortingParameters or ()),
        tuple(_route(route) for route in params.Routes or ()),
        params.Weight,
    )
    store_profile(part, ROUTES, profile)
    spawn_changed(part, ROUTES.name, ROUTES.key(profile.tenant, profile.id), params.APIOpts)
    try:
        CompiledRoutes(profile)
    except ApiError as error:
        raise server_error(error) from error
    return "OK"


@method("APIerSv1.RemoveRouteProfile", owner=LEADER_RULE, changes=True)
def remove_route_profile(part: Part, params: TenantIDWithOpts) -> str:
    require(params, "ID")
    tenant = part.tenant(params.Tenant)
    remove_profile(part, ROUTES, tenant, params.ID)
    spawn_changed(part, ROUTES.name, ROUTES.key(tenant, params.ID), params.APIOpts, removed=True)
    return "OK"


@method("APIerSv1.GetRouteProfile", owner=ANY)
def get_route_profile(part: Part, params: TenantID) -> dict[str, Any]:
    return profile_json(profile_asked(part, ROUTES.name, params))


@method("APIerSv1.GetRouteProfileIDs", owner=ANY)
def get_route_profile_ids(part: Part, params: Paginator) -> list[str] | None:
    return ids_page(part, ROUTES.name, params)


# --- events ------------------------------------------------------------------------------------------------------


@method("RouteSv1.GetRoutes", owner=EVENT)
def get_routes_of_event(op: Operation, params: EventParams) -> Steps[list[dict[str, Any]]]:
    event = event_of(params, op.tenant(params.Tenant), needs_id=True)
    return routes_json((yield from get_routes(op, event)))


@method("RouteSv1.GetRoutesList", owner=EVENT)
def get_routes_list(op: Operation, params: EventParams) -> Steps[list[str]]:
    event = event_of(params, op.tenant(params.Tenant), needs_id=True)
    return shown_texts(routes_json((yield from get_routes(op, event))))


@method("RouteSv1.GetRouteProfilesForEvent", owner=EVENT)
def get_route_profiles_for_event(op: Operation, params: EventParams) -> Steps[list[dict[str, Any]]]:
    event = event_of(params, op.tenant(params.Tenant), needs_id=True)
    return [profile_json(one.profile) for one in (yield from profiles_of_event(op, event))]
