"""Folding, loading, and what an operator can ask of a data directory."""

from __future__ import annotations

import json
import os
import random
import sqlite3
from pathlib import Path

import pytest

from cgr_cluster.log import checkpoint as checkpoint_module
from cgr_cluster.log import inspect
from cgr_cluster.log.checkpoint import Checkpoint, load, position
from cgr_cluster.log.data_dir import DataDir
from cgr_cluster.log.disk import FileDisk
from cgr_cluster.log.errors import CorruptionError, DataDirError, MissingSegmentError
from cgr_cluster.log.folding import fold_closed
from cgr_cluster.log.format import Record, encode_body, seal
from cgr_cluster.log.journal import Journal
from cgr_cluster.log.segments import Position, segment_name

State = dict[tuple[int, str], bytes]


class Node:
    """A journal on real files, with a model of what the state must be."""

    def __init__(self, path: Path) -> None:
        self.place = DataDir(path)
        self.place.prepare()
        self.number = 0
        self.state: State = {}
        self.incarnation = 0
        self.restart()

    def restart(self) -> None:
        self.journal = Journal(
            FileDisk(self.place.segments),
            lambda: 0,
            folded_below=position(self.place.path),
            segment_bytes=8000,
            first_segment_bytes=8000,
        )
        self.incarnation += 1
        self.number = 0
        self.journal.hello(1, self.incarnation)
        self.journal.commit()

    def write(self, *records: Record) -> None:
        self.number += 1
        self.journal.append(seal(encode_body(list(records)), 1, self.incarnation, 1, self.number, 1))
        self.journal.commit()
        for shard, key, value in records:
            if value is None:
                self.state.pop((shard, key), None)
            else:
                self.state[shard, key] = value

    def fold(self, keep_since_ns: int = 0) -> int:
        checkpoint = Checkpoint(self.place.checkpoint)
        try:
            return fold_closed(self.place, checkpoint, keep_since_ns).rows
        finally:
            checkpoint.close()

    def loaded(self, shards: range | list[int] = range(257), until: Position | None = None) -> State:
        rows = list(load(shards, self.place.path, until))
        state = {(shard, key): value for shard, key, value in rows}
        assert len(state) == len(rows), "a key came twice"
        return state


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path / "data")


def random_history(node: Node, seed: int, steps: int = 60) -> None:
    rng = random.Random(seed)
    for _ in range(steps):
        action = rng.random()
        if action < 0.75:
            node.write(
                *[
                    (rng.randrange(4), f"account/{rng.randrange(20)}", rng.choice([None, rng.randbytes(200)]))
                    for _ in range(rng.randrange(4))
                ]
            )
        elif action < 0.85:
            node.journal.roll()
        elif action < 0.95:
            node.fold()
        else:
            node.restart()
        if rng.random() < 0.2:
            assert node.loaded() == node.state
            assert node.loaded(until=node.journal.durable) == node.state


def test_invariant_04_state_is_checkpoint_plus_log(tmp_path: Path) -> None:
    for seed in range(4):
        node = Node(tmp_path / str(seed))
        random_history(node, seed)
        assert node.loaded() == node.state
        assert node.loaded([2]) == {key: value for key, value in node.state.items() if key[0] == 2}


@pytest.mark.parametrize(
    ("name", "broken"),
    [
        ("fold", lambda groups, into, shards=None: real_fold(list(groups)[:-1], into, shards)),
        ("fold", lambda groups, into, shards=None: real_fold(reversed(list(groups)), into, shards)),
    ],
)
def test_invariant_04_is_seen_to_fail(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, broken: object
) -> None:
    monkeypatch.setattr(checkpoint_module, name, broken)
    with pytest.raises(AssertionError):
        test_invariant_04_state_is_checkpoint_plus_log(tmp_path)


real_fold = checkpoint_module.fold


def test_a_fold_writes_each_key_once_and_drops_the_segments(node: Node) -> None:
    for number in range(50):
        node.write((1, "account/a", b"%d" % number), (1, f"session/{number}", b"x"))
        node.write((1, f"session/{number}", None))
    node.journal.roll()
    node.fold()
    assert node.loaded() == {(1, "account/a"): b"49"}
    assert os.listdir(node.place.segments) == [segment_name(node.journal.durable.segment)]
    assert position(node.place.path) == node.journal.durable.segment


def test_a_load_that_began_before_a_fold_sees_one_state(node: Node) -> None:
    for number in range(100):
        node.write((number % 3, f"account/{number}", b"old"))
    node.journal.roll()
    node.fold()
    before = dict(node.state)
    rows = load(range(257), node.place.path)
    seen = [next(rows)]
    for number in range(100):
        node.write((number % 3, f"account/{number}", b"new"))
    node.journal.roll()
    node.fold()
    seen += rows
    assert {(shard, key): value for shard, key, value in seen} == before


