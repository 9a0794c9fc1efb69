"""Decks of 100 to 1 000 000 prefixes: what a load, a switch, a look-up and a worker's memory cost (docs/decks.md).

    .venv/bin/python bench/decks.py [--sizes 100,10000,1000000] [--workers 2]

Each deck has a destination for ten prefixes and ten rating plans that price every destination: as many rates as prefixes.
It is loaded from CSV by a loader process as on a node; workers are processes that map it, switch, and price.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from cgr_cluster.config import settings
from cgr_cluster.engine.codec import pack
from cgr_cluster.engine.generation import DECK, Generation
from cgr_cluster.node.deck_files import DeckFolder
from cgr_cluster.node.deck_loader import LoaderProcesses
from cgr_cluster.rating.compiled import tariffs
from cgr_cluster.tariffs.applying import LoadOptions
from cgr_cluster.tariffs.deck_load import DeckJob, Source

PLANS = 10
PRICES = 500
LOOKUPS = 20_000
ROW = "{:>9} {:>7} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8} {:>10} {:>9} {:>9}"


def prefix(number: int, size: int) -> str:
    return f"4{number:0{len(str(size))}d}"


def write_folder(path: Path, size: int) -> None:
    destinations = max(size // 10, 1)
    with open(path / "Destinations.csv", "w") as file:
        file.writelines(f"DST_{n % destinations},{prefix(n, size)}\n" for n in range(size))
    with open(path / "Rates.csv", "w") as file:
        file.writelines(f"R{n},0,{n / 10000},60s,1s,0s\n" for n in range(PRICES))
    with open(path / "DestinationRates.csv", "w") as file:
        for plan in range(PLANS):
            file.writelines(f"DR{plan},DST_{n},R{(n + plan) % PRICES},*up,4,0,\n" for n in range(destinations))
    (path / "RatingPlans.csv").write_text("".join(f"PLAN{n},DR{n},*any,10\n" for n in range(PLANS)))
    (path / "RatingProfiles.csv").write_text(
        "".join(f"cgrates.org,call,s{n},2020-01-01T00:00:00Z,PLAN{n},\n" for n in range(PLANS))
    )


def memory_kb() -> dict[str, int]:
    """RSS, and what of it only this process has, of this process."""
    fields = dict(line.split(":") for line in Path("/proc/self/smaps_rollup").read_text().splitlines()[1:])
    kb = {name: int(text.split()[0]) for name, text in fields.items()}
    return {"rss": kb["Rss"], "private": kb["Private_Clean"] + kb["Private_Dirty"]}


def mapped_kb(path: Path) -> int:
    """How much of the deck this process has mapped in."""
    total, inside = 0, False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if "-" in line.split(" ", 1)[0]:
            inside = line.endswith(str(path))
        elif inside and line.startswith("Rss:"):
            total += int(line.split()[1])
    return total


def cost_us(work: Callable[[Any], object], items: list[Any]) -> float:
    begin = time.perf_counter()
    for item in items:
        work(item)
    return (time.perf_counter() - begin) / len(items) * 1e6


def worker(folder: Path, name: str, size: int, defaults: dict[str, Any]) -> dict[str, float]:
    """What one worker measures: switch, look-ups, memory before and after."""
    decks = DeckFolder(folder)
    decks.verifies = False
    generation = Generation(defaults, 0, decks.open)
    rng = random.Random(os.getpid())
    before = memory_kb()
    begin = time.perf_counter()
    generation = generation.apply([(DECK, "", pack(name))], 1)
    switch_ms = (time.perf_counter() - begin) * 1e3
    numbers = [prefix(rng.randrange(size), size) for _ in range(LOOKUPS)]
    first = cost_us(generation.destinations_of, numbers)
    hit = cost_us(generation.destinations_of, numbers)
    miss = cost_us(generation.destinations_of, [f"5{number}" for number in numbers])
    begin = time.perf_counter()
    plan = generation.get("rating_plan", "PLAN0")
    plan_ms = (time.perf_counter() - begin) * 1e3
    owners = [generation.destinations_of(number)[0] for number in numbers]
    cost_us(plan.bindings.get, owners)
    binding = cost_us(plan.bindings.get, owners)
    after = memory_kb()
    compiled = tariffs(generation)
    match = cost_us(lambda number: compiled.matches_of(generation, "PLAN0", number + "123"), numbers)
    return {
        "switch_ms": switch_ms, "first_us": first, "hit_us": hit, "miss_us": miss, "plan_ms": plan_ms, "binding_us": binding,
        "match_us": match, "private_mb": (after["private"] - before["private"]) / 1024,
        "shared_mb": mapped_kb(folder / name) / 1024,
    }  # fmt: skip


def in_processes(count: int, work: Callable[[], dict[str, float]]) -> list[dict[str, float]]:
    """The results of `count` processes that run at the same time."""
    ends = []
    for _ in range(count):
        read, write = os.pipe()
        if os.fork() == 0:
            os.write(write, json.dumps(work()).encode())
            os._exit(0)
        os.close(write)
        ends.append(read)
    results = []
    for end in ends:
        with open(end, "rb") as file:
            results.append(json.loads(file.read()))
        os.wait()
    return results


def measure(size: int, workers: int) -> str:
    defaults = dict(settings.ephemeral())
    with tempfile.TemporaryDirectory() as place:
        folder, csv = Path(place, "decks"), Path(place, "csv")
        csv.mkdir()
        write_folder(csv, size)
        job = DeckJob("bench", time.time_ns(), Source(path=str(csv)), LoadOptions())
        begin = time.perf_counter()
        built = LoaderProcesses(folder).build(Generation(defaults), job, [])
        load_s = time.perf_counter() - begin
        loader_mb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        file_mb = (folder / built.name).stat().st_size / 1e6
        results = in_processes(workers, lambda: worker(folder, built.name, size, defaults))
        worst = {key: max(result[key] for result in results) for key in results[0]}
        return ROW.format(
            size, f"{load_s:.1f}", f"{loader_mb:.0f}", f"{file_mb:.1f}", f"{worst['switch_ms']:.2f}",
            f"{worst['first_us']:.2f}", f"{worst['hit_us']:.2f}", f"{worst['miss_us']:.2f}", f"{worst['plan_ms']:.1f}", f"{worst['binding_us']:.2f}",
            f"{worst['match_us']:.1f}", f"{worst['private_mb']:.1f}", f"{worst['shared_mb']:.1f}",
        )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description="Measures decks of several sizes.")
    parser.add_argument("--sizes", default="100,10000,1000000", help="prefixes of the decks")
    parser.add_argument("--workers", type=int, default=2, help="worker processes; the table shows the slowest")
    given = parser.parse_args()
    names = (
        "prefixes",
        "load",
        "loader",
        "file",
        "switch",
        "1st hit",
        "hit",
        "miss",
        "plan",
        "binding",
        "match",
        "private",
        "shared",
    )
    print(ROW.format(*names))
    print(ROW.format("= rates", "s", "peak MB", "MB", "ms", "µs", "µs", "µs", "ms", "µs", "µs", "MB", "MB"))
    for size in map(int, given.sizes.split(",")):
        print(measure(size, given.workers), flush=True)


if __name__ == "__main__":
    main()
