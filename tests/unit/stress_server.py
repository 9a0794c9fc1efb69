"""A JSON-RPC server for tests of the stress tool: an in-process node behind a socket, which a test may spoil."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

from cgr_cluster.cli.stress import session
from cgr_cluster.cli.stress.plan import parse_mix
from cgr_cluster.node.node import Node

SECOND_NS = 1_000_000_000
Spoil = Callable[[str, Any, Any], Any]  # method, params, result → the result that the client gets


class Server:
    """`spoil` sees every answer. Every `break_each`-th request is executed, but its connection is closed unanswered."""

    def __init__(self, workers: int = 1, spoil: Spoil | None = None, break_each: int = 0) -> None:
        self.node = Node(workers)
        self.spoil = spoil
        self.break_each = break_each
        self.requests = 0
        self.port = 0
        self.serving: set[asyncio.Task[None]] = set()

    async def start(self) -> asyncio.Server:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        return server

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.serving.add(task)
        while line := await reader.readline():
            request = json.loads(line)
            self.node.advance(1_000_000)
            answer = self.node.call(request["method"], request["params"][0])
            self.requests += 1
            if self.break_each and self.requests % self.break_each == 0:
                break
            if self.spoil is not None and answer["error"] is None:
                answer["result"] = self.spoil(request["method"], request["params"][0], answer["result"])
            answer["id"] = request["id"]
            writer.write(json.dumps(answer, separators=(",", ":")).encode() + b"\n")
            await writer.drain()
        writer.close()


def options(**changes: Any) -> session.StressOptions:
    found = session.StressOptions(
        address=("127.0.0.1", 0), calls=60, seconds=None, rate=None, accounts=12,
        mix=parse_mix("prepaid=40,pseudoprepaid=20,postpaid=20,rated=20"), call_seconds=(1, 200), updates=False,
        connections=3, in_flight=12, setup=True, seed=1,
    )  # fmt: skip
    return found._replace(**changes)


class Silent:
    """A stream that is no terminal."""

    def isatty(self) -> bool:
        return False


def stressed(server: Server, **changes: Any) -> dict[str, Any]:
    """Run the tool against the server, in one loop; its summary."""

    async def both() -> dict[str, Any]:
        listening = await server.start()
        try:
            return await session._stress(
                options(**changes)._replace(address=("127.0.0.1", server.port)),
                Silent(),  # type: ignore[arg-type]
            )
        finally:
            listening.close()
            await asyncio.gather(*server.serving)
            server.serving.clear()

    return asyncio.run(both())
