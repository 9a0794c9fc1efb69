"""Methods on stored filters (spec chapter 50, section 5.2); those on indexes are registered with them."""

from __future__ import annotations

from typing import Any

import msgspec

from cgr_cluster.caches.changes import spawn_changed
from cgr_cluster.caches.items import note_object
from cgr_cluster.engine.domain import GenerationView, Part
from cgr_cluster.events.values import json_text
from cgr_cluster.filters import index_api as index_api
from cgr_cluster.filters.inline import is_inline, parse_inline
from cgr_cluster.filters.kinds import KINDS
from cgr_cluster.filters.lists import check_filter
from cgr_cluster.filters.params import (
    Interval,
    Paginator,
    TenantID,
    TenantIDWithOpts,
    interval_json,
    read_interval,
)
from cgr_cluster.filters.profiles import unhide_changed
from cgr_cluster.filters.reading import ids_page
from cgr_cluster.filters.tenant_profiles import profiles_of
from cgr_cluster.filters.types import Filter, Rule
from cgr_cluster.rpc.errors import ApiError, not_found, require, server_error
from cgr_cluster.rpc.owners import ANY, LEADER_RULE
from cgr_cluster.rpc.registry import Params, method


class FilterRule(msgspec.Struct, gc=False):
    Type: str = ""
    Element: str = ""
    Values: list[str] | None = None


class FilterParams(Params, go="engine.FilterWithAPIOpts"):
    Tenant: str = ""
    ID: str = ""
    Rules: list[FilterRule] | None = None
    ActivationInterval: Interval | None = None
    APIOpts: dict[str, Any] | None = None


@method("APIerSv1.SetFilter", owner=LEADER_RULE, changes=True)
def set_filter(part: Part, params: FilterParams) -> str:
    require(params, "ID")
    tenant = part.tenant(params.Tenant)
    made = Filter(
        tenant,
        params.ID,
        tuple(Rule(rule.Type, rule.Element, tuple(rule.Values or ())) for rule in params.Rules or ()),
        read_interval(params.ActivationInterval),
    )
    try:
        check_filter(made)
    except ApiError as error:
        raise server_error(error) from error
    unhide_changed(part, made)
    part.set_reference("filter", f"{tenant}:{params.ID}", made)
    spawn_changed(part, "filter", f"{tenant}:{params.ID}", params.APIOpts)
    return "OK"


@method("APIerSv1.GetFilter", owner=ANY)
def get_filter(part: Part, params: TenantID) -> dict[str, Any]:
    require(params, "ID")
    tenant = part.tenant(params.Tenant)
    if is_inline(params.ID):
        try:
            return filter_json(parse_inline(tenant, params.ID))
        except ApiError as error:
            raise server_error(error) from error
    found = part.generation.get("filter", f"{tenant}:{params.ID}")
    if found is None:
        raise not_found()
    note_object(part, "filter", f"{tenant}:{params.ID}")
    return filter_json(found)


@method("APIerSv1.GetFilterIDs", owner=ANY)
def get_filter_ids(part: Part, params: Paginator) -> list[str] | None:
    return ids_page(part, "filter", params)


@method("APIerSv1.RemoveFilter", owner=LEADER_RULE, changes=True)
def remove_filter(part: Part, params: TenantIDWithOpts) -> str:
    require(params, "ID")
    tenant = part.tenant(params.Tenant)
    key = f"{tenant}:{params.ID}"
    if part.generation.get("filter", key) is None:
        raise not_found()
    users = users_of(part.generation, tenant, params.ID)
    if users:
        raise server_error(
            f"cannot remove filter <{key}> because will broken the reference to following items: {json_text(users)}"
        )
    part.remove_reference("filter", key)
    spawn_changed(part, "filter", key, params.APIOpts, removed=True)
    return "OK"


def users_of(generation: GenerationView, tenant: str, filter_id: str) -> dict[str, dict[str, dict[str, Any]]]:
    """Index name → profile id → {} of the profiles that name a filter."""
    users: dict[str, dict[str, dict[str, Any]]] = {}
    for kind in KINDS.values():
        for profile_id in profiles_of(kind, generation, tenant).users.get(filter_id, ()):
            users.setdefault(kind.user_name, {})[profile_id] = {}
    return users


def filter_json(found: Filter) -> dict[str, Any]:
    return {
        "Tenant": found.tenant,
        "ID": found.id,
        "Rules": [{"Type": rule.type, "Element": rule.element, "Values": list(rule.values)} for rule in found.rules],
        "ActivationInterval": interval_json(found.activation_interval),
    }
