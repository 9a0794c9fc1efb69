"""Trend profiles and the samples of a trend (spec chapter 60, section 3).

A trend lives at its owner as small objects, so that a run costs the same however many samples there are: the trend with what the
next sample is compared with, and one object per sample.
"""

from __future__ import annotations

import math
from fractions import Fraction

import msgspec

from cgr_cluster.engine.domain import GenerationView, reference, stored
from cgr_cluster.events.amounts import NANO
from cgr_cluster.stats.metrics import rounded

KIND = "trend_profile"
LAST, AVERAGE = "*last", "*average"
POSITIVE, NEGATIVE, CONSTANT, NOT_AVAILABLE = "*positive", "*negative", "*constant", "N/A"
NO_GROWTH = -1  # of a sample that there is nothing to compare with
Number = int | float
Values = dict[str, Number]


@reference(KIND)
class TrendProfile(msgspec.Struct, frozen=True, gc=False):
    """The key is `TENANT:ID`. A list that was not given is None. `ttl_ns` below 0: samples stay. `state_id` names the samples that
    belong to it: it is another one when the profile is stored for the first time, and when another queue is sampled."""

    tenant: str
    id: str
    schedule: str = ""
    stat_id: str = ""
    metrics: tuple[str, ...] | None = None
    ttl_ns: int = 0
    queue_length: int = 0
    min_items: int = 0
    correlation: str = ""
    tolerance: float = 0.0
    stored: bool = False
    threshold_ids: tuple[str, ...] | None = None
    state_id: str = ""


class Measured(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A metric in a sample."""

    value: Number
    growth: Number
    label: str


@stored("trend_sample")
class Sample(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A run; the key is `STATE_ID:NUMBER`."""

    at_ns: int
    metrics: dict[str, Measured]

    def draft(self) -> Sample:
        return self


class Earlier(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """What the kept samples say of a metric: the last value, the sum of all in 10^-9, and how many there are."""

    last: Number
    total_nano: int
    count: int

    def growth(self, value: Number, correlation: str) -> Number | None:
        """Percent by which `value` differs (60 §3), rounded to 5 decimals. None: there is nothing to compare with."""
        if correlation == AVERAGE:
            before: Number = self.total_nano / (NANO * self.count)
        elif correlation == LAST:
            before = self.last
        else:
            return None
        if not before:
            return None
        growth = (value - before) * 100 / before
        return rounded(growth, 5) if math.isfinite(growth) else None


@stored("trend")
class Trend(msgspec.Struct, array_like=True, gc=False):
    """The trend of `TENANT:ID`, at the owner of that name and under that key. Samples are numbered from `first` up to before
    `end`."""

    state_id: str
    first: int = 0
    end: int = 0
    earlier: dict[str, Earlier] = {}

    def draft(self) -> Trend:
        return Trend(self.state_id, self.first, self.end, dict(self.earlier))

    def key(self, number: int | str) -> str:
        return f"{self.state_id}:{number}"

    def take(self, sample: Sample) -> None:
        """Count a sample that becomes the last one."""
        for metric_id, measured in sample.metrics.items():
            known = self.earlier.get(metric_id, Earlier(0, 0, 0))
            total = known.total_nano + exact_nano(measured.value)
            self.earlier[metric_id] = Earlier(measured.value, total, known.count + 1)
        self.end += 1

    def leave(self, sample: Sample) -> None:
        """The first sample goes."""
        for metric_id, measured in sample.metrics.items():
            known = self.earlier[metric_id]
            if known.count == 1:
                del self.earlier[metric_id]
            else:
                total = known.total_nano - exact_nano(measured.value)
                self.earlier[metric_id] = Earlier(known.last, total, known.count - 1)
        self.first += 1

    def measure(self, profile: TrendProfile, metric_id: str, value: Number) -> Measured:
        known = self.earlier.get(metric_id)
        if known is None:
            return Measured(value, NO_GROWTH, NOT_AVAILABLE)
        growth = known.growth(value, profile.correlation)
        if growth is None:
            compared = profile.correlation in (LAST, AVERAGE)
            return Measured(value, 0 if compared else NO_GROWTH, NOT_AVAILABLE)
        return Measured(value, growth, label_of(growth, profile.tolerance))


def exact_nano(value: Number) -> int:
    """In 10^-9, of any size: nanoseconds of long durations are metrics too."""
    return round(Fraction(value) * NANO)


def label_of(growth: Number, tolerance: float) -> str:
    if growth == 0 or abs(growth) <= tolerance:
        return CONSTANT
    return POSITIVE if growth > 0 else NEGATIVE


def trend_profile(generation: GenerationView, tenant: str, trend_id: str) -> TrendProfile | None:
    found: TrendProfile | None = generation.get(KIND, f"{tenant}:{trend_id}")
    return found


def with_state(profile: TrendProfile, old: TrendProfile | None, new_id: str) -> TrendProfile:
    """The profile with the id of its samples: that of the profile it replaces, unless another queue is sampled."""
    keeps = old is not None and old.stat_id == profile.stat_id
    return msgspec.structs.replace(profile, state_id=old.state_id if old is not None and keeps else new_id)
