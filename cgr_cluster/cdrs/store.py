"""The CDR store: SQLite files by month (design 5), written and read by one process or by the in-process node.

* A version of a record (`Identity`) lies in the file of the month of its version. It is inserted once and removed once,
  so a batch that comes again changes nothing and the order of batches of different shards does not matter.
* WAL, `synchronous=FULL`: what `put` has returned for is on the disk.
* A row holds in columns what queries ask for, the rest (`Rest`) packed. Two indexes: the key, and account + answer time.
* `user_version` is the version of the format (`FORMAT`).

Writer and reader have connections of their own: a long query does not hold up the outboxes.
"""

from __future__ import annotations

import sqlite3
import threading
from array import array
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timezone
from heapq import merge
from pathlib import Path
from typing import Any

import msgspec

from cgr_cluster.cdrs.queries import (
    MAX_64,
    CdrQuery,
    Test,
    cost_column,
    order_clause,
    page,
    sort_key,
    time_column,
    where,
    widened,
)
from cgr_cluster.cdrs.seen import fingerprint, segment
from cgr_cluster.cdrs.types import CDR, Identity, StoredCdr, TailEntry
from cgr_cluster.engine.codec import pack, unpack
from cgr_cluster.engine.owner import SHARDS, registry_owner
from cgr_cluster.events.instant import Instant
from cgr_cluster.rating.types import EventCost

FORMAT = 1
NS = 1_000_000_000
COLUMNS = (
    "cgrid", "run_id", "origin_id", "version", "created", "order_id", "origin_host", "source", "tor", "request_type",
    "tenant", "category", "account", "subject", "destination", "setup", "answer", "usage", "cost", "extra", "rest",
)  # fmt: skip

_SCHEMA = f"""
CREATE TABLE IF NOT EXISTS cdr (
    cgrid TEXT NOT NULL, run_id TEXT NOT NULL, origin_id TEXT NOT NULL, version INTEGER NOT NULL, created INTEGER NOT NULL,
    order_id INTEGER NOT NULL, origin_host TEXT NOT NULL, source TEXT NOT NULL, tor TEXT NOT NULL,
    request_type TEXT NOT NULL, tenant TEXT NOT NULL, category TEXT NOT NULL, account TEXT NOT NULL,
    subject TEXT NOT NULL, destination TEXT NOT NULL, setup INTEGER NOT NULL, answer INTEGER NOT NULL,
    usage INTEGER NOT NULL, cost NUMERIC NOT NULL, extra TEXT, rest BLOB NOT NULL);
CREATE UNIQUE INDEX IF NOT EXISTS cdr_key ON cdr (cgrid, run_id, origin_id, version);
CREATE INDEX IF NOT EXISTS cdr_account ON cdr (account, answer);
PRAGMA user_version = {FORMAT};
"""
_INSERT = f"INSERT OR IGNORE INTO cdr ({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))})"
_DELETE = "DELETE FROM cdr WHERE cgrid = ? AND run_id = ? AND origin_id = ? AND version = ?"
_SELECT = f"SELECT {', '.join(COLUMNS)} FROM cdr"

_encode_extra = msgspec.json.Encoder().encode
_decode_extra = msgspec.json.Decoder(dict[str, str]).decode


class Rest(msgspec.Struct, array_like=True, gc=False):
    """What no query asks for, and the exact form of what the columns hold rounded."""

    setup_time: Instant
    answer_time: Instant
    cost_nano: int
    extra_info: str
    partial: bool
    pre_rated: bool
    cost_source: str
    cost_details: EventCost | None


