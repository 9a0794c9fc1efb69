"""Selection: the profiles of a kind that an event belongs to (spec chapter 50, section 6.3). One way for all kinds.

    found = matching(THRESHOLDS, view, event.time)                          # candidates of the index
    found = matching(THRESHOLDS, view, event.time, ids, ignore_filters)     # candidates that the caller names
    found = until_blocker(found)

Pure. Filters on live state raise `live.Need`: use `live.with_live` where they may be (docs/profiles.md).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import msgspec

from cgr_cluster.engine.domain import GenerationView, reference
from cgr_cluster.events.instant import Instant
from cgr_cluster.filters.index import IndexSettings, ProfileIndex
from cgr_cluster.filters.kinds import Profile, ProfileKind
from cgr_cluster.filters.lists import passes
from cgr_cluster.filters.view import View

T = TypeVar("T")

NO_CONTEXT = ""


@reference("hidden_index")
class HiddenIndex(msgspec.Struct, frozen=True, gc=False):
    """What `RemoveFilterIndexes` has taken out of an index and nothing has put back: profile id → its filter ids that give
    no keys ("": the key of a profile without filters). The key is `ITEM:TENANT:CONTEXT` (context "" for kinds without)."""

    filters: dict[str, tuple[str, ...]] = {}


class Chosen:
    """A profile as selection knows it; `compiled` is what its kind makes of it."""

    __slots__ = ("compiled", "order", "profile")

    def __init__(self, kind: ProfileKind, profile: Profile) -> None:
        self.profile = profile
        self.order = (-profile.weight, profile.id)
        self.compiled = kind.compiled(profile)


class TenantProfiles:
    """One kind's profiles of one tenant in a generation: their indexes by context. `unconditional`: all of them in order,
    when every one takes every event."""

    __slots__ = ("_chosen", "_generation", "_kind", "_tenant", "indexes", "unconditional")

    def __init__(self, generation: GenerationView, kind: ProfileKind, tenant: str) -> None:
        self._generation = generation
        self._kind = kind
        self._tenant = tenant
        self._chosen: dict[str, Chosen | None] = {}
        self.indexes: dict[str, ProfileIndex] = {}
        settings = IndexSettings.of(generation, kind.section)
        conditional = False
        ids = kind.ids(generation, tenant)
        for profile_id in ids:
            profile: Profile = kind.get(generation, tenant, profile_id)
            conditional = conditional or bool(profile.filter_ids or profile.activation_interval)
            for context in (NO_CONTEXT,) if kind.contexts is None else kind.contexts(profile):
                index = self.indexes.get(context)
                if index is None:
                    index = self.indexes[context] = ProfileIndex(settings)
                hidden = hidden_filters(generation, kind, tenant, context).get(profile_id, ())
                conditional = conditional or bool(hidden)
                index.add(generation, tenant, profile_id, profile.filter_ids, hidden)
        self.unconditional: list[Chosen] | None = None
        if kind.contexts is None and not conditional:
            self.unconditional = sorted(
                (chosen for chosen in map(self.get, ids) if chosen is not None), key=lambda chosen: chosen.order
            )

    def get(self, profile_id: str) -> Chosen | None:
        """The profile of this id, compiled when first asked for."""
        if profile_id not in self._chosen:
            profile = self._kind.get(self._generation, self._tenant, profile_id)
            self._chosen[profile_id] = None if profile is None else Chosen(self._kind, profile)
        return self._chosen[profile_id]

    def candidates(self, view: View, context: str = NO_CONTEXT) -> Iterable[str]:
        """Ids that the index of the context finds for the event, each once, in no order."""
        index = self.indexes.get(context)
        return () if index is None else index.candidates(view)


class _Profiles:
    """The tenants of one kind in a generation, made when first asked for."""

    __slots__ = ("_generation", "_kind", "_tenants")

    def __init__(self, generation: GenerationView, kind: ProfileKind) -> None:
        self._generation = generation
        self._kind = kind
        self._tenants: dict[str, TenantProfiles] = {}

    def of(self, tenant: str) -> TenantProfiles:
        found = self._tenants.get(tenant)
        if found is None:
            found = self._tenants[tenant] = TenantProfiles(self._generation, self._kind, tenant)
        return found


_BUILDERS: dict[
    str, Callable[[GenerationView], _Profiles]
] = {}  # kind → the key under which a generation keeps its profiles


def profiles_of(kind: ProfileKind, generation: GenerationView, tenant: str) -> TenantProfiles:
    """The tenant's profiles, computed once until profiles, filters or settings change."""
    build = _BUILDERS.get(kind.name)
    if build is None:
        build = _BUILDERS[kind.name] = lambda at: _Profiles(at, kind)
    return generation.derived(build, kind.name, "filter", "config", "hidden_index").of(tenant)


def hidden_filters(
    generation: GenerationView, kind: ProfileKind, tenant: str, context: str
) -> dict[str, tuple[str, ...]]:
    """Profile id → its filter ids that give no keys; mostly empty."""
    if not generation.keys("hidden_index"):
        return {}
    found: HiddenIndex | None = generation.get("hidden_index", hidden_key(kind, tenant, context))
    return {} if found is None else found.filters


def hidden_key(kind: ProfileKind, tenant: str, context: str) -> str:
    return f"{kind.item}:{tenant}:{context}"


def matching(
    kind: ProfileKind,
    view: View,
    time: Instant | None,
    ids: Sequence[str] = (),
    ignore_filters: bool = False,
) -> list[Any]:
    """What the kind's `compiled` made of the profiles that the event belongs to, by falling weight, equal ones by id.

    `time`: of the event, None when it has none (then intervals are not checked). `ids`: candidates instead of those of the
    index; only with them `ignore_filters` counts. Kinds without contexts only. Raises errors of filters, and `Need`."""
    profiles = profiles_of(kind, view.generation, view.tenant)
    if not ids and profiles.unconditional is not None:
        return [chosen.compiled for chosen in profiles.unconditional]
    candidates: Iterable[str] = dict.fromkeys(ids) if ids else profiles.candidates(view)
    found = []
    for profile_id in sorted(candidates):  # in order: which error comes first must not depend on chance
        chosen = profiles.get(profile_id)
        if chosen is None:
            continue
        profile = chosen.profile
        interval = profile.activation_interval
        if time is not None and interval is not None and not interval.holds(time.ns):
            continue
        if (ids and ignore_filters) or passes(view, profile.filter_ids):
            found.append(chosen)
    found.sort(key=lambda chosen: chosen.order)
    return [chosen.compiled for chosen in found]


def until_blocker(found: list[T], blocks: Callable[[T], bool]) -> list[T]:
    """The list up to the first that blocks, it included."""
    for place, one in enumerate(found):
        if blocks(one):
            return found[: place + 1]
    return found
