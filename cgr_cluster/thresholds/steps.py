"""Steps at a threshold's owner: each is one atomic change or read of its state (spec chapter 51, sections 2.2, 3.1, 3.3)."""

from __future__ import annotations

from typing import Any

import msgspec

from cgr_cluster.caches.items import note_event
from cgr_cluster.engine.domain import Part, step
from cgr_cluster.events.event import CGREvent
from cgr_cluster.events.instant import ZERO, Instant
from cgr_cluster.events.times import format_instant
from cgr_cluster.rpc.errors import not_found
from cgr_cluster.thresholds.types import THRESHOLDS, UNLIMITED, Threshold, ThresholdProfile

NOT_HIT, HIT, DUE = 0, 1, 2  # DUE: hit, and now actions and exports run


class ActionRun(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """Actions of a threshold that nobody waits for, should they be due: on this account ("": none), about this event."""

    account_id: str
    event: CGREvent
    hops: int


def _profile(part: Part, tenant: str, threshold_id: str) -> ThresholdProfile | None:
    found: ThresholdProfile | None = THRESHOLDS.get(part.generation, tenant, threshold_id)
    return found


def _state(part: Part, profile: ThresholdProfile) -> Threshold:
    """The state as it counts now; not to be changed."""
    found = part.read(Threshold, THRESHOLDS.key(profile.tenant, profile.id))
    return found if found is not None and found.state_id == profile.state_id else Threshold(profile.state_id)


@step("thresholds.hit")
def hit(part: Part, tenant: str, threshold_id: str, run: ActionRun | None) -> int:
    """Count an event that has matched (51 §3.1, step 4). `run`: how to run the actions of an asynchronous threshold; those
    of the others are the caller's when the answer is DUE."""
    profile = _profile(part, tenant, threshold_id)
    if profile is None:
        return NOT_HIT
    note_event(part, THRESHOLDS.name, THRESHOLDS.key(tenant, threshold_id))
    state = _state(part, profile)
    if profile.max_hits != UNLIMITED and state.hits >= profile.max_hits:
        return NOT_HIT
    counted = Threshold(profile.state_id, state.hits + 1, state.snooze)
    due = counted.hits >= profile.min_hits and part.now_ns >= state.snooze.ns
    if due:
        counted.snooze = Instant.of(part.now_ns + profile.min_sleep_ns)
        if run is not None and profile.action_ids:
            part.spawn("thresholds.act", run, list(profile.action_ids))
    part.put(Threshold, THRESHOLDS.key(tenant, threshold_id), counted)
    return DUE if due else HIT


@step("thresholds.reset")
def reset(part: Part, tenant: str, threshold_id: str) -> None:
    """Hits 0, snooze cleared (51 §3.3). Raises `NOT_FOUND`."""
    profile = _profile(part, tenant, threshold_id)
    if profile is None:
        raise not_found()
    if _state(part, profile).hits:
        part.put(Threshold, THRESHOLDS.key(tenant, threshold_id), Threshold(profile.state_id))


@step("thresholds.forget", idempotent=True)
def forget(part: Part, tenant: str, threshold_id: str, state_id: str) -> None:
    """Drop the state of a profile that has been removed or has begun anew."""
    key = THRESHOLDS.key(tenant, threshold_id)
    state = part.read(Threshold, key)
    if state is not None and state.state_id == state_id:
        part.delete(Threshold, key)


@step("thresholds.shown", reads=True)
def shown(part: Part, tenant: str, threshold_id: str) -> dict[str, Any] | None:
    """The state as the API shows it; None for an unknown threshold."""
    profile = _profile(part, tenant, threshold_id)
    if profile is None:
        return None
    state = _state(part, profile)
    return {
        "Tenant": tenant,
        "ID": threshold_id,
        "Hits": state.hits,
        "Snooze": format_instant(state.snooze if state.snooze else ZERO),
    }
