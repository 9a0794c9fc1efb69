"""What an attribute makes of an event, by type (spec chapters 50 §8.3 and 41 §3). All results are texts."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

from cgr_cluster.attributes.arithmetic import compute
from cgr_cluster.attributes.types import Attribute
from cgr_cluster.events.durations import format_duration, parse_duration
from cgr_cluster.events.instant import Instant
from cgr_cluster.events.rules import Value
from cgr_cluster.events.times import parse_time
from cgr_cluster.events.values import json_text, number_text, parse_float, parse_int, text_of
from cgr_cluster.filters.paths import MISSING, compile_constant, compile_value
from cgr_cluster.filters.view import View
from cgr_cluster.rpc.errors import ApiError, not_found

Maker = Callable[[View], str]
HTTP = "*http#"


class CompiledAttribute:
    """An attribute ready to run. `make`: the text that it computes from a view (`*composed`: what is to be appended), which
    is `constant` where that is known beforehand. `old`: the text that `*composed` appends to, None where there is none."""

    __slots__ = ("composed", "constant", "filter_ids", "make", "old", "path", "type")

    def __init__(self, attribute: Attribute) -> None:
        """Raises the errors of rules that do not compile; an unknown type, and a wrong number of values, fail when it is
        used."""
        self.path = attribute.path
        self.type = attribute.type
        self.filter_ids = attribute.filter_ids
        self.composed = attribute.type == "*composed"
        self.constant = _constant_text(attribute) if attribute.type == "*constant" else None
        self.make = value_maker(attribute)
        written = attribute.path.startswith(("*req.", "*opts.", "*vars."))
        self.old = compile_value(f"~{attribute.path}") if self.composed and written else None


def value_maker(attribute: Attribute) -> Maker:
    """What computes the text of an attribute (or of a field template: 41 §4) from a view; it raises NOT_FOUND where a value
    is not there. Raises the errors of rules that do not compile."""
    kind = attribute.type or "*variable"
    if kind == "*constant":
        return _constant(attribute)
    values = [compile_value(rule) for rule in attribute.value]
    if kind == "*none":
        return lambda view: ""
    if kind.startswith(HTTP):
        url = kind.removeprefix(HTTP).removeprefix("[").removesuffix("]")
        return lambda view: view.page(url)
    build = _BUILDERS.get(kind)
    if build is None:
        return _failing(ApiError(f"unsupported type: <{kind}>"))
    return build(attribute, values)


def _failing(error: ApiError) -> Maker:
    def fail(view: View) -> str:
        raise error

    return fail


def _text(value: Value, view: View) -> str:
    if value.constant is not None:
        return value.constant
    found = value.read(view)
    if found is MISSING:
        raise not_found()
    return found if type(found) is str else text_of(found)


def _joined(values: list[Value], view: View) -> str:
    return "".join(_text(value, view) for value in values)


def _constant(attribute: Attribute) -> Maker:
    values = [compile_constant(rule) for rule in attribute.value]
    return lambda view: _joined(values, view)


def _constant_text(attribute: Attribute) -> str | None:
    """The text of a `*constant` whose rules are plain, else None."""
    texts = [compile_constant(rule).constant for rule in attribute.value]
    known = [text for text in texts if text is not None]
    return "".join(known) if len(known) == len(texts) else None


def _variable(attribute: Attribute, values: list[Value]) -> Maker:
    if len(values) == 1:
        only = values[0]
        return lambda view: _text(only, view)
    return lambda view: _joined(values, view)


def _prefix(attribute: Attribute, values: list[Value]) -> Maker:
    old = compile_value(f"~{attribute.path}")
    return lambda view: _joined(values, view) + _text(old, view)


def _suffix(attribute: Attribute, values: list[Value]) -> Maker:
    old = compile_value(f"~{attribute.path}")

    def make(view: View) -> str:
        before = _text(old, view)
        return before + _joined(values, view)

    return make


def _wrong_number(attribute: Attribute) -> Maker:
    shown = json_text([{"Rules": rule} for rule in attribute.value])
    return _failing(ApiError(f"invalid arguments <{shown}> to {attribute.type}"))


def _usage_difference(attribute: Attribute, values: list[Value]) -> Maker:
    if len(values) != 2:
        return _wrong_number(attribute)
    first, second = values

    def make(view: View) -> str:
        texts = _text(first, view), _text(second, view)
        later, earlier = (_time(text, view) for text in texts)
        return format_duration(later.ns - earlier.ns)

    return make


def _arithmetic(kind: str, attribute: Attribute, values: list[Value]) -> Maker:
    return lambda view: compute(kind, [_text(value, view) for value in values], view.now_ns, view.zone)


def _value_exponent(attribute: Attribute, values: list[Value]) -> Maker:
    if len(values) != 2:
        return _wrong_number(attribute)
    first, second = values

    def make(view: View) -> str:
        text, exponent_text = _text(first, view), _text(second, view)
        try:
            number = parse_float(text)
        except ApiError:
            raise ApiError(f"invalid value <{text}> to *value_exponent") from None
        return number_text(_rounded(_scaled(number, parse_int(exponent_text, "Atoi")), view.rounding_decimals))

    return make


def _scaled(number: float, exponent: int) -> float:
    """`number * 10^exponent` in doubles, whatever the exponent."""
    if exponent > 308:
        return number * math.inf if number else 0.0
    return number * 10.0**exponent if exponent >= -323 else 0.0


def _rounded(number: float, decimals: int) -> float:
    """Half away from zero."""
    scaled = abs(number) * 10.0**decimals
    if not math.isfinite(scaled):
        return number
    whole = math.floor(scaled)
    return math.copysign((whole + (scaled - whole >= 0.5)) / 10.0**decimals, number)


def _time(text: str, view: View) -> Instant:
    return parse_time(text, view.now_ns, view.zone)


def _unix_timestamp(attribute: Attribute, values: list[Value]) -> Maker:
    return lambda view: str(_time(_joined(values, view), view).seconds)


def _datetime(attribute: Attribute, values: list[Value]) -> Maker:
    return lambda view: text_of(_time(_joined(values, view), view))


def _cc_usage(attribute: Attribute, values: list[Value]) -> Maker:
    if len(values) != 3:
        return _wrong_number(attribute)
    kinds: tuple[tuple[str, Callable[[str], int]], ...] = (
        ("requestNumber", parse_int),
        ("usedCCTime", parse_duration),
        ("debitInterval", parse_duration),
    )

    def make(view: View) -> str:
        numbers = []
        texts = [_text(value, view) for value in values]
        for text, (name, parse) in zip(texts, kinds, strict=True):
            try:
                numbers.append(parse(text))
            except ApiError:
                raise ApiError(f"invalid {name} <{text}> to *cc_usage") from None
        request, used, interval = numbers
        return format_duration(used + interval * max(request - 1, 0))

    return make


def _sipcid(attribute: Attribute, values: list[Value]) -> Maker:
    """The first value, then the others that are there, in order."""
    if not values:
        return _wrong_number(attribute)
    first, *others = values

    def make(view: View) -> str:
        found = [_text(first, view)]
        read = [other.constant if other.constant is not None else other.read(view) for other in others]
        return ";".join(
            found + sorted(text for text in (text_of(value) for value in read if value is not MISSING) if text)
        )

    return make


_BUILDERS: dict[str, Callable[[Attribute, list[Value]], Maker]] = {
    "*variable": _variable,
    "*composed": _variable,
    "*prefix": _prefix,
    "*suffix": _suffix,
    "*usage_difference": _usage_difference,
    **{kind: partial(_arithmetic, kind) for kind in ("*sum", "*difference", "*multiply", "*divide")},
    "*value_exponent": _value_exponent,
    "*unix_timestamp": _unix_timestamp,
    "*datetime": _datetime,
    "*cc_usage": _cc_usage,
    "*sipcid": _sipcid,
}
