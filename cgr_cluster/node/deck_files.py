"""The folder of decks: mapping, making and removing its files (docs/decks.md).

A node in one process makes decks by itself; a worker process starts a loader process for each (`deck_loader.py`).
"""

from __future__ import annotations

import logging
import mmap
import os
import tempfile
import time
from collections.abc import Callable
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

from cgr_cluster.engine.codec import pack
from cgr_cluster.engine.deck import Deck, DeckError
from cgr_cluster.engine.deck_merging import write_merged
from cgr_cluster.engine.engine import Engine
from cgr_cluster.engine.generation import Generation
from cgr_cluster.engine.owner import LEADER
from cgr_cluster.engine.part import uuid_of
from cgr_cluster.node.outside import folder_bytes, read_folder
from cgr_cluster.node.running_loads import RunningLoads
from cgr_cluster.tariffs.deck_load import BuiltDeck, DeckJob, deck_of_folder, deck_of_store, pieces_of, prepare
from cgr_cluster.tariffs.progress import READING, WRITING, Report, nobody
from cgr_cluster.tariffs.tp_store import stored_plan, stored_rows

logger = logging.getLogger("cgr_cluster.tariffs")

FOLDER_BYTES = 1 << 20  # folders with more CSV than this are loaded by a deck
STORE_ROWS = 25_000  # a tariff plan of the store with more rows is loaded by a deck
OVERLAY_ENTRIES = 20_000  # with so many changes over the deck, any folder is
SUFFIX = ".deck"

Rows = list[tuple[str, bytes]]  # of the store: kind, packed object
Build = Callable[[Generation, DeckJob, Rows, Report], BuiltDeck]
Work = Callable[[], Any]
AT_ONCE = frozenset({"note_load", "end_load", "running_loads"})  # too little for a thread


class DeckFolder:
    """`path` None: a temporary folder. `build` makes a deck; by default in this process."""

    def __init__(self, path: Path | None, build: Build | None = None) -> None:
        self.big_bytes = FOLDER_BYTES
        self.big_rows = STORE_ROWS
        self.verifies = True  # read all of a deck before it is used: at the start, not at a switch
        self._path = path
        self._temporary: tempfile.TemporaryDirectory[str] | None = None
        self.loads = RunningLoads()
        self._build = build or self.build
        self._asked: dict[str, Callable[..., Work]] = {
            "read_small_folder": self._read_small_folder,
            "is_big_in_store": self._is_big_in_store,
            "build_deck": self._build_deck,
            "sweep_decks": self._sweep_decks,
            "note_load": lambda engine, *args: partial(self.loads.note, *args),
            "end_load": lambda engine, uid: partial(self.loads.end, uid),
            "running_loads": lambda engine: self.loads.listed,
        }
        self._open: WeakValueDictionary[str, Deck] = WeakValueDictionary()

    @property
    def path(self) -> Path:
        if self._path is None:
            self._temporary = tempfile.TemporaryDirectory(prefix="cgr-decks-")
            self._path = Path(self._temporary.name)
        return self._path

    def open(self, name: str) -> Deck:
        """Map a deck. Raises DeckError."""
        deck = self._open.get(name)
        if deck is None:
            deck = Deck(self._map(name), name)
            if self.verifies:
                deck.verify()
            self._open[name] = deck
        return deck

    def _map(self, name: str) -> mmap.mmap:
        try:
            with open(self.path / name, "rb") as file:
                return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except (OSError, ValueError) as error:
            raise DeckError(f"deck {self.path / name} cannot be read: {error}") from None

    def build(self, generation: Generation, job: DeckJob, rows: Rows, report: Report = nobody) -> BuiltDeck:
        """Make the deck of a load. The file is durable when its name is answered. Raises the API's errors, OSError, DeckError."""
        begin = time.monotonic()
        ids = count(1)
        path = job.source.path
        if path:
            total = folder_bytes(path)
            deck, problems = deck_of_folder(read_folder(path, lambda size: report(READING, size, total)), report)
        else:
            deck, problems = deck_of_store(rows)
        prepared = prepare(job, deck, problems, generation, lambda: uuid_of(f"{job.uid}~deck{next(ids)}"), report)
        if prepared is None:
            return BuiltDeck()
        loaded, left = prepared
        del prepared, deck
        pieces = pieces_of(left.shards)
        work = {piece.name: pack(shard_work) for piece, shard_work in pieces}
        self.path.mkdir(exist_ok=True)
        fd, part = tempfile.mkstemp(".part", f"{generation.number + 1}-", self.path)
        name = Path(part).stem + SUFFIX
        with open(fd, "wb", 1 << 20) as file:
            size = write_merged(file.write, generation, loaded, work, partial(report, WRITING))
            file.flush()
            os.fsync(file.fileno())
        os.rename(part, self.path / name)
        folder = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        logger.info("deck %s: %d bytes in %.1f s", name, size, time.monotonic() - begin)
        return BuiltDeck(name, [piece for piece, _ in pieces], left.reload, left.ended)

    def sweep(self, generation: Generation) -> None:
        """Remove the files that this generation, which must be durable, does not refer to."""
        if self._path is None or not self._path.is_dir():
            return
        kept = None if generation.deck is None else generation.deck.name
        for file in self._path.iterdir():
            if file.name != kept and file.suffix in (SUFFIX, ".part"):
                file.unlink(missing_ok=True)

    # --- what operations ask of the outside: the engine is looked at now, the work may be done in another thread -------

    def work(self, engine: Engine, name: str, args: tuple[Any, ...]) -> Work | None:
        """The work of an outside call; None: it is none of these."""
        asked = self._asked.get(name)
        return None if asked is None else asked(engine, *args)

    def _read_small_folder(self, engine: Engine, path: str) -> Work:
        """A folder's files; None: it is to be loaded by a deck."""
        generation = engine.generation

        def read() -> dict[str, bytes] | None:
            if folder_bytes(path) > self.big_bytes or generation.own_count() > OVERLAY_ENTRIES:
                return None
            return read_folder(path)

        return read

    def _is_big_in_store(self, engine: Engine, tpid: str) -> Work:
        rows = stored_rows(engine.shards[LEADER.shard].tables, tpid)
        return lambda: rows > self.big_rows

    def _build_deck(self, engine: Engine, job: DeckJob) -> Work:
        generation, tpid = engine.generation, job.source.tpid
        plan = stored_plan(engine.shards[LEADER.shard].tables, tpid) if tpid else []

        def build() -> BuiltDeck:
            rows = [(kind, item if type(item) is bytes else pack(item)) for kind, item in plan]
            plan.clear()
            return self._build(generation, job, rows, self.loads.reporter(job.uid, job.source.name))

        return build

    def _sweep_decks(self, engine: Engine) -> Work:
        generation = engine.generation
        return lambda: self.sweep(generation)
