"""What is kept only so that a repeated delivery has one effect: answers (`Done`) and step results (`Memo`) (design 4, 7).

They are written in the group of their effect. Dropping answers is not logged: the log's folder drops them by age, and the
bounds here are longer than anybody asks again. Step results are many (some seven a call) and are mostly forgotten within
milliseconds, when their operation has ended; that is logged with the next group that there is anyway, so that they do not
come back after a restart.
"""

from __future__ import annotations

from collections import deque
from itertools import takewhile

from cgr_cluster.engine.shard import Shard

DONE_KEPT_NS = 120 * 10**9  # longer than any deadline within which a balancer delivers again
MEMO_KEPT_NS = 24 * 3600 * 10**9
MEMOS_EVERY_NS = 60 * 10**9  # pause between two looks for step results that nobody has forgotten
SHORT_LIVED = ("done", "memo")  # kinds whose stored value begins with its creation time (docs/log-format.md)


class Kept:
    """Which answers and step results are held, and until when."""

    def __init__(self) -> None:
        self._answers: deque[tuple[int, Shard, str]] = deque()  # by age: when it goes, where it is, uid
        self._memos: dict[str, tuple[int, Shard]] = {}  # by age: key → when it goes, where it is
        self._memos_at_ns = 0  # when these are looked at next
        self._forgotten: list[tuple[int, str, bytes | None]] = []  # for the next group
        self._by_balancer: dict[str, deque[tuple[int, Shard, str]]] = {}

    def remember(self, kind: str, shard: Shard, key: str, at_ns: int) -> None:
        if kind == "memo":
            self._memos[key] = at_ns + MEMO_KEPT_NS, shard
            return
        self._answers.append((at_ns + DONE_KEPT_NS, shard, key))
        balancer, colon, sequence = key.rpartition(":")
        if colon and sequence.isdigit():
            kept = self._by_balancer.get(balancer)
            if kept is None:
                kept = self._by_balancer[balancer] = deque()
            kept.append((int(sequence), shard, key))

    def forget(self, shard: Shard, key: str) -> None:
        """Nobody asks for this step result again."""
        if shard.replace("memo", key, None) is not None:
            self._memos.pop(key, None)
            self._forgotten.append((shard.number, f"memo/{key}", None))

    def take_forgotten(self) -> list[tuple[int, str, bytes | None]]:
        """Records that say so, to be logged before what a group changes: a step may be done again in it."""
        forgotten, self._forgotten = self._forgotten, []
        return forgotten

    def acknowledged(self, balancer: str, below: int) -> None:
        """The balancer has all answers of its requests below this sequence number."""
        kept = self._by_balancer.get(balancer)
        while kept and kept[0][0] < below:
            _, shard, uid = kept.popleft()
            shard.set("done", uid, None)

    def sweep(self, now_ns: int) -> None:
        answers = self._answers
        while answers and answers[0][0] < now_ns:
            _, shard, key = answers.popleft()
            shard.set("done", key, None)
        if now_ns >= self._memos_at_ns:
            self._memos_at_ns = now_ns + MEMOS_EVERY_NS
            for key, (_, shard) in list(takewhile(lambda memo: memo[1][0] < now_ns, self._memos.items())):
                del self._memos[key]
                shard.set("memo", key, None)
