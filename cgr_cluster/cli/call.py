"""`cgr-cluster call METHOD [JSON | key=value ...]`: one API call, its answer as indented JSON."""

from __future__ import annotations

import argparse
import difflib
import json
import sys
from typing import Any

from cgr_cluster.cli.client import CallFailedError, Client, parse_address

EPILOG = """examples:
  cgr-cluster call CoreSv1.Ping
  cgr-cluster call APIerSv2.GetAccount Account=1001
  cgr-cluster call APIerSv1.AddBalance Account=1001 BalanceType='*monetary' Value=10 Balance.ID=MAIN
  cgr-cluster call APIerSv1.GetDestination '"DST_DE"'
  cgr-cluster call SessionSv1.AuthorizeEvent '{"GetMaxUsage":true,"Event":{"Account":"1001"}}'

A value that is JSON is taken as JSON (10, true, ["a"], {}), anything else as text; Key.Sub=value sets a member of an object.
"""


def add_parser(commands: Any) -> None:
    parser = commands.add_parser(
        "call", help="call a method of the API", epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("method", metavar="METHOD")
    parser.add_argument("params", nargs="*", metavar="JSON | KEY=VALUE")
    parser.add_argument("--address", default="127.0.0.1:2012", metavar="HOST:PORT", help="default: %(default)s")
    parser.add_argument(
        "--timeout", type=float, default=300.0, metavar="S", help="seconds to wait (default: %(default)s)"
    )
    parser.add_argument("--compact", action="store_true", help="answer on one line")
    parser.set_defaults(run=run)


def read_params(words: list[str]) -> Any:
    """The parameter from the words of the command line. Raises ValueError that names the word."""
    if not words:
        return {}
    if len(words) == 1 and "=" not in words[0].partition('"')[0]:
        try:
            return json.loads(words[0])
        except json.JSONDecodeError as error:
            raise ValueError(f"{words[0]!r} is neither JSON ({error.msg} at {error.pos}) nor KEY=VALUE") from None
    params: dict[str, Any] = {}
    for word in words:
        key, equals, text = word.partition("=")
        if not equals or not key:
            raise ValueError(f"{word!r} is not KEY=VALUE")
        value: Any = text
        try:
            value = json.loads(text)
        except json.JSONDecodeError:
            pass  # plain text
        inner = params
        *path, last = key.split(".")
        for name in path:
            inner = inner.setdefault(name, {})
            if not isinstance(inner, dict):
                raise ValueError(f"{word!r}: {name} has a value already")
        inner[last] = value
    return params


def suggestion(method: str) -> str:
    """What may have been meant, for an unknown method."""
    from cgr_cluster.services import load

    close = difflib.get_close_matches(method, load().names(), 3, 0.6)
    return f" (did you mean {' or '.join(close)}?)" if close else ""


def run(options: argparse.Namespace) -> int:
    try:
        params = read_params(options.params)
        address = parse_address(options.address)
    except ValueError as error:
        print(f"cgr-cluster call: {error}", file=sys.stderr)
        return 2
    try:
        with Client(address, options.timeout) as client:
            result = client.call_raw(options.method, json.dumps(params).encode())
    except CallFailedError as error:
        hint = suggestion(options.method) if str(error).startswith("rpc: can't find") else ""
        print(f"{error}{hint}", file=sys.stderr)
        return 1
    document = json.loads(result)
    print(json.dumps(document, ensure_ascii=False, indent=None if options.compact else 1))
    return 0
