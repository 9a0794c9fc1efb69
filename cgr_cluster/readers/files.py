"""Files of the four types taken apart: an open file and a place in it give rows (spec 40 §9). Opening is the shell's
(edge/reader_files.py)."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any, BinaryIO
from xml.etree import ElementTree

import msgspec

from cgr_cluster.events.nesting import MAX_DEPTH, read_json
from cgr_cluster.readers.csv_rows import CsvError, next_row
from cgr_cluster.readers.types import Chunk, Cursor, FileOptions

SUFFIXES = {"*file_csv": ".csv", "*file_json": ".json", "*file_xml": ".xml", "*file_fwv": ".fwv"}
MAX_JSON_BYTES = 16 << 20
MAX_LINE_BYTES = 1 << 20
FREE = -1


def read_csv(file: BinaryIO, cursor: Cursor, options: FileOptions, most: int) -> Chunk:
    """Up to `most` rows. Rows before the first data row that begin with the header character name the columns."""
    file.seek(cursor.offset)
    line, length, columns = cursor.line, cursor.row_length, cursor.columns
    if cursor.offset == 0:
        length = options.row_length
    rows: list[Any] = []
    fault = ""
    end = False
    offset = cursor.offset
    while len(rows) < most:
        try:
            row = next_row(lambda: _line(file), options.separator, options.lazy_quotes)
        except (CsvError, _TooLongError) as error:
            fault = f"row {line + len(rows) + 1}: {error}"
            break
        if row is None:
            end = True
            break
        if length == 0:
            length = len(row)
        elif 0 < length != len(row):
            fault = f"row {line + len(rows) + 1}: wrong number of fields"
            break
        offset = file.tell()
        if not rows and line == 0 and options.header_char and row[0].startswith(options.header_char):
            columns = (row[0].removeprefix(options.header_char), *row[1:])
        else:
            rows.append(row)
    place = msgspec.structs.replace(cursor, offset=offset, line=line + len(rows), row_length=length, columns=columns)
    return Chunk(rows, place, line, end, fault)


class _TooLongError(ValueError):
    pass


def _line(file: BinaryIO) -> bytes:
    line = file.readline(MAX_LINE_BYTES)
    if len(line) == MAX_LINE_BYTES and not line.endswith(b"\n"):
        raise _TooLongError(f"a line of more than {MAX_LINE_BYTES} bytes")
    return line


def read_fixed_width(file: BinaryIO, cursor: Cursor, options: FileOptions, most: int) -> Chunk:
    """Up to `most` lines, all of the length of the first row."""
    file.seek(cursor.offset)
    header, trailer, length = cursor.header, cursor.trailer, cursor.row_length
    stop = os.fstat(file.fileno()).st_size
    if cursor.offset == 0:
        if options.trailer:
            trailer = _last_line(file, stop)
            file.seek(0)
        if options.header:
            header = _line(file).rstrip(b"\r\n")
    if trailer:
        stop -= len(_last_line_raw(file, stop))
        file.seek(cursor.offset)
        if cursor.offset == 0 and options.header:
            _line(file)
    rows: list[Any] = []
    fault = ""
    end = False
    offset = file.tell()
    while len(rows) < most:
        raw = _line(file) if file.tell() < stop else b""
        if not raw:
            end = True
            break
        row = raw.rstrip(b"\r\n")
        if not length:
            length = len(row)
        if len(row) != length or not row:
            fault = f"line {cursor.line + len(rows) + 1}: {len(row)} bytes, the first has {length}"
            break
        rows.append(row)
        offset = file.tell()
    place = msgspec.structs.replace(
        cursor, offset=offset, line=cursor.line + len(rows), row_length=length, header=header, trailer=trailer
    )
    return Chunk(rows, place, cursor.line, end, fault)


def _last_line(file: BinaryIO, size: int) -> bytes:
    return _last_line_raw(file, size).rstrip(b"\r\n")


def _last_line_raw(file: BinaryIO, size: int) -> bytes:
    """The last line with its end."""
    begin = max(0, size - MAX_LINE_BYTES)
    file.seek(begin)
    tail = file.read(size - begin)
    body = tail.rstrip(b"\r\n")
    return tail[body.rfind(b"\n") + 1 :]


def read_document(file: BinaryIO, cursor: Cursor) -> Chunk:
    """A JSON file: one row, its object."""
    text = file.read(MAX_JSON_BYTES + 1)
    fault = ""
    if len(text) > MAX_JSON_BYTES:
        fault = f"more than {MAX_JSON_BYTES} bytes"
    else:
        try:
            document = read_json(text)
            json.dumps(document, ensure_ascii=False, allow_nan=False).encode()  # half a character, 1e400: none
        except (ValueError, RecursionError) as error:
            fault = f"no JSON: {error}"
        else:
            if not isinstance(document, dict):
                fault = "no JSON object"
    if fault:
        return Chunk([], cursor, 0, False, fault)
    return Chunk([document], msgspec.structs.replace(cursor, offset=1, line=1), 0, True)


def xml_rows(file: BinaryIO, root: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    """The elements at the path `root` (none: the document), each as a map from the document's root on. Raises ParseError."""
    path: list[ElementTree.Element] = []
    names: list[str] = []
    for kind, element in ElementTree.iterparse(file, ("start", "end")):
        if kind == "start":
            if len(path) >= MAX_DEPTH:
                raise ValueError("nested too deeply")
            path.append(element)
            names.append(_name(element.tag))
            continue
        if names == list(root) or (not root and len(names) == 1):
            yield _wrapped(names, _value(element))
        path.pop()
        names.pop()
        if path and len(names) < len(root):  # outside the rows: what was read is not needed any more
            path[-1].remove(element)


def _name(tag: str) -> str:
    """Without namespace."""
    return tag.rpartition("}")[2]


def _wrapped(names: list[str], value: Any) -> dict[str, Any]:
    for name in reversed(names):
        value = {name: value}
    out: dict[str, Any] = value
    return out


def _value(element: ElementTree.Element) -> Any:
    """The text of an element without children, else a map; of several children of a name a list."""
    if len(element) == 0:
        return element.text or ""
    out: dict[str, Any] = {}
    for child in element:
        name, value = _name(child.tag), _value(child)
        if name not in out:
            out[name] = value
        elif isinstance(out[name], list):
            out[name].append(value)
        else:
            out[name] = [out[name], value]
    return out


def read_xml(rows: Iterator[dict[str, Any]], cursor: Cursor, most: int) -> Chunk:
    """Up to `most` elements of `rows`, which stands at the cursor."""
    found: list[Any] = []
    fault = ""
    end = False
    while len(found) < most:
        try:
            found.append(next(rows))
        except StopIteration:
            end = True
            break
        except (ElementTree.ParseError, RecursionError, ValueError) as error:
            fault = f"no XML: {error}"
            break
    place = msgspec.structs.replace(cursor, offset=cursor.offset + len(found), line=cursor.line + len(found))
    return Chunk(found, place, cursor.line, end, fault)
