"""The methods of chapter 10, row by row: what each answers to good, missing and wrong parameters (10 §7-10, 01 §4-6)."""

from __future__ import annotations

from hashlib import sha1
from pathlib import Path
from typing import Any

import pytest

from cgr_cluster.node.node import Node

OK = {"result": "OK"}
NOT_FOUND = {"error": "NOT_FOUND"}
PLAN = {
    "Destinations.csv": "D,49\nD,4930\nE,33\n",
    "Timings.csv": "T,,,,,00:00:00\n",
    "Rates.csv": "R,0.05,0.6,60s,60s,0s\n",
    "DestinationRates.csv": "DR,D,R,*up,4,0,\n",
    "RatingPlans.csv": "P,DR,T,10\n",
    "RatingProfiles.csv": "cgrates.org,call,*any,2020-01-01T00:00:00Z,P,\n",
    "SharedGroups.csv": "G,*any,*lowest,\n",
}


def missing(names: str) -> dict[str, str]:
    return {"error": f"MANDATORY_IE_MISSING: [{names}]"}


def wrong(text: str) -> dict[str, str]:
    return {"error": f"json: cannot unmarshal {text}"}


def folder(path: Path, files: dict[str, str]) -> str:
    for name, text in files.items():
        file = path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text.encode())
    return str(path)


@pytest.fixture
def node(tmp_path: Path) -> Node:
    """With the plan live, and in the store as tariff plan T."""
    made = Node()
    path = folder(tmp_path / "plan", PLAN)
    assert made.call("APIerSv1.LoadTariffPlanFromFolder", {"FolderPath": path})["result"] == "OK"
    assert made.call("APIerSv1.ImportTariffPlanFromFolder", {"TPid": "T", "FolderPath": path})["result"] == "OK"
    return made


def check(node: Node, rows: list[tuple[str, Any, dict[str, Any]]]) -> None:
    """Calls in order; a method without service is APIerSv1's."""
    for name, params, expected in rows:
        answer = node.call(name if "." in name else f"APIerSv1.{name}", params)
        found = {"error": answer["error"]} if answer["error"] is not None else {"result": answer["result"]}
        assert found == expected, (name, params)


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
        ("GetRatingPlanIDs", {"Offset": 7}, {"result": []}),
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
        ("GetRatingProfileIDs", {"Offset": 2}, {"result": []}),
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


# --- 9: folders ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("file", "row", "error"), [
    ("Destinations.csv", "D", "record on line 1: wrong number of fields"),
    ("Destinations.csv", "D,1\n\n# D\nD,1,2", "record on line 4: wrong number of fields"),
    ("Timings.csv", "T,,,,", "record on line 1: wrong number of fields"),
    ("Rates.csv", "R,abc,1,60s,1s,0s", 'invalid value "abc" for field RateMdl.ConnectFee'),
    ("Rates.csv", "R,0, 1,60s,1s,0s", 'invalid value " 1" for field RateMdl.Rate'),
    ("Rates.csv", "R,0,1,sixty,1s,0s", 'time: invalid duration "sixty"'),
    ("Rates.csv", "R,0,1,60s,1d,0s", 'time: unknown unit "d" in duration "1d"'),
    ("Rates.csv", "R,0,1,60s,1s,90 s", 'time: unknown unit " s" in duration "90 s"'),
    ("Rates.csv", "R,0,1,60s,1d,0s\nR,0,x,60s,1s,0s", 'invalid value "x" for field RateMdl.Rate'),
    ("DestinationRates.csv", "DR,D,R,*up,4.5,0,", 'invalid value "4.5" for field DestinationRateMdl.RoundingDecimals'),
    ("DestinationRates.csv", "DR,D,R,*up,4,x,", 'invalid value "x" for field DestinationRateMdl.MaxCost'),
    ("DestinationRates.csv", "DR,NO,NO,*up,4,0,", 'could not find rate for tag "NO"'),
    ("DestinationRates.csv", "DR,NO,R,*up,4,0,", 'could not get destination for tag "NO"'),
    ("RatingPlans.csv", "P,DR,T,x", 'invalid value "x" for field RatingPlanMdl.Weight'),
    ("RatingPlans.csv", "P,NO,NO,10", 'could not get timing for tag "NO"'),
    ("RatingPlans.csv", "P,NO,T,10", 'could not find destination rate for tag "NO"'),
    ("RatingPlans.csv", "P,DR,*always,10", 'could not get timing for tag "*always"'),
    ("RatingProfiles.csv", "cgrates.org,call,s,sometime,NO,", "cannot parse activation time from sometime"),
    ("RatingProfiles.csv", "cgrates.org,call,s,+1day,P,", "cannot parse activation time from +1day"),
    ("RatingProfiles.csv", "cgrates.org,call,s,,NO,", 'could not load rating plans for tag: "NO"'),
    ("SharedGroups.csv", "G,*any,*lowest", "record on line 1: wrong number of fields"),
])  # fmt: skip
def test_what_is_wrong_in_a_folder_is_named_and_nothing_is_written(
    tmp_path: Path, file: str, row: str, error: str
) -> None:
    path = {"FolderPath": folder(tmp_path, {**PLAN, file: row + "\n"})}
    node = Node()
    for method in ("LoadTariffPlanFromFolder", "APIerSv2.LoadTariffPlanFromFolder", "RemoveTPFromFolder"):
        check(node, [(method, path, {"error": f"SERVER_ERROR: {error}"})])
        check(node, [(method, {**path, "DryRun": True}, {"error": f"SERVER_ERROR: {error}"})])
    check(node, [("GetDestination", "E", NOT_FOUND), ("GetTiming", {"ID": "*any"}, NOT_FOUND)])


