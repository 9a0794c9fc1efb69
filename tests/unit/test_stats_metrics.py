"""The metrics as tables: what each takes from an event and how it reads (spec chapter 60, section 1.5)."""

from __future__ import annotations

from typing import Any

import pytest

from cgr_cluster.events.durations import Duration
from cgr_cluster.events.instant import ZERO, Instant
from cgr_cluster.node.node import Node
from cgr_cluster.stats.metrics import BASES, rounded, rounded_ns
from tests.calls import ok

S = 10**9
NA = "N/A"


@pytest.fixture(scope="module")
def node() -> Node:
    return Node(1)


def measured(node: Node, metric: str, *events: dict[str, Any], **profile: Any) -> tuple[str, float]:
    """What the metric reads after these events, as text and as number; events with `id` have it as their ID."""
    ok(node, "APIerSv1.SetStatQueueProfile", ID="Q", Metrics=[{"MetricID": metric}], **{"TTL": -1, **profile})
    for number, event in enumerate(events):
        fields = {name: value for name, value in event.items() if name != "id"}
        assert ok(node, "StatSv1.ProcessEvent", ID=event.get("id", f"e{number}"), Event=fields) == ["Q"]
    text = ok(node, "StatSv1.GetQueueStringMetrics", ID="Q")[metric]
    number = ok(node, "StatSv1.GetQueueFloatMetrics", ID="Q")[metric]
    ok(node, "APIerSv1.RemoveStatQueueProfile", ID="Q")
    return text, number


def of(field: str, *values: Any) -> list[dict[str, Any]]:
    return [{field: value} for value in values]


ANSWERED = "2026-03-01T10:00:05Z"
CASES: list[tuple[str, list[dict[str, Any]], str, float]] = [
    ("*asr", of("AnswerTime", ANSWERED, "", "0001-01-01T00:00:00Z"), "33.33333%", 33.33333),
    ("*asr", [{}], "0%", 0),
    ("*asr", of("AnswerTime", 5, "soon", None, True), NA, -1),
    ("*asr", of("AnswerTime", ANSWERED, "1772359205", "2026-03-01 10:00:05"), "100%", 100),
    ("*acd", of("Usage", "10s", "11s", 11 * S, "12000000000"), "11s", 11 * S),
    ("*acd", of("Usage", "1s", "2s", "2s"), "1.66667s", 1666670000),
    ("*acd", [*of("Usage", "abc", [1]), {}], NA, -1),
    ("*tcd", of("Usage", "23h", "3h3m4s"), "26h3m4s", 93784 * S),
    ("*tcd", of("Usage", 0), "0s", 0),
    ("*tcd", of("Usage", 4999), "0s", 0),
    ("*tcd", of("Usage", 5000), "10µs", 10000),
    ("*tcd", of("Usage", "800ms"), "800ms", 800_000_000),
    ("*acc", of("Cost", 0.1, "0.2", 1), "0.43333", 0.43333),
    ("*acc", of("Cost", -1, "x", None, True), NA, -1),
    ("*tcc", of("Cost", 0.1, 0.2), "0.3", 0.3),
    ("*tcc", of("Cost", 1e12), "1000000000000", 1e12),
    ("*tcc", of("Cost", 0.000005), "0.00001", 0.00001),
    ("*pdd", of("PDD", "1500ms", "4s"), "2.75s", 2_750_000_000),
    ("*ddc", of("Destination", "+49", "+44", "+49", 49), "3", 3),
    ("*ddc", of("Other", 1), NA, -1),
    ("*sum#1", [{}, {}], "2", 2),
    ("*sum#2.5", [{}, {}], "5", 5),
    ("*sum#~*req.B", of("B", 1, "2.5", "10s", -4), "9999999999.5", 9999999999.5),
    ("*sum#~*req.B", of("B", "many", True, [1], {}), "0", 0),
    ("*sum#~*req.A;~*req.B", [{"A": 1, "B": 2}, {"A": 1}], "12", 12),
    ("*sum#~*req.U{*duration_seconds}", of("U", "90s"), "90", 90),
    ("*sum#~*opts.*x", [{}], "0", 0),
    ("*sum", [{}], "0", 0),
    ("*sum#", [{}], "0", 0),
    ("*sum#x", [{}], "0", 0),
    ("*average#~*req.B", of("B", 1000, "2500.5", 1), "1167.16667", 1167.16667),
    ("*average#~*req.B", of("B", -1, 0.00001), "-0.5", -0.5),
    ("*average#~*req.B", of("B", -0.000005), "-0.00001", -0.00001),
    ("*average#~*req.N.B", [{"N": {"B": 4}}], "4", 4),
    ("*average#~*req.B{*round:0}", of("B", 1), NA, -1),  # a plain path: no such field
    ("*average#2", [{}], "2", 2),
    ("*average", of("B", 1), NA, -1),
    ("*distinct#~*req.C", of("C", "a", "b", "a", 1, "1"), "3", 3),
    ("*distinct#C", of("C", "a"), NA, -1),
    ("*distinct#~*opts.C", of("C", "a"), NA, -1),
    ("*highest#~*req.D", of("D", 12.5, 40, "7"), "40", 40),
    ("*highest#~*req.D", of("D", -5), "0", 0),
    ("*lowest#~*req.D", of("D", 12.5, 40, "7"), "7", 7),
    ("*lowest#~*req.D", of("D", -5), "-5", -5),
    ("*highest#~*req.D", [{"id": "x", "D": 9}, {"id": "x", "D": 3}], "3", 3),
    ("*repsc", of("ReplyState", "OK", "ERR_A", "OK"), "2", 2),
    ("*repfc", of("ReplyState", "OK", "ERR_A", "ERR_B;ERR_A"), "2", 2),
    ("*repfc#ERR_A", of("ReplyState", "OK", "ERR_A", "ERR_B;ERR_A", "ERR_AB"), "2", 2),
    ("*repsc", [{"id": "x", "ReplyState": "OK"}] * 2, "1", 1),
    ("*repsc", [{}], NA, -1),
]  # fmt: skip


