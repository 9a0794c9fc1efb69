"""Closed sessions: found for 10 s after their end or last use, swept by shard, their claims given back (spec 30.4.3, 30.8)."""

from __future__ import annotations

from pathlib import Path

import pytest

from cgr_cluster.engine.codec import pack
from cgr_cluster.engine.owner import account_owner, registry_owner
from cgr_cluster.engine.part import Part
from cgr_cluster.engine.placement import locate
from cgr_cluster.engine.records import Intent, Timer
from cgr_cluster.node.node import Node
from cgr_cluster.sessions import closed
from cgr_cluster.sessions.types import Claim
from tests.unit.test_sessions_node import RETAIL, TENANT, S, event, ok, prepared

LEFTOVERS = ("session", "closed_session", "closed_use", "claim", "timer", "intent")


def one_shot(node: Node, name: str) -> None:
    """A call that has begun and ended."""
    ok(node, "SessionSv1.InitiateSession", {"InitSession": True, "Event": event(name, Usage="10s")})
    ok(node, "SessionSv1.TerminateSession", {"TerminateSession": True, "Event": event(name, Usage="10s")})


def held(node: Node, *kinds: str) -> list[str]:
    return [
        f"{kind}/{key}"
        for worker in node.workers
        for shard in worker.engine.shards.values()
        for kind in kinds
        for key, _ in shard.items(kind)
    ]


def record_of(node: Node, name: str) -> bool:
    """Record a call now. Answers whether its session was found."""
    ok(node, "SessionSv1.ProcessCDR", {"Event": event(name, Usage="10s")})
    records = ok(node, "CDRsV1.GetCDRs", {"OriginIDs": [name], "RunIDs": ["*default"]})
    return str(records[0]["CostSource"]) == "*sessions"


