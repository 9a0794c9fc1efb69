"""The worker's connection to the log process: the asyncio shell around `Link`, and one-shot questions for other processes.

>>> client = LogClient("/run/cgr/log.sock", worker=0, incarnation=7, on_ack=release, on_refused=fail_stop)
>>> welcome = await client.start()      # now load the shards, up to welcome.durable
>>> client.append(1, group)             # never waits; `on_ack(1, low_disk)` comes when it is durable
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Callable
from typing import Any, Final, cast

from cgr_cluster.log import wire
from cgr_cluster.log.errors import LogError, RefusalError
from cgr_cluster.log.link import MAX_UNACKNOWLEDGED_BYTES, Link
from cgr_cluster.log.wire import Frame, Refused, Welcome

RECONNECT_FIRST_S: Final = 0.01
RECONNECT_MOST_S: Final = 0.5
SOCKET_BUFFER_BYTES: Final = 4 << 20  # what comes in while the log process waits for the disk


class LogClient(asyncio.Protocol):
    """Appends groups and reports what is durable; connects again by itself for as long as it is not closed or refused.

    `on_ack(number, low_disk)`: all groups up to `number` are durable. `on_refused(code, text)`: end this process (design 4).
    All on the loop that called `start`.
    """

    def __init__(
        self,
        path: str,
        worker: int,
        incarnation: int,
        on_ack: Callable[[int, bool], None],
        on_refused: Callable[[str, str], None],
        max_unacknowledged_bytes: int = MAX_UNACKNOWLEDGED_BYTES,
    ) -> None:
        self.link = Link(worker, incarnation, max_unacknowledged_bytes)
        self._path = path
        self._on_ack = on_ack
        self._on_refused = on_refused
        self._transport: asyncio.Transport | None = None
        self._welcome: asyncio.Future[Welcome] | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._closed = False

    @property
    def has_room(self) -> bool:
        return self.link.has_room

    @property
    def connected(self) -> bool:
        return self._transport is not None

    async def start(self, timeout_s: float = 30.0) -> Welcome:
        """Connects and says hello. Raises TimeoutError, RefusalError."""
        self._welcome = asyncio.get_running_loop().create_future()
        self._connect_again()
        return await asyncio.wait_for(self._welcome, timeout_s)

    def append(self, number: int, group: bytes) -> None:
        """Logs the group; numbers are 1, 2, 3, … Raises BacklogError when `has_room` was false."""
        data = self.link.append(number, group)
        if data and self._transport is not None:
            self._transport.write(data)

    def close(self) -> None:
        self._closed = True
        if self._connecting is not None:
            self._connecting.cancel()
        if self._transport is not None:
            self._transport.close()

    # --- asyncio.Protocol ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are none by class
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SOCKET_BUFFER_BYTES)
        self._transport.write(self.link.connected())

    def data_received(self, data: bytes) -> None:
        before = self.link.acknowledged
        for event, answer in self.link.receive(data):
            if isinstance(event, Refused):
                self._refused(event)
                return
            if isinstance(event, Welcome) and self._welcome is not None and not self._welcome.done():
                self._welcome.set_result(event)
            if answer and self._transport is not None:
                self._transport.write(answer)
        if self.link.acknowledged > before:
            self._on_ack(self.link.acknowledged, self.link.low_disk)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self.link.disconnected()
        self._connect_again()

    # ---

    def _refused(self, event: Refused) -> None:
        self.close()
        if self._welcome is not None and not self._welcome.done():
            self._welcome.set_exception(RefusalError(event.code, event.text))
        else:
            self._on_refused(event.code, event.text)

    def _connect_again(self) -> None:
        if not self._closed:
            self._connecting = asyncio.get_running_loop().create_task(self._connect())

    async def _connect(self) -> None:
        pause_s = RECONNECT_FIRST_S
        while not self._closed:
            try:
                await asyncio.get_running_loop().create_unix_connection(lambda: self, self._path)
                return
            except OSError:  # the log process is starting again
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, RECONNECT_MOST_S)


def fence(path: str, worker: int, incarnation: int, timeout_s: float = 5.0) -> None:
    """Shuts out this incarnation of the worker and older ones, durably. Raises OSError, LogError."""
    _ask(path, wire.fence(worker, incarnation), Frame.FENCED, timeout_s)


def roll(path: str, timeout_s: float = 30.0) -> int:
    """Closes the segment in use, if anything is in it; returns the newest closed one's number. Raises OSError, LogError."""
    return wire.read_rolled(_ask(path, wire.frame(Frame.ROLL), Frame.ROLLED, timeout_s))


def stats(path: str, timeout_s: float = 5.0) -> dict[str, Any]:
    """The log process's numbers (Service.stats). Raises OSError, LogError."""
    answer: dict[str, Any] = json.loads(_ask(path, wire.frame(Frame.STATS), Frame.STATS_ARE, timeout_s))
    return answer


def _ask(path: str, question: bytes, wanted: Frame, timeout_s: float) -> bytes:
    frames = wire.Frames()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(timeout_s)
        connection.connect(path)
        connection.sendall(question)
        while data := connection.recv(1 << 16):
            for kind, payload in frames.feed(data):
                if kind == wanted:
                    return payload
                if kind == Frame.REFUSED:
                    raise RefusalError(*wire.read_refused(payload))
                raise LogError(f"frame of type {kind} from the log where {wanted.name} was expected")
    raise LogError(f"the log process at {path} ended the connection without an answer")
