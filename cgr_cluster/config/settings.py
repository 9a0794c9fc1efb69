"""Configuration (design 12): CGRateS's section and key names, as TOML, over built-in defaults.

Unknown sections and keys and values of a wrong type are errors that name the key, the value and what is accepted. The
result is a map section → key → value, spelt as in config.json; it is reference data, so that run-time changes
(ConfigSv1.SetConfig) are changesets like all others.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from importlib import resources
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Config = dict[str, dict[str, Any]]

# Maps whose keys the user chooses: any key is accepted there.
OPEN_MAPS = {
    ("rals", "max_computed_usage"), ("rals", "balance_rating_subject"), ("sessions", "default_usage"), ("http", "auth_users"),
    ("caches", "partitions"), ("rpc_conns",), ("templates",),
}  # fmt: skip


class ConfigError(Exception):
    """A configuration that cannot be used; the text names the file, the key, the value and what is accepted."""


def defaults() -> Config:
    """Everything enabled and connected, as the recordings' configuration (spec/config.json)."""
    text = resources.files("cgr_cluster.rpc").joinpath("data/config.json").read_text()
    config: Config = json.loads(text)
    return config


def ephemeral() -> Config:
    """The configuration of `run --ephemeral`: exactly that of the recordings (conformance README)."""
    return defaults()


def installed(path: str | None) -> Config:
    """The configuration of an installation: defaults, this host's name as node id, and the TOML file `path` over them.

    Raises ConfigError."""
    config = defaults()
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
        if not isinstance(values, dict):
            raise ConfigError(f"{source}: {section} = {values!r} must be a table of keys")
        _merge(config[section], values, (section,), source)


def _merge(into: dict[str, Any], values: dict[str, Any], path: tuple[str, ...], source: str) -> None:
    for key, value in values.items():
        here = (*path, key)
        name = ".".join(here)
        if key not in into and path not in OPEN_MAPS and (path[0],) not in OPEN_MAPS:
            raise ConfigError(f"{source}: unknown key {name}; [{'.'.join(path)}] has: {', '.join(sorted(into))}")
        old = into.get(key)
        if isinstance(old, dict) and isinstance(value, dict):
            _merge(old, value, here, source)
            continue
        wanted = _kind(old)
        if old is not None and _kind(value) != wanted and not (wanted == "number" and isinstance(value, int)):
            raise ConfigError(
                f"{source}: {name} = {value!r} is a {_kind(value)}; a {wanted} such as {old!r} is accepted"
            )
        into[key] = value


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, (int, float)):
        return "number"
    if isinstance(value, str):
        return "text"
    if isinstance(value, list):
        return "list"
    return "table"


def check(config: Config, source: str) -> None:
    """What holds between values. Raises ConfigError."""
    decimals = config["general"].get("rounding_decimals", 5)
    if not 0 <= decimals <= 9:
        raise ConfigError(
            f"{source}: general.rounding_decimals = {decimals} must be between 0 and 9 (amounts have 9 decimals)"
        )
    strategy = config.get("cores", {}).get("caps_strategy", "*busy")
    if strategy not in ("*busy", "*queue"):
        raise ConfigError(f"{source}: cores.caps_strategy = {strategy!r}; *busy or *queue is accepted")
