"""Walks over all shards: the steps of an operation that looks at every account (spec 20 §6)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cgr_cluster.engine.domain import Call, StepDef, Steps, everywhere, sleep, together
from cgr_cluster.engine.owner import LEADER
from cgr_cluster.engine.placement import TRY_AGAIN_NS, begin_walk, end_walk
from cgr_cluster.rpc.errors import ApiError

SHARDS_AT_ONCE = 16  # shards that are asked together, spread over the workers
FIRST_AT_ONCE = 2  # as long as nobody knows how much there is in a shard
ENOUGH = 2_000  # objects looked at before an operation lets other work go first
PAUSE_NS = 1_000_000  # how long it then waits


def over_shards(where: StepDef, call_of: Callable[[int], Call]) -> Steps[list[tuple[int, Any]]]:
    """Do a step at every shard that has something; `where`, asked everywhere, says which of a worker's shards have. The
    step answers (result, number of objects it has looked at). Gives (shard, result) by shard.

    The more there is in a shard the fewer shards are asked together, so that no turn gets long. Raises a step's error.
    """
    found = yield everywhere(where)
    order = sorted((number for numbers in found for number in numbers), key=lambda n: (n % SHARDS_AT_ONCE, n))
    results: list[tuple[int, Any]] = []
    done, at_once, since_pause = 0, FIRST_AT_ONCE, 0
    while done < len(order):
        batch = order[done : done + at_once]
        looked_at = 0
        for number, answer in zip(batch, (yield together([call_of(number) for number in batch])), strict=True):
            if isinstance(answer, ApiError):
                raise answer
            result, here = answer
            results.append((number, result))
            looked_at += here
        done += len(batch)
        since_pause += looked_at
        if since_pause > ENOUGH:
            since_pause = 0
            yield sleep(PAUSE_NS)
        at_once = max(1, min(SHARDS_AT_ONCE, ENOUGH * len(batch) // max(looked_at, 1)))
    results.sort(key=lambda result: result[0])
    return results


def meeting_each_once(name: str, where: StepDef, call_of: Callable[[int], Call]) -> Steps[list[tuple[int, Any]]]:
    """As `over_shards`, while no account moves to another shard: the walk meets each account once. `name` is the walk's own."""
    while not (yield begin_walk.at(LEADER, name)):
        yield sleep(TRY_AGAIN_NS)
    try:
        results = yield from over_shards(where, call_of)
    except ApiError:
        yield end_walk.at(LEADER, name)
        raise
    yield end_walk.at(LEADER, name)
    return results