@pytest.mark.parametrize(("metric", "events", "text", "number"), CASES)
def test_value(node: Node, metric: str, events: list[dict[str, Any]], text: str, number: float) -> None:
    assert measured(node, metric, *events) == (text, number)


@pytest.mark.parametrize(
    ("metric", "field", "before", "after"),
    [("*tcc", "Cost", NA, "3"), ("*sum#~*req.Cost", "Cost", NA, "3"), ("*ddc", "Cost", NA, NA)],
)
def test_fewer_events_than_min_items(node: Node, metric: str, field: str, before: str, after: str) -> None:
    assert measured(node, metric, *of(field, 1), MinItems=2)[0] == before
    assert measured(node, metric, *of(field, 1, 2), MinItems=2)[0] == after


def test_the_sum_of_nothing_that_needs_events(node: Node) -> None:
    assert measured(node, "*sum#1", MinItems=1) == (NA, -1)
    assert measured(node, "*sum#1") == ("0", 0)


def test_negative_values_leave_an_average(node: Node) -> None:
    assert measured(node, "*average#~*req.B", *of("B", -5, 3, 3), QueueLength=2) == ("3", 3)


def test_the_greatest_value_leaves_with_its_item(node: Node) -> None:
    assert measured(node, "*highest#~*req.B", *of("B", 9, 3, 4), QueueLength=2) == ("4", 4)
    assert measured(node, "*lowest#~*req.B", *of("B", 1, 3, 4), QueueLength=2) == ("3", 3)


COUNTER = {"QueueLength": -1, "TTL": -1}


@pytest.mark.parametrize(
    ("metric", "events", "text"),
    [
        ("*sum#1", [{"id": "x"}] * 3, "3"),
        ("*ddc", of("Destination", "1", "2", "1"), "2"),
        ("*distinct#~*req.C", of("C", "a", "a"), "1"),
        ("*asr", [{"id": "x", "AnswerTime": ANSWERED}, {"id": "x"}], "50%"),
        ("*highest#~*req.D", [{"id": "x", "D": 9}, {"id": "x", "D": 3}], "9"),
        ("*repsc", [{"id": "x", "ReplyState": "OK"}] * 2, "2"),
    ],
)
def test_counter_only(node: Node, metric: str, events: list[dict[str, Any]], text: str) -> None:
    assert measured(node, metric, *events, **COUNTER)[0] == text


@pytest.mark.parametrize(
    ("value", "decimals", "expected"),
    [(0.5, 0, 1), (-0.5, 0, -1), (-0.4, 0, 0), (2.345675, 5, 2.34568), (1e300, 5, 1e300)],
)
def test_rounding(value: float, decimals: int, expected: float) -> None:
    assert rounded(value, decimals) == expected


@pytest.mark.parametrize(
    ("ns", "decimals", "expected"),
    [(4999, 5, 0), (5000, 5, 10000), (-5000, 5, -10000), (15, 9, 15), (1499 * 10**6, 0, S)],
)
def test_rounding_of_durations(ns: int, decimals: int, expected: int) -> None:
    assert rounded_ns(ns, decimals) == expected


def test_values_with_types_of_their_own(node: Node) -> None:
    """CDRs come with times and durations that are no texts."""

    def read(name: str, **fields: Any) -> Any:
        class Fields:
            event, now_ns, zone = fields, 0, "UTC"

        return BASES[name].reader("")(Fields())  # type: ignore[arg-type]  # what the reader looks at

    assert read("*asr", AnswerTime=Instant.of(S)) == 1
    assert read("*asr", AnswerTime=ZERO) == 0
    assert read("*tcd", Usage=Duration(5 * S)) == 5 * S
