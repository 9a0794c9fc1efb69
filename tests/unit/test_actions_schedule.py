"""Next run of action timings (spec 20 §6.1)."""

from __future__ import annotations

import pytest

from cgr_cluster.actions.schedule import next_run, predefined
from cgr_cluster.events.instant import Instant
from cgr_cluster.events.times import format_instant, parse_rfc3339
from cgr_cluster.rating.types import Timing


def run_after(timing: Timing, after: str, zone: str = "UTC") -> str | None:
    at = next_run(timing, parse_rfc3339(after).ns, zone)
    return None if at is None else format_instant(Instant.of(at))


@pytest.mark.parametrize(
    ("timing", "after", "expected"),
    [
        (Timing(), "2026-03-10T09:00:00Z", "2026-03-11T00:00:00Z"),  # empty start time: midnight
        (Timing(start_time="10:30:00"), "2026-03-10T09:00:00Z", "2026-03-10T10:30:00Z"),
        (Timing(start_time="09:00:00"), "2026-03-10T09:00:00Z", "2026-03-11T09:00:00Z"),  # strictly after
        (Timing(start_time="*:*:15"), "2026-03-10T23:59:20Z", "2026-03-11T00:00:15Z"),
        (Timing(start_time="*:30:00"), "2026-03-10T09:30:00Z", "2026-03-10T10:30:00Z"),
        (Timing(start_time="10:*:00"), "2026-03-10T10:59:00Z", "2026-03-11T10:00:00Z"),
        (Timing(years=(2045,), start_time="00:00:00"), "2026-03-10T09:00:00Z", "2045-01-01T00:00:00Z"),
        (Timing(years=(2045,), month_days=(7,)), "2026-03-10T09:00:00Z", "2045-01-07T00:00:00Z"),
        (Timing(months=(2, 6)), "2026-03-10T09:00:00Z", "2026-06-01T00:00:00Z"),
        (Timing(month_days=(31,)), "2026-04-01T00:00:00Z", "2026-05-31T00:00:00Z"),
        (Timing(month_days=(-1,)), "2028-02-01T00:00:00Z", "2028-02-29T00:00:00Z"),
        (Timing("*monthly_estimated", month_days=(31,)), "2027-01-31T00:00:00Z", "2027-02-28T00:00:00Z"),
        (Timing("*monthly_estimated", month_days=(31,)), "2027-02-28T00:00:00Z", "2027-03-31T00:00:00Z"),
        (Timing("*monthly", month_days=(31,)), "2027-01-31T00:00:00Z", "2027-03-31T00:00:00Z"),
        (Timing(months=(2,), month_days=(29,)), "2026-03-01T00:00:00Z", "2028-02-29T00:00:00Z"),
        (Timing(week_days=(0,)), "2026-03-10T09:00:00Z", "2026-03-15T00:00:00Z"),  # Sunday
        (Timing(week_days=(3,), month_days=(11, 30)), "2026-03-12T00:00:00Z", "2026-03-18T00:00:00Z"),  # day or weekday
        (Timing(week_days=(3,), months=(5,)), "2026-03-12T00:00:00Z", "2026-05-01T00:00:00Z"),  # month: the 1st too
        (Timing(years=(2020,)), "2026-03-10T09:00:00Z", None),
        (Timing(months=(2,), month_days=(30,)), "2026-03-10T09:00:00Z", None),
        (Timing(start_time="*asap"), "2026-03-10T09:00:00Z", None),
        (Timing(start_time="noon"), "2026-03-10T09:00:00Z", None),
        (Timing(start_time="25:00:00"), "2026-03-10T09:00:00Z", None),
        (Timing(start_time="+90s"), "2026-03-10T09:00:00Z", "2026-03-10T09:01:30Z"),
        (Timing(start_time="+soon"), "2026-03-10T09:00:00Z", None),
    ],
)
def test_next_run(timing: Timing, after: str, expected: str | None) -> None:
    assert run_after(timing, after) == expected


@pytest.mark.parametrize(
    ("start_time", "after", "expected"),
    [
        ("12:00:00", "2026-06-01T00:00:00Z", "2026-06-01T10:00:00Z"),
        ("12:00:00", "2026-01-01T00:00:00Z", "2026-01-01T11:00:00Z"),
        ("12:00:00", "2026-03-28T12:00:00Z", "2026-03-29T10:00:00Z"),  # the clock goes forward in between
        ("12:00:00", "2026-10-24T12:00:00Z", "2026-10-25T11:00:00Z"),  # and back
        ("*:00:00", "2026-10-25T00:30:00Z", "2026-10-25T01:00:00Z"),  # the repeated hour runs twice
        ("02:30:00", "2026-03-28T12:00:00Z", "2026-03-29T01:30:00Z"),  # an hour that does not exist: as if it did
    ],
)
def test_next_run_follows_the_clock_of_the_zone(start_time: str, after: str, expected: str) -> None:
    assert run_after(Timing(start_time=start_time), after, "Europe/Berlin") == expected


NOW = "2026-03-15T08:05:09Z"  # a Sunday


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("*any", Timing("*any", start_time="00:00:00")),
        ("*asap", Timing("*asap", start_time="*asap")),
        ("*every_minute", Timing("*every_minute", start_time="*:*:09")),
        ("*hourly", Timing("*hourly", start_time="*:05:09")),
        ("*daily", Timing("*daily", start_time="08:05:09")),
        ("*weekly", Timing("*weekly", week_days=(0,), start_time="08:05:09")),
        ("*monthly", Timing("*monthly", month_days=(15,), start_time="08:05:09")),
        ("*monthly_estimated", Timing("*monthly_estimated", month_days=(15,), start_time="08:05:09")),
        ("*month_end", Timing("*month_end", month_days=(-1,), start_time="08:05:09")),
        ("*yearly", Timing("*yearly", months=(3,), month_days=(15,), start_time="08:05:09")),
        ("*always", None),
    ],
)
def test_predefined_timings_are_fixed_at_the_current_time(name: str, expected: Timing | None) -> None:
    assert predefined(name, parse_rfc3339(NOW).ns, "UTC") == expected
