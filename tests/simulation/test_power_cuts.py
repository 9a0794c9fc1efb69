"""All processes of a node die at once, at any event, and it starts again with another number of workers (design 9, invariants
4, 6, 7, 11): operations that were under way are driven on, by owners that were apart before and now share a worker (or the
other way round), and each of their steps has one effect.

Clients have lost their connections: nobody delivers their requests again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from cgr_cluster.engine.step_calls import StepCalls
from cgr_cluster.node.node import Node
from tests.simulation.crashing import Prepare, Workload, cdrs, flaws, money_nano
from tests.simulation.test_crashes import (
    GIVEN,
    automatic_debits,
    call_plan,
    cdr_twice,
    event,
    message,
    purses,
    session,
    transfers,
)

S = 10**9
UNIT = 10**9
WORKERS = (3, 1, 2, 5)  # before the cut, and after it


class PowerCutError(Exception):
    """The node has died."""


class Mains(Node):
    """A node whose processes all die at event `cut_at`: what is not in the log is gone."""

    cut_at = 0

    def _crashes_now(self) -> bool:
        self.events += 1
        if self.events == self.cut_at:
            raise PowerCutError
        return False


def until_cut(prepare: Prepare, workload: Workload, at: int) -> Mains | None:
    """The dead node; None when the workload has fewer events."""
    node = Mains(WORKERS[0])
    prepare(node)
    node.run()
    node.cut_at = node.events + at
    try:
        workload(node)
        node.run()
    except PowerCutError:
        return node
    return None


def started_again(dead: Node, workers: int) -> Node:
    node = Node(workers, start_ns=dead.now_ns + S, disk=dict(dead.disk))
    node.outside = dead.outside  # with the CDRs that the store has
    node.decks = dead.decks
    node._next_uid = dead._next_uid  # a balancer never uses a uid twice
    node.advance(5 * S)
    return node


def redial(node: Node, dead: Node) -> None:
    """The switch ends the call, if it is still there, and posts its record once more; what was done is refused."""
    if node.call("SessionSv1.GetActiveSessions", {})["result"]:
        node.call("SessionSv1.TerminateSession", {"TerminateSession": True, "Event": event(dead, Usage="75s")})
    node.call("SessionSv1.ProcessCDR", {"Event": event(dead)})


def no_redial(node: Node, dead: Node) -> None:
    pass


def paid_by_rated_cdrs(node: Node) -> bool:
    """As `paid_by_cdrs`; the record of a call that had not begun has no cost (-1)."""
    given = sum(GIVEN.values()) * UNIT
    return sum(money_nano(node).values()) + sum(max(cdr.cost_nano, 0) for cdr in cdrs(node)) == given


def eleven_units(node: Node) -> bool:
    return sum(money_nano(node).values()) == 11 * UNIT


def not_twice(node: Node) -> bool:
    """A message that was debited on one account only, or on none, has been cut before its intent was logged."""
    return sum(money_nano(node).values()) in (17 * UNIT, 16_100_000_000)


CASES: dict[str, tuple[Prepare, Workload, Callable[[Node, Node], None], Callable[[Node], bool]]] = {
    "transfers between shards": (purses, transfers, no_redial, eleven_units),
    "a session with two runs": (call_plan, session, redial, paid_by_rated_cdrs),
    "a CDR with two debited runs": (call_plan, cdr_twice, no_redial, paid_by_rated_cdrs),
    "a message": (call_plan, message, no_redial, not_twice),
    "automatic debits": (call_plan, automatic_debits, redial, paid_by_rated_cdrs),
}


def cut_everywhere(name: str) -> list[str]:
    prepare, workload, afterwards, balanced = CASES[name]
    wrong: list[str] = []
    at = 0
    while (dead := until_cut(prepare, workload, at := at + 1)) is not None:
        for workers in WORKERS[1:]:
            node = started_again(dead, workers)
            afterwards(node, dead)
            node.advance(S)
            found: list[Any] = list(flaws(node))
            if not balanced(node):
                found.append(f"money does not add up: {money_nano(node)} (invariant 7)")
            wrong += [f"cut at {at}, then {workers} workers: {text}" for text in found]
    assert at > 6  # a workload that sends nothing proves nothing
    return wrong


@pytest.mark.parametrize("name", CASES)
def test_invariants_04_06_07_and_11_a_power_cut_and_another_number_of_workers(name: str) -> None:
    assert cut_everywhere(name) == []


def test_invariant_06_is_shown_to_fail_when_results_of_earlier_runs_are_not_looked_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(StepCalls, "_first_result", lambda *step: None)
    assert any("invariant 7" in text for text in cut_everywhere("transfers between shards"))
