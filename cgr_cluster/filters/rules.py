"""The rule types of filters, compiled to predicates of a view (spec chapter 50, section 4)."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from cgr_cluster.events.expressions import Expression
from cgr_cluster.events.rules import Value
from cgr_cluster.events.times import parse_time
from cgr_cluster.events.values import parse_bool, text_of
from cgr_cluster.filters.paths import MISSING, compile_value, split_path
from cgr_cluster.filters.timings import active_at
from cgr_cluster.filters.types import Rule
from cgr_cluster.filters.typing_rules import compare, equal, typed
from cgr_cluster.filters.view import View
from cgr_cluster.rpc.errors import ApiError

Test = Callable[[View], bool]

_WITHOUT_VALUES = frozenset({"*exists", "*notexists", "*empty", "*notempty"})
_TEXT_TESTS: dict[str, Callable[[str, str], bool]] = {
    "*string": str.__eq__,
    "*nistring": str.__eq__,
    "*prefix": str.startswith,
    "*niprefix": str.startswith,
    "*suffix": str.endswith,
    "*nisuffix": str.endswith,
    "*contains": str.__contains__,
}
HTTP = "*http#"
ANY_ELEMENT = "*any"  # of `*http#` rules: the whole event

_ORDER: dict[str, Callable[[int], bool]] = {
    "*lt": lambda order: order < 0,
    "*lte": lambda order: order <= 0,
    "*gt": lambda order: order > 0,
    "*gte": lambda order: order >= 0,
}


def check_rule(rule: Rule, filter_id: str) -> None:
    """Checks 1 and 2 of 50 §5.1 (element, then values)."""
    for text in (rule.element, *rule.values):
        if text.startswith("~") and "" in split_path(text[1:]):
            raise ApiError(f"Empty field path  for filter <{filter_id}>")
    if rule.type in _WITHOUT_VALUES:
        for value in rule.values:
            if value or rule.type != "*notexists":
                raise ApiError(f"value of filter <{filter_id}> is not empty <{value}>")


def compile_rule(rule: Rule) -> Test:
    """The predicate of a rule. Raises the errors of check 3; an unknown type fails when the predicate is used."""
    kind = rule.type
    if kind.startswith(HTTP):
        return _http(rule)
    negated = kind.startswith("*not")
    base = "*" + kind[4:] if negated else kind
    build = _BUILDERS.get(base)
    if build is None or (negated and base not in _NEGATED):
        unknown = ApiError(f"NOT_IMPLEMENTED:{kind}")

        def fail(view: View) -> bool:
            raise unknown

        return fail
    test = build(base, rule)
    return (lambda view: not test(view)) if negated else test


def _element(rule: Rule) -> Value:
    if not rule.element:
        raise ApiError("empty RSRParser in rule: <>")
    return compile_value(rule.element)


def _values(rule: Rule) -> list[Value]:
    if "" in rule.values:
        raise ApiError("emtpy RSRParser in rule: <>")
    return [compile_value(value) for value in rule.values]


def _evaluated(values: list[Value], view: View) -> list[str]:
    """Texts of the values; one that can not be evaluated is left out."""
    texts = []
    for value in values:
        if value.constant is not None:
            texts.append(value.constant)
            continue
        try:
            found = value.read(view)
        except ApiError:
            continue
        if found is not MISSING:
            texts.append(text_of(found))
    return texts


def _text_rule(kind: str, rule: Rule) -> Test:
    values, read, matches = _values(rule), _element(rule).read, _TEXT_TESTS[kind]
    constants = tuple(value.constant for value in values if value.constant is not None)
    if len(constants) == len(values):
        return _constant_text_test(kind, constants, read)

    def test(view: View) -> bool:
        found = read(view)
        if found is MISSING:
            return False
        text = text_of(found)
        return any(matches(text, value) for value in _evaluated(values, view))

    return test


def _constant_text_test(kind: str, constants: tuple[str, ...], read: Callable[[View], Any]) -> Test:
    matches = _TEXT_TESTS[kind]
    if kind in ("*string", "*nistring"):
        wanted = frozenset(constants)

        def equals(view: View) -> bool:
            found = read(view)
            if type(found) is str:
                return found in wanted
            return found is not MISSING and text_of(found) in wanted

        return equals

    def test(view: View) -> bool:
        found = read(view)
        if found is MISSING:
            return False
        text = text_of(found)
        return any(matches(text, value) for value in constants)

    return test


def _exists(kind: str, rule: Rule) -> Test:
    read = _element(rule).read
    return lambda view: read(view) is not MISSING


def _empty(kind: str, rule: Rule) -> Test:
    read = _element(rule).read

    def test(view: View) -> bool:
        found = read(view)
        return found is MISSING or found is None or found == "" or found == [] or found == {}

    return test


def _comparison(kind: str, rule: Rule) -> Test:
    values, read = _values(rule), _element(rule).read
    accepts = _ORDER.get(kind)

    def test(view: View) -> bool:
        found = read(view)
        if found is MISSING:
            return False
        element = typed(text_of(found), view.now_ns)
        for value in _evaluated(values, view):
            other = typed(value, view.now_ns)
            if equal(element, other) if accepts is None else accepts(compare(element, other)):
                return True
        return False

    return test


def _rsr(kind: str, rule: Rule) -> Test:
    read = _element(rule).read
    patterns = [rsr_pattern(value) for value in rule.values]
    only_empty = rule.values == ("^$",)

    def test(view: View) -> bool:
        found = read(view)
        if found is MISSING:
            return only_empty
        text = text_of(found)
        return any(pattern(text, view.now_ns) for pattern in patterns)

    return test


Pattern = Callable[[str, int], bool]


def rsr_pattern(pattern: str) -> Pattern:
    """One small pattern of 50 §4.2, as a function of the text and the time now."""
    if pattern.startswith("!"):
        inner = rsr_pattern(pattern[1:])
        return lambda text, now_ns: not inner(text, now_ns)
    if pattern.startswith("~"):
        expression = Expression(pattern[1:])
        return lambda text, now_ns: expression.found_in(text)
    for sign, kind in ((">=", "*gte"), ("<=", "*lte"), (">", "*gt"), ("<", "*lt")):
        if pattern.startswith(sign):
            return _rsr_comparison(kind, pattern[len(sign) :])
    starts, ends = pattern.startswith("^"), pattern.endswith("$")
    wanted = pattern[1 if starts else 0 : -1 if ends else None]
    if starts and ends:
        return lambda text, now_ns: text == wanted
    if starts:
        return lambda text, now_ns: text.startswith(wanted)
    if ends:
        return lambda text, now_ns: text.endswith(wanted)
    return lambda text, now_ns: wanted in text


def _rsr_comparison(kind: str, wanted: str) -> Pattern:
    accepts = _ORDER[kind]

    def test(text: str, now_ns: int) -> bool:
        try:
            return accepts(compare(typed(text, now_ns), typed(wanted, now_ns)))
        except ApiError:
            return False

    return test


def _regex(kind: str, rule: Rule) -> Test:
    read = _element(rule).read
    patterns = [Expression(value) for value in rule.values]

    def test(view: View) -> bool:
        found = read(view)
        if found is MISSING:
            return False
        text = text_of(found)
        return any(pattern.found_in(text) for pattern in patterns)

    return test


def _destinations(kind: str, rule: Rule) -> Test:
    values, read = _values(rule), _element(rule).read

    def test(view: View) -> bool:
        found = read(view)
        if found is MISSING:
            return False
        number = text_of(found)
        wanted = set(_evaluated(values, view))
        owners = view.generation.destinations_of
        return any(not wanted.isdisjoint(owners(number[:end])) for end in range(len(number), 0, -1))

    return test


def _timings(kind: str, rule: Rule) -> Test:
    values, read = _values(rule), _element(rule).read

    def test(view: View) -> bool:
        found = read(view)
        if found is MISSING:
            return False
        at = parse_time(text_of(found), view.now_ns, view.zone)
        for timing_id in _evaluated(values, view):
            stored = view.generation.get("timing", timing_id)
            if stored is not None and active_at(stored.timing, at):
                return True
        return False

    return test


def _activation(kind: str, rule: Rule) -> Test:
    read = _element(rule).read
    if "" in rule.values[1:]:
        raise ApiError("emtpy RSRParser in rule: <>")
    values = [compile_value(value) if value else Value("", lambda view: "") for value in rule.values]

    def test(view: View) -> bool:
        found = read(view)
        if found is MISSING:
            return False
        at = parse_time(text_of(found), view.now_ns, view.zone).ns
        start, end = (_bound(values, place, view) for place in (0, 1))
        return (start is None or start < at) and (end is None or at < end)

    return test


def _bound(values: list[Value], place: int, view: View) -> int | None:
    """A bound of `*ai` in ns; None when it is not given, empty, or not to be had."""
    text = "".join(_evaluated(values[place : place + 1], view))
    return parse_time(text, view.now_ns, view.zone).ns if text else None


def _ip_network(kind: str, rule: Rule) -> Test:
    values, read = _values(rule), _element(rule).read

    def test(view: View) -> bool:
        found = read(view)
        if found is MISSING:
            return False
        try:
            address = ipaddress.ip_address(text_of(found))
        except ValueError:
            return False
        return any(_inside(address, network) for network in _evaluated(values, view))

    return test


def _inside(address: ipaddress.IPv4Address | ipaddress.IPv6Address, network: str) -> bool:
    if "/" not in network:
        return False
    try:
        return address in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False


def _http(rule: Rule) -> Test:
    """`*http#[URL]` (50 §4.3): a GET of the URL answers whether it passes. Raises what cannot be read as a boolean."""
    url = rule.type.removeprefix(HTTP).removeprefix("[").removesuffix("]")
    if rule.element == ANY_ELEMENT:
        return lambda view: parse_bool(view.page(url))
    read = _element(rule).read

    def test(view: View) -> bool:
        found = read(view)
        if found is MISSING:
            return False
        pair = urlencode({rule.element: text_of(found)})
        return parse_bool(view.page(f"{url}{'&' if '?' in url else '?'}{pair}", with_event=False))

    return test


def _listed_by(service: str, values: tuple[str, ...]) -> Callable[[str, Rule], Test]:
    """Rules of services that list bad callers: no connection to them is built."""

    def build(kind: str, rule: Rule) -> Test:
        read = _element(rule).read
        wrong = next((value for value in rule.values if value not in values), None)
        text = f"NOT_CONNECTED: {service}" if wrong is None else f"invalid value for {kind[1:]} filter: <{wrong}>"
        failure = ApiError(text)

        def test(view: View) -> bool:
            if read(view) is MISSING:
                return False
            raise failure

        return test

    return build


_BUILDERS: dict[str, Callable[[str, Rule], Test]] = {
    **dict.fromkeys(_TEXT_TESTS, _text_rule),
    "*exists": _exists,
    "*niexists": _exists,
    "*empty": _empty,
    **dict.fromkeys((*_ORDER, "*eq"), _comparison),
    "*rsr": _rsr,
    "*regex": _regex,
    "*destinations": _destinations,
    "*timings": _timings,
    "*ai": _activation,
    "*ipnet": _ip_network,
    "*apiban": _listed_by("APIBan", ("*all", "*single")),
    "*sentrypeer": _listed_by("SentryPeer", ("*ip", "*number")),
}
_NEGATED = frozenset(base for base in _BUILDERS if base not in _ORDER and not base.startswith("*ni"))


def check_compiles(rule: Rule) -> None:
    """Check 3 of 50 §5.1: values, then element, must compile."""
    if rule.type not in _WITHOUT_VALUES:
        for place, value in enumerate(rule.values):
            if rule.type in ("*regex", "*notregex"):
                Expression(value)
            elif rule.type in ("*rsr", "*notrsr"):
                rsr_pattern(value)
            elif value or place or rule.type not in ("*ai", "*notai"):
                if not value:
                    raise ApiError("emtpy RSRParser in rule: <>")
                compile_value(value)
    if not rule.element:
        raise ApiError("empty RSRParser in rule: <>")
    compile_value(rule.element)
