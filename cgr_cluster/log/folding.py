"""One fold: closed segments into the checkpoint, then their files are dropped (design 6)."""

from __future__ import annotations

import os
from typing import Final, NamedTuple

from cgr_cluster.log.checkpoint import Checkpoint, Folded, fold
from cgr_cluster.log.data_dir import DataDir
from cgr_cluster.log.recovery import check_numbers, closed_groups
from cgr_cluster.log.segments import SEGMENT_HEADER_BYTES, parse_segment_header, segment_name, segment_numbers

FOLD_BYTES: Final = 256 << 20  # of log that is held folded in memory before it is written


class FoldResult(NamedTuple):
    segments: int
    log_bytes: int
    rows: int


def closed_bytes(place: DataDir) -> int:
    """Bytes of the closed segments' files that wait to be folded."""
    numbers = segment_numbers(os.listdir(place.segments))
    return sum((place.segments / segment_name(number)).stat().st_size for number in numbers[:-1])


def fold_closed(place: DataDir, checkpoint: Checkpoint, keep_since_ns: int, fold_bytes: int = FOLD_BYTES) -> FoldResult:
    """Folds every closed segment. Short-lived records from before `keep_since_ns` are not kept.

    Raises CorruptionError, MissingSegmentError, sqlite3.Error, OSError; what was not committed stays in the segments.
    """
    numbers = check_numbers(segment_numbers(os.listdir(place.segments)), checkpoint.position())
    folded: Folded = {}
    waiting = segments = log_bytes = rows = 0
    for number in numbers[:-1]:
        data = (place.segments / segment_name(number)).read_bytes()
        parse_segment_header(data, number)
        end = _end_of(place, number)
        fold(closed_groups(data, number, end), folded)
        waiting += end
        segments += 1
        log_bytes += end
        if waiting >= fold_bytes or number == numbers[-2]:
            rows += checkpoint.write(folded, number + 1, keep_since_ns)
            drop_folded(place, number + 1)
            folded = {}
            waiting = 0
    drop_folded(place, checkpoint.position())
    return FoldResult(segments, log_bytes, rows)


def drop_folded(place: DataDir, position: int) -> None:
    """Removes the files of the segments before `position`, oldest first, so that what is left has no gaps."""
    for number in segment_numbers(os.listdir(place.segments)):
        if number < position:
            (place.segments / segment_name(number)).unlink()


def _end_of(place: DataDir, number: int) -> int:
    with open(place.segments / segment_name(number + 1), "rb") as file:
        return parse_segment_header(file.read(SEGMENT_HEADER_BYTES), number + 1).previous_end
