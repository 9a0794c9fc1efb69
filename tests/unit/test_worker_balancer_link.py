"""A worker's link to its balancer (`workers/balancer_link.py`)."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import zmq

from cgr_cluster.engine import messages as m
from cgr_cluster.engine.engine import Engine
from cgr_cluster.routing import wire
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


def test_calls_to_clients_that_are_due_at_the_start_wait_for_the_balancer(tmp_path: Any) -> None:
    """A worker that starts again ends sessions whose time has come meanwhile: their clients must hear of it."""

    async def run() -> wire.FromWorker:
        context: zmq.Context[Any] = zmq.Context()
        address = f"ipc://{tmp_path}/balancer"
        engine = SimpleNamespace(worker=0, shards={}, generation=SimpleNamespace(default_tenant="t", number=1))
        options = SimpleNamespace(balancer_address=address)
        link = BalancerLink(context, cast(NodeOptions, options), 7, cast(Engine, engine), lambda message: None)
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
