"""Rankings at their owners: computing, forgetting and reading them (spec chapter 60, section 4)."""

from __future__ import annotations

import logging
from typing import Any

from cgr_cluster.engine.domain import Operation, Part, Steps, step, task, together
from cgr_cluster.engine.owner import object_owner
from cgr_cluster.events.instant import ZERO, Instant
from cgr_cluster.events.times import format_instant
from cgr_cluster.filters.live import live_source
from cgr_cluster.filters.paths import MISSING
from cgr_cluster.filters.view import View
from cgr_cluster.filters.walk import steps_of, walk
from cgr_cluster.rankings.types import KIND, Ranking, RankingProfile, Values, check_sorting, ranked, ranking_profile
from cgr_cluster.rpc.errors import ApiError
from cgr_cluster.stats.queries import connected, drop, inform, query_kind
from cgr_cluster.stats.steps import look_at as look_at_queue

logger = logging.getLogger("cgr_cluster.rankings")

RANKING_UPDATE = "RankingUpdate"


def _schedule_of(generation: Any, tenant: str, ranking_id: str) -> str | None:
    profile = ranking_profile(generation, tenant, ranking_id)
    return None if profile is None else profile.schedule


RANKING_QUERIES = query_kind("rankings", KIND, "rankings.run", _schedule_of)


@task("rankings.run")
def run(op: Operation, tenant: str, ranking_id: str) -> Steps[None]:
    """One run of a ranking (60 §4). A queue that does not exist leaves an empty one."""
    profile = ranking_profile(op.generation, tenant, ranking_id)
    if profile is None or not connected(op, RANKING_QUERIES, ranking_id):
        return
    try:
        check_sorting(profile.sorting)
        metrics = yield from _metrics(profile)
        order = ranked(metrics, profile.sorting, profile.sorting_parameters or ())
    except ApiError as error:
        logger.warning("ranking %s:%s: %s", tenant, ranking_id, error.text)
        return
    owner = object_owner(tenant, ranking_id)
    updated = yield record.at(owner, tenant, ranking_id, profile.state_id, metrics, order)
    if updated and order:
        fields = {"RankingID": ranking_id, "LastUpdate": updated, "SortedStatIDs": order}
        yield from inform(op, RANKING_QUERIES, tenant, RANKING_UPDATE, fields, profile.threshold_ids or ())


def _metrics(profile: RankingProfile) -> Steps[dict[str, Values]]:
    """Metrics of the queues to rank; nothing when a queue is unknown. Raises what a queue's owner answers."""
    tenant, ids = profile.tenant, list(dict.fromkeys(profile.stat_ids or ()))
    found = yield together([look_at_queue.at(object_owner(tenant, one), tenant, one) for one in ids])
    wanted = frozenset(profile.metric_ids or ())
    metrics: dict[str, Values] = {}
    for stat_id, values in zip(ids, found, strict=True):
        if isinstance(values, ApiError):
            raise values
        if values is None:
            logger.warning("ranking %s:%s: queue %s: NOT_FOUND", tenant, profile.id, stat_id)
            return {}
        held = {name: -1 if value is None else value for name, value in values.items() if not wanted or name in wanted}
        if held:
            metrics[stat_id] = held
    return metrics


@step("rankings.record")
def record(
    part: Part, tenant: str, ranking_id: str, state_id: str, metrics: dict[str, Values], order: list[str]
) -> str:
    """Keep a ranking. Answers its time as text; empty when the profile has gone since."""
    profile = ranking_profile(part.generation, tenant, ranking_id)
    if profile is None or profile.state_id != state_id:
        return ""
    part.put(Ranking, f"{tenant}:{ranking_id}", Ranking(state_id, part.now_ns, metrics, order))
    return format_instant(Instant.of(part.now_ns))


@step("rankings.forget", idempotent=True)
def forget(part: Part, tenant: str, ranking_id: str, state_id: str) -> None:
    """Drop the ranking of a profile that has been removed, and its schedule."""
    if ranking_profile(part.generation, tenant, ranking_id) is None:
        drop(part, RANKING_QUERIES.name, tenant, ranking_id)
    found = part.read(Ranking, f"{tenant}:{ranking_id}")
    if found is not None and found.state_id == state_id:
        part.delete(Ranking, f"{tenant}:{ranking_id}")


# --- looking at them -----------------------------------------------------------------------------------------------


@step("rankings.look_at", reads=True)
def look_at(part: Part, tenant: str, ranking_id: str) -> dict[str, Any] | None:
    """The ranking as the API shows it; None for an unknown one."""
    profile = ranking_profile(part.generation, tenant, ranking_id)
    if profile is None:
        return None
    found = part.read(Ranking, f"{tenant}:{ranking_id}")
    if found is None or found.state_id != profile.state_id:
        found = Ranking(profile.state_id, ZERO.ns, {}, [])
    return {
        "Tenant": tenant,
        "ID": ranking_id,
        "LastUpdate": format_instant(Instant.of(found.updated_ns)),
        "Metrics": found.metrics,
        "Sorting": profile.sorting,
        "SortingParameters": list(profile.sorting_parameters or ()),
        "SortedStatIDs": found.sorted_ids,
    }


def summary(ranking: dict[str, Any]) -> dict[str, Any]:
    return {name: ranking[name] for name in ("Tenant", "ID", "LastUpdate", "SortedStatIDs")}


def value_at(ranking: dict[str, Any], parts: tuple[str, ...], view: View) -> Any:
    """`~*rankings.ID.SortedStatIDs[0]` (50 §2.2): of the summary."""
    return walk(summary(ranking), steps_of(parts)) if parts else MISSING


live_source("*rankings", object_owner, look_at, value_at)