def test_paths_of_folders() -> None:
    node = Node()
    for method in ("LoadTariffPlanFromFolder", "APIerSv2.LoadTariffPlanFromFolder", "RemoveTPFromFolder"):
        check(node, [
            (method, None, {"error": "MANDATORY_IE_MISSING:FolderPath"}),
            (method, {"folderpath": ""}, {"error": "MANDATORY_IE_MISSING:FolderPath"}),
            (method, {"FolderPath": "/nowhere/at/all"}, {"error": "INVALID_PATH"}),
            (method, {"FolderPath": __file__}, {"error": "INVALID_PATH"}),
            (method, {"FolderPath": 5}, wrong("number into Go struct field AttrLoadTpFromFolder.FolderPath of type string")),
        ])  # fmt: skip


@pytest.mark.parametrize(("files", "valid"), [
    ({}, True),
    ({"Timings.csv": "T,,,,,00:00:01\n"}, False),
    ({"Timings.csv": "T,2025,,,,00:00:00\n"}, False),
    ({"Timings.csv": "T,,,,1;2;3;4;5;6;7,00:00:00\n"}, True),
    ({"Timings.csv": "T,,,,1;2;3;4;5;6,00:00:00\n"}, False),
    ({"Timings.csv": "T,,,,,00:00:00\nU,,,,1,08:00:00\n", "RatingPlans.csv": "P,DR,T,10\nP,DR,U,10\n"}, True),
    ({"Timings.csv": "T,,,,,00:00:00\nU,,12,,1,08:00:00\n", "RatingPlans.csv": "P,DR,T,10\nP,DR,U,10\n"}, False),
    ({"Rates.csv": "R,0,1,60s,60s,0s\nR,0,1,60s,1s,120s\n"}, True),
    ({"Rates.csv": "R,0,1,60s,1s,120s\nR,0,1,60s,60s,0s\n"}, True),
    ({"Rates.csv": "R,0,1,60s,60s,0s\nR,0,1,60s,1s,90s\n"}, False),
    ({"Rates.csv": "R,0,1,60s,60s,0s\nR,0,1,60s,1s,0s\n"}, False),
    ({"Rates.csv": "R,0,1,,60s,0s\nR,0,1,60s,1s,60s\n"}, False),
    ({"Rates.csv": "R,0,1,60s,60s,0s\nR,0,1,,,60s\n"}, True),
    ({"Rates.csv": "R,0,1,60s,60s,0s\nS,0,1,60s,60s,0s\nS,0,1,60s,1s,90s\n"}, True),  # no plan has it
])  # fmt: skip
def test_validate(tmp_path: Path, files: dict[str, str], valid: bool) -> None:
    node = Node()
    path = {"FolderPath": folder(tmp_path, {**PLAN, **files})}
    invalid = {"error": "invalid data"}
    check(node, [
        ("LoadTariffPlanFromFolder", {**path, "Validate": True, "DryRun": True}, OK),
        ("LoadTariffPlanFromFolder", {**path, "Validate": True}, OK if valid else invalid),
        ("GetDestination", "E", {"result": {"Id": "E", "Prefixes": ["33"]}} if valid else NOT_FOUND),
        ("ImportTariffPlanFromFolder", {**path, "TPid": "T"}, OK),
        ("LoadTariffPlanFromStorDb", {"TPid": "T", "Validate": True, "DryRun": True}, OK if valid else invalid),
        ("LoadTariffPlanFromFolder", path, OK),
    ])  # fmt: skip


