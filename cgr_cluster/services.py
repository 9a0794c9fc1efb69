"""All services: importing this module fills the method registry. The one place that knows every domain package."""

from __future__ import annotations

import importlib
import importlib.util

from cgr_cluster.rpc.registry import REGISTRY, Registry, service

service("APIerSv1")
service("APIerSv2", extends="APIerSv1")
service("ApierV1", alias_of="APIerSv1")
service("ApierV2", alias_of="APIerSv2")

MODULES = (
    "cgr_cluster.rpc.platform_api",
    "cgr_cluster.rpc.process_api",
    "cgr_cluster.rating.api",
    "cgr_cluster.tariffs.api",
    "cgr_cluster.tariffs.tp_api",
    "cgr_cluster.accounts.api",
    "cgr_cluster.actions.api",
    "cgr_cluster.filters.api",
    "cgr_cluster.attributes.api",
    "cgr_cluster.chargers.api",
    "cgr_cluster.thresholds.api",
    "cgr_cluster.stats.api",
    "cgr_cluster.trends.api",
    "cgr_cluster.rankings.api",
    "cgr_cluster.resources.api",
    "cgr_cluster.ips.api",
    "cgr_cluster.prometheus.api",
    "cgr_cluster.routes.api",
    "cgr_cluster.guardian.api",
    "cgr_cluster.caches.api",
    "cgr_cluster.dispatchers.api",
    "cgr_cluster.sessions.api",
    "cgr_cluster.cdrs.api",
    "cgr_cluster.exporters.api",
    "cgr_cluster.readers.api",
    "cgr_cluster.stores.api",
    "cgr_cluster.replicator.api",
)


def load() -> Registry:
    for name in MODULES:
        if importlib.util.find_spec(name) is not None:
            importlib.import_module(name)
    return REGISTRY
