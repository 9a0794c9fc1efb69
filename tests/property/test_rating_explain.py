"""An explanation says what the price is made of, for any tariff: its parts add up to what is charged (docs/explain.md)."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from cgr_cluster.events.instant import Instant
from cgr_cluster.rating.answers import event_cost_json, money
from cgr_cluster.rating.call_cost import call_cost
from cgr_cluster.rating.event_cost import event_cost_of
from cgr_cluster.rating.explain import RATED, explain
from cgr_cluster.rating.types import CallDescriptor, Rating, Timing
from cgr_cluster.rpc.errors import ApiError
from tests.property.test_rating_prices import ratings, starts, usages_ns
from tests.unit.rating_world import ANY_TIME, World

tried = settings(deadline=None, max_examples=150)
timings = st.sampled_from(
    [
        ANY_TIME,
        Timing("EVENING", start_time="18:00:00"),
        Timing("WEEKEND", week_days=(0, 6), start_time="00:00:00"),
        Timing("MORNING", week_days=(1, 2, 3, 4, 5), start_time="08:00:00"),
    ]
)
capped = st.builds(
    lambda rating, cap, strategy: Rating(
        rating.connect_fee, rating.rounding_method, rating.rounding_decimals, cap, strategy, rating.slots
    ),
    ratings(),
    st.sampled_from([0.0, 0.5, 20.0]),
    st.sampled_from(["", "*free", "*disconnect"]),
)
rows = st.lists(
    st.tuples(st.sampled_from(["NO", "NO_MOB", "*any"]), timings, capped, st.sampled_from([0.0, 10.0, 20.0])),
    min_size=1,
    max_size=5,
)
activations = st.lists(
    st.tuples(
        st.sampled_from(["2020-01-01T00:00:00Z", "2024-06-01T00:00:00Z", "2025-11-01T12:00:00Z"]),
        st.sampled_from(["A", "B", "GONE"]),
        st.sampled_from(["", "fb", "fb;*any", "other"]),
    ),
    min_size=1,
    max_size=3,
)


def world(plan_a: Any, plan_b: Any, profiles: dict[str, Any]) -> World:
    made = World().destination("NO", "47").destination("NO_MOB", "472", "47").plan("A", *plan_a).plan("B", *plan_b)
    for subject, rows_of in profiles.items():
        made.profile(subject, *rows_of)
    return made


@tried
@given(
    rows, rows, st.dictionaries(st.sampled_from(["1001", "*any", "fb"]), activations), starts, usages_ns,
    st.sampled_from(["*voice", "", "*data"]), st.sampled_from(["4722", "4799", "33"]),
)  # fmt: skip
def test_an_explanation_adds_up_to_the_price(
    plan_a: Any, plan_b: Any, profiles: dict[str, Any], start: Instant, usage: int, tor: str, number: str
) -> None:
    generation = world(plan_a, plan_b, profiles).generation()
    descriptor = CallDescriptor("cgrates.org", "call", "1001", "1001", number, tor, start, start.plus(usage))
    explained = explain(generation, descriptor)
    try:
        cost = call_cost(generation, descriptor)
    except ApiError as error:
        assert (explained["Result"], explained["Cost"]) == (error.text, None)
        assert explained["Reason"]
        return
    event_cost = event_cost_json(event_cost_of(cost))
    assert explained["Result"] == RATED
    assert explained["Cost"] == explained["Total"]["EventCost"] == event_cost["Cost"]
    assert explained["Total"]["CallCost"] == money(cost.cost_nano)
    spans = explained["Spans"]
    charges = explained["Charges"]
    assert sum(charge["CompressFactor"] for charge in charges) == len(spans)
    assert spans[0]["StartTime"] == event_cost["StartTime"]
    assert sum(span["Increment"] * span["Increments"] for span in spans) == event_cost["Usage"]
    parts = explained["Total"]["ConnectFee"] + sum(span["Cost"] for span in spans)
    assert abs(parts - event_cost["Cost"]) < 1e-9 * max(1.0, parts) + 1e-5 * len(spans)
    assert [span["EndTime"] for span in spans[:-1]] == [span["StartTime"] for span in spans[1:]]
    assert all(any(c["Binding"] == span["Binding"] for c in span["Candidates"]) for span in spans)
    match = explained["Match"]
    first = (cost.timespans or [])[0]
    assert (match["RatingPlanID"], match["Prefix"], match["DestinationID"], match["Profile"]) == (
        first.rating_plan_id, first.matched_prefix, first.matched_dest_id, first.matched_subject,
    )  # fmt: skip
