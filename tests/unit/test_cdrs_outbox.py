"""The way of tail entries to the store: order, acknowledgement, a link that breaks (design 5)."""

from __future__ import annotations

from typing import Any

from cgr_cluster.cdrs.outbox import Batch, Outbox, entries_of
from cgr_cluster.cdrs.queries import CdrQuery
from cgr_cluster.cdrs.store import CdrFiles, CdrReader, CdrWriter
from cgr_cluster.cdrs.tail import committed
from cgr_cluster.engine.codec import pack
from cgr_cluster.rating.types import Charge, ChargeIncrement, EventCost
from tests.unit.cdrs_world import MARCH_NS, cdr, entry


def record(shard: int, number: int, version: int) -> tuple[int, str, bytes]:
    return shard, f"cdr/key-{number}", pack(entry(cdr(number), version))


def versions(batch: Batch | None) -> list[int]:
    assert batch is not None
    return [found.version for found in entries_of(batch.entries)]


def acknowledged(outbox: Outbox, number: int) -> dict[str, Any]:
    calls = outbox.acknowledged(number)
    assert all(call.step is committed for call in calls)
    return {call.owner.key: call.args[0] for call in calls}


def test_one_batch_at_a_time_in_order() -> None:
    outbox = Outbox()
    outbox.durable([record(1, 1, 10), record(2, 2, 11), (1, "account/x", b""), record(1, 3, 12)])

    assert versions(outbox.batch(2)) == [10, 11]
    assert outbox.batch(2) is None
    assert acknowledged(outbox, 1) == {"1": [("key-1", 10)], "2": [("key-2", 11)]}
    assert versions(outbox.batch(2)) == [12]
    assert len(outbox) == 1
    assert acknowledged(outbox, 2) == {"1": [("key-3", 12)]}
    assert (len(outbox), outbox.batch()) == (0, None)


def test_a_changed_entry_goes_in_its_last_form_only() -> None:
    outbox = Outbox()
    outbox.durable([record(1, 1, 10), record(1, 2, 11), record(1, 1, 12)])
    assert versions(outbox.batch()) == [11, 12]


def test_an_entry_that_changes_under_way_goes_again() -> None:
    outbox = Outbox()
    outbox.durable([record(1, 1, 10)])
    outbox.batch()
    outbox.durable([record(1, 1, 12)])
    assert acknowledged(outbox, 1) == {"1": [("key-1", 10)]}
    assert versions(outbox.batch()) == [12]


def test_an_entry_that_is_gone_is_not_sent() -> None:
    outbox = Outbox()
    outbox.durable([record(1, 1, 10), (1, "cdr/key-1", None)])
    assert outbox.batch() is None


def test_a_broken_link() -> None:
    """What was under way goes again under a new number, first of all; a late acknowledgement says nothing."""
    outbox = Outbox()
    outbox.durable([record(1, 1, 10), record(1, 2, 11)])
    outbox.batch()
    outbox.durable([record(1, 3, 12), record(1, 2, 13)])
    outbox.link_lost()

    batch = outbox.batch()
    assert versions(batch) == [10, 12, 13]
    assert batch is not None
    assert batch.number == 2
    assert outbox.acknowledged(1) == []
    assert acknowledged(outbox, 2) == {"1": [("key-1", 10), ("key-3", 12), ("key-2", 13)]}


def test_a_shard_that_moves_away_takes_its_entries() -> None:
    outbox = Outbox()
    outbox.durable([record(1, 1, 10), record(2, 2, 11)])
    outbox.batch()
    outbox.durable([record(1, 3, 12)])
    outbox.drop_shard(1)
    assert acknowledged(outbox, 1) == {"2": [("key-2", 11)]}
    assert outbox.batch() is None


def test_entries_reach_the_store_whole() -> None:
    """With cost details, and with a cost beyond 64 bits, which the codec keeps as JSON."""
    records = [
        cdr(1, cost_details=EventCost("cgrid-1", charges=[Charge("", [ChargeIncrement(1, 5, "", 2)], 1)])),
        cdr(2, cost_nano=3_600 * 10**18, cost_details=EventCost("cgrid-2")),
    ]
    outbox = Outbox()
    outbox.durable((1, f"cdr/{n}", pack(entry(record, MARCH_NS + n))) for n, record in enumerate(records))
    batch = outbox.batch()
    assert batch is not None
    files = CdrFiles(None)
    CdrWriter(files).put(entries_of(batch.entries))
    assert [row.cdr for row in CdrReader(files).query(CdrQuery())] == records
