"""Threshold profiles and their states (spec chapter 51, section 2)."""

from __future__ import annotations

import msgspec
from msgspec.structs import replace

from cgr_cluster.engine.domain import reference, stored
from cgr_cluster.events.instant import ZERO, Instant
from cgr_cluster.filters.kinds import profile_kind
from cgr_cluster.filters.types import ActivationInterval

UNLIMITED = -1  # max_hits


@reference("threshold_profile")
class ThresholdProfile(msgspec.Struct, frozen=True, gc=False):
    """The key is `TENANT:ID`. `state_id` names the state that belongs to it: it is another one when the profile is stored
    for the first time, and when its limits change, which is how a state begins anew (51 §2.2)."""

    tenant: str
    id: str
    filter_ids: tuple[str, ...] = ()
    activation_interval: ActivationInterval | None = None
    max_hits: int = 0
    min_hits: int = 0
    min_sleep_ns: int = 0
    blocker: bool = False
    weight: float = 0.0
    action_ids: tuple[str, ...] = ()
    runs_async: bool = False
    ee_ids: tuple[str, ...] = ()
    state_id: str = ""

    @property
    def limits(self) -> tuple[int, int, int]:
        """What a state counts against; another value makes it begin anew."""
        return self.max_hits, self.min_hits, self.min_sleep_ns


@stored("threshold")
class Threshold(msgspec.Struct, array_like=True, gc=False):
    """The state of a threshold, at the owner `tenant:id` and under that key. `snooze`: no actions before it (ZERO: never
    set). A state whose `state_id` is not the profile's is one of an earlier profile, and counts as none."""

    state_id: str
    hits: int = 0
    snooze: Instant = ZERO

    def draft(self) -> Threshold:
        return Threshold(self.state_id, self.hits, self.snooze)


def with_state(profile: ThresholdProfile, old: ThresholdProfile | None, new_id: str) -> ThresholdProfile:
    """The profile with the id of its state: that of the profile it replaces, unless the limits are others."""
    keeps = old is not None and old.limits == profile.limits
    return replace(profile, state_id=old.state_id if old is not None and keeps else new_id)


THRESHOLDS = profile_kind("threshold_profile", "*thresholds", "thresholds")
