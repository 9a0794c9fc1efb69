"""A worker dies at any event while a reader is at work: no row is lost, none is taken twice (spec 40 §9, design 9)."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from cgr_cluster.node.node import Node
from tests.unit.readers_world import FIELDS, SECOND, cdrs, field, node_with, reader, run, write

ROWS = 20
EVERY = 23  # events between the points at which a worker dies; all points are met over the runs
PARTIAL = [*FIELDS, field("*opts.*partial", "~*req.3", filters=["*notempty:~*req.3:"])]


def folder(root: Path, name: str) -> Path:
    source = root / name
    write(source, "a.csv", *(f"a{n},1001,{n}s," for n in range(ROWS)))
    write(source, "b.csv", *(f"p{n},1002,{n}s,true" for n in range(4)), "p1,1002,9s,false", "b1,1001,1s,")
    return source


def read_all(root: Path, name: str, crash_at: tuple[int, ...], lanes: int) -> tuple[Node, int]:
    source, processed = folder(root, name), root / f"{name}-out"
    processed.mkdir()
    node = node_with(
        reader(source, processed_path=str(processed), fields=PARTIAL, opts={"partialCacheAction": "*post_cdr"}),
        workers=3, crash_at=crash_at, concurrent_events=lanes,
    )  # fmt: skip
    begun = node.events
    assert run(node) == "OK"
    node.advance(3 * SECOND)
    assert not list(source.iterdir())
    assert len(list(processed.iterdir())) == 2
    return node, node.events - begun


@pytest.mark.parametrize("lanes", [1, 4])
def test_every_row_once_whatever_dies_when(tmp_path: Path, lanes: int, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "cgr_cluster.readers")
    whole, events = read_all(tmp_path, "whole", (), lanes)
    expected = sorted(cdrs(whole))
    assert len(expected) == ROWS + 5
    for first in range(1, events - 5, EVERY):
        points = (first, first + 5) if first % 2 else (first,)
        caplog.clear()
        node, _ = read_all(tmp_path, f"at{first}", points, lanes)
        assert node.crashes
        assert sorted(cdrs(node)) == expected
        assert "EXISTS" not in caplog.text
        assert "given up" not in caplog.text
        if lanes == 1:
            assert [each for each in cdrs(node) if each[0] == "a"] == [f"a{n}" for n in range(ROWS)]
