"""Two-way JSON-RPC (spec chapter 01 §10, 30.13): on one TCP connection both sides send calls and answers.

A document with `method` is a call, one without is the answer to a call of ours. A call without id wants no answer.
"""

from __future__ import annotations

import json
import time

import msgspec

from balancer.connection import Connection, Turn
from cgr_cluster.routing.requests import Client
from cgr_cluster.routing.stream import DocumentStream
from cgr_cluster.rpc.encode import NO_ID
from cgr_cluster.rpc.envelope import Envelope, MalformedError, decode_envelope, decode_usual, members_of


class ClientReply(msgspec.Struct, gc=False):
    """The answer of a client to call `number`."""

    number: int
    result: bytes
    error: str | None


def decode_document(document: bytes) -> Envelope | ClientReply:
    """A call or an answer. Raises MalformedError."""
    members = members_of(document)
    if "method" in members:
        return decode_envelope(document)
    try:
        number = json.loads(members.get("id", b"null"))
        error = json.loads(members.get("error", b"null"))
    except (ValueError, RecursionError):
        raise MalformedError("the document is no JSON object") from None
    if not isinstance(number, int):
        raise MalformedError("neither a call nor the answer to one")
    text = error if error is None or isinstance(error, str) else json.dumps(error)
    return ClientReply(number, members.get("result", b"null"), text)


class BiJsonConnection(Connection):
    KIND = "bijson"

    def __init__(self, turn: Turn) -> None:
        super().__init__(turn)
        self._stream: DocumentStream[Envelope | ClientReply] = DocumentStream(decode_usual, decode_document)

    def connect(self) -> Client:
        return self.core.connect(self, two_way=True)

    def data_received(self, data: bytes) -> None:
        if self.ending:
            return
        now = time.monotonic_ns()
        for document in self._stream.feed(data):
            if isinstance(document, Envelope):
                wanted = document.has_id and document.id != NO_ID
                self.core.request(self.client, document, self.answer if wanted else self._unwanted, now)
            else:
                self.core.reply(self.client, document.number, document.result, document.error)
        self.turn.schedule()
        if self._stream.failed:
            self.core.metrics.malformed += 1
            self.end()

    def _unwanted(self, answer: bytes) -> None:
        """The answer of a call that wants none; a connection that ends may have waited for it."""
        if self.ending and not self.dirty:
            self.dirty = True
            self.turn.write_later(self)

    def call(self, document: bytes) -> None:
        self.answer(document)
