"""Connections of the stress tool: many calls in flight on each, reconnected when they break (spec chapter 01 §2).

A request is a document and the function that gets its answer. A request that was sent on a connection that broke has an
outcome that nobody knows: its function is told so with `LostError`, and decides what to do. One that was not sent yet goes out
on the next connection. While a connection lives its requests are waited for, however long it takes.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any, cast

import msgspec

from cgr_cluster.cli.client import UnreachableError

RECONNECT_PAUSES_S = (0.0, 0.05, 0.1, 0.2, 0.5, 1.0)
RECONNECT_LIMIT_S = 60.0


class Answer(msgspec.Struct, gc=False):
    """An API answer: `result` is the raw JSON, `error` the API's text or None."""

    id: int
    result: msgspec.Raw = msgspec.Raw(b"null")
    error: str | None = None


class LostError(Exception):
    """The connection broke before the answer: what became of the request is not known."""


OnAnswer = Callable[[bytes, "str | None", int], None]  # result, error, nanoseconds it took
OnLost = Callable[[], None]
_decode = msgspec.json.Decoder(Answer).decode
_TAIL = b',"error":null}'
_HEAD = b'{"id":'


class Connection(asyncio.Protocol):
    def __init__(self, pool: Connections) -> None:
        self._pool = pool
        self._transport: asyncio.Transport | None = None
        self._rest = b""
        self._waiting: dict[int, tuple[OnAnswer, OnLost, int]] = {}
        self._out: list[bytes] = []
        self._unsent: list[tuple[bytes, OnAnswer, OnLost]] = []
        self._flushing = False
        self._last_id = 0

    @property
    def in_flight(self) -> int:
        return len(self._waiting) + len(self._unsent)

    def send(self, head: bytes, on_answer: OnAnswer, on_lost: OnLost) -> None:
        """`head` is the request without its end: the id is added here."""
        if self._transport is None:
            self._unsent.append((head, on_answer, on_lost))
            return
        self._last_id = number = self._last_id + 1
        self._waiting[number] = (on_answer, on_lost, time.perf_counter_ns())
        self._out.append(b'%b,"id":%d}\n' % (head, number))
        if not self._flushing:
            self._flushing = True
            self._pool.loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._flushing = False
        if self._transport is not None and self._out:
            self._transport.write(b"".join(self._out))
        self._out.clear()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's transports are of no asyncio class
        self._rest = b""
        unsent, self._unsent = self._unsent, []
        for request in unsent:
            self.send(*request)

    def data_received(self, data: bytes) -> None:
        lines = data.split(b"\n")
        if self._rest:
            lines[0] = self._rest + lines[0]
        self._rest = lines.pop()
        now = time.perf_counter_ns()
        waiting = self._waiting
        for line in lines:
            if line.endswith(_TAIL) and line.startswith(_HEAD):  # the usual answer, without a decoder
                comma = line.index(b",", 6)
                on_answer, _, sent = waiting.pop(int(line[6:comma]))
                on_answer(line[comma + 10 : -14], None, now - sent)
            else:
                answer = _decode(line)
                on_answer, _, sent = waiting.pop(answer.id)
                on_answer(bytes(answer.result), answer.error, now - sent)

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        self._out.clear()
        lost, self._waiting = self._waiting, {}
        if self._pool.closing:
            return
        self._pool.reconnects += 1
        self._pool.reconnect(self)
        for _, on_lost, _ in lost.values():
            on_lost()

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


class Connections:
    """A fixed number of connections to one address. `failure` is set when the server cannot be reached again."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.address = address
        self.loop = asyncio.get_running_loop()
        self.all: list[Connection] = []
        self.reconnects = 0
        self.closing = False
        self.failure: asyncio.Future[None] = self.loop.create_future()
        self._turn = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(self, count: int) -> None:
        """Raises UnreachableError."""
        for _ in range(count):
            connection = Connection(self)
            try:
                await self.loop.create_connection(lambda c=connection: c, *self.address)  # type: ignore[misc]
            except OSError as error:
                host, port = self.address
                raise UnreachableError(f"nothing answers on {host}:{port}: {error.strerror or error}") from None
            self.all.append(connection)

    def reconnect(self, connection: Connection) -> None:
        task = self.loop.create_task(self._reconnect(connection))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _reconnect(self, connection: Connection) -> None:
        end = time.monotonic() + RECONNECT_LIMIT_S
        attempt = 0
        while not self.closing:
            await asyncio.sleep(RECONNECT_PAUSES_S[min(attempt, len(RECONNECT_PAUSES_S) - 1)])
            attempt += 1
            try:
                await self.loop.create_connection(lambda: connection, *self.address)
                return
            except OSError as error:
                if time.monotonic() > end:
                    if not self.failure.done():
                        host, port = self.address
                        text = f"{host}:{port} has gone and has not come back in {RECONNECT_LIMIT_S:.0f} s: {error}"
                        self.failure.set_exception(UnreachableError(text))
                    return

    def next(self) -> Connection:
        self._turn = (self._turn + 1) % len(self.all)
        return self.all[self._turn]

    async def ask(self, method: str, params: Any) -> tuple[bytes, str | None]:
        """One call, waited for: (result, error text). Raises LostError when nobody knows what became of it."""
        future: asyncio.Future[tuple[bytes, str | None]] = self.loop.create_future()

        def answered(result: bytes, error: str | None, took_ns: int) -> None:
            if not future.done():
                future.set_result((result, error))

        def lost() -> None:
            if not future.done():
                future.set_exception(LostError())

        self.next().send(request_head(method, params), answered, lost)
        await asyncio.wait((future, self.failure), return_when=asyncio.FIRST_COMPLETED)
        if not future.done():
            await self.failure
        return await future

    async def read(self, method: str, params: Any) -> tuple[bytes, str | None]:
        """A call without effects: asked again when its answer was lost."""
        while True:
            try:
                return await self.ask(method, params)
            except LostError:
                continue

    def close(self) -> None:
        self.closing = True
        for connection in self.all:
            connection.close()
        for task in self._tasks:
            task.cancel()
        if self.failure.done():
            self.failure.exception()  # it was told, or nobody waits for it any more


def request_head(method: str, params: Any) -> bytes:
    """A request but for its id and end."""
    return b'{"method":%b,"params":[%b]' % (msgspec.json.encode(method), msgspec.json.encode(params))
