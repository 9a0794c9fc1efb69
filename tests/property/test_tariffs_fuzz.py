"""Whatever bytes a folder or an archive holds: a load answers or raises ApiError, nothing is half loaded, and what is written
reads as the same (10 §9)."""

from __future__ import annotations

import base64
import io
import struct
import tempfile
import zipfile
from functools import cache
from itertools import count
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cgr_cluster.engine.generation import Generation
from cgr_cluster.engine.owner import REFERENCE_SHARD
from cgr_cluster.node.node import Node
from cgr_cluster.rpc.errors import ApiError
from cgr_cluster.tariffs import deck as decks
from cgr_cluster.tariffs.deck import KIND_OF_FILE, LOAD_ORDER, read_deck, unzip_files, write_deck, zip_files
from cgr_cluster.tariffs.loading import Loader
from cgr_cluster.tariffs.validation import flaw
from tests.property.api_world import PLAN, Logged, World, flaw_of
from tests.property.fuzzing import fuzzed
from tests.simulation.crashing import flaws

NOW_NS = 1_763_905_002 * 10**9
CELLS = st.one_of(
    st.sampled_from(
        ["", "*any", "A", "B", "R", "D", "1", "-1", "1e400", "nan", "60s", "1m;2m", "*asap", "*unlimited", "+1h", "T",
         "2020-01-01T00:00:00Z", "9999999999", "*string", "~*req.A", "<a;b", "`x;", '"', '"a,b"', "a;!b", "*zero", "true",
         "*voice", "*monetary", '"{""Method"":1}"', "{}", "[]", "{\"\"Static\"\":1e30}", "99999999999999999999", "\x00",
         '"a\nb"', '"a""b"', "\u00b2", "1e308", "-400", "0000-01-01T00:00:00Z", "*gt", "*exists", "~", "*acc;*sum#~*req.X"]
    ),
    st.text(max_size=6),
)  # fmt: skip
ENCODINGS = st.sampled_from(
    ["plain", "bom", "crlf", "utf-16", "no utf-8", "no last newline", "blank lines", "truncated"]
)


