"""Big folders and tariff plans of the store: read, checked and written as a deck outside of the workers, then switched to (docs/decks.md).

`prepare` runs in the loader process, on a copy of what is live there; the rest are the operation and its steps.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

import msgspec

from cgr_cluster.engine.codec import pack, unpack
from cgr_cluster.engine.domain import LAST_CHANGE, GenerationView, Operation, Part, Steps, exclusive, outside, step
from cgr_cluster.engine.generation import Generation
from cgr_cluster.engine.owner import LEADER, Owner
from cgr_cluster.filters.profiles import hidden_keys
from cgr_cluster.rpc.errors import ApiError, server_error
from cgr_cluster.tariffs.applying import (
    SHARDS_AT_ONCE,
    LoadOptions,
    Remaining,
    ShardWork,
    at_shards,
    check_valid,
    conclude,
    forget_states,
    load_accounts,
    refused_as_server_error,
    remaining,
    removal,
    remove_accounts,
)
from cgr_cluster.tariffs.deck import Deck, lines_of, read_deck_slices
from cgr_cluster.tariffs.history import remember
from cgr_cluster.tariffs.loading import EndedState, Loaded, Loader
from cgr_cluster.tariffs.progress import (
    ACCOUNTS,
    CHECKING,
    MAKING,
    PACKING,
    SWITCHING,
    WAITING,
    Report,
    counted,
    nobody,
)
from cgr_cluster.tariffs.rows import Problem
from cgr_cluster.tariffs.slices import SLICE_ROWS
from cgr_cluster.tariffs.tp_store import KIND

logger = logging.getLogger("cgr_cluster.tariffs")

NOWHERE = Generation({})  # no account has moved: the deck's work is by key, the steps see who lives elsewhere
DECK_LOADS = "tariffs.decks"  # one deck is made at a time
PIECE = 400  # accounts that one step at a shard loads; some milliseconds
PIECES_AT_ONCE = 2
PIECES_TOLD = 20  # rounds of pieces between two words of progress


class Source(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Where the rows are: one of both."""

    path: str = ""
    tpid: str = ""

    @property
    def name(self) -> str:
        return self.path or f"tariff plan {self.tpid}"


