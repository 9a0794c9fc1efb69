"""Converters: `{*duration_seconds&*round:1}` behind a rule (spec chapter 41, section 2).

Each takes the text of a rule, or the typed value that the one before it gave (number, `Duration`, `Instant`, list), and
gives a value that becomes text at the end. What they are made of is checked when the rule is compiled.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Protocol

import msgspec

from cgr_cluster.events import strip, telecom, urls
from cgr_cluster.events.durations import Duration, parse_duration, parse_go_duration
from cgr_cluster.events.instant import ZERO, Instant
from cgr_cluster.events.layout_writing import format_layout
from cgr_cluster.events.layouts import read_layout
from cgr_cluster.events.times import instant_of_fields, parse_time, zone_of
from cgr_cluster.events.values import cannot_convert, json_text, parse_float, parse_int, text_of
from cgr_cluster.rating.rounding import round_amount
from cgr_cluster.rpc.errors import ApiError

SECOND = 1_000_000_000
MINUTE = 60 * SECOND
GIGAWORD = 1 << 32
_DOUBLE_EXPONENTS = 300  # powers of ten that a double has
CLOCK = "15:04:05"
DATE_AND_CLOCK = "2006-01-02 15:04:05"


class Surroundings(Protocol):
    """What converters look at beside the value: the time, the zone of times without one, a source of chance."""

    @property
    def now_ns(self) -> int: ...
    @property
    def zone(self) -> str: ...
    def random_number(self) -> int:
        """The next number in 0..2^63, the same when the same work is done again."""
        ...


Converter = Callable[[Any, Surroundings], Any]
Builder = Callable[[str], Converter]


def compile_converters(text: str) -> tuple[Converter, ...]:
    """The converters of `*a&*b:1`. Raises ApiError `invalid converter value in string: <*a>, err: ...`."""
    return tuple(_compile(definition) for definition in text.split("&"))


def _compile(definition: str) -> Converter:
    name, colon, params = definition.partition(":")
    try:
        plain = _PLAIN.get(name)
        if plain is not None and not colon:
            return plain
        build = _WITH_PARAMS.get(name)
        if build is None:
            raise ApiError(f"unsupported converter definition: <{definition}>")
        return build(params)
    except ApiError as error:
        raise ApiError(f"invalid converter value in string: <{definition}>, err: {error.text}") from None


# --- readings of the input ------------------------------------------------------------------------------------------


def _duration(value: Any) -> int:
    if isinstance(value, str):
        return parse_duration(value)
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        return int(value) if math.isfinite(value) else 0
    raise cannot_convert(value, "time.Duration")


def _number(value: Any) -> float:
    """A number text, or a duration text that ends in its unit, in nanoseconds."""
    if isinstance(value, str):
        if value.endswith(("s", "m", "h")):
            return float(parse_go_duration(value))
        return parse_float(value)
    if isinstance(value, int | float):
        return float(value)
    raise cannot_convert(value, "float64")


def _integer(value: Any) -> int:
    if isinstance(value, str):
        return parse_int(value)
    if isinstance(value, int | float) and math.isfinite(value):
        return int(value)
    raise cannot_convert(value, "int64")


def _time(value: Any, around: Surroundings) -> Instant:
    return value if isinstance(value, Instant) else parse_time(text_of(value), around.now_ns, around.zone)


# --- durations and numbers ------------------------------------------------------------------------------------------


def _in_units(unit_ns: int) -> Converter:
    def convert(value: Any, around: Surroundings) -> float:
        ns = _duration(value)
        whole = abs(ns) // unit_ns
        part = float(whole) + (abs(ns) - whole * unit_ns) / unit_ns
        return -part if ns < 0 else part

    return convert


def _durfmt(layout: str) -> Converter:
    return lambda value, around: format_layout(ZERO.plus(_duration(value)), layout or CLOCK)


def _round(params: str) -> Converter:
    decimals_text, *rest = params.split(":")
    if len(rest) > 1:
        raise ApiError(f"unsupported *round converter parameters: <{params}>")
    method = rest[0] if rest else "*middle"
    try:
        decimals = parse_int(decimals_text, "Atoi") if params else 0
    except ApiError:
        raise ApiError(f"*round converter needs integer as decimals, have: <{decimals_text}>") from None

    def convert(value: Any, around: Surroundings) -> float:
        number = _number(value)
        if decimals < -_DOUBLE_EXPONENTS:
            return math.nan
        if decimals <= _DOUBLE_EXPONENTS and not math.isfinite(number * 10.0**decimals):
            return number * math.inf
        return round_amount(number, decimals, method)

    return convert


def _multiply(params: str) -> Converter:
    factor = _needed(params)
    return lambda value, around: _number(value) * factor


def _divide(params: str) -> Converter:
    divisor = _needed(params)

    def convert(value: Any, around: Surroundings) -> float:
        number = _number(value)
        if divisor:
            return number / divisor
        if number == 0 or math.isnan(number):
            return math.nan
        return math.copysign(math.inf, number) * math.copysign(1.0, divisor)

    return convert


def _needed(params: str) -> float:
    if not params:
        raise ApiError("mandatory information missing")
    return parse_float(params)


def _random(params: str) -> Converter:
    begin_text, _, end_text = params.partition(":")
    begin = parse_int(begin_text, "Atoi") if begin_text else 0
    end = parse_int(end_text, "Atoi") if end_text else 0

    def convert(value: Any, around: Surroundings) -> int:
        number = around.random_number()
        if end > begin:
            return begin + number % (end - begin)
        return begin + number % max(1, (1 << 63) - max(begin, 0))

    return convert


# --- texts ----------------------------------------------------------------------------------------------------------


def _length(value: Any, around: Surroundings) -> int:
    return len(value) if isinstance(value, list) else len(text_of(value).encode())


def _slice(value: Any, around: Surroundings) -> Any:
    """A text that is a JSON list becomes that list."""
    if isinstance(value, str) and value.startswith("[") and value.endswith("]"):
        try:
            found = msgspec.json.decode(value)
        except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
            return value
        return found if isinstance(found, list) else value
    return value


def _string2hex(value: Any, around: Surroundings) -> str:
    raw = text_of(value).encode()
    return f"0x{raw.hex()}" if raw else ""


def _conn_status(value: Any, around: Surroundings) -> int:
    text = text_of(value)
    if text in ("UP", "DOWN"):
        return 1 if text == "UP" else -1
    raise ApiError(f'unsupported connection status: "{text}"')


# --- times ----------------------------------------------------------------------------------------------------------


def _timestring(params: str) -> Converter:
    zone, _, layout = params.partition(":")
    if zone:
        zone_of(zone)

    def convert(value: Any, around: Surroundings) -> str:
        return format_layout(_time(value, around), layout or DATE_AND_CLOCK, zone or around.zone)

    return convert


def _datetime(layout: str) -> Converter:
    if not layout:
        raise ApiError("*datetime converter: requires at least one parameter")

    def convert(value: Any, around: Surroundings) -> Instant:
        text = text_of(value)
        try:
            return instant_of_fields(read_layout(layout, text), around.zone)
        except ApiError as error:
            raise ApiError(
                f'*datetime converter: parsing failed for value "{text}" with layout "{layout}": {error.text}'
            ) from None

    return convert


def _of_text(convert: Callable[[str], Any]) -> Converter:
    return lambda value, around: convert(text_of(value))


_PLAIN: dict[str, Converter] = {
    "*duration_seconds": _in_units(SECOND),
    "*duration_minutes": _in_units(MINUTE),
    "*duration_nanoseconds": lambda value, around: int(_duration(value)),
    "*duration": lambda value, around: Duration(_duration(value)),
    "*durfmt": _durfmt(""),
    "*float64": lambda value, around: _number(value),
    "*gigawords": lambda value, around: _integer(value) * GIGAWORD,
    "*len": _length,
    "*slice": _slice,
    "*json": lambda value, around: json_text(value),
    "*string2hex": _string2hex,
    "*ip2hex": _of_text(telecom.ip2hex),
    "*sipuri_user": _of_text(telecom.sipuri_user),
    "*sipuri_host": _of_text(telecom.sipuri_host),
    "*sipuri_method": _of_text(telecom.sipuri_method),
    "*e164": _of_text(telecom.e164),
    "*e164Domain": _of_text(telecom.e164_domain),
    "*unixtime": lambda value, around: _time(value, around).seconds,
    "*urldecode": _of_text(urls.decode),
    "*urlencode": _of_text(urls.encode),
    "*conn_status": _conn_status,
}
_WITH_PARAMS: dict[str, Builder] = {
    "*durfmt": _durfmt,
    "*round": _round,
    "*multiply": _multiply,
    "*divide": _divide,
    "*random": _random,
    "*strip": lambda params: _stripped(strip.compile_strip(params)),
    "*timestring": _timestring,
    "*datetime": _datetime,
    "*libphonenumber": lambda params: _of_text(telecom.phone_number(params)),
    "*3gpp_uli": lambda params: _of_text(telecom.user_location(params)),
}


def _stripped(apply: Callable[[bytes], bytes]) -> Converter:
    def convert(value: Any, around: Surroundings) -> str:
        if not isinstance(value, str):
            raise ApiError("strip converter: CAST_FAILED")
        return apply(value.encode()).decode(errors="replace")

    return convert
