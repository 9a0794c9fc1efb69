"""Reference data in an engine: the generation, its changesets, and who has them (design 5).

One writer: the leader (owner of shard 0) numbers the changes and logs them. Every live worker applies whole changesets
between two operations and says so; what waits for a change to be in force everywhere waits here. A worker that is
behind is sent what it lacks, or everything when it lacks too much.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from cgr_cluster.engine import messages as m
from cgr_cluster.engine.codec import unpack
from cgr_cluster.engine.deck import FOLDED, FRESH
from cgr_cluster.engine.generation import Changes, Generation, OpenDeck, no_decks
from cgr_cluster.engine.owner import REFERENCE_SHARD

RECENT = 8  # generations held for steps of operations that began with them
CHANGESETS_KEPT = 64  # changesets a worker that was away for a moment can be brought up to date with
Mark = tuple[Generation, int]


class References:
    """`generation` is the newest; `records` are to be logged with the group of this turn."""

    def __init__(
        self, worker: int, leader: int, config: dict[str, Any], send: Callable[[m.Output], None],
        open_deck: OpenDeck = no_decks,
    ) -> None:  # fmt: skip
        self.generation = Generation(config, 0, open_deck)
        self._recent: deque[Generation] = deque(maxlen=RECENT)  # those before the newest
        self.records: list[tuple[int, str, bytes | None]] = []
        self.peers: dict[int, int] = {}  # live other worker → its generation
        self._worker = worker
        self._leader = leader
        self._send = send
        self._changesets: deque[m.Changeset] = deque(maxlen=CHANGESETS_KEPT)
        self._waiters: list[tuple[int, Callable[[], None]]] = []

    def load(self, changes: Changes, number: int) -> None:
        """Take the records of the log. An empty one is an object of the deck that was removed. Raises DeckError."""
        if changes or number:
            whole: Changes = [(kind, key, value or None) for kind, key, value in changes]
            self.generation = self.generation.apply(whole, number)

    # --- the leader ---------------------------------------------------------------------------------------------

    def change(self, changes: Changes) -> None:
        """Make the next generation and send it to every live worker."""
        number = self.generation.number + 1
        self._recent.append(self.generation)
        before, self.generation = self.generation, self.generation.apply(changes, number)
        if self.generation.deck is not before.deck:
            changes = changes + _removed_since(before, self.generation)
            self.generation = before.apply(changes, number)
        self.records += [(REFERENCE_SHARD, f"ref/{kind}/{key}", None) for kind, key in self.generation.dropped]
        for kind, key, value in changes:
            if value is None and self.generation.own(kind, key) is not None:
                value = b""  # the deck has it: what hides it must be remembered
            self.records.append((REFERENCE_SHARD, f"ref/{kind}/{key}", value))
        self.records.append((REFERENCE_SHARD, "ref/number", str(number).encode()))
        changeset = m.Changeset(number, changes)
        self._changesets.append(changeset)
        for worker in self.peers:
            self._send(m.ToWorker(worker, changeset))

    def mark(self) -> Mark:
        return self.generation, len(self.records)

    def undo(self, mark: Mark) -> None:
        """Forget what was changed since `mark`; its messages have not left and are dropped by the caller."""
        self.generation = mark[0]
        while self._recent and self._recent[-1].number >= self.generation.number:
            self._recent.pop()
        del self.records[mark[1] :]
        while self._changesets and self._changesets[-1].number > self.generation.number:
            self._changesets.pop()

    def take_records(self) -> list[tuple[int, str, bytes | None]]:
        records, self.records = self.records, []
        return records

    # --- every worker -------------------------------------------------------------------------------------------

    def receive(self, message: m.Changeset) -> None:
        """A changeset from the leader: apply it whole and say so."""
        before = self.generation
        if message.whole:
            self.generation = self.generation.emptied().apply(message.changes, message.number)
        elif message.number == self.generation.number + 1:
            self.generation = self.generation.apply(message.changes, message.number)
        if self.generation.number > before.number:
            self._recent.append(before)
        self._send(m.ToWorker(self._leader, m.ChangesetDone(self._worker, self.generation.number)))

    def seen_by(self, number: int) -> Generation | None:
        """The generation with which an operation of another worker began (invariant 12); the newest, when that one is not
        held any more. None: it has not come here yet."""
        newest = self.generation
        if number >= newest.number:
            return newest if number == newest.number else None
        return next((generation for generation in self._recent if generation.number == number), newest)

    # --- peers --------------------------------------------------------------------------------------------------

    def peer_has(self, worker: int, number: int) -> list[Callable[[], None]]:
        """Another worker is live and has reference data up to `number`. The leader sends it what it lacks.

        Answers what waited for this and may go on."""
        self.peers[worker] = number
        if self._worker == self._leader and number < self.generation.number:
            lacking = [changeset for changeset in self._changesets if changeset.number > number]
            if not lacking or lacking[0].number != number + 1:
                lacking = [m.Changeset(self.generation.number, self.generation.snapshot(), True)]
            for changeset in lacking:
                self._send(m.ToWorker(worker, changeset))
        return self._satisfied()

    def peer_gone(self, worker: int) -> list[Callable[[], None]]:
        """Another worker is not live any more: changes do not wait for it."""
        self.peers.pop(worker, None)
        return self._satisfied()

    def everywhere(self, number: int) -> bool:
        """Whether every live worker has generation `number`."""
        return all(at >= number for at in self.peers.values())

    def when_everywhere(self, number: int, then: Callable[[], None]) -> None:
        self._waiters.append((number, then))

    def _satisfied(self) -> list[Callable[[], None]]:
        ready = [then for number, then in self._waiters if self.everywhere(number)]
        if ready:
            self._waiters = [(number, then) for number, then in self._waiters if not self.everywhere(number)]
        return ready


def _removed_since(before: Generation, after: Generation) -> Changes:
    """Changes that were folded into the new deck and removed while it was made: they stay removed."""
    assert after.deck is not None
    packed = after.deck.extra(FOLDED, "")
    folded = [] if packed is None else unpack(list[tuple[str, str]], packed)
    return [
        (kind, key, None)
        for kind, key in folded
        if before.own(kind, key) is None and not (after.deck.kinds[kind].marks(key) or 0) & FRESH
    ]
