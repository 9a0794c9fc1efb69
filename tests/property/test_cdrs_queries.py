"""The two compilations of a CDR query select, order and page the same records (spec 40 §4)."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from cgr_cluster.cdrs.queries import (
    EXISTS,
    NUMBERS,
    TEXTS,
    Bound,
    CdrQuery,
    CostIs,
    Extra,
    Nothing,
    OneOf,
    Prefix,
    page,
    predicate,
    sort_key,
    widened,
)
from cgr_cluster.cdrs.store import CdrFiles, CdrReader, CdrWriter
from cgr_cluster.cdrs.types import CDR, Identity, StoredCdr, TailEntry
from cgr_cluster.events.instant import ZERO, Instant

texts = st.sampled_from(["", "a", "A", "b", "ab", "*voice", "é", "q\"u'o.te", "%", "_a"])
names = st.sampled_from(["Trunk", "a.b", 'q"', "é", "x"])
times = st.sampled_from(
    [ZERO, Instant(0), Instant(1772445605, 250_000_000, 3600), Instant(1772445605, 1), Instant(253_402_300_799)]
)
numbers = st.one_of(st.integers(-3, 3), st.sampled_from([1 << 62, -(1 << 62)]))
costs = st.one_of(st.integers(-2, 3).map(lambda n: n * 500_000_000), st.sampled_from([-1_000_000_000, 3_600 * 10**18]))
prefixes = st.sampled_from(["", "4", "49", "491", "é", "%"])
destinations = st.sampled_from(["", "4", "4912", "49", "4479", "é1", "%1"])

cdrs = st.builds(
    CDR,
    cgrid=texts,
    run_id=texts,
    order_id=numbers,
    origin_host=texts,
    source=texts,
    origin_id=texts,
    tor=texts,
    request_type=texts,
    tenant=texts,
    category=texts,
    account=texts,
    subject=texts,
    destination=destinations,
    setup_time=times,
    answer_time=times,
    usage_ns=numbers,
    extra_fields=st.dictionaries(names, texts, max_size=3),
    cost_nano=costs,
)
number_columns = st.sampled_from(sorted(NUMBERS))
operators = st.sampled_from([">=", "<", "<="])
bounds = st.one_of(
    numbers, costs.filter(lambda n: abs(n) < 1 << 63), st.sampled_from([1772445605 * 10**9, 0.5, 3.6e21])
)
tests = st.one_of(
    st.builds(OneOf, st.sampled_from(TEXTS), st.lists(texts, min_size=1, max_size=12).map(tuple), st.booleans()),
    st.builds(Prefix, st.lists(prefixes, min_size=1, max_size=3).map(tuple), st.booleans()),
    st.builds(CostIs, st.lists(costs, min_size=1, max_size=10).map(tuple), st.booleans()),
    st.builds(Extra, names, st.one_of(texts, st.just(EXISTS)), st.booleans()),
    st.builds(Bound, number_columns, operators, bounds),
    st.builds(Nothing),
)
queries = st.builds(
    CdrQuery,
    st.lists(tests, max_size=3).map(tuple),
    st.sampled_from(["order_id", "answer", "setup", "usage", "cost"]),
    st.booleans(),
    st.one_of(st.none(), st.integers(0, 4)),
    st.integers(0, 3),
)

MARCH_NS = 1_772_445_605 * 10**9
APRIL_NS = 1_776_000_000 * 10**9


@settings(max_examples=300, deadline=None)
@given(st.lists(cdrs, max_size=12), queries, st.data())
def test_store_and_predicate_agree(records: list[CDR], query: CdrQuery, data: st.DataObject) -> None:
    stored = [
        StoredCdr((MARCH_NS, APRIL_NS)[number % 2] + number, MARCH_NS - number, cdr)
        for number, cdr in enumerate(records)
    ]
    hidden = data.draw(st.lists(st.sampled_from(stored), unique_by=id)) if stored else []
    exclude = [Identity(*row.cdr.key, row.version) for row in hidden]
    files = CdrFiles(None)
    CdrWriter(files).put(
        TailEntry(row.version, *row.cdr.key, (), row.version, row.created_ns, row.cdr) for row in stored
    )
    reader = CdrReader(files)

    passes = predicate(query.tests)
    kept = [row for row in stored if passes(row) and row not in hidden]
    expected = page(sorted(kept, key=sort_key(query)), widened(query))

    assert reader.query(query, exclude) == expected
    assert reader.count(query.tests, exclude) == len(kept)
    files.close()
