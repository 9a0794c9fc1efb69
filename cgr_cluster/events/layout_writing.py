"""Writing times by a layout (spec chapter 41, section 6); reading is in layouts.py."""

from __future__ import annotations

from datetime import datetime

from cgr_cluster.events.instant import Instant
from cgr_cluster.events.layouts import DAYS, MONTHS, days_from_epoch, elements_of
from cgr_cluster.events.times import in_zone, tellable, zone_of

_DAY_S = 86_400


def civil_of(days: int) -> tuple[int, int, int]:
    """Year, month and day of a number of days since 1970-01-01, for any year."""
    days += 719_468
    era, of_era = divmod(days, 146_097)
    year_of_era = (of_era - of_era // 1460 + of_era // 36_524 - of_era // 146_096) // 365
    of_year = of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    month = (5 * of_year + 2) // 153
    day = of_year - (153 * month + 2) // 5 + 1
    month += 3 if month < 10 else -9
    return year_of_era + era * 400 + (month <= 2), month, day


def format_layout(at: Instant, layout: str, zone: str | None = None) -> str:
    """`at` in the layout: in the zone it carries, or in the zone of that name."""
    if zone is not None:
        at = Instant.of(at.ns, in_zone(at.ns, zone).offset_s)
    return "".join(
        literal + (_written(element, at, zone) if element else "") for literal, element in elements_of(layout)
    )


def _written(element: str, at: Instant, zone: str | None) -> str:
    days, second_of_day = divmod(at.seconds + at.offset_s, _DAY_S)
    if element[0] in ".,":
        return _fraction(element, at.nanos)
    if element[0] in "Z-":
        return _offset(element, at.offset_s)
    if element == "MST":
        return _zone_name(at, zone)
    year, month, day = civil_of(days)
    hour, minute, second = second_of_day // 3600, second_of_day // 60 % 60, second_of_day % 60
    half_day = hour % 12 or 12
    day_of_year = days - days_from_epoch(year, 1, 1) + 1
    weekday = DAYS[(days + 4) % 7]
    return {
        "2006": f"{year:04d}",
        "06": f"{year % 100:02d}",
        "January": MONTHS[month - 1],
        "Jan": MONTHS[month - 1][:3],
        "01": f"{month:02d}",
        "1": str(month),
        "02": f"{day:02d}",
        "2": str(day),
        "_2": f"{day:2d}",
        "002": f"{day_of_year:03d}",
        "__2": f"{day_of_year:3d}",
        "Monday": weekday,
        "Mon": weekday[:3],
        "15": f"{hour:02d}",
        "03": f"{half_day:02d}",
        "3": str(half_day),
        "PM": "PM" if hour >= 12 else "AM",
        "pm": "pm" if hour >= 12 else "am",
        "04": f"{minute:02d}",
        "4": str(minute),
        "05": f"{second:02d}",
        "5": str(second),
    }[element]


def _fraction(element: str, nanos: int) -> str:
    digits = f"{nanos:09d}"[: len(element) - 1].ljust(len(element) - 1, "0")
    if element[1] == "0":
        return element[0] + digits
    digits = digits.rstrip("0")
    return element[0] + digits if digits else ""


def _offset(element: str, offset_s: int) -> str:
    if element[0] == "Z" and offset_s == 0:
        return "Z"
    minutes = abs(offset_s) // 60
    sign = "-" if offset_s < 0 else "+"
    colon = ":" if ":" in element else ""
    rest = f"{colon}{minutes % 60:02d}" if element.endswith("00") else ""
    return f"{sign}{minutes // 60:02d}{rest}"


def _zone_name(at: Instant, zone: str | None) -> str:
    """A named zone's abbreviation; a time with nothing but an offset shows that."""
    if zone is not None:
        return datetime.fromtimestamp(tellable(at.seconds), zone_of(zone)).tzname() or "UTC"
    return "UTC" if at.offset_s == 0 else _offset("-0700", at.offset_s)
