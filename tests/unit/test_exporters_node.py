"""EeSv1, ExportCDRs, ReplayFailedPosts and who sends to exporters, on a node in this process (spec 40 §7, §9)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest

from cgr_cluster.node.node import Node
from tests.unit.exporters_world import VOICE, configure, export, exporter, field, http_server

SECOND = 10**9


@pytest.fixture
def node() -> Node:
    return Node(workers=2)


def files(folder: Path, suffix: str = "csv") -> list[str]:
    return sorted(file.read_text() for file in folder.glob(f"*.{suffix}"))


# --- files --------------------------------------------------------------------------------------------------------

CSV_FIELDS = [
    field("*hdr.A", "Account", "*constant"),
    field("*hdr.B", "Cost", "*constant"),
    field("*exp.A", "~*req.Account"),
    field("*exp.B", "~*req.Cost{*round:4}"),
    field("*trl.N", "~*em.NumberOfEvents"),
    field("*trl.C", "~*em.TotalCost"),
]


def test_a_csv_file_has_header_rows_and_trailer(node: Node, tmp_path: Path) -> None:
    configure(node, exporter("BILL", "*file_csv", export_path=str(tmp_path), fields=CSV_FIELDS))
    first = export(node, {"Account": "491700099", "Cost": 0.11})["result"]["BILL"]
    export(node, {"Account": "491700098", "Cost": 0.174})
    assert files(tmp_path) == ["Account,Cost\n491700099,0.11\n491700098,0.174\n"], "no trailer while it is open"
    assert Path(first["ExportPath"]).parent == tmp_path
    assert len(Path(first["ExportPath"]).name) == len("BILL_1234567.csv")
    node.advance(5 * SECOND)
    node.exporters.expire()
    assert files(tmp_path) == ["Account,Cost\n491700099,0.11\n491700098,0.174\n2,0.284\n"]
    export(node)
    assert len(files(tmp_path)) == 2, "an event after that begins a new file"


def test_a_file_stays_open_as_long_as_events_come(node: Node, tmp_path: Path) -> None:
    configure(node, exporter("BILL", "*file_csv", export_path=str(tmp_path), fields=CSV_FIELDS))
    for _ in range(4):
        export(node)
        node.advance(4 * SECOND)
    assert len(files(tmp_path)) == 1


def test_the_whole_event_is_a_row_sorted_by_field_and_quoted(node: Node, tmp_path: Path) -> None:
    configure(node, exporter("ALL", "*file_csv", export_path=str(tmp_path), opts={"csvFieldSeparator": ";"}))
    node.call(
        "EeSv1.ProcessEvent",
        {"ID": "x", "Event": {"b": 'say "a;b"', "a": 1.5, "c": None, "d": " x", "e": "1,2", "f": {"k": [1]}}},
    )
    assert files(tmp_path) == ['1.5;"say ""a;b""";;" x";1,2;"{""k"":[1]}"\n']


def test_each_event_has_its_own_fixed_width_file(node: Node, tmp_path: Path) -> None:
    fields = [
        field("*hdr.H", "BEGIN", "*constant"),
        field("*exp.A", "~*req.Account", width=12, padding="*zeroleft"),
        field("*exp.D", "~*req.Destination", width=5, strip="*right"),
        field("*trl.N", "~*em.NumberOfEvents", width=3, padding="*left"),
    ]
    configure(node, exporter("FIX", "*file_fwv", export_path=str(tmp_path), fields=fields))
    for _ in range(2):
        assert export(node)["result"]["FIX"]["NumberOfEvents"] == 1
    assert files(tmp_path, "fwv") == ["BEGIN\n00049170009949151\n  1\n"] * 2


def test_another_configuration_closes_what_is_open(node: Node, tmp_path: Path) -> None:
    configure(node, exporter("BILL", "*file_csv", export_path=str(tmp_path), fields=CSV_FIELDS))
    export(node)
    configure(node, exporter("BILL", "*file_csv", export_path=str(tmp_path), fields=CSV_FIELDS[2:3]))
    export(node)
    assert files(tmp_path) == ["491700099\n", "Account,Cost\n491700099,0.23\n1,0.23\n"]


# --- HTTP ---------------------------------------------------------------------------------------------------------


