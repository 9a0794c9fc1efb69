"""ZeroMQ links of a worker: one-way pipes between workers, in the loop by their file descriptor (design 11).

Rules: no `zmq.asyncio`; a receiver drains to EAGAIN, since the descriptor is edge-triggered; every send is NOBLOCK and
LINGER is 0. What a dead peer does not read waits in the pipe for its next incarnation, up to `PIPE_MESSAGES`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import zmq

PIPE_MESSAGES = 200_000  # frames held for a peer that does not read; more means that it hangs: this process ends


class Inlet:
    """Receives frames from everyone who pushes to `address`."""

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], address: str, receive: Callable[[bytes], None]) -> None:
        self._socket = context.socket(zmq.PULL)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.setsockopt(zmq.RCVHWM, PIPE_MESSAGES)
        self._socket.bind(address)
        self._receive = receive
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._socket.fileno(), self.drain)
        self._loop.call_soon(self.drain)  # what came before the reader; its owner is not built yet

    def drain(self) -> None:
        socket = self._socket
        try:
            while True:
                self._receive(socket.recv(zmq.NOBLOCK))
        except zmq.Again:
            return

    def close(self) -> None:
        self._loop.remove_reader(self._socket.fileno())
        self._socket.close()


class Outlet:
    """Pushes frames to one address, whoever listens there now or later."""

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], address: str) -> None:
        self._address = address
        self._socket = context.socket(zmq.PUSH)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.setsockopt(zmq.SNDHWM, PIPE_MESSAGES)
        self._socket.setsockopt(zmq.RECONNECT_IVL, 10)
        self._socket.setsockopt(zmq.RECONNECT_IVL_MAX, 200)
        self._socket.connect(address)

    def send(self, frame: bytes) -> None:
        try:
            self._socket.send(frame, zmq.NOBLOCK)
        except zmq.Again:
            raise RuntimeError(f"{PIPE_MESSAGES} frames wait for {self._address}, which does not read") from None

    def close(self) -> None:
        self._socket.close()
