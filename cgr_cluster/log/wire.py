"""Frames between a worker and the log process of its node, over a Unix stream socket of one host and one release.

A frame is its length (u32, of what follows), its type (u8) and the payload, integers little-endian.

| worker → log | payload | answer |
| --- | --- | --- |
| HELLO | worker u16, incarnation u64, last acknowledged number u64 | WELCOME, when the admission is durable; REFUSED |
| APPEND | a group | ACK when it is durable, one for many; REFUSED, and the connection ends |
| FENCE | worker u16, incarnation u64 | FENCED, when it is durable |
| ROLL | | ROLLED: number of the newest closed segment, u64 |
| STATS | | STATS_ARE: JSON |
"""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import Final, NamedTuple

import msgspec

from cgr_cluster.log.errors import REFUSED_PROTOCOL, RefusalError
from cgr_cluster.log.format import HEADER_BYTES, MAX_BODY_BYTES
from cgr_cluster.log.segments import Position

MAX_FRAME_BYTES: Final = HEADER_BYTES + MAX_BODY_BYTES + 1


class Frame(IntEnum):
    HELLO = 1
    APPEND = 2
    FENCE = 3
    ROLL = 4
    STATS = 5
    WELCOME = 17
    ACK = 18
    REFUSED = 19
    FENCED = 20
    ROLLED = 21
    STATS_ARE = 22


_PREFIX = struct.Struct("<IB")
_HELLO = struct.Struct("<HQQ")
_FENCE = struct.Struct("<HQ")
_WELCOME = struct.Struct("<QQQ")
_ACK = struct.Struct("<QBQ")
_ROLLED = struct.Struct("<Q")


class Hello(NamedTuple):
    worker: int
    incarnation: int
    acknowledged: int


class Ack(NamedTuple):
    """All groups up to `number` are durable. `low_disk`: take nothing new, only what ends or gives back."""

    number: int
    low_disk: bool
    free_bytes: int


class Welcome(NamedTuple):
    """The incarnation may write; its last durable number; everything before `durable` is on the disk."""

    last_number: int
    durable: Position


class Refused(NamedTuple):
    code: str
    text: str


def frame(kind: Frame, payload: bytes | memoryview = b"") -> bytes:
    return _PREFIX.pack(len(payload) + 1, kind) + payload


def hello(worker: int, incarnation: int, acknowledged: int) -> bytes:
    return frame(Frame.HELLO, _HELLO.pack(worker, incarnation, acknowledged))


def append(group: bytes) -> bytes:
    return _PREFIX.pack(len(group) + 1, Frame.APPEND) + group


def fence(worker: int, incarnation: int) -> bytes:
    return frame(Frame.FENCE, _FENCE.pack(worker, incarnation))


def welcome(last_number: int, durable: Position) -> bytes:
    return frame(Frame.WELCOME, _WELCOME.pack(last_number, *durable))


def ack(number: int, low_disk: bool, free_bytes: int) -> bytes:
    return frame(Frame.ACK, _ACK.pack(number, low_disk, free_bytes))


def refused(code: str, text: str) -> bytes:
    return frame(Frame.REFUSED, msgspec.msgpack.encode((code, text)))


def rolled(segment: int) -> bytes:
    return frame(Frame.ROLLED, _ROLLED.pack(segment))


def read_hello(payload: bytes) -> Hello:
    return Hello(*_unpack(_HELLO, payload))


def read_fence(payload: bytes) -> tuple[int, int]:
    worker, incarnation = _unpack(_FENCE, payload)
    return worker, incarnation


def read_welcome(payload: bytes) -> Welcome:
    last_number, segment, offset = _unpack(_WELCOME, payload)
    return Welcome(last_number, Position(segment, offset))


def read_ack(payload: bytes) -> Ack:
    number, low_disk, free_bytes = _unpack(_ACK, payload)
    return Ack(number, bool(low_disk), free_bytes)


def read_refused(payload: bytes) -> Refused:
    return Refused(*msgspec.msgpack.decode(payload, type=tuple[str, str]))


def read_rolled(payload: bytes) -> int:
    return _unpack(_ROLLED, payload)[0]


def _unpack(layout: struct.Struct, payload: bytes) -> tuple[int, ...]:
    if len(payload) != layout.size:
        raise RefusalError(REFUSED_PROTOCOL, f"a frame of {len(payload)} bytes where {layout.size} are expected")
    return layout.unpack(payload)


class Frames:
    """Cuts a stream into frames. Keeps what is not a whole frame yet."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[tuple[int, bytes]]:
        """The frames (type, payload) that are whole now. Raises RefusalError for an impossible length."""
        buffer = self._buffer
        buffer += data
        found: list[tuple[int, bytes]] = []
        at = 0
        while len(buffer) - at >= _PREFIX.size:
            length, kind = _PREFIX.unpack_from(buffer, at)
            if not 1 <= length <= MAX_FRAME_BYTES:
                raise RefusalError(
                    REFUSED_PROTOCOL, f"a frame of {length} bytes; at most {MAX_FRAME_BYTES} are allowed"
                )
            end = at + 4 + length
            if end > len(buffer):
                break
            found.append((kind, bytes(buffer[at + _PREFIX.size : end])))
            at = end
        del buffer[:at]
        return found
