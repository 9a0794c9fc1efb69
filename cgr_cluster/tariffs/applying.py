"""A load as an operation of the cluster: one changeset at the leader, then the accounts at their shards (10 §9.2, 20 §8).

The operation reads the files and checks everything over as many turns as it takes, then one step at the leader writes
the reference data, all or nothing. What is left to do is by shard: one step a shard for the accounts, then the
scheduler's reload. So a load of a million accounts is 256 steps.
"""

from __future__ import annotations

import logging
from typing import Any, TypeVar

import msgspec

from cgr_cluster.accounts.types import Account
from cgr_cluster.actions.attach import forget_account, load_account, load_tasks
from cgr_cluster.actions.membership import NO_ACCOUNT
from cgr_cluster.caches.changes import loaded
from cgr_cluster.engine.codec import pack
from cgr_cluster.engine.domain import Call, GenerationView, Operation, Part, Steps, step, together
from cgr_cluster.engine.owner import LEADER, Owner, account_owner, object_owner, tenant_owner
from cgr_cluster.engine.placement import locate
from cgr_cluster.filters.profiles import unhide_loaded
from cgr_cluster.ips.steps import forget as forget_ips
from cgr_cluster.ips.types import IPS
from cgr_cluster.rankings.steps import forget as forget_ranking
from cgr_cluster.rankings.types import KIND as RANKING
from cgr_cluster.resources.steps import forget as forget_resource
from cgr_cluster.resources.types import RESOURCES
from cgr_cluster.rpc.errors import ApiError, server_error
from cgr_cluster.stats.matching import STATS
from cgr_cluster.stats.steps import forget as forget_queue
from cgr_cluster.tariffs.deck import Deck, read_deck_slices
from cgr_cluster.tariffs.history import remember
from cgr_cluster.tariffs.loading import AccountLoad, EndedState, Loaded, Loader
from cgr_cluster.tariffs.rows import Problem
from cgr_cluster.tariffs.slices import Slices, listed_in_slices, paced
from cgr_cluster.tariffs.tp_store import read_deck_of_store
from cgr_cluster.tariffs.validation import flaw
from cgr_cluster.thresholds.steps import forget as forget_threshold
from cgr_cluster.thresholds.types import THRESHOLDS
from cgr_cluster.trends.steps import forget as forget_trend
from cgr_cluster.trends.types import KIND as TREND

T = TypeVar("T")
logger = logging.getLogger("cgr_cluster.tariffs")

SHARDS_AT_ONCE = 16  # shards that take their accounts together


class LoadOptions(msgspec.Struct, frozen=True, array_like=True, gc=False):
    dry_run: bool = False
    validate: bool = False
    validate_first: bool = False  # Validate counts in a dry run too (loads from the store)
    source: str = ""  # what is loaded, for the history


