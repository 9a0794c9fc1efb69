"""The balancer without sockets: calls of clients in, batches for workers out; answers back (design 4).

Everything that decides where a call goes, when it is sent (again) and what its client gets without a worker is here. The
shell feeds documents, worker messages and the time, and sends what `flush` answers.

Rules
* A call has a uid `BALANCER:SEQUENCE`, which it keeps when it is delivered again.
* Its owner's shard decides the worker; calls without an owner go to the worker with the shortest queue. Look-up errors
  and parameters that are no list are answered here.
* Calls of one shard are sent in the order in which they were read, through a worker's restart and through a move of
  the shard: so one connection's calls for one owner key stay in order.
* At most CREDITS batches are on the way to a worker. A worker that is down keeps its queue; its next incarnation gets
  all calls that it has not answered, before newer ones.
* A call that was not sent by its deadline is answered REPLY_TIMEOUT. One that was sent gets ANSWER_GRACE_NS more for
  the answer to arrive: the worker does not start it after the deadline.
* Bounds: HELD_CALLS waiting for workers altogether, CALLS and CALL_BYTES per connection (then it is not read), `caps`
  calls altogether (chapter 01 §7).
* Of a connection's calls so many are in flight that answers of the size of its late ones come to ANSWER_BYTES; none new
  while it does not read. So what its answers take here is bounded, and its listings of everything delay nobody for long.

Theory of operation
    A `Pending` is in exactly one place: in the queue of a worker (to be sent), sent (in `unanswered` only), in `homeless`
    (no worker is known), or in `moving` (its shard has moved and calls before it are not yet settled).
    Before that a call may wait as an envelope: in `_waiting` for room under `caps`, then in its client's backlog. A
    client's window is doubled by each round of small answers that it waits for, as TCP begins, and cut by a big one.
    When a shard moves while calls for it are on their way to its old owner, each of them comes back as Moved or answered.
    Until the last one has, newer calls of the shard wait in `moving`; then all go to the new owner in order.
"""

from __future__ import annotations

import logging
from collections import deque

import msgspec

from cgr_cluster.engine.owner import SHARDS
from cgr_cluster.routing import wire
from cgr_cluster.routing.metrics import Metrics
from cgr_cluster.routing.requests import Client, Peer, Pending, Reply, Telling, Worker
from cgr_cluster.rpc.encode import encode_error, frame_result
from cgr_cluster.rpc.envelope import Envelope
from cgr_cluster.rpc.errors import ApiError
from cgr_cluster.rpc.registry import Method, Registry

logger = logging.getLogger("cgr_cluster.balancer")

BATCH_CALLS = 256  # a turn of a worker is to end within 10 ms
BATCH_BYTES = 4 << 20
HELD_CALLS = 100_000
CALLS = 10_000
CALL_BYTES = 64 << 20
ANSWER_BYTES = 8 << 20
ANSWER_GRACE_NS = 2_000_000_000
MAX_HOPS = 8
MAX_CALLS_ERROR = "MAX_CONCURRENT_RPC_EXCEEDED"
TIMEOUT_ERROR = "REPLY_TIMEOUT"
GONE_ERROR = "DISCONNECTED"
BUSY, QUEUE = "*busy", "*queue"
STATUS_METHOD = "CoreSv1.Status"

Message = tuple[bytes, wire.ToWorker]  # routing id of the link, message


