"""Trend and ranking profiles from their rows (spec chapter 60, sections 3 and 4)."""

from __future__ import annotations

from cgr_cluster.engine.domain import GenerationView
from cgr_cluster.events.durations import parse_duration
from cgr_cluster.rankings.types import RankingProfile, ranking_profile
from cgr_cluster.rankings.types import with_state as ranking_with_state
from cgr_cluster.rpc.errors import missing
from cgr_cluster.tariffs import tp_types as tp
from cgr_cluster.trends.types import TrendProfile, trend_profile
from cgr_cluster.trends.types import with_state as trend_with_state


def trend_of(row: tp.TPTrendsProfile, generation: GenerationView, new_id: str) -> TrendProfile:
    """Raises ApiError for a TTL that is no duration. `new_id`: of its samples, should they begin anew."""
    if not row.ID:
        raise missing(["ID"])
    profile = TrendProfile(
        row.Tenant, row.ID, row.Schedule, row.StatID, tuple(row.Metrics), parse_duration(row.TTL), row.QueueLength,
        row.MinItems, row.CorrelationType, row.Tolerance, row.Stored, tuple(row.ThresholdIDs),
    )  # fmt: skip
    return trend_with_state(profile, trend_profile(generation, row.Tenant, row.ID), new_id)


def ranking_of(row: tp.TPRankingProfile, generation: GenerationView, new_id: str) -> RankingProfile:
    """`new_id`: of its ranking, should it begin anew."""
    if not row.ID:
        raise missing(["ID"])
    profile = RankingProfile(
        row.Tenant, row.ID, row.Schedule, tuple(row.StatIDs), tuple(row.MetricIDs), row.Sorting,
        tuple(row.SortingParameters), row.Stored, tuple(row.ThresholdIDs),
    )  # fmt: skip
    return ranking_with_state(profile, ranking_profile(generation, row.Tenant, row.ID), new_id)
