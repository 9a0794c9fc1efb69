"""Attribute types: what each makes of an event (spec chapters 50 §8.3 and 41 §3)."""

from __future__ import annotations

from typing import Any

import pytest

from cgr_cluster.attributes.types import Attribute
from tests.unit.attributes_world import altered, computed, profile, world

EVENT: dict[str, Any] = {
    "A": "7",
    "B": "2",
    "Half": "1.5",
    "Dur": "90s",
    "T": "2026-03-02T10:00:00Z",
    "Later": "2026-03-02T10:01:30.5Z",
    "Empty": "",
    "Text": "abc",
    "Yes": "true",
}


def result(kind: str, *rules: str, **more: Any) -> Any:
    return computed(Attribute("*req.R", kind, rules), **{**EVENT, **more})


@pytest.mark.parametrize(
    ("kind", "rules", "expected"),
    [
        ("*constant", ("fixed",), "fixed"),
        ("*constant", ("a", "b"), "ab"),
        ("*constant", ("~*req.A",), ""),
        ("*constant", ("x~*req.A",), "x~*req.A"),
        ("*constant", ("1m{*duration_seconds}",), "60"),
        ("*constant", ("~*req.A{*duration_seconds}",), "0"),
        ("*constant", ("a<~*req.A>b",), "ab"),
        ("*constant", (), ""),
        ("*variable", ("~*req.A", "-", "~*req.B"), "7-2"),
        ("*variable", (), ""),
        ("*variable", ("~*req.Nope",), "NOT_FOUND"),
        ("*variable", ("a", "~*req.Nope"), "NOT_FOUND"),
        ("", ("~*req.A",), "7"),
        ("*none", ("x",), ""),
        # *usage_difference: two times
        ("*usage_difference", ("~*req.Later", "~*req.T"), "1m30.5s"),
        ("*usage_difference", ("~*req.T", "2026-03-02T11:00:00Z"), "-1h0m0s"),
        ("*usage_difference", ("1772445605", "2026-03-02 10:00:00"), "5s"),
        ("*usage_difference", ("10s", "5s"), "SERVER_ERROR: Unsupported time format"),
        ("*usage_difference", ("~*req.Nope", "x"), "NOT_FOUND"),
        ("*usage_difference", ("1m",), 'SERVER_ERROR: invalid arguments <[{"Rules":"1m"}]> to *usage_difference'),
        ("*usage_difference", ("a", "b", "c"),
         'SERVER_ERROR: invalid arguments <[{"Rules":"a"},{"Rules":"b"},{"Rules":"c"}]> to *usage_difference'),
        # arithmetic: the first value's type rules
        ("*sum", ("~*req.A", "5"), "12"),
        ("*sum", ("10", "~*req.A", "1"), "18"),
        ("*sum", ("-3", "+5"), "2"),
        ("*sum", ("1.1", "2.2"), "3.3000000000000003"),
        ("*sum", ("1.5", "1"), "2.5"),
        ("*sum", ("1.5", "1s"), "1000000001.5"),
        ("*sum", ("12s", "10s"), "22s"),
        ("*sum", ("12s", "10"), "12.00000001s"),
        ("*sum", ("1s", "1.9"), "1.000000001s"),
        ("*sum", ("12", "10s"), "10000000012"),
        ("*sum", ("1772445605", "1"), "1772445606"),
        ("*sum", ("~*req.T", "90s"), "2026-03-02T10:01:30Z"),
        ("*sum", ("~*req.T", "1000000000", "1s"), "2026-03-02T10:00:02Z"),
        ("*sum", ("~*req.T", "~*req.T"), "SERVER_ERROR: cannot convert field: 2026-03-02 10:00:00 +0000 UTC to time.Duration"),
        ("*sum", ("~*req.T", "abc"), 'SERVER_ERROR: time: invalid duration "abc"'),
        ("*sum", ("~*req.Text", "1"), ""),
        ("*sum", ("~*req.Yes", "1"), ""),
        ("*sum", ("~*req.Empty", "1"), ""),
        ("*sum", ("10", "2.5"), "SERVER_ERROR: cannot convert field: 2.5 to int"),
        ("*sum", ("10", "true"), "SERVER_ERROR: cannot convert field: true to int"),
        ("*sum", ("10", "abc"), 'SERVER_ERROR: strconv.Atoi: parsing "abc": invalid syntax'),
        ("*sum", ("1.5", "true"), "SERVER_ERROR: cannot convert field: true to float64"),
        ("*sum", ("1.5", "abc"), 'SERVER_ERROR: strconv.ParseFloat: parsing "abc": invalid syntax'),
        ("*sum", ("1s", "true"), "SERVER_ERROR: cannot convert field: true to time.Duration"),
        ("*sum", ("1",), "SERVER_ERROR: NotEnoughParameters"),
        ("*sum", (), "SERVER_ERROR: NotEnoughParameters"),
        ("*sum", ("~*req.Nope", "1"), "NOT_FOUND"),
        ("*difference", ("100", "~*req.A", "1"), "92"),
        ("*difference", ("1m", "30s"), "30s"),
        ("*difference", ("~*req.T", "1h"), "2026-03-02T09:00:00Z"),
        ("*difference", ("~*req.Later", "~*req.T"), "1m30.5s"),
        ("*difference", ("~*req.Later", "~*req.T", "30s"), "1m0.5s"),
        ("*difference", ("~*req.Later", "30s", "~*req.T"), "1m0.5s"),
        ("*difference", ("abc", "1"), "SERVER_ERROR: unsupported type"),
        ("*difference", ("true", "1"), "SERVER_ERROR: unsupported type"),
        ("*multiply", ("~*req.A", "3"), "21"),
        ("*multiply", ("10", "1.19"), "SERVER_ERROR: cannot convert field: 1.19 to int"),
        ("*multiply", ("10.0", "1.19"), "11.899999999999999"),
        ("*multiply", ("~*req.Half", "~*req.Half"), "2.25"),
        ("*multiply", ("9223372036854775807", "2"), "SERVER_ERROR: value out of range"),
        ("*sum", ("2562047h", "2562047h"), "SERVER_ERROR: value out of range"),
        ("*multiply", ("1m", "2"), "SERVER_ERROR: unsupported type"),
        ("*multiply", ("~*req.T", "2"), "SERVER_ERROR: unsupported type"),
        ("*divide", ("7", "2"), "3"),
        ("*divide", ("-7", "2"), "-3"),
        ("*divide", ("7", "-2"), "-3"),
        ("*divide", ("-7", "-2"), "3"),
        ("*divide", ("7.0", "2"), "3.5"),
        ("*divide", ("100", "5", "2"), "10"),
        ("*divide", ("7", "0"), "SERVER_ERROR: division by zero"),
        ("*divide", ("7.0", "0"), "+Inf"),
        ("*divide", ("0.0", "0"), "NaN"),
        ("*divide", ("1",), "SERVER_ERROR: NotEnoughParameters"),
        # *value_exponent
        ("*value_exponent", ("~*req.A", "-2"), "0.07"),
        ("*value_exponent", ("15", "3"), "15000"),
        ("*value_exponent", ("123456", "-2"), "1234.56"),
        ("*value_exponent", ("1.000005", "0"), "1.00001"),
        ("*value_exponent", ("-1.000005", "0"), "-1.00001"),
        ("*value_exponent", ("5", "-9"), "0"),
        ("*value_exponent", ("abc", "2"), "SERVER_ERROR: invalid value <abc> to *value_exponent"),
        ("*value_exponent", ("1", "x"), 'SERVER_ERROR: strconv.Atoi: parsing "x": invalid syntax'),
        ("*value_exponent", ("1",), 'SERVER_ERROR: invalid arguments <[{"Rules":"1"}]> to *value_exponent'),
        # times
        ("*unix_timestamp", ("~*req.Later",), "1772445690"),
        ("*unix_timestamp", ("2026-03-02", " 10:00:00"), "1772445600"),
        ("*unix_timestamp", ("abc",), "SERVER_ERROR: Unsupported time format"),
        ("*datetime", ("1772359200",), "2026-03-01T10:00:00Z"),
        ("*datetime", ("~*req.Later",), "2026-03-02T10:01:30Z"),
        ("*datetime", ("2026-03-02T10:00:00+02:00",), "2026-03-02T10:00:00+02:00"),
        ("*datetime", ("2026-02-30T10:00:00Z",), 'SERVER_ERROR: parsing time "2026-02-30T10:00:00Z": day out of range'),
        # *cc_usage
        ("*cc_usage", ("3", "12s", "30s"), "1m12s"),
        ("*cc_usage", ("1", "12s", "30s"), "12s"),
        ("*cc_usage", ("0", "12", "30s"), "12ns"),
        ("*cc_usage", ("x", "12s", "30s"), "SERVER_ERROR: invalid requestNumber <x> to *cc_usage"),
        ("*cc_usage", ("1", "x", "30s"), "SERVER_ERROR: invalid usedCCTime <x> to *cc_usage"),
        ("*cc_usage", ("1", "12s", "x"), "SERVER_ERROR: invalid debitInterval <x> to *cc_usage"),
        ("*cc_usage", ("1", "2"), 'SERVER_ERROR: invalid arguments <[{"Rules":"1"},{"Rules":"2"}]> to *cc_usage'),
        # *sipcid
        ("*sipcid", ("call1", "tagB", "tagA"), "call1;tagA;tagB"),
        ("*sipcid", ("call1", "~*req.Nope", "~*req.Empty", "x"), "call1;x"),
        ("*sipcid", ("~*req.Nope", "x"), "NOT_FOUND"),
        # types of other users of templates, and none at all
        ("*group", ("x",), "SERVER_ERROR: unsupported type: <*group>"),
        ("*filler", ("x",), "SERVER_ERROR: unsupported type: <*filler>"),
        ("*remove", ("x",), "SERVER_ERROR: unsupported type: <*remove>"),
        ("*template", ("x",), "SERVER_ERROR: unsupported type: <*template>"),
        ("*bogus", ("x",), "SERVER_ERROR: unsupported type: <*bogus>"),
    ],
)  # fmt: skip
def test_results(kind: str, rules: tuple[str, ...], expected: str) -> None:
    assert result(kind, *rules) == expected


