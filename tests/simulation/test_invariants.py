"""Invariants of the design (9) on the whole domain in one process; each check is shown to fail by a patch (docs/invariants.md)."""

from __future__ import annotations

import gc
import importlib
from typing import Any

import pytest

from cgr_cluster.accounts import refund
from cgr_cluster.engine import messages as m
from cgr_cluster.engine.engine import Engine
from cgr_cluster.engine.generation import Generation
from cgr_cluster.engine.owner import Owner
from cgr_cluster.engine.references import References
from cgr_cluster.node.node import Node
from tests.simulation import toy
from tests.simulation.crashing import TENANT, accounts_apart, cdrs, money_nano, of_kind, ok
from tests.simulation.slow_node import SlowNode
from tests.simulation.test_crashes import CGRID, call_plan, cdr_twice, event, paid_by_cdrs

# --- 8: a price is the same on every worker ----------------------------------------------------------------------


def prices(node: Node) -> list[Any]:
    """Costs of some calls, each asked of every worker in turn."""
    return [
        {
            str(ok(node, "APIerSv1.GetCost", {"Tenant": TENANT, "Category": "call", "Subject": "s", "Usage": usage,
                   "AnswerTime": "2026-03-02T10:00:00Z", "Destination": destination})["Cost"])
            for _ in range(2 * len(node.workers))
        }
        for destination in ("442071112222", "447700900111") for usage in ("1s", "61s", "1h")
    ]  # fmt: skip


def test_invariant_08_a_price_is_equal_on_every_worker() -> None:
    node, single = Node(3), Node(1)
    for each in (node, single):
        call_plan(each)
    assert all(len(costs) == 1 for costs in prices(node))
    assert prices(node) == prices(single)


def test_invariant_08_is_shown_to_fail_when_a_worker_keeps_old_rates() -> None:
    node = Node(3)
    before = node.workers[1].engine.references.generation
    call_plan(node)
    node.workers[1].engine.references.generation = before
    with pytest.raises(AssertionError):
        assert all(len(costs) == 1 for costs in prices(node))


# --- 9: a refund restores exactly --------------------------------------------------------------------------------


def refunded_accounts() -> tuple[dict[str, int], dict[str, int]]:
    """Money before a session and after one that used nothing."""
    node = Node(3)
    call_plan(node)
    before = money_nano(node)
    ok(node, "SessionSv1.InitiateSession", {"InitSession": True, "Event": event(node, Usage="61s")})
    ok(node, "SessionSv1.UpdateSession", {"UpdateSession": True, "Event": event(node, Usage="37s")})
    assert money_nano(node) != before
    ok(node, "SessionSv1.TerminateSession", {"TerminateSession": True, "Event": event(node, Usage="0s")})
    return before, money_nano(node)


def test_invariant_09_what_a_session_did_not_use_is_given_back_exactly() -> None:
    before, after = refunded_accounts()
    assert after == before


def test_invariant_09_is_shown_to_fail_when_refunds_round(monkeypatch: pytest.MonkeyPatch) -> None:
    give = refund._give
    monkeypatch.setattr(refund, "_give", lambda drafts, parts, count, subject: give(drafts, parts, count - 1, subject))
    before, after = refunded_accounts()
    assert after != before


# --- 10: one session per CGRID, in one group with its debit ------------------------------------------------------


