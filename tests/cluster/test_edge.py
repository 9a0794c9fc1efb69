"""Exporters over real processes: nothing acknowledged is lost and no row comes twice when the edge, or a worker, is killed."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from tests.cluster.node_rig import NodeRig, wait_until

pytestmark = pytest.mark.cluster

EVENTS = 60


def config(folder: Path, **exporter: object) -> dict[str, object]:
    fields = [
        {"path": "*hdr.ID", "type": "*constant", "value": "ID"},
        {"path": "*exp.ID", "type": "*variable", "value": "~*req.OriginID"},
        {"path": "*trl.N", "type": "*variable", "value": "~*em.NumberOfEvents"},
    ]
    one = {
        "id": "BILLING",
        "type": "*file_csv",
        "export_path": str(folder),
        "attempts": 3,
        "fields": fields,
        **exporter,
    }
    return {
        "enabled": True,
        "cache": {"*file_csv": {"limit": -1, "ttl": "1h"}},
        "failed_posts": {"dir": "*none"},
        "exporters": [one],
    }


def rows_of(folder: Path) -> list[list[str]]:
    return [row for file in sorted(folder.glob("*.csv")) for row in csv.reader(file.read_text().splitlines())]


def test_rows_are_written_once_whatever_is_killed(tmp_path: Path) -> None:
    folder = tmp_path / "exports"
    folder.mkdir()
    with NodeRig(workers=2, data_dir=tmp_path / "data") as node, node.client() as client:
        assert client.call("ConfigSv1.SetConfig", {"Config": {"ees": config(folder)}})["result"] == "OK"
        for number in range(EVENTS):
            if number in (20, 40):
                node.kill("edge")
            if number == 30:
                node.kill("worker-1")
            event = {"OriginID": f"call-{number}", "Account": f"a{number}", "ToR": "*voice", "Usage": "1s"}
            answer = client.call("EeSv1.ProcessEvent", {"ID": f"e{number}", "Event": event})
            assert answer["error"] is None and answer["result"] == {"BILLING": {}}, answer
        wait_until(lambda: len(rows_of(folder)) >= EVENTS + 1, "all rows")
        node.kill("edge")
        last = {"OriginID": "last", "Account": "last", "ToR": "*voice", "Usage": "1s"}
        client.call("EeSv1.ProcessEvent", {"ID": "last", "Event": last})
        wait_until(lambda: ["last"] in rows_of(folder), "the row after the kill")
    rows = rows_of(folder)
    assert rows[0] == ["ID"], "one file goes on over all deaths"
    assert sorted(row[0] for row in rows[1:-1]) == sorted([*(f"call-{n}" for n in range(EVENTS)), "last"])
    assert rows[-1] == [str(EVENTS + 1)], "a graceful stop writes the trailer, and metrics have survived"
