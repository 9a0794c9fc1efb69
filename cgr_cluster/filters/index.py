"""Indexes: which profiles an event may belong to, without looking at all of them (spec chapter 50, section 6)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any

import msgspec

from cgr_cluster.engine.domain import GenerationView
from cgr_cluster.events.values import text_of
from cgr_cluster.filters.lists import find_filter
from cgr_cluster.filters.paths import MISSING, split_path
from cgr_cluster.filters.types import Rule
from cgr_cluster.filters.view import View
from cgr_cluster.filters.walk import steps_of, walk
from cgr_cluster.rpc.errors import ApiError

_VALUE_KINDS = ("*string", "*prefix", "*suffix")
_UNINDEXED = ("~*accounts", "~*stats", "~*resources", "~*libphonenumber", "~*asm")


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


Key = tuple[str, str, str]  # type, path without `~`, value
NO_FILTERS = ""  # stands for the filter of a profile without any
_ANY: Key = ("*none", "*any", "*any")


def profile_keys(
    generation: GenerationView, tenant: str, filter_ids: Collection[str], hidden: Collection[str] = ()
) -> list[Key]:
    """The keys under which a profile is found; its `hidden` filters give none."""
    if not filter_ids:
        return [] if NO_FILTERS in hidden else [_ANY]
    return [key for name in filter_ids if name not in hidden for key in filter_keys(generation, tenant, name)]


class ProfileIndex:
    """The index of one kind, tenant and context: candidates of an event. It does not change once it is in use: `changed`
    makes another one, which shares what is the same."""

    __slots__ = ("_ids", "_probes", "_tables", "settings")

    def __init__(self, settings: IndexSettings) -> None:
        self.settings = settings
        self._ids: dict[str, None] = {}
        self._tables: dict[tuple[str, str], dict[str, list[str]]] = {}  # (type, path) → value → ids
        self._probes: list[Probe] | None = None

    def add(self, profile_id: str, keys: Iterable[Key]) -> None:
        """Put in a profile, while the index is made."""
        self._ids[profile_id] = None
        for kind, path, value in keys:
            ids = self._tables.setdefault((kind, path), {}).setdefault(value, [])
            if not ids or ids[-1] != profile_id:
                ids.append(profile_id)

    def changed(self, out: Iterable[tuple[str, list[Key]]], into: Iterable[tuple[str, list[Key]]]) -> ProfileIndex:
        """The index after profiles have gone `out` of it, with the keys that they had, and others have come `into` it."""
        new = ProfileIndex(self.settings)
        new._ids = dict(self._ids)
        new._tables = dict(self._tables)
        own: set[tuple[str, str]] = set()

        def table(place: tuple[str, str]) -> dict[str, list[str]]:
            if place not in own:
                own.add(place)
                new._tables[place] = dict(new._tables.get(place, ()))
            return new._tables[place]

        for profile_id, keys in out:
            new._ids.pop(profile_id, None)
            for kind, path, value in keys:
                ids = [one for one in table((kind, path)).get(value, ()) if one != profile_id]
                if ids:
                    table((kind, path))[value] = ids
                else:
                    table((kind, path)).pop(value, None)
        for profile_id, keys in into:
            new._ids[profile_id] = None
            for kind, path, value in keys:
                ids = table((kind, path)).get(value, [])
                if profile_id not in ids:
                    table((kind, path))[value] = [*ids, profile_id]
        for place in own:
            if not new._tables[place]:
                del new._tables[place]
        return new

    def __bool__(self) -> bool:
        return bool(self._ids)

    def listed(self) -> Iterator[tuple[str, str]]:
        """(key text, profile id), as `GetFilterIndexes` lists them."""
        for (kind, path), values in self._tables.items():
            for value, ids in values.items():
                for profile_id in ids:
                    yield key_text(kind, path, value), profile_id

    def candidates(self, view: View) -> Iterable[str]:
        """Ids of the profiles that the event may belong to (50 §6.3), each once."""
        if not self.settings.indexed:
            return self._ids
        if self._probes is None:
            self._probes = self._compile()
        if not self._probes:
            return ()
        found: dict[str, None] = {}
        for probe in self._probes:
            ids = probe(view)
            if ids:
                found.update(dict.fromkeys(ids))
        return found

    def _compile(self) -> list[Probe]:
        """A look-up for each indexed field."""
        probes: list[Probe] = []
        for (kind, path), values in self._tables.items():
            if kind in ("*none", "*exists"):
                if kind == "*none" or path in self.settings.exists_fields:
                    (ids,) = values.values()
                    probes.append(lambda view, ids=ids: ids)  # type: ignore[misc]  # bound now
                continue
            nested = self._nested(kind, path)
            read = None if nested is None else _field(path, nested)
            if read is not None:
                probes.append(_probe(kind, read, values))
        return probes

    def _nested(self, kind: str, path: str) -> bool | None:
        """Whether the field is looked up by its whole path (True) or as a plain name; None: it is not looked up. Fields that
        the configuration names are looked up as they are written."""
        settings = self.settings
        if kind == "*string":
            if settings.string_fields is None:
                return settings.nested
            fields = settings.string_fields
        else:
            fields = settings.prefix_fields if kind == "*prefix" else settings.suffix_fields
        return True if path in fields else None


Probe = Callable[[View], "list[str] | None"]


def filter_keys(generation: GenerationView, tenant: str, filter_id: str) -> list[Key]:
    """(type, path, value) of the keys of a stored or inline filter; a filter that is gone gives none: the profile's list
    then fails when it is evaluated."""
    try:
        rules = find_filter(generation, tenant, filter_id).rules
    except ApiError:
        return []
    return [key for rule in rules for key in rule_keys(rule)]


def _probe(kind: str, read: Callable[[View], Any], values: dict[str, list[str]]) -> Probe:
    def equal(view: View) -> list[str] | None:
        value = read(view)
        if type(value) is str:
            return values.get(value)
        return None if value is MISSING else values.get(text_of(value))

    def prefix(view: View) -> list[str] | None:
        value = read(view)
        if value is MISSING:
            return None
        text = text_of(value)
        return next((values[text[:end]] for end in range(len(text), 0, -1) if text[:end] in values), None)

    def suffix(view: View) -> list[str] | None:
        value = read(view)
        if value is MISSING:
            return None
        text = text_of(value)
        return next((values[text[start:]] for start in range(len(text)) if text[start:] in values), None)

    return {"*string": equal, "*prefix": prefix, "*suffix": suffix}[kind]


def _field(path: str, nested: bool) -> Callable[[View], Any] | None:
    """Reads a field as the look-up knows it: a plain name of the first level, or a nested path when configured. None:
    the look-up never builds this key."""
    root, dot, name = path.partition(".")
    if path == "*tenant":
        return lambda view: view.tenant if view.tenant_path else MISSING
    fields = _ROOTS.get(root)
    if fields is None or not dot:
        return None
    if not nested or any(mark in name for mark in "{<:"):
        return lambda view: fields(view).get(name, MISSING)
    steps = steps_of(split_path(name))

    def read(view: View) -> Any:
        value = fields(view).get(name, MISSING)
        if value is not MISSING:
            return value
        try:
            return walk(fields(view), steps)
        except ApiError:
            return MISSING

    return read


_ROOTS: dict[str, Callable[[View], dict[str, Any]]] = {
    "*req": lambda view: view.event,
    "*opts": lambda view: view.opts,
    "*vars": lambda view: view.variables or {},
}
