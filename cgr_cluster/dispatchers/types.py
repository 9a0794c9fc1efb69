"""Dispatcher profiles and hosts (spec chapter 70, section 7). They are kept and shown: calls are routed by the balancer."""

from __future__ import annotations

from typing import Any

import msgspec

from cgr_cluster.engine.domain import reference
from cgr_cluster.filters.kinds import profile_kind
from cgr_cluster.filters.types import ActivationInterval

HOST = "dispatcher_host"


class ProfileHost(msgspec.Struct, frozen=True, gc=False):
    """A host of a profile. `params`: as they were given, None: not."""

    id: str
    filter_ids: tuple[str, ...] = ()
    weight: float = 0.0
    params: dict[str, Any] | None = None
    blocker: bool = False


@reference("dispatcher_profile")
class DispatcherProfile(msgspec.Struct, frozen=True, gc=False):
    """The key is `TENANT:ID`. `hosts` None: none were given."""

    tenant: str
    id: str
    subsystems: tuple[str, ...] = ()
    filter_ids: tuple[str, ...] = ()
    activation_interval: ActivationInterval | None = None
    strategy: str = ""
    strategy_params: dict[str, Any] | None = None
    weight: float = 0.0
    hosts: tuple[ProfileHost, ...] | None = None


@reference(HOST)
class DispatcherHost(msgspec.Struct, frozen=True, gc=False):
    """The key is `TENANT:ID`. Durations are nanoseconds."""

    tenant: str
    id: str
    address: str = ""
    transport: str = ""
    connect_attempts: int = 0
    reconnects: int = 0
    max_reconnect_interval_ns: int = 0
    connect_timeout_ns: int = 0
    reply_timeout_ns: int = 0
    tls: bool = False
    client_key: str = ""
    client_certificate: str = ""
    ca_certificate: str = ""


def _subsystems(profile: DispatcherProfile) -> tuple[str, ...]:
    return profile.subsystems


DISPATCHERS = profile_kind("dispatcher_profile", "*dispatchers", "dispatchers", contexts=_subsystems)
