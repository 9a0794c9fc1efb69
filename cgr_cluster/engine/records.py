"""What the engine itself keeps in shards beside the domain's objects: intents, answers, step results, timers.

Each is a stored object like any other, so that export, move and recovery know nothing special (invariant 16).
"""

from __future__ import annotations

import msgspec

from cgr_cluster.engine.domain import stored


class Journaled(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """The result of step `number` of an operation: packed by the step's result type, or an API error's text (journal.py)."""

    number: int
    step: str
    result: bytes
    error: str | None = None
    owner: str = ""  # `kind:key`
    asked: bytes = b""  # digest of its arguments
    done: bool = True  # False: it was on its way


@stored("intent")
class Intent(msgspec.Struct, array_like=True, gc=False):
    """An operation that is under way (design 7). Key: operation id. After a crash it is run again from its start; steps in
    `journal` are not done again but answered from it (journal.py)."""

    origin: str  # request, task or timer
    name: str  # method, task or timer name
    args: bytes  # raw params of a request, packed arguments else
    now_ns: int
    connection: str
    hops: int
    journal: list[Journaled]
    waiter: str = ""  # of a delivery: the request (uid) or foreign step (memo key) that it is made for
    delivering: list[tuple[int, int]] = []  # (shard, number) of foreign steps that have deliveries under way
    run: int = -1  # how often it had been run again when this was logged; -1: it has not begun yet
    pages: int = 0  # of its journal, before what `journal` says: JournalPage, key `ID/0` and so on

    def draft(self) -> Intent:
        return Intent(
            self.origin, self.name, self.args, self.now_ns, self.connection, self.hops, list(self.journal), self.waiter,
            list(self.delivering), self.run, self.pages,
        )  # fmt: skip


@stored("journal")
class JournalPage(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """Results of an operation's journal, logged once instead of with each of its intents."""

    entries: list[Journaled]

    def draft(self) -> JournalPage:
        return self


@stored("done")
class Done(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """The answer of an executed request, for a redelivery. Key: uid. `answer` is result bytes, or the error's text."""

    at_ns: int
    answer: bytes
    failed: bool
    owner: str = ""  # `kind:key` of whom it concerns: it moves with an account

    def draft(self) -> Done:
        return self


@stored("memo")
class Memo(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """The first result of a step done for another worker's operation. Key: `operation id#number`."""

    at_ns: int
    result: bytes
    error: str | None = None
    owner: str = ""

    def draft(self) -> Memo:
        return self


@stored("timer")
class Timer(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A deadline. Key: the timer's key. It is deleted in the group of what it caused."""

    at_ns: int
    name: str
    args: bytes
    owner: str = ""  # `kind:key` of whoever set it: it moves with an account

    def draft(self) -> Timer:
        return self
