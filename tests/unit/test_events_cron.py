"""Cron schedules (spec chapter 60, section 3)."""

from __future__ import annotations

import pytest

from cgr_cluster.events.cron import next_time, parse_cron
from cgr_cluster.events.instant import NS, Instant
from cgr_cluster.events.times import format_instant, parse_rfc3339
from cgr_cluster.rpc.errors import ApiError


@pytest.mark.parametrize(
    ("schedule", "after", "wanted"),
    [
        ("@every 3s", "2026-11-23T14:03:15.7Z", "2026-11-23T14:03:18Z"),
        ("@every 10ms", "2026-11-23T14:03:15.7Z", "2026-11-23T14:03:16Z"),
        ("@hourly", "2026-11-23T14:00:00Z", "2026-11-23T15:00:00Z"),
        ("@daily", "2026-12-31T23:59:59.5Z", "2027-01-01T00:00:00Z"),
        ("@weekly", "2026-11-23T14:00:00Z", "2026-11-29T00:00:00Z"),
        ("@yearly", "2026-11-23T14:00:00Z", "2027-01-01T00:00:00Z"),
        ("*/15 * * * *", "2026-11-23T14:03:15Z", "2026-11-23T14:15:00Z"),
        ("5/20 9-17 * * mon-fri", "2026-11-27T17:45:00Z", "2026-11-30T09:05:00Z"),
        ("0 0 29 FEB *", "2026-11-23T14:00:00Z", "2028-02-29T00:00:00Z"),
        ("0 12 13 * 5", "2026-11-23T14:00:00Z", "2026-11-27T12:00:00Z"),  # the 13th or a Friday
        ("0 12 13 * ?", "2026-11-23T14:00:00Z", "2026-12-13T12:00:00Z"),
        ("CRON_TZ=Europe/Berlin 0 6 * * *", "2026-11-23T14:00:00Z", "2026-11-24T05:00:00Z"),
        ("CRON_TZ=Europe/Berlin 0 6 * * *", "2026-10-24T14:00:00Z", "2026-10-25T05:00:00Z"),  # clocks change
    ],
)
def test_next_time(schedule: str, after: str, wanted: str) -> None:
    found = next_time(parse_cron(schedule), parse_rfc3339(after).ns, "UTC")
    assert found is not None
    assert found % NS == 0
    assert format_instant(Instant.of(found)) == wanted


def test_a_day_that_never_comes() -> None:
    assert next_time(parse_cron("0 0 31 2 *"), 0, "UTC") is None


@pytest.mark.parametrize(
    "schedule",
    ["", "every day", "* * * *", "* * * * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * * 13 *", "* * * * 7", "5-3 * * * *",
     "*/0 * * * *", "@often", "@every", "@every soon", "a * * * *"],
)  # fmt: skip
def test_what_is_no_schedule_is_refused(schedule: str) -> None:
    with pytest.raises(ApiError):
        parse_cron(schedule)
