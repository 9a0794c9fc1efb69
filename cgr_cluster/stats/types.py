"""Profiles of statistic queues and what a queue holds (spec chapter 60, sections 1.1 and 1.7).

A queue lives at its owner as small objects, so that an event costs the same however many the queue holds: the queue itself
with the running values, one object per item, one per event id with what the id has added to each metric, and for
`*ddc` and `*distinct` one per value.
"""

from __future__ import annotations

import sys

import msgspec
from msgspec.structs import replace

from cgr_cluster.engine.domain import reference, stored
from cgr_cluster.filters.types import ActivationInterval

COUNTER_ONLY = -1  # of queue length and TTL together: running totals, nothing leaves (60 §1.6)
LEAST_START = sys.float_info.max  # of `*lowest` before its first event
Number = int | float

# Shapes of running values: how events add to them and leave them (queue.py).
ANSWERED, SUM, DURATIONS, VALUES, HIGHEST, LOWEST, ONCE = (
    "answered",
    "sum",
    "durations",
    "values",
    "highest",
    "lowest",
    "once",
)


class Metric(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A metric of a profile. `number` names its values in the queue: another one is a metric that starts empty."""

    id: str
    filter_ids: tuple[str, ...] = ()
    number: int = 0


@reference("stat_profile")
class StatQueueProfile(msgspec.Struct, frozen=True, gc=False):
    """The key is `TENANT:ID`. `era` names the content that belongs to it: it is another one when the profile is stored for
    the first time, and when a change empties the queue (60 §1.9). `revision` grows with every change of the profile;
    `numbers` is how many numbers its metrics have had in this era."""

    tenant: str
    id: str
    filter_ids: tuple[str, ...] = ()
    activation_interval: ActivationInterval | None = None
    queue_length: int = 0
    ttl_ns: int = 0
    min_items: int = 0
    metrics: tuple[Metric, ...] = ()
    stored: bool = False
    blocker: bool = False
    weight: float = 0.0
    threshold_ids: tuple[str, ...] = ()
    era: str = ""
    revision: int = 0
    numbers: int = 0

    @property
    def counter_only(self) -> bool:
        return self.queue_length == COUNTER_ONLY and self.ttl_ns == COUNTER_ONLY

    @property
    def measured(self) -> list[Metric]:
        """The metrics that the queue has: of several with one id the last."""
        return list({metric.id: metric for metric in self.metrics}.values())

    @property
    def limits(self) -> tuple[int, int, int]:
        """What the content was counted with; another value empties the queue."""
        return self.queue_length, self.ttl_ns, self.min_items


class MetricState(msgspec.Struct, array_like=True, gc=False):
    """Running values of a metric. `shape`: one of those above. `total`: sum (ns for durations), number of answered, number of
    distinct values, or the greatest or least value."""

    shape: str
    count: int = 0
    total: Number = 0

    @classmethod
    def fresh(cls, shape: str) -> MetricState:
        return cls(shape, 0, LEAST_START if shape == LOWEST else 0)


@stored("stat_queue")
class StatQueue(msgspec.Struct, array_like=True, gc=False):
    """The queue of `TENANT:ID`, at the owner of that name and under that key. `revision`: of the newest profile that it has
    seen. Items are numbered from `first` up to before `end`. `metrics`: by number."""

    era: str
    revision: int
    resets: int = 0
    first: int = 0
    end: int = 0
    metrics: dict[int, MetricState] = {}

    @property
    def base(self) -> str:
        """What the keys of its objects begin with."""
        return f"{self.era}/{self.resets}:"

    def draft(self) -> StatQueue:
        metrics = {number: MetricState(one.shape, one.count, one.total) for number, one in self.metrics.items()}
        return StatQueue(self.era, self.revision, self.resets, self.first, self.end, metrics)


@stored("stat_item")
class StatItem(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """An event in a queue; the key is the queue's base and the item's number. `expiry_ns` 0: never."""

    event_id: str
    expiry_ns: int = 0

    def draft(self) -> StatItem:
        return self


@stored("stat_entry")
class StatEntry(msgspec.Struct, array_like=True, gc=False):
    """What an event id has added; the key is the queue's base and the id. By metric number: (mean, how many came together in
    it); values with how often; numbers of metrics that keep one value for an id."""

    items: int = 0
    means: dict[int, tuple[Number, int]] = {}
    values: dict[int, dict[str, int]] = {}
    numbers: dict[int, Number] = {}

    def draft(self) -> StatEntry:
        values = {number: dict(held) for number, held in self.values.items()}
        return StatEntry(self.items, dict(self.means), values, dict(self.numbers))


@stored("stat_value")
class StatValue(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """How many event ids hold a value of a metric; the key is the queue's base, the metric's number, `:` and the value."""

    holders: int

    def draft(self) -> StatValue:
        return self


def with_state(profile: StatQueueProfile, old: StatQueueProfile | None, new_id: str, now_ns: int) -> StatQueueProfile:
    """The profile with what names its content: that of the profile it replaces as far as 60 §1.9 keeps it."""
    keeps = old is not None and old.limits == profile.limits and not (old.stored and not profile.stored)
    numbers = old.numbers if old is not None and keeps else 0
    known = {} if old is None or not keeps else {(one.id, frozenset(one.filter_ids)): one.number for one in old.metrics}
    metrics = []
    for metric in profile.metrics:
        number = known.get((metric.id, frozenset(metric.filter_ids)))
        if number is None:
            number, numbers = numbers, numbers + 1
        metrics.append(Metric(metric.id, metric.filter_ids, number))
    return replace(
        profile,
        metrics=tuple(metrics),
        era=old.era if old is not None and keeps else new_id,
        revision=now_ns if old is None else max(now_ns, old.revision + 1),
        numbers=numbers,
    )