def test_a_form_and_a_json_object_are_posted_with_headers(node: Node) -> None:
    with http_server() as seen:
        fields = [
            field("*hdr.X-Key", "~*req.OriginID"),
            field("*exp.Account", "~*req.Account"),
            field("*exp.Secs", "~*req.Usage{*duration_seconds}"),
        ]
        configure(
            node,
            exporter("FORM", "*http_post", export_path=seen.url, fields=fields),
            exporter("JSON", "*http_json_map", export_path=seen.url, fields=fields),
            exporter("WHOLE", "*http_json_map", export_path=seen.url),
        )
        assert export(node)["error"] is None
    (_, form_headers, form), (_, json_headers, document), (_, _, whole) = seen.requests
    assert form_headers["Content-Type"] == "application/x-www-form-urlencoded" and form_headers["X-Key"] == "o1"
    assert parse_qs(form) == {"Account": ["491700099"], "Secs": ["90"]}
    assert json_headers["Content-Type"] == "application/json"
    assert json.loads(document) == {"Account": "491700099", "Secs": "90"}
    assert json.loads(whole) == VOICE


def test_documents_are_put_under_their_key(node: Node) -> None:
    with http_server() as seen:
        opts = {"elsIndex": "calls", "elsOpType": "create", "elsUsername": "u", "elsPassword": "p"}
        base = seen.url.removesuffix("/export")
        configure(node, exporter("ELS", "*els", export_path=base, opts=opts, fields=[field("*exp.A", "~*req.Account")]))
        assert export(node, {"CGRID": "c1", "RunID": "r/1"})["error"] is None
        seen.status = [409]
        assert export(node)["error"] == "PARTIALLY_EXECUTED"
    (path, headers, body), _ = seen.requests
    assert path == "/calls/_doc/c1%3Ar%2F1?op_type=create"
    assert headers["Authorization"] == "Basic dTpw" and json.loads(body) == {"A": "491700099"}


def test_a_failing_synchronous_export_is_partially_executed_and_counted(node: Node) -> None:
    with http_server() as seen:
        seen.status = [500]
        configure(
            node,
            exporter("HTTP", "*http_json_map", export_path=seen.url),
            exporter("VIRT", "*virt"),
            cache={"*http_json_map": {"limit": -1}, "*virt": {"limit": -1}},
        )
        assert export(node)["error"] == "PARTIALLY_EXECUTED"
        seen.status = [200]
        metrics = export(node, None, ID="ev2")["result"]
    assert metrics["HTTP"]["NegativeExports"] == ["ev1"] and metrics["HTTP"]["PositiveExports"] == ["ev2"]
    assert metrics["HTTP"]["TotalCost"] == 0.46, "failed events count in the totals"
    assert metrics["VIRT"]["NumberOfEvents"] == 2, "the other exporters have run"


def test_attempts_are_fibonacci_seconds_apart_and_only_the_last_is_a_failure(node: Node) -> None:
    with http_server() as seen:
        seen.status = [500, 500, 500, 200]
        configure(node, exporter("HTTP", "*http_json_map", export_path=seen.url, attempts=5))
        begin = node.now_ns
        metrics = export(node)["result"]["HTTP"]
    assert len(seen.requests) == 4 and (node.now_ns - begin) // SECOND == 1 + 1 + 2
    assert (metrics["NumberOfEvents"], metrics["NegativeExports"]) == (1, [])


def test_failed_posts_are_written_and_replayed(node: Node, tmp_path: Path) -> None:
    with http_server() as seen:
        seen.status = [503]
        one = exporter(
            "HTTP", "*http_json_map", export_path=seen.url, synchronous=False, failed_posts_dir=str(tmp_path)
        )
        configure(node, one)
        for name in ("a", "b"):
            assert export(node, {"OriginID": name})["result"] == {"HTTP": {}}
        assert not list(tmp_path.iterdir()), "they are collected"
        node.advance(6 * SECOND)
        node.exporters.expire()
        (file,) = tmp_path.iterdir()
        assert file.name.startswith("EEs|") and file.name.endswith(".gob") and len(file.name) == len("EEs|1234567.gob")
        before = len(seen.requests)
        replay = {"SourcePath": str(tmp_path), "FailedPath": str(tmp_path / "again"), "Modules": ["EEs"]}
        seen.status = [200, 503]
        assert node.call("APIerSv1.ReplayFailedPosts", {**replay, "Modules": ["CDRs"]})["result"] == "OK"
        assert len(seen.requests) == before, "another module"
        assert node.call("APIerSv1.ReplayFailedPosts", replay)["result"] == "OK"
        assert [json.loads(body)["OriginID"] for body in seen.bodies[before:]] == ["a", "b"]
        assert not file.exists() and (tmp_path / "again" / file.name).exists(), "what failed again"
        seen.status = [200]
        node.call("APIerSv1.ReplayFailedPosts", {"SourcePath": str(tmp_path / "again")})
        assert json.loads(seen.bodies[-1])["OriginID"] == "b"
        assert not list((tmp_path / "again").iterdir())