class ShardWork(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What a load does in one shard."""

    accounts: list[AccountLoad] = []
    tasks: dict[str, list[str]] = {}  # account id → action groups


class Remaining(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What is to do after the changeset: shards' work, whether the scheduler reloads, and the states that have ended with
    their profiles."""

    shards: dict[int, ShardWork] = {}
    reload: bool = False
    ended: list[EndedState] = []


def zone_of(at: Part | Operation) -> str:
    return str(at.generation.config("general").get("default_timezone", ""))


def loader(at: Part | Operation) -> Loader:
    return Loader(at.generation, at.now_ns, zone_of(at), at.new_uuid)


def refused_as_server_error(load: Slices[T]) -> Slices[T]:
    """The load, with its error as the API answers it."""
    try:
        return (yield from load)
    except ApiError as error:
        raise server_error(error) from None


def check_valid(loaded: Loaded, options: LoadOptions) -> None:
    """Raises `invalid data` for a plan with flaws, if the caller wants it checked."""
    if options.validate and (options.validate_first or not options.dry_run):
        flaws = [text for text in map(flaw, loaded.rating_plans) if text]
        for text in flaws:
            logger.warning("invalid data: %s", text)
        if flaws:
            raise ApiError("invalid data")


# --- folders and the store: read and checked over many turns -------------------------------------------------------------------


def load_folder(op: Operation, files: dict[str, bytes], options: LoadOptions) -> Steps[Remaining]:
    """Load a folder's files. Raises `SERVER_ERROR: ...` and `invalid data`, and then nothing is written.

    References are checked against what was live when the load began."""
    deck, problems = yield from paced(read_deck_slices(files))
    return (yield from load_deck(op, deck, problems, options))


def load_from_store(op: Operation, tpid: str, options: LoadOptions) -> Steps[Remaining]:
    """The same with a tariff plan of the store. An unknown one is empty and loads nothing."""
    deck = yield from read_deck_of_store(tpid)
    if not any(deck.values()):
        return Remaining()
    return (yield from load_deck(op, deck, {}, options))


def load_deck(op: Operation, deck: Deck, problems: dict[str, list[Problem]], options: LoadOptions) -> Steps[Remaining]:
    loaded = yield from checked(op, deck, problems, options)
    if options.dry_run:
        return Remaining()
    changes = yield from paced(listed_in_slices((kind, key, pack(value)) for kind, key, value in loaded.changes))
    yield write_packed.at(LEADER, changes, options.source)
    return remaining(op.generation, loaded)


def remove_folder(op: Operation, files: dict[str, bytes], options: LoadOptions) -> Steps[Remaining]:
    """Remove all objects of a folder that loads, whoever made them live. A destination that is not there refuses it."""
    deck, problems = yield from paced(read_deck_slices(files))
    return (yield from remove_deck(op, deck, problems, options))


def remove_from_store(op: Operation, tpid: str, options: LoadOptions) -> Steps[Remaining]:
    """The same with what a tariff plan of the store has; the store keeps it."""
    deck = yield from read_deck_of_store(tpid)
    return (yield from remove_deck(op, deck, {}, options))


def remove_deck(
    op: Operation, deck: Deck, problems: dict[str, list[Problem]], options: LoadOptions
) -> Steps[Remaining]:
    loaded = yield from checked(op, deck, problems, options)
    if options.dry_run:
        return Remaining()
    gone, left = removal(op.generation, loaded, deck)
    yield remove_objects.at(LEADER, gone)
    return left


def checked(op: Operation, deck: Deck, problems: dict[str, list[Problem]], options: LoadOptions) -> Steps[Loaded]:
    """What the deck makes live. Raises as a load answers."""
    loaded = yield from paced(refused_as_server_error(loader(op).load_slices(deck, problems)))
    check_valid(loaded, options)
    return loaded


@step("tariffs.write_packed")
def write_packed(part: Part, changes: list[tuple[str, str, bytes]], source: str) -> None:
    """Make packed objects live, as one changeset."""
    remember(part, source)
    unhide_loaded(part, ((kind, key) for kind, key, _ in changes))
    for kind, key, packed in changes:
        part.set_reference(kind, key, msgspec.Raw(packed))


@step("tariffs.remove_objects")
def remove_objects(part: Part, gone: list[tuple[str, str]]) -> None:
    unhide_loaded(part, gone)
    for kind, key in gone:
        if kind == "destination" and part.generation.get(kind, key) is None:
            raise server_error("NOT_FOUND")
        part.remove_reference(kind, key)


def removal(generation: GenerationView, loaded: Loaded, deck: Deck) -> tuple[list[tuple[str, str]], Remaining]:
    """What goes: all but the predefined timings; and what is left to do at the accounts' shards."""
    own_timings = {row.ID for row in deck.get("timing", ())}
    gone = [(kind, key) for kind, key, _ in loaded.changes if kind != "timing" or key in own_timings]
    has_plans = any(kind == "action_plan" for kind, _ in gone)
    shards = remaining(generation, Loaded(accounts=loaded.accounts)).shards
    return gone, Remaining(shards, has_plans, loaded.states)


# --- parts of the store: one step at the leader -------------------------------------------------------------------


def write(part: Part, loaded: Loaded) -> Remaining:
    """Make the changes live; answers what the accounts' shards are to do."""
    unhide_loaded(part, ((kind, key) for kind, key, _ in loaded.changes))
    for kind, key, value in loaded.changes:
        part.set_reference(kind, key, value)
    return remaining(part.generation, loaded)


# --- what is left to do ------------------------------------------------------------------------------------------


def remaining(generation: GenerationView, loaded: Loaded) -> Remaining:
    shards: dict[int, ShardWork] = {}
    for account in loaded.accounts:
        shard = locate(generation, account_owner(account.tenant, account.account))
        shards.setdefault(shard, ShardWork([], {})).accounts.append(account)
    for account_id, actions_id in loaded.asap:
        owner = LEADER if account_id == NO_ACCOUNT else Owner("account", account_id)
        shards.setdefault(locate(generation, owner), ShardWork([], {})).tasks.setdefault(account_id, []).append(
            actions_id
        )
    has_plans = any(kind == "action_plan" for kind, _, _ in loaded.changes)
    return Remaining(shards, has_plans or bool(loaded.asap))


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
    yield from at_shards(calls)
    yield from forget_states(left.ended)
    yield from conclude(op, left.reload, caching, removing)


def at_shards(calls: list[Call]) -> Steps[list[Any]]:
    """The steps' results, some shards at once. Raises the first error as SERVER_ERROR."""
    results: list[Any] = []
    for start in range(0, len(calls), SHARDS_AT_ONCE):
        for result in (yield together(calls[start : start + SHARDS_AT_ONCE])):
            if isinstance(result, ApiError):
                raise server_error(result)
            results.append(result)
    return results


_FORGET = {
    THRESHOLDS.name: forget_threshold,
    STATS.name: forget_queue,
    IPS.name: forget_ips,
    TREND: forget_trend,
    RANKING: forget_ranking,
}


def forget_state(ended: EndedState) -> Call:
    """The step that drops one."""
    kind, tenant, name, state = ended
    if kind == RESOURCES.name:
        return forget_resource.at(tenant_owner(tenant), tenant, name, state)
    return _FORGET[kind].at(object_owner(tenant, name), tenant, name, state)


def forget_states(ended: list[EndedState]) -> Steps[None]:
    """Drop the states of thresholds, statistic queues, resources and IP profiles that a removal has taken away."""
    for start in range(0, len(ended), SHARDS_AT_ONCE):
        yield together([forget_state(one) for one in ended[start : start + SHARDS_AT_ONCE]])


def conclude(op: Operation, reload: bool, caching: str | None, removing: bool = False) -> Steps[None]:
    """The end of a load, when the accounts are up to date."""
    yield from loaded(op, caching, removing)
    if reload:
        yield reload_scheduler.at(LEADER)
