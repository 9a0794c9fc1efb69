"""What an action asks of others before its group goes on: API methods, other systems (spec 20 §5.2, 5.3; runs.py), and
the objects of others that its filters read (`~*stats.Q.*acd`; 50 §2.3).

A group is run in one step, which cannot wait. An action that needs an answer raises `CallNeededError`: the run is dropped,
the operation makes the call, and the group is run again with the answer. Nothing is held meanwhile, so an endpoint that is
slow or dead delays nobody but who waits for this very group. A call of a method is made once; a call of another system
may be repeated after a crash.
"""

from __future__ import annotations

import logging

import msgspec

from cgr_cluster.engine.codec import pack
from cgr_cluster.engine.domain import Operation, Outside, Steps, invoke, outside, sleep, task
from cgr_cluster.filters.live import Need
from cgr_cluster.rpc.errors import ApiError

logger = logging.getLogger("cgr_cluster.actions")

TRY_AGAIN_NS = 1_000_000_000  # times the number of the try
MAX_TRIES = 10  # of a call of another system
POST_TRIES = 3
_UNKNOWN = ("rpc: can't find service ", "rpc: can't find method ")


class MethodCall(msgspec.Struct, array_like=True, frozen=True, tag="method", gc=False):
    """A method of ours. `subsystem`: the name in the error while it is not built."""

    method: str
    params: bytes
    subsystem: str


class RemoteCall(msgspec.Struct, array_like=True, frozen=True, tag="remote", gc=False):
    """A JSON-RPC method of another system; `params` is JSON."""

    address: str
    transport: str
    method: str
    params: str
    tries: int


class AccountPost(msgspec.Struct, array_like=True, frozen=True, tag="post", gc=False):
    """An account as JSON to a URL. The answer counts for this `version` of the stored account only."""

    url: str
    account: str
    version: str


class LiveRead(msgspec.Struct, array_like=True, frozen=True, tag="live", gc=False):
    """An object that a filter of the action reads (filters/live.py). The answer is the object, packed; None: none."""

    root: str
    tenant: str
    object_id: str

    @property
    def version(self) -> str:
        return f"{self.root} {self.tenant}:{self.object_id}"


Call = MethodCall | RemoteCall | AccountPost | LiveRead


class Asked(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """Call `number` of the action at `place` in the order of running; 0: for its filters."""

    place: int
    number: int
    call: Call


class Answer(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """What came of it: `body` is JSON, or there is an `error`."""

    place: int
    number: int
    body: bytes = b"null"
    error: str = ""
    version: str = ""


class CallNeededError(Exception):
    """The group goes on when this call has been made."""

    def __init__(self, asked: Asked) -> None:
        super().__init__(f"call {asked.number} of action {asked.place}")
        self.asked = asked


def answer_to(asked: Asked, hops: int) -> Steps[Answer]:
    """Make the call."""
    call = asked.call
    version = call.version if isinstance(call, AccountPost | LiveRead) else ""
    try:
        if isinstance(call, MethodCall):
            body = yield from call_method(call, hops)
        elif isinstance(call, LiveRead):
            body = pack((yield Need(call.root, call.tenant, call.object_id).ask()))
        elif isinstance(call, RemoteCall):
            asking = outside("json_rpc", call.address, call.transport, call.method, call.params)
            body = yield from _tried(call.tries, f"{call.method} at {call.address}", asking)
        else:
            body = yield from _tried(POST_TRIES, call.url, outside("post_json", call.url, call.account))
    except ApiError as error:
        return Answer(asked.place, asked.number, error=error.text or "UNKNOWN_ERROR", version=version)
    return Answer(asked.place, asked.number, body, version=version)


def call_method(call: MethodCall, hops: int) -> Steps[bytes]:
    """The method's result as JSON. Raises its error; `NOT_CONNECTED: X` when subsystem X is not there."""
    try:
        result = yield invoke(call.method, call.params, hops)
    except ApiError as error:
        if call.subsystem and error.text.startswith(_UNKNOWN):
            raise ApiError(f"NOT_CONNECTED: {call.subsystem}") from None
        raise
    return msgspec.json.encode(result)


def _tried(tries: int, what: str, command: Outside) -> Steps[bytes]:
    """Ask the outside up to `tries` times, 1, 2, 3 ... seconds apart. Raises the last error."""
    number = 1
    while True:
        try:
            answer: str = yield command
            return answer.encode()
        except ApiError as error:
            logger.warning("%s, try %d of %d: %s", what, number, tries, error.text)
            if number >= tries:
                raise
        yield sleep(number * TRY_AGAIN_NS)
        number += 1


@task("actions.call")
def call_later(op: Operation, call: Call, hops: int) -> Steps[None]:
    """A call that nobody waits for. What comes of it is logged."""
    answer = yield from answer_to(Asked(0, 0, call), hops)
    if answer.error:
        logger.warning("call of %s ended with: %s", call, answer.error)
