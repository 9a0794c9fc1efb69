"""CSV rows of profiles with a tenant: Filters.csv (50 §5.3), Attributes.csv (50 §8.5), Chargers.csv (30.10),
Thresholds.csv (51 §3.5), Routes.csv (51 §6.3), Stats.csv (60 §1.1), Resources.csv (60 §2.1), IPs.csv (60 §5).

Several rows of one tenant and id make one profile; what a later row leaves empty keeps what an earlier one said.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from cgr_cluster.events.durations import parse_duration
from cgr_cluster.events.values import float_of
from cgr_cluster.tariffs import tp_types as tp
from cgr_cluster.tariffs.rows import Add, Cells, Finish, Found, file_kind


def split_list(text: str) -> list[str]:
    """`A;B` → [A, B]; an empty cell is an empty list."""
    return text.split(";") if text else []


def split_values(text: str) -> list[str]:
    """Filter values: separated by `;`, not inside `<...>`."""
    if "<" not in text:
        return split_list(text)
    out, depth, start = [], 0, 0
    for position, char in enumerate(text):
        if char == "<":
            depth += 1
        elif char == ">":
            depth = max(0, depth - 1)
        elif char == ";" and not depth:
            out.append(text[start:position])
            start = position + 1
    return [*out, text[start:]]


def split_attribute_ids(text: str) -> list[str]:
    """Neighbouring parts that start with `*` stay together as one inline attribute, the others are names."""
    out: list[str] = []
    inline = False
    for part in split_list(text):
        starred = part.startswith("*")
        if starred and inline:
            out[-1] += f";{part}"
        else:
            out.append(part)
        inline = starred
    return out


def interval_of(text: str) -> tp.TPActivationInterval:
    """`START` or `START;END`."""
    start, _, end = text.partition(";")
    return tp.TPActivationInterval(start, end)


def interval_text(interval: tp.TPActivationInterval | None) -> str:
    if interval is None:
        return ""
    return f"{interval.ActivationTime};{interval.ExpiryTime}" if interval.ExpiryTime else interval.ActivationTime


def unite(into: list[str], more: Sequence[str]) -> None:
    """Add what is not there yet."""
    into.extend(value for value in more if value not in into)


class Draft:
    """A profile while its rows are read."""

    __slots__ = ("filter_ids", "id", "interval", "parts", "tenant", "values", "weight")

    def __init__(self, tenant: str, name: str) -> None:
        self.tenant = tenant
        self.id = name
        self.filter_ids: list[str] = []
        self.interval: tp.TPActivationInterval | None = None
        self.weight = 0.0
        self.parts: list[Any] = []
        self.values: dict[str, Any] = {}


def draft_of(found: Found, row: list[Any]) -> Draft:
    """The profile that a row is about; `row` begins with tenant and id."""
    key = f"{row[0]}:{row[1]}"
    draft = found.get(key)
    if draft is None:
        draft = found[key] = Draft(row[0], row[1])
    result: Draft = draft
    return result


def common_cells(draft: Draft, filter_ids: str, interval: str, weight: float) -> None:
    """The cells that most profiles have: filters are united, of the others the last that says something counts."""
    unite(draft.filter_ids, split_list(filter_ids))
    if interval:
        draft.interval = interval_of(interval)
    if weight:
        draft.weight = weight


def _filters() -> tuple[Add, Finish, Cells]:
    def add(found: Found, row: list[Any]) -> None:
        draft = draft_of(found, row)
        kind, element, values, interval = row[2:]
        if interval:
            draft.interval = interval_of(interval)
        if not kind and not element and not values:
            return
        for rule in draft.parts:
            if rule.Type == kind and rule.Element == element:
                rule.Values.extend(split_values(values))
                return
        draft.parts.append(tp.TPFilterRow(kind, element, split_values(values)))

    def finish(tpid: str, load_id: str, found: Found) -> list[Any]:
        return [tp.TPFilterProfile(tpid, d.tenant, d.id, d.parts, d.interval) for d in found.values()]

    def cells(f: tp.TPFilterProfile) -> Iterator[tuple[Any, ...]]:
        interval = interval_text(f.ActivationInterval)
        for rule in f.Filters or [tp.TPFilterRow()]:
            yield f.Tenant, f.ID, rule.Type, rule.Element, ";".join(rule.Values), interval
            interval = ""

    return add, finish, cells


def _attributes() -> tuple[Add, Finish, Cells]:
    def add(found: Found, row: list[Any]) -> None:
        draft = draft_of(found, row)
        contexts, filter_ids, interval, attribute_filters, path, kind, value, blocker, weight = row[2:]
        common_cells(draft, filter_ids, interval, weight)
        unite(draft.values.setdefault("contexts", []), split_list(contexts))
        draft.values.setdefault("blocker", blocker)
        if path:
            draft.parts.append(tp.TPAttribute(split_list(attribute_filters), path, kind, value))

    def finish(tpid: str, load_id: str, found: Found) -> list[Any]:
        return [
            tp.TPAttributeProfile(
                tpid,
                d.tenant,
                d.id,
                d.filter_ids,
                d.interval,
                d.values["contexts"],
                d.parts,
                d.values["blocker"],
                d.weight,
            )
            for d in found.values()
        ]

    def cells(p: tp.TPAttributeProfile) -> Iterator[tuple[Any, ...]]:
        head: tuple[str, str, str] = (";".join(p.Contexts), ";".join(p.FilterIDs), interval_text(p.ActivationInterval))
        tail: tuple[Any, Any] = (p.Blocker, p.Weight)
        for a in p.Attributes or [tp.TPAttribute()]:
            yield p.Tenant, p.ID, *head, ";".join(a.FilterIDs), a.Path, a.Type, a.Value, *tail
            head, tail = ("", "", ""), ("", "")

    return add, finish, cells


def _chargers() -> tuple[Add, Finish, Cells]:
    def add(found: Found, row: list[Any]) -> None:
        draft = draft_of(found, row)
        filter_ids, interval, run_id, attribute_ids, weight = row[2:]
        common_cells(draft, filter_ids, interval, weight)
        if run_id or "run_id" not in draft.values:
            draft.values["run_id"] = run_id
        draft.parts.extend(split_attribute_ids(attribute_ids))

    def finish(tpid: str, load_id: str, found: Found) -> list[Any]:
        return [
            tp.TPChargerProfile(tpid, d.tenant, d.id, d.filter_ids, d.interval, d.values["run_id"], d.parts, d.weight)
            for d in found.values()
        ]

    def cells(p: tp.TPChargerProfile) -> Iterator[tuple[Any, ...]]:
        head: tuple[str, str, str] = (";".join(p.FilterIDs), interval_text(p.ActivationInterval), p.RunID)
        weight: Any = p.Weight
        for attribute_id in _attribute_cells(p.AttributeIDs):
            yield p.Tenant, p.ID, *head, attribute_id, weight
            head, weight = ("", "", ""), ""

    return add, finish, cells


def _attribute_cells(ids: list[str]) -> list[str]:
    """Cells that read as these ids again: two inline attributes may not stand side by side in one cell."""
    cells: list[str] = [""]
    starred = False
    for attribute_id in ids:
        inline = attribute_id.startswith("*")
        if starred and inline:
            cells.append(attribute_id)
        else:
            cells[-1] = f"{cells[-1]};{attribute_id}" if cells[-1] else attribute_id
        starred = inline
    return cells


def _thresholds() -> tuple[Add, Finish, Cells]:
    """Limits, sleep, Blocker and Async are those of the first row."""

    def add(found: Found, row: list[Any]) -> None:
        filter_ids, interval, max_hits, min_hits, min_sleep, blocker, weight, action_ids, runs_async, ee_ids = row[2:]
        parse_duration(min_sleep)  # a text that is none is the file's error, and the row says nothing
        draft = draft_of(found, row)
        common_cells(draft, filter_ids, interval, weight)
        draft.values.setdefault("first", (max_hits, min_hits, min_sleep, blocker, runs_async))
        unite(draft.values.setdefault("action_ids", []), split_list(action_ids))
        unite(draft.values.setdefault("ee_ids", []), split_list(ee_ids))

    def finish(tpid: str, load_id: str, found: Found) -> list[Any]:
        out = []
        for d in found.values():
            max_hits, min_hits, min_sleep, blocker, runs_async = d.values["first"]
            out.append(
                tp.TPThresholdProfile(
                    tpid, d.tenant, d.id, d.filter_ids, d.interval, max_hits, min_hits, min_sleep, blocker, d.weight,
                    d.values["action_ids"], d.values["ee_ids"], runs_async,
                )
            )  # fmt: skip
        return out

    def cells(p: tp.TPThresholdProfile) -> Iterator[tuple[Any, ...]]:
        yield (
            p.Tenant, p.ID, ";".join(p.FilterIDs), interval_text(p.ActivationInterval), p.MaxHits, p.MinHits, p.MinSleep,
            p.Blocker, p.Weight, ";".join(p.ActionIDs), p.Async, ";".join(p.EeIDs),
        )  # fmt: skip

    return add, finish, cells


def _resources() -> tuple[Add, Finish, Cells]:
    """Stored and Blocker are true when a row says so, of the other scalars the last that says something counts."""

    def add(found: Found, row: list[Any]) -> None:
        filter_ids, interval, ttl, limit, message, blocker, stored, weight, thresholds = row[2:]
        parse_duration(ttl)  # a text that is none is the file's error, as the next, and the row says nothing
        if limit:
            float_of(limit)
        draft = draft_of(found, row)
        common_cells(draft, filter_ids, interval, weight)
        values = draft.values
        for name, value in (("ttl", ttl), ("limit", limit), ("message", message)):
            values[name] = value or values.get(name, "")
        values["blocker"] = blocker or values.get("blocker", False)
        values["stored"] = stored or values.get("stored", False)
        unite(values.setdefault("threshold_ids", []), split_list(thresholds))

    def finish(tpid: str, load_id: str, found: Found) -> list[Any]:
        return [
            tp.TPResourceProfile(
                tpid, d.tenant, d.id, d.filter_ids, d.interval, d.values["ttl"], d.values["limit"], d.values["message"],
                d.values["blocker"], d.values["stored"], d.weight, d.values["threshold_ids"],
            )
            for d in found.values()
        ]  # fmt: skip

    def cells(p: tp.TPResourceProfile) -> Iterator[tuple[Any, ...]]:
        yield (
            p.Tenant, p.ID, ";".join(p.FilterIDs), interval_text(p.ActivationInterval), p.UsageTTL, p.Limit,
            p.AllocationMessage, p.Blocker, p.Stored, p.Weight, ";".join(p.ThresholdIDs),
        )  # fmt: skip

    return add, finish, cells


def _ips() -> tuple[Add, Finish, Cells]:
    """Each row with a PoolID is about that pool. Stored and PoolBlocker are true when a row says so, filters are united, of the
    other scalars the last that says something counts."""

    def add(found: Found, row: list[Any]) -> None:
        filter_ids, interval, ttl, stored, weight, pool_id, pool_filters, *cells = row[2:]
        parse_duration(ttl)  # a text that is none is the file's error, and the row says nothing
        draft = draft_of(found, row)
        common_cells(draft, filter_ids, interval, weight)
        draft.values["ttl"] = ttl or draft.values.get("ttl", "")
        draft.values["stored"] = stored or draft.values.get("stored", False)
        if not pool_id:
            return
        pool = next((pool for pool in draft.parts if pool_id == pool.ID), None)
        if pool is None:
            pool = tp.TPIPPool(pool_id, [])
            draft.parts.append(pool)
        unite(pool.FilterIDs, split_list(pool_filters))
        for name, value in zip(("Type", "Range", "Strategy", "Message", "Weight", "Blocker"), cells, strict=True):
            if value:
                setattr(pool, name, value)

    def finish(tpid: str, load_id: str, found: Found) -> list[Any]:
        return [
            tp.TPIPProfile(
                tpid, d.tenant, d.id, d.filter_ids, d.interval, d.values["ttl"], d.values["stored"], d.weight, d.parts
            )
            for d in found.values()
        ]  # fmt: skip

    def cells(p: tp.TPIPProfile) -> Iterator[tuple[Any, ...]]:
        head: tuple[Any, ...] = (
            ";".join(p.FilterIDs), interval_text(p.ActivationInterval), p.TTL, p.Stored, p.Weight,
        )  # fmt: skip
        for pool in p.Pools or [tp.TPIPPool()]:
            yield (
                p.Tenant, p.ID, *head, pool.ID, ";".join(pool.FilterIDs), pool.Type, pool.Range, pool.Strategy,
                pool.Message, pool.Weight, pool.Blocker,
            )  # fmt: skip
            head = ("", "", "", "", "")

    return add, finish, cells


def _stats() -> tuple[Add, Finish, Cells]:
    """Stored and Blocker are true when a row says so, of the other scalars the last that says something counts. The filters
    of a row are those of its metrics."""

    def add(found: Found, row: list[Any]) -> None:
        filter_ids, interval, length, ttl, min_items, metrics, metric_filters, stored, blocker, weight, thresholds = (
            row[2:]
        )
        parse_duration(ttl)  # a text that is none is the file's error, and the row says nothing
        draft = draft_of(found, row)
        common_cells(draft, filter_ids, interval, weight)
        values = draft.values
        for name, value in (("length", length), ("ttl", ttl), ("min_items", min_items)):
            values[name] = value or values.get(name, type(value)())
        values["stored"] = stored or values.get("stored", False)
        values["blocker"] = blocker or values.get("blocker", False)
        unite(values.setdefault("threshold_ids", []), split_list(thresholds))
        known = {metric.MetricID: metric for metric in draft.parts}
        for metric_id in split_list(metrics):
            metric = known.get(metric_id)
            if metric is None:
                metric = known[metric_id] = tp.MetricWithFilters([], metric_id)
                draft.parts.append(metric)
            if metric_filters:
                metric.FilterIDs = split_list(metric_filters)

    def finish(tpid: str, load_id: str, found: Found) -> list[Any]:
        return [
            tp.TPStatProfile(
                tpid, d.tenant, d.id, d.filter_ids, d.interval, d.values["length"], d.values["ttl"], d.parts,
                d.values["blocker"], d.values["stored"], d.weight, d.values["min_items"], d.values["threshold_ids"],
            )
            for d in found.values()
        ]  # fmt: skip

    def cells(p: tp.TPStatProfile) -> Iterator[tuple[Any, ...]]:
        by_filters: dict[tuple[str, ...], list[str]] = {}
        for metric in p.Metrics:
            by_filters.setdefault(tuple(metric.FilterIDs), []).append(metric.MetricID)
        (filters, metric_ids), *more = by_filters.items() or [((), [])]
        yield (
            p.Tenant, p.ID, ";".join(p.FilterIDs), interval_text(p.ActivationInterval), p.QueueLength, p.TTL, p.MinItems,
            ";".join(metric_ids), ";".join(filters), p.Stored, p.Blocker, p.Weight, ";".join(p.ThresholdIDs),
        )  # fmt: skip
        for filters, metric_ids in more:
            yield p.Tenant, p.ID, "", "", "", "", "", ";".join(metric_ids), ";".join(filters), "", "", "", ""

    return add, finish, cells


def _routes() -> tuple[Add, Finish, Cells]:
    """Each row with a RouteID is a route; rows with the same RouteID and set of filters are one, of which the first gives
    weight, blocker and parameters. All is in the order of the file."""

    def add(found: Found, row: list[Any]) -> None:
        draft = draft_of(found, row)
        filter_ids, interval, sorting, parameters = row[2:6]
        route_id, route_filters, accounts, plans, resources, stats, route_weight, blocker, route_parameters = row[6:15]
        common_cells(draft, filter_ids, interval, row[15])
        draft.values["sorting"] = sorting or draft.values.get("sorting", "")
        unite(draft.values.setdefault("parameters", []), split_list(parameters))
        if not route_id:
            return
        by_name = draft.values.setdefault("routes", {})
        own_filters = split_list(route_filters)
        name = route_id, frozenset(own_filters)
        route = by_name.get(name)
        if route is None:
            route = by_name[name] = tp.TPRoute(
                route_id, own_filters, Weight=route_weight, Blocker=blocker, RouteParameters=route_parameters
            )
            draft.parts.append(route)
        # new lists: the empty ones of a type are shared
        route.AccountIDs = route.AccountIDs + split_list(accounts)
        route.RatingPlanIDs = route.RatingPlanIDs + split_list(plans)
        route.ResourceIDs = route.ResourceIDs + split_list(resources)
        route.StatIDs = route.StatIDs + split_list(stats)

    def finish(tpid: str, load_id: str, found: Found) -> list[Any]:
        return [
            tp.TPRouteProfile(
                tpid, d.tenant, d.id, d.filter_ids, d.interval, d.values["sorting"], d.values["parameters"], d.parts,
                d.weight,
            )
            for d in found.values()
        ]  # fmt: skip

    def cells(p: tp.TPRouteProfile) -> Iterator[tuple[Any, ...]]:
        head: tuple[str, ...] = (
            ";".join(p.FilterIDs), interval_text(p.ActivationInterval), p.Sorting, ";".join(p.SortingParameters),
        )  # fmt: skip
        weight: Any = p.Weight
        for r in p.Routes or [tp.TPRoute()]:
            lists = (r.FilterIDs, r.AccountIDs, r.RatingPlanIDs, r.ResourceIDs, r.StatIDs)
            own = tuple(";".join(each) for each in lists)
            yield p.Tenant, p.ID, *head, r.ID, *own, r.Weight, r.Blocker, r.RouteParameters, weight
            head, weight = ("", "", "", ""), ""

    return add, finish, cells


FILTERS = file_kind(
    "filter", "Filters.csv", "FilterMdl", "Tenant ID Type Element Values ActivationInterval", _filters()
)
ATTRIBUTES = file_kind(
    "attribute_profile", "Attributes.csv", "AttributeMdl",
    "Tenant ID Contexts FilterIDs ActivationInterval AttributeFilterIDs Path Type Value Blocker:bool Weight:float",
    _attributes(),
)  # fmt: skip
THRESHOLDS = file_kind(
    "threshold", "Thresholds.csv", "ThresholdMdl",
    "Tenant ID FilterIDs ActivationInterval MaxHits:int MinHits:int MinSleep Blocker:bool Weight:float ActionIDs Async:bool EeIDs",
    _thresholds(),
)  # fmt: skip
RESOURCES = file_kind(
    "resource", "Resources.csv", "ResourceMdl",
    "Tenant ID FilterIDs ActivationInterval UsageTTL Limit AllocationMessage Blocker:bool Stored:bool Weight:float"
    " ThresholdIDs",
    _resources(),
)  # fmt: skip
IPS = file_kind(
    "ip", "IPs.csv", "IPMdl",
    "Tenant ID FilterIDs ActivationInterval TTL Stored:bool Weight:float PoolID PoolFilterIDs PoolType PoolRange PoolStrategy"
    " PoolMessage PoolWeight:float PoolBlocker:bool",
    _ips(),
)  # fmt: skip
ROUTES = file_kind(
    "route", "Routes.csv", "RouteMdl",
    "Tenant ID FilterIDs ActivationInterval Sorting SortingParameters RouteID RouteFilterIDs RouteAccountIDs"
    " RouteRatingPlanIDs RouteResourceIDs RouteStatIDs RouteWeight:float RouteBlocker:bool RouteParameters Weight:float",
    _routes(),
)  # fmt: skip
STATS = file_kind(
    "stat", "Stats.csv", "StatMdl",
    "Tenant ID FilterIDs ActivationInterval QueueLength:int TTL MinItems:int Metrics MetricFilterIDs Stored:bool Blocker:bool"
    " Weight:float ThresholdIDs",
    _stats(),
)  # fmt: skip
CHARGERS = file_kind(
    "charger", "Chargers.csv", "ChargerMdl", "Tenant ID FilterIDs ActivationInterval RunID AttributeIDs Weight:float",
    _chargers(),
)  # fmt: skip
