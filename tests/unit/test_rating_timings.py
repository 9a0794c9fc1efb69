"""Peak and off-peak: cutting a call under several timings (spec 10 §4)."""

from __future__ import annotations

import pytest

from cgr_cluster.engine.generation import Generation
from cgr_cluster.rating.answers import money
from cgr_cluster.rating.rate import rate
from cgr_cluster.rating.types import Rating, Timing
from cgr_cluster.rpc.errors import ApiError
from tests.unit.rating_world import ANY_TIME, LONG_AGO, World, call, one_rate, per_minute, rates

WORK = (1, 2, 3, 4, 5)
DAY = Timing("DAY", week_days=WORK, start_time="08:00:00")
EVENING = Timing("EVENING", week_days=WORK, start_time="20:00:00")
NIGHT = Timing("NIGHT", week_days=WORK, start_time="00:00:00")
WEEKEND = Timing("WEEKEND", week_days=(6, 0), start_time="00:00:00")
XMAS = Timing("XMAS", months=(12,), month_days=(25, 26), start_time="00:00:00")
LUNCH = Timing("LUNCH", start_time="12:00:00", end_time="14:00:00")

PEAK, EVE, LOW, FREE = per_minute(0.6), per_minute(0.3), per_minute(0.12), per_minute(0.06)
WEEK = one_rate(PEAK, (DAY, PEAK, 10.0), (EVENING, EVE, 10.0), (NIGHT, LOW, 10.0), (WEEKEND, FREE, 10.0), (XMAS, per_minute(0.01, "60s"), 20.0))  # fmt: skip

Parts = list[tuple[str, str, float]]


def parts(generation: Generation, start: str, seconds: int, **fields: object) -> Parts:
    """(end, timing, price of one increment) of each span."""
    out = []
    for span in rate(generation, call(seconds, start, **fields)):
        assert span.rate_interval is not None and span.rate_interval.timing is not None
        end = span.time_end
        local = (end.seconds + end.offset_s) % 86_400
        clock = f"{local // 3600:02d}:{local % 3600 // 60:02d}:{local % 60:02d}"
        out.append((clock, span.rate_interval.timing.id, money(span.increments[0].cost_nano)))
    return out


@pytest.mark.parametrize(
    ("start", "seconds", "expected"),
    [
        ("2025-03-04T10:00:00Z", 60, [("10:01:00", "DAY", 0.01)]),
        ("2025-03-04T19:55:00Z", 600, [("20:00:00", "DAY", 0.01), ("20:05:00", "EVENING", 0.005)]),
        ("2025-03-04T07:59:00Z", 120, [("08:00:00", "NIGHT", 0.002), ("08:01:00", "DAY", 0.01)]),
        ("2025-03-04T23:59:00Z", 120, [("00:00:00", "EVENING", 0.005), ("00:01:00", "NIGHT", 0.002)]),
        ("2025-03-07T23:58:00Z", 240, [("00:00:00", "EVENING", 0.005), ("00:02:00", "WEEKEND", 0.001)]),
        ("2025-03-09T23:58:00Z", 240, [("00:00:00", "WEEKEND", 0.001), ("00:02:00", "NIGHT", 0.002)]),
        (
            "2025-03-04T07:30:00Z",
            14 * 3600,
            [("08:00:00", "NIGHT", 0.002), ("20:00:00", "DAY", 0.01), ("21:30:00", "EVENING", 0.005)],
        ),
        ("2025-12-24T23:59:00Z", 120, [("00:00:00", "EVENING", 0.005), ("00:01:00", "XMAS", 0.01)]),
        ("2025-12-25T10:00:00Z", 120, [("10:02:00", "XMAS", 0.01)]),
        # read in the offset of the time: 20:30 in +01:00 is evening, though 19:30 UTC
        ("2025-03-04T20:30:00+01:00", 60, [("20:31:00", "EVENING", 0.005)]),
        ("2025-03-07T23:59:30-05:00", 60, [("00:00:00", "EVENING", 0.005), ("00:00:30", "WEEKEND", 0.001)]),
    ],
)
def test_borders_of_the_week(start: str, seconds: int, expected: Parts) -> None:
    assert parts(WEEK, start, seconds) == expected


def test_other_types_are_priced_by_the_timing_of_the_start() -> None:
    assert parts(WEEK, "2025-03-04T19:55:00Z", 600, tor="*data") == [("20:05:00", "DAY", 0.01)]


