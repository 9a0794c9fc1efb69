"""`cgr-cluster stress`: the options, and the order of things."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from cgr_cluster.cli.client import CallFailedError, parse_address

IN_FLIGHT_PER_CONNECTION = 16


def add_parser(commands: Any) -> None:
    parser = commands.add_parser(
        "stress",
        help="make many calls, and check that every balance and CDR agrees",
        description="Loads the demo plan, makes whole calls (authorise, initiate, update, terminate, CDR) over several "
        "connections, and compares per account: its own prices, the CDRs, and the balances. Exit status 1: not balanced.",
    )
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--calls", type=int, metavar="N", help="how many calls (default: 10000)")
    length.add_argument("--seconds", type=float, metavar="S", help="begin calls for so long")
    parser.add_argument(
        "--rate", type=float, metavar="CPS", help="calls begun per second (default: as fast as possible)"
    )
    parser.add_argument("--accounts", type=int, default=1000, metavar="N", help="accounts used (default: %(default)s)")
    parser.add_argument(
        "--mix",
        default="prepaid=25,pseudoprepaid=25,postpaid=25,rated=25",
        metavar="MODE=W,...",
        help="weights of the charging modes (default: %(default)s)",
    )
    parser.add_argument("--call-seconds", default="10-180", metavar="MIN-MAX", help="lengths (default: %(default)s)")
    parser.add_argument("--updates", action="store_true", help="ask for a minute at a time instead of all at once")
    parser.add_argument("--connections", type=int, default=8, metavar="N", help="default: %(default)s")
    parser.add_argument(
        "--in-flight",
        type=int,
        metavar="N",
        help=f"calls side by side (default: {IN_FLIGHT_PER_CONNECTION} a connection)",
    )
    parser.add_argument("--address", default="127.0.0.1:2012", metavar="HOST:PORT", help="default: %(default)s")
    parser.add_argument("--no-setup", action="store_true", help="take plan and balances as they are")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="the same calls again (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="the summary as JSON")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    from cgr_cluster.cli.stress.plan import parse_mix, parse_range
    from cgr_cluster.cli.stress.session import StressOptions, stress
    from cgr_cluster.cli.stress.setup import SetupError

    try:
        for name in ("calls", "seconds", "rate", "accounts", "connections", "in_flight"):
            value = getattr(options, name)
            if value is not None and value <= 0:
                raise ValueError(f"--{name.replace('_', '-')} {value}: more than 0 is needed")
        wanted = StressOptions(
            address=parse_address(options.address),
            calls=options.calls if options.calls or options.seconds else 10_000,
            seconds=options.seconds,
            rate=options.rate,
            accounts=options.accounts,
            mix=parse_mix(options.mix),
            call_seconds=parse_range(options.call_seconds),
            updates=options.updates,
            connections=options.connections,
            in_flight=options.in_flight or options.connections * IN_FLIGHT_PER_CONNECTION,
            setup=not options.no_setup,
            seed=options.seed,
        )
        wanted.check()
    except ValueError as error:
        print(f"cgr-cluster stress: {error}", file=sys.stderr)
        return 2
    try:
        found = stress(wanted, sys.stderr)
    except (SetupError, CallFailedError) as error:
        print(f"cgr-cluster stress: {error}", file=sys.stderr)
        return 1
    if options.json:
        import json

        print(json.dumps(found, indent=1))
    else:
        from cgr_cluster.cli.stress.summary import text

        print(text(found))
    return 0 if found["balanced"] else 1
