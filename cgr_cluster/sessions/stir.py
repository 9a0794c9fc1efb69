"""STIR/SHAKEN identities of calls (spec 30.15). Pure; keys come as PEM bytes."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any

import msgspec

from cgr_cluster.events.json_syntax import json_error
from cgr_cluster.events.nesting import read_json
from cgr_cluster.events.values import duration_of
from cgr_cluster.rpc.errors import ApiError
from cgr_cluster.sessions import p256

ALGORITHM, PASSPORT, EXTENSION = "ES256", "passport", "shaken"
ANY_ATTEST = "*any"
NS = 1_000_000_000


def stir_error(text: str) -> ApiError:
    return ApiError(f"*stir_authenticate: {text}")


class Identity(msgspec.Struct, frozen=True):
    """A parsed identity. `signed`: what the signature is of."""

    header: dict[str, Any]
    payload: dict[str, Any]
    signed: bytes
    signature: str
    info: dict[str, str]


class Expected(msgspec.Struct, frozen=True):
    """What a call must say of itself. A URI that is not empty is checked instead of the number; `attest` empty or `*any`
    takes all levels; `max_age_ns` -1: never expired."""

    attest: tuple[str, ...]
    originator_tn: str
    originator_uri: str
    destination_tn: str
    destination_uri: str
    max_age_ns: int


def parse(identity: str) -> Identity:
    """Raises `*stir_authenticate: ...`."""
    token, *rest = "".join(identity.split()).split(";")
    if not rest:
        raise stir_error("missing parts of the message header")
    parts = token.split(".")
    if len(parts) != 3:
        raise stir_error("wrong header format")
    info = dict(part.split("=", 1) for part in rest if "=" in part)
    signed = f"{parts[0]}.{parts[1]}".encode()
    return Identity(_decoded(parts[0]), _decoded(parts[1]), signed, parts[2], info)


def _bytes(text: str) -> bytes:
    if not all(char.isascii() and (char.isalnum() or char in "-_") for char in text):
        at = next(i for i, char in enumerate(text) if not (char.isascii() and (char.isalnum() or char in "-_")))
        raise stir_error(f"illegal base64 data at input byte {at}")
    try:
        return urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError:
        raise stir_error(f"illegal base64 data at input byte {len(text) // 4 * 4}") from None


def _decoded(text: str) -> dict[str, Any]:
    json = _bytes(text).decode(errors="replace")
    try:
        found = read_json(json)
    except ValueError as error:
        raise stir_error(json_error(json) or str(error)) from None
    if not isinstance(found, dict):
        raise stir_error("wrong header format")
    return found


def check_header(identity: Identity) -> str:
    """The address of the public key (x5u)."""
    header = identity.header
    x5u = str(header.get("x5u", ""))
    same = x5u == identity.info.get("info", "").removeprefix("<").removesuffix(">")
    stated = (
        identity.info.get("alg", ALGORITHM) == ALGORITHM and identity.info.get("ppt", EXTENSION).strip('"') == EXTENSION
    )
    if (header.get("alg"), header.get("ppt"), header.get("typ")) != (ALGORITHM, EXTENSION, PASSPORT) or not (
        same and stated
    ):
        raise stir_error("wrong header")
    return x5u


def check_signature(identity: Identity, pem: bytes) -> None:
    key = p256.public_key(pem)
    if key is None:
        raise stir_error("invalid key: Key must be a PEM encoded PKCS1 or PKCS8 key")
    if not p256.verifies(key, identity.signed, _bytes(identity.signature)):
        raise stir_error("crypto/ecdsa: verification error")


def check_payload(identity: Identity, expected: Expected, now_ns: int) -> None:
    payload = identity.payload
    if expected.attest and ANY_ATTEST not in expected.attest and payload.get("attest") not in expected.attest:
        raise stir_error("wrong attest level")
    if expected.max_age_ns >= 0 and duration_of(payload.get("iat", 0)) * NS + expected.max_age_ns < now_ns:
        raise stir_error("expired payload")
    originator, destination = payload.get("orig") or {}, payload.get("dest") or {}
    if not isinstance(originator, dict) or not isinstance(destination, dict):
        raise stir_error("wrong payload")
    if expected.originator_uri:
        if originator.get("uri", "") != expected.originator_uri:
            raise stir_error("wrong originatorURI")
    elif originator.get("tn", "") != expected.originator_tn:
        raise stir_error("wrong originatorTn")
    if expected.destination_uri:
        if expected.destination_uri not in _texts(destination.get("uri")):
            raise stir_error("wrong destinationURI")
    elif expected.destination_tn not in _texts(destination.get("tn")):
        raise stir_error("wrong destinationTn")


def _texts(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def make(payload: dict[str, Any], public_key_path: str, private_pem: bytes) -> str:
    """The identity text of a payload."""
    key = p256.private_key(private_pem)
    if key is None:
        raise stir_error("invalid key: Key must be a PEM encoded PKCS1 or PKCS8 key")
    header = {"alg": ALGORITHM, "ppt": EXTENSION, "typ": PASSPORT, "x5u": public_key_path}
    signed = f"{_encoded(header)}.{_encoded(payload)}"
    signature = urlsafe_b64encode(p256.sign(key, signed.encode())).rstrip(b"=").decode()
    return f"{signed}.{signature};info=<{public_key_path}>;alg={ALGORITHM};ppt={EXTENSION}"


def _encoded(value: dict[str, Any]) -> str:
    return urlsafe_b64encode(msgspec.json.encode(value)).rstrip(b"=").decode()
