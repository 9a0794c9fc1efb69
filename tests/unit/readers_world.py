"""A node with readers: configured by ConfigSv1.SetConfig, their files in a folder of the test."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

from cgr_cluster.node.node import Node

SECOND = 10**9
COLUMNS = ("OriginID", "Account", "Usage")


def field(path: str, value: str, kind: str = "*variable", **more: Any) -> dict[str, Any]:
    """A template; a path without root is of the event."""
    return {"path": path if path.startswith("*") else f"*cgreq.{path}", "type": kind, "value": value, **more}


FIELDS = [
    field("ToR", "*voice", "*constant"),
    field("RequestType", "*none", "*constant"),
    field("Destination", "999", "*constant"),
    field("AnswerTime", "2026-03-02T10:00:00Z", "*constant"),
    *(field(name, f"~*req.{place}", mandatory=True) for place, name in enumerate(COLUMNS)),
]


def reader(source: Path, **more: Any) -> dict[str, Any]:
    """A CSV reader on request that makes CDRs of OriginID, Account, Usage and leaves its files where they are."""
    return {
        "id": "R", "type": "*file_csv", "run_delay": "0", "source_path": str(source), "processed_path": "",
        "flags": ["*cdrs"], "fields": FIELDS, **more,
    }  # fmt: skip


def configure(node: Node, *readers: dict[str, Any], **section: Any) -> dict[str, Any]:
    ers = {"enabled": True, "readers": list(readers), **section}
    return node.call("ConfigSv1.SetConfig", {"Config": {"ers": ers}})


def node_with(*readers: dict[str, Any], workers: int = 2, crash_at: Collection[int] = (), **section: Any) -> Node:
    """A node with a charger and these readers."""
    node = Node(workers)
    charger = {"ID": "C", "RunID": "*default", "AttributeIDs": ["*none"]}
    assert node.call("APIerSv1.SetChargerProfile", charger)["error"] is None
    answer = configure(node, *readers, **section)
    assert answer["error"] is None, answer
    node.crash_at = {node.events + event for event in crash_at}
    return node


def run(node: Node, reader_id: str = "R") -> Any:
    answer = node.call("ErSv1.RunReader", {"ReaderID": reader_id})
    return answer["error"] or answer["result"]


def cdrs(node: Node, *names: str) -> list[Any]:
    """Of each stored CDR, in the order of OrderID, the field or fields named (OriginID)."""
    answer = node.call("CDRsV1.GetCDRs", {"OrderBy": "OrderID"})
    if answer["error"] == "SERVER_ERROR: NOT_FOUND":
        return []
    assert answer["error"] is None, answer
    rows = [[{**row, **row["ExtraFields"]}.get(name) for name in names or ("OriginID",)] for row in answer["result"]]
    return [row[0] if len(row) == 1 else tuple(row) for row in rows]


def write(folder: Path, name: str, *lines: str) -> Path:
    folder.mkdir(exist_ok=True)
    file = folder / name
    file.write_text("".join(line + "\n" for line in lines))
    return file
