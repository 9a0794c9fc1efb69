"""Filters and profiles of attributes, chargers, thresholds, statistic queues and routes from their rows (spec chapters 50 §5.3,
§8.5, 30.10, 51 §3.5, §6.3, 60 §1.1)."""

from __future__ import annotations

from cgr_cluster.attributes.selection import CompiledProfile
from cgr_cluster.attributes.types import Attribute, AttributeProfile
from cgr_cluster.chargers.types import ChargerProfile
from cgr_cluster.engine.domain import GenerationView
from cgr_cluster.events.durations import parse_duration
from cgr_cluster.events.rules import split_value
from cgr_cluster.events.times import parse_time
from cgr_cluster.events.values import float_of
from cgr_cluster.filters.lists import check_filter, check_references
from cgr_cluster.filters.types import ActivationInterval, Filter, Rule
from cgr_cluster.ips.types import IPPool, IPProfile
from cgr_cluster.ips.types import with_state as ips_with_state
from cgr_cluster.resources.types import RESOURCES, ResourceProfile
from cgr_cluster.resources.types import with_state as resource_with_state
from cgr_cluster.routes.types import CompiledRoutes, Route, RouteProfile
from cgr_cluster.rpc.errors import missing
from cgr_cluster.stats.matching import STATS
from cgr_cluster.stats.metrics import base_and_field
from cgr_cluster.stats.types import Metric, StatQueueProfile
from cgr_cluster.stats.types import with_state as stat_with_state
from cgr_cluster.tariffs import tp_types as tp
from cgr_cluster.thresholds.types import THRESHOLDS, ThresholdProfile, with_state


def interval_of(row: tp.TPActivationInterval | None, now_ns: int, zone: str) -> ActivationInterval | None:
    """Raises ApiError `Unsupported time format`."""
    if row is None or not (row.ActivationTime or row.ExpiryTime):
        return None
    return ActivationInterval(parse_time(row.ActivationTime, now_ns, zone), parse_time(row.ExpiryTime, now_ns, zone))


def filter_of(row: tp.TPFilterProfile, now_ns: int, zone: str) -> Filter:
    """Raises ApiError with the error of the checks of a stored filter (50 §5.1)."""
    if not row.ID:
        raise missing(["ID"])
    rules = tuple(Rule(rule.Type, rule.Element, tuple(rule.Values)) for rule in row.Filters)
    found = Filter(row.Tenant, row.ID, rules, interval_of(row.ActivationInterval, now_ns, zone))
    check_filter(found)
    return found


def attribute_profile_of(
    row: tp.TPAttributeProfile, generation: GenerationView, now_ns: int, zone: str, separator: str
) -> AttributeProfile:
    """Raises ApiError for a value that does not compile, and for a missing or broken filter of the profile. No contexts:
    any. `separator` (`general.rsr_separator`) parts the pieces of a value."""
    if not row.ID:
        raise missing(["ID"])
    interval = interval_of(row.ActivationInterval, now_ns, zone)
    attributes = tuple(
        Attribute(part.Path, part.Type, split_value(part.Value, separator), tuple(part.FilterIDs))
        for part in row.Attributes
    )
    contexts = tuple(row.Contexts) or ("*any",)
    profile = AttributeProfile(
        row.Tenant, row.ID, contexts, tuple(row.FilterIDs), interval, attributes, row.Blocker, row.Weight
    )
    CompiledProfile(profile)
    check_references(generation, row.Tenant, row.ID, row.FilterIDs)
    return profile


def threshold_of(
    row: tp.TPThresholdProfile, generation: GenerationView, now_ns: int, zone: str, new_id: str
) -> ThresholdProfile:
    """Raises ApiError for a missing or broken filter, and for a MinSleep that is no duration. `new_id`: of its state,
    should it begin anew."""
    if not row.ID:
        raise missing(["ID"])
    interval = interval_of(row.ActivationInterval, now_ns, zone)
    min_sleep_ns = parse_duration(row.MinSleep)
    check_references(generation, row.Tenant, row.ID, row.FilterIDs)
    profile = ThresholdProfile(
        row.Tenant, row.ID, tuple(row.FilterIDs), interval, row.MaxHits, row.MinHits, min_sleep_ns, row.Blocker, row.Weight,
        tuple(row.ActionIDs), row.Async, tuple(row.EeIDs),
    )  # fmt: skip
    return with_state(profile, THRESHOLDS.get(generation, row.Tenant, row.ID), new_id)


