"""APIerSv1.ExportToFolder: live profiles and filters as the CSV files that load as the same (spec chapter 70 §10)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from cgr_cluster.attributes.settings import attribute_settings
from cgr_cluster.attributes.types import AttributeProfile
from cgr_cluster.chargers.types import ChargerProfile
from cgr_cluster.dispatchers.types import DISPATCHERS, HOST
from cgr_cluster.engine.domain import GenerationView, Operation, Steps, outside
from cgr_cluster.events.durations import format_duration
from cgr_cluster.events.instant import Instant
from cgr_cluster.events.times import format_instant
from cgr_cluster.events.values import number_text
from cgr_cluster.filters.types import ActivationInterval, Filter
from cgr_cluster.ips.types import IPProfile
from cgr_cluster.rankings.types import RankingProfile
from cgr_cluster.resources.types import ResourceProfile
from cgr_cluster.routes.types import RouteProfile
from cgr_cluster.rpc.errors import ApiError, require
from cgr_cluster.rpc.registry import Params, method
from cgr_cluster.stats.types import StatQueueProfile
from cgr_cluster.tariffs import dispatcher_rows, profile_rows, query_rows
from cgr_cluster.tariffs import tp_types as tp
from cgr_cluster.tariffs.rows import FileKind, write_kind
from cgr_cluster.thresholds.types import ThresholdProfile
from cgr_cluster.trends.types import TrendProfile


def _time(at: Instant) -> str:
    return format_instant(at) if at else ""


def _interval(interval: ActivationInterval | None) -> tp.TPActivationInterval | None:
    if interval is None:
        return None
    return tp.TPActivationInterval(_time(interval.activation_time), _time(interval.expiry_time))


def _filter(f: Filter, separator: str) -> tp.TPFilterProfile:
    rules = [tp.TPFilterRow(rule.type, rule.element, list(rule.values)) for rule in f.rules]
    return tp.TPFilterProfile("", f.tenant, f.id, rules, _interval(f.activation_interval))


def _value(rules: tuple[str, ...], separator: str) -> str:
    """The text that is split into these rules again: back quotes keep a separator inside one."""
    return separator.join(f"`{rule}`" if separator in rule else rule for rule in rules)


def _attribute(p: AttributeProfile, separator: str) -> tp.TPAttributeProfile:
    attributes = [tp.TPAttribute(list(a.filter_ids), a.path, a.type, _value(a.value, separator)) for a in p.attributes]
    return tp.TPAttributeProfile(
        "", p.tenant, p.id, list(p.filter_ids), _interval(p.activation_interval), list(p.contexts), attributes, p.blocker,
        p.weight,
    )  # fmt: skip


def _charger(p: ChargerProfile, separator: str) -> tp.TPChargerProfile:
    return tp.TPChargerProfile(
        "",
        p.tenant,
        p.id,
        list(p.filter_ids),
        _interval(p.activation_interval),
        p.run_id,
        list(p.attribute_ids),
        p.weight,
    )


def _threshold(p: ThresholdProfile, separator: str) -> tp.TPThresholdProfile:
    return tp.TPThresholdProfile(
        "", p.tenant, p.id, list(p.filter_ids), _interval(p.activation_interval), p.max_hits, p.min_hits,
        format_duration(p.min_sleep_ns), p.blocker, p.weight, list(p.action_ids), list(p.ee_ids), p.runs_async,
    )  # fmt: skip


def _stat(p: StatQueueProfile, separator: str) -> tp.TPStatProfile:
    metrics = [tp.MetricWithFilters(list(metric.filter_ids), metric.id) for metric in p.metrics]
    return tp.TPStatProfile(
        "", p.tenant, p.id, list(p.filter_ids), _interval(p.activation_interval), p.queue_length, format_duration(p.ttl_ns),
        metrics, p.blocker, p.stored, p.weight, p.min_items, list(p.threshold_ids),
    )  # fmt: skip


def _resource(p: ResourceProfile, separator: str) -> tp.TPResourceProfile:
    return tp.TPResourceProfile(
        "", p.tenant, p.id, list(p.filter_ids), _interval(p.activation_interval), format_duration(p.usage_ttl_ns),
        number_text(p.limit), p.allocation_message, p.blocker, p.stored, p.weight, list(p.threshold_ids),
    )  # fmt: skip


def _ip(p: IPProfile, separator: str) -> tp.TPIPProfile:
    pools = [
        tp.TPIPPool(
            pool.id, list(pool.filter_ids), pool.type, pool.range, pool.strategy, pool.message, pool.weight, pool.blocker
        )
        for pool in p.pools
    ]  # fmt: skip
    return tp.TPIPProfile(
        "", p.tenant, p.id, list(p.filter_ids), _interval(p.activation_interval), format_duration(p.ttl_ns), p.stored,
        p.weight, pools,
    )  # fmt: skip


def _route(p: RouteProfile, separator: str) -> tp.TPRouteProfile:
    routes = [
        tp.TPRoute(
            r.id, list(r.filter_ids), list(r.account_ids), list(r.rating_plan_ids), list(r.resource_ids), list(r.stat_ids),
            r.weight, r.blocker, r.parameters,
        )
        for r in p.routes
    ]  # fmt: skip
    return tp.TPRouteProfile(
        "", p.tenant, p.id, list(p.filter_ids), _interval(p.activation_interval), p.sorting, list(p.sorting_parameters),
        routes, p.weight,
    )  # fmt: skip


def _trend(p: TrendProfile, separator: str) -> tp.TPTrendsProfile:
    return tp.TPTrendsProfile(
        "", p.tenant, p.id, p.schedule, p.stat_id, list(p.metrics or ()), format_duration(p.ttl_ns), p.queue_length,
        p.min_items, p.correlation, p.tolerance, p.stored, list(p.threshold_ids or ()),
    )  # fmt: skip


def _ranking(p: RankingProfile, separator: str) -> tp.TPRankingProfile:
    return tp.TPRankingProfile(
        "", p.tenant, p.id, p.schedule, list(p.stat_ids or ()), list(p.metric_ids or ()), p.sorting,
        list(p.sorting_parameters or ()), p.stored, list(p.threshold_ids or ()),
    )  # fmt: skip


class Export(NamedTuple):
    """`kind` of the reference data, the file, and the row object of a live one (`general.rsr_separator` is given)."""

    kind: str
    file: FileKind
    row: Callable[[Any, str], Any]


EXPORTS = {
    "*attributes": Export("attribute_profile", profile_rows.ATTRIBUTES, _attribute),
    "*chargers": Export("charger", profile_rows.CHARGERS, _charger),
    "*dispatchers": Export(
        DISPATCHERS.name,
        dispatcher_rows.DISPATCHER_PROFILES,
        lambda p, _: dispatcher_rows.profile_row(p, _interval(p.activation_interval)),
    ),
    "*dispatcher_hosts": Export(HOST, dispatcher_rows.DISPATCHER_HOSTS, lambda h, _: dispatcher_rows.host_row(h)),
    "*filters": Export("filter", profile_rows.FILTERS, _filter),
    "*ips": Export("ip_profile", profile_rows.IPS, _ip),
    "*rankings": Export("ranking_profile", query_rows.RANKINGS, _ranking),
    "*resources": Export("resource_profile", profile_rows.RESOURCES, _resource),
    "*routes": Export("route_profile", profile_rows.ROUTES, _route),
    "*stats": Export("stat_profile", profile_rows.STATS, _stat),
    "*thresholds": Export("threshold_profile", profile_rows.THRESHOLDS, _threshold),
    "*trends": Export("trend_profile", query_rows.TRENDS, _trend),
}


def exported(generation: GenerationView, items: list[str]) -> dict[str, bytes]:
    """File name → contents; kinds without objects make no file. Raises ApiError for an item that cannot be exported."""
    files = {}
    separator = attribute_settings(generation).rsr_separator
    for item in items or list(EXPORTS):
        export = EXPORTS.get(item)
        if export is None:
            raise ApiError(f"{item} cannot be exported; items are {', '.join(EXPORTS)}")
        found = [generation.get(export.kind, key) for key in sorted(generation.keys(export.kind))]
        if found:
            files[export.file.file] = write_kind(export.file, [export.row(one, separator) for one in found])
    return files


class ArgExportToFolder(Params, go="utils.ArgExportToFolder"):
    Path: str = ""
    Items: list[str] | None = None


@method("APIerSv1.ExportToFolder", deadline_s=None)
def export_to_folder(op: Operation, params: ArgExportToFolder) -> Steps[str]:
    """Write the live objects of these items (none: of all) into a folder of the server, which is made when needed."""
    require(params, "Path")
    files = exported(op.generation, params.Items or [])
    yield outside("write_folder", params.Path, files)
    return "OK"
