"""A new deck from a generation and what a load makes of it (docs/decks.md, "A load").

Entries of the old deck are copied as they are, nothing of them is decoded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from cgr_cluster.engine.codec import pack, unpack
from cgr_cluster.engine.deck import APART_MARK, FOLDED, FRESH, GONE, REVERSE, U32, WORK
from cgr_cluster.engine.deck_writing import DeckWriter, Entry, entry_of, marked
from cgr_cluster.engine.domain import REFERENCE
from cgr_cluster.engine.generation import Generation

Loaded = dict[str, dict[str, bytes | None]]  # kind → key → packed object (None: removed)


TOLD_ENTRIES = 10_000  # entries between two calls of `tell`


def write_merged(
    write: Callable[[bytes], object], generation: Generation, loaded: Loaded, work: Mapping[str, bytes],
    tell: Callable[[int, int], object] = lambda done, total: None,
) -> int:  # fmt: skip
    """Write the deck of `generation` with `loaded` in place of what it replaces. `work`: what the load does at the shards,
    in pieces. Takes the entries out of `loaded`. `tell` hears how many entries of how many are made. Answers the deck's
    size in bytes."""
    writer = DeckWriter(write)
    counter = _Counter(sum(len(generation.table(kind)) for kind in generation.kinds()), loaded, tell)
    folded: list[tuple[str, str]] = []
    kinds = {*generation.kinds(), *loaded}
    for kind in sorted(kinds - {"destination"}):
        _write_kind(writer, generation, kind, loaded.pop(kind, {}), folded, counter)
    if "destination" in kinds:
        destinations = _write_kind(writer, generation, "destination", loaded.pop("destination", {}), folded, counter)
        reverse = _reverse(destinations)
        writer.table(REVERSE, reverse, len(reverse))
    writer.table(FOLDED, [entry_of("", pack(folded))], 1)
    writer.table(WORK, [entry_of(piece, packed) for piece, packed in work.items()], len(work))
    return writer.finish()


class _Counter:
    """Entries made, of those that there will be; a replaced one is counted twice in `total`."""

    def __init__(self, live: int, loaded: Loaded, tell: Callable[[int, int], object]) -> None:
        self.total = live + sum(map(len, loaded.values()))
        self.done = 0
        self._tell = tell
        tell(0, self.total)

    def entry(self) -> None:
        self.done += 1
        if not self.done % TOLD_ENTRIES:
            self._tell(self.done, self.total)


def _write_kind(
    writer: DeckWriter, generation: Generation, kind: str, fresh: dict[str, bytes | None],
    folded: list[tuple[str, str]], counter: _Counter,
) -> list[Entry]:  # fmt: skip
    """Write one kind's table. Adds to `folded`; answers the entries in their order."""
    entries: list[Entry] = []
    table = generation.table(kind)
    below = table.below
    if below is not None:
        for key, start, stop in below.table.entries():
            counter.entry()
            if key not in fresh and table.own(key) is None:
                marks, rest = below.raw(start, stop)
                if not marks & GONE:
                    entries.append(entry_of(key, bytes((marks & APART_MARK,)) + rest))
    for key, own in table.own_entries():
        counter.entry()
        if own.packed is not None and key not in fresh:
            entries.append(entry_of(key, marked(kind, own.packed, 0, split=False)))
            folded.append((kind, key))
    live = len(entries)
    while fresh:
        key, packed = fresh.popitem()
        counter.entry()
        live += packed is not None
        gone = bytes((FRESH | GONE,))
        entries.append(entry_of(key, gone if packed is None else marked(kind, packed, FRESH)))
    writer.table(kind, entries, live)
    return entries


def _reverse(destinations: list[Entry]) -> list[Entry]:
    """The reverse index: prefix → numbers of the destinations, in the order of their entries."""
    owners: dict[str, int | list[int]] = {}
    kind = REFERENCE["destination"]
    for number, (_, _, value) in enumerate(destinations):
        if value[0] & GONE:
            continue
        for prefix in dict.fromkeys(unpack(kind, value[1:]).prefixes):
            found = owners.get(prefix)
            if found is None:
                owners[prefix] = number
            elif isinstance(found, list):
                found.append(number)
            else:
                owners[prefix] = [found, number]
    entries = []
    while owners:
        prefix, found = owners.popitem()
        numbers = found if isinstance(found, list) else [found]
        entries.append(entry_of(prefix, b"".join(map(U32.pack, numbers))))
    return entries
