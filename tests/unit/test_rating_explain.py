"""Explanations of prices: what an operator reads (docs/explain.md)."""

from __future__ import annotations

from typing import Any

import pytest

from cgr_cluster.cli.explain import text_of
from cgr_cluster.node.node import Node
from cgr_cluster.rating.explain import explain
from cgr_cluster.rating.types import CallDescriptor, Timing
from tests.unit.rating_world import ANY_TIME, LONG_AGO, World, call, one_rate, rates
from tests.unit.test_rating_lookup import GENERATION

EVENING = Timing("EVENING", start_time="18:00:00")


@pytest.mark.parametrize(
    ("descriptor", "lines"),
    [
        (call(90, subject="silver", destination="34911"), ["Cost 14", "(fallback):", "missing (fallback): no such"]),
        (call(60, subject="gone"), ["Not rated: UNAUTHORIZED_DESTINATION: plan RP_GONE", "plan does not exist"]),
        (call(60, category="sms"), ["RATING_PLAN_NOT_FOUND: there is no rating profile *out:cgrates.org:sms:1001 nor"]),
        (call(60, subject="chain1", destination="34"), ["rals.fallback_depth is 3: no further fallback"]),
        (call(60, subject="late", start="2025-01-01T00:00:00Z"), ["RP_DEFAULT: begins after the call"]),
        (
            call(60, destination="474"),
            ["prefix 474 of NO_MOB: no timing active at the start", "prefix 47 of NO: match"],
        ),
        (call(60, start="2025-03-04T19:00:00Z", destination="474"), ["prefix 474 of NO_MOB: match"]),
        (call(60, destination="88169"), ["prefix 8816 of SAT_B: match"]),
        (call(60, destination="111", subject="default"), ["*any: the plan's rates for all other destinations"]),
        (call(200 * 3600), ["Not rated: MAX_USAGE_EXCEEDED: the usage of 200h0m0s"]),
        (call(0), ["no usage: nothing is priced"]),
    ],
    ids=lambda value: value.destination if isinstance(value, CallDescriptor) else "",
)
def test_what_is_told(descriptor: CallDescriptor, lines: list[str]) -> None:
    text = "\n".join(text_of(explain(GENERATION, descriptor)))
    for line in lines:
        assert line in text, text


def test_slots_fee_cap_and_rounding_of_the_worked_example() -> None:
    """10 §7.3: 365s under three slots."""
    rating = rates((0.6, "60s", "30s", "0s"), (0.4, "60s", "10s", "60s"), (0.2, "60s", "1s", "300s"), fee=0.1)
    told = explain(one_rate(rating), call(365))
    assert [span["CutBy"] for span in told["Spans"]] == ["next rate slot", "next rate slot", "end of the call"]
    assert [span["Cost"] for span in told["Spans"]] == [0.6, 1.60008, 0.21645]
    assert told["Spans"][1]["Rounding"][1] == {
        "What": "divided by increments", "Unrounded": 1.6 / 24, "Rounded": 0.06667,
    }  # fmt: skip
    assert told["Total"] == {
        "ConnectFee": 0.1, "EventCost": 2.51653, "BeforeRounding": 2.51653, "RoundingMethod": "*up", "RoundingDecimals": 4,
        "CallCost": 2.5166,
    }  # fmt: skip


def test_timings_that_compete_and_one_that_begins_during_the_call() -> None:
    world = World().destination("NO", "47")
    world.plan(
        "RP",
        ("NO", EVENING, rates((2, "60s", "1s", "0s")), 20.0),
        ("NO", ANY_TIME, rates((1, "60s", "1s", "0s")), 10.0),
    )
    told = explain(world.profile("*any", (LONG_AGO, "RP", "")).generation(), call(120, start="2025-03-04T17:59:00Z"))
    first, second = told["Spans"]
    assert (first["Binding"], first["CutBy"], second["Binding"]) == (1, "timing", 0)
    assert [c["Outcome"] for c in first["Candidates"]] == ["chosen", "begins later in this piece"]


def test_a_fee_counts_once_for_each_of_merged_spans() -> None:
    told = explain(one_rate(rates((0.02, "60s", "1s", "0s"), fee=0.05)), call(120, start="2025-03-04T23:59:00Z"))
    assert told["Total"]["ConnectFee"] == 0.1
    assert "  connect fee 0.1 (once for each of 2 equal spans)" in list(text_of(told))


def test_over_the_api_with_the_balances_of_an_account() -> None:
    node = Node()

    def ok(method: str, params: Any) -> Any:
        answer = node.call(f"APIerSv1.{method}", params)
        assert answer["error"] is None, answer
        return answer["result"]

    for method, params in [
        ("SetTPDestination", {"ID": "NO", "Prefixes": ["47"]}),
        ("SetTPRate", {"ID": "RT", "RateSlots": [{"Rate": 0.6, "RateUnit": "60s", "RateIncrement": "60s"}]}),
        ("SetTPDestinationRate", {"ID": "DR", "DestinationRates": [{"DestinationId": "NO", "RateId": "RT"}]}),
        ("SetTPRatingPlan", {"ID": "RP", "RatingPlanBindings": [{"DestinationRatesId": "DR", "TimingId": "*any"}]}),
        ("SetTPRatingProfile", {"LoadId": "L", "Category": "call", "Subject": "cheap",
                                "RatingPlanActivations": [{"RatingPlanId": "RP"}]}),
        ("LoadTariffPlanFromStorDb", {}),
    ]:  # fmt: skip
        ok(method, {"TPid": "TP", **params})
    ok(
        "SetBalance",
        {"Account": "1001", "BalanceType": "*monetary", "Value": 10, "Balance": {"ID": "M", "RatingSubject": "cheap"}},
    )
    ok("SetBalance", {"Account": "1001", "BalanceType": "*voice", "Value": 60_000_000_000, "Balance": {"ID": "V"}})
    call_of = {"Destination": "4722", "Usage": "90s", "AnswerTime": "2025-03-04T10:00:00Z"}
    told = ok("ExplainCost", {**call_of, "account": "1001", "subject": None})
    assert (told["Result"], told["Cost"]) == ("RATING_PLAN_NOT_FOUND", None)
    unit, money = told["Balances"]
    assert (unit["ID"], unit["RatedBy"], unit["FreeIncrement"]) == ("V", "free", 1_000_000_000)
    assert (money["ID"], money["RatedBy"], money["Rates"]["Cost"]) == ("M", "own rates", 1.2)
    assert (
        ok("ExplainCost", {**call_of, "Subject": "cheap"})["Cost"]
        == ok("GetCost", {**call_of, "Subject": "cheap"})["Cost"]
    )
    assert ok("ExplainCost", {**call_of, "Account": "nobody"})["AccountFound"] is False
    assert node.call("APIerSv1.ExplainCost", {"Usage": "long"})["error"] == 'time: invalid duration "long"'