@pytest.mark.parametrize(
    ("kind", "old", "expected"),
    [
        ("*composed", "x", "x_7"),
        ("*composed", None, "_7"),
        ("*composed", 5, "5_7"),
        ("*prefix", "x", "_7x"),
        ("*prefix", None, "NOT_FOUND"),
        ("*suffix", "x", "x_7"),
        ("*suffix", None, "NOT_FOUND"),
    ],
)
def test_types_that_look_at_what_the_path_holds(kind: str, old: Any, expected: str) -> None:
    assert result(kind, "_", "~*req.A", **({} if old is None else {"R": old})) == expected


@pytest.mark.parametrize(("kind", "expected"), [("*prefix", "_x"), ("*suffix", "x_"), ("*composed", "x_")])
def test_nested_paths_hold_texts_too(kind: str, expected: str) -> None:
    reference = world(profile("A", Attribute("*req.C.D", kind, ("_",))))
    assert altered(reference, {"C": {"D": "x", "E": 1}}) == {"C": {"D": expected, "E": 1}}


def test_numbers_follow_the_configured_decimals() -> None:
    reference = world(
        profile("A", Attribute("*req.R", "*value_exponent", ("12345", "-4"))),
        config={"general": {"rounding_decimals": 2}},
    )
    assert altered(reference, {})["R"] == "1.23"


def test_times_without_zone_are_of_the_configured_one() -> None:
    reference = world(
        profile(
            "A",
            Attribute("*req.R", "*datetime", ("2026-07-01 12:00:00",)),
            Attribute("*req.S", "*variable", ("2026-07-01 12:00:00{*unixtime}",)),
            Attribute("*req.U", "*sum", ("2026-07-01 12:00:00", "1h")),
        ),
        config={"general": {"default_timezone": "Europe/Berlin"}},
    )
    assert altered(reference, {}) == {
        "R": "2026-07-01T12:00:00+02:00",
        "S": "1782900000",
        "U": "2026-07-01T13:00:00+02:00",
    }
