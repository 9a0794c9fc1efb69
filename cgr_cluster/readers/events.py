"""Rows become events by the templates of their reader (spec 40 §9, chapter 41). Pure."""

from __future__ import annotations

import logging
from collections.abc import Callable
from hashlib import sha1
from typing import Any

from cgr_cluster.engine.domain import GenerationView
from cgr_cluster.events.values import text_of
from cgr_cluster.filters.lists import passes
from cgr_cluster.filters.paths import MISSING
from cgr_cluster.filters.view import Live
from cgr_cluster.readers.settings import Reader
from cgr_cluster.readers.types import Chunk, Cursor, ReaderEvent
from cgr_cluster.rpc.errors import ApiError
from cgr_cluster.templates.fields import evaluate
from cgr_cluster.templates.view import Branch, TemplateView

logger = logging.getLogger("cgr_cluster.readers")


class CsvRow(dict[str, Any]):
    """The columns of a row, by name where they have one and by number. A number beyond the row is not there, an unknown
    name is an error."""

    __slots__ = ("cells",)

    def __init__(self, cells: list[str], columns: tuple[str, ...]) -> None:
        super().__init__(zip(columns or map(str, range(len(cells))), cells, strict=False))
        self.cells = cells

    def get(self, name: str, default: Any = None) -> Any:
        found = super().get(name)
        if found is not None:
            return found
        if name.isdecimal():
            place = int(name)
            return self.cells[place] if place < len(self.cells) else default
        raise ApiError(f"unknown column <{name}>")


class FixedRow(dict[str, Any]):
    """A line of which `8-20` reads the bytes from 8 up to 20 (exclusive)."""

    __slots__ = ("line",)

    def __init__(self, line: bytes) -> None:
        super().__init__({"line": line.decode("utf-8", "replace")})
        self.line = line

    def get(self, name: str, default: Any = None) -> Any:
        first, dash, last = name.partition("-")
        if not dash or not first.isdecimal() or not last.isdecimal() or int(first) > int(last):
            raise ApiError(f"<{name}> are no positions of a line, such as 8-20")
        if int(last) > len(self.line):
            return default
        return self.line[int(first) : int(last)].decode("utf-8", "replace")


Row = CsvRow | FixedRow | dict[str, Any]


def _csv(row: Any, cursor: Cursor) -> Row:
    return CsvRow(row, cursor.columns)


_ROWS: dict[str, Callable[[Any, Cursor], Row]] = {
    "*file_csv": _csv,
    "*file_fwv": lambda row, cursor: FixedRow(row),
}


def events_of(
    reader: Reader, name: str, chunk: Chunk, generation: GenerationView, now_ns: int, unique: str, live: Live | None
) -> tuple[list[ReaderEvent], str]:
    """The events of a chunk of the file `name`, and why the file is to end there ("": it is not). `unique`: what makes the
    ids of its events."""
    cursor = chunk.cursor
    make = _ROWS.get(reader.type)
    given: dict[str, Any] = {}
    if reader.file.header:
        given["*hdr"] = FixedRow(cursor.header)
    if reader.file.trailer:
        given["*trl"] = FixedRow(cursor.trailer)
    events: list[ReaderEvent] = []
    for place, each in enumerate(chunk.rows):
        line = chunk.line + place + 1
        row: Row = each if make is None else make(each, cursor)
        variables = {"*fileName": name, "*readerID": reader.id, "*fileLineNumber": line}
        try:
            event = event_of(reader, row, variables, given, generation, now_ns, live)
        except ApiError as error:
            logger.warning("reader %s, file %s, row %d: %s", reader.id, name, line, error.text)
            if reader.type == "*file_xml" or reader.ignores_errors:
                continue
            return events, f"row {line}: {error.text}"
        if event is not None:
            event.id = sha1(f"{unique}:{line}".encode(), usedforsecurity=False).hexdigest()[:7]
            events.append(event)
        elif reader.type == "*file_json":
            return events, "filtered out"
    return events, chunk.fault


def event_of(
    reader: Reader, row: Row, variables: dict[str, Any], given: dict[str, Any], generation: GenerationView, now_ns: int,
    live: Live | None,
) -> ReaderEvent | None:  # fmt: skip
    """The event of a row; None for one that does not pass the filters. Raises the errors of templates."""
    branch = Branch()
    opts: dict[str, Any] = {}
    view = TemplateView(
        generation, now_ns, generation.default_tenant, row, opts, {"*cgreq": branch, "*tmp": Branch()}, variables, given,
        reader.timezone, live,
    )  # fmt: skip
    view.tenant = _tenant(reader, view) or generation.default_tenant
    if not passes(view, reader.filters):
        return None
    evaluate(reader.fields, view)
    raw = dict(row) if reader.success_ids or reader.failed_ids else None
    return ReaderEvent(view.tenant, "", dict(branch.first()), opts, raw, now_ns)


def _tenant(reader: Reader, view: TemplateView) -> str:
    """What the reader's rules say; "" also where they cannot."""
    try:
        return joined(reader.tenant, view)
    except ApiError:
        return ""


def joined(values: Any, view: TemplateView) -> str:
    """The text of compiled rules. Raises NOT_FOUND where one has no value."""
    out = ""
    for value in values:
        found = value.constant if value.constant is not None else value.read(view)
        if found is MISSING:
            raise ApiError("NOT_FOUND")
        out += text_of(found)
    return out
