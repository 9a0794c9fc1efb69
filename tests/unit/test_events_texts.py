"""Durations, times and free values as texts (spec 10 §1.1, §1.2, 01 §5, 30.2)."""

from __future__ import annotations

from typing import Any

import pytest

from cgr_cluster.events.durations import format_duration, parse_duration, parse_go_duration
from cgr_cluster.events.instant import ZERO, Instant
from cgr_cluster.events.layouts import parse_layout
from cgr_cluster.events.times import format_instant, parse_rfc3339, parse_time
from cgr_cluster.events.values import (
    bool_of,
    duration_of,
    float_of,
    int_of,
    json_text,
    parse_int,
    text_of,
)
from cgr_cluster.rpc.errors import ApiError

S = 1_000_000_000
NOW = parse_rfc3339("2025-01-31T10:00:00Z").ns
RFC = '"2006-01-02T15:04:05Z07:00"'


def error_of(function: Any, *args: Any) -> str:
    with pytest.raises(ApiError) as caught:
        function(*args)
    return caught.value.text


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("90s", 90 * S), ("1m30s", 90 * S), ("1.5m", 90 * S), ("1500ms", 1500000000), ("2us", 2000), ("2µs", 2000),
        ("10ns", 10), ("0.5h", 1800 * S), ("-10s", -10 * S), ("1000", 1000), ("1.5", 1), ("-1", -1), ("", 0),
        ("*unlimited", -1), ("0", 0), ("1h2m3.5s", 3723500000000), ("+5s", 5 * S), (".5s", S // 2), ("250ms", S // 4),
        ("1.0000000019s", 1000000001),
    ],
)  # fmt: skip
def test_durations(text: str, ns: int) -> None:
    assert parse_duration(text) == ns


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("90 s", 'time: unknown unit " s" in duration "90 s"'),
        ("1d", 'time: unknown unit "d" in duration "1d"'),
        ("sixty", 'time: invalid duration "sixty"'),
        ("ten minutes", 'time: invalid duration "ten minutes"'),
        ('x"y', 'time: invalid duration "x\\"y"'),
        ("é", 'time: invalid duration "\\xc3\\xa9"'),
        ("1s2", 'time: missing unit in duration "1s2"'),
        ("9999999999h", 'time: invalid duration "9999999999h"'),
    ],
)
def test_durations_that_are_none(text: str, error: str) -> None:
    assert error_of(parse_duration, text) == error


def test_the_strict_form_wants_units() -> None:
    assert parse_go_duration("0") == 0
    assert error_of(parse_go_duration, "90") == 'time: missing unit in duration "90"'
    assert error_of(parse_go_duration, "") == 'time: invalid duration ""'


@pytest.mark.parametrize(
    ("ns", "text"),
    [(0, "0s"), (90 * S, "1m30s"), (3600 * S, "1h0m0s"), (1, "1ns"), (1500, "1.5µs"), (1_500_000, "1.5ms"),
     (1_500_000_000, "1.5s"), (-10 * S, "-10s"), (3723_500_000_000, "1h2m3.5s"), (-1, "-1ns"), (20 * S, "20s")],
)  # fmt: skip
def test_durations_printed(ns: int, text: str) -> None:
    assert format_duration(ns) == text


