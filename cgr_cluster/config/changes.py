"""Changes of the configuration at run time, ConfigSv1 (spec chapter 70 §3): merged section by section, checked by the
types of the built-in defaults. Pure."""

from __future__ import annotations

import json
import re
from functools import cache
from typing import Any

from cgr_cluster.config.settings import OPEN_MAPS, Config, defaults
from cgr_cluster.config.value_checks import check_values
from cgr_cluster.events.nesting import read_json
from cgr_cluster.rpc.errors import ApiError

_TEXT_OR_COMMENT = re.compile(r'"(?:[^"\\]|\\.)*"|//[^\n]*|/\*.*?(?:\*/|\Z)', re.DOTALL)
_TEXT_OR_COMMA = re.compile(r'("(?:[^"\\]|\\.)*")|,(\s*[}\]])', re.DOTALL)
_HIDDEN_KEYS = ("string_indexed_fields",)  # not in the defaults: unset means all
_LISTS_OF_ITEMS = (("ers", "readers"), ("ees", "exporters"))
_GO_TYPES = {
    "bool": "bool",
    "number": "int",
    "string": "string",
    "array": "[]string",
    "object": "map[string]interface {}",
}


@cache
def built_in() -> Config:
    return defaults()


def parse_text(text: str) -> dict[str, Any]:
    """A configuration text: JSON with comments and trailing commas. Raises ApiError: `unexpected EOF` when it stops
    short, `invalid character 'x' looking for beginning of value`."""
    plain = _TEXT_OR_COMMENT.sub(lambda found: found.group() if found.group()[0] == '"' else " ", text)
    plain = _TEXT_OR_COMMA.sub(lambda found: found.group(1) or found.group(2), plain)
    try:
        document = read_json(plain)
    except json.JSONDecodeError as error:
        rest = plain[error.pos :].strip()
        if not rest or rest.startswith('"'):
            raise ApiError("unexpected EOF") from None
        raise ApiError(f"invalid character '{rest[0]}' looking for beginning of value") from None
    except ValueError as error:
        raise ApiError(str(error)) from None
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise ApiError(f"json: cannot unmarshal {_kind(document)} into Go value of type map[string]interface {{}}")
    return document


def changed(current: Config, changes: dict[str, Any]) -> Config:
    """The sections of `current` that `changes` touches, merged: objects member by member, lists replaced, null ignored.
    Unknown sections and keys are ignored. Raises ApiError for a value of the wrong type or form."""
    out: Config = {}
    for section, values in changes.items():
        known = built_in().get(section)
        if known is None or values is None:
            continue
        if _kind(values) != _kind(known):
            raise _wrong(values, section, _kind(known))
        if not isinstance(values, dict):  # a section that is a list, such as http_agent
            out[section] = values
            continue
        out[section] = _merged(current.get(section, known), values, known, (section,))
    for section, key in _LISTS_OF_ITEMS:
        if key in (changes.get(section) or {}):
            out[section][key] = filled(section, key, out[section][key])
    try:
        check_values(out)
    except ValueError as error:
        raise ApiError(str(error)) from None
    return out


def filled(section: str, key: str, items: list[Any]) -> list[Any]:
    """The readers or exporters of a list, with the defaults (the built-in list's only item) of what they leave out."""
    default: dict[str, Any] = built_in()[section][key][0]
    out = []
    for item in items:
        if isinstance(item, dict):
            given = {name: value for name, value in item.items() if value is not None}
            opts = given.get("opts", {})
            item = {**default, **given, "opts": {**default["opts"], **opts} if isinstance(opts, dict) else opts}
        out.append(item)
    return out


def _merged(
    current: dict[str, Any], values: dict[str, Any], known: dict[str, Any], path: tuple[str, ...]
) -> dict[str, Any]:
    out = dict(current)
    is_open = not known or path[:2] in OPEN_MAPS or path[:1] in OPEN_MAPS or path[-1] == "opts"
    for key, value in values.items():
        hidden = key in _HIDDEN_KEYS and "prefix_indexed_fields" in known
        if value is None or not (key in known or is_open or hidden):
            continue
        default = known.get(key)
        if default is not None and _kind(value) != _kind(default):
            raise _wrong(value, ".".join((*path, key)), _kind(default))
        if isinstance(value, dict) and isinstance(out.get(key), dict):
            value = _merged(out[key], value, default or {}, (*path, key))
        out[key] = value
    return out


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, str):
        return "string"
    return "array" if isinstance(value, list) else "object"


def _wrong(value: Any, place: str, wanted: str) -> ApiError:
    return ApiError(f"json: cannot unmarshal {_kind(value)} into Go struct field {place} of type {_GO_TYPES[wanted]}")
