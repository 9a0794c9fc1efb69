"""The way from the tails to the store, without sockets (design 5).

*Theory.* A record becomes durable in a group of its worker's log, as a `TailEntry`. The shell shows every durable group to
the outbox (`durable`); after a start or the arrival of a shard it shows what the shard holds (`durable` with all its
`cdr/` records). The outbox hands out batches of entries in the order of their stamps (`batch`), at most one unacknowledged
at a time; the store process applies a batch and acknowledges its number; `acknowledged` then says which entries the shards
may drop (by `cdrs.committed`, which leaves an entry that has changed since). When the link to the store breaks, or the
store does not answer for long (`link_lost`), the entries of the open batch are handed out again, under a new number:
applying an entry twice changes nothing. What must not happen is an older form of an entry behind a newer one; so the link
keeps the order of what is sent, and frames of an earlier incarnation of a worker are not applied.

Entries are kept as the packed bytes of the group and are not decoded here.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

import msgspec

from cgr_cluster.cdrs.tail import committed
from cgr_cluster.cdrs.types import CDR, TailEntry
from cgr_cluster.engine.codec import unpack
from cgr_cluster.engine.domain import Call
from cgr_cluster.engine.owner import Owner

KIND = "cdr/"
JSON_FIRST = b"{["  # how an entry begins that the engine's codec keeps as JSON
MAX_BATCH = 2000

Where = tuple[int, str]  # shard, shard key without its kind


class _StampOnly(msgspec.Struct, array_like=True):
    """The first member of a packed TailEntry."""

    stamp: int


class Batch(msgspec.Struct, array_like=True, gc=False):
    """What goes to the store process: packed `TailEntry`s, to be applied in this order."""

    number: int
    entries: list[bytes]


class Outbox:
    """One per worker process and incarnation."""

    def __init__(self) -> None:
        self._waiting: dict[Where, bytes] = {}
        self._open: dict[Where, bytes] = {}
        self._number = 0

    def __len__(self) -> int:
        """Entries that the store does not have, for metrics and the refusal of new work beyond a bound."""
        return len(self._waiting) + len(self._open)

    def durable(self, records: Iterable[tuple[int, str, bytes | None]]) -> None:
        """Records (shard, `kind/key`, packed value or None) of a group that is durable, in their order."""
        for shard, name, value in records:
            if name.startswith(KIND):
                where = (shard, name[len(KIND) :])
                self._waiting.pop(where, None)  # a changed entry goes to the end
                if value is not None:
                    self._waiting[where] = value

    def drop_shard(self, shard: int) -> None:
        """The shard has moved away, with its entries."""
        for entries in (self._waiting, self._open):
            for where in [where for where in entries if where[0] == shard]:
                del entries[where]

    def batch(self, limit: int = MAX_BATCH) -> Batch | None:
        """The next batch; None when nothing waits or one is under way."""
        if self._open or not self._waiting:
            return None
        for where in list(self._waiting)[:limit]:
            self._open[where] = self._waiting.pop(where)
        self._number += 1
        return Batch(self._number, list(self._open.values()))

    def acknowledged(self, number: int) -> list[Call]:
        """The store has committed batch `number`: the steps that drop its entries, one per shard. An older number is of a
        batch that was sent again: nothing."""
        if number != self._number or not self._open:
            return []
        by_shard: dict[int, list[tuple[str, int]]] = {}
        for (shard, key), value in self._open.items():
            by_shard.setdefault(shard, []).append((key, unpack(_StampOnly, value).stamp))
        self._open = {}
        return [committed.at(Owner("shard", str(shard)), entries) for shard, entries in by_shard.items()]

    def link_lost(self) -> None:
        """Hand out the open batch again, before everything else; entries that have changed since go in their new form."""
        again = {where: value for where, value in self._open.items() if where not in self._waiting}
        self._waiting = {**again, **self._waiting}
        self._open = {}


def _like(struct: type[msgspec.Struct], **types: Any) -> Any:
    """A Struct of the same packed form, with other types for some of its fields."""
    fields = [(field.name, types.get(field.name, field.type)) for field in msgspec.structs.fields(struct)]
    return msgspec.defstruct(f"Lean{struct.__name__}", fields, array_like=True, gc=False)


# A TailEntry whose cost details are not taken apart: the store keeps them as they are.
_LEAN_ENTRY = _like(TailEntry, cdr=_like(CDR, cost_details=msgspec.Raw) | None)
_decode_lean = msgspec.msgpack.Decoder(_LEAN_ENTRY).decode


def entries_of(entries: Iterable[bytes]) -> list[TailEntry]:
    """The entries, for `CdrWriter.put`: in MessagePack with packed cost details (an entry with numbers beyond 64 bits is
    kept as JSON, and decoded whole)."""
    return [
        unpack(TailEntry, packed) if packed[0] in JSON_FIRST else cast(TailEntry, _decode_lean(packed))
        for packed in entries
    ]