def split_debits(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Groups in which the leading account or its session changed without the other, over two charges of one session."""
    wrong: list[str] = []
    close = Engine._close_group

    def watched(engine: Engine) -> m.Group | None:
        group = close(engine)
        names = [] if group is None else [name for _, name, _ in group.records]
        if (f"session/{CGRID}" in names) != (f"account/{TENANT}:{retail}" in names):
            wrong.append(str(names))
        return group

    node = Node(3)
    call_plan(node)
    ok(node, "APIerSv1.RemoveChargerProfile", {"ID": "RSL"})
    retail = accounts_apart(node, 1)[0]
    monkeypatch.setattr(Engine, "_close_group", watched)
    ok(node, "SessionSv1.InitiateSession", {"InitSession": True, "Event": event(node, Usage="30s")})
    ok(node, "SessionSv1.UpdateSession", {"UpdateSession": True, "Event": event(node, Usage="30s")})
    monkeypatch.setattr(Engine, "_close_group", close)
    assert node.call("SessionSv1.InitiateSession", {"InitSession": True, "Event": event(node)})["error"] == "EXISTS"
    found = [key for _, key in node.disk if key.startswith("session/")]
    assert found == [f"session/{CGRID}"]
    return wrong


def without_records_of(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """Groups lack what belongs to them."""
    whole = Engine._close_group

    def lacking(engine: Engine) -> m.Group | None:
        group = whole(engine)
        if group is not None:
            group.records = [record for record in group.records if not record[1].startswith(kind)]
        return group

    monkeypatch.setattr(Engine, "_close_group", lacking)


def test_invariant_10_a_debit_and_the_session_that_knows_of_it_share_a_group(monkeypatch: pytest.MonkeyPatch) -> None:
    assert split_debits(monkeypatch) == []


def test_invariant_10_is_shown_to_fail_when_a_group_is_cut_in_two(monkeypatch: pytest.MonkeyPatch) -> None:
    without_records_of(monkeypatch, "account/")
    assert split_debits(monkeypatch)


# --- 11: one CDR per key, acknowledged if and only if its debit is -----------------------------------------------


def cdr_survives() -> bool:
    """Whether a CDR that is acknowledged is there, once, with its debits, after all workers were killed."""
    node = Node(3)
    call_plan(node)
    assert cdr_twice(node)[:2] == [
        {"id": 1, "result": "OK", "error": None},
        {"id": 1, "result": None, "error": "EXISTS"},
    ]
    for number in range(3):
        node.kill(number)
    keys = sorted(cdr.key for cdr in cdrs(node))
    return keys == [(CGRID, "*default", "c"), (CGRID, "reseller", "c")] and paid_by_cdrs(node)


def test_invariant_11_an_acknowledged_cdr_is_there_once_and_paid() -> None:
    assert cdr_survives()


def test_invariant_11_is_shown_to_fail_when_cdrs_are_not_in_the_groups_of_their_debits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    without_records_of(monkeypatch, "cdr/")
    assert not cdr_survives()


# --- 13: read your writes, from any connection -------------------------------------------------------------------


def unread_writes(seed: int) -> int:
    """Destinations that some worker did not show after the answer of the Set, and balances that were not read."""
    node = SlowNode(3, seed)
    missing = 0

    def at_once(method: str, params: Any) -> None:
        """Ends with the answer, whatever is still on its way."""
        uid = node.send(method, params)
        while uid not in node._answers:
            assert node._step()

    for number in range(12):
        at_once("APIerSv1.SetDestination", {"Id": f"D{number}", "Prefixes": [f"+{number}"], "Overwrite": True})
        uids = [node.send("APIerSv1.GetDestination", f"D{number}", f"client{n}") for n in range(3)]
        missing += sum(node.wait(uid)["error"] is not None for uid in uids)
        balance = {"Account": f"a{number % 3}", "BalanceType": "*monetary", "Value": number, "Balance": {"ID": "m"}}
        at_once("APIerSv1.SetBalance", balance)
        found = ok(node, "APIerSv2.GetAccount", {"Account": f"a{number % 3}"})
        missing += found["BalanceMap"]["*monetary"][0]["Value"] != number
    return missing


def test_invariant_13_a_set_is_seen_by_whoever_asks_after_its_answer() -> None:
    assert [unread_writes(seed) for seed in range(8)] == [0] * 8


def test_invariant_13_is_shown_to_fail_when_a_set_does_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(References, "everywhere", lambda self, number: True)
    assert sum(unread_writes(seed) for seed in range(8)) > 0


# --- 14: every bound has a name and a decided behaviour ----------------------------------------------------------

BOUNDS = (
    ("cgr_cluster.engine.journal", "PAGE_BYTES"),
    ("cgr_cluster.engine.engine", "MAX_READY_PER_TURN"),
    ("cgr_cluster.filters.lists", "MAX_COMPILED"),
    ("cgr_cluster.engine.messages", "MAX_HOPS"),
    ("cgr_cluster.engine.references", "CHANGESETS_KEPT"),
    ("cgr_cluster.engine.redelivery", "DONE_KEPT_NS"),
    ("cgr_cluster.engine.redelivery", "MEMO_KEPT_NS"),
    ("cgr_cluster.routing.balancer", "BATCH_CALLS"),
    ("cgr_cluster.routing.balancer", "BATCH_BYTES"),
    ("cgr_cluster.routing.balancer", "HELD_CALLS"),
    ("cgr_cluster.routing.balancer", "CALLS"),
    ("cgr_cluster.routing.balancer", "CALL_BYTES"),
    ("cgr_cluster.routing.balancer", "ANSWER_BYTES"),
    ("cgr_cluster.routing.wire", "CREDITS"),
    ("cgr_cluster.cdrs.outbox", "MAX_BATCH"),
    ("cgr_cluster.engine.engine", "BACKGROUND_PAUSE_NS"),
    ("cgr_cluster.actions.walk", "SHARDS_AT_ONCE"),
    ("cgr_cluster.actions.run_slices", "SLICE"),
    ("cgr_cluster.actions.run_slices", "MAX_OPEN"),
    ("cgr_cluster.actions.run_slices", "FAILURES_LOGGED"),
    ("cgr_cluster.actions.plan_runs", "MAX_WAITING"),
    ("cgr_cluster.actions.plan_runs", "ENDED_KEPT"),
    ("cgr_cluster.actions.scheduler_api", "MAX_REPLAYED"),
    ("cgr_cluster.edge.exporter_service", "MAX_DONE"),
    ("cgr_cluster.edge.exporter_service", "MAX_SHARED"),
    ("cgr_cluster.exporters.metrics", "MAX_IDS"),
    ("cgr_cluster.exporters.settings", "MAX_ATTEMPTS"),
    ("cgr_cluster.exporters.many", "AT_ONCE"),
    ("cgr_cluster.guardian.locks", "MAX_WAITING"),
    ("cgr_cluster.guardian.locks", "MAX_LOCKS"),
    ("balancer.connection", "UNREAD_BYTES"),
    ("balancer.connection", "UNREAD_SECONDS"),
    ("workers.edge", "MAX_WAITING"),
    ("workers.edge", "MAX_TOLD"),
    ("workers.edge", "EXPORTER_THREADS"),
    ("workers.links", "PIPE_MESSAGES"),
    ("workers.balancer_link", "ANSWERS_QUEUED"),
    ("workers.log_process", "MAX_CONNECTIONS"),
)


@pytest.mark.parametrize(("module", "name"), BOUNDS)
def test_invariant_14_bounds_have_names(module: str, name: str) -> None:
    assert getattr(importlib.import_module(module), name) > 0


def endless_hops() -> str | None:
    """The error of a request that has been forwarded as often as it may."""
    node = Node(2, registry=toy.registry())
    foreign = next(n for n in range(100) if node.shard_map[toy.owner(f"p{n}").shard] == 1)
    uid = node.send("Toy.Give", {"purse": f"p{foreign}", "coins": 1})
    request = node._pending[uid][1]
    node.workers[1].inbox.clear()
    request.hops = 8
    node.workers[0].inbox.append(request)  # a worker that does not own it
    error: str | None = node.wait(uid)["error"]
    return error


def test_invariant_14_a_chain_of_hops_ends_with_an_error() -> None:
    assert endless_hops() == "SERVER_ERROR: too many hops"


def test_invariant_14_is_shown_to_fail_without_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cgr_cluster.engine.messages.MAX_HOPS", 100)
    assert endless_hops() is None


# --- 15: executed before its deadline or not at all --------------------------------------------------------------


def late_effects() -> int:
    """Coins that requests gave which were answered REPLY_TIMEOUT."""
    node = Node(2, registry=toy.registry())
    ok(node, "Toy.Give", {"purse": "p", "coins": 1000})
    given = 0
    for late_ns in (-1, 1, -(10**9), 10**9):
        uid = node.send("Toy.Give", {"purse": "p", "coins": 1})
        node._pending[uid][1].deadline_ns = node.now_ns + late_ns
        given += node.wait(uid)["error"] is None
    assert given == 2
    return int(ok(node, "Toy.Get", {"purse": "p"})) - 1000 - given


def test_invariant_15_a_request_past_its_deadline_has_no_effect() -> None:
    assert late_effects() == 0


def test_invariant_15_is_shown_to_fail_when_the_deadline_is_looked_at_afterwards(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begin = Engine.request

    def execute_first(engine: Engine, request: m.Request, owner: Owner | None = None) -> None:
        late = request.deadline_ns is not None and engine.now_ns > request.deadline_ns
        reply_to, request.deadline_ns = request.reply_to, None
        request.reply_to = "" if late else reply_to
        begin(engine, request, owner)
        if late:
            engine.answer(reply_to, request.uid, b"REPLY_TIMEOUT", True)

    monkeypatch.setattr(Engine, "request", execute_first)
    assert late_effects() > 0


def test_invariant_16_memory_of_the_domain_is_what_its_export_loads_to() -> None:
    node = Node(3)
    call_plan(node)
    cdr_twice(node)
    assert of_kind(node, "account", Any)
    for worker in node.workers:
        for shard in worker.engine.shards.values():
            copy = type(shard)(shard.number)
            copy.load(shard.export())
            assert copy.export() == shard.export()


def test_invariant_14_generations_of_reference_data_go_when_nobody_needs_them() -> None:
    """Whatever is derived of them, which is kept from one to the next while it is true."""
    node = Node(1)

    def change(number: int) -> None:
        event = {"Account": str(number)}
        profile = {"Tenant": "cgrates.org", "ID": f"T{number % 3}", "FilterIDs": [f"*string:~*req.Account:{number}"]}
        assert node.call("APIerSv1.SetThresholdProfile", {**profile, "MaxHits": -1})["error"] is None
        destination = {"Id": f"D{number}", "Prefixes": [f"49{number}"], "Overwrite": True}
        assert node.call("APIerSv1.SetDestination", destination)["error"] is None
        hit = node.call("ThresholdSv1.ProcessEvent", {"Tenant": "cgrates.org", "ID": "e", "Event": event})
        assert hit["result"] == [f"T{number % 3}"]
        rule = {"Type": "*string", "Element": "~*req.Account", "Values": [str(number)]}
        stored = {"Tenant": "cgrates.org", "ID": "F", "Rules": [rule]}
        assert node.call("APIerSv1.SetFilter", stored)["error"] is None
        hit = node.call("ThresholdSv1.ProcessEvent", {"Tenant": "cgrates.org", "ID": "e", "Event": event})
        assert hit["result"] == [f"T{number % 3}"]

    def held() -> int:
        gc.collect()
        return sum(isinstance(found, Generation) for found in gc.get_objects())

    for number in range(15):
        change(number)
    before = held()
    for number in range(15, 45):
        change(number)
    assert held() <= before + 2
