"""The engine: a worker without sockets (design 2, 4, 7).

Theory of operation. Inputs come in, a *turn* runs them one after the other on the shards this worker owns, and ends with
one *group*: every change of the turn. Outputs (answers, steps for other workers, calls to the outside) queue behind the
newest group and leave by `released(durable)` only when the log has that group: output commit, in one place. Later turns
go on meanwhile on the changed memory; if a group is refused the process ends and reloads from the log.

A handler that needs other owners is a generator of steps (`operation.py`). Steps on own shards run at once. Before an
operation waits with something done or on its way, its *intent* (with the results so far) goes into the group; after a
restart it is run again and answered from that journal. An owner keeps the first result of a foreign step in the group
of its effect (`Memo`), so a step has one effect however often it is delivered.

Rules for this file: no clock, no randomness, no I/O. Time comes with each turn.
"""

from __future__ import annotations

import heapq
import inspect
import logging
import typing
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from cgr_cluster.engine import messages as m
from cgr_cluster.engine.codec import pack, unpack
from cgr_cluster.engine.domain import (
    STEPS,
    TASKS,
    TIMERS,
    Call,
    Everywhere,
    Exclusive,
    Forward,
    Outside,
    Sleep,
    StepDef,
    Together,
)
from cgr_cluster.engine.generation import Changes, Generation
from cgr_cluster.engine.operation import Running
from cgr_cluster.engine.owner import REFERENCE_SHARD, SHARDS
from cgr_cluster.engine.part import Part
from cgr_cluster.engine.records import Done, Intent, Memo, Timer
from cgr_cluster.engine.shard import Shard
from cgr_cluster.rpc.errors import ApiError
from cgr_cluster.rpc.registry import REGISTRY, Method, Registry

logger = logging.getLogger("cgr_cluster.engine")

MAX_HOPS = 8  # bound of chains of forwards and steps (design 7)
MAX_READY_PER_TURN = 256  # continuations and tasks begun in one turn; the rest goes on in the next
CHANGESETS_KEPT = 64  # changesets a worker that was away for a moment can be brought up to date with
DONE_KEPT_NS = 120 * 10**9  # answers are kept for redelivery at least as long as any deadline
MEMO_KEPT_NS = 24 * 3600 * 10**9
SHORT_LIVED = ("done", "memo")  # kinds whose stored value begins with its creation time (log format)

DecodeParams = Callable[[Method, bytes], Any]
EncodeResult = Callable[[Any], bytes]


