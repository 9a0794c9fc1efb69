"""Files taken apart piece by piece: rows, lengths, quotes, and that pieces of any size give the same rows (spec 40 §9)."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cgr_cluster.edge import reader_files, wire
from cgr_cluster.edge.reader_files import list_files, move_file, read_rows
from cgr_cluster.readers.csv_rows import csv_line
from cgr_cluster.readers.types import Chunk, Cursor, FileOptions
from cgr_cluster.rpc.errors import ApiError

CSV = FileOptions("*file_csv")


def read(file: Path, options: FileOptions = CSV, most: int = 1000) -> tuple[list[Any], Chunk]:
    """All rows, read in pieces of `most`, and the last piece."""
    rows: list[Any] = []
    cursor = Cursor()
    while True:
        chunk = read_rows(str(file), options, cursor, most)
        assert chunk.line == len(rows)
        rows += chunk.rows
        cursor = chunk.cursor
        if chunk.end or chunk.fault:
            return rows, chunk
        assert len(chunk.rows) == most


@pytest.mark.parametrize(
    ("text", "rows", "fault"),
    [
        ("a,b\nc,d", [["a", "b"], ["c", "d"]], ""),
        ("a,b\r\n\r\n\n#x\nc,d\n", [["a", "b"], ["c", "d"]], ""),
        ('"a,1","b\n""2"""\nc,d\n', [["a,1", 'b\n"2"'], ["c", "d"]], ""),
        ('"a\r\nb","c"\r\n', [["a\nb", "c"]], ""),
        ('a,""\n,"b"\n', [["a", ""], ["", "b"]], ""),
        (" a, b\n", [[" a", " b"]], ""),
        ('a,b\nc,x"y\n', [["a", "b"]], 'row 2: bare " in non-quoted field'),
        ('a,b\n"c"x,y\n', [["a", "b"]], 'row 2: extraneous or missing " in quoted field'),
        ('a,b\nc,"y\n', [["a", "b"]], 'row 2: extraneous or missing " in quoted field'),
        ("a,b\nc\n", [["a", "b"]], "row 2: wrong number of fields"),
        ("", [], ""),
        ("\xff,b\n", [["\xff", "b"]], ""),
    ],
)
def test_csv(tmp_path: Path, text: str, rows: list[list[str]], fault: str) -> None:
    file = tmp_path / "a.csv"
    file.write_bytes(text.encode())
    for most in (1, 2, 100):
        found, last = read(file, most=most)
        assert (found, last.fault, last.end) == (rows, fault, not fault)


