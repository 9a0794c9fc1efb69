"""Exports when a worker dies at any commit or send: each is made once, acknowledged or asked again (docs/exporters.md)."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import pytest

from cgr_cluster.exporters import process
from cgr_cluster.node.node import Node
from tests.unit.exporters_world import configure, exporter, field

ROWS = ["a", "b", "c"]


def lines_of(folder: Path, crash_at: Collection[int], synchronous: bool) -> tuple[list[str], Node]:
    """What three exported events leave in the files."""
    node = Node(workers=2)
    fields = [field("*exp.ID", "~*req.OriginID")]
    one = exporter("E", "*file_csv", export_path=str(folder), synchronous=synchronous, fields=fields)
    assert configure(node, one)["result"] == "OK"
    node.events, node.crash_at = 0, set(crash_at)
    for name in ROWS:
        event = {"OriginID": name, "Account": f"account-{name}"}
        answer = node.call("EeSv1.ProcessEvent", {"ID": name, "Event": event})
        assert answer["result"] == {"E": {}}, answer
    node.run()
    return sorted(line for file in folder.iterdir() for line in file.read_text().splitlines()), node


@pytest.mark.parametrize("synchronous", [False, True])
def test_each_export_is_made_once(tmp_path: Path, synchronous: bool) -> None:
    folder = tmp_path / "whole"
    folder.mkdir()
    rows, node = lines_of(folder, (), synchronous)
    assert rows == ROWS
    assert not node.exporters._done, "nothing is remembered for ever"
    for event in range(1, node.events + 1):
        folder = tmp_path / str(event)
        folder.mkdir()
        rows, crashed = lines_of(folder, (event,), synchronous)
        assert rows == ROWS, f"a worker died at event {event}"
        assert crashed.crashes == 1
        assert not crashed.exporters._done, event


def test_the_test_sees_ids_that_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Shown to fail: a delivery that is another one at each attempt comes twice."""
    made = iter(range(10**6))
    real = process.Export
    monkeypatch.setattr(process, "Export", lambda delivery, *rest: real(f"{delivery}{next(made)}", *rest))
    seen = set()
    for event in range(1, 20):
        folder = tmp_path / str(event)
        folder.mkdir()
        seen.add(tuple(lines_of(folder, (event,), True)[0]))
    assert len(seen) > 1, "some line came twice"
