"""The order of a profile's routes (spec chapter 51, section 8.4). Pure. Full ties keep the order of the profile."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from cgr_cluster.routes.sorting_data import PDD, Data
from cgr_cluster.routes.types import LOAD, Route
from cgr_cluster.rpc.errors import ApiError, missing

Rank = Callable[[Data, Sequence[str]], tuple[Any, ...]]


class Strategy(msgspec.Struct, frozen=True, gc=False):
    """`rank`: of a route's data and the sorting parameters; less comes first, then the weight counts. `has`: what a route
    must have, `lacks` what the error calls it."""

    rank: Rank
    has: Callable[[Route], bool] = lambda route: True
    lacks: str = ""

    def check(self, routes: Sequence[Route]) -> None:
        """Raises `MANDATORY_IE_MISSING: [...]` for a route that cannot be sorted."""
        if not all(self.has(route) for route in routes):
            raise missing([self.lacks])

    def sort(self, routes: list[tuple[Route, Data]], parameters: Sequence[str]) -> None:
        routes.sort(key=lambda entry: (*self.rank(entry[1], parameters), -entry[0].weight))


def _by(field: str, sign: int = 1) -> Rank:
    return lambda data, parameters: (sign * data.get(field, 0),)


def _by_metrics(data: Data, parameters: Sequence[str]) -> tuple[Any, ...]:
    return tuple(data.get(metric, 0) * (1 if metric == PDD else -1) for metric in parameters)


def _by_load(data: Data, parameters: Sequence[str]) -> tuple[Any, ...]:
    ratio = data["Ratio"]
    return (data.get("Load", 0) / ratio if ratio else math.inf,)


def _priced(route: Route) -> bool:
    return bool(route.rating_plan_ids or route.account_ids)


_PRICED = "RatingPlanIDs or AccountIDs"
_STRATEGIES = {
    "*weight": Strategy(lambda data, parameters: ()),
    "*lc": Strategy(_by("Cost"), _priced, _PRICED),
    "*hc": Strategy(_by("Cost", -1), _priced, _PRICED),
    "*qos": Strategy(_by_metrics),
    "*reas": Strategy(_by("ResourceUsage"), lambda route: bool(route.resource_ids), "ResourceIDs"),
    "*reds": Strategy(_by("ResourceUsage", -1), lambda route: bool(route.resource_ids), "ResourceIDs"),
    LOAD: Strategy(_by_load, lambda route: bool(route.stat_ids), "StatIDs"),
}


def strategy_of(sorting: str) -> Strategy:
    """Raises `unsupported sorting strategy: X`."""
    found = _STRATEGIES.get(sorting)
    if found is None:
        raise ApiError(f"unsupported sorting strategy: {sorting}")
    return found