@pytest.mark.parametrize("workers", [1, 3])
def test_all_closed_sessions_and_claims_are_forgotten(workers: int) -> None:
    node, _ = prepared(workers)
    for number in range(30):
        one_shot(node, f"c{number}")
        node.advance(S // 10)
    node.advance(12 * S)
    assert held(node, *LEFTOVERS) == []


def test_a_shard_sweeps_at_most_once_a_second() -> None:
    node, _ = prepared(1)
    for number in range(20):
        one_shot(node, f"c{number}")
        node.advance(S // 20)
    assert len(held(node, "timer")) == 1
    node.advance(9 * S)
    left = []
    for _ in range(40):
        node.advance(S // 20)
        left.append(len(held(node, "closed_session")))
    assert left == sorted(left, reverse=True)
    assert len(set(left)) <= 4
    assert left[-1] == 0


def test_an_expired_one_that_is_not_swept_yet_is_not_found() -> None:
    node, _ = prepared(1)
    one_shot(node, "first")
    node.advance(S // 2)
    one_shot(node, "second")
    node.advance(19 * S // 2 + S // 20)  # the sweep of `first` has been; the next is a second later
    assert len(held(node, "closed_session")) == 1
    node.advance(S // 2)
    assert len(held(node, "closed_session")) == 1
    assert not record_of(node, "second")


def test_a_use_keeps_it_for_another_ten_seconds() -> None:
    node, _ = prepared(1)
    one_shot(node, "c")
    node.advance(9 * S)
    assert record_of(node, "c")
    node.advance(9 * S)
    answer = node.call("SessionSv1.ProcessCDR", {"Event": event("c", Usage="10s")})
    assert answer["error"] == "PARTIALLY_EXECUTED"  # it is found, and its record exists
    node.advance(12 * S)
    assert held(node, *LEFTOVERS) == held(node, "timer") == ["timer/cdrs.sweep"]


def test_many_are_swept_in_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(closed, "SWEPT_AT_ONCE", 3)
    node, _ = prepared(3)
    for number in range(10):
        one_shot(node, f"c{number}")
    node.advance(12 * S)
    assert held(node, *LEFTOVERS) == []


def test_all_are_reached_although_the_first_ones_are_used_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(closed, "SWEPT_AT_ONCE", 2)
    node, _ = prepared(1)
    for number in range(9):
        one_shot(node, f"c{number}")
    for _ in range(4):
        for number in range(3):
            node.call("SessionSv1.ProcessCDR", {"Event": event(f"c{number}", Usage="10s")})
        node.advance(4 * S)
    assert len(held(node, "closed_session")) == len(held(node, "closed_use")) == len(held(node, "claim")) == 3
    node.advance(12 * S)
    assert set(held(node, *LEFTOVERS)) == {"timer/cdrs.sweep"}


def test_one_that_begins_anew_at_another_account_leaves_no_use_behind() -> None:
    """Both accounts live in one shard, the first has used its closed session."""
    node, _ = prepared(1)
    shard = account_owner(TENANT, RETAIL).shard
    other = next(name for name in (f"o{n}" for n in range(9999)) if account_owner(TENANT, name).shard == shard)
    money = {"Account": other, "BalanceType": "*monetary", "Value": 9, "Balance": {"ID": "main"}}
    ok(node, "APIerSv1.SetBalance", money)
    one_shot(node, "c")
    assert record_of(node, "c")
    for method, flag in (("InitiateSession", "InitSession"), ("TerminateSession", "TerminateSession")):
        ok(node, f"SessionSv1.{method}", {flag: True, "Event": event("c", Account=other, Usage="10s")})
    assert len(held(node, "closed_session")) == 1
    assert held(node, "closed_use") == []
    node.advance(12 * S)
    assert held(node, "claim", "closed_session") == []


def test_a_call_that_is_begun_twice_leaves_no_claim() -> None:
    node, _ = prepared(3)
    again = {"InitSession": True, "Event": event("c", Usage="10s")}
    ok(node, "SessionSv1.InitiateSession", again)
    assert node.call("SessionSv1.InitiateSession", again)["error"] == "EXISTS"
    ok(node, "SessionSv1.TerminateSession", {"TerminateSession": True, "Event": event("c", Usage="10s")})
    for _ in range(2):
        ok(node, "SessionSv1.ProcessMessage", {"Debit": True, "Event": event("m", Usage="1s")})
    node.advance(12 * S)
    assert held(node, *LEFTOVERS) == []


def test_a_call_that_gets_another_id_while_it_is_charged_elsewhere_leaves_no_claim() -> None:
    node, _ = prepared(3)  # one of its accounts lives on another worker
    ok(node, "SessionSv1.InitiateSession", {"InitSession": True, "Event": event("c", Usage="10s")})
    node.advance(S)
    renamed = event("d", InitialOriginID="c", Usage="10s")
    ok(node, "SessionSv1.UpdateSession", {"UpdateSession": True, "Event": renamed})
    ok(node, "SessionSv1.TerminateSession", {"TerminateSession": True, "Event": event("d", Usage="15s")})
    assert len(held(node, "claim")) == 1
    node.advance(12 * S)
    assert held(node, *LEFTOVERS) == []


def test_of_two_ends_in_the_wrong_order_the_newest_claim_is_given_back() -> None:
    node, _ = prepared(1)
    one_shot(node, "c")
    engine = node.workers[0].engine
    shard = engine.shards[account_owner(TENANT, RETAIL).shard]
    ((cgrid, kept),) = shard.items("closed_session")
    part = Part(engine, shard, "u", node.now_ns, engine.generation, "", None)
    late = kept.session.draft()
    late.claim -= 1
    closed.keep_closed(part, late)
    part.keep()
    assert shard.get("closed_session", cgrid).session.claim == kept.session.claim
    node.advance(12 * S)
    assert held(node, *LEFTOVERS) == []


def test_a_log_with_a_timer_for_each_closed_session_is_swept_too() -> None:
    node, _ = prepared(1)
    one_shot(node, "c")
    ((place, key),) = [place for place in node.disk if place[1].startswith("timer/closed")]
    cgrid = held(node, "closed_session")[0].removeprefix("closed_session/")
    at_ns = node.now_ns + 9 * S
    owner = f"account:{TENANT}:{RETAIL}"
    disk = dict(node.disk)
    del disk[place, key]
    disk[place, f"timer/closed/{cgrid}"] = pack(Timer(at_ns, "sessions.forget_closed", pack([cgrid, at_ns]), owner))
    task = Intent("task", "sessions.release_claim", pack(["gone", 7]), node.now_ns, "", 0, [])
    disk[registry_owner("gone").shard, "intent/t"] = pack(task)
    disk[registry_owner("gone").shard, "claim/gone"] = pack(Claim("account", f"{TENANT}:{RETAIL}", 7))
    again = Node(1, start_ns=node.now_ns, disk=disk)
    again.advance(S)
    assert len(held(again, "claim")) == 1
    again.advance(12 * S)
    assert held(again, *LEFTOVERS) == []


def test_those_of_an_account_that_moves_are_swept_where_they_arrive(tmp_path: Path) -> None:
    node, _ = prepared(2)
    (tmp_path / "SharedGroups.csv").write_text("GROUP,*any,*lowest,\n")
    ok(node, "APIerSv1.LoadTariffPlanFromFolder", {"FolderPath": str(tmp_path)})
    one_shot(node, "c")
    balance = {"ID": "shared", "SharedGroups": "GROUP"}
    ok(node, "APIerSv1.AddBalance", {"Account": RETAIL, "BalanceType": "*monetary", "Value": 1, "Balance": balance})
    place = locate(node.workers[0].engine.generation, account_owner(TENANT, RETAIL))
    assert place != account_owner(TENANT, RETAIL).shard
    shard = node.workers[node.shard_map[place]].engine.shards[place]
    assert [kind for kind in ("closed_session", "timer") for _ in shard.items(kind)] == ["closed_session", "timer"]
    node.advance(12 * S)
    assert held(node, *LEFTOVERS) == []
