"""API methods that an operation calls, as a client would (`invoke`)."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import msgspec

from cgr_cluster.engine import messages as m
from cgr_cluster.engine.domain import Invoke
from cgr_cluster.engine.journal import Outcome
from cgr_cluster.engine.operation import Called, Running
from cgr_cluster.engine.placement import owner_text
from cgr_cluster.rpc.errors import ApiError

if TYPE_CHECKING:
    from cgr_cluster.engine.runner import Runner

logger = logging.getLogger("cgr_cluster.engine")

METHOD = "method:"  # in a journal: a method called
OPERATION = "operation:"  # in `reply_to`: the operation of this engine that waits for the answer


class MethodCalls:
    """Calls the methods that one runner's operations ask for."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self._engine = runner.engine
        self._running = runner.running

    def invoke(self, operation: Running, command: Invoke) -> Outcome | None:
        """Send a request to the method's owner, this worker's own engine included. Its uid is the same when the operation
        is run again, so that what was executed is answered from its record (`Done`). The method may need what the
        operation holds, so that goes first."""
        self._runner.release_all(operation)
        engine, journal, name = self._engine, operation.journal, METHOD + command.method
        hops = max(operation.hops, command.hops)
        if hops >= m.MAX_HOPS:
            logger.error(
                "%s (%s) reached the bound of %d hops at %s", operation.name, operation.uid, m.MAX_HOPS, command.method
            )
            return None, ApiError(m.TOO_MANY_HOPS)
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

    def answered(self, reply_to: str, body: bytes, failed: bool) -> None:
        """The answer of a method that an operation has called; `reply_to` is what its request named."""
        number_text, _, uid = reply_to.removeprefix(OPERATION).partition(":")
        number = int(number_text)
        operation = self._running.get(uid)
        waited = None if operation is None else operation.outstanding.get(number)
        if operation is None or not isinstance(waited, Called):
            return
        error = body.decode() if failed else None
        result = None if failed else msgspec.json.decode(body)
        operation.journal.note(number, waited.name, waited.owner, waited.params, result, error)
        self._runner.resolved(operation, number, result, None if error is None else ApiError(error))
