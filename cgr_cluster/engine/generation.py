"""Generations: numbered, immutable states of all reference data (design 5).

A generation is a root over tables, one per kind. `apply` makes the next one: tables that do not change are shared, a
changed table is a small overlay over a shared base, so that one Set costs little however big the deck is. Objects stay
packed until something asks for them: a worker decodes only what its accounts use.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any, TypeVar

from cgr_cluster.engine.codec import pack, unpack
from cgr_cluster.engine.domain import REFERENCE

T = TypeVar("T")

Change = tuple[str, str, "bytes | None"]  # kind, key, packed object (None: removed)
Changes = list[Change]

_OVERLAY_LIMIT = 1024  # entries copied at most per change; beyond it the overlay is merged into a new base
_REMOVED = object()


class Table:
    """One kind's objects: an overlay over a base, both dicts key → object or packed bytes. Immutable but for decoding."""

    __slots__ = ("_base", "_kind", "_overlay", "_size")

    def __init__(self, kind: str, base: dict[str, Any] | None = None, overlay: dict[str, Any] | None = None) -> None:
        self._kind = kind
        self._base = {} if base is None else base
        self._overlay = {} if overlay is None else overlay
        self._size: int | None = None

    def get(self, key: str) -> Any:
        held = self._overlay
        value = held.get(key)
        if value is None:
            held = self._base
            value = held.get(key)
        if type(value) is bytes:
            value = held[key] = unpack(REFERENCE.get(self._kind, Any), value)
        return None if value is _REMOVED else value

    def packed(self, key: str) -> bytes | None:
        value = self._overlay.get(key) or self._base.get(key)
        if value is None or value is _REMOVED:
            return None
        return value if type(value) is bytes else pack(value)

    def __iter__(self) -> Iterator[str]:
        overlay = self._overlay
        for key, value in overlay.items():
            if value is not _REMOVED:
                yield key
        for key in self._base:
            if key not in overlay:
                yield key

    def __contains__(self, key: object) -> bool:
        value = self._overlay.get(str(key))
        return key in self._base if value is None else value is not _REMOVED

    def __len__(self) -> int:
        if self._size is None:
            self._size = sum(1 for _ in self)
        return self._size

    def changed(self, changes: Iterable[tuple[str, Any]]) -> Table:
        """The table after `changes` (key, value or None for removed)."""
        overlay = dict(self._overlay)
        for key, value in changes:
            overlay[key] = _REMOVED if value is None else value
        if len(overlay) <= _OVERLAY_LIMIT:
            return Table(self._kind, self._base, overlay)
        base = dict(self._base)
        for key, value in overlay.items():
            if value is _REMOVED:
                base.pop(key, None)
            else:
                base[key] = value
        return Table(self._kind, base)


_EMPTY = Table("")


class Generation:
    """A root. Give it to whoever runs; it never changes under them."""

    __slots__ = ("_defaults", "_derived", "_previous_derived", "_reverse", "_tables", "default_tenant", "number")

    def __init__(self, defaults: Mapping[str, Any], number: int = 0) -> None:
        self.number = number
        self._defaults = defaults
        self._tables: dict[str, Table] = {}
        self._reverse = Table("reverse")
        self._derived: dict[Any, tuple[tuple[Any, ...], Any]] = {}
        self._previous_derived: dict[Any, tuple[tuple[Any, ...], Any]] = {}
        self.default_tenant = str(self.config("general").get("default_tenant", "cgrates.org"))

    def get(self, kind: str, key: str) -> Any:
        """The object, or None."""
        table = self._tables.get(kind)
        return None if table is None else table.get(key)

    def packed(self, kind: str, key: str) -> bytes | None:
        table = self._tables.get(kind)
        return None if table is None else table.packed(key)

    def keys(self, kind: str) -> Collection[str]:
        return self._tables.get(kind, _EMPTY)

    def kinds(self) -> list[str]:
        return sorted(self._tables)

    def destinations_of(self, prefix: str) -> tuple[str, ...]:
        """Ids of the destinations that own exactly this prefix."""
        found: tuple[str, ...] | None = self._reverse.get(prefix)
        return () if found is None else found

    def config(self, section: str) -> dict[str, Any]:
        """A section of the configuration, spelt as in config.json."""
        found = self.get("config", section)
        if found is None:
            found = self._defaults.get(section)
        return found if found is not None else {}

    def derived(self, build: Callable[[Generation], T], *kinds: str) -> T:
        """`build(self)`, computed once. With `kinds` it is kept over generations in which these kinds do not change."""
        entry = self._derived.get(build)
        if entry is None:
            tables = tuple(self._tables.get(kind) for kind in kinds)
            entry = self._previous_derived.get(build) if kinds else None
            if entry is None or entry[0] != tables:
                entry = (tables, build(self))
            self._derived[build] = entry
        return entry[1]

    def apply(self, changes: Changes, number: int) -> Generation:
        """The next generation. This one is left as it is."""
        new = Generation.__new__(Generation)
        new.number = number
        new._defaults = self._defaults
        new._tables = dict(self._tables)
        new._reverse = self._reverse
        new._derived = {}
        kept = {**self._previous_derived, **self._derived}
        new._previous_derived = {build: entry for build, entry in kept.items() if entry[0]}
        by_kind: dict[str, dict[str, bytes | None]] = {}
        for kind, key, value in changes:
            by_kind.setdefault(kind, {})[key] = value
        for kind, entries in by_kind.items():
            table = new._tables.get(kind) or Table(kind)
            if kind == "destination":
                new._reverse = _reversed(new._reverse, table, entries)
            new._tables[kind] = table.changed(entries.items())
        new.default_tenant = str(new.config("general").get("default_tenant", "cgrates.org"))
        return new

    def snapshot(self) -> Changes:
        """Everything, as changes to an empty generation."""
        return [(kind, key, table.packed(key)) for kind, table in self._tables.items() for key in table]


def _reversed(reverse: Table, table: Table, entries: dict[str, bytes | None]) -> Table:
    """The prefix index after destinations changed."""
    changed: dict[str, tuple[str, ...] | None] = {}

    def ids(prefix: str) -> tuple[str, ...]:
        if prefix in changed:
            return changed[prefix] or ()
        return reverse.get(prefix) or ()

    for key, packed in entries.items():
        old = table.get(key)
        new = None if packed is None else unpack(REFERENCE["destination"], packed)
        before = dict.fromkeys(old.prefixes) if old is not None else {}
        after = dict.fromkeys(new.prefixes) if new is not None else {}
        for prefix in before:
            if prefix not in after:
                changed[prefix] = tuple(i for i in ids(prefix) if i != key) or None
        for prefix in after:
            if prefix not in before:
                changed[prefix] = (*ids(prefix), key)
    return reverse.changed(changed.items())
