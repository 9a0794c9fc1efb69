#!/usr/bin/env python3
"""Microseconds of debiting's core, in one process, without log and transport: rate, debit, answer, the next state kept.

    debit_core.py [--rounds N]

Each line is the best of five runs; rating is included. An account always starts from the same state.
"""

from __future__ import annotations

import argparse
import itertools
import pathlib
import sys
from collections.abc import Callable
from copy import copy

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from bench.rating_core import best_us, generation
from cgr_cluster.accounts.debit import Setting, debit, max_debit, max_session_time
from cgr_cluster.accounts.refund import refund_increments
from cgr_cluster.accounts.types import Account, Balance
from cgr_cluster.engine.codec import pack
from cgr_cluster.events.instant import NS, Instant
from cgr_cluster.rating.answers import call_cost_json
from cgr_cluster.rating.types import CallDescriptor

MONEY = 10**9
UNITS = 10**5


def accounts() -> dict[str, Account]:
    many = [Balance(f"v{n}", f"V{n}", 0, weight=float(n), destination_ids={f"DST_{n:03d}": True}) for n in range(10)]
    return {
        "t:money": Account("t:money", {"*monetary": [Balance("m1", "MAIN", 1000 * MONEY)]}),
        "t:poor": Account("t:poor", {"*monetary": [Balance("m2", "MAIN", MONEY // 5)]}),
        "t:units": Account(
            "t:units",
            {"*voice": [Balance("u1", "V", 30 * NS * UNITS)], "*monetary": [Balance("m3", "MAIN", 1000 * MONEY)]},
        ),
        "t:many": Account("t:many", {"*voice": many, "*monetary": [Balance("m4", "MAIN", 1000 * MONEY)]}),
        "t:data": Account("t:data", {"*data": [Balance("d1", "D", 10**12 * UNITS)]}),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20_000)
    rounds = parser.parse_args().rounds
    stored = accounts()
    ids = itertools.count()
    setting = Setting(generation(), 0, stored.get, lambda group: (), lambda: str(next(ids)), lambda account: None, "op")
    start = Instant(1_741_082_400)  # Tuesday 2025-03-04 10:00 UTC

    def call(account: str, seconds: int, **fields: object) -> CallDescriptor:
        made = CallDescriptor("t", "call", account, account, "123456789", "*voice", start, start.plus(seconds * NS))
        made.duration_index_ns = seconds * NS
        for name, value in fields.items():
            setattr(made, name, value)
        return made

    def debits(account: str, descriptor: CallDescriptor) -> Callable[[int], object]:
        held = stored[f"t:{account}"]
        return lambda _: debit(setting, held, descriptor)

    def max_debits(account: str, descriptor: CallDescriptor) -> Callable[[int], object]:
        held = stored[f"t:{account}"]
        return lambda _: max_debit(setting, held, descriptor)

    data = call("data", 0, tor="*data", time_end=start.plus(10**10), duration_index_ns=10**10)
    update = call("money", 10, loop_index=3, duration_index_ns=300 * NS)
    back = copy(update)
    cost = debit(setting, stored["t:money"], update).cost
    back.increments = [i for span in cost.timespans or () for i in span.increments]
    cases: list[tuple[str, Callable[[int], object]]] = [
        ("Debit, one money balance, 10 s of a session", debits("money", update)),
        ("MaxDebit, one money balance, 10 s of a session", max_debits("money", update)),
        ("MaxDebit, money for a part of it", max_debits("poor", call("poor", 300))),
        ("Debit, 90 s with connect fee, two rates", debits("money", call("money", 90))),
        ("Debit, 30 s free units, then money", debits("units", call("units", 90))),
        ("Debit, ten unit balances of other destinations", debits("many", call("many", 90))),
        ("Debit, 10^10 increments of data", debits("data", data)),
        (
            "GetMaxSessionTime, one money balance, 1 h",
            lambda _: max_session_time(setting, stored["t:money"], call("money", 3600)),
        ),
        ("RefundIncrements of 10 s", lambda _: refund_increments(setting, back)),
        ("account packed", lambda _: pack(stored["t:money"])),
        ("account drafted", lambda _: stored["t:money"].draft()),
        ("answer as JSON objects", lambda _: call_cost_json(cost)),
    ]
    for name, work in cases:
        print(f"{best_us(work, rounds):8.2f} µs  {name}")


if __name__ == "__main__":
    main()
