"""ReplicatorSv1 reads and changes profiles as the administration does (spec chapter 70, section 5)."""

from __future__ import annotations

from typing import Any

import pytest

from cgr_cluster.node.node import Node
from cgr_cluster.replicator.api import SOURCES
from cgr_cluster.services import load

SETTABLE = sorted(name.removeprefix("Set") for name in SOURCES if name.startswith("Set"))
NEEDED: dict[str, dict[str, Any]] = {
    "AttributeProfile": {"Attributes": [{"Path": "*req.A", "Type": "*constant", "Value": [{"Rules": "x"}]}]},
    "Filter": {"Rules": [{"Type": "*string", "Element": "~*req.A", "Values": ["1"]}]},
    "StatQueueProfile": {"Metrics": [{"MetricID": "*tcc"}]},
}


@pytest.mark.parametrize("profile", SETTABLE)
@pytest.mark.parametrize("workers", [1, 3])
def test_profiles_are_set_read_and_removed(profile: str, workers: int) -> None:
    node = Node(workers)
    name = {"Tenant": "t", "ID": "X"}
    assert node.call(f"ReplicatorSv1.Set{profile}", {**name, **NEEDED.get(profile, {})})["result"] == "OK"
    found = node.call(f"ReplicatorSv1.Get{profile}", name)
    assert found["result"]["ID"] == "X"
    assert found["result"] == node.call(f"APIerSv1.Get{profile}", name)["result"]
    assert node.call(f"ReplicatorSv1.Remove{profile}", name)["result"] == "OK"
    assert node.call(f"ReplicatorSv1.Get{profile}", name)["error"].endswith("NOT_FOUND")


def test_live_states_are_read() -> None:
    node = Node(3)
    node.call("APIerSv1.SetThresholdProfile", {"ID": "T", "MaxHits": -1})
    node.call("ThresholdSv1.ProcessEvent", {"ID": "e", "Event": {"Account": "1"}})
    assert node.call("ReplicatorSv1.GetThreshold", {"ID": "T"})["result"]["Hits"] == 1


def test_what_is_not_there_says_so() -> None:
    assert load().find("ReplicatorSv1.Ping")
    answer = Node().call("ReplicatorSv1.SetThreshold", {"ID": "T"})
    assert answer["error"] == "rpc: can't find method ReplicatorSv1.SetThreshold"
