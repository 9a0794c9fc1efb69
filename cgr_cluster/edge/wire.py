"""What workers and the edge process say to each other: MessagePack frames over one ordered link per worker.

A worker sends `Ask` (an `outside` that the edge does) and, while something is unanswered, `Hello`; the edge answers `Told`
and `Here`. The edge names its incarnation in all it says: when it is another one, the worker asks everything unanswered
again. `worker`, `incarnation` and `id` tell a question that comes twice.
"""

from __future__ import annotations

from typing import Any

import msgspec

from cgr_cluster.engine.codec import pack, unpack
from cgr_cluster.exporters.failed import FailedPost
from cgr_cluster.exporters.types import Export, Outcome, Settle
from cgr_cluster.readers.types import Chunk, Cursor, FileFound, FileOptions


class Ask(msgspec.Struct, array_like=True, tag=1, gc=False):
    worker: int
    incarnation: int
    id: int
    name: str
    args: bytes


class Hello(msgspec.Struct, array_like=True, tag=2, gc=False):
    worker: int


class Told(msgspec.Struct, array_like=True, tag=3, gc=False):
    edge: int
    id: int
    result: bytes
    error: str | None = None


class Here(msgspec.Struct, array_like=True, tag=4, gc=False):
    edge: int


# name of the `outside` → types of its arguments, type of its result
_TYPES: dict[str, tuple[Any, Any]] = {
    "ees.export": (tuple[list[Export]], list[Outcome]),
    "ees.settle": (tuple[Settle], Outcome),
    "ees.forget": (tuple[list[str]], None),
    "ees.reset": (tuple[str], None),
    "ees.post_files": (tuple[str, list[str]], list[str]),
    "ees.read_posts": (tuple[str, str], list[FailedPost]),
    "ees.post": (tuple[FailedPost], None),
    "ees.replace_posts": (tuple[str, str, str, list[FailedPost]], None),
    "ers.files": (tuple[str, str], list[FileFound]),
    "ers.rows": (tuple[str, FileOptions, Cursor, int], Chunk),
    "ers.move": (tuple[str, str, str], None),
    "ers.dump": (tuple[str, str, str], None),
}
NAMES = frozenset(_TYPES)

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Ask | Hello | Told | Here).decode


def encode(message: Ask | Hello | Told | Here) -> bytes:
    return _encode(message)


def decode(frame: bytes) -> Ask | Hello | Told | Here:
    message: Ask | Hello | Told | Here = _decode(frame)
    return message


def pack_arguments(args: tuple[Any, ...]) -> bytes:
    return pack(list(args))


def unpack_arguments(name: str, packed: bytes) -> tuple[Any, ...]:
    found: tuple[Any, ...] = unpack(_TYPES[name][0], packed)
    return found


def pack_result(result: Any) -> bytes:
    return pack([result])


def unpack_result(name: str, packed: bytes) -> Any:
    return unpack(tuple.__class_getitem__((_TYPES[name][1],)), packed)[0]
