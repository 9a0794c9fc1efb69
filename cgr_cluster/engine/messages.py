"""What goes into an engine and what comes out: plain values; sockets, files and clocks are the shell's (design 3).

Between workers a step travels as `StepRequest`/`StepReply` (MessagePack, versioned by the mesh's hello); inside a worker
nothing is encoded.
"""

from __future__ import annotations

from typing import Any

import msgspec

MAX_HOPS = 8  # bound of `hops`: of chains of forwards, steps and method calls (design 7)
TOO_MANY_HOPS = "SERVER_ERROR: too many hops"

# --- inputs -------------------------------------------------------------------------------------------------------


class Request(msgspec.Struct, gc=False):
    """A client's call, as a balancer (or a forwarding worker) sends it. `params` is the raw first element of params."""

    uid: str
    method: str
    params: bytes
    reply_to: str  # balancer's or worker's link that gets the answer
    deadline_ns: int | None = None  # by this engine's clock; not started after it
    connection: str = ""
    hops: int = 0


class StepRequest(msgspec.Struct, array_like=True, tag=3, gc=False):
    """Step `number` of operation `op_id`, for `owner` (kind, key), which the sender believes in `shard` (-1: for the whole
    worker, a part of an `everywhere`)."""

    op_id: str
    number: int
    step: str
    owner: tuple[str, str]
    shard: int
    args: bytes
    now_ns: int
    generation: int
    connection: str
    hops: int
    from_worker: int
    to_worker: int
    run: int = 0  # tells this run of the operation from others of the same id: a reply to one is no answer to another


class StepReply(msgspec.Struct, array_like=True, tag=4, gc=False):
    op_id: str
    number: int
    from_worker: int
    run: int  # of the request
    result: bytes
    error: str | None = None
    delivering: bool = False  # what its part delivers is not with its owners yet (deliveries.py)


class StepMoved(msgspec.Struct, array_like=True, tag=8, gc=False):
    """The step was not done: its owner lives in another shard by now. The coordinator sends it there."""

    op_id: str
    number: int
    shard: int


class Forget(msgspec.Struct, array_like=True, tag=5, gc=False):
    """The operation has ended: its step results need not be kept any more."""

    op_id: str
    shards: list[int]
    numbers: list[int]


class Changeset(msgspec.Struct, array_like=True, tag=6, gc=False):
    """Reference data number `number`. `whole`: the complete state, for a worker that is too far behind."""

    number: int
    changes: list[tuple[str, str, bytes | None]]
    whole: bool = False


class ChangesetDone(msgspec.Struct, array_like=True, tag=7, gc=False):
    worker: int
    number: int


class OutsideResult(msgspec.Struct, gc=False):
    op_id: str
    number: int
    result: Any = None
    error: str | None = None


class AckedBelow(msgspec.Struct, gc=False):
    """A balancer has all answers of its requests below this sequence number."""

    balancer: str
    sequence: int


class ForwardedRequest(msgspec.Struct, array_like=True, tag=1, gc=False):
    """A request that another worker received first; its answer goes back through that worker."""

    uid: str
    method: str
    params: bytes
    owner: tuple[str, str]
    time_left_ns: int | None
    connection: str
    hops: int
    from_worker: int


class ForwardedAnswer(msgspec.Struct, array_like=True, tag=2, gc=False):
    uid: str
    body: bytes
    failed: bool


Input = (
    ForwardedRequest
    | ForwardedAnswer
    | Request
    | StepMoved
    | StepRequest
    | StepReply
    | Forget
    | Changeset
    | ChangesetDone
    | OutsideResult
    | AckedBelow
)


# --- outputs ------------------------------------------------------------------------------------------------------


class Answer(msgspec.Struct, gc=False):
    """The answer of a request: JSON bytes of the result, or the error's text."""

    reply_to: str
    uid: str
    body: bytes
    failed: bool


class ToWorker(msgspec.Struct, gc=False):
    worker: int
    message: (
        StepRequest | StepReply | StepMoved | Forget | Changeset | ChangesetDone | ForwardedRequest | ForwardedAnswer
    )


class OutsideCall(msgspec.Struct, gc=False):
    op_id: str
    number: int
    name: str
    args: tuple[Any, ...]


class Tell(msgspec.Struct, gc=False):
    connection: str
    method: str
    params: bytes


Output = Answer | ToWorker | OutsideCall | Tell


class Group(msgspec.Struct, gc=False):
    """All changes of a turn: (shard, `kind/key`, value or None)."""

    number: int
    generation: int
    records: list[tuple[int, str, bytes | None]]
