"""Clients that do not read what they are owed, and clients that are slow (design 12)."""

from __future__ import annotations

import asyncio
import socket

import pytest
import uvloop

from balancer import connection
from balancer.connection import Connection
from balancer.tcp import JsonConnection
from cgr_cluster.routing.balancer import Balancer
from cgr_cluster.rpc.registry import Registry

CALL = b'{"method":"%b","params":[{}],"id":1}\n' % (b"x" * 2000)  # its answer, a look-up error, is as long
PATIENCE = 0.3


class Turn:
    """The loop's end of turn, without workers."""

    def __init__(self) -> None:
        self.core = Balancer("b", Registry(), "cgrates.org")
        self.connections: set[Connection] = set()

    def schedule(self) -> None:
        """There are no workers to send to."""

    def write_later(self, late: Connection) -> None:
        asyncio.get_running_loop().call_soon(late.flush)


async def send_all(sock: socket.socket, count: int) -> int:
    """Send calls without ever reading; how many bytes the balancer took before it stopped reading."""
    loop = asyncio.get_running_loop()
    sent = 0
    for _ in range(count):
        try:
            await asyncio.wait_for(loop.sock_sendall(sock, CALL * 20), 1)
        except (asyncio.TimeoutError, ConnectionError):
            break
        sent += len(CALL) * 20
    return sent


@pytest.mark.cluster
def test_a_client_that_never_reads_is_stopped_and_then_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "UNREAD_SECONDS", PATIENCE)

    async def run() -> None:
        loop = asyncio.get_running_loop()
        turn = Turn()
        server = await loop.create_server(lambda: JsonConnection(turn), "127.0.0.1", 0)
        sock = socket.create_connection(server.sockets[0].getsockname())
        sock.setblocking(False)
        sent = await send_all(sock, 4000)
        assert sent < 4000 * 20 * len(CALL)  # it was not read to the end
        for _ in range(200):
            if not turn.connections:
                break
            await asyncio.sleep(0.02)
        assert not turn.connections
        sock.close()
        server.close()

    uvloop.run(run())


@pytest.mark.cluster
def test_a_client_that_reads_late_gets_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "UNREAD_SECONDS", PATIENCE)

    async def run() -> None:
        loop = asyncio.get_running_loop()
        turn = Turn()
        server = await loop.create_server(lambda: JsonConnection(turn), "127.0.0.1", 0)
        sock = socket.create_connection(server.sockets[0].getsockname())
        sock.setblocking(False)
        count = 3000
        sending = loop.create_task(loop.sock_sendall(sock, CALL * count))
        got = 0
        while got < count:  # slower than the balancer writes, but never idle for PATIENCE
            data = await loop.sock_recv(sock, 1 << 16)
            assert data
            got += data.count(b"\n")
            await asyncio.sleep(0.002)
        await sending
        sock.close()
        server.close()

    uvloop.run(run())
