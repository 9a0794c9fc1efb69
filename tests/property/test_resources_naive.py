"""Resources against the chapter read literally: lists and sums instead of chains and totals (spec chapter 60, section 2.4)."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from cgr_cluster.node.node import Node

S = 10**9
USAGES = st.sampled_from("abcd")
REQUESTS = st.one_of(
    st.tuples(st.just("allocate"), USAGES, st.integers(0, 3), st.sampled_from((None, 0, -1, 2 * S, 5 * S))),
    st.tuples(st.just("authorize"), USAGES, st.integers(0, 3), st.none()),
    st.tuples(st.just("release"), USAGES, st.just(1), st.sampled_from((None, S))),
    st.tuples(st.just("wait"), st.just(""), st.integers(1, 4), st.none()),
)
PROFILES = st.lists(st.tuples(st.integers(-1, 4), st.sampled_from((-1, 0, 3 * S))), min_size=1, max_size=3)


class Naive:
    """A resource as the chapter describes it. `usages`: id → (units, expiry in ns or 0)."""

    def __init__(self, name: str, limit: int, ttl_ns: int) -> None:
        self.name, self.limit, self.ttl_ns = name, limit, ttl_ns
        self.usages: dict[str, tuple[int, int]] = {}
        self.ttl_index: list[str] | None = None

    @property
    def total(self) -> int:
        return sum(units for units, _ in self.usages.values())

    def expire(self, now_ns: int) -> None:
        while self.ttl_index and self.usages[self.ttl_index[0]][1] <= now_ns:
            del self.usages[self.ttl_index.pop(0)]

    def free(self, usage_id: str) -> bool:
        if usage_id not in self.usages:
            return False
        _, expiry = self.usages.pop(usage_id)
        if expiry and self.ttl_index is not None:
            self.ttl_index.remove(usage_id)
        return True

    def record(self, usage_id: str, units: int, ttl_ns: int, now_ns: int) -> None:
        if ttl_ns == 0:
            return
        self.usages[usage_id] = units, now_ns + ttl_ns if ttl_ns > 0 else 0
        if ttl_ns > 0:
            self.ttl_index = [*(self.ttl_index or ()), usage_id]


def naive_answer(pools: list[Naive], kind: str, usage_id: str, units: int, ttl: int | None, now_ns: int) -> str:
    if kind == "release":
        freed = [(pool.free(usage_id), pool) for pool in pools]
        lost = any(not found and (ttl or pool.ttl_ns > 0) for found, pool in freed)
        return f"cannot find usage record with id: {usage_id}" if lost else "OK"
    message = ""
    for pool in pools:
        pool.expire(now_ns)
        if kind == "allocate":
            pool.free(usage_id)
        if not message and (pool.limit == -1 or pool.total + units <= pool.limit):
            message = pool.name
    if not message:
        return "RESOURCE_UNAUTHORIZED" if kind == "authorize" else "RESOURCE_UNAVAILABLE"
    if kind == "allocate":
        for pool in pools:
            pool.record(usage_id, units, ttl or pool.ttl_ns, now_ns)
    return message


@given(PROFILES, st.lists(REQUESTS, max_size=25))
def test_resources_are_what_the_chapter_says(profiles: list[tuple[int, int]], requests: list[Any]) -> None:
    node = Node(1)
    pools = [Naive(f"R{number}", limit, ttl_ns) for number, (limit, ttl_ns) in enumerate(profiles)]
    for number, pool in enumerate(pools):
        profile = {"ID": pool.name, "Limit": pool.limit, "UsageTTL": pool.ttl_ns, "Weight": -number}
        assert node.call("APIerSv1.SetResourceProfile", {**profile, "ThresholdIDs": ["*none"]})["error"] is None
    for kind, usage_id, units, ttl in requests:
        if kind == "wait":
            node.advance(units * S)
            continue
        opts = {"*rsUsageID": usage_id, "*rsUnits": units} | ({} if ttl is None else {"*rsUsageTTL": ttl})
        name = f"ResourceSv1.{kind.capitalize()}Resources"
        answer = node.call(name, {"ID": "e", "Event": {"A": 1}, "APIOpts": opts})
        expected = naive_answer(pools, kind, usage_id, units, ttl, node.now_ns)
        assert (answer["error"] or answer["result"]) == expected
        for pool in pools:
            found = node.call("ResourceSv1.GetResource", {"ID": pool.name})["result"]
            assert {key: usage["Units"] for key, usage in found["Usages"].items()} == {
                key: held for key, (held, _) in pool.usages.items()
            }
            assert found["TTLIdx"] == pool.ttl_index
