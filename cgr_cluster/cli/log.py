"""`cgr-cluster log check|cut|dump`: the embedded log of a data directory (docs/log-format.md)."""

from __future__ import annotations

import argparse
import sys
from typing import Any

import msgspec


def add_parser(commands: Any) -> None:
    parser = commands.add_parser("log", help="check, cut or dump the log of a data directory")
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    check = actions.add_parser("check", help="read the whole log; exit status 1 when the node would refuse to start")
    check.add_argument("--json", action="store_true", help="the report as JSON")
    check.set_defaults(run=run_check)
    cut = actions.add_parser("cut", help="give up everything from an offset on (the old files are kept aside)")
    cut.add_argument("--file", required=True, metavar="SEGMENT", help="as `check` names it")
    cut.add_argument("--offset", required=True, type=int, metavar="BYTES", help="as `check` names it")
    cut.add_argument("--yes", action="store_true", help="do it without asking")
    cut.set_defaults(run=run_cut)
    dump = actions.add_parser("dump", help="the records that are not in the checkpoint yet, one JSON object a line")
    dump.add_argument("--shard", type=int, metavar="N", help="of this shard only")
    dump.set_defaults(run=run_dump)
    for action in (check, cut, dump):
        action.add_argument("--data-dir", default="data", metavar="D", help="default: ./data")


def run_check(options: argparse.Namespace) -> int:
    from cgr_cluster.log import inspect
    from cgr_cluster.log.errors import DataDirError

    try:
        report = inspect.check(options.data_dir)
    except DataDirError as error:
        return _refuse("check", error)
    if options.json:
        print(msgspec.json.format(msgspec.json.encode(report), indent=1).decode())
        return 1 if report.problem else 0
    print(f"{report.data_dir}: {report.groups} groups; the checkpoint has all below segment {report.folded_below}")
    print(f"  {'segment':28} {'state':8} {'bytes':>12} {'whole to':>12} {'groups':>8} {'records':>9}  ends")
    for part in report.segments:
        print(
            f"  {part.file:28} {part.state:8} {part.bytes:12} {part.end:12} {part.groups:8} {part.records:9}  {part.reason}"
        )
    if report.problem:
        print(f"problem: {report.problem}")
        if report.bad_file:
            print(
                "what lies behind it can be given up with\n"
                f"  cgr-cluster log cut --data-dir {options.data_dir} --file {report.bad_file} --offset {report.bad_offset}"
            )
        return 1
    print("ok")
    return 0


def run_cut(options: argparse.Namespace) -> int:
    from cgr_cluster.log import inspect
    from cgr_cluster.log.errors import DataDirError

    if not options.yes:
        if not sys.stdin.isatty():
            print("cgr-cluster log cut: --yes is needed when nobody can be asked", file=sys.stderr)
            return 2
        if input(f"Give up all records from {options.file} offset {options.offset} on? [y/N] ").strip().lower() != "y":
            return 1
    try:
        print(inspect.cut(options.data_dir, options.file, options.offset))
    except DataDirError as error:
        return _refuse("cut", error)
    return 0


def run_dump(options: argparse.Namespace) -> int:
    from cgr_cluster.log import inspect
    from cgr_cluster.log.errors import CorruptionError, DataDirError

    try:
        for line in inspect.dump(options.data_dir, options.shard):
            print(line)
    except (DataDirError, CorruptionError) as error:
        return _refuse("dump", error)
    return 0


def _refuse(action: str, error: Exception) -> int:
    print(f"cgr-cluster log {action}: {error}", file=sys.stderr)
    return 1