def test_a_folder_of_failed_posts_that_is_none(node: Node, tmp_path: Path) -> None:
    missing = str(tmp_path / "none")
    answer = node.call("APIerSv1.ReplayFailedPosts", {"SourcePath": missing})
    assert answer["error"] == f"SERVER_ERROR: open {missing}: no such file or directory"
    (tmp_path / "EEs|1234567.gob").write_bytes(b"\x00gob")
    answer = node.call("APIerSv1.ReplayFailedPosts", {"SourcePath": str(tmp_path)})
    assert "holds no failed posts of this system" in answer["error"]


# --- choice -------------------------------------------------------------------------------------------------------


def test_attributes_of_an_exporter_alter_what_it_gets(node: Node) -> None:
    profile = {
        "Tenant": "cgrates.org", "ID": "A1", "Contexts": ["*ees"],
        "Attributes": [{"Path": "*req.Account", "Type": "*constant", "Value": "hidden"}],
    }  # fmt: skip
    node.call("APIerSv2.SetAttributeProfile", profile)
    with http_server() as seen:
        one = exporter("HTTP", "*http_json_map", export_path=seen.url, flags=["*attributes"], attribute_ids=["A1"])
        configure(node, one)
        assert export(node)["error"] == "NOT_CONNECTED: AttributeS"
        configure(node, one, attributes_conns=["*internal"])
        assert export(node)["error"] is None
    assert json.loads(seen.bodies[0])["Account"] == "hidden"


def test_rpc_calls_a_method_of_this_node(node: Node) -> None:
    opts = {"connIDs": ["*internal"], "serviceMethod": "APIerSv1.SetBalance"}
    fields = [
        field("*exp.Tenant", "~*tenant"), field("*exp.Account", "~*req.Account"),
        field("*exp.BalanceType", "*monetary", "*constant"),
    ]  # fmt: skip
    node.call("APIerSv2.SetAccount", {"Tenant": "cgrates.org", "Account": "491700099"})
    configure(node, exporter("RPC", "*rpc", opts=opts, fields=fields))
    assert export(node)["error"] == "PARTIALLY_EXECUTED", "what the method answers counts: there is no Balance"
    opts = {"connIDs": ["*internal"], "serviceMethod": "CoreSv1.Ping"}
    configure(node, exporter("RPC", "*rpc", opts=opts, fields=fields[:1]))
    assert export(node)["result"]["RPC"]["PositiveExports"] == ["ev1"]


def test_reset_is_of_what_lives(node: Node) -> None:
    configure(node, exporter("V", "*virt"), exporter("C", "*virt"), cache={"*virt": {"limit": 1}})
    for one in ("V", "C"):
        export(node, None, one)
    reset = [node.call("EeSv1.ResetExporterMetrics", {"ExporterID": name})["error"] for name in ("V", "C", "nobody")]
    assert reset == ["NOT_FOUND", None, "NOT_FOUND"], "the limit of 1 has closed the first"


def test_no_event_and_no_service(node: Node) -> None:
    assert export(node)["error"] == "rpc: can't find service EeSv1.ProcessEvent"
    configure(node, exporter("V", "*virt"))
    assert node.call("EeSv1.ProcessEvent", {"ID": "x"})["error"] == "MANDATORY_IE_MISSING: [Event]"


# --- who sends ----------------------------------------------------------------------------------------------------


def connect(node: Node, **sections: Any) -> None:
    assert node.call("ConfigSv1.SetConfig", {"Config": sections})["result"] == "OK"


