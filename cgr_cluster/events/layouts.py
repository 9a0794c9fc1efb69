"""Reading times by a layout, the way Go's `time.Parse` does it, with its error texts.

A layout is the reference time (`2006-01-02T15:04:05Z07:00`) written in the wanted form. Typed time fields use the one
layout of RFC 3339 (chapter 01 §4); templates and filters use layouts of their own.
"""

from __future__ import annotations

import re
from functools import lru_cache

from cgr_cluster.events.durations import quote
from cgr_cluster.events.instant import Instant
from cgr_cluster.rpc.errors import ApiError

RFC3339 = "2006-01-02T15:04:05Z07:00"

MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
           "November", "December")  # fmt: skip
DAYS = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
_ELEMENT = re.compile(
    r"January|Jan(?![a-z])|Monday|Mon(?![a-z])|MST|2006|__2|_2(?!006)|002|01|02|03|04|05|06|15|PM|pm"
    r"|Z07:00|Z0700|Z07|-07:00|-0700|-07|[.,]0+(?![0-9])|[.,]9+(?![0-9])|1|2|3|4|5"
)
_DAYS_IN_MONTH = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_NUMBER = re.compile(r"[0-9]+")


def days_from_epoch(year: int, month: int, day: int) -> int:
    """Days from 1970-01-01 to a date of the proleptic Gregorian calendar, for any year."""
    year -= month <= 2
    era, of_era = divmod(year, 400)
    of_year = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
    return era * 146097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719468


def days_in(month: int, year: int) -> int:
    if month == 2 and year % 4 == 0 and (year % 100 != 0 or year % 400 == 0):
        return 29
    return _DAYS_IN_MONTH[month - 1]


class Fields:
    """What was read. `offset_s` is None when the text names no offset."""

    __slots__ = ("day", "day_of_year", "hour", "minute", "month", "nanos", "offset_s", "pm", "second", "year")

    def __init__(self) -> None:
        self.year, self.month, self.day = 0, 1, 1
        self.day_of_year: int | None = None
        self.hour, self.minute, self.second, self.nanos = 0, 0, 0, 0
        self.pm: bool | None = None
        self.offset_s: int | None = None

    def local_seconds(self) -> int:
        """Seconds since the epoch as if the time were UTC."""
        days = days_from_epoch(self.year, self.month, self.day)
        return days * 86400 + self.hour * 3600 + self.minute * 60 + self.second


class _UnfitError(Exception):
    """The text does not fit the element."""


class _RangeError(Exception):
    """The number read is out of its range; `args[0]` names it."""


@lru_cache(maxsize=256)
def elements_of(layout: str) -> tuple[tuple[str, str], ...]:
    """(literal text before, element) in order; the last element is ""."""
    out = []
    position = 0
    for found in _ELEMENT.finditer(layout):
        out.append((layout[position : found.start()], found.group()))
        position = found.end()
    out.append((layout[position:], ""))
    return tuple(out)


def _number(text: str, fixed: bool) -> tuple[int, str]:
    """One or two digits (`fixed`: exactly two)."""
    if not text[:1].isdigit() or not text[:1].isascii():
        raise _UnfitError
    if not (text[1:2].isdigit() and text[1:2].isascii()):
        if fixed:
            raise _UnfitError
        return int(text[0]), text[1:]
    return int(text[:2]), text[2:]


def _name(text: str, names: tuple[str, ...], short: bool) -> tuple[int, str]:
    for index, name in enumerate(names):
        wanted = name[:3] if short else name
        if text[: len(wanted)].lower() == wanted.lower():
            return index, text[len(wanted) :]
    raise _UnfitError


def _ranged(text: str, fixed: bool, limit: int, name: str) -> tuple[int, str]:
    value, rest = _number(text, fixed)
    if value >= limit:
        raise _RangeError(name)
    return value, rest


def _offset(element: str, text: str) -> tuple[int, str]:
    if element[0] == "Z" and text[:1] == "Z":
        return 0, text[1:]
    if element.endswith(":00"):
        if len(text) < 6 or text[3] != ":":
            raise _UnfitError
        sign, hours, minutes, rest = text[0], text[1:3], text[4:6], text[6:]
    elif element.endswith("0700"):
        if len(text) < 5:
            raise _UnfitError
        sign, hours, minutes, rest = text[0], text[1:3], text[3:5], text[5:]
    else:
        if len(text) < 3:
            raise _UnfitError
        sign, hours, minutes, rest = text[0], text[1:3], "00", text[3:]
    hour, minute = _number(hours, True)[0], _number(minutes, True)[0]
    if hour > 24:
        raise _RangeError("time zone offset hour")
    if minute > 60:
        raise _RangeError("time zone offset minute")
    if sign not in "+-":
        raise _UnfitError
    seconds = hour * 3600 + minute * 60
    return (-seconds if sign == "-" else seconds), rest


def _second(fields: Fields, element: str, text: str, following: str) -> str:
    fields.second, text = _ranged(text, element == "05", 60, "second")
    if text[:1] in (".", ",") and following[:1] not in (".", ","):
        digits = _NUMBER.match(text, 1)
        if digits:  # a fraction is accepted even where the layout has none
            fields.nanos = int(digits.group()[:9].ljust(9, "0"))
            return text[digits.end() :]
    return text


def _fraction(fields: Fields, element: str, text: str) -> str:
    if element[1] == "9":
        digits = _NUMBER.match(text, 1) if text[:1] in (".", ",") else None
        if digits is None:
            return text
        fields.nanos = int(digits.group()[:9].ljust(9, "0"))
        return text[digits.end() :]
    part = text[: len(element)]
    if len(part) < len(element) or part[0] not in ".," or not (part[1:].isdigit() and part.isascii()):
        raise _UnfitError
    fields.nanos = int(part[1:10].ljust(9, "0"))
    return text[len(element) :]


