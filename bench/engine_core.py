#!/usr/bin/env python3
"""CPU of one engine per request, in process: no sockets, no log, no balancer; and the bytes it would log.

    engine_core.py [--rounds N] [--runs N] [--profile NAME]

Demo plan, one worker, 32 requests a turn; every run has its own node. A line shows the mean of the median run, and behind it
the lower quartile of all turns of all runs, which a busy machine disturbs less. The bytes are those of the records (shard
keys included) per request. `--profile` prints where the time of one kind of request goes.
"""

from __future__ import annotations

import argparse
import cProfile
import gc
import json
import pathlib
import pstats
import statistics
import sys
import time
from typing import Any

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from cgr_cluster.engine import messages as m
from cgr_cluster.node.node import Node

BATCH = 32
SECOND_NS = 10**9


def event(origin_id: str, usage: str, request_type: str = "*prepaid", **members: Any) -> dict[str, Any]:
    """An event as a switch sends it, with `members` beside it."""
    return {
        "Tenant": "cgrates.org",
        "ID": f"event-{origin_id}",
        "Event": {
            "OriginID": origin_id,
            "OriginHost": "sw1",
            "ToR": "*voice",
            "RequestType": request_type,
            "Account": "demo0000",
            "Destination": "4915123456789",
            "Category": "call",
            "SetupTime": "2026-11-24T09:59:55Z",
            "AnswerTime": "2026-11-24T10:00:00Z",
            "Usage": usage,
        },
        **members,
    }


def cost_of(index: int) -> dict[str, Any]:
    return {
        "Tenant": "cgrates.org",
        "Category": "call",
        "Subject": f"subject{index % 100}",
        "Destination": "4915123456789",
        "AnswerTime": "2026-11-24T10:00:00Z",
        "Usage": "90s",
    }


KINDS: dict[str, tuple[str, Any]] = {
    "authorize": ("SessionSv1.AuthorizeEvent", lambda i: event(f"call{i}", "60s", GetMaxUsage=True)),
    "initiate": ("SessionSv1.InitiateSession", lambda i: event(f"call{i}", "60s", InitSession=True)),
    "update": ("SessionSv1.UpdateSession", lambda i: event(f"call{i}", "60s", UpdateSession=True)),
    "update again": ("SessionSv1.UpdateSession", lambda i: event(f"call{i}", "60s", UpdateSession=True)),
    "terminate": ("SessionSv1.TerminateSession", lambda i: event(f"call{i}", "160s", TerminateSession=True)),
    "session CDR": ("SessionSv1.ProcessCDR", lambda i: event(f"call{i}", "160s")),
    "CDR *rated": ("CDRsV1.ProcessEvent", lambda i: event(f"rated{i}", "100s", "*rated")),
    "CDR *prepaid": ("CDRsV1.ProcessEvent", lambda i: event(f"prepaid{i}", "100s", "*prepaid")),
    "GetCost": ("APIerSv1.GetCost", cost_of),
}


class Bench:
    """One node with the demo plan, and what its engine logs."""

    def __init__(self) -> None:
        self.node = Node(1)
        self.node.call("APIerSv1.LoadTariffPlanFromFolder", {"FolderPath": "folder:demo"})
        self.node.advance(SECOND_NS)
        self.engine = self.node.workers[0].engine
        self.sequence = 0

    def requests(self, kind: str, count: int) -> list[m.Request]:
        method, params = KINDS[kind]
        out = []
        for index in range(count):
            self.sequence += 1
            raw = json.dumps(params(index), separators=(",", ":")).encode()
            out.append(m.Request(f"b9:{self.sequence}", method, raw, "b9", None, ""))
        return out

    def outside(self, call: m.OutsideCall) -> m.OutsideResult:
        return m.OutsideResult(call.op_id, call.number, self.node.outside[call.name](*call.args))

    def run(self, requests: list[m.Request]) -> tuple[list[float], float]:
        """CPU µs per request of each batch, and logged bytes per request. Raises RuntimeError for a failed answer."""
        engine, now = self.engine, self.node.now_ns
        answers: list[m.Answer] = []
        size = 0
        times: list[float] = []
        for first in range(0, len(requests), BATCH):
            inputs: list[m.Input] = list(requests[first : first + BATCH])
            count = len(inputs)
            spent = 0.0
            while inputs or engine.has_work:
                begin = time.process_time()
                group = engine.turn(now, inputs)
                out = engine.released(engine.number)
                spent += time.process_time() - begin
                if group is not None:
                    size += sum(4 + len(key) + len(value or b"") for _, key, value in group.records)
                inputs = [self.outside(one) for one in out if isinstance(one, m.OutsideCall)]
                answers += [one for one in out if isinstance(one, m.Answer)]
            times.append(spent / count * 1e6)
        failed = next((answer for answer in answers if answer.failed), None)
        if failed is not None or len(answers) != len(requests):
            raise RuntimeError(f"{len(answers)} answers of {len(requests)}, failed: {failed}")
        return times, size / len(requests)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=2000, help="requests of each kind in a run")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--profile", choices=list(KINDS), help="print the functions that take the time of this kind")
    arguments = parser.parse_args()
    runs: dict[str, list[list[float]]] = {kind: [] for kind in KINDS}
    sizes: dict[str, float] = {}
    for _ in range(1 if arguments.profile else arguments.runs):
        bench = Bench()
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 20, 100)  # as a worker does
        for kind in KINDS:
            requests = bench.requests(kind, arguments.rounds)
            if kind == arguments.profile:
                profile = cProfile.Profile()
                profile.runcall(bench.run, requests)
                pstats.Stats(profile).sort_stats("tottime").print_stats(45)
                return
            times, sizes[kind] = bench.run(requests)
            runs[kind].append(times)
    for kind, turns in runs.items():
        mean = statistics.median(statistics.fmean(times) for times in turns)
        quiet = statistics.quantiles([time for times in turns for time in times], n=4)[0]
        print(f"{mean:8.1f} µs {quiet:8.1f} µs {sizes[kind]:8.0f} bytes logged  {kind}")


if __name__ == "__main__":
    main()
