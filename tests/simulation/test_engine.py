"""The engine in a simulated node: atomic parts, exactly-once steps, output commit, recovery (design 9).

The workload runs once undisturbed to learn how many events (commits and sends) it has; then again with a worker killed at
each of them. Whatever the point, the answers are those of the undisturbed run and the memory is what the log holds.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import msgspec
import pytest

from cgr_cluster.engine import messages as m
from cgr_cluster.engine import remote_steps
from cgr_cluster.engine.codec import pack
from cgr_cluster.engine.deliveries import Deliveries
from cgr_cluster.engine.redelivery import MEMO_KEPT_NS, MEMOS_EVERY_NS
from cgr_cluster.engine.shard import Shard
from cgr_cluster.node.node import Node
from tests.simulation import toy

SHORT_LIVED = ("done/", "memo/")


def new_node(workers: int, crash_at: tuple[int, ...] = ()) -> Node:
    node = Node(workers, crash_at=crash_at, registry=toy.registry())
    node.outside["toy.double"] = lambda coins: coins * 2
    return node


def result(node: Node, method: str, params: Any) -> Any:
    answer = node.call(method, params)
    assert answer["error"] is None, answer
    return answer["result"]


def logged(node: Node) -> dict[tuple[int, str], bytes]:
    return {k: v for k, v in node.disk.items() if k[0] < 256 and not k[1].startswith(SHORT_LIVED)}


def remembered(node: Node) -> dict[tuple[int, str], bytes]:
    return {k: v for k, v in node.memory().items() if not k[1].startswith(SHORT_LIVED)}


def workload(node: Node) -> list[Any]:
    """Every command of the engine, on purses that lie on different workers."""
    names = [f"p{n}" for n in range(6)]
    out: list[Any] = [result(node, "Toy.Give", {"purse": name, "coins": 100}) for name in names]
    out.append(result(node, "Toy.SetWage", {"coins": 7}))
    out.append(result(node, "Toy.GetWage", {}))
    out += [result(node, "Toy.Transfer", {"purse": a, "to": b, "coins": 30}) for a, b in pairwise(names)]
    out.append(node.call("Toy.Transfer", {"purse": "p0", "to": "p3", "coins": 1000})["error"])
    out.append(node.call("Toy.Transfer", {"purse": "p0", "to": "p3", "coins": 5, "refuse": True})["error"])
    out.append(result(node, "Toy.Share", {"purse": "p5", "to": names[:5], "coins": 50}))
    out.append(result(node, "Toy.Pay", {"names": names}))
    out.append(result(node, "Toy.Ask", {"purse": "p2", "coins": 4}))
    out += [result(node, "Toy.Order", {"purse": name, "wage": 9}) for name in ("p3", "p4")]
    out.append(result(node, "Toy.GetWage", {}))
    out.append(result(node, "Toy.Court", {"purse": "p0", "to": names[1:]}))
    out.append(result(node, "Toy.Celebrate", {"purse": "p0", "to": names[1:]}))
    out.append(result(node, "Toy.CelebrateAt", {"purse": "p4", "to": [*names[:4], names[5]]}))
    out.append(result(node, "Toy.Deposit", {"purse": "p1"}))
    node.advance(10 * 10**9)
    out.append({name: result(node, "Toy.Get", {"purse": name}) for name in (*names, "bank")})
    out.append(result(node, "Toy.Total", {}))
    return out


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_answers_do_not_depend_on_the_number_of_workers(workers: int) -> None:
    expected = workload(new_node(1))
    assert (
        expected[-1] == 6 * 100 + 6 * 7 + 8 + 2 * 3 + 2 * 6
    )  # given, paid, asked, ordered, gifts; a transfer or interest makes nothing
    assert workload(new_node(workers)) == expected


def crashing_everywhere(workers: int) -> list[str]:
    """Kill a worker at each event of the workload in turn; what differed from the undisturbed run."""
    calm = new_node(workers)
    expected = workload(calm)
    wrong = []
    for at in range(1, calm.events + 1):
        node = new_node(workers, (at,))
        try:
            if workload(node) != expected:
                wrong.append(f"crash at event {at}: other answers")
        except (AssertionError, TimeoutError) as error:
            wrong.append(f"crash at event {at}: {error!r}")
            continue
        if remembered(node) != logged(node):
            wrong.append(f"crash at event {at}: memory is not what the log holds")
        if any(key.startswith("intent/") for _, key in node.disk):
            wrong.append(f"crash at event {at}: an intent is left")
        assert node.crashes == 1
    return wrong


@pytest.mark.parametrize("workers", [1, 3])
def test_invariant_03_and_06_a_crash_at_every_commit_and_send_changes_no_answer(workers: int) -> None:
    assert crashing_everywhere(workers) == []


def test_invariant_06_is_shown_to_fail_without_step_results(monkeypatch: pytest.MonkeyPatch) -> None:
    """Owners that forget the first result of a step do it again."""
    monkeypatch.setattr(remote_steps, "Memo", lambda at_ns, result, error, owner: None)
    assert crashing_everywhere(3)


def test_invariant_06_is_shown_to_fail_when_answers_of_called_methods_are_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without its record an executed method is executed again for the operation that called it."""
    from cgr_cluster.engine.engine import Engine

    put: Callable[..., None] = Engine.put_done

    def forget_calls(engine: Engine, home: Shard, uid: str, *answer: Any) -> None:
        if "?" not in uid:
            put(engine, home, uid, *answer)

    monkeypatch.setattr(Engine, "put_done", forget_calls)
    assert crashing_everywhere(3)


