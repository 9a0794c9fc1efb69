"""The profiles of a kind and tenant, with their indexes, in a generation (spec chapter 50, section 6).

Made when an event first asks; after a change only what has changed is put in or taken out, so that one Set costs little
however many profiles there are. A `TenantProfiles` does not change: whoever holds a generation keeps seeing that one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

import msgspec

from cgr_cluster.engine.domain import GenerationView, reference
from cgr_cluster.filters.index import IndexSettings, Key, ProfileIndex, profile_keys
from cgr_cluster.filters.inline import is_inline
from cgr_cluster.filters.kinds import Profile, ProfileKind
from cgr_cluster.filters.view import View

NO_CONTEXT = ""


@reference("hidden_index")
class HiddenIndex(msgspec.Struct, frozen=True, gc=False):
    """What `RemoveFilterIndexes` has taken out of an index and nothing has put back: profile id → its filter ids that give
    no keys ("": the key of a profile without filters). The key is `ITEM:TENANT:CONTEXT` (context "" for kinds without)."""

    filters: dict[str, tuple[str, ...]] = {}


def hidden_key(kind: ProfileKind, tenant: str, context: str) -> str:
    return f"{kind.item}:{tenant}:{context}"


def hidden_filters(
    generation: GenerationView, kind: ProfileKind, tenant: str, context: str
) -> dict[str, tuple[str, ...]]:
    """Profile id → its filter ids that give no keys; mostly empty."""
    if not generation.keys("hidden_index"):
        return {}
    found: HiddenIndex | None = generation.get("hidden_index", hidden_key(kind, tenant, context))
    return {} if found is None else found.filters


def contexts_of(kind: ProfileKind, profile: Profile | None) -> Collection[str]:
    if profile is None:
        return ()
    return (NO_CONTEXT,) if kind.contexts is None else dict.fromkeys(kind.contexts(profile))


class Chosen:
    """A profile as selection knows it; `compiled` is what its kind makes of it."""

    __slots__ = ("compiled", "order", "profile")

    def __init__(self, kind: ProfileKind, profile: Profile) -> None:
        self.profile = profile
        self.order = (-profile.weight, profile.id)
        self.compiled = kind.compiled(profile)


class TenantProfiles:
    """`indexes`: by context. `unconditional`: all profiles in order, when every one takes every event. `users`: stored
    filter → ids of the profiles that name it."""

    __slots__ = ("_chosen", "_conditional", "_generation", "_kind", "_tenant", "indexes", "unconditional", "users")

    def __init__(self, generation: GenerationView, kind: ProfileKind, tenant: str) -> None:
        self._generation = generation
        self._kind = kind
        self._tenant = tenant
        self._chosen: dict[str, Chosen | None] = {}
        self._conditional = 0
        self.indexes: dict[str, ProfileIndex] = {}
        self.users: dict[str, set[str]] = {}
        self.unconditional: list[Chosen] | None = None

    @classmethod
    def made(cls, generation: GenerationView, kind: ProfileKind, tenant: str) -> TenantProfiles:
        new = cls(generation, kind, tenant)
        settings = IndexSettings.of(generation, kind.section)
        for profile_id in kind.ids(generation, tenant):
            profile: Profile = kind.get(generation, tenant, profile_id)
            new._count(profile, 1)
            for filter_id in profile.filter_ids:
                if not is_inline(filter_id):
                    new.users.setdefault(filter_id, set()).add(profile_id)
            for context, keys in new._keys(profile):
                if context not in new.indexes:
                    new.indexes[context] = ProfileIndex(settings)
                new.indexes[context].add(profile_id, keys)
        new._order()
        return new

    def after(self, generation: GenerationView, profiles: Iterable[str], filters: Iterable[str]) -> TenantProfiles:
        """The same in a later generation, in which these profiles and stored filters are others."""
        new = TenantProfiles(generation, self._kind, self._tenant)
        touched = set(profiles).union(*(self.users.get(filter_id, ()) for filter_id in filters))
        new._chosen = {name: chosen for name, chosen in self._chosen.items() if name not in touched}
        new._conditional = self._conditional
        new.users = dict(self.users)
        out: dict[str, list[tuple[str, list[Key]]]] = {}
        into: dict[str, list[tuple[str, list[Key]]]] = {}
        for profile_id in sorted(touched):
            old = self._kind.get(self._generation, self._tenant, profile_id)
            profile = self._kind.get(generation, self._tenant, profile_id)
            for of, at, where, step in ((old, self, out, -1), (profile, new, into, 1)):
                if of is not None:
                    new._count(of, step)
                    new._name_users(of, step)
                    for context, keys in at._keys(of):
                        where.setdefault(context, []).append((profile_id, keys))
        new.indexes = dict(self.indexes)
        settings = IndexSettings.of(generation, self._kind.section)
        for context in {**out, **into}:
            index = self.indexes.get(context, ProfileIndex(settings)).changed(
                out.get(context, ()), into.get(context, ())
            )
            if index:
                new.indexes[context] = index
            else:
                new.indexes.pop(context, None)
        new._order()
        return new

    def _keys(self, profile: Profile) -> Iterator[tuple[str, list[Key]]]:
        """The profile's keys by context."""
        for context in contexts_of(self._kind, profile):
            hidden = hidden_filters(self._generation, self._kind, self._tenant, context).get(profile.id, ())
            yield context, profile_keys(self._generation, self._tenant, profile.filter_ids, hidden)

    def _count(self, profile: Profile, step: int) -> None:
        """Count the profiles that do not take every event."""
        hidden = self._kind.contexts is None and bool(
            hidden_filters(self._generation, self._kind, self._tenant, NO_CONTEXT)
        )
        if self._kind.contexts is not None or profile.filter_ids or profile.activation_interval or hidden:
            self._conditional += step

    def _name_users(self, profile: Profile, step: int) -> None:
        for filter_id in profile.filter_ids:
            if not is_inline(filter_id):
                ids = set(self.users.get(filter_id, ()))
                ids.add(profile.id) if step > 0 else ids.discard(profile.id)
                self.users[filter_id] = ids

    def _order(self) -> None:
        if not self._conditional:
            chosen = map(self.get, self._kind.ids(self._generation, self._tenant))
            self.unconditional = sorted((one for one in chosen if one is not None), key=lambda one: one.order)

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


