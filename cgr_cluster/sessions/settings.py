"""The configuration of sessions, read once per generation (spec 30.15)."""

from __future__ import annotations

from typing import Any

import msgspec

from cgr_cluster.engine.domain import GenerationView
from cgr_cluster.events.durations import parse_duration
from cgr_cluster.events.values import text_of


class SessionSettings(msgspec.Struct, frozen=True):
    """Section `sessions` of the configuration and what sessions take from `general`; durations in nanoseconds."""

    default_usage_ns: dict[str, int]
    debit_interval_ns: int
    ttl_ns: int
    ttl_max_delay_ns: int
    ttl_last_used_ns: int | None
    ttl_usage_ns: int | None
    ttl_last_usage_ns: int | None
    alterable_fields: tuple[str, ...]
    min_dur_low_balance_ns: int
    terminate_attempts: int
    client_protocol: float
    channel_sync_interval_ns: int
    channel_sync_timeout_ns: int
    stale_chan_max_extra_usage_ns: int
    reply_timeout_ns: int
    store_session_costs: bool
    attributes_connected: bool
    chargers_connected: bool
    thresholds_connected: bool
    stats_connected: bool
    resources_connected: bool
    ips_connected: bool
    routes_connected: bool
    cdrs_connected: bool
    digest_equal: str
    digest_separator: str
    scheduler_connected: bool
    node_id: str
    default_category: str
    zone: str

    def usage_of_tor(self, tor: str) -> int:
        """Default usage of a ToR: an empty one takes `*any`, an unknown one 0 (30.2)."""
        return self.default_usage_ns.get(tor or "*any", 0)


def _read(generation: GenerationView) -> SessionSettings:
    config = generation.config("sessions")
    general = generation.config("general")

    def duration(name: str) -> int:
        return parse_duration(text_of(config.get(name, "")))

    def optional(name: str) -> int | None:
        return duration(name) if text_of(config.get(name)) else None

    usages: dict[str, Any] = config.get("default_usage") or {}
    built_in = {"*voice": "3h", "*data": "1048576", "*sms": "1", "*any": "3h"}
    return SessionSettings(
        default_usage_ns={tor: parse_duration(text_of(usage)) for tor, usage in {**built_in, **usages}.items()},
        debit_interval_ns=duration("debit_interval"),
        ttl_ns=duration("session_ttl"),
        ttl_max_delay_ns=duration("session_ttl_max_delay"),
        ttl_last_used_ns=optional("session_ttl_last_used"),
        ttl_usage_ns=optional("session_ttl_usage"),
        ttl_last_usage_ns=optional("session_last_usage"),
        alterable_fields=tuple(config.get("alterable_fields") or ()),
        min_dur_low_balance_ns=duration("min_dur_low_balance"),
        terminate_attempts=int(config.get("terminate_attempts") or 5),
        client_protocol=float(config.get("client_protocol") or 0),
        channel_sync_interval_ns=duration("channel_sync_interval"),
        channel_sync_timeout_ns=parse_duration(text_of(config.get("channel_sync_timeout")) or "60s"),
        stale_chan_max_extra_usage_ns=duration("stale_chan_max_extra_usage"),
        reply_timeout_ns=parse_duration(text_of(general.get("reply_timeout")) or "2s"),
        store_session_costs=bool(config.get("store_session_costs")),
        attributes_connected=bool(config.get("attributes_conns", True)),
        chargers_connected=bool(config.get("chargers_conns", True)),
        thresholds_connected=bool(config.get("thresholds_conns", True)),
        stats_connected=bool(config.get("stats_conns", True)),
        resources_connected=bool(config.get("resources_conns", True)),
        ips_connected=bool(config.get("ips_conns")),
        routes_connected=bool(config.get("routes_conns", True)),
        cdrs_connected=bool(config.get("cdrs_conns", True)),
        digest_equal=text_of(general.get("digest_equal", ":")),
        digest_separator=text_of(general.get("digest_separator", ",")),
        scheduler_connected=bool(config.get("scheduler_conns")),
        node_id=text_of(general.get("node_id", "")),
        default_category=text_of(general.get("default_category", "call")),
        zone=text_of(general.get("default_timezone", "UTC")),
    )


def session_settings(generation: GenerationView) -> SessionSettings:
    return generation.derived(_read, "config")
