"""The balancer's core: where calls go, when they go again, and what bounds them (design 4)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cgr_cluster.engine.owner import Owner
from cgr_cluster.routing import balancer as core
from cgr_cluster.routing import requests, wire
from cgr_cluster.routing.balancer import Balancer
from cgr_cluster.routing.requests import Client
from cgr_cluster.rpc.envelope import decode_envelope
from cgr_cluster.rpc.owners import ANY, account
from cgr_cluster.rpc.registry import Method, PingParams, Registry

S = 1_000_000_000


def registry() -> Registry:
    found = Registry()
    for name, owner, deadline in (
        ("T.Account", account(), 30.0), ("T.Any", ANY, 30.0), ("CoreSv1.Status", ANY, 30.0), ("CoreSv1.Sleep", ANY, None),
        ("SessionSv1.Any", ANY, 30.0),
    ):  # fmt: skip
        found.add(Method(name, lambda part, params: None, PingParams, owner, True, deadline, False))
    return found


class Peer:
    def __init__(self) -> None:
        self.paused = False
        self.calls: list[Any] = []

    def pause(self) -> None:
        self.paused = True

    def resume(self) -> None:
        self.paused = False

    def call(self, document: bytes) -> None:
        self.calls.append(json.loads(document))


class Rig:
    """A balancer with one client, and workers that answer when they are told to."""

    def __init__(self, workers: int = 1, **options: Any) -> None:
        self.core = Balancer("b", registry(), "cgrates.org", **options)
        self.now = 0
        self.peer = Peer()
        self.client = self.core.connect(self.peer)
        self.answers: list[Any] = []
        self.workers = workers
        self.sent: list[tuple[int, wire.Batch]] = []
        self.other: list[wire.ToWorker] = []

    def hello(self, worker: int, incarnation: int = 1, version: int = 1, shards: list[int] | None = None) -> None:
        own = [shard for shard in range(256) if shard % self.workers == worker] if shards is None else shards
        hello = wire.Hello(wire.VERSION, worker, incarnation, 0, own, version, "cgrates.org")
        self.core.receive(wire.worker_link(worker, incarnation), hello, self.now)

    def call(self, method: str, parameter: Any = None, client: Client | None = None, number: int = 1) -> None:
        document = {"method": method, "params": [{} if parameter is None else parameter], "id": number}
        self.core.request(
            client or self.client, decode_envelope(json.dumps(document).encode()),
            lambda data: self.answers.append(json.loads(data)), self.now,
        )  # fmt: skip

    def flush(self) -> list[list[str]]:
        """Send what is to be sent; the uids of each batch."""
        out = []
        for link, message in self.core.flush(self.now):
            if isinstance(message, wire.Batch):
                self.sent.append((int(link.split(b":")[1]), message))
                out.append([item.uid for item in message.requests])
            else:
                self.other.append(message)
        return out

    def answer(self, *uids: str, worker: int = 0, incarnation: int = 1, taken: int = 1) -> None:
        items = [wire.AnswerItem(uid, False, b'{"uid":"%b"}' % uid.encode()) for uid in uids]
        self.core.receive(wire.worker_link(worker, incarnation), wire.Answers(taken, items), self.now)

    def errors(self) -> list[Any]:
        return [answer["error"] for answer in self.answers]


def named(name: str) -> dict[str, str]:
    return {"Tenant": "t", "Account": name}


def accounts_of(shard_of_worker: int, workers: int) -> str:
    """An account name whose shard belongs to a worker."""
    return next(
        str(n) for n in range(1000) if Owner("account", f"t:{n}").shard % workers == shard_of_worker
    )  # fmt: skip


def test_a_batch_per_turn_and_worker() -> None:
    rig = Rig(2)
    rig.hello(0)
    rig.hello(1)
    for name in (accounts_of(0, 2), accounts_of(1, 2), accounts_of(0, 2)):
        rig.call("T.Account", named(name))
    assert rig.flush() == [["b:1", "b:3"], ["b:2"]]
    assert [worker for worker, _ in rig.sent] == [0, 1]
    item = rig.sent[0][1].requests[0]
    assert (item.method, item.time_left_ms, item.hops) == ("T.Account", 30_000, 0)
    rig.answer("b:3", "b:1")
    rig.answer("b:2", worker=1)
    assert [answer["result"] for answer in rig.answers] == [{"uid": "b:3"}, {"uid": "b:1"}, {"uid": "b:2"}]
    assert rig.core.allocated == 0 and not rig.core.pending


def test_calls_without_an_owner_go_to_the_least_busy_worker() -> None:
    rig = Rig(2)
    rig.hello(0)
    rig.hello(1)
    for _ in range(4):
        rig.call("T.Any")
    assert sorted(len(batch) for batch in rig.flush()) == [2, 2]


@pytest.mark.parametrize(
    ("document", "error"),
    [
        ('{"method":"NopeSv1.Ping","params":[{}]}', "rpc: can't find service NopeSv1.Ping"),
        ('{"method":"T.Nope","params":[{}]}', "rpc: can't find method T.Nope"),
        ('{"method":"T.any","params":[{}]}', "rpc: can't find method T.any"),
        ('{"method":"Ping","params":[{}]}', "rpc: service/method request ill-formed: Ping"),
        ('{"method":"T.Any.B","params":[{}]}', "rpc: can't find service T.Any.B"),
        ('{"method":"T.Nope"}', "rpc: can't find method T.Nope"),
        ('{"method":"T.Any"}', "jsonrpc: request body missing params"),
    ],
)
def test_look_up_errors_need_no_worker(document: str, error: str) -> None:
    rig = Rig()
    rig.core.request(
        rig.client, decode_envelope(document.encode()), lambda data: rig.answers.append(json.loads(data)), 0
    )  # fmt: skip
    assert rig.errors() == [error]


def test_at_most_two_batches_are_on_the_way() -> None:
    rig = Rig()
    rig.hello(0)
    for _ in range(4):
        rig.call("T.Any")
        rig.flush()
    assert [[item.uid for item in batch.requests] for _, batch in rig.sent] == [["b:1"], ["b:2"]]
    rig.answer(taken=1)
    assert rig.flush() == [["b:3", "b:4"]]
    rig.answer("b:1", "b:3", taken=3)
    rig.call("T.Any")
    assert rig.flush() == [["b:5"]]
    assert rig.sent[-1][1].acked_below == 2  # b:2 is not answered


def test_a_restarted_worker_gets_its_calls_again_first_and_in_order() -> None:
    rig = Rig()
    rig.hello(0)
    for _ in range(3):
        rig.call("T.Account", named("1"))
    rig.flush()
    rig.core.gone(wire.worker_link(0, 1))
    rig.call("T.Account", named("1"))
    assert rig.flush() == []
    rig.answer("b:2")  # of the dead incarnation: not believed, the call comes again
    rig.hello(0, incarnation=2)
    assert rig.flush() == [["b:1", "b:2", "b:3", "b:4"]]
    rig.hello(0, incarnation=1)  # a late word of the old one changes nothing
    rig.answer("b:1", "b:2", "b:3", "b:4", incarnation=2)
    assert len(rig.answers) == 4


def test_a_worker_that_is_down_or_leaving_is_not_given_calls_that_anyone_can_do() -> None:
    rig = Rig(2)
    rig.hello(0)
    rig.hello(1)
    rig.core.receive(wire.worker_link(0, 1), wire.Leaving(0), 0)
    rig.call("T.Any")
    rig.call("T.Account", named(accounts_of(0, 2)))
    assert rig.flush() == [["b:1"]]
    assert rig.sent[-1][0] == 1
    rig.core.gone(wire.worker_link(1, 1))
    rig.call("T.Any")  # nobody is left: it waits
    assert rig.flush() == []
    rig.hello(0, incarnation=2)
    assert rig.flush() == [["b:2", "b:3"]]


def test_deadlines() -> None:
    rig = Rig()
    rig.call("T.Any")
    rig.now = 29 * S
    rig.core.expire(rig.now)
    assert rig.answers == []
    rig.now = 30 * S
    rig.core.expire(rig.now)
    assert rig.errors() == ["REPLY_TIMEOUT"]
    rig.hello(0)
    rig.call("T.Any")
    rig.call("CoreSv1.Sleep")
    rig.flush()
    rig.now += 31 * S  # sent: the worker may just be answering
    rig.core.expire(rig.now)
    assert len(rig.answers) == 1
    rig.now += 2 * S
    rig.core.expire(rig.now)
    assert rig.errors() == ["REPLY_TIMEOUT"] * 2
    rig.answer("b:2", "b:3")  # too late for b:2; a sleep has no deadline
    assert len(rig.answers) == 3


def test_a_call_whose_time_is_over_is_not_sent() -> None:
    rig = Rig()
    rig.call("T.Account", named("1"))
    rig.hello(0)
    rig.now = 30 * S
    assert rig.flush() == []
    assert rig.errors() == ["REPLY_TIMEOUT"]


def test_held_calls_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(core, "HELD_CALLS", 3)
    rig = Rig()
    for _ in range(5):
        rig.call("T.Any")
    rig.core.expire(1)
    assert rig.errors() == ["DISCONNECTED"] * 2
    rig.hello(0)
    assert rig.flush() == [["b:1", "b:2", "b:3"]]


def test_a_moved_shard_keeps_the_order_of_its_calls() -> None:
    rig = Rig(2)
    rig.hello(0, shards=list(range(256)))
    rig.hello(1, shards=[])
    name = named("1001")
    shard = Owner("account", "t:1001").shard
    for _ in range(3):
        rig.call("T.Account", name)
    rig.flush()
    link = wire.worker_link(0, 1)
    rig.core.receive(link, wire.Moved("b:2", shard, 1, 2), 0)
    rig.call("T.Account", name)  # must not overtake
    assert rig.flush() == []
    rig.answer("b:1")
    rig.core.receive(link, wire.Moved("b:3", shard, 1, 2), 0)
    assert rig.flush() == [["b:2", "b:3", "b:4"]]
    assert rig.sent[-1][0] == 1
    assert [item.hops for item in rig.sent[-1][1].requests] == [1, 1, 0]
    rig.answer("b:2", "b:3", "b:4", worker=1)
    assert len(rig.answers) == 4 and not rig.core.pending


def test_a_call_is_not_sent_on_for_ever() -> None:
    rig = Rig(2)
    rig.hello(0)
    rig.hello(1)
    rig.call("T.Account", named("1001"))
    shard = Owner("account", "t:1001").shard
    for hop in range(core.MAX_HOPS + 1):
        rig.flush()
        worker = rig.sent[-1][0]
        rig.answer(worker=worker, taken=len(rig.sent))
        rig.core.receive(wire.worker_link(worker, 1), wire.Moved("b:1", shard, 1 - worker, hop + 2), 0)
    assert rig.errors() == ["SERVER_ERROR: the call was sent on too often"]


def test_busy_limit() -> None:
    rig = Rig(caps=2)
    rig.hello(0)
    for _ in range(4):
        rig.call("CoreSv1.Sleep")
    assert rig.errors() == ["MAX_CONCURRENT_RPC_EXCEEDED"] * 2
    rig.call("No.Such")
    assert rig.errors()[-1] == "MAX_CONCURRENT_RPC_EXCEEDED"
    rig.flush()
    rig.answer("b:1")
    rig.call("CoreSv1.Status")
    rig.flush()
    rig.answer("b:3", taken=2)
    assert rig.answers[-1]["result"] == {"uid": "b:3", "caps_allocated": 2}


def test_queue_limit_stops_reading() -> None:
    rig = Rig(caps=1, strategy="*queue", shows_peak=True)
    rig.hello(0)
    for _ in range(3):
        rig.call("CoreSv1.Status")
    assert rig.peer.paused
    assert rig.flush() == [["b:1"]]
    rig.answer("b:1")
    assert rig.flush() == [["b:2"]]
    assert rig.peer.paused
    rig.answer("b:2", taken=2)
    assert not rig.peer.paused
    rig.flush()
    rig.answer("b:3", taken=3)
    assert rig.answers[-1]["result"] == {"uid": "b:3", "caps_allocated": 1, "caps_peak": 1}


def test_a_connection_with_too_much_in_flight_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(core, "CALLS", 4)
    rig = Rig()
    rig.hello(0)
    for _ in range(4):
        rig.call("T.Any")
    assert rig.peer.paused
    rig.flush()
    rig.answer("b:1")
    assert rig.peer.paused
    rig.answer("b:2")
    assert not rig.peer.paused


def test_calls_beyond_the_window_wait_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small answers let one more call go each, and one more still: the window grows while calls wait for it."""
    monkeypatch.setattr(requests, "WINDOW", 2)
    rig = Rig()
    rig.hello(0)
    for _ in range(6):
        rig.call("T.Any")
    assert rig.flush() == [["b:1", "b:2"]]
    assert not rig.peer.paused
    rig.answer("b:1")
    assert rig.flush() == [["b:3", "b:4"]]
    rig.answer("b:2", "b:3", taken=2)
    assert rig.flush() == [["b:5", "b:6"]]
    rig.answer("b:4", "b:5", "b:6", taken=3)
    assert len(rig.answers) == 6 and rig.client.idle
    assert rig.core.backlogged == 0 and rig.client.bytes_held == 0


