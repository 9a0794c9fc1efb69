"""A worker's end of the log connection, without a socket: bytes in, events and bytes out.

| state | what may happen |
| --- | --- |
| apart | `append` keeps groups. `connected` → greeting, with the hello to send |
| greeting | `append` keeps groups. WELCOME → joined: what the log has not is sent again, in order |
| joined | `append` returns the bytes to send. ACK frees groups |
| refused | the end: the worker must stop and reload. Every call but `disconnected` raises |

`disconnected` leads from greeting and joined back to apart. A lost connection is not a failed commit (design 6): groups stay here until they are
acknowledged, at most `max_unacknowledged_bytes` of them; beyond that `append` raises, and `has_room` says so before a turn is begun.
"""

from __future__ import annotations

from collections import deque
from enum import Enum
from typing import Final

from cgr_cluster.log import wire
from cgr_cluster.log.errors import REFUSED_GAP, REFUSED_LOST, LogError, RefusalError
from cgr_cluster.log.wire import Ack, Frame, Refused, Welcome

MAX_UNACKNOWLEDGED_BYTES: Final = 64 << 20

Event = Ack | Refused | Welcome


class BacklogError(LogError):
    """The log is so far behind that no more groups may be kept; the worker takes no new work before there is room."""


class State(Enum):
    APART = "apart"
    GREETING = "greeting"
    JOINED = "joined"
    REFUSED = "refused"


class Link:
    """The groups of one worker incarnation on their way to the log."""

    def __init__(self, worker: int, incarnation: int, max_unacknowledged_bytes: int = MAX_UNACKNOWLEDGED_BYTES) -> None:
        self.worker = worker
        self.incarnation = incarnation
        self.state = State.APART
        self.acknowledged = 0  # last durable number
        self.appended = 0  # last number given to `append`
        self.low_disk = False
        self._bound = max_unacknowledged_bytes
        self._kept: deque[bytes] = deque()  # groups from `acknowledged + 1` on
        self._kept_bytes = 0
        self._frames = wire.Frames()

    @property
    def has_room(self) -> bool:
        """Another turn's group may be kept. Ask before the turn: a turn that has run must log its group."""
        return self._kept_bytes < self._bound

    @property
    def unacknowledged(self) -> int:
        return len(self._kept)

    def connected(self) -> bytes:
        """What to send on a new connection."""
        assert self.state is State.APART
        self.state = State.GREETING
        self._frames = wire.Frames()
        return wire.hello(self.worker, self.incarnation, self.acknowledged)

    def disconnected(self) -> None:
        if self.state is not State.REFUSED:
            self.state = State.APART

    def append(self, number: int, group: bytes) -> bytes:
        """Keeps the group until it is acknowledged. Returns what to send now, if anything. Raises BacklogError."""
        assert number == self.appended + 1, f"group {number} after group {self.appended}"
        if self.state is State.REFUSED:
            raise RefusalError(REFUSED_LOST, "the log has refused this worker")
        if not self.has_room:
            raise BacklogError(f"{self._kept_bytes} bytes wait for the log; at most {self._bound} may")
        self.appended = number
        self._kept.append(group)
        self._kept_bytes += len(group)
        return wire.append(group) if self.state is State.JOINED else b""

    def receive(self, data: bytes) -> list[tuple[Event, bytes]]:
        """Events in their order, each with what to send because of it."""
        found: list[tuple[Event, bytes]] = []
        for kind, payload in self._frames.feed(data):
            event: Event
            if kind == Frame.ACK and self.state is State.JOINED:
                event = wire.read_ack(payload)
                self.low_disk = event.low_disk
                self._free(event.number)
                found.append((event, b""))
            elif kind == Frame.WELCOME and self.state is State.GREETING:
                found.append(self._welcomed(wire.read_welcome(payload)))
            elif kind == Frame.REFUSED:
                self.state = State.REFUSED
                found.append((wire.read_refused(payload), b""))
            else:
                raise LogError(f"frame of type {kind} from the log while {self.state.value}")
        return found

    def _welcomed(self, event: Welcome) -> tuple[Event, bytes]:
        if not self.acknowledged <= event.last_number <= self.appended:
            self.state = State.REFUSED
            text = f"the log ends with group {event.last_number}; {self.acknowledged} to {self.appended} are possible"
            return Refused(REFUSED_GAP, text), b""
        self.state = State.JOINED
        self._free(event.last_number)
        return event, b"".join([wire.append(group) for group in self._kept])

    def _free(self, number: int) -> None:
        assert number <= self.appended, f"acknowledgement of group {number}, which was never written"
        while self.acknowledged < number:
            self._kept_bytes -= len(self._kept.popleft())
            self.acknowledged += 1
