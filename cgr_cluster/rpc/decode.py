"""Decoding of parameters: raw JSON into the `Params` object of the method's handler (spec chapter 01 §4, design 11).

The fast path is one typed decode that is strict: exact names, no unknown members, no nulls. Whatever it refuses goes
to the slow decoder, which follows the chapter and makes its error texts, and gives the same object.
"""

from __future__ import annotations

import functools
import operator
import re
import types
import typing
from collections.abc import Callable
from typing import Any

import msgspec

from cgr_cluster.events.instant import Instant
from cgr_cluster.events.nesting import is_too_deep
from cgr_cluster.events.times import parse_rfc3339
from cgr_cluster.rpc.errors import ApiError
from cgr_cluster.rpc.registry import Method
from cgr_cluster.rpc.schema import schema
from cgr_cluster.rpc.slow_decode import read_parameter

_MIN_INT, _MAX_INT = -(1 << 63), (1 << 63) - 1
_MANY_DIGITS = re.compile(rb"[0-9]{19}")
_REFUSED = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_EMPTY = (b"", b"null", b"{}")

Decode = Callable[[bytes], Any]


class _RefusedError(Exception):
    """The fast path leaves this document to the slow decoder."""


@functools.cache
def _union(annotation: Any) -> tuple[Any, ...]:
    origin = typing.get_origin(annotation)
    return typing.get_args(annotation) if origin in (typing.Union, types.UnionType) else (annotation,)


def _is_object(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, msgspec.Struct) and annotation is not Instant


@functools.cache
def _fields(struct: Any) -> dict[str, Any]:
    return {field.name: field.type for field in msgspec.structs.fields(struct)}


def build(annotation: Any, value: Any) -> Any:
    """`value`, as the slow decoder gives it, as an object of `annotation`: members that a Struct leaves out are
    dropped, null becomes None where the annotation allows it and the empty value where not."""
    if annotation is Any or (value is not None and (annotation is str or annotation is bool)):
        return value
    members = _union(annotation)
    if value is None:
        if type(None) in members:
            return None
        return Instant.of(0) if members[0] is Instant else (typing.get_origin(members[0]) or members[0])()
    for member in members:
        origin = typing.get_origin(member)
        if _is_object(member) and isinstance(value, dict):
            fields = _fields(member)
            return member(**{name: build(fields[name], item) for name, item in value.items() if name in fields})
        if origin in (list, tuple) and isinstance(value, list):
            inner = typing.get_args(member)[0]
            built = [build(inner, item) for item in value]
            return built if origin is list else tuple(built)
        if origin is dict and isinstance(value, dict):
            inner = typing.get_args(member)[1]
            if inner is Any:
                return value
            return {name: build(inner, item) for name, item in value.items()}
    return value


def _holds(annotation: Any, wanted: Callable[[Any], bool], seen: frozenset[Any] = frozenset()) -> bool:
    """Whether `annotation` has, at any depth, a type for which `wanted` is true."""
    for member in _union(annotation):
        if wanted(member):
            return True
        if _is_object(member):
            if member not in seen and any(_holds(t, wanted, seen | {member}) for t in _fields(member).values()):
                return True
        elif any(_holds(inner, wanted, seen) for inner in typing.get_args(member)):
            return True
    return False


def _is_lenient(annotation: Any) -> bool:
    return _is_object(annotation) and not annotation.__struct_config__.forbid_unknown_fields


def _compile_fast(params: Any) -> Decode | None:
    """The strict typed decode, or None for types that it can not serve (times below the top level)."""
    if not _is_object(params):
        return msgspec.json.Decoder(params).decode
    if _holds(params, _is_lenient):
        return None
    fields = _fields(params)
    times = [name for name, kind in fields.items() if Instant in _union(kind)]
    if any(_holds(kind, lambda t: t is Instant) for name, kind in fields.items() if name not in times):
        return None
    decode = _with_times(params, fields, times) if times else msgspec.json.Decoder(params).decode
    ints = [name for name, kind in fields.items() if int in _union(kind)]
    deep_ints = any(_holds(kind, lambda t: t is int) for name, kind in fields.items() if name not in ints)
    return _bounded(decode, ints, deep_ints) if ints or deep_ints else decode