def row_of(cdr: CDR, version: int, created_ns: int) -> tuple[Any, ...]:
    """The record as a row of COLUMNS."""
    rest = Rest(
        cdr.setup_time, cdr.answer_time, cdr.cost_nano, cdr.extra_info, cdr.partial, cdr.pre_rated, cdr.cost_source,
        cdr.cost_details,
    )  # fmt: skip
    extra = _encode_extra(cdr.extra_fields).decode() if cdr.extra_fields else None
    return (
        cdr.cgrid, cdr.run_id, cdr.origin_id, version, created_ns, cdr.order_id, cdr.origin_host, cdr.source, cdr.tor,
        cdr.request_type, cdr.tenant, cdr.category, cdr.account, cdr.subject, cdr.destination,
        time_column(cdr.setup_time), time_column(cdr.answer_time), cdr.usage_ns, cost_column(cdr.cost_nano), extra,
        pack(rest),
    )  # fmt: skip


def stored_of(row: tuple[Any, ...]) -> StoredCdr:
    """The record of a row."""
    rest: Rest = unpack(Rest, row[20])
    cdr = CDR(
        row[0], row[1], row[5], row[6], row[7], row[2], row[8], row[9], row[10], row[11], row[12], row[13], row[14],
        rest.setup_time, rest.answer_time, row[17], _decode_extra(row[19]) if row[19] else {}, rest.extra_info,
        rest.partial, rest.pre_rated, rest.cost_source, rest.cost_nano, rest.cost_details,
    )  # fmt: skip
    return StoredCdr(row[3], row[4], cdr)


class Months:
    """Which file a version lies in. Keeps the bounds of the month last asked for: versions come in order of time."""

    def __init__(self) -> None:
        self._start = self._end = 0
        self._name = ""

    def of(self, version: int) -> str:
        """`2026-03`"""
        if not self._start <= version < self._end:
            at = datetime.fromtimestamp(version // NS, timezone.utc)
            start = datetime(at.year, at.month, 1, tzinfo=timezone.utc)
            end = datetime(at.year + at.month // 12, at.month % 12 + 1, 1, tzinfo=timezone.utc)
            self._start, self._end = int(start.timestamp()) * NS, int(end.timestamp()) * NS
            self._name = f"{at.year:04d}-{at.month:02d}"
        return self._name


_opening = threading.Lock()  # SQLite does not wait while another thread gives the same new file its form: it refuses


class CdrFiles:
    """The connections of one writer or reader. `folder` None: everything in memory, for a node that keeps nothing."""

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder
        self._open: dict[str, sqlite3.Connection] = {}
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)

    def months(self) -> list[str]:
        if self.folder is None:
            return sorted(self._open)
        return sorted(path.name[5:-7] for path in self.folder.glob("cdrs-*.sqlite"))

    def connection(self, month: str) -> sqlite3.Connection:
        found = self._open.get(month)
        if found is None:
            with _opening:
                found = self._open[month] = self._opened(month)
        return found

    def _opened(self, month: str) -> sqlite3.Connection:
        path = ":memory:" if self.folder is None else str(self.folder / f"cdrs-{month}.sqlite")
        found = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=64)
        if self.folder is not None:
            found.execute("PRAGMA journal_mode = WAL")
            found.execute("PRAGMA synchronous = FULL")
            found.execute("PRAGMA busy_timeout = 30000")
            found.execute("PRAGMA cache_size = -65536")
            found.execute("PRAGMA wal_autocheckpoint = 8192")
        version = found.execute("PRAGMA user_version").fetchone()[0]
        if version == 0:
            found.executescript(_SCHEMA)
        elif version != FORMAT:
            raise ValueError(f"{path}: format {version} of the CDR store is not known here (this is {FORMAT})")
        return found

    def close(self) -> None:
        for connection in self._open.values():
            connection.close()
        self._open.clear()


