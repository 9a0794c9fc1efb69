"""Deliveries: tasks whose end the answer of their cause waits for (design 5, "stat queues, thresholds").

An event that a part has caused (a balance changed) goes to owners elsewhere. It must be in their hands before the answer
leaves, so that whoever has the answer and then reads there sees it. The part hands it to a task that is declared `awaited`,
which is durable with the part. The operation goes on at once: a task may run actions that need what the operation holds. When it is
done and has let go of everything, its answer waits: here for the tasks of its own parts, and at the owners of its
foreign steps, whose replies have said so, by the step `engine.delivered`. After a restart the tasks are found by their intents,
and a repeated request, whose answer is known, waits again.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

Then = Callable[[], None]


class Deliveries:
    """`waiter`: the uid of a request, or the memo key of a foreign step."""

    __slots__ = ("_held", "_open", "_waiter_of")

    def __init__(self) -> None:
        self._waiter_of: dict[str, str] = {}  # task → waiter
        self._open: dict[str, set[str]] = {}  # waiter → tasks that have not ended
        self._held: dict[str, list[Then]] = {}  # waiter → what goes on when they have

    def begun(self, task: str, waiter: str) -> None:
        self._waiter_of[task] = waiter
        self._open.setdefault(waiter, set()).add(task)

    def ended(self, task: str) -> list[Then]:
        """The task has ended (or will never run). Answers what may go on now."""
        waiter = self._waiter_of.pop(task, None)
        if waiter is None:
            return []
        tasks = self._open[waiter]
        tasks.discard(task)
        if tasks:
            return []
        del self._open[waiter]
        return self._held.pop(waiter, [])

    def under_way(self, waiter: str) -> bool:
        return bool(self._open) and waiter in self._open

    def when_made(self, waiter: str, then: Callable[..., None], *args: Any) -> None:
        """Do `then(*args)` when all deliveries of the waiter have been made: at once when it has none."""
        if self.under_way(waiter):
            self._held.setdefault(waiter, []).append(partial(then, *args))
        else:
            then(*args)
