"""Stored form of objects: MessagePack by type, with a way out for integers beyond 64 bits.

MessagePack ends at 64 bits, amounts do not. A value that does not fit is kept as JSON, told apart by its first byte: JSON
begins with ASCII, which in MessagePack is a small integer, and that is one byte alone.
"""

from __future__ import annotations

from functools import cache
from typing import Any, TypeVar

import msgspec

T = TypeVar("T")

_encode = msgspec.msgpack.Encoder().encode
_encode_json = msgspec.json.Encoder().encode
_ASCII_END = 0x80


def pack(value: Any) -> bytes:
    """The stored form of a Struct, list, tuple, map or plain value."""
    try:
        return _encode(value)
    except OverflowError:
        return _encode_json(value)


@cache
def _decoders(kind: Any) -> tuple[Any, Any]:
    return msgspec.msgpack.Decoder(kind).decode, msgspec.json.Decoder(kind).decode


def unpack(kind: Any, data: bytes) -> Any:
    """The object of type `kind` in `data`. Raises `msgspec.ValidationError` or `DecodeError` on what is not one."""
    from_msgpack, from_json = _decoders(kind)
    if len(data) > 1 and data[0] < _ASCII_END:
        return from_json(data)
    return from_msgpack(data)


def opened(kind: type[T], lying: T | bytes) -> T:
    """An object as it lies in a shard: packed or not."""
    if isinstance(lying, bytes):
        found: T = unpack(kind, lying)
        return found
    return lying
