"""docs/log-format.md, as a table of cases."""

from __future__ import annotations

import struct
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cgr_cluster.log.errors import BadGroup, RefusalError
from cgr_cluster.log.format import (
    HEADER_BYTES,
    Header,
    check_body,
    decode_body,
    encode_body,
    parse_header,
    record_count,
    seal,
    stamp,
)
from cgr_cluster.log.writers import Writers

RECORDS = [(17, "account/cgrates.org:1001", b"abc"), (256, "ref/number", b"7"), (17, "session/x", None)]
BODY = encode_body(RECORDS)
GROUP = seal(BODY, worker=3, incarnation=7, epoch=2, number=5, generation=42)


def test_a_group_reads_back_as_it_was_sealed() -> None:
    header = parse_header(GROUP)
    assert header == Header(3, 7, 2, 5, 42, 0, 0, len(BODY), 3, crc32(BODY))
    check_body(header, GROUP[HEADER_BYTES:])
    assert decode_body(GROUP[HEADER_BYTES:]) == RECORDS


def test_the_header_lies_where_the_document_says() -> None:
    assert GROUP[:8] == b"CGRg" + struct.pack("<HH", 1, 3)
    assert struct.unpack_from("<QQQQ", GROUP, 8) == (7, 2, 5, 42)
    placed = stamp(GROUP[:HEADER_BYTES], segment=9, synced=1234)
    assert struct.unpack_from("<QQ", placed, 40) == (9, 1234)
    assert placed[56:68] == GROUP[56:68]
    assert struct.unpack_from("<I", placed, 68)[0] == crc32(placed[:68])
    assert parse_header(placed)[5:7] == (9, 1234)


@given(st.integers(0, (len(GROUP) * 8) - 1))
def test_every_flipped_bit_is_noticed(bit: int) -> None:
    damaged = bytearray(GROUP)
    damaged[bit // 8] ^= 1 << bit % 8
    with pytest.raises(BadGroup):
        check_body(parse_header(bytes(damaged)), bytes(damaged[HEADER_BYTES:]))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (bytes(200), "nothing was written here"),
        (GROUP[:50], "50 bytes left"),
        (b"XXXX" + GROUP[4:], "no group starts here"),
    ],
)
def test_what_is_no_header(data: bytes, reason: str) -> None:
    with pytest.raises(BadGroup, match=reason):
        parse_header(data)


@pytest.mark.parametrize("count", [0, 1, 15, 16, 300, 70_000])
def test_the_record_count_is_read_from_the_body(count: int) -> None:
    assert record_count(encode_body([(0, "k/", None)] * count)) == count


def header(incarnation: int = 1, number: int = 1, epoch: int = 1) -> Header:
    return Header(1, incarnation, epoch, number, 0, 0, 0, 1, 0, 0)


@pytest.mark.parametrize(
    ("written", "next_group", "outcome"),
    [
        ([], header(number=1), True),
        ([header(number=1)], header(number=1), False),  # repeated: acknowledged, not written
        ([header(number=1)], header(number=2), True),
        ([header(number=1)], header(number=3), "GAP"),
        ([header(number=1, epoch=5)], header(number=2, epoch=4), "EPOCH"),
        ([], header(incarnation=2), "FENCED"),  # it has not said hello
    ],
)
def test_invariant_01_which_group_is_taken(written: list[Header], next_group: Header, outcome: bool | str) -> None:
    writers = Writers()
    writers.hello(1, 1, 0)
    for group in written:
        assert writers.check(group)
        writers.take(group)
    if isinstance(outcome, bool):
        assert writers.check(next_group) is outcome
    else:
        with pytest.raises(RefusalError) as caught:
            writers.check(next_group)
        assert caught.value.code == outcome


def test_invariant_01_a_younger_incarnation_or_a_fence_shuts_the_older_out() -> None:
    writers = Writers()
    assert writers.hello(1, 1, 0)
    assert not writers.hello(1, 1, 0)
    assert writers.hello(1, 2, 0)
    for old in (lambda: writers.check(header(incarnation=1)), lambda: writers.hello(1, 1, 0)):
        with pytest.raises(RefusalError, match="only incarnation 2 may write"):
            old()
    assert writers.fence(1, 2)
    assert not writers.fence(1, 1)
    with pytest.raises(RefusalError, match="only incarnation 3 may write"):
        writers.check(header(incarnation=2))


def test_a_log_that_lacks_what_it_acknowledged_is_refused() -> None:
    writers = Writers()
    writers.hello(1, 1, 0)
    with pytest.raises(RefusalError, match="acknowledged changes are lost"):
        writers.hello(1, 1, 4)


def test_the_table_of_writers_survives_as_records() -> None:
    writers = Writers()
    writers.hello(4, 9, 0)
    writers.take(writers_header := Header(4, 9, 3, 1, 0, 0, 0, 1, 0, 0))
    copy = Writers()
    copy.restore(writers.records())
    assert copy.table == writers.table
    assert copy.check(writers_header) is False
