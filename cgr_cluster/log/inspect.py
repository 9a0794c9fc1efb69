"""What an operator can do with a log at rest: look at it (`check`, `dump`) and give up what lies behind a bad place (`cut`)."""

from __future__ import annotations

import base64
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from cgr_cluster.log import checkpoint
from cgr_cluster.log.data_dir import DataDir
from cgr_cluster.log.errors import BadGroup, CorruptionError, DataDirError, LogError
from cgr_cluster.log.format import LOG_WORKER, decode_body
from cgr_cluster.log.recovery import ReadSegment, check_numbers, closed_groups, find_end, recover, replay
from cgr_cluster.log.segments import (
    SEGMENT_HEADER_BYTES,
    Group,
    SegmentHeader,
    encode_segment_header,
    parse_segment_header,
    segment_name,
    segment_numbers,
    walk,
)
from cgr_cluster.log.writers import Writer


class SegmentReport(msgspec.Struct):
    """One segment. `end`: offset behind its last whole group; `reason`: why it ends there."""

    file: str
    bytes: int
    end: int
    groups: int
    records: int
    state: str  # closed, in use, folded, corrupt
    reason: str


class Report(msgspec.Struct):
    """What `check` found. `problem` is empty for a log that can be started; else it names file and offset."""

    data_dir: str
    folded_below: int
    segments: list[SegmentReport]
    groups: int
    last_numbers: dict[int, Writer]  # worker → its incarnation, last number and epoch
    problem: str
    bad_file: str = ""
    bad_offset: int = -1


def check(data_dir: str | Path) -> Report:
    """Reads the whole log of a data directory. Changes nothing; a running log process is not disturbed. Raises DataDirError."""
    place = DataDir(data_dir)
    place.check()
    folded_below = checkpoint.position(data_dir)
    numbers = segment_numbers(os.listdir(place.segments))
    segments = [_segment_report(place, number, numbers[-1], folded_below) for number in numbers]
    report = Report(str(place.path), folded_below, segments, sum(s.groups for s in segments), {}, "")
    try:
        recovered = recover(_reader(place), check_numbers(numbers, folded_below))
        for group in recovered.tail:
            replay(recovered.writers, group, recovered.segment)
        report.last_numbers = dict(sorted(recovered.writers.table.items()))
    except CorruptionError as error:
        report.problem, report.bad_file, report.bad_offset = str(error), error.file, error.offset
    except LogError as error:
        report.problem = str(error)
    return report


def dump(data_dir: str | Path, shard: int | None = None) -> Iterator[str]:
    """The records of the log that are not folded yet, in order, one JSON object a line. Raises DataDirError, CorruptionError.

    `value` is shown as JSON when it is MessagePack, else as base64 under `value_base64`; null: deleted.
    """
    place = DataDir(data_dir)
    place.check()
    numbers = check_numbers(segment_numbers(os.listdir(place.segments)), checkpoint.position(data_dir))
    for number in numbers:
        for group in _groups(place, number, numbers[-1]):
            header = group.header
            for record_shard, key, value in decode_body(group.body):
                if shard is not None and record_shard != shard:
                    continue
                line = {
                    "segment": number,
                    "offset": group.offset,
                    "worker": header.worker,
                    "incarnation": header.incarnation,
                    "epoch": header.epoch,
                    "number": header.number,
                    "generation": header.generation,
                    "shard": record_shard,
                    "key": key,
                    **_shown(value),
                }
                yield json.dumps(line, ensure_ascii=False, default=str)


def cut(data_dir: str | Path, file: str, offset: int) -> str:
    """Gives up everything from `offset` of the segment `file` on, later segments too. Returns what it did.

    What is cut is kept beside the log, in `cut-<time>/`. The log must not be in use, and `offset` must be where a group begins or the first bad
    place that `check` names. Raises DataDirError.
    """
    place = DataDir(data_dir)
    place.check()
    lock = place.lock()
    try:
        return _cut(place, Path(file).name, offset)
    finally:
        os.close(lock)