@pytest.mark.parametrize(
    ("text", "zone", "printed"),
    [
        ("2025-03-04T10:00:00.5-0300", "UTC", "2025-03-04T10:00:00.5-03:00"),
        ("2025-03-04T10:00:00.25Z", "Europe/Berlin", "2025-03-04T10:00:00.25Z"),
        ("2025-03-04T10:00:00+02:00", "UTC", "2025-03-04T10:00:00+02:00"),
        ("2025-03-04 10:00:00 +0000 UTC", "UTC", "2025-03-04T10:00:00Z"),
        ("2025-07-04 10:00:00.125 +0200 CEST", "UTC", "2025-07-04T10:00:00.125+02:00"),
        ("2025-03-04 10:00:00 +0200 +0200", "UTC", "2025-03-04T10:00:00+02:00"),
        ("2025-03-04 10:00:00", "UTC", "2025-03-04T10:00:00Z"),
        ("2025-07-04 10:00:00", "Europe/Berlin", "2025-07-04T10:00:00+02:00"),
        ("2025-03-04T10:00:00", "America/New_York", "2025-03-04T10:00:00-05:00"),
        ("1741082400", "UTC", "2025-03-04T10:00:00Z"),
        ("1741082400500", "UTC", "2025-03-04T10:00:00.5Z"),
        ("1741082400000250", "UTC", "2025-03-04T10:00:00.00025Z"),
        ("1741082400000000001", "UTC", "2025-03-04T10:00:00.000000001Z"),
        ("20250304100000", "UTC", "2025-03-04T10:00:00Z"),
        ("20250304100000.250", "UTC", "2025-03-04T10:00:00.25Z"),
        ("04.03.2025 10:00:00", "UTC", "2025-03-04T10:00:00Z"),
        (" 04/03/2025 10:00:00 ", "UTC", "2025-03-04T10:00:00Z"),
        ("*now", "UTC", "2025-01-31T10:00:00Z"),
        ("+24h", "UTC", "2025-02-01T10:00:00Z"),
        ("-1h", "UTC", "2025-01-31T09:00:00Z"),
        ("*daily", "UTC", "2025-02-01T10:00:00Z"),
        ("*monthly", "UTC", "2025-03-03T10:00:00Z"),
        ("*monthly_estimated", "UTC", "2025-02-28T10:00:00Z"),
        ("*yearly", "UTC", "2026-01-31T10:00:00Z"),
        ("*month_end", "UTC", "2025-01-31T23:59:59Z"),
        ("*month_end+24h", "UTC", "2025-02-01T23:59:59Z"),
        ("*mo+24h", "UTC", "2025-03-04T10:00:00Z"),
    ],
)
def test_times(text: str, zone: str, printed: str) -> None:
    assert format_instant(parse_time(text, NOW, zone)) == printed


@pytest.mark.parametrize("text", ["", "*unlimited", "*none", "0", "  "])
def test_the_zero_time(text: str) -> None:
    assert parse_time(text, NOW) == ZERO
    assert format_instant(ZERO) == "0001-01-01T00:00:00Z"


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("soon", "Unsupported time format"), ("now", "Unsupported time format"), ("*soon", "Unsupported time format"),
        ("2025-03-04", "Unsupported time format"), ("10:00", "Unsupported time format"), ("+", "Unsupported time format"),
        ("2025-03-04T10:00:05+0100", f'parsing time "2025-03-04T10:00:05+0100" as {RFC}: cannot parse "+0100" as "Z07:00"'),
        ("2025-03-04T10:00:05.5", f'parsing time "2025-03-04T10:00:05.5" as {RFC}: cannot parse "" as "Z07:00"'),
        ("2025-03-04T10:00:05Zx", 'parsing time "2025-03-04T10:00:05Zx": extra text: "x"'),
        ("2025-03-04T10:00Z", "Unsupported time format"), ("12345", "Unsupported time format"),
        ("+1day", 'time: unknown unit "day" in duration "1day"'),
        ("+soon", 'time: invalid duration "soon"'),
        ("2025-02-30T10:00:00Z", 'parsing time "2025-02-30T10:00:00Z": day out of range'),
        ("2025-13-01 10:00:00", 'parsing time "2025-13-01 10:00:00": month out of range'),
        ("2025-01-01 24:00:00", 'parsing time "2025-01-01 24:00:00": hour out of range'),
        ("2025-02-30 10:00:00 +0100 +0100", 'parsing time "2025-02-30 10:00:00 +0100 +0100": day out of range'),
    ],
)  # fmt: skip
def test_times_that_are_none(text: str, error: str) -> None:
    assert error_of(parse_time, text, NOW) == error


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("yesterday", f'parsing time "yesterday" as {RFC}: cannot parse "yesterday" as "2006"'),
        ("", f'parsing time "" as {RFC}: cannot parse "" as "2006"'),
        ("2026-01-01 00:00:00", f'parsing time "2026-01-01 00:00:00" as {RFC}: cannot parse " 00:00:00" as "T"'),
        ("10 o'clock", f'parsing time "10 o\'clock" as {RFC}: cannot parse "10 o\'clock" as "2006"'),
        ("2026-01-01T00:00:00", f'parsing time "2026-01-01T00:00:00" as {RFC}: cannot parse "" as "Z07:00"'),
        ("2026-01-01", f'parsing time "2026-01-01" as {RFC}: cannot parse "" as "T"'),
        ("2026-1-01T00:00:00Z", f'parsing time "2026-1-01T00:00:00Z" as {RFC}: cannot parse "1-01T00:00:00Z" as "01"'),
        ("2026-02-29T00:00:00Z", 'parsing time "2026-02-29T00:00:00Z": day out of range'),
        ("2026-02-01T00:60:00Z", 'parsing time "2026-02-01T00:60:00Z": minute out of range'),
        ("2026-02-01T00:00:00Zx", 'parsing time "2026-02-01T00:00:00Zx": extra text: "x"'),
    ],
)  # fmt: skip
def test_typed_times_that_are_none(text: str, error: str) -> None:
    assert error_of(parse_rfc3339, text) == error


