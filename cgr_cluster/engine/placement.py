"""Where an owner's state lives when it is not where its key hashes to, and how an account moves there (design 5).

Members of a shared group live in one shard, so that a debit is local. The exceptions are reference data (kind `home`), so
every worker resolves an owner the same way: `locate`. A move is done by one operation at the leader, in steps that each
have one effect (invariant 6):

| step | at | effect |
| --- | --- | --- |
| `placement.freeze` | old shard | a `Moving` mark: requests and steps for this owner wait here from now on, also over a restart |
| `placement.export` | old shard | the owner's records, as they are logged |
| `placement.take_in` | new shard | they are there too; nobody asks for them yet |
| `placement.publish` | leader | `home` says the new shard; answered when every live worker has it |
| `placement.drop` | old shard | records and mark go; what waited is resolved again, and sent to the new shard |

When the operation is given up by an unexpected error, the one that follows it (`given_up` of its task) runs `undo_moves`: what
was published is finished, anything else stays where it was; nobody waits for a mark that nobody takes away.

A walk over all shards that must meet every owner exactly once (the accounts of an action plan) excludes moves, and moves
exclude walks: both are noted at the leader (`begin_walk`, `may_move`), so that it holds over restarts too.

Sessions do not move: their home is the shard in which they began (`shard_owner`), and what they debit of an account that
has left is a step at its new shard.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from cgr_cluster.engine.codec import pack, unpack
from cgr_cluster.engine.domain import (
    STORED,
    STORED_NAME,
    GenerationView,
    Part,
    Steps,
    everywhere,
    reference,
    step,
    stored,
)
from cgr_cluster.engine.owner import LEADER, Owner, shard_of
from cgr_cluster.engine.records import Done, Memo, Timer

T = TypeVar("T")

Belongs = Callable[[str, Any], str]  # (key, object) → `kind:key` of its owner
ARRIVALS: dict[str, Callable[[Part, str, Any], None]] = {}  # stored kind → what is done where its objects arrive
BELONGING: dict[str, Belongs] = {}  # stored kind → whose its objects are; kinds not named here never move


@reference("home")
class Home(msgspec.Struct, frozen=True, gc=False):
    """Key: `kind:key` of an owner."""

    shard: int


@stored("moving")
class Moving(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """The owner (the key, `kind:key`) is being moved away from this shard."""

    to: int

    def draft(self) -> Moving:
        return self


def owner_text(owner: Owner | None) -> str:
    return "" if owner is None else f"{owner.kind}:{owner.key}"


def owner_of(text: str) -> Owner | None:
    """The owner of an `owner_text`."""
    kind, _, key = text.partition(":")
    return Owner(kind, key) if text else None


def locate(generation: GenerationView, owner: Owner) -> int:
    """The shard of an owner."""
    if generation.has_homes and owner.kind in ("account", "group"):
        home: Home | None = generation.get("home", owner_text(owner))
        if home is not None:
            return home.shard
    return shard_of(owner.kind, owner.key)


def shard_owner(number: int) -> Owner:
    return Owner("shard", str(number))


def belongs(whose: Belongs) -> Callable[[type[T]], type[T]]:
    """Decorator of stored types whose objects move with their owner: `whose(key, object)` is its text, `kind:key`."""

    def declare(cls: type[T]) -> type[T]:
        BELONGING[STORED_NAME[cls]] = whose
        return cls

    return declare


def belongs_by_key(kind: str) -> Callable[[type[T]], type[T]]:
    """The object's key is the key of its owner, which is of this kind."""
    return belongs(lambda key, _: f"{kind}:{key}")


def arrival(kind: str) -> Callable[[Callable[[Part, str, T], None]], Callable[[Part, str, T], None]]:
    """Decorator of what is to be done in a shard where an object of a stored kind has arrived: `(part, key, object)`. It may be
    done twice."""

    def declare(function: Callable[[Part, str, T], None]) -> Callable[[Part, str, T], None]:
        ARRIVALS[kind] = function
        return function

    return declare


class Exported(msgspec.Struct, array_like=True, gc=False):
    kind: str
    key: str
    data: bytes


@step("placement.freeze", idempotent=True)
def freeze(part: Part, owner: str, to: int) -> None:
    if part.read(Moving, owner) is None:
        part.put(Moving, owner, Moving(to))


@step("placement.export", reads=True)
def export(part: Part, owner: str) -> list[Exported]:
    """All records of the owner in this shard, with its timers and the results that a repeated delivery must find."""
    return [Exported(STORED_NAME[type(value)], key, pack(value)) for key, value in _records_of(part, owner)]


