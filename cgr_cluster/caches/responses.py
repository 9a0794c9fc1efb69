"""The cache of answers, partition `*rpc_responses` (spec 01 §12, 30.14, 40 §3.1): a request that is repeated within the
partition's ttl gets its first answer, an error too, and does nothing. Off by default (limit 0).

Theory of operation. An answer is kept under method, tenant and id of the event, at the owner that this text hashes to. Of two
equal requests at once the second waits for the first: they are for one account or call and so reach the same worker. An
answer that is not durable yet is not found; a request that a crash interrupts is run on by the engine and keeps its answer then.
"""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec
from msgspec.structs import replace

from cgr_cluster.engine.domain import GenerationView, Operation, Part, Steps, exclusive, step, stored, timer
from cgr_cluster.engine.owner import registry_owner
from cgr_cluster.events.durations import parse_duration
from cgr_cluster.events.values import text_of
from cgr_cluster.rpc.encode import encode_result
from cgr_cluster.rpc.errors import ApiError

T = TypeVar("T")
PARTITION = "*rpc_responses"


class _Settings(msgspec.Struct, frozen=True):
    """`ttl_ns` 0: nothing is kept. `restarts`: every use begins the ttl again."""

    ttl_ns: int
    restarts: bool


def _read(generation: GenerationView) -> _Settings:
    partition: dict[str, Any] = (generation.config("caches").get("partitions") or {}).get(PARTITION) or {}
    ttl_ns = parse_duration(text_of(partition.get("ttl"))) if partition.get("limit") else 0
    return _Settings(max(ttl_ns, 0), not partition.get("static_ttl"))


@stored("response")
class Response(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """An answer: the JSON of its result, or its error's text."""

    body: bytes
    failed: bool
    expires_ns: int

    def draft(self) -> Response:
        return self


@step("responses.look_up")
def look_up(part: Part, key: str, restart_ns: int) -> Response | None:
    """The answer that is kept under `key`. `restart_ns` above 0: for so long from now on."""
    kept = part.read(Response, key)
    if kept is None or kept.expires_ns <= part.now_ns:
        return None
    if restart_ns:
        keep.function(part, key, replace(kept, expires_ns=part.now_ns + restart_ns))
    return kept


@step("responses.keep")
def keep(part: Part, key: str, response: Response) -> None:
    part.put(Response, key, response)
    part.set_timer(f"response/{key}", response.expires_ns, "responses.forget", key)


@timer("responses.forget")
def forget(part: Part, key: str) -> None:
    part.delete(Response, key)


def once(op: Operation, method: str, names: tuple[str, str], work: Steps[T]) -> Steps[T]:
    """The answer of `work`, or that of an equal request before it. `names`: what tells requests of this method apart, tenant and
    id of the event; an empty second name is never repeated."""
    settings = op.generation.derived(_read, "config")
    if not settings.ttl_ns or not names[1]:
        return work
    return _once(op, f"{method}:{names[0]}:{names[1]}", settings, work)


def _once(op: Operation, key: str, settings: _Settings, work: Steps[T]) -> Steps[T]:
    owner = registry_owner(key)
    yield exclusive(f"response {key}")
    kept: Response | None = yield look_up.at(owner, key, settings.ttl_ns if settings.restarts else 0)
    if kept is not None:
        if kept.failed:
            raise ApiError(kept.body.decode())
        first: T = msgspec.json.decode(kept.body)
        return first
    expires_ns = op.now_ns + settings.ttl_ns
    try:
        answer = yield from work
    except ApiError as error:
        yield keep.at(owner, key, Response(error.text.encode(), True, expires_ns))
        raise
    yield keep.at(owner, key, Response(encode_result(answer), False, expires_ns))
    return answer
