"""Trends as the API shows them (spec chapter 60, section 3)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cgr_cluster.engine.codec import opened
from cgr_cluster.events.instant import Instant
from cgr_cluster.events.times import format_instant
from cgr_cluster.rating.answers import number
from cgr_cluster.tariffs.slices import Slices
from cgr_cluster.trends.types import Sample, TrendProfile


def given(texts: list[str] | None) -> tuple[str, ...] | None:
    """A list of a profile, with null and the empty list kept apart."""
    return None if texts is None else tuple(texts)


def list_as_given(texts: tuple[str, ...] | None) -> list[str] | None:
    return None if texts is None else list(texts)


def profile_json(profile: TrendProfile) -> dict[str, Any]:
    return {
        "Tenant": profile.tenant,
        "ID": profile.id,
        "Schedule": profile.schedule,
        "StatID": profile.stat_id,
        "Metrics": list_as_given(profile.metrics),
        "TTL": profile.ttl_ns,
        "QueueLength": profile.queue_length,
        "MinItems": profile.min_items,
        "CorrelationType": profile.correlation,
        "Tolerance": number(profile.tolerance),
        "Stored": profile.stored,
        "ThresholdIDs": list_as_given(profile.threshold_ids),
    }


def time_text(sample: Sample) -> str:
    return format_instant(Instant.of(sample.at_ns))


def metrics_json(sample: Sample) -> dict[str, Any]:
    return {
        metric_id: {
            "ID": metric_id,
            "Value": number(one.value),
            "TrendGrowth": number(one.growth),
            "TrendLabel": one.label,
        }
        for metric_id, one in sample.metrics.items()
    }


SLICE_SAMPLES = 250  # some milliseconds


def samples_in_slices(
    lying: Sequence[Any], since_ns: int | None, until_ns: int | None
) -> Slices[tuple[list[str], dict[str, Any]]]:
    """The times of the samples from `since_ns` up to before `until_ns`, and their metrics by these times."""
    times: list[str] = []
    metrics: dict[str, Any] = {}
    for place, one in enumerate(lying):
        if place and place % SLICE_SAMPLES == 0:
            yield
        sample = opened(Sample, one)
        if (since_ns is None or sample.at_ns >= since_ns) and (until_ns is None or sample.at_ns < until_ns):
            time = time_text(sample)
            times.append(time)
            metrics[time] = metrics_json(sample)
    return times, metrics