class _Tenants:
    """The tenants of one kind in a generation, made when first asked for."""

    __slots__ = ("_generation", "_kind", "_settings", "_tenants")

    def __init__(self, generation: GenerationView, kind: ProfileKind) -> None:
        self._generation = generation.apart()
        self._kind = kind
        self._settings = IndexSettings.of(generation, kind.section)
        self._tenants: dict[str, TenantProfiles] = {}

    def of(self, tenant: str) -> TenantProfiles:
        found = self._tenants.get(tenant)
        if found is None:
            found = self._tenants[tenant] = TenantProfiles.made(self._generation, self._kind, tenant)
        return found

    def after(self, generation: GenerationView, changed: Mapping[str, Collection[str]]) -> _Tenants:
        """The same in a later generation. `changed`: kind of reference data → keys."""
        new = _Tenants(generation, self._kind)
        if changed["hidden_index"] or new._settings != self._settings:
            return new
        profiles, filters = _by_tenant(changed[self._kind.name]), _by_tenant(changed["filter"])
        for tenant, found in self._tenants.items():
            if tenant in profiles or tenant in filters:
                found = found.after(new._generation, profiles.get(tenant, ()), filters.get(tenant, ()))
            new._tenants[tenant] = found
        return new


def _by_tenant(keys: Iterable[str]) -> dict[str, list[str]]:
    out: dict[str, list[str]] = {}
    for key in keys:
        tenant, _, name = key.partition(":")
        out.setdefault(tenant, []).append(name)
    return out


class _Build:
    """How a generation makes the tenants of a kind, and makes them anew after changes."""

    __slots__ = ("_kind",)

    def __init__(self, kind: ProfileKind) -> None:
        self._kind = kind

    def __call__(self, generation: GenerationView) -> _Tenants:
        return _Tenants(generation, self._kind)

    def renewed(self, generation: GenerationView, old: Any, changed: Mapping[str, Collection[str]]) -> _Tenants:
        tenants: _Tenants = old
        return tenants.after(generation, changed)


_BUILDS: dict[str, _Build] = {}  # kind → the key under which a generation keeps its tenants


def profiles_of(kind: ProfileKind, generation: GenerationView, tenant: str) -> TenantProfiles:
    """The tenant's profiles."""
    build = _BUILDS.get(kind.name)
    if build is None:
        build = _BUILDS[kind.name] = _Build(kind)
    return generation.derived(build, kind.name, "filter", "config", "hidden_index").of(tenant)
