"""Indexes: which profiles an event may belong to, without looking at all of them (spec chapter 50, section 6)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from cgr_cluster.engine.domain import GenerationView
from cgr_cluster.events.values import text_of
from cgr_cluster.filters.lists import find_filter
from cgr_cluster.filters.paths import MISSING, split_path, walk
from cgr_cluster.filters.types import Rule
from cgr_cluster.filters.view import View
from cgr_cluster.rpc.errors import ApiError

_VALUE_KINDS = ("*string", "*prefix", "*suffix")
_UNINDEXED = ("~*accounts", "~*stats", "~*resources", "~*libphonenumber", "~*asm")
ANY_KEY = "*none:*any:*any"


class IndexSettings(msgspec.Struct, frozen=True, gc=False):
    """How a subsystem selects (50 §6.2). `string_fields` None: all fields."""

    indexed: bool = True
    string_fields: tuple[str, ...] | None = None
    prefix_fields: tuple[str, ...] = ()
    suffix_fields: tuple[str, ...] = ()
    exists_fields: tuple[str, ...] = ()
    nested: bool = False

    @classmethod
    def of(cls, generation: GenerationView, section: str) -> IndexSettings:
        """The settings of a configuration section (`chargers`, ...)."""
        config = generation.config(section)
        string_fields = config.get("string_indexed_fields")
        return cls(
            bool(config.get("indexed_selects", True)),
            None if string_fields is None else tuple(string_fields),
            tuple(config.get("prefix_indexed_fields") or ()),
            tuple(config.get("suffix_indexed_fields") or ()),
            tuple(config.get("exists_indexed_fields") or ()),
            bool(config.get("nested_fields", False)),
        )


def rule_keys(rule: Rule) -> Iterator[tuple[str, str, str]]:
    """(type, path without `~`, value) under which a rule is found (50 §6.1); nothing when it is not indexed."""
    if rule.type == "*exists":
        if rule.element.startswith("~") and not rule.element.startswith(_UNINDEXED):
            yield rule.type, rule.element[1:], ""
        return
    if rule.type not in _VALUE_KINDS:
        return
    element_is_path = rule.element.startswith("~")
    for value in rule.values:
        if element_is_path == value.startswith("~"):
            continue
        path, text = (rule.element, value) if element_is_path else (value, rule.element)
        if not path.startswith(_UNINDEXED):
            yield rule.type, path[1:], text


def key_text(kind: str, path: str, value: str) -> str:
    """A key as `GetFilterIndexes` lists it."""
    return f"{kind}:{path}" if kind == "*exists" else f"{kind}:{path}:{value}"


class ProfileIndex:
    """The index of one kind, tenant and context: candidates of an event."""

    __slots__ = ("always", "by_exists", "by_value", "everything", "settings")

    def __init__(self, settings: IndexSettings) -> None:
        self.settings = settings
        self.everything: list[str] = []
        self.always: list[str] = []
        self.by_value: dict[tuple[str, str], dict[str, list[str]]] = {}  # (type, path) -> value -> ids
        self.by_exists: dict[str, list[str]] = {}

    def add(self, generation: GenerationView, tenant: str, profile_id: str, filter_ids: Iterable[str]) -> None:
        self.everything.append(profile_id)
        ids = tuple(filter_ids)
        if not ids:
            self.always.append(profile_id)
        for filter_id in ids:
            try:
                rules = find_filter(generation, tenant, filter_id).rules
            except ApiError:
                continue  # a filter that is gone gives no key; the profile's list then fails when it is evaluated
            for rule in rules:
                for kind, path, value in rule_keys(rule):
                    if kind == "*exists":
                        self.by_exists.setdefault(path, []).append(profile_id)
                    else:
                        self.by_value.setdefault((kind, path), {}).setdefault(value, []).append(profile_id)

    def keys(self) -> Iterator[tuple[str, str]]:
        """(key text, profile id), as `GetFilterIndexes` lists them."""
        for profile_id in self.always:
            yield ANY_KEY, profile_id
        for (kind, path), values in self.by_value.items():
            for value, ids in values.items():
                for profile_id in dict.fromkeys(ids):
                    yield key_text(kind, path, value), profile_id
        for path, ids in self.by_exists.items():
            for profile_id in dict.fromkeys(ids):
                yield key_text("*exists", path, ""), profile_id

    def candidates(self, view: View) -> Iterable[str]:
        """Ids of the profiles that the event may belong to (50 §6.3), each once."""
        settings = self.settings
        if not settings.indexed:
            return self.everything
        if not self.by_value and not self.by_exists:
            return self.always
        found: dict[str, None] = dict.fromkeys(self.always)
        for (kind, path), values in self.by_value.items():
            if not self._looked_up(kind, path):
                continue
            value = self._field(view, path)
            if value is MISSING:
                continue
            text = value if type(value) is str else text_of(value)
            if kind == "*string":
                ids = values.get(text)
            elif kind == "*prefix":
                ids = next((values[text[:end]] for end in range(len(text), 0, -1) if text[:end] in values), None)
            else:
                ids = next((values[text[start:]] for start in range(len(text)) if text[start:] in values), None)
            if ids:
                found.update(dict.fromkeys(ids))
        for path, ids in self.by_exists.items():
            if path in settings.exists_fields:
                found.update(dict.fromkeys(ids))
        return found

    def _looked_up(self, kind: str, path: str) -> bool:
        settings = self.settings
        if kind == "*string":
            return settings.string_fields is None or path in settings.string_fields
        return path in (settings.prefix_fields if kind == "*prefix" else settings.suffix_fields)

    def _field(self, view: View, path: str) -> Any:
        """The field as the look-up knows it: a plain name of the first level, or a nested path when configured."""
        root, _, name = path.partition(".")
        if root == "*req":
            fields = view.event
        elif root == "*opts":
            fields = view.opts
        elif root == "*vars":
            fields = view.variables or {}
        elif path == "*tenant" and view.tenant_path:
            return view.tenant
        else:
            return MISSING
        value = fields.get(name, MISSING)
        if value is MISSING and self.settings.nested and not any(mark in name for mark in "{<:"):
            try:
                return walk(fields, _steps(name))
            except ApiError:
                return MISSING
        return value


def _steps(name: str) -> list[str]:
    steps = []
    for part in split_path(name):
        head, bracket, rest = part.partition("[")
        steps.append(head)
        if bracket:
            steps += [f"[{index}" for index in rest.removesuffix("]").split("][")]
    return steps
