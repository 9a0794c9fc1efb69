"""What must hold in the configuration of exporters, and of who sends to them (spec 40 §9)."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from cgr_cluster.config import consistency
from cgr_cluster.config.settings import Config
from cgr_cluster.events.cron import parse_cron
from cgr_cluster.events.durations import parse_duration
from cgr_cluster.events.times import zone_of
from cgr_cluster.events.values import text_of
from cgr_cluster.exporters.types import BUILT_TYPES, FILE_TYPES, NO_TYPE
from cgr_cluster.rpc.errors import ApiError
from cgr_cluster.templates.fields import compile_fields

_LISTS_OF_TEXTS = ("filters", "flags", "attribute_ids")
_KINDS: dict[str, type[Any]] = {
    **dict.fromkeys(("id", "type", "export_path", "attribute_context", "failed_posts_dir", "timezone", "metrics_reset_schedule"), str),
    **dict.fromkeys((*_LISTS_OF_TEXTS, "fields"), list),
    "synchronous": bool, "attempts": int, "concurrent_requests": int, "opts": dict,
}  # fmt: skip
_OPTION_KINDS: dict[str, type[Any]] = {
    "csvFieldSeparator": str, "connIDs": list, "serviceMethod": str, "rpcCodec": str, "rpcAPIOpts": dict,
}  # fmt: skip
_GO_TYPES = {str: "string", bool: "bool", int: "int", list: "[]string", dict: "map[string]interface {}"}
_COMPONENTS = {
    "apiers": "ApierS", "stats": "StatS", "thresholds": "ThresholdS", "trends": "TrendS", "rankings": "RankingS",
}  # fmt: skip


def _exporters(config: Config) -> list[dict[str, Any]]:
    """Those that are there. Raises ApiError for a value of another type than its key's."""
    ees = config.get("ees", {})
    if not ees.get("enabled"):
        return []
    found = []
    for one in ees.get("exporters") or ():
        if not isinstance(one, dict):
            raise ApiError(f"<EEs> exporters holds {one!r}, which is no exporter")
        for key, value in one.items():
            kind = _KINDS.get(key)
            if kind is not None and (not isinstance(value, kind) or (kind is int and isinstance(value, bool))):
                raise ApiError(
                    f"json: cannot unmarshal {_json_kind(value)} into Go struct field exporters.{key} of type {_GO_TYPES[kind]}"
                )
        if one.get("type", NO_TYPE) != NO_TYPE:
            found.append(one)
    return found


def _json_kind(value: Any) -> str:
    for kind, name in ((bool, "bool"), (str, "string"), (list, "array"), (dict, "object")):
        if isinstance(value, kind):
            return name
    return "null" if value is None else "number"


def _folders(config: Config) -> list[str]:
    return [str(one.get("export_path") or "") for one in _exporters(config) if one.get("type") in FILE_TYPES]


def _check_ees(config: Config, missing: Collection[str]) -> None:
    ees = config.get("ees", {})
    if not ees.get("enabled"):
        return
    consistency.check_connections(config, "ees", "EEs")
    for one in _exporters(config):
        _check_exporter(config, one, missing)
    for kind, rule in (ees.get("cache") or {}).items():
        _check_cache(kind, rule)
    parse_duration(str((ees.get("failed_posts") or {}).get("ttl") or "0"))


def _check_cache(kind: str, rule: Any) -> None:
    if not isinstance(rule, dict):
        raise ApiError(f"json: cannot unmarshal {_json_kind(rule)} into Go struct field ees.cache of type object")
    for key, wanted in (("limit", int), ("ttl", str), ("static_ttl", bool)):
        value = rule.get(key)
        if value is not None and (not isinstance(value, wanted) or (wanted is int and isinstance(value, bool))):
            raise ApiError(
                f"json: cannot unmarshal {_json_kind(value)} into Go struct field cache.{key} of type {_GO_TYPES[wanted]}"
            )
    ttl = parse_duration(rule.get("ttl") or "0")
    if kind in FILE_TYPES and rule.get("limit", -1) != 0 and ttl <= 0:
        raise ApiError(f"<EEs> ees.cache.{kind}.ttl must be more than 0: files are closed by it")


def _check_exporter(config: Config, one: dict[str, Any], missing: Collection[str]) -> None:
    exporter_id, kind, path = text_of(one.get("id")) or "*default", one.get("type"), str(one.get("export_path") or "")
    if kind not in BUILT_TYPES:
        raise ApiError(f"<EEs> unsupported data type: {kind} for exporter with ID: {exporter_id}")
    if kind in FILE_TYPES and path in missing:
        raise ApiError(f"<EEs> nonexistent folder: {path} for exporter with ID: {exporter_id}")
    opts = one.get("opts") or {}
    if kind == "*file_csv" and "csvFieldSeparator" in opts and not opts["csvFieldSeparator"]:
        raise ApiError(f"<EEs> empty csvFieldSeparator for exporter with ID: {exporter_id}")
    for key in ("filters", "flags", "attribute_ids"):
        for each in one.get(key) or ():
            if not isinstance(each, str):
                raise ApiError(
                    f"json: cannot unmarshal {_json_kind(each)} into Go struct field exporters.{key} of type string"
                )
    for field in one.get("fields") or ():
        if not isinstance(field, dict):
            raise ApiError(f"<EEs> fields of {exporter_id} hold {field!r}, which is no field")
        if not field.get("path") and field.get("type") not in (NO_TYPE, "*template"):
            raise ApiError(f"<EEs> MANDATORY_IE_MISSING: [Path] for {exporter_id} at {text_of(field.get('tag'))}")
    separator = str(config.get("general", {}).get("rsr_separator") or ";")
    compile_fields(one.get("fields") or (), config.get("templates", {}), separator)
    if one.get("metrics_reset_schedule"):
        parse_cron(one["metrics_reset_schedule"])
    if one.get("timezone"):
        zone_of(one["timezone"])
    for key, wanted in _OPTION_KINDS.items():
        if opts.get(key) is not None and not isinstance(opts[key], wanted):
            raise ApiError(
                f"json: cannot unmarshal {_json_kind(opts[key])} into Go struct field opts.{key} of type {_GO_TYPES[wanted]}"
            )


def _no_folders(config: Config) -> list[str]:
    return []


def _check_cdrs(config: Config, missing: Collection[str]) -> None:
    cdrs = config.get("cdrs", {})
    if not cdrs.get("enabled"):
        return
    consistency.check_connections(config, "cdrs", "CDRs")
    known = {text_of(one.get("id")) for one in config.get("ees", {}).get("exporters") or () if isinstance(one, dict)}
    unknown = [name for name in cdrs.get("online_cdr_exports") or () if name not in known]
    if unknown:
        raise ApiError(f"<CDRs> cannot find exporters with IDs: <{', '.join(unknown)}>")


def _check_senders(config: Config, missing: Collection[str]) -> None:
    """Who else has `ees_conns`."""
    for section, component in _COMPONENTS.items():
        given = config.get(section, {})
        if given.get("enabled") and given.get("ees_conns"):
            only = {**config, section: {"ees_conns": given["ees_conns"]}}
            consistency.check_connections(only, section, component)


consistency.register(consistency.Rules("ees", _folders, _check_ees))
consistency.register(consistency.Rules("cdrs", _no_folders, _check_cdrs))
consistency.register(consistency.Rules("apiers", _no_folders, _check_senders))
