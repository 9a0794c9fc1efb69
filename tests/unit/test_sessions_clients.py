"""What sessions ask of two-way clients (spec 30.12, 30.13): to end calls, to alter them, and which ones they know."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from cgr_cluster.node.node import Node
from cgr_cluster.rpc.errors import ApiError
from tests.unit.test_sessions_node import S, event, money, ok, prepared

RETAIL = "5001"
DISCONNECT = "AgentV1.DisconnectSession"


def refusing(text: str) -> Callable[[str, Any], Any]:
    def client(method: str, params: Any) -> Any:
        raise ApiError(text)

    return client


def knowing(*origin_ids: str) -> Callable[[str, Any], Any]:
    """A client that has these calls; it does all else that it is asked."""

    def client(method: str, params: Any) -> Any:
        if method.endswith("GetActiveSessionIDs"):
            assert params == ""
            return [{"OriginHost": "sw1", "OriginID": origin_id} for origin_id in origin_ids]
        return "OK"

    return client


def begin(node: Node, origin_id: str, connection: str = "", **opts: str) -> None:
    start = {"InitSession": True, "Event": event(origin_id, Usage="30s"), "APIOpts": opts}
    ok(node, "SessionSv1.InitiateSession", start, connection=connection)


def active(node: Node) -> list[str]:
    answer = node.call("SessionSv1.GetActiveSessions", {})
    if answer["error"] is not None:
        assert answer["error"] == "NOT_FOUND"
        return []
    return sorted({entry["OriginID"] for entry in answer["result"]})


def causes(node: Node) -> list[str | None]:
    return [json.loads(t.params)["Event"].get("DisconnectCause") for t in node.tells if t.method == DISCONNECT]


# --- the money ends ------------------------------------------------------------------------------------------------


@pytest.fixture
def node() -> Node:
    """With one charging run: a retail account of 10, which lasts 1000 s."""
    node, _ = prepared(3)
    ok(node, "APIerSv1.RemoveChargerProfile", {"ID": "RSL"})
    return node


def test_a_client_that_agrees_keeps_its_session_until_it_ends_it(node: Node) -> None:
    node.clients["client-7"] = knowing("c")
    begin(node, "c", "client-7", **{"*sessionsDebitInterval": "600s"})
    node.advance(1100 * S)
    assert [(tell.connection, tell.method) for tell in node.tells] == [("client-7", DISCONNECT)]
    told = json.loads(node.tells[0].params)
    assert (told["Event"]["DisconnectCause"], told["Event"]["Usage"]) == ("INSUFFICIENT_CREDIT", 1000 * S)
    assert active(node) == ["c"]


def test_a_client_that_refuses_each_time_has_its_session_ended(node: Node) -> None:
    node.clients["client-7"] = refusing("NOT_IMPLEMENTED")
    begin(node, "c", "client-7", **{"*sessionsDebitInterval": "600s"})
    node.advance(1100 * S)
    assert causes(node) == ["INSUFFICIENT_CREDIT"] * 5 + ["FORCED_DISCONNECT"]
    assert active(node) == []
    assert [(cdr["Usage"], cdr["Cost"]) for cdr in ok(node, "CDRsV1.GetCDRs", {})] == [(1000 * S, 10)]


def test_a_session_whose_client_is_gone_is_ended_at_once(node: Node) -> None:
    begin(node, "c", "client-7", **{"*sessionsDebitInterval": "600s"})
    node.advance(1100 * S)
    assert causes(node) == ["INSUFFICIENT_CREDIT", "FORCED_DISCONNECT"]
    assert active(node) == []


@pytest.mark.parametrize("crash", range(0, 20, 2))
def test_a_crash_while_the_client_is_asked_ends_the_session_once(crash: int) -> None:
    node, reseller = prepared(3)
    node.clients["client-7"] = refusing("busy")
    begin(node, "c", "client-7", **{"*sessionsDebitInterval": "60s"})
    node.advance(95 * S)  # the reseller's money lasts 100 s
    node.crash_at = {node.events + crash}
    node.advance(30 * S)
    assert active(node) == []
    assert (money(node, RETAIL), money(node, reseller)) == (8.8, 0.0)
    assert len(ok(node, "CDRsV1.GetCDRs", {})) == 2


# --- on request ----------------------------------------------------------------------------------------------------


def test_alter_sessions_asks_each_client_and_says_when_one_does_not(node: Node) -> None:
    node.clients["a"] = knowing("one")
    node.clients["b"] = refusing("busy")
    begin(node, "one", "a")
    begin(node, "two", "b")
    begin(node, "three")
    only = {"Filters": ["*string:~*req.OriginID:one"], "Event": {"Account": "5002"}, "APIOpts": {"x": 1}}
    assert ok(node, "SessionSv1.AlterSessions", only) == "OK"
    told = json.loads(node.tells[-1].params)
    assert (told["Tenant"], told["Event"]["OriginID"], told["Event"]["Account"], told["APIOpts"]) == (
        "", "one", "5002", {"x": 1},
    )  # fmt: skip
    for origin_id in ("two", "three"):
        filtered = {"Filters": [f"*string:~*req.OriginID:{origin_id}"]}
        assert node.call("SessionSv1.AlterSessions", filtered)["error"] == "PARTIALLY_EXECUTED"


def test_disconnect_peer_goes_to_all_clients(node: Node) -> None:
    peer = {"OriginHost": "h", "OriginRealm": "r", "RemoteAddr": "1.2.3.4:5", "DisconnectCause": 2}
    assert ok(node, "SessionSv1.DisconnectPeer", peer) == "OK"
    node.clients["a"] = knowing()
    assert ok(node, "SessionSv1.DisconnectPeer", peer) == "OK"
    assert json.loads(node.tells[-1].params) == peer
    node.clients["b"] = refusing("busy")
    assert node.call("SessionSv1.DisconnectPeer", peer)["error"] == "PARTIALLY_EXECUTED"


# --- channel sync --------------------------------------------------------------------------------------------------


def test_without_a_client_a_sync_ends_all_sessions(node: Node) -> None:
    begin(node, "one", "gone")
    begin(node, "two")
    assert ok(node, "SessionSv1.SyncSessions", {}) == "OK"
    assert active(node) == []
    assert len(ok(node, "CDRsV1.GetCDRs", {})) == 2


def test_a_sync_ends_what_no_client_names(node: Node) -> None:
    node.clients["a"] = knowing("one", "three")
    node.clients["b"] = knowing()
    for origin_id, connection in (("one", "a"), ("two", "a"), ("three", "b"), ("four", "gone")):
        begin(node, origin_id, connection)
    ok(node, "SessionSv1.SyncSessions", {})
    assert active(node) == ["one", "three"]
    assert causes(node) == ["FORCED_DISCONNECT"] * 2


def test_a_client_that_fails_counts_as_having_none_and_hides_no_other(node: Node) -> None:
    node.clients["a"] = knowing("one")
    node.clients["b"] = refusing("NO_ACTIVE_SESSION")
    for origin_id, connection in (("one", "a"), ("two", "a"), ("three", "b"), ("four", "")):
        begin(node, origin_id, connection)
    ok(node, "SessionSv1.SyncSessions", {})
    assert active(node) == ["one"]


def test_a_client_may_have_come_back_where_not_all_could_be_heard(node: Node) -> None:
    node.clients["a-again"] = knowing("one")  # has no session of this connection
    node.clients["b"] = refusing("NO_ACTIVE_SESSION")
    begin(node, "one", "a")
    ok(node, "SessionSv1.SyncSessions", {})
    assert active(node) == ["one"]


def test_a_session_with_a_cgrid_of_its_own_is_known_by_its_ids(node: Node) -> None:
    node.clients["a"] = knowing("one")
    own = {"InitSession": True, "Event": event("one", CGRID="own", Usage="30s")}
    ok(node, "SessionSv1.InitiateSession", own, connection="a")
    ok(node, "SessionSv1.SyncSessions", {})
    assert active(node) == ["one"]


def test_a_sync_by_itself_every_interval_of_the_configuration(node: Node) -> None:
    node.clients["a"] = knowing("one")
    begin(node, "one", "a")
    begin(node, "two", "a")
    ok(node, "ConfigSv1.SetConfig", {"Config": {"sessions": {"channel_sync_interval": "1m"}}})
    node.advance(50 * S)
    assert active(node) == ["one", "two"]
    node.advance(20 * S)
    assert active(node) == ["one"]
    begin(node, "three", "a")
    node.advance(60 * S)
    assert active(node) == ["one"]
    ok(node, "ConfigSv1.SetConfig", {"Config": {"sessions": {"channel_sync_interval": "0"}}})
    begin(node, "four", "a")
    node.advance(600 * S)
    assert active(node) == ["four", "one"]


@pytest.mark.parametrize(("protocol", "method"), [(1.0, "SessionSv1"), (0, "SMGClientV1")])
def test_older_clients_are_asked_by_older_names(node: Node, protocol: float, method: str) -> None:
    ok(node, "ConfigSv1.SetConfig", {"Config": {"sessions": {"client_protocol": protocol}}})
    node.clients["a"] = knowing()
    begin(node, "one", "a")
    ok(node, "SessionSv1.SyncSessions", {})
    assert [tell.method for tell in node.tells] == [f"{method}.GetActiveSessionIDs", f"{method}.DisconnectSession"]
    assert json.loads(node.tells[1].params)["Reason"] == "FORCED_DISCONNECT"