class CdrWriter:
    """Applies what outboxes send."""

    def __init__(self, files: CdrFiles) -> None:
        self._files = files
        self._months = Months()

    def put(self, batch: Iterable[TailEntry]) -> None:
        """Apply the entries, durably. Idempotent. Inserts go before removals: an entry may remove what an earlier one
        of the same batch has inserted, never the other way round."""
        inserts: dict[str, list[tuple[Any, ...]]] = {}
        deletes: dict[str, list[tuple[Any, ...]]] = {}
        month_of = self._months.of
        for entry in batch:
            if entry.cdr is not None:
                inserts.setdefault(month_of(entry.version), []).append(
                    row_of(entry.cdr, entry.version, entry.created_ns)
                )
            for version in entry.deletes:
                gone = (entry.cgrid, entry.run_id, entry.origin_id, version)
                deletes.setdefault(month_of(version), []).append(gone)
        for month in sorted(inserts.keys() | deletes.keys()):
            connection = self._files.connection(month)
            connection.execute("BEGIN IMMEDIATE")
            try:
                if month in inserts:
                    # in the order of the key the index is touched page by page
                    connection.executemany(_INSERT, sorted(inserts[month]))
                if month in deletes:
                    connection.executemany(_DELETE, deletes[month])
                connection.execute("COMMIT")
            except BaseException:
                connection.execute("ROLLBACK")
                raise


class CdrReader:
    """Answers the store's part of queries. `exclude` names versions that the caller already has, or that are removed by
    entries still on their way: they are left out."""

    def __init__(self, files: CdrFiles) -> None:
        self._files = files
        self._read_to: dict[str, int] = {}  # month → last row that `fingerprints` has read
        self._by_shard = [array("I") for _ in range(SHARDS)]

    def query(self, query: CdrQuery, exclude: Sequence[Identity] = ()) -> list[StoredCdr]:
        """The first `offset + limit` records in the order of `query` (the caller merges and cuts the page)."""
        wide = widened(query)
        clause, arguments = where(query.tests)
        sql = _SELECT + clause + order_clause(query)
        if wide.limit is not None:
            sql += f" LIMIT {min(max(wide.limit, 0) + len(exclude), MAX_64)}"
        hidden = {(i.cgrid, i.run_id, i.origin_id, i.version) for i in exclude}
        parts = []
        for month in self._files.months():
            rows = self._files.connection(month).execute(sql, arguments)
            parts.append([stored_of(row) for row in rows if row[:4] not in hidden])
        return page(list(merge(*parts, key=sort_key(query))), wide)

    def count(self, tests: tuple[Test, ...], exclude: Sequence[Identity] = ()) -> int:
        clause, arguments = where(tests)
        one = f"{clause}{' AND' if clause else ' WHERE'} cgrid = ? AND run_id = ? AND origin_id = ? AND version = ?"
        total = 0
        months = Months()
        present = self._files.months()
        for month in present:
            total += self._files.connection(month).execute(f"SELECT count(*) FROM cdr{clause}", arguments).fetchone()[0]
        for i in exclude:
            month = months.of(i.version)
            if month in present:
                found = self._files.connection(month).execute(
                    f"SELECT count(*) FROM cdr{one}", [*arguments, i.cgrid, i.run_id, i.origin_id, i.version]
                )
                total -= found.fetchone()[0]
        return total

    def fingerprints(self, shard: int) -> bytes:
        """A sorted segment (`seen.py`) of the runs whose CGRID belongs to the registry `shard`. Asked once in the life of a
        shard: by a new installation, or when the log was lost and the records were not. Each record is read once for all
        shards."""
        for month in self._files.months():
            rows = self._files.connection(month).execute(
                "SELECT rowid, cgrid, run_id FROM cdr WHERE rowid > ? ORDER BY rowid", (self._read_to.get(month, 0),)
            )
            for row_id, cgrid, run_id in rows:
                self._read_to[month] = row_id
                self._by_shard[registry_owner(cgrid).shard].append(fingerprint(cgrid, run_id))
        return segment(set(self._by_shard[shard]))


def store_functions(reader: CdrReader) -> dict[str, Callable[..., Any]]:
    """What a node answers to `outside(...)` of this package when the store is in its own process."""
    return {"cdrs.query": reader.query, "cdrs.count": reader.count, "cdrs.fingerprints": reader.fingerprints}
