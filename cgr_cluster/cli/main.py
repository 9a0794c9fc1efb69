"""The command `cgr-cluster`."""

from __future__ import annotations

import argparse
import importlib
import os
import sys

from cgr_cluster import __version__
from cgr_cluster.cli.client import UnreachableError
from cgr_cluster.cli.compiled import node_command

COMMANDS = ("call", "explain", "load", "status", "log", "stress")


def main(arguments: list[str] | None = None) -> int:
    words = sys.argv[1:] if arguments is None else arguments
    if words and words[0] == "run":  # another program: the supervisor imports what it forks, and this one none of it
        sys.stdout.flush()
        os.execv(sys.executable, [*node_command(), "--announce", *words[1:]])
    parser = argparse.ArgumentParser(
        prog="cgr-cluster", description="A real-time charging system: run it, call it, load it, measure it."
    )
    parser.add_argument("--version", action="version", version=f"cgr-cluster {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    commands.add_parser("run", help="start a node in the foreground (cgr-cluster run --help)", add_help=False)
    for name in COMMANDS:
        importlib.import_module(f"cgr_cluster.cli.{name}").add_parser(commands)
    options = parser.parse_args(words)
    try:
        status: int = options.run(options)
    except UnreachableError as error:
        print(f"cgr-cluster: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:  # the reader of our output has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return 130
    return status


if __name__ == "__main__":
    sys.exit(main())
