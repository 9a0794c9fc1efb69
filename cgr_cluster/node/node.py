"""A whole node in one process under a virtual clock: engines, log and network as plain objects (design 3, 9).

Every message and every commit is an event with a number; a test may kill a worker at any of them (`crash_at`). A killed
worker loses its memory and what it had not sent; it comes back from the log as a new incarnation, its peers send again
what it has not answered, and the balancer delivers its requests again under the same uid. So conformance runs in
milliseconds a scenario, and crashes are tested at every point. Nothing here is random.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Collection
from typing import Any

from cgr_cluster.cdrs.store import CdrFiles, CdrReader, store_functions
from cgr_cluster.config import settings
from cgr_cluster.edge.exporter_service import ExporterService
from cgr_cluster.edge.functions import edge_functions
from cgr_cluster.engine import messages as m
from cgr_cluster.engine.domain import ALL_CLIENTS, CLIENT_CALL
from cgr_cluster.engine.engine import Engine
from cgr_cluster.engine.owner import SHARDS
from cgr_cluster.node.clock import START_NS
from cgr_cluster.node.deck_files import DeckFolder
from cgr_cluster.node.outside import OUTSIDE
from cgr_cluster.rpc import decode, encode
from cgr_cluster.rpc.errors import ApiError
from cgr_cluster.rpc.registry import Registry
from cgr_cluster.services import load

MAX_EVENTS = 200_000  # of one call or advance; more is a loop
MIN_STEP_NS = 1_000  # the clock moves a little with every call and every commit, as a real one does


class Worker:
    """An engine, what is on its way to it, and the groups it has sealed but the log does not have yet."""

    def __init__(self, engine: Engine, incarnation: int) -> None:
        self.engine = engine
        self.incarnation = incarnation
        self.inbox: deque[m.Input] = deque()
        self.sealed: deque[m.Group] = deque()
        self.durable = 0


class Node:
    """`workers` engines over one log. `call` is a client; `advance` lets time pass."""

    def __init__(
        self, workers: int = 1, config: dict[str, Any] | None = None, crash_at: Collection[int] = (),
        start_ns: int = START_NS,
        registry: Registry | None = None, disk: dict[tuple[int, str], bytes] | None = None,
    ) -> None:  # fmt: skip
        self.registry = load() if registry is None else registry
        self.now_ns = start_ns
        self.shard_map = [shard * workers // SHARDS for shard in range(SHARDS)]
        self.config = config if config is not None else dict(settings.ephemeral())
        self.disk = {} if disk is None else disk  # what the log has, folded
        self.events = 0
        self.crashes = 0
        self.crash_at = set(crash_at)
        self.exporters = ExporterService(None, lambda: self.now_ns)
        self.outside: dict[str, Callable[..., Any]] = {
            **OUTSIDE, **store_functions(CdrReader(CdrFiles(None))), **edge_functions(self.exporters),
        }  # fmt: skip
        self.outside["clock"] = lambda: self.now_ns
        self.outside[CLIENT_CALL] = self._ask_client
        self.clients: dict[str, Callable[[str, Any], Any]] = {}  # connection → what the two-way client answers a call
        self.decks = DeckFolder(None)
        self.tells: list[m.Tell] = []
        self._answers: dict[str, tuple[bytes, bool]] = {}
        self._pending: dict[str, tuple[int, m.Request]] = {}  # the balancer's table: uid → worker, request
        self._next_uid = 0
        self.workers = [self._start(n, 1) for n in range(workers)]
        for worker in self.workers:
            self._introduce(worker)

    # --- clients ------------------------------------------------------------------------------------------------

    def call(self, method: str, params: Any, connection: str = "") -> dict[str, Any]:
        """A client's call: {"id", "result", "error"} as it reads them from the wire."""
        return self.wait(self.send(method, params, connection))

    def send(self, method: str, params: Any, connection: str = "", raw: bytes | None = None) -> str:
        """Send a call without waiting; the uid for `wait`."""
        self._next_uid += 1
        self.now_ns += MIN_STEP_NS
        uid = f"b1:{self._next_uid}"
        request = m.Request(uid, method, json.dumps(params).encode() if raw is None else raw, "b1", None, connection)
        worker = self._route(request)
        self._pending[uid] = (worker, request)
        self.workers[worker].inbox.append(request)
        return uid

    def wait(self, uid: str) -> dict[str, Any]:
        """Run until the call is answered, letting time pass when nothing else can happen."""
        self.run()
        while uid not in self._answers:
            deadline = self._next_deadline()
            if deadline is None:
                raise TimeoutError(f"call {uid} is never answered: nothing is under way")
            self.now_ns = max(self.now_ns, deadline)
            self.run()
        body, failed = self._answers.pop(uid)
        if failed:
            return {"id": 1, "result": None, "error": body.decode()}
        return {"id": 1, "result": json.loads(body), "error": None}

    def advance(self, ns: int) -> None:
        """Let `ns` pass, doing at its time what is due."""
        end = self.now_ns + ns
        self.run()
        while True:
            deadline = self._next_deadline()
            if deadline is None or deadline > end:
                break
            self.now_ns = max(self.now_ns, deadline)
            self.run()
        self.now_ns = end
        self.run()

    def _route(self, request: m.Request) -> int:
        try:
            method = self.registry.find(request.method)
            tenant = self.workers[0].engine.generation.default_tenant
            owner = method.owner.owner(request.params, tenant)
        except ApiError:
            owner = None
        return self._next_uid % len(self.workers) if owner is None else self.shard_map[owner.shard]

    # --- the run ------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Until nothing is under way at this instant."""
        for _ in range(MAX_EVENTS):
            if not self._step():
                return
        raise RuntimeError(f"still busy after {MAX_EVENTS} events")

    def _step(self) -> bool:
        """One turn of one worker and what follows from it. Answers whether there was anything to do."""
        for number, worker in enumerate(self.workers):
            engine = worker.engine
            deadline = engine.next_deadline_ns()
            if not worker.inbox and not engine.has_work and (deadline is None or deadline > self.now_ns):
                continue
            inputs = list(worker.inbox)
            worker.inbox.clear()
            group = engine.turn(self.now_ns, inputs)
            if group is not None:
                worker.sealed.append(group)
            self._commit(number)
            return True
        return False

    def _commit(self, number: int) -> None:
        """The log takes the worker's groups, and what waited for them leaves: each an event at which it may be killed."""
        worker = self.workers[number]
        while worker.sealed:
            if self._crashes_now():
                self._restart(number)
                return
            group = worker.sealed.popleft()
            for shard, key, value in group.records:
                if value is None:
                    self.disk.pop((shard, key), None)
                else:
                    self.disk[shard, key] = value
            worker.durable = group.number
            self.now_ns += MIN_STEP_NS
        for output in worker.engine.released(worker.durable):
            if self._crashes_now():
                self._restart(number)
                return
            self._deliver(number, output)

    def _crashes_now(self) -> bool:
        self.events += 1
        return self.events in self.crash_at

    def _deliver(self, sender: int, output: m.Output) -> None:
        if isinstance(output, m.Answer):
            if self._pending.pop(output.uid, None) is not None:
                self._answers[output.uid] = (output.body, output.failed)
        elif isinstance(output, m.ToWorker):
            self.workers[output.worker].inbox.append(output.message)
        elif isinstance(output, m.OutsideCall):
            self.workers[sender].inbox.append(self._ask_outside(sender, output))
        else:
            self.tells.append(output)

    def _ask_outside(self, worker: int, call: m.OutsideCall) -> m.OutsideResult:
        try:
            of_decks = self.decks.work(self.workers[worker].engine, call.name, call.args)
            if of_decks is not None:
                return m.OutsideResult(call.op_id, call.number, of_decks())
            return m.OutsideResult(call.op_id, call.number, self.outside[call.name](*call.args))
        except ApiError as error:
            return m.OutsideResult(call.op_id, call.number, None, error.text)

    def _ask_client(self, connection: str, method: str, params: Any, timeout_ns: int) -> Any:
        """As the balancer: the answer of a client, or of all. Raises ApiError: what a client raises, `DISCONNECTED`."""
        body = encode.encode_result(params)
        self.tells.append(m.Tell(connection, method, body))
        if connection == ALL_CLIENTS:
            return [client(method, json.loads(body)) for client in self.clients.values()]
        if connection not in self.clients:
            raise ApiError("DISCONNECTED")
        return self.clients[connection](method, json.loads(body))

    def _next_deadline(self) -> int | None:
        times = [t for w in self.workers if (t := w.engine.next_deadline_ns()) is not None]
        return min(times) if times else None

    # --- birth and death ----------------------------------------------------------------------------------------

    def _start(self, number: int, incarnation: int) -> Worker:
        engine = Engine(
            number,
            self.shard_map,
            self.config,
            decode.decode_params,
            encode.encode_result,
            self.registry,
            self.decks.open,
        )
        engine.now_ns = self.now_ns
        engine.load((shard, key, value) for (shard, key), value in list(self.disk.items()))
        if number == self.shard_map[0]:
            self.decks.sweep(engine.generation)
        return Worker(engine, incarnation)

    def _introduce(self, worker: Worker) -> None:
        number = worker.engine.worker
        for other in self.workers:
            if other is not worker:
                other.engine.peer_generation(number, worker.engine.generation.number)

    def _restart(self, number: int) -> None:
        self.crashes += 1
        dead = self.workers[number]
        for other in self.workers:
            other.engine.peer_gone(number)
        reborn = self.workers[number] = self._start(number, dead.incarnation + 1)
        for other in self.workers:
            if other is not reborn:
                reborn.engine.peer_generation(other.engine.worker, other.engine.generation.number)
                other.engine.peer_back(number)
        self._introduce(reborn)
        for worker, request in list(self._pending.values()):
            if worker == number:
                reborn.inbox.append(request)

    def kill(self, number: int) -> None:
        """Kill a worker between two events."""
        self._restart(number)

    def memory(self) -> dict[tuple[int, str], bytes]:
        """All records as the workers hold them (invariant 4: equal to what the log folds to, short-lived kinds aside)."""
        return {
            (shard.number, key): value
            for worker in self.workers
            for shard in worker.engine.shards.values()
            for key, value in shard.export()
        }
