"""Integers in texts: their digits are ASCII, and a text may have any length."""

from __future__ import annotations

_MANY = 20  # digits beyond every bound of the API


def read_int(text: str) -> int:
    """The number of a text of ASCII digits with or without sign. More digits than any bound has make ±10^20 or more
    (`int` refuses some thousand digits, and takes long for fewer)."""
    digits = text.lstrip("+-0")
    size = int(digits or "0") if len(digits) <= _MANY else 10**_MANY
    return -size if text[:1] == "-" else size