def encoded(text: str, how: str) -> bytes:
    data = text.encode("utf-8", "surrogatepass")
    if how == "bom":
        return b"\xef\xbb\xbf" + data
    if how == "crlf":
        return data.replace(b"\n", b"\r\n")
    if how == "utf-16":
        return text.encode("utf-16", "surrogatepass")
    if how == "no utf-8":
        return data.replace(b",", b"\xff,", 1)
    if how == "blank lines":
        return b"\n\r\n#" + data.replace(b"\n", b"\n\n#x\n")
    return data[: len(data) * 2 // 3] if how == "truncated" else data


@st.composite
def folders(draw: st.DrawFn) -> dict[str, bytes]:
    """Files of the right shape with cells of every kind, and some of arbitrary bytes."""
    files = {}
    for kind in draw(st.lists(st.sampled_from(LOAD_ORDER), unique_by=lambda kind: kind.file)):
        width = len(kind.columns)
        rows = draw(st.lists(st.lists(CELLS, min_size=width, max_size=width), max_size=4))
        files[kind.file] = encoded("\n".join(",".join(row) for row in rows), draw(ENCODINGS))
    for name in draw(st.lists(st.sampled_from(sorted(KIND_OF_FILE)), max_size=2)):
        files[f"sub/{name}"] = draw(st.binary(max_size=60))
    return files


@st.composite
def nearly_good_folders(draw: st.DrawFn) -> dict[str, bytes]:
    """A plan that loads, but for a few cells, in any encoding: what is wrong is found late."""
    files = {}
    for name, text in PLAN.items():
        rows = [line.split(",") for line in text.splitlines()]
        for _ in range(draw(st.integers(0, 5)) // 4):
            row = rows[draw(st.integers(0, len(rows) - 1))]
            row[draw(st.integers(0, len(row) - 1))] = draw(CELLS)
        how = draw(st.sampled_from(["plain"] * 6 + ["bom", "crlf", "no utf-8", "blank lines", "truncated"]))
        files[name] = encoded("\n".join(",".join(row) for row in rows) + "\n", how)
    return files


@fuzzed(200)
@given(folders() | nearly_good_folders())
def test_a_load_answers_or_raises_an_api_error(files: dict[str, bytes]) -> None:
    deck, problems = read_deck(files)
    ids = count()
    try:
        loaded = Loader(Generation({}), NOW_NS, "UTC", lambda: str(next(ids))).load(deck, problems)
    except ApiError:
        pass
    else:
        for plan in loaded.rating_plans:
            flaw(plan)
    collecting = Loader(Generation({}), NOW_NS, "UTC", lambda: "id", collect=True)
    collecting.load(deck, problems)


@pytest.mark.parametrize("row", ["t,A,,,1,soon,1,*acc,,,,,", "t,A,,,1,1,soon,,,,,", "t,A,soon;soon,,,,,,,,,"])
def test_a_bad_row_leaves_no_half_object(row: str) -> None:
    for kind in LOAD_ORDER:
        cells = (row.split(",") + [""] * 30)[: len(kind.columns)]
        read_deck({kind.file: f"{','.join(cells)}\n".encode()})


@fuzzed(100)
@given(folders())
def test_good_rows_survive_writing_and_reading(files: dict[str, bytes]) -> None:
    deck, _ = read_deck(files)
    again, problems = read_deck(write_deck(deck))
    assert not problems
    for kind in LOAD_ORDER:
        if kind.name not in ("charger", "filter", "attribute_profile"):
            assert again[kind.name] == deck[kind.name], kind.name


# --- on a node ----------------------------------------------------------------------------------------------------


@cache
def world() -> World:
    return World()


def reference_data(node: Node) -> dict[str, bytes]:
    return {key: value for (shard, key), value in node.disk.items() if shard == REFERENCE_SHARD}


@fuzzed(25)
@given(folders() | nearly_good_folders(), st.lists(st.sampled_from(range(6)), min_size=2, max_size=3))
def test_all_of_a_folder_or_nothing(files: dict[str, bytes], steps: list[int]) -> None:
    """Loads, removals, imports and archives of the same files, in any order."""
    node = world().copy()
    with tempfile.TemporaryDirectory() as folder, Logged() as logged:
        for name, data in files.items():
            path = Path(folder, name)
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(data)
        calls = [
            ("APIerSv1.LoadTariffPlanFromFolder", {"FolderPath": folder}),
            ("APIerSv1.LoadTariffPlanFromFolder", {"FolderPath": folder, "DryRun": True}),
            ("APIerSv1.RemoveTPFromFolder", {"FolderPath": folder}),
            ("APIerSv1.ImportTariffPlanFromFolder", {"TPid": "F", "FolderPath": folder}),
            ("APIerSv1.ImportTPZipFile", {"TPid": "F", "File": base64.b64encode(zip_files(files)).decode()}),
            ("APIerSv1.LoadTariffPlanFromStorDb", {"TPid": "F"}),
        ]
        for step in steps:
            method, params = calls[step]
            before = reference_data(node)
            answer = node.call(method, params)
            assert flaw_of(answer) is None, (method, answer)
            if answer["error"] is not None and answer["error"] != "SERVER_ERROR: PARTIALLY_EXECUTED":
                assert reference_data(node) == before, (method, answer)
            node.advance(10**9)
        assert logged.lines == []
    assert flaws(node) == []
    assert node.call("CoreSv1.Ping", {})["result"] == "Pong"


# --- archives -----------------------------------------------------------------------------------------------------

ARCHIVE = zip_files({name: text.encode() for name, text in PLAN.items()})


@given(st.binary(max_size=200))
def test_any_bytes_as_an_archive(data: bytes) -> None:
    found = unzip_files(data)
    assert found is None or isinstance(found, dict)


@fuzzed(200)
@given(
    st.lists(st.tuples(st.integers(0, len(ARCHIVE) - 1), st.integers(0, 255)), max_size=4), st.integers(0, len(ARCHIVE))
)
def test_damaged_archives(changes: list[tuple[int, int]], cut: int) -> None:
    data = bytearray(ARCHIVE)
    for place, byte in changes:
        data[place] = byte
    for damaged in (bytes(data), ARCHIVE[:cut], ARCHIVE[cut:], bytes(data)[:cut]):
        found = unzip_files(damaged)
        assert found is None or isinstance(found, dict)


def archive_of(entries: list[tuple[str, bytes]], kind: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", kind) as archive:
        for name, data in entries:
            archive.writestr(name, data)
    return out.getvalue()


def test_bombs_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decks, "MAX_UNZIPPED_BYTES", 1 << 20)
    zeros = bytes(1 << 20)
    assert unzip_files(archive_of([("Rates.csv", zeros)])) == {"Rates.csv": zeros}
    assert unzip_files(archive_of([("Rates.csv", zeros), ("Timings.csv", b"x")])) is None
    assert unzip_files(archive_of([("readme.txt", zeros + zeros), ("Timings.csv", b"x")])) == {"Timings.csv": b"x"}
    for kind in (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):  # they cannot be unpacked piece by piece
        assert unzip_files(archive_of([("Rates.csv", b"x")], kind)) is None


def test_a_bomb_that_lies_about_its_size_is_not_unpacked() -> None:
    size = 64 << 20
    data = archive_of([("Rates.csv", bytes(size))])
    lying = data.replace(struct.pack("<I", size), struct.pack("<I", 10))
    assert lying != data
    assert unzip_files(lying) is None  # its checksum is that of all of it


def test_names_with_paths_are_only_names() -> None:
    node = world().copy()
    rows = {
        "../../Destinations.csv": b"D_UP,+1\n",
        "/etc/Timings.csv": b"T_ROOT,*any,*any,*any,*any,00:00:00\n",
        "..": b"",
        "x.csv/": b"",
    }
    data = base64.b64encode(archive_of(list(rows.items()))).decode()
    assert node.call("APIerSv1.ImportTPZipFile", {"TPid": "Z", "File": data})["result"] == "OK"
    assert node.call("APIerSv1.GetTPDestinationIDs", {"TPid": "Z"})["result"] == ["D_UP"]
    assert node.call("APIerSv1.GetTPTimingIds", {"TPid": "Z"})["result"] == ["T_ROOT"]


def test_a_huge_file_with_one_bad_row_at_its_end_loads_nothing(tmp_path: Path) -> None:
    node = world().copy()
    before = reference_data(node)
    (tmp_path / "Destinations.csv").write_text("".join(f"D,{number}\n" for number in range(40_000)) + 'D,"1\n')
    answer = node.call("APIerSv1.LoadTariffPlanFromFolder", {"FolderPath": str(tmp_path)})
    assert answer["error"].startswith("SERVER_ERROR: parse error on line 40001, column 5")
    assert reference_data(node) == before
