"""What each field of an event is read as, and what a CDR is written as (spec 40 §1)."""

from __future__ import annotations

from hashlib import sha1
from typing import Any

import pytest

from cgr_cluster.cdrs.conversion import (
    Defaults,
    cdr_json,
    cdr_of_event,
    event_json,
    event_of_cdr,
    external_json,
)
from cgr_cluster.cdrs.types import CDR
from cgr_cluster.events.instant import ZERO, Instant
from cgr_cluster.rating.types import Charge, ChargeIncrement, EventCost
from cgr_cluster.rpc.errors import ApiError
from tests.unit.cdrs_world import cdr

DEFAULTS = Defaults("*rated", "cgrates.org", "call", "UTC")
NOW_NS = 1_772_445_605 * 10**9
HOUR_NS = 3_600_000_000_000


def of(**event: Any) -> CDR:
    return cdr_of_event(event, "tenant", DEFAULTS, NOW_NS)


def test_defaults() -> None:
    record = of(OriginID="call", OriginHost="host", Account="1001")
    assert record == CDR(
        sha1(b"callhost").hexdigest(), "*default", 0, "host", "", "call", "*voice",
        "*rated", "tenant", "call", "1001", "1001", "", ZERO, ZERO, 0, {}, "", False, False, "", -1_000_000_000, None,
    )  # fmt: skip
    assert of().cgrid == "da39a3ee5e6b4b0d3255bfef95601890afd80709"  # SHA-1 of nothing
    assert cdr_of_event({"Tenant": "own"}, "tenant", DEFAULTS, NOW_NS).tenant == "own"
    assert cdr_of_event({"Tenant": ""}, "", DEFAULTS, NOW_NS).tenant == "cgrates.org"


@pytest.mark.parametrize(
    ("field", "value", "attribute", "expected"),
    [
        ("Account", 1001, "account", "1001"),
        ("Account", 10.5, "account", "10.5"),
        ("Account", True, "account", "true"),
        ("Account", None, "account", ""),
        ("Account", {"b": 1, "a": [2]}, "account", '{"a":[2],"b":1}'),
        ("SetupTime", "", "setup_time", ZERO),
        ("SetupTime", "0", "setup_time", ZERO),
        ("SetupTime", "1772445605", "setup_time", Instant(1772445605)),
        ("AnswerTime", "2026-03-02T10:00:05.25+01:00", "answer_time", Instant(1772442005, 250_000_000, 3600)),
        ("Usage", 61, "usage_ns", 61),
        ("Usage", 61.9, "usage_ns", 61),
        ("Usage", "61", "usage_ns", 61),
        ("Usage", "60.5", "usage_ns", 60),
        ("Usage", "1h", "usage_ns", HOUR_NS),
        ("Usage", "", "usage_ns", 0),
        ("Usage", "-5s", "usage_ns", -5_000_000_000),
        ("Cost", 1.25, "cost_nano", 1_250_000_000),
        ("Cost", "1.25", "cost_nano", 1_250_000_000),
        ("Cost", "2ns", "cost_nano", 2_000_000_000),
        ("Cost", 0.1 + 0.2, "cost_nano", 300_000_000),
        ("Cost", 3.6e12, "cost_nano", 3_600 * 10**18),
        ("PreRated", "t", "pre_rated", True),
        ("PreRated", "FALSE", "pre_rated", False),
        ("PreRated", 2, "pre_rated", True),
        ("Partial", 0, "partial", False),
        ("Partial", -1, "partial", False),
        ("OrderID", 7, "order_id", 7),
        ("OrderID", "7", "order_id", 7),
        ("CostDetails", None, "cost_details", None),
        ("CostDetails", "null", "cost_details", None),
        ("CostDetails", '{"RunID": "*raw", "Unknown": 1}', "cost_details", EventCost(run_id="*raw")),
        ("CostDetails", {"CGRID": "x"}, "cost_details", EventCost(cgrid="x")),
        ("usage", "61", "extra_fields", {"usage": "61"}),
        ("Rated", True, "extra_fields", {"Rated": "true"}),
        ("Trunk", None, "extra_fields", {}),
        ("Trunk", 1e21, "extra_fields", {"Trunk": "1000000000000000000000"}),
        ("ExtraFields", {"Trunk": "t1"}, "extra_fields", {"ExtraFields": '{"Trunk":"t1"}'}),
    ],
)
def test_fields_are_read(field: str, value: Any, attribute: str, expected: Any) -> None:
    assert getattr(of(**{field: value}), attribute) == expected


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("SetupTime", 1772445605),
        ("SetupTime", None),
        ("AnswerTime", "noon"),
        ("Usage", True),
        ("Usage", None),
        ("Usage", [1]),
        ("Usage", "1e3"),
        ("Usage", "long"),
        ("Usage", 1e300),
        ("Cost", True),
        ("Cost", None),
        ("Cost", ""),
        ("Cost", [1]),
        ("Cost", "cheap"),
        ("Partial", ""),
        ("PreRated", "yes"),
        ("PreRated", None),
        ("CostDetails", ""),
        ("CostDetails", 5),
        ("CostDetails", [1]),
        ("CostDetails", "{bad"),
        ("OrderID", 1.5),
        ("OrderID", "x"),
        ("OrderID", None),
        ("OrderID", True),
        ("OrderID", 1 << 63),
        ("rated", False),
    ],
)
def test_values_are_refused(field: str, value: Any) -> None:
    with pytest.raises(ApiError):
        of(**{field: value})


def test_an_event_made_of_a_record_reads_as_that_record() -> None:
    details = EventCost("cgrid-1", "*default", charges=[Charge("", [ChargeIncrement(1, 5, "", 2)], 1)])
    record = cdr(extra_fields={"Trunk": "t1", "Account": "lost"}, cost_nano=250_000_000, cost_details=details)

    event = event_of_cdr(record)

    assert event["Account"] == "1001"
    assert (event["Trunk"], event["Cost"]) == ("t1", 0.25)
    assert cdr_of_event(event, "", DEFAULTS, NOW_NS) == cdr(cost_nano=250_000_000, cost_details=details)
    assert "CostDetails" not in event_of_cdr(cdr())
    shown = event_json(event)
    assert shown["AnswerTime"] == "2026-03-02T10:00:05Z"
    assert shown["CostDetails"]["Usage"] == 2


@pytest.mark.parametrize(
    ("tor", "usage_ns", "text"),
    [("*voice", 90_000_000_000, "1m30s"), ("*voice", 0, "0s"), ("*data", 5_242_880, "5242880")],
)
def test_external_form(tor: str, usage_ns: int, text: str) -> None:
    shown = external_json(cdr(tor=tor, usage_ns=usage_ns, setup_time=Instant(1772445605, 250_000_000, 3600)))
    assert shown["Usage"] == text
    assert shown["SetupTime"] == "2026-03-02T11:00:05+01:00"
    assert shown["CostDetails"] == "null"
    assert "Partial" not in shown


def test_details_of_a_session_rated_anew_have_no_usage() -> None:
    record = cdr(cost_source="CDRs", cost_details=EventCost())
    assert cdr_json(record)["CostDetails"]["Usage"] is None
    assert '"Usage":null' in external_json(record)["CostDetails"]
    assert event_json(event_of_cdr(record))["CostDetails"]["Usage"] is None
