"""WebSocket (spec chapter 01 §9): the payloads of all frames are one stream of documents, each answer is one text frame.

The protocol itself is the `websockets` library's, without its I/O. The Origin header is mandatory.
"""

from __future__ import annotations

import logging
import time
from http import HTTPStatus
from typing import TYPE_CHECKING

from websockets.frames import Opcode
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol

from cgr_cluster.routing.stream import MAX_DOCUMENT, DocumentStream
from cgr_cluster.rpc.envelope import Envelope, decode_envelope, decode_usual

if TYPE_CHECKING:
    from websockets.frames import Frame

    from balancer.http import HttpConnection

_logger = logging.getLogger("cgr_cluster.websocket")
_logger.setLevel(logging.WARNING)  # no line for each connection
# What the library reads of a handshake. With other bytes than ASCII in it, some versions of it fail unexpectedly.
_HANDSHAKE = ("connection", "upgrade", "sec-websocket-key", "sec-websocket-version", "sec-websocket-extensions",
              "sec-websocket-protocol")  # fmt: skip
_DATA = (Opcode.TEXT, Opcode.BINARY, Opcode.CONT)


class WebSocket:
    """What an HTTP connection becomes after `GET /ws`."""

    def __init__(self, connection: HttpConnection) -> None:
        self._connection = connection
        self._protocol = ServerProtocol(max_size=MAX_DOCUMENT, logger=_logger)
        self._stream: DocumentStream[Envelope] = DocumentStream(decode_usual, decode_envelope)
        self._answers: list[bytes] = []

    def received(self, data: bytes) -> None:
        self._protocol.receive_data(data)
        for event in self._protocol.events_received():
            if isinstance(event, Request):
                self._handshake(event)
            else:
                self._frame(event)  # type: ignore[arg-type]  # a server receives a request and frames
        self._send()
        self._connection.turn.schedule()

    def _handshake(self, request: Request) -> None:
        headers = [(name.lower(), value) for name, value in request.headers.raw_items()]
        origins = sum(name == "origin" for name, _ in headers)
        if not origins:
            self._protocol.send_response(self._protocol.reject(HTTPStatus.FORBIDDEN, "Forbidden\n"))
            return
        readable = origins == 1 and all(value.isascii() for name, value in headers if name in _HANDSHAKE)
        response = self._protocol.accept(request) if readable else None
        if response is None or response.status_code != 101:
            response = self._protocol.reject(HTTPStatus.BAD_REQUEST, "not websocket protocol\n")
        self._protocol.send_response(response)

    def _frame(self, frame: Frame) -> None:
        if frame.opcode not in _DATA:
            return
        connection = self._connection
        calls = self._stream.feed(bytes(frame.data))
        now = time.monotonic_ns()
        for envelope in calls:
            connection.core.request(connection.client, envelope, self._answer, now)
        if self._stream.failed and self._protocol.state is State.OPEN:
            connection.core.metrics.malformed += 1
            if calls:  # their answers go first
                connection.turn.schedule()
            self._protocol.send_close(1000)

    def _answer(self, answer: bytes) -> None:
        self._answers.append(answer)
        connection = self._connection
        if not connection.dirty:
            connection.dirty = True
            connection.turn.write_later(connection)

    def frame_answers(self) -> None:
        """Put the answers of the turn into frames."""
        answers, self._answers = self._answers, []
        if self._protocol.state is State.OPEN:
            for answer in answers:
                self._protocol.send_text(answer)
        self._send()

    def _send(self) -> None:
        connection = self._connection
        for data in self._protocol.data_to_send():
            if data:
                connection.answer(data)
            else:
                connection.ending = True  # the library wants the connection closed
        if self._protocol.close_expected() and self._protocol.state is State.CLOSED:
            connection.ending = True
