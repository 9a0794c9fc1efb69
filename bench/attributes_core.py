#!/usr/bin/env python3
"""Microseconds of AttributeS for one event of 16 fields, in one process and without transport.

    attributes_core.py [--rounds N]

Each line is the best of five runs. "profiles" are those of the tenant, each for one Account in the context `*sessions`.
"""

from __future__ import annotations

import argparse
import pathlib
import sys
import time
from collections.abc import Callable

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from cgr_cluster.attributes.process import process_attributes
from cgr_cluster.attributes.types import Attribute, AttributeProfile
from cgr_cluster.engine.codec import pack
from cgr_cluster.engine.generation import Generation
from cgr_cluster.events.event import CGREvent

TENANT = "cgrates.org"
REWRITE = (
    Attribute("*req.Subject", "*variable", ("~*req.Account",)),
    Attribute("*req.RequestType", "*constant", ("*prepaid",)),
    Attribute("*req.Destination", "*variable", (r"~*req.Destination:s/^\+(\d+)$/00${1}/",)),
    Attribute("*req.Seconds", "*variable", ("~*req.Usage{*duration_seconds&*round:1:*up}",)),
)


def generation(profiles: int) -> Generation:
    made = (
        AttributeProfile(TENANT, f"A{n}", ("*sessions",), (f"*string:~*req.Account:{n}",), None, REWRITE)
        for n in range(profiles)
    )
    return Generation({}).apply([("attribute_profile", f"{TENANT}:{p.id}", pack(p)) for p in made], 1)


def event(account: str) -> CGREvent:
    fields = {"Account": account, "Destination": "+4915112233445", "Usage": "1m34.5s"}
    return CGREvent(TENANT, "ev", None, {**fields, **{f"F{n}": f"v{n}" for n in range(13)}}, {})


def best_us(work: Callable[[], object], rounds: int) -> float:
    work()
    best = float("inf")
    for _ in range(5):
        start = time.process_time()
        for _ in range(rounds):
            work()
        best = min(best, time.process_time() - start)
    return best / rounds * 1e6


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--rounds", type=int, default=5000)
    rounds = arguments.parse_args().rounds
    for profiles in (0, 1, 20_000):
        reference = generation(profiles)
        for name, account, context in (
            ("no profile of the context", "0", "*cdrs"),
            ("no profile of the event", "none", "*sessions"),
            ("a profile of four attributes", "0", "*sessions"),
        ):
            if profiles or context == "*cdrs":
                found = event(account)
                us = best_us(lambda: process_attributes(reference, 0, found, context), rounds)  # noqa: B023  # run at once
                print(f"{profiles:6} profiles, {name:29} {us:6.2f} us")


if __name__ == "__main__":
    main()
