"""A worker's link to its balancer: a ZeroMQ DEALER, batches in, answers out (`cgr_cluster/routing/wire.py`).

Answers of a turn leave in one message, which also gives the credits of the batches that were read back.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any

import zmq

from cgr_cluster.engine import messages as m
from cgr_cluster.engine.engine import Engine
from cgr_cluster.events.nesting import read_json
from cgr_cluster.routing import wire
from cgr_cluster.rpc.encode import encode_result
from workers.options import NodeOptions

logger = logging.getLogger("cgr_cluster.worker")

REPLY_TO = "balancer"
ANSWERS_QUEUED = 100_000  # messages for a balancer that does not read
LATE_SECONDS = 1.0  # after its time a call to a client fails that the balancer has not answered: it may have died


class BalancerLink:
    def __init__(
        self,
        context: zmq.Context[Any],
        options: NodeOptions,
        incarnation: int,
        engine: Engine,
        give: Callable[[m.Input], None],
    ) -> None:
        self._engine = engine
        self._incarnation = incarnation
        self._give = give
        self._socket = context.socket(zmq.DEALER)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.setsockopt(zmq.RECONNECT_IVL, 10)
        self._socket.setsockopt(zmq.RECONNECT_IVL_MAX, 200)
        self._socket.setsockopt(zmq.IMMEDIATE, 1)  # nothing is kept for a balancer that is not there
        self._socket.setsockopt(zmq.SNDHWM, ANSWERS_QUEUED)
        self._socket.setsockopt(zmq.ROUTING_ID, wire.worker_link(engine.worker, incarnation))
        self._socket.connect(options.balancer_address)
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._socket.fileno(), self._readable)
        self._scheduled = False
        self._taken = 0
        self._told_taken = 0
        self._acked = 0
        self._items: list[wire.AnswerItem] = []
        self._welcome = False  # the balancer, or one before it, has answered the greeting
        self._untold: list[wire.Tell] = []
        self._calls: dict[int, m.OutsideCall] = {}  # to clients, by the number of the Tell
        self._last_call = 0
        self._tenant = ""
        self._greet_regularly()

    def _greet_regularly(self) -> None:
        """A balancer that was started again knows nobody: nothing else tells it of this worker."""
        self.greet()
        self._greeting = self._loop.call_later(wire.HELLO_SECONDS, self._greet_regularly)

    def greet(self) -> None:
        engine = self._engine
        self._tenant = engine.generation.default_tenant
        self._send(
            wire.Hello(
                wire.VERSION,
                engine.worker,
                self._incarnation,
                engine.generation.number,
                list(engine.shards),
                1,
                self._tenant,
            )
        )

    def answer(self, output: m.Answer) -> None:
        self._items.append(wire.AnswerItem(output.uid, output.failed, output.body))

    def tell(self, output: m.Tell) -> None:
        """A call to a client. What is due as soon as this worker has started waits for the link: its clients are connected
        to the balancer all the time."""
        self._tell(wire.Tell(output.connection, output.method, output.params))

    def ask(self, call: m.OutsideCall) -> None:
        """A call to a client whose answer an operation waits for (`ask_client`)."""
        connection, method, params, timeout_ns = call.args
        number = self._last_call = self._last_call + 1
        self._calls[number] = call
        timeout_ms = max(1, timeout_ns // 1_000_000)
        late = wire.TellReply(number, True, b"REPLY_TIMEOUT")
        self._loop.call_later(timeout_ms / 1000 + LATE_SECONDS, self._told, late)
        self._tell(wire.Tell(connection, method, encode_result(params), number, timeout_ms))

    def _told(self, reply: wire.TellReply) -> None:
        call = self._calls.pop(reply.number, None)
        if call is None:
            return
        result, error = None, None
        if reply.failed:
            error = reply.body.decode()
        else:
            try:
                result = read_json(reply.body.decode())
            except (ValueError, RecursionError) as failure:
                error = f"the client's answer to {call.args[1]} cannot be read: {failure}"
        self._give(m.OutsideResult(call.op_id, call.number, result, error))

    def _tell(self, message: wire.Tell) -> None:
        if self._welcome:
            self._send(message)
        else:
            self._untold.append(message)

    def flush(self) -> None:
        """Send the answers that were given, and the credits of the batches that were read."""
        if self._items or self._taken != self._told_taken:
            items, self._items = self._items, []
            self._told_taken = self._taken
            self._send(wire.Answers(self._taken, items))
        if self._engine.generation.default_tenant != self._tenant:
            self.greet()

    def leave(self) -> None:
        self._send(wire.Leaving(self._engine.worker))

    def close(self) -> None:
        self._greeting.cancel()
        self._loop.remove_reader(self._socket.fileno())
        self._socket.close()

    def _send(self, message: wire.FromWorker) -> None:
        try:
            self._socket.send(wire.encode(message), zmq.NOBLOCK)
        except zmq.Again:  # it is down, and so are its clients' connections; a Hello is repeated
            if isinstance(message, wire.Answers) and message.items:
                logger.warning("no balancer: %d answers are dropped", len(message.items))
            return
        if not self._scheduled:  # a send may swallow the descriptor's edge: look for input afterwards
            self._scheduled = True
            self._loop.call_soon(self._readable)

    def _readable(self) -> None:
        self._scheduled = False
        socket = self._socket
        try:
            while True:
                self._received(wire.decode_to_worker(socket.recv(zmq.NOBLOCK)))
        except zmq.Again:
            return

    def _received(self, message: wire.ToWorker) -> None:
        if isinstance(message, wire.Batch):
            self._taken = message.number
            now = time.time_ns()
            if message.acked_below > self._acked and message.requests:
                self._acked = message.acked_below
                balancer = message.requests[0].uid.rpartition(":")[0]
                self._give(m.AckedBelow(balancer, message.acked_below))
            for item in message.requests:
                left = item.time_left_ms
                deadline = None if left == wire.NO_DEADLINE else now + left * 1_000_000
                self._give(
                    m.Request(item.uid, item.method, item.params, REPLY_TO, deadline, item.connection, item.hops)
                )
        elif isinstance(message, wire.Welcome):
            if message.version != wire.VERSION:
                raise RuntimeError(f"the balancer speaks version {message.version}, this worker {wire.VERSION}")
            self._taken = self._told_taken = self._acked = 0
            self._welcome = True
            untold, self._untold = self._untold, []
            for told in untold:
                self._send(told)
        else:
            self._told(message)
