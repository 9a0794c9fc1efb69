"""What the log process does with the frames of its connections, without sockets: many `take`, one `commit`, the answers.

Rules: nothing is answered before the commit that follows it; a connection that is refused gets the reason and ends; a group for which there is
no room is *held* (nothing behind it on its connection is taken) until there is.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from cgr_cluster.log import wire
from cgr_cluster.log.errors import REFUSED_PROTOCOL, DiskFullError, RefusalError
from cgr_cluster.log.journal import Journal
from cgr_cluster.log.wire import Frame, Hello


class Answer(NamedTuple):
    connection: int
    data: bytes
    last: bool  # the connection ends after it


class Service:
    """The log of one node, as its connections see it. `free_bytes` and `low_disk` are kept up to date by the shell."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.free_bytes = 0
        self.low_disk = False
        self.refusals = 0
        self._hellos: dict[int, Hello] = {}
        self._acks: dict[int, int] = {}  # connection → number to acknowledge with the next commit
        self._welcomes: list[tuple[int, int]] = []  # connection, last number
        self._answers: list[Answer] = []

    def take(self, connection: int, kind: int, payload: bytes) -> bool:
        """Handles a frame. False: held for lack of room, give it again later."""
        try:
            if kind == Frame.APPEND:
                self._append(connection, payload)
            elif kind == Frame.HELLO:
                hello = wire.read_hello(payload)
                last = self.journal.hello(*hello)
                self._hellos[connection] = hello
                self._welcomes.append((connection, last))
            elif kind == Frame.FENCE:
                self.journal.fence(*wire.read_fence(payload))
                self._answers.append(Answer(connection, wire.frame(Frame.FENCED), False))
            elif kind == Frame.ROLL:
                self._roll(connection)
            elif kind == Frame.STATS:
                self._answers.append(
                    Answer(connection, wire.frame(Frame.STATS_ARE, msgspec.json.encode(self.stats())), False)
                )
            else:
                raise RefusalError(REFUSED_PROTOCOL, f"frame of unknown type {kind}")
        except DiskFullError:
            return False
        except RefusalError as refusal:
            self.refusals += 1
            self._answers.append(Answer(connection, wire.refused(refusal.code, str(refusal)), True))
        return True

    def commit(self) -> list[Answer]:
        """Makes all that was taken durable. Returns the answers. Raises OSError: the process must end."""
        journal = self.journal
        journal.commit()
        answers = [Answer(c, wire.welcome(last, journal.durable), False) for c, last in self._welcomes]
        answers += [
            Answer(c, wire.ack(number, self.low_disk, self.free_bytes), False) for c, number in self._acks.items()
        ]
        answers += self._answers  # refusals behind what was acknowledged before them
        self._welcomes.clear()
        self._acks.clear()
        self._answers.clear()
        return answers

    def gone(self, connection: int) -> None:
        """The connection has ended. What it had sent stays taken."""
        self._hellos.pop(connection, None)

    def stats(self) -> dict[str, Any]:
        journal = self.journal
        return {
            "segment": journal.durable.segment,
            "offset": journal.durable.offset,
            "groups": journal.groups,
            "bytes": journal.bytes_written,
            "syncs": journal.syncs,
            "refusals": self.refusals,
            "connections": len(self._hellos),
            "free_bytes": self.free_bytes,
            "low_disk": self.low_disk,
            "workers": {
                str(worker): {"incarnation": writer.incarnation, "number": writer.number, "epoch": writer.epoch}
                for worker, writer in sorted(journal.writers.table.items())
            },
        }

    def _append(self, connection: int, group: bytes) -> None:
        hello = self._hellos.get(connection)
        if hello is None:
            raise RefusalError(REFUSED_PROTOCOL, "a group before hello")
        header = self.journal.append(group, (hello.worker, hello.incarnation))
        self._acks[connection] = max(header.number, self._acks.get(connection, 0))

    def _roll(self, connection: int) -> None:
        journal = self.journal
        if not journal.segment_is_fresh:
            try:
                journal.roll()
            except DiskFullError:
                pass  # the folder goes on with what is closed already; that is what makes room
        self._answers.append(Answer(connection, wire.rolled(journal.durable.segment - 1), False))
