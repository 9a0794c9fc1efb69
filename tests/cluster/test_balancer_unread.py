"""Clients that do not read what they are owed, and clients that are slow (design 12)."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress

import pytest
import uvloop

from balancer import connection
from balancer.connection import Connection
from balancer.tcp import JsonConnection
from cgr_cluster.routing.balancer import Balancer
from cgr_cluster.rpc.registry import Registry

CALL = b'{"method":"%b","params":[{}],"id":1}\n' % (b"x" * 2000)  # its answer, a look-up error, is as long
WAIT = 90.0


class Turn:
    """The loop's end of turn, without workers."""

    def __init__(self) -> None:
        self.core = Balancer("b", Registry(), "cgrates.org")
        self.connections: set[Connection] = set()

    def schedule(self) -> None:
        """There are no workers to send to."""

    def write_later(self, late: Connection) -> None:
        asyncio.get_running_loop().call_soon(late.flush)


async def send_without_end(sock: socket.socket) -> None:
    """Send calls without ever reading, until the balancer closes the connection."""
    loop = asyncio.get_running_loop()
    with suppress(ConnectionError):
        while True:
            await loop.sock_sendall(sock, CALL * 20)


@pytest.mark.cluster
def test_a_client_that_never_reads_is_stopped_and_then_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "UNREAD_SECONDS", 0.3)

    async def run() -> None:
        loop = asyncio.get_running_loop()
        turn = Turn()
        server = await loop.create_server(lambda: JsonConnection(turn), "127.0.0.1", 0)
        sock = socket.create_connection(server.sockets[0].getsockname())
        sock.setblocking(False)
        await asyncio.wait_for(send_without_end(sock), WAIT)
        await asyncio.wait_for(none_left(turn), WAIT)
        sock.close()
        server.close()

    uvloop.run(run())


@pytest.mark.cluster
def test_a_client_that_reads_late_gets_everything() -> None:
    async def run() -> None:
        loop = asyncio.get_running_loop()
        turn = Turn()
        server = await loop.create_server(lambda: JsonConnection(turn), "127.0.0.1", 0)
        sock = socket.create_connection(server.sockets[0].getsockname())
        sock.setblocking(False)
        count = 3000
        sending = loop.create_task(loop.sock_sendall(sock, CALL * count))
        got = 0
        while got < count:  # slower than the balancer writes
            data = await loop.sock_recv(sock, 1 << 16)
            assert data
            got += data.count(b"\n")
            await asyncio.sleep(0.002)
        await sending
        sock.close()
        server.close()

    uvloop.run(run())


class Owing(asyncio.Transport):
    """A transport of which only its end is looked at."""

    def __init__(self) -> None:
        super().__init__({"peername": "a slow client"})
        self.aborted = False

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """What is owed is told by the test."""

    def pause_reading(self) -> None:
        """Nothing comes."""

    def is_closing(self) -> bool:
        return self.aborted

    def abort(self) -> None:
        self.aborted = True


def test_a_client_is_closed_when_nothing_has_left_since_the_last_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """Slow is allowed: what it is owed at each look decides."""
    owed = iter([1000, 999, 500, 499, 499, 0])
    monkeypatch.setattr(connection, "UNREAD_SECONDS", 0)
    monkeypatch.setattr(Connection, "_owing", lambda self: next(owed))

    async def run() -> None:
        transport = Owing()
        client = JsonConnection(Turn())
        client.connection_made(transport)
        client.pause_writing()
        await asyncio.wait_for(aborted(transport), WAIT)

    asyncio.run(run())
    assert list(owed) == [0]


async def aborted(transport: Owing) -> None:
    while not transport.aborted:
        await asyncio.sleep(0)


async def none_left(turn: Turn) -> None:
    while turn.connections:
        await asyncio.sleep(0.02)
