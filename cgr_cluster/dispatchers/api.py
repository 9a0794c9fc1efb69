"""Methods on dispatcher profiles and hosts (spec chapter 70, section 7)."""

from __future__ import annotations

from typing import Any

from cgr_cluster.caches.changes import spawn_changed
from cgr_cluster.caches.items import note_object
from cgr_cluster.dispatchers.types import DISPATCHERS, HOST, DispatcherHost, DispatcherProfile, ProfileHost
from cgr_cluster.engine.domain import Part
from cgr_cluster.filters.params import (
    Interval,
    Paginator,
    TenantID,
    TenantIDWithOpts,
    interval_json,
    list_json,
    read_interval,
)
from cgr_cluster.filters.profiles import remove_profile, store_profile
from cgr_cluster.filters.reading import ids_page
from cgr_cluster.rating.answers import number
from cgr_cluster.rpc.errors import ApiError, require
from cgr_cluster.rpc.owners import ANY, LEADER_RULE
from cgr_cluster.rpc.registry import Params, method, service

service("APIerSv1")

NO_PROFILE, NO_HOST = "DSP_PROFILE_NOT_FOUND", "DSP_HOST_NOT_FOUND"


class HostOfProfile(Params, go="engine.DispatcherHostProfile"):
    ID: str = ""
    FilterIDs: list[str] | None = None
    Weight: float = 0.0
    Params: dict[str, Any] | None = None
    Blocker: bool = False


class ProfileParams(Params, go="v1.DispatcherWithAPIOpts"):
    Tenant: str = ""
    ID: str = ""
    Subsystems: list[str] | None = None
    FilterIDs: list[str] | None = None
    ActivationInterval: Interval | None = None
    Strategy: str = ""
    StrategyParams: dict[str, Any] | None = None
    Weight: float = 0.0
    Hosts: list[HostOfProfile | None] | None = None
    APIOpts: dict[str, Any] | None = None


class HostParams(Params, go="engine.DispatcherHostWithAPIOpts"):
    Tenant: str = ""
    ID: str = ""
    Address: str = ""
    Transport: str = ""
    ConnectAttempts: int = 0
    Reconnects: int = 0
    MaxReconnectInterval: int = 0
    ConnectTimeout: int = 0
    ReplyTimeout: int = 0
    TLS: bool = False
    ClientKey: str = ""
    ClientCertificate: str = ""
    CaCertificate: str = ""
    APIOpts: dict[str, Any] | None = None


# --- profiles ----------------------------------------------------------------------------------------------------


@method("APIerSv1.SetDispatcherProfile", owner=LEADER_RULE, changes=True)
def set_dispatcher_profile(part: Part, params: ProfileParams) -> str:
    require(params, "ID")
    hosts = None
    if params.Hosts is not None:
        hosts = tuple(
            ProfileHost(one.ID, tuple(one.FilterIDs or ()), one.Weight, one.Params, one.Blocker)
            for one in params.Hosts
            if one is not None
        )
    profile = DispatcherProfile(
        part.tenant(params.Tenant),
        params.ID,
        tuple(params.Subsystems or ()),
        tuple(params.FilterIDs or ()),
        read_interval(params.ActivationInterval),
        params.Strategy,
        params.StrategyParams,
        params.Weight,
        hosts,
    )
    store_profile(part, DISPATCHERS, profile)
    spawn_changed(part, DISPATCHERS.name, DISPATCHERS.key(profile.tenant, profile.id), params.APIOpts)
    return "OK"


@method("APIerSv1.GetDispatcherProfile", owner=ANY)
def get_dispatcher_profile(part: Part, params: TenantID) -> dict[str, Any]:
    require(params, "ID")
    key = DISPATCHERS.key(part.tenant(params.Tenant), params.ID)
    profile: DispatcherProfile | None = part.generation.get(DISPATCHERS.name, key)
    if profile is None:
        raise ApiError(NO_PROFILE)
    note_object(part, DISPATCHERS.name, key)
    return {
        "Tenant": profile.tenant,
        "ID": profile.id,
        "Subsystems": list_json(profile.subsystems),
        "FilterIDs": list_json(profile.filter_ids),
        "ActivationInterval": interval_json(profile.activation_interval),
        "Strategy": profile.strategy,
        "StrategyParams": profile.strategy_params,
        "Weight": number(profile.weight),
        "Hosts": None if profile.hosts is None else [_host_json(one) for one in profile.hosts],
    }