def test_csv_header_lengths_and_separator(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text(":x;y\n:A;B\n1;2\n:3;4\n")
    found, last = read(file, FileOptions("*file_csv", ";"), 1)
    assert (found, last.cursor.columns) == ([["1", "2"], [":3", "4"]], ("A", "B"))
    found, last = read(file, FileOptions("*file_csv", ";", header_char="!"))
    assert len(found) == 4
    assert read(file, FileOptions("*file_csv", ";", 3))[1].fault == "row 1: wrong number of fields"
    file.write_text("1;2\n3\n4;5;6\n")
    assert len(read(file, FileOptions("*file_csv", ";", -1))[0]) == 3
    file.write_text('1;a"b\n2;"c"d\n')
    assert read(file, FileOptions("*file_csv", ";", lazy_quotes=True))[0] == [["1", 'a"b'], ["2", 'c"d']]


TEXTS = st.text(st.sampled_from('ab,;"\n\r # :'), max_size=6)


@settings(
    max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None
)
@given(rows=st.lists(st.lists(TEXTS, min_size=2, max_size=4), max_size=6), most=st.integers(1, 4))
def test_rows_that_are_written_are_read_again_in_any_pieces(tmp_path: Path, rows: list[list[str]], most: int) -> None:
    rows = [[cell.replace("\r", "") for cell in row] for row in rows]
    rows = [["x", *row] for row in rows]
    file = tmp_path / "a.csv"
    file.write_bytes("".join(csv_line(row, ",") for row in rows).encode())
    found, last = read(file, FileOptions("*file_csv", ",", -1, ""), most)
    assert (found, last.fault) == (rows, "")


def test_pieces_of_xml_and_fixed_width_are_the_same_as_the_whole(tmp_path: Path) -> None:
    xml, fixed = tmp_path / "a.xml", tmp_path / "a.fwv"
    calls = "".join(f"<n:Call><Id>{n}</Id><L><T>a</T></L><L><T>b</T></L></n:Call><Other/>" for n in range(7))
    xml.write_text(f'<?xml version="1.0"?><B xmlns:n="urn:x"><H><Call>no</Call></H>{calls}</B>')
    fixed.write_text("HEAD\n" + "".join(f"{n:03d}\n" for n in range(7)) + "TRAILER\n\n")
    by_path = FileOptions("*file_xml", xml_root=("B", "Call"))
    by_width = FileOptions("*file_fwv", header=True, trailer=True)
    rows = [{"B": {"Call": {"Id": str(n), "L": [{"T": "a"}, {"T": "b"}]}}} for n in range(7)]
    for most in (1, 2, 3, 7, 100):
        assert read(xml, by_path, most)[0] == rows
        found, last = read(fixed, by_width, most)
        assert found == [b"%03d" % n for n in range(7)]
        assert (last.cursor.header, last.cursor.trailer) == (b"HEAD", b"TRAILER")


def test_xml_goes_on_where_no_parser_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a restart of the process the elements before the cursor are skipped."""
    file = tmp_path / "a.xml"
    file.write_text("<B>" + "".join(f"<C>{n}</C>" for n in range(5)) + "</B>")
    options = FileOptions("*file_xml", xml_root=("B", "C"))
    first = read_rows(str(file), options, Cursor(), 3)
    monkeypatch.setattr(reader_files, "_xml", reader_files._OpenXml())
    rest = read_rows(str(file), options, first.cursor, 3)
    assert ([row["B"]["C"] for row in rest.rows], rest.line, rest.end) == (["3", "4"], 3, True)


@pytest.mark.parametrize(
    ("name", "text", "fault"),
    [
        ("a.json", "[1]", "no JSON object"), ("a.json", '{"a":', "no JSON: "), ("a.json", "[" * 500, "no JSON: nested too deeply"),
        ("a.json", '{"a":"\\ud800"}', "no JSON: "), ("a.xml", "<b>" * 200, "no XML: nested too deeply"),
        ("a.xml", "<a><b></a>", "no XML: "), ("a.fwv", "abc\nab\n", "line 2: 2 bytes, the first has 3"),
        ("a.csv", "a" * (1 << 20) + "\n", "row 1: a line of more than 1048576 bytes"),
    ],
)  # fmt: skip
def test_bad_files_are_told(tmp_path: Path, name: str, text: str, fault: str) -> None:
    file = tmp_path / name
    file.write_text(text)
    options = FileOptions(f"*file_{name[2:]}", xml_root=("a", "b"))
    assert read(file, options)[1].fault.startswith(fault)


def test_replaced_file_begins_again_and_stays_when_the_old_one_is_to_be_moved(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text("1,2\n3,4\n")
    first = read_rows(str(file), CSV, Cursor(), 1)
    other = tmp_path / "new"
    other.write_text("5,6\n")
    os.replace(other, file)
    again = read_rows(str(file), CSV, first.cursor, 1)
    assert (again.rows, again.line) == ([["5", "6"]], 0)
    move_file(str(file), str(tmp_path / "moved.csv"), first.cursor.identity)
    assert file.exists()
    move_file(str(file), str(tmp_path / "moved.csv"), again.cursor.identity)
    assert not file.exists()
    move_file(str(file), str(tmp_path / "moved.csv"), again.cursor.identity)  # repeated after a crash: nothing to do


@pytest.mark.parametrize(
    "work",
    [
        lambda path: list_files(path, ".csv"),
        lambda path: read_rows(path, CSV, Cursor(), 1),
        lambda path: reader_files.dump_record(path, "x", "y"),
    ],
)
def test_what_is_not_there_is_told(tmp_path: Path, work: Callable[[str], Any]) -> None:
    with pytest.raises(ApiError, match=r"No such file or directory: .*nowhere"):
        work(str(tmp_path / "nowhere"))
    with pytest.raises(ApiError, match=r"embedded null|No such file"):
        work("no\0where")


def test_pieces_pass_between_processes(tmp_path: Path) -> None:
    """What the edge process answers is the same at the worker."""
    for name, text in (
        ("a.csv", "1,2\n3,4\n"),
        ("a.fwv", "ab\ncd\n"),
        ("a.json", f'{{"a":[1.5,null,{2**70}]}}'),
        ("a.xml", "<a>1</a>"),
    ):
        file = tmp_path / name
        file.write_text(text)
        chunk = read_rows(str(file), FileOptions(f"*file_{name[2:]}"), Cursor(), 1)
        assert wire.unpack_result("ers.rows", wire.pack_result(chunk)) == chunk
        assert chunk.rows
        asked = str(file), FileOptions(f"*file_{name[2:]}"), chunk.cursor, 1
        assert tuple(wire.unpack_arguments("ers.rows", wire.pack_arguments(asked))) == asked


def test_names_that_are_no_texts_are_left(tmp_path: Path) -> None:
    for name in (b"a.csv", b"\xff.csv", b"b\n.csv"):
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name)).write_text("1,2\n")
    assert [file.name for file in list_files(str(tmp_path), ".csv")] == ["a.csv"]
