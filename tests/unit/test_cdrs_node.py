"""Records on their way: guard, tails, store and queries together, on a whole node (spec 40 §3.3, §4; design 5)."""

from __future__ import annotations

from typing import Any

import pytest

from cgr_cluster.cdrs.seen import FULL, SMALL
from tests.unit.cdrs_world import StoreNode

MINUTES_11_NS = 11 * 60 * 10**9
NOT_RATED = ["*rals:false", "*chargers:false"]


def event(number: int, **fields: Any) -> dict[str, Any]:
    return {
        "OriginID": f"call-{number}", "OriginHost": "host", "RequestType": "*rated", "Account": f"10{number:02d}",
        "Destination": "49151", "AnswerTime": "2026-03-02T10:00:05Z", "Usage": "60s", **fields,
    }  # fmt: skip


def process(node: StoreNode, number: int, flags: list[str] | None = None, **fields: Any) -> Any:
    reply = node.call(
        "CDRsV1.ProcessEvent", {"Event": event(number, **fields), "Flags": NOT_RATED if flags is None else flags}
    )
    return reply["error"] or reply["result"]


def found(node: StoreNode, **filters: Any) -> list[dict[str, Any]]:
    return node.call("CDRsV1.GetCDRs", {"OrderBy": "OrderID", **filters})["result"] or []


def count(node: StoreNode, **filters: Any) -> int:
    result: int = node.call("CDRsV1.GetCDRsCount", filters)["result"]
    return result


@pytest.fixture(params=[1, 3])
def node(request: pytest.FixtureRequest) -> StoreNode:
    return StoreNode(request.param)


def test_queries_see_a_record_once_in_tail_or_store(node: StoreNode) -> None:
    for number in range(6):
        assert process(node, number) == "OK"
        if number % 2:
            node.store_all()
    before = found(node)

    assert [record["OriginID"] for record in before] == [f"call-{number}" for number in range(6)]
    assert count(node) == 6
    node.store_all()
    assert node.tail() == []
    assert found(node) == before
    assert [r["OriginID"] for r in found(node, Limit=2, Offset=3)] == ["call-3", "call-4"]


def test_a_cost_that_comes_with_the_event_is_taken_though_nothing_explains_it(node: StoreNode) -> None:
    """3.4 step 5: no account is asked, there is none."""
    flat = {"Usage": 60 * 10**9, "Cost": 0.5}
    assert process(node, 1, ["*chargers:false"], RequestType="*prepaid", CostDetails=flat) == "OK"
    assert process(node, 2, ["*chargers:false"], RequestType="*prepaid", CostDetails=flat, Usage="61s") == "OK"
    node.store_all()
    assert [(r["Cost"], r["ExtraInfo"]) for r in found(node)] == [(0.5, ""), (-1, "ACCOUNT_NOT_FOUND")]
    details = found(node)[0]["CostDetails"]
    assert (details["Usage"], details["Cost"], details["Charges"]) == (60 * 10**9, 0.5, [])


def test_a_query_between_store_and_acknowledgement_sees_no_double(node: StoreNode) -> None:
    """The store has committed, the tail does not know yet."""
    process(node, 1)
    tail_before = dict(node.disk)
    node.store_all()
    node.disk = tail_before
    for number in range(len(node.workers)):
        node.kill(number)

    assert len(node.tail()) == 1
    assert count(node) == 1
    assert len(found(node, Limit=5)) == 1


@pytest.mark.parametrize("stored", [False, True])
def test_removed_records_are_gone_before_the_store_knows(node: StoreNode, stored: bool) -> None:
    process(node, 1)
    process(node, 2)
    if stored:
        node.store_all()
    assert node.call("APIerSv1.RemoveCDRs", {"Accounts": ["1001"]})["result"] == "OK"
    assert (count(node), len(found(node))) == (1, 1)
    node.store_all()
    assert (count(node), len(found(node)), node.reader.count(())) == (1, 1, 1)
    assert node.tail() == []


def test_a_repeat_is_refused_for_ten_minutes_even_when_removed(node: StoreNode) -> None:
    process(node, 1)
    node.call("APIerSv1.RemoveCDRs", {})
    assert process(node, 1) == "EXISTS"
    node.advance(MINUTES_11_NS)
    assert process(node, 1) == "OK"
    assert count(node) == 1


