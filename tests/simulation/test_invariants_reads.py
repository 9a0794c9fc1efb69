"""Invariants of what requests read (design 9): one generation (12), whole fan-outs and whole pages (18). Each is shown to fail."""

from __future__ import annotations

from itertools import chain
from typing import Any

import pytest

from cgr_cluster.engine import messages as m
from cgr_cluster.engine.engine import Engine
from cgr_cluster.engine.references import RECENT, References
from cgr_cluster.engine.remote_steps import RemoteSteps
from cgr_cluster.node.node import Node
from tests.simulation import toy
from tests.simulation.crashing import ok
from tests.simulation.test_engine import new_node, result

# --- 12: a request sees one generation ----------------------------------------------------------------------------

S = 10**9
NAMES = [f"p{n}" for n in range(6)]  # on three workers


def wages_seen(changes: int = 1) -> list[int]:
    """What a request sees at six owners, while the wage is raised after its first look."""
    node = new_node(3)
    result(node, "Toy.SetWage", {"coins": 7})
    uid = node.send("Toy.Wages", {"names": NAMES})
    node.run()
    for number in range(changes):
        result(node, "Toy.SetWage", {"coins": 8 + number})
    seen: list[int] = node.wait(uid)["result"]
    assert result(node, "Toy.Wages", {"names": NAMES}) == [7 + changes] * 6  # a later request sees the newest
    return seen


@pytest.mark.parametrize("changes", [1, RECENT])
def test_invariant_12_a_request_sees_the_generation_it_began_with_at_every_owner(changes: int) -> None:
    assert wages_seen(changes) == [7] * 6


def test_invariant_12_is_shown_to_fail_when_owners_use_their_newest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(References, "seen_by", lambda references, number: references.generation)
    assert len(set(wages_seen())) == 2


def test_a_step_that_comes_before_its_generation_waits_for_it() -> None:
    node = new_node(2)
    leader, other = (worker.engine for worker in node.workers)
    name = next(n for n in NAMES if other.locate(toy.owner(n)) in other.shards)
    place = other.locate(toy.owner(name))
    step = m.StepRequest("o1", 1, "toy.wage_at", ("purse", name), place, b"\x90", node.now_ns, 1, "", 1, 0, 1)

    def replies(engine: Engine, inputs: list[Any]) -> list[Any]:
        engine.turn(node.now_ns, inputs)
        out = engine.released(engine.number)
        return [o.message for o in out if isinstance(o, m.ToWorker) and isinstance(o.message, m.StepReply)]

    assert replies(other, [step]) == []
    leader.turn(node.now_ns, [m.Request("b1:1", "Toy.SetWage", b'{"coins":9}', "b1", None, "")])
    sent = [o.message for o in leader.released(leader.number) if isinstance(o, m.ToWorker)]
    changeset = next(message for message in sent if isinstance(message, m.Changeset))
    assert [reply.result for reply in replies(other, [changeset])] == [b"\x09"]


# --- 18: fan-outs answer whole or fail; pages are disjoint and complete --------------------------------------------

ACCOUNTS = 23


def paged(node: Node) -> list[list[str]]:
    """All accounts in pages of five."""
    pages = []
    for offset in range(0, ACCOUNTS, 5):
        found = ok(node, "APIerSv2.GetAccounts", {"Limit": 5, "Offset": offset})
        pages.append([account["ID"] for account in found])
    return pages


def with_accounts(workers: int) -> Node:
    node = Node(workers)
    for number in range(ACCOUNTS):
        ok(node, "APIerSv2.SetAccount", {"Account": f"a{number}"})
    return node


def test_invariant_18_pages_are_disjoint_and_complete_with_any_number_of_workers() -> None:
    whole = paged(with_accounts(1))
    assert sorted(chain.from_iterable(whole)) == sorted(f"cgrates.org:a{n}" for n in range(ACCOUNTS))
    assert paged(with_accounts(3)) == whole


def crashing_pages() -> list[str]:
    """What differs when a worker dies at any event of a paged query."""
    calm = with_accounts(3)
    before = calm.events
    expected = paged(calm)
    wrong = []
    for at in range(before + 1, calm.events + 1):
        node = with_accounts(3)
        node.crash_at = {at}
        try:
            found = paged(node)
        except TimeoutError as never:
            wrong.append(str(never))
            continue
        assert node.crashes == 1
        if found != expected:
            wrong.append(f"crash at event {at}: {found}")
    return wrong


def test_invariant_18_a_worker_that_dies_during_a_fan_out_is_waited_for() -> None:
    assert crashing_pages() == []


def test_invariant_18_is_shown_to_fail_when_a_dead_worker_is_not_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RemoteSteps, "send_again", lambda steps, worker: None)
    assert crashing_pages()


def test_invariant_12_changesets_that_cannot_be_applied_yet_push_no_generation_out() -> None:
    references = References(1, 0, {}, lambda output: None)
    for number in range(1, 5):
        references.receive(m.Changeset(number, []))
    for _ in range(20):
        references.receive(m.Changeset(9, []))  # those between have not come
    mark = references.mark()
    for _ in range(20):
        references.change([])
        references.undo(mark)
    seen = [references.seen_by(number) for number in range(1, 5)]
    assert [found.number for found in seen if found is not None] == [1, 2, 3, 4]
