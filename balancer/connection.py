"""What all client connections share: the bounds on what a client may leave unread, and how they end.

A connection collects the answers of a turn and writes them at its end. A client that does not read is not read either,
and what it has asked before waits; when it has taken nothing for UNREAD_SECONDS it is closed. A client that sends slowly
may take its time.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import socket
import struct
import termios
import time
from typing import Protocol, cast

from cgr_cluster.routing.balancer import Balancer
from cgr_cluster.routing.requests import Client

logger = logging.getLogger("cgr_cluster.balancer")

UNREAD_SECONDS = 30.0
UNREAD_BYTES = 1 << 20  # answers that a client has not read, before it is not read itself


class Turn(Protocol):
    """What a connection needs of the process: the core, and the end of the loop's turn."""

    core: Balancer
    connections: set[Connection]

    def schedule(self) -> None:
        """Have the turn end soon: batches leave, dirty connections are written."""

    def write_later(self, connection: Connection) -> None: ...


class Connection(asyncio.Protocol):
    """Base of the listeners' protocols. Subclasses implement `data_received` and `flush`."""

    KIND = ""

    def __init__(self, turn: Turn) -> None:
        self.turn = turn
        self.core = turn.core
        self.transport: asyncio.Transport = None  # type: ignore[assignment]  # set before anything else happens
        self.client: Client = None  # type: ignore[assignment]  # the same
        self.out: list[bytes] = []
        self.dirty = False
        self.ending = False  # nothing is read any more; closed when nothing is in flight
        self._core_full = False
        self._unread = False
        self._watch: asyncio.TimerHandle | None = None
        self._written = 0  # bytes, in all
        self._taken = 0  # bytes of them that had left at the last look at a client that reads too slowly

    # --- the loop's side ----------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport = cast("asyncio.Transport", transport)  # uvloop's transports have no common base
        transport.set_write_buffer_limits(UNREAD_BYTES)
        sock = transport.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            if sock.family in (socket.AF_INET, socket.AF_INET6):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.client = self.connect()
        self.turn.connections.add(self)

    def connect(self) -> Client:
        return self.core.connect(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.turn.connections.discard(self)
        self.ending = True
        self.out.clear()
        if self._watch is not None:
            self._watch.cancel()
        self.core.disconnect(self.client, time.monotonic_ns())

    def eof_received(self) -> bool:
        """The client has shut its sending side down: what is in flight is still answered."""
        self.end()
        return True

    def pause_writing(self) -> None:
        self._unread = True
        self.core.unread(self.client)
        self._read_or_not()
        self._taken = self._written - self._owing()
        self._watch = asyncio.get_running_loop().call_later(UNREAD_SECONDS, self._check_reader)

    def resume_writing(self) -> None:
        self._unread = False
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        self.core.read(self.client, time.monotonic_ns())
        self.turn.schedule()
        self._read_or_not()

    def _owing(self) -> int:
        """Bytes that the client's side has not taken: the loop's buffer and the kernel's."""
        waiting = self.transport.get_write_buffer_size()
        sock = self.transport.get_extra_info("socket")
        try:
            queued = fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, b"\0\0\0\0")
        except OSError:
            return waiting
        return waiting + int(struct.unpack("i", queued)[0])

    def _check_reader(self) -> None:
        owed = self._owing()
        taken = self._written - owed
        if taken <= self._taken:
            peer = self.transport.get_extra_info("peername")
            logger.warning("client %s does not read: closed with %d bytes unread", peer, owed)
            self.transport.abort()
            return
        self._taken = taken
        self._watch = asyncio.get_running_loop().call_later(UNREAD_SECONDS, self._check_reader)

    # --- the core's side ----------------------------------------------------------------------------------------

    def pause(self) -> None:
        self._core_full = True
        self._read_or_not()

    def resume(self) -> None:
        self._core_full = False
        self._read_or_not()

    def _read_or_not(self) -> None:
        if self.transport.is_closing():
            return
        if self._core_full or self._unread or self.ending or self.is_full():
            self.transport.pause_reading()
        else:
            self.transport.resume_reading()

    def is_full(self) -> bool:
        """Whether the subclass wants nothing to read for now."""
        return False

    def call(self, document: bytes) -> None:
        raise TypeError(f"{self.KIND} connections are one-way")

    def answer(self, data: bytes) -> None:
        """An answer of the core, written at the end of the turn."""
        self.out.append(data)
        if not self.dirty:
            self.dirty = True
            self.turn.write_later(self)

    def flush(self) -> None:
        """Write what has been collected."""
        self.dirty = False
        if self.transport.is_closing():
            self.out.clear()
            return
        if self.out:
            out, self.out = self.out, []
            data = out[0] if len(out) == 1 else b"".join(out)
            self._written += len(data)
            self.transport.write(data)
        if self.ending and self.is_idle():
            self.transport.close()

    # --- the end ------------------------------------------------------------------------------------------------

    def is_idle(self) -> bool:
        return self.client.idle

    def end(self) -> None:
        """Read no more; close when everything in flight is answered."""
        self.ending = True
        self._read_or_not()
        if not self.dirty:
            self.dirty = True
            self.turn.write_later(self)
