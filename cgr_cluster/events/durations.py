"""Durations as texts (spec chapter 10 §1.1, 01 §5): parsing with the API's error texts, and printing. Nanoseconds everywhere."""

from __future__ import annotations

import re
from functools import lru_cache

from cgr_cluster.events.integers import read_int
from cgr_cluster.rpc.errors import ApiError

NS_PER_UNIT = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,  # U+00B5, micro sign
    "μs": 1_000,  # U+03BC, the Greek letter, is accepted too
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
}
MAX_NS = (1 << 63) - 1
UNLIMITED = "*unlimited"
UNLIMITED_NS = -1


class Duration(int):
    """Nanoseconds that read as a duration where a value becomes text (41 §1); a plain number everywhere else."""

    __slots__ = ()


_PAIR = re.compile(r"([0-9]*)(?:(\.)([0-9]*))?([^0-9.]*)")
_PLAIN_NUMBER = re.compile(r"[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)")
_OTHER_NUMBER = re.compile(rf"{_PLAIN_NUMBER.pattern}[eE][-+]?[0-9]+|[-+]?(?:inf|infinity|nan)", re.IGNORECASE)


def quote(text: str) -> str:
    """`text` in double quotes as time errors print it: bytes outside printable ASCII as `\\xNN`."""
    if text.isascii() and text.isprintable() and '"' not in text and "\\" not in text:
        return f'"{text}"'
    out = []
    for char in text:
        if char in '"\\':
            out.append("\\" + char)
        elif char < " " or char > "\x7f":
            out.append("".join(f"\\x{byte:02x}" for byte in char.encode("utf-8", "surrogatepass")))
        else:
            out.append(char)
    return f'"{"".join(out)}"'


def _invalid(text: str) -> ApiError:
    return ApiError(f"time: invalid duration {quote(text)}")


def parse_go_duration(text: str) -> int:
    """The strict form: a sign and pairs of number and unit (`-1m30.5s`), or `0`. Answers nanoseconds.

    Raises ApiError: `time: invalid duration "x"`, `time: missing unit in duration "90"`,
    `time: unknown unit "d" in duration "1d"`.
    """
    rest = text
    negative = False
    if rest[:1] in ("-", "+"):
        negative = rest[0] == "-"
        rest = rest[1:]
    if rest == "0":
        return 0
    if not rest:
        raise _invalid(text)
    total = 0
    position = 0
    while position < len(rest):
        pair = _PAIR.match(rest, position)
        assert pair is not None  # every part of the pattern is optional
        whole, _dot, fraction, unit = pair.groups()
        if not whole and not fraction:
            raise _invalid(text)
        if not unit:
            raise ApiError(f"time: missing unit in duration {quote(text)}")
        unit_ns = NS_PER_UNIT.get(unit)
        if unit_ns is None:
            raise ApiError(f"time: unknown unit {quote(unit)} in duration {quote(text)}")
        total += read_int(whole) * unit_ns
        if fraction:
            total += int(fraction[:18]) * unit_ns // 10 ** len(fraction[:18])
        if total > MAX_NS + negative:
            raise _invalid(text)
        position = pair.end()
    return -total if negative else total


@lru_cache(maxsize=4096)
def parse_duration(text: str) -> int:
    """A usage or duration text of the API, in nanoseconds: a strict duration, a bare number (nanoseconds, fraction
    cut), "" (0) or `*unlimited` (-1). Raises ApiError as `parse_go_duration` does."""
    if not text:
        return 0
    if text == UNLIMITED:
        return UNLIMITED_NS
    if _PLAIN_NUMBER.fullmatch(text):
        whole = text.partition(".")[0]
        value = read_int(whole)
        if not -MAX_NS - 1 <= value <= MAX_NS:
            raise _invalid(text + "ns")
        return value
    if _OTHER_NUMBER.fullmatch(text):  # what reads as a number gets its unit, and then is no duration
        return parse_go_duration(text + "ns")
    return parse_go_duration(text)


def _fraction(value: int, scale: int) -> str:
    """`value / scale` without trailing zeros; `scale` is a power of ten."""
    whole, part = divmod(value, scale)
    if not part:
        return str(whole)
    return f"{whole}.{part:0{len(str(scale)) - 1}d}".rstrip("0")


def format_duration(ns: int) -> str:
    """`90_000_000_000` → `1m30s`, `1_500_000` → `1.5ms`, 0 → `0s`: units from hours down, from the first that is not zero."""
    if ns == 0:
        return "0s"
    sign = "-" if ns < 0 else ""
    size = abs(ns)
    if size < 1_000:
        return f"{sign}{size}ns"
    if size < 1_000_000:
        return f"{sign}{_fraction(size, 1_000)}µs"
    if size < 1_000_000_000:
        return f"{sign}{_fraction(size, 1_000_000)}ms"
    minutes, seconds_ns = divmod(size, 60_000_000_000)
    text = f"{_fraction(seconds_ns, 1_000_000_000)}s"
    if minutes:
        hours, minutes = divmod(minutes, 60)
        text = f"{hours}h{minutes}m{text}" if hours else f"{minutes}m{text}"
    return sign + text