class Engine:
    """One worker's share of the shards. See the module's text; `turn` and `released` are its life."""

    def __init__(
        self, worker: int, shard_map: Sequence[int], config: dict[str, Any], decode_params: DecodeParams,
        encode_result: EncodeResult, registry: Registry = REGISTRY,
    ) -> None:  # fmt: skip
        self.worker = worker
        self.shard_map = list(shard_map)  # shard → worker
        self.shards = {n: Shard(n) for n in range(SHARDS) if self.shard_map[n] == worker}
        self.generation = Generation(config)
        self.now_ns = 0
        self.number = 0  # of the newest group
        self.running: dict[str, Running] = {}
        self.peers: dict[int, int] = {}  # live other worker → its generation
        self._registry = registry
        self._decode = decode_params
        self._encode = encode_result
        self._home_any = self.shards[min(self.shards)] if self.shards else Shard(0)
        self._changed: dict[tuple[int, str, str], None] = {}
        self._reference_records: list[tuple[int, str, bytes | None]] = []
        self._undo: list[tuple[Shard, str, str, Any]] = []
        self._outputs: list[m.Output] = []
        self._queue: deque[tuple[int, m.Output]] = deque()
        self._ready: deque[Callable[[], None]] = deque()
        self._timers: list[tuple[int, int, str]] = []
        self._sleepers: list[tuple[int, str, int]] = []
        self._locks: dict[str, deque[Running]] = {}
        self._forwarded: dict[str, tuple[int, m.ForwardedRequest, str]] = {}
        self._awaiting_generation: list[tuple[int, Callable[[], None]]] = []
        self._changesets: deque[m.Changeset] = deque(maxlen=CHANGESETS_KEPT)
        self._done: dict[str, deque[tuple[int, Shard, str]]] = {}
        self._short_lived: deque[tuple[int, Shard, str, str]] = deque()
        self._last_reference = 0
        self._task_types: dict[str, Any] = {}

    # --- loading ----------------------------------------------------------------------------------------------

    def load(self, records: Iterable[tuple[int, str, bytes]]) -> None:
        """Take the shards' and reference records of the log, before the first turn."""
        references: Changes = []
        number = 0
        for shard_number, name, value in records:
            if shard_number == REFERENCE_SHARD:
                if name == "ref/number":
                    number = int(value)
                else:
                    _, kind, key = name.split("/", 2)
                    references.append((kind, key, value))
                continue
            shard = self.shards.get(shard_number)
            if shard is None:
                continue
            kind, _, key = name.partition("/")
            shard.set(kind, key, value[8:] if kind in SHORT_LIVED else value)
        if references or number:
            self.generation = self.generation.apply(references, number)
        for shard in self.shards.values():
            for key, timer in shard.items("timer"):
                heapq.heappush(self._timers, (timer.at_ns, shard.number, key))
            for kind in SHORT_LIVED:
                for key, kept in shard.items(kind):
                    self._remember_short_lived(kept.at_ns, shard, kind, key)
            for uid, intent in shard.items("intent"):
                self._ready.append(lambda s=shard, u=uid, i=intent: self._resume(s, u, i))  # type: ignore[misc]

    # --- the turn ---------------------------------------------------------------------------------------------

    def turn(self, now_ns: int, inputs: Iterable[m.Input]) -> m.Group | None:
        """Run `inputs`, what has become ready and what is due at `now_ns`; answer the group, if anything has changed."""
        self.now_ns = now_ns
        for message in inputs:
            self._handle(message)
        if self._timers or self._sleepers:
            self._run_due()
        for _ in range(MAX_READY_PER_TURN):
            if not self._ready:
                break
            self._ready.popleft()()
        if self._short_lived and self._short_lived[0][0] < now_ns:
            self._sweep()
        group = self._close_group()
        if self._outputs:
            number = self.number
            self._queue.extend([(number, output) for output in self._outputs])
            self._outputs.clear()
        return group

    @property
    def has_work(self) -> bool:
        """Whether another turn is wanted at once."""
        return bool(self._ready)

    def next_deadline_ns(self) -> int | None:
        """When a turn is wanted at the latest."""
        times = [entries[0][0] for entries in (self._timers, self._sleepers) if entries]
        return min(times) if times else None

    def released(self, durable: int) -> list[m.Output]:
        """What may leave, now that the log has this worker's groups up to number `durable`."""
        queue = self._queue
        if not queue or queue[0][0] > durable:
            return []
        out = []
        while queue and queue[0][0] <= durable:
            out.append(queue.popleft()[1])
        return out

    def _close_group(self) -> m.Group | None:
        if not self._changed and not self._reference_records:
            return None
        records = []
        shards = self.shards
        for shard_number, kind, key in self._changed:
            value = shards[shard_number].get(kind, key)
            if value is None:
                data = None
            elif kind in SHORT_LIVED:
                data = value.at_ns.to_bytes(8, "big") + pack(value)
            else:
                data = pack(value)
            records.append((shard_number, f"{kind}/{key}", data))
        records += self._reference_records
        self._changed.clear()
        self._reference_records = []
        self.number += 1
        return m.Group(self.number, self.generation.number, records)

    # --- state, for parts -------------------------------------------------------------------------------------

    def change(self, shard: Shard, kind: str, key: str, value: Any) -> None:
        self._undo.append((shard, kind, key, shard.get(kind, key)))
        shard.set(kind, key, value)
        self._changed[shard.number, kind, key] = None
        if kind == "timer" and value is not None:
            heapq.heappush(self._timers, (value.at_ns, shard.number, key))

    def change_references(self, changes: Changes) -> None:
        number = self.generation.number + 1
        self.generation = self.generation.apply(changes, number)
        self._last_reference = number
        self._reference_records += [(REFERENCE_SHARD, f"ref/{kind}/{key}", value) for kind, key, value in changes]
        self._reference_records.append((REFERENCE_SHARD, "ref/number", str(number).encode()))
        changeset = m.Changeset(number, changes)
        self._changesets.append(changeset)
        for worker in self.peers:
            self._outputs.append(m.ToWorker(worker, changeset))

    def tell(self, connection: str, method: str, params: Any) -> None:
        self._outputs.append(m.Tell(connection, method, self._encode(params)))

    def _segment(self, work: Callable[[], None]) -> bool:
        """Run one uninterrupted piece of an operation; when it breaks, undo all it did. Answers whether it was whole."""
        self._undo.clear()
        outputs, records = len(self._outputs), len(self._reference_records)
        generation = self.generation
        try:
            work()
            return True
        except Exception:
            logger.exception("operation failed by an unexpected error; its changes are dropped")
            for shard, kind, key, old in reversed(self._undo):
                shard.set(kind, key, old)
                if kind == "timer" and old is not None:
                    heapq.heappush(self._timers, (old.at_ns, shard.number, key))
            self.generation = generation
            while self._changesets and self._changesets[-1].number > generation.number:
                self._changesets.pop()
            del self._outputs[outputs:]
            del self._reference_records[records:]
            return False

    # --- inputs -----------------------------------------------------------------------------------------------

    def _handle(self, message: m.Input) -> None:
        kind = type(message)
        if kind is m.Request:
            self._request(message, None)  # type: ignore[arg-type]
        elif kind is m.StepReply:
            self._step_reply(message)  # type: ignore[arg-type]
        elif kind is m.StepRequest:
            self._step_request(message)  # type: ignore[arg-type]
        elif kind is m.ForwardedRequest:
            self._forwarded_request(message)  # type: ignore[arg-type]
        elif kind is m.ForwardedAnswer:
            self._forwarded_answer(message)  # type: ignore[arg-type]
        elif kind is m.OutsideResult:
            self._outside_result(message)  # type: ignore[arg-type]
        elif kind is m.Changeset:
            self._changeset(message)  # type: ignore[arg-type]
        elif kind is m.ChangesetDone:
            self.peer_generation(message.worker, message.number)  # type: ignore[union-attr]
        elif kind is m.Forget:
            self._forget(message)  # type: ignore[arg-type]
        elif kind is m.AckedBelow:
            self._acked_below(message)  # type: ignore[arg-type]
        else:
            raise TypeError(f"the engine knows no input {kind.__name__}")

    def _request(self, request: m.Request, shard_number: int | None) -> None:
        if request.deadline_ns is not None and self.now_ns > request.deadline_ns:
            self._answer(request.reply_to, request.uid, b"REPLY_TIMEOUT", True)
            return
        running = self.running.get(request.uid)
        if running is not None:
            running.reply_to = request.reply_to
            return
        try:
            method = self._registry.find(request.method)
            if shard_number is None:
                owner = method.owner.owner(request.params, self.generation.default_tenant)
                shard_number = None if owner is None else owner.shard
        except ApiError as error:
            self._answer(request.reply_to, request.uid, error.text.encode(), True)
            return
        home = self._home_any if shard_number is None else self.shards.get(shard_number)
        if home is None:
            assert shard_number is not None
            self._forward(request, shard_number)
            return
        if method.changes:
            done = home.get("done", request.uid)
            if done is not None:
                self._answer(request.reply_to, request.uid, done.answer, done.failed)
                return
        if method.orchestrates:
            operation = self._operation(
                request.uid,
                "request",
                request.method,
                request.params,
                self.now_ns,
                request.connection,
                request.hops,
                home,
            )
            operation.method = method
            operation.changes = method.changes
            operation.reply_to = request.reply_to
            self._start(operation)
        else:
            self._plain(request, method, home)

    def _plain(self, request: m.Request, method: Method, home: Shard) -> None:
        """A method that is one step."""
        answer: list[tuple[bytes, bool]] = []
        reference = self._last_reference

        def work() -> None:
            try:
                params = self._decode(method, request.params)
                part = Part(self, home, request.uid, self.now_ns, self.generation, request.connection)
                result = self._encode(method.handler(part, params))
                part.keep()
                self._spawned(home, part)
                answer.append((result, False))
            except ApiError as error:
                answer.append((error.text.encode(), True))
            if method.changes and (self._undo or self._last_reference != reference):
                self._put_done(home, request.uid, *answer[0])

        if not self._segment(work):
            answer = [(_internal_error(request.uid), True)]
        body, failed = answer[0]
        if self._last_reference != reference and not failed:
            self._when_everywhere(lambda: self._answer(request.reply_to, request.uid, body, False))
        else:
            self._answer(request.reply_to, request.uid, body, failed)

    def _answer(self, reply_to: str, uid: str, body: bytes, failed: bool) -> None:
        if reply_to.startswith("worker:"):
            self._outputs.append(m.ToWorker(int(reply_to[7:]), m.ForwardedAnswer(uid, body, failed)))
        elif reply_to:
            self._outputs.append(m.Answer(reply_to, uid, body, failed))

    def _put_done(self, home: Shard, uid: str, body: bytes, failed: bool) -> None:
        self.change(home, "done", uid, Done(self.now_ns, body, failed))
        self._remember_short_lived(self.now_ns, home, "done", uid)
        balancer, colon, sequence = uid.rpartition(":")
        if colon and sequence.isdigit():
            self._done.setdefault(balancer, deque()).append((int(sequence), home, uid))

    # --- forwarding -------------------------------------------------------------------------------------------

    def _forward(self, request: m.Request, shard_number: int) -> None:
        if request.hops >= MAX_HOPS:
            logger.error("request %s (%s) was forwarded %d times", request.uid, request.method, request.hops)
            self._answer(request.reply_to, request.uid, b"SERVER_ERROR: too many hops", True)
            return
        left = None if request.deadline_ns is None else request.deadline_ns - self.now_ns
        worker = self.shard_map[shard_number]
        message = m.ForwardedRequest(
            request.uid,
            request.method,
            request.params,
            shard_number,
            left,
            request.connection,
            request.hops + 1,
            self.worker,
        )
        self._forwarded[request.uid] = (worker, message, request.reply_to)
        self._outputs.append(m.ToWorker(worker, message))

    def _forwarded_request(self, message: m.ForwardedRequest) -> None:
        deadline = None if message.time_left_ns is None else self.now_ns + message.time_left_ns
        request = m.Request(
            message.uid, message.method, message.params, f"worker:{message.from_worker}", deadline, message.connection,
            message.hops,
        )  # fmt: skip
        self._request(request, message.shard)

    def _forwarded_answer(self, message: m.ForwardedAnswer) -> None:
        entry = self._forwarded.pop(message.uid, None)
        if entry is not None:
            self._answer(entry[2], message.uid, message.body, message.failed)

    # --- operations -------------------------------------------------------------------------------------------

    def _operation(
        self, uid: str, origin: str, name: str, args: bytes, now_ns: int, connection: str, hops: int, home: Shard
    ) -> Running:
        operation = Running(uid, origin, name, args, now_ns, connection, hops, home, self.generation)
        self.running[uid] = operation
        return operation

    def _start(self, operation: Running) -> None:
        """Begin (or, with a replay, begin again) an operation."""

        def work() -> None:
            try:
                operation.generator = self._generator(operation)
            except ApiError as error:
                self._finish(operation, None, error)
                return
            self._advance(operation, None, None)

        if not self._segment(work):
            self._broken(operation)

    def _generator(self, operation: Running) -> Any:
        if operation.origin == "request":
            params = self._decode(operation.method, operation.args)
            return operation.method.handler(operation, params)
        function = (TASKS if operation.origin == "task" else TIMERS)[operation.name]
        return function(operation, *self._task_args(operation.name, function, operation.args))

    def _task_args(self, name: str, function: Callable[..., Any], args: bytes) -> list[Any]:
        kind = self._task_types.get(name)
        if kind is None:
            hints = typing.get_type_hints(function)
            names = list(inspect.signature(function).parameters)[1:]
            kind = self._task_types[name] = tuple[tuple(hints.get(n, Any) for n in names)] if names else tuple[()]  # type: ignore[misc]
        return list(unpack(kind, args))

    def _resume(self, shard: Shard, uid: str, intent: Intent) -> None:
        """Drive on an operation that a restart (or a spawn) left in the shard."""
        if uid in self.running or shard.get("intent", uid) is None:
            return
        operation = self._operation(
            uid, intent.origin, intent.name, intent.args, intent.now_ns, intent.connection, intent.hops, shard
        )
        operation.dirty = True
        operation.intent_length = len(intent.journal)
        operation.replay = {entry.number: entry for entry in intent.journal}
        if intent.origin == "request":
            operation.method = self._registry.find(intent.name)
            operation.changes = bool(operation.method.changes)
        self._start(operation)

    def _continue(self, operation: Running, value: Any, error: ApiError | None) -> None:
        if not self._segment(lambda: self._advance(operation, value, error)):
            self._broken(operation)

    def _advance(self, operation: Running, value: Any, error: ApiError | None) -> None:
        """Give the generator what it waits for and run it until it waits again or ends."""
        generator = operation.generator
        while True:
            try:
                command = generator.send(value) if error is None else generator.throw(error)
            except StopIteration as stop:
                self._finish(operation, stop.value, None)
                return
            except ApiError as failure:
                self._finish(operation, None, failure)
                return
            value = error = None
            kind = type(command)
            if kind is Call:
                outcome = self._call(operation, command.step, command.owner.shard, command.args)
                if outcome is None:
                    self._wait(operation)
                    return
                value, error = outcome
            elif kind is Together or kind is Everywhere:
                self._call_many(operation, command)
                if operation.outstanding:
                    self._wait(operation)
                    return
                value, error = operation.take_collected()
            elif kind is Exclusive:
                if not self._lock(operation, command.text):
                    self._wait(operation)
                    return
            elif kind is Forward:
                if not self._forward_operation(operation, command.owner.shard):
                    return
            elif kind is Outside:
                number = operation.next_number()
                outcome = operation.recall(number, "outside:" + command.name)
                if outcome is None:
                    operation.outstanding[number] = "outside:" + command.name
                    self._wait(operation)
                    self._outputs.append(m.OutsideCall(operation.uid, number, command.name, command.args))
                    return
                value, error = outcome
            elif kind is Sleep:
                number = operation.next_number()
                if operation.recall(number, "sleep") is None:
                    operation.outstanding[number] = "sleep"
                    self._wait(operation)
                    heapq.heappush(self._sleepers, (self.now_ns + command.ns, operation.uid, number))
                    return
            else:
                raise TypeError(f"{operation.name} yielded {command!r}, which is no command")

    def _call(
        self, operation: Running, step: StepDef, shard_number: int, args: tuple[Any, ...]
    ) -> tuple[Any, ApiError | None] | None:
        """Run a step here, or send it to its owner (None: the result comes later)."""
        number = operation.next_number()
        outcome = operation.recall(number, step.name)
        if outcome is not None:
            return outcome
        shard = self.shards.get(shard_number)
        if shard is None:
            return self._send_step(operation, step, number, shard_number, self.shard_map[shard_number], args)
        generation = self.generation if shard_number == 0 else operation.generation
        part = Part(self, shard, f"{operation.uid}/{number}", operation.now_ns, generation, operation.connection)
        reference = self._last_reference
        try:
            result = step.function(part, *args)
        except ApiError as error:
            operation.journal.append((number, step.name, None, error.text))
            return None, error
        if part.keep():
            operation.dirty = True
            self._spawned(shard, part)
        operation.journal.append((number, step.name, result, None))
        if self._last_reference != reference:
            operation.generation = self.generation
            if self._behind(self._last_reference):
                operation.outstanding[number] = "reference data"
                self._when_everywhere(lambda: self._resolved(operation, number, result, None))
                return None
        return result, None

    def _call_many(self, operation: Running, command: Together | Everywhere) -> None:
        """Run or send several steps; `operation.collected` gets the results, those still out are in `outstanding`."""
        if isinstance(command, Together):
            operation.collect(len(command.calls), False)
            for place, call in enumerate(command.calls):
                operation.slots[operation.counter + 1] = place
                outcome = self._call(operation, call.step, call.owner.shard, call.args)
                if outcome is not None:
                    operation.fill(place, *outcome)
            return
        workers = sorted(set(self.shard_map))
        operation.collect(len(workers), True)
        for place, worker in enumerate(workers):
            number = operation.next_number()
            operation.slots[number] = place
            outcome = operation.recall(number, command.step.name)
            if outcome is None and worker == self.worker:
                outcome = self._call_all_shards(operation, command, number)
            if outcome is None:
                outcome = self._send_step(operation, command.step, number, -1, worker, command.args)
            if outcome is not None:
                operation.fill(place, *outcome)

    def _call_all_shards(self, operation: Running, command: Everywhere, number: int) -> tuple[Any, ApiError | None]:
        part = Part(self, None, f"{operation.uid}/{number}", operation.now_ns, operation.generation, "")
        name = command.step.name
        try:
            result = command.step.function(part, *command.args)
        except ApiError as error:
            operation.journal.append((number, name, None, error.text))
            return None, error
        operation.journal.append((number, name, result, None))
        return result, None

    def _send_step(
        self, operation: Running, step: StepDef, number: int, shard_number: int, worker: int, args: tuple[Any, ...]
    ) -> tuple[Any, ApiError | None] | None:
        if operation.hops >= MAX_HOPS:
            logger.error(
                "%s %s (%s) reached the bound of %d hops", operation.origin, operation.name, operation.uid, MAX_HOPS
            )
            return None, ApiError("SERVER_ERROR: too many hops")
        message = m.StepRequest(
            operation.uid, number, step.name, shard_number, pack(list(args)), operation.now_ns, operation.generation.number,
            operation.connection, operation.hops + 1, self.worker, worker,
        )  # fmt: skip
        operation.outstanding[number] = message
        if not step.idempotent:
            operation.dirty = True
            operation.remote.append((shard_number, number))
        self._outputs.append(m.ToWorker(worker, message))
        return None

    def _wait(self, operation: Running) -> None:
        """The operation stops here for now. What it has done must be known to whoever runs it again."""
        if operation.dirty and operation.intent_length != len(operation.journal):
            operation.intent_length = len(operation.journal)
            self.change(operation.home, "intent", operation.uid, operation.intent())

    def _resolved(self, operation: Running, number: int, result: Any, error: ApiError | None) -> None:
        """A result that the operation waits for has come."""
        if operation.outstanding.pop(number, None) is None:
            return
        if operation.collected is None:
            self._continue(operation, result, error)
            return
        operation.fill(operation.slots[number], result, error)
        if not operation.outstanding:
            self._continue(operation, *operation.take_collected())

    def _forward_operation(self, operation: Running, shard_number: int) -> bool:
        """Whether the operation goes on here; else it is sent to the shard's owner and ends here."""
        shard = self.shards.get(shard_number)
        if shard is not None:
            if not operation.dirty:
                operation.home = shard
                done = shard.get("done", operation.uid) if operation.changes else None
                if done is not None:
                    self._drop(operation)
                    self._answer(operation.reply_to, operation.uid, done.answer, done.failed)
                    return False
            return True
        if operation.dirty:
            raise RuntimeError(f"{operation.name} asked to be forwarded after it had changed something")
        self._drop(operation)
        if operation.origin != "request":
            raise RuntimeError(f"{operation.name} is no request and cannot be forwarded")
        request = m.Request(
            operation.uid,
            operation.name,
            operation.args,
            operation.reply_to,
            None,
            operation.connection,
            operation.hops,
        )
        self._forward(request, shard_number)
        return False

    def _finish(self, operation: Running, result: Any, error: ApiError | None) -> None:
        failed = error is not None
        body = b""
        if operation.origin == "request":
            body = error.text.encode() if error is not None else self._encode(result)
        elif error is not None:
            logger.warning("%s %s (%s) ended with %s", operation.origin, operation.name, operation.uid, error.text)
        home = operation.home
        if operation.intent_length >= 0:
            self.change(home, "intent", operation.uid, None)
        if operation.changes and operation.dirty:
            self._put_done(home, operation.uid, body, failed)
        self._drop(operation)
        if operation.remote:
            self._send_forgets(operation)
        self._answer(operation.reply_to, operation.uid, body, failed)

    def _drop(self, operation: Running) -> None:
        del self.running[operation.uid]
        for text in operation.locks:
            waiting = self._locks[text]
            if waiting:
                nxt = waiting.popleft()
                nxt.locks.append(text)
                self._ready.append(lambda o=nxt: self._continue(o, None, None))  # type: ignore[misc]
            else:
                del self._locks[text]
        operation.locks = []

    def _broken(self, operation: Running) -> None:
        """An unexpected error: what this segment did is undone already; end the operation so that nothing hangs."""
        if operation.uid not in self.running:
            self.running[operation.uid] = operation
        logger.error("%s %s (%s) is given up", operation.origin, operation.name, operation.uid)
        operation.outstanding.clear()

        def work() -> None:
            if operation.intent_length >= 0:
                self.change(operation.home, "intent", operation.uid, None)
            if operation.changes:
                self._put_done(operation.home, operation.uid, _internal_error(operation.uid), True)
            self._drop(operation)

        self._segment(work)
        self._answer(operation.reply_to, operation.uid, _internal_error(operation.uid), True)

    def _lock(self, operation: Running, text: str) -> bool:
        if text in operation.locks:
            return True
        waiting = self._locks.get(text)
        if waiting is None:
            self._locks[text] = deque()
            operation.locks.append(text)
            return True
        waiting.append(operation)
        return False

    def _spawned(self, shard: Shard, part: Part) -> None:
        for uid in part.spawned or ():
            intent = shard.get("intent", uid)
            self._ready.append(lambda s=shard, u=uid, i=intent: self._resume(s, u, i))  # type: ignore[misc]

    # --- steps for and from other workers -----------------------------------------------------------------------

    def _step_request(self, message: m.StepRequest) -> None:
        step = STEPS.get(message.step)
        reply_error: str | None = None
        result = b""
        if step is None:
            reply_error = f"SERVER_ERROR: unknown step {message.step}"
        else:
            memo_key = f"{message.op_id}#{message.number}"
            shard = None if message.shard < 0 else self.shards.get(message.shard)
            if shard is None and message.shard >= 0:
                logger.error("step %s for shard %d, which this worker does not own", message.step, message.shard)
                return
            memo = None if shard is None else shard.get("memo", memo_key)
            if memo is not None:
                self._reply_step(message, memo.result, memo.error)
                return
            outcome: list[tuple[bytes, str | None]] = []
            reference = self._last_reference

            def work() -> None:
                part = Part(
                    self,
                    shard,
                    f"{message.op_id}/{message.number}",
                    message.now_ns,
                    self.generation,
                    message.connection,
                )
                try:
                    args = unpack(_args_type(step), message.args)
                    packed = pack(step.function(part, *args))
                    part.keep()
                    if shard is not None:
                        self._spawned(shard, part)
                    outcome.append((packed, None))
                except ApiError as error:
                    outcome.append((b"", error.text))
                if not step.idempotent and shard is not None:
                    self.change(shard, "memo", memo_key, Memo(self.now_ns, *outcome[0]))
                    self._remember_short_lived(self.now_ns, shard, "memo", memo_key)

            if not self._segment(work):
                outcome = [(b"", _internal_error(message.op_id).decode())]
            result, reply_error = outcome[0]
            if self._last_reference != reference and self._behind(self._last_reference):
                self._when_everywhere(lambda: self._reply_step(message, result, reply_error))
                return
        self._reply_step(message, result, reply_error)

    def _reply_step(self, message: m.StepRequest, result: bytes, error: str | None) -> None:
        reply = m.StepReply(message.op_id, message.number, self.worker, result, error)
        self._outputs.append(m.ToWorker(message.from_worker, reply))

    def _step_reply(self, reply: m.StepReply) -> None:
        operation = self.running.get(reply.op_id)
        if operation is None:
            return
        sent = operation.outstanding.get(reply.number)
        if not isinstance(sent, m.StepRequest):
            return
        if reply.error is not None:
            operation.journal.append((reply.number, sent.step, None, reply.error))
            self._resolved(operation, reply.number, None, ApiError(reply.error))
            return
        result = unpack(STEPS[sent.step].result_type, reply.result)
        operation.journal.append((reply.number, sent.step, result, None))
        self._resolved(operation, reply.number, result, None)

    def _send_forgets(self, operation: Running) -> None:
        by_worker: dict[int, list[tuple[int, int]]] = {}
        for shard_number, number in operation.remote:
            by_worker.setdefault(self.shard_map[shard_number], []).append((shard_number, number))
        for worker, entries in by_worker.items():
            forget = m.Forget(operation.uid, [s for s, _ in entries], [n for _, n in entries])
            self._outputs.append(m.ToWorker(worker, forget))

    def _forget(self, message: m.Forget) -> None:
        for shard_number, number in zip(message.shards, message.numbers, strict=True):
            shard = self.shards.get(shard_number)
            if shard is not None:
                shard.set("memo", f"{message.op_id}#{number}", None)

    # --- the outside ------------------------------------------------------------------------------------------

    def _outside_result(self, message: m.OutsideResult) -> None:
        operation = self.running.get(message.op_id)
        waited = None if operation is None else operation.outstanding.get(message.number)
        if operation is None or not isinstance(waited, str):
            return
        operation.journal.append((message.number, waited, message.result, message.error))
        error = None if message.error is None else ApiError(message.error)
        self._resolved(operation, message.number, message.result, error)

    # --- reference data ---------------------------------------------------------------------------------------

    def peer_generation(self, worker: int, number: int) -> None:
        """Another worker is live and has reference data up to `number`; send it what it lacks (leader only)."""
        self.peers[worker] = number
        if 0 in self.shards and number < self.generation.number:
            missing = [c for c in self._changesets if c.number > number]
            if missing and missing[0].number == number + 1:
                sent = missing
            else:
                sent = [m.Changeset(self.generation.number, self.generation.snapshot(), True)]
            self._outputs += [m.ToWorker(worker, changeset) for changeset in sent]
        self._check_generation_waiters()

    def peer_gone(self, worker: int) -> None:
        """Another worker is not live any more: reference changes do not wait for it."""
        self.peers.pop(worker, None)
        self._check_generation_waiters()

    def peer_back(self, worker: int) -> None:
        """Another worker has a new incarnation: send again what it has not answered."""
        for operation in self.running.values():
            for message in operation.outstanding.values():
                if isinstance(message, m.StepRequest) and message.to_worker == worker:
                    self._outputs.append(m.ToWorker(worker, message))
        for target, forwarded, _ in self._forwarded.values():
            if target == worker:
                self._outputs.append(m.ToWorker(worker, forwarded))

    def _changeset(self, message: m.Changeset) -> None:
        if message.whole:
            fresh = self.generation.apply([], 0)
            gone: Changes = [(kind, key, None) for kind in fresh.kinds() for key in fresh.keys(kind)]
            self.generation = fresh.apply(gone, 0).apply(message.changes, message.number)
        elif message.number == self.generation.number + 1:
            self.generation = self.generation.apply(message.changes, message.number)
        leader = self.shard_map[0]
        self._outputs.append(m.ToWorker(leader, m.ChangesetDone(self.worker, self.generation.number)))

    def _behind(self, number: int) -> bool:
        return any(at < number for at in self.peers.values())

    def _when_everywhere(self, then: Callable[[], None]) -> None:
        """Do `then` when every live worker has the newest reference data."""
        if self._behind(self._last_reference):
            self._awaiting_generation.append((self._last_reference, then))
        else:
            then()

    def _check_generation_waiters(self) -> None:
        waiters, self._awaiting_generation = self._awaiting_generation, []
        for number, then in waiters:
            if self._behind(number):
                self._awaiting_generation.append((number, then))
            else:
                self._ready.append(then)

    # --- timers and sweeping ----------------------------------------------------------------------------------

    def _run_due(self) -> None:
        now = self.now_ns
        while self._sleepers and self._sleepers[0][0] <= now:
            _, uid, number = heapq.heappop(self._sleepers)
            sleeping = self.running.get(uid)
            if sleeping is not None:
                sleeping.journal.append((number, "sleep", None, None))
                self._resolved(sleeping, number, None, None)
        for _ in range(MAX_READY_PER_TURN):
            if not self._timers or self._timers[0][0] > now:
                break
            at_ns, shard_number, key = heapq.heappop(self._timers)
            shard = self.shards.get(shard_number)
            timer = None if shard is None else shard.get("timer", key)
            if shard is None or timer is None or timer.at_ns != at_ns:
                continue
            self._fire(shard, key, timer)

    def _fire(self, shard: Shard, key: str, timer: Timer) -> None:
        function = TIMERS[timer.name]
        uid = f"timer/{shard.number}/{key}/{timer.at_ns}"
        if inspect.isgeneratorfunction(function):
            if uid in self.running:
                return
            operation = self._operation(uid, "timer", timer.name, timer.args, self.now_ns, "", 0, shard)
            operation.dirty = True

            def begin() -> None:
                self.change(shard, "timer", key, None)
                operation.generator = self._generator(operation)
                self._advance(operation, None, None)

            if not self._segment(begin):
                self._broken(operation)
                self._segment(lambda: self.change(shard, "timer", key, None))
            return

        def work() -> None:
            self.change(shard, "timer", key, None)
            part = Part(self, shard, uid, self.now_ns, self.generation, "")
            try:
                function(part, *self._task_args(timer.name, function, timer.args))
            except ApiError as error:
                logger.warning("timer %s ended with %s", timer.name, error.text)
                return
            part.keep()
            self._spawned(shard, part)

        if not self._segment(work):
            self._segment(lambda: self.change(shard, "timer", key, None))

    def _remember_short_lived(self, at_ns: int, shard: Shard, kind: str, key: str) -> None:
        self._short_lived.append((at_ns + (DONE_KEPT_NS if kind == "done" else MEMO_KEPT_NS), shard, kind, key))

    def _sweep(self) -> None:
        """Drop answers and step results that nobody can ask for any more. Not logged: the folder drops them by age."""
        while self._short_lived and self._short_lived[0][0] < self.now_ns:
            _, shard, kind, key = self._short_lived.popleft()
            shard.set(kind, key, None)

    def _acked_below(self, message: m.AckedBelow) -> None:
        kept = self._done.get(message.balancer)
        while kept and kept[0][0] < message.sequence:
            _, shard, uid = kept.popleft()
            shard.set("done", uid, None)


def _internal_error(uid: str) -> bytes:
    return f"SERVER_ERROR: internal error (request {uid})".encode()


def _args_type(step: StepDef) -> Any:
    return tuple[step.arg_types] if step.arg_types else tuple[()]  # type: ignore[misc]
