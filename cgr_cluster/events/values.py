"""Reading rules of free values: what Event, ExtraFields and APIOpts hold is any JSON, read as the use needs it (spec 30.2).

JSON arrives as `None`, `bool`, `int`, `float`, `str`, `list`, `dict`; an `Instant` is a time that a typed field held.
"""

from __future__ import annotations

import math
import re
from decimal import Decimal
from typing import Any

import msgspec

from cgr_cluster.events.durations import Duration, format_duration, parse_duration
from cgr_cluster.events.instant import Instant
from cgr_cluster.events.integers import read_int
from cgr_cluster.events.times import format_instant, parse_time
from cgr_cluster.rpc.errors import ApiError

_DECIMAL = re.compile(r"[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")
_SPECIAL = re.compile(r"[-+]?(?:inf|infinity|nan)", re.IGNORECASE)
_INTEGER = re.compile(r"[-+]?[0-9]+")
_TRUE = frozenset(("1", "t", "T", "TRUE", "true", "True"))
_FALSE = frozenset(("0", "f", "F", "FALSE", "false", "False"))
_ESCAPES = {"\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v"}
_encode = msgspec.json.Encoder().encode


def quote_text(text: str) -> str:
    """`text` in double quotes as strconv's errors print it."""
    if text.isprintable() and '"' not in text and "\\" not in text:
        return f'"{text}"'
    out = []
    for char in text:
        if char in '"\\':
            out.append("\\" + char)
        elif char.isprintable():
            out.append(char)
        elif char in _ESCAPES:
            out.append(_ESCAPES[char])
        elif char < " " or char == "\x7f":
            out.append(f"\\x{ord(char):02x}")
        else:
            out.append(f"\\u{ord(char):04x}" if ord(char) < 0x10000 else f"\\U{ord(char):08x}")
    return f'"{"".join(out)}"'


def _syntax(function: str, text: str) -> ApiError:
    return ApiError(f"strconv.{function}: parsing {quote_text(text)}: invalid syntax")


def _range(function: str, text: str) -> ApiError:
    return ApiError(f"strconv.{function}: parsing {quote_text(text)}: value out of range")


def parse_bool(text: str) -> bool:
    """`1 t T TRUE true True` and their opposites. Raises ApiError `strconv.ParseBool: parsing "x": invalid syntax`."""
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise _syntax("ParseBool", text)


def parse_float(text: str) -> float:
    """Raises ApiError `strconv.ParseFloat: parsing "x": invalid syntax` (or `value out of range`)."""
    if _DECIMAL.fullmatch(text):
        value = float(text)
        if math.isinf(value):
            raise _range("ParseFloat", text)
        return value
    if _SPECIAL.fullmatch(text):
        return float(text)
    raise _syntax("ParseFloat", text)


def parse_int(text: str, function: str = "ParseInt") -> int:
    """A decimal 64-bit integer. Raises ApiError `strconv.ParseInt: parsing "x": invalid syntax` (or `value out of
    range`); `function` is `Atoi` where the chapter says so."""
    if not _INTEGER.fullmatch(text):
        raise _syntax(function, text)
    value = read_int(text)
    if not -(1 << 63) <= value < (1 << 63):
        raise _range(function, text)
    return value


def number_text(value: int | float) -> str:
    """A number without exponent, in its shortest exact form: 5.0 → `5`, 1e-7 → `0.0000001`."""
    if isinstance(value, int):
        return str(value)
    if value != value:
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    if value.is_integer():
        return format(Decimal(repr(value)), "f").removesuffix(".0") if abs(value) >= 1e16 else str(int(value))
    text = repr(value)
    return format(Decimal(text), "f") if "e" in text else text


