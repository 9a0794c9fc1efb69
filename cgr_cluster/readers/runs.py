"""A run of a reader: files are read piece by piece, and the place in a file is kept with the events taken from it.

Theory of operation. A reader lives at an owner of its own. `work` reads one piece of a file (outside), makes its events and
takes them: in one group the place behind the piece is kept and the tasks (*lanes*) that process its events are there. When
these have ended `work` goes on with the next piece, so a reader never has more in hand than one piece: that is its
backpressure. A worker that dies goes on behind the last piece taken. No row is lost and none is taken twice, unless the file
itself was replaced.

A file is moved behind its last row, once its events have been taken. One in error stays, and so is read again, as one of a
reader without processed_path is; its rows are then refused as duplicates.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Collection

import msgspec

from cgr_cluster.engine.domain import Operation, Part, Steps, outside, step, task
from cgr_cluster.engine.owner import Owner
from cgr_cluster.filters.live import with_live
from cgr_cluster.readers.events import events_of
from cgr_cluster.readers.files import SUFFIXES
from cgr_cluster.readers.partials import PROCESS, add_part, is_partial, partial_owner, record_id
from cgr_cluster.readers.process import process_event
from cgr_cluster.readers.settings import Reader, reader_settings
from cgr_cluster.readers.types import (
    Chunk,
    Cursor,
    FileBatch,
    FileFound,
    FileSeen,
    ReaderEvent,
    ReaderState,
    batch_key,
    seen_key,
)
from cgr_cluster.rpc.errors import ApiError

logger = logging.getLogger("cgr_cluster.readers")

ROWS_PER_LANE = 8
MAX_ROWS = 128  # of one piece
FILES_AT_ONCE = 16  # that the state of a run names
LOST_AFTER_NS = 600_000_000_000  # a run in which nothing moves for so long was given up by an unexpected error
WORK = "readers.work"
LANE = "readers.lane"


class Piece(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """What is to be done next in a run: read on in the file, or move it when it has `ended`."""

    file: str
    cursor: Cursor
    ended: bool


def reader_owner(reader_id: str) -> Owner:
    return Owner("reader", reader_id)


# --- steps at the reader's owner ----------------------------------------------------------------------------------


@step("readers.open")
def open_run(part: Part, reader_id: str, found: list[FileFound], watched: bool) -> bool:
    """Begin a run over the files. False: another one is under way."""
    state = part.read(ReaderState, reader_id) or ReaderState()
    if state.run:
        if part.now_ns - state.touched_ns < LOST_AFTER_NS:
            return False
        logger.error("run %s of reader %s is taken for lost", state.run, reader_id)
        _drop_batches(part, reader_id, state)
    wanted = [file for file in found if not (watched and _is_seen(part, reader_id, file))]
    if not wanted:
        return True
    if watched:
        forget_seen(part, reader_id, {file.name for file in found})
    state = ReaderState(part.new_uuid(), part.now_ns)
    for number, first in enumerate(range(0, len(wanted), FILES_AT_ONCE)):
        batch = FileBatch(wanted[first : first + FILES_AT_ONCE])
        part.put(FileBatch, batch_key(reader_id, state.run, number), batch)
    part.put(ReaderState, reader_id, state)
    _go_on(part, reader_id, state)
    return True


def _is_seen(part: Part, reader_id: str, file: FileFound) -> bool:
    seen = part.read(FileSeen, seen_key(reader_id, file.name))
    return seen is not None and seen.identity == file.identity


def forget_seen(part: Part, reader_id: str, still_there: Collection[str] = ()) -> None:
    """Forget the files that are not in the folder any more."""
    begin = seen_key(reader_id, "")
    for key in part.keys(FileSeen):
        if key.startswith(begin) and key.removeprefix(begin) not in still_there:
            part.delete(FileSeen, key)


def _drop_batches(part: Part, reader_id: str, state: ReaderState) -> None:
    number = state.batch
    while part.read(FileBatch, key := batch_key(reader_id, state.run, number)) is not None:
        part.delete(FileBatch, key)
        number += 1


@step("readers.next", reads=True)
def next_piece(part: Part, reader_id: str, run: str) -> Piece | None:
    state = part.read(ReaderState, reader_id)
    if state is None or state.run != run or not state.files:
        return None
    return Piece(state.files[0].name, state.cursor, state.ended)


@step("readers.take")
def take(
    part: Part, reader_id: str, run: str, events: list[ReaderEvent], place: Cursor, end: bool, lanes: int, at_ns: int
) -> None:
    """Keep the place behind a piece that was read at `at_ns` and hand its events on, dealt to `lanes` tasks. `end`: the file
    has ended well."""
    state = _of_run(part, reader_id, run)
    if state is None:
        return
    state.cursor, state.ended, state.touched_ns = place, end, at_ns
    _hand_out(part, reader_id, state, events, lanes)


@step("readers.leave")
def leave_file(
    part: Part, reader_id: str, run: str, events: list[ReaderEvent], stays: bool, lanes: int, at_ns: int
) -> None:
    """The first file is done with, and stays or has been moved; its last events are handed on."""
    state = _of_run(part, reader_id, run)
    if state is None:
        return
    file = state.files.pop(0)
    state.cursor, state.ended, state.touched_ns = Cursor(), False, at_ns
    if stays:
        part.put(FileSeen, seen_key(reader_id, file.name), FileSeen(file.identity))
    _hand_out(part, reader_id, state, events, lanes)


def _hand_out(part: Part, reader_id: str, state: ReaderState, events: list[ReaderEvent], lanes: int) -> None:
    hands = [events[first::lanes] for first in range(min(lanes, len(events)))]
    state.lanes = len(hands)
    for hand in hands:
        part.spawn(LANE, reader_id, state.run, hand)
    if not hands:
        _go_on(part, reader_id, state)


@step("readers.lane_done")
def lane_done(part: Part, reader_id: str, run: str) -> None:
    """A lane has processed its events; the last one goes on with the file."""
    state = _of_run(part, reader_id, run)
    if state is None:
        return
    state.lanes -= 1
    if state.lanes <= 0:
        _go_on(part, reader_id, state)


def _go_on(part: Part, reader_id: str, state: ReaderState) -> None:
    if not state.files:
        key = batch_key(reader_id, state.run, state.batch)
        batch = part.read(FileBatch, key)
        if batch is not None:
            part.delete(FileBatch, key)
            state.files, state.batch = list(batch.files), state.batch + 1
    if state.files:
        part.spawn(WORK, reader_id, state.run)
        return
    state.run = ""
    reader = reader_settings(part.generation).readers.get(reader_id)
    if reader is None or reader.by_request_only:
        part.delete(ReaderState, reader_id)


def _of_run(part: Part, reader_id: str, run: str) -> ReaderState | None:
    state = part.edit(ReaderState, reader_id)
    if state is None or state.run != run:
        return None
    return state


@step("readers.give_up")
def give_up(part: Part, reader_id: str, run: str) -> None:
    """The reader is not configured any more."""
    state = _of_run(part, reader_id, run)
    if state is not None:
        _drop_batches(part, reader_id, state)
        part.delete(ReaderState, reader_id)


# --- tasks --------------------------------------------------------------------------------------------------------


@task(WORK, awaited=True)
def work(op: Operation, reader_id: str, run: str) -> Steps[None]:
    """One piece of a run."""
    owner = reader_owner(reader_id)
    piece: Piece | None = yield next_piece.at(owner, reader_id, run)
    if piece is None:
        return
    settings = reader_settings(op.generation)
    reader = settings.readers.get(reader_id)
    if reader is None or reader.type not in SUFFIXES:
        logger.warning("reader %s is gone; file %s is left", reader_id, piece.file)
        yield give_up.at(owner, reader_id, run)
        return
    now_ns: int = yield outside("clock")  # an operation's own time is that of the run's beginning
    path = os.path.join(reader.source_path, piece.file)
    if piece.ended:
        yield from _moved(reader, run, piece, path, now_ns)
        return
    rows = min(ROWS_PER_LANE * settings.lanes, MAX_ROWS)
    try:
        chunk: Chunk = yield outside("ers.rows", path, reader.file, piece.cursor, rows, returns=Chunk)
    except ApiError as error:
        logger.error("reader %s, file %s: %s", reader_id, piece.file, error.text)
        yield leave_file.at(owner, reader_id, run, [], reader.watches, 1, now_ns)
        return
    events, fault = yield from with_live(
        lambda live: events_of(reader, piece.file, chunk, op.generation, now_ns, op.uid, live)
    )
    if fault:
        logger.warning("reader %s, file %s ends: %s", reader_id, piece.file, fault)
    if fault or (chunk.end and not reader.processed_path):
        yield leave_file.at(owner, reader_id, run, events, reader.watches, settings.lanes, now_ns)
    else:
        yield take.at(owner, reader_id, run, events, chunk.cursor, chunk.end, settings.lanes, now_ns)


def _moved(reader: Reader, run: str, piece: Piece, path: str, now_ns: int) -> Steps[None]:
    """Move a file that has been read."""
    stays = reader.watches and reader.processed_path == reader.source_path
    try:
        target = os.path.join(reader.processed_path, piece.file)
        yield outside("ers.move", path, target, piece.cursor.identity)
    except ApiError as error:
        logger.error("reader %s, file %s is read but cannot be moved: %s", reader.id, piece.file, error.text)
        stays = reader.watches
    yield leave_file.at(reader_owner(reader.id), reader.id, run, [], stays, 1, now_ns)


@task(LANE, awaited=True)
def lane(op: Operation, reader_id: str, run: str, events: list[ReaderEvent]) -> Steps[None]:
    """Process events one after the other, in the order of their rows."""
    for event in events:
        yield from _one(op, reader_id, event)
    yield lane_done.at(reader_owner(reader_id), reader_id, run)


@task(PROCESS, awaited=True)
def process(op: Operation, reader_id: str, event: ReaderEvent) -> Steps[None]:
    """An event that is whole."""
    settings = reader_settings(op.generation)
    reader = settings.readers.get(reader_id)
    if reader is None:
        logger.error("event of reader %s, which is gone: %s", reader_id, event.event)
        return
    yield from process_event(settings, reader, event)


def _one(op: Operation, reader_id: str, event: ReaderEvent) -> Steps[None]:
    if not is_partial(event):
        yield from process(op, reader_id, event)
        return
    cgrid = record_id(event)
    if not cgrid:
        logger.warning("reader %s: a partial record without OriginID is dropped: %s", reader_id, event.event)
        return
    try:
        whole: ReaderEvent | None = yield add_part.at(partial_owner(cgrid), reader_id, cgrid, event)
    except ApiError as error:
        logger.error("reader %s: part of record %s is dropped: %s", reader_id, cgrid, error.text)
        return
    if whole is not None:
        yield from process(op, reader_id, whole)
