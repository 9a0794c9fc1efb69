"""3GPP-User-Location-Info (TS 29.061 §16.4.7.2, coded as in TS 29.274 §8.21), for the converter `*3gpp_uli`."""

from __future__ import annotations

from typing import Any

from cgr_cluster.events.values import json_text, text_of
from cgr_cluster.rpc.errors import ApiError, not_found

# First byte → the parts that follow. Type: (names and bytes of what follows MCC and MNC); ECI has 28 bits, NCI 36.
_PARTS = {
    0: ("CGI",), 1: ("SAI",), 2: ("RAI",), 128: ("TAI",), 129: ("ECGI",), 130: ("TAI", "ECGI"),
    135: ("NCGI",), 136: ("TAI5GS",), 137: ("TAI5GS", "NCGI"),
}  # fmt: skip
_FIELDS = {
    "CGI": (("LAC", 2), ("CI", 2)),
    "SAI": (("LAC", 2), ("SAC", 2)),
    "RAI": (("LAC", 2), ("RAC", 2)),
    "TAI": (("TAC", 2),),
    "ECGI": (("ECI", 4),),
    "NCGI": (("NCI", 5),),
    "TAI5GS": (("TAC", 3),),
}
_BITS = {"ECI": 28, "NCI": 36}


def decode(text: str) -> dict[str, dict[str, Any]]:
    """The location in a hexadecimal text, with or without `0x`: part → `MCC`, `MNC` (texts) and numbers. Raises ApiError."""
    try:
        raw = bytes.fromhex(text.removeprefix("0x"))
    except ValueError:
        raise ApiError(f"invalid user location <{text}>: no hexadecimal text") from None
    parts = _PARTS.get(raw[0]) if raw else None
    if parts is None:
        raise ApiError(f"invalid user location <{text}>: unsupported type <{raw[0] if raw else ''}>")
    out: dict[str, dict[str, Any]] = {}
    at = 1
    for part in parts:
        fields = _FIELDS[part]
        if len(raw) < at + 3 + sum(size for _, size in fields):
            raise ApiError(f"invalid user location <{text}>: too short for {part}")
        out[part] = _network(raw[at : at + 3])
        at += 3
        for name, size in fields:
            number = int.from_bytes(raw[at : at + size], "big")
            out[part][name] = number & ((1 << _BITS[name]) - 1) if name in _BITS else number
            at += size
    return out


def _network(raw: bytes) -> dict[str, Any]:
    """MCC and MNC in half bytes; a two-digit MNC has 15 as its third."""
    digits = [raw[0] & 15, raw[0] >> 4, raw[1] & 15, raw[2] & 15, raw[2] >> 4, raw[1] >> 4]
    text = "".join(str(digit) for digit in digits[: 5 if digits[5] == 15 else 6])
    return {"MCC": text[:3], "MNC": text[3:]}


def value_at(location: dict[str, dict[str, Any]], path: str) -> str:
    """What is at `TAI.MCC`, as text; all of it as JSON for an empty path. Raises `NOT_FOUND`."""
    found: Any = location
    for step in path.split(".") if path else ():
        found = found.get(step) if isinstance(found, dict) else None
        if found is None:
            raise not_found()
    return json_text(found) if isinstance(found, dict) else text_of(found)
