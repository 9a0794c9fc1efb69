"""`cgr-cluster call METHOD [JSON | key=value ...]`: one API call, its answer as indented JSON."""

from __future__ import annotations

import argparse
import difflib
import json
import sys
from typing import Any

from cgr_cluster.cli.client import CallFailedError, Client, parse_address
from cgr_cluster.rpc.schema import schema

EPILOG = """examples:
  cgr-cluster call CoreSv1.Ping
  cgr-cluster call APIerSv2.GetAccount Account=1001
  cgr-cluster call APIerSv1.AddBalance Account=1001 BalanceType='*monetary' Value=10 Balance.ID=MAIN
  cgr-cluster call APIerSv1.GetDestination '"DST_DE"'
  cgr-cluster call SessionSv1.AuthorizeEvent '{"GetMaxUsage":true,"Event":{"Account":"1001"}}'

For a member that is a text the value is taken as it stands. For others a value that is JSON is taken as JSON (10, true, ["a"], {}),
anything else as text. Key.Sub=value sets a member of an object.
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


def read_params(words: list[str], go_type: str = "") -> Any:
    """The parameter from the words of the command line. Raises ValueError that names the word.

    `go_type` is the method's parameter type (params.txt): its text members take KEY=VALUE as it stands, so that
    Account=1001 is the text "1001"."""
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
        *path, last = key.split(".")
        value: Any = text
        if not _takes_text([*path, last], go_type):
            try:
                value = json.loads(text)
            except json.JSONDecodeError:
                pass  # plain text
        inner = params
        for name in path:
            inner = inner.setdefault(name, {})
            if not isinstance(inner, dict):
                raise ValueError(f"{word!r}: {name} has a value already")
        inner[last] = value
    return params


def _takes_text(path: list[str], go_type: str) -> bool:
    """Whether the member at `path` of this type is a text or a time."""
    for name in path:
        if not go_type:
            return False
        shape = schema().shape(go_type)
        member = shape.members.get(name.lower())
        go_type = member.go_type if member is not None else shape.element if shape.kind == "map" else ""
    return bool(go_type) and schema().shape(go_type).kind in ("text", "time")


def suggestion(method: str) -> str:
    """What may have been meant, for an unknown method."""
    from cgr_cluster.services import load

    close = difflib.get_close_matches(method, load().names(), 3, 0.6)
    return f" (did you mean {' or '.join(close)}?)" if close else ""


def run(options: argparse.Namespace) -> int:
    try:
        params = read_params(options.params, schema().type_of(options.method) or "")
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
