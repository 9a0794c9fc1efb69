"""Methods on stored filters (spec chapter 50, section 5.2)."""

from __future__ import annotations

from typing import Any

import msgspec

from cgr_cluster.engine.domain import GenerationView, Part
from cgr_cluster.events.instant import ZERO, Instant
from cgr_cluster.events.times import format_instant
from cgr_cluster.events.values import json_text
from cgr_cluster.filters.inline import is_inline, parse_inline
from cgr_cluster.filters.lists import check_filter
from cgr_cluster.filters.types import ActivationInterval, Filter, Rule
from cgr_cluster.rpc.errors import ApiError, not_found, require, server_error
from cgr_cluster.rpc.owners import ANY, LEADER_RULE
from cgr_cluster.rpc.registry import Params, method

# Reference kinds whose profiles name filters, and what RemoveFilter calls their indexes.
USERS = {"attribute_profile": "*attribute_filter_indexes", "charger": "*charger_filter_indexes"}


class FilterRule(msgspec.Struct, gc=False):
    Type: str = ""
    Element: str = ""
    Values: list[str] | None = None


class Interval(msgspec.Struct, gc=False):
    ActivationTime: Instant | None = None
    ExpiryTime: Instant | None = None


class FilterParams(Params, go="engine.FilterWithAPIOpts"):
    Tenant: str = ""
    ID: str = ""
    Rules: list[FilterRule] | None = None
    ActivationInterval: Interval | None = None


class TenantID(Params, go="utils.TenantID"):
    Tenant: str = ""
    ID: str = ""


class TenantIDWithOpts(Params, go="utils.TenantIDWithAPIOpts"):
    Tenant: str = ""
    ID: str = ""


class Paginator(Params, go="utils.PaginatorWithTenant"):
    Tenant: str = ""
    Limit: int | None = None
    Offset: int | None = None
    Search: str = ""


@method("APIerSv1.SetFilter", owner=LEADER_RULE, changes=True)
def set_filter(part: Part, params: FilterParams) -> str:
    require(params, "ID")
    tenant = part.tenant(params.Tenant)
    interval = params.ActivationInterval
    made = Filter(
        tenant,
        params.ID,
        tuple(Rule(rule.Type, rule.Element, tuple(rule.Values or ())) for rule in params.Rules or ()),
        None if interval is None else ActivationInterval(interval.ActivationTime or ZERO, interval.ExpiryTime or ZERO),
    )
    try:
        check_filter(made)
    except ApiError as error:
        raise server_error(error) from error
    part.set_reference("filter", f"{tenant}:{params.ID}", made)
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
    return filter_json(found)


@method("APIerSv1.GetFilterIDs", owner=ANY)
def get_filter_ids(part: Part, params: Paginator) -> list[str] | None:
    prefix = f"{part.tenant(params.Tenant)}:"
    ids = sorted(key.removeprefix(prefix) for key in part.generation.keys("filter") if key.startswith(prefix))
    ids = [filter_id for filter_id in ids if params.Search in filter_id]
    if not ids:
        raise not_found()
    offset = params.Offset or 0
    if offset >= len(ids):
        return None
    return ids[offset : offset + params.Limit] if params.Limit else ids[offset:]


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
    return "OK"


def users_of(generation: GenerationView, tenant: str, filter_id: str) -> dict[str, dict[str, dict[str, Any]]]:
    """Index name → profile id → {} of the profiles that name a filter."""
    users: dict[str, dict[str, dict[str, Any]]] = {}
    for kind, index_name in USERS.items():
        for key in generation.keys(kind):
            profile = generation.get(kind, key)
            if profile.tenant == tenant and filter_id in profile.filter_ids:
                users.setdefault(index_name, {})[profile.id] = {}
    return users


def filter_json(found: Filter) -> dict[str, Any]:
    interval = found.activation_interval
    return {
        "Tenant": found.tenant,
        "ID": found.id,
        "Rules": [{"Type": rule.type, "Element": rule.element, "Values": list(rule.values)} for rule in found.rules],
        "ActivationInterval": None
        if interval is None
        else {
            "ActivationTime": format_instant(interval.activation_time),
            "ExpiryTime": format_instant(interval.expiry_time),
        },
    }