class DeckJob(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What a loader process is to do, with a folder or a tariff plan of the store. `uid`: the operation's, from which ids
    are made."""

    uid: str
    now_ns: int
    source: Source
    options: LoadOptions
    removing: bool = False


class Piece(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Some of the accounts of a shard's keys, which the deck has work for under `name`."""

    shard: int
    number: int
    accounts: int

    @property
    def name(self) -> str:
        return f"{self.shard}/{self.number}"


class BuiltDeck(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The finished file ("": a dry run), the pieces of work with accounts in the order of doing them, whether the scheduler
    reloads, and the states that have ended with their profiles."""

    name: str = ""
    pieces: list[Piece] = []
    reload: bool = False
    ended: list[EndedState] = []


Problems = dict[str, list[Problem]]
Prepared = tuple[dict[str, dict[str, "bytes | None"]], Remaining]  # kind → key → packed object (None: it goes)


def deck_of_folder(files: dict[str, bytes], report: Report = nobody) -> tuple[Deck, Problems]:
    """`files` are taken out as they are read."""
    found = counted(read_deck_slices(files), report, CHECKING, lines_of(files))
    files.clear()
    return found


def deck_of_store(rows: list[tuple[str, bytes]]) -> tuple[Deck, Problems]:
    """The deck of (kind, packed object)."""
    deck: Deck = {}
    for kind, packed in rows:
        deck.setdefault(kind, []).append(unpack(KIND[kind].type, packed))
    return deck, {}


def prepare(
    job: DeckJob, deck: Deck, problems: Problems, generation: GenerationView, new_id: Callable[[], str],
    report: Report = nobody,
) -> Prepared | None:  # fmt: skip
    """What the load changes. None: a dry run. Raises the API's errors."""
    zone = str(generation.config("general").get("default_timezone", ""))
    loader = Loader(generation, job.now_ns, zone, new_id)
    objects = sum(map(len, deck.values()))
    loaded = counted(refused_as_server_error(loader.load_slices(deck, problems)), report, MAKING, objects)
    check_valid(loaded, job.options)
    logger.info("%s: %d objects, %d accounts", job.source.name, len(loaded.changes), len(loaded.accounts))
    if job.options.dry_run:
        return None
    out: dict[str, dict[str, bytes | None]] = {}
    if job.removing:
        gone, left = removal(NOWHERE, loaded, deck)
        for kind, key in gone:
            if kind == "destination" and generation.get(kind, key) is None:
                raise server_error("NOT_FOUND")
            out.setdefault(kind, {})[key] = None
        out["hidden_index"] = dict.fromkeys(hidden_keys(generation, gone))
        out[LAST_CHANGE] = dict.fromkeys(out, pack(job.now_ns))
        return out, left
    left = remaining(NOWHERE, loaded)
    for number, (kind, key, value) in enumerate(loaded.changes):
        if not number % SLICE_ROWS:
            report(PACKING, number, len(loaded.changes))
        out.setdefault(kind, {})[key] = pack(value)
    out["hidden_index"] = dict.fromkeys(hidden_keys(generation, ((kind, key) for kind, key, _ in loaded.changes)))
    out[LAST_CHANGE] = dict.fromkeys(out, pack(job.now_ns))
    return out, left


def pieces_of(shards: dict[int, ShardWork]) -> list[tuple[Piece, ShardWork]]:
    """The shards' work in pieces of PIECE accounts, in the order of doing them: spread over the workers."""
    found = []
    for shard, work in shards.items():
        tasks = dict(work.tasks)
        for number, start in enumerate(range(0, len(work.accounts), PIECE)):
            some = work.accounts[start : start + PIECE]
            own = {row.id: tasks.pop(row.id) for row in some if row.id in tasks}
            found.append((Piece(shard, number, len(some)), ShardWork(some, own)))
        if tasks:  # without account
            found.append((Piece(shard, -1, 0), ShardWork([], tasks)))
    found.sort(key=lambda item: (item[0].number, item[0].shard % SHARDS_AT_ONCE, item[0].shard))
    return found


def load_by_deck(
    op: Operation, source: Source, options: LoadOptions, caching: str | None, removing: bool
) -> Steps[None]:
    """Load or remove a big folder or tariff plan. Its rows are never in this process, the intent or the log."""
    yield outside("note_load", op.uid, source.name, WAITING, 0, 0)
    try:
        yield exclusive(DECK_LOADS)
        yield from _load(op, source, options, caching, removing)
    except ApiError:
        yield outside("end_load", op.uid)
        raise
    yield outside("end_load", op.uid)


def _load(op: Operation, source: Source, options: LoadOptions, caching: str | None, removing: bool) -> Steps[None]:
    job = DeckJob(op.uid, op.now_ns, source, options, removing)
    built: BuiltDeck = yield outside("build_deck", job, returns=BuiltDeck)
    if not built.name:
        return
    yield outside("note_load", op.uid, source.name, SWITCHING, 0, 0)
    yield switch_deck.at(LEADER, built.name, "" if removing else options.source)
    yield outside("sweep_decks")
    of_deck = remove_accounts_of_deck if removing else load_accounts_of_deck
    elsewhere: list[dict[int, ShardWork]] = []
    done, total = 0, sum(piece.accounts for piece in built.pieces)
    for start in range(0, len(built.pieces), PIECES_AT_ONCE):
        if not start % (PIECES_AT_ONCE * PIECES_TOLD):
            yield outside("note_load", op.uid, source.name, ACCOUNTS, done, total)
        some = built.pieces[start : start + PIECES_AT_ONCE]
        moved = yield from at_shards([of_deck.at(Owner("shard", str(p.shard)), built.name, p) for p in some])
        elsewhere += [work for work in moved if work]
        done += sum(piece.accounts for piece in some)
    direct = remove_accounts if removing else load_accounts
    yield from at_shards(
        [direct.at(Owner("shard", str(n)), work) for moved in elsewhere for n, work in sorted(moved.items())]
    )
    yield from forget_states(built.ended)
    yield from conclude(op, built.reload, caching, removing)


@step("tariffs.switch_deck")
def switch_deck(part: Part, name: str, source: str) -> None:
    """Put the deck in force, as one changeset. `source`: of a load, for the history."""
    if source:
        remember(part, source)
    part.set_reference("*deck", "", name)


def _work(part: Part, deck: str, piece: Piece) -> tuple[ShardWork, dict[int, ShardWork]]:
    """A piece of the deck's work: for the accounts that live here, and by shard for those that have moved."""
    work: ShardWork = unpack(ShardWork, part.generation.deck_work(deck, piece.name))
    left = remaining(part.generation, Loaded(accounts=work.accounts, asap=_tasks(work))).shards
    return left.pop(piece.shard, ShardWork()), left


def _tasks(work: ShardWork) -> list[tuple[str, str]]:
    return [(account_id, actions_id) for account_id, group in work.tasks.items() for actions_id in group]


@step("tariffs.load_accounts_of_deck")
def load_accounts_of_deck(part: Part, deck: str, piece: Piece) -> dict[int, ShardWork]:
    """Answers what is to be done in other shards, because the accounts have moved there."""
    here, elsewhere = _work(part, deck, piece)
    load_accounts(part, here)
    return elsewhere


@step("tariffs.remove_accounts_of_deck")
def remove_accounts_of_deck(part: Part, deck: str, piece: Piece) -> dict[int, ShardWork]:
    here, elsewhere = _work(part, deck, piece)
    remove_accounts(part, here)
    return elsewhere
