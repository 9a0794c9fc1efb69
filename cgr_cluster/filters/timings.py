"""Whether a timing is active at a time (spec 10 §2.2), for the rule `*timings`."""

from __future__ import annotations

from cgr_cluster.events.calendar import calendar
from cgr_cluster.events.instant import Instant
from cgr_cluster.rating.types import Timing

_DAY_S = 86_400


def active_at(timing: Timing, at: Instant) -> bool:
    """In the zone that `at` was written with; start and end of the day's span are inclusive, to the nanosecond."""
    day, second = divmod(at.seconds + at.offset_s, _DAY_S)
    year, month, month_day, week_day = calendar(day)
    if timing.years and year not in timing.years:
        return False
    if timing.months and month not in timing.months:
        return False
    if timing.month_days and month_day not in timing.month_days:
        return False
    if timing.week_days and week_day not in timing.week_days:
        return False
    time_of_day = second, at.nanos
    return (_second_of_day(timing.start_time, 0), 0) <= time_of_day <= (_second_of_day(timing.end_time, _DAY_S), 0)


def _second_of_day(text: str, default: int) -> int:
    """`hh:mm:ss` in seconds; anything else is `default`."""
    parts = text.split(":")
    if len(parts) != 3 or not all(part.isascii() and part.isdigit() and len(part) < 3 for part in parts):
        return default
    hours, minutes, seconds = map(int, parts)
    return hours * 3600 + minutes * 60 + seconds
