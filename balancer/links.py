"""Links to the workers: a ZeroMQ ROUTER in the loop by its file descriptor (design 11).

Rules: no `zmq.asyncio`; the descriptor is edge-triggered, so a reader drains until nothing is left, and also after every
send, which may swallow the edge; every send is NOBLOCK: EHOSTUNREACH means that the worker is gone, EAGAIN that more was sent than
the credits allow (a bug); LINGER is 0.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

import zmq

_FIRST = zmq.NOBLOCK | zmq.SNDMORE
_HIGH_WATER = 100_000  # messages; credits keep the queues far below


class WorkerLinks:
    """Binds `address`; `receive(link, data)` gets every message, `link` is the routing id of the worker's socket."""

    def __init__(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        address: str,
        receive: Callable[[bytes, bytes], None],
        drained: Callable[[], None],
    ) -> None:
        socket = self._socket = context.socket(zmq.ROUTER)
        socket.setsockopt(zmq.LINGER, 0)
        socket.setsockopt(zmq.ROUTER_MANDATORY, 1)
        socket.setsockopt(zmq.SNDHWM, _HIGH_WATER)
        socket.setsockopt(zmq.RCVHWM, _HIGH_WATER)
        if address.startswith("ipc://"):  # left over by a balancer that was killed
            path = address.removeprefix("ipc://")
            if os.path.exists(path):
                os.unlink(path)
        socket.bind(address)
        self._receive = receive
        self._drained = drained
        self._drain_scheduled = False
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(socket.fileno(), self.drain)
        self._loop.call_soon(self.drain)

    def send(self, link: bytes, data: bytes) -> bool:
        """False: nobody is behind the link any more."""
        if not self._drain_scheduled:
            self._drain_scheduled = True
            self._loop.call_soon(self.drain)
        try:
            self._socket.send(link, _FIRST)
            self._socket.send(data, zmq.NOBLOCK)
            return True
        except zmq.ZMQError as error:
            if error.errno == zmq.EHOSTUNREACH:
                return False
            raise

    def drain(self) -> None:
        """Take in everything that has arrived."""
        self._drain_scheduled = False
        socket = self._socket
        if socket.closed:  # the loop had this scheduled when the links were closed
            return
        get: Callable[[int], int] = socket.get  # type: ignore[assignment]  # EVENTS is an int
        some = False
        while get(zmq.EVENTS) & zmq.POLLIN:  # cheaper than an EAGAIN raised
            some = True
            link = socket.recv(zmq.NOBLOCK)
            self._receive(link, socket.recv(zmq.NOBLOCK))
        if some:
            self._drained()

    def close(self) -> None:
        self._loop.remove_reader(self._socket.fileno())
        self._socket.close()
