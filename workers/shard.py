"""The worker process: the shell around an engine (design 3, 4, 6).

One loop, one thread. What comes in from balancers, from other workers and from the outside is collected and run as one
turn; the turn's group goes to the log process; what depends on it leaves when the log has it. The process ends when the
log refuses it (fail stop) and starts again from the log.

Start: hello to the log (which shuts out this worker's earlier incarnation), load the shards, meet the other workers,
catch up with the leader's reference data, then greet the balancer.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import uvloop
import zmq

from cgr_cluster.actions.plan_api import reload_scheduler
from cgr_cluster.cluster import mesh_wire
from cgr_cluster.cluster.greetings import Greetings
from cgr_cluster.cluster.shard_map import shard_map
from cgr_cluster.engine import messages as m
from cgr_cluster.engine.codec import pack
from cgr_cluster.engine.deck import DeckError
from cgr_cluster.engine.domain import CLIENT_CALL
from cgr_cluster.engine.engine import Engine
from cgr_cluster.engine.owner import LEADER, REFERENCE_SHARD
from cgr_cluster.log import checkpoint
from cgr_cluster.log.client import LogClient
from cgr_cluster.log.errors import LogError
from cgr_cluster.log.format import encode_body, seal
from cgr_cluster.node.deck_files import AT_ONCE, DeckFolder
from cgr_cluster.node.deck_loader import LoaderProcesses
from cgr_cluster.node.outside import NETWORK, OUTSIDE
from cgr_cluster.node.process_end import END
from cgr_cluster.readers.scans import node_started
from cgr_cluster.rpc.decode import decode_params
from cgr_cluster.rpc.encode import encode_result
from cgr_cluster.rpc.errors import ApiError
from cgr_cluster.services import load as load_services
from cgr_cluster.sessions.channel_sync import node_started as sync_started
from cgr_cluster.stats.queries import node_started as queries_started
from workers.alarms import wait_s
from workers.balancer_link import BalancerLink
from workers.children import Leash
from workers.edge_link import EdgeLink
from workers.endpoints import Endpoints
from workers.links import Inlet, Outlet
from workers.options import NodeOptions
from workers.store_link import StoreLink

logger = logging.getLogger("cgr_cluster.worker")

# Requests make no garbage in cycles: sessions in memory are not to be searched often. What is new is searched 200 000 objects
# at a time, 25 ms; a million (50 000 x 20) took 110 ms in the middle of a plan run or a load.
COLLECT_AFTER = (50_000, 4, 500)
FILE_THREADS = 2
NETWORK_THREADS = 16  # calls to endpoints that may be slow or dead; they hold up nothing but each other
ENDPOINT_THREADS = 4  # of them for one endpoint
REMIND_NS = 3 * 10**9  # a step without an answer for so long is sent again
PEERS_SECONDS = 20.0  # the leader must have answered by then
LEADER_SECONDS = 3.0  # the leader waits so long for the others
STOP_SECONDS = 5.0  # operations under way at a graceful stop may take so long to end


class ShardProcess:
    def __init__(self, options: NodeOptions, leash: Leash, number: int) -> None:
        self.options = options
        self.leash = leash
        self.number = number
        self.incarnation = time.time_ns()
        decks = Path(options.data_dir, "decks")
        self._loaders = LoaderProcesses(decks)
        self._decks = DeckFolder(decks, self._loaders.build)
        self.engine = Engine(
            number, shard_map(options.workers), options.config, decode_params, encode_result, load_services(),
            self._decks.open,
        )  # fmt: skip
        self._inputs: list[m.Input] = []
        self._scheduled = False
        self._durable = 0
        self._alarm: asyncio.TimerHandle | None = None
        self._greetings = Greetings(other for other in range(options.workers) if other != number)
        self._outlets: dict[int, Outlet] = {}
        self._files = ThreadPoolExecutor(FILE_THREADS, "files")
        self._network = ThreadPoolExecutor(NETWORK_THREADS, "network")
        self._endpoints = Endpoints(ENDPOINT_THREADS)
        self._stop = asyncio.Event()
        self._serving = False
        self._caught_up = asyncio.Event()
        self._failed: str | None = None
        self.balancer: BalancerLink | None = None
        self._untold: list[m.Tell | m.OutsideCall] = []  # for clients, released before there was a link
        self._context: zmq.Context[Any]

    # --- start and stop ---------------------------------------------------------------------------------------

    async def run(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.leash.watch(self._loop.add_reader, self._stop_wanted)
        self.log = LogClient(self.options.log_socket, self.number, self.incarnation, self._acknowledged, self._refused)
        welcome = await self.log.start()
        begin = time.monotonic()
        shards = [*self.engine.shards, REFERENCE_SHARD]
        self.engine.now_ns = time.time_ns()
        self.engine.load(checkpoint.load(shards, self.options.data_dir, welcome.durable))
        self._decks.verifies = False
        if self.engine.shard_map[0] == self.number:
            self._decks.sweep(self.engine.generation)
        gc.collect()
        gc.freeze()
        gc.set_threshold(*COLLECT_AFTER)
        logger.info("loaded %d shards in %.3f s", len(self.engine.shards), time.monotonic() - begin)
        context = self._context = zmq.Context()  # kept: one that is collected waits for sockets that are still open
        self._inlet = Inlet(context, self.options.mesh_address(self.number), self._mesh_frame)
        for other in self._greetings.others:
            self._outlets[other] = Outlet(context, self.options.mesh_address(other))
            self._greet(other, True)
        if self._greetings.complete:
            self._caught_up.set()
        self.store = StoreLink(context, self.options, self.incarnation, self.engine, self._give)
        self.edge = EdgeLink(context, self.options, self.number, self.incarnation, self._give)
        await self._catch_up()
        self._schedule()
        self.balancer = BalancerLink(context, self.options, self.incarnation, self.engine, self._give)
        for output in self._untold:
            self._to_client(output)
        self._untold.clear()
        self._serving = True
        if self.engine.shard_map[0] == self.number and not self.options.restarted:
            self._start_services()
        self._remind()
        self.leash.ready()
        await self._stop.wait()
        if self._failed is not None:
            raise SystemExit(self._failed)
        await self._finish()

    def _start_services(self) -> None:
        """The node starts, and so do its scheduler (spec 20 §6.2), its readers (40 §9), its trends and rankings (60 §3) and
        the channel sync of sessions (30.12)."""
        leader = self.number
        for number, starts in enumerate((reload_scheduler, node_started, queries_started, sync_started)):
            self._give(
                m.StepRequest(
                    f"start:{self.incarnation}", number, starts.name, (LEADER.kind, LEADER.key), LEADER.shard, pack([]), time.time_ns(),
                    self.engine.generation.number, "", 0, leader, leader,
                )
            )  # fmt: skip

    def _stop_wanted(self) -> None:
        if not self._serving:
            os._exit(0)  # nothing has been taken yet; unwinding would wait for sockets that are still open
        self._stop.set()

    async def _catch_up(self) -> None:
        """Wait until this worker has the leader's reference data and the leader knows that it must keep it up to date.

        The leader waits for the others in turn, so that none serves with older data than a Set that it has answered; one
        that does not come in time is not live."""
        leader = self.engine.shard_map[0] == self.number
        try:
            await asyncio.wait_for(self._caught_up.wait(), LEADER_SECONDS if leader else PEERS_SECONDS)
        except asyncio.TimeoutError:
            if not leader:
                raise SystemExit(f"the leader (worker {self.engine.shard_map[0]}) has not answered") from None
            logger.warning("the leader begins while only %d other workers are live", len(self._greetings.answered))

    async def _finish(self) -> None:
        """A graceful stop: the balancer sends nothing new; what is under way ends, and the log has it."""
        end = time.monotonic() + STOP_SECONDS
        while time.monotonic() < end:
            if not self._inputs and not self.engine.runner.running and self._durable == self.engine.number:
                break
            await asyncio.sleep(0.01)
        else:
            running = list(self.engine.runner.running.values())
            logger.warning(
                "%d operations go on at the next start, such as %s",
                len(running),
                "; ".join(operation.describe() for operation in running[:5]),
            )
        self.log.close()

    def _remind(self) -> None:
        """Once a second: what has been waited for too long is asked for again."""
        self.engine.runner.remote.remind(time.time_ns() - REMIND_NS)
        if self.engine.has_work:
            self._schedule()
        self._loop.call_later(1.0, self._remind)

    def _refused(self, code: str, text: str) -> None:
        self._failed = f"the log refuses this worker: {code} {text}"
        self._stop.set()

    # --- the turn ---------------------------------------------------------------------------------------------

    def _give(self, message: m.Input) -> None:
        """An input for the next turn."""
        self._inputs.append(message)
        if not self._scheduled:
            self._schedule()

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        self._scheduled = False
        if not self.log.has_room:
            self._loop.call_later(0.005, self._schedule)  # the log is far behind; what comes in waits
            return
        engine = self.engine
        inputs, self._inputs = self._inputs, []
        try:
            group = engine.turn(time.time_ns(), inputs)
        except DeckError as error:  # a changeset names a deck that cannot be used
            self._failed = str(error)
            self._stop.set()
            return
        if group is not None:
            body = encode_body(group.records)
            self.log.append(group.number, seal(body, self.number, self.incarnation, 1, group.number, group.generation))
            self.store.logged(group)
        self._release()
        if self.balancer is not None:
            self.balancer.flush()
        if engine.has_work:
            self._schedule()
        else:
            self._set_alarm(engine.next_deadline_ns())

    def _set_alarm(self, at_ns: int | None) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        if at_ns is not None:
            self._alarm = self._loop.call_later(wait_s(at_ns - time.time_ns()), self._schedule)

    def _acknowledged(self, number: int, low_disk: bool) -> None:
        self._durable = number
        if low_disk != self.engine.low_disk:
            self.engine.low_disk = low_disk
            logger.log(
                logging.ERROR if low_disk else logging.INFO,
                "the disk of the log is %s",
                "nearly full" if low_disk else "free again",
            )
        self._release()
        if self.balancer is not None:
            self.balancer.flush()
        self.store.durable(number)

    # --- what leaves ------------------------------------------------------------------------------------------

    def _release(self) -> None:
        outputs = self.engine.released(self._durable)
        if not outputs:
            return
        to_workers: dict[int, list[Any]] = {}
        for output in outputs:
            if isinstance(output, m.Answer):
                assert self.balancer is not None
                self.balancer.answer(output)
            elif isinstance(output, m.ToWorker):
                if output.worker == self.number:
                    self._give(output.message)
                else:
                    to_workers.setdefault(output.worker, []).append(output.message)
            elif isinstance(output, m.OutsideCall) and output.name != CLIENT_CALL:
                self._ask_outside(output)
            else:
                self._to_client(output)
        for worker, messages in to_workers.items():
            self._outlets[worker].send(mesh_wire.encode(messages))

    def _to_client(self, output: m.Tell | m.OutsideCall) -> None:
        if self.balancer is None:
            self._untold.append(output)
        elif isinstance(output, m.Tell):
            self.balancer.tell(output)
        else:
            self.balancer.ask(output)

    def _ask_outside(self, call: m.OutsideCall) -> None:
        if self.store.takes(call) or self.edge.takes(call):
            return
        work = self._decks.work(self.engine, call.name, call.args)
        if work is None:
            function = OUTSIDE.get(call.name) or END.get(call.name)
            if function is None:
                self._give(m.OutsideResult(call.op_id, call.number, None, f"SERVER_ERROR: nobody does {call.name}"))
                return
            work = partial(function, *call.args)
        self._loop.create_task(self._outside(call, work))

    async def _outside(self, call: m.OutsideCall, work: Callable[[], Any]) -> None:
        try:
            if call.name in NETWORK:
                async with self._endpoints.turn(str(call.args[0])):
                    result = await self._loop.run_in_executor(self._network, work)
            elif call.name in AT_ONCE:
                result = work()
            else:
                result = await self._loop.run_in_executor(self._files, work)
            self._give(m.OutsideResult(call.op_id, call.number, result))
        except ApiError as error:
            self._give(m.OutsideResult(call.op_id, call.number, None, error.text))
        except Exception as error:
            logger.exception("%s failed", call.name)
            self._give(m.OutsideResult(call.op_id, call.number, None, f"SERVER_ERROR: {call.name}: {error}"))

    # --- the mesh ---------------------------------------------------------------------------------------------

    def _mesh_frame(self, frame: bytes) -> None:
        for message in mesh_wire.decode(frame):
            if isinstance(message, mesh_wire.Hello):
                self._met(message)
            else:
                self._give(message)

    def _greet(self, worker: int, answer: bool) -> None:
        hello = mesh_wire.Hello(mesh_wire.VERSION, self.number, self.incarnation, self.engine.generation.number, answer)
        self._outlets[worker].send(mesh_wire.encode([hello]))

    def _met(self, hello: mesh_wire.Hello) -> None:
        if hello.version != mesh_wire.VERSION:
            logger.error(
                "worker %d speaks mesh version %d, this one %d", hello.worker, hello.version, mesh_wire.VERSION
            )
            return
        if self._greetings.is_old(hello.worker, hello.incarnation):
            return
        is_back, replies = self._greetings.met(hello.worker, hello.incarnation, hello.answer)
        if is_back:
            logger.info("worker %d is back", hello.worker)
            self.engine.peer_gone(hello.worker)
            self.engine.peer_back(hello.worker)
        self.engine.peer_generation(hello.worker, hello.generation)
        for answer in replies:
            self._greet(hello.worker, answer)
        leader = self.engine.shard_map[0]
        if hello.worker == leader and not hello.answer:  # it knows this worker from now on
            self._wait_for_generation(hello.generation)
        if self.number == leader and self._greetings.complete:
            self._caught_up.set()
        self._schedule()

    def _wait_for_generation(self, number: int) -> None:
        if self.engine.generation.number >= number:
            self._caught_up.set()
        elif not self._caught_up.is_set():
            self._loop.call_later(0.005, self._wait_for_generation, number)


def main(options: NodeOptions, leash: Leash, number: int) -> None:
    async def run() -> None:
        await ShardProcess(options, leash, number).run()

    try:
        uvloop.run(run())
    except (LogError, DeckError) as error:
        logger.error("%s", error)
        raise SystemExit(1) from None
    except SystemExit as end:
        if end.code:
            logger.error("%s", end.code)
        raise SystemExit(1 if end.code else 0) from None
