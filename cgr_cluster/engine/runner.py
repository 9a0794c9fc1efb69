"""The runner: operations over several owners, tasks and timers (design 7); what passes between workers: remote_steps.py.

Theory of operation. An operation is a generator of commands. A step on an own shard runs at once; a step on another
worker's shard is sent. Before an operation waits with something done or on its way, its *intent* (how it began and the
results so far) goes into the group. After a restart it is run again from its start and answered from that journal
(journal.py).
"""

from __future__ import annotations

import heapq
import inspect
import logging
import typing
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from cgr_cluster.engine import messages as m
from cgr_cluster.engine.codec import pack, unpack
from cgr_cluster.engine.delivered import delivered
from cgr_cluster.engine.deliveries import Deliveries
from cgr_cluster.engine.domain import (
    BACKGROUND,
    GIVEN_UP,
    STEPS,
    TASKS,
    TIMERS,
    Call,
    Everywhere,
    Exclusive,
    Forward,
    Invoke,
    Outside,
    Release,
    Signal,
    Sleep,
    Together,
)
from cgr_cluster.engine.journal import Journal, Outcome
from cgr_cluster.engine.operation import Called, Running
from cgr_cluster.engine.owner import Owner
from cgr_cluster.engine.part import BackgroundPart, Part
from cgr_cluster.engine.placement import owner_of, owner_text
from cgr_cluster.engine.records import Intent, Journaled, Timer
from cgr_cluster.engine.remote_steps import MOVING_STEPS, RemoteSteps, internal_error
from cgr_cluster.engine.shard import Shard
from cgr_cluster.rpc.errors import ApiError
from cgr_cluster.rpc.registry import Method

if TYPE_CHECKING:
    from cgr_cluster.engine.engine import Engine

logger = logging.getLogger("cgr_cluster.engine")


MAX_HOPS = 8  # bound of chains of forwards, steps and method calls (design 7)
METHOD = "method:"  # in a journal: a method called
SIGNAL = "signal"  # in a journal: waited for one
OPERATION = "operation:"  # in `reply_to`: the operation of this engine that waits for the answer

_NOTHING: Outcome = (None, None)


