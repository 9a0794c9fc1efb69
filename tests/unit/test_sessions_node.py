"""Sessions on a whole node: several owners, crashes at every event, timers, two-way clients (spec 30.6, 30.12, 30.13)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cgr_cluster.engine.owner import account_owner
from cgr_cluster.node.node import Node

PLAN = str(Path(__file__).parents[1] / "conformance/tariffplans/sessions_retail")
TENANT = "cgrates.org"
S = 10**9
RETAIL = "5001"


def other_worker(node: Node) -> str:
    """An account that another worker owns than the one of RETAIL."""
    home = node.shard_map[account_owner(TENANT, RETAIL).shard]
    return next(
        name
        for name in (f"reseller{n}" for n in range(100))
        if len(node.workers) == 1 or node.shard_map[account_owner(TENANT, name).shard] != home
    )


def ok(node: Node, method: str, params: dict[str, Any], connection: str = "") -> Any:
    answer = node.call(method, params, connection)
    assert answer["error"] is None, (method, answer)
    return answer["result"]


def prepared(workers: int, crash_at: tuple[int, ...] = ()) -> tuple[Node, str]:
    """A node with a retail account of 10 and a reseller of 1, charged for the same calls; crashes count from here on."""
    node = Node(workers)
    ok(node, "APIerSv1.LoadTariffPlanFromFolder", {"FolderPath": PLAN})
    reseller = other_worker(node)
    for account, money in ((RETAIL, 10), (reseller, 1)):
        ok(
            node,
            "APIerSv1.SetBalance",
            {"Account": account, "BalanceType": "*monetary", "Value": money, "Balance": {"ID": "main"}},
        )
    profile = {"ID": "RSL", "RunID": "reseller", "AttributeIDs": [f"*constant:*req.Account:{reseller}"], "Weight": 5}
    ok(node, "APIerSv1.SetChargerProfile", profile)
    node.crash_at = {node.events + number for number in crash_at}
    return node, reseller


def event(origin_id: str, **fields: Any) -> dict[str, Any]:
    return {
        "OriginID": origin_id,
        "OriginHost": "sw1",
        "ToR": "*voice",
        "RequestType": "*prepaid",
        "Account": RETAIL,
        "Destination": "442071112222",
        "AnswerTime": "2026-03-02T10:00:00Z",
        **fields,
    }


def money(node: Node, account: str) -> float:
    found = ok(node, "APIerSv2.GetAccount", {"Account": account})
    return float(found["BalanceMap"]["*monetary"][0]["Value"])


def a_call(node: Node) -> list[Any]:
    """Initiate, update, an update that lacks its account, terminate, CDR: the answers."""
    cgrid = "b2a1" * 10
    return [
        ok(node, "SessionSv1.InitiateSession", {"InitSession": True, "Event": event("c", CGRID=cgrid, Usage="30s")}),
        ok(node, "SessionSv1.UpdateSession", {"UpdateSession": True, "Event": event("c", CGRID=cgrid, Usage="60s")}),
        ok(
            node,
            "SessionSv1.UpdateSession",
            {"UpdateSession": True, "Event": {"CGRID": cgrid, "Usage": "30s", "LastUsed": "40s"}},
        ),
        ok(node, "SessionSv1.GetActiveSessionsCount", {}),
        ok(
            node,
            "SessionSv1.TerminateSession",
            {"TerminateSession": True, "Event": event("c", CGRID=cgrid, Usage="75s")},
        ),
        ok(node, "SessionSv1.ProcessCDR", {"Event": event("c", CGRID=cgrid)}),
        sorted((cdr["RunID"], cdr["Cost"]) for cdr in ok(node, "CDRsV1.GetCDRs", {})),
    ]


EXPECTED = [
    {"MaxUsage": 30 * S},
    {"MaxUsage": 60 * S},
    {"MaxUsage": 30 * S},
    2,
    "OK",
    "OK",
    [("*default", 0.75), ("reseller", 0.75)],
]


@pytest.mark.parametrize("workers", [1, 3])
def test_runs_of_two_owners_are_charged_alike_in_every_layout(workers: int) -> None:
    node, reseller = prepared(workers)
    assert a_call(node) == EXPECTED
    assert (money(node, RETAIL), money(node, reseller)) == (9.25, 0.25)


@pytest.mark.parametrize("first", range(0, 90, 3))
def test_a_crash_at_any_event_changes_nothing(first: int) -> None:
    node, reseller = prepared(3, (first, first + 11))
    assert a_call(node) == EXPECTED
    assert (money(node, RETAIL), money(node, reseller)) == (9.25, 0.25)


@pytest.mark.parametrize("request_type", ["*prepaid", "*dynaprepaid"])
def test_the_record_of_a_session_costs_what_the_session_has_debited(request_type: str) -> None:
    """30.16: a `*dynaprepaid` session is not paid a second time by its CDR."""
    node, reseller = prepared(1)
    call = event("c", RequestType=request_type, Usage="60s")
    ok(node, "SessionSv1.InitiateSession", {"InitSession": True, "Event": call})
    ok(node, "SessionSv1.TerminateSession", {"TerminateSession": True, "Event": {**call, "Usage": "40s"}})
    balances = money(node, RETAIL), money(node, reseller)
    assert balances == (9.6, 0.6)
    ok(node, "SessionSv1.ProcessCDR", {"Event": call})
    assert (money(node, RETAIL), money(node, reseller)) == balances
    assert [cdr["Cost"] for cdr in ok(node, "CDRsV1.GetCDRs", {})] == [0.4, 0.4]


def test_two_requests_of_one_session_at_once_are_charged_one_after_the_other() -> None:
    node, reseller = prepared(3)
    ok(node, "SessionSv1.InitiateSession", {"InitSession": True, "Event": event("c", Usage="10s")})
    update = {"UpdateSession": True, "Event": event("c", Usage="10s")}
    uids = [node.send("SessionSv1.UpdateSession", update) for _ in range(3)]
    assert [node.wait(uid)["result"] for uid in uids] == [{"MaxUsage": 10 * S}] * 3
    assert (money(node, RETAIL), money(node, reseller)) == (9.6, 0.6)


def test_two_initiates_at_once_make_one_session() -> None:
    node, _ = prepared(3)
    start = {"InitSession": True, "Event": event("c", Usage="10s")}
    uids = [node.send("SessionSv1.InitiateSession", start) for _ in range(2)]
    answers = [node.wait(uid) for uid in uids]
    assert sorted(str(answer["error"]) for answer in answers) == ["EXISTS", "None"]
    assert money(node, RETAIL) == 9.9


def test_a_usage_below_zero_is_authorized_as_it_is_whatever_the_rates_say() -> None:
    node, _ = prepared(1)
    asked = event("c", Destination="1", Usage=-5)
    assert ok(node, "SessionSv1.AuthorizeEvent", {"GetMaxUsage": True, "Event": asked}) == {"MaxUsage": -5}
    unknown = {"GetMaxUsage": True, "Event": {**asked, "Account": "nobody"}}
    assert node.call("SessionSv1.AuthorizeEvent", unknown)["error"] == "RALS_ERROR:ACCOUNT_NOT_FOUND"


def test_a_message_whose_usage_cannot_be_read_leaves_a_record_of_nothing() -> None:
    """30.7: a message that fails is ended with usage 0, and is found by its record."""
    node, _ = prepared(3)
    broken = {"Debit": True, "Event": event("m", Usage="ten minutes")}
    answer = node.call("SessionSv1.ProcessMessage", broken)
    assert answer["error"] == 'RALS_ERROR:time: invalid duration "ten minutes"'
    ok(node, "SessionSv1.ProcessCDR", {"Event": event("m", Usage="5s")})
    assert [(cdr["Usage"], cdr["Cost"]) for cdr in ok(node, "CDRsV1.GetCDRs", {})] == [(0, 0), (0, 0)]


@pytest.mark.parametrize(("limit", "found"), [(-1, 4), (0, 4), (None, 4), (3, 3)])
def test_only_a_limit_above_zero_limits_a_list(limit: int | None, found: int) -> None:
    node, _ = prepared(3)
    for origin_id in ("a", "b"):
        ok(node, "SessionSv1.InitiateSession", {"InitSession": True, "Event": event(origin_id, Usage="1s")})
    assert len(ok(node, "SessionSv1.GetActiveSessions", {"Limit": limit})) == found
    assert ok(node, "SessionSv1.GetActiveSessionsCount", {"Limit": limit}) == 4


def test_whole_numbers_are_written_without_a_fraction() -> None:
    """01 §5: the shortest form."""
    node, _ = prepared(1)
    asked = event("c", Usage="100s", RequestType="*rated")
    digest = ok(node, "SessionSv1.AuthorizeEventWithDigest", {"GetMaxUsage": True, "Event": asked})
    priced = ok(node, "SessionSv1.ProcessEvent", {"Flags": ["*rals:*cost"], "Event": asked})
    ok(node, "SessionSv1.InitiateSession", {"InitSession": True, "Event": event("c", Usage="100s")})
    listed = ok(node, "SessionSv1.GetActiveSessions", {})[0]
    assert [repr(n) for n in (digest["MaxUsage"], priced["Cost"]["*raw"], listed["MaxCostSoFar"])] == ["100", "1", "1"]


def test_a_claim_of_another_home_is_taken_over_only_without_an_active_session() -> None:
    node, reseller = prepared(3)
    ok(node, "SessionSv1.InitiateSession", {"InitSession": True, "Event": event("c", Usage="10s")})
    moved = {"InitSession": True, "Event": event("c", Account=reseller, Usage="10s")}
    assert node.call("SessionSv1.InitiateSession", moved)["error"] == "EXISTS"
    ok(node, "SessionSv1.TerminateSession", {"TerminateSession": True, "Event": event("c", Usage="10s")})
    ok(node, "SessionSv1.InitiateSession", moved)
    assert ok(node, "SessionSv1.GetActiveSessionsCount", {}) == 2


def test_a_closed_session_and_its_claim_are_forgotten_after_ten_seconds() -> None:
    node, _ = prepared(3)
    ok(node, "SessionSv1.InitiateSession", {"InitSession": True, "Event": event("c", Usage="10s")})
    ok(node, "SessionSv1.TerminateSession", {"TerminateSession": True, "Event": event("c", Usage="10s")})
    node.advance(11 * S)
    kinds = [
        kind
        for worker in node.workers
        for shard in worker.engine.shards.values()
        for kind in ("session", "closed_session", "claim", "timer")
        for _ in shard.items(kind)
    ]
    assert kinds == []


@pytest.mark.parametrize("workers", [1, 3])
def test_automatic_debits_of_two_owners_until_the_money_of_one_ends(workers: int) -> None:
    node, reseller = prepared(workers)
    start = event("c", Usage="30s")
    opts = {"*sessionsDebitInterval": "40s"}
    granted = ok(node, "SessionSv1.InitiateSession", {"InitSession": True, "Event": start, "APIOpts": opts})
    assert granted == {"MaxUsage": -1}
    node.advance(85 * S)
    assert (money(node, RETAIL), money(node, reseller)) == (8.8, 0.0)
    node.advance(20 * S)
    assert ok(node, "SessionSv1.GetActiveSessionsCount", {}) == 0
    assert sorted((c["RunID"], c["Cost"]) for c in ok(node, "CDRsV1.GetCDRs", {})) == [
        ("*default", 1.2),
        ("reseller", 1.0),
    ]


@pytest.mark.parametrize("crash", range(0, 24, 2))
def test_a_session_that_times_out_is_charged_once(crash: int) -> None:
    node, reseller = prepared(3)
    opts = {"*sessionsTTL": "5s"}
    ok(node, "SessionSv1.InitiateSession", {"InitSession": True, "Event": event("c", Usage="30s"), "APIOpts": opts})
    node.crash_at = {node.events + crash}
    node.advance(30 * S)
    assert ok(node, "SessionSv1.GetActiveSessionsCount", {}) == 0
    assert (money(node, RETAIL), money(node, reseller)) == (9.65, 0.65)
    assert len(ok(node, "CDRsV1.GetCDRs", {})) == 2
