"""A worker's link to its balancer (`workers/balancer_link.py`)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest
import zmq

from cgr_cluster.engine import messages as m
from cgr_cluster.engine.domain import ALL_CLIENTS, CLIENT_CALL
from cgr_cluster.engine.engine import Engine
from cgr_cluster.routing import wire
from workers import balancer_link
from workers.balancer_link import BalancerLink
from workers.options import NodeOptions

WAIT = 60.0


class Balancer:
    """The other end: what a worker sends, and answers to it."""

    def __init__(self, context: zmq.Context[Any], address: str) -> None:
        self._socket = context.socket(zmq.ROUTER)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.bind(address)

    async def receive(self) -> wire.FromWorker:
        while not self._socket.poll(0):
            await asyncio.sleep(0.001)
        self.worker, data = self._socket.recv_multipart()
        return wire.decode_from_worker(data)

    async def receive_other_than_hello(self) -> wire.FromWorker:
        while isinstance(message := await self.receive(), wire.Hello):
            pass
        return message

    def send(self, message: wire.ToWorker) -> None:
        self._socket.send_multipart([self.worker, wire.encode(message)])

    def close(self) -> None:
        self._socket.close()


def linked(context: zmq.Context[Any], address: str, give: Callable[[m.Input], None]) -> BalancerLink:
    engine = SimpleNamespace(worker=0, shards={}, generation=SimpleNamespace(default_tenant="t", number=1))
    options = SimpleNamespace(balancer_address=address)
    return BalancerLink(context, cast(NodeOptions, options), 7, cast(Engine, engine), give)


def test_a_client_s_answer_goes_to_the_operation_that_asked(tmp_path: Any) -> None:
    given: list[Any] = []

    async def run() -> None:
        context: zmq.Context[Any] = zmq.Context()
        address = f"ipc://{tmp_path}/balancer"
        link = linked(context, address, given.append)
        balancer = Balancer(context, address)
        assert isinstance(await balancer.receive(), wire.Hello)
        balancer.send(wire.Welcome(wire.VERSION, "b"))
        for number in (1, 2, 3, 4):
            link.ask(m.OutsideCall(f"op{number}", number, CLIENT_CALL, ("b/1", "A.B", {"n": number}, 2_000_000_000)))
        told = [await balancer.receive_other_than_hello() for _ in range(4)]
        assert told == [wire.Tell("b/1", "A.B", b'{"n":%d}' % number, number, 2000) for number in (1, 2, 3, 4)]
        balancer.send(wire.TellReply(2, True, b"DISCONNECTED"))
        balancer.send(wire.TellReply(1, False, b'[{"OriginID":"x"}]'))
        balancer.send(wire.TellReply(3, False, b"[NaN]"))
        balancer.send(wire.TellReply(1, False, b'"again"'))
        while len(given) < 3:
            await asyncio.sleep(0.001)
        link.close()
        balancer.close()
        context.term()

    asyncio.run(asyncio.wait_for(run(), WAIT))
    assert given == [
        m.OutsideResult("op2", 2, None, "DISCONNECTED"),
        m.OutsideResult("op1", 1, [{"OriginID": "x"}]),
        m.OutsideResult("op3", 3, None, "the client's answer to A.B cannot be read: NaN is not JSON"),
    ]


def test_a_call_to_a_client_that_a_dead_balancer_has_taken_fails(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(balancer_link, "LATE_SECONDS", 0.0)
    given: list[Any] = []

    async def run() -> None:
        context: zmq.Context[Any] = zmq.Context()
        link = linked(context, f"ipc://{tmp_path}/nobody", given.append)
        link.ask(m.OutsideCall("op", 5, CLIENT_CALL, (ALL_CLIENTS, "A.B", "", 1)))
        while not given:
            await asyncio.sleep(0.001)
        link.close()
        context.term()

    asyncio.run(asyncio.wait_for(run(), WAIT))
    assert given == [m.OutsideResult("op", 5, None, "REPLY_TIMEOUT")]
    assert ALL_CLIENTS == wire.ALL_CLIENTS


def test_calls_to_clients_that_are_due_at_the_start_wait_for_the_balancer(tmp_path: Any) -> None:
    """A worker that starts again ends sessions whose time has come meanwhile: their clients must hear of it."""

    async def run() -> wire.FromWorker:
        context: zmq.Context[Any] = zmq.Context()
        address = f"ipc://{tmp_path}/balancer"
        link = linked(context, address, lambda message: None)
        link.tell(m.Tell("b/1", "AgentV1.DisconnectSession", b"{}"))
        balancer = Balancer(context, address)
        assert isinstance(await balancer.receive(), wire.Hello)
        balancer.send(wire.Welcome(wire.VERSION, "b"))
        told = await balancer.receive_other_than_hello()
        link.close()
        balancer.close()
        context.term()
        return told

    assert asyncio.run(asyncio.wait_for(run(), WAIT)) == wire.Tell("b/1", "AgentV1.DisconnectSession", b"{}")
