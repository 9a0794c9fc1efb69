#!/usr/bin/env python3
"""Microseconds of rating's core, in one process and without transport: look-up + price, CallCost, EventCost, JSON.

    rating_core.py [--rounds N]

Each line is the best of five runs. "cold" asks for a number that was never asked for before, "warm" for one that was.
"""

from __future__ import annotations

import argparse
import pathlib
import sys
import time
from collections.abc import Callable

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

import msgspec

from cgr_cluster.engine.codec import pack
from cgr_cluster.engine.generation import Generation
from cgr_cluster.events.instant import NS, ZERO, Instant
from cgr_cluster.rating.answers import event_cost_json
from cgr_cluster.rating.call_cost import call_cost
from cgr_cluster.rating.event_cost import event_cost_of
from cgr_cluster.rating.event_cost_pieces import join_call_cost
from cgr_cluster.rating.rate import rate
from cgr_cluster.rating.reference import Activation, Binding, Destination, RatingPlan, RatingProfile
from cgr_cluster.rating.types import CallDescriptor, Rating, Slot, Timing

MINUTE = 60 * NS
TWO_RATES = (Slot(0, 0.12, 60 * NS, MINUTE), Slot(60 * NS, 0.06, NS, MINUTE))
WORK_DAYS = (1, 2, 3, 4, 5)


def generation() -> Generation:
    """Prefixes 000-999, one plan without timings for them, one with work day, evening, night and week-end."""
    ratings = {"r": Rating(0.05, "*up", 4, slots=TWO_RATES)}
    timings = {
        "any": Timing("*any", start_time="00:00:00"),
        "day": Timing("DAY", week_days=WORK_DAYS, start_time="08:00:00"),
        "evening": Timing("EVENING", week_days=WORK_DAYS, start_time="20:00:00"),
        "night": Timing("NIGHT", week_days=WORK_DAYS, start_time="00:00:00"),
        "weekend": Timing("WEEKEND", week_days=(6, 0), start_time="00:00:00"),
    }
    names = [f"DST_{prefix:03d}" for prefix in range(1000)]
    timed = tuple(Binding(key, "r", 10.0) for key in ("day", "evening", "night", "weekend"))
    objects = {
        ("rating_plan", "RP"): RatingPlan("RP", timings, ratings, {n: (Binding("any", "r", 10.0),) for n in names}),
        ("rating_plan", "RP_T"): RatingPlan("RP_T", timings, ratings, dict.fromkeys(names, timed)),
        ("rating_profile", "*out:t:call:*any"): RatingProfile("*out:t:call:*any", (Activation(ZERO, "RP"),)),
        ("rating_profile", "*out:t:call:timed"): RatingProfile("*out:t:call:timed", (Activation(ZERO, "RP_T"),)),
    }
    changes = [(kind, key, pack(value)) for (kind, key), value in objects.items()]
    changes += [("destination", name, pack(Destination(name, (name[4:],)))) for name in names]
    return Generation({"general": {}, "rals": {}}).apply(changes, 1)


def best_us(work: Callable[[int], object], rounds: int) -> float:
    best = float("inf")
    for _ in range(5):
        begin = time.perf_counter()
        for index in range(rounds):
            work(index)
        best = min(best, time.perf_counter() - begin)
    return best / rounds * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20_000)
    rounds = parser.parse_args().rounds
    current = generation()
    start = Instant(1_741_082_400)  # Tuesday 2025-03-04 10:00 UTC

    def call(subject: str, seconds: int, destination: str = "123456789") -> CallDescriptor:
        return CallDescriptor(
            "t", "call", subject, "1001", destination, "*voice", start, Instant(start.seconds + seconds)
        )

    short, long, timed, evening = call("1001", 90), call("1001", 36_000), call("timed", 90), call("timed", 40_000)
    numbers = iter(range(10**8, 10**9))
    encode = msgspec.json.encode
    cost = call_cost(current, short)
    first = event_cost_of(cost)
    cases: list[tuple[str, Callable[[int], object]]] = [
        ("look-up + price, 90 s, two rates, warm", lambda _: rate(current, short)),
        ("look-up + price, 90 s, two rates, cold", lambda _: rate(current, call("1001", 90, str(next(numbers))))),
        ("look-up + price, 10 h, two rates, warm", lambda _: rate(current, long)),
        ("look-up + price, 90 s, four timings", lambda _: rate(current, timed)),
        ("look-up + price, 11 h over an evening", lambda _: rate(current, evening)),
        ("CallCost, 90 s", lambda _: call_cost(current, short)),
        ("EventCost of a CallCost", lambda _: event_cost_of(cost)),
        ("one more piece joined to an EventCost", lambda _: join_call_cost(first, cost, "", "")),
        (
            "GetCost: CallCost, EventCost, JSON bytes",
            lambda _: encode(event_cost_json(event_cost_of(call_cost(current, short)))),
        ),
    ]
    for name, work in cases:
        print(f"{best_us(work, rounds):8.2f} µs  {name}")


if __name__ == "__main__":
    main()