ALL, HALF = per_minute(0.18), per_minute(0.24)


@pytest.mark.parametrize(
    ("rows", "start", "seconds", "expected"),
    [
        # a heavier timing interrupts only if its row stands before
        (((LUNCH, HALF, 20.0), (ANY_TIME, ALL, 10.0)), "11:59:00", 120, [("12:00:00", "*any", 0.003), ("12:01:00", "LUNCH", 0.004)]),
        # the end of a timing is not copied into plans: it prices till midnight
        (((LUNCH, HALF, 20.0), (ANY_TIME, ALL, 10.0)), "15:00:00", 60, [("15:01:00", "LUNCH", 0.004)]),
        # a lighter timing never interrupts
        (((ANY_TIME, ALL, 20.0), (LUNCH, HALF, 10.0)), "11:59:00", 120, [("12:01:00", "*any", 0.003)]),
        # equal in all: the first stays
        (((ANY_TIME, ALL, 10.0), (ANY_TIME, HALF, 10.0)), "11:59:00", 60, [("12:00:00", "*any", 0.003)]),
        (((ANY_TIME, HALF, 10.0), (ANY_TIME, ALL, 10.0)), "11:59:00", 60, [("12:00:00", "*any", 0.004)]),
    ],
)  # fmt: skip
def test_weights_and_row_order(
    rows: tuple[tuple[Timing, Rating, float], ...], start: str, seconds: int, expected: Parts
) -> None:
    assert parts(one_rate(ALL, *rows), f"2025-03-04T{start}Z", seconds) == expected


def test_an_increment_swallows_a_timing_border() -> None:
    generation = one_rate(PEAK, (DAY, per_minute(0.6, "60s"), 10.0), (EVENING, EVE, 10.0))
    assert parts(generation, "2025-03-04T19:59:30Z", 30) == [("20:00:30", "DAY", 0.6)]
    assert parts(generation, "2025-03-04T19:59:30Z", 40) == [("20:00:30", "DAY", 0.6)]
    assert parts(generation, "2025-03-04T19:59:30Z", 90) == [("20:00:30", "DAY", 0.6), ("20:01:00", "EVENING", 0.005)]


def test_slots_follow_the_usage_of_the_call_through_timings() -> None:
    """The second timing's own slots are looked up at the usage of the whole call. Slots are cut before timings: a slot
    border inside a span hides a timing border before it (kept)."""
    two = rates((0.6, "60s", "1s", "0s"), (0.06, "60s", "1s", "120s"))
    generation = one_rate(PEAK, (DAY, two, 10.0), (EVENING, two, 10.0))
    assert parts(generation, "2025-03-04T19:57:30Z", 180) == [
        ("19:59:30", "DAY", 0.01),
        ("20:00:00", "DAY", 0.001),
        ("20:00:30", "EVENING", 0.001),
    ]
    assert parts(generation, "2025-03-04T19:59:00Z", 180) == [("20:01:00", "DAY", 0.01), ("20:02:00", "EVENING", 0.001)]


@pytest.mark.parametrize(
    ("start", "seconds"),
    [("2025-03-04T07:00:00Z", 60), ("2025-03-04T07:59:00Z", 120), ("2025-03-07T23:59:00Z", 120)],
)
def test_time_that_no_timing_covers_is_an_error(start: str, seconds: int) -> None:
    for destination in ("NO", "*any"):
        world = World().destination("NO", "47").plan("RP", (destination, DAY, PEAK, 10.0))
        generation = world.profile("*any", (LONG_AGO, "RP", "")).generation()
        with pytest.raises(ApiError, match="UNAUTHORIZED_DESTINATION"):
            rate(generation, call(seconds, start))


def test_uncovered_time_under_an_increment_is_none() -> None:
    generation = one_rate(PEAK, (DAY, per_minute(0.6, "60s"), 10.0))
    assert parts(generation, "2025-03-07T23:59:30Z", 45) == [("00:00:30", "DAY", 0.6)]


def test_more_bindings_than_are_sorted_by_insertion() -> None:
    hours = [(Timing(f"H{hour:02d}", start_time=f"{hour:02d}:00:00"), per_minute(hour), 10.0) for hour in range(24)]
    assert [part[1] for part in parts(one_rate(PEAK, *hours), "2025-03-04T09:59:00Z", 3700)] == ["H09", "H10", "H11"]