class Balancer:
    def __init__(
        self,
        name: str,
        registry: Registry,
        default_tenant: str,
        caps: int = 0,
        strategy: str = BUSY,
        shows_peak: bool = False,
    ) -> None:
        self.name = name
        self.registry = registry
        self.default_tenant = default_tenant
        self.caps = caps
        self.strategy = strategy
        self.shows_peak = shows_peak
        self.metrics = Metrics()
        self.allocated = 0  # calls in flight
        self.backlogged = 0  # calls in the backlogs of clients
        self.caps_peak = 0
        self.held = 0  # calls that wait for a worker that is down
        self.workers: dict[int, Worker] = {}
        self.pending: dict[str, Pending] = {}
        self.clients: dict[str, Client] = {}  # two-way clients by name
        self._map: list[int | None] = [None] * SHARDS
        self._map_version = 0
        self._links: dict[bytes, Worker] = {}
        self._next_sequence = 1
        self._next_client = 1
        self._homeless: deque[Pending] = deque()
        self._moving: dict[int, deque[Pending]] = {}
        self._unsettled: dict[int, set[int]] = {}  # moving shard → sequences on their way to its old owner
        self._waiting: deque[tuple[Client, Envelope, Reply]] = deque()
        self._out: list[Message] = []
        self._tellings: dict[int, tuple[Telling, Client]] = {}  # id of a call to a client → who waits for it
        self._next_call = 1

    @property
    def concurrent(self) -> int:
        """Calls between reading and answering."""
        return self.allocated + self.backlogged

    # --- clients ----------------------------------------------------------------------------------------------

    def connect(self, peer: Peer, two_way: bool = False) -> Client:
        client = Client(peer, f"{self.name}/{self._next_client}" if two_way else "")
        self._next_client += 1
        if two_way:
            self.clients[client.name] = client
        return client

    def disconnect(self, client: Client, now_ns: int) -> None:
        """The client is gone: its calls go on, also those in its backlog; their answers are dropped."""
        self.clients.pop(client.name, None)
        for number, (_, told) in list(self._tellings.items()):
            if told is client:
                self._told(number, None, GONE_ERROR.encode())
        if client.waiting:
            self._waiting = deque(entry for entry in self._waiting if entry[0] is not client)
            client.waiting = 0
        self._admit_backlog(client, now_ns, gone=True)

    def request(self, client: Client, envelope: Envelope, reply: Reply, now_ns: int) -> None:
        """A call. `reply` gets the answer once."""
        if self.caps and self.concurrent >= self.caps:
            if self.strategy == BUSY:
                self.metrics.refused += 1
                reply(encode_error(envelope.id, MAX_CALLS_ERROR))
                return
            self._waiting.append((client, envelope, reply))
            client.waiting += 1
            self._check_room(client)
            return
        self._enqueue(client, envelope, reply, now_ns)

    def unread(self, client: Client) -> None:
        """The client leaves its answers unread: it gets no new ones until `read`."""
        client.reads = False

    def read(self, client: Client, now_ns: int) -> None:
        """The client has read its answers."""
        client.reads = True
        self._admit_backlog(client, now_ns)

    def _enqueue(self, client: Client, envelope: Envelope, reply: Reply, now_ns: int) -> None:
        if client.backlog or not client.has_room:
            client.backlog.append((envelope, reply))
            client.bytes_held += len(envelope.param)
            self.backlogged += 1
            self._check_room(client)
            return
        self._admit(client, envelope, reply, now_ns)

    def _admit_backlog(self, client: Client, now_ns: int, gone: bool = False) -> None:
        """Let go on what there is room for; everything of a client that is gone."""
        while client.backlog and (client.has_room or gone):
            envelope, reply = client.backlog.popleft()
            client.bytes_held -= len(envelope.param)
            self.backlogged -= 1
            self._admit(client, envelope, reply, now_ns)

    def _resize(self, client: Client, answer_bytes: int, now_ns: int) -> None:
        """Fit the window to an answer that was too big for it, or that calls in the backlog wait for."""
        share = ANSWER_BYTES // (answer_bytes + 1)
        if share < client.window:
            client.window = max(share, 1)
        elif client.window < CALLS:
            client.window += 1
        self._admit_backlog(client, now_ns)

    def _admit(self, client: Client, envelope: Envelope, reply: Reply, now_ns: int) -> None:
        try:
            method = self._find(envelope.method, client)
            if envelope.param_error:
                raise ApiError(envelope.param_error)
            owner = method.owner.owner(envelope.param, self.default_tenant)
        except ApiError as error:
            self.metrics.unknown += 1
            reply(encode_error(envelope.id, error.text))
            return
        deadline = None if method.deadline_s is None else now_ns + int(method.deadline_s * 1e9)
        shard = None if owner is None else owner.shard
        sequence = self._next_sequence
        self._next_sequence += 1
        pending = Pending(
            sequence, client, envelope.id, envelope.method, envelope.param, shard, deadline, now_ns, reply
        )  # fmt: skip
        self.pending[f"{self.name}:{sequence}"] = pending
        self.allocated += 1
        if self.allocated > self.caps_peak:
            self.caps_peak = self.allocated
        client.in_flight += 1
        client.bytes_held += len(envelope.param)
        if client.in_flight >= CALLS or client.bytes_held >= CALL_BYTES:
            self._check_room(client)
        self._route(pending)

    def _find(self, name: str, client: Client) -> Method:
        if not client.name:
            return self.registry.find(name)
        try:
            found = self.registry.find(name)
        except ApiError:
            raise ApiError(f"birpc: can't find method {name}") from None
        if name.partition(".")[0] not in ("SessionSv1", "ThresholdSv1"):
            raise ApiError(f"birpc: can't find method {name}")
        return found

    def _check_room(self, client: Client) -> None:
        """Stop or go on reading the connection, as its bounds say."""
        full = client.waiting or client.in_flight + len(client.backlog) >= CALLS or client.bytes_held >= CALL_BYTES
        if full and not client.paused:
            client.paused = True
            client.peer.pause()
        elif client.paused and not client.waiting and self._half_empty(client):
            client.paused = False
            client.peer.resume()

    @staticmethod
    def _half_empty(client: Client) -> bool:
        return client.in_flight + len(client.backlog) <= CALLS // 2 and client.bytes_held <= CALL_BYTES // 2

    def _answer(self, uid: str, failed: bool, body: bytes, now_ns: int) -> None:
        """Answer a pending call and forget it."""
        pending = self.pending.pop(uid, None)
        if pending is None:
            return
        self._leave(pending)
        if pending.method == STATUS_METHOD and self.caps and not failed:
            body = self._with_caps(body)
        self.allocated -= 1
        client = pending.client
        client.in_flight -= 1
        client.bytes_held -= len(pending.param)
        self.metrics.answered(pending.method, failed, now_ns - pending.since_ns)
        if failed:
            pending.reply(encode_error(pending.id, body.decode("utf-8", "replace")))
        else:
            pending.reply(frame_result(pending.id, body))
        if client.backlog or len(body) * client.window > ANSWER_BYTES:
            self._resize(client, len(body), now_ns)
        if self._waiting:
            self._admit_waiting(now_ns)
        if client.paused:
            self._check_room(client)

    def _with_caps(self, status: bytes) -> bytes:
        """CoreSv1.Status with what only the balancer knows (chapter 01 §7)."""
        peak = b',"caps_peak":%d' % self.caps_peak if self.shows_peak else b""
        return b'%b,"caps_allocated":%d%b}' % (status[:-1], self.concurrent, peak)

    def _admit_waiting(self, now_ns: int) -> None:
        while self._waiting and self.concurrent < self.caps:
            client, envelope, reply = self._waiting.popleft()
            client.waiting -= 1
            self._enqueue(client, envelope, reply, now_ns)
            self._check_room(client)

    # --- where calls go ---------------------------------------------------------------------------------------

    def _route(self, pending: Pending) -> None:
        shard = pending.shard
        if shard is not None:
            moving = self._moving.get(shard)
            if moving is not None:
                moving.append(pending)
                return
            number = self._map[shard]
            worker = None if number is None else self.workers.get(number)
        else:
            worker = self._any_worker()
        if worker is None:
            self._hold(pending)
            self._homeless.append(pending)
            return
        if worker.link is None:
            self._hold(pending)
        worker.take(pending)

    def _any_worker(self) -> Worker | None:
        """The worker with the fewest calls, of those that are up."""
        found = None
        for worker in self.workers.values():
            if worker.up and (found is None or len(worker.unanswered) < len(found.unanswered)):
                found = worker
        return found

    def _hold(self, pending: Pending) -> None:
        if self.held >= HELD_CALLS:
            logger.error("%d calls wait for workers that are down: call %d is refused", self.held, pending.sequence)
            pending.deadline_ns = 0  # the next `expire` answers it
        self.held += 1

    def _leave(self, pending: Pending) -> None:
        """Take a call out of wherever it is."""
        worker = pending.worker
        if worker is not None:
            worker.drop(pending)
            self._settle(pending)
            return
        moving = self._moving.get(-1 if pending.shard is None else pending.shard)
        if moving is not None and pending in moving:
            moving.remove(pending)
        elif pending in self._homeless:
            self._homeless.remove(pending)

    def _recount_held(self) -> None:
        down = sum(len(worker.unanswered) for worker in self.workers.values() if worker.link is None)
        self.held = down + len(self._homeless)

    # --- workers ----------------------------------------------------------------------------------------------

    def receive(self, link: bytes, message: wire.FromWorker, now_ns: int) -> None:
        """A message from the worker behind `link`."""
        if isinstance(message, wire.Answers):
            worker = self._links.get(link)
            if worker is None:
                return  # of an earlier incarnation, or for an earlier balancer
            worker.credits = wire.CREDITS - (worker.batches - message.taken)
            for item in message.items:
                self._answer(item.uid, item.failed, item.body, now_ns)
        elif isinstance(message, wire.Hello):
            self._hello(link, message)
        elif isinstance(message, wire.Moved):
            self._moved(message, now_ns)
        elif isinstance(message, wire.Tell):
            self._tell(link, message, now_ns)
        else:
            leaving = self._links.get(link)
            if leaving is not None:
                leaving.leaving = True

    def _hello(self, link: bytes, hello: wire.Hello) -> None:
        if hello.version != wire.VERSION:
            logger.error("worker %d speaks version %d, this balancer %d", hello.worker, hello.version, wire.VERSION)
            return
        self.default_tenant = hello.default_tenant
        worker = self.workers.setdefault(hello.worker, Worker(hello.worker))
        if hello.incarnation < worker.incarnation:
            return
        if link not in self._links:
            if worker.link is not None:
                self._links.pop(worker.link, None)
            self._links[link] = worker
            again = worker.welcome(link, hello.incarnation)
            self.metrics.redelivered += again
            self._out.append((link, wire.Welcome(wire.VERSION, self.name)))
            logger.info("worker %d is up, %d calls are delivered again", hello.worker, again)
        if hello.map_version >= self._map_version:
            self._map_version = hello.map_version
            for shard in hello.shards:
                self._own(shard, hello.worker)
        homeless, self._homeless = self._homeless, deque()
        for pending in homeless:
            self._route(pending)
        self._recount_held()

    def gone(self, link: bytes) -> None:
        """The worker behind `link` is down: its calls wait for its next incarnation."""
        worker = self._links.pop(link, None)
        if worker is not None:
            worker.link = None
            worker.credits = 0
            for pending in [p for p in worker.queue if p.shard is None]:  # not sent: another worker can do it
                self._take_back(pending, worker)
                self._route(pending)
            for pending in list(worker.unanswered.values()):
                shard = pending.shard
                if shard is not None and self._map[shard] != worker.number:  # its shard has a new owner already
                    self._take_back(pending, worker)
                    self._moving[shard].append(pending)
                    self._settle(pending)
            self._recount_held()
            logger.warning("worker %d is down, %d calls wait for it", worker.number, len(worker.unanswered))

    def _moved(self, message: wire.Moved, now_ns: int) -> None:
        pending = self.pending.get(message.uid)
        if pending is None or pending.worker is None:
            return
        self.metrics.moved += 1
        old = pending.worker
        pending.hops += 1
        pending.shard = message.shard
        if pending.hops > MAX_HOPS:
            self._answer(message.uid, True, b"SERVER_ERROR: the call was sent on too often", now_ns)
            return
        if message.map_version >= self._map_version:
            self._map_version = message.map_version
            if message.worker not in self.workers:
                self.workers[message.worker] = Worker(message.worker)
            self._own(message.shard, message.worker)
        if message.shard not in self._moving:
            self._begin_move(message.shard, old)
        self._take_back(pending, old)
        self._moving[message.shard].append(pending)
        self._settle(pending)

    def _own(self, shard: int, number: int) -> None:
        """The shard belongs to worker `number`. Calls for it that its old owner has are settled before newer ones go."""
        before = self._map[shard]
        if before == number:
            return
        self._map[shard] = number
        old = None if before is None else self.workers[before]
        if old is not None and shard not in self._moving:
            self._begin_move(shard, old)

    def _begin_move(self, shard: int, old: Worker) -> None:
        """Calls of the shard that are queued for the old owner wait; those on their way are to come back, unless it is
        down: then they go to the new owner, which knows by their uid what was done."""
        moving: deque[Pending] = deque()
        unsettled = set()
        for pending in [pending for pending in old.unanswered.values() if pending.shard == shard]:
            if pending.sent and old.link is not None:
                unsettled.add(pending.sequence)
            else:
                self._take_back(pending, old)
                moving.append(pending)
        self._moving[shard] = moving
        self._unsettled[shard] = unsettled
        if not unsettled:
            self._end_move(shard)

    @staticmethod
    def _take_back(pending: Pending, old: Worker) -> None:
        old.drop(pending)
        pending.worker = None
        pending.sent = False

    def _end_move(self, shard: int) -> None:
        """The old owner has nothing of the shard any more: its calls go on, in order."""
        del self._unsettled[shard]
        for waiting in sorted(self._moving.pop(shard), key=lambda moved: moved.sequence):
            self._route(waiting)

    def _settle(self, pending: Pending) -> None:
        """The old owner has no more to do with the call; after the last one the moved calls go on in order."""
        if not self._unsettled or pending.shard is None:
            return
        unsettled = self._unsettled.get(pending.shard)
        if unsettled is None:
            return
        unsettled.discard(pending.sequence)
        if not unsettled:
            self._end_move(pending.shard)

    def is_complete(self) -> bool:
        """Whether every shard has a worker that is up."""
        workers = self.workers
        return all(number is not None and workers[number].up for number in self._map)

    def workers_up(self) -> int:
        return sum(worker.up for worker in self.workers.values())

    def metrics_text(self, connections: dict[str, int]) -> str:
        """Prometheus text. `connections`: kind → how many are open."""
        queues = {f'worker="{worker.number}"': float(len(worker.queue)) for worker in self.workers.values()}
        up = {f'worker="{worker.number}"': float(worker.up) for worker in self.workers.values()}
        by_kind = {f'kind="{kind}"': float(count) for kind, count in sorted(connections.items())}
        return self.metrics.text(
            {
                "connections": ("Open client connections.", by_kind),
                "in_flight": ("Calls between reading and answering.", {"": float(self.concurrent)}),
                "held": ("Calls that wait for a worker that is down.", {"": float(self.held)}),
                "worker_queue": ("Calls that wait to be sent.", queues),
                "worker_up": ("Whether the worker is up.", up),
            }
        )

    # --- what leaves ------------------------------------------------------------------------------------------

    def flush(self, now_ns: int) -> list[Message]:
        """All messages of this turn: a batch per worker that has calls and credit."""
        out, self._out = self._out, []
        for worker in self.workers.values():
            while worker.queue and worker.credits > 0 and worker.up:
                assert worker.link is not None
                batch = self._batch(worker, now_ns)
                if batch is None:
                    break
                out.append((worker.link, batch))
        return out

    def _batch(self, worker: Worker, now_ns: int) -> wire.Batch | None:
        items: list[wire.RequestItem] = []
        size = 0
        queue = worker.queue
        while queue and len(items) < BATCH_CALLS and size < BATCH_BYTES:
            pending = queue.popleft()
            pending.sent = True
            uid = f"{self.name}:{pending.sequence}"
            left = wire.NO_DEADLINE
            if pending.deadline_ns is not None:
                left = (pending.deadline_ns - now_ns) // 1_000_000
                if left <= 0:
                    self.metrics.timeouts += 1
                    self._answer(uid, True, TIMEOUT_ERROR.encode(), now_ns)
                    continue
            items.append(wire.RequestItem(uid, pending.method, pending.param, left, pending.client.name, pending.hops))
            size += len(pending.param)
        if not items:
            return None
        worker.batches += 1
        worker.credits -= 1
        self.metrics.batches += 1
        return wire.Batch(worker.batches, worker.acked_below(self._next_sequence), items)

    def expire(self, now_ns: int) -> None:
        """Answer calls whose deadline has passed. To be called a few times a second."""
        late = []
        for uid, pending in self.pending.items():
            deadline = pending.deadline_ns
            if deadline is not None and now_ns >= deadline + (ANSWER_GRACE_NS if pending.sent else 0):
                late.append((uid, deadline))
        for uid, deadline in late:
            self.metrics.timeouts += 1
            self._answer(uid, True, (TIMEOUT_ERROR if deadline else GONE_ERROR).encode(), now_ns)
        for number, (telling, _) in list(self._tellings.items()):
            if now_ns >= telling.deadline_ns:
                self._told(number, None, TIMEOUT_ERROR.encode())
        if late:
            self._recount_held()

    # --- calls to clients -------------------------------------------------------------------------------------

    def _tell(self, link: bytes, tell: wire.Tell, now_ns: int) -> None:
        everyone = tell.connection == wire.ALL_CLIENTS
        named = self.clients.get(tell.connection)
        clients = list(self.clients.values()) if everyone else [] if named is None else [named]
        if not clients:
            if tell.number:
                reply = (
                    wire.TellReply(tell.number, False, b"[]")
                    if everyone
                    else wire.TellReply(tell.number, True, GONE_ERROR.encode())
                )
                self._out.append((link, reply))
            return
        telling = None
        if tell.number:
            deadline = now_ns + tell.timeout_ms * 1_000_000
            telling = Telling(link, tell.number, deadline, len(clients), not everyone)
        for client in clients:
            number = self._next_call
            self._next_call += 1
            if telling is not None:
                self._tellings[number] = (telling, client)
            method = msgspec.json.encode(tell.method)
            client.peer.call(b'{"method":%b,"params":[%b],"id":%d}\n' % (method, tell.params, number))

    def reply(self, client: Client, number: int, result: bytes, error: str | None) -> None:
        """A two-way client has answered call `number`."""
        waiting = self._tellings.get(number)
        if waiting is not None and waiting[1] is client:
            self._told(number, result, None if error is None else error.encode())

    def _told(self, number: int, result: bytes | None, error: bytes | None) -> None:
        telling, _ = self._tellings.pop(number)
        telling.left -= 1
        if error is not None:
            telling.error = telling.error or error
        elif result is not None:
            telling.results.append(result)
        if telling.left == 0:
            if telling.error is not None:
                reply = wire.TellReply(telling.number, True, telling.error)
            elif telling.single:
                reply = wire.TellReply(telling.number, False, telling.results[0])
            else:
                reply = wire.TellReply(telling.number, False, b"[%b]" % b",".join(telling.results))
            self._out.append((telling.link, reply))
