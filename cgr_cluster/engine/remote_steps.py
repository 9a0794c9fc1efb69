"""Steps between workers: those that operations here have sent to other owners, and those that are done here for others.

An owner keeps the first result of a foreign step in the group of its effect (`Memo`), so that a step has one effect however
often it is delivered, and one that is not answered is simply sent again (invariant 6).
"""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING

from msgspec import structs

from cgr_cluster.engine import messages as m
from cgr_cluster.engine.codec import pack, unpack
from cgr_cluster.engine.delivered import delivered
from cgr_cluster.engine.domain import STEPS
from cgr_cluster.engine.operation import Running
from cgr_cluster.engine.owner import Owner
from cgr_cluster.engine.part import Part
from cgr_cluster.engine.placement import owner_text
from cgr_cluster.engine.records import Memo
from cgr_cluster.rpc.errors import ApiError

if TYPE_CHECKING:
    from cgr_cluster.engine.runner import Runner

logger = logging.getLogger("cgr_cluster.engine")

MOVING_STEPS = "placement."  # what moves an owner is done although the owner is being moved


def internal_error(uid: str) -> bytes:
    return f"SERVER_ERROR: internal error (request {uid})".encode()


class RemoteSteps:
    """Of one runner."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self._engine = runner.engine
        self._running = runner.running
        self._deliveries = runner.deliveries
        self._ahead: list[m.StepRequest] = []  # steps whose generation has not come yet

    # --- done here for operations of other workers ----------------------------------------------------------------

    def step_request(self, message: m.StepRequest) -> None:
        """A step of another worker's operation, for an owner in a shard of this one."""
        engine = self._engine
        step = STEPS.get(message.step)
        shard = engine.shards.get(message.shard)
        if step is None or (shard is None and message.shard >= 0):
            logger.error("step %s on shard %d cannot be done here", message.step, message.shard)
            self._reply(message, b"", f"SERVER_ERROR: step {message.step} on shard {message.shard} cannot be done")
            return
        if step is delivered:
            (number,) = unpack(tuple[int], message.args)
            self._deliveries.when_made(f"{message.op_id}#{number}", self._reply, message, pack(None), None)
            return
        memo_key = f"{message.op_id}#{message.number}"
        memo = None if shard is None else shard.get("memo", memo_key)
        if memo is not None:
            self._reply(message, memo.result, memo.error)
            return
        generation = engine.generation if message.shard == 0 else engine.references.seen_by(message.generation)
        if generation is None:
            self._ahead.append(message)
            return
        owner = Owner(*message.owner)
        if shard is not None and not step.name.startswith(MOVING_STEPS):
            place = engine.locate(owner)
            if place != message.shard:
                engine.outputs.append(
                    m.ToWorker(message.from_worker, m.StepMoved(message.op_id, message.number, place))
                )
                return
            waits = engine.frozen(shard, owner)
            if waits:
                engine.defer(waits, lambda: self.step_request(message))
                return
        result, error = b"", ""
        before = engine.generation
        text = owner_text(owner)

        def work() -> None:
            nonlocal result, error
            part = Part(
                engine,
                shard,
                f"{message.op_id}/{message.number}",
                message.now_ns,
                generation,
                message.connection,
                owner,
                memo_key,
                message.hops - 1,
            )
            try:
                kind = tuple.__class_getitem__(step.arg_types)
                result = pack(step.function(part, *unpack(kind, message.args)))
                if shard is not None:
                    engine.keep(part, shard)
            except ApiError as failure:
                error = failure.text
            if not step.idempotent and shard is not None:
                engine.change(shard, "memo", memo_key, Memo(engine.now_ns, result, error or None, text))

        if not engine.segment(work):
            result, error = b"", internal_error(message.op_id).decode()
        reached = engine.generation.number
        if engine.generation is before or engine.references.everywhere(reached):
            self._reply(message, result, error or None)
        else:
            engine.references.when_everywhere(reached, partial(self._reply, message, result, error or None))

    def generation_came(self) -> None:
        """Steps of operations that began with newer reference data than this worker had are done now."""
        waiting, self._ahead = self._ahead, []
        for message in waiting:
            self.step_request(message)

    def _reply(self, message: m.StepRequest, result: bytes, error: str | None) -> None:
        delivering = self._deliveries.under_way(f"{message.op_id}#{message.number}")
        reply = m.StepReply(message.op_id, message.number, self._engine.worker, message.run, result, error, delivering)
        self._engine.outputs.append(m.ToWorker(message.from_worker, reply))

    def forget(self, message: m.Forget) -> None:
        """The operation has ended durably: its step results are not asked for again."""
        for shard_number, number in zip(message.shards, message.numbers, strict=True):
            shard = self._engine.shards.get(shard_number)
            if shard is not None:
                self._engine.kept.forget(shard, f"{message.op_id}#{number}")

    # --- sent for operations here ---------------------------------------------------------------------------------

    def step_reply(self, reply: m.StepReply) -> None:
        operation = self._running.get(reply.op_id)
        sent = None if operation is None else operation.outstanding.get(reply.number)
        if operation is None or not isinstance(sent, m.StepRequest) or sent.run != reply.run:
            return  # not waited for, or the answer to a run that a crash has ended
        if reply.delivering:
            operation.delivering.append((sent.shard, reply.number))
        kind = STEPS[sent.step].result_type
        outcome = operation.record(sent, kind, reply.result, reply.error)
        self._runner.resolved(operation, reply.number, *outcome)

    def step_moved(self, moved: m.StepMoved) -> None:
        """A step was not done, since its owner has moved: send it there."""
        operation = self._running.get(moved.op_id)
        sent = None if operation is None else operation.outstanding.get(moved.number)
        if operation is None or not isinstance(sent, m.StepRequest):
            return
        worker = self._engine.shard_map[moved.shard]
        again = structs.replace(sent, shard=moved.shard, to_worker=worker)
        operation.outstanding[moved.number] = again
        operation.remote.append((moved.shard, moved.number))
        if worker == self._engine.worker:
            self._engine.ready.append(lambda: self.step_request(again))
        else:
            self._engine.outputs.append(m.ToWorker(worker, again))

    def remind(self, older_than_ns: int) -> None:
        """Send again the steps of operations that have waited since before this time: a message may have been lost with
        a process that both ends have outlived. A repeated step has one effect."""
        for operation in self._running.values():
            if operation.waiting_since_ns < older_than_ns:
                operation.waiting_since_ns = self._engine.now_ns
                for message in operation.outstanding.values():
                    if isinstance(message, m.StepRequest):
                        self._engine.outputs.append(m.ToWorker(message.to_worker, message))

    def send_again(self, worker: int) -> None:
        """Steps that the worker has not answered."""
        for operation in self._running.values():
            for message in operation.outstanding.values():
                if isinstance(message, m.StepRequest) and message.to_worker == worker:
                    self._engine.outputs.append(m.ToWorker(worker, message))

    def send_forgets(self, operation: Running) -> None:
        by_worker: dict[int, list[tuple[int, int]]] = {}
        for shard_number, number in operation.remote:
            by_worker.setdefault(self._engine.shard_map[shard_number], []).append((shard_number, number))
        for worker, entries in by_worker.items():
            forget = m.Forget(operation.uid, [shard for shard, _ in entries], [number for _, number in entries])
            self._engine.outputs.append(m.ToWorker(worker, forget))
