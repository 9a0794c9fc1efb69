"""Generations: numbered, immutable states of all reference data (design 5, docs/decks.md).

A generation is a root over tables, one per kind: at most one deck, and the changes since in small tables over it.
`apply` makes the next one: tables that do not change are shared, a changed table is a small overlay over a shared base,
so that one Set costs little however big the deck is. Objects stay packed until something asks for them: a worker
decodes only what its accounts use.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from cgr_cluster.engine.codec import pack, unpack
from cgr_cluster.engine.deck import FRESH, GONE, WORK, Deck, DeckError, KindTable
from cgr_cluster.engine.domain import REFERENCE

T = TypeVar("T")

Change = tuple[str, str, "bytes | None"]  # kind, key, packed object (None: removed)
Changes = list[Change]
OpenDeck = Callable[[str], Deck]

DECK = "*deck"  # the change ("*deck", "", packed name): this deck is in force, under what it does not replace
_OVERLAY_LIMIT = 1024  # entries copied at most per change; beyond it the overlay is merged into a new base


class Entry:
    """A changed object: packed (None: removed, though the deck has it), and decoded once somebody has asked for it."""

    __slots__ = ("packed", "value")

    def __init__(self, packed: bytes | None, value: Any = None) -> None:
        self.packed = packed
        self.value = value


class Table:
    """One kind's objects: an overlay over a base over the deck's. Immutable but for decoding."""

    __slots__ = ("_any", "_base", "_kind", "_overlay", "_size", "below")

    def __init__(
        self, kind: str, below: KindTable | None = None, base: dict[str, Entry] | None = None,
        overlay: dict[str, Entry | None] | None = None,
    ) -> None:  # fmt: skip
        self._kind = kind
        self.below = below
        self._base = {} if base is None else base
        self._overlay: dict[str, Entry | None] = {} if overlay is None else overlay  # None: not in the base any more
        self._size: int | None = None
        self._any: bool | None = None

    def own(self, key: str) -> Entry | None:
        """The change that decides about the key; None: the deck does."""
        overlay = self._overlay
        return overlay[key] if key in overlay else self._base.get(key)

    def get(self, key: str) -> Any:
        overlay = self._overlay
        entry = overlay[key] if key in overlay else self._base.get(key)
        if entry is None:
            return None if self.below is None else self.below.get(key)
        if entry.value is None and entry.packed is not None:
            entry.value = unpack(REFERENCE.get(self._kind, Any), entry.packed)
        return entry.value

    def packed(self, key: str) -> bytes | None:
        entry = self.own(key)
        if entry is not None:
            return entry.packed
        return None if self.below is None else self.below.packed(key)

    def own_entries(self) -> Iterator[tuple[str, Entry]]:
        """All changes."""
        overlay = self._overlay
        for key, entry in overlay.items():
            if entry is not None:
                yield key, entry
        for key, entry in self._base.items():
            if key not in overlay:
                yield key, entry

    def __iter__(self) -> Iterator[str]:
        for key, entry in self.own_entries():
            if entry.packed is not None:
                yield key
        if self.below is not None:
            yield from (key for key in self.below.live_keys() if self.own(key) is None)

    def __contains__(self, key: object) -> bool:
        return self.has(str(key))

    def has(self, key: str) -> bool:
        entry = self.own(key)
        return self.in_deck(key) if entry is None else entry.packed is not None

    def in_deck(self, key: str) -> bool:
        marks = None if self.below is None else self.below.marks(key)
        return marks is not None and not marks & GONE

    def __bool__(self) -> bool:
        if self._any is None:
            self._any = next(iter(self), None) is not None
        return self._any

    def __len__(self) -> int:
        if self._size is None:
            size = 0 if self.below is None else self.below.live
            for key, entry in self.own_entries():
                size += (entry.packed is not None) - self.in_deck(key)
            self._size = size
        return self._size

    def changed(self, changes: Iterable[tuple[str, bytes | None]]) -> Table:
        """The table after `changes` (key, packed object or None for removed)."""
        return self._with(
            {
                key: Entry(packed) if packed is not None or self.in_deck(key) else None
                for key, packed in changes
            }
        )  # fmt: skip

    def _with(self, entries: dict[str, Entry | None]) -> Table:
        overlay = {**self._overlay, **entries}
        if len(overlay) <= _OVERLAY_LIMIT:
            return Table(self._kind, self.below, self._base, overlay)
        base = dict(self._base)
        for key, entry in overlay.items():
            if entry is None:
                base.pop(key, None)
            else:
                base[key] = entry
        return Table(self._kind, self.below, base)

    def keys_changed_since(self, older: Table) -> list[str] | None:
        """Keys whose objects may be others than in an older state of the table; None: they lie over different decks."""
        if self.below is not older.below:
            return None
        if self is older:
            return []
        places: Iterable[str] = {**older._overlay, **self._overlay}
        if self._base is not older._base:
            places = {**older._base, **self._base, **older._overlay, **self._overlay}
        return [key for key in places if self.own(key) is not older.own(key)]

    def over(self, below: KindTable | None) -> tuple[Table, list[str]]:
        """The table over another deck, and the keys of the changes that are dropped: the deck replaces or holds them."""
        kept: dict[str, Entry] = {}
        dropped: list[str] = []
        for key, entry in self.own_entries():
            marks = None if below is None else below.marks(key)
            if marks is None:
                redundant = entry.packed is None
            else:
                assert below is not None
                redundant = bool(marks & FRESH) or below.packed(key) == entry.packed
            if redundant:
                dropped.append(key)
            else:
                kept[key] = entry
        return Table(self._kind, below, kept), dropped


class Reverse:
    """Prefix → ids, of the changed destinations: an overlay over a base, both immutable."""

    __slots__ = ("_base", "_overlay")

    def __init__(
        self, base: dict[str, tuple[str, ...]] | None = None, overlay: dict[str, tuple[str, ...]] | None = None
    ) -> None:
        self._base = {} if base is None else base
        self._overlay = {} if overlay is None else overlay

    def get(self, prefix: str) -> tuple[str, ...]:
        found = self._overlay.get(prefix)
        return self._base.get(prefix, ()) if found is None else found

    def changed(self, table: Table, entries: Mapping[str, bytes | None]) -> Reverse:
        """The index after destinations changed; `table` has those before."""
        changed: dict[str, tuple[str, ...]] = {}
        for key, packed in entries.items():
            own = table.own(key)
            old = None if own is None or own.packed is None else table.get(key)
            new = None if packed is None else unpack(REFERENCE["destination"], packed)
            before = dict.fromkeys(old.prefixes) if old is not None else {}
            after = dict.fromkeys(new.prefixes) if new is not None else {}
            for prefix in before:
                if prefix not in after:
                    ids = changed[prefix] if prefix in changed else self.get(prefix)
                    changed[prefix] = tuple(i for i in ids if i != key)
            for prefix in after:
                if prefix not in before:
                    ids = changed[prefix] if prefix in changed else self.get(prefix)
                    changed[prefix] = (*ids, key)
        overlay = {**self._overlay, **changed}
        if len(overlay) <= _OVERLAY_LIMIT:
            return Reverse(self._base, overlay)
        return Reverse({prefix: ids for prefix, ids in {**self._base, **overlay}.items() if ids})


_EMPTY = Table("")


def no_decks(name: str) -> Deck:
    raise DeckError(f"there is no folder of decks for {name}")


class Generation:
    """A root. Give it to whoever runs; it never changes under them."""

    __slots__ = (
        "_defaults", "_derived", "_open", "_previous_derived", "_reverse", "_tables", "deck", "default_tenant",
        "dropped", "has_homes", "number",
    )  # fmt: skip

    def __init__(self, defaults: Mapping[str, Any], number: int = 0, open_deck: OpenDeck = no_decks) -> None:
        self.number = number
        self.deck: Deck | None = None
        self.dropped: list[tuple[str, str]] = []  # changes that the switch to this generation's deck made needless
        self._defaults = defaults
        self._open = open_deck
        self._tables: dict[str, Table] = {}
        self._reverse = Reverse()
        self._derived: dict[Any, tuple[tuple[Any, ...], Any]] = {}
        self._previous_derived: dict[Any, tuple[tuple[Any, ...], Any]] = {}
        self.has_homes = False  # whether any owner lives elsewhere than where its key hashes to
        self.default_tenant = str(self.config("general").get("default_tenant", "cgrates.org"))

    def get(self, kind: str, key: str) -> Any:
        """The object, or None."""
        table = self._tables.get(kind)
        return None if table is None else table.get(key)

    def packed(self, kind: str, key: str) -> bytes | None:
        table = self._tables.get(kind)
        return None if table is None else table.packed(key)

    def own(self, kind: str, key: str) -> Entry | None:
        """The change over the deck that decides about this object; None: there is none."""
        table = self._tables.get(kind)
        return None if table is None else table.own(key)

    def table(self, kind: str) -> Table:
        return self._tables.get(kind, _EMPTY)

    def keys(self, kind: str) -> Collection[str]:
        return self._tables.get(kind, _EMPTY)

    def kinds(self) -> list[str]:
        return sorted(self._tables)

    def destinations_of(self, prefix: str) -> tuple[str, ...]:
        """Ids of the destinations that own exactly this prefix."""
        found = self._reverse.get(prefix)
        if self.deck is None:
            return found
        below = self.deck.destinations_of(prefix)
        if not below:
            return found
        own = self._tables["destination"].own
        return tuple([name for name in below if own(name) is None]) + found

    def config(self, section: str) -> dict[str, Any]:
        """A section of the configuration, spelt as in config.json; {} for those that are lists."""
        found = self.section(section)
        return found if isinstance(found, dict) else {}

    def section(self, name: str) -> Any:
        """A section of the configuration as it is: an object or a list."""
        found = self.get("config", name)
        if found is None:
            found = self._defaults.get(name)
        return found if found is not None else {}

    @property
    def defaults(self) -> Mapping[str, Any]:
        """The configuration that the node was started with."""
        return self._defaults

    def derived(self, build: Callable[[Generation], T], *kinds: str) -> T:
        """`build(self)`, computed once. With `kinds` it is kept over generations in which these kinds do not change. When they
        do, and `build` has a method `renewed`, the next is `build.renewed(self, old, changed)` instead, with `changed`: kind
        → keys that may be others."""
        entry = self._derived.get(build)
        if entry is None:
            tables = tuple(self._tables.get(kind) for kind in kinds)
            entry = self._previous_derived.get(build) if kinds else None
            if entry is None:
                entry = (tables, build(self))
            elif entry[0] != tables:
                entry = (tables, self._renewed(build, entry, kinds, tables))
            self._derived[build] = entry
        found: T = entry[1]
        return found

    def apart(self) -> Generation:
        """The same reference data without what has been derived: for what is derived to hold on to. Should it hold the
        generation itself, each would keep alive the one before, and none would ever go."""
        new = Generation(self._defaults, self.number, self._open)
        new.deck = self.deck
        new._tables = self._tables
        new._reverse = self._reverse
        new.has_homes = self.has_homes
        new.default_tenant = self.default_tenant
        return new

    def _renewed(
        self, build: Callable[[Generation], T], entry: tuple[Any, Any], kinds: Sequence[str], tables: Any
    ) -> T:
        """What is derived from an earlier state of these kinds, brought up to date."""
        renewed: Callable[..., T] | None = getattr(build, "renewed", None)
        changed = None if renewed is None else _changed_keys(kinds, entry[0], tables)
        if renewed is None or changed is None:
            return build(self)
        return renewed(self, entry[1], changed)

    def apply(self, changes: Changes, number: int) -> Generation:
        """The next generation. This one is left as it is. A change of the deck comes before all others. Raises
        DeckError: the deck cannot be used."""
        new = Generation(self._defaults, number, self._open)
        new.deck = self.deck
        new._tables = dict(self._tables)
        new._reverse = self._reverse
        kept = {**self._previous_derived, **self._derived}
        new._previous_derived = {build: entry for build, entry in kept.items() if entry[0]}
        by_kind: dict[str, dict[str, bytes | None]] = {}
        for kind, key, value in changes:
            by_kind.setdefault(kind, {})[key] = value
        named = by_kind.pop(DECK, None)
        if named is not None:
            new._switch(named[""])
        for kind, entries in by_kind.items():
            table = new._tables.get(kind, Table(kind))
            if kind == "destination":
                new._reverse = new._reverse.changed(table, entries)
            new._tables[kind] = table.changed(entries.items())
        new.has_homes = len(new.keys("home")) > 0
        new.default_tenant = str(new.config("general").get("default_tenant", "cgrates.org"))
        return new

    def _switch(self, packed_name: bytes | None) -> None:
        """Lay the changes over another deck."""
        assert packed_name is not None
        self.deck = self._open(unpack(str, packed_name))
        for kind in {*self._tables, *self.deck.kinds}:
            table = self._tables.get(kind, Table(kind))
            self._tables[kind], dropped = table.over(self.deck.kinds.get(kind))
            self.dropped += [(kind, key) for key in dropped]
        destinations = {key: entry.packed for key, entry in self._tables.get("destination", _EMPTY).own_entries()}
        self._reverse = Reverse().changed(_EMPTY, destinations)

    def deck_work(self, deck: str, piece: str) -> bytes:
        """A piece of what the load that made this deck does at the shards. Raises DeckError when another deck is in force."""
        packed = None if self.deck is None or self.deck.name != deck else self.deck.extra(WORK, piece)
        if packed is None:
            raise DeckError(f"deck {deck} is not in force, or has no work {piece}")
        return packed

    def emptied(self) -> Generation:
        """A generation without reference data."""
        return Generation(self._defaults, 0, self._open)

    def own_changes(self) -> Changes:
        """The changes over the deck."""
        return [(kind, key, entry.packed) for kind, table in self._tables.items() for key, entry in table.own_entries()]

    def own_count(self) -> int:
        return sum(1 for table in self._tables.values() for _ in table.own_entries())

    def snapshot(self) -> Changes:
        """Everything, as changes to an empty generation."""
        return [*deck_change(self.deck), *self.own_changes()]


def _changed_keys(
    kinds: Sequence[str], old: Sequence[Table | None], new: Sequence[Table | None]
) -> dict[str, list[str]] | None:
    """Kind → keys whose objects differ between two states of these kinds' tables; None: too many to tell."""
    out: dict[str, list[str]] = {}
    for kind, before, after in zip(kinds, old, new, strict=True):
        keys = (after or _EMPTY).keys_changed_since(before or _EMPTY)
        if keys is None:
            return None
        out[kind] = keys
    return out


def deck_change(deck: Deck | None) -> Changes:
    """The change that puts the deck in force."""
    return [] if deck is None else [(DECK, "", pack(deck.name))]
