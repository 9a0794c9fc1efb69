"""The steps of an operation: what is done here, what is sent to another worker, and what an earlier run has done already.

A step on an own shard runs at once; one on another worker's shard is sent, and its result comes by remote_steps.py. A step
that the journal knows is not done again.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from cgr_cluster.engine import messages as m
from cgr_cluster.engine.codec import pack, unpack
from cgr_cluster.engine.domain import STEPS, Call, Everywhere, Together
from cgr_cluster.engine.journal import Outcome
from cgr_cluster.engine.operation import Running
from cgr_cluster.engine.owner import Owner
from cgr_cluster.engine.part import Part
from cgr_cluster.engine.placement import owner_of, owner_text
from cgr_cluster.engine.records import Journaled
from cgr_cluster.engine.remote_steps import MOVING_STEPS
from cgr_cluster.engine.shard import Shard
from cgr_cluster.rpc.errors import ApiError

if TYPE_CHECKING:
    from cgr_cluster.engine.runner import Runner

logger = logging.getLogger("cgr_cluster.engine")


class StepCalls:
    """Does the steps that one runner's operations ask for. An outcome of None: the result comes later."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self._engine = runner.engine

    def call(self, operation: Running, call: Call, slot: int = -1) -> Outcome | None:
        """Run a step here, or send it to its owner. `slot`: its place when it is one of several."""
        journal, step = operation.journal, call.step
        if journal.known:
            entry = journal.find(step.name, owner_text(call.owner), call.args, not step.idempotent)
            if entry is not None:
                return self._known(operation, call, entry, slot)
        number = journal.next_number()
        if slot >= 0:
            operation.slots[number] = slot
        return self._do(operation, call, number)

    def call_many(self, operation: Running, command: Together | Everywhere) -> None:
        """Run or send several steps; `operation.collected` gets the results, those still out are `outstanding`."""
        if isinstance(command, Together):
            operation.collect(len(command.calls), False)
            for place, call in enumerate(command.calls):
                outcome = self.call(operation, call, place)
                if outcome is not None:
                    operation.fill(place, *outcome)
            return
        workers = sorted(set(self._engine.shard_map))
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
                if worker == self._engine.worker:
                    outcome = self._call_all_shards(operation, command, number, owner)
                else:
                    outcome = self.send(operation, Call(step, owner, command.args), number, -1, worker)
            if outcome is not None:
                operation.fill(place, *outcome)

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

    def leave_done(self, operation: Running) -> None:
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

    def _to_forget(self, operation: Running, owner: Owner, number: int) -> None:
        place = self._engine.locate(owner)
        if place not in self._engine.shards:
            operation.remote.append((place, number))

    def _do(self, operation: Running, call: Call, number: int) -> Outcome | None:
        engine = self._engine
        step, owner = call.step, call.owner
        place = engine.locate(owner)
        shard = engine.shards.get(place)
        if shard is None:
            return self.send(operation, call, number, place, engine.shard_map[place])
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
            operation.journal.note(number, step.name, owner, call.args, None, error.text)
            return None, error
        if engine.keep(part, shard):
            operation.dirty = True
        operation.journal.note(number, step.name, owner, call.args, result, None)
        if engine.references.generation is not before:
            operation.generation = engine.generation
            reached = engine.generation.number
            if not engine.references.everywhere(reached):
                operation.outstanding[number] = "reference data"
                engine.references.when_everywhere(
                    reached, lambda: self._runner.resolved(operation, number, result, None)
                )
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
        operation.journal.note(number, call.step.name, call.owner, call.args, result, memo.error)
        return result, None if memo.error is None else ApiError(memo.error)

    def _do_now(self, operation: Running, call: Call, number: int) -> None:
        """A step that waited for a move to end: its owner may be elsewhere by now."""
        if self._runner.running.get(operation.uid) is not operation or number not in operation.outstanding:
            return
        outcome: list[Outcome | None] = []

        def work() -> None:
            outcome.append(self._do(operation, call, number))
            if outcome[0] is None or len(operation.outstanding) > 1:  # in one group with what it has done
                self._runner.wait(operation)

        if not self._engine.segment(work):
            self._runner.broken(operation)
        elif outcome[0] is not None:
            self._runner.resolved(operation, number, *outcome[0])

    def _call_all_shards(self, operation: Running, command: Everywhere, number: int, owner: Owner) -> Outcome:
        part = Part(self._engine, None, f"{operation.uid}/{number}", operation.now_ns, operation.generation, "", None)
        name = command.step.name
        try:
            result = command.step.function(part, *command.args)
        except ApiError as error:
            operation.journal.note(number, name, owner, command.args, None, error.text)
            return None, error
        operation.journal.note(number, name, owner, command.args, result, None)
        return result, None

    def send(self, operation: Running, call: Call, number: int, shard_number: int, worker: int) -> Outcome | None:
        """Send a step to the worker that has the owner's shard (-1: it is for the whole worker)."""
        step = call.step
        if operation.hops >= m.MAX_HOPS:
            logger.error("%s (%s) reached the bound of %d hops", operation.name, operation.uid, m.MAX_HOPS)
            return None, ApiError(m.TOO_MANY_HOPS)
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
            self._engine.worker,
            worker,
            operation.now_ns + operation.journal.run,
        )
        operation.outstanding[number] = message
        if not step.idempotent:
            operation.dirty = True
            operation.remote.append((shard_number, number))
            operation.journal.sent(number, step.name, owner_text(call.owner), message.args)
        self._engine.outputs.append(m.ToWorker(worker, message))
        return None
