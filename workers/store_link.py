"""A worker's link to the CDR store process: carries the outbox there and the store's part of queries back (design 5).

A batch leaves when the one before is acknowledged and `BATCH_SECONDS` have passed, so that the store commits few and large
batches. What the store has not acknowledged in time is sent again: applying an entry twice changes nothing.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from typing import Any

import zmq

from cgr_cluster.cdrs import store_wire
from cgr_cluster.cdrs.outbox import KIND, Outbox
from cgr_cluster.engine import messages as m
from cgr_cluster.engine.codec import pack
from cgr_cluster.engine.engine import Engine
from workers.options import NodeOptions

logger = logging.getLogger("cgr_cluster.worker")

BATCH_SECONDS = 0.2
RETRY_SECONDS = 5.0  # without an acknowledgement or answer for so long, it is sent again
CDR = KIND.rstrip("/")

Record = tuple[int, str, "bytes | None"]


class StoreLink:
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
        self._outbox = Outbox()
        self._logged: deque[tuple[int, list[Record]]] = deque()  # groups with CDRs that are not durable yet
        self._sent_at = 0.0
        self._asked: dict[int, tuple[m.OutsideCall, float]] = {}
        self._last_ask = 0
        self._scheduled = False
        self._socket = context.socket(zmq.DEALER)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.setsockopt(zmq.SNDHWM, 0)  # bounded: one batch, and the questions of operations under way
        self._socket.setsockopt(zmq.RECONNECT_IVL, 10)
        self._socket.setsockopt(zmq.RECONNECT_IVL_MAX, 200)
        self._socket.setsockopt(zmq.ROUTING_ID, b"store:%d:%d" % (engine.worker, incarnation))
        self._socket.connect(options.store_address)
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._socket.fileno(), self._readable)
        for shard in engine.shards.values():
            table = shard.tables.get(CDR, {})
            self._outbox.durable(
                (shard.number, KIND + key, value if type(value) is bytes else pack(value))
                for key, value in table.items()
            )
        self._beat()

    def __len__(self) -> int:
        """CDRs that the store does not have yet."""
        return len(self._outbox)

    # --- the outbox -------------------------------------------------------------------------------------------

    def logged(self, group: m.Group) -> None:
        """A group has been given to the log."""
        records = [record for record in group.records if record[1].startswith(KIND)]
        if records:
            self._logged.append((group.number, records))

    def durable(self, number: int) -> None:
        """The log has all groups up to `number`."""
        while self._logged and self._logged[0][0] <= number:
            self._outbox.durable(self._logged.popleft()[1])

    def _beat(self) -> None:
        now = time.monotonic()
        if self._sent_at and now - self._sent_at > RETRY_SECONDS:
            logger.warning("the CDR store has not answered for %.0f s; its batch is sent again", RETRY_SECONDS)
            self._outbox.link_lost()
            self._sent_at = 0.0
        batch = self._outbox.batch()
        if batch is not None:
            self._sent_at = now
            self._send(store_wire.Put(self._engine.worker, self._incarnation, batch.number, batch.entries))
        for number, (call, at) in list(self._asked.items()):
            if now - at > RETRY_SECONDS:
                self._asked[number] = (call, now)
                self._send(store_wire.Ask(number, call.name, store_wire.pack_arguments(call.args)))
        self._loop.call_later(BATCH_SECONDS, self._beat)

    def _stored(self, number: int) -> None:
        self._sent_at = 0.0
        for place, call in enumerate(self._outbox.acknowledged(number)):
            self._give(
                m.StepRequest(
                    f"store:{self._engine.worker}:{self._incarnation}:{number}",
                    place,
                    call.step.name,
                    (call.owner.kind, call.owner.key),
                    call.owner.shard,
                    pack(list(call.args)),
                    time.time_ns(),
                    self._engine.generation.number,
                    "",
                    0,
                    self._engine.worker,
                    self._engine.worker,
                )
            )

    # --- questions --------------------------------------------------------------------------------------------

    def takes(self, call: m.OutsideCall) -> bool:
        """Whether this is a question for the store; it is sent then."""
        if call.name not in store_wire.NAMES:
            return False
        self._last_ask += 1
        self._asked[self._last_ask] = (call, time.monotonic())
        self._send(store_wire.Ask(self._last_ask, call.name, store_wire.pack_arguments(call.args)))
        return True

    def _told(self, message: store_wire.Told) -> None:
        asked = self._asked.pop(message.id, None)
        if asked is None:
            return
        call = asked[0]
        result = None if message.error is not None else store_wire.unpack_result(call.name, message.result)
        self._give(m.OutsideResult(call.op_id, call.number, result, message.error))

    # --- the socket -------------------------------------------------------------------------------------------

    def _send(self, message: store_wire.Put | store_wire.Ask) -> None:
        self._socket.send(store_wire.encode(message), zmq.NOBLOCK)
        if not self._scheduled:  # a send may swallow the descriptor's edge: look for input afterwards
            self._scheduled = True
            self._loop.call_soon(self._readable)

    def _readable(self) -> None:
        self._scheduled = False
        try:
            while True:
                message = store_wire.decode(self._socket.recv(zmq.NOBLOCK))
                if isinstance(message, store_wire.Told):
                    self._told(message)
                elif isinstance(message, store_wire.Done) and message.incarnation == self._incarnation:
                    self._stored(message.number)
        except zmq.Again:
            return

    def close(self) -> None:
        self._loop.remove_reader(self._socket.fileno())
        self._socket.close()
