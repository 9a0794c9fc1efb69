"""What the balancer keeps of calls, clients and workers. Plain records; the rules are in balancer.py."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Protocol

from cgr_cluster.routing import wire
from cgr_cluster.rpc.envelope import Envelope

Reply = Callable[[bytes], None]  # gets the whole answer, newline included


class Peer(Protocol):
    """What the core asks of a connection (the shell's socket, a list in tests)."""

    def pause(self) -> None:
        """Stop reading requests."""

    def resume(self) -> None: ...

    def call(self, document: bytes) -> None:
        """Send a request to the client (two-way connections only)."""


WINDOW = 64  # calls that a new client may have in flight; grows while its answers are small


class Client:
    """A connection. `name` is what workers call it when they can call it back, else empty.

    Of its calls, `in_flight` are on the way to a worker, in one or on the way back: at most `window` many, none new while
    the client does not read its answers. Those behind them wait in `backlog`."""

    __slots__ = ("backlog", "bytes_held", "in_flight", "name", "paused", "peer", "reads", "waiting", "window")

    def __init__(self, peer: Peer, name: str = "") -> None:
        self.peer = peer
        self.name = name
        self.in_flight = 0
        self.window = WINDOW
        self.backlog: deque[tuple[Envelope, Reply]] = deque()
        self.bytes_held = 0  # parameters of the calls in flight and in the backlog
        self.waiting = 0  # requests that wait for room under the limit of concurrent calls
        self.reads = True
        self.paused = False

    @property
    def idle(self) -> bool:
        """Whether nothing that the client has asked is to be answered."""
        return not self.in_flight and not self.backlog and not self.waiting

    @property
    def has_room(self) -> bool:
        """Whether one more call may be in flight."""
        return self.in_flight < self.window and self.reads


class Pending:
    """A call between its reading and its answer. `worker` is None while no worker can take it."""

    __slots__ = ("client", "deadline_ns", "hops", "id", "method", "param", "reply", "sent", "sequence", "shard",
                 "since_ns", "worker")  # fmt: skip

    def __init__(
        self,
        sequence: int,
        client: Client,
        id_raw: bytes,
        method: str,
        param: bytes,
        shard: int | None,
        deadline_ns: int | None,
        since_ns: int,
        reply: Reply,
    ) -> None:
        self.sequence = sequence
        self.client = client
        self.id = id_raw
        self.method = method
        self.param = param
        self.shard = shard
        self.deadline_ns = deadline_ns
        self.since_ns = since_ns
        self.reply = reply
        self.worker: Worker | None = None
        self.sent = False
        self.hops = 0


class Worker:
    """A worker as the balancer sees it. `link` is None while it is down; its calls are kept for its next incarnation."""

    __slots__ = ("batches", "credits", "incarnation", "last_sequence", "leaving", "link", "number", "ordered", "queue",
                 "unanswered")  # fmt: skip

    def __init__(self, number: int) -> None:
        self.number = number
        self.link: bytes | None = None
        self.incarnation = 0
        self.leaving = False
        self.credits = 0
        self.batches = 0
        self.queue: deque[Pending] = deque()  # to be sent, in order
        self.unanswered: dict[int, Pending] = {}  # all of this worker's calls by sequence, the queued ones too
        self.ordered = True  # the keys of `unanswered` grow
        self.last_sequence = 0

    @property
    def up(self) -> bool:
        return self.link is not None and not self.leaving

    def take(self, pending: Pending) -> None:
        """Queue a call here."""
        if pending.sequence < self.last_sequence and self.unanswered:
            self.ordered = False
        else:
            self.last_sequence = pending.sequence
        self.unanswered[pending.sequence] = pending
        self.queue.append(pending)
        pending.worker = self
        pending.sent = False

    def drop(self, pending: Pending) -> None:
        del self.unanswered[pending.sequence]
        if not self.unanswered:
            self.ordered = True
        if not pending.sent:
            self.queue.remove(pending)

    def acked_below(self, next_sequence: int) -> int:
        """Every call of this worker below this number has its answer."""
        if not self.unanswered:
            return next_sequence
        return next(iter(self.unanswered)) if self.ordered else min(self.unanswered)

    def welcome(self, link: bytes, incarnation: int) -> int:
        """A new incarnation: what the old one had not answered is queued again, in order. Answers how many calls."""
        again = [pending for pending in self.unanswered.values() if pending.sent]
        self.link, self.incarnation, self.leaving = link, incarnation, False
        self.credits, self.batches = wire.CREDITS, 0
        for pending in self.unanswered.values():
            pending.sent = False
        self.queue = deque(sorted(self.unanswered.values(), key=lambda pending: pending.sequence))
        return len(again)


class Telling:
    """A call to two-way clients that a worker waits for: `left` clients have not answered yet."""

    __slots__ = ("deadline_ns", "error", "left", "link", "number", "results", "single")

    def __init__(self, link: bytes, number: int, deadline_ns: int, left: int, single: bool) -> None:
        self.link = link
        self.number = number
        self.deadline_ns = deadline_ns
        self.left = left
        self.single = single
        self.results: list[bytes] = []
        self.error: bytes | None = None
