"""A monthly top-up of many accounts on a whole node: accounts a second, what other calls notice, memory.

    .venv/bin/python bench/plan_runs.py [--sizes 100000,1000000] [--workers 2] [--port-base 22500]

A node of its own is started on an empty store. Accounts come by AccountActions.csv with a plan that tops up once a year;
SchedulerSv1.ExecuteActions runs it, after a pause without. Meanwhile two clients charge calls, one after the other,
on accounts that the plan pays, and keep how long each answer took.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).parents[1]
CLIENTS = 2
PING_S = 0.005
QUIET_S = 10.0
ROW = "{:>9} {:>8} {:>8} {:>9} {:>22} {:>22} {:>9} {:>9}"


class Connection:
    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), 3600)
        self.lines = self.socket.makefile("rb")

    def call(self, method: str, params: Any) -> Any:
        self.socket.sendall(json.dumps({"method": method, "params": [params], "id": 1}).encode() + b"\n")
        answer = json.loads(self.lines.readline())
        if answer["error"] is not None:
            raise SystemExit(f"{method}: {answer['error']}")
        return answer["result"]


class Caller(threading.Thread):
    """Debits a message from one account after the other, and keeps how long each took."""

    def __init__(self, port: int, size: int, first: int) -> None:
        super().__init__(daemon=True)
        self.connection = Connection(port)
        self.size = size
        self.number = first
        self.waits: list[float] = []
        self.ending = False

    def run(self) -> None:
        while not self.ending:
            self.number = (self.number + 7919) % self.size
            wanted = {"Account": f"{self.number}", "BalanceType": "*sms", "Value": 1, "Balance": {"ID": "S"}}
            begin = time.perf_counter()
            self.connection.call("APIerSv1.DebitBalance", wanted)
            self.waits.append(time.perf_counter() - begin)
            time.sleep(PING_S)


def taken(callers: list[Caller]) -> str:
    """p50 / p99 / worst in ms since the last time."""
    waits: list[float] = []
    for caller in callers:
        waits += caller.waits
        caller.waits = []
    waits.sort()
    return " / ".join(f"{waits[min(int(len(waits) * share), len(waits) - 1)] * 1e3:.1f}" for share in (0.5, 0.99, 1))


def write_folder(folder: Path, size: int) -> None:
    (folder / "Actions.csv").write_text("TOPUP,*topup,,,M,*monetary,,,,,,,5,10,,,10\n")
    (folder / "Timings.csv").write_text("YEARLY,*any,1,1,*any,00:00:00\n")
    (folder / "ActionPlans.csv").write_text("PLAN,TOPUP,YEARLY,10\n")
    with open(folder / "AccountActions.csv", "w") as file:
        file.writelines(f"cgrates.org,{number},PLAN,,,\n" for number in range(size))


def memory_mb(node: subprocess.Popen[str]) -> float:
    return sum(
        child.memory_info().rss for child in psutil.Process(node.pid).children() if child.name().startswith("cgr-worker")
    ) / 1e6  # fmt: skip


def measure(size: int, workers: int, port: int) -> str:
    with tempfile.TemporaryDirectory(prefix="cgr-bench-") as place:
        folder = Path(place, "csv")
        folder.mkdir()
        write_folder(folder, size)
        command = [
            sys.executable, "-m", "workers.supervisor", "--announce", "--workers", str(workers), "--port-base", str(port),
            "--data-dir", str(Path(place, "data")), "--log-level", "warning",
        ]  # fmt: skip
        config = Path(place, "config.toml")
        config.write_text("[schedulers]\nenabled = true\n[apiers]\nenabled = true\n[rals]\nenabled = true\n")
        command += ["--config", str(config)]
        node = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True)
        assert node.stdout is not None
        try:
            if "is ready" not in node.stdout.readline():
                raise SystemExit("the node does not start")
            client = Connection(port)
            begin = time.perf_counter()
            client.call("APIerSv1.LoadTariffPlanFromFolder", {"FolderPath": str(folder)})
            load_s = time.perf_counter() - begin
            callers = [Caller(port, size, number * size // CLIENTS) for number in range(CLIENTS)]
            for caller in callers:
                caller.start()
            time.sleep(QUIET_S)
            alone, before = taken(callers), memory_mb(node)
            begin = time.perf_counter()
            client.call("SchedulerSv1.ExecuteActions", {"ActionPlanID": "PLAN"})
            run_s = time.perf_counter() - begin
            with_run, after = taken(callers), memory_mb(node)
            for caller in callers:
                caller.ending = True
                caller.join()
            run = client.call("SchedulerSv1.GetRuns", {"Limit": 1})[0]
            assert (run["Accounts"], run["Done"]) == (size, size), run
            return ROW.format(
                size, f"{load_s:.1f}", f"{run_s:.1f}", f"{size / run_s:.0f}", alone, with_run, f"{before:.0f}", f"{after:.0f}",
            )  # fmt: skip
        finally:
            os.killpg(node.pid, signal.SIGTERM)
            node.wait(60)


def main() -> None:
    parser = argparse.ArgumentParser(description="Measures runs of an action plan over many accounts.")
    parser.add_argument("--sizes", default="100000,1000000", help="accounts of the plan")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--port-base", type=int, default=22500)
    given = parser.parse_args()
    print(ROW.format("accounts", "load", "run", "accounts", "calls alone", "calls beside the run", "before", "after"))
    print(ROW.format("", "s", "s", "a second", "p50/p99/worst ms", "p50/p99/worst ms", "RSS MB", "RSS MB"))
    for size in map(int, given.sizes.split(",")):
        print(measure(size, given.workers, given.port_base), flush=True)


if __name__ == "__main__":
    main()