def _cut(place: DataDir, file: str, offset: int) -> str:
    numbers = segment_numbers(os.listdir(place.segments))
    number = next((n for n in numbers if segment_name(n) == file), None)
    if number is None:
        raise DataDirError(f"{file} is not a segment of {place.path}")
    if number < checkpoint.position(place.path):
        raise DataDirError(f"{file} is in the checkpoint already; cutting it would change nothing")
    data = (place.segments / file).read_bytes()
    header = parse_segment_header(data, number)
    _check_boundary(data, number, offset)
    kept = f"cut-{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}"
    aside = place.path / kept
    aside.mkdir()
    for later in [n for n in numbers if n >= number]:
        os.rename(place.segments / segment_name(later), aside / segment_name(later))
    # A whole segment of its own: what is left has the same bytes, ends with the file, and proves nothing that is gone.
    _write_cut(place, number, header, data, offset)
    given_up = sum(1 for n in numbers if n > number)
    return f"{file} ends at offset {offset} now; {given_up} later segments given up; the old files are in {aside}"


def _check_boundary(data: bytes, number: int, offset: int) -> None:
    if offset <= SEGMENT_HEADER_BYTES:
        raise DataDirError(f"offset {offset}: the first group of a segment cannot be cut; cut the segment before it")
    places = []
    try:
        for group in walk(data, number, SEGMENT_HEADER_BYTES, len(data)):
            if group.end >= group.header.synced:  # not inside what was written before the segment got its name
                places.append(group.end)
    except BadGroup:
        pass
    if offset not in places:
        before = max((end for end in places if end < offset), default=SEGMENT_HEADER_BYTES)
        raise DataDirError(f"offset {offset} is not the end of a whole group; the last one before it is {before}")


def _write_cut(place: DataDir, number: int, header: SegmentHeader, data: bytes, offset: int) -> None:
    part = place.segments / "cut.part"
    with open(part, "wb") as out:
        out.write(encode_segment_header(header) + data[SEGMENT_HEADER_BYTES:offset])
        out.flush()
        os.fsync(out.fileno())
    os.rename(part, place.segments / segment_name(number))
    fd = os.open(place.segments, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _segment_report(place: DataDir, number: int, newest: int, folded_below: int) -> SegmentReport:
    data = (place.segments / segment_name(number)).read_bytes()
    report = SegmentReport(
        segment_name(number), len(data), SEGMENT_HEADER_BYTES, 0, 0, "closed", "the next one goes on"
    )
    try:
        parse_segment_header(data, number)
        if number == newest:
            limit, _, report.reason = find_end(data, number)
            report.state = "in use"
        else:
            limit = _end_named(place, number)
        for group in walk(data, number, SEGMENT_HEADER_BYTES, limit):
            report.end = group.end
            if group.header.worker != LOG_WORKER:
                report.groups += 1
                report.records += group.header.records
    except (BadGroup, CorruptionError) as error:
        report.state, report.reason = "corrupt", f"offset {error.offset}: {error.reason}"
    if number < folded_below:
        report.state = "folded"
    return report


def _end_named(place: DataDir, number: int) -> int:
    return parse_segment_header(_reader(place)(number + 1), number + 1).previous_end


def _groups(place: DataDir, number: int, newest: int) -> Iterator[Group]:
    data = (place.segments / segment_name(number)).read_bytes()
    end = find_end(data, number).end if number == newest else _end_named(place, number)
    return closed_groups(data, number, end)


def _reader(place: DataDir) -> ReadSegment:
    return lambda number: (place.segments / segment_name(number)).read_bytes()


def _shown(value: bytes | None) -> dict[str, Any]:
    if value is None:
        return {"value": None}
    try:
        shown = msgspec.msgpack.decode(value)
        return {"value": json.loads(msgspec.json.encode(shown))}
    except (msgspec.DecodeError, TypeError, ValueError):
        return {"value_base64": base64.b64encode(value).decode()}