def test_big_answers_leave_room_for_few_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(core, "ANSWER_BYTES", 50)
    rig = Rig()
    rig.hello(0)
    for _ in range(requests.WINDOW + 8):
        rig.call("T.Any")
    asked = rig.flush()[0]
    assert len(asked) == requests.WINDOW
    rig.answer(*asked[:-1])  # of 13 bytes each
    assert rig.client.window == 3
    assert [len(batch) for batch in rig.flush()] == [2]
    rig.call("T.Any", client=rig.core.connect(Peer()))
    assert [len(batch) for batch in rig.flush()] == [1]  # nobody else waits for that


def test_an_answer_beyond_all_bounds_leaves_one_call_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(core, "ANSWER_BYTES", 1)
    monkeypatch.setattr(requests, "WINDOW", 1)
    rig = Rig()
    rig.hello(0)
    for _ in range(3):
        rig.call("T.Any")
    for at in (1, 2, 3):
        assert rig.flush() == [[f"b:{at}"]]
        rig.answer(f"b:{at}", taken=at)
    assert rig.client.idle


def test_a_client_that_does_not_read_has_nothing_new_in_flight() -> None:
    rig = Rig()
    rig.hello(0)
    rig.call("T.Any")
    rig.core.unread(rig.client)
    rig.call("T.Any")
    rig.call("T.Any")
    assert rig.flush() == [["b:1"]]
    rig.answer("b:1")
    assert rig.flush() == [] and rig.core.backlogged == 2
    rig.core.read(rig.client, rig.now)
    assert rig.flush() == [["b:2", "b:3"]]


