"""Readers in a node: files, errors in them, flags, run_delay, watching, partial records (spec 40 §9)."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from cgr_cluster.node.node import Node
from tests.unit.readers_world import FIELDS, SECOND, cdrs, configure, field, node_with, reader, run, write

ROWS = ["c1,1001,10s", "c2,1002,20s", "c3,1001,30s"]


def test_files_are_read_by_name_and_rows_in_order(tmp_path: Path) -> None:
    write(tmp_path, "b.csv", "b1,1001,1s", "b2,1001,1s")
    write(tmp_path, "a.csv", "a1,1001,1s")
    write(tmp_path, "c.txt", "c1,1001,1s")
    (tmp_path / "d.csv").mkdir()
    node = node_with(reader(tmp_path))
    assert run(node) == "OK"
    assert cdrs(node) == ["a1", "b1", "b2"]
    assert run(node) == "OK"  # read again, and refused as duplicates
    assert cdrs(node) == ["a1", "b1", "b2"]


def test_answers_of_run_reader(tmp_path: Path) -> None:
    node = node_with(reader(tmp_path), reader(tmp_path, id="SELF", run_delay="1h"))
    assert run(node, "NO") == run(node, "") == "NOT_FOUND"
    assert run(node, "SELF") == "readers with RunDelay different from 0 are not supported"
    assert configure(node, enabled=False)["error"] is None
    assert run(node) == "rpc: can't find service ErSv1.RunReader"


def test_read_file_is_moved(tmp_path: Path) -> None:
    source, processed = tmp_path / "in", tmp_path / "out"
    file = write(source, "a.csv", *ROWS)
    processed.mkdir()
    node = node_with(reader(source, processed_path=str(processed)))
    assert run(node) == "OK"
    assert not file.exists()
    assert (processed / "a.csv").read_text().count("\n") == 3
    assert len(cdrs(node)) == 3


@pytest.mark.parametrize(
    ("bad", "opts", "read"),
    [
        ("c9,1001", {"csvRowLength": -1}, ["c1"]),  # no mandatory column: a field error
        ("c9,1001", {"csvRowLength": -1, "ignoreErroredItems": True}, ["c1", "c2"]),
        ("c9,1001", {"ignoreErroredItems": True}, ["c1"]),  # a wrong length always ends the file
        ('c9,"100"1,1s', {"ignoreErroredItems": True}, ["c1"]),  # so do bad quotes
        ('c9,10"0,1s', {}, ["c1"]),
        ('c9,10"0,1s', {"csvLazyQuotes": True}, ["c1", "c9", "c2"]),
        ("c9,1001,", {}, ["c1"]),  # mandatory and empty
        ("", {}, ["c1", "c2"]),
        ("# a remark", {}, ["c1", "c2"]),
    ],
)  # fmt: skip
def test_row_in_error_ends_its_file_which_stays(
    tmp_path: Path, bad: str, opts: dict[str, Any], read: list[str]
) -> None:
    source, processed = tmp_path / "in", tmp_path / "out"
    file = write(source, "a.csv", "c1,1001,10s", bad, "c2,1001,20s")
    processed.mkdir()
    node = node_with(reader(source, processed_path=str(processed), opts=opts))
    assert run(node) == "OK"
    assert cdrs(node) == read
    assert file.exists() == ("c2" not in read)


def test_variables_tenant_and_filters(tmp_path: Path) -> None:
    write(tmp_path, "a.csv", "#x", ":Id,Customer,Seconds", "c1,1001,10", "skip,1001,1", ":,1002,20")
    fields = [
        *FIELDS[:4], field("OriginID", "~*req.Id"), field("Account", "~*req.1"), field("Usage", "~*req.Seconds;s"),
        field("Where", "~*vars.*readerID;/;~*vars.*fileName;/;~*vars.*fileLineNumber"), field("Tenant", "~*tenant"),
    ]  # fmt: skip
    rules = "~*req.Customer:s/^(.*)$/t$1/"
    node = node_with(reader(tmp_path, fields=fields, tenant=rules, filters=["*notstring:~*req.Id:skip"]))
    for tenant in ("t1001", "t1002"):
        charger = {"Tenant": tenant, "ID": "C", "RunID": "*default", "AttributeIDs": ["*none"]}
        assert node.call("APIerSv1.SetChargerProfile", charger)["error"] is None
    assert run(node) == "OK"
    assert cdrs(node, "OriginID", "Tenant", "Account", "Usage", "Where") == [
        ("c1", "t1001", "1001", 10 * SECOND, "R/a.csv/1"),
        (":", "t1002", "1002", 20 * SECOND, "R/a.csv/3"),  # only rows before the first data row name columns
    ]


def test_unknown_column_is_an_error_and_a_number_beyond_the_row_is_none(tmp_path: Path) -> None:
    write(tmp_path, "a.csv", ":Id,Customer,Seconds", *ROWS)
    node = node_with(reader(tmp_path, fields=[*FIELDS, field("X", "~*req.9")]))
    run(node)
    assert cdrs(node, "OriginID", "X") == [("c1", None), ("c2", None), ("c3", None)]
    node = node_with(reader(tmp_path, fields=[*FIELDS, field("X", "~*req.Name")]))
    run(node)
    assert cdrs(node) == []


def test_reader_with_run_delay_looks_by_itself_and_stops_when_it_is_gone(tmp_path: Path) -> None:
    source, processed = tmp_path / "in", tmp_path / "out"
    write(source, "a.csv", ROWS[0])
    processed.mkdir()
    node = node_with(reader(source, processed_path=str(processed), run_delay="1s", start_delay="2s"))
    node.advance(SECOND)
    assert cdrs(node) == []
    node.advance(SECOND)
    assert cdrs(node) == ["c1"]
    write(source, "b.csv", ROWS[1])
    node.advance(SECOND)
    assert cdrs(node) == ["c1", "c2"]
    assert configure(node)["error"] is None
    write(source, "c.csv", ROWS[2])
    node.advance(5 * SECOND)
    assert cdrs(node) == ["c1", "c2"]


def test_watched_folder_is_read_as_files_come_and_each_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write(tmp_path, "a.csv", ROWS[0])
    node = node_with(reader(tmp_path, run_delay="-1"))
    node.advance(SECOND)
    assert cdrs(node) == ["c1"]
    write(tmp_path, "b.csv", ROWS[1])
    node.advance(5 * SECOND)
    assert cdrs(node) == ["c1", "c2"]
    assert "EXISTS" not in caplog.text
    (tmp_path / "a.csv").write_text("c3,1001,30s\nc4,1001,5s\n")
    node.advance(SECOND)
    assert cdrs(node) == ["c1", "c2", "c3", "c4"]


def test_many_files_are_read_without_naming_all_of_them_with_each_piece(tmp_path: Path) -> None:
    for number in range(40):
        write(tmp_path, f"f{number:02d}.csv", f"c{number:02d},1001,1s")
    node = node_with(reader(tmp_path, run_delay="-1"))
    node.advance(SECOND)
    assert cdrs(node) == [f"c{number:02d}" for number in range(40)]
    assert kinds(node) == {"reader": 1, "reader_seen": 40}
    for number in range(1, 40):
        (tmp_path / f"f{number:02d}.csv").unlink()
    write(tmp_path, "g.csv", "g,1001,1s")
    node.advance(SECOND)
    assert cdrs(node)[40:] == ["g"]
    assert kinds(node) == {"reader": 1, "reader_seen": 2}
    assert configure(node)["error"] is None
    assert kinds(node) == {}


def slow(node: Node) -> None:
    """Each reading of a piece takes 20 minutes."""

    def clock() -> int:
        node.now_ns += 1200 * SECOND
        return node.now_ns

    node.outside["clock"] = clock


def test_long_run_is_not_taken_for_lost(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    source, processed = tmp_path / "in", tmp_path / "out"
    write(source, "a.csv", *(f"c{number:02d},1001,1s" for number in range(40)))
    processed.mkdir()
    node = node_with()
    slow(node)
    assert configure(node, reader(source, processed_path=str(processed), run_delay="5m"))["error"] is None
    node.advance(20 * 1200 * SECOND)
    assert cdrs(node) == [f"c{number:02d}" for number in range(40)]
    assert caplog.text == ""


def kinds(node: Node) -> Counter[str]:
    """What the log keeps of readers: objects of each kind."""
    return Counter(kind for _, key in node.disk if (kind := key.partition("/")[0]).startswith("reader"))


# --- other types --------------------------------------------------------------------------------------------------


def test_json_file_is_one_event_and_stays_when_it_is_filtered_or_wrong(tmp_path: Path) -> None:
    source, processed = tmp_path / "in", tmp_path / "out"
    processed.mkdir()
    for name, text in (
        ("a", '{"Id":"j1","Tags":["x","y"],"N":{"Usage":1.5}}'), ("b", '[{"Id":"j2"}]'), ("c", '{"Id":'),
        ("d", '{"Id":"skip"}'), ("e", '{"Id":"j3"}'),
    ):  # fmt: skip
        write(source, f"{name}.json", text)
    fields = [
        *FIELDS[:4], field("OriginID", "~*req.Id"), field("Account", "1001", "*constant"),
        field("Usage", "~*req.N.Usage;s"), field("Tag", "~*req.Tags[1]"),
    ]  # fmt: skip
    node = node_with(
        reader(
            source,
            type="*file_json",
            processed_path=str(processed),
            fields=fields,
            filters=["*notstring:~*req.Id:skip"],
        )
    )
    assert run(node) == "OK"
    assert cdrs(node, "OriginID", "Usage", "Tag") == [("j1", 1_500_000_000, "y"), ("j3", 0, None)]
    assert sorted(file.name for file in source.iterdir()) == ["b.json", "c.json", "d.json"]


def test_xml_rows_in_error_are_skipped_and_broken_files_stay(tmp_path: Path) -> None:
    source, processed = tmp_path / "in", tmp_path / "out"
    processed.mkdir()
    calls = "".join(f"<Call><Id>x{n}</Id></Call>" for n in range(20))
    write(source, "a.xml", f"<B><H>1</H><Call><No/></Call>{calls}</B>")
    write(source, "b.xml", "<B><Call><Id>y1</Id></Call>")
    fields = [*FIELDS[:4], field("OriginID", "~*req.B.Call.Id", mandatory=True), field("Account", "1001", "*constant")]
    node = node_with(
        reader(
            source, type="*file_xml", processed_path=str(processed), fields=fields, opts={"xmlRootPath": "B/Call"},
        )
    )  # fmt: skip
    assert run(node) == "OK"
    assert cdrs(node) == [*(f"x{n}" for n in range(20)), "y1"]
    assert [file.name for file in source.iterdir()] == ["b.xml"]


def test_fixed_width_with_header_and_trailer(tmp_path: Path) -> None:
    write(tmp_path, "a.fwv", "HDR20260302", *(f"id{n:02d} {n:03d}" for n in range(20)), "TRL0020")
    fields = [
        *FIELDS[:4], field("OriginID", "~*req.0-4"), field("Account", "1001", "*constant"), field("Usage", "~*req.5-8;s"),
        field("Day", "~*hdr.3-11"), field("Total", "~*trl.3-7"), field("Beyond", "~*req.7-9"),
    ]  # fmt: skip
    node = node_with(reader(tmp_path, type="*file_fwv", processed_path=str(tmp_path), fields=fields))
    assert run(node) == "OK"
    found = cdrs(node, "OriginID", "Usage", "Day", "Total", "Beyond")
    assert found == [(f"id{n:02d}", n * SECOND, "20260302", "0020", None) for n in range(20)]
    write(tmp_path, "a.fwv", "idA0 001", "idB0 00", "idC0 001")
    node = node_with(reader(tmp_path, type="*file_fwv", processed_path=str(tmp_path), fields=fields[:7]))
    assert run(node) == "OK"
    assert cdrs(node) == ["idA0"]


# --- what is done with events -------------------------------------------------------------------------------------


def prepaid(folder: Path, flags: list[str], usage: str = "10s") -> Node:
    """A node with a prepaid account of 10 units of money without rates, and one event of it read."""
    write(folder, "a.csv", f"p1,1001,{usage}")
    fields = [
        field("RequestType", "*rated", "*constant") if each["path"] == "*cgreq.RequestType" else each for each in FIELDS
    ]
    node = node_with(reader(folder, flags=flags, fields=fields))
    assert run(node) == "OK"
    return node


@pytest.mark.parametrize(
    ("flags", "sessions", "records"),
    [
        (["*dryrun", "*cdrs"], 0, 0),
        (["*none"], 0, 0),
        (["*none", "*cdrs"], 0, 1),
        (["*cdrs:false"], 0, 0),
        (["*log"], 0, 0),  # unsupported reqType: <>
        (["*initiate"], 0, 0),  # refused: no subsystem is asked for
        (["*initiate", "*cdrs"], 0, 0),  # no record after a call that failed
        (["*initiate", "*accounts", "*unknown"], 1, 0),
        (["*event", "*rals:*initiate"], 1, 0),
        (["*event", "*cdrs:*rals:false"], 0, 1),
    ],
)  # fmt: skip
def test_flags_choose_the_call(tmp_path: Path, flags: list[str], sessions: int, records: int) -> None:
    node = prepaid(tmp_path, flags)
    assert node.call("SessionSv1.GetActiveSessionsCount", {})["result"] == sessions
    assert node.call("CDRsV1.GetCDRsCount", {})["result"] == records


def test_usage_of_the_record_after_a_message_is_what_was_granted(tmp_path: Path) -> None:
    node = prepaid(tmp_path, ["*message", "*accounts", "*cdrs"])
    assert cdrs(node, "OriginID", "Usage") == [("p1", 10 * SECOND)]


def test_performance_goes_to_statistics(tmp_path: Path) -> None:
    write(tmp_path, "a.csv", *ROWS, ROWS[0])
    node = node_with(
        reader(tmp_path, flags=["*cdrs", "*ersStats:Q1&Q2", "*ersThresholds:T1"]),
        stats_conns=["*internal"], thresholds_conns=["*internal"],
    )  # fmt: skip
    for queue in ("Q1", "Q2"):
        metrics = [
            {"MetricID": "*sum#1"},
            {"MetricID": "*distinct#~*req.ReplyState"},
            {"MetricID": "*distinct#~*req.Source"},
        ]
        profile = {"ID": queue, "FilterIDs": ["*string:~*req.EventReaderID:R"], "Metrics": metrics}
        assert node.call("APIerSv1.SetStatQueueProfile", profile)["error"] is None
    assert run(node) == "OK"
    for queue in ("Q1", "Q2"):
        assert node.call("StatSv1.GetQueueFloatMetrics", {"ID": queue})["result"] == {
            "*sum#1": 4, "*distinct#~*req.ReplyState": 2, "*distinct#~*req.Source": 1,
        }  # fmt: skip


def test_raw_records_go_to_exporters_by_what_came_of_them(tmp_path: Path) -> None:
    source, exports = tmp_path / "in", tmp_path / "out"
    write(source, "a.csv", *ROWS, ROWS[0])
    exports.mkdir()
    exporters = [
        {
            "id": name,
            "type": "*file_csv",
            "export_path": str(exports),
            "fields": [field("*exp.Row", "~*req.0;-;~*req.2")],
        }
        for name in ("GOOD", "BAD")
    ]
    node = node_with()
    ees = {"enabled": True, "exporters": exporters}
    assert node.call("ConfigSv1.SetConfig", {"Config": {"ees": ees}})["error"] is None
    ids = {"ees_success_ids": ["GOOD"], "ees_failed_ids": ["BAD"]}
    assert configure(node, reader(source, **ids), ees_conns=["*internal"])["error"] is None
    assert run(node) == "OK"
    node.advance(60 * SECOND)
    found = {file.name.partition("_")[0]: file.read_text().split() for file in exports.iterdir()}
    assert found == {"GOOD": ["c1-10s", "c2-20s", "c3-30s"], "BAD": ["c1-10s"]}


def test_templates_of_the_configuration(tmp_path: Path) -> None:
    write(tmp_path, "a.csv", ROWS[0])
    node = node_with()
    config = {
        "templates": {"*who": [field("Account", "1009", "*constant"), field("Note", "~*req.1")]},
        "ers": {"enabled": True, "readers": [reader(tmp_path, fields=[*FIELDS, field("*t", "*who", "*template")])]},
    }
    assert node.call("ConfigSv1.SetConfig", {"Config": config})["error"] is None
    assert run(node) == "OK"
    assert cdrs(node, "Account", "Note") == [("1009", "1001")]


def test_filters_of_a_reader_may_look_at_live_state_and_at_stored_filters(tmp_path: Path) -> None:
    write(tmp_path, "a.csv", *ROWS)
    node = node_with(reader(tmp_path, filters=["*gt:~*accounts.1001.BalanceMap.*monetary[0].Value:5", "FLTR_1"]))
    rules = [{"Type": "*prefix", "Element": "~*req.0", "Values": ["c1", "c2"]}]
    assert node.call("APIerSv1.SetFilter", {"ID": "FLTR_1", "Rules": rules})["error"] is None
    assert run(node) == "OK"
    assert cdrs(node) == []
    balance = {"Account": "1001", "BalanceType": "*monetary", "Value": 10}
    assert node.call("APIerSv1.AddBalance", balance)["error"] is None
    assert run(node) == "OK"
    assert cdrs(node) == ["c1", "c2"]


# --- partial records ----------------------------------------------------------------------------------------------

PARTIAL = [
    *FIELDS[:3], field("OriginID", "~*req.0"), field("Account", "1001", "*constant"), field("AnswerTime", "~*req.1"),
    field("Usage", "~*req.2"), field("*opts.*partial", "~*req.3"), field("Note", "~*req.4", filters=["*notempty:~*req.4:"]),
]  # fmt: skip


def parts(folder: Path, action: str, *rows: str, **more: Any) -> Node:
    write(folder, "a.csv", *rows)
    node = node_with(
        reader(folder, fields=PARTIAL, opts={"partialCacheAction": action, **more.pop("opts", {})}, **more)
    )
    assert run(node) == "OK"
    return node


def test_parts_are_merged_in_the_order_of_their_times(tmp_path: Path) -> None:
    node = parts(
        tmp_path, "*none", "c1,2026-03-02T10:00:02Z,2s,false,", "c2,2026-03-02T10:00:01Z,1s,true,x",
        "c3,2026-03-02T10:00:01Z,9s,,whole",
    )  # fmt: skip
    assert cdrs(node, "OriginID", "Usage") == [
        ("c1", 2 * SECOND),
        ("c3", 9 * SECOND),
    ]  # an empty option counts as false
    node = parts(
        tmp_path, "*none", "c1,2026-03-02T10:00:01Z,1s,true,late", "c1,2026-03-02T09:00:00Z,7s,true,early",
        "c1,2026-03-02T10:00:02Z,2s,false,",
        partial_commit_fields=[field("Sum", "~*req.Usage;/;~*opts.*partial;/;~*req.Note")],
    )  # fmt: skip
    assert cdrs(node, "Usage", "Note", "Sum") == [(2 * SECOND, "late", "2s/false/late")]


def test_parts_wait_from_when_they_were_read(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    others = [f"x{number},2026-03-02T10:00:01Z,1s,false," for number in range(13)]
    begun, ended = "c1,2026-03-02T10:00:01Z,1s,true,", "c1,2026-03-02T10:00:02Z,2s,false,"
    write(tmp_path, "a.csv", *others[:8], begun, *others[8:], ended)  # both in the second piece
    node = node_with(reader(tmp_path, fields=PARTIAL))
    slow(node)
    assert run(node) == "OK"
    assert cdrs(node, "OriginID", "Usage")[-1] == ("c1", 2 * SECOND)
    assert "dropped" not in caplog.text


def test_part_without_origin_id_is_dropped(tmp_path: Path) -> None:
    assert cdrs(parts(tmp_path, "*none", ",2026-03-02T10:00:02Z,2s,false,")) == []


def test_record_that_never_becomes_whole(tmp_path: Path) -> None:
    rows = ["c1,2026-03-02T10:00:01Z,1s,true,a", 'c1,2026-03-02T10:00:02Z,2s,true,"b,c"']
    node = parts(tmp_path, "*none", *rows)
    node.advance(3 * SECOND)
    assert cdrs(node) == []
    node = parts(tmp_path, "*post_cdr", *rows)
    node.advance(SECOND // 2)
    assert cdrs(node) == []
    node.advance(SECOND)
    assert cdrs(node, "OriginID", "Usage", "Note") == [("c1", 2 * SECOND, "b,c")]
    for action, more, text in (
        ("*dump_to_file", {}, '1001,2026-03-02T10:00:02Z,999,"b,c",c1,*none,*voice,2s\n'),
        (
            "*dump_to_file",
            {"cache_dump_fields": [field("*exp.A", "~*req.OriginID"), field("*exp.B", "~*req.Note")]},
            "c1;b,c\n",
        ),
        ("*dump_to_json", {}, None),
    ):
        folder = tmp_path / "dumps"
        folder.mkdir(exist_ok=True)
        opts = {"partialPath": str(folder), "partialcsvFieldSeparator": ";" if more else ","}
        node = parts(tmp_path, action, *rows, opts=opts, **more)
        node.advance(2 * SECOND)
        (file,) = folder.iterdir()
        cgrid, seconds, end = file.name.split(".")
        assert (len(cgrid), seconds.isdigit(), end) == (40, True, "tmp")
        if text is None:
            assert json.loads(file.read_text())["Usage"] == "2s"
        else:
            assert file.read_text() == text
        file.unlink()