# --- 10: the store ---------------------------------------------------------------------------------------------------

ANY_DAY = {"Years": "*any", "Months": "*any", "MonthDays": "*any", "WeekDays": "1;2", "Time": "00:00:00"}
SLOT = {"ConnectFee": 0, "Rate": 1, "RateUnit": "1s", "RateIncrement": "1s", "GroupIntervalStart": ""}
TO_RATE = {"DestinationId": "D", "RateId": "R", "Rate": None, "RoundingMethod": "", "RoundingDecimals": 4, "MaxCost": 0,
           "MaxCostStrategy": ""}  # fmt: skip
KINDS: list[tuple[str, str, dict[str, Any]]] = [  # noun, list of ids, fields
    ("Rate", "GetTPRateIds", {"RateSlots": [SLOT]}),
    ("Destination", "GetTPDestinationIDs", {"Prefixes": ["49", "49"]}),
    ("Timing", "GetTPTimingIds", ANY_DAY),
    ("DestinationRate", "GetTPDestinationRateIds", {"DestinationRates": [TO_RATE]}),
    ("RatingPlan", "GetTPRatingPlanIds", {"RatingPlanBindings": [{"DestinationRatesId": "DR", "TimingId": "T", "Weight": 10}]}),
    ("SharedGroups", "GetTPSharedGroupIds", {"SharedGroups": [{"Account": "a", "Strategy": "", "RatingSubject": ""}]}),
]  # fmt: skip


@pytest.mark.parametrize("service", ["APIerSv1", "ApierV1", "APIerSv2", "ApierV2"])
@pytest.mark.parametrize(("noun", "ids", "fields"), KINDS, ids=[noun for noun, _, _ in KINDS])
def test_objects_of_the_store(service: str, noun: str, ids: str, fields: dict[str, Any]) -> None:
    node = Node()
    name = "Tag" if noun == "Destination" and service.endswith("2") else "ID"  # of Get and Remove
    needed = " ".join(fields)
    put, get, remove = (f"{service}.{verb}TP{noun}" for verb in ("Set", "Get", "Remove"))
    check(node, [
        (put, None, missing(f"TPid ID {needed}")),
        (put, {"tpid": "A", "ID": None}, missing(f"ID {needed}")),
        (put, {"TPid": "A", "ID": "X", **dict.fromkeys(fields)}, missing(needed)),
        (put, {"TPid": "A", "ID": "X", **{field: type(value)() for field, value in fields.items()}}, missing(needed)),
        (put, {"Tpid": "A", "Id": "X", **fields}, OK),
        (put, {"TPID": "A", "ID": "XX", "Unknown": 1, **{field.lower(): value for field, value in fields.items()}}, OK),
        (get, {}, missing(f"TPid {name}")),
        (get, {"TPid": "A"}, missing(name)),
        (get, {"TPid": "A", name: "X"}, {"result": {"TPid": "A", "ID": "X", **fields}}),
        (get, {"TPid": "A", name: "XXX"}, NOT_FOUND),
        (get, {"TPid": "B", name: "X"}, NOT_FOUND),
        (f"{service}.{ids}", {}, missing("TPid")),
        (f"{service}.{ids}", {"TPid": "A"}, {"result": ["X", "XX"]}),
        (f"{service}.{ids}", {"TPid": "A", "Search": "XX"}, {"result": ["XX"]}),
        (f"{service}.{ids}", {"TPid": "A", "Search": "Y"}, {"result": []}),
        (f"{service}.{ids}", {"TPid": "A", "Limit": 1, "Offset": 1}, {"result": ["XX"]}),
        (f"{service}.{ids}", {"TPid": "A", "Offset": 5}, {"result": []}),
        (f"{service}.{ids}", {"TPid": "B"}, {"result": []}),
        (remove, {"tpid": "A"}, missing(name)),
        (remove, {"TPid": "A", name: "NO"}, OK),
        (remove, {"TPid": "A", name: "X"}, OK),
        (get, {"TPid": "A", name: "X"}, NOT_FOUND),
        (f"{service}.GetTPIds", {}, {"result": ["A"]}),
        (f"{service}.RemTP", {}, missing("TPid")),
        (f"{service}.RemTP", {"TPid": "B"}, OK),
        (f"{service}.RemTP", {"TPid": "A"}, OK),
        (f"{service}.GetTPIds", None, {"result": []}),
    ])  # fmt: skip