def test_a_full_backlog_stops_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(core, "CALLS", 4)
    monkeypatch.setattr(requests, "WINDOW", 1)
    rig = Rig()
    rig.hello(0)
    for _ in range(4):
        assert not rig.peer.paused
        rig.call("T.Any")
    assert rig.peer.paused
    rig.flush()
    rig.answer("b:1")
    assert rig.peer.paused  # three are left, more than half
    rig.flush()
    rig.answer("b:2", taken=2)
    assert not rig.peer.paused


def test_calls_in_a_backlog_go_on_when_the_client_has_gone() -> None:
    rig = Rig()
    rig.hello(0)
    rig.core.unread(rig.client)
    rig.call("T.Any")
    rig.core.disconnect(rig.client, 0)
    assert rig.flush() == [["b:1"]]


def test_calls_in_a_backlog_count_for_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "WINDOW", 1)
    rig = Rig(caps=3)
    rig.hello(0)
    for _ in range(4):
        rig.call("CoreSv1.Status")
    assert rig.errors() == ["MAX_CONCURRENT_RPC_EXCEEDED"]
    rig.flush()
    rig.answer("b:1")
    assert rig.answers[-1]["result"]["caps_allocated"] == 3


def test_answers_for_a_client_that_has_gone() -> None:
    rig = Rig(caps=1, strategy="*queue")
    rig.hello(0)
    rig.call("T.Any")
    rig.call("T.Any")
    rig.core.disconnect(rig.client, 0)
    rig.flush()
    rig.answer("b:1")
    assert rig.flush() == [] and rig.core.allocated == 0


