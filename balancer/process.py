"""The balancer process: listeners, links and the core (cgr_cluster/routing/balancer.py) in one loop (design 3, 4, 12).

The loop's turn: reads feed the core, at the turn's end every worker gets one batch and every client its answers in one
write. A graceful stop accepts nothing new, reads nothing more, waits for what is in flight and closes.
"""

from __future__ import annotations

import asyncio
import errno
import gc
import logging
import time
from collections.abc import Callable
from typing import Any, Protocol

import msgspec
import uvloop
import zmq

from balancer.bijson import BiJsonConnection
from balancer.connection import Connection
from balancer.http import HttpConnection, HttpOptions
from balancer.links import WorkerLinks
from balancer.tcp import JsonConnection
from cgr_cluster.routing import wire
from cgr_cluster.routing.balancer import Balancer
from cgr_cluster.services import load as load_services

logger = logging.getLogger("cgr_cluster.balancer")

EXPIRE_SECONDS = 0.1  # how often deadlines are looked at
STOP_SECONDS = 5.0  # calls in flight at a graceful stop may take so long
BACKLOG = 1024
CANNOT_RUN = 78  # exit status: starting it again will not help (EX_CONFIG)


class Options(Protocol):
    """What the process is told at its start."""

    @property
    def config(self) -> dict[str, Any]: ...

    @property
    def balancer_address(self) -> str:
        """Where workers connect, such as `ipc:///run/cgr/balancer`."""

    def listen(self) -> dict[str, tuple[str, int]]:
        """Listener (`json`, `http`, `bijson`) → host and port."""


class Leash(Protocol):
    """The supervisor's hold on the process."""

    def ready(self) -> None: ...

    def watch(self, add_reader: Callable[..., object], stop: Callable[[], None]) -> None: ...


class Process:
    def __init__(self, options: Options) -> None:
        config = options.config
        cores = config["cores"]
        name = f"b{time.time_ns():x}"
        self.options = options
        self.core = Balancer(
            name,
            load_services(),
            str(config["general"]["default_tenant"]),
            int(cores["caps"]),
            str(cores["caps_strategy"]),
            str(cores["caps_stats_interval"]) not in ("", "0", "0s"),
        )
        self.http = HttpOptions.of(config)
        self.connections: set[Connection] = set()
        self._loop = asyncio.get_running_loop()
        self._servers: list[asyncio.AbstractServer] = []
        self._dirty: list[Connection] = []
        self._scheduled = False
        self._ticker: asyncio.TimerHandle | None = None
        self.stopping = asyncio.Event()

    # --- start and stop -----------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Bind everything. Raises SystemExit with a clear line in the log when an address can not be had."""
        context: zmq.Context[zmq.Socket[bytes]] = zmq.Context(io_threads=1)
        try:
            self.links = WorkerLinks(context, self.options.balancer_address, self._from_worker, self._turn)
        except zmq.ZMQError as error:
            logger.error("link %s cannot be bound: %s", self.options.balancer_address, error)
            raise SystemExit(CANNOT_RUN) from None
        factories: dict[str, Callable[[], Connection]] = {
            "json": lambda: JsonConnection(self),
            "http": lambda: HttpConnection(self, self.http),
            "bijson": lambda: BiJsonConnection(self),
        }
        for name, (host, port) in self.options.listen().items():
            try:
                server = await self._loop.create_server(factories[name], host, port, backlog=BACKLOG)
            except OSError as error:
                why = "is in use by another program" if error.errno == errno.EADDRINUSE else f"failed: {error.strerror}"
                logger.error("listener %s: address %s:%d %s", name, host, port, why)
                raise SystemExit(CANNOT_RUN) from None
            self._servers.append(server)
            logger.info("listener %s on %s:%d", name, host, port)
        self._tick()

    async def stop(self) -> None:
        """The graceful end."""
        for server in self._servers:
            server.close()
        for connection in list(self.connections):
            connection.end()
        end = time.monotonic() + STOP_SECONDS
        while (self.connections or self.core.pending) and time.monotonic() < end:
            await asyncio.sleep(0.01)
        if self.core.pending:
            logger.warning("%d calls are not answered at the stop", len(self.core.pending))
        for connection in list(self.connections):
            connection.transport.close()
        await asyncio.sleep(0)
        if self._ticker is not None:
            self._ticker.cancel()
        self.links.close()

    # --- the turn -----------------------------------------------------------------------------------------------

    def schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._turn)

    def write_later(self, connection: Connection) -> None:
        self._dirty.append(connection)
        self.schedule()

    def _turn(self) -> None:
        """The end of a loop's turn: batches to the workers, answers to the clients."""
        self._scheduled = False
        for link, message in self.core.flush(time.monotonic_ns()):
            if not self.links.send(link, wire.encode(message)):
                self.core.gone(link)
        dirty, self._dirty = self._dirty, []
        for connection in dirty:
            connection.flush()

    def _from_worker(self, link: bytes, data: bytes) -> None:
        try:
            message = wire.decode_from_worker(data)
        except msgspec.DecodeError as error:
            logger.error("message of %s can not be read: %s", link.decode("latin-1"), error)
            return
        self.core.receive(link, message, time.monotonic_ns())

    def _tick(self) -> None:
        self.core.expire(time.monotonic_ns())
        self._turn()
        self._ticker = self._loop.call_later(EXPIRE_SECONDS, self._tick)


async def serve(options: Options, leash: Leash) -> None:
    process = Process(options)
    await process.start()
    leash.watch(asyncio.get_running_loop().add_reader, process.stopping.set)
    gc.collect()
    gc.freeze()
    leash.ready()
    await process.stopping.wait()
    await process.stop()


def main(options: Options, leash: Leash) -> None:
    """Run until the leash says stop. Raises SystemExit with CANNOT_RUN when an address is taken."""
    uvloop.run(serve(options, leash))
