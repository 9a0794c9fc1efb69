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


def stored(store: Any, profile: StatQueueProfile, *numbers: int) -> Queue:
    """The queue after an event that gives 1 to the metrics of these numbers, by a request that knows this profile."""
    queue = Queue(store, profile, store.read(StatQueue, "t:Q"))
    if not queue.outdated:
        queue.take("e", dict.fromkeys(numbers, 1), 0)
        queue.save("t:Q")
    return queue


def test_a_request_that_knows_an_older_profile_undoes_nothing() -> None:
    """Owners get events of requests that began before a change of the profile after events that began behind it."""
    store: Any = Store()
    first = with_state(StatQueueProfile("t", "Q", metrics=(Metric("*tcc"),)), None, "one", 1)
    second = with_state(StatQueueProfile("t", "Q", metrics=(Metric("*tcc"), Metric("*sum#1"))), first, "two", 1)
    third = with_state(StatQueueProfile("t", "Q", queue_length=5, metrics=(Metric("*tcc"),)), second, "three", 1)
    assert (second.era, third.era) == ("one", "three")
    stored(store, first, 0)
    stored(store, second, 0, 1)
    late = stored(store, first, 0)  # counts what it knows, and the other metric stays
    assert [state.count for state in late.head.metrics.values()] == [3, 1]
    emptied = stored(store, third, 0)
    assert emptied.replaced is not None and emptied.head.metrics[0].count == 1
    assert stored(store, second, 0, 1).outdated  # it was counted in what is gone
    assert Queue(store, third, store.read(StatQueue, "t:Q")).head.metrics[0].count == 1