def _default(params: Any, name: str) -> Any:
    return getattr(params(), name)


def _field_of(params: Any, name: str) -> Any:
    """A default as `params` has it: what cannot be changed is shared, a list or map is new in every object."""
    value = _default(params, name)
    if isinstance(value, list | dict) and not value:
        return msgspec.field(default_factory=type(value))
    if isinstance(value, msgspec.Struct | list | dict) and not isinstance(value, Instant):
        return msgspec.field(default_factory=functools.partial(_default, params, name))
    return value


def _with_times(params: Any, fields: dict[str, Any], times: list[str]) -> Decode:
    """A decode through a twin type that has texts where `params` has times (an Instant's own JSON form is a list)."""
    defaults = params()
    twin_fields: list[tuple[str, Any, Any]] = [
        (name, str | None, None) if name in times else (name, kind, _field_of(params, name))
        for name, kind in fields.items()
    ]
    twin = msgspec.defstruct(params.__name__, twin_fields, forbid_unknown_fields=True, gc=False)
    decode_twin = msgspec.json.Decoder(twin).decode
    values_of = operator.attrgetter(*fields, "__class__")  # the class makes it a tuple for a single field, too
    decode_itself = msgspec.json.Decoder(params).decode
    quoted = [f'"{name}"'.encode() for name in times]
    places = [(index, getattr(defaults, name)) for index, name in enumerate(fields) if name in times]

    def decode(raw: bytes) -> Any:
        if b"\\" not in raw:  # with escapes a name may be spelt otherwise
            for name in quoted:
                if name in raw:
                    break
            else:
                return decode_itself(raw)
        *values, _ = values_of(decode_twin(raw))
        for index, default in places:
            text = values[index]
            try:
                values[index] = default if text is None else parse_rfc3339(text)
            except ApiError:  # the slow decoder names the first wrong member in the order sent
                raise _RefusedError from None
        return params(*values)

    return decode


def _bounded(decode: Decode, ints: list[str], deep_ints: bool) -> Decode:
    """Leave integers beyond 64 bits to the slow decoder, which refuses them."""

    def decode_bounded(raw: bytes) -> Any:
        if deep_ints and _MANY_DIGITS.search(raw):
            raise _RefusedError
        params = decode(raw)
        for name in ints:
            value = getattr(params, name)
            if value is not None and not _MIN_INT <= value <= _MAX_INT:
                raise _RefusedError
        return params

    return decode_bounded


def _empty_value(params: Any) -> Callable[[], Any]:
    if _is_object(params):
        return typing.cast("Callable[[], Any]", params)
    return str if params is str else dict


def go_type_of(method: Method) -> str | None:
    """The name of a method's parameter type in params.txt."""
    return getattr(method.params, "go_type", "") or schema().type_of(method.name)


def _compile(method: Method) -> Decode:
    params = dict[str, Any] if method.params is Any else method.params
    fast = _compile_fast(params)
    empty = _empty_value(params)
    go_type = go_type_of(method)

    def decode(raw: bytes) -> Any:
        if is_too_deep(raw):
            raise ApiError("json: exceeded max depth")
        if raw in _EMPTY and not (raw == b"{}" and params is str):
            return empty()
        if fast is not None:
            try:
                return fast(raw)
            except _RefusedError:
                pass
            except _REFUSED as error:
                if go_type is None:  # a method of ours, which no client knows by other spellings
                    raise ApiError(str(error)) from None
        if go_type is None:
            raise ApiError(f"parameter of {method.name} can not be read")
        value = read_parameter(go_type, raw)
        return empty() if value is None else build(params, value)

    return decode


_decoders: dict[tuple[str, Any], Decode] = {}


def decode_params(method: Method, raw: bytes) -> Any:
    """The parameter of a call as the object that the method's handler takes: its `Params` type, a text, or a dict.

    `raw` is the first element of `params`; empty or `null`: all fields are empty. Raises ApiError with the exact text,
    such as `json: cannot unmarshal number into Go struct field TenantID.ID of type string`.
    """
    key = (method.name, method.params)
    try:
        decode = _decoders[key]
    except KeyError:
        decode = _decoders[key] = _compile(method)
    return decode(raw)