def test_calls_to_two_way_clients() -> None:
    rig = Rig()
    rig.hello(0)
    peer = Peer()
    client = rig.core.connect(peer, two_way=True)
    rig.call("SessionSv1.Any", client=client)
    rig.flush()
    assert rig.sent[-1][1].requests[0].connection == client.name
    link = wire.worker_link(0, 1)
    rig.core.receive(link, wire.Tell(client.name, "AgentV1.DisconnectSession", b'{"a":1}', 7, 2000), 0)
    assert peer.calls == [{"method": "AgentV1.DisconnectSession", "params": [{"a": 1}], "id": 1}]
    rig.core.reply(rig.client, 1, b'"no"', None)  # not the client that was asked
    rig.core.reply(client, 1, b'"OK"', None)
    rig.core.reply(client, 1, b'"OK"', None)
    rig.core.receive(link, wire.Tell(client.name, "X", b"{}", 8, 2000), 0)
    rig.core.expire(3 * S)
    rig.core.receive(link, wire.Tell(client.name, "X", b"{}", 9, 2000), 3 * S)
    rig.core.receive(link, wire.Tell(wire.ALL_CLIENTS, "X", b"{}", 10, 2000), 3 * S)
    rig.core.reply(client, 4, b"[1]", None)
    rig.core.disconnect(client, 0)
    rig.core.receive(link, wire.Tell(client.name, "X", b"{}", 11, 2000), 0)
    rig.core.receive(link, wire.Tell(wire.ALL_CLIENTS, "X", b"{}", 12, 2000), 0)
    rig.flush()
    assert [message for message in rig.other if isinstance(message, wire.TellReply)] == [
        wire.TellReply(7, False, b'"OK"'),
        wire.TellReply(8, True, b"REPLY_TIMEOUT"),
        wire.TellReply(10, False, b"[[1]]"),
        wire.TellReply(9, True, b"DISCONNECTED"),
        wire.TellReply(11, True, b"DISCONNECTED"),
        wire.TellReply(12, False, b"[]"),
    ]


def test_two_way_clients_have_two_services() -> None:
    rig = Rig()
    client = rig.core.connect(Peer(), two_way=True)
    rig.call("CoreSv1.Ping", client=client)
    rig.call("SessionSv1.Nope", client=client)
    assert rig.errors() == ["birpc: can't find method CoreSv1.Ping", "birpc: can't find method SessionSv1.Nope"]


def test_metrics() -> None:
    rig = Rig()
    rig.hello(0)
    rig.call("T.Any")
    rig.flush()
    rig.now = 3_000_000
    rig.answer("b:1")
    text = rig.core.metrics_text({"tcp": 2})
    assert 'cgr_requests_total{method="T.Any"} 1' in text
    assert 'cgr_request_seconds_bucket{le="0.005"} 1' in text
    assert 'cgr_connections{kind="tcp"} 2' in text
    assert rig.core.is_complete()
