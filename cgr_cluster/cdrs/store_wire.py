"""What workers and the store process say to each other: MessagePack frames over one ordered link per worker.

A worker sends `Put` (a batch of its outbox) and `Ask` (an `outside` of this package); the store answers `Done` and `Told`.
Frames of a link are handled in their order. `incarnation` grows with every start of a worker: what an earlier one has
left in the link's buffers is not applied after the first frame of a later one.
"""

from __future__ import annotations

from typing import Any

import msgspec

from cgr_cluster.cdrs.queries import CdrQuery, Test
from cgr_cluster.cdrs.types import Identity, StoredCdr
from cgr_cluster.engine.codec import pack, unpack


class Put(msgspec.Struct, array_like=True, tag=1, gc=False):
    """A batch of packed `TailEntry`s, to be applied in this order."""

    worker: int
    incarnation: int
    number: int
    entries: list[bytes]


class Ask(msgspec.Struct, array_like=True, tag=2, gc=False):
    """Call `name` of `store_functions` with packed arguments; `id` comes back in the answer."""

    id: int
    name: str
    args: bytes


class Done(msgspec.Struct, array_like=True, tag=3, gc=False):
    """Batch `number` is on the store's disk."""

    incarnation: int
    number: int


class Told(msgspec.Struct, array_like=True, tag=4, gc=False):
    id: int
    result: bytes
    error: str | None = None


_ARGUMENTS: dict[str, Any] = {
    "cdrs.query": tuple[CdrQuery, list[Identity]],
    "cdrs.count": tuple[tuple[Test, ...], list[Identity]],
    "cdrs.fingerprints": tuple[int],
}
_RESULTS: dict[str, Any] = {"cdrs.query": list[StoredCdr], "cdrs.count": tuple[int], "cdrs.fingerprints": tuple[bytes]}

NAMES = frozenset(_ARGUMENTS)
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Put | Ask | Done | Told).decode


def encode(message: Put | Ask | Done | Told) -> bytes:
    return _encode(message)


def decode(frame: bytes) -> Put | Ask | Done | Told:
    message: Put | Ask | Done | Told = _decode(frame)
    return message


def pack_arguments(args: tuple[Any, ...]) -> bytes:
    return pack(list(args))


def unpack_arguments(name: str, packed: bytes) -> tuple[Any, ...]:
    found: tuple[Any, ...] = unpack(_ARGUMENTS[name], packed)
    return found


def pack_result(name: str, result: Any) -> bytes:
    return pack(result if name == "cdrs.query" else (result,))


def unpack_result(name: str, packed: bytes) -> Any:
    found = unpack(_RESULTS[name], packed)
    return found if name == "cdrs.query" else found[0]
