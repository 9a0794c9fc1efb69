"""The runner: the life of operations over several owners, tasks and timers, from their beginning to their end (design 7).

Theory of operation. An operation is a generator of commands. A step on an own shard runs at once; a step on another
worker's shard is sent. Before an operation waits with something done or on its way, its *intent* (how it began and the
results so far) goes into the group. After a restart it is run again from its start and answered from that journal
(journal.py). What the commands do: step_calls.py (and remote_steps.py for what passes between workers), method_calls.py,
waits.py and locks.py.
"""

from __future__ import annotations

import inspect
import logging
import typing
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from cgr_cluster.engine import messages as m
from cgr_cluster.engine.codec import unpack
from cgr_cluster.engine.delivered import delivered
from cgr_cluster.engine.deliveries import Deliveries
from cgr_cluster.engine.domain import (
    BACKGROUND,
    GIVEN_UP,
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
from cgr_cluster.engine.journal import NOTHING, Journal, Outcome
from cgr_cluster.engine.locks import Locks
from cgr_cluster.engine.method_calls import MethodCalls
from cgr_cluster.engine.operation import Running
from cgr_cluster.engine.owner import Owner
from cgr_cluster.engine.part import BackgroundPart, Part
from cgr_cluster.engine.placement import owner_of
from cgr_cluster.engine.records import Intent, JournalPage, Timer
from cgr_cluster.engine.remote_steps import RemoteSteps, internal_error
from cgr_cluster.engine.shard import Shard
from cgr_cluster.engine.step_calls import StepCalls
from cgr_cluster.engine.waits import Waits
from cgr_cluster.rpc.errors import ApiError
from cgr_cluster.rpc.registry import Method

if TYPE_CHECKING:
    from cgr_cluster.engine.engine import Engine

logger = logging.getLogger("cgr_cluster.engine")


class Runner:
    """The operations of one engine that are under way."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.running: dict[str, Running] = {}
        self._types: dict[Any, Any] = {}
        self.deliveries = Deliveries()
        self.locks = Locks()
        self.steps = StepCalls(self)
        self.remote = RemoteSteps(self)
        self.methods = MethodCalls(self)
        self.waits = Waits(self)

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
        pages = [shard.get("journal", f"{uid}/{number}").entries for number in range(intent.pages)]
        operation.journal = Journal(intent.run + 1, intent.journal, pages)
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
                self.broken(operation)
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
            self.broken(operation)

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
            self.broken(operation)

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
                outcome = self.steps.call(operation, command)
            elif isinstance(command, Exclusive):
                outcome = NOTHING if self.locks.take(operation, command.text) else None
            elif isinstance(command, (Together, Everywhere)):
                self.steps.call_many(operation, command)
                outcome = None if operation.outstanding else operation.take_collected()
            elif isinstance(command, Release):
                self._go_on(self.locks.release(operation, command.text))
                outcome = NOTHING
            elif isinstance(command, Forward):
                if not self._forward(operation, command.owner):
                    return
                outcome = NOTHING
            elif isinstance(command, Outside):
                outcome = self.waits.outside(operation, command)
            elif isinstance(command, Sleep):
                outcome = self.waits.sleep(operation, command.ns)
            elif isinstance(command, Signal):
                outcome = self.waits.await_signal(operation, command.text)
            elif isinstance(command, Invoke):
                outcome = self.methods.invoke(operation, command)
            else:
                raise TypeError(f"{operation.name} yielded {command!r}, which is no command")
            if outcome is None:
                self.wait(operation)
                return
            value, error = outcome

    def wait(self, operation: Running) -> None:
        """The operation stops here for now. What it has done must be known to whoever runs it again."""
        operation.waiting_since_ns = self.engine.now_ns
        journal = operation.journal
        if operation.dirty and journal.has_grown:
            page = journal.cut_page()
            if page is not None:
                self.engine.change(operation.home, "journal", f"{operation.uid}/{journal.pages - 1}", JournalPage(page))
            self.engine.change(operation.home, "intent", operation.uid, operation.intent())

    def _forget_intent(self, operation: Running) -> None:
        """The operation ends: nobody is to run it again."""
        if not operation.journal.is_logged:
            return
        self.engine.change(operation.home, "intent", operation.uid, None)
        for number in range(operation.journal.pages):
            self.engine.change(operation.home, "journal", f"{operation.uid}/{number}", None)

    def resolved(self, operation: Running, number: int, result: Any, error: ApiError | None) -> None:
        """A result that the operation waits for has come."""
        if operation.outstanding.pop(number, None) is None:
            return
        ending = operation.ending
        if ending is not None:
            if not operation.outstanding and not self.engine.segment(lambda: self._finish(operation, *ending)):
                self.broken(operation)
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
            self.steps.leave_done(operation)
        self._forget_intent(operation)
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
        if operation.locks:
            self.release_all(operation)

    def _await_deliveries(self, operation: Running) -> None:
        """The operation is done, but for what its foreign steps deliver. It holds nothing while it waits."""
        self.release_all(operation)
        engine = self.engine
        for shard_number, number in operation.delivering:
            waits = operation.journal.next_number()
            if shard_number in engine.shards:  # by now
                operation.outstanding[waits] = "deliveries"
                made = partial(self.resolved, operation, waits, None, None)
                engine.ready.append(partial(self.deliveries.when_made, f"{operation.uid}#{number}", made))
            else:
                call = delivered.at(Owner("shard", str(shard_number)), number)
                self.steps.send(operation, call, waits, shard_number, engine.shard_map[shard_number])
        self.wait(operation)

    def _delivered(self, uid: str) -> None:
        self.engine.ready.extend(self.deliveries.ended(uid))

    def release_all(self, operation: Running) -> None:
        """Let go of all that the operation holds."""
        self._go_on(self.locks.release(operation, ""))

    def _go_on(self, heirs: list[Running]) -> None:
        for heir in heirs:
            self.engine.ready.append(partial(self._continue, heir, None, None))

    def broken(self, operation: Running) -> None:
        """An unexpected error: what its segment did is undone already; end the operation, so that nothing hangs."""
        logger.error("%s %s (%s) is given up", operation.origin, operation.name, operation.uid)
        engine = self.engine
        body = internal_error(operation.uid)

        def work() -> None:
            self._forget_intent(operation)
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
