"""Filters of single routes: the rules that are checked before pricing and those after it (spec chapter 51, section 8.1)."""

from __future__ import annotations

from collections.abc import Sequence

from cgr_cluster.engine.domain import GenerationView
from cgr_cluster.filters.inline import is_inline
from cgr_cluster.filters.lists import find_filter
from cgr_cluster.filters.rules import Test, compile_rule
from cgr_cluster.filters.types import ActivationInterval, Rule
from cgr_cluster.filters.view import View

_BEFORE = ("~*req", "~*accounts", "~*resources", "~*stats")  # what is known without prices


def waits_for_price(rule: Rule) -> bool:
    """Whether a path of the rule is not one of those that are read before pricing."""
    return any(text.startswith("~") and not text.startswith(_BEFORE) for text in (rule.element, *rule.values))


class _SplitFilter:
    """A filter's rules in two lists."""

    __slots__ = ("after", "before", "interval")

    def __init__(self, generation: GenerationView, tenant: str, filter_id: str) -> None:
        found = find_filter(generation, tenant, filter_id)
        self.interval: ActivationInterval | None = found.activation_interval
        self.before: list[Test] = []
        self.after: list[Test] = []
        for rule in found.rules:
            (self.after if waits_for_price(rule) else self.before).append(compile_rule(rule))


class _SplitFilters:
    """Those of a generation, made when first used."""

    def __init__(self, generation: GenerationView) -> None:
        self._generation = generation
        self._split: dict[str, _SplitFilter] = {}

    def get(self, tenant: str, filter_id: str) -> _SplitFilter:
        key = filter_id if is_inline(filter_id) else f"{tenant}:{filter_id}"
        split = self._split.get(key)
        if split is None:
            split = self._split[key] = _SplitFilter(self._generation, tenant, filter_id)
        return split


def rules_after_price(view: View, filter_ids: Sequence[str]) -> list[Test] | None:
    """Check the rules that need no price: those that are left, None when one does not pass. A list of inactive filters
    passes. Raises errors of rules, `NOT_FOUND:ID`, and `Need`."""
    left: list[Test] = []
    filters = view.generation.derived(_SplitFilters, "filter") if filter_ids else None
    for filter_id in filter_ids:
        assert filters is not None
        split = filters.get(view.tenant, filter_id)
        if split.interval is not None and not split.interval.holds(view.now_ns):
            continue
        if not all(test(view) for test in split.before):
            return None
        left += split.after
    return left
