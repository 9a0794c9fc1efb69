"""Filter lists: what a profile's `FilterIDs` mean for an event (spec chapter 50, sections 4.4 and 5.2)."""

from __future__ import annotations

from collections.abc import Sequence

from cgr_cluster.engine.domain import GenerationView
from cgr_cluster.filters.inline import is_inline, parse_inline
from cgr_cluster.filters.rules import Test, check_compiles, check_rule, compile_rule
from cgr_cluster.filters.types import ActivationInterval, Filter
from cgr_cluster.filters.view import View
from cgr_cluster.rpc.errors import ApiError


class CompiledFilter:
    """A filter ready to run: `passes` tests its rules in order."""

    __slots__ = ("interval", "tests")

    def __init__(self, found: Filter) -> None:
        self.interval: ActivationInterval | None = found.activation_interval
        self.tests: tuple[Test, ...] = tuple(compile_rule(rule) for rule in found.rules)


MAX_COMPILED = 100_000  # filters that are kept compiled: callers may name inline ones of their own, all forgotten then


class _Filters:
    """Compiled filters of a generation, made when first used."""

    def __init__(self, generation: GenerationView) -> None:
        self._generation = generation.apart()
        self._compiled: dict[str, CompiledFilter] = {}

    def get(self, tenant: str, filter_id: str) -> CompiledFilter:
        key = filter_id if is_inline(filter_id) else f"{tenant}:{filter_id}"
        compiled = self._compiled.get(key)
        if compiled is None:
            if len(self._compiled) >= MAX_COMPILED:
                self._compiled.clear()
            compiled = self._compiled[key] = CompiledFilter(find_filter(self._generation, tenant, filter_id))
        return compiled


def find_filter(generation: GenerationView, tenant: str, filter_id: str) -> Filter:
    """The stored filter, or the one that an inline text writes. Raises `NOT_FOUND:ID`."""
    if is_inline(filter_id):
        return parse_inline(tenant, filter_id)
    found: Filter | None = generation.get("filter", f"{tenant}:{filter_id}")
    if found is None:
        raise ApiError(f"NOT_FOUND:{filter_id}")
    return found


def passes(view: View, filter_ids: Sequence[str]) -> bool:
    """Whether the event passes the list (50 §4.4). Raises the error of a rule, or `NOT_FOUND:ID`."""
    if not filter_ids:
        return True
    filters = view.generation.derived(_Filters, "filter")
    passed = False
    for filter_id in filter_ids:
        compiled = filters.get(view.tenant, filter_id)
        if compiled.interval is not None and not compiled.interval.holds(view.now_ns):
            continue
        for test in compiled.tests:
            if not test(view):
                return False
        passed = True
    return passed


def check_filter(found: Filter) -> None:
    """The three checks of a filter to be stored (50 §5.1); errors without their `SERVER_ERROR: `."""
    for rule in found.rules:
        check_rule(rule, found.id)
    for rule in found.rules:
        check_compiles(rule)


def check_references(generation: GenerationView, tenant: str, item_id: str, filter_ids: Sequence[str]) -> None:
    """Refuse a profile `TENANT:item_id` that names a missing or broken filter (50 §5.2); the first bad one counts."""
    for filter_id in filter_ids:
        broken = ApiError(f"broken reference to filter: <{filter_id}> for item with ID: {tenant}:{item_id}")
        try:
            found = find_filter(generation, tenant, filter_id)
            for rule in found.rules:
                check_compiles(rule)
        except ApiError as error:
            raise broken from error
        if is_inline(filter_id):
            for rule in found.rules:
                try:
                    check_rule(rule, filter_id)
                except ApiError as error:
                    raise ApiError(f"{error.text} for item with ID: {tenant}:{item_id}") from error