@pytest.mark.parametrize("workers", [1, 3])
def test_methods_that_call_each_other_without_an_end_are_stopped(workers: int) -> None:
    assert new_node(workers).call("Toy.Loop", {"purse": "p1"})["error"] == "SERVER_ERROR: too many hops"


def test_invariant_03_is_shown_to_fail_when_outputs_do_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """Answers that leave before their group is durable are lost effects after a crash."""
    from cgr_cluster.engine.engine import Engine

    held: Callable[[Engine, int], Any] = Engine.released

    def commit_after_send(node: Node, number: int) -> None:
        worker = node.workers[number]
        for output in held(worker.engine, worker.engine.number):
            node._deliver(number, output)
        commit(node, number)

    commit = Node._commit
    monkeypatch.setattr(Node, "_commit", commit_after_send)
    assert crashing_everywhere(3)


def test_invariant_04_memory_is_what_the_log_folds_to_after_every_call() -> None:
    node = new_node(3)
    for coins in range(20):
        node.call("Toy.Give", {"purse": f"p{coins % 5}", "coins": coins})
        node.call("Toy.Transfer", {"purse": f"p{coins % 5}", "to": f"p{coins % 3}", "coins": coins})
        assert remembered(node) == logged(node)


def test_invariant_16_a_shard_is_what_its_export_loads_to() -> None:
    node = new_node(1)
    workload(node)
    for shard in node.workers[0].engine.shards.values():
        copy = type(shard)(shard.number)
        copy.load(shard.export())
        assert copy.export() == shard.export()


def test_invariant_16_is_shown_to_fail_when_an_export_forgets_a_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    export = Shard.export
    monkeypatch.setattr(Shard, "export", lambda shard: [r for r in export(shard) if not r[0].startswith("timer/")])
    node = new_node(1)
    result(node, "Toy.Deposit", {"purse": "p1"})
    shards = node.workers[0].engine.shards.values()
    lost = []
    for shard in shards:
        copy = type(shard)(shard.number)
        copy.load(shard.export())
        lost += sorted(set(export(shard)) - set(export(copy)))
    assert [name for name, _ in lost] == ["timer/interest/p1"]


def test_forgotten_step_results_do_not_come_back_after_a_restart() -> None:
    """But for those that were forgotten after the last group."""
    node = new_node(3)
    for number in range(40):
        result(node, "Toy.Give", {"purse": f"p{number % 6}", "coins": 10})
        result(node, "Toy.Transfer", {"purse": f"p{number % 6}", "to": f"p{(number + 1) % 6}", "coins": 1})
    for number in range(6):  # at every worker
        result(node, "Toy.Give", {"purse": f"p{number}", "coins": 1})
    assert not [key for _, key in node.memory() if key.startswith("memo/")]
    assert not [key for _, key in node.disk if key.startswith("memo/")]
    assert all(len(worker.engine.kept._memos) == 0 for worker in node.workers)


def test_step_results_that_nobody_forgets_go_in_time() -> None:
    node = new_node(2)
    message = m.StepRequest(
        "o1", 1, "toy.give", ("purse", "p1"), toy.owner("p1").shard, pack(["p1", 1]), node.now_ns, 0, "", 1, 0, 0
    )
    holder = node.shard_map[toy.owner("p1").shard]
    node.workers[holder].inbox.append(message)
    node.run()
    assert [key for _, key in node.memory() if key.startswith("memo/")] == ["memo/o1#1"]
    node.kill(holder)
    for passes, left in ((MEMO_KEPT_NS - 10**9, 1), (MEMOS_EVERY_NS + 2 * 10**9, 0)):
        node.advance(passes)
        result(node, "Toy.Give", {"purse": "p1", "coins": 1})
        assert len([key for _, key in node.memory() if key.startswith("memo/")]) == left


