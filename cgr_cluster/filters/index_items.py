"""Items of a filter index, as CacheS knows them: key → ids of the profiles under it (spec chapters 50 §6.5, 70 §4)."""

from __future__ import annotations

from cgr_cluster.engine.domain import GenerationView
from cgr_cluster.filters.kinds import KINDS
from cgr_cluster.filters.tenant_profiles import NO_CONTEXT, profiles_of


def index_group(tenant: str, context: str) -> str:
    """What the keys of an index begin with."""
    return f"{tenant}:{context}" if context else tenant


def index_items(generation: GenerationView, item_type: str, group: str) -> dict[str, list[str]]:
    """Key without its group → ids of profiles; empty when there is no such index."""
    kind = KINDS.get(item_type)
    if kind is None:
        return {}
    tenant, _, context = group.partition(":")
    index = profiles_of(kind, generation, tenant).indexes.get(context or NO_CONTEXT)
    found: dict[str, list[str]] = {}
    for key, profile_id in () if index is None else index.listed():
        found.setdefault(key, []).append(profile_id)
    return found
