#!/usr/bin/env python3
"""CPU per request of a whole node, all its processes together, beside the goals of the design's table.

    .venv/bin/python bench/requests.py [--requests N] [--rounds R] [--workers W] [--port-base P] [--compiled] [--by-process] [--json]

It starts a throw-away node with durable commits, loads the demo plan, and sends each kind of request pipelined over 8
connections, then one at a time. Figures are medians over the rounds. The load generator's own CPU is not in them; its
share of a core is shown for the whole calls. Other work on the machine makes the rates smaller, the CPU hardly.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import pathlib
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from statistics import median
from typing import Any, NamedTuple

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

import psutil
import uvloop

from cgr_cluster.cli.client import UnreachableError
from cgr_cluster.cli.compiled import node_command
from cgr_cluster.cli.stress import session, setup
from cgr_cluster.cli.stress.accounts import Account
from cgr_cluster.cli.stress.connections import Connections, request_head
from cgr_cluster.cli.stress.plan import parse_mix
from conf.demo.tariff import TENANT

ROOT = pathlib.Path(__file__).resolve().parent.parent
CONNECTIONS = 8
IN_FLIGHT = 256
START_S = 20.0
ACCOUNTS = 125  # every eighth of the demo is prepaid without free minutes
NUMBER = "491511234567"  # a mobile: a first minute, then steps of six seconds


class Kind(NamedTuple):
    name: str
    goal_us: float
    method: str
    flags: dict[str, Any]
    event: dict[str, Any]


KINDS = (
    Kind("GetCost, 90 s, two rates", 25, "APIerSv1.GetCost", {}, {}),
    Kind("AuthorizeEvent, prepaid", 25, "SessionSv1.AuthorizeEvent", {"GetMaxUsage": True}, {"Usage": "90s"}),
    Kind("InitiateSession, prepaid", 40, "SessionSv1.InitiateSession", {"InitSession": True}, {"Usage": "60s"}),
    Kind(
        "UpdateSession, prepaid", 40, "SessionSv1.UpdateSession", {"UpdateSession": True},
        {"Usage": "60s", "LastUsed": "60s"},
    ),
    Kind("TerminateSession", 40, "SessionSv1.TerminateSession", {"TerminateSession": True}, {"Usage": "90s"}),
    Kind("CDRsV1.ProcessEvent, *rated", 50, "CDRsV1.ProcessEvent", {}, {"RequestType": "*rated", "Usage": "90s"}),
    Kind("CDRsV1.ProcessEvent, *prepaid", 60, "CDRsV1.ProcessEvent", {}, {"Usage": "90s"}),
)  # fmt: skip
GOAL_CALLS_PER_S, GOAL_WAITING_PER_S = 7000, 6000


class Node:
    """The node under test, as processes."""

    def __init__(self, port: int, workers: int, compiled: bool) -> None:
        command = [*node_command(compiled), "--ephemeral", "--port-base", str(port)]
        self.process = subprocess.Popen(
            [*command, "--workers", str(workers), "--log-level", "error"], cwd=ROOT, stdout=subprocess.DEVNULL
        )

    def cpu_ns(self) -> int:
        """CPU that all its processes have used, threads included."""
        return self.cpu_ns_by_process().total()

    def cpu_ns_by_process(self) -> Counter[str]:
        """The same by the processes' names."""
        parent, found = psutil.Process(self.process.pid), Counter[str]()
        for child in (parent, *parent.children(recursive=True)):
            found[child.name()] += _cpu_ns(child.pid)
        return found

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()


def _cpu_ns(pid: int) -> int:
    """Linux counts run time per thread in ns (schedstat); elsewhere psutil's hundredths of a second have to do."""
    tasks = pathlib.Path(f"/proc/{pid}/task")
    try:
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks.iterdir())
    except FileNotFoundError:
        times = psutil.Process(pid).cpu_times()
        return int((times.user + times.system) * 1e9)


def heads(kind: Kind, round_id: str, count: int) -> Iterator[bytes]:
    """Requests of a kind. Sessions of one round have the same ids for all kinds, records have their own."""
    own = "" if kind.method.startswith("SessionSv1") else f"{kind.event.get('RequestType', '')}{kind.method}"
    for number in range(count):
        account = f"demo{number % ACCOUNTS * 8:04d}"
        if kind.method.endswith("GetCost"):
            yield request_head(
                kind.method,
                {"Tenant": TENANT, "Category": "call", "Subject": account, "Destination": NUMBER,
                 "AnswerTime": "2026-03-02T10:00:00Z", "Usage": "90s"},
            )  # fmt: skip
            continue
        event = {
            "OriginID": f"{round_id}-{own}{number}", "OriginHost": "bench", "ToR": "*voice", "RequestType": "*prepaid",
            "Account": account, "Destination": NUMBER, "SetupTime": "2026-03-02T10:00:00Z",
            "AnswerTime": "2026-03-02T10:00:00Z", **kind.event,
        }  # fmt: skip
        yield request_head(kind.method, {**kind.flags, "Tenant": TENANT, "Event": event})


