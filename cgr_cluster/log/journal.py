"""The writing side of a node's log, without sockets: takes groups, writes and syncs them together, says what is durable.

Rules
* Nothing is acknowledged before `commit` has returned for it (invariant 3).
* A write or sync that fails ends the journal: every later call raises. The process ends and recovers from the disk; no file is synced
  again after an error, because the kernel may have forgotten which pages it could not write.
* A segment gets its name after its first groups are synced in it; appending never changes a file's length.
* A start always begins a new segment (see recovery.py), so an old file is never written again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from cgr_cluster.log.disk import Disk
from cgr_cluster.log.errors import REFUSED_BAD_GROUP, BadGroup, RefusalError
from cgr_cluster.log.format import (
    HEADER_BYTES,
    LOG_WORKER,
    Header,
    Record,
    check_body,
    encode_body,
    parse_header,
    seal,
    stamp,
)
from cgr_cluster.log.recovery import Recovered, check_numbers, groups_from, recover, replay
from cgr_cluster.log.segments import (
    PART_NAME,
    READY_NAME,
    SEGMENT_HEADER_BYTES,
    Group,
    Position,
    SegmentHeader,
    encode_segment_header,
    segment_name,
    segment_numbers,
)

SEGMENT_BYTES: Final = 64 << 20
FIRST_SEGMENT_BYTES: Final = 4 << 20  # the segment of a start is filled while workers wait for it


class Journal:
    """One node's log, open for writing. Opening recovers it and begins a segment.

    `folded_below` is the checkpoint's position: the first segment it does not contain. Raises CorruptionError, MissingSegmentError,
    DiskFullError, OSError.
    """

    def __init__(
        self,
        disk: Disk,
        now_ns: Callable[[], int],
        *,
        folded_below: int = 1,
        segment_bytes: int = SEGMENT_BYTES,
        first_segment_bytes: int = FIRST_SEGMENT_BYTES,
    ) -> None:
        self._disk = disk
        self._now_ns = now_ns
        self.segment_bytes = segment_bytes
        self._pending: list[bytes | memoryview] = []
        self._pending_bytes = 0
        self._failed = False
        self._unproven = False  # something was synced that no later group names as synced
        self.groups = 0  # data groups taken since the start
        self.bytes_written = 0
        self.syncs = 0
        for name in (PART_NAME, READY_NAME):
            if name in disk.names():
                disk.remove(name)
        numbers = check_numbers(segment_numbers(disk.names()), folded_below)
        recovered = recover(self._read, numbers)
        self.recovered: Recovered = recovered
        self.writers = recovered.writers
        self._segment = recovered.segment
        self._begin(recovered.end.proven, recovered.tail, first_segment_bytes)

    @property
    def durable(self) -> Position:
        """Everything before this place is on the disk."""
        return Position(self._segment, self._synced)

    @property
    def segment_is_fresh(self) -> bool:
        """Nothing was appended to the segment in use since it was begun."""
        return self._synced == self._begun and not self._pending

    def hello(self, worker: int, incarnation: int, acknowledged: int = 0) -> int:
        """Lets this incarnation write; returns its last number. Valid for the worker after the next `commit`.

        Raises RefusalError, DiskFullError.
        """
        self._assert_usable()
        if worker == LOG_WORKER:
            raise RefusalError(REFUSED_BAD_GROUP, f"worker {worker} is the log itself")
        self._make_room(_CONTROL_BYTES)
        if self.writers.hello(worker, incarnation, acknowledged):
            self._control(self.writers.records([worker]))
        return self.writers.last_number(worker)

    def fence(self, worker: int, incarnation: int) -> None:
        """Shuts out the incarnation and all older ones of the worker. Binding after the next `commit`."""
        self._assert_usable()
        self._make_room(_CONTROL_BYTES)
        if self.writers.fence(worker, incarnation):
            self._control(self.writers.records([worker]))

    def append(self, group: bytes, writer: tuple[int, int] | None = None) -> Header:
        """Takes a group; it is durable after the next `commit`. A repeated one is not written again.

        `writer`: the (worker, incarnation) that has said hello on the connection from which the group came. Raises RefusalError; DiskFullError, after which the same group may be given again.
        """
        self._assert_usable()
        body = memoryview(group)[HEADER_BYTES:]
        try:
            header = parse_header(group)
            check_body(header, body)
        except BadGroup as bad:
            raise RefusalError(REFUSED_BAD_GROUP, f"not a group: {bad.reason}") from bad
        if writer is not None and writer != header[:2]:
            raise RefusalError(REFUSED_BAD_GROUP, f"a group of {header[:2]} from the connection of {writer}")
        if self.writers.check(header):
            self._make_room(len(group))
            self._put(stamp(group[:HEADER_BYTES], self._segment, self._synced), body)
            self.writers.take(header)
            self.groups += 1
        return header

    def commit(self) -> None:
        """Writes and syncs all that was taken. Raises OSError, after which this journal is dead."""
        self._assert_usable()
        if not self._pending:
            return
        data = b"".join(self._pending)
        self._failed = True
        self._disk.write(self._name, self._synced, data)
        self._disk.sync(self._name)
        self._failed = False
        self._synced += len(data)
        self._pending.clear()
        self._pending_bytes = 0
        self.syncs += 1
        self.bytes_written += len(data)

    def roll(self) -> int:
        """Closes the segment in use and begins another; returns the number of the closed one. Raises DiskFullError."""
        self._roll(0)
        return self._segment - 1

    @property
    def has_spare(self) -> bool:
        """A filled segment is ready: the next roll needs no room on the disk."""
        return READY_NAME in self._disk.names()

    def adopt_spare(self) -> None:
        """Takes the file `PART_NAME`, which a thread beside the journal has filled, for the next roll."""
        self._disk.rename(PART_NAME, READY_NAME)

    def prove(self) -> None:
        """Writes an empty control group behind what was synced last, so that its loss would be found. For idle times and the end."""
        self.commit()
        if self._unproven and self._size - self._synced >= _CONTROL_BYTES:
            self._control([])
            self.commit()
            self._unproven = False

    def read(self, start: int = 1) -> Iterator[Group]:
        """The durable groups from segment `start` on."""
        numbers = [number for number in segment_numbers(self._disk.names()) if number >= start]
        return groups_from(self._read, numbers, self.durable)

    def remove(self, segment: int) -> None:
        """Drops a closed segment whose records are in a checkpoint."""
        assert segment < self._segment
        self._disk.remove(segment_name(segment))

    def _read(self, segment: int) -> bytes:
        return self._disk.read(segment_name(segment))

    @property
    def _name(self) -> str:
        return segment_name(self._segment)

    def _make_room(self, group_bytes: int) -> None:
        if self._synced + self._pending_bytes + group_bytes > self._size:
            self._roll(group_bytes)

    def _roll(self, group_bytes: int) -> None:
        """A new segment with room for a group of this size. What was taken before is committed to the old one."""
        self._assert_usable()
        self.commit()
        self._begin(self._synced, [], max(self.segment_bytes, group_bytes + self._overhead()))

    def _overhead(self) -> int:
        """Bytes of a segment before its first data group."""
        return SEGMENT_HEADER_BYTES + HEADER_BYTES + len(encode_body(self.writers.records()))

    def _begin(self, previous_end: int, tail: list[Group], size: int) -> None:
        """Begins the segment after `self._segment`: header, control group with all writers, the old one's tail."""
        segment = self._segment + 1
        overhead = self._overhead()
        begun = overhead + sum(group.end - group.offset for group in tail)
        size = max(size, begun + _CONTROL_BYTES)
        if READY_NAME not in self._disk.names() or self._disk.size(READY_NAME) < size:
            self._disk.create(READY_NAME, size)
        size = self._disk.size(READY_NAME)
        header = SegmentHeader(segment, previous_end, self._now_ns())
        parts: list[bytes | memoryview] = [encode_segment_header(header)]
        control = seal(encode_body(self.writers.records()), LOG_WORKER, 0, 0, 1, 0)
        parts += (stamp(control[:HEADER_BYTES], segment, begun), control[HEADER_BYTES:])
        controls = 1
        for group in tail:
            replay(self.writers, group, self._segment)
            worker, incarnation, epoch, number, generation = group.header[:5]
            if worker == LOG_WORKER:
                number = controls = controls + 1
            original = seal(bytes(group.body), worker, incarnation, epoch, number, generation)
            parts += (stamp(original[:HEADER_BYTES], segment, begun), group.body)
        content = b"".join(parts)
        assert len(content) == begun
        self._failed = True
        self._disk.write(READY_NAME, 0, content)
        self._disk.sync(READY_NAME)
        self._disk.rename(READY_NAME, segment_name(segment))
        self._disk.sync_directory()
        self._failed = False
        if self._segment:
            self._disk.release(self._name)
        self._segment = segment
        self._size = size
        self._begun = self._synced = begun
        self._controls = controls
        self._unproven = False  # the first groups name themselves as synced

    def _control(self, records: list[Record]) -> None:
        self._controls += 1
        group = seal(encode_body(records), LOG_WORKER, 0, 0, self._controls, 0)
        assert len(group) <= _CONTROL_BYTES
        self._put(stamp(group[:HEADER_BYTES], self._segment, self._synced), memoryview(group)[HEADER_BYTES:])

    def _put(self, header: bytes, body: bytes | memoryview) -> None:
        self._pending += (header, body)
        self._pending_bytes += len(header) + len(body)
        self._unproven = True

    def _assert_usable(self) -> None:
        if self._failed:
            raise RuntimeError("the log has failed; it must be opened again")


_CONTROL_BYTES: Final = 256  # room for a control group about one worker
