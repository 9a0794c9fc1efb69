"""The engine: a worker without sockets (design 2, 4, 7).

Theory of operation. Inputs come in, a *turn* runs them one after the other on the shards this worker owns, and ends with
one *group*: every change of the turn. Outputs (answers, steps for other workers, calls to the outside) queue behind the
newest group and leave by `released(durable)` only when the log has that group: output commit, in one place. Later turns
go on meanwhile on the changed memory; if a group is refused the process ends and reloads from the log.

A method that is one step runs here; one that needs other owners is an operation (`runner.py`). All work is done in
*segments* (`segment`): an uninterrupted piece whose changes are undone when an unexpected exception breaks it.

Rules for this package: no clock, no randomness, no I/O. Time comes with each turn.
"""

from __future__ import annotations

import heapq
import logging
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

from cgr_cluster.engine import messages as m
from cgr_cluster.engine.codec import pack
from cgr_cluster.engine.domain import BACKGROUND
from cgr_cluster.engine.generation import Changes, Generation, OpenDeck, no_decks
from cgr_cluster.engine.method_calls import OPERATION
from cgr_cluster.engine.owner import REFERENCE_SHARD, SHARDS, Owner, shard_of
from cgr_cluster.engine.part import Part
from cgr_cluster.engine.placement import locate, owner_text
from cgr_cluster.engine.records import Done
from cgr_cluster.engine.redelivery import SHORT_LIVED, Kept
from cgr_cluster.engine.references import References
from cgr_cluster.engine.remote_steps import internal_error
from cgr_cluster.engine.runner import Runner
from cgr_cluster.engine.shard import Shard
from cgr_cluster.rpc.errors import ApiError
from cgr_cluster.rpc.registry import REGISTRY, Method, Registry

logger = logging.getLogger("cgr_cluster.engine")

MAX_READY_PER_TURN = 256  # continuations, tasks and timers begun in one turn; the rest goes on in the next
BACKGROUND_PAUSE_NS = 4_000_000  # from the beginning of one piece of background work to that of the next

SHARD_MOVES = "all moves out of shard "
DISK_FULL = b"SERVER_ERROR: the disk of the log is nearly full; nothing new is accepted until there is room"

DecodeParams = Callable[[Method, bytes], Any]
EncodeResult = Callable[[Any], bytes]


