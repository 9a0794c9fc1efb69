"""Messages between a balancer and a worker: MessagePack arrays, one ZeroMQ message each (design 4, 11).

The worker is a DEALER whose routing id is `worker_link(number, incarnation)`; the balancer is a ROUTER and knows a
worker from its `Hello` on. One message is one frame (behind the routing id on the ROUTER's side).

Conversation
    worker → Hello                       first message of every incarnation, and again when `default_tenant` changes and
                                         every HELLO_SECONDS: a balancer that was started again knows nobody
    balancer → Welcome                   the first Hello of an incarnation was read; batches follow, calls that an earlier
                                         incarnation has not answered first, with the same uid
    balancer → Batch(number=n)           all requests of one balancer turn for this worker
    worker → Answers(taken=n, ...)       `taken` gives the credit back: the worker has read batch n. At most CREDITS
                                         batches are on the way; so send it when the turn that read it ends, with
                                         whatever answers are released by then (also none)
    worker → Leaving                     stop sending: the worker finishes what it has and goes
    worker → Moved                       the shard is not the worker's; the balancer sends the request to its owner
    worker → Tell, balancer → TellReply  a call to a two-way client, and its answer

A request's uid is `BALANCER:SEQUENCE`; it stays when the request is delivered again. `Batch.acked_below` says that all
answers of this balancer's requests below that sequence number have come from this worker: what was kept for their
redelivery may be dropped.
"""

from __future__ import annotations

import msgspec

VERSION = 1
HELLO_SECONDS = 0.2
CREDITS = 2  # batches on the way to one worker
NO_DEADLINE = -1
ALL_CLIENTS = "*"  # connection of a Tell that goes to every two-way client of the balancer


def worker_link(worker: int, incarnation: int) -> bytes:
    """Routing id of a worker's socket. Never reused: a second DEALER with the same id is dropped silently."""
    return b"worker:%d:%d" % (worker, incarnation)


# --- worker → balancer --------------------------------------------------------------------------------------------


class Hello(msgspec.Struct, array_like=True, tag=1, gc=False):
    """Who the worker is and what it owns. `map_version` grows with every change of the shard map."""

    version: int
    worker: int
    incarnation: int
    generation: int
    shards: list[int]
    map_version: int
    default_tenant: str


class AnswerItem(msgspec.Struct, array_like=True, gc=False):
    """`body` is the JSON of the result, or the error's text (UTF-8, not quoted) when `failed`."""

    uid: str
    failed: bool
    body: bytes


class Answers(msgspec.Struct, array_like=True, tag=2, gc=False):
    """Released answers, and the number of the newest batch that was read (0: none yet)."""

    taken: int
    items: list[AnswerItem]


class Moved(msgspec.Struct, array_like=True, tag=3, gc=False):
    """The request was not executed: `shard` belongs to `worker` since `map_version`."""

    uid: str
    shard: int
    worker: int
    map_version: int


class Tell(msgspec.Struct, array_like=True, tag=4, gc=False):
    """Call `method` on a two-way client. `connection` is the text that its requests carried, or `*` for all clients.
    `params` is the raw JSON of the one parameter. A `number` above 0 wants a TellReply, within `timeout_ms`."""

    connection: str
    method: str
    params: bytes
    number: int = 0
    timeout_ms: int = 2_000


class Leaving(msgspec.Struct, array_like=True, tag=5, gc=False):
    worker: int


# --- balancer → worker --------------------------------------------------------------------------------------------


class Welcome(msgspec.Struct, array_like=True, tag=16, gc=False):
    """`balancer` is the first part of uids, and of connections: `BALANCER/NUMBER`."""

    version: int
    balancer: str


class RequestItem(msgspec.Struct, array_like=True, gc=False):
    """`params` is the raw first element of the call's params. `time_left_ms` counts from now, NO_DEADLINE for none.
    `connection` is empty unless the client can be called back."""

    uid: str
    method: str
    params: bytes
    time_left_ms: int
    connection: str
    hops: int = 0


class Batch(msgspec.Struct, array_like=True, tag=17, gc=False):
    number: int
    acked_below: int
    requests: list[RequestItem]


class TellReply(msgspec.Struct, array_like=True, tag=18, gc=False):
    """The client's answer: JSON of its result, or its error's text. `DISCONNECTED` when it is gone, `REPLY_TIMEOUT`."""

    number: int
    failed: bool
    body: bytes


FromWorker = Hello | Answers | Moved | Tell | Leaving
ToWorker = Welcome | Batch | TellReply

_encode = msgspec.msgpack.Encoder().encode
_from_worker: msgspec.msgpack.Decoder[FromWorker] = msgspec.msgpack.Decoder(FromWorker)
_to_worker: msgspec.msgpack.Decoder[ToWorker] = msgspec.msgpack.Decoder(ToWorker)


def encode(message: FromWorker | ToWorker) -> bytes:
    return _encode(message)


def decode_from_worker(data: bytes) -> FromWorker:
    """Raises msgspec.DecodeError for what is no message of this version."""
    return _from_worker.decode(data)


def decode_to_worker(data: bytes) -> ToWorker:
    """Raises msgspec.DecodeError for what is no message of this version."""
    return _to_worker.decode(data)
