"""What exporters must not lose when the edge process dies: positions of open files, deliveries done, failed posts.

One SQLite file. A row of an export file counts when the commit that moves the file's position has been made; what the file
holds behind its position is cut off when it is opened again, and its deliveries are asked again by the workers.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from cgr_cluster.engine.codec import pack, unpack
from cgr_cluster.exporters.metrics import MAX_IDS, Metrics, Totals
from cgr_cluster.exporters.types import Outcome

_SCHEMA = """
CREATE TABLE IF NOT EXISTS file (path TEXT PRIMARY KEY, definition BLOB, generation INTEGER, tenant TEXT, position INTEGER,
    totals BLOB, used_ns INTEGER);
CREATE TABLE IF NOT EXISTS exported (path TEXT, failed INTEGER, event TEXT, PRIMARY KEY (path, failed, event));
CREATE TABLE IF NOT EXISTS done (delivery TEXT PRIMARY KEY, outcome BLOB) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS failed (folder TEXT, name TEXT, posts TEXT, due_ns INTEGER, place INTEGER PRIMARY KEY, post BLOB);
"""


class OpenFile(msgspec.Struct, gc=False):
    """`position`: bytes of the file that count. `definition` is packed."""

    path: str
    definition: bytes
    generation: int
    tenant: str
    position: int
    metrics: Metrics
    used_ns: int


class ExportJournal:
    """Changes are kept by `commit`; without a folder all is in memory."""

    def __init__(self, folder: Path | None) -> None:
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(
            ":memory:" if folder is None else folder / "exports.sqlite", isolation_level=None, check_same_thread=False
        )
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=FULL")
        self._db.executescript(_SCHEMA)

    @contextmanager
    def commit(self) -> Iterator[None]:
        """All changes inside, or none."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def close(self) -> None:
        self._db.close()

    # --- files ----------------------------------------------------------------------------------------------------

    def files(self) -> list[OpenFile]:
        """The files that were open."""
        found = []
        for path, definition, generation, tenant, position, totals, used_ns in self._db.execute(
            "SELECT path, definition, generation, tenant, position, totals, used_ns FROM file ORDER BY rowid"
        ).fetchall():
            metrics = Metrics(unpack(Totals, totals))
            for failed, event in self._db.execute(
                "SELECT failed, event FROM exported WHERE path = ? ORDER BY rowid", (path,)
            ):
                (metrics.negative if failed else metrics.positive)[event] = None
            found.append(OpenFile(path, definition, generation, tenant, position, metrics, used_ns))
        return found

    def put_file(self, file: OpenFile) -> None:
        self._db.execute(
            "INSERT INTO file VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (path) DO UPDATE SET position = excluded.position, "
            "totals = excluded.totals, used_ns = excluded.used_ns",
            (
                file.path, file.definition, file.generation, file.tenant, file.position, pack(file.metrics.totals),
                file.used_ns,
            ),
        )  # fmt: skip

    def add_exported(self, path: str, events: Iterable[tuple[str, bool]]) -> None:
        """Ids of events that the file's exporter has had, and whether they have failed."""
        self._db.executemany(
            "INSERT OR IGNORE INTO exported VALUES (?, ?, ?)", [(path, failed, event) for event, failed in events]
        )
        self._db.execute(
            "DELETE FROM exported WHERE path = :path AND rowid <= "
            "(SELECT max(rowid) FROM exported WHERE path = :path) - :kept", {"path": path, "kept": 2 * MAX_IDS}
        )  # fmt: skip

    def drop_file(self, path: str) -> None:
        self._db.execute("DELETE FROM file WHERE path = ?", (path,))
        self._db.execute("DELETE FROM exported WHERE path = ?", (path,))

    def drop_exported(self, path: str) -> None:
        self._db.execute("DELETE FROM exported WHERE path = ?", (path,))

    # --- deliveries -----------------------------------------------------------------------------------------------

    def done(self) -> dict[str, Outcome]:
        rows = self._db.execute("SELECT delivery, outcome FROM done")
        return {delivery: unpack(Outcome, outcome) for delivery, outcome in rows}

    def add_done(self, delivery: str, outcome: Outcome) -> None:
        self._db.execute("INSERT OR REPLACE INTO done VALUES (?, ?)", (delivery, pack(outcome)))

    def drop_done(self, deliveries: Iterable[str]) -> None:
        self._db.executemany("DELETE FROM done WHERE delivery = ?", [(delivery,) for delivery in deliveries])

    # --- failed posts ---------------------------------------------------------------------------------------------

    def add_failed(self, folder: str, name: str, posts: str, due_ns: int, post: bytes) -> None:
        """A post for the file `name` of `folder`, which is to be written at `due_ns`; `posts`: which belong together."""
        self._db.execute(
            "INSERT INTO failed (folder, name, posts, due_ns, post) VALUES (?, ?, ?, ?, ?)",
            (folder, name, posts, due_ns, post),
        )

    def failed_files(self) -> list[tuple[str, str, str, int]]:
        """(folder, name, posts, due time) of the files that are to be written."""
        return self._db.execute(
            "SELECT folder, name, posts, max(due_ns) FROM failed GROUP BY folder, name, posts"
        ).fetchall()

    def failed_posts(self, folder: str, name: str) -> list[bytes]:
        rows = self._db.execute("SELECT post FROM failed WHERE folder = ? AND name = ? ORDER BY place", (folder, name))
        return [post for (post,) in rows]

    def drop_failed(self, folder: str, name: str) -> None:
        self._db.execute("DELETE FROM failed WHERE folder = ? AND name = ?", (folder, name))
