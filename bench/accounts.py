"""What accounts cost: memory and restart time of 10^5 (and with --large 10^6) accounts, and debits by number of balances.

    .venv/bin/python -m bench.accounts [--large]

Restart: one worker loads all shards from a checkpoint, as after a crash. Memory: what the process has grown by, per
account, with untouched accounts packed as they are logged, and after each was touched once.
"""

from __future__ import annotations

import argparse
import gc
import json
import multiprocessing
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil

from cgr_cluster.accounts.types import Account, Balance
from cgr_cluster.cluster.shard_map import shard_map
from cgr_cluster.config import settings
from cgr_cluster.engine import messages as m
from cgr_cluster.engine.codec import pack
from cgr_cluster.engine.engine import Engine
from cgr_cluster.engine.owner import Owner
from cgr_cluster.log.checkpoint import Checkpoint, load
from cgr_cluster.log.data_dir import DataDir
from cgr_cluster.node.node import Node
from cgr_cluster.rpc.decode import decode_params
from cgr_cluster.rpc.encode import encode_result
from cgr_cluster.services import load as load_services

ROUNDS = 5


def account(number: int, balances: int = 1) -> Account:
    key = f"cgrates.org:a{number:07d}"
    held = [Balance(uuid=f"{number}-{n}", id=f"B{n}", value=10**12, weight=float(n)) for n in range(balances)]
    return Account(key, {"*monetary": held})


def write_checkpoint(folder: Path, accounts: int) -> None:
    place = DataDir(folder)
    place.prepare()
    records = {}
    for number in range(accounts):
        one = account(number)
        records[Owner("account", one.id).shard, f"account/{one.id}"] = pack(one)
    checkpoint = Checkpoint(place.checkpoint)
    checkpoint.write(records, 1, 0)
    checkpoint.close()


def restart(folder: str, accounts: int, out: Any) -> None:
    """In a process of its own: load, look at the memory, touch every account, look again."""
    process = psutil.Process()
    registry = load_services()
    gc.collect()
    before = process.memory_info().rss
    begin = time.perf_counter()
    engine = Engine(0, shard_map(1), settings.ephemeral(), decode_params, encode_result, registry)
    engine.load(load([*engine.shards, 256], folder))
    seconds = time.perf_counter() - begin
    packed = process.memory_info().rss - before
    for shard in engine.shards.values():
        for _ in shard.items("account"):
            pass
    touched = process.memory_info().rss - before
    out.put((seconds, packed / accounts, touched / accounts))


def debits(balances: int) -> float:
    """Median µs of engine time for a debit of an account with so many balances."""
    node = Node(1)
    node.call("APIerSv1.LoadTariffPlanFromFolder", {"FolderPath": "folder:demo"})
    node.advance(10**9)
    engine = node.workers[0].engine
    shard = engine.shards[Owner("account", "cgrates.org:a0000001").shard]
    shard.set("account", "cgrates.org:a0000001", account(1, balances))
    params = json.dumps(
        {
            "Tenant": "cgrates.org", "Category": "call", "Account": "a0000001", "Subject": "a0000001",
            "Destination": "4915123456789", "ToR": "*voice", "TimeStart": "2026-11-24T10:00:00Z",
            "TimeEnd": "2026-11-24T10:01:30Z",
        }
    ).encode()  # fmt: skip
    times = []
    sequence = 0
    for _ in range(ROUNDS):
        requests = []
        for _ in range(500):
            sequence += 1
            requests.append(m.Request(f"b:{sequence}", "Responder.Debit", params, "b"))
        begin = time.process_time()
        engine.turn(node.now_ns, requests)
        times.append((time.process_time() - begin) / len(requests) * 1e6)
        engine.released(engine.number)
    return statistics.median(times)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--large", action="store_true", help="10^6 accounts as well")
    options = parser.parse_args()
    print(f"{'accounts':>10} {'restart s':>10} {'bytes packed':>13} {'bytes touched':>14}")
    for accounts in (100_000, 1_000_000) if options.large else (100_000,):
        with tempfile.TemporaryDirectory() as folder:
            write_checkpoint(Path(folder), accounts)
            out: Any = multiprocessing.get_context("spawn").Queue()
            child = multiprocessing.get_context("spawn").Process(target=restart, args=(folder, accounts, out))
            child.start()
            seconds, packed, touched = out.get(timeout=600)
            child.join()
        print(f"{accounts:>10} {seconds:>10.2f} {packed:>13.0f} {touched:>14.0f}")
    print(f"{'balances':>10} {'µs a debit':>10}")
    for balances in (1, 10, 100):
        print(f"{balances:>10} {debits(balances):>10.1f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
