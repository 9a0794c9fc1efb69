"""Prices of spans and totals of calls (spec 10 §1.4, §5, §6)."""

from __future__ import annotations

import pytest

from cgr_cluster.rating.answers import money
from cgr_cluster.rating.call_cost import call_cost
from cgr_cluster.rating.event_cost import cost_nano, event_cost_of, usage_ns
from cgr_cluster.rating.rate import rate
from cgr_cluster.rating.rounding import round_amount, round_nano
from cgr_cluster.rating.types import Rating
from cgr_cluster.rpc.errors import ApiError
from tests.unit.rating_world import ANY_TIME, LONG_AGO, World, call, one_rate, per_minute, rates

THREE_SLOTS = rates((0.6, "60s", "30s", "0s"), (0.4, "60s", "10s", "60s"), (0.2, "60s", "1s", "5m"), fee=0.1)


@pytest.mark.parametrize(
    ("x", "decimals", "method", "rounded"),
    [
        (0.123456, 4, "*up", 0.1235),
        (0.12, 4, "*up", 0.12),
        (0.1200000000001, 4, "*up", 0.12),  # below 10^-7 of the last decimal: noise
        (0.120001, 4, "*up", 0.1201),
        (0.12345, 4, "*middle", 0.1235),
        (0.12344, 4, "*middle", 0.1234),
        (0.12349, 4, "*down", 0.1234),
        (2.51653, 0, "*up", 3.0),
        (2.51653, 400, "*up", 2.51653),
        (0.123456, 4, "", 0.123456),
        (-0.12345, 4, "*middle", -0.1235),  # the fraction keeps its sign: always to the lower neighbour
        (-0.12341, 4, "*up", -0.1235),
    ],
)
def test_rounding_function(x: float, decimals: int, method: str, rounded: float) -> None:
    assert round_amount(x, decimals, method) == rounded


def test_rounding_of_integer_money() -> None:
    assert round_nano(70_700_000, 0, "*up") == 1_000_000_000
    assert round_nano(35_010_000, 2, "*up") == 40_000_000
    assert round_nano(35_010_000, 2, "none") == 35_010_000


