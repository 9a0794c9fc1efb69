"""What setting and removing objects does to the cache: the option `*cache` (spec chapter 70, section 4).

What is read is always what is in force, so `*reload` has nothing to read again and only drops what has gone.
"""

from __future__ import annotations

from typing import Any

from cgr_cluster.actions.walk import over_shards
from cgr_cluster.caches.items import drop, load, shards
from cgr_cluster.caches.partitions import INDEXES, OF_KIND, PARTITIONS, STATES, configured
from cgr_cluster.engine.domain import GenerationView, Operation, Part, Steps, task
from cgr_cluster.engine.owner import LEADER
from cgr_cluster.engine.placement import shard_owner
from cgr_cluster.filters.kinds import KINDS
from cgr_cluster.rpc.errors import server_error

CACHING = frozenset(("*none", "*reload", "*load", "*remove", "*clear"))
Wanted = dict[str, list[str] | None]  # partition → items, None: all


def caching(generation: GenerationView, chosen: str | None) -> str:
    """The way of caching, the configured one when none is chosen. Raises the error of an unknown one."""
    wanted = chosen or str(generation.config("general").get("default_caching") or "*reload")
    if wanted not in CACHING:
        raise server_error("rpc: service/method request ill-formed: ")
    return wanted


def drop_items(wanted: Wanted, group: str = "") -> Steps[None]:
    """Drop items wherever they were read. With no items named, what has gone."""
    yield from over_shards(shards, lambda number: drop.at(shard_owner(number), wanted, group))


def changed(op: Operation, kind: str, key: str, opts: dict[str, Any] | None, removed: bool = False) -> Steps[None]:
    """An object has been set or removed; `opts` are those of the call."""
    given = (opts or {}).get("*cache")
    yield from _changed(kind, key, caching(op.generation, None if given is None else str(given)), removed)


def spawn_changed(part: Part, kind: str, key: str, opts: dict[str, Any] | None, removed: bool = False) -> None:
    """As `changed`, in a method that is one step: the answer waits until it is done."""
    given = (opts or {}).get("*cache")
    way = caching(part.generation, None if given is None else str(given))
    if OF_KIND[kind].name not in part.generation.derived(configured, "config"):
        return
    if way in ("*load", "*remove", "*clear") or (removed and way == "*reload"):
        part.spawn("caches.changed", kind, key, way, removed)


@task("caches.changed", awaited=True)
def changed_task(op: Operation, kind: str, key: str, way: str, removed: bool) -> Steps[None]:
    yield from _changed(kind, key, way, removed)


def _changed(kind: str, key: str, way: str, removed: bool) -> Steps[None]:
    partitions = [OF_KIND[kind].name]
    if kind in STATES:
        partitions.append(STATES[kind].name)
    if way == "*clear":
        indexes = [INDEXES[item].name for item, one in KINDS.items() if one.name == kind]
        yield from drop_items(dict.fromkeys([*partitions, *indexes]))
    elif way == "*remove" or (removed and way != "*none"):
        yield from drop_items({name: [key] for name in partitions})
    elif way == "*load":
        yield load.at(LEADER, {name: [key] for name in partitions})


def loaded(op: Operation, chosen: str | None, removing: bool) -> Steps[None]:
    """A tariff plan has been loaded or removed. Raises the error of an unknown way of caching."""
    way = caching(op.generation, chosen)
    if way == "*clear":
        yield from drop_items(dict.fromkeys(PARTITIONS))
    elif removing and way != "*none":
        yield from drop_items({})
