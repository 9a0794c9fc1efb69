"""Named locks: GuardianSv1 on a node of one and of three workers (spec chapter 70, section 5)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cgr_cluster.guardian.locks import LockQueue, Reference
from cgr_cluster.node.node import Node
from tests.simulation.crashing import crash_everywhere, of_kind

S = 10**9


@pytest.fixture(params=[1, 3], ids=["one worker", "three workers"])
def node(request: pytest.FixtureRequest) -> Iterator[Node]:
    yield Node(request.param)


def lock(node: Node, reference: str, *lock_ids: str, timeout_ns: int = 0) -> str:
    """The uid of the call, which may wait."""
    params = {"ReferenceID": reference, "LockIDs": list(lock_ids), "Timeout": timeout_ns}
    uid = node.send("GuardianSv1.RemoteLock", params)
    node.run()
    return uid


def has_answer(node: Node, uid: str) -> bool:
    return uid in node._answers


def locked(node: Node, reference: str, *lock_ids: str, timeout_ns: int = 0) -> Any:
    return node.wait(lock(node, reference, *lock_ids, timeout_ns=timeout_ns))["result"]


def unlock(node: Node, reference: str) -> Any:
    answer = node.call("GuardianSv1.RemoteUnlock", {"RefID": reference})
    assert answer["error"] is None, answer
    return answer["result"]


def test_an_empty_reference_gets_a_name_of_its_own(node: Node) -> None:
    first, second = locked(node, "", "a"), locked(node, "", "b")
    assert len(first) == len(second) == 36
    assert first != second
    assert unlock(node, first) == ["a"]
    assert unlock(node, "") is None


def test_a_waiter_is_answered_when_it_gets_all_its_locks(node: Node) -> None:
    locked(node, "r1", "a")
    locked(node, "r2", "b")
    waiting = lock(node, "r3", "b", "a")
    assert unlock(node, "r1") == ["a"]
    assert not has_answer(node, waiting)
    assert unlock(node, "r2") == ["b"]
    assert node.wait(waiting)["result"] == "r3"
    assert unlock(node, "r3") == ["b", "a"]


def test_who_came_first_goes_first_and_none_of_its_locks_is_given_to_others(node: Node) -> None:
    locked(node, "r1", "a")
    second = lock(node, "r2", "a", "b")
    third = lock(node, "r3", "b")
    assert not has_answer(node, third)
    unlock(node, "r1")
    assert node.wait(second)["result"] == "r2"
    assert not has_answer(node, third)
    unlock(node, "r2")
    assert node.wait(third)["result"] == "r3"


def test_locks_in_opposite_orders_do_not_wait_for_each_other(node: Node) -> None:
    first, second = lock(node, "r1", "a", "b"), lock(node, "r2", "b", "a")
    assert node.wait(first)["result"] == "r1"
    unlock(node, "r1")
    assert node.wait(second)["result"] == "r2"


def test_a_reference_in_use_is_refused_at_once_also_while_it_waits(node: Node) -> None:
    locked(node, "r1", "a")
    waiting = lock(node, "r2", "a")
    assert locked(node, "r2", "free") == ""
    assert locked(node, "other", "free") == "other"
    unlock(node, "r1")
    assert node.wait(waiting)["result"] == "r2"


@pytest.mark.parametrize(("given", "freed"), [(None, None), ([], []), (["a", "a"], ["a", "a"])])
def test_locks_are_given_back_as_they_were_given(node: Node, given: Any, freed: Any) -> None:
    answer = node.call("GuardianSv1.RemoteLock", {"ReferenceID": "r", "LockIDs": given})
    assert answer["result"] == "r"
    assert locked(node, "r", "b") == ""
    assert unlock(node, "r") == freed
    assert unlock(node, "r") is None


def test_a_timeout_frees_all_locks_and_counts_from_the_call(node: Node) -> None:
    locked(node, "r1", "a", timeout_ns=2 * S)
    second = lock(node, "r2", "a", timeout_ns=3 * S)
    node.advance(2 * S)
    assert node.wait(second)["result"] == "r2"
    node.advance(S)
    assert unlock(node, "r2") is None
    assert locked(node, "r3", "a") == "r3"


def test_a_timeout_that_is_over_while_waiting_frees_the_locks_when_they_come(node: Node) -> None:
    locked(node, "r1", "a", "b")
    second = lock(node, "r2", "a", "b", timeout_ns=S)
    third = lock(node, "r3", "b")
    node.advance(5 * S)
    assert not has_answer(node, second)
    unlock(node, "r1")
    assert node.wait(second)["result"] == "r2"
    assert node.wait(third)["result"] == "r3"
    assert unlock(node, "r2") is None


def test_unlocking_a_reference_that_waits_waits_with_it(node: Node) -> None:
    locked(node, "r1", "a")
    waiting = lock(node, "r2", "a")
    freeing = node.send("GuardianSv1.RemoteUnlock", {"RefID": "r2"})
    node.run()
    assert not has_answer(node, freeing)
    unlock(node, "r1")
    assert node.wait(waiting)["result"] == "r2"
    assert node.wait(freeing)["result"] == ["a"]


def test_the_longest_timeout_there_is(node: Node) -> None:
    locked(node, "r1", "a", timeout_ns=2**63 - 1)
    node.advance(S)
    assert unlock(node, "r1") == ["a"]


def test_bounds_are_errors_that_name_them(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cgr_cluster.guardian.locks.MAX_WAITING", 1)
    monkeypatch.setattr("cgr_cluster.guardian.locks.MAX_LOCKS", 2)
    locked(node, "r1", "a")
    refused = node.wait(lock(node, "r2", "b", "a"))["error"]
    assert refused == "SERVER_ERROR: lock 'a' is wanted by 1 references already"
    assert locked(node, "r3", "b") == "r3"
    refused = node.wait(lock(node, "r4", "c", "d", "e"))["error"]
    assert refused == "SERVER_ERROR: 3 locks are too many for one reference, at most 2"


def workload(node: Node) -> list[Any]:
    """Holds, waits, hands over, times out: with a worker killed at every event of it the answers are the same."""
    answers = [locked(node, "r1", "a", "b")]
    second = lock(node, "r2", "b", "c", timeout_ns=30 * S)
    third = lock(node, "r3", "c")
    answers += [unlock(node, "r1"), node.wait(second)["result"], unlock(node, "r2"), node.wait(third)["result"]]
    answers += [unlock(node, "r3"), unlock(node, "r1"), locked(node, "r4", "a", "b")]
    heirs = [lock(node, "r5", "a"), lock(node, "r6", "b")]
    return [*answers, unlock(node, "r4"), *(node.wait(heir)["result"] for heir in heirs)]


def test_locks_and_who_waits_for_them_outlive_a_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cgr_cluster.engine.engine.MAX_READY_PER_TURN", 1)  # heirs are woken in different groups
    wrong, points = crash_everywhere(lambda node: None, workload, again_after=(None, 3))
    assert not wrong, wrong[:5]
    assert points > 10


@given(
    st.lists(st.one_of(st.tuples(st.just("lock"), st.sets(st.sampled_from("abcd"))), st.just("unlock")), max_size=25)
)
def test_no_lock_is_held_twice_and_all_who_wait_get_theirs(steps: list[Any]) -> None:
    node = Node(1)
    waiting: dict[str, str] = {}
    for number, step in enumerate(steps):
        if step == "unlock":
            held = sorted(n for n, one in of_kind(node, "guardian_reference", Reference).items() if one.held)
            if held:
                unlock(node, held[0])
        else:
            waiting[f"r{number}"] = lock(node, f"r{number}", *sorted(step[1]))
        references = of_kind(node, "guardian_reference", Reference)
        held_locks = [lock_id for one in references.values() if one.held for lock_id in one.wanted]
        assert len(held_locks) == len(set(held_locks))
        assert not references or any(one.held for one in references.values())
        for name, one in references.items():
            assert has_answer(node, waiting[name]) == one.held
    while references := of_kind(node, "guardian_reference", Reference):
        unlock(node, next(name for name, one in references.items() if one.held))
    assert not of_kind(node, "guardian_lock", LockQueue)
