"""A worker's pipes (`workers/links.py`)."""

from __future__ import annotations

import asyncio

import zmq

from workers.links import Inlet, Outlet

WAIT = 60.0


async def something_in(received: list[bytes]) -> None:
    while not received:
        await asyncio.sleep(0)


def test_what_waited_before_an_inlet_opened_is_received_when_its_owner_is_built() -> None:
    """A worker that starts again finds greetings of the others; it can answer them only once it has its outlets."""

    async def run() -> list[bytes]:
        context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        received: list[bytes] = []
        address = "inproc://a-worker-that-starts-again"
        outlet = Outlet(context, address)
        outlet.send(b"greeting")
        inlet = Inlet(context, address, received.append)
        assert not received
        await asyncio.wait_for(something_in(received), WAIT)
        inlet.close()
        outlet.close()
        context.term()
        return received

    assert asyncio.run(run()) == [b"greeting"]