def text_of(value: Any) -> str:
    """Any value as text: numbers without exponent, `true`/`false`, null as "", durations `1m30s` (-1 ns is `-1`), times in
    whole seconds, lists and maps as compact JSON (41 §1)."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if value is True:
        return "true"
    if value is False:
        return "false"
    if isinstance(value, Duration):
        return format_duration(value) if value != -1 else "-1"
    if isinstance(value, int | float):
        return number_text(value)
    if isinstance(value, Instant):
        return format_instant(Instant(value.seconds, 0, value.offset_s))
    return json_text(value)


def go_text(value: Any) -> str:
    """A value as conversion errors print it: `true`, `[1 2]`, `map[a:1]`, `<nil>`."""
    if value is None:
        return "<nil>"
    if isinstance(value, dict):
        return f"map[{' '.join(f'{key}:{go_text(value[key])}' for key in sorted(value))}]"
    if isinstance(value, list | tuple):
        return f"[{' '.join(go_text(item) for item in value)}]"
    if isinstance(value, float) and not value.is_integer():
        return repr(value)
    return text_of(value)


def cannot_convert(value: Any, kind: str) -> ApiError:
    """`cannot convert field: true to time.Duration`."""
    return ApiError(f"cannot convert field: {go_text(value)} to {kind}")


def duration_of(value: Any) -> int:
    """Nanoseconds: a number (fraction cut), or a duration text. Raises ApiError for the rest, also beyond 64 bits."""
    if isinstance(value, str):
        return parse_duration(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        whole = int(value)
        if -(1 << 63) <= whole < (1 << 63):
            return whole
    raise cannot_convert(value, "time.Duration")


def time_of(value: Any, now_ns: int, zone: str = "UTC") -> Instant:
    """A time text in any form (times.parse_time). Raises ApiError; the callers of 30.2 take that as the zero time."""
    if isinstance(value, str):
        return parse_time(value, now_ns, zone)
    if isinstance(value, Instant):
        return value
    raise cannot_convert(value, "time.Time")


def bool_of(value: Any) -> bool:
    """A bool, its text, or a number (true when above 0)."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        return parse_bool(value)
    if isinstance(value, int | float):
        return value > 0
    raise cannot_convert(value, "bool")


def float_of(value: Any) -> float:
    """A number or numeric text; finite, since it is stored and computed with."""
    if isinstance(value, str):
        number = parse_float(value)
        if not math.isfinite(number):
            raise _syntax("ParseFloat", value)
        return number
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    raise cannot_convert(value, "float64")


def texts_of(value: Any) -> list[str]:
    """A list, each element as text; null is an empty one. Raises ApiError `cannot convert field: string to []string`."""
    if isinstance(value, list | tuple):
        return [text_of(item) for item in value]
    if value is None:
        return []
    raise ApiError(f"cannot convert field: {_go_type(value)} to []string")


def _go_type(value: Any) -> str:
    if isinstance(value, str):
        return "string"
    if isinstance(value, bool):
        return "bool"
    return "map[string]interface {}" if isinstance(value, dict) else "float64"


def int_of(value: Any) -> int:
    """A whole number (a fraction is cut) or the text of one."""
    if isinstance(value, str):
        return parse_int(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return int(value)
    raise cannot_convert(value, "int64")


def _json_number(value: int | float) -> str:
    """A double as JSON: whole ones without fraction, an exponent below 1e-6 and from 1e21 on."""
    size = abs(value)
    if size != 0 and (size < 1e-6 or size >= 1e21):
        mantissa, _, exponent = repr(value).partition("e")
        if not exponent:
            return mantissa
        return f"{mantissa.removesuffix('.0')}e{'-' if int(exponent) < 0 else '+'}{abs(int(exponent))}"
    return number_text(value)


def _json_string(text: str) -> str:
    out = _encode(text).decode()
    if "<" in out or ">" in out or "&" in out or "\u2028" in out or "\u2029" in out:
        for char in "<>&\u2028\u2029":
            out = out.replace(char, f"\\u{ord(char):04x}")
    return out


def json_text(value: Any) -> str:
    """Compact JSON with keys in order, as the API writes maps and lists into text fields."""
    if isinstance(value, str):
        return _json_string(value)
    if value is None:
        return "null"
    if value is True:
        return "true"
    if value is False:
        return "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return _json_number(value)
    if isinstance(value, dict):
        return "{" + ",".join(f"{_json_string(str(key))}:{json_text(value[key])}" for key in sorted(value)) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(json_text(item) for item in value) + "]"
    if isinstance(value, Instant):
        return _json_string(format_instant(value))
    return json_text(msgspec.to_builtins(value, enc_hook=_builtin))


def _builtin(value: Any) -> Any:
    if isinstance(value, Instant):
        return format_instant(value)
    raise NotImplementedError(f"{type(value).__name__} has no JSON form")
