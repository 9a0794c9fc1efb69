"""What passes between the file access and the readers' domain code, and what a reader keeps (spec 40 §9)."""

from __future__ import annotations

from typing import Any

import msgspec

from cgr_cluster.engine.domain import stored


class FileOptions(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """How files of a reader are taken apart. `kind`: the reader's type; `header`, `trailer`: whether the first and last line
    of a fixed-width file are no rows."""

    kind: str
    separator: str = ","
    row_length: int = 0  # 0: as the first row, -1: free
    header_char: str = ":"
    lazy_quotes: bool = False
    xml_root: tuple[str, ...] = ()
    header: bool = False
    trailer: bool = False


class Cursor(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """Where in a file to go on. `offset`: in bytes (XML: in elements); `line`: data rows before it; `row_length`: columns or
    bytes that a row must have, -1: any. `identity`: of the file that this place is in."""

    offset: int = 0
    line: int = 0
    row_length: int = 0
    columns: tuple[str, ...] = ()
    header: bytes = b""
    trailer: bytes = b""
    identity: str = ""


class Chunk(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """Rows of a file, the first with number `line` + 1 (of the cursor that asked). A row is a list of texts (CSV), bytes
    (fixed width) or a map (JSON, XML). `fault`: why the file ends here, before its end."""

    rows: list[Any]
    cursor: Cursor
    line: int = 0
    end: bool = False
    fault: str = ""


class FileFound(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A file of a folder. `identity` changes when another file takes its name, or when it is written to."""

    name: str
    identity: str


class ReaderEvent(msgspec.Struct, array_like=True, gc=False):
    """An event made of a row, at `at_ns`. `raw`: the row itself, for exporters of raw records."""

    tenant: str
    id: str
    event: dict[str, Any]
    opts: dict[str, Any]
    raw: dict[str, Any] | None = None
    at_ns: int = 0


@stored("reader")
class ReaderState(msgspec.Struct, array_like=True, gc=False):
    """A reader at its owner; the key is its id. While `run` (the id of a run) is set, `files` are still to be read, the first
    from `cursor` on, and then those of the FileBatch `batch` and the ones behind it. `ended`: the first has been read to its
    end and is to be moved. `lanes`: tasks that have events in hand. `touched_ns`: when something was last read."""

    run: str = ""
    touched_ns: int = 0
    files: list[FileFound] = []
    cursor: Cursor = Cursor()
    ended: bool = False
    lanes: int = 0
    batch: int = 0

    def draft(self) -> ReaderState:
        return ReaderState(self.run, self.touched_ns, list(self.files), self.cursor, self.ended, self.lanes, self.batch)


@stored("reader_files")
class FileBatch(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """Some files of a run, of which the state is logged with each piece and so names only a few. Key: `batch_key`."""

    files: list[FileFound]

    def draft(self) -> FileBatch:
        return self


def batch_key(reader_id: str, run: str, number: int) -> str:
    return f"{reader_id}\n{run}\n{number}"


@stored("reader_seen")
class FileSeen(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A file that was read and stays, of a reader that watches its folder. Key: `seen_key`."""

    identity: str

    def draft(self) -> FileSeen:
        return self


def seen_key(reader_id: str, name: str) -> str:
    return f"{reader_id}\n{name}"


@stored("partial_record")
class PartialRecord(msgspec.Struct, array_like=True, gc=False):
    """The parts of a record that have come; the key is the CGRID. `reader_id`: who has read the last one."""

    reader_id: str
    parts: list[ReaderEvent]

    def draft(self) -> PartialRecord:
        return PartialRecord(self.reader_id, list(self.parts))
