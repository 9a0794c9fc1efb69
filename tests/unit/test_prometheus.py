"""The page that Prometheus reads (spec chapter 70, section 8)."""

from __future__ import annotations

import os
import re
from typing import Any

import pytest

from cgr_cluster.node.node import Node
from cgr_cluster.node.outside_platform import node_processes
from cgr_cluster.prometheus.text import Page
from tests.calls import ok

TENANT = "cgrates.org"


def page(node: Node, **section: Any) -> dict[str, float]:
    """Sample with its labels → value, with this section of the configuration."""
    ok(node, "ConfigSv1.SetConfig", Config={"prometheus_agent": {"enabled": True, **section}})
    text = ok(node, "CoreSv1.GetPrometheusMetrics")
    names = {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE ")}
    samples = {}
    for line in text.splitlines():
        if not line.startswith("#"):
            assert re.fullmatch(r'[a-z_]+(\{[a-z_]+="[^"]*"(,[a-z_]+="[^"]*")*\})? -?[0-9.e+]+', line), line
            name, _, value = line.rpartition(" ")
            assert name.partition("{")[0] in names
            samples[name] = float(value)
    return samples


@pytest.mark.parametrize("workers", [1, 3])
def test_metrics_of_queues(workers: int) -> None:
    node = Node(workers)
    for name, tenant in (("Q1", TENANT), ("Q2", TENANT), ("Q3", "other")):
        metrics = [{"MetricID": "*tcc"}, {"MetricID": "*sum#~*req.A"}]
        ok(
            node,
            "APIerSv1.SetStatQueueProfile",
            Tenant=tenant,
            ID=name,
            FilterIDs=[f"*string:~*req.Q:{name}"],
            Metrics=metrics,
        )
    ok(node, "StatSv1.ProcessEvent", ID="e", Event={"Q": "Q1", "Cost": 1.5, "A": 2})
    asked = ["cgrates.org:Q1", "other:Q3", "Q2", "gone"]

    def of(queue: str, tenant: str = TENANT) -> dict[str, str]:
        return {
            name: f'cgrates_stats_metrics{{metric="{name}",queue="{queue}",tenant="{tenant}"}}'
            for name in ("*tcc", "*sum#~*req.A")
        }

    assert page(node, stat_queue_ids=asked) == {}  # not connected
    assert page(node, stats_conns=["*internal"]) == {
        of("Q1")["*tcc"]: 1.5, of("Q1")["*sum#~*req.A"]: 2, of("Q2")["*tcc"]: -1, of("Q2")["*sum#~*req.A"]: 0,
        of("Q3", "other")["*tcc"]: -1, of("Q3", "other")["*sum#~*req.A"]: 0,
    }  # fmt: skip
    assert page(node, stat_queue_ids=[]) == {}
    assert set(page(node, apiers_conns=["*internal"])) == {*of("Q1").values(), *of("Q2").values()}


def test_metrics_of_caches() -> None:
    node = Node(3)
    ok(node, "APIerSv1.SetThresholdProfile", ID="C")
    ok(node, "APIerSv1.GetThresholdProfile", ID="C")
    found = page(node, caches_conns=["*internal"], cache_ids=["*threshold_profiles", "*filters"])
    assert found == {
        f'cgrates_cache_{what}_total{{cache="{cache}",node_id="node1"}}': 1.0
        if cache != "*filters" and what == "items"
        else 0.0
        for what in ("items", "groups")
        for cache in ("*threshold_profiles", "*filters")
    }
    everything = page(node, cache_ids=[])
    assert len(everything) > 60 and found.items() <= everything.items()


@pytest.mark.parametrize(
    ("section", "families"),
    [
        ({"collect_process_metrics": True}, {"process"}),
        ({"collect_go_metrics": True}, {"go"}),
        ({"cores_conns": ["*internal"]}, {"process", "go"}),
        ({}, set()),
    ],
)
def test_metrics_of_processes(section: dict[str, Any], families: set[str]) -> None:
    found = page(Node(1), **section)
    assert {name.partition("_")[0] for name in found} == families
    assert all('node_id="node1"' in name and 'process="' in name for name in found)
    assert all(value > 0 for value in found.values())


def test_without_the_agent() -> None:
    assert Node(1).call("CoreSv1.GetPrometheusMetrics", {})["error"] == "NOT_FOUND"


def test_a_process_outside_of_a_node_is_alone() -> None:
    (own,) = node_processes()
    assert own["resident_memory_bytes"] > 1 << 20 and own["open_fds"] > 2 and own["threads"] >= 1
    assert own["start_time_seconds"] > 1e9 and own["max_fds"] >= own["open_fds"]
    assert own["cpu_seconds_total"] <= sum(os.times()[:2]) + 0.1


def test_labels_are_escaped() -> None:
    written = Page()
    written.family("f", "gauge", "About.", [({"b": 'a"\\\n', "a": "x"}, 1.0), ({}, 0.25)])
    written.family("none", "gauge", "Nothing.", [])
    assert written.text() == '# HELP f About.\n# TYPE f gauge\nf{a="x",b="a\\"\\\\\\n"} 1\nf 0.25\n'