class Runner:
    """The operations of one engine that are under way."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.running: dict[str, Running] = {}
        self.sleepers: list[tuple[int, str, int]] = []  # heap of (time, operation, number)
        self._locks: dict[str, deque[Running]] = {}  # text held by an operation → who waits for it
        self._awaited: dict[str, list[tuple[str, int]]] = {}  # signal → operation and number of those that wait for it
        self._types: dict[Any, Any] = {}
        self.deliveries = Deliveries()
        self.remote = RemoteSteps(self)

    # --- beginnings ---------------------------------------------------------------------------------------------

    def start_request(self, request: m.Request, method: Method, home: Shard, owner: Owner | None) -> None:
        operation = self._operation(
            request.uid,
            "request",
            request.method,
            request.params,
            self.engine.now_ns,
            request.connection,
            request.hops,
            home,
            owner,
        )
        operation.method = method
        operation.changes = method.changes
        operation.reply_to = request.reply_to
        operation.deadline_ns = request.deadline_ns
        self._start(operation)

    def resume(self, shard: Shard, uid: str) -> None:
        """Drive on an operation that a restart (or a spawn) has left in the shard."""
        intent = shard.get("intent", uid)
        if uid in self.running:
            return
        if intent is None:  # it was spawned by work that broke
            self._delivered(uid)
            return
        operation = self._operation(
            uid, intent.origin, intent.name, intent.args, intent.now_ns, intent.connection, intent.hops, shard
        )
        operation.dirty = True
        operation.resumed = True
        operation.missed_signals = True
        operation.journal = Journal(intent.run + 1, intent.journal)
        operation.waiter = intent.waiter
        operation.delivering = list(intent.delivering)
        if intent.waiter:
            self.deliveries.begun(uid, intent.waiter)
        try:
            if intent.origin == "request":
                operation.method = self.engine.registry.find(intent.name)
                operation.changes = bool(operation.method.changes)
            elif intent.name not in (TASKS if intent.origin == "task" else TIMERS):
                raise ApiError(f"there is no such {intent.origin}")
        except ApiError as error:  # written by another version: it goes on when a version that knows it runs
            logger.error("%s %s (%s) stays in the log: %s", intent.origin, intent.name, uid, error.text)
            self._drop(operation)
            return
        self._start(operation)

    def fire(self, shard: Shard, key: str, timer: Timer) -> None:
        """A deadline: the timer goes in the group of what it causes."""
        engine = self.engine
        function = TIMERS.get(timer.name)
        if function is None:
            logger.error("timer %s (%s) stays in the log: there is no such timer", timer.name, key)
            return
        uid = f"timer/{shard.number}/{key}/{timer.at_ns}"
        if inspect.isgeneratorfunction(function):
            operation = self._operation(uid, "timer", timer.name, timer.args, engine.now_ns, "", 0, shard)
            operation.dirty = True

            def begin() -> None:
                engine.change(shard, "timer", key, None)
                operation.generator = self._generator(operation)
                self._advance(operation, None, None)

            whole = engine.segment(begin)
            if not whole:
                self._broken(operation)
        else:

            def work() -> None:
                engine.change(shard, "timer", key, None)
                kind = BackgroundPart if timer.name in BACKGROUND else Part
                part = kind(engine, shard, uid, engine.now_ns, engine.generation, "", owner_of(timer.owner))
                try:
                    function(part, *self._task_args(function, timer.args))
                except ApiError as error:
                    logger.warning("timer %s (%s) ended with %s", timer.name, key, error.text)
                    return
                engine.keep(part, shard)

            whole = engine.segment(work)
        if not whole:
            engine.segment(engine.change, shard, "timer", key, None)

    def _operation(
        self,
        uid: str,
        origin: str,
        name: str,
        args: bytes,
        now_ns: int,
        connection: str,
        hops: int,
        home: Shard,
        owner: Owner | None = None,
    ) -> Running:
        operation = Running(uid, origin, name, args, now_ns, connection, hops, home, self.engine.generation, owner)
        self.running[uid] = operation
        return operation

    def _start(self, operation: Running) -> None:
        if not self.engine.segment(self._begin, operation):
            self._broken(operation)

    def _begin(self, operation: Running) -> None:
        try:
            operation.generator = self._generator(operation)
        except ApiError as error:
            self._finish(operation, None, error)
            return
        self._advance(operation, None, None)

    def _generator(self, operation: Running) -> Any:
        if operation.origin == "request":
            return operation.method.handler(operation, self.engine.decode(operation.method, operation.args))
        function = (TASKS if operation.origin == "task" else TIMERS)[operation.name]
        return function(operation, *self._task_args(function, operation.args))

    def _task_args(self, function: Callable[..., Any], args: bytes) -> list[Any]:
        kind = self._types.get(function)
        if kind is None:
            hints = typing.get_type_hints(function)
            names = list(inspect.signature(function).parameters)[1:]
            kind = self._types[function] = tuple.__class_getitem__(tuple(hints.get(name, Any) for name in names))
        return list(unpack(kind, args))

    # --- the way of an operation --------------------------------------------------------------------------------

    def _continue(self, operation: Running, value: Any, error: ApiError | None) -> None:
        if not self.engine.segment(self._advance, operation, value, error):
            self._broken(operation)

    def _advance(self, operation: Running, value: Any, error: ApiError | None) -> None:
        """Give the generator what it waits for, and run it until it waits again or ends."""
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
            outcome: Outcome | None
            if type(command) is Call:
                outcome = self._call(operation, command)
            elif isinstance(command, Exclusive):
                outcome = _NOTHING if self._lock(operation, command.text) else None
            elif isinstance(command, (Together, Everywhere)):
                self._call_many(operation, command)
                outcome = None if operation.outstanding else operation.take_collected()
            elif isinstance(command, Release):
                self._release(operation, command.text)
                outcome = _NOTHING
            elif isinstance(command, Forward):
                if not self._forward(operation, command.owner):
                    return
                outcome = _NOTHING
            elif isinstance(command, Outside):
                outcome = self._outside(operation, command)
            elif isinstance(command, Sleep):
                outcome = self._sleep(operation, command.ns)
            elif isinstance(command, Signal):
                outcome = self._await_signal(operation, command.text)
            elif isinstance(command, Invoke):
                outcome = self._invoke(operation, command)
            else:
                raise TypeError(f"{operation.name} yielded {command!r}, which is no command")
            if outcome is None:
                self._wait(operation)
                return
            value, error = outcome

    def _wait(self, operation: Running) -> None:
        """The operation stops here for now. What it has done must be known to whoever runs it again."""
        operation.waiting_since_ns = self.engine.now_ns
        if operation.dirty and operation.journal.has_grown:
            self.engine.change(operation.home, "intent", operation.uid, operation.intent())

    def resolved(self, operation: Running, number: int, result: Any, error: ApiError | None) -> None:
        """A result that the operation waits for has come."""
        if operation.outstanding.pop(number, None) is None:
            return
        ending = operation.ending
        if ending is not None:
            if not operation.outstanding and not self.engine.segment(lambda: self._finish(operation, *ending)):
                self._broken(operation)
            return
        if operation.collected is None:
            self._continue(operation, result, error)
            return
        operation.fill(operation.slots[number], result, error)
        if not operation.outstanding:
            self._continue(operation, *operation.take_collected())

    def _finish(self, operation: Running, result: Any, error: ApiError | None) -> None:
        engine = self.engine
        if operation.delivering and operation.ending is None and (operation.origin == "request" or operation.waiter):
            operation.ending = result, error
            self._await_deliveries(operation)
            return
        body = b""
        if operation.origin == "request":
            body = error.text.encode() if error is not None else engine.encode(result)
        elif error is not None:
            logger.warning("%s %s (%s) ended with %s", operation.origin, operation.name, operation.uid, error.text)
            self._clear_up_after(operation)
        if operation.journal.known:
            self._leave_done(operation)
        if operation.journal.is_logged:
            engine.change(operation.home, "intent", operation.uid, None)
        if operation.changes and operation.dirty:
            engine.put_done(operation.home, operation.uid, body, error is not None, operation.owner)
        self._drop(operation)
        if operation.remote:
            self.remote.send_forgets(operation)
        engine.answer_delivered(operation.reply_to, operation.uid, body, error is not None)

    def _drop(self, operation: Running) -> None:
        del self.running[operation.uid]
        if operation.waiter:
            self._delivered(operation.uid)
        self._release(operation, "")

    def _await_deliveries(self, operation: Running) -> None:
        """The operation is done, but for what its foreign steps deliver. It holds nothing while it waits."""
        self._release(operation, "")
        engine = self.engine
        for shard_number, number in operation.delivering:
            waits = operation.journal.next_number()
            if shard_number in engine.shards:  # by now
                operation.outstanding[waits] = "deliveries"
                made = partial(self.resolved, operation, waits, None, None)
                engine.ready.append(partial(self.deliveries.when_made, f"{operation.uid}#{number}", made))
            else:
                call = delivered.at(Owner("shard", str(shard_number)), number)
                self._send(operation, call, waits, shard_number, engine.shard_map[shard_number])
        self._wait(operation)

    def _delivered(self, uid: str) -> None:
        self.engine.ready.extend(self.deliveries.ended(uid))

    def _release(self, operation: Running, text: str) -> None:
        """Give a lock ("": all) to the operation that has waited for it longest."""
        if not text:
            while operation.locks:
                self._release(operation, operation.locks[-1])
            return
        if text not in operation.locks:
            return
        operation.locks.remove(text)
        waiting = self._locks[text]
        if waiting:
            heir = waiting.popleft()
            heir.locks.append(text)
            self.engine.ready.append(partial(self._continue, heir, None, None))
        else:
            del self._locks[text]

    def _broken(self, operation: Running) -> None:
        """An unexpected error: what its segment did is undone already; end the operation, so that nothing hangs."""
        logger.error("%s %s (%s) is given up", operation.origin, operation.name, operation.uid)
        engine = self.engine
        body = internal_error(operation.uid)

        def work() -> None:
            if operation.journal.is_logged:
                engine.change(operation.home, "intent", operation.uid, None)
            self._clear_up_after(operation)
            if operation.changes:
                engine.put_done(operation.home, operation.uid, body, True, operation.owner)

        engine.segment(work)
        if operation.uid in self.running:
            self._drop(operation)
        self.remote.send_forgets(operation)
        engine.answer(operation.reply_to, operation.uid, body, True)

    def _clear_up_after(self, operation: Running) -> None:
        """Begin the task that follows one that was given up, in the group that ends it."""
        name = GIVEN_UP.get(operation.name) if operation.origin == "task" else None
        if name is not None:
            uid = f"{operation.uid}!"
            intent = Intent("task", name, operation.args, self.engine.now_ns, "", 0, [])
            self.engine.change(operation.home, "intent", uid, intent)
            self.engine.resume_later(operation.home, uid)

    # --- commands -----------------------------------------------------------------------------------------------

    def _call(self, operation: Running, call: Call, slot: int = -1) -> Outcome | None:
        """Run a step here, or send it to its owner (None: the result comes later, for this place of several)."""
        journal, step = operation.journal, call.step
        if journal.known:
            entry = journal.find(step.name, owner_text(call.owner), call.args, not step.idempotent)
            if entry is not None:
                return self._known(operation, call, entry, slot)
        number = journal.next_number()
        if slot >= 0:
            operation.slots[number] = slot
        return self._do(operation, call, number)

    def _known(self, operation: Running, call: Call, entry: Journaled, slot: int) -> Outcome | None:
        """A step that an earlier run has done, or sent: under the number that its owner knows it by."""
        step = call.step
        if entry.done:
            if not step.idempotent:
                self._to_forget(operation, call.owner, entry.number)
            return operation.journal.recall(entry, step.result_type)
        if slot >= 0:
            operation.slots[entry.number] = slot
        return self._do(operation, call, entry.number)

    def _to_forget(self, operation: Running, owner: Owner, number: int) -> None:
        place = self.engine.locate(owner)
        if place not in self.engine.shards:
            operation.remote.append((place, number))

    def _leave_done(self, operation: Running) -> None:
        """The operation ends without having asked for all that an earlier run of it had done, since reference data have
        changed between the two. It stays done; an operator is told."""
        for entry in operation.journal.known.values():
            step, owner = STEPS.get(entry.step), owner_of(entry.owner)
            if owner is None or (step is not None and step.idempotent):
                continue  # it has changed nothing, or is a called method, whose answer goes by itself
            self._to_forget(operation, owner, entry.number)
            logger.warning(
                "%s %s (%s) went another way when it was run again: %s at %s %s before, and stays so",
                operation.origin, operation.name, operation.uid, entry.step, entry.owner,
                "was done" if entry.done else "had been asked for",
            )  # fmt: skip

    def _do(self, operation: Running, call: Call, number: int) -> Outcome | None:
        engine = self.engine
        step, owner = call.step, call.owner
        place = engine.locate(owner)
        shard = engine.shards.get(place)
        if shard is None:
            return self._send(operation, call, number, place, engine.shard_map[place])
        if shard.tables.get("moving") and not step.name.startswith(MOVING_STEPS):
            waits = engine.frozen(shard, owner)
            if waits:
                operation.outstanding[number] = "a move"
                engine.defer(waits, lambda: self._do_now(operation, call, number))
                return None
        if operation.resumed:
            outcome = self._first_result(operation, call, number, place, shard)
            if outcome is not None:
                return outcome
        before = engine.references.generation
        generation = before if place == 0 else operation.generation
        part = Part(
            engine,
            shard,
            f"{operation.uid}/{number}",
            operation.now_ns,
            generation,
            operation.connection,
            owner,
            operation.waiter or operation.uid,
            operation.hops,
        )
        try:
            result = step.function(part, *call.args)
        except ApiError as error:
            operation.journal.note(number, step.name, owner_text(owner), call.args, None, error.text)
            return None, error
        if engine.keep(part, shard):
            operation.dirty = True
        operation.journal.note(number, step.name, owner_text(owner), call.args, result, None)
        if engine.references.generation is not before:
            operation.generation = engine.generation
            reached = engine.generation.number
            if not engine.references.everywhere(reached):
                operation.outstanding[number] = "reference data"
                engine.references.when_everywhere(reached, lambda: self.resolved(operation, number, result, None))
                return None
        return result, None

    def _first_result(
        self, operation: Running, call: Call, number: int, place: int, shard: Shard
    ) -> Outcome | None:  # fmt: skip
        """What the step came to when it was done for an earlier run of the operation, while its owner belonged to another
        worker: a start with another number of workers, or a move, brings the two together."""
        memo = shard.get("memo", f"{operation.uid}#{number}")
        if memo is None:
            return None
        operation.dirty = True
        operation.remote.append((place, number))
        operation.delivering.append((place, number))  # it may have left some behind; asking costs nothing
        result = None if memo.error is not None else unpack(call.step.result_type, memo.result)
        operation.journal.note(number, call.step.name, owner_text(call.owner), call.args, result, memo.error)
        return result, None if memo.error is None else ApiError(memo.error)

    def _do_now(self, operation: Running, call: Call, number: int) -> None:
        """A step that waited for a move to end: its owner may be elsewhere by now."""
        if self.running.get(operation.uid) is not operation or number not in operation.outstanding:
            return
        outcome: list[Outcome | None] = []

        def work() -> None:
            outcome.append(self._do(operation, call, number))
            if outcome[0] is None or len(operation.outstanding) > 1:  # in one group with what it has done
                self._wait(operation)

        if not self.engine.segment(work):
            self._broken(operation)
        elif outcome[0] is not None:
            self.resolved(operation, number, *outcome[0])

    def _call_many(self, operation: Running, command: Together | Everywhere) -> None:
        """Run or send several steps; `operation.collected` gets the results, those still out are `outstanding`."""
        if isinstance(command, Together):
            operation.collect(len(command.calls), False)
            for place, call in enumerate(command.calls):
                outcome = self._call(operation, call, place)
                if outcome is not None:
                    operation.fill(place, *outcome)
            return
        workers = sorted(set(self.engine.shard_map))
        operation.collect(len(workers), True)
        step, journal = command.step, operation.journal
        for place, worker in enumerate(workers):
            owner = Owner("worker", f"{worker} of {len(workers)}")
            entry = journal.find(step.name, owner_text(owner), command.args, False) if journal.known else None
            if entry is not None:
                outcome = journal.recall(entry, step.result_type)
            else:
                number = journal.next_number()
                operation.slots[number] = place
                if worker == self.engine.worker:
                    outcome = self._call_all_shards(operation, command, number, owner)
                else:
                    outcome = self._send(operation, Call(step, owner, command.args), number, -1, worker)
            if outcome is not None:
                operation.fill(place, *outcome)

    def _call_all_shards(self, operation: Running, command: Everywhere, number: int, owner: Owner) -> Outcome:
        part = Part(self.engine, None, f"{operation.uid}/{number}", operation.now_ns, operation.generation, "", None)
        name = command.step.name
        try:
            result = command.step.function(part, *command.args)
        except ApiError as error:
            operation.journal.note(number, name, owner_text(owner), command.args, None, error.text)
            return None, error
        operation.journal.note(number, name, owner_text(owner), command.args, result, None)
        return result, None

    def _send(self, operation: Running, call: Call, number: int, shard_number: int, worker: int) -> Outcome | None:
        step = call.step
        if operation.hops >= MAX_HOPS:
            logger.error("%s (%s) reached the bound of %d hops", operation.name, operation.uid, MAX_HOPS)
            return None, ApiError("SERVER_ERROR: too many hops")
        message = m.StepRequest(
            operation.uid,
            number,
            step.name,
            (call.owner.kind, call.owner.key),
            shard_number,
            pack(list(call.args)),
            operation.now_ns,
            operation.generation.number,
            operation.connection,
            operation.hops + 1,
            self.engine.worker,
            worker,
            operation.now_ns + operation.journal.run,
        )
        operation.outstanding[number] = message
        if not step.idempotent:
            operation.dirty = True
            operation.remote.append((shard_number, number))
            operation.journal.sent(number, step.name, owner_text(call.owner), message.args)
        self.engine.outputs.append(m.ToWorker(worker, message))
        return None

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

    def _forward(self, operation: Running, owner: Owner) -> bool:
        """Whether the operation goes on here; else it is sent to the owner and ends here."""
        engine = self.engine
        shard = engine.shards.get(engine.locate(owner))
        if shard is not None:
            if operation.dirty:
                return True
            operation.home = shard
            operation.owner = owner
            done = shard.get("done", operation.uid) if operation.changes else None
            if done is None:
                return True
            self._drop(operation)
            engine.answer_delivered(operation.reply_to, operation.uid, done.answer, done.failed)
            return False
        if operation.dirty or operation.origin != "request":
            raise RuntimeError(f"{operation.name} asked to be forwarded after it had changed something")
        self._drop(operation)
        request = m.Request(
            operation.uid,
            operation.name,
            operation.args,
            operation.reply_to,
            operation.deadline_ns,
            operation.connection,
            operation.hops,
        )
        engine.forward(request, owner)
        return False

    def _outside(self, operation: Running, command: Outside) -> Outcome | None:
        name = "outside:" + command.name
        journal = operation.journal
        entry = journal.find(name, "", None, False) if journal.known else None
        if entry is not None:
            return journal.recall(entry, command.returns)
        number = journal.next_number()
        operation.outstanding[number] = name
        self.engine.outputs.append(m.OutsideCall(operation.uid, number, command.name, command.args))
        return None

    def outside_result(self, message: m.OutsideResult) -> None:
        operation = self.running.get(message.op_id)
        waited = None if operation is None else operation.outstanding.get(message.number)
        if operation is None or not isinstance(waited, str):
            return
        operation.journal.note(message.number, waited, "", None, message.result, message.error)
        error = None if message.error is None else ApiError(message.error)
        self.resolved(operation, message.number, message.result, error)

    def _invoke(self, operation: Running, command: Invoke) -> Outcome | None:
        """Send a request to the method's owner, this worker's own engine included. Its uid is the same when the operation
        is run again, so that what was executed is answered from its record (`Done`). The method may need what the
        operation holds, so that goes first."""
        self._release(operation, "")
        engine, journal, name = self.engine, operation.journal, METHOD + command.method
        hops = max(operation.hops, command.hops)
        if hops >= MAX_HOPS:
            logger.error(
                "%s (%s) reached the bound of %d hops at %s", operation.name, operation.uid, MAX_HOPS, command.method
            )
            return None, ApiError("SERVER_ERROR: too many hops")
        try:
            method = engine.registry.find(command.method)
            whose = owner_text(method.owner.owner(command.params, engine.generation.default_tenant))
        except ApiError as error:
            return None, error
        once = bool(method.changes and whose)
        entry = journal.find(name, whose, command.params, once) if journal.known else None
        if entry is not None and entry.done:
            return journal.recall(entry, Any)
        number = journal.next_number() if entry is None else entry.number
        operation.outstanding[number] = Called(name, whose, command.params)
        if method.changes:
            operation.dirty = True
            journal.sent(number, name, whose, command.params)
        request = m.Request(
            f"{operation.uid}?{number}", command.method, command.params, f"{OPERATION}{number}:{operation.uid}", None,
            operation.connection, hops + 1,
        )  # fmt: skip
        engine.ready.append(lambda: engine.request(request))
        return None

    def invoked(self, reply_to: str, body: bytes, failed: bool) -> None:
        """The answer of a method that an operation has called; `reply_to` is what its request named."""
        number_text, _, uid = reply_to.removeprefix(OPERATION).partition(":")
        number = int(number_text)
        operation = self.running.get(uid)
        waited = None if operation is None else operation.outstanding.get(number)
        if operation is None or not isinstance(waited, Called):
            return
        error = body.decode() if failed else None
        result = None if failed else msgspec.json.decode(body)
        operation.journal.note(number, waited.name, waited.owner, waited.params, result, error)
        self.resolved(operation, number, result, None if error is None else ApiError(error))

    def _sleep(self, operation: Running, ns: int) -> Outcome | None:
        journal = operation.journal
        entry = journal.find("sleep", "", None, False) if journal.known else None
        if entry is not None:
            return journal.recall(entry, Any)
        number = journal.next_number()
        operation.outstanding[number] = "sleep"
        heapq.heappush(self.sleepers, (self.engine.now_ns + ns, operation.uid, number))
        return None

    def wake_sleepers(self) -> None:
        while self.sleepers and self.sleepers[0][0] <= self.engine.now_ns:
            _, uid, number = heapq.heappop(self.sleepers)
            operation = self.running.get(uid)
            if operation is not None and number in operation.outstanding:
                operation.journal.note(number, "sleep", "", None, None, None)
                self.resolved(operation, number, None, None)

    def _await_signal(self, operation: Running, text: str) -> Outcome | None:
        """An operation that runs again may have missed its signal, so the first wait is for nothing."""
        journal = operation.journal
        entry = journal.find(SIGNAL, "", None, False) if journal.known else None
        if entry is not None:
            return journal.recall(entry, Any)
        number = journal.next_number()
        if operation.missed_signals:
            operation.missed_signals = False
            journal.note(number, SIGNAL, "", None, None, None)
            return _NOTHING
        operation.outstanding[number] = f"{SIGNAL} {text}"
        self._awaited.setdefault(text, []).append((operation.uid, number))
        return None

    def signal(self, text: str) -> None:
        """What is waited for under `text` may be so now."""
        for uid, number in self._awaited.pop(text, ()):
            self.engine.ready.append(partial(self._signalled, uid, number))

    def _signalled(self, uid: str, number: int) -> None:
        operation = self.running.get(uid)
        if operation is not None and number in operation.outstanding:
            operation.journal.note(number, SIGNAL, "", None, None, None)
            self.resolved(operation, number, None, None)
