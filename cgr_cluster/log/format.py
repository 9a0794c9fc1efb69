"""The group: the bytes in which changes are logged, followed and recovered. Contract: docs/log-format.md.

A worker packs the changes of one turn with `encode_body` and `seal`. The log gives the group its place with `stamp`.
Whoever reads checks with `parse_header` and `check_body` before it believes anything.

>>> body = encode_body([(17, "account/cgrates.org:1001", b"..."), (17, "session/abc", None)])
>>> group = seal(body, worker=3, incarnation=7, epoch=1, number=1, generation=42)
>>> decode_body(group[HEADER_BYTES:])
[(17, 'account/cgrates.org:1001', b'...'), (17, 'session/abc', None)]
"""

from __future__ import annotations

import struct
from typing import Final, NamedTuple
from zlib import crc32

import msgspec

from cgr_cluster.log.errors import BadGroup

FORMAT_VERSION: Final = 1
MAGIC: Final = b"CGRg"
HEADER_BYTES: Final = 72
MAX_BODY_BYTES: Final = 256 << 20  # a turn's changes, or a whole changeset of reference data
SHARDS: Final = 256
REFERENCE_SHARD: Final = 256  # pseudo-shard of the reference data, written by the leader
LOG_SHARD: Final = 65535  # pseudo-shard of the log's own control records
LOG_WORKER: Final = 65535  # worker id in the header of control groups
SHORT_LIVED_KINDS: Final = ("done/", "memo/")  # their values start with the time of creation, 8 bytes, big-endian, ns

Record = tuple[int, str, bytes | None]  # shard, "kind/key", encoded object or None when it was deleted

_HEAD = struct.Struct("<4sHHQQQQQQIII")  # all of the header but its own CRC
_PLACE = struct.Struct("<QQ")
_CRC = struct.Struct("<I")
_PLACE_AT: Final = 40
_PLACE_END: Final = 56
_CRC_AT: Final = 68
assert _HEAD.size == _CRC_AT and _CRC_AT + _CRC.size == HEADER_BYTES

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(list[tuple[int, str, bytes | None]])


class Header(NamedTuple):
    """A group's header. `segment` and `synced` are 0 until the log has given the group its place."""

    worker: int
    incarnation: int
    epoch: int
    number: int  # of this incarnation, from 1 without gaps
    generation: int
    segment: int
    synced: int  # offset in the segment up to which it was synced when this group was written
    body_bytes: int
    records: int
    body_crc: int


encode_body = _encoder.encode
"""`encode_body(records: list[Record]) -> bytes`: 0.3 µs and 0.1 µs a record, so it is the encoder itself."""


def decode_body(body: bytes | memoryview) -> list[Record]:
    """The records of a body that `check_body` has accepted. Raises msgspec's errors for one that nobody sealed."""
    return _decoder.decode(body)


def record_count(body: bytes | memoryview) -> int:
    """The length that the MessagePack array at the start of a body announces. Raises ValueError for another type."""
    first = body[0] if len(body) else 0
    if 0x90 <= first <= 0x9F:
        return first & 0x0F
    if first == 0xDC and len(body) >= 3:
        return int.from_bytes(body[1:3], "big")
    if first == 0xDD and len(body) >= 5:
        return int.from_bytes(body[1:5], "big")
    raise ValueError("a body is a MessagePack array of records")


def seal(body: bytes, worker: int, incarnation: int, epoch: int, number: int, generation: int) -> bytes:
    """The group as a worker hands it to the log: header and body. Raises ValueError when the body is too long."""
    if len(body) > MAX_BODY_BYTES:
        raise ValueError(f"a group of {len(body)} bytes; at most {MAX_BODY_BYTES} are allowed: write it in parts")
    head = _HEAD.pack(
        MAGIC,
        FORMAT_VERSION,
        worker,
        incarnation,
        epoch,
        number,
        generation,
        0,
        0,
        len(body),
        record_count(body),
        crc32(body),
    )
    return b"".join((head, _CRC.pack(crc32(head)), body))


def stamp(header: bytes | memoryview, segment: int, synced: int) -> bytes:
    """The header with its place in the log filled in. The body and its CRC stay as they are."""
    head = b"".join((header[:_PLACE_AT], _PLACE.pack(segment, synced), header[_PLACE_END:_CRC_AT]))
    return head + _CRC.pack(crc32(head))


def parse_header(data: bytes | memoryview, offset: int = 0) -> Header:
    """The header at `offset`. Raises BadGroup when there is none, or one that was not written whole."""
    if len(data) - offset < HEADER_BYTES:
        raise BadGroup(offset, f"{len(data) - offset} bytes left, a header has {HEADER_BYTES}")
    fields = _HEAD.unpack_from(data, offset)
    magic, version, body_bytes = fields[0], fields[1], fields[9]
    if magic != MAGIC:
        raise BadGroup(offset, "nothing was written here" if magic == b"\0\0\0\0" else "no group starts here")
    if _CRC.unpack_from(data, offset + _CRC_AT)[0] != crc32(data[offset : offset + _CRC_AT]):
        raise BadGroup(offset, "checksum of the header differs")
    if version != FORMAT_VERSION:
        raise BadGroup(offset, f"format version {version}; this program knows {FORMAT_VERSION}")
    if not 0 < body_bytes <= MAX_BODY_BYTES:
        raise BadGroup(offset, f"body of {body_bytes} bytes")
    return Header._make(fields[2:])


def check_body(header: Header, body: bytes | memoryview, offset: int = 0) -> None:
    """Raises BadGroup when `body` is not the one that `header` was sealed with."""
    if len(body) != header.body_bytes:
        raise BadGroup(offset, f"body of {header.body_bytes} bytes is cut after {len(body)}")
    if crc32(body) != header.body_crc:
        raise BadGroup(offset, "checksum of the body differs")


def creation_ns(value: bytes) -> int:
    """Time at which a short-lived record (`SHORT_LIVED_KINDS`) was made, ns since the epoch."""
    return int.from_bytes(value[:8], "big")