def _host_json(host: ProfileHost) -> dict[str, Any]:
    return {
        "ID": host.id,
        "FilterIDs": list_json(host.filter_ids),
        "Weight": number(host.weight),
        "Params": host.params,
        "Blocker": host.blocker,
    }


@method("APIerSv1.GetDispatcherProfileIDs", owner=ANY)
def get_dispatcher_profile_ids(part: Part, params: Paginator) -> list[str] | None:
    return ids_page(part, DISPATCHERS.name, params)


@method("APIerSv1.RemoveDispatcherProfile", owner=LEADER_RULE, changes=True)
def remove_dispatcher_profile(part: Part, params: TenantIDWithOpts) -> str:
    require(params, "ID")
    tenant = part.tenant(params.Tenant)
    if DISPATCHERS.get(part.generation, tenant, params.ID) is None:
        raise ApiError(NO_PROFILE)
    remove_profile(part, DISPATCHERS, tenant, params.ID)
    spawn_changed(part, DISPATCHERS.name, DISPATCHERS.key(tenant, params.ID), params.APIOpts, removed=True)
    return "OK"


# --- hosts -------------------------------------------------------------------------------------------------------


@method("APIerSv1.SetDispatcherHost", owner=LEADER_RULE, changes=True)
def set_dispatcher_host(part: Part, params: HostParams) -> str:
    require(params, "ID")
    host = DispatcherHost(
        part.tenant(params.Tenant),
        params.ID,
        params.Address,
        params.Transport,
        params.ConnectAttempts,
        params.Reconnects,
        params.MaxReconnectInterval,
        params.ConnectTimeout,
        params.ReplyTimeout,
        params.TLS,
        params.ClientKey,
        params.ClientCertificate,
        params.CaCertificate,
    )
    key = f"{host.tenant}:{host.id}"
    part.set_reference(HOST, key, host)
    spawn_changed(part, HOST, key, params.APIOpts)
    return "OK"


@method("APIerSv1.GetDispatcherHost", owner=ANY)
def get_dispatcher_host(part: Part, params: TenantID) -> dict[str, Any]:
    require(params, "ID")
    key = f"{part.tenant(params.Tenant)}:{params.ID}"
    host: DispatcherHost | None = part.generation.get(HOST, key)
    if host is None:
        raise ApiError(NO_HOST)
    note_object(part, HOST, key)
    return {
        "Tenant": host.tenant,
        "ID": host.id,
        "Address": host.address,
        "Transport": host.transport,
        "ConnectAttempts": host.connect_attempts,
        "Reconnects": host.reconnects,
        "MaxReconnectInterval": host.max_reconnect_interval_ns,
        "ConnectTimeout": host.connect_timeout_ns,
        "ReplyTimeout": host.reply_timeout_ns,
        "TLS": host.tls,
        "ClientKey": host.client_key,
        "ClientCertificate": host.client_certificate,
        "CaCertificate": host.ca_certificate,
    }


@method("APIerSv1.GetDispatcherHostIDs", owner=ANY)
def get_dispatcher_host_ids(part: Part, params: Paginator) -> list[str] | None:
    return ids_page(part, HOST, params)


@method("APIerSv1.RemoveDispatcherHost", owner=LEADER_RULE, changes=True)
def remove_dispatcher_host(part: Part, params: TenantIDWithOpts) -> str:
    require(params, "ID")
    key = f"{part.tenant(params.Tenant)}:{params.ID}"
    if part.generation.get(HOST, key) is None:
        raise ApiError(NO_HOST)
    part.remove_reference(HOST, key)
    spawn_changed(part, HOST, key, params.APIOpts, removed=True)
    return "OK"
