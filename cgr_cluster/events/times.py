"""Times as texts (spec chapter 10 §1.2, 01 §5): every accepted form, RFC 3339 for typed fields, printing."""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo

from cgr_cluster.events.durations import parse_go_duration
from cgr_cluster.events.instant import NS, ZERO, Instant
from cgr_cluster.events.layouts import RFC3339, Fields, days_in, instant_of, parse_layout, read_layout
from cgr_cluster.rpc.errors import ApiError

_EPOCH = datetime(1970, 1, 1)
_EPOCH_ORDINAL = date(1970, 1, 1).toordinal()
# Two days into the first year and before the end of the last, which any zone can tell.
_FIRST_S, _LAST_S = -62_135_424_000, 253_402_128_000

_DATE = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
_CLOCK = r"[0-9]{2}:[0-9]{2}:[0-9]{2}"
_FORMS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(rf"{_DATE}T{_CLOCK}\.[0-9]+[+-][0-9]{{4}}"), "2006-01-02T15:04:05-0700"),
    (re.compile(rf"{_DATE}T{_CLOCK}.+"), RFC3339),  # what only begins like it gets the parser's error
    (re.compile(rf"{_DATE} {_CLOCK}(?:\.[0-9]+)? [+-][0-9]{{4}} [A-Z]{{3,5}}"), "2006-01-02 15:04:05 -0700 MST"),
    (re.compile(rf"{_DATE} {_CLOCK}(?:\.[0-9]+)? [+-][0-9]{{4}} [+-][0-9]{{2,4}}"), "2006-01-02 15:04:05 -0700"),
    (re.compile(rf"{_DATE} {_CLOCK}"), "2006-01-02 15:04:05"),
    (re.compile(r"[0-9]{14}(?:\.[0-9]{3})?"), "20060102150405"),
    (re.compile(rf"[0-9]{{2}}\.[0-9]{{2}}\.[0-9]{{4}} {_CLOCK}"), "02.01.2006 15:04:05"),
    (re.compile(rf"[0-9]{{2}}/[0-9]{{2}}/[0-9]{{4}} {_CLOCK}"), "02/01/2006 15:04:05"),
    (re.compile(rf"{_DATE}T{_CLOCK}"), "2006-01-02T15:04:05"),
)
_UNIX_NS = {10: NS, 13: 1_000_000, 16: 1_000, 19: 1}  # digits of a Unix time → nanoseconds of its unit
_KEYWORD = re.compile(r"(\*daily|\*monthly_estimated|\*monthly|\*yearly|\*month_end|\*mo)(.*)", re.DOTALL)
_RFC3339 = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]{1,9}))?(?:Z|([+-])([0-9]{2}):([0-9]{2}))"
)
_USUAL = re.compile(rf"({_DATE})T([0-9]{{2}}):([0-9]{{2}}):([0-9]{{2}})Z")  # most events have times like this


@lru_cache(maxsize=1024)
def _day_number(day: str) -> int | None:
    """Days since the epoch of `2026-03-02`; None when there is no such day."""
    try:
        return date(int(day[:4]), int(day[5:7]), int(day[8:])).toordinal() - _EPOCH_ORDINAL
    except ValueError:
        return None


@lru_cache(maxsize=64)
def zone_of(name: str) -> tzinfo:
    """A time zone by its name. "" and `Local` are UTC here: an installation replaces `Local` by a named zone once
    (design 10). Raises ApiError `unknown time zone X`."""
    if name in ("", "UTC", "Local"):
        return timezone.utc
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ApiError(f"unknown time zone {name}") from None


def tellable(unix_s: int) -> int:
    """The nearest time for which the names and offsets of zones can be told."""
    return min(max(unix_s, _FIRST_S), _LAST_S)


def offset_at(unix_s: int, zone: str) -> int:
    """Seconds east of UTC in `zone` at a Unix time."""
    info = zone_of(zone)
    if info is timezone.utc:
        return 0
    offset = datetime.fromtimestamp(tellable(unix_s), info).utcoffset()
    return int(offset.total_seconds()) if offset is not None else 0


