"""The splitter of documents (spec 01 §2)."""

from __future__ import annotations

import pytest

from cgr_cluster.routing.stream import DocumentStream
from cgr_cluster.rpc.envelope import Envelope, decode_envelope, decode_usual

PING = '{"method":"CoreSv1.Ping","params":[{}],"id":%d}'


def new_stream(limit: int = 1 << 20) -> DocumentStream[Envelope]:
    return DocumentStream(decode_usual, decode_envelope, limit)


def ids(found: list[Envelope]) -> list[int]:
    return [int(envelope.id) for envelope in found]


@pytest.mark.parametrize("between", ["\n", "", " ", "\r\n\r\n"])
@pytest.mark.parametrize("size", [1, 7, 50, 10_000])
def test_documents_in_pieces(between: str, size: int) -> None:
    data = "".join(PING % n + between for n in range(5)).encode()
    stream = new_stream()
    found = [n for at in range(0, len(data), size) for n in ids(stream.feed(data[at : at + size]))]
    assert found == [0, 1, 2, 3, 4]
    assert not stream.failed
    assert stream.buffered == 0


@pytest.mark.parametrize(
    ("tail", "failed"),
    [("hello", True), ('"text"', True), ("7", True), ("[]", True), ("}", True), ('{"method":5}', True),
     ('{"method":"CoreSv1.Ping",,}', True), ('{"method":"CoreSv1.Ping",,', True), ("{x", True), ("nulx", True),
     ("nul", False), ('{"method":"Core', False), ('{"method":"CoreSv1.Ping","params":[{"a', False), ("", False)],
)  # fmt: skip
def test_what_follows_a_document(tail: str, failed: bool) -> None:
    stream = new_stream()
    assert ids(stream.feed((PING % 1 + "\n" + tail).encode())) == [1]
    assert stream.failed is failed
    if failed:
        assert stream.feed((PING % 2).encode()) == []


def test_any_two_pieces() -> None:
    data = (
        b'{"method":"a.b\\u00e9\\"","params":[{"a":-1.5e-7,"b":[true,false,null],"c":"\xc3\xa9","d":0.5E+3}],"id":-0.1}'
    )
    for cut in range(1, len(data)):
        stream = new_stream()
        assert stream.feed(data[:cut]) == []
        assert not stream.failed, data[:cut]
        assert len(stream.feed(data[cut:])) == 1


def test_null_in_pieces() -> None:
    stream = new_stream()
    found = [stream.feed(bytes([byte])) for byte in b"null null"]
    assert [len(documents) for documents in found] == [0, 0, 0, 1, 0, 0, 0, 0, 1]


def test_brackets_and_quotes_in_texts() -> None:
    text = r'{"method":"a.b","params":[{"x":"}]{[\"\\","y":"\\\""}],"id":1}'
    for size in range(1, 12):
        stream = new_stream()
        data = (text + text).encode()
        assert sum(len(stream.feed(data[at : at + size])) for at in range(0, len(data), size)) == 2


def test_a_document_is_bounded() -> None:
    stream = new_stream(1000)
    assert stream.feed(b'{"method":"a.b","params":["' + b"x" * 900) == []
    assert not stream.failed
    assert stream.feed(b"x" * 200) == []
    assert stream.failed
    small = new_stream(40)
    assert small.feed((PING % 1 + (PING % 2)).encode()) == []
    assert small.failed


def test_a_big_document_costs_its_size() -> None:
    """Sixteen MB in small pieces, in a text full of escapes: quadratic work would take minutes."""
    piece = b'\\"x' * 20_000
    stream = new_stream(64 << 20)
    stream.feed(b'{"id":1,"method":"a.b","params":["')
    for _ in range(270):
        assert stream.feed(piece) == []
    assert ids(stream.feed(b'"]}')) == [1]
