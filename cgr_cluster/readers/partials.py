"""Partial records: parts of an event that come in several rows are merged until the last one is there (spec 40 §9).

The parts are durable state, kept where the CGRID (of OriginID and OriginHost) hashes to: a part that was taken from a file
is not lost with the process, and a part is added once.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import cmp_to_key
from typing import Any

from cgr_cluster.engine.domain import GenerationView, Operation, Part, Steps, outside, step, task, timer
from cgr_cluster.engine.owner import Owner
from cgr_cluster.events.values import json_text, text_of
from cgr_cluster.filters.typing_rules import Typed, compare, typed
from cgr_cluster.readers.csv_rows import csv_line
from cgr_cluster.readers.events import joined
from cgr_cluster.readers.settings import DUMP_TO_FILE, DUMP_TO_JSON, POST_CDR, Reader, reader_settings
from cgr_cluster.readers.types import PartialRecord, ReaderEvent
from cgr_cluster.rpc.errors import ApiError
from cgr_cluster.rpc.owners import cgrid_of
from cgr_cluster.templates.fields import evaluate
from cgr_cluster.templates.view import Branch, TemplateView

logger = logging.getLogger("cgr_cluster.readers")

PARTIAL = "*partial"
MAX_PARTS = 1000  # of one record; the next one is refused
PROCESS = "readers.process"


def is_partial(event: ReaderEvent) -> bool:
    return PARTIAL in event.opts


def record_id(event: ReaderEvent) -> str:
    """What holds the parts of a record together. "" for an event without OriginID."""
    origin_id = text_of(event.event.get("OriginID"))
    return cgrid_of(origin_id, text_of(event.event.get("OriginHost"))) if origin_id else ""


def partial_owner(cgrid: str) -> Owner:
    return Owner("partial", cgrid)


# --- merging, pure ------------------------------------------------------------------------------------------------


def merged(reader: Reader, parts: Sequence[ReaderEvent], generation: GenerationView, now_ns: int) -> ReaderEvent:
    """All parts as one event: in the order of partialOrderField later values win; then the commit fields are set. Raises
    the errors of templates."""
    ordered = sorted(parts, key=_order(reader, generation, now_ns))
    first = ordered[0]
    event: dict[str, Any] = {}
    opts: dict[str, Any] = {}
    for part in ordered:
        event.update(part.event)
        opts.update(part.opts)
    branch = Branch()
    view = TemplateView(
        generation, now_ns, first.tenant, event, opts, {"*cgreq": branch, "*tmp": Branch()}, None, None, reader.timezone
    )
    evaluate(reader.commit_fields, view)
    return ReaderEvent(first.tenant, first.id, {**event, **branch.first()}, opts, ordered[-1].raw, now_ns)


def is_whole(event: ReaderEvent) -> bool:
    return text_of(event.opts.get(PARTIAL)) in ("", "false")


def _order(reader: Reader, generation: GenerationView, now_ns: int) -> Any:
    def key(part: ReaderEvent) -> Typed:
        view = TemplateView(generation, now_ns, part.tenant, part.event, part.opts, {}, None, None, reader.timezone)
        try:
            return typed(joined(reader.partial_order, view), now_ns, view.zone)
        except ApiError:
            return Typed("text", "")  # a part without it comes first

    def before(one: ReaderEvent, other: ReaderEvent) -> int:
        a, b = key(one), key(other)
        if a.kind == b.kind and a.kind not in ("text", "bool"):
            return compare(a, b)
        left, right = (a.kind != "text", str(a.value)), (b.kind != "text", str(b.value))
        return (left > right) - (left < right)

    return cmp_to_key(before)


def dump_text(reader: Reader, event: ReaderEvent, generation: GenerationView, now_ns: int) -> str:
    """What is written of a record that never became whole. Raises the errors of templates."""
    if reader.partial_action == DUMP_TO_JSON:
        return json_text(event.event) + "\n"
    if not reader.dump_fields:
        return csv_line([text_of(event.event[name]) for name in sorted(event.event)], reader.partial_separator)
    branch = Branch()
    view = TemplateView(
        generation, now_ns, event.tenant, event.event, event.opts, {"*exp": branch, "*cgreq": branch, "*tmp": Branch()},
        None, None, reader.timezone,
    )  # fmt: skip
    evaluate(reader.dump_fields, view)
    cells = [text for elements in branch.elements.values() for text in elements]
    return csv_line(cells, reader.partial_separator)


# --- state --------------------------------------------------------------------------------------------------------


@step("readers.add_part")
def add_part(part: Part, reader_id: str, cgrid: str, event: ReaderEvent) -> ReaderEvent | None:
    """Add a part. Answers the record that is whole by it, which is to be processed as any other event."""
    settings = reader_settings(part.generation)
    reader = settings.readers.get(reader_id)
    if reader is None:
        logger.error("partial record %s of reader %s, which is gone: %s", cgrid, reader_id, event.event)
        return None
    record = part.edit(PartialRecord, cgrid) or PartialRecord(reader_id, [])
    if len(record.parts) >= MAX_PARTS:
        logger.error("partial record %s has %d parts; refused: %s", cgrid, MAX_PARTS, event.event)
        return None
    record.reader_id = reader_id
    record.parts.append(event)
    whole = merged(reader, record.parts, part.generation, event.at_ns)
    if is_whole(whole):
        part.delete(PartialRecord, cgrid)
        part.cancel_timer(_timer(cgrid))
        return whole
    part.put(PartialRecord, cgrid, record)
    if settings.partial_ttl_ns > 0:
        part.set_timer(_timer(cgrid), event.at_ns + settings.partial_ttl_ns, "readers.partial_expired", cgrid)
    return None


def _timer(cgrid: str) -> str:
    return f"partial:{cgrid}"


@timer("readers.partial_expired")
def expired(part: Part, cgrid: str) -> None:
    """No further part has come in time."""
    record = part.read(PartialRecord, cgrid)
    if record is None:
        return
    part.delete(PartialRecord, cgrid)
    reader = reader_settings(part.generation).readers.get(record.reader_id)
    if reader is None:
        logger.error("partial record %s of reader %s, which is gone, is dropped", cgrid, record.reader_id)
        return
    try:
        event = merged(reader, record.parts, part.generation, part.now_ns)
    except ApiError as error:
        logger.error("partial record %s is dropped: %s", cgrid, error.text)
        return
    if reader.partial_action == POST_CDR:
        part.spawn(PROCESS, reader.id, event)
    elif reader.partial_action in (DUMP_TO_FILE, DUMP_TO_JSON):
        part.spawn("readers.dump", reader.id, cgrid, event)
    else:
        logger.warning("partial record %s is dropped: no last part has come in time", cgrid)


@task("readers.dump")
def dump(op: Operation, reader_id: str, cgrid: str, event: ReaderEvent) -> Steps[None]:
    """Write a record that never became whole to the folder of its reader."""
    reader = reader_settings(op.generation).readers.get(reader_id)
    try:
        if reader is None:
            raise ApiError(f"reader {reader_id} is gone")
        text = dump_text(reader, event, op.generation, op.now_ns)
        yield outside("ers.dump", reader.partial_path, f"{cgrid}.{op.now_ns // 10**9}.tmp", text)
    except ApiError as error:
        logger.error("partial record %s cannot be written (%s): %s", cgrid, error.text, json_text(event.event))
