"""Queues that are kept as small objects against one that is a plain list (spec chapter 60, sections 1.4 and 1.5)."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from cgr_cluster.stats.queue import Queue
from cgr_cluster.stats.types import Metric, StatQueue, StatQueueProfile, with_state
from tests.property.naive_queue import METRICS, NaiveQueue


class Store:
    """The objects of a shard, as they are kept: packed."""

    def __init__(self) -> None:
        self.packed: dict[tuple[type[Any], str], bytes] = {}

    def read(self, kind: type[Any], key: str) -> Any:
        found = self.packed.get((kind, key))
        return None if found is None else msgspec.msgpack.decode(found, type=kind)

    def put(self, kind: type[Any], key: str, value: Any) -> None:
        self.packed[kind, key] = msgspec.msgpack.encode(value)

    def delete(self, kind: type[Any], key: str) -> None:
        del self.packed[kind, key]

    def keys(self, kind: type[Any]) -> list[str]:
        return [key for one, key in self.packed if one is kind]


SAMPLES: dict[str, st.SearchStrategy[Any]] = {
    "*asr": st.integers(0, 1),
    "*tcd": st.integers(0, 10**12),
    "*tcc": st.integers(0, 4000).map(lambda number: number / 8),
    "*ddc": st.sampled_from(["49", "44", "1"]),
    "*highest#F": st.integers(0, 4),
    "*lowest#F": st.integers(0, 4),
    "*repsc": st.just(1),
}
EVENTS = st.lists(
    st.tuples(
        st.sampled_from("abcd"), st.integers(0, 6), st.fixed_dictionaries({}, optional=SAMPLES)
    ),
    max_size=30,
)  # fmt: skip


@settings(max_examples=120, deadline=None)
@given(EVENTS, st.sampled_from([0, 1, 2, 3, 5]), st.sampled_from([-1, 0, 4, 9]))
def test_a_queue_is_its_list_of_events(events: list[tuple[str, int, dict[str, Any]]], length: int, ttl_ns: int) -> None:
    profile = with_state(
        StatQueueProfile("t", "Q", queue_length=length, ttl_ns=ttl_ns, metrics=tuple(map(Metric, METRICS))),
        None,
        "era",
        1,
    )
    numbers = {metric.id: metric.number for metric in profile.metrics}
    store: Any = Store()
    naive, now_ns = NaiveQueue(length, ttl_ns), 0
    for event_id, pause_ns, samples in events:
        now_ns += pause_ns
        queue = Queue(store, profile, store.read(StatQueue, "t:Q"))
        queue.take(event_id, {numbers[name]: sample for name, sample in samples.items()}, now_ns)
        queue.save("t:Q")
        naive.take(event_id, samples, now_ns)
        read = Queue(store, profile, store.read(StatQueue, "t:Q"))
        assert [item.event_id for item in read.items()] == [name for name, _ in naive.items]
        for name in METRICS:
            state = read.head.metrics[numbers[name]]
            assert (state.count, state.total) == (naive.counts[name], naive.total(name)), name
    last = Queue(store, profile, store.read(StatQueue, "t:Q"))
    while last.head.first < last.head.end:
        last.drop_first()
    if events:
        last.save("t:Q")
        assert [kind for kind, _ in store.packed] == [StatQueue]  # nothing is left of events that have gone
