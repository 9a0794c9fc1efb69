"""The splitter of documents: the cut of the bytes into reads never matters (spec 01 §2)."""

from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from cgr_cluster.routing.stream import DocumentStream
from cgr_cluster.rpc.envelope import Envelope, decode_envelope, decode_usual

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
REQUEST = st.fixed_dictionaries({"method": st.text(max_size=20), "params": st.lists(JSON, max_size=2)},
                                optional={"id": JSON, "jsonrpc": st.just("2.0"), "Other": JSON})  # fmt: skip
SPACE = st.sampled_from(["", "\n", " ", "\r\n", "\n\n \t"])
DOCUMENT = st.builds(
    lambda value, indent, ascii_only: json.dumps(value, indent=indent, ensure_ascii=ascii_only),
    REQUEST | st.none(),
    st.sampled_from([None, 1]),
    st.booleans(),
)
NOISE = st.sampled_from(
    ["", "}", "]", "[1]", "hello", '"text"', "7", "nul", '{"a":', '{"a"}', '{"a":"', "{,}", "true", '{"method":5}']
)
CUTS = st.lists(st.integers(min_value=1, max_value=60), max_size=40)


def fed(data: bytes, cuts: list[int]) -> tuple[list[Envelope], bool]:
    stream = DocumentStream(decode_usual, decode_envelope)
    out = []
    position = 0
    for size in cuts:
        out += stream.feed(data[position : position + size])
        position += size
    if position < len(data):
        out += stream.feed(data[position:])
    return out, stream.failed


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(DOCUMENT, SPACE), max_size=5), NOISE, CUTS)
def test_any_cut_gives_the_same_documents(parts: list[tuple[str, str]], noise: str, cuts: list[int]) -> None:
    data = "".join(document + space for document, space in parts)
    expected = [decode_envelope(document.encode()) for document, _ in parts]
    assert fed(data.encode(), []) == (expected, False)
    assert fed(data.encode(), cuts) == (expected, False)
    noisy = (data + noise).encode()
    whole, failed = fed(noisy, [])
    pieces, failed_in_pieces = fed(noisy, cuts)
    assert whole == pieces == expected
    if failed:
        ended = (noisy + b"}}").replace(b"nul}}", b"nul}")  # an unfinished document may fail only when it goes on
        assert failed_in_pieces or fed(ended, cuts)[1]


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200), CUTS)
def test_any_bytes_are_survived(data: bytes, cuts: list[int]) -> None:
    whole, pieces = fed(data, []), fed(data, cuts)
    assert whole[0] == pieces[0]
