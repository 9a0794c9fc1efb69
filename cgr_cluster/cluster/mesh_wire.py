"""Frames between the workers of a cluster: one MessagePack list of messages each (design 3, "mesh").

The first message of a new incarnation is its `Hello`. Messages are delivered at least once and in order while both ends
live; what depends on exactly once is the engine's (`engine/remote_steps.py`).
"""

from __future__ import annotations

import msgspec

from cgr_cluster.engine.messages import (
    Changeset,
    ChangesetDone,
    Forget,
    ForwardedAnswer,
    ForwardedRequest,
    StepMoved,
    StepReply,
    StepRequest,
)

VERSION = 2


class Hello(msgspec.Struct, array_like=True, tag=0, gc=False):
    """A worker tells who it is. `answer`: it wants the other's Hello back."""

    version: int
    worker: int
    incarnation: int
    generation: int
    answer: bool


MeshMessage = (
    Hello
    | ForwardedRequest
    | ForwardedAnswer
    | StepRequest
    | StepReply
    | StepMoved
    | Forget
    | Changeset
    | ChangesetDone
)

encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[MeshMessage]).decode


def decode(frame: bytes) -> list[MeshMessage]:
    """Raises msgspec.ValidationError when the frame is of another version."""
    return _decode(frame)
