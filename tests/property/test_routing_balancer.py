"""The balancer's core under any order of events: every call is answered once, and calls of one account stay in order."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from cgr_cluster.engine.owner import Owner
from cgr_cluster.routing import wire
from cgr_cluster.routing.balancer import Balancer
from cgr_cluster.rpc.envelope import decode_envelope
from cgr_cluster.rpc.owners import ANY, account
from cgr_cluster.rpc.registry import Method, PingParams, Registry

WORKERS = 3
ACCOUNTS = ("1", "2", "3")
EVENTS = st.lists(
    st.tuples(st.sampled_from(["call", "any", "flush", "answer", "die", "hello", "move"]), st.integers(0, 5)),
    max_size=80,
)


class Peer:
    def pause(self) -> None: ...
    def resume(self) -> None: ...
    def call(self, document: bytes) -> None: ...


class Cluster:
    """Workers that execute a call once by its uid (as the real ones do) when they are its owner, and say Moved when not."""

    def __init__(self) -> None:
        registry = Registry()
        for name, owner in (("T.Account", account()), ("T.Any", ANY)):
            registry.add(Method(name, lambda part, params: None, PingParams, owner, True, None, False))
        self.core = Balancer("b", registry, "t")
        self.client = self.core.connect(Peer())
        self.incarnation = dict.fromkeys(range(WORKERS), 0)
        self.alive: set[int] = set()
        self.inbox: dict[int, list[tuple[int, wire.RequestItem]]] = {n: [] for n in range(WORKERS)}
        self.taken = dict.fromkeys(range(WORKERS), 0)
        self.owner = dict.fromkeys(ACCOUNTS, 0)
        self.version = 1
        self.done: set[str] = set()
        self.executed: list[tuple[str, int]] = []
        self.calls = 0
        self.answers: list[int] = []

    def link(self, worker: int) -> bytes:
        return wire.worker_link(worker, self.incarnation[worker])

    def shard(self, name: str) -> int:
        return Owner("account", f"t:{name}").shard

    def hello(self, worker: int) -> None:
        if worker not in self.alive:
            self.alive.add(worker)
            self.incarnation[worker] += 1
            self.taken[worker] = 0
        shards = [self.shard(name) for name, owner in self.owner.items() if owner == worker]
        hello = wire.Hello(wire.VERSION, worker, self.incarnation[worker], 0, shards, self.version, "t")
        self.core.receive(self.link(worker), hello, 0)

    def call(self, method: str, name: str) -> None:
        number = self.calls
        self.calls += 1
        document = {"method": method, "params": [{"Account": name}], "id": number}

        def reply(answer: bytes) -> None:
            assert json.loads(answer)["error"] is None
            self.answers.append(json.loads(answer)["id"])

        self.core.request(self.client, decode_envelope(json.dumps(document).encode()), reply, 0)

    def flush(self) -> None:
        for link, message in self.core.flush(0):
            worker = int(link.split(b":")[1])
            if worker not in self.alive or link != self.link(worker):
                self.core.gone(link)
            elif isinstance(message, wire.Batch):
                self.inbox[worker] += [(message.number, item) for item in message.requests]
                assert len({number for number, _ in self.inbox[worker]}) <= wire.CREDITS + 1

    def answer(self, worker: int) -> None:
        """The worker does its oldest call."""
        if worker not in self.alive or not self.inbox[worker]:
            return
        batch, item = self.inbox[worker].pop(0)
        self.taken[worker] = batch
        name = json.loads(item.params)["Account"]
        if item.method == "T.Account" and self.owner[name] != worker:
            moved = wire.Moved(item.uid, self.shard(name), self.owner[name], self.version)
            self.core.receive(self.link(worker), moved, 0)
            self.core.receive(self.link(worker), wire.Answers(batch, []), 0)
            return
        if item.uid not in self.done:
            self.done.add(item.uid)
            if item.method == "T.Account":
                self.executed.append((name, int(item.uid.split(":")[1])))
        self.core.receive(self.link(worker), wire.Answers(batch, [wire.AnswerItem(item.uid, False, b"1")]), 0)

    def die(self, worker: int) -> None:
        self.alive.discard(worker)
        self.inbox[worker].clear()

    def move(self, choice: int) -> None:
        name = ACCOUNTS[choice % len(ACCOUNTS)]
        shard = self.shard(name)
        self.version += 1
        for other in ACCOUNTS:
            if self.shard(other) == shard:
                self.owner[other] = (self.owner[name] + 1) % WORKERS

    def step(self, event: str, choice: int) -> None:
        worker = choice % WORKERS
        actions: dict[str, Any] = {
            "call": lambda: self.call("T.Account", ACCOUNTS[choice % len(ACCOUNTS)]),
            "any": lambda: self.call("T.Any", "1"),
            "flush": self.flush,
            "answer": lambda: self.answer(worker),
            "die": lambda: self.die(worker),
            "hello": lambda: self.hello(worker),
            "move": lambda: self.move(choice),
        }
        actions[event]()

    def settle(self) -> None:
        for _ in range(400):
            for worker in range(WORKERS):
                self.hello(worker)
                self.answer(worker)
            self.flush()
            if not self.core.pending:
                return


@settings(max_examples=200, deadline=None)
@given(EVENTS)
def test_every_call_is_answered_once_and_in_order(events: list[tuple[str, int]]) -> None:
    cluster = Cluster()
    for worker in range(WORKERS):
        cluster.hello(worker)
    for event, choice in events:
        cluster.step(event, choice)
        cluster.flush()
    cluster.settle()
    assert sorted(cluster.answers) == list(range(cluster.calls))
    assert cluster.core.allocated == 0 and cluster.client.in_flight == 0 and not cluster.core.pending
    for name in ACCOUNTS:
        order = [sequence for account_name, sequence in cluster.executed if account_name == name]
        assert order == sorted(order)
