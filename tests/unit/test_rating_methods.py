"""The methods of chapter 10 on prices and live rating data, row by row: what each answers to good, missing and wrong
parameters (10 §7, §8; 01 §4-6)."""

from __future__ import annotations

from hashlib import sha1
from pathlib import Path
from typing import Any

import pytest

from cgr_cluster.node.node import Node
from tests.unit.method_rows import NOT_FOUND, OK, check, missing, new_node, provisioned, wrong


@pytest.fixture(params=[False, True], ids=["small loads", "loads by deck"])
def empty(request: pytest.FixtureRequest) -> Node:
    return new_node(request.param)


@pytest.fixture
def node(empty: Node, tmp_path: Path) -> Node:
    return provisioned(empty, tmp_path / "plan")


def test_destinations(node: Node) -> None:
    check(node, [
        ("SetDestination", None, missing("Id Prefixes")),
        ("SetDestination", {"ID": "X", "prefixes": []}, missing("Prefixes")),
        ("SetDestination", {"Id": "X", "Prefixes": "1"},
         wrong("string into Go struct field AttrSetDestination.Prefixes of type []string")),
        ("SetDestination", {"Id": "X", "Prefixes": ["1", 2]},
         wrong("number into Go struct field AttrSetDestination.Prefixes of type string")),
        ("SetDestination", {"Id": "D", "Prefixes": ["1"]}, {"error": "EXISTS"}),
        ("SetDestination", {"Id": "D", "Prefixes": ["4930", "7"], "Overwrite": True}, OK),
        ("GetReverseDestination", "49", NOT_FOUND),
        ("GetReverseDestination", "7", {"result": ["D"]}),
        ("GetReverseDestination", "77", NOT_FOUND),
        ("GetReverseDestination", "", missing("prefix")),
        ("GetReverseDestination", None, missing("prefix")),
        ("GetDestination", "D", {"result": {"Id": "D", "Prefixes": ["4930", "7"]}}),
        ("GetDestination", "", NOT_FOUND),
        ("GetDestination", {}, wrong("object into Go value of type string")),
        ("RemoveDestination", {"DestinationIDs": ["D"], "Prefixes": ["7", "8"]}, OK),
        ("GetDestination", "D", {"result": {"Id": "D", "Prefixes": ["4930"]}}),
        ("RemoveDestination", {"DestinationIDs": ["D"]}, OK),
        ("RemoveDestination", {"DestinationIDs": ["D"]}, NOT_FOUND),
        ("RemoveDestination", {}, OK),
        ("GetReverseDestination", "4930", NOT_FOUND),
        ("ComputeReverseDestinations", "", OK),
        ("APIerSv2.GetDestinations", {}, {"result": [{"Id": "E", "Prefixes": ["33"]}]}),
        ("APIerSv2.GetDestinations", {"DestinationIDs": ["E", "D"]}, NOT_FOUND),
    ])  # fmt: skip


def test_timings(node: Node) -> None:
    field = "into Go struct field TPTimingWithAPIOpts.TPTiming"
    timing = {
        "ID": "W",
        "Years": [2025],
        "Months": [],
        "MonthDays": [],
        "WeekDays": [1],
        "StartTime": "08:00:00",
        "EndTime": "09:00:00",
    }
    monday = "2025-03-03T"
    check(node, [
        ("SetTiming", {}, missing("ID")),
        ("SetTiming", {"ID": "W", "WeekDays": "1;2"}, wrong(f"string {field}.WeekDays of type utils.WeekDays")),
        ("SetTiming", {"ID": "W", "Months": [1.5]}, wrong(f"number 1.5 {field}.Months of type time.Month")),
        ("SetTiming", {**timing, "StartTime": "00:00:00"}, OK),
        ("SetTiming", timing, OK),
        ("GetTiming", {"id": "W"}, {"result": timing}),
        ("GetTiming", {}, missing("ID")),
        ("GetTiming", {"ID": "NO"}, NOT_FOUND),
        ("TimingIsActiveAt", {"TimingID": "NO", "Time": monday + "08:00:00Z"}, NOT_FOUND),
        ("TimingIsActiveAt", {"TimingID": "W", "Time": "soon"}, {"error": "Unsupported time format"}),
        *[("TimingIsActiveAt", {"TimingID": "W", "Time": text}, {"result": active}) for text, active in [
            (monday + "08:00:00Z", True), (monday + "09:00:00Z", True), (monday + "07:59:59.9Z", False),
            (monday + "09:00:00.1Z", False), (monday + "08:30:00+05:00", True), ("2025-03-04T08:30:00Z", False),
            ("2024-03-04 08:30:00", False), ("1740990600", True),
        ]],
        ("RemoveTiming", {}, missing("ID")),
        ("RemoveTiming", {"ID": "W"}, OK),
        ("RemoveTiming", {"ID": "W"}, OK),
        ("GetTiming", {"ID": "W"}, NOT_FOUND),
    ])  # fmt: skip


