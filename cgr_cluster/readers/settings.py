"""Section `ers` of the configuration, compiled once per generation, and its faults (spec 40 §9)."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import msgspec

from cgr_cluster.config import consistency
from cgr_cluster.config.changes import built_in, filled
from cgr_cluster.config.settings import Config
from cgr_cluster.engine.domain import GenerationView
from cgr_cluster.events.durations import parse_duration
from cgr_cluster.events.rules import Value, split_value
from cgr_cluster.events.times import zone_of
from cgr_cluster.events.values import text_of
from cgr_cluster.filters.paths import compile_value
from cgr_cluster.readers.files import SUFFIXES
from cgr_cluster.readers.types import FileOptions
from cgr_cluster.rpc.errors import ApiError
from cgr_cluster.sessions.flags import Flags
from cgr_cluster.templates.fields import CompiledField, compile_fields

NONE = "*none"
POST_CDR = "*post_cdr"
DUMP_TO_FILE = "*dump_to_file"
DUMP_TO_JSON = "*dump_to_json"
_PARTIAL_ACTIONS = (NONE, POST_CDR, DUMP_TO_FILE, DUMP_TO_JSON)
WATCH_NS = -1  # run_delay of a reader that watches its folder
_IDS = ("ees_success_ids", "ees_failed_ids")  # lists that the defaults do not have
MAX_LANES = 64  # events of a reader at once


class Reader(msgspec.Struct, frozen=True, gc=False):
    """A configured reader, ready to run; durations in ns."""

    id: str
    type: str
    run_delay_ns: int
    start_delay_ns: int
    source_path: str
    processed_path: str
    tenant: tuple[Value, ...]
    timezone: str
    filters: tuple[str, ...]
    flags: Flags
    flag_texts: tuple[str, ...]
    fields: tuple[CompiledField, ...]
    commit_fields: tuple[CompiledField, ...]
    dump_fields: tuple[CompiledField, ...]
    success_ids: tuple[str, ...]
    failed_ids: tuple[str, ...]
    file: FileOptions
    ignores_errors: bool
    partial_action: str
    partial_order: tuple[Value, ...]
    partial_path: str
    partial_separator: str

    @property
    def watches(self) -> bool:
        """Whether its folder is watched: a file that stays is read again when it has changed."""
        return self.run_delay_ns == WATCH_NS

    @property
    def by_request_only(self) -> bool:
        return self.run_delay_ns == 0


class ReaderSettings(msgspec.Struct, frozen=True):
    """`enabled` false: there are no readers. `lanes`: events of one reader that are processed at once."""

    enabled: bool
    lanes: int
    partial_ttl_ns: int
    readers: dict[str, Reader]
    sessions_connected: bool
    exporters_connected: bool
    thresholds_connected: bool
    stats_connected: bool


def reader_settings(generation: GenerationView) -> ReaderSettings:
    return generation.derived(_of_generation, "config")


def _of_generation(generation: GenerationView) -> ReaderSettings:
    return _read({name: generation.config(name) for name in ("ers", "general", "templates")})


def _read(config: Config) -> ReaderSettings:
    """Raises the errors of values that do not compile."""
    section = config.get("ers", {})
    enabled = bool(section.get("enabled"))
    readers = [_reader(each, config) for each in _filled(section)] if enabled else []
    return ReaderSettings(
        enabled=enabled,
        lanes=max(1, min(int(section.get("concurrent_events") or 1), MAX_LANES)),
        partial_ttl_ns=parse_duration(text_of(section.get("partial_cache_ttl") or "0")),
        readers={reader.id: reader for reader in readers if reader.type != NONE},
        sessions_connected=bool(section.get("sessions_conns")),
        exporters_connected=bool(section.get("ees_conns")),
        thresholds_connected=bool(section.get("thresholds_conns")),
        stats_connected=bool(section.get("stats_conns")),
    )


def _filled(section: dict[str, Any]) -> list[dict[str, Any]]:
    """The configured readers with the defaults of what they leave out."""
    defaults: dict[str, Any] = built_in()["ers"]["readers"][0]
    out = []
    for each in filled("ers", "readers", section.get("readers") or []):
        if not isinstance(each, dict):
            raise ApiError(f"<ERs> a reader must be an object, not {text_of(each)}")
        for key, value in each.items():
            _check_kind(each, key, value, [] if key in _IDS else defaults.get(key))
        out.append(each)
    return out


def _check_kind(reader: dict[str, Any], key: str, value: Any, default: Any) -> None:
    kinds = (str, list, dict, bool, int)
    kind = next((kind for kind in kinds if isinstance(default, kind)), None)
    wrong = kind is not None and not isinstance(value, kind)
    if not wrong and isinstance(value, list):
        wrong = any(not isinstance(item, dict if key.endswith("fields") else str) for item in value)
    if wrong:
        raise ApiError(f"<ERs> wrong value of {key} for reader with ID: {text_of(reader.get('id'))}")


def _reader(given: dict[str, Any], config: Config) -> Reader:
    general = config.get("general", {})
    templates = config.get("templates", {})
    separator = text_of(general.get("rsr_separator") or ";")
    opts = given["opts"]

    def compiled(key: str) -> tuple[CompiledField, ...]:
        return compile_fields(given[key], templates, separator)

    def values(text: str) -> tuple[Value, ...]:
        return tuple(compile_value(rule) for rule in split_value(text, separator))

    fields = compiled("fields")
    rules = [rule for field in fields for rule in (field.template.value, *field.template.filters)]
    zone = text_of(given["timezone"])
    if zone:
        zone_of(zone)
    return Reader(
        id=given["id"],
        type=given["type"],
        run_delay_ns=parse_duration(given["run_delay"]),
        start_delay_ns=max(0, parse_duration(given["start_delay"])),
        source_path=given["source_path"],
        processed_path=given["processed_path"],
        tenant=values(text_of(given["tenant"])),
        timezone=zone,
        filters=tuple(given["filters"]),
        flags=Flags(given["flags"]),
        flag_texts=tuple(given["flags"]),
        fields=fields,
        commit_fields=compiled("partial_commit_fields"),
        dump_fields=compiled("cache_dump_fields"),
        success_ids=tuple(given.get("ees_success_ids") or ()),
        failed_ids=tuple(given.get("ees_failed_ids") or ()),
        file=FileOptions(
            kind=given["type"],
            separator=text_of(opts["csvFieldSeparator"]),
            row_length=_whole(opts, "csvRowLength"),
            header_char=text_of(opts["csvHeaderDefineChar"]),
            lazy_quotes=opts.get("csvLazyQuotes") is True,
            xml_root=tuple(part for part in text_of(opts.get("xmlRootPath")).replace("/", ".").split(".") if part),
            header=any("~*hdr." in rule for rule in rules),
            trailer=any("~*trl." in rule for rule in rules),
        ),
        ignores_errors=opts.get("ignoreErroredItems") is True,
        partial_action=text_of(opts["partialCacheAction"]),
        partial_order=values(text_of(opts["partialOrderField"])),
        partial_path=text_of(opts.get("partialPath")),
        partial_separator=text_of(opts.get("partialcsvFieldSeparator")) or ",",
    )


def _whole(opts: dict[str, Any], key: str) -> int:
    value = opts[key]
    if isinstance(value, bool) or not isinstance(value, int):
        raise ApiError(f"<ERs> {key} = {text_of(value)} is no whole number")
    return value


# --- faults of the configuration ----------------------------------------------------------------------------------


def _folders(config: Config) -> list[str]:
    return [folder for reader in _read(config).readers.values() for folder in _of_reader(reader)]


def _of_reader(reader: Reader) -> list[str]:
    """The folders that a reader needs, in the order in which they are checked."""
    if reader.type not in SUFFIXES:
        return []
    processed = [] if reader.type == "*file_csv" and not reader.processed_path else [reader.processed_path]
    dumps = reader.partial_action in (DUMP_TO_FILE, DUMP_TO_JSON)
    return [*processed, reader.source_path, *([reader.partial_path] if dumps else [])]


def _check(config: Config, missing: Collection[str]) -> None:
    """Raises ApiError with the first fault."""
    settings = _read(config)
    if not settings.enabled:
        return
    consistency.check_connections(config, "ers", "ERs")
    for reader in settings.readers.values():
        _check_reader(reader, missing)
        wanted = (*reader.success_ids, *reader.failed_ids)
        if wanted and not settings.exporters_connected:
            raise ApiError("<ERs> connection to <EEs> required due to exporter ID references")
        known = {text_of(each.get("id")) for each in config.get("ees", {}).get("exporters") or ()}
        for exporter in wanted:
            if exporter not in known:
                raise ApiError(f"<ERs> exporter with id {exporter} not defined")


def _check_reader(reader: Reader, missing: Collection[str]) -> None:
    if reader.type not in SUFFIXES:
        raise ApiError(f"<ERs> unsupported data type: {reader.type} for reader with ID: {reader.id}")
    for folder in _of_reader(reader):
        if folder in missing:
            raise ApiError(f"<ERs> nonexistent folder: {folder} for reader with ID: {reader.id}")
    if reader.partial_action not in _PARTIAL_ACTIONS:
        raise ApiError(f"<ERs> wrong partial expiry action for reader with ID: {reader.id}")
    if reader.type == "*file_csv" and not reader.file.separator:
        raise ApiError(f"<ERs> empty csvFieldSeparator for reader with ID: {reader.id}")
    for field in (*reader.dump_fields, *reader.commit_fields, *reader.fields):
        if not field.template.path and field.template.type != NONE:
            raise ApiError(f"<ERs> MANDATORY_IE_MISSING: [Path] for {reader.id} at {field.tag}")


consistency.register(consistency.Rules("ers", _folders, _check, "readers.start"))