def resource_of(
    row: tp.TPResourceProfile, generation: GenerationView, now_ns: int, zone: str, new_id: str
) -> ResourceProfile:
    """Raises ApiError for a missing or broken filter, a UsageTTL that is no duration, and a Limit that is no number. `new_id`: of
    its state, should it begin anew."""
    if not row.ID:
        raise missing(["ID"])
    interval = interval_of(row.ActivationInterval, now_ns, zone)
    usage_ttl_ns = parse_duration(row.UsageTTL)
    limit = float_of(row.Limit) if row.Limit else 0.0
    check_references(generation, row.Tenant, row.ID, row.FilterIDs)
    profile = ResourceProfile(
        row.Tenant, row.ID, tuple(row.FilterIDs), interval, usage_ttl_ns, limit, row.AllocationMessage, row.Blocker,
        row.Stored, row.Weight, tuple(row.ThresholdIDs),
    )  # fmt: skip
    return resource_with_state(profile, RESOURCES.get(generation, row.Tenant, row.ID), new_id)


def ip_profile_of(row: tp.TPIPProfile, generation: GenerationView, now_ns: int, zone: str, new_id: str) -> IPProfile:
    """Raises ApiError for a missing or broken filter, a TTL that is no duration, and a range that is none. `new_id`: of its state,
    should there be none yet."""
    if not row.ID:
        raise missing(["ID"])
    interval = interval_of(row.ActivationInterval, now_ns, zone)
    ttl_ns = parse_duration(row.TTL)
    for filter_ids in (row.FilterIDs, *(pool.FilterIDs for pool in row.Pools)):
        check_references(generation, row.Tenant, row.ID, filter_ids)
    pools = tuple(
        IPPool(
            pool.ID, tuple(pool.FilterIDs), pool.Type, pool.Range, pool.Strategy, pool.Message, pool.Weight, pool.Blocker
        )
        for pool in row.Pools
    )  # fmt: skip
    profile = IPProfile(row.Tenant, row.ID, tuple(row.FilterIDs), interval, row.Weight, ttl_ns, row.Stored, pools)
    return ips_with_state(profile, generation, new_id)


def stat_queue_of(
    row: tp.TPStatProfile, generation: GenerationView, now_ns: int, zone: str, new_id: str
) -> StatQueueProfile:
    """Raises ApiError for a missing or broken filter, an unknown metric, and a TTL that is no duration. `new_id`: of its
    content, should it begin anew."""
    if not row.ID:
        raise missing(["ID"])
    interval = interval_of(row.ActivationInterval, now_ns, zone)
    ttl_ns = parse_duration(row.TTL)
    check_references(generation, row.Tenant, row.ID, row.FilterIDs)
    for metric in row.Metrics:
        base_and_field(metric.MetricID)
    profile = StatQueueProfile(
        row.Tenant, row.ID, tuple(row.FilterIDs), interval, row.QueueLength, ttl_ns, row.MinItems,
        tuple(Metric(metric.MetricID, tuple(metric.FilterIDs)) for metric in row.Metrics), row.Stored, row.Blocker,
        row.Weight, tuple(row.ThresholdIDs),
    )  # fmt: skip
    return stat_with_state(profile, STATS.get(generation, row.Tenant, row.ID), new_id, now_ns)


def route_profile_of(row: tp.TPRouteProfile, generation: GenerationView, now_ns: int, zone: str) -> RouteProfile:
    """Raises ApiError for a missing or broken filter of the profile, and for a ratio of `*load` that is no integer."""
    if not row.ID:
        raise missing(["ID"])
    interval = interval_of(row.ActivationInterval, now_ns, zone)
    check_references(generation, row.Tenant, row.ID, row.FilterIDs)
    routes = tuple(
        Route(
            one.ID, tuple(one.FilterIDs), tuple(one.AccountIDs), tuple(one.RatingPlanIDs), tuple(one.ResourceIDs),
            tuple(one.StatIDs), one.Weight, one.Blocker, one.RouteParameters,
        )
        for one in row.Routes
    )  # fmt: skip
    profile = RouteProfile(
        row.Tenant,
        row.ID,
        tuple(row.FilterIDs),
        interval,
        row.Sorting,
        tuple(row.SortingParameters),
        routes,
        row.Weight,
    )
    CompiledRoutes(profile)
    return profile


def charger_of(row: tp.TPChargerProfile, generation: GenerationView, now_ns: int, zone: str) -> ChargerProfile:
    """Raises ApiError for a missing or broken filter."""
    if not row.ID:
        raise missing(["ID"])
    interval = interval_of(row.ActivationInterval, now_ns, zone)
    check_references(generation, row.Tenant, row.ID, row.FilterIDs)
    return ChargerProfile(
        row.Tenant, row.ID, tuple(row.FilterIDs), interval, row.RunID, tuple(row.AttributeIDs), row.Weight
    )
