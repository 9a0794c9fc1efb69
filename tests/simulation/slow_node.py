"""A node whose log is slow and whose workers take turns in a random order, from a seed (design 9).

`Node` commits each group at once. Here several groups of a worker may be on their way to the log while its later turns
already stand on them, a turn takes only some of what has come in, and any worker may be ahead of any other. What one
worker sends to another arrives in order, as over a socket; nothing else is promised.
"""

from __future__ import annotations

from collections import deque
from random import Random
from typing import Any

from cgr_cluster.engine import messages as m
from cgr_cluster.node.node import Node


class SlowNode(Node):
    def __init__(self, workers: int, seed: int, **options: Any) -> None:
        super().__init__(workers, **options)
        self.random = Random(seed)

    def _step(self) -> bool:
        possible: list[tuple[int, bool]] = []  # worker, whether it is the log's turn
        for number, worker in enumerate(self.workers):
            deadline = worker.engine.next_deadline_ns()
            if worker.inbox or worker.engine.has_work or (deadline is not None and deadline <= self.now_ns):
                possible.append((number, False))
            if worker.sealed:
                possible.append((number, True))
        if not possible:
            return False
        number, commits = self.random.choice(possible)
        if commits:
            self._commit_oldest(number)
        else:
            self._turn(number)
        return True

    def _turn(self, number: int) -> None:
        worker = self.workers[number]
        group = worker.engine.turn(self.now_ns, self._some_of(worker.inbox))
        if group is not None:
            worker.sealed.append(group)
        self._release(number)

    def _some_of(self, inbox: deque[m.Input]) -> list[m.Input]:
        """Take a part of what has come in: clients' calls and workers' messages come by links of their own."""
        calls = deque(message for message in inbox if isinstance(message, m.Request))
        others = deque(message for message in inbox if not isinstance(message, m.Request))
        taken = []
        for _ in range(self.random.randint(1, len(inbox)) if inbox else 0):
            link = self.random.choice([link for link in (calls, others) if link])
            taken.append(link.popleft())
        inbox.clear()
        inbox.extend([*others, *calls])
        return taken

    def _commit_oldest(self, number: int) -> None:
        if self._crashes_now():
            self._restart(number)
            return
        worker = self.workers[number]
        group = worker.sealed.popleft()
        for shard, key, value in group.records:
            if value is None:
                self.disk.pop((shard, key), None)
            else:
                self.disk[shard, key] = value
        worker.durable = group.number
        self._release(number)

    def _release(self, number: int) -> None:
        worker = self.workers[number]
        for output in worker.engine.released(worker.durable):
            if self._crashes_now():
                self._restart(number)
                return
            self._deliver(number, output)
