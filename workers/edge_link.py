"""A worker's link to the edge process: carries there what operations ask of it, and the answers back (cgr_cluster/edge/wire.py).

What is unanswered when another edge process appears is asked again: the edge knows what it has done.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import zmq

from cgr_cluster.edge import wire
from cgr_cluster.engine import messages as m
from workers.options import NodeOptions

HELLO_SECONDS = 1.0  # while something is unanswered


class EdgeLink:
    def __init__(
        self, context: zmq.Context[Any], options: NodeOptions, worker: int, incarnation: int,
        give: Callable[[m.Input], None],
    ) -> None:  # fmt: skip
        self._worker = worker
        self._incarnation = incarnation
        self._give = give
        self._asked: dict[int, m.OutsideCall] = {}
        self._last_ask = 0
        self._edge = 0  # its incarnation
        self._scheduled = False
        self._socket = context.socket(zmq.DEALER)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.setsockopt(zmq.SNDHWM, 0)  # bounded by the operations under way
        self._socket.setsockopt(zmq.RECONNECT_IVL, 10)
        self._socket.setsockopt(zmq.RECONNECT_IVL_MAX, 200)
        self._socket.setsockopt(zmq.ROUTING_ID, b"edge:%d:%d" % (worker, incarnation))
        self._socket.connect(options.edge_address)
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._socket.fileno(), self._readable)
        self._beat()

    def takes(self, call: m.OutsideCall) -> bool:
        """Whether this is for the edge; it is sent then."""
        if call.name not in wire.NAMES:
            return False
        self._last_ask += 1
        self._asked[self._last_ask] = call
        self._ask(self._last_ask, call)
        return True

    def _ask(self, number: int, call: m.OutsideCall) -> None:
        self._send(wire.Ask(self._worker, self._incarnation, number, call.name, wire.pack_arguments(call.args)))

    def _beat(self) -> None:
        if self._asked:
            self._send(wire.Hello(self._worker))
        self._loop.call_later(HELLO_SECONDS, self._beat)

    def _met(self, edge: int) -> None:
        """The edge has said something: another one may know nothing of what is unanswered."""
        if edge == self._edge:
            return
        self._edge = edge
        for number, call in self._asked.items():
            self._ask(number, call)

    def _send(self, message: wire.Ask | wire.Hello) -> None:
        self._socket.send(wire.encode(message), zmq.NOBLOCK)
        if not self._scheduled:  # a send may swallow the descriptor's edge: look for input afterwards
            self._scheduled = True
            self._loop.call_soon(self._readable)

    def _readable(self) -> None:
        self._scheduled = False
        try:
            while True:
                message = wire.decode(self._socket.recv(zmq.NOBLOCK))
                if isinstance(message, wire.Here):
                    self._met(message.edge)
                elif isinstance(message, wire.Told):
                    self._told(message)
                    self._met(message.edge)
        except zmq.Again:
            return

    def _told(self, message: wire.Told) -> None:
        call = self._asked.pop(message.id, None)
        if call is None:
            return
        result = None if message.error is not None else wire.unpack_result(call.name, message.result)
        self._give(m.OutsideResult(call.op_id, call.number, result, message.error))

    def close(self) -> None:
        self._loop.remove_reader(self._socket.fileno())
        self._socket.close()
