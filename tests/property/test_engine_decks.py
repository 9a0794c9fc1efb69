"""Decks against dicts: whatever Sets, removes and loads come in whatever order, a generation answers as a dict would."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cgr_cluster.engine import messages as m
from cgr_cluster.engine.codec import pack, unpack
from cgr_cluster.engine.deck import Deck, DeckError, Table
from cgr_cluster.engine.deck_merging import write_merged
from cgr_cluster.engine.deck_writing import entry_of, table_pieces
from cgr_cluster.engine.domain import REFERENCE
from cgr_cluster.engine.generation import DECK, Generation
from cgr_cluster.engine.references import References
from cgr_cluster.rating.reference import Binding, Destination, RatingPlan

Model = dict[tuple[str, str], Any]

KEYS = st.sampled_from(["a", "b", "c", "d", "", "é", "k" * 300])
PREFIXES = st.lists(st.sampled_from(["1", "12", "123", "49", "+1", ""]), max_size=4).map(tuple)
OBJECTS = st.one_of(
    st.tuples(st.just("destination"), KEYS, PREFIXES),
    st.tuples(st.just("rating_plan"), KEYS, st.sampled_from([0, 3, 70, 80])),
)
REMOVED = st.tuples(st.sampled_from(["destination", "rating_plan"]), KEYS, st.none())
CHANGES = st.lists(st.one_of(OBJECTS, OBJECTS, REMOVED), max_size=6)
EVENTS = st.lists(
    st.one_of(
        st.tuples(st.just("change"), CHANGES, st.just([])),
        st.tuples(st.just("load"), CHANGES, CHANGES),  # the folder, and what changes while it is loaded
        st.tuples(st.just("restart"), st.just([]), st.just([])),
    ),
    max_size=8,
)


def made(kind: str, key: str, content: Any) -> Any:
    if content is None:
        return None
    if kind == "destination":
        return Destination(key, content)
    return RatingPlan(key, {}, {}, {f"D{n}": (Binding("t", f"r{n % 3}", float(n % 3)),) for n in range(content)})


class Decks:
    """Decks in memory, by name."""

    def __init__(self) -> None:
        self.made: dict[str, Deck] = {}

    def write(self, generation: Generation, changes: list[tuple[str, str, Any]]) -> str:
        name = f"deck{len(self.made)}"
        loaded: dict[str, dict[str, bytes | None]] = {}
        for kind, key, value in changes:
            loaded.setdefault(kind, {})[key] = None if value is None else pack(value)
        data = bytearray()
        write_merged(data.extend, generation, loaded, {"17/0": b"work"})
        self.made[name] = Deck(bytes(data), name)
        self.made[name].verify()
        return name


class World:
    """A leader, a follower, the log's fold, and the model that they must equal."""

    def __init__(self) -> None:
        self.decks = Decks()
        self.model: Model = {}
        self.log: dict[str, bytes] = {}
        self.sent: list[Any] = []
        self.leader = self.new(0)
        self.follower = self.new(1)
        self.leader.peer_has(1, 0)

    def new(self, worker: int) -> References:
        return References(worker, 0, {}, self.sent.append, self.decks.made.__getitem__)

    def change(self, changes: list[tuple[str, str, Any]]) -> None:
        for kind, key, value in changes:
            self.model.pop((kind, key), None)
            if value is not None:
                self.model[kind, key] = value
        self.commit([(kind, key, None if value is None else pack(value)) for kind, key, value in changes])

    def commit(self, changes: list[tuple[str, str, bytes | None]]) -> None:
        if not changes:
            return
        self.leader.change(changes)
        for _, name, value in self.leader.take_records():
            if value is None:
                self.log.pop(name, None)
            else:
                self.log[name] = value
        for output in self.sent:
            if isinstance(output.message, m.Changeset):
                self.follower.receive(output.message)
        self.sent.clear()

    def load(self, folder: list[tuple[str, str, Any]], meanwhile: list[tuple[str, str, Any]]) -> None:
        name = self.decks.write(self.leader.generation, folder)
        self.change(meanwhile)
        for kind, key, value in folder:
            self.model.pop((kind, key), None)
            if value is not None:
                self.model[kind, key] = value
        self.commit([(DECK, "", pack(name))])

    def restart(self) -> None:
        """The leader comes back from the log, the follower from the leader's whole state."""
        self.leader = self.new(0)
        changes = []
        for name, value in self.log.items():
            if name != "ref/number":
                _, kind, key = name.split("/", 2)
                changes.append((kind, key, value))
        self.leader.load(changes, int(self.log.get("ref/number", b"0")))
        self.follower.receive(m.Changeset(self.leader.generation.number, self.leader.generation.snapshot(), True))
        self.leader.peer_has(1, self.leader.generation.number)
        self.sent.clear()

    def check(self, generation: Generation) -> None:
        for kind in ("destination", "rating_plan"):
            keys = {key for held, key in self.model if held == kind}
            assert sorted(generation.keys(kind)) == sorted(keys)
            assert len(generation.keys(kind)) == len(keys)
            for key in ("a", "b", "c", "d", "", "é", "k" * 300):
                expected = self.model.get((kind, key))
                found = generation.get(kind, key)
                if found is not None and kind == "rating_plan":
                    found = RatingPlan(found.id, found.timings, found.ratings, dict(found.bindings))
                assert found == expected
                assert (key in generation.keys(kind)) == (expected is not None)
                packed = generation.packed(kind, key)
                assert (None if packed is None else unpack(REFERENCE[kind], packed)) == expected
        for prefix in ("1", "12", "123", "49", "+1", "", "9"):
            owners = [
                key for (kind, key), value in self.model.items() if kind == "destination" and prefix in value.prefixes
            ]
            assert sorted(generation.destinations_of(prefix)) == sorted(owners)


