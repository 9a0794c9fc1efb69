"""A running operation: a handler's generator, what it waits for, and the journal that lets it be run again (design 7)."""

from __future__ import annotations

from typing import Any, NamedTuple

from cgr_cluster.engine.codec import unpack
from cgr_cluster.engine.generation import Generation
from cgr_cluster.engine.journal import Journal
from cgr_cluster.engine.messages import StepRequest
from cgr_cluster.engine.owner import Owner
from cgr_cluster.engine.part import uuid_of_request
from cgr_cluster.engine.records import Intent
from cgr_cluster.engine.shard import Shard
from cgr_cluster.rpc.errors import ApiError


class Called(NamedTuple):
    """A method that an operation has called."""

    name: str  # `method:` and the method
    owner: str  # `kind:key`
    params: bytes


class Running:
    """One operation. Handlers see it as `Operation` (docs/engine.md): uid, now_ns, connection, generation, new_uuid."""

    __slots__ = (
        "_ids", "_raises", "args", "changes", "collected", "connection", "deadline_ns", "delivering", "dirty", "ending", "generation", "generator", "home", "hops",
        "journal", "locks", "method", "missed_signals", "name", "now_ns", "origin", "outstanding", "owner", "remote",
        "reply_to", "resumed", "slots", "uid", "waiter", "waiting_since_ns",
    )  # fmt: skip

    def __init__(
        self, uid: str, origin: str, name: str, args: bytes, now_ns: int, connection: str, hops: int, home: Shard,
        generation: Generation, owner: Owner | None,
    ) -> None:  # fmt: skip
        self.uid = uid
        self.origin = origin
        self.name = name
        self.args = args
        self.now_ns = now_ns
        self.connection = connection
        self.hops = hops
        self.home = home
        self.owner = owner  # of whom a request is for
        self.generation = generation
        self.generator: Any = None
        self.method: Any = None
        self.changes = False  # its answer is kept for a redelivery
        self.reply_to = ""
        self.deadline_ns: int | None = None
        self.journal = Journal()
        self.outstanding: dict[
            int, StepRequest | Called | str
        ] = {}  # number → what was sent or called, or the name of what is waited for
        self.slots: dict[int, int] = {}  # number → place in `collected`
        self.collected: list[Any] | None = None  # results of Together and Everywhere; None: a single result is awaited
        self.locks: list[str] = []
        self.dirty = False  # has changed something that must not be lost or done twice
        self.resumed = False  # runs again: steps beyond its journal may have been done already
        self.missed_signals = False  # runs again: what it waits for may have been signalled
        self.remote: list[tuple[int, int]] = []  # (shard, number) of steps done elsewhere
        self.waiter = ""  # of a delivery: whose answer waits for it
        self.delivering: list[tuple[int, int]] = []  # (shard, number) of foreign steps that have deliveries under way
        self.ending: tuple[Any, ApiError | None] | None = None  # what it has come to, while it waits for these
        self.waiting_since_ns = now_ns
        self._ids = 0
        self._raises = False

    def tenant(self, text: str) -> str:
        return text or self.generation.default_tenant

    def new_uuid(self) -> str:
        self._ids += 1
        return uuid_of_request(self.uid, self._ids)

    def describe(self) -> str:
        """For logs: what it is and what it waits for."""
        waits = [_waited_for(sent) for sent in self.outstanding.values()]
        return f"{self.origin} {self.name} ({self.uid}) waiting for {', '.join(waits) or 'its turn'}"

    def collect(self, places: int, raises: bool) -> None:
        """Begin to collect several results; `raises`: one error is the error of all (`everywhere`)."""
        self.collected = [None] * places
        self.slots.clear()
        self._raises = raises

    def fill(self, place: int, result: Any, error: ApiError | None) -> None:
        assert self.collected is not None
        self.collected[place] = result if error is None else error

    def take_collected(self) -> tuple[Any, ApiError | None]:
        """All results, in the order of the command."""
        collected, self.collected = self.collected, None
        assert collected is not None
        if self._raises:
            for value in collected:
                if isinstance(value, ApiError):
                    return None, value
        return collected, None

    def record(self, sent: StepRequest, kind: Any, packed: bytes, error: str | None) -> tuple[Any, ApiError | None]:
        """Take the outcome of a step that was sent into the journal: its packed result (of type `kind`) or the text of its
        error. Answers it."""
        result = unpack(kind, packed) if error is None else None
        self.journal.note(sent.number, sent.step, Owner(*sent.owner), sent.args, result, error)
        return result, None if error is None else ApiError(error)

    def intent(self) -> Intent:
        return Intent(
            self.origin, self.name, self.args, self.now_ns, self.connection, self.hops, self.journal.entries(), self.waiter,
            list(self.delivering), self.journal.run, self.journal.pages,
        )  # fmt: skip


def _waited_for(sent: StepRequest | Called | str) -> str:
    if isinstance(sent, StepRequest):
        return f"{sent.step} at worker {sent.to_worker}"
    return sent.name if isinstance(sent, Called) else sent
