"""The edge process: exporters, in one place for the whole node, and the files of readers (design 3, docs/exporters.md,
docs/readers.md). Workers do no such I/O.

One loop takes what the workers ask. The exporters (templates, files, metrics) belong to one thread, which takes all that
has come in at once, so that many rows are one commit. What goes over the network is sent by other threads, a bounded number
for each exporter: an endpoint that is slow or dead delays only what is meant for it.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import uvloop
import zmq

from cgr_cluster.edge import wire
from cgr_cluster.edge.exporter_service import ExporterService
from cgr_cluster.edge.functions import network_functions
from cgr_cluster.edge.sendings import Sending
from cgr_cluster.edge.transports import Transports
from cgr_cluster.exporters.types import Export, Outcome
from cgr_cluster.rpc.errors import ApiError
from workers.alarms import wait_s
from workers.children import Leash
from workers.endpoints import Endpoints
from workers.options import NodeOptions

logger = logging.getLogger("cgr_cluster.edge")

FOLDER = "exports"  # in the data directory
NETWORK_THREADS = 32
EXPORTER_THREADS = 4  # of them for one exporter that does not say how many requests it wants at once
MAX_WAITING = 10_000  # sendings of one exporter that wait for a thread; more are refused
MAX_TOLD = 50_000  # questions that are remembered after their answer, should they come again

Question = tuple[int, int, int]  # worker, incarnation, id
Answer = Callable[[Any, "str | None"], None]


class Edge:
    def __init__(self, folder: Path, address: str) -> None:
        self._incarnation = time.time_ns()
        self._folder = folder
        self._loop = asyncio.get_running_loop()
        self._exporters = ThreadPoolExecutor(1, "exporters")
        self._network = ThreadPoolExecutor(NETWORK_THREADS, "network")
        self._transports = Transports()
        self._functions = network_functions(self._transports)
        self._endpoints: dict[str, tuple[int, Endpoints]] = {}  # exporter → at once, turns
        self._waiting: dict[str, int] = {}
        self._asked: list[Export] = []  # for the next turn of the exporters
        self._under_way: dict[str, list[Callable[[Outcome], None]]] = {}  # delivery → who wants to know
        self._known: OrderedDict[Question, None] = OrderedDict()
        self._busy = False
        self._alarm: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._stop = asyncio.Event()
        self._failed = ""
        self._socket: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.ROUTER)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.setsockopt(zmq.RCVHWM, 0)  # bounded by what the workers have under way
        self._socket.setsockopt(zmq.SNDHWM, 0)
        self._socket.bind(address)

    async def run(self, leash: Leash) -> None:
        """Serve until the leash says stop."""
        leash.watch(self._loop.add_reader, self._stop.set)
        self.service = await self._with_exporters(ExporterService, self._folder, time.time_ns)
        self._set_alarm()
        self._loop.add_reader(self._socket.fileno(), self._readable)
        self._loop.call_soon(self._readable)
        leash.ready()
        await self._stop.wait()
        if self._failed:
            raise SystemExit(self._failed)
        self._loop.remove_reader(self._socket.fileno())
        if self._alarm is not None:
            self._alarm.cancel()
        for task in self._tasks:  # nothing is answered any more: the workers have stopped, or ask the next edge again
            task.cancel()
        await self._with_exporters(self.service.close)
        self._transports.close()
        self._socket.close()

    async def _with_exporters(self, function: Callable[..., Any], *args: Any) -> Any:
        """Run something in the exporters' thread."""
        return await self._loop.run_in_executor(self._exporters, partial(function, *args))

    def _start(self, coroutine: Any) -> None:
        task = self._loop.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        """Work that breaks ends the process: it starts again from its journal, and is asked again."""
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            known = isinstance(error, (sqlite3.Error, OSError))  # the disk, of which a traceback says nothing
            logger.error("the edge ends: %r", error, exc_info=None if known else error)
            self._failed = f"{error!r}"
            self._stop.set()

    # --- the socket -----------------------------------------------------------------------------------------------

    def _readable(self) -> None:
        if self._stop.is_set():  # it may still be scheduled when the socket is closed
            return
        try:
            while True:
                peer, frame = self._socket.recv_multipart(zmq.NOBLOCK)
                message = wire.decode(frame)
                if isinstance(message, wire.Ask):
                    self._take(peer, message)
                elif isinstance(message, wire.Hello):
                    self._send(peer, wire.Here(self._incarnation))
        except zmq.Again:
            pass
        if self._asked and not self._busy:
            self._busy = True
            self._start(self._turns())

    def _send(self, peer: bytes, message: wire.Told | wire.Here) -> None:
        self._socket.send_multipart(
            [peer, wire.encode(message)], zmq.NOBLOCK
        )  # a peer that is gone: dropped by the socket
        self._loop.call_soon(self._readable)  # a send may swallow the descriptor's edge

    def _take(self, peer: bytes, ask: wire.Ask) -> None:
        question = ask.worker, ask.incarnation, ask.id
        if question in self._known:
            return
        self._known[question] = None
        if len(self._known) > MAX_TOLD:
            self._known.popitem(last=False)

        def answer(result: Any, error: str | None) -> None:
            body = b"" if error is not None else wire.pack_result(result)
            self._send(peer, wire.Told(self._incarnation, ask.id, body, error))

        args = wire.unpack_arguments(ask.name, ask.args)
        if ask.name == "ees.export":
            self._export(args[0], answer)
        elif ask.name in self._functions:
            self._start(self._do(partial(self._in_network, self._functions[ask.name], *args), answer))
        else:
            function = {"ees.settle": self.service.settle, "ees.forget": self.service.forget, "ees.reset": self.service.reset}[ask.name]  # fmt: skip
            self._start(self._do(partial(self._with_exporters, function, *args), answer))

    async def _do(self, work: Callable[[], Any], answer: Answer) -> None:
        try:
            answer(await work(), None)
        except ApiError as error:
            answer(None, error.text)
        self._set_alarm()

    async def _in_network(self, function: Callable[..., Any], *args: Any) -> Any:
        return await self._loop.run_in_executor(self._network, partial(function, *args))

    # --- exports --------------------------------------------------------------------------------------------------

    def _export(self, exports: list[Export], answer: Answer) -> None:
        """Exports of one question: it is answered when all are done."""
        outcomes: list[Outcome | None] = [None] * len(exports)
        left = len(exports)

        def done(place: int, outcome: Outcome) -> None:
            nonlocal left
            outcomes[place] = outcome
            left -= 1
            if not left:
                answer(outcomes, None)

        for place, export in enumerate(exports):
            waiting = self._under_way.get(export.delivery)
            if waiting is not None:  # a worker that has started again asks for what is being done
                waiting.append(partial(done, place))
                continue
            self._under_way[export.delivery] = [partial(done, place)]
            self._asked.append(export)

    def _told(self, export: Export, outcome: Outcome) -> None:
        for done in self._under_way.pop(export.delivery, ()):
            done(outcome)

    async def _turns(self) -> None:
        """Turns of the exporters, as long as there is something to do."""
        while self._asked:
            asked, self._asked = self._asked, []
            answers = await self._with_exporters(self.service.turn, asked)
            for export, answer in zip(asked, answers, strict=True):
                if isinstance(answer, Sending):
                    self._start(self._sent(answer))
                else:
                    self._told(export, answer)
        self._busy = False
        self._set_alarm()

    async def _sent(self, sending: Sending) -> None:
        """Send, when it is its turn, and tell."""
        name = sending.post.exporter
        waiting = self._waiting.get(name, 0)
        if waiting >= MAX_WAITING:
            error = f"more than {MAX_WAITING} events wait for exporter {name}"
        else:
            self._waiting[name] = waiting + 1
            try:
                async with self._turns_of(sending).turn(name):
                    error = await self._in_network(self._transports.send_error, sending.post)
            finally:
                self._waiting[name] -= 1
        outcome: Outcome = await self._with_exporters(self.service.sent, sending, error)
        self._told(sending.export, outcome)
        self._set_alarm()

    def _turns_of(self, sending: Sending) -> Endpoints:
        name, at_once = sending.post.exporter, sending.at_once or EXPORTER_THREADS
        known = self._endpoints.get(name)
        if known is None or known[0] != at_once:
            known = self._endpoints[name] = at_once, Endpoints(at_once)
        return known[1]

    # --- time -----------------------------------------------------------------------------------------------------

    def _set_alarm(self) -> None:
        """Wake the exporters when one of them has something to do by itself."""
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        at_ns = self.service.next_deadline_ns()
        if at_ns is not None:
            self._alarm = self._loop.call_later(wait_s(at_ns - time.time_ns()), self._due)

    def _due(self) -> None:
        self._start(self._do(partial(self._with_exporters, self.service.expire), lambda result, error: None))


def main(options: NodeOptions, leash: Leash) -> None:
    async def run() -> None:
        await Edge(Path(options.data_dir, FOLDER), options.edge_address).run(leash)

    uvloop.run(run())
