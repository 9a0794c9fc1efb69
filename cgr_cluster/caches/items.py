"""What counts as cached, and the steps that read and change it (spec chapter 70, section 4).

There is no cache of objects: reference data are generations, live state is in shards, and whoever reads one reads what is in
force. What clients of CacheS look at is which objects have been read since they were last dropped. Such a `CachedItem` is
put down where the reading is done anyway, in that shard and in that group, once for each object: nothing is asked of another
owner for it, and it survives the worker. The methods of CacheS ask all workers. An object that has gone counts as dropped.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from cgr_cluster.caches.partitions import OF_KIND, PARTITIONS, STATES, Settings, configured
from cgr_cluster.engine.domain import GenerationView, Operation, Part, Steps, step, stored
from cgr_cluster.engine.owner import LEADER
from cgr_cluster.filters.index_items import index_items


@stored("cached_item")
class CachedItem(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """Kept under `PARTITION/ITEM`. `at_ns`: read then. `group`: of items of an index, its tenant and context."""

    at_ns: int
    group: str = ""

    def draft(self) -> CachedItem:
        return self


class Item(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """An item as CacheS shows it. `expiry_ns` 0: it stays."""

    partition: str
    id: str
    group: str = ""
    expiry_ns: int = 0


def note(part: Part, partition: str, item: str, group: str = "") -> None:
    """An object has been read: it is in the cache from now on, if its partition holds anything."""
    settings = part.generation.derived(configured, "config").get(partition)
    if settings is not None:
        _note(part, settings, f"{partition}/{item}", group)


def _note(part: Part, settings: Settings, key: str, group: str) -> None:
    found = part.read(CachedItem, key)
    if found is None or (settings.ttl_ns and (not settings.static_ttl or _over(found, settings.ttl_ns, part.now_ns))):
        part.put(CachedItem, key, CachedItem(part.now_ns, group))


def _over(found: CachedItem, ttl_ns: int, now_ns: int) -> bool:
    return bool(ttl_ns) and found.at_ns + ttl_ns <= now_ns


def note_object(part: Part, kind: str, key: str) -> None:
    """An object of this kind of reference data has been read."""
    note(part, OF_KIND[kind].name, key)


def note_state(part: Part, kind: str, key: str) -> None:
    """The live state that belongs to a profile of this kind has been read."""
    note(part, STATES[kind].name, key)


def note_event(part: Part, kind: str, key: str) -> None:
    """An event has come to a profile of this kind and to its live state."""
    found = part.generation.derived(configured, "config")
    for partition in (OF_KIND[kind].name, STATES[kind].name):
        settings = found.get(partition)
        if settings is not None:
            _note(part, settings, f"{partition}/{key}", "")


def noted(op: Operation, kind: str, key: str) -> Steps[None]:
    """As `note_object`, in an operation."""
    partition = OF_KIND[kind].name
    if partition in op.generation.derived(configured, "config"):
        yield load.at(LEADER, {partition: [key]})


def noted_event(op: Operation, kind: str, keys: list[str]) -> Steps[None]:
    """Profiles of this kind have been found for an event that counts nowhere."""
    held = op.generation.derived(configured, "config")
    wanted: dict[str, list[str] | None] = {
        name: keys for name in (OF_KIND[kind].name, STATES[kind].name) if name in held
    }
    if wanted and keys:
        yield load.at(LEADER, wanted)


class Existing:
    """Tells whether there still is what was read. For one piece of work: it remembers indexes."""

    def __init__(self, generation: GenerationView) -> None:
        self._generation = generation
        self._indexes: dict[tuple[str, str], dict[str, list[str]]] = {}

    def has(self, partition: str, item: str, group: str = "") -> bool:
        found = PARTITIONS.get(partition)
        if found is None:
            return False
        if found.item:
            place = found.item, group
            if place not in self._indexes:
                self._indexes[place] = index_items(self._generation, *place)
            return item.removeprefix(f"{group}:") in self._indexes[place]
        if found.kind:
            return item in self._generation.keys(found.kind)
        return partition == "*reverse_destinations" and bool(self._generation.destinations_of(item))


def _items(part: Part, partitions: list[str] | None) -> Iterator[Item]:
    settings = part.generation.derived(configured, "config")
    existing = Existing(part.generation)
    for key, found in part.scan(CachedItem):
        partition, _, item = key.partition("/")
        own = settings.get(partition)
        if own is None or (partitions is not None and partition not in partitions):
            continue
        if _over(found, own.ttl_ns, part.now_ns) or not existing.has(partition, item, found.group):
            continue
        yield Item(partition, item, found.group, found.at_ns + own.ttl_ns if own.ttl_ns else 0)


@step("caches.items", reads=True)
def items(part: Part, partitions: list[str] | None) -> list[Item]:
    """The items of these partitions (None: of all) that this worker's shards hold."""
    return list(_items(part, partitions))


@step("caches.shards", reads=True)
def shards(part: Part) -> list[int]:
    """Those of this worker's shards that hold any."""
    return part.shards_with(CachedItem)


@step("caches.drop", idempotent=True)
def drop(part: Part, wanted: dict[str, list[str] | None], group: str) -> tuple[None, int]:
    """Drop items of a shard: partition → items, None for all; with `group` those of the group only. Where nothing but items is
    named these are looked up, else all are looked at, and what has gone is dropped too. Answers also how many were looked at."""
    if wanted and not group and None not in wanted.values():
        keys = [f"{partition}/{item}" for partition, chosen in wanted.items() for item in chosen or ()]
        for key in keys:
            if part.read(CachedItem, key) is not None:
                part.delete(CachedItem, key)
        return None, len(keys)
    looked_at = 0
    existing = Existing(part.generation)
    for key, found in list(part.scan(CachedItem)):
        looked_at += 1
        partition, _, item = key.partition("/")
        chosen = partition in wanted and (wanted[partition] is None or item in (wanted[partition] or ()))
        if group and found.group != group:
            chosen = False
        if chosen or not existing.has(partition, item, found.group):
            part.delete(CachedItem, key)
    return None, looked_at


@step("caches.load", idempotent=True)
def load(part: Part, wanted: dict[str, list[str] | None]) -> None:
    """Take objects into the cache as if they had been read: partition → items, None for all there are."""
    existing = Existing(part.generation)
    for partition, chosen in wanted.items():
        kind = PARTITIONS[partition].kind
        there = sorted(part.generation.keys(kind)) if kind and chosen is None else chosen or ()
        for item in there:
            if not PARTITIONS[partition].item and existing.has(partition, item):
                note(part, partition, item)