def _records_of(part: Part, owner: str) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for name, whose in BELONGING.items():
        found += [(key, value) for key, value in part.all(STORED[name]) if whose(key, value) == owner]
    tagged: tuple[type[Any], ...] = (Done, Memo, Timer)
    for cls in tagged:
        found += [(key, value) for key, value in part.all(cls) if value.owner == owner]
    return found


@step("placement.take_in", idempotent=True)
def take_in(part: Part, records: list[Exported]) -> None:
    for record in records:
        cls = STORED[record.kind]
        value = unpack(cls, record.data)
        part.put(cls, record.key, value)
        arrived = ARRIVALS.get(record.kind)
        if arrived is not None:
            arrived(part, record.key, value)


@step("placement.publish", idempotent=True)
def publish(part: Part, owner: str, shard: int) -> None:
    part.set_reference("home", owner, Home(shard))


@step("placement.drop", idempotent=True)
def drop(part: Part, owner: str) -> None:
    if part.read(Moving, owner) is None:
        return
    for key, value in _records_of(part, owner):
        part.delete(type(value), key)
    part.delete(Moving, owner)


@step("placement.leave", idempotent=True)
def leave(part: Part, owner: str) -> None:
    """Remove what was taken in of an owner that does not come after all."""
    for key, value in _records_of(part, owner):
        part.delete(type(value), key)


@step("placement.thaw", idempotent=True)
def thaw(part: Part, owner: str) -> None:
    if part.read(Moving, owner) is not None:
        part.delete(Moving, owner)


@step("placement.shards_frozen", reads=True)
def shards_frozen(part: Part) -> list[int]:
    return part.shards_with(Moving)


@step("placement.frozen_in", reads=True)
def frozen_in(part: Part) -> list[tuple[str, int]]:
    """Owners that are leaving this shard, and for which."""
    return [(owner, moving.to) for owner, moving in part.all(Moving)]


def undo_moves(generation: GenerationView) -> Steps[None]:
    """End all moves that have begun: by whoever holds the lock of all moves, and moves nobody now."""
    found: list[list[int]] = yield everywhere(shards_frozen)
    for old in sorted(number for numbers in found for number in numbers):
        marks: list[tuple[str, int]] = yield frozen_in.at(shard_owner(old))
        for text, to in marks:
            owner = owner_of(text)
            if owner is not None and locate(generation, owner) != old:
                yield drop.at(shard_owner(old), text)
            else:
                yield leave.at(shard_owner(to), text)
                yield thaw.at(shard_owner(old), text)


# --- walks and moves exclude each other ---------------------------------------------------------------------------

LOST_AFTER_NS = 600_000_000_000  # what has not ended by then was given up by an unexpected error
TRY_AGAIN_NS = 2_000_000


@stored("walk")
class Walk(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A walk over all shards is under way, at the leader. Key: whose."""

    since_ns: int

    def draft(self) -> Walk:
        return self


@stored("relocating")
class Relocating(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """Owners are being moved, at the leader. Key: by which operation."""

    since_ns: int

    def draft(self) -> Relocating:
        return self


def _begins(part: Part, kind: type[Walk] | type[Relocating], name: str, other: type[Walk] | type[Relocating]) -> bool:
    if any(part.now_ns - found.since_ns < LOST_AFTER_NS for _, found in part.all(other)):
        return False
    part.put(kind, name, kind(part.now_ns))
    return True


@step("placement.begin_walk")
def begin_walk(part: Part, name: str) -> bool:
    """At the leader. False: owners are on the move; try again in TRY_AGAIN_NS."""
    return _begins(part, Walk, name, Relocating)


@step("placement.end_walk", idempotent=True)
def end_walk(part: Part, name: str) -> None:
    if part.read(Walk, name) is not None:
        part.delete(Walk, name)


@step("placement.may_move")
def may_move(part: Part, name: str) -> bool:
    """At the leader, before the first `move`. False: a walk is under way; try again in TRY_AGAIN_NS."""
    return _begins(part, Relocating, name, Walk)


@step("placement.has_moved", idempotent=True)
def has_moved(part: Part, name: str) -> None:
    if part.read(Relocating, name) is not None:
        part.delete(Relocating, name)


def move(owner: Owner, old: int, new: int) -> Steps[None]:
    """Move an owner; to be run by one operation at a time (the leader's, which holds the lock of all moves)."""
    text = owner_text(owner)
    yield freeze.at(shard_owner(old), text, new)
    records = yield export.at(shard_owner(old), text)
    yield take_in.at(shard_owner(new), records)
    yield publish.at(LEADER, text, new)
    yield drop.at(shard_owner(old), text)
