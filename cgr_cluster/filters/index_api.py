"""Methods on filter indexes (spec chapter 50, section 6.5).

Indexes follow from profiles and filters, so there is nothing to compute but what `RemoveFilterIndexes` has taken out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from cgr_cluster.caches.items import note
from cgr_cluster.caches.partitions import INDEXES
from cgr_cluster.engine.domain import GenerationView, Part
from cgr_cluster.filters import profiles
from cgr_cluster.filters.index import key_text, profile_keys
from cgr_cluster.filters.index_items import index_group
from cgr_cluster.filters.inline import is_inline
from cgr_cluster.filters.kinds import ITEM_TYPES, KINDS, WITH_CONTEXT, Profile, ProfileKind
from cgr_cluster.filters.tenant_profiles import NO_CONTEXT, contexts_of, hidden_filters, profiles_of
from cgr_cluster.rpc.errors import missing, not_found, require, server_error
from cgr_cluster.rpc.owners import ANY, LEADER_RULE
from cgr_cluster.rpc.registry import Params, method


class AttrGetFilterIndexes(Params, go="v1.AttrGetFilterIndexes"):
    Tenant: str = ""
    Context: str = ""
    ItemType: str = ""
    FilterType: str = ""
    FilterField: str = ""
    FilterValue: str = ""
    Limit: int | None = None
    Offset: int | None = None


class AttrRemFilterIndexes(Params, go="v1.AttrRemFilterIndexes"):
    Tenant: str = ""
    Context: str = ""
    ItemType: str = ""
    APIOpts: dict[str, Any] | None = None


class ArgsComputeFilterIndexes(Params, go="utils.ArgsComputeFilterIndexes"):
    Tenant: str = ""
    Context: str = ""
    APIOpts: dict[str, Any] | None = None
    AttributeS: bool = False
    ResourceS: bool = False
    StatS: bool = False
    RouteS: bool = False
    ThresholdS: bool = False
    ChargerS: bool = False
    DispatcherS: bool = False


class ArgsComputeFilterIndexIDs(Params, go="utils.ArgsComputeFilterIndexIDs"):
    Tenant: str = ""
    Context: str = ""
    APIOpts: dict[str, Any] | None = None
    AttributeIDs: list[str] | None = None
    ResourceIDs: list[str] | None = None
    StatIDs: list[str] | None = None
    RouteIDs: list[str] | None = None
    ThresholdIDs: list[str] | None = None
    ChargerIDs: list[str] | None = None
    DispatcherIDs: list[str] | None = None


class IndexHealthArgs(Params, go="engine.IndexHealthArgsWith3Ch"):
    """Limits of caches that ours does not need."""


def _asked(params: AttrGetFilterIndexes | AttrRemFilterIndexes) -> tuple[ProfileKind | None, str]:
    """The kind (None: of a subsystem that is not there) and the context. Raises what is missing."""
    require(params, "ItemType")
    if params.ItemType not in WITH_CONTEXT:
        return KINDS.get(params.ItemType), NO_CONTEXT
    if not params.Context:
        raise missing(["Context"])
    return KINDS.get(params.ItemType), params.Context


@method("APIerSv1.GetFilterIndexes", owner=ANY)
def get_filter_indexes(part: Part, params: AttrGetFilterIndexes) -> list[str]:
    kind, context = _asked(params)
    tenant = part.tenant(params.Tenant)
    found: list[str] = []
    if kind is not None:
        index = profiles_of(kind, part.generation, tenant).indexes.get(context)
        found = (
            []
            if index is None
            else [f"{key}:{profile_id}" for key, profile_id in index.listed() if _wanted(params, key)]
        )
    if not found:
        raise not_found()
    found.sort()
    partition, group = INDEXES[params.ItemType].name, index_group(tenant, context)
    for listed in found:
        note(part, partition, f"{group}:{listed.rpartition(':')[0]}", group)
    start = max(params.Offset or 0, 0)
    return found[start : start + params.Limit] if params.Limit and params.Limit > 0 else found[start:]


def _wanted(params: AttrGetFilterIndexes, key: str) -> bool:
    return key.startswith(params.FilterType) and params.FilterField in key and params.FilterValue in key


@method("APIerSv1.RemoveFilterIndexes", owner=LEADER_RULE, changes=True)
def remove_filter_indexes(part: Part, params: AttrRemFilterIndexes) -> str:
    kind, context = _asked(params)
    if kind is not None:
        if kind.item not in _COMPUTED:
            raise server_error(f"indexes of {kind.item} are not removed: no method computes them again")
        profiles.hide(part, kind, part.tenant(params.Tenant), context)
    return "OK"


_COMPUTED = {
    "*thresholds": "Threshold", "*stats": "Stat", "*resources": "Resource", "*routes": "Route", "*attributes": "Attribute",
    "*chargers": "Charger", "*dispatchers": "Dispatcher",
}  # fmt: skip


def _compute(part: Part, tenant: str, context: str, wanted: Callable[[str], bool | list[str] | None]) -> None:
    """Put back what was taken out of the indexes of the kinds for which `wanted` answers True or ids. An empty context
    means all of them."""
    for item, kind in KINDS.items():
        ids = item in _COMPUTED and wanted(_COMPUTED[item])
        if not ids:
            continue
        contexts = (
            [context]
            if context and kind.contexts is not None
            else profiles.hidden_contexts(part.generation, kind, tenant)
        )
        for one in contexts:
            profiles.unhide(part, kind, tenant, one, None if ids is True else ids)


@method("APIerSv1.ComputeFilterIndexes", owner=LEADER_RULE, changes=True)
def compute_filter_indexes(part: Part, params: ArgsComputeFilterIndexes) -> str:
    _compute(part, part.tenant(params.Tenant), params.Context, lambda name: bool(getattr(params, f"{name}S")))
    return "OK"


@method("APIerSv1.ComputeFilterIndexIDs", owner=LEADER_RULE, changes=True)
def compute_filter_index_ids(part: Part, params: ArgsComputeFilterIndexIDs) -> str:
    _compute(part, part.tenant(params.Tenant), params.Context, lambda name: getattr(params, f"{name}IDs"))
    return "OK"


# --- health ------------------------------------------------------------------------------------------------------


def _health(generation: GenerationView, kinds: Iterable[ProfileKind]) -> dict[str, Any]:
    """What is missing: keys that were taken out of indexes, filters that profiles name and that are not there. An index
    cannot name an object that is not there, nor one that does not give the key: these two are always null."""
    missing_indexes: dict[str, list[str]] = {}
    missing_filters: dict[str, list[str]] = {}
    for kind in kinds:
        for key in sorted(generation.keys(kind.name)):
            profile: Profile = generation.get(kind.name, key)
            for name, text in _missing_keys(generation, kind, profile):
                missing_indexes.setdefault(name, []).append(text)
            for filter_id in profile.filter_ids:
                if not is_inline(filter_id) and generation.get("filter", f"{profile.tenant}:{filter_id}") is None:
                    missing_filters.setdefault(f"{profile.tenant}:{filter_id}", []).append(profile.id)
    return {
        "MissingObjects": None,
        "MissingIndexes": missing_indexes or None,
        "BrokenIndexes": None,
        "MissingFilters": missing_filters or None,
    }


def _missing_keys(generation: GenerationView, kind: ProfileKind, profile: Profile) -> Iterator[tuple[str, str]]:
    """(`TENANT[:CONTEXT]:KEY`, profile id) of what RemoveFilterIndexes has taken out."""
    for context in contexts_of(kind, profile):
        head = f"{profile.tenant}:{context}:" if context else f"{profile.tenant}:"
        hidden = hidden_filters(generation, kind, profile.tenant, context).get(profile.id, ())
        if hidden:
            present = profile_keys(generation, profile.tenant, profile.filter_ids, hidden)
            for key in profile_keys(generation, profile.tenant, profile.filter_ids):
                if key not in present:
                    yield f"{head}{key_text(*key)}", profile.id


def _declare_health(name: str, items: tuple[str, ...]) -> None:
    def health(part: Part, params: IndexHealthArgs) -> dict[str, Any]:
        return _health(part.generation, [kind for item, kind in KINDS.items() if item in items])

    method(f"APIerSv1.{name}", owner=ANY)(health)


for _item, _noun in _COMPUTED.items():
    _declare_health(f"Get{_noun}sIndexesHealth", (_item,))
_declare_health("GetReverseFilterHealth", ITEM_TYPES)
