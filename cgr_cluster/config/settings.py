"""Configuration (design 12): CGRateS's section and key names, as TOML, over built-in defaults.

Unknown sections and keys and values of a wrong type or form are errors that name the key, the value and what is
accepted. The result is a map section → key → value, spelt as in config.json; it is reference data, so that run-time
changes (ConfigSv1.SetConfig) are changesets like all others. What has an effect is listed in docs/configuration.md.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from importlib import resources
from pathlib import Path
from typing import Any

from cgr_cluster.config import cluster
from cgr_cluster.config.value_checks import check_values

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Config = dict[str, dict[str, Any]]

# Maps whose keys the user chooses: any key is accepted there.
OPEN_MAPS = {
    ("rals", "max_computed_usage"), ("rals", "balance_rating_subject"), ("sessions", "default_usage"), ("http", "auth_users"),
    ("caches", "partitions"), ("ees", "cache"), ("rpc_conns",), ("templates",),
}  # fmt: skip


class ConfigError(Exception):
    """A configuration that cannot be used; the text names the file, the key, the value and what is accepted."""


# Keys that are not in the defaults: unset means something that no value says (all fields; the TTL itself).
UNSET = {
    "attributes": ("string_indexed_fields",), "chargers": ("string_indexed_fields",),
    "thresholds": ("string_indexed_fields",), "stats": ("string_indexed_fields",),
    "resources": ("string_indexed_fields",),
    "routes": ("string_indexed_fields",),
    "sessions": ("session_ttl_max_delay", "session_ttl_last_used", "session_ttl_usage", "session_last_usage"),
}  # fmt: skip


def defaults() -> Config:
    """Everything enabled and connected, as the recordings' configuration (spec/config.json)."""
    text = resources.files("cgr_cluster.rpc").joinpath("data/config.json").read_text()
    config: Config = json.loads(text)
    config["templates"] = {}  # named lists of field templates
    return config


def ephemeral() -> Config:
    """The configuration of `run --ephemeral`: exactly that of the recordings (conformance README)."""
    return defaults()


def installed(path: str | None) -> Config:
    """The configuration of an installation: defaults, this host's name as node id, section `cluster`, and the TOML file
    `path` over them.

    Raises ConfigError."""
    config = defaults()
    config["cluster"] = dict(cluster.DEFAULTS)
    config["general"]["node_id"] = socket.gethostname()
    config["general"]["default_timezone"] = local_zone(str(config["general"].get("default_timezone", "Local")))
    if path is not None:
        overlay(config, read(path), path)
    check(config, path or "built-in configuration")
    return config


def local_zone(name: str) -> str:
    """`Local` becomes a named zone, once (design 10)."""
    if name != "Local":
        return name
    zone = os.environ.get("TZ", "").lstrip(":")
    if zone:
        return zone
    link = Path("/etc/localtime")
    try:
        target = str(link.resolve())
    except OSError:
        return "UTC"
    _, found, rest = target.partition("zoneinfo/")
    return rest if found else "UTC"


def read(path: str) -> dict[str, Any]:
    try:
        document: dict[str, Any] = tomllib.loads(Path(path).read_text())
        return document
    except OSError as error:
        raise ConfigError(f"configuration file {path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"configuration file {path}: {error}") from None


def overlay(config: Config, changes: dict[str, Any], source: str) -> None:
    """Merge `changes` member by member into `config`; lists and plain values are replaced. Raises ConfigError."""
    for section, values in changes.items():
        if section not in config:
            raise ConfigError(f"{source}: unknown section [{section}]; there are: {', '.join(sorted(config))}")
        if _kind(values) != _kind(config[section]):
            raise _wrong_kind(source, section, values, config[section])
        if isinstance(values, dict):
            _merge(config[section], values, (section,), source)
        else:
            config[section] = values


def _merge(into: dict[str, Any], values: dict[str, Any], path: tuple[str, ...], source: str) -> None:
    for key, value in values.items():
        here = (*path, key)
        name = ".".join(here)
        unset = UNSET.get(path[0], ()) if len(path) == 1 else ()
        if key not in into and key not in unset and path[:2] not in OPEN_MAPS and (path[0],) not in OPEN_MAPS:
            known = sorted({*into, *unset})
            raise ConfigError(f"{source}: unknown key {name}; [{'.'.join(path)}] has: {', '.join(known)}")
        old = into.get(key)
        if isinstance(old, dict) and isinstance(value, dict):
            _merge(old, value, here, source)
            continue
        if old is not None and _kind(value) != _kind(old):
            raise _wrong_kind(source, name, value, old)
        into[key] = value


def _wrong_kind(source: str, name: str, value: Any, old: Any) -> ConfigError:
    such = f" such as {old!r}" if old not in ({}, []) and len(repr(old)) < 80 else ""
    return ConfigError(f"{source}: {name} = {value!r} is a {_kind(value)}; a {_kind(old)}{such} is accepted")


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, (int, float)):
        return "number"
    if isinstance(value, str):
        return "text"
    if isinstance(value, list):
        return "list"
    return "table" if isinstance(value, dict) else type(value).__name__


def check(config: Config, source: str) -> None:
    """The form of values and what holds between them. Raises ConfigError."""
    try:
        check_values(config)
    except ValueError as error:
        raise ConfigError(f"{source}: {error}") from None
