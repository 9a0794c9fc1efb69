"""What a log says after a crash: which groups exist, what is corrupt, and where writing goes on.

Theory of operation. A closed segment ends where its successor's header says, and everything before that must be whole. The newest segment ends at
its first bad group; whether that is the end of what was written or the loss of something that was synced, the headers of the
groups tell: each names the offset that was synced when it was written. The highest of them is the *proven* offset. Groups between the
proven offset and the end may or may not have been synced and acknowledged: they are the *tail*, and the next segment begins with them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from cgr_cluster.log.errors import BadGroup, CorruptionError, MissingSegmentError, RefusalError
from cgr_cluster.log.format import LOG_WORKER, decode_body
from cgr_cluster.log.segments import (
    SEGMENT_HEADER_BYTES,
    Group,
    Position,
    parse_segment_header,
    proven_behind,
    segment_name,
    walk,
)
from cgr_cluster.log.writers import Writers

ReadSegment = Callable[[int], bytes]


class SegmentEnd(NamedTuple):
    """Where the newest segment ends."""

    end: int  # offset behind its last whole group
    proven: int  # offset up to which its groups prove that it was synced
    reason: str  # why it ends there


class Recovered(NamedTuple):
    """Where the log stands: the writers as of the proven end of `segment`, and the groups behind it."""

    writers: Writers
    segment: int  # the newest one; 0 for an empty log
    end: SegmentEnd
    tail: list[Group]


def find_end(data: bytes, segment: int) -> SegmentEnd:
    """The end of the newest segment. Raises CorruptionError when something that was synced is not whole."""
    parse_segment_header(data, segment)
    proven = 0
    end = SEGMENT_HEADER_BYTES
    reason = "the segment is full"
    try:
        for group in walk(data, segment, SEGMENT_HEADER_BYTES, len(data)):
            proven = max(proven, group.header.synced)
            end = group.end
    except BadGroup as bad:
        reason = bad.reason
        if end == SEGMENT_HEADER_BYTES:  # a segment gets its name with its first group in it
            raise CorruptionError(segment_name(segment), bad.offset, f"first group: {reason}") from bad
        proven = max(proven, proven_behind(data, segment, bad.offset))
    if proven > end:
        raise CorruptionError(segment_name(segment), end, f"{reason}, but it was synced up to {proven}")
    return SegmentEnd(end, proven, reason)


def check_numbers(numbers: list[int], folded_below: int = 1) -> list[int]:
    """The segments that are not folded yet, ascending. Raises MissingSegmentError when one of them is not there.

    `folded_below` is the checkpoint's position; older files are left-overs of an interrupted removal.
    """
    wanted = [number for number in numbers if number >= folded_below]
    if not wanted and (numbers or folded_below > 1):
        raise MissingSegmentError(
            f"the checkpoint contains the log up to segment {folded_below - 1}, but segment {folded_below} is missing:"
            f" changes may be lost; restore the folder of segments"
        )
    expected = folded_below
    for number in wanted:
        if number != expected:
            raise MissingSegmentError(
                f"segment {expected} ({segment_name(expected)}) is missing, segment {number} exists: restore it"
            )
        expected = number + 1
    return wanted


def closed_groups(data: bytes, segment: int, end: int) -> Iterator[Group]:
    """All groups of a closed segment. Raises CorruptionError."""
    try:
        yield from walk(data, segment, SEGMENT_HEADER_BYTES, end)
    except BadGroup as bad:
        raise CorruptionError(
            segment_name(segment), bad.offset, f"{bad.reason}, but it was synced up to {end}"
        ) from bad


def groups_from(read: ReadSegment, numbers: list[int], until: Position | None = None) -> Iterator[Group]:
    """The groups of the segments `numbers` (ascending, without gaps, the last of them the newest) in log order.

    `until` is a place up to which the log is known to be durable; without it the newest segment's own end counts.
    Raises CorruptionError.
    """
    data = read(numbers[0]) if numbers else b""
    for segment in numbers:
        parse_segment_header(data, segment)
        following = b""
        if until is not None and until.segment == segment:
            yield from closed_groups(data, segment, until.offset)
            return
        if segment == numbers[-1]:
            end = _settled_end(read, data, segment)
        else:
            following = read(segment + 1)
            end = parse_segment_header(following, segment + 1).previous_end
        yield from closed_groups(data, segment, end)
        data = following


def replay(writers: Writers, group: Group, segment: int) -> None:
    """Counts a group in the table of writers by the rules under which it was written. Raises CorruptionError."""
    try:
        if group.header.worker == LOG_WORKER:
            before = writers.records()
            writers.restore(decode_body(group.body))
            if group.offset == SEGMENT_HEADER_BYTES and before and before != writers.records():
                raise ValueError("the segment begins with another table of writers than the one before it ended with")
        elif writers.check(group.header):
            writers.take(group.header)
        else:
            raise RefusalError(
                "REPEATED", f"group {group.header.number} of worker {group.header.worker} is there twice"
            )
    except (RefusalError, ValueError) as error:
        raise CorruptionError(segment_name(segment), group.offset, str(error)) from error


def recover(read: ReadSegment, numbers: list[int]) -> Recovered:
    """Reads the whole log. `numbers` as `check_numbers` returned them. Raises CorruptionError."""
    writers = Writers()
    if not numbers:
        return Recovered(writers, 0, SegmentEnd(0, 0, "there is no log"), [])
    newest = numbers[-1]
    data = read(newest)
    end = find_end(data, newest)
    for group in groups_from(read, numbers, Position(newest, end.proven)):
        replay(writers, group, group.header.segment)
    return Recovered(writers, newest, end, list(walk(data, newest, end.proven, end.end)))


def _settled_end(read: ReadSegment, data: bytes, segment: int) -> int:
    """The end of the newest segment, which may be written to while it is read.

    A read that overtakes a write may see a later group and not an earlier one. That is no corruption: read again, the place is whole.
    """
    while True:
        try:
            return find_end(data, segment).end
        except CorruptionError as suspicion:
            data = read(segment)
            try:
                return find_end(data, segment).end
            except CorruptionError as again:
                if again.offset == suspicion.offset:
                    raise
