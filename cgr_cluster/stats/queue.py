"""A queue while an event, a read or a reset works on it (spec chapter 60, sections 1.4 and 1.6).

All changes stay in the working copy until `save`; a read just drops it. Totals are kept as events come and go, never
computed from the items, except the greatest and least value when the item that held it leaves.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from cgr_cluster.engine.domain import Part
from cgr_cluster.stats.metrics import Sample, base_and_field, summed
from cgr_cluster.stats.types import (
    ANSWERED,
    DURATIONS,
    HIGHEST,
    LEAST_START,
    LOWEST,
    SUM,
    VALUES,
    MetricState,
    Number,
    StatEntry,
    StatItem,
    StatQueue,
    StatQueueProfile,
    StatValue,
)


class Snapshot(msgspec.Struct, gc=False):
    """A queue at one moment. `items` in their order, `entries` by event id, as they lie: packed ones are bytes. `values`: of
    metrics that keep no event ids, by number."""

    profile: StatQueueProfile
    head: StatQueue
    items: list[Any]
    entries: dict[str, Any]
    values: dict[int, list[str]]


class Queue:
    """The queue of a profile at its owner. `replaced`: the content of an earlier era, which is to be dropped. `outdated`:
    the queue was emptied by a profile newer than this one, so what the event brings belongs to what is gone."""

    __slots__ = ("_base", "_entries", "_items", "_part", "_values", "head", "outdated", "profile", "replaced")

    def __init__(self, part: Part, profile: StatQueueProfile, found: StatQueue | None) -> None:
        self._part = part
        self.profile = profile
        self.replaced: StatQueue | None = None
        self.outdated = False
        head = None if found is None else found.draft()
        if head is not None and head.era != profile.era:
            if head.revision > profile.revision:
                self.outdated = True
            else:
                self.replaced, head = found, None
        self.head = head if head is not None else StatQueue(profile.era, profile.revision, metrics={})
        if self.head.revision <= profile.revision:
            self._take_definitions()
        self._base = self.head.base
        self._items: dict[int, StatItem | None] = {}  # changes: number → item, None: it has left
        self._entries: dict[str, StatEntry | None] = {}  # looked at: event id → draft, None: there is none
        self._values: dict[str, int] = {}  # looked at: key → holders

    def _take_definitions(self) -> None:
        """Metrics of the profile: what is known stays, the rest starts empty, what is no longer named goes."""
        known = self.head.metrics
        self.head.revision = self.profile.revision
        self.head.metrics = {
            metric.number: known.get(metric.number) or MetricState.fresh(base_and_field(metric.id)[0].shape)
            for metric in self.profile.measured
        }

    # --- events ---------------------------------------------------------------------------------------------------

    def expire(self, now_ns: int) -> None:
        """Drop from the front what has expired; the first that stays ends it."""
        while self.head.first < self.head.end:
            item = self.item(self.head.first)
            if not item.expiry_ns or item.expiry_ns > now_ns:
                return
            self.drop_first()

    def take(self, event_id: str, samples: dict[int, Sample], now_ns: int) -> None:
        """Count an event."""
        if self.profile.counter_only:
            for number, sample in samples.items():
                self._add(number, sample, None)
            return
        self.expire(now_ns)
        if 0 < self.profile.queue_length <= self.head.end - self.head.first:
            self.drop_first()
        ttl_ns = self.profile.ttl_ns
        self._items[self.head.end] = StatItem(event_id, now_ns + ttl_ns if ttl_ns > 0 else 0)
        self.head.end += 1
        entry = self._entry(event_id) or StatEntry(0, {}, {}, {})
        self._entries[event_id] = entry
        entry.items += 1
        for number, sample in samples.items():
            self._add(number, sample, entry)

    def _add(self, number: int, sample: Sample, entry: StatEntry | None) -> None:
        state = self.head.metrics.get(number)
        if state is None:
            return  # a metric that a newer profile no longer has
        if state.shape == VALUES:
            self._add_value(state, number, str(sample), entry)
        elif isinstance(sample, str):
            raise AssertionError(f"metric {number} counts numbers, not {sample!r}")
        elif state.shape in (ANSWERED, DURATIONS, SUM):
            total = summed(state.total, sample)
            if total is None:
                return
            state.count += 1
            state.total = total
            if entry is not None:
                mean, factor = entry.means.get(number, (0, 0))
                entry.means[number] = (_mean(mean, factor, sample, state.shape == DURATIONS), factor + 1)
        else:
            self._add_once(state, number, sample, entry)

    def _add_value(self, state: MetricState, number: int, value: str, entry: StatEntry | None) -> None:
        state.count += 1
        held = {} if entry is None else entry.values.setdefault(number, {})
        if value not in held:
            holders = self._holders(number, value)
            if entry is not None or not holders:
                self._hold(number, value, holders + 1)
            if not holders:
                state.total += 1
        held[value] = held.get(value, 0) + 1

    def _add_once(self, state: MetricState, number: int, sample: Number, entry: StatEntry | None) -> None:
        """Greatest and least values, and counts of replies: an event id has one value and counts once."""
        before = None if entry is None else entry.numbers.get(number)
        if before is None:
            state.count += 1
        if entry is not None:
            entry.numbers[number] = sample
        if before is not None and before == state.total and state.shape in (HIGHEST, LOWEST):
            state.total = self._extreme(state.shape, number)
        elif state.shape == HIGHEST:
            state.total = max(state.total, sample)
        elif state.shape == LOWEST:
            state.total = min(state.total, sample)

    # --- items that leave -----------------------------------------------------------------------------------------

    def drop_first(self) -> None:
        item = self.item(self.head.first)
        self._items[self.head.first] = None
        self.head.first += 1
        entry = self._entry(item.event_id)
        if entry is None:
            return
        entry.items -= 1
        for number in list(entry.means):
            self._drop_mean(number, entry)
        for number in list(entry.values):
            self._drop_value(number, entry)
        for number in list(entry.numbers):
            self._drop_number(number, entry)
        if not entry.items:
            self._entries[item.event_id] = None

    def _drop_mean(self, number: int, entry: StatEntry) -> None:
        mean, factor = entry.means.pop(number)
        state = self.head.metrics.get(number)
        gone: Number = mean
        if state is not None and state.shape == ANSWERED:
            gone = 1 if mean > 0.5 else 0
            if factor > 1:
                mean = (mean * factor - gone) / (factor - 1)
        if factor > 1:
            entry.means[number] = (mean, factor - 1)
        if state is not None:
            state.count -= 1
            state.total -= gone

    def _drop_value(self, number: int, entry: StatEntry) -> None:
        held = entry.values[number]
        value = next(iter(held))
        held[value] -= 1
        state = self.head.metrics.get(number)
        if state is not None:
            state.count -= 1
        if held[value]:
            return
        del held[value]
        if not held:
            del entry.values[number]
        holders = self._holders(number, value) - 1
        self._hold(number, value, holders)
        if not holders and state is not None:
            state.total -= 1

    def _drop_number(self, number: int, entry: StatEntry) -> None:
        """The first item of an id takes the id's value along, however often it came."""
        value = entry.numbers.pop(number)
        state = self.head.metrics.get(number)
        if state is None:
            return
        state.count -= 1
        if state.shape in (HIGHEST, LOWEST) and value == state.total:
            state.total = self._extreme(state.shape, number)

    def _extreme(self, shape: str, number: int) -> Number:
        held = (entry.numbers[number] for _, entry in self.entries() if number in entry.numbers)
        return max(held, default=0) if shape == HIGHEST else min(held, default=LEAST_START)

    # --- its objects ----------------------------------------------------------------------------------------------

    def item(self, place: int) -> StatItem:
        item = self._items.get(place) or self._part.read(StatItem, f"{self._base}{place}")
        assert item is not None, f"queue {self._base} lacks item {place}"
        return item

    def items(self) -> Iterator[StatItem]:
        for place in range(self.head.first, self.head.end):
            yield self.item(place)

    def entries(self) -> Iterator[tuple[str, StatEntry]]:
        """Event ids with what they have added, each once, in the order in which they came."""
        for event_id in dict.fromkeys(item.event_id for item in self.items()):
            entry = self._entry(event_id)
            if entry is not None:
                yield event_id, entry

    def snapshot(self) -> Snapshot:
        """What the queue holds, to be read on while it goes its way."""
        part, base = self._part, self._base
        lying: dict[str, StatItem | bytes] = part.kept(StatItem, base)
        items = [self._items.get(place) or lying[str(place)] for place in range(self.head.first, self.head.end)]
        entries: dict[str, StatEntry | bytes] = part.kept(StatEntry, base)
        for event_id, entry in self._entries.items():
            entries.pop(event_id, None)
            if entry is not None:
                entries[event_id] = entry
        values = {}
        if self.profile.counter_only:
            values = {number: self.values(number) for number, one in self.head.metrics.items() if one.shape == VALUES}
        return Snapshot(self.profile, self.head, items, entries, values)

    def values(self, number: int) -> list[str]:
        """All values of a metric that keeps no event ids (60 §1.6)."""
        prefix = self._value_key(number, "")
        return sorted(key.removeprefix(prefix) for key in self._part.keys(StatValue) if key.startswith(prefix))

    def _entry(self, event_id: str) -> StatEntry | None:
        if event_id not in self._entries:
            found = self._part.read(StatEntry, f"{self._base}{event_id}")
            self._entries[event_id] = None if found is None else found.draft()
        return self._entries[event_id]

    def _value_key(self, number: int, value: str) -> str:
        return f"{self._base}{number}:{value}"

    def _holders(self, number: int, value: str) -> int:
        key = self._value_key(number, value)
        if key in self._values:
            return self._values[key]
        found = self._part.read(StatValue, key)
        return 0 if found is None else found.holders

    def _hold(self, number: int, value: str, holders: int) -> None:
        self._values[self._value_key(number, value)] = holders

    def save(self, key: str) -> None:
        """Make the changes of this working copy the queue's, whose key is `key`."""
        part, base = self._part, self._base
        part.put(StatQueue, key, self.head)
        for place, item in self._items.items():
            if item is not None:
                part.put(StatItem, f"{base}{place}", item)
            elif part.read(StatItem, f"{base}{place}") is not None:
                part.delete(StatItem, f"{base}{place}")
        for event_id, entry in self._entries.items():
            if entry is not None:
                part.put(StatEntry, f"{base}{event_id}", entry)
            elif part.read(StatEntry, f"{base}{event_id}") is not None:
                part.delete(StatEntry, f"{base}{event_id}")
        for value_key, holders in self._values.items():
            if holders > 0:
                part.put(StatValue, value_key, StatValue(holders))
            elif part.read(StatValue, value_key) is not None:
                part.delete(StatValue, value_key)


def _mean(mean: Number, factor: int, sample: Number, whole: bool) -> Number:
    total = mean * factor + sample
    return int(total) // (factor + 1) if whole else total / (factor + 1)
