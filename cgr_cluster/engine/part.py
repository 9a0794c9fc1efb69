"""Part: one atomic piece of work on one owner's shard, with drafts (design 2; contract in docs/engine.md)."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from hashlib import md5
from typing import TYPE_CHECKING, Any, TypeVar

from cgr_cluster.engine.codec import pack
from cgr_cluster.engine.domain import AWAITED, LAST_CHANGE, STORED_NAME
from cgr_cluster.engine.generation import DECK, Generation
from cgr_cluster.engine.owner import Owner
from cgr_cluster.engine.placement import locate, owner_text
from cgr_cluster.engine.records import Intent, Timer
from cgr_cluster.engine.shard import Shard

if TYPE_CHECKING:
    from cgr_cluster.engine.engine import Engine

T = TypeVar("T")
_DELETED = object()
SEQUENCE_DIGITS = 10  # of the largest sequence number that nine hex digits hold
REQUEST_IDS = 0xFFF


def uuid_of(text: str) -> str:
    """A UUID-shaped id that is the same whenever the same work is done again."""
    h = md5(text.encode(), usedforsecurity=False).hexdigest()
    return f"{h[:8]}-{h[8:12]}-{h[12:16]}-{h[16:20]}-{h[20:]}"


@lru_cache(maxsize=64)
def _uuids_of_sender(sender: str) -> str:
    """What the ids of all requests of a sender begin with."""
    return uuid_of(f"{sender}~")[:24]


def uuid_of_request(uid: str, number: int) -> str:
    """As `uuid_of(f"{uid}~{number}")`, but for a request (`sender:sequence`) its end counts instead of being hashed: nearly
    every request makes one, for an event without an id."""
    sender, _, sequence = uid.rpartition(":")
    if sender and sequence.isdecimal() and len(sequence) <= SEQUENCE_DIGITS and number <= REQUEST_IDS:
        return f"{_uuids_of_sender(sender)}{int(sequence):09x}{number:03x}"
    return uuid_of(f"{uid}~{number}")


class Part:
    """See docs/engine.md. Nothing shows in the shard before `keep`."""

    __slots__ = (
        "_drafts",
        "_engine",
        "_ids",
        "_references",
        "_shard",
        "connection",
        "generation",
        "hops",
        "now_ns",
        "op_id",
        "owner",
        "signals",
        "spawned",
        "tells",
        "waiter",
    )

    def __init__(
        self,
        engine: Engine,
        shard: Shard | None,
        op_id: str,
        now_ns: int,
        generation: Generation,
        connection: str,
        owner: Owner | None,
        waiter: str = "",
        hops: int = 0,
    ) -> None:
        self._engine = engine
        self._shard = shard
        self.op_id = op_id
        self.now_ns = now_ns
        self.generation = generation
        self.connection = connection
        self.owner = owner  # of whom this is done for, None for no single one
        self.waiter = waiter or op_id  # the request or foreign step whose answer waits for what this part delivers
        self.hops = hops  # forwards and method calls that led to it
        self._drafts: dict[tuple[str, str], Any] = {}
        self._references: list[tuple[str, str, Any]] | None = None
        self._ids = 0
        self.spawned: list[str] | None = None
        self.tells: list[tuple[str, str, Any]] | None = None
        self.signals: list[str] | None = None

    def tenant(self, text: str) -> str:
        return text or self.generation.default_tenant

    def new_uuid(self) -> str:
        self._ids += 1
        return uuid_of(f"{self.op_id}#{self._ids}")

    def ids_from(self, text: str) -> None:
        """Make the ids from here on of `text`, used once, so that they do not depend on what else the part has done."""
        self.op_id, self._ids = text, 0

    def _home(self) -> Shard:
        if self._shard is None:
            raise RuntimeError("a step that runs on whole workers reads with part.all; it has no shard of its own")
        return self._shard

    def read(self, kind: type[T], key: str) -> T | None:
        name = STORED_NAME[kind]
        if self._drafts:
            draft = self._drafts.get((name, key))
            if draft is not None:
                return None if draft is _DELETED else draft
        shard = self._shard
        found: T | None = (self._home() if shard is None else shard).get(name, key)
        return found

    def edit(self, kind: type[T], key: str) -> T | None:
        name = STORED_NAME[kind]
        place = name, key
        draft = self._drafts.get(place)
        if draft is not None:
            return None if draft is _DELETED else draft
        found = self._home().get(name, key)
        if found is None:
            return None
        copy: T = found.draft()
        self._drafts[place] = copy
        return copy

    def put(self, kind: type[T], key: str, value: T) -> None:
        if self._shard is None:
            self._home()
        self._drafts[STORED_NAME[kind], key] = value

    def delete(self, kind: type[Any], key: str) -> None:
        self._home()
        self._drafts[STORED_NAME[kind], key] = _DELETED

    def lives_here(self, owner: Owner) -> bool:
        """Whether the owner's state is in this part's shard and is not on its way to another."""
        shard = self._home()
        if shard.tables.get("moving") and shard.get("moving", owner_text(owner)) is not None:
            return False
        return locate(self._engine.generation, owner) == shard.number

    def all(self, kind: type[T]) -> Iterator[tuple[str, T]]:
        """Objects of the part's shard; of all shards of the worker in a step run by `everywhere`."""
        name = STORED_NAME[kind]
        if self._shard is None:
            for shard in self._engine.shards.values():
                yield from shard.items(name)
            return
        for key, value in self._shard.items(name):
            if (name, key) not in self._drafts:
                yield key, value
        for (kept, key), draft in list(self._drafts.items()):
            if kept == name and draft is not _DELETED:
                yield key, draft

    def scan(self, kind: type[T]) -> Iterator[tuple[str, T]]:
        """As `all`, but what is packed stays packed: for a walk over everything, of which little is wanted. What it
        gives is not to be changed or kept."""
        name = STORED_NAME[kind]
        for shard in self._engine.shards.values() if self._shard is None else (self._shard,):
            for key in list(shard.tables.get(name, ())):
                if (name, key) not in self._drafts:
                    yield key, shard.peek(name, key)
        for (kept, key), draft in list(self._drafts.items()):
            if kept == name and draft is not _DELETED:
                yield key, draft

    def kept(self, kind: type[T], prefix: str) -> dict[str, T | bytes]:
        """Objects of the part's shard whose keys begin with `prefix`, by the rest of the key, as they lie: packed ones are
        bytes. Objects are replaced and never changed, so this stays what it is: for who reads much of it in later turns."""
        name, rest = STORED_NAME[kind], len(prefix)
        table = self._home().tables.get(name, {})
        found = {key[rest:]: value for key, value in table.items() if key.startswith(prefix)}
        for (drafted, key), draft in self._drafts.items():
            if drafted == name and key.startswith(prefix):
                found.pop(key[rest:], None)
                if draft is not _DELETED:
                    found[key[rest:]] = draft
        return found

    def shards_with(self, kind: type[Any]) -> list[int]:
        """Shards of this worker that hold objects of the kind."""
        name = STORED_NAME[kind]
        return [shard.number for shard in self._engine.shards.values() if shard.tables.get(name)]

    def keys(self, kind: type[Any]) -> list[str]:
        """Keys of the part's shard, without decoding what is there."""
        name = STORED_NAME[kind]
        found = dict.fromkeys(self._home().tables.get(name, ()))
        for (kept, key), draft in self._drafts.items():
            if kept == name:
                if draft is _DELETED:
                    found.pop(key, None)
                else:
                    found[key] = None
        return list(found)

    def set_timer(self, key: str, at_ns: int, name: str, *args: Any) -> None:
        self.put(Timer, key, Timer(at_ns, name, pack(list(args)), owner_text(self.owner)))

    def set_shard_timer(self, key: str, at_ns: int, name: str, *args: Any) -> None:
        self.put(Timer, key, Timer(at_ns, name, pack(list(args))))

    def has_timer(self, key: str) -> bool:
        return self.read(Timer, key) is not None

    def cancel_timer(self, key: str) -> None:
        self.delete(Timer, key)

    def spawn(self, name: str, *args: Any) -> None:
        if self.spawned is None:
            self.spawned = []
        op_id = f"{self.op_id}.{len(self.spawned) + 1}"
        self.spawned.append(op_id)
        waiter = self.waiter if name in AWAITED else ""
        self.put(Intent, op_id, Intent("task", name, pack(list(args)), self.now_ns, self.connection, 0, [], waiter))

    def tell(self, connection: str, method: str, params: Any) -> None:
        if self.tells is None:
            self.tells = []
        self.tells.append((connection, method, params))

    def signal(self, text: str) -> None:
        if self.signals is None:
            self.signals = []
        self.signals.append(text)

    def set_reference(self, kind: str, key: str, value: Any) -> None:
        self._set_reference(kind, key, value)

    def remove_reference(self, kind: str, key: str) -> None:
        self._set_reference(kind, key, None)

    def _set_reference(self, kind: str, key: str, value: Any) -> None:
        if self._shard is None or self._shard.number != 0:
            raise RuntimeError("reference data is changed at the leader only (owner=LEADER_RULE)")
        if self._references is None:
            self._references = []
        self._references.append((kind, key, value))

    def keep(self) -> bool:
        """Make the drafts the shard's state. Answers whether anything has changed."""
        if not self._drafts and self._references is None and self.tells is None:
            return False
        engine = self._engine
        if self._drafts:
            shard = self._home()
            for (kind, key), draft in self._drafts.items():
                engine.change(shard, kind, key, None if draft is _DELETED else draft)
        if self._references is not None:
            changes = [(kind, key, None if value is None else pack(value)) for kind, key, value in self._references]
            kinds = sorted({kind for kind, _, _ in self._references} - {DECK})  # a deck has its own times
            engine.references.change(changes + [(LAST_CHANGE, kind, pack(self.now_ns)) for kind in kinds])
        if self.tells is not None:
            for told in self.tells:
                engine.tell(*told)
        if self.signals is not None:
            for text in self.signals:
                engine.runner.waits.signal(text)
        return True


class BackgroundPart(Part):
    """A part of background work: it goes through many objects once, so those that are packed shall be so afterwards."""

    __slots__ = ()

    def read(self, kind: type[T], key: str) -> T | None:
        name = STORED_NAME[kind]
        draft = self._drafts.get((name, key))
        if draft is not None:
            return None if draft is _DELETED else draft
        found: T | None = self._home().peek(name, key)
        return found

    def edit(self, kind: type[T], key: str) -> T | None:
        found = self.read(kind, key)
        place = STORED_NAME[kind], key
        if found is None or place in self._drafts:
            return found
        copy: T = found.draft()  # type: ignore[attr-defined]
        self._drafts[place] = copy
        return copy

    def keep(self) -> bool:
        if self._drafts:
            shard = self._home()
            for kind, key in self._drafts:
                if shard.is_packed(kind, key):
                    self._engine.pack_again(shard, kind, key)
        return super().keep()
