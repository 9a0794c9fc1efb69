"""What an operation waits for that is no step: an answer from the outside, a time, a signal of this worker."""

from __future__ import annotations

import heapq
from functools import partial
from typing import TYPE_CHECKING, Any

from cgr_cluster.engine import messages as m
from cgr_cluster.engine.domain import Outside
from cgr_cluster.engine.journal import NOTHING, Outcome
from cgr_cluster.engine.operation import Running
from cgr_cluster.rpc.errors import ApiError

if TYPE_CHECKING:
    from cgr_cluster.engine.runner import Runner

SIGNAL = "signal"  # in a journal: waited for one


class Waits:
    """Who of one runner's operations waits for what."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self._engine = runner.engine
        self._running = runner.running
        self.sleepers: list[tuple[int, str, int]] = []  # heap of (time, operation, number)
        self._awaited: dict[str, list[tuple[str, int]]] = {}  # signal → operation and number of those that wait for it

    def outside(self, operation: Running, command: Outside) -> Outcome | None:
        """Ask the shell; its answer comes as `outside_result`. A crash before that asks again."""
        name = "outside:" + command.name
        journal = operation.journal
        entry = journal.find(name, "", None, False) if journal.known else None
        if entry is not None:
            return journal.recall(entry, command.returns)
        number = journal.next_number()
        operation.outstanding[number] = name
        self._engine.outputs.append(m.OutsideCall(operation.uid, number, command.name, command.args))
        return None

    def outside_result(self, message: m.OutsideResult) -> None:
        operation = self._running.get(message.op_id)
        waited = None if operation is None else operation.outstanding.get(message.number)
        if operation is None or not isinstance(waited, str):
            return
        operation.journal.note(message.number, waited, "", None, message.result, message.error)
        error = None if message.error is None else ApiError(message.error)
        self._runner.resolved(operation, message.number, message.result, error)

    def sleep(self, operation: Running, ns: int) -> Outcome | None:
        """Go on `ns` nanoseconds from the time of this turn."""
        journal = operation.journal
        entry = journal.find("sleep", "", None, False) if journal.known else None
        if entry is not None:
            return journal.recall(entry, Any)
        number = journal.next_number()
        operation.outstanding[number] = "sleep"
        heapq.heappush(self.sleepers, (self._engine.now_ns + ns, operation.uid, number))
        return None

    def wake_sleepers(self) -> None:
        while self.sleepers and self.sleepers[0][0] <= self._engine.now_ns:
            _, uid, number = heapq.heappop(self.sleepers)
            operation = self._running.get(uid)
            if operation is not None and number in operation.outstanding:
                operation.journal.note(number, "sleep", "", None, None, None)
                self._runner.resolved(operation, number, None, None)

    def await_signal(self, operation: Running, text: str) -> Outcome | None:
        """An operation that runs again may have missed its signal, so the first wait is for nothing."""
        journal = operation.journal
        entry = journal.find(SIGNAL, "", None, False) if journal.known else None
        if entry is not None:
            return journal.recall(entry, Any)
        number = journal.next_number()
        if operation.missed_signals:
            operation.missed_signals = False
            journal.note(number, SIGNAL, "", None, None, None)
            return NOTHING
        operation.outstanding[number] = f"{SIGNAL} {text}"
        self._awaited.setdefault(text, []).append((operation.uid, number))
        return None

    def signal(self, text: str) -> None:
        """What is waited for under `text` may be so now."""
        for uid, number in self._awaited.pop(text, ()):
            self._engine.ready.append(partial(self._signalled, uid, number))

    def _signalled(self, uid: str, number: int) -> None:
        operation = self._running.get(uid)
        if operation is not None and number in operation.outstanding:
            operation.journal.note(number, SIGNAL, "", None, None, None)
            self._runner.resolved(operation, number, None, None)
