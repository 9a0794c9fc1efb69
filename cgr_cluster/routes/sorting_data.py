"""The data of a route: its price, metrics and resources (spec chapter 51, sections 8.2 and 8.3). Pure."""

from __future__ import annotations

import sys
from typing import Any

from cgr_cluster.engine.domain import GenerationView
from cgr_cluster.rating.answers import money, number
from cgr_cluster.rating.call_cost import cost_of_usage
from cgr_cluster.routes.facts import Facts, RoutedCall, queue_and_metric
from cgr_cluster.routes.settings import RouteSettings
from cgr_cluster.routes.types import LOAD, CompiledRoutes, Route
from cgr_cluster.rpc.errors import ApiError, not_found

Data = dict[str, Any]
Number = int | float

PDD = "*pdd"
WORST_PDD = sys.float_info.max
NOT_AVAILABLE = -1  # of a metric that has no value yet, or that no queue has


class Prices:
    """Prices of a query: equal ones are made once."""

    __slots__ = ("_found", "_generation")

    def __init__(self, generation: GenerationView) -> None:
        self._generation = generation
        self._found: dict[tuple[str, RoutedCall, int], int | ApiError] = {}

    def cost_nano(self, call: RoutedCall, plan_id: str, covered_ns: int) -> int:
        """Of what is behind the first `covered_ns` of the call. Raises the errors of rating."""
        key = plan_id, call, covered_ns
        found = self._found.get(key)
        if found is None:
            start, usage_ns = call.start.plus(covered_ns), call.usage_ns - covered_ns
            try:
                found = cost_of_usage(
                    self._generation,
                    call.tenant,
                    call.account,
                    call.subject,
                    call.destination,
                    start,
                    usage_ns,
                    plan_id,
                ).cost_nano
            except ApiError as error:
                found = error
            self._found[key] = found
        if isinstance(found, ApiError):
            raise found
        return found


def data_of(
    settings: RouteSettings, prices: Prices, facts: Facts, compiled: CompiledRoutes, route: Route, max_cost: float
) -> Data | None:
    """SortingData of a route; None for one that is left out, without a price or dearer than `max_cost` (0: none). Raises
    the route's error."""
    data: Data = {"Weight": number(route.weight)}
    if route.account_ids or route.rating_plan_ids:
        if not settings.rals_connected:
            raise ApiError("NOT_CONNECTED: RALs")
        price = _price(prices, facts, route)
        if not price or (max_cost and price["Cost"] > max_cost):
            return None
        data |= price
    profile = compiled.profile
    if route.stat_ids and settings.stats_connected:
        if profile.sorting == LOAD:
            data["Load"] = number(_load(facts, route))
        else:
            metrics = _metrics(facts, route)
            absent = {
                metric: WORST_PDD if metric == PDD else NOT_AVAILABLE
                for metric in profile.sorting_parameters
                if metric not in metrics
            }
            data |= metrics | absent
    if route.resource_ids and settings.resources_connected:
        data["ResourceUsage"] = _units_in_use(facts, route)
    return data


def _price(prices: Prices, facts: Facts, route: Route) -> Data:
    """Cost, with the account or plan that it comes from; empty: none."""
    call = facts.call
    if isinstance(call, ApiError):
        raise call
    data: Data = {}
    covered_ns = 0
    if route.account_ids:
        account, covered_ns = _covered(facts, route)
        data = {"Account": account, "MaxUsage": covered_ns, "Cost": 0}
        if covered_ns >= call.usage_ns and covered_ns:
            return data
        if not route.rating_plan_ids:
            if covered_ns < call.usage_ns:
                raise ApiError("no rating plans defined for remaining usage")
            return data
    plan_id = route.rating_plan_ids[0]  # an error of the first ends the search, so a second is never tried
    return data | {"Cost": money(prices.cost_nano(call, plan_id, covered_ns)), "RatingPlanID": plan_id}


def _covered(facts: Facts, route: Route) -> tuple[str, int]:
    """The first account that answers, and what it covers. Raises the error of the last."""
    failure = not_found()
    for account in route.account_ids:
        covered_ns = facts.covered_ns(account)
        if not isinstance(covered_ns, ApiError):
            return account, covered_ns
        failure = covered_ns
    raise failure


def _metrics(facts: Facts, route: Route) -> dict[str, Number]:
    """All metrics of all queues, averages of those that several have. Raises `NOT_FOUND` when the last is unknown."""
    values: dict[str, list[Number]] = {}
    found = None
    for queue_id in route.stat_ids:
        found = facts.metrics(queue_id)
        for metric_id, value in (found or {}).items():
            values.setdefault(metric_id, []).append(NOT_AVAILABLE if value is None else value)
    if found is None:
        raise not_found()
    return {metric_id: _average(each) for metric_id, each in values.items()}


def _average(values: list[Number]) -> Number:
    return number(values[0] if len(values) == 1 else sum(values) / len(values))


def _load(facts: Facts, route: Route) -> float:
    """The sum of the metrics that are named, or of all. Raises as `_metrics`, and for a named one that is not there."""
    total: Number = 0
    found = None
    for stat_id in route.stat_ids:
        queue_id, metric_id = queue_and_metric(stat_id)
        found = facts.metrics(queue_id)
        values = {name: NOT_AVAILABLE if value is None else value for name, value in (found or {}).items()}
        if not metric_id:
            total += sum(values.values())
        elif metric_id in values:
            total += values[metric_id]
        else:
            raise ApiError(f"<RouteS> error: NOT_FOUND metric {metric_id} for statID: {queue_id}")
    if found is None:
        raise not_found()
    return total


def _units_in_use(facts: Facts, route: Route) -> Number:
    """Raises `NOT_FOUND` when the last resource is unknown."""
    total: Number = 0
    units: Number | None = None
    for resource_id in route.resource_ids:
        units = facts.units_in_use(resource_id)
        total += units or 0
    if units is None:
        raise not_found()
    return number(total)
