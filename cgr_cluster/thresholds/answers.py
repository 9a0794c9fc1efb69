"""Threshold profiles as the API shows them (spec chapter 51, section 2)."""

from __future__ import annotations

from typing import Any

from cgr_cluster.filters.params import interval_json, list_json
from cgr_cluster.rating.answers import number
from cgr_cluster.thresholds.types import ThresholdProfile


def profile_json(profile: ThresholdProfile) -> dict[str, Any]:
    return {
        "Tenant": profile.tenant,
        "ID": profile.id,
        "FilterIDs": list_json(profile.filter_ids),
        "ActivationInterval": interval_json(profile.activation_interval),
        "MaxHits": profile.max_hits,
        "MinHits": profile.min_hits,
        "MinSleep": profile.min_sleep_ns,
        "Blocker": profile.blocker,
        "Weight": number(profile.weight),
        "ActionIDs": list_json(profile.action_ids),
        "Async": profile.runs_async,
        "EeIDs": list_json(profile.ee_ids),
    }
