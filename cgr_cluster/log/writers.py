"""Who may write, and with which number next: the rules that the log applies before it writes and again when it reads.

Rules (design 6; invariant 1):
* Of each worker one incarnation may write: the one that said hello last. A younger hello, or a fence, shuts the older ones out for good.
* An incarnation numbers its groups 1, 2, 3, … A number that is already there is a repetition and is only acknowledged.
* The epoch of a worker's groups never falls.

The table is kept in the log itself, as records of the control groups (docs/log-format.md).
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from cgr_cluster.log.errors import (
    REFUSED_EPOCH,
    REFUSED_FENCED,
    REFUSED_GAP,
    REFUSED_LOST,
    RefusalError,
)
from cgr_cluster.log.format import LOG_SHARD, Header, Record

_KEY = "writer/"


class Writer(msgspec.Struct, array_like=True, gc=False):
    """One worker's place: the only incarnation that may write, its last number, the highest epoch seen of the worker."""

    incarnation: int = 0
    number: int = 0
    epoch: int = 0


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Writer).decode


class Writers:
    """The table of all workers that have ever written here."""

    def __init__(self) -> None:
        self.table: dict[int, Writer] = {}

    def last_number(self, worker: int) -> int:
        writer = self.table.get(worker)
        return writer.number if writer else 0

    def hello(self, worker: int, incarnation: int, acknowledged: int) -> bool:
        """Lets this incarnation write. True when it is a new one: the table must be durable before it is answered.

        `acknowledged` is the last number that this incarnation knows to be durable. Raises RefusalError.
        """
        writer = self.table.get(worker)
        if writer is not None and incarnation < writer.incarnation:
            raise self._fenced(worker, incarnation)
        new = writer is None or incarnation > writer.incarnation
        number = 0 if writer is None or new else writer.number
        if acknowledged > number:
            raise RefusalError(
                REFUSED_LOST,
                f"worker {worker} incarnation {incarnation}: group {acknowledged} was acknowledged, but the log ends with"
                f" {number}: acknowledged changes are lost",
            )
        if new:
            self._admit(worker, incarnation)
        return new

    def fence(self, worker: int, incarnation: int) -> bool:
        """Shuts out this incarnation of the worker and all older ones. True when that changed the table."""
        writer = self.table.get(worker)
        if writer is not None and writer.incarnation > incarnation:
            return False
        self._admit(worker, incarnation + 1)
        return True

    def check(self, header: Header) -> bool:
        """True: the group is the next one. False: it is here already. Raises RefusalError."""
        writer = self.table.get(header.worker)
        if writer is None or header.incarnation != writer.incarnation:
            raise self._fenced(header.worker, header.incarnation)
        if header.number <= writer.number:
            return False
        who = f"worker {header.worker} incarnation {header.incarnation}"
        if header.number != writer.number + 1:
            raise RefusalError(REFUSED_GAP, f"{who}: group {header.number} came after group {writer.number}")
        if header.epoch < writer.epoch:
            raise RefusalError(REFUSED_EPOCH, f"{who}: epoch {header.epoch} is below {writer.epoch}")
        return True

    def take(self, header: Header) -> None:
        """Counts a group that `check` has found to be the next one."""
        writer = self.table[header.worker]
        assert header.number == writer.number + 1 and header.epoch >= writer.epoch
        writer.number = header.number
        writer.epoch = header.epoch

    def records(self, workers: Iterable[int] | None = None) -> list[Record]:
        """The table, or some workers' rows, as records of a control group."""
        chosen = sorted(self.table if workers is None else workers)
        return [(LOG_SHARD, f"{_KEY}{worker}", _encode(self.table[worker])) for worker in chosen]

    def restore(self, records: list[Record]) -> None:
        """Takes over the rows of a control group."""
        for shard, key, value in records:
            if shard != LOG_SHARD or not key.startswith(_KEY) or value is None:
                raise ValueError(f"record {key!r} of shard {shard} in a control group")
            self.table[int(key[len(_KEY) :])] = _decode(value)

    def _admit(self, worker: int, incarnation: int) -> None:
        writer = self.table.setdefault(worker, Writer())
        writer.incarnation = incarnation
        writer.number = 0

    def _fenced(self, worker: int, incarnation: int) -> RefusalError:
        writer = self.table.get(worker)
        allowed = f"only incarnation {writer.incarnation} may write" if writer else "it has not said hello"
        return RefusalError(REFUSED_FENCED, f"worker {worker} incarnation {incarnation} is shut out: {allowed}")
