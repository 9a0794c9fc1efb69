"""What travels between workers, which know the events, and the edge process, which knows the exporters (docs/exporters.md)."""

from __future__ import annotations

from typing import Any

import msgspec

from cgr_cluster.cdrs.conversion import details_json
from cgr_cluster.events.durations import Duration
from cgr_cluster.events.event import CGREvent
from cgr_cluster.events.instant import Instant
from cgr_cluster.events.times import format_instant, parse_rfc3339
from cgr_cluster.events.values import text_of
from cgr_cluster.filters.types import Filter
from cgr_cluster.rating.types import EventCost

FILE_TYPES = frozenset({"*file_csv", "*file_fwv"})
HTTP_TYPES = frozenset({"*http_post", "*http_json_map"})
SEARCH_TYPE = "*els"  # documents of Elasticsearch
AMQP_TYPE = "*amqp_json_map"
KAFKA_TYPE = "*kafka_json_map"
BUILT_TYPES = FILE_TYPES | HTTP_TYPES | {SEARCH_TYPE, AMQP_TYPE, KAFKA_TYPE, "*rpc", "*virt", "*log"}
NO_TYPE = "*none"
ALL = "*"  # as the end of a delivery id to be forgotten: all that begin so


class ExportEvent(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """An event with JSON values only. `durations` and `times` name the fields that are one by their type: they read as
    `1m30s`, not as numbers. `hidden`: destinations of `*masked_destination` fields that the event's Destination is in."""

    tenant: str
    id: str
    event: dict[str, Any]
    opts: dict[str, Any]
    durations: tuple[str, ...] = ()
    times: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()

    def typed(self) -> dict[str, Any]:
        """The fields as they were."""
        fields = dict(self.event)
        for name in self.durations:
            fields[name] = Duration(fields[name])
        for name in self.times:
            fields[name] = parse_rfc3339(fields[name])
        return fields


def export_event(event: CGREvent, hidden: tuple[str, ...] = ()) -> ExportEvent:
    """The event as it travels."""
    fields: dict[str, Any] = {}
    durations, times = [], []
    for name, value in event.event.items():
        if isinstance(value, Duration):
            durations.append(name)
            value = int(value)
        elif isinstance(value, Instant):
            times.append(name)
            value = format_instant(value)
        elif isinstance(value, EventCost):
            value = details_json(value, text_of(event.event.get("CostSource")))
        fields[name] = value
    return ExportEvent(event.tenant, event.id, fields, event.opts, tuple(durations), tuple(times), hidden)


class CacheRule(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """How long exporters of a type live: `limit` objects at most (-1: any number; 0: each event has its own), `ttl_ns` after
    the last event (0: for ever), after the first when `static`."""

    limit: int = 0
    ttl_ns: int = 0
    static: bool = False


class Definition(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """An exporter as configured, with all that it looks at. Another `version` is another configuration of exporters: what
    lives of an older one is closed. `sections`: of the configuration, `filters`: those that its fields name."""

    id: str
    type: str
    export_path: str
    opts: dict[str, Any]
    fields: list[dict[str, Any]]
    log: bool
    timezone: str
    concurrent_requests: int
    failed_posts_dir: str
    failed_posts_ttl_ns: int
    metrics_reset_schedule: str
    cache: CacheRule
    sections: dict[str, dict[str, Any]]
    filters: list[Filter]
    version: str


class Export(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """Export one event. `delivery` is the same when it is asked again; `generation`: of the packed `definition`; `last`: a
    failure is final, and what could not be exported is kept as a failed post; `verbose`: metrics are wanted."""

    delivery: str
    generation: int
    definition: bytes
    event: ExportEvent
    last: bool
    verbose: bool = False


class RpcCall(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A method of ours that an `*rpc` exporter calls: the worker does, and settles the export with what came of it."""

    method: str
    params: bytes


class Outcome(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """What came of an export. `error` "": done. `again`: another attempt may help. `metrics`: after it, when wanted."""

    error: str = ""
    again: bool = False
    metrics: dict[str, Any] | None = None
    call: RpcCall | None = None


class Settle(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """What came of the call that an `Export` has answered with."""

    export: Export
    error: str
