"""CDRs for tests, and a node whose tails go to a store."""

from __future__ import annotations

from typing import Any

from cgr_cluster.cdrs.outbox import Outbox, entries_of
from cgr_cluster.cdrs.store import CdrFiles, CdrReader, CdrWriter, store_functions
from cgr_cluster.cdrs.types import CDR, TailEntry
from cgr_cluster.engine import messages as m
from cgr_cluster.engine.codec import pack
from cgr_cluster.engine.owner import SHARDS
from cgr_cluster.events.instant import Instant
from cgr_cluster.node.node import Node

MARCH_NS = 1_772_445_605 * 10**9  # 2026-03-02T10:00:05Z
APRIL_NS = 1_776_000_000 * 10**9


def cdr(number: int = 1, **fields: Any) -> CDR:
    record = CDR(
        f"cgrid-{number}", "*default", number, "host", "", f"call-{number}", "*voice", "*rated", "cgrates.org", "call",
        "1001", "1001", "4915112233", Instant(1772445600), Instant(1772445605), 60_000_000_000, {"Trunk": "t1"},
    )  # fmt: skip
    for name, value in fields.items():
        setattr(record, name, value)
    return record


def entry(record: CDR, version: int, deletes: tuple[int, ...] = (), stamp: int = 0) -> TailEntry:
    return TailEntry(stamp or version, *record.key, deletes, version, version, record)


def removal(record: CDR, *versions: int) -> TailEntry:
    return TailEntry(max(versions) + 1, *record.key, versions)


class StoreNode(Node):
    """A node with a CDR store; `store_all` lets the outboxes deliver. The store outlives workers."""

    def __init__(self, workers: int = 1) -> None:
        files = CdrFiles(None)
        self.reader = CdrReader(files)
        self.writer = CdrWriter(files)
        super().__init__(workers)
        self.outside.update(store_functions(self.reader))

    def tail(self) -> list[str]:
        return [key for _, key in self.disk if key.startswith("cdr/")]

    def store_all(self) -> None:
        """Everything that is durable goes to the store and leaves the tails."""
        for number, worker in enumerate(self.workers):
            outbox = Outbox()
            outbox.durable(
                (shard, key, value)
                for (shard, key), value in self.disk.items()
                if shard < SHARDS and self.shard_map[shard] == number
            )
            while (batch := outbox.batch(2)) is not None:
                self.writer.put(entries_of(batch.entries))
                for call in outbox.acknowledged(batch.number):
                    args = pack(list(call.args))
                    worker.inbox.append(
                        m.StepRequest(
                            f"store:{number}:{batch.number}:{call.owner.shard}",
                            1,
                            call.step.name,
                            (call.owner.kind, call.owner.key),
                            call.owner.shard,
                            args,
                            self.now_ns,
                            worker.engine.generation.number,
                            "",
                            0,
                            number,
                            number,
                        )
                    )
            self.run()
