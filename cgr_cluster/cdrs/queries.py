"""What a query selects, described once and compiled twice (spec 40 §4): to SQL for the store, to a predicate for the tail.

A query is a list of tests that must all hold, an order and a page. Tests name columns. Text columns and `order_id` are
attributes of the CDR; the other numbers are derived from it by `NUMBERS`, in the form in which the store keeps them:

* times are ns since the epoch, cut to 64 bits (the zero time and years beyond 2262 all lie at an end);
* a cost is an integer in nano, or a double where that exceeds 64 bits.

The predicate compares the same forms, so that both compilations agree.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from operator import attrgetter
from typing import Any

import msgspec

from cgr_cluster.cdrs.types import StoredCdr
from cgr_cluster.events.instant import Instant

MIN_64 = -(1 << 63)
MAX_64 = (1 << 63) - 1
EXISTS = "*exists"


def time_column(at: Instant) -> int:
    return min(max(at.seconds * 1_000_000_000 + at.nanos, MIN_64), MAX_64)


def cost_column(cost_nano: int) -> int | float:
    return cost_nano if MIN_64 <= cost_nano <= MAX_64 else float(cost_nano)


TEXTS = (
    "cgrid", "run_id", "origin_id", "origin_host", "source", "tor", "request_type", "tenant", "category", "account",
    "subject",
)  # fmt: skip

NUMBERS: dict[str, Callable[[StoredCdr], Any]] = {
    "order_id": lambda row: row.cdr.order_id,
    "setup": lambda row: time_column(row.cdr.setup_time),
    "answer": lambda row: time_column(row.cdr.answer_time),
    "usage": lambda row: row.cdr.usage_ns,
    "cost": lambda row: cost_column(row.cdr.cost_nano),
    "created": lambda row: row.created_ns,
    "version": lambda row: row.version,
}

ORDERS = {"OrderID": "order_id", "AnswerTime": "answer", "SetupTime": "setup", "Usage": "usage", "Cost": "cost"}


class OneOf(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """The text column is (`negated`: is not) one of `values`."""

    column: str
    values: tuple[str, ...]
    negated: bool = False


class Prefix(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Destination begins with one of `values`; an empty value stands for an empty Destination only."""

    values: tuple[str, ...]
    negated: bool = False


class CostIs(msgspec.Struct, frozen=True, array_like=True, tag=True):
    values_nano: tuple[int, ...]
    negated: bool = False


