"""Section `ees` of the configuration, read once per generation (spec 40 §7)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from typing import Any

import msgspec

from cgr_cluster.engine.codec import pack
from cgr_cluster.engine.domain import GenerationView
from cgr_cluster.events.durations import parse_duration
from cgr_cluster.events.values import json_text
from cgr_cluster.exporters.types import NO_TYPE, CacheRule, Definition
from cgr_cluster.filters.inline import is_inline
from cgr_cluster.filters.types import Filter

NONE = "*none"
DEFAULT_FAILED_DIR = "/var/spool/cgrates/failed_posts"
DEFAULT_CONTEXT = "*ees"
MAX_ATTEMPTS = 20  # pauses between them grow as Fibonacci's numbers
_OF_CONFIGURATION = re.compile(r"\*cfg\.(\w+)")


class Exporter(msgspec.Struct, frozen=True, gc=False):
    """What a worker looks at; `definition` is the packed `Definition` for the edge. `masks`: destinations of its
    `*masked_destination` fields. `calls`: the method that `*rpc` calls inside this node."""

    id: str
    type: str
    filters: tuple[str, ...]
    synchronous: bool
    attempts: int
    runs_attributes: bool
    attribute_ids: tuple[str, ...]
    attribute_context: str
    masks: tuple[str, ...]
    definition: bytes


class EesSettings(msgspec.Struct, frozen=True, gc=False):
    """`exporters`: in the order of the configuration, those of type `*none` left out. `failed_dir`: of failed posts."""

    enabled: bool
    attributes_connected: bool
    exporters: tuple[Exporter, ...]
    failed_dir: str

    def of_id(self, exporter_id: str) -> Exporter | None:
        return next((one for one in self.exporters if one.id == exporter_id), None)


def ees_settings(generation: GenerationView) -> EesSettings:
    return generation.derived(_read, "config", "filter")


def _read(generation: GenerationView) -> EesSettings:
    config = generation.config("ees")
    version = hashlib.sha1(json_text(config).encode(), usedforsecurity=False).hexdigest()
    exporters = [
        _exporter(generation, config, one, version)
        for one in by_id(config.get("exporters") or ())
        if one.get("type", NO_TYPE) != NO_TYPE
    ]
    return EesSettings(
        bool(config.get("enabled")),
        bool(config.get("attributes_conns")),
        tuple(exporters),
        str((config.get("failed_posts") or {}).get("dir") or ""),
    )


def by_id(configured: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The exporters in order; what comes later under the same id changes the earlier one."""
    found: dict[str, dict[str, Any]] = {}
    for one in configured:
        exporter_id = str(one.get("id") or "*default")
        found[exporter_id] = {**found.get(exporter_id, {}), **one}
    return list(found.values())


def _exporter(generation: GenerationView, config: dict[str, Any], one: dict[str, Any], version: str) -> Exporter:
    flags = one.get("flags") or ()
    fields = [dict(field) for field in one.get("fields") or ()]
    return Exporter(
        str(one.get("id") or "*default"),
        str(one.get("type")),
        tuple(one.get("filters") or ()),
        bool(one.get("synchronous")),
        min(max(int(one.get("attempts", 1)), 1), MAX_ATTEMPTS),
        "*attributes" in flags,
        tuple(one.get("attribute_ids") or ()),
        str(one.get("attribute_context") or ""),
        tuple(str(field["mask_destinationd_id"]) for field in fields if field.get("mask_destinationd_id")),
        pack(definition_of(generation, config, one, fields, version)),
    )


def definition_of(
    generation: GenerationView, config: dict[str, Any], one: dict[str, Any], fields: list[dict[str, Any]], version: str
) -> Definition:
    """The exporter `one` of the section, as the edge gets it."""
    failed = config.get("failed_posts") or {}
    used = {"general", *_OF_CONFIGURATION.findall(json_text(fields))}
    if any(field.get("type") == "*template" for field in fields):
        used.add("templates")
    if one.get("type") == "*rpc":
        used.add("rpc_conns")
    return Definition(
        str(one.get("id") or "*default"),
        str(one.get("type")),
        str(one.get("export_path") or ""),
        dict(one.get("opts") or {}),
        fields,
        "*log" in (one.get("flags") or ()),
        str(one.get("timezone") or ""),
        max(int(one.get("concurrent_requests") or 0), 0),
        _failed_dir(one, failed),
        parse_duration(str(failed.get("ttl") or "5s")),
        str(one.get("metrics_reset_schedule") or ""),
        _cache_rule((config.get("cache") or {}).get(one.get("type"))),
        {name: generation.config(name) for name in sorted(used)},
        _filters(generation, fields),
        version,
    )


def _failed_dir(one: dict[str, Any], failed: dict[str, Any]) -> str:
    """The exporter's own folder of failed posts, where it is another than the built-in one, else that of all."""
    own = str(one.get("failed_posts_dir") or "")
    common = str(failed.get("dir") or "")
    return own if own and own != DEFAULT_FAILED_DIR else common or own or NONE


def _cache_rule(given: dict[str, Any] | None) -> CacheRule:
    if given is None:
        return CacheRule()
    return CacheRule(
        int(given.get("limit", -1)), max(parse_duration(str(given.get("ttl") or "0")), 0), bool(given.get("static_ttl"))
    )


def _filters(generation: GenerationView, fields: list[dict[str, Any]]) -> list[Filter]:
    """The stored filters that the fields name, of any tenant: which one counts depends on the event."""
    named = {name for field in fields for name in field.get("filters") or () if not is_inline(name)}
    if not named:
        return []
    found = (generation.get("filter", key) for key in generation.keys("filter") if key.partition(":")[2] in named)
    return [each for each in found if each is not None]
