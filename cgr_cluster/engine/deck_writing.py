"""Writing decks: tables to buffers, and a whole deck to a stream (docs/decks.md has the format).

Pure: the stream is whatever `write` does with the pieces.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from zlib import crc32

import msgspec

from cgr_cluster.engine.codec import pack, unpack
from cgr_cluster.engine.deck import (
    APART_MARK,
    COUNTS,
    HEADER,
    MAGIC,
    TRAILER,
    U32,
    VERSION,
    DeckError,
    key_bytes,
)
from cgr_cluster.engine.domain import APART, REFERENCE

APART_FROM = 64  # entries from which an object's map becomes a table of its own
MAX_TABLE_BYTES = (1 << 32) - 1
_PIECE_BYTES = 1 << 20

Entry = tuple[int, bytes, bytes]  # hash, key with its length, value


def entry_of(key: str, value: bytes) -> Entry:
    probe, hashed = key_bytes(key)
    return hashed, probe, value


def table_pieces(entries: list[Entry]) -> Iterator[bytes]:
    """A table's bytes. `entries` are sorted in place. Raises DeckError when it grows beyond 4 GiB."""
    if sys.byteorder != "little":
        raise DeckError("decks are little-endian; this machine is not")
    entries.sort()
    count = len(entries)
    bits = max(count - 1, 1).bit_length()
    shift = 32 - bits
    buckets = array("I", bytes(4 * ((1 << bits) + 1)))
    ends = array("I", bytes(4))
    end = 0
    for hashed, key, value in entries:
        buckets[(hashed >> shift) + 1] += 1
        end += len(key) + len(value)
        if end > MAX_TABLE_BYTES:
            raise DeckError("a table of the deck would have more than 4 GiB")
        ends.append(end)
    total = 0
    for number, inside in enumerate(buckets):
        total += inside
        buckets[number] = total
    yield COUNTS.pack(count, bits)
    yield buckets.tobytes()
    yield ends.tobytes()
    piece = bytearray()
    for _, key, value in entries:
        piece += key
        piece += value
        if len(piece) >= _PIECE_BYTES:
            yield bytes(piece)
            piece.clear()
    yield bytes(piece)


def marked(kind: str, packed: bytes, marks: int, split: bool = True) -> bytes:
    """A kind's value: marks and the packed object, a large map of it apart when `split`."""
    apart = APART.get(kind)
    if apart is not None and split and len(packed) > APART_FROM:
        value = unpack(REFERENCE[kind], packed)
        field, _ = apart
        items: dict[str, Any] = getattr(value, field)
        if len(items) >= APART_FROM:
            head = pack(msgspec.structs.replace(value, **{field: {}}))
            table = b"".join(table_pieces([entry_of(key, pack(item)) for key, item in items.items()]))
            return bytes((marks | APART_MARK,)) + U32.pack(len(head)) + head + table
    return bytes((marks,)) + packed


class DeckWriter:
    """Writes a deck: each table once, then `finish`."""

    def __init__(self, write: Callable[[bytes], object]) -> None:
        self._write = write
        self._at = 0
        self._crc = 0
        self._directory: list[tuple[str, int, int]] = []
        self._put(HEADER.pack(MAGIC, VERSION, 0))

    def table(self, kind: str, entries: list[Entry], live: int) -> None:
        """A table; of its entries `live` are objects that exist. `entries` are sorted in place."""
        self._put(bytes(-self._at % 8))
        self._directory.append((kind, self._at, live))
        self._put_all(table_pieces(entries))

    def finish(self) -> int:
        """Directory and trailer. Answers the deck's size in bytes."""
        body, body_crc = self._at, self._crc
        directory = pack(self._directory)
        self._put(directory)
        self._put(TRAILER.pack(body, len(directory), crc32(directory), body_crc, MAGIC))
        return self._at

    def _put_all(self, pieces: Iterable[bytes]) -> None:
        for piece in pieces:
            self._put(piece)

    def _put(self, piece: bytes) -> None:
        self._at += len(piece)
        self._crc = crc32(piece, self._crc)
        self._write(piece)
