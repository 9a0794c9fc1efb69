"""Texts that operations hold (`exclusive`): one operation of this worker at a time, the others in the order they came."""

from __future__ import annotations

from collections import deque

from cgr_cluster.engine.operation import Running


class Locks:
    """Of one runner. `Running.locks` says what an operation holds."""

    def __init__(self) -> None:
        self._waiting: dict[str, deque[Running]] = {}  # text held by an operation → who waits for it

    def take(self, operation: Running, text: str) -> bool:
        """Whether the operation holds the text now; else it waits, and is the heir of one who lets go."""
        if text in operation.locks:
            return True
        waiting = self._waiting.get(text)
        if waiting is None:
            self._waiting[text] = deque()
            operation.locks.append(text)
            return True
        waiting.append(operation)
        return False

    def release(self, operation: Running, text: str) -> list[Running]:
        """Let go of the text ("": of all). Answers the operations that hold it now: those that have waited longest."""
        if not text:
            return [heir for held in reversed(operation.locks[:]) for heir in self.release(operation, held)]
        if text not in operation.locks:
            return []
        operation.locks.remove(text)
        waiting = self._waiting[text]
        if not waiting:
            del self._waiting[text]
            return []
        heir = waiting.popleft()
        heir.locks.append(text)
        return [heir]