class Engine:
    """One worker's share of the shards. `turn` and `released` are its life."""

    def __init__(
        self,
        worker: int,
        shard_map: Sequence[int],
        config: dict[str, Any],
        decode_params: DecodeParams,
        encode_result: EncodeResult,
        registry: Registry = REGISTRY,
        open_deck: OpenDeck = no_decks,
    ) -> None:
        self.worker = worker
        self.shard_map = list(shard_map)  # shard → worker
        self.shards = {n: Shard(n) for n in range(SHARDS) if self.shard_map[n] == worker}
        self.registry = registry
        self.decode = decode_params
        self.encode = encode_result
        self.now_ns = 0
        self.number = 0  # of the newest group
        self.low_disk = False  # refuse what would need more room before it has any effect
        self.outputs: list[m.Output] = []
        self.ready: deque[Callable[[], None]] = deque()
        self._interrupted: deque[tuple[Shard, str]] = deque()  # operations that a restart found in the shards
        self.timers: list[tuple[int, int, str]] = []  # heap of (time, shard, key)
        self._background: deque[tuple[int, Shard, str]] = deque()  # due timers of background work: time, shard, key
        self._background_at_ns = 0  # when the next may run
        self.kept = Kept()
        self.references = References(worker, self.shard_map[0], config, self.outputs.append, open_deck)
        self.runner = Runner(self)
        self._any_home = self.shards[min(self.shards)]
        self._changed: dict[tuple[int, str, str], Any] = {}  # shard, kind, key → what it is by now
        self._pack_again: set[tuple[int, str, str]] = set()
        self._undo: list[tuple[Shard, str, str, Any]] = []
        self._queue: deque[tuple[int, list[m.Output]]] = deque()  # group → what leaves when it is durable
        self._deferred: dict[str, list[Callable[[], None]]] = {}  # owner that is being moved → what waits for it
        self._forwarded: dict[str, tuple[int, m.ForwardedRequest, str]] = {}

    @property
    def generation(self) -> Generation:
        return self.references.generation

    # --- loading ----------------------------------------------------------------------------------------------

    def load(self, records: Iterable[tuple[int, str, bytes]]) -> None:
        """Take the shards' and the reference records of the log, before the first turn."""
        changes: Changes = []
        number = 0
        for shard_number, name, value in records:
            if shard_number == REFERENCE_SHARD:
                if name == "ref/number":
                    number = int(value)
                else:
                    _, kind, key = name.split("/", 2)
                    changes.append((kind, key, value))
                continue
            shard = self.shards.get(shard_number)
            if shard is not None:
                kind, _, key = name.partition("/")
                shard.set(kind, key, value[8:] if kind in SHORT_LIVED else value)
        self.references.load(changes, number)
        for shard in self.shards.values():
            for key, timer in shard.items("timer"):
                heapq.heappush(self.timers, (timer.at_ns, shard.number, key))
            for kind in SHORT_LIVED:
                for key, entry in sorted(shard.items(kind), key=lambda item: item[1].at_ns):
                    self.kept.remember(kind, shard, key, entry.at_ns)
            for uid, _ in shard.items("intent"):
                self._interrupted.append((shard, uid))

    def resume_later(self, shard: Shard, uid: str) -> None:
        self.ready.append(partial(self.runner.resume, shard, uid))

    # --- the turn ---------------------------------------------------------------------------------------------

    def turn(self, now_ns: int, inputs: Iterable[m.Input]) -> m.Group | None:
        """Run `inputs`, what has become ready and what is due at `now_ns`; answer the group, if anything has changed."""
        self.now_ns = now_ns
        while self._interrupted:  # before any input: a redelivered request must find its operation running
            self.runner.resume(*self._interrupted.popleft())
        for message in inputs:
            if type(message) is m.Request:
                self.request(message)
            else:
                self._handle(message)
        self._run_due()
        for _ in range(MAX_READY_PER_TURN):
            if not self.ready:
                break
            self.ready.popleft()()
        self.kept.sweep(now_ns)
        group = self._close_group()
        if self.outputs:
            self._queue.append((self.number, self.outputs[:]))
            self.outputs.clear()
        return group

    @property
    def has_work(self) -> bool:
        """Whether another turn is wanted at once."""
        return bool(self.ready or self._interrupted or self.outputs)

    def next_deadline_ns(self) -> int | None:
        """When a turn is wanted at the latest."""
        times = [heap[0][0] for heap in (self.timers, self.runner.waits.sleepers) if heap]
        if self._background:
            times.append(self._background_at_ns)
        return min(times) if times else None

    def released(self, durable: int) -> list[m.Output]:
        """What may leave, now that the log has this worker's groups up to number `durable`."""
        queue = self._queue
        out: list[m.Output] = []
        while queue and queue[0][0] <= durable:
            out += queue.popleft()[1]
        return out

    def _close_group(self) -> m.Group | None:
        if not self._changed and not self.references.records:
            return None
        records: list[tuple[int, str, bytes | None]] = []
        for (shard_number, kind, key), value in self._changed.items():
            if value is None:
                data = None
            elif kind in SHORT_LIVED:
                data = value.at_ns.to_bytes(8, "big") + pack(value)
            else:
                data = pack(value)
            records.append((shard_number, f"{kind}/{key}", data))
        if self._pack_again:
            for place, (_, _, data) in zip(self._changed, records, strict=True):
                if data is not None and place in self._pack_again:
                    self.shards[place[0]].set(place[1], place[2], data)
            self._pack_again.clear()
        self._changed.clear()
        records = [*self.kept.take_forgotten(), *records, *self.references.take_records()]
        self.number += 1
        return m.Group(self.number, self.generation.number, records)

    # --- changes ----------------------------------------------------------------------------------------------

    def change(self, shard: Shard, kind: str, key: str, value: Any) -> None:
        """Make `value` (None: nothing) the object; it goes into the group of this turn."""
        self._undo.append((shard, kind, key, shard.replace(kind, key, value)))
        self._changed[shard.number, kind, key] = value
        if kind == "timer" and value is not None:
            heapq.heappush(self.timers, (value.at_ns, shard.number, key))
        elif kind == "moving" and value is None and self._deferred:
            self.ready.extend(self._deferred.pop(key, ()))
            if not shard.tables.get("moving"):
                self.ready.extend(self._deferred.pop(f"{SHARD_MOVES}{shard.number}", ()))
        elif kind in SHORT_LIVED and value is not None:
            self.kept.remember(kind, shard, key, value.at_ns)

    def pack_again(self, shard: Shard, kind: str, key: str) -> None:
        """Keep the object, which is being changed, packed when this turn's group is made."""
        self._pack_again.add((shard.number, kind, key))

    @property
    def has_changed(self) -> bool:
        """Whether the present segment has changed anything."""
        return bool(self._undo)

    def tell(self, connection: str, method: str, params: Any) -> None:
        self.outputs.append(m.Tell(connection, method, self.encode(params)))

    def segment(self, work: Callable[..., None], *args: Any) -> bool:
        """Do one uninterrupted piece of work; when it breaks, undo all it did. Answers whether it was whole."""
        self._undo.clear()
        outputs, references = len(self.outputs), self.references.mark()
        try:
            work(*args)
            return True
        except Exception:
            logger.exception("work failed by an unexpected error; its changes are dropped")
            while self._undo:
                shard, kind, key, old = self._undo.pop()
                shard.set(kind, key, old)
                before = self._changed[shard.number, kind, key] = shard.get(kind, key)
                if kind == "timer" and before is not None:
                    heapq.heappush(self.timers, (before.at_ns, shard.number, key))
            self.references.undo(references)
            del self.outputs[outputs:]
            return False

    def locate(self, owner: Owner) -> int:
        """The owner's shard."""
        generation = self.references.generation
        return locate(generation, owner) if generation.has_homes else shard_of(owner.kind, owner.key)

    def frozen(self, shard: Shard, owner: Owner) -> str:
        """What must end before anything is done for `owner` in `shard`: the text that `defer` takes; "" for nothing."""
        moving = shard.tables.get("moving")
        if not moving:
            return ""
        if owner.kind == "shard":
            return SHARD_MOVES + owner.key
        text = owner_text(owner)
        return text if text in moving else ""

    def defer(self, text: str, then: Callable[[], None]) -> None:
        """Do `then` when the owner that is being moved has gone."""
        self._deferred.setdefault(text, []).append(then)

    def keep(self, part: Part, shard: Shard) -> bool:
        """Keep a part's changes and see to what it has spawned. Answers whether it changed anything."""
        changed = part.keep()
        if part.spawned is not None:
            for uid in part.spawned:
                waiter = shard.get("intent", uid).waiter
                if waiter:
                    self.runner.deliveries.begun(uid, waiter)
                self.resume_later(shard, uid)
        return changed

    # --- inputs -----------------------------------------------------------------------------------------------

    def _handle(self, message: m.Input) -> None:
        if isinstance(message, m.StepReply):
            self.runner.remote.step_reply(message)
        elif isinstance(message, m.StepRequest):
            self.runner.remote.step_request(message)
        elif isinstance(message, m.ForwardedRequest):
            self._forwarded_request(message)
        elif isinstance(message, m.ForwardedAnswer):
            self._forwarded_answer(message)
        elif isinstance(message, m.OutsideResult):
            self.runner.waits.outside_result(message)
        elif isinstance(message, m.Changeset):
            self.references.receive(message)
            self.runner.remote.generation_came()
        elif isinstance(message, m.ChangesetDone):
            self.peer_generation(message.worker, message.number)
        elif isinstance(message, m.Forget):
            self.runner.remote.forget(message)
        elif isinstance(message, m.StepMoved):
            self.runner.remote.step_moved(message)
        elif isinstance(message, m.Request):
            self.request(message)
        else:
            self.kept.acknowledged(message.balancer, message.sequence)

    def request(self, request: m.Request, owner: Owner | None = None) -> None:
        """A call. `owner`: whose a forwarding worker says that it is, instead of the method's owner rule."""
        if request.deadline_ns is not None and self.now_ns > request.deadline_ns:
            self.answer(request.reply_to, request.uid, b"REPLY_TIMEOUT", True)
            return
        running = self.runner.running.get(request.uid)
        if running is not None:
            running.reply_to = request.reply_to
            return
        generation = self.references.generation
        try:
            method = self.registry.find(request.method)
            if method.section:
                method.check(generation.config)
            if owner is None:
                owner = method.owner.owner(request.params, generation.default_tenant)
        except ApiError as error:
            self.answer(request.reply_to, request.uid, error.text.encode(), True)
            return
        if owner is None:
            home = self._any_home
        else:
            place = self.locate(owner)
            found = self.shards.get(place)
            if generation.has_homes and place != owner.shard and self._answered_before_move(request, owner):
                return
            if found is None:
                self.forward(request, owner)
                return
            home = found
            if home.tables.get("moving"):
                waits = self.frozen(home, owner)
                if waits:
                    self.defer(waits, partial(self.request, request, owner))
                    return
        if method.changes:
            done = home.get("done", request.uid)
            if done is not None:
                self.answer_delivered(request.reply_to, request.uid, done.answer, done.failed)
                return
            if self.low_disk and not method.when_full:
                self.answer(request.reply_to, request.uid, DISK_FULL, True)
                return
        if method.orchestrates:
            self.runner.start_request(request, method, home, owner)
        else:
            self._plain(request, method, home, owner)

    def _answered_before_move(self, request: m.Request, owner: Owner) -> bool:
        """Whether the request was executed where its owner lived first; an operation may have ended there after the move."""
        first = self.shards.get(owner.shard)
        done = None if first is None else first.get("done", request.uid)
        if done is None:
            return False
        self.answer_delivered(request.reply_to, request.uid, done.answer, done.failed)
        return True

    def _plain(self, request: m.Request, method: Method, home: Shard, owner: Owner | None) -> None:
        """A method that is one step."""
        body, failed = b"", True
        before = self.generation

        def work() -> None:
            nonlocal body, failed
            try:
                params = self.decode(method, request.params)
                part = Part(
                    self, home, request.uid, self.now_ns, self.generation, request.connection, owner, hops=request.hops
                )
                body = self.encode(method.handler(part, params))
                self.keep(part, home)
                failed = False
            except ApiError as error:
                body = error.text.encode()
            if method.changes and (self._undo or self.generation is not before):
                self.put_done(home, request.uid, body, failed, owner)

        if not self.segment(work):
            body, failed = internal_error(request.uid), True
        number = self.generation.number
        if self.generation is before or self.references.everywhere(number):
            self.answer_delivered(request.reply_to, request.uid, body, failed)
        else:
            answer = request.reply_to, request.uid, body, failed
            self.references.when_everywhere(number, lambda: self.answer_delivered(*answer))

    def answer_delivered(self, reply_to: str, uid: str, body: bytes, failed: bool) -> None:
        """Answer when what the request has caused is in the hands of its owners (deliveries.py)."""
        self.runner.deliveries.when_made(uid, self.answer, reply_to, uid, body, failed)

    def answer(self, reply_to: str, uid: str, body: bytes, failed: bool) -> None:
        if ":" not in reply_to:
            if reply_to:
                self.outputs.append(m.Answer(reply_to, uid, body, failed))
        elif reply_to.startswith(OPERATION):
            self.ready.append(partial(self.runner.methods.answered, reply_to, body, failed))
        else:
            self.outputs.append(m.ToWorker(int(reply_to.removeprefix("worker:")), m.ForwardedAnswer(uid, body, failed)))

    def put_done(self, home: Shard, uid: str, body: bytes, failed: bool, owner: Owner | None) -> None:
        self.change(home, "done", uid, Done(self.now_ns, body, failed, owner_text(owner)))

    # --- forwarding -------------------------------------------------------------------------------------------

    def forward(self, request: m.Request, owner: Owner) -> None:
        """Send the request to the worker that has the owner; its answer comes back through this one."""
        if request.hops >= m.MAX_HOPS:
            logger.error("request %s (%s) was forwarded %d times", request.uid, request.method, request.hops)
            self.answer(request.reply_to, request.uid, m.TOO_MANY_HOPS.encode(), True)
            return
        left = None if request.deadline_ns is None else request.deadline_ns - self.now_ns
        worker = self.shard_map[self.locate(owner)]
        message = m.ForwardedRequest(
            request.uid,
            request.method,
            request.params,
            (owner.kind, owner.key),
            left,
            request.connection,
            request.hops + 1,
            self.worker,
        )
        self._forwarded[request.uid] = (worker, message, request.reply_to)
        self.outputs.append(m.ToWorker(worker, message))

    def _forwarded_request(self, message: m.ForwardedRequest) -> None:
        deadline = None if message.time_left_ns is None else self.now_ns + message.time_left_ns
        reply_to = f"worker:{message.from_worker}"
        request = m.Request(
            message.uid, message.method, message.params, reply_to, deadline, message.connection, message.hops
        )
        self.request(request, Owner(*message.owner))

    def _forwarded_answer(self, message: m.ForwardedAnswer) -> None:
        entry = self._forwarded.pop(message.uid, None)
        if entry is not None:
            self.answer(entry[2], message.uid, message.body, message.failed)

    # --- peers ------------------------------------------------------------------------------------------------

    def peer_generation(self, worker: int, number: int) -> None:
        """Another worker is live and has reference data up to `number`."""
        self.ready.extend(self.references.peer_has(worker, number))

    def peer_gone(self, worker: int) -> None:
        self.ready.extend(self.references.peer_gone(worker))

    def peer_back(self, worker: int) -> None:
        """Another worker has a new incarnation: send again what it has not answered."""
        self.runner.remote.send_again(worker)
        for target, forwarded, _ in self._forwarded.values():
            if target == worker:
                self.outputs.append(m.ToWorker(worker, forwarded))

    # --- timers -----------------------------------------------------------------------------------------------

    def _run_due(self) -> None:
        self.runner.waits.wake_sleepers()
        for _ in range(MAX_READY_PER_TURN):
            if not self.timers or self.timers[0][0] > self.now_ns:
                break
            at_ns, shard_number, key = heapq.heappop(self.timers)
            shard = self.shards[shard_number]
            timer = shard.get("timer", key)
            if timer is None or timer.at_ns != at_ns:
                continue
            if timer.owner and timer.owner in shard.tables.get("moving", ()):
                continue  # it goes along, and is due there
            if timer.name in BACKGROUND:
                self._background.append((at_ns, shard, key))
            else:
                self.runner.fire(shard, key, timer)
        self._run_background()

    def _run_background(self) -> None:
        """One piece of background work, if the last one has begun long enough ago."""
        if self.now_ns < self._background_at_ns:
            return
        while self._background:
            at_ns, shard, key = self._background.popleft()
            timer = shard.get("timer", key)
            if timer is not None and timer.at_ns == at_ns:
                self._background_at_ns = self.now_ns + BACKGROUND_PAUSE_NS
                self.runner.fire(shard, key, timer)
                return
