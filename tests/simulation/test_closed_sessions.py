"""Closed sessions and their claims are all given back, whoever dies when, and wherever their accounts go meanwhile (spec 30.4.3;
design 5, 9: invariants 4, 6, 10, 11, 16)."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

import pytest

from cgr_cluster.engine import messages as m
from cgr_cluster.engine.owner import Owner, account_owner, registry_owner
from cgr_cluster.engine.placement import locate
from cgr_cluster.node.node import Node
from cgr_cluster.sessions import closed
from tests.simulation.crashing import TENANT, WORKERS, accounts_apart, cdrs, crash_everywhere, flaws, ok, run
from tests.simulation.slow_node import SlowNode
from tests.simulation.test_crashes import call_plan, event, shown
from tests.simulation.test_power_cuts import started_again, until_cut

S = 10**9


def claimed_elsewhere() -> list[str]:
    """CGRIDs whose registries are on each of three workers."""
    found: list[str] = []
    number = 0
    while len(found) < WORKERS:
        cgrid = f"{number:040x}"
        number += 1
        if registry_owner(cgrid).shard * WORKERS // 256 == len(found):
            found.append(cgrid)
    return found


def held(node: Node) -> list[str]:
    """What the log still has of sessions that have ended."""
    kinds = ("closed_session/", "closed_use/", "claim/", "session/", "timer/closed", "intent/")
    return sorted(key for _, key in node.disk if key.startswith(kinds))


def nothing_left(node: Node) -> bool:
    """One call was charged twice and recorded once."""
    return held(node) == [] and len(cdrs(node)) == 6


def of(node: Node, cgrid: str, **fields: Any) -> dict[str, Any]:
    return event(node, CGRID=cgrid, OriginID=cgrid[-2:], **fields)


def begin(node: Node, cgrid: str, **fields: Any) -> tuple[str, Any]:
    return "SessionSv1.InitiateSession", {"InitSession": True, "Event": of(node, cgrid, Usage="9s", **fields)}


def finish(node: Node, cgrid: str, **fields: Any) -> tuple[str, Any]:
    return "SessionSv1.TerminateSession", {"TerminateSession": True, "Event": of(node, cgrid, Usage="12s", **fields)}


def record(node: Node, cgrid: str, **fields: Any) -> tuple[str, Any]:
    return "SessionSv1.ProcessCDR", {"Event": of(node, cgrid, Usage="12s", **fields)}


def calls_that_end(node: Node) -> list[Any]:
    """Some are recorded in time, some when they are forgotten; one begins anew just when its old claim is given back."""
    first, second, third = claimed_elsewhere()
    answers = [node.call(*step(node, cgrid)) for cgrid in (first, second, third) for step in (begin, finish)]
    node.advance(6 * S)
    answers.append(node.call(*record(node, first)))
    answers.append(node.call(*record(node, third)))
    node.advance(4 * S - 20_000)  # `second` expires while the next requests are under way
    together = [node.send(*begin(node, second)), node.send(*record(node, third))]
    answers += [node.wait(uid) for uid in together]
    node.advance(7 * S)
    answers.append(node.call(*finish(node, second)))
    answers.append(node.call(*record(node, second)))
    node.advance(25 * S)
    return [*answers, shown(node)]


def test_a_crash_at_any_event_leaves_no_closed_session_and_no_claim(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(closed, "SWEPT_AT_ONCE", 2)
    wrong, events = crash_everywhere(call_plan, calls_that_end, nothing_left, again_after=(None,))
    assert events > 60
    assert wrong == []


def test_any_order_of_turns_commits_and_crashes_leaves_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(closed, "SWEPT_AT_ONCE", 2)
    _, expected, events = run(call_plan, calls_that_end, ())
    for seed in range(40):
        random = Random(seed)
        node = SlowNode(WORKERS, seed)
        call_plan(node)
        node.run()
        node.crash_at = {node.events + at for at in random.sample(range(1, events), random.choice((0, 1, 2, 4)))}
        assert calls_that_end(node) == expected, seed
        assert flaws(node) == [], seed
        assert held(node) == [], seed


def test_a_power_cut_and_another_number_of_workers_leaves_none() -> None:
    """Afterwards the switch makes the same calls again: what the cut has left of them is no obstacle and goes with them."""
    at = 0
    while (dead := until_cut(call_plan, calls_that_end, at := at + 5)) is not None:
        for workers in (1, 2, 5):
            node = started_again(dead, workers)
            for cgrid in claimed_elsewhere():
                fields = {"Account": accounts_apart(dead, 1)[0]}
                node.call(*begin(dead, cgrid, **fields))
                node.call(*finish(dead, cgrid, **fields))
            node.advance(25 * S)
            assert held(node) == [], (at, workers)
            assert flaws(node) == [], (at, workers)
    assert at > 60


def test_a_request_that_is_delivered_again_after_its_claim_was_given_back_changes_nothing() -> None:
    node = Node(WORKERS)
    call_plan(node)
    cgrid = claimed_elsewhere()[1]
    message = "SessionSv1.ProcessMessage", {"Debit": True, "Event": of(node, "5e" * 20, Usage="3s")}
    steps = [begin(node, cgrid), finish(node, cgrid), record(node, cgrid), message]
    delivered = []
    for number, (method, params) in enumerate(steps):
        uid = node.send(method, params)
        worker, request = node._pending[uid]
        delivered.append((worker, request, node.wait(uid)))
        assert number or delivered[0][2]["error"] is None
    node.advance(20 * S)
    assert held(node) == []
    before = shown(node)
    for worker, request, answer in delivered:
        again = m.Request(request.uid, request.method, request.params, "b1", None, "")
        node._pending[request.uid] = (worker, again)
        node.workers[worker].inbox.append(again)
        assert node.wait(request.uid) == answer
    node.advance(20 * S)
    assert held(node) == []
    assert shown(node) == before


# --- accounts that move --------------------------------------------------------------------------------------------

GROUPED = ("acc_a", "acc_b")


def grouped(folder: Path) -> Any:
    (folder / "SharedGroups.csv").write_text("SG,*any,*lowest,\n")

    def prepare(node: Node) -> None:
        call_plan(node)
        ok(node, "APIerSv1.LoadTariffPlanFromFolder", {"FolderPath": str(folder)})
        for account in GROUPED:
            balance = {"Account": account, "BalanceType": "*monetary", "Value": 5, "Balance": {"ID": "main"}}
            ok(node, "APIerSv1.SetBalance", balance)
        ok(node, "APIerSv1.RemoveChargerProfile", {"ID": "RSL"})

    return prepare


def moving(early_ns: int) -> Any:
    """The accounts move, this much before their closed sessions expire; a call that begins meanwhile waits for its claim."""

    def workload(node: Node) -> list[Any]:
        first, second, third = claimed_elsewhere()
        of_a, of_b = ({"Account": account} for account in GROUPED)
        answers = [node.call(*step(node, first, **of_a)) for step in (begin, finish)]
        answers += [node.call(*step(node, second, **of_b)) for step in (begin, finish, record)]
        node.advance(10 * S - early_ns)
        shared = {"BalanceType": "*monetary", "Value": 1, "Balance": {"ID": "shared", "SharedGroups": "SG"}}
        together = [node.send(*begin(node, third, **of_a))]
        together += [node.send("APIerSv1.AddBalance", {**shared, **of}) for of in (of_a, of_b)]
        together.append(node.send(*begin(node, second, **of_a)))
        answers += [node.wait(uid)["error"] for uid in together]
        answers += [node.call(*step(node, third, **of_a)) for step in (finish, record)]
        answers += [node.call(*step(node, second, **of_a)) for step in (finish,)]
        node.advance(25 * S)
        return [*answers, [ok(node, "APIerSv2.GetAccount", of)["BalanceMap"]["*monetary"] for of in (of_a, of_b)]]

    return workload


def all_moved(node: Node) -> bool:
    generation = node.workers[0].engine.generation
    places = [locate(generation, Owner("account", f"{TENANT}:{name}")) for name in GROUPED]
    assert places[0] == places[1]
    assert places != [account_owner(TENANT, name).shard for name in GROUPED]
    return held(node) == []


@pytest.mark.parametrize("early_ns", [20_000, 3_000])
def test_a_crash_while_accounts_move_leaves_no_closed_session_and_no_claim(tmp_path: Path, early_ns: int) -> None:
    wrong, events = crash_everywhere(grouped(tmp_path), moving(early_ns), all_moved, again_after=(None,))
    assert events > 60
    assert wrong == []


def only_moving(node: Node) -> list[Any]:
    """Nothing else ends a session where the accounts come to."""
    first, second, _ = claimed_elsewhere()
    for account, cgrid in zip(GROUPED, (first, second), strict=True):
        for step in (begin, finish):
            node.call(*step(node, cgrid, Account=account))
        shared = {"ID": "shared", "SharedGroups": "SG"}
        ok(node, "APIerSv1.AddBalance", {"Account": account, "BalanceType": "*monetary", "Value": 1, "Balance": shared})
    node.advance(25 * S)
    return []


def test_it_is_shown_to_fail_when_no_sweep_is_begun_where_they_arrive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert all_moved(run(grouped(tmp_path), only_moving, ())[0])
    monkeypatch.setattr("cgr_cluster.engine.placement.ARRIVALS", {})
    assert not all_moved(run(grouped(tmp_path), only_moving, ())[0])
