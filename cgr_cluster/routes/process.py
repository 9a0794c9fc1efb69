"""The routes of an event: matching, pricing, sorting, paging (spec chapter 51, sections 7.3 and 8).

Theory of operation. RouteS changes nothing. Profiles and prices are reference data and are looked at where the event is;
accounts of carriers, queues and resources are read at their owners, those of a profile all at once (facts.py). Profiles
are gone through in order, since limit and offset decide which of them are needed at all.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from cgr_cluster.attributes.process import process_attributes
from cgr_cluster.engine.domain import Operation, Steps
from cgr_cluster.events.descriptor import descriptor_of_event
from cgr_cluster.events.event import CGREvent
from cgr_cluster.events.values import text_of
from cgr_cluster.filters.live import NOTHING_LIVE, Live, with_live
from cgr_cluster.filters.rules import Test
from cgr_cluster.filters.selection import matching
from cgr_cluster.filters.view import View
from cgr_cluster.rating.answers import money
from cgr_cluster.rating.call_cost import call_cost
from cgr_cluster.routes.facts import NEEDED, read_facts, require_fields
from cgr_cluster.routes.route_filters import rules_after_price
from cgr_cluster.routes.settings import Options, options_of, route_settings
from cgr_cluster.routes.sorting import strategy_of
from cgr_cluster.routes.sorting_data import Data, Prices, data_of
from cgr_cluster.routes.types import LOAD, ROUTES, CompiledRoutes, Route
from cgr_cluster.rpc.errors import ApiError, not_found, server_error

DEFAULT_USAGE = "1m0s"
Kept = list[tuple[Route, list[Test]]]  # with the rules that wait for the price


class SortedRoutes(msgspec.Struct, gc=False):
    """The routes that a profile gives."""

    profile_id: str
    sorting: str
    routes: list[tuple[Route, Data]]


def get_routes(op: Operation, event: CGREvent) -> Steps[list[SortedRoutes]]:
    """`RouteSv1.GetRoutes` of an event, which stays as it is. Raises `NOT_FOUND`, `ROUTES_ERROR:...` of attributes, and
    `SERVER_ERROR: ...`."""
    altered = yield from _with_attributes(op, event)
    try:
        altered.event.setdefault("Usage", DEFAULT_USAGE)
        profiles = yield from _matching(op, event.tenant, altered)
        return (yield from _routes_of(op, event.tenant, altered, profiles))
    except ApiError as error:
        raise _prefixed(error) from error


def profiles_of_event(op: Operation, event: CGREvent) -> Steps[list[CompiledRoutes]]:
    """The profiles that the event matches, by falling weight. Raises `NOT_FOUND` and `SERVER_ERROR: ...`."""
    try:
        return (yield from _matching(op, event.tenant, event))
    except ApiError as error:
        raise _prefixed(error) from error


def _prefixed(error: ApiError) -> ApiError:
    return error if error.text == "NOT_FOUND" else server_error(error)


def _with_attributes(op: Operation, event: CGREvent) -> Steps[CGREvent]:
    """A copy of the event, as AttributeS alters it."""
    settings = route_settings(op.generation)
    own = event.copy()
    if not settings.attributes_connected:
        return own
    context = text_of(own.opts.get("*context")) or settings.context
    own.opts |= {"*subsys": "*routes", "*context": context}
    try:
        processed = yield from with_live(lambda live: process_attributes(op.generation, op.now_ns, own, context, live))
    except ApiError as error:
        raise ApiError(f"ROUTES_ERROR:{error.text}") from error
    return own if processed is None else processed.event


def _matching(op: Operation, tenant: str, event: CGREvent) -> Steps[list[CompiledRoutes]]:
    def find(live: Live) -> list[CompiledRoutes]:
        view = View(op.generation, op.now_ns, tenant, event.event, event.opts, live=live)
        return matching(ROUTES, view, event.time)

    found = yield from with_live(find)
    if not found:
        raise not_found()
    return found


def _routes_of(
    op: Operation, tenant: str, event: CGREvent, profiles: Sequence[CompiledRoutes]
) -> Steps[list[SortedRoutes]]:
    """Steps 4 to 6 of 51 §7.3. `tenant`: of the call; `event`: with that of the attributes."""
    options = options_of(route_settings(op.generation), event.opts)
    max_cost = _max_cost(op, event, options)
    prices = Prices(op.generation)
    out: list[SortedRoutes] = []
    so_far, offset, limit = 0, options.offset, options.limit
    for compiled in profiles:
        if limit is not None and so_far >= limit:
            break
        profile = compiled.profile
        configured = len(profile.routes)
        rest = limit - so_far if limit is not None and so_far + configured > limit else None
        if offset and offset >= configured:
            offset -= configured
            continue
        routes = yield from _sorted(op, tenant, event, compiled, prices, options.ignore_errors, max_cost)
        if offset <= len(routes):  # a longer one leaves the list whole (51 §7.3)
            routes = routes[offset:]
        offset = 0
        if rest is not None:
            routes = routes[:rest]
        if routes:
            out.append(SortedRoutes(profile.id, profile.sorting, routes))
            so_far += len(routes)
            if len(out) == options.profile_count:
                break
    if not out:
        raise not_found()
    return out


def _max_cost(op: Operation, event: CGREvent, options: Options) -> float:
    if not isinstance(options.max_cost, str):
        return options.max_cost
    require_fields(event, (*NEEDED, "Usage"))
    view = View(op.generation, op.now_ns, event.tenant, event.event, event.opts)
    descriptor = descriptor_of_event(event.tenant, event.event, event.opts, op.now_ns, view.zone)
    return float(money(call_cost(op.generation, descriptor).cost_nano))


def _sorted(
    op: Operation,
    tenant: str,
    event: CGREvent,
    compiled: CompiledRoutes,
    prices: Prices,
    ignore_errors: bool,
    max_cost: float,
) -> Steps[list[tuple[Route, Data]]]:
    """The routes of a profile in order (51 §8)."""
    profile = compiled.profile
    kept: Kept = yield from with_live(
        lambda live: _kept(View(op.generation, op.now_ns, tenant, event.event, event.opts, live=live), profile.routes)
    )
    strategy = strategy_of(profile.sorting)
    own = [route for route, _ in kept]
    strategy.check(own)
    settings = route_settings(op.generation)
    view = View(op.generation, op.now_ns, event.tenant, event.event, event.opts, live=NOTHING_LIVE)
    facts = yield from read_facts(settings, view, event, own, profile.sorting)
    routes: list[tuple[Route, Data]] = []
    for route, waiting in kept:
        try:
            data = data_of(settings, prices, facts, compiled, route, max_cost)
        except ApiError:
            if not ignore_errors:
                raise
            continue
        if data is None or (waiting and not (yield from _passes(op, tenant, event, data, waiting))):
            continue
        if profile.sorting == LOAD:
            data["Ratio"] = compiled.ratio(route.id, settings.default_ratio)
        routes.append((route, data))
    strategy.sort(routes, profile.sorting_parameters)
    return routes


def _kept(view: View, routes: Sequence[Route]) -> Kept:
    """The routes that pass what is checked before pricing; of those with one id the heaviest."""
    kept: dict[str, tuple[Route, list[Test]]] = {}
    for route in routes:
        waiting = rules_after_price(view, route.filter_ids)
        if waiting is None:
            continue
        other = kept.get(route.id)
        if other is None or route.weight > other[0].weight:
            kept[route.id] = route, waiting
    return list(kept.values())


def _passes(op: Operation, tenant: str, event: CGREvent, data: Data, tests: Sequence[Test]) -> Steps[bool]:
    """Whether a route passes the rules that have waited for its price; options cannot be read there (51 §8.1)."""

    def check(live: Live) -> bool:
        view = View(op.generation, op.now_ns, tenant, event.event, {}, variables=data, live=live)
        return all(test(view) for test in tests)

    return (yield from with_live(check))
