"""The checkpoint: the last value of every key up to a segment, in SQLite; and the state of shards from it and the log.

Format: docs/log-format.md. One table clustered by (shard, key): a shard is read as one range of the tree, and a fold writes in key order.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Final

from cgr_cluster.log.data_dir import DataDir
from cgr_cluster.log.errors import DataDirError, MissingSegmentError
from cgr_cluster.log.format import (
    FORMAT_VERSION,
    LOG_WORKER,
    SHARDS,
    SHORT_LIVED_KINDS,
    Record,
    creation_ns,
    decode_body,
)
from cgr_cluster.log.recovery import ReadSegment, check_numbers, groups_from
from cgr_cluster.log.segments import Group, Position, segment_name, segment_numbers

PAGE_BYTES: Final = 16384  # a row of up to a quarter of it stays in the tree's page
WAL_BYTES: Final = 64 << 20  # a long fold's WAL is cut back to this

_SCHEMA = """
CREATE TABLE record (shard INTEGER NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL, PRIMARY KEY (shard, key)) WITHOUT ROWID;
CREATE TABLE position (one INTEGER PRIMARY KEY CHECK (one = 1), segment INTEGER NOT NULL);
INSERT INTO position VALUES (1, 1);
"""

Folded = dict[tuple[int, str], bytes | None]


def fold(groups: Iterable[Group], into: Folded, shards: Collection[int] | None = None) -> None:
    """Adds the groups' records to `into`: the last value of a key wins. Only of `shards`, when given."""
    for group in groups:
        if group.header.worker == LOG_WORKER:
            continue
        for shard, key, value in decode_body(group.body):
            if shards is None or shard in shards:
                into[shard, key] = value


class Checkpoint:
    """The SQLite file, open for the folder, the only one that writes it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.execute(f"PRAGMA page_size = {PAGE_BYTES}")
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        self._db.execute(f"PRAGMA journal_size_limit = {WAL_BYTES}")
        if _version(self._db, path) == 0:
            self._db.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version = {FORMAT_VERSION}; COMMIT;")

    def position(self) -> int:
        """The first segment that is not contained."""
        return _position(self._db, self._path)

    def write(self, records: Folded, position: int, keep_since_ns: int) -> int:
        """Stores the records and the position in one transaction; returns the number of rows written and removed.

        Short-lived records made before `keep_since_ns` are left out, and removed where they are. Raises sqlite3.Error: nothing has changed.
        """
        assert position >= self.position()
        limit = keep_since_ns.to_bytes(8, "big")
        put: list[Record] = []
        gone: list[tuple[int, str]] = []
        for (shard, key), value in sorted(records.items(), key=lambda item: item[0]):
            if value is None or is_outdated(key, value, keep_since_ns):
                gone.append((shard, key))
            else:
                put.append((shard, key, value))
        db = self._db
        db.execute("BEGIN IMMEDIATE")
        try:
            db.executemany("INSERT OR REPLACE INTO record VALUES (?, ?, ?)", put)
            db.executemany("DELETE FROM record WHERE shard = ? AND key = ?", gone)
            for shard in range(SHARDS):
                for kind in SHORT_LIVED_KINDS:
                    after = kind[:-1] + chr(ord("/") + 1)  # keys of the kind: from "done/" to before "done0"
                    db.execute(
                        "DELETE FROM record WHERE shard = ? AND key >= ? AND key < ? AND substr(value, 1, 8) < ?",
                        (shard, kind, after, limit),
                    )
            db.execute("UPDATE position SET segment = ?", (position,))
            db.execute("COMMIT")
        except BaseException:
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise
        return len(put) + len(gone)

    def read(self, shard: int) -> Iterator[tuple[str, bytes]]:
        """The keys and values of a shard, in key order."""
        return iter(self._db.execute("SELECT key, value FROM record WHERE shard = ? ORDER BY key", (shard,)))

    def close(self) -> None:
        self._db.close()


def is_outdated(key: str, value: bytes, keep_since_ns: int) -> bool:
    """A short-lived record that was made before this time."""
    return key.startswith(SHORT_LIVED_KINDS) and (len(value) < 8 or creation_ns(value) < keep_since_ns)


def position(data_dir: str | Path) -> int:
    """The first segment that the checkpoint of a data directory does not contain; 1 without a checkpoint."""
    path = DataDir(data_dir).checkpoint
    if not path.exists():
        return 1
    db = _open_to_read(path)
    try:
        return _position(db, path)
    finally:
        db.close()


def load(
    shards: Collection[int], data_dir: str | Path, until: Position | None = None
) -> Iterator[tuple[int, str, bytes]]:
    """The state of the shards: (shard, key, value) of every object that exists, each key once.

    From the checkpoint and the log behind it. `until` is the durable place that the log process's welcome named: what lies before it must be
    whole. Safe beside the log process and the folder: the segments are opened before the checkpoint's snapshot is taken, so what the folder
    removes meanwhile is in the snapshot or in an open file. Streams the checkpoint; keeps the log's last values of these shards in memory.
    Raises CorruptionError, MissingSegmentError, DataDirError.
    """
    place = DataDir(data_dir)
    place.check()
    wanted = frozenset(shards)
    files = _open_segments(place.segments)
    db = _open_to_read(place.checkpoint) if place.checkpoint.exists() else None
    try:
        folded_below = 1
        if db is not None:
            db.execute("BEGIN")
            folded_below = _position(db, place.checkpoint)
        tail: Folded = {}
        newest = max(files, default=0)
        if newest >= folded_below or folded_below == 1:
            fold(groups_from(_reader(files), check_numbers(sorted(files), folded_below), until), tail, wanted)
        elif until is not None and until.segment >= folded_below:
            raise MissingSegmentError(f"segment {until.segment} is missing: restore the folder of segments")
        if db is not None and _version(db, place.checkpoint):
            for shard in sorted(wanted):
                rows = db.execute("SELECT shard, key, value FROM record WHERE shard = ?", (shard,))
                if tail:
                    yield from (row for row in rows if row[:2] not in tail)
                else:
                    yield from rows
        for (shard, key), value in tail.items():
            if value is not None:
                yield shard, key, value
    finally:
        if db is not None:
            db.close()
        for fd in files.values():
            os.close(fd)


def _open_segments(folder: Path) -> dict[int, int]:
    files: dict[int, int] = {}
    for number in segment_numbers(os.listdir(folder)):
        try:
            files[number] = os.open(folder / segment_name(number), os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            continue  # folded meanwhile
    return files


def _reader(files: dict[int, int]) -> ReadSegment:
    def read(segment: int) -> bytes:
        fd = files[segment]
        return os.pread(fd, os.fstat(fd).st_size, 0)

    return read


def _open_to_read(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA query_only = ON")
    return db


def _version(db: sqlite3.Connection, path: Path) -> int:
    version: int = db.execute("PRAGMA user_version").fetchone()[0]
    if version not in (0, FORMAT_VERSION):
        raise DataDirError(f"{path} has format version {version}; this program knows {FORMAT_VERSION}")
    return version


def _position(db: sqlite3.Connection, path: Path) -> int:
    if _version(db, path) == 0:  # made, but its first transaction was not reached
        return 1
    segment: int = db.execute("SELECT segment FROM position").fetchone()[0]
    return segment
