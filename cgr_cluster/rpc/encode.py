"""Answers: one line of JSON each, keys id, result, error in this order (spec chapter 01 §2).

The id goes back as the bytes that came, so its digits and form stay. Results hold what handlers build: dicts, lists,
texts, numbers, None; times as texts (`events.times.format_instant`). A Struct is written with its own field names, its
Instants as RFC 3339.
"""

from __future__ import annotations

from typing import Any

import msgspec

from cgr_cluster.events.instant import Instant
from cgr_cluster.events.times import format_instant

NO_ID = b"null"
_EXPONENT_FROM = 1e21  # numbers from here on are written with an exponent
_encode = msgspec.json.Encoder().encode


def encode_result(result: Any) -> bytes:
    """The JSON bytes of a result."""
    return _encode(_plain(result) if isinstance(result, msgspec.Struct) else result)


def encode_text(text: str) -> bytes:
    """The JSON bytes of an error text."""
    return _encode(text)


def _plain(value: Any) -> Any:
    if type(value) is float:  # the shortest form of a whole number has no fraction (01 §5)
        return int(value) if value.is_integer() and abs(value) < _EXPONENT_FROM else value
    if isinstance(value, Instant):
        return format_instant(value)
    if isinstance(value, msgspec.Struct):
        return {name: _plain(getattr(value, name)) for name in value.__struct_fields__}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return value


def frame_result(id_raw: bytes, result: bytes) -> bytes:
    """The answer with an encoded result."""
    return b'{"id":%b,"result":%b,"error":null}\n' % (id_raw, result)


def frame_error(id_raw: bytes, text: bytes) -> bytes:
    """The answer with an encoded error text."""
    return b'{"id":%b,"result":null,"error":%b}\n' % (id_raw, text)


def encode_answer(id_raw: bytes, result: Any) -> bytes:
    return frame_result(id_raw, encode_result(result))


def encode_error(id_raw: bytes, text: str) -> bytes:
    return frame_error(id_raw, _encode(text))
