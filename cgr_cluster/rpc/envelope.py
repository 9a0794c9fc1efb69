"""The JSON-RPC document (spec chapter 01 §2): method, id and the parameter as raw bytes.

Nothing is re-encoded: the id goes back with the bytes that came, the parameter goes to the worker as it is.
"""

from __future__ import annotations

import json
from typing import Any

import msgspec

from cgr_cluster.rpc.encode import NO_ID

MISSING_PARAMS = "jsonrpc: request body missing params"
NO_PARAMETER = b"null"


class MalformedError(Exception):
    """A document that is no request. Its connection is closed without an answer."""


class Envelope(msgspec.Struct, gc=False):
    """One request. `param` is the first element of params (`null` for none); `param_error` the error of params that
    are no list, which is the answer unless the method can not be found."""

    method: str
    id: bytes
    param: bytes
    param_error: str = ""
    has_id: bool = True


_KINDS = {b'"': "string", b"{": "object", b"t": "bool", b"f": "bool"}  # of params that are no list, by their first byte


class _Document(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    """The form that nearly all clients send."""

    method: str
    params: list[msgspec.Raw]
    id: msgspec.Raw
    jsonrpc: msgspec.Raw = msgspec.Raw(b"null")


_decode_document = msgspec.json.Decoder(_Document).decode
_decode_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_list = msgspec.json.Decoder(list[msgspec.Raw]).decode
_REFUSED = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def decode_usual(document: bytes) -> Envelope | None:
    """The request in a document of the usual form, None for any other (also for what is no document at all)."""
    try:
        found = _decode_document(document)
    except _REFUSED:
        return None
    params = found.params
    return Envelope(found.method, _id(bytes(found.id)), bytes(params[0]) if params else NO_PARAMETER)


def decode_envelope(document: bytes) -> Envelope:
    """The request in one JSON document. Raises MalformedError when it is none."""
    return decode_usual(document) or _decode_any_form(document)


def _id(raw: bytes) -> bytes:
    """The id as it goes back: an answer is one line, so line breaks inside an object or list are left out."""
    if raw[0] in b"{[" and (b"\n" in raw or b"\r" in raw):
        return raw.replace(b"\n", b"").replace(b"\r", b"")
    return raw


def members_of(document: bytes) -> dict[str, bytes]:
    """The members of a document by lower-case name, raw; none for `null`. Raises MalformedError when it is no object."""
    try:
        text = document.decode("utf-8")
    except UnicodeDecodeError:
        document = document.decode("utf-8", "replace").encode()
        text = ""
    try:
        if text.strip(" \t\r\n") == "null":
            return {}
        found = _decode_members(document)
    except _REFUSED:
        raise MalformedError("the document is no JSON object") from None
    return {name.lower(): bytes(raw) for name, raw in found.items()}


def _decode_any_form(document: bytes) -> Envelope:
    members = members_of(document)
    try:
        method: Any = json.loads(members.get("method", b"null"))
    except (ValueError, RecursionError):
        method = 0
    if method is not None and not isinstance(method, str):
        raise MalformedError("the method is no text")
    param, error = _first_of(members.get("params", b"null"))
    id_raw = members.get("id")
    name = (method or "").encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return Envelope(name, NO_ID if id_raw is None else _id(id_raw), param, error, id_raw is not None)


def _first_of(params: bytes) -> tuple[bytes, str]:
    """The parameter, or the error of params that are no list."""
    if params == b"null":
        return NO_PARAMETER, MISSING_PARAMS
    if not params.startswith(b"["):
        kind = _KINDS.get(params[:1], "number")
        return NO_PARAMETER, f"json: cannot unmarshal {kind} into Go value of type [1]interface {{}}"
    found = _decode_list(params)
    return (bytes(found[0]) if found else NO_PARAMETER), ""
