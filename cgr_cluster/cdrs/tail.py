"""The tail: records and removals that the store does not have yet, in the shard of each record's home (design 5).

A record is logged here in the same group as the debit that it shows, and is part of every query from then on. The outbox
(`outbox.py`) carries entries to the store; `committed` deletes what the store has.
"""

from __future__ import annotations

import msgspec

from cgr_cluster.cdrs.queries import CdrQuery, OneOf, Test, page, predicate, sort_key, widened
from cgr_cluster.cdrs.types import CDR, Identity, LastStamp, StoredCdr, TailEntry, tail_key
from cgr_cluster.engine.domain import Call, Part, step
from cgr_cluster.rpc.errors import ApiError

EXISTS = "EXISTS"
SHARD_BITS = 0xFF
IDENTITY = ("cgrid", "run_id", "origin_id")  # columns that tell which record it is


def next_stamp(part: Part, shard: int, after: int = 0) -> int:
    """A number for what is written now: ns of the operation with the shard in its lowest 8 bits, or one more than the
    last (of this shard, or `after`). Grows within a shard; below 2^63."""
    last = part.read(LastStamp, "")
    stamp = (part.now_ns & ~SHARD_BITS) | (shard & SHARD_BITS)
    least = max(after, last.stamp if last is not None else 0)
    if stamp <= least:
        stamp = least + 1
    part.put(LastStamp, "", LastStamp(stamp))
    return stamp


@step("cdrs.put")
def put(part: Part, shard: int, cdr: CDR, replaces: list[int], created_ns: int, after: int) -> int:
    """Keep a record at its home; it takes the place of the versions `replaces` of its key. Answers its version, which is
    its OrderID too if it came without one. `after`: the version must be above it. Raises `EXISTS` when this shard holds
    another version of the key."""
    key = tail_key(cdr.cgrid, cdr.run_id, cdr.origin_id)
    entry = part.read(TailEntry, key)
    deletes: tuple[int, ...] = tuple(replaces)
    if entry is not None:
        if entry.cdr is not None and entry.version not in replaces:
            raise ApiError(EXISTS)
        deletes = tuple(dict.fromkeys((*entry.deletes, *deletes)))
    version = next_stamp(part, shard, max(after, *replaces) if replaces else after)
    if not cdr.order_id:
        cdr = cdr.copy()
        cdr.order_id = version
    part.put(
        TailEntry,
        key,
        TailEntry(version, cdr.cgrid, cdr.run_id, cdr.origin_id, deletes, version, created_ns or version, cdr),
    )
    return version


def put_at(cdr: CDR, replaces: list[int], created_ns: int, after: int) -> Call:
    home = cdr.home
    return put.at(home, home.shard, cdr, replaces, created_ns, after)


@step("cdrs.remove")
def remove(part: Part, shard: int, identities: list[Identity]) -> None:
    """Remove versions of records whose home is this shard."""
    for gone in identities:
        key = tail_key(gone.cgrid, gone.run_id, gone.origin_id)
        entry = part.read(TailEntry, key)
        stamp = next_stamp(part, shard)
        if entry is None:
            entry = TailEntry(stamp, gone.cgrid, gone.run_id, gone.origin_id, (gone.version,))
        else:
            deletes = tuple(dict.fromkeys((*entry.deletes, gone.version)))
            kept = entry.cdr if entry.version != gone.version else None
            entry = TailEntry(
                stamp, gone.cgrid, gone.run_id, gone.origin_id, deletes, entry.version if kept else 0,
                entry.created_ns if kept else 0, kept,
            )  # fmt: skip
        part.put(TailEntry, key, entry)


@step("cdrs.committed", idempotent=True)
def committed(part: Part, entries: list[tuple[str, int]]) -> None:
    """The store has committed these entries (key, stamp) of this shard; those that have changed since stay."""
    for key, stamp in entries:
        entry = part.read(TailEntry, key)
        if entry is not None and entry.stamp == stamp:
            part.delete(TailEntry, key)


class TailPart(msgspec.Struct, array_like=True, gc=False):
    """A worker's part of a query: its records that match (in the order of the query, at most offset + limit), and the
    versions of which the store may not speak, since the tail does or since they are to be removed: those that by their
    CGRID, run and OriginID may be asked for."""

    rows: list[StoredCdr]
    hidden: list[Identity]


@step("cdrs.tail", reads=True)
def tail(part: Part, query: CdrQuery) -> TailPart:
    passes = predicate(query.tests)
    named = [
        (test.column, frozenset(test.values), test.negated)
        for test in query.tests
        if isinstance(test, OneOf) and test.column in IDENTITY
    ]
    rows: list[StoredCdr] = []
    hidden: list[Identity] = []
    for _, entry in part.all(TailEntry):
        if any((getattr(entry, column) in texts) is negated for column, texts, negated in named):
            continue
        hidden.extend(Identity(entry.cgrid, entry.run_id, entry.origin_id, version) for version in entry.deletes)
        stored = entry.stored
        if stored is not None:
            hidden.append(Identity(entry.cgrid, entry.run_id, entry.origin_id, entry.version))
            if passes(stored):
                rows.append(stored)
    rows.sort(key=sort_key(query))
    return TailPart(page(rows, widened(query)), hidden)


class TailCount(msgspec.Struct, array_like=True, gc=False):
    """A worker's part of a count, as `TailPart`."""

    matching: int
    hidden: list[Identity]


@step("cdrs.tail_count", reads=True)
def tail_count(part: Part, tests: tuple[Test, ...]) -> TailCount:
    found: TailPart = tail(part, CdrQuery(tests))
    return TailCount(len(found.rows), found.hidden)
