"""What an attribute sets its path to, by type (spec chapter 50, section 8.3). All results are texts."""

from __future__ import annotations

from collections.abc import Callable

from cgr_cluster.attributes.types import Attribute
from cgr_cluster.events.durations import format_duration
from cgr_cluster.events.instant import Instant
from cgr_cluster.events.rules import Value
from cgr_cluster.events.times import format_instant, parse_time
from cgr_cluster.events.values import text_of
from cgr_cluster.filters.paths import MISSING, compile_value
from cgr_cluster.filters.view import View
from cgr_cluster.rpc.errors import ApiError, not_found

Maker = Callable[[View], str]


def compile_attribute_value(attribute: Attribute) -> Maker:
    """The text that the attribute makes of a view. An unknown type fails when it is used."""
    kind = attribute.type or "*variable"
    if kind == "*constant":
        constant = "".join("" if rule.startswith("~") else rule for rule in attribute.value)
        return lambda view: constant
    if kind == "*none":
        return lambda view: ""
    build = _BUILDERS.get(kind)
    if build is None:
        unsupported = ApiError(f"unsupported type: <{kind}>")

        def fail(view: View) -> str:
            raise unsupported

        return fail
    return build(attribute, [compile_value(rule) for rule in attribute.value])


def _text(value: Value, view: View) -> str:
    found = value.read(view)
    if found is MISSING:
        raise not_found()
    return text_of(found)


def _joined(values: list[Value], view: View) -> str:
    return "".join(_text(value, view) for value in values)


def _old(attribute: Attribute) -> Value:
    return compile_value(f"~{attribute.path}")


def _variable(attribute: Attribute, values: list[Value]) -> Maker:
    if len(values) == 1:
        only = values[0]
        return lambda view: _text(only, view)
    return lambda view: _joined(values, view)


def _composed(attribute: Attribute, values: list[Value]) -> Maker:
    old = _old(attribute)

    def make(view: View) -> str:
        before = old.read(view)
        return ("" if before is MISSING else text_of(before)) + _joined(values, view)

    return make


def _prefix(attribute: Attribute, values: list[Value]) -> Maker:
    old = _old(attribute)
    return lambda view: _joined(values, view) + _text(old, view)


def _suffix(attribute: Attribute, values: list[Value]) -> Maker:
    old = _old(attribute)
    return lambda view: _text(old, view) + _joined(values, view)


def _usage_difference(attribute: Attribute, values: list[Value]) -> Maker:
    if len(values) != 2:
        shown = " ".join(f'{{"Rules":"{rule}"}}' for rule in attribute.value)
        wrong = ApiError(f"invalid arguments <[{shown}]> to *usage_difference")

        def fail(view: View) -> str:
            raise wrong

        return fail
    first, second = values
    return lambda view: format_duration(_time(first, view).ns - _time(second, view).ns)


def _time(value: Value, view: View) -> Instant:
    return parse_time(_text(value, view), view.now_ns)


def _unix_timestamp(attribute: Attribute, values: list[Value]) -> Maker:
    return lambda view: str(parse_time(_joined(values, view), view.now_ns).seconds)


def _datetime(attribute: Attribute, values: list[Value]) -> Maker:
    return lambda view: format_instant(parse_time(_joined(values, view), view.now_ns))


_BUILDERS: dict[str, Callable[[Attribute, list[Value]], Maker]] = {
    "*variable": _variable,
    "*composed": _composed,
    "*prefix": _prefix,
    "*suffix": _suffix,
    "*usage_difference": _usage_difference,
    "*unix_timestamp": _unix_timestamp,
    "*datetime": _datetime,
}