def key(text: str) -> str:
    """A key of a stored plan (10 §2.5)."""
    return sha1(text.encode()).hexdigest()[:8]


def test_rating_plans(node: Node) -> None:
    timing, rating = key("&{T [] [] [] [] 00:00:00   T}"), key("0.05 *up 4 0 " + key("&{0s 0.6 1m0s 1m0s}"))
    field = "into Go struct field PaginatorWithTenant"
    check(node, [
        ("GetRatingPlanIDs", None, {"result": ["P"]}),
        ("GetRatingPlanIDs", {"Search": "P", "Limit": 1, "Offset": 0}, {"result": ["P"]}),
        ("GetRatingPlanIDs", {"Offset": 7}, {"result": None}),
        ("GetRatingPlanIDs", {"Search": "NO"}, NOT_FOUND),
        ("GetRatingPlanIDs", {"limit": "1"}, wrong(f"string {field}.Paginator.Limit of type int")),
        ("GetRatingPlanIDs", {"Search": 1}, wrong(f"number {field}.Search of type string")),
        ("GetRatingPlan", "NO", NOT_FOUND),
        ("GetRatingPlan", "P", {"result": {
            "Id": "P",
            "Timings": {timing: {"ID": "T", "Years": [], "Months": [], "MonthDays": [], "WeekDays": [],
                                     "StartTime": "00:00:00", "EndTime": ""}},
            "Ratings": {rating: {"ConnectFee": 0.05, "RoundingMethod": "*up", "RoundingDecimals": 4, "MaxCost": 0,
                                     "MaxCostStrategy": "",
                                     "Rates": [{"GroupIntervalStart": 0, "Value": 0.6, "RateIncrement": 60 * 10**9,
                                                "RateUnit": 60 * 10**9}]}},
            "DestinationRates": {"D": [{"Timing": timing, "Rating": rating, "Weight": 10}]}}}),
        ("RemoveRatingPlan", "", missing("ID")),
        ("RemoveRatingPlan", "NO", OK),
        ("RemoveRatingPlan", "P", OK),
        ("GetRatingPlanIDs", {}, NOT_FOUND),
        ("GetCost", {"Destination": "491", "AnswerTime": "*now", "Usage": "1s"},
         {"error": "SERVER_ERROR: UNAUTHORIZED_DESTINATION"}),
    ])  # fmt: skip


def test_rating_profiles(node: Node) -> None:
    at = "2025-01-01T00:00:00Z"
    good = {"ActivationTime": at, "RatingPlanId": "P"}

    def setting(*activations: Any, **more: Any) -> tuple[str, dict[str, Any]]:
        return "SetRatingProfile", {"Category": "call", "Subject": "s", "RatingPlanActivations": [*activations], **more}

    def profile(*activations: tuple[str, list[str] | None]) -> dict[str, Any]:
        rows = [{"ActivationTime": when, "RatingPlanId": "P", "FallbackKeys": keys} for when, keys in activations]
        return {"result": {"Id": "*out:cgrates.org:call:s", "RatingPlanActivations": rows}}

    get = ("GetRatingProfile", {"Category": "call", "Subject": "s"})
    both = ["*out:cgrates.org:call:a", "*out:cgrates.org:call:b"]
    lacks = "MANDATORY_IE_MISSING:RatingPlanActivation:"
    check(node, [
        ("SetRatingProfile", {}, missing("Subject RatingPlanActivations")),
        (*setting(), missing("RatingPlanActivations")),
        (*setting({}), {"error": lacks + "[ActivationTime RatingPlanId]"}),
        (*setting(None), {"error": lacks + "[ActivationTime RatingPlanId]"}),
        (*setting({"ActivationTime": "x"}), {"error": lacks + "[RatingPlanId]"}),
        (*setting({"ActivationTime": "x", "RatingPlanId": "NO"}), {"error": "SERVER_ERROR:Cannot parse activation time from x"}),
        (*setting(good, {"ActivationTime": at, "RatingPlanId": "NO"}), {"error": "NOT_FOUND:RatingPlanId:NO"}),
        (*setting("x"), wrong("string into Go struct field AttrSetRatingProfile.RatingPlanActivations of type utils.TPRatingActivation")),
        (*setting({"ActivationTime": 5}),
         wrong("number into Go struct field TPRatingActivation.RatingPlanActivations.ActivationTime of type string")),
        (*get, NOT_FOUND),
        (*setting({**good, "FallbackSubjects": "a;b"}), OK),
        (*setting({**good, "FallbackSubjects": None}), OK),
        (*get, profile((at, both), (at, None))),
        (*setting({**good, "ActivationTime": "1735689600"}, Overwrite=True), OK),
        (*get, profile((at, None))),
        ("GetRatingProfile", {"Tenant": "other"}, missing("Category Subject")),
        ("GetRatingProfile", {"Tenant": "other", "Category": "call", "Subject": "s"}, NOT_FOUND),
        ("GetRatingProfileIDs", {}, {"result": ["call:*any", "call:s"]}),
        ("GetRatingProfileIDs", {"Search": "l:s"}, {"result": ["call:s"]}),
        ("GetRatingProfileIDs", {"Tenant": "other"}, NOT_FOUND),
        ("GetRatingProfileIDs", {"Offset": 2}, {"result": None}),
        ("RemoveRatingProfile", {"Subject": "s"}, {"error": "MANDATORY_IE_MISSING"}),
        ("RemoveRatingProfile", {"Category": "call"}, OK),
        (*get, profile((at, None))),
        ("RemoveRatingProfile", {"Category": "call", "Subject": "s"}, OK),
        ("RemoveRatingProfile", {"Category": "call", "Subject": "s"}, OK),
        (*get, NOT_FOUND),
    ])  # fmt: skip


