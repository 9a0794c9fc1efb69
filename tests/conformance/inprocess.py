#!/usr/bin/env python3
"""Run recorded scenarios against a whole node in this process, under a virtual clock: milliseconds a scenario.

    inprocess.py [--workers N] [--kill] [--verbose] PATH...

`run` of conform.py is used as it is; its client is a node, its time and datetime modules are the node's clock.
--kill: one worker is killed before every step, a different one each time.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import sys
import time
import traceback
from typing import Any

ROOT = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(ROOT.parent.parent), str(ROOT)]

import conform  # noqa: E402

from cgr_cluster.node.clock import VirtualDatetime, VirtualTime  # noqa: E402
from cgr_cluster.node.node import Node  # noqa: E402


class NodeClient:
    """What conform.py's `run` needs of a client, on a node."""

    def __init__(self, node: Node, kill: bool) -> None:
        self.node = node
        self.kill = kill
        self.calls = 0

    def call(self, method: str, params: Any) -> dict[str, Any]:
        self.calls += 1
        if self.kill:
            self.node.kill(self.calls % len(self.node.workers))
        return self.node.call(method, params)


def run_scenario(file: pathlib.Path, workers: int = 1, kill: bool = False) -> tuple[list[str], int, int]:
    """The differences (none: passed), the number of steps and of those that matched."""
    scenario = json.loads(file.read_text())
    node = Node(workers)
    conform.time, conform.datetime = VirtualTime(node), VirtualDatetime(node)
    bad: list[str] = []
    steps = matched = 0
    try:
        for index, call, found, _ in conform.run(scenario, NodeClient(node, kill), {"tp": str(ROOT / "tariffplans")}):
            steps += 1
            matched += not found
            if found:
                bad += [f"  step {index} {call}"] + [f"    {line}" for line in found[:12]]
    except (KeyError, TimeoutError, RuntimeError) as error:
        bad.append(f"  {type(error).__name__}: {error}")
        bad += traceback.format_exc().splitlines()[-6:]
    return bad, steps, matched


def scenario_files(paths: list[pathlib.Path]) -> list[pathlib.Path]:
    return [file for path in paths for file in (sorted(path.rglob("*.json")) if path.is_dir() else [path])]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paths", nargs="+", type=pathlib.Path, metavar="PATH")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--kill", action="store_true")
    parser.add_argument("--quiet", action="store_true", help="names only")
    options = parser.parse_args()
    passed = failed = all_steps = all_matched = 0
    begin = time.perf_counter()
    for file in scenario_files(options.paths):
        bad, steps, matched = run_scenario(file, options.workers, options.kill)
        passed, failed = passed + (not bad), failed + bool(bad)
        all_steps, all_matched = all_steps + steps, all_matched + matched
        print(f"{'FAIL' if bad else 'ok  '} {file}")
        if not options.quiet:
            for line in bad:
                print(line)
    print(f"steps: {all_matched} of {all_steps} matched in {time.perf_counter() - begin:.1f} s")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
