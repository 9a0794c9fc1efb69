"""ConfigSv1 and CoreSv1 in a node (spec 70 §2, §3)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cgr_cluster.node.node import Node


@pytest.fixture
def node() -> Node:
    return Node(2)


def result(node: Node, method: str, params: Any) -> Any:
    answer = node.call(method, params)
    assert answer["error"] is None, answer
    return answer["result"]


def error(node: Node, method: str, params: Any) -> Any:
    return node.call(method, params)["error"]


def section(node: Node, name: str) -> Any:
    return result(node, "ConfigSv1.GetConfig", {"Section": name})[name]


def test_sections(node: Node) -> None:
    everything = result(node, "ConfigSv1.GetConfig", {})
    assert {"general", "sessions", "http_agent"} <= set(everything)
    assert section(node, "cores")["caps_strategy"] == "*busy"
    assert error(node, "ConfigSv1.GetConfig", {"Section": "nope"}) == "Invalid section"
    text = result(node, "ConfigSv1.GetConfigAsJSON", {"Section": "cores"})
    assert text == '{"cores":{"caps":0,"caps_stats_interval":"0","caps_strategy":"*busy","shutdown_timeout":"1s"}}'


def test_changes_merge_and_every_worker_sees_them(node: Node) -> None:
    changes = {
        "attributes": {"opts": {"*processRuns": 2, "*mine": 1}, "any_context": None, "unknown": 1},
        "thresholds": {"string_indexed_fields": ["*req.Subject"]},
        "sessions": {"default_usage": {"*fax": "1m"}},
        "http_agent": [{"id": "x"}],
        "nope": {"a": 1},
    }
    before = section(node, "attributes")
    assert result(node, "ConfigSv1.SetConfig", {"Config": changes, "DryRun": True}) == "OK"
    assert section(node, "attributes") == before
    assert result(node, "ConfigSv1.SetConfig", {"Config": changes}) == "OK"
    for _ in range(4):  # both workers answer
        attributes = section(node, "attributes")
        assert attributes == {**before, "opts": {**before["opts"], "*processRuns": 2, "*mine": 1}}
        assert section(node, "thresholds")["string_indexed_fields"] == ["*req.Subject"]
        assert section(node, "sessions")["default_usage"]["*fax"] == "1m"
        assert section(node, "http_agent") == [{"id": "x"}]
    assert error(node, "ConfigSv1.GetConfig", {"Section": "nope"}) == "Invalid section"


def test_values_of_the_wrong_type(node: Node) -> None:
    text = "json: cannot unmarshal string into Go struct field stats.indexed_selects of type bool"
    assert error(node, "ConfigSv1.SetConfig", {"Config": {"stats": {"indexed_selects": "no"}}}) == text
    assert error(node, "ConfigSv1.SetConfig", {"Config": {"stats": []}}).startswith("json: cannot unmarshal array")
    assert section(node, "stats")["indexed_selects"] is True


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ('{"stats":', "unexpected EOF"), ("", "unexpected EOF"), ('{"stats": {"x', "unexpected EOF"),
        ("hello", "invalid character 'h' looking for beginning of value"),
        ("[]", "json: cannot unmarshal array into Go value of type map[string]interface {}"),
    ],
)  # fmt: skip
def test_texts_that_are_no_configuration(node: Node, text: str, answer: str) -> None:
    assert error(node, "ConfigSv1.SetConfigFromJSON", {"Config": text}) == answer


def test_texts_with_comments(node: Node) -> None:
    text = '{ // "no"\n"stats": {"nested_fields": true, /* , */ "ees_exporter_ids": ["//x",],},}'
    assert result(node, "ConfigSv1.SetConfigFromJSON", {"Config": text}) == "OK"
    assert section(node, "stats")["nested_fields"] is True
    assert section(node, "stats")["ees_exporter_ids"] == ["//x"]


def test_reload(node: Node, tmp_path: Path) -> None:
    assert error(node, "ConfigSv1.ReloadConfig", {}) == "MANDATORY_IE_MISSING: [Path]"
    assert error(node, "ConfigSv1.ReloadConfig", {"Path": "/nope"}) == 'path:"/nope" is not reachable'
    (tmp_path / "a.json").write_text(json.dumps({"stats": {"nested_fields": True}, "trends": {"enabled": False}}))
    (tmp_path / "b.json").write_text(json.dumps({"stats": {"ees_exporter_ids": ["x"]}}))
    assert result(node, "ConfigSv1.ReloadConfig", {"Path": str(tmp_path), "Section": "stats"}) == "OK"
    assert section(node, "stats")["nested_fields"] is True
    assert section(node, "stats")["ees_exporter_ids"] == ["x"]
    assert section(node, "trends")["enabled"] is True


def test_core(node: Node) -> None:
    assert result(node, "CoreSv1.Ping", None) == "Pong"
    before = node.now_ns
    assert result(node, "CoreSv1.Sleep", {"Duration": 3_000_000_000}) == "OK"
    assert node.now_ns - before >= 3_000_000_000
    status = result(node, "CoreSv1.Status", {"Timezone": "Europe/Berlin"})
    assert status["node_id"] == "node1" and status["pid"] > 0
    assert error(node, "CoreSv1.Status", {"Timezone": "Mars/Base"}) == "unknown time zone Mars/Base"


def test_a_value_that_cannot_be_read_is_refused(node: Node) -> None:
    """Else every session request would fail until somebody finds it."""
    before = section(node, "sessions")
    change = {"Config": {"sessions": {"session_ttl": "5 minutes"}}}
    assert error(node, "ConfigSv1.SetConfig", change).startswith("sessions.session_ttl = '5 minutes' is no duration")
    assert error(node, "ConfigSv1.SetConfig", {**change, "DryRun": True}).startswith("sessions.session_ttl = ")
    assert section(node, "sessions") == before
