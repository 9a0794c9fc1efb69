"""Workers greet each other while they start, die and start again (`cgr_cluster/cluster/greetings.py`)."""

from __future__ import annotations

from collections import deque
from random import Random

import pytest

from cgr_cluster.cluster.greetings import Greetings

Pipe = deque[tuple[int, bool]]  # greetings of one incarnation to one worker: incarnation, wants an answer


class Mesh:
    """Workers and the pipes between them. What a worker that dies has not read waits for its next incarnation; what it has
    sent still arrives, if it does, before or after what its next incarnation sends."""

    def __init__(self, workers: int, random: Random) -> None:
        self.random = random
        self.incarnations = [0] * workers
        self.workers: list[Greetings] = []
        self.pipes: dict[tuple[int, int, int], Pipe] = {}  # from, its incarnation, to
        self.sent = 0
        for worker in range(workers):
            self.workers.append(Greetings(other for other in range(workers) if other != worker))
        for worker in range(workers):
            self.start(worker)

    def start(self, worker: int) -> None:
        """A new incarnation."""
        self.incarnations[worker] += 1
        others = self.workers[worker].others
        self.workers[worker] = Greetings(others)
        for other in others:
            self.send(worker, other, True)

    def send(self, sender: int, to: int, wants_answer: bool) -> None:
        incarnation = self.incarnations[sender]
        self.pipes.setdefault((sender, incarnation, to), deque()).append((incarnation, wants_answer))
        self.sent += 1

    def kill(self, worker: int) -> None:
        """It takes along what it had read into its memory, and some of what it has sent."""
        for (sender, _, to), pipe in self.pipes.items():
            lost = self.random.randint(0, len(pipe))
            if to == worker:
                for _ in range(lost):
                    pipe.popleft()
            elif sender == worker:
                for _ in range(lost):
                    pipe.pop()
        self.start(worker)

    def deliver(self) -> bool:
        """One greeting of some pipe. False: there is none."""
        full = [key for key, pipe in self.pipes.items() if pipe]
        if not full:
            return False
        sender, _, to = key = self.random.choice(full)
        incarnation, wants_answer = self.pipes[key].popleft()
        if not self.workers[to].is_old(sender, incarnation):
            for wanted in self.workers[to].met(sender, incarnation, wants_answer)[1]:
                self.send(to, sender, wanted)
        return True


@pytest.mark.parametrize("workers", [2, 3, 5])
@pytest.mark.parametrize("deaths", [0, 1, 4])
def test_whoever_dies_meanwhile_all_meet_in_the_end(workers: int, deaths: int) -> None:
    for seed in range(100):
        random = Random(seed)
        mesh = Mesh(workers, random)
        for _ in range(deaths):
            for _ in range(random.randint(0, 2 * workers * workers)):
                mesh.deliver()
            mesh.kill(random.randrange(workers))
        while mesh.deliver():
            assert mesh.sent < 8 * workers * workers * (deaths + 1), "greetings that never end"
        assert [greetings.complete for greetings in mesh.workers] == [True] * workers, seed


def test_a_worker_that_starts_again_is_greeted_anew_by_those_it_has_not_answered() -> None:
    one = Greetings([0, 2])
    assert one.met(0, incarnation=10, wants_answer=True) == (False, [False, True])
    assert one.met(0, incarnation=10, wants_answer=False) == (False, [])
    assert one.met(0, incarnation=10, wants_answer=True) == (False, [False])
    assert one.met(0, incarnation=11, wants_answer=True) == (True, [False, True])
    assert one.is_old(0, 10)
    assert not one.complete
