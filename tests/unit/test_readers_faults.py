"""Faults in the configuration of readers: the first one is the error, and nothing changes (spec 40 §9)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cgr_cluster.config.settings import ConfigError
from cgr_cluster.node.node import Node
from tests.unit.readers_world import configure, field, node_with, reader, run
from workers.supervisor import parse


@pytest.fixture(scope="module")
def node() -> Node:
    return node_with()


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"source_path": "/no/in"}, "<ERs> nonexistent folder: /no/in for reader with ID: R"),
        ({"source_path": "/no/in", "processed_path": "/no/out"}, "<ERs> nonexistent folder: /no/out for reader with ID: R"),
        ({"type": "*file_json"}, "<ERs> nonexistent folder:  for reader with ID: R"),
        ({"type": "*file_xml", "processed_path": "/no/out"}, "<ERs> nonexistent folder: /no/out for reader with ID: R"),
        ({"type": "*what"}, "<ERs> unsupported data type: *what for reader with ID: R"),
        ({"type": "*sql"}, "<ERs> unsupported data type: *sql for reader with ID: R"),
        ({"type": "*kafka_json_map"}, "<ERs> unsupported data type: *kafka_json_map for reader with ID: R"),
        ({"opts": {"partialCacheAction": "*what"}}, "<ERs> wrong partial expiry action for reader with ID: R"),
        (
            {"opts": {"partialCacheAction": "*dump_to_file", "partialPath": "/no/dumps"}},
            "<ERs> nonexistent folder: /no/dumps for reader with ID: R",
        ),
        ({"opts": {"csvFieldSeparator": ""}}, "<ERs> empty csvFieldSeparator for reader with ID: R"),
        (
            {"fields": [{"tag": "T", "type": "*variable", "value": "~*req.0"}]},
            "<ERs> MANDATORY_IE_MISSING: [Path] for R at T",
        ),
        (
            {"partial_commit_fields": [{"tag": "T", "type": "*variable", "value": "~*req.0"}]},
            "<ERs> MANDATORY_IE_MISSING: [Path] for R at T",
        ),
        ({"ees_failed_ids": "E"}, "<ERs> wrong value of ees_failed_ids for reader with ID: R"),
        ({"ees_success_ids": ["E"]}, "<ERs> connection to <EEs> required due to exporter ID references"),
        ({"fields": [field("A", "~*req.0;;1")]}, "emtpy RSRParser in rule: <>"),
        ({"fields": [field("A", "`a")]}, "Unclosed unspilit syntax"),
        ({"fields": [field("*t", "*t", "*template")]}, "no template with id: <*t>"),
        ({"tenant": "~*req.0{*nosuch}"}, "invalid converter value in string: <*nosuch>, err: unsupported converter definition: <*nosuch>"),
        ({"timezone": "Mars/Base"}, "unknown time zone Mars/Base"),
        ({"run_delay": "soon"}, 'time: invalid duration "soon"'),
        ({"flags": "*cdrs"}, "<ERs> wrong value of flags for reader with ID: R"),
        ({"fields": ["A"]}, "<ERs> wrong value of fields for reader with ID: R"),
        ({"opts": {"csvRowLength": "x"}}, "<ERs> csvRowLength = x is no whole number"),
        ({"fields": [{"path": "*cgreq.A", "type": "*none", "width": "x"}]}, "field template <*cgreq.A>: Expected `int`, got `str` - at `$.width`"),
    ],
)  # fmt: skip
def test_fault(tmp_path: Path, node: Node, changes: dict[str, Any], error: str) -> None:
    before = node.call("ConfigSv1.GetConfig", {"Section": "ers"})["result"]
    assert configure(node, reader(tmp_path, **changes))["error"] == error
    assert node.call("ConfigSv1.GetConfig", {"Section": "ers"})["result"] == before


@pytest.mark.parametrize(
    ("section", "error"),
    [
        ({"sessions_conns": ["*localhost"]}, None),
        ({"sessions_conns": ["nowhere"]}, "<ERs> connection with id: <nowhere> not defined"),
        ({"ees_conns": ["*internal"]}, "<EEs> not enabled but requested by <ERs> component"),
        ({"enabled": False, "ees_conns": ["*internal"]}, None),
    ],
)
def test_connections(tmp_path: Path, node: Node, section: dict[str, Any], error: str | None) -> None:
    assert configure(node, reader(tmp_path), **section)["error"] == error


def test_what_is_of_no_use_to_the_reader_is_accepted(tmp_path: Path) -> None:
    """Unknown flags and keys, a reader of type *none, folders of a reader that is off."""
    node = node_with(reader(tmp_path, flags=["*cdrs", "*what:x"], more=1), {"id": "OFF", "source_path": "/no"})
    assert run(node) == "OK"
    assert run(node, "OFF") == "NOT_FOUND"


def test_exporters_of_raw_records_must_be_there(tmp_path: Path) -> None:
    node = Node()
    ees = {"enabled": True, "exporters": [{"id": "E", "type": "*virt"}]}
    assert node.call("ConfigSv1.SetConfig", {"Config": {"ees": ees}})["error"] is None
    connected = {"ees_conns": ["*internal"]}
    assert configure(node, reader(tmp_path, ees_success_ids=["E"], ees_failed_ids=["F"]), **connected)["error"] == (
        "<ERs> exporter with id F not defined"
    )
    assert configure(node, reader(tmp_path, ees_success_ids=["E"], ees_failed_ids=["E"]), **connected)["error"] is None


def test_config_is_answered_with_its_defaults(tmp_path: Path) -> None:
    node = node_with(
        {
            "id": "R",
            "type": "*file_csv",
            "source_path": str(tmp_path),
            "processed_path": "",
            "opts": {"csvRowLength": 3},
        }
    )
    (found,) = node.call("ConfigSv1.GetConfig", {"Section": "ers"})["result"]["ers"]["readers"]
    assert (found["run_delay"], found["concurrent_requests"], len(found["fields"])) == ("0", 1024, 11)
    assert (found["opts"]["csvRowLength"], found["opts"]["csvFieldSeparator"]) == (3, ",")


def test_dry_run_changes_nothing(tmp_path: Path) -> None:
    node = Node()
    config = {"ers": {"enabled": True, "readers": [reader(tmp_path, type="*x")]}}
    answer = node.call("ConfigSv1.SetConfig", {"Config": config, "DryRun": True})
    assert answer["error"] == "<ERs> unsupported data type: *x for reader with ID: R"
    assert node.call("ConfigSv1.GetConfig", {"Section": "ers"})["result"]["ers"]["enabled"] is False


def test_node_does_not_start_with_a_fault(tmp_path: Path) -> None:
    config = tmp_path / "c.toml"
    config.write_text(
        '[ers]\nenabled = true\n[[ers.readers]]\nid = "R"\ntype = "*file_csv"\nsource_path = "/no/in"\nprocessed_path = ""\n'
    )
    with pytest.raises(ConfigError, match="nonexistent folder: /no/in for reader with ID: R"):
        parse(["--config", str(config), "--data-dir", str(tmp_path)])