def test_an_unexpected_error_drops_the_whole_request_and_the_next_one_works() -> None:
    node = new_node(3)
    result(node, "Toy.Give", {"purse": "p1", "coins": 5})
    assert "internal error" in node.call("Toy.Break", {"purse": "p1"})["error"]
    assert result(node, "Toy.Get", {"purse": "p1"}) == 5
    assert remembered(node) == logged(node)


def test_a_redelivered_request_is_executed_once() -> None:
    node = new_node(1)
    uid = node.send("Toy.Give", {"purse": "p1", "coins": 5})
    worker, request = node._pending[uid]
    node.run()
    node._pending[uid] = worker, request
    node.workers[worker].inbox.append(request)
    assert node.wait(uid)["result"] == 5
    assert result(node, "Toy.Get", {"purse": "p1"}) == 5


def test_a_request_past_its_deadline_has_no_effect() -> None:
    node = new_node(1)
    uid = node.send("Toy.Give", {"purse": "p1", "coins": 5})
    node._pending[uid][1].deadline_ns = node.now_ns - 1
    assert node.wait(uid)["error"] == "REPLY_TIMEOUT"
    assert node.call("Toy.Get", {"purse": "p1"})["error"] == "NOT_FOUND"


def coins_when_answered(method: str, crash_at: tuple[int, ...] = ()) -> int:
    """What all purses hold at the very moment in which the answer reaches the client."""
    node = new_node(3, crash_at)
    names = [f"p{n}" for n in range(6)]
    uid = node.send(method, {"purse": "p0", "to": names[1:]})
    while uid not in node._answers:
        assert node._step(), "nothing is under way and there is no answer"
    return sum(msgspec.msgpack.decode(v, type=toy.Purse).coins for (_, k), v in node.disk.items() if "purse/" in k)


@pytest.mark.parametrize("method", ["Toy.Celebrate", "Toy.CelebrateAt"])
def test_an_answer_waits_until_what_its_parts_deliver_is_with_its_owners(method: str) -> None:
    assert coins_when_answered(method) == 6
    for crash in range(1, 20):
        assert coins_when_answered(method, (crash,)) == 6, f"crash at event {crash}"


def test_the_wait_for_deliveries_is_shown_to_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Deliveries, "when_made", lambda self, waiter, then, *args: then(*args))
    assert coins_when_answered("Toy.Celebrate") < 6


def sharing_over_moves(workers: int, crash_at: tuple[int, ...] = ()) -> tuple[Node, list[int]]:
    """Coins for purses of which one at each worker is on the move when they come."""
    node = new_node(workers, crash_at)
    names = [f"p{n}" for n in range(6)]
    for name in names:
        result(node, "Toy.Give", {"purse": name, "coins": 100})
    at = {name: node.shard_map[toy.owner(name).shard] for name in names}
    near = next(name for name in names[1:] if at[name] == at["p0"])
    far = next(name for name in names[1:] if at[name] != at["p0"])
    result(node, "Toy.Freeze", {"purse": near, "seconds": 1})
    result(node, "Toy.Freeze", {"purse": far, "seconds": 2})
    out = list(result(node, "Toy.Share", {"purse": "p0", "to": [near, far], "coins": 20}))
    return node, out + [result(node, "Toy.Get", {"purse": name}) for name in names]


def test_invariant_06_a_step_that_waited_for_a_move_is_done_once_while_others_are_still_out() -> None:
    calm, expected = sharing_over_moves(2)
    assert sum(expected[2:]) == 600
    wrong = []
    for at in range(1, calm.events + 1):
        node, out = sharing_over_moves(2, (at,))
        if out != expected or remembered(node) != logged(node):
            wrong.append((at, out))
    assert wrong == []


@pytest.mark.parametrize("workers", [1, 3])
def test_who_calls_a_method_holds_nothing_that_the_method_could_wait_for(workers: int) -> None:
    node = new_node(workers)
    result(node, "Toy.Give", {"purse": "p0", "coins": 10})
    assert result(node, "Toy.Lend", {"purse": "p0", "to": "p1", "coins": 4}) is True
    assert result(node, "Toy.Get", {"purse": "p0"}) == 6