@settings(deadline=None, max_examples=60)
@given(EVENTS)
def test_a_generation_over_decks_is_a_dict(events: list[tuple[str, list[Any], list[Any]]]) -> None:
    world = World()
    for event, first, second in events:
        changes = [(kind, key, made(kind, key, content)) for kind, key, content in dict_of(first)]
        meanwhile = [(kind, key, made(kind, key, content)) for kind, key, content in dict_of(second)]
        if event == "change":
            world.change(changes)
        elif event == "load":
            world.load(changes, meanwhile)
        else:
            world.restart()
        world.check(world.leader.generation)
        world.check(world.follower.generation)
        assert world.leader.generation.number == world.follower.generation.number


def dict_of(changes: list[tuple[str, str, Any]]) -> list[tuple[str, str, Any]]:
    """The last change of each key."""
    return [(kind, key, content) for (kind, key), content in {(k, n): c for k, n, c in changes}.items()]


@settings(deadline=None)
@given(st.dictionaries(st.text(max_size=300), st.binary(max_size=20), max_size=200), st.text())
def test_a_table_is_a_dict(entries: dict[str, bytes], other: str) -> None:
    data = b"before" + b"".join(table_pieces([entry_of(key, value) for key, value in entries.items()]))
    table = Table(data, 6)
    assert table.size == len(entries)
    assert {key: data[start:stop] for key, start, stop in table.entries()} == entries
    for key in [*entries, other]:
        assert table.get(key) == entries.get(key)


def small_deck() -> bytes:
    data = bytearray()
    generation = Generation({}).apply([("destination", "D", pack(Destination("D", ("49", "4930"))))], 1)
    write_merged(data.extend, generation, {"rating_plan": {"P": pack(made("rating_plan", "P", 70))}}, {})
    return bytes(data)


def test_a_deck_that_is_cut_anywhere_is_refused() -> None:
    data = small_deck()
    for size in range(len(data)):
        with pytest.raises(DeckError):
            Deck(data[:size], "cut")


def damaged(data: bytes, at: int) -> bytes:
    return data[:at] + bytes((data[at] ^ 0x40,)) + data[at + 1 :]


def test_a_damaged_byte_is_found() -> None:
    data = small_deck()
    for at in range(len(data)):
        with pytest.raises(DeckError):
            Deck(damaged(data, at), "damaged").verify()
