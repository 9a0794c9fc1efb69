"""Versions of the stores and the health of the indexes (spec chapter 70, section 6)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from cgr_cluster.node.node import Node


@pytest.fixture(params=[1, 3], ids=["one worker", "three workers"])
def node(request: pytest.FixtureRequest) -> Iterator[Node]:
    yield Node(request.param)


def ok(node: Node, method: str, params: Any) -> Any:
    answer = node.call(method, params)
    assert answer["error"] is None, (method, answer)
    return answer["result"]


@pytest.mark.parametrize(("store", "other"), [("DataDB", "StorDB"), ("StorDB", "DataDB")])
def test_versions_are_kept_by_store(node: Node, store: str, other: str) -> None:
    first, of_other = (ok(node, f"APIerSv1.Get{name}Versions", "") for name in (store, other))
    name = next(iter(first))
    assert ok(node, f"APIerSv1.Set{store}Versions", {"Versions": {name: 90, "New": 1}}) == "OK"
    assert ok(node, f"APIerSv1.Get{store}Versions", "") == {**first, name: 90, "New": 1}
    ok(node, f"APIerSv1.Set{store}Versions", {"Versions": {"Only": 3}, "Overwrite": True})
    assert ok(node, f"ApierV1.Get{store}Versions", "x") == {"Only": 3}
    assert ok(node, f"APIerSv1.Get{other}Versions", "") == of_other
    ok(node, f"APIerSv1.Set{store}Versions", {"Overwrite": True})
    assert node.call(f"APIerSv1.Get{store}Versions", "")["error"] == "NOT_FOUND"
    wrong = node.call(f"APIerSv1.Set{store}Versions", {"Versions": {"A": "x"}})["error"]
    assert wrong.startswith("json: cannot unmarshal string into Go struct field SetVersionsArg.Versions of type int64")


def test_health_of_reverse_destinations(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cgr_cluster.stores.api.CHECKED_AT_ONCE", 1)
    for name, prefixes in (("A", ["49", "491"]), ("B", ["49"])):
        ok(node, "APIerSv1.SetDestination", {"Id": name, "Prefixes": prefixes})
    method = "APIerSv1.GetReverseDestinationsIndexHealth"
    assert ok(node, method, {}) == {"MissingReverseDestinations": None, "BrokenReferences": None}
    monkeypatch.setattr("cgr_cluster.engine.generation.Generation.destinations_of", lambda self, prefix: ("B",))
    assert ok(node, method, {}) == {
        "MissingReverseDestinations": {"A": ["49", "491"]}, "BrokenReferences": {"491": ["B"]},
    }  # fmt: skip


def test_health_of_plans_of_accounts(node: Node) -> None:
    found = ok(node, "APIerSv1.GetAccountActionPlansIndexHealth", {"IndexCacheLimit": 1, "ObjectCacheTTL": 5})
    assert found == {"MissingAccountActionPlans": None, "BrokenReferences": None}
