"""Route profiles (spec chapter 51, section 6.1)."""

from __future__ import annotations

import msgspec

from cgr_cluster.engine.domain import reference
from cgr_cluster.events.values import parse_int
from cgr_cluster.filters.kinds import profile_kind
from cgr_cluster.filters.types import ActivationInterval

LOAD = "*load"
DEFAULT_RATIO = "*default"  # among the parameters of `*load`: the ratio of routes that have none


class Route(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A carrier. `blocker` has no effect (51 §6.1)."""

    id: str
    filter_ids: tuple[str, ...] = ()
    account_ids: tuple[str, ...] = ()
    rating_plan_ids: tuple[str, ...] = ()
    resource_ids: tuple[str, ...] = ()
    stat_ids: tuple[str, ...] = ()
    weight: float = 0.0
    blocker: bool = False
    parameters: str = ""


@reference("route_profile")
class RouteProfile(msgspec.Struct, frozen=True, gc=False):
    """The key is `TENANT:ID`. What its routes name is looked up when they are asked for, and not before."""

    tenant: str
    id: str
    filter_ids: tuple[str, ...] = ()
    activation_interval: ActivationInterval | None = None
    sorting: str = ""
    sorting_parameters: tuple[str, ...] = ()
    routes: tuple[Route, ...] = ()
    weight: float = 0.0


class CompiledRoutes:
    """A profile with the ratios of its routes. Raises ApiError `strconv.Atoi: parsing "x": invalid syntax` for a ratio of
    `*load` that is no integer."""

    __slots__ = ("profile", "ratios")

    def __init__(self, profile: RouteProfile) -> None:
        self.profile = profile
        self.ratios: dict[str, int] = {}
        if profile.sorting == LOAD:
            for parameter in profile.sorting_parameters:
                route_id, _, ratio = parameter.partition(":")
                self.ratios[route_id] = parse_int(ratio, "Atoi")

    def ratio(self, route_id: str, default: int) -> int:
        """Of a route; `default`: the configured one."""
        found = self.ratios.get(route_id)
        return self.ratios.get(DEFAULT_RATIO, default) if found is None else found


ROUTES = profile_kind("route_profile", "*routes", "routes", compiled=CompiledRoutes)
