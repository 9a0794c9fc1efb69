"""`cgr-cluster explain [JSON | key=value ...]`: why a call costs what it costs, in words."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from typing import Any

from cgr_cluster.cli.call import read_params
from cgr_cluster.cli.client import CallFailedError, Client, parse_address
from cgr_cluster.events.durations import format_duration

EPILOG = """examples:
  cgr-cluster explain Subject=1001 Destination=4722334455 Usage=90s AnswerTime=2025-03-04T10:00:00Z
  cgr-cluster explain Account=1001 Destination=4722334455 Usage=90s AnswerTime='*now' --json

Parameters: Tenant, Category, Subject, Account, Destination, AnswerTime (default: now), Usage, ToR. With an account its balances
are listed too.
"""
PARAMETERS = ("Tenant", "Category", "Subject", "Account", "Destination", "AnswerTime", "Usage", "ToR", "APIOpts")

Document = dict[str, Any]


def add_parser(commands: Any) -> None:
    parser = commands.add_parser(
        "explain",
        help="explain the price of a call",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("params", nargs="*", metavar="JSON | KEY=VALUE")
    parser.add_argument("--address", default="127.0.0.1:2012", metavar="HOST:PORT", help="default: %(default)s")
    parser.add_argument("--json", action="store_true", help="the explanation as JSON (docs/explain.md)")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    try:
        params = read_params(options.params)
        address = parse_address(options.address)
        if isinstance(params, dict):
            params = texts(params)
    except ValueError as error:
        print(f"cgr-cluster explain: {error}", file=sys.stderr)
        return 2
    try:
        with Client(address) as client:
            explanation = client.call("APIerSv1.ExplainCost", params)
    except CallFailedError as error:
        print(error, file=sys.stderr)
        return 1
    print(json.dumps(explanation, ensure_ascii=False, indent=1) if options.json else "\n".join(text_of(explanation)))
    return 0


def texts(params: Document) -> Document:
    """The parameters as GetCost wants them: a number is a text. Raises ValueError for names that it would not look at."""
    known = {name.lower() for name in PARAMETERS}
    unknown = [name for name in params if name.lower() not in known]
    if unknown:
        raise ValueError(f"no parameter {unknown[0]!r}; there are {', '.join(PARAMETERS)}")
    found = {key: str(value) if isinstance(value, int | float) else value for key, value in params.items()}
    return found if "answertime" in map(str.lower, found) else {**found, "AnswerTime": "*now"}


def text_of(explanation: Document) -> Iterator[str]:
    """The lines of an explanation."""
    yield (
        f"{explanation['ToR']} to {explanation['Destination']}, {_usage(explanation, explanation['Usage'])} "
        f"from {explanation['StartTime']}, "
        f"tenant {explanation['Tenant']}, category {explanation['Category']}, subject {explanation['Subject']!r}"
    )
    if explanation["Result"] == "RATED":
        yield f"Cost {explanation['Cost']}" + (f" ({explanation['Reason']})" if explanation["Reason"] else "")
    else:
        yield f"Not rated: {explanation['Result']}: {explanation['Reason']}"
    yield ""
    yield "Rates"
    for lookup in explanation["Lookups"]:
        yield from _lookup(lookup)
    match = explanation["Match"]
    if match is not None:
        yield (
            f"  => plan {match['RatingPlanID']} by {match['Profile']} ({match['How']}, depth {match['Depth']}): "
            f"destination {match['DestinationID']}, prefix {match['Prefix']}"
        )
    if explanation["Bindings"]:
        yield ""
        yield "Bindings of the destination in the plan"
        for position, binding in enumerate(explanation["Bindings"]):
            yield from _binding(explanation, position, binding)
    if explanation["Spans"]:
        yield ""
        yield "Price"
        for span in explanation["Spans"]:
            yield from _span(explanation, span)
        yield from _total(explanation)
    if "AccountFound" in explanation:
        yield from _balances(explanation)


def _usage(explanation: Document, amount: int) -> str:
    return str(amount) if explanation["ToR"] in ("*data", "*sms", "*mms") else format_duration(amount)


def _lookup(lookup: Document) -> Iterator[str]:
    indent = "  " * lookup["Depth"]
    if not lookup["Found"]:
        yield f"{indent}{lookup['Profile']} ({lookup['How']}): no such rating profile"
        return
    yield f"{indent}{lookup['Profile']} ({lookup['How']}):"
    for activation in lookup["Activations"]:
        fallback = activation["FallbackSubjects"]
        yield (
            f"{indent}  active from {activation['ActivationTime']}, plan {activation['RatingPlanID']}"
            + (f", fallback {';'.join(fallback)}" if fallback else "")
            + f": {activation['Outcome']}"
        )
        for probe in activation["Prefixes"]:
            yield f"{indent}    prefix {probe['Prefix']} of {probe['DestinationID']}: {probe['Outcome']}"
        found = activation["Match"]
        if found is not None and found["Prefix"] == "*any":
            yield f"{indent}    *any: the plan's rates for all other destinations"


def _binding(explanation: Document, position: int, binding: Document) -> Iterator[str]:
    cap = f", at most {binding['MaxCost']} {binding['MaxCostStrategy']}" if binding["MaxCost"] else ""
    yield (
        f"  [{position}] timing {binding['TimingID']} from {binding['StartTime'] or '00:00:00'}, weight {binding['Weight']}, "
        f"connect fee {binding['ConnectFee']}, total {binding['RoundingMethod'] or 'not rounded'}"
        f" {binding['RoundingDecimals']}{cap}"
    )
    for slot in binding["Slots"]:
        yield (
            f"      from {_usage(explanation, slot['GroupIntervalStart'])}: {slot['Value']} per "
            f"{_usage(explanation, slot['RateUnit'])}, in steps of {_usage(explanation, slot['RateIncrement'])}"
        )


def _span(explanation: Document, span: Document) -> Iterator[str]:
    slot = explanation["Bindings"][span["Binding"]]["Slots"]
    rate = f", {slot[span['Slot']]['Value']} per {_usage(explanation, slot[span['Slot']]['RateUnit'])}" if slot else ""
    yield f"  {span['StartTime']} to {span['EndTime']}: binding [{span['Binding']}], slot {span['Slot']}{rate}"
    others = [c for c in span["Candidates"] if c["Binding"] != span["Binding"]]
    for candidate in others:
        yield f"    not [{candidate['Binding']}] of weight {candidate['Weight']}: {candidate['Outcome']}"
    rounded_up = f", rounded up by {_usage(explanation, span['RoundedUpBy'])}" if span["RoundedUpBy"] else ""
    yield f"    ends by: {span['CutBy']}{rounded_up}"
    whole, share = span["Rounding"]
    yield (
        f"    {span['Increments']} x {_usage(explanation, span['Increment'])}: {whole['What']} {whole['Unrounded']!r} "
        f"-> {whole['Rounded']}, {share['What']} {share['Unrounded']!r} -> {share['Rounded']} each"
    )
    yield f"    = {span['Cost']}"


def _total(explanation: Document) -> Iterator[str]:
    total = explanation["Total"]
    merged = [charge for charge in explanation["Charges"] if charge["CompressFactor"] > 1]
    fee = f"  connect fee {total['ConnectFee']}"
    if merged and merged[0]["ConnectFee"]:
        fee += f" (once for each of {merged[0]['CompressFactor']} equal spans)"
    yield fee
    yield f"  = {total['EventCost']} (cost details: neither capped nor rounded as a total)"
    for charge in explanation["Charges"]:
        if charge["CappedTo"] is not None:
            yield f"  capped: {charge['CapComparedWith']} has reached the maximum, total {charge['CappedTo']}"
    if total["RoundingDecimals"]:
        yield (
            f"  total {total['BeforeRounding']} rounded {total['RoundingMethod']} to {total['RoundingDecimals']} decimals: "
            f"{total['CallCost']} (Responder.GetCost)"
        )
    elif total["CallCost"] != total["EventCost"]:
        yield f"  total {total['CallCost']} (Responder.GetCost)"


def _balances(explanation: Document) -> Iterator[str]:
    yield ""
    if not explanation["AccountFound"]:
        yield f"Account {explanation['Account']} does not exist"
        return
    yield f"Balances of {explanation['Account']} that may pay, in their order"
    for balance in explanation["Balances"]:
        how = balance["RatedBy"]
        if how == "free":
            how += f" in steps of {_usage(explanation, balance['FreeIncrement'])}"
        yield (
            f"  {balance['Type']} {balance['ID'] or balance['UUID']}: {balance['Value']}, weight {balance['Weight']}, "
            f"rating subject {balance['RatingSubject']!r}: {how}"
        )
        if balance["Rates"] is not None:
            for line in text_of(balance["Rates"]):
                yield f"    {line}" if line else ""
    if not explanation["Balances"]:
        yield "  none"
