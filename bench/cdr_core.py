#!/usr/bin/env python3
"""Microseconds of CPU for a CDR, in one process and without transport.

    cdr_core.py [--cdrs N] [--profile]

"process" is CDRsV1.ProcessEvent of a *rated call through an engine, in turns of 64 requests: decode, chargers, guard, rating,
record, group; "outbox" what the worker does to hand a record over; "store" what the store process does with it (unpack, SQLite
with synchronous=FULL in batches of 2000). Together they are the CDR's cost over all processes, but for the balancer and the log.
"""

from __future__ import annotations

import argparse
import cProfile
import gc
import json
import pathlib
import pstats
import sys
import tempfile
import time
from typing import Any

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from cgr_cluster.cdrs.outbox import Outbox, entries_of  # noqa: E402
from cgr_cluster.cdrs.store import CdrFiles, CdrReader, CdrWriter  # noqa: E402
from cgr_cluster.engine import messages as m  # noqa: E402
from cgr_cluster.node.node import Node  # noqa: E402

PLAN = ROOT / "tests" / "conformance" / "tariffplans" / "cdrs_retail"
TURN = 64
MAX_BATCH = 2000


def request(number: int, request_type: str) -> m.Request:
    event = {
        "OriginID": f"call-{number}", "OriginHost": "10.1.1.1", "ToR": "*voice", "RequestType": request_type,
        "Category": "call", "Account": f"4917{number % 10000:06d}", "Destination": "4915112233",
        "SetupTime": "2026-03-02T10:00:00Z", "AnswerTime": "2026-03-02T10:00:05Z", "Usage": "90s", "Trunk": "t1",
    }  # fmt: skip
    params: dict[str, Any] = {"Tenant": "cgrates.org", "ID": f"ev-{number}", "Event": event}
    return m.Request(f"b1:{number}", "CDRsV1.ProcessEvent", json.dumps(params).encode(), "b1")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cdrs", type=int, default=20_000)
    parser.add_argument("--type", default="*rated", help="request type of the calls")
    parser.add_argument("--profile", action="store_true")
    given = parser.parse_args()
    node = Node()
    loaded = node.call("APIerSv1.LoadTariffPlanFromFolder", {"FolderPath": str(PLAN)})
    assert loaded["error"] is None, loaded
    for number in range(1, 20_000) if given.type != "*rated" else ():
        if number < 10_000:
            balance = {
                "Account": f"4917{number:06d}",
                "BalanceType": "*monetary",
                "Value": 1000,
                "Balance": {"ID": "m"},
            }
            assert node.call("APIerSv1.SetBalance", balance)["error"] is None
    engine = node.workers[0].engine
    warm, total = 2_000, given.cdrs
    requests = [request(number, given.type) for number in range(warm + total)]
    groups: list[m.Group] = []

    def run(part: list[m.Request]) -> None:
        for start in range(0, len(part), TURN):
            inputs: list[m.Input] = list(part[start : start + TURN])
            while inputs or engine.has_work:
                node.now_ns += 1000
                group = engine.turn(node.now_ns, inputs)
                inputs = []
                if group is not None:
                    groups.append(group)
                for output in engine.released(engine.number):
                    if isinstance(output, m.OutsideCall):
                        inputs.append(node._ask_outside(output))
                    elif isinstance(output, m.ToWorker):
                        inputs.append(output.message)

    gc.collect()
    gc.freeze()
    run(requests[:warm])
    groups.clear()
    profile = cProfile.Profile()
    begin = time.process_time()
    if given.profile:
        profile.enable()
    run(requests[warm:])
    profile.disable()
    process = time.process_time() - begin
    if given.profile:
        pstats.Stats(profile).sort_stats("tottime").print_stats(40)
    logged = sum(len(value or b"") for group in groups for _, _, value in group.records)

    outbox = Outbox()
    begin = time.process_time()
    for group in groups:
        outbox.durable(group.records)
    batches = []
    while (batch := outbox.batch(MAX_BATCH)) is not None:
        outbox.acknowledged(batch.number)
        batches.append(batch)
    handed = time.process_time() - begin

    with tempfile.TemporaryDirectory() as folder:
        files = CdrFiles(pathlib.Path(folder))
        writer = CdrWriter(files)
        begin, clock = time.process_time(), time.perf_counter()
        for batch in batches:
            writer.put(entries_of(batch.entries))
        stored, elapsed = time.process_time() - begin, time.perf_counter() - clock
        assert CdrReader(files).count(()) == total
        files.close()
        size = sum(path.stat().st_size for path in pathlib.Path(folder).iterdir())
    print(f"process {process / total * 1e6:7.1f} µs a CDR   ({logged // total} bytes logged)")
    print(f"outbox  {handed / total * 1e6:7.1f} µs")
    print(
        f"store   {stored / total * 1e6:7.1f} µs CPU, {elapsed / total * 1e6:.1f} µs elapsed   ({size // total} bytes a row)"
    )


if __name__ == "__main__":
    main()
