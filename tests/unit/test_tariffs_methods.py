"""The methods of chapter 10 on tariff plan folders and the store, row by row: what each answers to good, missing and
wrong parameters (10 §9, §10; 01 §4-6)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cgr_cluster.node.node import Node
from tests.unit.method_rows import NOT_FOUND, OK, PLAN, check, folder, missing, new_node, provisioned, wrong


@pytest.fixture(params=[False, True], ids=["small loads", "loads by deck"])
def empty(request: pytest.FixtureRequest) -> Node:
    return new_node(request.param)


@pytest.fixture
def node(empty: Node, tmp_path: Path) -> Node:
    return provisioned(empty, tmp_path / "plan")


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
    empty: Node, tmp_path: Path, file: str, row: str, error: str
) -> None:
    path = {"FolderPath": folder(tmp_path, {**PLAN, file: row + "\n"})}
    for method in ("LoadTariffPlanFromFolder", "APIerSv2.LoadTariffPlanFromFolder", "RemoveTPFromFolder"):
        check(empty, [(method, path, {"error": f"SERVER_ERROR: {error}"})])
        check(empty, [(method, {**path, "DryRun": True}, {"error": f"SERVER_ERROR: {error}"})])
    check(empty, [("GetDestination", "E", NOT_FOUND), ("GetTiming", {"ID": "*any"}, NOT_FOUND)])


def test_paths_of_folders(empty: Node) -> None:
    for method in ("LoadTariffPlanFromFolder", "APIerSv2.LoadTariffPlanFromFolder", "RemoveTPFromFolder"):
        check(empty, [
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
def test_validate(empty: Node, tmp_path: Path, files: dict[str, str], valid: bool) -> None:
    path = {"FolderPath": folder(tmp_path, {**PLAN, **files})}
    invalid = {"error": "invalid data"}
    check(empty, [
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


def test_imports(empty: Node, tmp_path: Path) -> None:
    good = folder(tmp_path / "good", {**PLAN, "sub/Destinations.csv": "D,5\n", "sub/Filters.csv": "x"})
    bad = folder(tmp_path / "bad", {**PLAN, "Rates.csv": "R,0,1,sixty,1s,0s\n", "RatingPlans.csv": "P,NO,NO,1\n"})
    semicolons = folder(tmp_path / "semicolons", {name: text.replace(",", ";") for name, text in PLAN.items()})
    field = "into Go struct field AttrImportTPFromFolder"
    check(empty, [
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


@pytest.mark.parametrize("caching", ["*none", "*reload", "*load", "*remove", "*clear", "*foo", "reload", None])
def test_ways_of_caching(empty: Node, tmp_path: Path, caching: str | None) -> None:
    """An unknown one is told when the data are written, and not at all in a dry run."""
    known = caching is None or caching in ("*none", "*reload", "*load", "*remove", "*clear")
    done = OK if known else {"error": "SERVER_ERROR: rpc: service/method request ill-formed: "}
    path = {"FolderPath": folder(tmp_path, PLAN), "Caching": caching, "APIOpts": {"*x": 1}, "Recursive": True}
    check(empty, [
        ("LoadTariffPlanFromFolder", {**path, "DryRun": True}, OK),
        ("GetReverseDestination", "33", NOT_FOUND),
        ("LoadTariffPlanFromFolder", path, done),
        ("GetReverseDestination", "33", {"result": ["E"]}),
        ("RemoveTPFromFolder", {**path, "DryRun": True}, OK),
        ("GetReverseDestination", "33", {"result": ["E"]}),
        ("RemoveTPFromFolder", path, done),
        ("GetReverseDestination", "33", NOT_FOUND),
        ("RemoveTPFromFolder", path, {"error": "SERVER_ERROR: NOT_FOUND"}),
    ])  # fmt: skip