def test_shared_groups(node: Node) -> None:
    check(node, [
        ("GetSharedGroup", "G", {"result": {
            "Id": "G", "AccountParameters": {"*any": {"Strategy": "*lowest", "RatingSubject": ""}}, "MemberIds": None}}),
        ("GetSharedGroup", "NO", {"result": {"Id": "", "AccountParameters": None, "MemberIds": None}}),
    ])  # fmt: skip


def test_costs_on_rating_plans(node: Node) -> None:
    asked = {"Destination": "491", "SetupTime": "2025-03-04T10:00:00Z", "Usage": 30 * 10**9, "Account": "1001"}
    name = "Responder.GetCostOnRatingPlans"
    unauthorized = {"error": "UNAUTHORIZED_DESTINATION"}
    check(node, [
        (name, asked, {"result": {}}),
        (name, {**asked, "RatingPlanIDs": ["P", "NO"]}, {"result": {"Cost": 0.65, "RatingPlanID": "P"}}),
        (name, {**asked, "RatingPlanIDs": ["NO", "P"]}, unauthorized),
        (name, {**asked, "RatingPlanIDs": ["P"], "Destination": "33"}, unauthorized),
        (name, {**asked, "RatingPlanIDs": ["P"], "Usage": 190 * 3600 * 10**9}, {"error": "MAX_USAGE_EXCEEDED"}),
        (name, {**asked, "SetupTime": 5}, {"error": "Time.UnmarshalJSON: input is not a JSON string"}),
    ])  # fmt: skip
    name = "RALsV1.GetRatingPlansCost"
    asked = {"RatingPlanIDs": ["NO", "P"], "Destination": "491", "SetupTime": "2025-03-04 10:00:00", "Usage": "30s"}
    check(node, [
        (name, {}, missing("RatingPlanIDs Destination SetupTime Usage")),
        (name, {**asked, "Usage": "1d"}, {"error": 'time: unknown unit "d" in duration "1d"'}),
        (name, {**asked, "Destination": "33"}, {"result": {"EventCost": None, "RatingPlanID": ""}}),
        (name, {**asked, "Usage": "190h"}, {"error": "MAX_USAGE_EXCEEDED"}),
    ])  # fmt: skip
    found = node.call(name, asked)["result"]
    assert (found["RatingPlanID"], found["EventCost"]["Cost"], found["EventCost"]["Usage"]) == ("P", 0.65, 60 * 10**9)


def test_a_call_that_ends_before_it_starts_is_one_increment(node: Node) -> None:
    """An activation between its end and its start leaves none to be used (10 §3 step 2)."""
    call = {"Destination": "491", "TimeStart": "2025-03-04T10:00:00Z", "TimeEnd": "2025-03-04T09:00:00Z"}
    found = node.call("Responder.GetCost", call)["result"]
    assert (found["Cost"], found["RatedUsage"]) == (0.65, 60 * 10**9)
    check(
        node,
        [("Responder.GetCost", {**call, "TimeEnd": "2019-12-31T00:00:00Z"}, {"error": "UNAUTHORIZED_DESTINATION"})],
    )