def test_rating_profiles_of_the_store() -> None:
    row = {"ActivationTime": "", "RatingPlanId": "P", "FallbackSubjects": "a;b"}
    body = {"LoadId": "L", "Category": "call", "Subject": "s", "RatingPlanActivations": [row]}
    stored = {"TPid": "A", "Tenant": "cgrates.org", **body}
    by_id = ("GetTPRatingProfile", {"TPid": "A", "RatingProfileID": "L:cgrates.org:call:s"})
    check(Node(), [
        ("SetTPRatingProfile", {}, missing("TPid LoadId Category Subject RatingPlanActivations")),
        ("SetTPRatingProfile", {"TPid": "A", "Tenant": None, **body}, OK),
        ("SetTPRatingProfile", {"TPid": "A", **body, "LoadId": "M", "Tenant": "t"}, OK),
        (*by_id, {"result": stored}),
        ("GetTPRatingProfile", {}, missing("TPid RatingProfileID")),
        ("GetTPRatingProfile", {"TPid": "A", "RatingProfileID": "NO"}, {"error": "Wrong TPRatingProfileId: NO"}),
        ("GetTPRatingProfile", {"TPid": "A", "RatingProfileID": "L:t:call:s"}, NOT_FOUND),
        ("GetTPRatingProfileIds", {"TPid": "A"}, {"result": ["L:cgrates.org:call:s", "M:t:call:s"]}),
        ("GetTPRatingProfileIds", {"TPid": "A", "Search": "M:"}, {"result": ["M:t:call:s"]}),
        ("GetTPRatingProfileLoadIds", {}, missing("TPid")),
        ("GetTPRatingProfileLoadIds", {"TPid": "A"}, {"result": ["L", "M"]}),
        ("GetTPRatingProfileLoadIds", {"TPid": "A", "Tenant": "t"}, {"result": ["M"]}),
        ("GetTPRatingProfileLoadIds", {"TPid": "B"}, {"result": []}),
        ("GetTPRatingProfilesByLoadID", {}, missing("TPid LoadId")),
        ("GetTPRatingProfilesByLoadID", {"TPid": "A", "LoadId": "L"}, {"result": [stored]}),
        ("GetTPRatingProfilesByLoadID", {"TPid": "A", "LoadId": "L", "Subject": "x"}, NOT_FOUND),
        ("RemoveTPRatingProfile", {"TPid": "A", "RatingProfileID": "a:b"}, {"error": "Wrong TPRatingProfileId: a:b"}),
        ("RemoveTPRatingProfile", {"TPid": "A", "RatingProfileID": "a:b:c:d"}, OK),
        ("RemoveTPRatingProfile", by_id[1], OK),
        (*by_id, NOT_FOUND),
    ])  # fmt: skip


