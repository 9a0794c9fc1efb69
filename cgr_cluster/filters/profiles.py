"""Storing and removing profiles of any kind: reference checks and the keeping of indexes (spec chapter 50, sections 5.2, 6.4).

Indexes follow from profiles and filters. Only what `RemoveFilterIndexes` has taken out is remembered (`HiddenIndex`), and
a change puts back what the API's own index upkeep would: keys of added filters, and of filters that have changed.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from cgr_cluster.engine.domain import GenerationView, Part
from cgr_cluster.filters.index import NO_FILTERS, filter_keys, rule_keys
from cgr_cluster.filters.kinds import KINDS, Profile, ProfileKind
from cgr_cluster.filters.lists import check_references
from cgr_cluster.filters.tenant_profiles import HiddenIndex, contexts_of, hidden_filters, hidden_key
from cgr_cluster.filters.types import Filter
from cgr_cluster.rpc.errors import ApiError, not_found, server_error

Hidden = dict[str, tuple[str, ...]]


def store_profile(part: Part, kind: ProfileKind, profile: Any) -> None:
    """Make a profile live. Raises `SERVER_ERROR: broken reference to filter: ...`."""
    try:
        check_references(part.generation, profile.tenant, profile.id, profile.filter_ids)
    except ApiError as error:
        raise server_error(error) from error
    unhide_added(part, kind, profile.tenant, profile.id, profile)
    part.set_reference(kind.name, kind.key(profile.tenant, profile.id), profile)


def remove_profile(part: Part, kind: ProfileKind, tenant: str, profile_id: str) -> Any:
    """Remove a profile; answers it. Raises `NOT_FOUND`."""
    found = kind.get(part.generation, tenant, profile_id)
    if found is None:
        raise not_found()
    unhide_added(part, kind, tenant, profile_id, None)
    part.remove_reference(kind.name, kind.key(tenant, profile_id))
    return found


def unhide_added(part: Part, kind: ProfileKind, tenant: str, profile_id: str, new: Profile | None) -> None:
    """A profile is about to be stored (`new`) or removed (None): what it keeps of its filters stays out of the indexes
    it was taken out of, what is added is in."""
    generation = part.generation
    if not generation.keys("hidden_index"):
        return
    old: Profile | None = kind.get(generation, tenant, profile_id)
    for context in {*contexts_of(kind, old), *contexts_of(kind, new)}:
        hidden = hidden_filters(generation, kind, tenant, context)
        before = hidden.get(profile_id)
        if before is None:
            continue
        after: tuple[str, ...] = ()
        if new is not None and context in contexts_of(kind, new):
            kept = new.filter_ids or (NO_FILTERS,)
            after = tuple(filter_id for filter_id in before if filter_id in kept)
        if after != before:
            _set_hidden(part, kind, tenant, context, {**hidden, profile_id: after})


def unhide_changed(part: Part, changed: Filter) -> None:
    """A stored filter is about to be replaced: where its keys change, all profiles that name it are indexed by them."""
    generation = part.generation
    if not generation.keys("hidden_index"):
        return
    tenant, filter_id = changed.tenant, changed.id
    old = filter_keys(generation, tenant, filter_id)
    if old == [key for rule in changed.rules for key in rule_keys(rule)]:
        return
    for kind in KINDS.values():
        for context in hidden_contexts(generation, kind, tenant):
            hidden = hidden_filters(generation, kind, tenant, context)
            if any(filter_id in filters for filters in hidden.values()):
                left = {key: tuple(f for f in filters if f != filter_id) for key, filters in hidden.items()}
                _set_hidden(part, kind, tenant, context, left)


def hide(part: Part, kind: ProfileKind, tenant: str, context: str) -> None:
    """Take everything out of an index (`RemoveFilterIndexes`)."""
    hidden: Hidden = {}
    for profile_id in kind.ids(part.generation, tenant):
        profile: Profile = kind.get(part.generation, tenant, profile_id)
        if context in contexts_of(kind, profile):
            hidden[profile_id] = profile.filter_ids or (NO_FILTERS,)
    _set_hidden(part, kind, tenant, context, hidden)


def unhide(part: Part, kind: ProfileKind, tenant: str, context: str, ids: Iterable[str] | None) -> None:
    """Compute an index anew: of these profiles, of all for None."""
    hidden = hidden_filters(part.generation, kind, tenant, context)
    if hidden:
        gone = set(hidden if ids is None else ids)
        left = {profile_id: filters for profile_id, filters in hidden.items() if profile_id not in gone}
        _set_hidden(part, kind, tenant, context, left)


def unhide_loaded(part: Part, changed: Iterable[tuple[str, str]]) -> None:
    """A load writes or removes these (kind, key): indexes of the kinds and tenants that it touches are whole again."""
    for key in hidden_keys(part.generation, changed):
        part.remove_reference("hidden_index", key)


def hidden_keys(generation: GenerationView, changed: Iterable[tuple[str, str]]) -> list[str]:
    """Keys of what is hidden in the indexes of these objects' kinds and tenants."""
    if not generation.keys("hidden_index"):
        return []
    by_name = {kind.name: kind for kind in KINDS.values()}
    touched = {(name, key.partition(":")[0]) for name, key in changed if name in by_name}
    return [
        hidden_key(by_name[name], tenant, context)
        for name, tenant in sorted(touched)
        for context in hidden_contexts(generation, by_name[name], tenant)
    ]


def hidden_contexts(generation: GenerationView, kind: ProfileKind, tenant: str) -> list[str]:
    """Contexts of whose index something was taken out."""
    prefix = hidden_key(kind, tenant, "")
    return [key.removeprefix(prefix) for key in generation.keys("hidden_index") if key.startswith(prefix)]


def _set_hidden(part: Part, kind: ProfileKind, tenant: str, context: str, hidden: Hidden) -> None:
    left = {profile_id: filters for profile_id, filters in hidden.items() if filters}
    key = hidden_key(kind, tenant, context)
    if left:
        part.set_reference("hidden_index", key, HiddenIndex(left))
    elif part.generation.get("hidden_index", key) is not None:
        part.remove_reference("hidden_index", key)
