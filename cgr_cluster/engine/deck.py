"""Decks: reference data in one immutable buffer, read in place (docs/decks.md has the format).

A `Table` is a hash table of keys and values in a buffer; a `Deck` is a buffer of tables with a directory. Both only
read; `deck_writing.py` makes them. The buffer is usually a mapped file, shared by all workers through the page cache.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator, Mapping
from typing import Any, Final
from zlib import crc32

import msgspec

from cgr_cluster.engine.codec import pack, unpack
from cgr_cluster.engine.domain import APART, REFERENCE

Buffer = bytes | mmap.mmap

MAGIC: Final = b"CGRDECK1"
VERSION: Final = 1
HEADER: Final = struct.Struct("<8sII")
TRAILER: Final = struct.Struct("<QIII8s")  # directory: offset, length, CRC; CRC of all before it; magic
FRESH: Final = 1
GONE: Final = 2
APART_MARK: Final = 4
REVERSE: Final = "*reverse"
FOLDED: Final = "*folded"  # its one value, under "": (kind, key) of the changes that were taken into the deck
WORK: Final = "*work"  # what the load does at the accounts' shards, by shard number
DECODED_KEPT = 20_000  # objects of one kind that a worker keeps decoded

COUNTS = struct.Struct("<II")
U32 = struct.Struct("<I")
_LONG = 255  # a key of so many bytes or more has its length in the four bytes behind


class DeckError(Exception):
    """A deck that cannot be used; the text says which and why."""


def key_bytes(key: str) -> tuple[bytes, int]:
    """A key as it stands in an entry, with its length in front, and its hash."""
    raw = key.encode("utf-8", "surrogatepass")
    size = len(raw)
    return (bytes((size,)) + raw if size < _LONG else b"\xff" + U32.pack(size) + raw), crc32(raw)


class Table:
    """Keys and values in `data` from `start` on."""

    __slots__ = ("_blob", "_buckets", "_data", "_ends", "_shift", "size")

    def __init__(self, data: Buffer, start: int) -> None:
        self.size: int
        self.size, bits = COUNTS.unpack_from(data, start)
        buckets = start + COUNTS.size
        ends = buckets + 4 * ((1 << bits) + 1)
        self._data = data
        self._shift = 32 - bits
        self._blob = ends + 4 * (self.size + 1)
        view = memoryview(data)
        self._buckets = view[buckets:ends].cast("I")
        self._ends = view[ends : self._blob].cast("I")

    def find(self, key: str) -> tuple[int, int] | None:
        """Where the key's value begins and ends in the buffer; None: there is no such key."""
        probe, hashed = key_bytes(key)
        bucket = hashed >> self._shift
        buckets = self._buckets
        entry, last = buckets[bucket], buckets[bucket + 1]
        if entry == last:
            return None
        data, ends, blob = self._data, self._ends, self._blob
        size = len(probe)
        while entry < last:
            at = blob + ends[entry]
            if data[at : at + size] == probe:
                return at + size, blob + ends[entry + 1]
            entry += 1
        return None

    def get(self, key: str) -> bytes | None:
        found = self.find(key)
        return None if found is None else self._data[found[0] : found[1]]

    def entry(self, number: int) -> tuple[str, int, int]:
        """Key, and where its value begins and ends, of the entry of this number."""
        data = self._data
        at = self._blob + self._ends[number]
        size = data[at]
        at += 1
        if size == _LONG:
            size = U32.unpack_from(data, at)[0]
            at += 4
        value = at + size
        return data[at:value].decode("utf-8", "surrogatepass"), value, self._blob + self._ends[number + 1]

    def entries(self) -> Iterator[tuple[str, int, int]]:
        return map(self.entry, range(self.size))


class ApartMap(Mapping[str, Any]):
    """A large map of an object, read in place: a value is decoded when it is asked for."""

    __slots__ = ("_data", "_kind", "_seen", "_table")

    def __init__(self, data: Buffer, start: int, kind: Any) -> None:
        self._data = data
        self._kind = kind
        self._table = Table(data, start)
        self._seen: dict[bytes, Any] = {}  # equal values are one object: plans repeat few bindings

    def _value(self, start: int, stop: int) -> Any:
        packed = self._data[start:stop]
        value = self._seen.get(packed)
        if value is None:
            value = self._seen[packed] = unpack(self._kind, packed)
        return value

    def __getitem__(self, key: str) -> Any:
        found = self._table.find(key)
        if found is None:
            raise KeyError(key)
        return self._value(*found)

    def get(self, key: str, default: Any = None) -> Any:
        found = self._table.find(key)
        return default if found is None else self._value(*found)

    def __contains__(self, key: object) -> bool:
        return self._table.find(str(key)) is not None

    def __iter__(self) -> Iterator[str]:
        return (key for key, _, _ in self._table.entries())

    def __len__(self) -> int:
        return self._table.size


