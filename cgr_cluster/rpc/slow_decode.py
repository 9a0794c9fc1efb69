"""The one slow decoder of parameters: everything that chapter 01 §4 allows, and its error texts.

It reads a document by the API's own types (schema.py): names without regard to case, the last spelling wins, null is
absent, unknown members are dropped, embedded types are flat. The first wrong member in the order sent is the error:
`json: cannot unmarshal KIND into Go struct field STRUCT.PATH of type T`.

Theory: the document is parsed with objects as lists of pairs and numbers as their literals, so that order and spelling
survive. `_Reader` walks it along a shape and keeps the path from the root for error texts.
"""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any, NoReturn

from cgr_cluster.events.times import parse_rfc3339
from cgr_cluster.rpc.errors import ApiError
from cgr_cluster.rpc.schema import Member, Schema, Shape, bare, schema


class _Object(list[tuple[str, Any]]):
    """A JSON object as pairs in the order sent."""


class _Number(str):
    """A JSON number as it was written."""

    __slots__ = ()


def _not_json(literal: str) -> NoReturn:
    raise ValueError(f"{literal} is not JSON")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_Object, parse_float=_Number, parse_int=_Number, parse_constant=_not_json
)  # fmt: skip


def parse_document(raw: bytes) -> Any:
    """JSON with objects as `_Object`, numbers as `_Number`. Bytes that are no UTF-8 become U+FFFD, as do halves of
    surrogate pairs. Raises ApiError for what is no JSON (a stream has refused that before)."""
    try:
        return _DECODER.decode(raw.decode("utf-8", "replace"))
    except (ValueError, RecursionError) as error:
        raise ApiError(f"invalid JSON: {error}") from None


def _text(value: str) -> str:
    return value if value.isascii() else value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def kind_of(value: Any) -> str:
    """What errors call a JSON value."""
    if isinstance(value, _Number):
        return "number"
    if isinstance(value, str):
        return "string"
    if isinstance(value, bool):
        return "bool"
    return "object" if isinstance(value, _Object) else "array"


class _Reader:
    """Walks one document. `struct` is the bare name of the innermost object's type, `path` the members from the root."""

    __slots__ = ("path", "schema", "struct")

    def __init__(self, types: Schema) -> None:
        self.schema = types
        self.struct = ""
        self.path: list[str] = []

    def wrong(self, kind: str, go_type: str) -> ApiError:
        if not self.path:
            return ApiError(f"json: cannot unmarshal {kind} into Go value of type {go_type}")
        place = f"{self.struct}.{'.'.join(self.path)}"
        return ApiError(f"json: cannot unmarshal {kind} into Go struct field {place} of type {go_type}")

    def read(self, value: Any, go_type: str) -> Any:
        """The value of a member or element; None for null."""
        if value is None:
            return None
        shape = self.schema.shape(go_type)
        kind = shape.kind
        if kind == "any":
            return self.free(value)
        if kind == "time":
            if not isinstance(value, str) or isinstance(value, _Number):
                raise ApiError("Time.UnmarshalJSON: input is not a JSON string")
            return parse_rfc3339(_text(value))
        if kind == "object" and isinstance(value, _Object):
            return self.object(value, shape)
        if kind == "list" and isinstance(value, list) and not isinstance(value, _Object):
            return [self.read(item, shape.element) for item in value]
        if kind == "map" and isinstance(value, _Object):
            return {_text(name): self.read(item, shape.element) for name, item in value}
        if kind == "int" and isinstance(value, _Number):
            return self.integer(value, shape)
        if kind == "float" and isinstance(value, _Number):
            return self.double(value, shape.go_type)
        if kind == "bool" and isinstance(value, bool):
            return value
        if isinstance(value, str) and not isinstance(value, _Number):
            if kind == "text":
                return _text(value)
            if kind == "bytes":
                return self.octets(value)
        raise self.wrong(kind_of(value), shape.go_type)

    def object(self, value: _Object, shape: Shape) -> dict[str, Any]:
        outer = self.struct
        self.struct = bare(shape.go_type)
        out: dict[str, Any] = {}
        for name, item in value:
            member = self.member(shape, name)
            if member is None:
                continue
            self.path.append(member.path)
            read = self.read(item, member.go_type)
            self.path.pop()
            if item is not None:
                out[member.name] = read
        self.struct = outer
        return out

    def member(self, shape: Shape, name: str) -> Member | None:
        return shape.members.get(name.lower())

    def integer(self, value: _Number, shape: Shape) -> int:
        digits = value[1:] if value.startswith("-") else value
        if digits.isdigit() and len(digits) <= 19:
            number = int(value)
            if -(1 << 63) <= number < (1 << 63):
                return number
        raise self.wrong(f"number {value}", shape.go_type)

    def double(self, value: _Number, go_type: str) -> float:
        number = float(value)
        if number - number != 0.0:  # infinite
            raise self.wrong(f"number {value}", go_type)
        return number

    def octets(self, value: str) -> bytes:
        try:
            return base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError):  # the latter: it is not even ASCII
            valid = len(value) - len(value.lstrip("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"))
            raise ApiError(f"illegal base64 data at input byte {valid}") from None

    def free(self, value: Any) -> Any:
        """A value of any type: whole literals stay exact integers."""
        if isinstance(value, _Number):
            number = self.double(value, "float64")
            if value.lstrip("-").isdigit():
                return int(value)
            return number
        if isinstance(value, str):
            return _text(value)
        if isinstance(value, _Object):
            return {_text(name): self.free(item) for name, item in value}
        if isinstance(value, list):
            return [self.free(item) for item in value]
        return value


def read_parameter(go_type: str, raw: bytes) -> Any:
    """The parameter `raw` (the first element of `params`) read as `go_type`: objects are dicts with the names of
    params.txt, absent members are left out, times are Instants. null: None. Raises ApiError with the API's text."""
    try:
        return _Reader(schema()).read(parse_document(raw), go_type)
    except RecursionError:
        raise ApiError("json: exceeded max depth") from None
