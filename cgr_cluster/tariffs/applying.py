"""A load as an operation of the cluster: one changeset at the leader, then the accounts at their shards (10 §9.2, 20 §8).

The leader's step reads the files or the store, checks everything and writes the reference data, all or nothing. What it
answers is what is left to do: accounts by shard, one step a shard, then the scheduler's reload. So a load of a million
accounts is 256 steps, and none of them needs the deck again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

import msgspec

from cgr_cluster.accounts.types import Account
from cgr_cluster.actions.attach import forget_account, load_account, load_tasks
from cgr_cluster.actions.membership import NO_ACCOUNT
from cgr_cluster.engine.domain import Operation, Part, Steps, step, together
from cgr_cluster.engine.owner import LEADER, Owner, account_owner
from cgr_cluster.rpc.errors import ApiError, server_error
from cgr_cluster.tariffs.deck import Deck, read_deck, warn_of_unloaded
from cgr_cluster.tariffs.loading import AccountLoad, Loaded, Loader
from cgr_cluster.tariffs.rows import Problem
from cgr_cluster.tariffs.tp_store import deck_of
from cgr_cluster.tariffs.validation import flaw

logger = logging.getLogger("cgr_cluster.tariffs")

SHARDS_AT_ONCE = 16  # shards that take their accounts together
CACHING = frozenset(("*none", "*reload", "*load", "*remove", "*clear"))


class LoadOptions(msgspec.Struct, frozen=True, array_like=True, gc=False):
    dry_run: bool = False
    validate: bool = False
    validate_first: bool = False  # Validate counts in a dry run too (loads from the store)


class ShardWork(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What a load does in one shard."""

    accounts: list[AccountLoad] = []
    tasks: dict[str, list[str]] = {}  # account id → action groups


class Remaining(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What is to do after the changeset: shards' work, and whether the scheduler reloads."""

    shards: dict[int, ShardWork] = {}
    reload: bool = False


def zone_of(part: Part) -> str:
    return str(part.generation.config("general").get("default_timezone", ""))


def loader(part: Part) -> Loader:
    return Loader(part.generation, part.now_ns, zone_of(part), part.new_uuid)


def refused_as_server_error(load: Callable[[], Loaded]) -> Loaded:
    try:
        return load()
    except ApiError as error:
        raise server_error(error) from None


# --- at the leader -----------------------------------------------------------------------------------------------


@step("tariffs.load_files")
def load_files(part: Part, files: dict[str, bytes], options: LoadOptions) -> Remaining:
    """Load a folder's files. Raises `SERVER_ERROR: ...` and `invalid data`, and then nothing is written."""
    warn_of_unloaded(files)
    return _load(part, *read_deck(files), options)


@step("tariffs.load_store")
def load_store(part: Part, tpid: str, options: LoadOptions) -> Remaining:
    """Load a tariff plan of the store. An unknown one is empty and loads nothing."""
    deck = deck_of(part, tpid)
    if not any(deck.values()):
        return Remaining()
    return _load(part, deck, {}, options)


def _checked(part: Part, deck: Deck, problems: dict[str, list[Problem]], options: LoadOptions) -> Loaded:
    """The deck loaded, and validated if the caller wants it."""
    loaded = refused_as_server_error(lambda: loader(part).load(deck, problems))
    if options.validate and (options.validate_first or not options.dry_run):
        flaws = [text for text in map(flaw, loaded.rating_plans) if text]
        for text in flaws:
            logger.warning("invalid data: %s", text)
        if flaws:
            raise ApiError("invalid data")
    return loaded


def _load(part: Part, deck: Deck, problems: dict[str, list[Problem]], options: LoadOptions) -> Remaining:
    loaded = _checked(part, deck, problems, options)
    return Remaining() if options.dry_run else write(part, loaded)


def write(part: Part, loaded: Loaded) -> Remaining:
    """Make the changes live; answers what the accounts' shards are to do."""
    for kind, key, value in loaded.changes:
        part.set_reference(kind, key, value)
    return remaining(loaded)


def remaining(loaded: Loaded) -> Remaining:
    shards: dict[int, ShardWork] = {}
    for account in loaded.accounts:
        shard = account_owner(account.tenant, account.account).shard
        shards.setdefault(shard, ShardWork([], {})).accounts.append(account)
    for account_id, actions_id in loaded.asap:
        owner = LEADER if account_id == NO_ACCOUNT else Owner("account", account_id)
        shards.setdefault(owner.shard, ShardWork([], {})).tasks.setdefault(account_id, []).append(actions_id)
    has_plans = any(kind == "action_plan" for kind, _, _ in loaded.changes)
    return Remaining(shards, has_plans or bool(loaded.asap))


@step("tariffs.remove_files")
def remove_files(part: Part, files: dict[str, bytes], options: LoadOptions) -> Remaining:
    return _remove(part, *read_deck(files), options)


@step("tariffs.remove_store")
def remove_store(part: Part, tpid: str, options: LoadOptions) -> Remaining:
    return _remove(part, deck_of(part, tpid), {}, options)


def _remove(part: Part, deck: Deck, problems: dict[str, list[Problem]], options: LoadOptions) -> Remaining:
    """Remove all objects of a deck that loads, whoever made them live. A destination that is not there refuses it."""
    loaded = _checked(part, deck, problems, options)
    if options.dry_run:
        return Remaining()
    own_timings = {row.ID for row in deck.get("timing", ())}
    for kind, key, _ in loaded.changes:
        if kind == "destination" and part.generation.get(kind, key) is None:
            raise server_error("NOT_FOUND")
        if kind != "timing" or key in own_timings:
            part.remove_reference(kind, key)
    return Remaining(remaining(Loaded(accounts=loaded.accounts)).shards, bool(deck.get("action_plan")))


# --- at the accounts' shards -------------------------------------------------------------------------------------


@step("tariffs.load_accounts")
def load_accounts(part: Part, work: ShardWork) -> None:
    """Take over the rows of AccountActions, and leave the tasks of `*asap` timings for the scheduler's reload."""
    for row in work.accounts:
        load_account(part, row.id, row.plan_id, row.triggers_id, row.allow_negative, row.disabled)
    for account_id, actions_ids in work.tasks.items():
        load_tasks(part, account_id, actions_ids)


@step("tariffs.remove_accounts")
def remove_accounts(part: Part, work: ShardWork) -> None:
    for row in work.accounts:
        part.delete(Account, row.id)
        forget_account(part, row.id)


@step("tariffs.reload_scheduler")
def reload_scheduler(part: Part) -> None:
    part.spawn("actions.reload")


def finish(op: Operation, left: Remaining, caching: str | None, removing: bool = False) -> Steps[None]:
    """Bring the accounts up to date and reload the scheduler. An unknown way of caching is an error, but only here:
    the data are written (10 §9.2)."""
    at_shard = remove_accounts if removing else load_accounts
    calls = [at_shard.at(Owner("shard", str(number)), work) for number, work in sorted(left.shards.items())]
    for start in range(0, len(calls), SHARDS_AT_ONCE):
        for result in (yield together(calls[start : start + SHARDS_AT_ONCE])):
            if isinstance(result, ApiError):
                raise server_error(result)
    wanted = caching or str(op.generation.config("general").get("default_caching", "*reload"))
    if wanted not in CACHING:
        raise server_error("rpc: service/method request ill-formed: ")
    if left.reload:
        yield reload_scheduler.at(LEADER)