def test_cdrs_are_exported_with_their_types(node: Node) -> None:
    with http_server() as seen:
        fields = [
            field("*exp.Usage", "~*req.Usage"),
            field("*exp.At", "~*req.AnswerTime"),
            field("*exp.C", "~*req.Cost"),
        ]
        configure(
            node,
            exporter("T", "*http_json_map", export_path=seen.url, fields=fields),
            exporter("W", "*http_json_map", export_path=seen.url),
            exporter("OTHER", "*virt"),
        )
        connect(node, cdrs={"ees_conns": ["*internal"], "online_cdr_exports": ["T", "W"]})
        event = {**VOICE, "RequestType": "*none"}
        answer = node.call("CDRsV1.ProcessEvent", {"Flags": ["*chargers:false"], "Event": {**event, "PreRated": True}})
        assert answer["error"] is None, answer
        node.call("CDRsV1.ProcessEvent", {"Flags": ["*export:false"], "Event": {**event, "OriginID": "o2"}})
    assert json.loads(seen.bodies[0]) == {"Usage": "90s", "At": "2026-03-02T10:00:05Z", "C": "0.23"}
    assert len(seen.bodies) == 2


def test_actions_and_thresholds_send_to_exporters(node: Node) -> None:
    with http_server() as seen:
        configure(node, exporter("HTTP", "*http_json_map", export_path=seen.url))
        connect(node, apiers={"ees_conns": ["*internal"]}, thresholds={"ees_conns": ["*internal"]})
        node.call("APIerSv2.SetAccount", {"Tenant": "cgrates.org", "Account": "a1"})
        group = {"ActionsId": "EXP", "Actions": [{"Identifier": "*export", "ExtraParameters": "HTTP"}]}
        assert node.call("APIerSv2.SetActions", group)["result"] == "OK"
        ran = node.call("APIerSv1.ExecuteAction", {"Tenant": "cgrates.org", "Account": "a1", "ActionsId": "EXP"})
        assert ran["result"] == "OK"
        threshold = {
            "Tenant": "cgrates.org",
            "ID": "T1",
            "MaxHits": -1,
            "FilterIDs": ["*string:~*req.X:1"],
            "EeIDs": ["HTTP"],
        }
        node.call("APIerSv1.SetThresholdProfile", threshold)
        hit = node.call("ThresholdSv1.ProcessEvent", {"ID": "e", "Event": {"X": "1"}})
        assert hit["result"] == ["T1"], hit
    update, told = (json.loads(body) for body in seen.bodies)
    assert update["EventType"] == "AccountUpdate" and update["Account"]["ID"] == "cgrates.org:a1"
    assert (told["EventType"], told["ID"], told["Hits"]) == ("ThresholdHit", "T1", 1)
    assert told["ThresholdConfig"]["EeIDs"] == ["HTTP"] and "Tenant" not in told["ThresholdConfig"]


# --- the configuration --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("config", "fault"),
    [
        (exporter("S", "*sql"), "<EEs> unsupported data type: *sql for exporter with ID: S"),
        (exporter("F", "*file_csv", export_path="/no/such"), "<EEs> nonexistent folder: /no/such for exporter with ID: F"),
        (exporter("V", "*virt", synchronous="yes"), "json: cannot unmarshal string into Go struct field exporters.synchronous of type bool"),
        (exporter("V", "*virt", fields=[field("*exp.A", "~*req.A{*nosuch}")]), "invalid converter value in string: <*nosuch>, err: unsupported converter definition: <*nosuch>"),
        (exporter("V", "*virt", fields=[field("", "x")]), "<EEs> MANDATORY_IE_MISSING: [Path] for V at "),
        (exporter("V", "*virt", metrics_reset_schedule="x"), "expected exactly 5 fields, found 1: [x]"),
    ],
)  # fmt: skip
def test_faults_of_exporters_are_refused(node: Node, config: dict[str, Any], fault: str) -> None:
    assert configure(node, config)["error"] == fault
    assert node.call("ConfigSv1.GetConfig", {"Section": "ees"})["result"]["ees"]["enabled"] is False


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"cdrs": {"online_cdr_exports": ["A", "B"]}}, "<CDRs> cannot find exporters with IDs: <A, B>"),
        ({"cdrs": {"ees_conns": ["*internal"]}}, "<EEs> not enabled but requested by <CDRs> component"),
        ({"cdrs": {"ees_conns": ["conn1"]}}, "<CDRs> connection with id: <conn1> not defined"),
    ],
)
def test_faults_of_who_sends_are_refused(node: Node, changes: dict[str, Any], fault: str) -> None:
    assert node.call("ConfigSv1.SetConfig", {"Config": changes})["error"] == fault