def in_zone(ns: int, zone: str) -> Instant:
    """The instant `ns` (since the epoch) with the offset that `zone` has then."""
    return Instant.of(ns, offset_at(ns // NS, zone))


def _of_local(fields: Fields, zone: str) -> Instant:
    """Wall-clock fields in `zone`; a repeated hour is its first one."""
    info = zone_of(zone)
    if info is timezone.utc or not 1 <= fields.year <= 9999:
        return Instant(fields.local_seconds(), fields.nanos, 0)
    wall = datetime(fields.year, fields.month, fields.day, fields.hour, fields.minute, fields.second, tzinfo=info)
    delta = wall.utcoffset()
    offset = int(delta.total_seconds()) if delta is not None else 0
    return Instant(fields.local_seconds() - offset, fields.nanos, offset)


def instant_of_fields(fields: Fields, zone: str) -> Instant:
    """The instant of fields that were read by a layout; `zone` holds where they name none."""
    return instant_of(fields) if fields.offset_s is not None else _of_local(fields, zone)


def _wall(ns: int, zone: str) -> Fields:
    """The wall clock of `zone` at `ns`."""
    at = in_zone(ns, zone)
    local = _EPOCH + timedelta(seconds=at.seconds + at.offset_s)
    fields = Fields()
    fields.year, fields.month, fields.day = local.year, local.month, local.day
    fields.hour, fields.minute, fields.second, fields.nanos = local.hour, local.minute, local.second, at.nanos
    return fields


def add_months(ns: int, zone: str, months: int) -> Instant:
    """The same wall clock `months` later; a day that the month lacks runs over (Jan 31 + 1 month = Mar 3)."""
    fields = _wall(ns, zone)
    day = fields.day
    years, month0 = divmod(fields.month - 1 + months, 12)
    fields.year += years
    fields.month = month0 + 1
    fields.day = min(day, days_in(fields.month, fields.year))
    if day > fields.day:
        fields.month, fields.day = fields.month + 1, day - fields.day  # February is never the last month of a year
    return _of_local(fields, zone)


def _month_later_estimated(ns: int, zone: str) -> Instant:
    """One month later, but never past the end of that month."""
    fields = _wall(ns, zone)
    years, month0 = divmod(fields.month, 12)
    fields.year += years
    fields.month = month0 + 1
    fields.day = min(fields.day, days_in(fields.month, fields.year))
    return _of_local(fields, zone)


def _day_later(ns: int, zone: str) -> Instant:
    fields = _wall(ns, zone)
    if fields.day < days_in(fields.month, fields.year):
        fields.day += 1
    else:
        fields.day = 1
        fields.year += fields.month == 12
        fields.month = fields.month % 12 + 1
    return _of_local(fields, zone)


def _month_end(ns: int, zone: str) -> Instant:
    fields = _wall(ns, zone)
    fields.day = days_in(fields.month, fields.year)
    fields.hour, fields.minute, fields.second, fields.nanos = 23, 59, 59, 0
    return _of_local(fields, zone)


def _keyword(word: str, extra: str, now_ns: int, zone: str) -> Instant:
    if word == "*daily":
        at = _day_later(now_ns, zone)
    elif word == "*monthly_estimated":
        at = _month_later_estimated(now_ns, zone)
    elif word == "*yearly":
        at = add_months(now_ns, zone, 12)
    elif word == "*month_end":
        at = _month_end(now_ns, zone)
    else:
        at = add_months(now_ns, zone, 1)
    return at.plus(parse_go_duration(extra)) if extra else at


def parse_time(text: str, now_ns: int, zone: str = "UTC") -> Instant:
    """A time in any form of chapter 10 §1.2. `zone` holds for texts without one (`general.default_timezone`).

    Raises ApiError `Unsupported time format`, `parsing time "x": day out of range` (form right, a part impossible),
    or the error of a duration behind `+`, `-` or a keyword.
    """
    usual = _USUAL.fullmatch(text)
    if usual is not None:
        day, hour, minute, second = usual.groups()
        days = _day_number(day)
        if days is not None and hour < "24" and minute < "60" and second < "60":
            return Instant(days * 86400 + int(hour) * 3600 + int(minute) * 60 + int(second))
    text = text.strip()
    if text in ("", "*unlimited", "0", "*none"):
        return ZERO
    if text.isdigit() and text.isascii():
        unit = _UNIX_NS.get(len(text))
        if unit is not None:
            return in_zone(int(text) * unit, zone)
    if text[0] == "*":
        if text == "*now":
            return in_zone(now_ns, zone)
        keyword = _KEYWORD.fullmatch(text)
        if keyword is None:
            raise ApiError("Unsupported time format")
        return _keyword(keyword.group(1), keyword.group(2), now_ns, zone)
    if text[0] in "+-" and len(text) > 1:
        distance = parse_go_duration(text[1:])
        return in_zone(now_ns, zone).plus(-distance if text[0] == "-" else distance)
    for form, layout in _FORMS:
        if form.fullmatch(text):
            if layout.endswith(" -0700"):
                fields = _read_as(layout, text.rsplit(" ", 1)[0], text)
            else:
                fields = read_layout(layout, text)
            return instant_of_fields(fields, zone)
    raise ApiError("Unsupported time format")


def _read_as(layout: str, part: str, whole: str) -> Fields:
    """Read `part`; errors name the whole text."""
    try:
        return read_layout(layout, part)
    except ApiError as error:
        raise ApiError(error.text.replace(f'"{part}"', f'"{whole}"')) from None


def parse_rfc3339(text: str) -> Instant:
    """The value of a typed time field. Raises ApiError with the texts of chapter 01 §4, such as
    `parsing time "yesterday" as "2006-01-02T15:04:05Z07:00": cannot parse "yesterday" as "2006"`."""
    found = _RFC3339.fullmatch(text)
    if found is None:
        return parse_layout(RFC3339, text)
    year, month, day, hour, minute, second, fraction, sign, zone_hour, zone_minute = found.groups()
    try:
        days = date(int(year), int(month), int(day)).toordinal() - _EPOCH_ORDINAL
    except ValueError:
        return parse_layout(RFC3339, text)
    h, m, s = int(hour), int(minute), int(second)
    offset = 0
    if sign:
        offset = int(zone_hour) * 3600 + int(zone_minute) * 60
        if offset > 86400:
            return parse_layout(RFC3339, text)
        if sign == "-":
            offset = -offset
    if h > 23 or m > 59 or s > 59:
        return parse_layout(RFC3339, text)
    nanos = int(fraction.ljust(9, "0")) if fraction else 0
    return Instant(days * 86400 + h * 3600 + m * 60 + s - offset, nanos, offset)


@lru_cache(maxsize=1024)
def _date_text(days: int) -> str:
    return date.fromordinal(days + _EPOCH_ORDINAL).isoformat()


def format_instant(at: Instant) -> str:
    """RFC 3339 with the offset it carries (`Z` for 0), the fraction only as far as needed.

    Raises ApiError for years outside 1..9999, which RFC 3339 can not write."""
    days, rest = divmod(at.seconds + at.offset_s, 86400)
    try:
        day = _date_text(days)
    except (ValueError, OverflowError):
        raise ApiError("Time.MarshalJSON: year outside of range [0,9999]") from None
    minutes, second = divmod(rest, 60)
    hour, minute = divmod(minutes, 60)
    fraction = f".{at.nanos:09d}".rstrip("0") if at.nanos else ""
    if not at.offset_s:
        return f"{day}T{hour:02d}:{minute:02d}:{second:02d}{fraction}Z"
    sign = "-" if at.offset_s < 0 else "+"
    zone_hour, zone_minute = divmod(abs(at.offset_s) // 60, 60)
    return f"{day}T{hour:02d}:{minute:02d}:{second:02d}{fraction}{sign}{zone_hour:02d}:{zone_minute:02d}"
