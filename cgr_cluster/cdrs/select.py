"""Queries over everything: the tails of all workers first, then the store, so that a record on its way is seen once."""

from __future__ import annotations

from heapq import merge

from cgr_cluster.cdrs.queries import CdrQuery, OneOf, Test, page, sort_key
from cgr_cluster.cdrs.tail import TailCount, TailPart, tail, tail_count
from cgr_cluster.cdrs.types import Identity, StoredCdr
from cgr_cluster.engine.domain import Steps, everywhere, outside
from cgr_cluster.rpc.errors import ApiError


def select(query: CdrQuery) -> Steps[list[StoredCdr]]:
    """The page of records that `query` asks for, in its order."""
    parts: list[TailPart | ApiError] = yield everywhere(tail, query)
    hidden: list[Identity] = []
    rows: list[list[StoredCdr]] = []
    for part in parts:
        if isinstance(part, ApiError):
            raise part
        hidden += part.hidden
        rows.append(part.rows)
    rows.append((yield outside("cdrs.query", query, hidden)))
    return page(list(merge(*rows, key=sort_key(query))), query)


def count(tests: tuple[Test, ...]) -> Steps[int]:
    parts: list[TailCount | ApiError] = yield everywhere(tail_count, tests)
    hidden: list[Identity] = []
    total = 0
    for part in parts:
        if isinstance(part, ApiError):
            raise part
        hidden += part.hidden
        total += part.matching
    stored: int = yield outside("cdrs.count", tests, hidden)
    return total + stored


def find(cgrid: str, run_id: str, origin_id: str | None = None) -> Steps[list[StoredCdr]]:
    """The records of a CGRID and run, of all OriginIDs or of one."""
    tests = [OneOf("cgrid", (cgrid,)), OneOf("run_id", (run_id,))]
    if origin_id is not None:
        tests.append(OneOf("origin_id", (origin_id,)))
    found: list[StoredCdr] = yield from select(CdrQuery(tuple(tests)))
    return found