def test_typed_times() -> None:
    assert parse_rfc3339("2026-01-01T00:00:00.123456789+05:30") == Instant(1767205800, 123456789, 19800)
    assert parse_rfc3339("0001-01-01T00:00:00Z") == ZERO
    assert format_instant(parse_rfc3339("9999-12-31T23:59:59.999999999-08:00")) == "9999-12-31T23:59:59.999999999-08:00"
    assert parse_rfc3339("0000-02-29T00:00:00Z").seconds == -62162121600  # year 0 is a leap year


def test_layouts() -> None:
    assert parse_layout("02/01/2006", "29/02/2028") == Instant(1835395200)
    assert parse_layout("Jan _2 2006 03:04PM MST", "Mar  4 2025 10:05PM UTC") == Instant(1741125900)
    text = 'parsing time "2028-02-29" as "02/01/2006": cannot parse "28-02-29" as "/"'
    assert error_of(parse_layout, "02/01/2006", "2028-02-29") == text


@pytest.mark.parametrize(
    ("value", "text"),
    [("x", "x"), (None, ""), (True, "true"), (False, "false"), (5, "5"), (5.0, "5"), (1.5, "1.5"), (1e21, "1" + "0" * 21),
     (1e-7, "0.0000001"), ([1, "a"], '[1,"a"]'), ({"b": 1.0, "a": "<"}, '{"a":"\\u003c","b":1}'), (-0.5, "-0.5"),
     (ZERO, "0001-01-01T00:00:00Z")],
)  # fmt: skip
def test_any_value_as_text(value: Any, text: str) -> None:
    assert text_of(value) == text


def test_values() -> None:
    assert duration_of(1.9) == 1
    assert duration_of("90") == 90
    assert duration_of(10**10) == 10**10
    assert error_of(duration_of, True) == "cannot convert field: true to time.Duration"
    assert error_of(duration_of, [1]) == "cannot convert field: [1] to time.Duration"
    assert error_of(duration_of, None) == "cannot convert field: <nil> to time.Duration"
    assert error_of(bool_of, {"a": 1}) == "cannot convert field: map[a:1] to bool"
    assert error_of(bool_of, "maybe") == 'strconv.ParseBool: parsing "maybe": invalid syntax'
    assert bool_of("t") is True
    assert float_of("1e3") == 1000.0
    assert error_of(float_of, "heavy") == 'strconv.ParseFloat: parsing "heavy": invalid syntax'
    assert error_of(float_of, "1e999") == 'strconv.ParseFloat: parsing "1e999": value out of range'
    assert error_of(int_of, "12.5") == 'strconv.ParseInt: parsing "12.5": invalid syntax'
    assert error_of(parse_int, "x", "Atoi") == 'strconv.Atoi: parsing "x": invalid syntax'
    assert json_text({"n": 1e21, "m": 1e-7, "t": [None, True]}) == '{"m":1e-7,"n":1e+21,"t":[null,true]}'