def _zone_name(fields: Fields, text: str) -> str:
    if text.startswith("UTC"):
        if fields.offset_s is None:
            fields.offset_s = 0
        return text[3:]
    found = re.match(r"[A-Z]{3,5}|[+-][0-9]{2}", text)
    if found is None:
        raise _UnfitError
    return text[found.end() :]


def _day_of_year(text: str, padded: bool) -> tuple[int, str]:
    digits = text[:3].lstrip(" ") if padded else text[:3]
    if len(text) < 3 or not (digits.isdigit() and digits.isascii()):
        raise _UnfitError
    return int(digits), text[3:]


def _read(fields: Fields, element: str, text: str, following: str) -> str:
    """Read one element off `text` into `fields`; answers what is left."""
    if element == "2006":
        if len(text) < 4 or not text[0].isdigit():
            raise _UnfitError
        if not (text[:4].isdigit() and text[:4].isascii()):
            raise _UnfitError
        fields.year, text = int(text[:4]), text[4:]
    elif element == "06":
        short, text = _number(text, True)
        fields.year = short + (1900 if short >= 69 else 2000)
    elif element in ("01", "1"):
        fields.month, text = _number(text, element == "01")
        if not 1 <= fields.month <= 12:
            raise _RangeError("month")
    elif element in ("January", "Jan"):
        index, text = _name(text, MONTHS, element == "Jan")
        fields.month = index + 1
    elif element in ("Monday", "Mon"):
        _, text = _name(text, DAYS, element == "Mon")
    elif element in ("02", "_2", "2"):
        fields.day, text = _number(text[1:] if element == "_2" and text[:1] == " " else text, element == "02")
    elif element in ("002", "__2"):
        fields.day_of_year, text = _day_of_year(text, element == "__2")
    elif element == "15":
        fields.hour, text = _ranged(text, False, 24, "hour")
    elif element in ("03", "3"):
        fields.hour, text = _ranged(text, element == "03", 13, "hour")
    elif element in ("04", "4"):
        fields.minute, text = _ranged(text, element == "04", 60, "minute")
    elif element in ("05", "5"):
        text = _second(fields, element, text, following)
    elif element in ("PM", "pm"):
        if text[:2] not in (("AM", "PM") if element == "PM" else ("am", "pm")):
            raise _UnfitError
        fields.pm, text = text[0] in "pP", text[2:]
    elif element[0] in ".,":
        text = _fraction(fields, element, text)
    elif element == "MST":
        text = _zone_name(fields, text)
    else:
        fields.offset_s, text = _offset(element, text)
    return text


def read_layout(layout: str, text: str) -> Fields:
    """Read `text` by `layout`. Raises ApiError `parsing time "x" as "layout": cannot parse "rest" as "element"`,
    `parsing time "x": month out of range` or `parsing time "x": extra text: "rest"`."""
    fields = Fields()
    rest = text
    elements = elements_of(layout)
    for number, (literal, element) in enumerate(elements):
        for char in literal:
            if rest[:1] != char:
                raise _unparsed(layout, text, rest, literal)
            rest = rest[1:]
        if not element:
            break
        hold = rest
        try:
            rest = _read(fields, element, rest, elements[number + 1][1] if not elements[number + 1][0] else "")
        except _UnfitError:
            raise _unparsed(layout, text, hold, element) from None
        except _RangeError as out:
            raise ApiError(f"parsing time {quote(text)}: {out.args[0]} out of range") from None
    if rest:
        raise ApiError(f"parsing time {quote(text)}: extra text: {quote(rest)}")
    if fields.pm is not None:
        fields.hour = fields.hour % 12 + (12 if fields.pm else 0)
    if fields.day_of_year is not None:
        _date_of_day(fields, text, elements)
    if not 1 <= fields.day <= days_in(fields.month, fields.year):
        raise ApiError(f"parsing time {quote(text)}: day out of range")
    return fields


def _kinds_of_date(elements: tuple[tuple[str, str], ...]) -> tuple[bool, bool]:
    """Whether a layout names the month, and the day of the month."""
    names = {element for _, element in elements}
    return not names.isdisjoint(("January", "Jan", "01", "1")), not names.isdisjoint(("02", "_2", "2"))


def _date_of_day(fields: Fields, text: str, elements: tuple[tuple[str, str], ...]) -> None:
    """Month and day by the day of the year; those that the text names must agree."""
    assert fields.day_of_year is not None
    month, day = 1, fields.day_of_year
    while month <= 12 and day > days_in(month, fields.year):
        day -= days_in(month, fields.year)
        month += 1
    if day < 1 or month > 12:
        raise ApiError(f"parsing time {quote(text)}: day-of-year out of range")
    named_month, named_day = _kinds_of_date(elements)
    if named_month and fields.month != month:
        raise ApiError(f"parsing time {quote(text)}: day-of-year does not match month")
    if named_day and fields.day != day:
        raise ApiError(f"parsing time {quote(text)}: day-of-year does not match day")
    fields.month, fields.day = month, day


def _unparsed(layout: str, text: str, rest: str, element: str) -> ApiError:
    return ApiError(f"parsing time {quote(text)} as {quote(layout)}: cannot parse {quote(rest)} as {quote(element)}")


def instant_of(fields: Fields) -> Instant:
    """The instant of fields that name their offset (or UTC)."""
    offset = fields.offset_s or 0
    return Instant(fields.local_seconds() - offset, fields.nanos, offset)


def parse_layout(layout: str, text: str) -> Instant:
    """`read_layout` as an instant; UTC when neither text nor layout names an offset."""
    return instant_of(read_layout(layout, text))
