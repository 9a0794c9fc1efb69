"""Big folders and tariff plans of the store: read, checked and written as a deck outside of the workers, then switched to (docs/decks.md).

`prepare` runs in the loader process, on a copy of what is live there; the rest are the operation and its steps.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

import msgspec

from cgr_cluster.engine.codec import pack, unpack
from cgr_cluster.engine.domain import GenerationView, Operation, Part, Steps, exclusive, outside, step
from cgr_cluster.engine.generation import Generation
from cgr_cluster.engine.owner import LEADER, Owner
from cgr_cluster.filters.profiles import hidden_keys
from cgr_cluster.rpc.errors import server_error
from cgr_cluster.tariffs.applying import (
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
from cgr_cluster.tariffs.deck import Deck, read_deck, warn_of_unloaded
from cgr_cluster.tariffs.loading import EndedState, Loaded, Loader
from cgr_cluster.tariffs.rows import Problem
from cgr_cluster.tariffs.slices import whole
from cgr_cluster.tariffs.tp_store import KIND

logger = logging.getLogger("cgr_cluster.tariffs")

NOWHERE = Generation({})  # no account has moved: the deck's work is by key, the steps see who lives elsewhere
DECK_LOADS = "tariffs.decks"  # one deck is made at a time


class Source(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Where the rows are: one of both."""

    path: str = ""
    tpid: str = ""


class DeckJob(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What a loader process is to do, with a folder or a tariff plan of the store. `uid`: the operation's, from which ids
    are made."""

    uid: str
    now_ns: int
    source: Source
    options: LoadOptions
    removing: bool = False


class BuiltDeck(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The finished file ("": a dry run), the shards that have accounts to bring up to date, whether the scheduler reloads, and
    the thresholds' states that have ended with their profiles."""

    name: str = ""
    shards: list[int] = []
    reload: bool = False
    ended: list[EndedState] = []


Problems = dict[str, list[Problem]]
Prepared = tuple[dict[str, dict[str, "bytes | None"]], Remaining]  # kind → key → packed object (None: it goes)


def deck_of_folder(files: dict[str, bytes]) -> tuple[Deck, Problems]:
    """`files` are taken out as they are read."""
    warn_of_unloaded(files)
    found = read_deck(files)
    files.clear()
    return found


def deck_of_store(rows: list[tuple[str, bytes]]) -> tuple[Deck, Problems]:
    """The deck of (kind, packed object)."""
    deck: Deck = {}
    for kind, packed in rows:
        deck.setdefault(kind, []).append(unpack(KIND[kind].type, packed))
    return deck, {}


def prepare(
    job: DeckJob, deck: Deck, problems: Problems, generation: GenerationView, new_id: Callable[[], str]
) -> Prepared | None:
    """What the load changes. None: a dry run. Raises the API's errors."""
    zone = str(generation.config("general").get("default_timezone", ""))
    loader = Loader(generation, job.now_ns, zone, new_id)
    loaded = whole(refused_as_server_error(loader.load_slices(deck, problems)))
    check_valid(loaded, job.options)
    name = job.source.path or f"tariff plan {job.source.tpid}"
    logger.info("%s: %d objects, %d accounts", name, len(loaded.changes), len(loaded.accounts))
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
        return out, left
    left = remaining(NOWHERE, loaded)
    for kind, key, value in loaded.changes:
        out.setdefault(kind, {})[key] = pack(value)
    out["hidden_index"] = dict.fromkeys(hidden_keys(generation, ((kind, key) for kind, key, _ in loaded.changes)))
    return out, left


def load_by_deck(
    op: Operation, source: Source, options: LoadOptions, caching: str | None, removing: bool
) -> Steps[None]:
    """Load or remove a big folder or tariff plan. Its rows are never in this process, the intent or the log."""
    yield exclusive(DECK_LOADS)
    job = DeckJob(op.uid, op.now_ns, source, options, removing)
    built: BuiltDeck = yield outside("build_deck", job, returns=BuiltDeck)
    if not built.name:
        return
    yield switch_deck.at(LEADER, built.name)
    yield outside("sweep_decks")
    of_deck = remove_accounts_of_deck if removing else load_accounts_of_deck
    elsewhere = yield from at_shards([of_deck.at(Owner("shard", str(n)), built.name, n) for n in built.shards])
    direct = remove_accounts if removing else load_accounts
    yield from at_shards(
        [direct.at(Owner("shard", str(n)), work) for moved in elsewhere for n, work in sorted(moved.items())]
    )
    yield from forget_states(built.ended)
    yield from conclude(op, built.reload, caching)


@step("tariffs.switch_deck")
def switch_deck(part: Part, name: str) -> None:
    """Put the deck in force, as one changeset."""
    part.set_reference("*deck", "", name)


def _work(part: Part, deck: str, shard: int) -> tuple[ShardWork, dict[int, ShardWork]]:
    """The deck's work for the accounts of a shard's keys: for those that live here, and by shard for those that moved."""
    work: ShardWork = unpack(ShardWork, part.generation.deck_work(deck, shard))
    left = remaining(part.generation, Loaded(accounts=work.accounts, asap=_tasks(work))).shards
    return left.pop(shard, ShardWork()), left


def _tasks(work: ShardWork) -> list[tuple[str, str]]:
    return [(account_id, actions_id) for account_id, group in work.tasks.items() for actions_id in group]


@step("tariffs.load_accounts_of_deck")
def load_accounts_of_deck(part: Part, deck: str, shard: int) -> dict[int, ShardWork]:
    """Answers what is to be done in other shards, because the accounts have moved there."""
    here, elsewhere = _work(part, deck, shard)
    load_accounts(part, here)
    return elsewhere


@step("tariffs.remove_accounts_of_deck")
def remove_accounts_of_deck(part: Part, deck: str, shard: int) -> dict[int, ShardWork]:
    here, elsewhere = _work(part, deck, shard)
    remove_accounts(part, here)
    return elsewhere
