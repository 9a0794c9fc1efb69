"""Routes and profiles as the API shows them (spec chapter 51, sections 6.1 and 7.1)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cgr_cluster.filters.params import interval_json, list_json
from cgr_cluster.rating.answers import number
from cgr_cluster.routes.process import SortedRoutes
from cgr_cluster.routes.types import Route, RouteProfile

Json = dict[str, Any]


def profile_json(profile: RouteProfile) -> Json:
    return {
        "Tenant": profile.tenant,
        "ID": profile.id,
        "FilterIDs": list_json(profile.filter_ids),
        "ActivationInterval": interval_json(profile.activation_interval),
        "Sorting": profile.sorting,
        "SortingParameters": list(profile.sorting_parameters),
        "Routes": [_route_json(route) for route in profile.routes],
        "Weight": number(profile.weight),
    }


def _route_json(route: Route) -> Json:
    return {
        "ID": route.id,
        "FilterIDs": list_json(route.filter_ids),
        "AccountIDs": list_json(route.account_ids),
        "RatingPlanIDs": list_json(route.rating_plan_ids),
        "ResourceIDs": list_json(route.resource_ids),
        "StatIDs": list_json(route.stat_ids),
        "Weight": number(route.weight),
        "Blocker": route.blocker,
        "RouteParameters": route.parameters,
    }


def routes_json(found: Sequence[SortedRoutes]) -> list[Json]:
    return [
        {
            "ProfileID": one.profile_id,
            "Sorting": one.sorting,
            "Routes": [
                {"RouteID": route.id, "RouteParameters": route.parameters, "SortingData": data}
                for route, data in one.routes
            ],
        }
        for one in found
    ]


def shown_texts(profiles: Sequence[Json]) -> list[str]:
    """`ID` or `ID:PARAMETERS` of the routes of all profiles, as `routes_json` shows them."""
    return [
        f"{route['RouteID']}:{route['RouteParameters']}" if route["RouteParameters"] else route["RouteID"]
        for one in profiles
        for route in one["Routes"]
    ]
