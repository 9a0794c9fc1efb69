"""JSON-RPC over TCP (spec chapter 01 §2): a stream of documents in, answers in any order out."""

from __future__ import annotations

import time

from balancer.connection import Connection, Turn
from cgr_cluster.routing.stream import DocumentStream
from cgr_cluster.rpc.envelope import Envelope, decode_envelope, decode_usual


class JsonConnection(Connection):
    KIND = "tcp"

    def __init__(self, turn: Turn) -> None:
        super().__init__(turn)
        self._stream: DocumentStream[Envelope] = DocumentStream(decode_usual, decode_envelope)

    def data_received(self, data: bytes) -> None:
        if self.ending:
            return
        requests = self._stream.feed(data)
        if requests:
            now = time.monotonic_ns()
            request, client, answer = self.core.request, self.client, self.answer
            for envelope in requests:
                request(client, envelope, answer, now)
            self.turn.schedule()
        if self._stream.failed:
            self.core.metrics.malformed += 1
            self.end()
