"""Supervisors with children that do as a test wants: `python -m tests.cluster.supervised CASE`. What they have done is printed."""

from __future__ import annotations

import os
import select
import signal
import sys
import time
from collections.abc import Callable

from workers import supervisor
from workers.children import Leash
from workers.options import NodeOptions
from workers.supervisor import Child, Supervisor, parse


def tell(text: str) -> None:
    os.write(sys.stdout.fileno(), f"{text}\n".encode())  # whole: they tell at the same time


def options() -> NodeOptions:
    found = parse([])
    os.rmdir(found.run_dir)  # none of them has a socket
    return found


def until_stopped(leash: Leash) -> None:
    select.select([leash.down], [], [])


class DueAtTheStop(Supervisor):
    """The pause of everything that has died ends when the stop begins."""

    def _stop_all(self) -> None:
        for child in self.children:
            if child.restart_at is not None:
                child.restart_at = time.monotonic()
        super()._stop_all()


def a_child_that_dies_is_told_whether_it_has_served() -> int:
    lives, lives_in = os.pipe()
    os.write(lives_in, b"123")

    def worker(node: NodeOptions, leash: Leash) -> None:
        life = int(os.read(lives, 1))
        tell(f"life {life}: restarted={node.restarted}")
        if life > 1:
            leash.ready()
        if life < 3:
            os._exit(1)
        os.kill(os.getppid(), signal.SIGTERM)
        until_stopped(leash)

    return Supervisor(options()).run([Child("worker-0", "worker", worker)])


def what_waits_for_its_next_start_is_not_started_by_the_stop() -> int:
    supervisor.RESTART_PAUSES = (1000.0,) * 6

    def balancer(node: NodeOptions, leash: Leash) -> None:
        tell("balancer")
        os._exit(1)

    def worker(node: NodeOptions, leash: Leash) -> None:
        leash.ready()
        until_stopped(leash)
        tell("worker stops")

    class StopsWhenTheBalancerIsDead(DueAtTheStop):
        def _turn(self, timeout: float) -> None:
            super()._turn(timeout)
            if self.children[0].restart_at is not None and not self._stopping:
                os.kill(os.getpid(), signal.SIGTERM)

    children = [Child("balancer", "balancer", balancer), Child("worker-0", "worker", worker)]
    return StopsWhenTheBalancerIsDead(options()).run(children)


def a_stop_that_comes_before_anything_is_started() -> int:
    early = Supervisor(options())
    os.kill(os.getpid(), signal.SIGTERM)
    os.kill(os.getpid(), signal.SIGINT)
    return early.run([Child("worker-0", "worker", lambda node, leash: tell("started"))])


CASES: dict[str, Callable[[], int]] = {
    case.__name__: case
    for case in (
        a_child_that_dies_is_told_whether_it_has_served,
        what_waits_for_its_next_start_is_not_started_by_the_stop,
        a_stop_that_comes_before_anything_is_started,
    )
}

if __name__ == "__main__":
    sys.exit(CASES[sys.argv[1]]())
