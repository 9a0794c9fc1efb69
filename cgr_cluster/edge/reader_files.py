"""Files of readers: listed, read piece by piece, moved, written (spec 40 §9). The domain's side is cgr_cluster/readers."""

from __future__ import annotations

import logging
import os
import shutil
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from functools import wraps
from pathlib import Path
from typing import Any, BinaryIO, TypeVar, cast

import msgspec

from cgr_cluster.readers.files import read_csv, read_document, read_fixed_width, read_xml, xml_rows
from cgr_cluster.readers.types import Chunk, Cursor, FileFound, FileOptions
from cgr_cluster.rpc.errors import ApiError

logger = logging.getLogger("cgr_cluster.edge")

MAX_OPEN = 8  # XML files that are kept open between two pieces


Work = TypeVar("Work", bound=Callable[..., Any])


def _told(function: Work) -> Work:
    """Whatever a file or its name may cause is told to the reader: the process goes on with other files."""

    @wraps(function)
    def work(*args: Any) -> Any:
        try:
            return function(*args)
        except OSError as error:
            raise ApiError(f"{error.strerror}: {error.filename}") from None
        except Exception as error:
            raise ApiError(f"{type(error).__name__}: {error}: {args[0]}") from error

    return cast("Work", work)


@_told
def list_files(folder: str, suffix: str) -> list[FileFound]:
    """The regular files directly in a folder whose names end in `suffix`, by name. Raises ApiError."""
    with os.scandir(folder) as entries:
        files = [entry for entry in entries if entry.name.endswith(suffix) and entry.is_file()]
    found = []
    for file in files:
        if file.name.isprintable():
            found.append(FileFound(file.name, _identity(file.stat())))
        else:
            logger.warning("file %r of %s is left: its name is no text", file.name, folder)
    return sorted(found, key=lambda file: file.name)


def _identity(status: os.stat_result) -> str:
    return f"{status.st_dev}:{status.st_ino}:{status.st_size}:{status.st_mtime_ns}"


def _same_file(one: str, other: str) -> bool:
    """Whether two identities are of one file, which may have been written to in between."""
    return one.split(":")[:2] == other.split(":")[:2]


class _OpenXml:
    """XML cannot be read from the middle: parsers wait here, each at the place where the next piece begins."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: OrderedDict[tuple[str, str, int], tuple[BinaryIO, Iterator[dict[str, Any]]]] = OrderedDict()

    def take(self, path: str, cursor: Cursor, root: tuple[str, ...]) -> tuple[BinaryIO, Iterator[dict[str, Any]]]:
        """The file and its rows from the cursor on."""
        with self._lock:
            found = self._open.pop((path, cursor.identity, cursor.offset), None)
        if found is not None:
            return found
        file = open(path, "rb")  # noqa: SIM115 - stays open until its last piece
        rows = xml_rows(file, root)
        for _ in range(cursor.offset):
            if next(rows, None) is None:
                break
        return file, rows

    def keep(self, path: str, cursor: Cursor, file: BinaryIO, rows: Iterator[dict[str, Any]]) -> None:
        with self._lock:
            self._open[path, cursor.identity, cursor.offset] = file, rows
            while len(self._open) > MAX_OPEN:
                _, (old, _) = self._open.popitem(last=False)
                old.close()


_xml = _OpenXml()


@_told
def read_rows(path: str, options: FileOptions, cursor: Cursor, most: int) -> Chunk:
    """The next piece of a file. One that has been replaced since begins again. Raises ApiError."""
    identity = _identity(os.stat(path))
    if not _same_file(identity, cursor.identity):
        cursor = Cursor()
    cursor = msgspec.structs.replace(cursor, identity=identity)
    if options.kind == "*file_xml":
        return _read_xml(path, options, cursor, most)
    with open(path, "rb") as file:
        if options.kind == "*file_csv":
            return read_csv(file, cursor, options, most)
        if options.kind == "*file_fwv":
            return read_fixed_width(file, cursor, options, most)
        return read_document(file, cursor)


def _read_xml(path: str, options: FileOptions, cursor: Cursor, most: int) -> Chunk:
    file, rows = _xml.take(path, cursor, options.xml_root)
    chunk = read_xml(rows, cursor, most)
    if chunk.end or chunk.fault:
        file.close()
    else:
        _xml.keep(path, chunk.cursor, file, rows)
    return chunk


@_told
def move_file(source: str, target: str, identity: str) -> None:
    """Move the file that `identity` was read from. One that is gone has been moved before; one that has been replaced, or
    written to, since it was read stays. Raises ApiError."""
    if os.path.abspath(source) == os.path.abspath(target):
        return
    try:
        status = os.stat(source)
    except FileNotFoundError:
        return
    if _identity(status) == identity:
        shutil.move(source, target)


@_told
def dump_record(folder: str, name: str, text: str) -> None:
    """Write a record into a file of its own. Raises ApiError."""
    Path(folder, name).write_text(text)


# As `outside`, each under its name in edge/wire.py.
READER_FILES: dict[str, Callable[..., Any]] = {
    "ers.files": list_files,
    "ers.rows": read_rows,
    "ers.move": move_file,
    "ers.dump": dump_record,
}
