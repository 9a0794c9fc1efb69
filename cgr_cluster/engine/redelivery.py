"""What is kept only so that a repeated delivery has one effect: answers (`Done`) and step results (`Memo`) (design 4, 7).

They are written in the group of their effect. Dropping them is not logged: the log's folder drops them by age, and the
bounds here are longer than anybody asks again.
"""

from __future__ import annotations

from collections import deque

from cgr_cluster.engine.shard import Shard

DONE_KEPT_NS = 120 * 10**9  # longer than any deadline within which a balancer delivers again
MEMO_KEPT_NS = 24 * 3600 * 10**9
SHORT_LIVED = ("done", "memo")  # kinds whose stored value begins with its creation time (docs/log-format.md)


class Kept:
    """Which answers and step results are held, and until when."""

    def __init__(self) -> None:
        self._by_age: dict[str, deque[tuple[int, Shard, str]]] = {kind: deque() for kind in SHORT_LIVED}
        self._by_balancer: dict[str, deque[tuple[int, Shard, str]]] = {}

    def remember(self, kind: str, shard: Shard, key: str, at_ns: int) -> None:
        bound = DONE_KEPT_NS if kind == "done" else MEMO_KEPT_NS
        self._by_age[kind].append((at_ns + bound, shard, key))
        if kind == "done":
            balancer, colon, sequence = key.rpartition(":")
            if colon and sequence.isdigit():
                self._by_balancer.setdefault(balancer, deque()).append((int(sequence), shard, key))

    def acknowledged(self, balancer: str, below: int) -> None:
        """The balancer has all answers of its requests below this sequence number."""
        kept = self._by_balancer.get(balancer)
        while kept and kept[0][0] < below:
            _, shard, uid = kept.popleft()
            shard.set("done", uid, None)

    def sweep(self, now_ns: int) -> None:
        for kind, kept in self._by_age.items():
            while kept and kept[0][0] < now_ns:
                _, shard, key = kept.popleft()
                shard.set(kind, key, None)
