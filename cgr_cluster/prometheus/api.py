"""What Prometheus reads of a node: queues of statistics, caches, processes (spec chapter 70 §8).

The balancer answers the path of section `prometheus_agent` by the method here, which looks at all workers.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from cgr_cluster.engine.domain import GenerationView, Operation, Steps, invoke, outside, together
from cgr_cluster.engine.owner import object_owner
from cgr_cluster.filters.params import TenantWithOpts
from cgr_cluster.prometheus.text import Page
from cgr_cluster.rpc.errors import ApiError, not_found
from cgr_cluster.rpc.registry import method, service
from cgr_cluster.stats.matching import STATS
from cgr_cluster.stats.steps import look_at

QUEUES_AT_ONCE = 100
NOT_AVAILABLE = -1

service("CoreSv1")


class AgentSettings(msgspec.Struct, frozen=True, gc=False):
    """Section `prometheus_agent`. `queues`: (tenant, id) of those that are asked for, None: all of the default tenant."""

    enabled: bool
    queues: tuple[tuple[str, str], ...] | None
    caches: tuple[str, ...] | None  # None: no caches; empty: all
    processes: bool
    go: bool
    node_id: str


def agent_settings(generation: GenerationView) -> AgentSettings:
    return generation.derived(_settings, "config")


def _settings(generation: GenerationView) -> AgentSettings:
    config = generation.config("prometheus_agent")
    queues: tuple[tuple[str, str], ...] | None = ()
    if config.get("stats_conns"):
        named = tuple(_tenant_and_id(generation, text) for text in config.get("stat_queue_ids") or ())
        queues = named or (None if config.get("apiers_conns") else ())
    cores = bool(config.get("cores_conns"))
    return AgentSettings(
        bool(config.get("enabled")),
        queues,
        tuple(config.get("cache_ids") or ()) if config.get("caches_conns") else None,
        cores or bool(config.get("collect_process_metrics")),
        cores or bool(config.get("collect_go_metrics")),
        str(generation.config("general").get("node_id", "")),
    )


def _tenant_and_id(generation: GenerationView, text: str) -> tuple[str, str]:
    tenant, colon, queue_id = text.partition(":")
    return (tenant, queue_id) if colon else (generation.default_tenant, text)


@method("CoreSv1.GetPrometheusMetrics")
def get_prometheus_metrics(op: Operation, params: TenantWithOpts) -> Steps[str]:
    """The page of metrics as text. Raises `NOT_FOUND` when the agent is not enabled."""
    settings = agent_settings(op.generation)
    if not settings.enabled:
        raise not_found()
    page = Page()
    yield from _of_queues(op, page, settings)
    yield from _of_caches(page, settings)
    if settings.processes or settings.go:
        _of_processes(page, settings, (yield outside("node_processes")))
    return page.text()


def _of_queues(op: Operation, page: Page, settings: AgentSettings) -> Steps[None]:
    """A queue that is not there has no samples."""
    tenant = op.generation.default_tenant
    wanted = settings.queues
    if wanted is None:
        wanted = tuple((tenant, queue_id) for queue_id in STATS.ids(op.generation, tenant))
    samples = []
    for start in range(0, len(wanted), QUEUES_AT_ONCE):
        some = wanted[start : start + QUEUES_AT_ONCE]
        found = yield together([look_at.at(object_owner(*name), *name) for name in some])
        for (tenant, queue_id), values in zip(some, found, strict=True):
            if isinstance(values, ApiError):
                raise values
            for metric, value in (values or {}).items():
                labels = {"metric": metric, "queue": queue_id, "tenant": tenant}
                samples.append((labels, NOT_AVAILABLE if value is None else value))
    page.family("cgrates_stats_metrics", "gauge", "Metrics of statistic queues, -1: not available.", samples)


def _of_caches(page: Page, settings: AgentSettings) -> Steps[None]:
    if settings.caches is None:
        return
    asked = msgspec.json.encode({"CacheIDs": settings.caches})
    found: dict[str, dict[str, int]] = yield invoke("CacheSv1.GetCacheStats", asked)
    for name, what in (("Items", "items"), ("Groups", "groups")):
        samples = [
            ({"cache": cache, "node_id": settings.node_id}, counts[name]) for cache, counts in sorted(found.items())
        ]
        page.family(f"cgrates_cache_{what}_total", "gauge", f"Cached {what} by partition.", samples)


_OF_PROCESSES = (
    ("cpu_seconds_total", "counter", "CPU time of the process in seconds."),
    ("open_fds", "gauge", "Open file descriptors."),
    ("max_fds", "gauge", "Most file descriptors that may be open."),
    ("resident_memory_bytes", "gauge", "Resident memory in bytes."),
    ("virtual_memory_bytes", "gauge", "Virtual memory in bytes."),
    ("start_time_seconds", "gauge", "Start of the process, Unix time in seconds."),
)


def _of_processes(page: Page, settings: AgentSettings, processes: Iterable[dict[str, Any]]) -> None:
    labelled = [({"node_id": settings.node_id, "process": one["process"]}, one) for one in processes]

    def family(name: str, key: str, kind: str, about: str) -> None:
        page.family(name, kind, about, [(labels, one[key]) for labels, one in labelled if key in one])

    if settings.processes:
        for key, kind, about in _OF_PROCESSES:
            family(f"process_{key}", key, kind, about)
    if settings.go:
        family("go_goroutines", "threads", "gauge", "Threads of the process: there are no goroutines.")
        family("go_threads", "threads", "gauge", "Threads of the process.")
