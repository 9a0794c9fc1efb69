"""Whatever bytes a folder holds: a load answers or raises ApiError, and what is written reads as the same (10 §9)."""

from __future__ import annotations

from itertools import count

from hypothesis import given, settings
from hypothesis import strategies as st

from cgr_cluster.engine.generation import Generation
from cgr_cluster.rpc.errors import ApiError
from cgr_cluster.tariffs.deck import KIND_OF_FILE, LOAD_ORDER, read_deck, unzip_files, write_deck
from cgr_cluster.tariffs.loading import Loader
from cgr_cluster.tariffs.validation import flaw

NOW_NS = 1_763_905_002 * 10**9
CELLS = st.one_of(
    st.sampled_from(
        ["", "*any", "A", "B", "R", "D", "1", "-1", "1e400", "nan", "60s", "1m;2m", "*asap", "*unlimited", "+1h", "T",
         "2020-01-01T00:00:00Z", "9999999999", "*string", "~*req.A", "<a;b", "`x;", '"', '"a,b"', "a;!b", "*zero", "true",
         "*voice", "*monetary", '"{""Method"":1}"', "{}", "[]", "{\"\"Static\"\":1e30}", "99999999999999999999", "\x00"]
    ),
    st.text(max_size=6),
)  # fmt: skip


@st.composite
def folders(draw: st.DrawFn) -> dict[str, bytes]:
    """Files of the right shape with cells of every kind, and some of arbitrary bytes."""
    files = {}
    for kind in draw(st.lists(st.sampled_from(LOAD_ORDER), unique_by=lambda kind: kind.file)):
        width = len(kind.columns)
        rows = draw(st.lists(st.lists(CELLS, min_size=width, max_size=width), max_size=4))
        files[kind.file] = "\n".join(",".join(row) for row in rows).encode("utf-8", "surrogatepass")
    for name in draw(st.lists(st.sampled_from(sorted(KIND_OF_FILE)), max_size=2)):
        files[f"sub/{name}"] = draw(st.binary(max_size=60))
    return files


@settings(max_examples=300, deadline=None)
@given(folders())
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


@settings(max_examples=200, deadline=None)
@given(folders())
def test_good_rows_survive_writing_and_reading(files: dict[str, bytes]) -> None:
    deck, _ = read_deck(files)
    again, problems = read_deck(write_deck(deck))
    assert not problems
    for kind in LOAD_ORDER:
        if kind.name not in ("charger", "filter", "attribute_profile"):
            assert again[kind.name] == deck[kind.name], kind.name


@given(st.binary(max_size=200))
def test_any_bytes_as_an_archive(data: bytes) -> None:
    found = unzip_files(data)
    assert found is None or isinstance(found, dict)