async def send_all(connections: Connections, requests: list[bytes], in_flight: int) -> tuple[float, int]:
    """Seconds for all of them, and how many were answered with an error."""
    done = asyncio.get_running_loop().create_future()
    left, errors = len(requests), 0
    waiting = iter(requests)

    def answered(result: bytes, error: str | None, took_ns: int) -> None:
        nonlocal left, errors
        left -= 1
        if error is not None:
            errors += 1
            if errors == 1:
                print(f"error: {error}", file=sys.stderr)
        if not left:
            done.set_result(None)
        elif (head := next(waiting, None)) is not None:
            connections.next().send(head, answered, lost)

    def lost() -> None:
        if not done.done():
            done.set_exception(UnreachableError("the node closed a connection"))

    begin = time.perf_counter()
    for head in list(islice(waiting, in_flight)):
        connections.next().send(head, answered, lost)
    await done
    return time.perf_counter() - begin, errors


def _medians(rounds: list[dict[str, float]]) -> dict[str, float]:
    """CPU µs by process, those that have used any."""
    names = sorted({name for spent in rounds for name in spent})
    found = {name: round(median(spent.get(name, 0.0) for spent in rounds), 1) for name in names}
    return {name: us for name, us in found.items() if us}


async def connected(port: int, count: int) -> Connections:
    end = time.monotonic() + START_S
    while True:
        connections = Connections(("127.0.0.1", port))
        try:
            await connections.open(count)
            return connections
        except UnreachableError:
            if time.monotonic() > end:
                raise
            await asyncio.sleep(0.1)


async def measure(node: Node, port: int, requests: int, rounds: int) -> dict[str, Any]:
    connections = await connected(port, CONNECTIONS)
    found: dict[str, Any] = {
        kind.name: {"goal_us": kind.goal_us, "us": [], "by": [], "per_s": [], "errors": 0} for kind in KINDS
    }
    found["waiting"] = []
    try:
        await setup.prepare(connections, [Account(number) for number in range(1000)])
        await send_all(connections, list(heads(KINDS[1], "warm", 500)), IN_FLIGHT)
        for number in range(rounds):
            for kind in KINDS:
                load = list(heads(kind, f"{time.time_ns()}" if kind is KINDS[0] else f"r{number}", requests))
                before = node.cpu_ns_by_process()
                seconds, errors = await send_all(connections, load, IN_FLIGHT)
                row = found[kind.name]
                spent = node.cpu_ns_by_process()
                spent.subtract(before)
                row["us"].append(spent.total() / requests / 1000)
                row["by"].append({name: ns / requests / 1000 for name, ns in spent.items()})
                row["per_s"].append(requests / seconds)
                row["errors"] += errors
            seconds, _ = await send_all(connections, list(heads(KINDS[1], "one", requests // 5)), 1)
            found["waiting"].append(requests // 5 / seconds)
    finally:
        connections.close()
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--requests", type=int, default=2000, metavar="N", help="of a kind and round (default: %(default)s)"
    )
    parser.add_argument("--rounds", type=int, default=3, metavar="R", help="default: %(default)s")
    parser.add_argument("--workers", type=int, default=1, metavar="W", help="default: %(default)s")
    parser.add_argument("--port-base", type=int, default=24012, metavar="P", help="default: %(default)s")
    parser.add_argument("--compiled", action="store_true", help="with the modules that scripts/compile has compiled")
    parser.add_argument("--by-process", action="store_true", help="also what each process has of it")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    node = Node(options.port_base, options.workers, options.compiled)
    loop = uvloop.new_event_loop()
    try:
        found = loop.run_until_complete(measure(node, options.port_base, options.requests, options.rounds))
        before = node.cpu_ns()
        calls = session.StressOptions(
            ("127.0.0.1", options.port_base), 3 * options.requests, None, None, 1000, parse_mix("prepaid=1"), (61, 119), True,
            CONNECTIONS, 128, True, 1,
        )  # fmt: skip
        stressed = session.stress(calls, sys.stderr)
        call_us = (node.cpu_ns() - before) / (3 * options.requests) / 1000
    finally:
        loop.close()
        node.stop()
    waiting = median(found.pop("waiting"))
    rows = {
        name: {
            "us": round(median(row["us"]), 1), "by_process": _medians(row["by"]), "goal_us": row["goal_us"], "per_s": round(median(row["per_s"])),
            "errors": row["errors"],
        }
        for name, row in found.items()
    }  # fmt: skip
    whole = {
        "per_s": stressed["calls_per_s"], "goal_per_s": GOAL_CALLS_PER_S, "own_cpu_share": stressed["own_cpu_share"],
        "us_with_setup_and_reading": round(call_us), "balanced": stressed["balanced"],
    }  # fmt: skip
    if options.json:
        print(json.dumps({"requests": rows, "whole_call": whole, "waiting_per_s": round(waiting)}, indent=1))
        return 0
    print(f"{options.workers} worker, {options.requests} requests of a kind, medians of {options.rounds} rounds")
    print(f"  {'request':32} {'CPU µs':>8} {'goal':>6} {'per s':>8}")
    for name, row in rows.items():
        wrong = f"  {row['errors']} errors" if row["errors"] else ""
        print(f"  {name:32} {row['us']:8.1f} {row['goal_us']:6.0f} {row['per_s']:8}{wrong}")
        if options.by_process:
            print("    " + ", ".join(f"{process} {us}" for process, us in row["by_process"].items()))
    print(f"  {'authorise, one waiting client':32} {'':8} {'':6} {waiting:8.0f}  goal {GOAL_WAITING_PER_S}")
    print(
        f"  {'whole prepaid call':32} {'':8} {'':6} {whole['per_s']:8.0f}  goal {GOAL_CALLS_PER_S}; load generator "
        f"{whole['own_cpu_share']:.0%} of a core; balanced: {'yes' if whole['balanced'] else 'no'}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