@pytest.mark.parametrize(
    ("seconds", "spans", "event_cost", "total"),
    [
        # the worked example of 10 §7.3
        (365, [(60, 2, 0.3), (300, 24, 0.06667), (365, 65, 0.00333)], 2.51653, 2.5166),
        (61, [(60, 2, 0.3), (70, 1, 0.06667)], 0.76667, 0.7667),
        (60, [(60, 2, 0.3)], 0.7, 0.7),
        (1, [(30, 1, 0.3)], 0.4, 0.4),
    ],
)
def test_rate_slots(seconds: int, spans: list[tuple[int, int, float]], event_cost: float, total: float) -> None:
    generation = one_rate(THREE_SLOTS)
    made = rate(generation, call(seconds))
    assert [
        (span.duration_index_ns // 10**9, span.increments[0].compress_factor, money(span.increments[0].cost_nano))
        for span in made
    ] == spans
    cost = call_cost(generation, call(seconds))
    assert money(cost.cost_nano) == total
    details = event_cost_of(cost)
    assert money(cost_nano(details)) == event_cost
    assert usage_ns(details) == spans[-1][0] * 10**9 == cost.rated_usage_ns


@pytest.mark.parametrize(
    ("rating", "seconds", "cost_of_one"),
    [
        (per_minute(0.02), 1, 0.00033),
        (per_minute(0.02), 2, 0.00034),  # r5(r5(0.000667) / 2)
        (per_minute(0.02), 60, 0.00033),
        (per_minute(0.0002), 60, 0.0),  # below 0.000005 an increment
        (rates((0.6, "", "", "0s")), 3, 0.6),  # missing unit and increment act as one second
        (per_minute(0.19, "6s"), 60, 0.019),
    ],
)
def test_price_of_an_increment(rating: Rating, seconds: int, cost_of_one: float) -> None:
    (span,) = rate(one_rate(rating), call(seconds))
    assert money(span.increments[0].cost_nano) == cost_of_one
    assert span.cost_nano == span.increments[0].cost_nano * span.increments[0].compress_factor


def test_any_number_of_increments_is_priced() -> None:
    generation = one_rate(rates((2.0, "1073741824", "1", "0s")))
    (span,) = rate(generation, call(usage_ns=100 * 10**9, tor="*data"))
    assert span.increments[0].compress_factor == 100 * 10**9


@pytest.mark.parametrize(
    ("usage_ns", "index_ns", "expected"),
    [
        (30, 0, [(30, 0.3)]),
        (60, 120, [(120, 0.06667)]),  # the second minute
        (60, 330, [(300, 0.06667), (330, 0.00333)]),
        (120, 10, [(60, 0.3), (120, 0.06667)]),  # raised to the usage
    ],
)
def test_duration_index_places_a_segment_in_the_slots(
    usage_ns: int, index_ns: int, expected: list[tuple[int, float]]
) -> None:
    spans = rate(one_rate(THREE_SLOTS), call(usage_ns, duration_index_ns=index_ns * 10**9))
    assert [(s.duration_index_ns // 10**9, money(s.increments[0].cost_nano)) for s in spans] == expected


def test_connect_fee_only_in_the_first_segment() -> None:
    generation = one_rate(per_minute(0.6, fee=0.1))
    assert money(call_cost(generation, call(60)).cost_nano) == 0.7
    assert money(call_cost(generation, call(60, loop_index=1)).cost_nano) == 0.6
    free_fee = call_cost(one_rate(per_minute(0.6)), call(60)).timespans
    assert free_fee is not None
    assert [(i.duration_ns, i.cost_nano) for i in free_fee[0].increments] == [(0, 0), (10**9, 10_000_000)]


@pytest.mark.parametrize(
    ("seconds", "factors", "total"),
    [
        (120, [2], 0.1396),  # two equal halves: one span, and the fee counts twice
        (180, [1, 1], 0.1094),
        (60, [1], 0.0698),  # ends exactly at midnight: no cut
    ],
)
def test_midnight_cut_and_compression(seconds: int, factors: list[int], total: float) -> None:
    cost = call_cost(one_rate(per_minute(0.02, fee=0.05)), call(seconds, "2025-03-04T23:59:00Z"))
    assert cost.timespans is not None
    assert [span.compress_factor for span in cost.timespans] == factors
    assert money(cost.cost_nano) == total


def test_no_midnight_cut_for_other_types() -> None:
    spans = rate(one_rate(per_minute(0.02)), call(180, "2025-03-04T23:59:00Z", tor="*data"))
    assert len(spans) == 1


@pytest.mark.parametrize(
    ("strategy", "seconds", "start", "fields", "total"),
    [
        ("*free", 228, "10:00:00", {}, 19.9993),
        ("*free", 229, "10:00:00", {}, 20),
        ("*free", 1200, "10:00:00", {}, 20),
        ("*free", 60, "10:00:00", {"loop_index": 1, "max_cost_so_far_nano": 18 * 10**9}, 20),
        ("*free", 210, "23:58:00", {}, 20),  # 11 + 7.5: the running total counts twice
        ("*disconnect", 600, "10:00:00", {}, 50.998),
    ],
)
def test_max_cost(strategy: str, seconds: int, start: str, fields: dict[str, int], total: float) -> None:
    generation = one_rate(per_minute(5, fee=1.0, max_cost=20.0, max_cost_strategy=strategy))
    assert money(call_cost(generation, call(seconds, f"2025-03-04T{start}Z", **fields)).cost_nano) == total


@pytest.mark.parametrize(
    ("decimals", "method", "total"),
    [(4, "*up", 0.0466), (4, "*down", 0.0465), (4, "*middle", 0.0466), (2, "*up", 0.05), (0, "*up", 0.04655)],
)
def test_rounding_of_the_total(decimals: int, method: str, total: float) -> None:
    rating = per_minute(0.399, "7s", rounding_decimals=decimals, rounding_method=method)
    assert money(call_cost(one_rate(rating), call(7)).cost_nano) == total


def test_usage_zero_is_never_an_error() -> None:
    generation = one_rate(per_minute(0.02))
    matched = call_cost(generation, call(0, tor=""))
    assert (matched.cost_nano, matched.tor, matched.rated_usage_ns) == (0, "", 0)
    assert matched.timespans is not None
    (span,) = matched.timespans
    assert (span.rate_interval, span.increments, span.compress_factor) == (None, [], 0)
    assert (span.matched_prefix, span.matched_dest_id, span.rating_plan_id) == ("47", "NO", "RP")
    assert call_cost(generation, call(0, destination="33")).timespans is None


def test_end_before_start_is_one_increment() -> None:
    cost = call_cost(one_rate(per_minute(0.02, fee=0.05)), call(-60))
    assert money(cost.cost_nano) == 0.0504
    assert cost.timespans is not None
    (span,) = cost.timespans
    assert (span.duration_ns, span.duration_index_ns) == (10**9, 61 * 10**9)


@pytest.mark.parametrize(
    ("tor", "usage_ns", "refused"),
    [
        ("*voice", 72 * 3600 * 10**9, False),
        ("*voice", 72 * 3600 * 10**9 + 1, True),
        ("", 73 * 3600 * 10**9, False),  # the limit of *any
        ("*sms", 10_001, True),
        ("*generic", 189 * 3600 * 10**9 + 1, True),
    ],
)
def test_maximum_usage(tor: str, usage_ns: int, refused: bool) -> None:
    generation = one_rate(per_minute(0.02))
    if refused:
        with pytest.raises(ApiError, match="MAX_USAGE_EXCEEDED"):
            call_cost(generation, call(usage_ns=usage_ns, tor=tor))
    else:
        assert call_cost(generation, call(usage_ns=usage_ns, tor=tor)).cost_nano > 0


def test_an_increment_swallows_what_lies_behind_a_cut() -> None:
    """A first slot of 90 s with increments of 60 s reaches into the second."""
    generation = one_rate(rates((0.6, "60s", "60s", "0s"), (0.3, "60s", "1s", "90s")))
    spans = rate(generation, call(150))
    assert [(s.duration_ns // 10**9, s.duration_index_ns // 10**9) for s in spans] == [(120, 120), (30, 150)]
    (only,) = rate(generation, call(100))
    assert only.duration_index_ns == 120 * 10**9


def test_rates_are_sorted_by_their_start() -> None:
    world = World().destination("NO", "47")
    rows = ((0.2, "60s", "1s", "5m"), (0.6, "60s", "30s", "0s"), (0.4, "60s", "10s", "60s"))
    world.plan("RP", ("NO", ANY_TIME, rates(*rows, fee=0.1), 10.0)).profile("*any", (LONG_AGO, "RP", ""))
    assert call_cost(world.generation(), call(365)) == call_cost(one_rate(THREE_SLOTS), call(365))
