"""How far a large load is: its phases, and what a client is told of them (APIerSv1.GetLoadProgress, docs/decks.md).

Progress is kept by the leader's process only, beside the engine: a load that a crash interrupts begins its phase again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from cgr_cluster.engine.domain import Operation, Steps, outside
from cgr_cluster.rpc.owners import LEADER_RULE
from cgr_cluster.rpc.registry import Params, method
from cgr_cluster.tariffs.slices import SLICE_ROWS, Slices

T = TypeVar("T")

Report = Callable[[str, int, int], None]  # phase, how much of it is done, of how much (0: nobody knows)

WAITING = "waiting for its turn"
READING = "reading bytes"
CHECKING = "checking rows"
MAKING = "making objects"
PACKING = "packing objects"
WRITING = "writing objects"
SWITCHING = "switching"
ACCOUNTS = "loading accounts"


class LoadProgress(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A load that is under way. `source`: the folder, or `tariff plan TPID`. Times in ns since the epoch."""

    uid: str
    source: str
    phase: str
    done: int
    total: int
    since_ns: int


def nobody(phase: str, done: int, total: int) -> None:
    """A `Report` that nobody looks at."""


def counted(work: Slices[T], report: Report, phase: str, total: int) -> T:
    """The result of work that yields every SLICE_ROWS rows, telling how far it is."""
    done = 0
    report(phase, 0, total)
    while True:
        try:
            next(work)
        except StopIteration as end:
            result: T = end.value
            return result
        done += SLICE_ROWS
        report(phase, min(done, total), total)


class ArgsGetLoadProgress(Params, go="v1.ArgsGetLoadProgress"):
    pass


@method("APIerSv1.GetLoadProgress", owner=LEADER_RULE)
def get_load_progress(op: Operation, params: ArgsGetLoadProgress) -> Steps[list[dict[str, Any]]]:
    """A method of ours: the large loads and removals that are under way, in the order of their beginning."""
    found: list[LoadProgress] = yield outside("running_loads", returns=list[LoadProgress])
    return [
        {
            "LoadID": load.uid,
            "Source": load.source,
            "Phase": load.phase,
            "Done": load.done,
            "Total": load.total,
            "Seconds": round((op.now_ns - load.since_ns) / 1e9, 1),
        }
        for load in found
    ]
