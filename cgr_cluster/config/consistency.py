"""What must hold between configured values, folders and services, beyond the form of each value (spec 40 §9). Checked when
a node starts and before a change is applied; the first fault is the error. Packages that have such rules register them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import NamedTuple

from cgr_cluster.config.settings import Config
from cgr_cluster.rpc.errors import ApiError


class Rules(NamedTuple):
    """Rules of one section. `folders`: those that must exist; `check`: the whole configuration and which of these are
    missing, raises ApiError; `task`: what is run, and waited for, when the section has changed ("": nothing)."""

    section: str
    folders: Callable[[Config], list[str]]
    check: Callable[[Config, Collection[str]], None]
    task: str = ""


RULES: dict[str, Rules] = {}

# key of connections → section and name of the service that they lead to
_SERVICES = {
    "attributes_conns": ("attributes", "AttributeS"), "apiers_conns": ("apiers", "ApierS"), "cdrs_conns": ("cdrs", "CDRs"),
    "chargers_conns": ("chargers", "ChargerS"), "ees_conns": ("ees", "EEs"), "ips_conns": ("ips", "IPs"),
    "rals_conns": ("rals", "RALs"), "rankings_conns": ("rankings", "RankingS"), "resources_conns": ("resources", "ResourceS"),
    "routes_conns": ("routes", "RouteS"), "scheduler_conns": ("schedulers", "SchedulerS"),
    "sessions_conns": ("sessions", "SessionS"), "stats_conns": ("stats", "StatS"),
    "thresholds_conns": ("thresholds", "ThresholdS"), "trends_conns": ("trends", "TrendS"),
}  # fmt: skip
_INTERNAL = ("*internal", "*birpc_internal")


def register(rules: Rules) -> None:
    RULES[rules.section] = rules


def needed_folders(config: Config) -> list[str]:
    """All folders whose existence `check` wants to know."""
    return [folder for rules in RULES.values() for folder in rules.folders(config)]


def check(config: Config, missing: Collection[str]) -> None:
    """Raises ApiError with the first fault; `missing`: which of `needed_folders` are not there."""
    for rules in RULES.values():
        rules.check(config, missing)


def check_connections(config: Config, section: str, component: str) -> None:
    """The connections of a section (`*_conns`). Raises `<EEs> not enabled but requested by <CDRs> component` and `<CDRs>
    connection with id: <X> not defined`; `component` is the section's name there."""
    for key, values in config.get(section, {}).items():
        known = _SERVICES.get(key)
        if known is None or not isinstance(values, list):
            continue
        target, name = known
        for value in values:
            if value in _INTERNAL:
                if not config.get(target, {}).get("enabled"):
                    raise ApiError(f"<{name}> not enabled but requested by <{component}> component")
            elif value not in config.get("rpc_conns", {}):
                raise ApiError(f"<{component}> connection with id: <{value}> not defined")
