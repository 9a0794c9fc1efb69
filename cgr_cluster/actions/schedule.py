"""When an action timing runs next (spec 20 §6.1): a pure computation on wall clocks.

A timing names years, months, days of the month or week, and a time of day whose parts may be `*`. The rule is cron's:
day of month *or* day of week when both are given; an empty list is no restriction, except that years without months mean
January and months without days the 1st. Nothing runs after LAST_YEAR.
"""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Callable
from datetime import date, datetime, timedelta

from cgr_cluster.actions.types import ASAP
from cgr_cluster.events.durations import parse_go_duration
from cgr_cluster.events.instant import NS
from cgr_cluster.events.times import offset_at
from cgr_cluster.rating.types import Timing
from cgr_cluster.rpc.errors import ApiError

LAST_YEAR = 2099
MONTH_END_DAY = -1
MONTHLY_ESTIMATED = "*monthly_estimated"
PREDEFINED = (
    "*any", ASAP, "*every_minute", "*hourly", "*daily", "*weekly", "*monthly", MONTHLY_ESTIMATED, "*month_end", "*yearly",
)  # fmt: skip

_EPOCH = datetime(1970, 1, 1)
_FIRST_S = int((datetime(1, 1, 2) - _EPOCH).total_seconds())  # a day from the ends: clocks have offsets
_LAST_S = int((datetime(LAST_YEAR + 1, 1, 2) - _EPOCH).total_seconds())
_CLOCK = re.compile(r"([0-9]{1,2}|\*):([0-9]{1,2}|\*):([0-9]{1,2}|\*)")


def predefined(name: str, now_ns: int, zone: str) -> Timing | None:
    """The predefined timing `name`, fixed at `now_ns` (10 §2.2, 20 §6.1). None: there is none of this name."""
    if name not in PREDEFINED:
        return None
    if name == "*any":
        return Timing("*any", start_time="00:00:00")
    if name == ASAP:
        return Timing(ASAP, start_time=ASAP)
    now = _wall(now_ns // NS, offset_at(now_ns // NS, zone))
    if name == "*every_minute":
        return Timing(name, start_time=f"*:*:{now.second:02d}")
    if name == "*hourly":
        return Timing(name, start_time=f"*:{now.minute:02d}:{now.second:02d}")
    clock = f"{now.hour:02d}:{now.minute:02d}:{now.second:02d}"
    if name == "*weekly":
        return Timing(name, week_days=(now.isoweekday() % 7,), start_time=clock)
    if name in ("*monthly", MONTHLY_ESTIMATED):
        return Timing(name, month_days=(now.day,), start_time=clock)
    if name == "*month_end":
        return Timing(name, month_days=(MONTH_END_DAY,), start_time=clock)
    if name == "*yearly":
        return Timing(name, months=(now.month,), month_days=(now.day,), start_time=clock)
    return Timing(name, start_time=clock)


def is_asap(timing: Timing | None) -> bool:
    return timing is not None and timing.start_time == ASAP


def delay_of(timing: Timing) -> int | None:
    """Nanoseconds of a `+duration` start time, which runs once that long after it was scheduled; else None."""
    if not timing.start_time.startswith("+"):
        return None
    return parse_go_duration(timing.start_time[1:])


def next_run(timing: Timing | None, after_ns: int, zone: str) -> int | None:
    """The first moment after `after_ns` (both ns since the epoch) at which the timing runs on the clock of `zone`.

    None: never (no timing, `*asap`, an unreadable start time, or nothing up to LAST_YEAR).
    """
    if timing is None or is_asap(timing):
        return None
    try:
        delay_ns = delay_of(timing)
        clock = _clock_parts(timing.start_time)
    except ApiError:
        return None
    if delay_ns is not None:
        return after_ns + delay_ns
    if clock is None:
        return None
    after_s = max(after_ns // NS, _FIRST_S)
    if after_s >= _LAST_S:
        return None
    # Search with the offset of `after`; where the clock changes on the way, with the offset found there.
    first = None
    offset = offset_at(after_s, zone)
    for _ in range(2):
        wall = _next_wall(timing, clock, _wall(after_s, offset))
        if wall is None:
            return first
        at_s = int((wall - _EPOCH).total_seconds()) - offset
        if first is None:
            first = at_s * NS
        actual = offset_at(at_s, zone)
        if actual == offset:
            return at_s * NS
        offset = actual
    return first


def _wall(unix_s: int, offset_s: int) -> datetime:
    return _EPOCH + timedelta(seconds=unix_s + offset_s)


def _clock_parts(text: str) -> tuple[range, range, range] | None:
    """Hours, minutes and seconds at which it runs; None: not a time of day."""
    if not text:
        text = "00:00:00"
    found = _CLOCK.fullmatch(text)
    if found is None:
        return None
    parts = [
        range(size) if part == "*" else range(int(part), int(part) + 1)
        for part, size in zip(found.groups(), (24, 60, 60), strict=True)
    ]
    if parts[0].start > 23 or parts[1].start > 59 or parts[2].start > 59:
        return None
    return parts[0], parts[1], parts[2]


def _first_at_or_after(clock: tuple[range, range, range], at: tuple[int, int, int]) -> tuple[int, int, int] | None:
    """The first time of day of `clock` that is not before `at`."""
    hours, minutes, seconds = clock
    for hour in hours:
        if hour < at[0]:
            continue
        if hour > at[0]:
            return hour, minutes.start, seconds.start
        for minute in minutes:
            if minute < at[1]:
                continue
            if minute > at[1]:
                return hour, minute, seconds.start
            second = next((s for s in seconds if s >= at[2]), None)
            if second is not None:
                return hour, minute, second
    return None


def _next_wall(timing: Timing, clock: tuple[range, range, range], after: datetime) -> datetime | None:
    """The first wall time after `after` (whole seconds)."""
    start = after + timedelta(seconds=1)
    years = set(timing.years)
    months = timing.months or ((1,) if years else ())
    month_days = timing.month_days or ((1,) if months else ())
    day_matches = _day_rule(timing, month_days)
    for year in range(start.year, LAST_YEAR + 1):
        if years and year not in years:
            continue
        for month in sorted(set(months)) if months else range(1, 13):
            if not 1 <= month <= 12 or (year, month) < (start.year, start.month):
                continue
            last = monthrange(year, month)[1]
            first_day = start.day if (year, month) == (start.year, start.month) else 1
            for day in range(first_day, last + 1):
                if not day_matches(date(year, month, day), last):
                    continue
                today = (year, month, day) == (start.year, start.month, start.day)
                earliest = (start.hour, start.minute, start.second) if today else (0, 0, 0)
                at = _first_at_or_after(clock, earliest)
                if at is not None:
                    return datetime(year, month, day, *at)
    return None


def _day_rule(timing: Timing, month_days: tuple[int, ...]) -> Callable[[date, int], bool]:
    """Whether a date (with the number of days of its month) is one on which the timing runs."""
    week_days = {day % 7 for day in timing.week_days}
    estimated = timing.id == MONTHLY_ESTIMATED

    def by_month(day: date, last: int) -> bool:
        return any(
            day.day == wanted or (day.day == last and (wanted == MONTH_END_DAY or (estimated and wanted > last)))
            for wanted in month_days
        )

    if not month_days:
        return lambda day, last: not week_days or day.isoweekday() % 7 in week_days
    if not week_days:
        return by_month
    return lambda day, last: by_month(day, last) or day.isoweekday() % 7 in week_days
