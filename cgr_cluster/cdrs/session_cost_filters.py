"""Which session costs `*remove_session_costs` removes (spec 20 §5.3, 40 §3.6): rules over `~*sc.CGRID`, `RunID`, `OriginHost`,
`OriginID`, `CostSource` (`*string`, `*notstring`), `Usage` and `CreatedAt` (`*gte`, `*lt`)."""

from __future__ import annotations

import msgspec

from cgr_cluster.cdrs.types import SessionCost
from cgr_cluster.engine.domain import Part
from cgr_cluster.events.durations import parse_duration
from cgr_cluster.events.times import parse_time
from cgr_cluster.filters.lists import find_filter
from cgr_cluster.filters.types import Rule
from cgr_cluster.rpc.errors import ApiError

_SOURCE = "~*sc."
_TEXTS = {
    "CGRID": "cgrid", "RunID": "run_id", "OriginHost": "origin_host", "OriginID": "origin_id", "CostSource": "cost_source",
}  # fmt: skip
_NUMBERS = {"Usage": "usage_ns", "CreatedAt": "created_ns"}


class TextIs(msgspec.Struct, array_like=True, frozen=True, tag="text", gc=False):
    """The text is one of these, or with `negated` none of them."""

    field: str
    values: tuple[str, ...]
    negated: bool


class Bound(msgspec.Struct, array_like=True, frozen=True, tag="bound", gc=False):
    """The number of ns is at least this, or with `below` less than this."""

    field: str
    ns: int
    below: bool


CostFilter = list[TextIs | Bound]  # all must hold


def cost_filter_of(part: Part, filter_ids: str, zone: str) -> CostFilter:
    """The filter that ids or inline rules, separated by `;`, make. Raises ApiError for one that is not there or has a rule
    that cannot be used, so that a slip of the pen does not remove all there is."""
    tests: CostFilter = []
    for filter_id in filter(None, filter_ids.split(";")):
        for rule in find_filter(part.generation, part.generation.default_tenant, filter_id).rules:
            tests.append(_test(rule, part.now_ns, zone))
    return tests


def _test(rule: Rule, now_ns: int, zone: str) -> TextIs | Bound:
    name = rule.element.removeprefix(_SOURCE)
    if not rule.element.startswith(_SOURCE) or (name not in _TEXTS and name not in _NUMBERS):
        raise ApiError(f'FieldName: "{rule.element}" not supported')
    if name in _TEXTS and rule.type in ("*string", "*notstring"):
        return TextIs(_TEXTS[name], tuple(rule.values), rule.type == "*notstring")
    if name in _NUMBERS and rule.type in ("*gte", "*lt") and rule.values:
        text = rule.values[0]
        ns = parse_duration(text) if name == "Usage" else parse_time(text, now_ns, zone).ns
        return Bound(_NUMBERS[name], ns, rule.type == "*lt")
    raise ApiError(f'FilterType: "{rule.type}" not supported for FieldName: "{rule.element}"')


def passes(cost: SessionCost, wanted: CostFilter) -> bool:
    for test in wanted:
        value = getattr(cost, test.field)
        if isinstance(test, TextIs):
            if (value in test.values) is test.negated:
                return False
        elif (value < test.ns) is not test.below:
            return False
    return True
