"""Cron schedules: when queries of trends and rankings run (spec chapter 60, section 3). Pure.

Five fields (minute, hour, day of month, month, day of week), `@every DURATION`, `@hourly`, `@daily` and the like. Days match
both of their fields when one of them is `*`, either of them when both are given. `CRON_TZ=ZONE ` before the fields names the
clock.
"""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Callable
from datetime import datetime, timedelta

import msgspec

from cgr_cluster.events.durations import parse_go_duration
from cgr_cluster.events.instant import NS
from cgr_cluster.events.times import offset_at, zone_of
from cgr_cluster.rpc.errors import ApiError

LAST_YEARS = 5  # a schedule that has no run within so many years has none
NAMED = {
    "@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *", "@monthly": "0 0 1 * *", "@weekly": "0 0 * * 0", "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *", "@hourly": "0 * * * *",
}  # fmt: skip
_EPOCH = datetime(1970, 1, 1)
_MONTHS = {
    name: number
    for number, name in enumerate(
        ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"], 1
    )
}
_DAYS = {name: number for number, name in enumerate(["sun", "mon", "tue", "wed", "thu", "fri", "sat"])}
_NO_NAMES: dict[str, int] = {}
_FIELDS = (("minute", 0, 59, _NO_NAMES), ("hour", 0, 23, _NO_NAMES), ("day", 1, 31, _NO_NAMES), ("month", 1, 12, _MONTHS),
           ("weekday", 0, 6, _DAYS))  # fmt: skip
_NUMBER = re.compile(r"[0-9]{1,4}")


class Field(msgspec.Struct, frozen=True, gc=False):
    """Values of one field, rising. `star`: it restricts nothing by itself."""

    values: tuple[int, ...]
    star: bool


class Cron(msgspec.Struct, frozen=True, gc=False):
    """A schedule: every `every_ns` (> 0), or by fields on the clock of `zone` ("": that of the caller)."""

    every_ns: int = 0
    fields: tuple[Field, ...] = ()
    zone: str = ""


def parse_cron(text: str) -> Cron:
    """Raises ApiError that names what is wrong."""
    zone, rest = "", text.strip()
    for prefix in ("CRON_TZ=", "TZ="):
        if rest.startswith(prefix):
            zone, _, rest = rest.removeprefix(prefix).partition(" ")
            rest = rest.strip()
            zone_of(zone)
            break
    if rest.startswith("@every "):
        every_ns = parse_go_duration(rest.removeprefix("@every ").strip())
        return Cron(max(NS, every_ns - every_ns % NS))
    if rest.startswith("@"):
        if rest not in NAMED:
            raise ApiError(f"unrecognized descriptor: {rest}")
        rest = NAMED[rest]
    parts = rest.split()
    if len(parts) != len(_FIELDS):
        raise ApiError(f"expected exactly {len(_FIELDS)} fields, found {len(parts)}: [{rest}]")
    return Cron(0, tuple(_field(part, *known) for part, known in zip(parts, _FIELDS, strict=True)), zone)


def _field(text: str, name: str, least: int, most: int, names: dict[str, int]) -> Field:
    values: set[int] = set()
    star = False
    for part in text.split(","):
        span, slash, step_text = part.partition("/")
        step = _value(step_text, name, _NO_NAMES) if slash else 1
        if not step:
            raise ApiError(f"step of {name} should be a positive number: {part}")
        if span in ("*", "?"):
            first, last = least, most
            star = star or step == 1
        else:
            first_text, dash, last_text = span.partition("-")
            first = _value(first_text, name, names)
            last = _value(last_text, name, names) if dash else most if slash else first
        if not least <= first <= last <= most:
            raise ApiError(f"{name} must be a range within {least}-{most}: {part}")
        values.update(range(first, last + 1, step))
    return Field(tuple(sorted(values)), star)


def _value(text: str, name: str, names: dict[str, int]) -> int:
    found = names.get(text.lower())
    if found is not None:
        return found
    if not _NUMBER.fullmatch(text):
        raise ApiError(f"failed to parse {name}: {text}")
    return int(text)


def next_time(cron: Cron, after_ns: int, zone: str) -> int | None:
    """The first moment after `after_ns` (both ns since the epoch, whole seconds as result) at which it runs on the clock of `zone`,
    unless it names another. None: never."""
    if cron.every_ns:
        return (after_ns + cron.every_ns) // NS * NS
    zone = cron.zone or zone
    after_s = after_ns // NS
    first = None
    offset = offset_at(after_s, zone)
    for _ in range(2):  # with the offset of `after`; where the clock changes on the way, with the one found there
        wall = _next_wall(cron.fields, _EPOCH + timedelta(seconds=after_s + offset))
        if wall is None:
            return first
        at_s = int((wall - _EPOCH).total_seconds()) - offset
        if at_s > after_s:
            first = at_s * NS if first is None else first
            actual = offset_at(at_s, zone)
            if actual == offset:
                return at_s * NS
            offset = actual
    return first


def _next_wall(fields: tuple[Field, ...], after: datetime) -> datetime | None:
    """The first wall time after `after` (whole minutes)."""
    minutes, hours, _, months, _ = fields
    start = after.replace(second=0, microsecond=0) + timedelta(minutes=1)
    matches = _day_rule(fields)
    for year in range(start.year, start.year + LAST_YEARS + 1):
        for month in months.values:
            if (year, month) < (start.year, start.month):
                continue
            for day in range(1, monthrange(year, month)[1] + 1):
                date = datetime(year, month, day)
                if date.date() < start.date() or not matches(date):
                    continue
                today = date.date() == start.date()
                for hour in hours.values:
                    if today and hour < start.hour:
                        continue
                    for minute in minutes.values:
                        if not (today and hour == start.hour and minute < start.minute):
                            return datetime(year, month, day, hour, minute)
    return None


def _day_rule(fields: tuple[Field, ...]) -> Callable[[datetime], bool]:
    days, weekdays = fields[2], fields[4]
    both = days.star or weekdays.star

    def matches(day: datetime) -> bool:
        by_month, by_week = day.day in days.values, day.isoweekday() % 7 in weekdays.values
        return (by_month and by_week) if both else (by_month or by_week)

    return matches
