"""Methods of the platform that hold no state of their own: CoreSv1 and ConfigSv1 (spec chapter 70 §2, §3).

The configuration is reference data: kind `config`, one object per section, over the built-in or installed defaults.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from cgr_cluster.config import consistency
from cgr_cluster.config.changes import built_in, changed, parse_text
from cgr_cluster.config.settings import Config
from cgr_cluster.engine.domain import GenerationView, Operation, Part, Steps, outside, reference, sleep, step
from cgr_cluster.engine.owner import LEADER
from cgr_cluster.events.times import in_zone, zone_of
from cgr_cluster.events.values import json_text
from cgr_cluster.rpc.errors import ApiError, require
from cgr_cluster.rpc.owners import LEADER_RULE
from cgr_cluster.rpc.registry import Params, method, service

reference("config")(Any)  # a section is a map, some are lists

service("CoreSv1")
service("ConfigSv1")


# --- CoreSv1 ------------------------------------------------------------------------------------------------------


class DurationArgs(Params, go="utils.DurationArgs"):
    Duration: int = 0
    Tenant: str = ""
    APIOpts: dict[str, Any] | None = None


@method("CoreSv1.Sleep", deadline_s=None)
def core_sleep(op: Operation, params: DurationArgs) -> Steps[str]:
    """OK after `Duration` ns."""
    yield sleep(max(params.Duration, 0))
    return "OK"


class V1StatusParams(Params, go="cores.V1StatusParams"):
    Debug: bool = False
    Timezone: str = ""
    Tenant: str = ""
    APIOpts: dict[str, Any] | None = None


@method("CoreSv1.Status")
def core_status(op: Operation, params: V1StatusParams) -> Steps[dict[str, Any]]:
    """How the process that answers is doing. `caps_allocated` is added by the balancer, which counts the calls."""
    zone = params.Timezone or str(op.generation.config("general").get("default_timezone", ""))
    zone_of(zone)
    status = yield outside("process_status")
    return {
        **status,
        "node_id": op.generation.config("general").get("node_id", ""),
        "running_since": unix_date(int(status["running_since"]), zone),
    }


def unix_date(ns: int, zone: str) -> str:
    """`Tue Nov  4 03:31:24 UTC 2025`, as date(1) prints it."""
    at = datetime.fromtimestamp(in_zone(ns, zone).seconds, zone_of(zone))
    return f"{at:%a %b} {at.day:2d} {at:%H:%M:%S} {at.tzname()} {at.year}"


# --- ConfigSv1 ----------------------------------------------------------------------------------------------------


class SectionWithAPIOpts(Params, go="config.SectionWithAPIOpts"):
    Section: str = ""
    Tenant: str = ""
    APIOpts: dict[str, Any] | None = None


def sections(generation: GenerationView, name: str) -> Config:
    """Section `name`, or all of them for "". Raises ApiError `Invalid section`."""
    if not name:
        return {section: generation.section(section) for section in sorted(built_in())}
    if name not in built_in():
        raise ApiError("Invalid section")
    return {name: generation.section(name)}


@method("ConfigSv1.GetConfig")
def get_config(part: Part, params: SectionWithAPIOpts) -> Config:
    return sections(part.generation, params.Section)


@method("ConfigSv1.GetConfigAsJSON")
def get_config_as_json(part: Part, params: SectionWithAPIOpts) -> str:
    return json_text(sections(part.generation, params.Section))


class SetConfigArgs(Params, go="config.SetConfigArgs"):
    Config: dict[str, Any] | None = None
    DryRun: bool = False
    Tenant: str = ""
    APIOpts: dict[str, Any] | None = None


class SetConfigFromJSONArgs(Params, go="config.SetConfigFromJSONArgs"):
    Config: str = ""
    DryRun: bool = False
    Tenant: str = ""
    APIOpts: dict[str, Any] | None = None


Changes = list[dict[str, Any]]


def merged(current: Config, changes: Changes) -> Config:
    """The sections that `changes` touch, later ones over earlier ones. Raises ApiError."""
    new: Config = {}
    for change in changes:
        new.update(changed({**current, **new}, change))
    return new


@step("config.apply")
def apply_checked(part: Part, changes: Changes, missing: list[str], dry_run: bool) -> str:
    """Merge `changes` into the configuration; every later call sees them. `missing`: folders that are not there."""
    current = sections(part.generation, "")
    new = merged(current, changes)
    consistency.check({**current, **new}, missing)
    if not dry_run:
        for section, values in new.items():
            part.set_reference("config", section, values)
    return "OK"


@step("config.changed")
def tell_changed(part: Part, names: list[str]) -> None:
    """Run the tasks of sections that have changed."""
    for name in names:
        rules = consistency.RULES.get(name)
        if rules is not None and rules.task:
            part.spawn(rules.task)


def apply_changes(op: Operation, changes: Changes, dry_run: bool) -> Steps[str]:
    """Check and apply `changes`; answered when what they start and stop is started and stopped."""
    current = sections(op.generation, "")
    new = merged(current, changes)
    folders = consistency.needed_folders({**current, **new})
    missing: list[str] = (yield outside("missing_folders", folders)) if folders else []
    answer: str = yield apply_checked.at(LEADER, changes, missing, dry_run)
    if not dry_run:
        yield tell_changed.at(LEADER, sorted(new))
    return answer


@method("ConfigSv1.SetConfig", owner=LEADER_RULE, changes=True)
def set_config(op: Operation, params: SetConfigArgs) -> Steps[str]:
    return (yield from apply_changes(op, [params.Config or {}], params.DryRun))


@method("ConfigSv1.SetConfigFromJSON", owner=LEADER_RULE, changes=True)
def set_config_from_json(op: Operation, params: SetConfigFromJSONArgs) -> Steps[str]:
    return (yield from apply_changes(op, [parse_text(params.Config)], params.DryRun))


class ReloadArgs(Params, go="config.ReloadArgs"):
    Path: str = ""
    Section: str = ""
    DryRun: bool = False
    Tenant: str = ""
    APIOpts: dict[str, Any] | None = None


@method("ConfigSv1.ReloadConfig", owner=LEADER_RULE, changes=True, deadline_s=None)
def reload_config(op: Operation, params: ReloadArgs) -> Steps[str]:
    """Read the configuration files below `Path` (in the folder, `*.json` in the order of their names) again."""
    require(params, "Path")
    if params.Section and params.Section not in built_in():
        raise ApiError("Invalid section")
    files: list[str] = yield outside("read_config", params.Path)
    documents = [parse_text(text) for text in files]
    section = params.Section
    chosen = [{name: values for name, values in each.items() if section in ("", name)} for each in documents]
    return (yield from apply_changes(op, chosen, params.DryRun))
