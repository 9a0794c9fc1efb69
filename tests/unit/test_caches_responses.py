"""The cache of answers `*rpc_responses` (spec 01 §12, 30.14, 40 §3.1): a repeated request is answered and not done."""

from __future__ import annotations

from typing import Any

import pytest

from cgr_cluster.node.node import Node
from tests.unit.test_sessions_node import RETAIL, S, event, money, ok, prepared


def cached(workers: int = 3, **partition: Any) -> Node:
    node, _ = prepared(workers)
    ok(node, "APIerSv1.RemoveChargerProfile", {"ID": "RSL"})
    partition = {"limit": -1, "ttl": "2s", "static_ttl": False, **partition}
    ok(node, "ConfigSv1.SetConfig", {"Config": {"caches": {"partitions": {"*rpc_responses": partition}}}})
    return node


def terminate(node: Node, event_id: str, **params: Any) -> Any:
    ended = {"TerminateSession": True, "ID": event_id, "Event": event("c", Usage="10s"), **params}
    answer = node.call("SessionSv1.TerminateSession", ended)
    return answer["error"] or answer["result"]


@pytest.mark.parametrize("workers", [1, 3])
def test_a_repeated_terminate_is_charged_once(workers: int) -> None:
    node = cached(workers)
    assert [terminate(node, "t1") for _ in range(3)] == ["OK"] * 3
    assert money(node, RETAIL) == 9.9
    assert terminate(node, "t2") == "OK"
    assert money(node, RETAIL) == 9.8


def test_without_the_partition_or_an_id_each_request_is_done() -> None:
    node = cached(limit=0)
    assert [terminate(node, "t1") for _ in range(2)] == ["OK"] * 2
    assert money(node, RETAIL) == 9.8
    node = cached()
    assert [terminate(node, "") for _ in range(2)] == ["OK"] * 2
    assert money(node, RETAIL) == 9.8


def test_an_error_is_repeated_too_and_other_tenants_and_methods_are_not_meant() -> None:
    node = cached()
    unknown = {"InitSession": True, "ID": "i", "Event": event("d", Account="nobody", Usage="10s")}
    for _ in range(2):
        assert node.call("SessionSv1.InitiateSession", unknown)["error"] == "RALS_ERROR:ACCOUNT_NOT_FOUND"
    assert terminate(node, "i", Tenant="other.org") == "RALS_ERROR:CHARGERS_ERROR:NOT_FOUND"
    assert terminate(node, "i") == "OK"


@pytest.mark.parametrize(("static", "done"), [(False, 1), (True, 2)])
def test_a_use_begins_the_ttl_again_unless_it_is_static(static: bool, done: int) -> None:
    node = cached(static_ttl=static)
    for _ in range(4):
        terminate(node, "t1")
        node.advance(9 * S // 10)
    assert money(node, RETAIL) == pytest.approx(10 - done / 10)
    node.advance(3 * S)
    shards = [shard for worker in node.workers for shard in worker.engine.shards.values()]
    assert [item for shard in shards for item in shard.items("response")] == []


def test_two_equal_requests_at_once_are_one() -> None:
    node = cached()
    ended = {"TerminateSession": True, "ID": "t", "Event": event("c", Usage="10s")}
    uids = [node.send("SessionSv1.TerminateSession", ended) for _ in range(3)]
    assert [node.wait(uid)["result"] for uid in uids] == ["OK"] * 3
    assert money(node, RETAIL) == 9.9


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("SessionSv1.AuthorizeEvent", {"GetMaxUsage": True}),
        ("SessionSv1.AuthorizeEventWithDigest", {"GetMaxUsage": True}),
        ("SessionSv1.InitiateSession", {"InitSession": True}),
        ("SessionSv1.InitiateSessionWithDigest", {"InitSession": True}),
        ("SessionSv1.UpdateSession", {"UpdateSession": True}),
        ("SessionSv1.ProcessMessage", {"Debit": True}),
        ("SessionSv1.ProcessEvent", {"Flags": ["*rals:*initiate", "*cdrs:*rals:false"]}),
        ("SessionSv1.ProcessCDR", {}),
        ("CDRsV1.ProcessEvent", {}),
        ("CDRsV2.ProcessEvent", {}),
    ],
)
def test_the_answer_is_that_of_the_first_request(method: str, params: dict[str, Any]) -> None:
    node = cached()
    request = {**params, "ID": "one", "Event": event("c", Usage="10s")}
    first = ok(node, method, request)
    balance = money(node, RETAIL)
    assert ok(node, method, request) == first
    assert money(node, RETAIL) == balance


def test_a_record_is_known_by_its_cgrid_and_run() -> None:
    node = cached()
    record = {"OriginID": "r", "OriginHost": "h", "RequestType": "*none", "Usage": 5}
    assert [ok(node, "CDRsV1.ProcessCDR", record) for _ in range(2)] == ["OK"] * 2
    node.advance(3 * S)
    assert node.call("CDRsV1.ProcessCDR", record)["error"] == "EXISTS"


@pytest.mark.parametrize("crash", range(0, 24, 2))
def test_a_crash_changes_nothing(crash: int) -> None:
    node = cached()
    node.crash_at = {node.events + crash}
    assert [terminate(node, "t1") for _ in range(2)] == ["OK"] * 2
    assert money(node, RETAIL) == 9.9
