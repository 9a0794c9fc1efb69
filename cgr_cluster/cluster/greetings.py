"""Greetings of one incarnation of a worker: whom of the others it has met (design 3, "mesh"). No socket, no clock.

Rules
* A worker that starts greets all others and wants an answer of each.
* A greeting that wants an answer gets one. When the other's present incarnation has not answered this worker yet, it is
  greeted anew, too: the first greeting may have been read by an incarnation that has died since.
* What an earlier incarnation has left in the pipes is not looked at.

Theory of operation
    Both ends may die at any time, and with them what they have read. A worker therefore waits for nobody's old promise:
    whoever starts says so to all, and that alone makes the others greet again what they still wait for. An answer wants
    none, and behind the answer of a pipe's order nobody is greeted anew, so greetings end.
"""

from __future__ import annotations

from collections.abc import Iterable


class Greetings:
    """`answered`: the others whose present incarnation knows this worker."""

    def __init__(self, others: Iterable[int]) -> None:
        self.others = frozenset(others)
        self.answered: set[int] = set()
        self._incarnations: dict[int, int] = {}

    @property
    def complete(self) -> bool:
        """Whether all others have answered."""
        return len(self.answered) == len(self.others)

    def is_old(self, worker: int, incarnation: int) -> bool:
        """Whether a later incarnation of the worker has been met."""
        return incarnation < self._incarnations.get(worker, 0)

    def met(self, worker: int, incarnation: int, wants_answer: bool) -> tuple[bool, list[bool]]:
        """A greeting, of no old incarnation, has come. Answers whether the worker has died since it was met last, and what
        to send to it in this order: a greeting that wants an answer (True) or none (False)."""
        known = self._incarnations.get(worker)
        self._incarnations[worker] = incarnation
        is_back = known is not None and known != incarnation
        if is_back:
            self.answered.discard(worker)
        if not wants_answer:
            self.answered.add(worker)
            return is_back, []
        return is_back, [False] if worker in self.answered else [False, True]
