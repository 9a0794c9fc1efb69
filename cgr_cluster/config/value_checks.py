"""The form of configuration values that have an effect: durations, whole numbers, addresses, zones. A table of checks.

Each check raises ValueError with `section.key = value` and what is accepted.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from typing import Any

from cgr_cluster.cluster.shard_map import MAX_WORKERS
from cgr_cluster.events.durations import parse_duration
from cgr_cluster.events.times import zone_of
from cgr_cluster.rpc.errors import ApiError

MIN_SEGMENT_BYTES = 4 << 20

Check = Callable[[str, Any], None]


def duration(name: str, value: Any) -> None:
    try:
        if isinstance(value, str):
            parse_duration(value)
            return
    except ApiError:
        pass
    raise ValueError(f'{name} = {value!r} is no duration; a text such as "90s", "1h30m", "250ms" or "0" is accepted')


def durations(name: str, value: Any) -> None:
    """A table of them: usages by type of record."""
    for key, text in value.items():
        duration(f"{name}.{key}", text)


def positive_duration(name: str, value: Any) -> None:
    duration(name, value)
    if parse_duration(value) <= 0:
        raise ValueError(f'{name} = {value!r}; more than 0 is needed, such as "60s"')


def whole(least: int, most: int | None = None) -> Check:
    def check(name: str, value: Any) -> None:
        if not isinstance(value, int) or value < least or (most is not None and value > most):
            wanted = f"{least} or more" if most is None else f"{least} to {most}"
            raise ValueError(f"{name} = {value!r}; a whole number, {wanted}, is accepted")

    return check


def one_of(*accepted: str) -> Check:
    def check(name: str, value: Any) -> None:
        if value not in accepted:
            raise ValueError(f"{name} = {value!r}; {' or '.join(accepted)} is accepted")

    return check


def address(name: str, value: Any) -> None:
    if value:
        port = value.rpartition(":")[2]
        if ":" not in value or not port.isdigit() or not 0 < int(port) < 65536:
            raise ValueError(f'{name} = {value!r}; HOST:PORT such as "127.0.0.1:2012" is accepted, "" switches it off')


def zone(name: str, value: Any) -> None:
    try:
        zone_of(value)
    except ApiError:
        raise ValueError(f'{name} = {value!r} is no time zone; a name such as "Europe/Berlin" is accepted') from None


def filled(name: str, value: Any) -> None:
    if not value:
        raise ValueError(f"{name} = {value!r} must not be empty")


def path(name: str, value: Any) -> None:
    if not value.startswith("/"):
        raise ValueError(f'{name} = {value!r}; a path such as "/jsonrpc" is accepted')


def texts(name: str, value: Any) -> None:
    for each in value:
        if not isinstance(each, str):
            raise ValueError(f"{name} has {each!r}; a list of texts is accepted")


def passwords(name: str, value: Any) -> None:
    for user, text in value.items():
        try:
            base64.b64decode(text, validate=True)
        except (TypeError, ValueError, binascii.Error):
            raise ValueError(f"{name}.{user} must be the password in base64") from None


def partitions(name: str, value: Any) -> None:
    """The partitions of the caches: how many items (0: none, -1: any number), and for how long."""
    for partition, settings in value.items():
        if not isinstance(settings, dict):
            raise ValueError(f'{name}.{partition} = {settings!r}; a table such as {{"limit": -1}} is accepted')
        whole(-1)(f"{name}.{partition}.limit", settings.get("limit", -1))
        if settings.get("ttl"):
            duration(f"{name}.{partition}.ttl", settings["ttl"])


CHECKS: dict[tuple[str, str], Check] = {
    ("general", "default_tenant"): filled,
    ("general", "default_timezone"): zone,
    ("general", "rounding_decimals"): whole(0, 9),  # amounts have 9 decimals
    ("listen", "rpc_json"): address,
    ("listen", "http"): address,
    ("listen", "birpc_json"): address,
    ("http", "json_rpc_url"): path,
    ("http", "ws_url"): path,
    ("http", "auth_users"): passwords,
    ("prometheus_agent", "path"): path,
    ("prometheus_agent", "stat_queue_ids"): texts,
    ("prometheus_agent", "cache_ids"): texts,
    ("cores", "caps"): whole(0),
    ("cores", "caps_strategy"): one_of("*busy", "*queue"),
    ("cores", "caps_stats_interval"): duration,
    ("caches", "partitions"): partitions,
    ("rals", "max_computed_usage"): durations,
    ("rals", "fallback_depth"): whole(0),
    ("schedulers", "dynaprepaid_actionplans"): texts,
    ("schedulers", "filters"): texts,
    ("cdrs", "session_cost_retries"): whole(0),
    ("cdrs", "online_cdr_exports"): texts,
    ("cdrs", "extra_fields"): texts,
    ("ers", "sessions_conns"): texts,
    ("ers", "ees_conns"): texts,
    ("ees", "attributes_conns"): texts,
    ("cdrs", "ees_conns"): texts,
    ("apiers", "ees_conns"): texts,
    ("ers", "concurrent_events"): whole(0),
    ("ers", "partial_cache_ttl"): duration,
    ("sessions", "alterable_fields"): texts,
    ("sessions", "debit_interval"): duration,
    ("sessions", "default_usage"): durations,
    ("sessions", "min_dur_low_balance"): duration,
    ("sessions", "session_ttl"): duration,
    ("sessions", "session_ttl_max_delay"): duration,
    ("sessions", "session_ttl_last_used"): duration,
    ("sessions", "session_ttl_usage"): duration,
    ("sessions", "session_last_usage"): duration,
    ("sessions", "channel_sync_interval"): duration,
    ("sessions", "channel_sync_timeout"): duration,
    ("sessions", "stale_chan_max_extra_usage"): duration,
    ("sessions", "terminate_attempts"): whole(1),
    ("cluster", "data_dir"): filled,
    ("cluster", "workers"): whole(0, MAX_WORKERS),
    ("cluster", "segment_bytes"): whole(MIN_SEGMENT_BYTES),
    ("cluster", "low_disk_bytes"): whole(0),
    ("cluster", "fold_interval"): positive_duration,
    ("cluster", "fold_log_bytes"): whole(MIN_SEGMENT_BYTES),
    ("cluster", "short_lived"): positive_duration,
}  # fmt: skip


def check_values(config: dict[str, dict[str, Any]]) -> None:
    """Check the sections that are there. Raises ValueError for the first value of a wrong form."""
    for (section, key), check in CHECKS.items():
        value = config.get(section, {}).get(key)
        if value is not None:
            check(f"{section}.{key}", value)