class KindTable:
    """The objects of one kind. `get` keeps a bounded number of them decoded."""

    __slots__ = ("_data", "_decoded", "_kind", "live", "table")

    def __init__(self, kind: str, data: Buffer, start: int, live: int) -> None:
        self._kind = kind
        self._data = data
        self.table = Table(data, start)
        self.live = live
        self._decoded: dict[str, Any] = {}

    def marks(self, key: str) -> int | None:
        """The marks of the key's entry; None: there is none."""
        found = self.table.find(key)
        if found is None:
            return None
        marks: int = self._data[found[0]]
        return marks

    def get(self, key: str) -> Any:
        """The object, or None."""
        value = self._decoded.get(key)
        if value is None:
            found = self.table.find(key)
            if found is None or self._data[found[0]] & GONE:
                return None
            if len(self._decoded) >= DECODED_KEPT:
                self._decoded.clear()
            value = self._decoded[key] = self._object(*found)
        return value

    def packed(self, key: str) -> bytes | None:
        found = self.table.find(key)
        if found is None:
            return None
        marks = self._data[found[0]]
        if marks & GONE:
            return None
        return pack(self._object(*found, whole=True)) if marks & APART_MARK else self._data[found[0] + 1 : found[1]]

    def raw(self, start: int, stop: int) -> tuple[int, bytes]:
        """Marks and the rest of a value, as they are."""
        return self._data[start], self._data[start + 1 : stop]

    def _object(self, start: int, stop: int, whole: bool = False) -> Any:
        data = self._data
        kind = REFERENCE.get(self._kind, Any)
        if not data[start] & APART_MARK:
            return unpack(kind, data[start + 1 : stop])
        head = start + 5
        table = head + U32.unpack_from(data, start + 1)[0]
        value = unpack(kind, data[head:table])
        field, item = APART[self._kind]
        apart = ApartMap(data, table, item)
        return msgspec.structs.replace(value, **{field: dict(apart) if whole else apart})

    def live_keys(self) -> Iterator[str]:
        data = self._data
        return (key for key, start, _ in self.table.entries() if not data[start] & GONE)


class Deck:
    """A whole deck. Raises DeckError for a buffer that is none; `verify` reads all of it."""

    def __init__(self, data: Buffer, name: str) -> None:
        self.name = name
        self._data = data
        if len(data) < HEADER.size + TRAILER.size:
            raise DeckError(f"deck {name} is cut off")
        magic, version, _ = HEADER.unpack_from(data, 0)
        at, size, directory_crc, self._crc, end = TRAILER.unpack_from(data, len(data) - TRAILER.size)
        if magic != MAGIC or end != MAGIC or at + size + TRAILER.size != len(data):
            raise DeckError(f"{name} is no whole deck")
        if version != VERSION:
            raise DeckError(f"deck {name} has version {version}; this program knows {VERSION}")
        directory = data[at : at + size]
        if crc32(directory) != directory_crc:
            raise DeckError(f"the directory of deck {name} is damaged")
        self._body = at
        self.kinds: dict[str, KindTable] = {}
        self._extra: dict[str, Table] = {}
        try:
            for kind, start, live in unpack(list[tuple[str, int, int]], directory):
                if kind.startswith("*"):
                    self._extra[kind] = Table(data, start)
                else:
                    self.kinds[kind] = KindTable(kind, data, start, live)
        except (struct.error, ValueError, TypeError):
            raise DeckError(f"a table of deck {name} is damaged") from None
        reverse, destinations = self._extra.get(REVERSE), self.kinds.get("destination")
        self._reverse = None if reverse is None or destinations is None else (reverse, destinations.table)

    def verify(self) -> None:
        """Raises DeckError when a byte is not what was written."""
        if crc32(memoryview(self._data)[: self._body]) != self._crc:
            raise DeckError(f"deck {self.name} is damaged: restore it with the rest of the data directory")

    def extra(self, name: str, key: str) -> bytes | None:
        """A value of the tables that hold no reference data (`*work`, `*folded`)."""
        table = self._extra.get(name)
        return None if table is None else table.get(key)

    def destinations_of(self, prefix: str) -> tuple[str, ...]:
        """Ids of the deck's destinations that have exactly this prefix."""
        if self._reverse is None:
            return ()
        reverse, destinations = self._reverse
        found = reverse.get(prefix)
        if found is None:
            return ()
        if len(found) == 4:
            return (destinations.entry(U32.unpack(found)[0])[0],)
        return tuple(destinations.entry(number)[0] for (number,) in U32.iter_unpack(found))
