"""AttributeSv1, and the methods on attribute profiles (spec chapter 50, sections 8.2 and 8.5)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cgr_cluster.attributes.answers import processed_json, profile_json
from cgr_cluster.attributes.process import Processed, process_attributes, profile_for
from cgr_cluster.attributes.selection import ATTRIBUTES, CompiledProfile
from cgr_cluster.attributes.settings import attribute_settings
from cgr_cluster.attributes.types import Attribute, AttributeProfile
from cgr_cluster.caches.changes import spawn_changed
from cgr_cluster.engine.domain import Operation, Part, Steps
from cgr_cluster.events.rules import split_value
from cgr_cluster.filters.live import with_live
from cgr_cluster.filters.params import (
    EventParams,
    Interval,
    Paginator,
    TenantIDWithOpts,
    TenantWithOpts,
    event_as_given,
    event_of,
    read_interval,
)
from cgr_cluster.filters.profiles import remove_profile, store_profile
from cgr_cluster.filters.reading import ids_page, profile_asked, profile_count
from cgr_cluster.rpc.errors import ApiError, not_found, require, server_error
from cgr_cluster.rpc.owners import ANY, LEADER_RULE
from cgr_cluster.rpc.registry import Params, method, service

service("AttributeSv1")


# --- events ------------------------------------------------------------------------------------------------------


@method("AttributeSv1.ProcessEvent", owner=ANY)
def process_event(op: Operation, params: EventParams) -> Steps[dict[str, Any]]:
    event = event_of(params, op.tenant(params.Tenant))
    processed: Processed | None = yield from with_live(
        lambda live: process_attributes(op.generation, op.now_ns, event, live=live)
    )
    if processed is None:
        raise not_found()
    return processed_json(processed, processed.event)


@method("AttributeSv1.GetAttributeForEvent", owner=ANY)
def get_attribute_for_event(op: Operation, params: EventParams) -> Steps[dict[str, Any]]:
    event = event_as_given(params, op.tenant(params.Tenant))
    chosen: CompiledProfile | None = yield from with_live(
        lambda live: profile_for(op.generation, op.now_ns, event, live)
    )
    if chosen is None:
        raise not_found()
    return {**profile_json(chosen.profile), "Tenant": event.tenant}  # an inline profile is of the asking tenant


# --- profiles ----------------------------------------------------------------------------------------------------


class RuleParams(Params, go="config.RSRParser"):
    Rules: str = ""


class AttributeParams(Params, go="engine.Attribute"):
    FilterIDs: list[str] | None = None
    Path: str = ""
    Type: str = ""
    Value: list[RuleParams | None] | None = None


class ProfileParams(Params, go="engine.AttributeProfileWithAPIOpts"):
    Tenant: str = ""
    ID: str = ""
    Contexts: list[str] | None = None
    FilterIDs: list[str] | None = None
    ActivationInterval: Interval | None = None
    Attributes: list[AttributeParams | None] | None = None
    Blocker: bool = False
    Weight: float = 0.0
    APIOpts: dict[str, Any] | None = None


class ExternalAttribute(Params, go="engine.ExternalAttribute"):
    FilterIDs: list[str] | None = None
    Path: str = ""
    Type: str = ""
    Value: str = ""


class ExternalProfileParams(Params, go="v2.AttributeWithAPIOpts"):
    Tenant: str = ""
    ID: str = ""
    Contexts: list[str] | None = None
    FilterIDs: list[str] | None = None
    ActivationInterval: Interval | None = None
    Attributes: list[ExternalAttribute | None] | None = None
    Blocker: bool = False
    Weight: float = 0.0
    APIOpts: dict[str, Any] | None = None


@method("APIerSv1.SetAttributeProfile", owner=LEADER_RULE, changes=True)
def set_attribute_profile(part: Part, params: ProfileParams) -> str:
    require(params, "ID", "Attributes")
    attributes = []
    for given in params.Attributes or ():
        given = given or AttributeParams()
        require(given, "Path")
        rules = [rule or RuleParams() for rule in given.Value or ()]
        for rule in rules:
            require(rule, "Rules")
        attributes.append(
            Attribute(given.Path, given.Type, tuple(rule.Rules for rule in rules), tuple(given.FilterIDs or ()))
        )
    return _store(part, params, attributes)


@method("APIerSv2.SetAttributeProfile", owner=LEADER_RULE, changes=True)
def set_attribute_profile_of_texts(part: Part, params: ExternalProfileParams) -> str:
    """Each value is one text, its pieces separated by `general.rsr_separator`."""
    separator = attribute_settings(part.generation).rsr_separator
    attributes = []
    try:
        require(params, "ID", "Attributes")
        for given in params.Attributes or ():
            given = given or ExternalAttribute()
            require(given, "Path")
            require(given, "Value")
            value = split_value(given.Value, separator)
            attributes.append(Attribute(given.Path, given.Type, value, tuple(given.FilterIDs or ())))
    except ApiError as error:
        raise server_error(error) from error
    return _store(part, params, attributes)


def _store(part: Part, params: ProfileParams | ExternalProfileParams, attributes: Sequence[Attribute]) -> str:
    tenant = part.tenant(params.Tenant)
    profile = AttributeProfile(
        tenant,
        params.ID,
        tuple(params.Contexts or ()) or ("*any",),
        tuple(params.FilterIDs or ()),
        read_interval(params.ActivationInterval),
        tuple(attributes),
        params.Blocker,
        params.Weight,
    )
    try:
        CompiledProfile(profile)  # the rules of its values must compile
    except ApiError as error:
        raise server_error(error) from error
    store_profile(part, ATTRIBUTES, profile)
    spawn_changed(part, ATTRIBUTES.name, ATTRIBUTES.key(tenant, params.ID), params.APIOpts)
    return "OK"


@method("APIerSv1.GetAttributeProfile", owner=ANY)
def get_attribute_profile(part: Part, params: TenantIDWithOpts) -> dict[str, Any]:
    return profile_json(profile_asked(part, ATTRIBUTES.name, params))


@method("APIerSv1.GetAttributeProfileIDs", owner=ANY)
def get_attribute_profile_ids(part: Part, params: Paginator) -> list[str] | None:
    return ids_page(part, ATTRIBUTES.name, params)


@method("APIerSv1.GetAttributeProfileCount", owner=ANY)
def get_attribute_profile_count(part: Part, params: TenantWithOpts) -> int:
    return profile_count(part, ATTRIBUTES.name, params)


@method("APIerSv1.RemoveAttributeProfile", owner=LEADER_RULE, changes=True)
def remove_attribute_profile(part: Part, params: TenantIDWithOpts) -> str:
    require(params, "ID")
    tenant = part.tenant(params.Tenant)
    remove_profile(part, ATTRIBUTES, tenant, params.ID)
    spawn_changed(part, ATTRIBUTES.name, ATTRIBUTES.key(tenant, params.ID), params.APIOpts, removed=True)
    return "OK"
