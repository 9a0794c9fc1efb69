"""SMGenericV1: the same sessions as SessionSv1, by the bare event and in seconds (spec 30.5.7)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cgr_cluster.node.node import Node

PLAN = str(Path(__file__).parents[1] / "conformance/tariffplans/sessions_retail")
CALL = {
    "OriginID": "call-1", "OriginHost": "sw", "ToR": "*voice", "RequestType": "*prepaid", "Account": "5001",
    "Category": "call", "Destination": "442071112222", "SetupTime": "2026-03-02T10:00:00Z",
    "AnswerTime": "2026-03-02T10:00:00Z", "Usage": "40s",
}  # fmt: skip


@pytest.fixture(params=[1, 3], ids=["one worker", "three workers"])
def node(request: pytest.FixtureRequest) -> Iterator[Node]:
    yield Node(request.param)


def ok(node: Node, method: str, params: Any) -> Any:
    answer = node.call(method, params)
    assert answer["error"] is None, (method, answer)
    return answer["result"]


def error(node: Node, method: str, params: Any) -> str:
    answer = node.call(method, params)
    assert answer["result"] is None, (method, answer)
    return str(answer["error"])


def prepared(node: Node) -> None:
    """An account with money for a minute."""
    ok(node, "APIerSv1.LoadTariffPlanFromFolder", {"FolderPath": PLAN})
    given = {"Account": "5001", "BalanceType": "*monetary", "Value": 0.6, "Balance": {"ID": "main"}}
    ok(node, "APIerSv1.SetBalance", given)


def left(node: Node) -> float:
    account = ok(node, "APIerSv2.GetAccount", {"Account": "5001"})
    return float(account["BalanceMap"]["*monetary"][0]["Value"])


def test_the_life_of_a_call(node: Node) -> None:
    prepared(node)
    assert ok(node, "SMGenericV1.GetMaxUsage", {**CALL, "Usage": "2m"}) == 60
    assert ok(node, "SMGenericV1.InitiateSession", CALL) == 40
    assert left(node) == 0.2
    assert ok(node, "SMGenericV1.UpdateSession", {**CALL, "Usage": "12s"}) == 12
    sessions = ok(node, "SessionSv1.GetActiveSessions", {})
    assert {session["OriginID"] for session in sessions} == {"call-1"}
    assert ok(node, "SMGenericV1.TerminateSession", {**CALL, "Usage": "45s"}) == "OK"
    assert left(node) == 0.15
    assert ok(node, "SMGenericV1.ProcessCDR", {**CALL, "Usage": "45s"}) == "OK"
    found = ok(node, "CDRsV1.GetCDRs", {"RunIDs": ["*default"]})
    assert [(cdr["Usage"], cdr["Account"]) for cdr in found] == [(45 * 10**9, "5001")]


def test_grants_are_those_of_sessions_in_seconds(node: Node) -> None:
    prepared(node)
    for fields in ({"Usage": "1500ms"}, {"RequestType": "*postpaid", "Usage": "2.5s"}, {"RequestType": "*none"}):
        answer = ok(node, "SessionSv1.AuthorizeEvent", {"GetMaxUsage": True, "ID": "e", "Event": {**CALL, **fields}})
        wanted = answer["MaxUsage"] if answer["MaxUsage"] == -1 else answer["MaxUsage"] / 10**9
        assert ok(node, "SMGenericV1.GetMaxUsage", {**CALL, **fields}) == wanted


def test_the_tenant_is_that_of_the_event(node: Node) -> None:
    prepared(node)
    assert error(node, "SMGenericV1.GetMaxUsage", {**CALL, "Tenant": "t"}).endswith("NOT_FOUND")
    assert ok(node, "SMGenericV1.GetMaxUsage", {**CALL, "Tenant": "cgrates.org"}) == 40


def test_what_is_wrong(node: Node) -> None:
    for name in ("GetMaxUsage", "InitiateSession", "UpdateSession", "TerminateSession", "ProcessCDR"):
        wrong = error(node, f"SMGenericV1.{name}", ["x"])
        assert wrong == "json: cannot unmarshal array into Go value of type map[string]interface {}"
    assert error(node, "SMGenericV1.TerminateSession", {"Account": "5001"}) == "MANDATORY_IE_MISSING: [OriginID]"
    assert error(node, "SMGenericV1.InitiateSession", CALL).startswith("CHARGERS_ERROR:")
