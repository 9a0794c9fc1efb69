"""Indexes that are kept up by changes are those that are made anew (spec chapter 50, sections 6.3 and 6.4); what an index
finds is what evaluating every profile finds, when each filter list has an indexed rule."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from cgr_cluster.attributes.selection import ATTRIBUTES
from cgr_cluster.attributes.types import AttributeProfile
from cgr_cluster.engine.codec import pack
from cgr_cluster.engine.generation import Generation
from cgr_cluster.filters.kinds import ProfileKind
from cgr_cluster.filters.lists import passes
from cgr_cluster.filters.selection import matching
from cgr_cluster.filters.tenant_profiles import HiddenIndex, TenantProfiles, profiles_of
from cgr_cluster.filters.types import Filter, Rule
from cgr_cluster.filters.view import View
from cgr_cluster.thresholds.types import THRESHOLDS, ThresholdProfile

TENANT = "t"
CONFIG = {
    section: {
        "prefix_indexed_fields": ["*req.B"],
        "suffix_indexed_fields": ["*req.B"],
        "exists_indexed_fields": ["*req.C"],
    }
    for section in ("thresholds", "attributes")
}
NAMES = [f"P{n}" for n in range(5)]
FILTERS = ["F1", "F2"]
rules = st.sampled_from(
    ["*string:~*req.A:1|2", "*string:~*req.A:3", "*prefix:~*req.B:ab|abc", "*suffix:~*req.B:c", "*exists:~*req.C:", "*string:1:~*req.B"]
)  # fmt: skip
filter_lists = st.lists(st.one_of(rules, st.sampled_from(FILTERS)), max_size=3)
profiles = st.tuples(st.just("profile"), st.sampled_from(NAMES), st.one_of(st.none(), filter_lists), st.booleans())
filters = st.tuples(st.just("filter"), st.sampled_from(FILTERS), st.one_of(st.none(), rules), st.none())
hides = st.tuples(st.just("hide"), st.sampled_from(NAMES), st.lists(st.sampled_from([*FILTERS, ""])), st.none())
changes = st.lists(st.lists(st.one_of(profiles, filters, hides), min_size=1, max_size=3), min_size=1, max_size=8)
events = st.fixed_dictionaries(
    {}, optional={"A": st.sampled_from(["1", "2", "3", "9"]), "B": st.sampled_from(["1", "abc", "abd", "xc"]), "C": st.none()}
)  # fmt: skip


def rule(text: str) -> Rule:
    kind, element, values = text.split(":", 2)
    return Rule(kind, element, tuple(values.split("|")) if values else ())


def change(kind: ProfileKind, what: str, name: str, value: Any, flag: Any) -> tuple[str, str, bytes | None]:
    key = f"{TENANT}:{name}"
    if what == "filter":
        return "filter", key, None if value is None else pack(Filter(TENANT, name, (rule(value),)))
    if what == "hide":
        context = "" if kind.contexts is None else "*any"
        return "hidden_index", f"{kind.item}:{TENANT}:{context}", pack(HiddenIndex({name: tuple(value)}))
    if value is None:
        return kind.name, key, None
    ids = tuple(value)
    if kind is THRESHOLDS:
        return kind.name, key, pack(ThresholdProfile(TENANT, name, ids, weight=float(flag)))
    contexts = ("*any", "*sessions") if flag else ("*any",)
    return kind.name, key, pack(AttributeProfile(TENANT, name, contexts, ids))


def shown(found: TenantProfiles) -> Any:
    return (
        {context: sorted(index.listed()) for context, index in found.indexes.items()},
        {name: ids for name, ids in found.users.items() if ids},
        None if found.unconditional is None else [chosen.profile.id for chosen in found.unconditional],
    )


@settings(max_examples=80, deadline=None)
@given(st.sampled_from([THRESHOLDS, ATTRIBUTES]), changes, st.lists(events, max_size=3), st.booleans())
def test_an_index_that_is_kept_up_is_one_that_is_made_anew(
    kind: ProfileKind, steps: list[list[Any]], asked: list[dict[str, Any]], every: bool
) -> None:
    generation = Generation(CONFIG)
    before: list[tuple[Generation, Any]] = []
    for number, step in enumerate(steps, 1):
        generation = generation.apply([change(kind, *one) for one in step], number)
        if not every and number % 2:
            continue  # nobody asks: the next one is brought up to date over two changes
        kept, made = profiles_of(kind, generation, TENANT), TenantProfiles.made(generation, kind, TENANT)
        assert shown(kept) == shown(made)
        for fields in asked:
            view = View(generation, 0, TENANT, fields, {})
            for context in ("", "*any", "*sessions"):
                assert sorted(kept.candidates(view, context)) == sorted(made.candidates(view, context))
        before.append((generation, shown(made)))
    for older, expected in before:  # who holds an earlier generation still sees that one
        assert shown(profiles_of(kind, older, TENANT)) == expected


@settings(max_examples=80, deadline=None)
@given(st.dictionaries(st.sampled_from(NAMES), st.lists(rules, max_size=3)), events)
def test_the_index_finds_what_a_walk_over_all_profiles_finds(
    wanted: dict[str, list[str]], fields: dict[str, Any]
) -> None:
    rows = [(THRESHOLDS.name, f"{TENANT}:{n}", pack(ThresholdProfile(TENANT, n, tuple(f)))) for n, f in wanted.items()]
    generation = Generation(CONFIG).apply(rows, 1)
    view = View(generation, 0, TENANT, fields, {})
    found = [profile.id for profile in matching(THRESHOLDS, view, None)]
    assert found == sorted(name for name, ids in wanted.items() if passes(view, ids))