@pytest.mark.parametrize("stored", [False, True])
@pytest.mark.parametrize("minutes", [0, 11, 60])
def test_a_record_exists_for_ever(node: StoreNode, stored: bool, minutes: int) -> None:
    """Also when the guard has forgotten the event, or is not asked."""
    process(node, 1)
    if stored:
        node.store_all()
    node.advance(minutes * 60 * 10**9)
    flags = NOT_RATED if minutes else [*NOT_RATED, "*reprocess"]
    assert process(node, 1, flags) == "EXISTS"
    assert process(node, 2, flags) == "OK"
    assert count(node) == 2


def test_an_event_without_a_run_makes_the_default_record(node: StoreNode) -> None:
    process(node, 1)
    assert process(node, 1, RunID="*default") == "EXISTS"


def test_guard_entries_become_fingerprints(node: StoreNode) -> None:
    for number in range(20):
        process(node, number)
    assert [key for _, key in node.disk if key.startswith("cdr_guard/")]
    node.advance(2 * MINUTES_11_NS)
    assert not [key for _, key in node.disk if key.startswith("cdr_guard/")]
    seen = sum(len(value) for (_, key), value in node.disk.items() if key.startswith("cdr_seen/0"))
    assert seen >= 20 * 4
    assert not [key for _, key in node.disk if key.startswith("timer/cdrs")]


def test_an_installation_that_lost_its_log_knows_what_the_store_holds() -> None:
    node = StoreNode()
    process(node, 1)
    node.store_all()
    again = StoreNode()
    again.reader, again.writer, again.outside = node.reader, node.writer, node.outside
    assert process(again, 1) == "EXISTS"
    assert process(again, 2) == "OK"


@pytest.mark.parametrize("stored", [False, True])
def test_a_replaced_record_moves_with_its_account(node: StoreNode, stored: bool) -> None:
    """*rerate with another account: the old version leaves its home's tail or the store, the new one has its own."""
    process(node, 1)
    (old,) = found(node)
    if stored:
        node.store_all()
    flags = ["*rerate", "*refund:false", "*rals:false", "*chargers:false"]
    assert process(node, 1, flags, Account="2001") == "OK"

    (new,) = found(node)
    assert (new["Account"], count(node)) == ("2001", 1)
    assert new["OrderID"] > old["OrderID"]
    node.store_all()
    assert (count(node), node.reader.count(()), node.tail()) == (1, 1, [])


def test_records_of_one_call_are_in_order_over_shards(node: StoreNode) -> None:
    events = [{"Event": event(number)} for number in (5, 3, 9, 1)]
    reply = node.call("CDRsV1.ProcessEvents", {"CGREvents": events, "Flags": NOT_RATED})
    assert reply["result"] == "OK"
    assert [record["OriginID"] for record in found(node)] == ["call-5", "call-3", "call-9", "call-1"]


def test_a_duplicate_in_a_batch_leaves_what_was_marked_before_it(node: StoreNode) -> None:
    process(node, 2)
    batch = {"CGREvents": [{"Event": event(1)}, {"Event": event(2)}], "Flags": NOT_RATED}
    assert node.call("CDRsV1.ProcessEvents", batch)["error"] == "EXISTS"
    assert process(node, 1) == "EXISTS"
    assert count(node) == 1


def test_kills_between_calls_change_nothing() -> None:
    node = StoreNode(3)
    for number in range(9):
        assert process(node, number) == "OK"
        node.kill(number % 3)
        if number % 4 == 3:
            node.store_all()
        node.kill((number + 1) % 3)
        assert count(node) == number + 1
        assert process(node, number) == "EXISTS"


def test_segments_are_bounded() -> None:
    assert SMALL < FULL


class CountingNode(StoreNode):
    logged = 0  # bytes

    def _commit(self, number: int) -> None:
        groups = self.workers[number].sealed
        self.logged += sum(len(value or b"") for group in groups for _, _, value in group.records)
        super()._commit(number)


def test_rating_records_again_logs_what_each_of_them_needs_and_not_all_of_them_each_time() -> None:
    logged = []
    for records in (10, 40):
        node = CountingNode(3)
        for number in range(records):
            assert process(node, number) == "OK"
        before = node.logged
        assert node.call("CDRsV1.RateCDRs", {"Flags": ["*store", "*rerate", "*chargers:false"]})["error"] is None
        logged.append(node.logged - before)
    few, many = logged
    assert many < 8 * few  # four times as much; the square of it would be sixteen times
