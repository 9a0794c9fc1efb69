"""The CDR store: each version once, whatever comes again, also after a kill (design 5)."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from cgr_cluster.cdrs.queries import CdrQuery, OneOf
from cgr_cluster.cdrs.seen import fingerprint, holds
from cgr_cluster.cdrs.store import CdrFiles, CdrReader, CdrWriter, Months
from cgr_cluster.engine.owner import registry_owner
from cgr_cluster.events.instant import ZERO, Instant
from tests.unit.cdrs_world import APRIL_NS, MARCH_NS, cdr, entry, removal


def test_a_record_comes_back_as_it_was(tmp_path: Path) -> None:
    record = cdr(
        setup_time=ZERO, answer_time=Instant(1772445605, 123_456_789, 3600), cost_nano=3_600 * 10**18, extra_fields={},
        extra_info="UNAUTHORIZED_DESTINATION", partial=True, pre_rated=True, cost_source="*cdrs",
    )  # fmt: skip
    CdrWriter(CdrFiles(tmp_path)).put([entry(record, MARCH_NS)])

    (row,) = CdrReader(CdrFiles(tmp_path)).query(CdrQuery())

    assert row.cdr == record
    assert (row.version, row.created_ns) == (MARCH_NS, MARCH_NS)


def test_a_batch_that_comes_again_changes_nothing(tmp_path: Path) -> None:
    writer, reader = CdrWriter(CdrFiles(tmp_path)), CdrReader(CdrFiles(tmp_path))
    batch = [entry(cdr(1), MARCH_NS), entry(cdr(2), APRIL_NS), entry(cdr(1), APRIL_NS + 1, (MARCH_NS,))]

    for _ in range(2):
        writer.put(batch)
        assert [row.version for row in reader.query(CdrQuery())] == [APRIL_NS + 1, APRIL_NS]
    assert sorted(path.name for path in tmp_path.glob("*.sqlite")) == ["cdrs-2026-03.sqlite", "cdrs-2026-04.sqlite"]


def test_removal_of_one_version_and_replacement_may_come_in_any_order(tmp_path: Path) -> None:
    new, gone = entry(cdr(1, account="1002"), APRIL_NS), removal(cdr(1), MARCH_NS)
    for number, order in enumerate(([new, gone], [gone, new])):
        files = CdrFiles(tmp_path / str(number))
        writer = CdrWriter(files)
        writer.put([entry(cdr(1), MARCH_NS)])
        for step in order:
            writer.put([step])
        assert [row.version for row in CdrReader(files).query(CdrQuery())] == [APRIL_NS]


@pytest.mark.parametrize(
    ("version", "month"),
    [(MARCH_NS, "2026-03"), (1_772_323_200 * 10**9, "2026-03"), (1_772_323_200 * 10**9 - 1, "2026-02"), (0, "1970-01")],
)
def test_months(version: int, month: str) -> None:
    months = Months()
    months.of(APRIL_NS)
    assert months.of(version) == month


def test_fingerprints_of_a_shard_hold_its_runs_only() -> None:
    files = CdrFiles(None)
    CdrWriter(files).put([entry(cdr(number), MARCH_NS + number) for number in range(50)])
    reader = CdrReader(files)
    for number in range(50):
        own = registry_owner(f"cgrid-{number}").shard
        assert holds(reader.fingerprints(own), fingerprint(f"cgrid-{number}", "*default"))
        assert not holds(reader.fingerprints((own + 1) % 256), fingerprint(f"cgrid-{number}", "*default"))


def test_writer_and_reader_open_a_new_file_at_once(tmp_path: Path) -> None:
    """SQLite refuses one of two that turn the same new file to write-ahead logging: `database is locked`, at once."""
    together = Barrier(2)

    def opened(folder: Path) -> int:
        files = CdrFiles(folder)
        together.wait(60)
        rows = files.connection("2026-03").execute("SELECT count(*) FROM cdr").fetchone()[0]
        files.close()
        return int(rows)

    with ThreadPoolExecutor(2) as threads:
        for number in range(50):
            folder = tmp_path / str(number)
            assert list(threads.map(opened, [folder, folder])) == [0, 0]


def test_an_unknown_format_is_refused(tmp_path: Path) -> None:
    files = CdrFiles(tmp_path)
    files.connection("2026-03").execute("PRAGMA user_version = 99")
    with pytest.raises(ValueError, match="format 99"):
        CdrFiles(tmp_path).connection("2026-03")


_WRITES_FOR_EVER = """
import itertools, sys
from pathlib import Path
from cgr_cluster.cdrs.store import CdrFiles, CdrWriter
from tests.unit.cdrs_world import MARCH_NS, cdr, entry
writer = CdrWriter(CdrFiles(Path(sys.argv[1])))
for batch in itertools.count():
    writer.put([entry(cdr(n), MARCH_NS + n) for n in range(batch * 50, batch * 50 + 50)])
    print(batch, flush=True)
"""


def test_what_was_acknowledged_survives_a_kill(tmp_path: Path) -> None:
    """Whole batches are there, up to the last acknowledged one at least; what comes again is not doubled."""
    root = Path(__file__).parents[2]
    writer = subprocess.Popen(
        [sys.executable, "-c", _WRITES_FOR_EVER, str(tmp_path)], stdout=subprocess.PIPE, cwd=root, text=True
    )
    assert writer.stdout is not None
    acknowledged = 0
    while acknowledged < 5:
        acknowledged = int(writer.stdout.readline())
    os.kill(writer.pid, signal.SIGKILL)
    acknowledged = max([acknowledged, *(int(line) for line in writer.stdout.read().split())])
    writer.wait()

    files = CdrFiles(tmp_path)
    found = CdrReader(files).count(())
    assert found % 50 == 0
    assert found >= (acknowledged + 1) * 50
    CdrWriter(files).put([entry(cdr(n), MARCH_NS + n) for n in range(found + 50)])
    assert CdrReader(files).count(()) == found + 50
    assert CdrReader(files).count((OneOf("cgrid", ("cgrid-0",)),)) == 1
