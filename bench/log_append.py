"""What the log costs: groups a second and latency with a real `fdatasync`, CPU of both sides, and how fast a worker loads.

    python -m bench.log_append [--seconds 3] [--workers 2] [--record-bytes 600] [--dir DIR]

Clients append as fast as their window allows (closed loop); latency is from append to acknowledgement. DIR must be on the disk that is meant: a
tmpfs has no fsync to measure.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from cgr_cluster.log import client
from cgr_cluster.log.checkpoint import Checkpoint, load
from cgr_cluster.log.client import LogClient
from cgr_cluster.log.data_dir import DataDir
from cgr_cluster.log.folding import fold_closed
from cgr_cluster.log.format import encode_body, seal

ROOT = Path(__file__).resolve().parents[1]


class Writer:
    """One worker's stream of groups with at most `window` unacknowledged."""

    def __init__(self, path: str, worker: int, window: int, record_bytes: int) -> None:
        self.worker = worker
        self.window = window
        self.value = os.urandom(record_bytes)
        self.sent_s: list[float] = []
        self.latencies_s: list[float] = []
        self.moved = asyncio.Event()
        self.client = LogClient(path, worker, 1, self.on_ack, self.on_refused)

    def on_ack(self, number: int, low_disk: bool) -> None:
        now = time.perf_counter()
        self.latencies_s += [now - sent for sent in self.sent_s[len(self.latencies_s) : number]]
        self.moved.set()

    def on_refused(self, code: str, text: str) -> None:
        sys.exit(f"refused: {code}: {text}")

    async def run(self, until_s: float) -> None:
        await self.client.start()
        while time.perf_counter() < until_s:
            while self.client.link.unacknowledged < self.window:
                number = self.client.link.appended + 1
                body = encode_body([(number % 256, f"account/cgrates.org:{number % 5000}", self.value)])
                self.sent_s.append(time.perf_counter())
                self.client.append(number, seal(body, self.worker, 1, 1, number, 1))
            self.moved.clear()
            await self.moved.wait()
        while self.client.link.unacknowledged:
            self.moved.clear()
            await self.moved.wait()
        self.client.close()


async def measure(path: str, log_pid: int, workers: int, window: int, seconds: float, record_bytes: int) -> None:
    writers = [Writer(path, worker, window, record_bytes) for worker in range(workers)]
    log = psutil.Process(log_pid)
    before = client.stats(path)
    cpu = log.cpu_times()
    own = time.process_time()
    began = time.perf_counter()
    await asyncio.gather(*[writer.run(began + seconds) for writer in writers])
    took = time.perf_counter() - began
    own = time.process_time() - own
    after = log.cpu_times()
    stats = client.stats(path)
    syncs = stats["syncs"] - before["syncs"]
    groups = stats["groups"] - before["groups"]
    latencies = sorted(latency for writer in writers for latency in writer.latencies_s)
    p50, p99 = (latencies[int(len(latencies) * share)] * 1e3 for share in (0.5, 0.99))
    log_us = (after.user - cpu.user + after.system - cpu.system) / groups * 1e6
    print(
        f"window {window:4d}: {groups / took:8.0f} groups/s  {groups / syncs:6.1f} a sync  p50 {p50:6.2f} ms  p99 {p99:6.2f} ms  "
        f"CPU a group: log process {log_us:5.1f} µs, clients {own / groups * 1e6:5.1f} µs"
    )


def start(folder: Path) -> tuple[subprocess.Popen[str], str]:
    command = [sys.executable, "-m", "workers.log_process", "--data-dir", str(folder)]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    line = process.stderr.readline()
    if " ready in " not in line:
        sys.exit(line)
    return process, str(folder / "log.sock")


def measure_load(folder: Path) -> None:
    place = DataDir(folder)
    checkpoint = Checkpoint(place.checkpoint)
    began = time.perf_counter()
    result = fold_closed(place, checkpoint, 0)
    took = time.perf_counter() - began
    print(f"fold: {result.segments} segments, {result.log_bytes >> 20} MB of log, {result.rows} rows in {took:.2f} s")
    value = os.urandom(600)
    accounts = {(number % 256, f"account/cgrates.org:{number}"): value for number in range(200_000)}
    began = time.perf_counter()
    checkpoint.write(dict(accounts), checkpoint.position(), 0)
    print(f"checkpoint of 200 000 accounts of {len(value)} B: {time.perf_counter() - began:.2f} s")
    checkpoint.close()
    began = time.perf_counter()
    count = sum(1 for _ in load(range(128), folder))
    print(f"load of half the shards: {count} objects in {time.perf_counter() - began:.3f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--record-bytes", type=int, default=600)
    parser.add_argument(
        "--dir", default=None, help="parent of the data directory (default: the system's place for temporary files)"
    )
    given = parser.parse_args()
    for window in (1, 4, 64):
        with tempfile.TemporaryDirectory(dir=given.dir) as parent:
            folder = Path(parent) / "data"
            process, path = start(folder)
            try:
                asyncio.run(measure(path, process.pid, given.workers, window, given.seconds, given.record_bytes))
                if window == 64:
                    client.roll(path)
                    measure_load(folder)
            finally:
                process.terminate()
                process.communicate()


if __name__ == "__main__":
    main()