class Extra(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """The extra field `name` has this value (absent counts as ""), or is present when `value` is `*exists`."""

    name: str
    value: str
    negated: bool = False


class Bound(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """A number column compared with `value`; `operator` is `>=`, `<` or `<=`."""

    column: str
    operator: str
    value: int | float


class Nothing(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Never holds."""


Test = OneOf | Prefix | CostIs | Extra | Bound | Nothing


class CdrQuery(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """`order` names a number column; equal ones follow OrderID, CGRID, RunID. `limit` None: all."""

    tests: tuple[Test, ...] = ()
    order: str = "order_id"
    descending: bool = False
    limit: int | None = None
    offset: int = 0


# --- to a predicate -----------------------------------------------------------------------------------------------

Predicate = Callable[[StoredCdr], bool]


def _operators(test: Bound) -> Predicate:
    get, value = NUMBERS[test.column], test.value
    if test.operator == ">=":
        return lambda row: bool(get(row) >= value)
    if test.operator == "<":
        return lambda row: bool(get(row) < value)
    return lambda row: bool(get(row) <= value)


def _predicate_of(test: Test) -> Predicate:
    if isinstance(test, OneOf):
        get_text = attrgetter(test.column)
        texts = frozenset(test.values)
        negated = test.negated
        return lambda row: (get_text(row.cdr) in texts) is not negated
    if isinstance(test, Prefix):
        prefixes = tuple(value for value in test.values if value)
        empty = "" in test.values
        negated = test.negated
        return lambda row: (
            (row.cdr.destination.startswith(prefixes) or (empty and not row.cdr.destination)) is not negated
        )
    if isinstance(test, CostIs):
        costs = frozenset(cost_column(nano) for nano in test.values_nano)
        negated = test.negated
        return lambda row: (cost_column(row.cdr.cost_nano) in costs) is not negated
    if isinstance(test, Extra):
        name, value, negated = test.name, test.value, test.negated
        if value == EXISTS:
            return lambda row: (name in row.cdr.extra_fields) is not negated
        return lambda row: (row.cdr.extra_fields.get(name, "") == value) is not negated
    if isinstance(test, Bound):
        return _operators(test)
    return lambda row: False


def predicate(tests: Iterable[Test]) -> Predicate:
    """A function that tells whether a record passes all of `tests`."""
    compiled = [_predicate_of(test) for test in tests]
    if len(compiled) == 1:
        return compiled[0]
    return lambda row: all(passes(row) for passes in compiled)


def sort_key(query: CdrQuery) -> Callable[[StoredCdr], tuple[Any, ...]]:
    """The key by which the answer of `query` is in ascending order."""
    get = NUMBERS[query.order]
    if query.descending:
        return lambda row: (-get(row), row.cdr.order_id, row.cdr.cgrid, row.cdr.run_id, row.version)
    return lambda row: (get(row), row.cdr.order_id, row.cdr.cgrid, row.cdr.run_id, row.version)


# --- to SQL -------------------------------------------------------------------------------------------------------


def _one_of(column: str, values: tuple[Any, ...], negated: bool, arguments: list[Any]) -> str:
    no = "NOT " if negated else ""
    if len(values) <= 8:
        arguments.extend(values)
        return f"{column} {no}IN ({','.join('?' * len(values))})"
    arguments.append(msgspec.json.encode(values).decode())
    return f"{column} {no}IN (SELECT value FROM json_each(?))"


def _sql_of(test: Test, arguments: list[Any]) -> str:
    if isinstance(test, OneOf):
        return _one_of(test.column, test.values, test.negated, arguments)
    if isinstance(test, CostIs):
        return _one_of("cost", tuple(cost_column(nano) for nano in test.values_nano), test.negated, arguments)
    if isinstance(test, Prefix):
        parts = []
        for value in test.values:
            arguments.append(value)
            if value:
                parts.append("substr(destination, 1, length(?)) = ?")
                arguments.append(value)
            else:
                parts.append("destination = ?")
        return f"{'NOT ' if test.negated else ''}({' OR '.join(parts)})"
    if isinstance(test, Extra):
        arguments.append(test.name)
        if test.value == EXISTS:
            present, condition = True, ""
        else:  # equal to a text: it is there; equal to "": it is not there as anything else
            present, condition = test.value != "", " AND value = ?" if test.value else " AND value <> ''"
            if test.value:
                arguments.append(test.value)
        no = "" if present is not test.negated else "NOT "
        return f"{no}EXISTS (SELECT 1 FROM json_each(cdr.extra) WHERE key = ?{condition})"
    if isinstance(test, Bound):
        arguments.append(test.value)
        return f"{test.column} {test.operator} ?"
    return "0"


def where(tests: Iterable[Test]) -> tuple[str, list[Any]]:
    """A WHERE clause ("" for no test) and its arguments."""
    arguments: list[Any] = []
    parts = [_sql_of(test, arguments) for test in tests]
    return (f" WHERE {' AND '.join(parts)}" if parts else ""), arguments


def order_clause(query: CdrQuery) -> str:
    return f" ORDER BY {query.order}{' DESC' if query.descending else ''}, order_id, cgrid, run_id, version"


# --- pages --------------------------------------------------------------------------------------------------------


def page(rows: list[StoredCdr], query: CdrQuery) -> list[StoredCdr]:
    """Cut the page of `query` out of all records that it selects, which are in its order."""
    end = None if query.limit is None else query.offset + query.limit
    return rows[query.offset : end]


def widened(query: CdrQuery) -> CdrQuery:
    """The query whose answer, merged with others of its kind, still holds the page: the first offset + limit records."""
    limit = None if query.limit is None else min(query.offset + query.limit, MAX_64)
    return CdrQuery(query.tests, query.order, query.descending, limit, 0)