def test_loads_of_parts(node: Node) -> None:
    profile = {"TPid": "T", "LoadId": "CSVLOAD", "Category": "call", "Subject": "*any"}
    check(node, [
        ("LoadDestination", {}, missing("TPid")),
        ("LoadDestination", {"TPid": "T", "ID": "NO"}, {"error": "SERVER_ERROR: NOT_FOUND"}),
        ("RemoveTPFromStorDB", {"TPid": "T"}, OK),
        ("LoadRatingProfile", profile, {"error": 'SERVER_ERROR: could not load rating plans for tag: "P"'}),
        ("APIerSv2.LoadRatingProfile", {"TPid": "T"}, {"error": 'SERVER_ERROR: could not load rating plans for tag: "P"'}),
        ("LoadRatingPlan", {}, missing("TPid")),
        ("LoadRatingPlan", {"TPid": "T", "RatingPlanId": "NO"}, {"error": "SERVER_ERROR: NOT_FOUND"}),
        ("LoadRatingPlan", {"TPid": "T", "RatingPlanId": "P"}, OK),
        ("GetDestination", "D", {"result": {"Id": "D", "Prefixes": ["49", "4930"]}}),
        ("GetDestination", "E", NOT_FOUND),  # the plan does not need it
        ("LoadDestination", {"TPid": "T", "ID": "E"}, OK),
        ("GetReverseDestination", "33", {"result": ["E"]}),
        ("LoadRatingProfile", {**profile, "Subject": "no", "Tenant": "t"},
         {"error": "SERVER_ERROR: no RatingProfile for filter &{T CSVLOAD t call no []}, error: NOT_FOUND"}),
        ("LoadRatingProfile", profile, OK),
        ("GetRatingProfileIDs", {}, {"result": ["call:*any"]}),
        ("LoadSharedGroup", {}, missing("TPid")),
        ("LoadSharedGroup", {"TPid": "T", "SharedGroupId": "other"}, OK),
        ("LoadTariffPlanFromStorDb", {}, missing("TPid")),
        ("LoadTariffPlanFromStorDb", {"TPid": "NOPE"}, OK),
        ("LoadTariffPlanFromStorDb", {"TPid": "T", "Caching": "*foo"},
         {"error": "SERVER_ERROR: rpc: service/method request ill-formed: "}),
        ("RemoveTPDestination", {"TPid": "T", "ID": "D"}, OK),
        ("RemoveDestination", {"DestinationIDs": ["D"]}, OK),
        ("LoadRatingPlan", {"TPid": "T", "RatingPlanId": "P"}, {"error": 'SERVER_ERROR: could not get destination for tag "D"'}),
    ])  # fmt: skip


def test_imports(tmp_path: Path) -> None:
    node = Node()
    good = folder(tmp_path / "good", {**PLAN, "sub/Destinations.csv": "D,5\n", "sub/Filters.csv": "x"})
    bad = folder(tmp_path / "bad", {**PLAN, "Rates.csv": "R,0,1,sixty,1s,0s\n", "RatingPlans.csv": "P,NO,NO,1\n"})
    semicolons = folder(tmp_path / "semicolons", {name: text.replace(",", ";") for name, text in PLAN.items()})
    field = "into Go struct field AttrImportTPFromFolder"
    check(node, [
        ("ImportTariffPlanFromFolder", {}, missing("TPid FolderPath")),
        ("ImportTariffPlanFromFolder", {"TPid": "A", "FolderPath": "/nowhere"}, {"error": "INVALID_PATH"}),
        ("ImportTariffPlanFromFolder", {"tpid": 5}, wrong(f"number {field}.TPid of type string")),
        ("ImportTariffPlanFromFolder", {"TPid": "A", "FolderPath": good, "RunId": "r"}, OK),
        ("GetTPDestination", {"TPid": "A", "ID": "D"}, {"result": {"TPid": "A", "ID": "D", "Prefixes": ["49", "4930", "5"]}}),
        ("GetTPRatingProfileIds", {"TPid": "A"}, {"result": ["CSVLOAD_r:cgrates.org:call:*any"]}),
        ("ImportTariffPlanFromFolder", {"TPid": "B", "FolderPath": bad}, {"error": "SERVER_ERROR: PARTIALLY_EXECUTED"}),
        ("GetTPRateIds", {"TPid": "B"}, {"result": []}),
        ("GetTPRatingPlanIds", {"TPid": "B"}, {"result": ["P"]}),
        ("GetTPRatingProfileIds", {"TPid": "B"}, {"result": ["CSVLOAD:cgrates.org:call:*any"]}),
        ("ImportTariffPlanFromFolder", {"TPid": "C", "FolderPath": semicolons, "CsvSeparator": ";"}, OK),
        ("LoadTariffPlanFromStorDb", {"TPid": "C", "Validate": True}, OK),
        ("GetReverseDestination", "4930", {"result": ["D"]}),
    ])  # fmt: skip