def test_a_fold_between_the_list_of_segments_and_the_snapshot_changes_nothing(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = checkpoint_module._open_segments

    def then_fold(folder: Path) -> dict[int, int]:
        files = real(folder)
        node.journal.roll()
        node.journal.roll()
        node.fold()
        return files

    node.write((1, "account/a", b"1"))
    node.fold()
    monkeypatch.setattr(checkpoint_module, "_open_segments", then_fold)
    assert node.loaded() == node.state


def test_a_failed_fold_leaves_everything_as_it_was(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    node.write((1, "account/a", b"1"))
    node.journal.roll()
    monkeypatch.setattr(checkpoint_module, "SHORT_LIVED_KINDS", (5,))  # the transaction fails after its first writes
    with pytest.raises(TypeError):
        node.fold()
    monkeypatch.undo()
    assert node.loaded() == node.state
    assert position(node.place.path) == 1
    node.fold()
    assert node.loaded() == node.state


def test_short_lived_records_are_kept_only_while_young(node: Node) -> None:
    def made(at_ns: int) -> bytes:
        return at_ns.to_bytes(8, "big") + b"answer"

    node.write((1, "done/old", made(100)), (1, "done/young", made(300)), (256, "memo/old", made(1)))
    node.write((1, "account/a", b""), (1, "done/short", b"x"))
    node.journal.roll()
    node.fold(keep_since_ns=200)
    assert set(node.loaded()) == {(1, "account/a"), (1, "done/young")}
    node.journal.roll()
    node.fold(keep_since_ns=301)
    assert set(node.loaded()) == {(1, "account/a")}


def test_a_damaged_segment_is_not_folded_and_not_loaded(node: Node) -> None:
    for number in range(5):
        node.write((1, f"account/{number}", b"x" * 100))
    name = segment_name(node.journal.durable.segment)
    node.journal.roll()
    path = node.place.segments / name
    damaged = bytearray(path.read_bytes())
    damaged[700] ^= 4
    path.write_bytes(damaged)
    for read in (node.fold, node.loaded, node.restart):
        with pytest.raises(CorruptionError, match=name):
            read()
    report = inspect.check(node.place.path)
    assert report.bad_file == name
    assert report.bad_offset < 700
    assert name in report.problem
    assert report.segments[0].state == "corrupt"


def test_cut_gives_up_what_lies_behind_and_the_log_starts_again(node: Node) -> None:
    test_a_damaged_segment_is_not_folded_and_not_loaded(node)
    report = inspect.check(node.place.path)
    with pytest.raises(DataDirError, match="is not the end of a whole group"):
        inspect.cut(node.place.path, report.bad_file, report.bad_offset + 1)
    done = inspect.cut(node.place.path, report.bad_file, report.bad_offset)
    assert "1 later segments given up" in done
    assert inspect.check(node.place.path).problem == ""
    node.restart()
    assert set(node.loaded()) < set(node.state)
    assert len(node.loaded()) == report.segments[0].groups


def test_a_missing_segment_is_named(node: Node) -> None:
    node.write((1, "account/a", b"1"))
    node.journal.roll()
    node.journal.roll()
    (node.place.segments / segment_name(2)).unlink()
    for read in (node.fold, node.loaded, node.restart):
        with pytest.raises(MissingSegmentError, match=r"segment 2 .* is missing"):
            read()


def test_check_and_dump_of_a_sound_log(node: Node) -> None:
    node.write((1, "account/a", b"\x81\xa1a\x01"), (2, "session/b", None))
    report = inspect.check(node.place.path)
    assert report.problem == ""
    assert report.groups == 1
    assert report.last_numbers[1].number == 1
    assert report.segments[-1].state == "in use"
    lines = [json.loads(line) for line in inspect.dump(node.place.path, shard=1)]
    assert [(line["key"], line["value"], line["worker"]) for line in lines] == [("account/a", {"a": 1}, 1)]


def test_a_data_directory_is_locked_once(tmp_path: Path) -> None:
    place = DataDir(tmp_path)
    place.prepare()
    fd = place.lock()
    with pytest.raises(DataDirError, match=f"in use by the log process with pid {os.getpid()}"):
        place.lock()
    os.close(fd)
    os.close(place.lock())


@pytest.mark.parametrize(
    ("break_it", "text"),
    [
        (
            lambda path: (path / "FORMAT").write_text("cgr-cluster log 9\n"),
            "says 'cgr-cluster log 9'; this program knows",
        ),
        (lambda path: (path / "FORMAT").unlink(), "is missing, but there are data"),
    ],
)
def test_a_data_directory_of_another_kind_is_refused(node: Node, break_it: object, text: str) -> None:
    break_it(node.place.path)  # type: ignore[operator]
    with pytest.raises(DataDirError, match=text):
        node.place.prepare()


def test_a_checkpoint_of_another_version_is_refused(node: Node) -> None:
    node.fold()
    db = sqlite3.connect(node.place.checkpoint)
    db.execute("PRAGMA user_version = 9")
    db.close()
    with pytest.raises(DataDirError, match="format version 9"):
        node.loaded()


def test_a_place_that_is_no_data_directory(tmp_path: Path) -> None:
    with pytest.raises(DataDirError, match="is not a data directory"):
        inspect.check(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(DataDirError, match="cannot be made"):
        DataDir(tmp_path / "file").prepare()
