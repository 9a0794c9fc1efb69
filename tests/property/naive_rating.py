"""Sections 3 to 7 of chapter 10 written down as they stand, for comparison with the product: slow, plain, and without a
line of the product's code. Tariffs are the text of the CSV files, calls and answers are JSON as clients see it.

Times are (Unix ns, offset in s east of UTC). Spans are dicts that the steps of the chapter change.
"""

from __future__ import annotations

import math
import re
from datetime import datetime, timedelta
from typing import Any

NS = 10**9
SECONDS = {"ns": 1 / NS, "us": 1e-6, "ms": 1e-3, "s": 1, "m": 60, "h": 3600}
Time = tuple[int, int]
Span = dict[str, Any]
Row = list[str]


class Refused(Exception):  # noqa: N818  the chapter's word: an answer that is an error
    pass


# --- 1: values -----------------------------------------------------------------------------------------------------


def duration(text: str) -> int:
    if not text:
        return 0
    if text.isdigit():
        return int(text)
    pairs = re.findall(r"([0-9.]+)([a-z]+)", text)
    return round(sum(float(number) * SECONDS[unit] for number, unit in pairs) * NS)


def moment(text: str) -> datetime:
    """Of RFC 3339. Python 3.10 reads fractions of 3 or 6 digits only."""
    return datetime.fromisoformat(re.sub(r"\.\d+", lambda part: part[0].ljust(7, "0"), text.replace("Z", "+00:00")))


def time(text: str) -> Time:
    at = moment(text)
    offset = at.utcoffset() or timedelta()
    unix = (at - datetime.fromisoformat("1970-01-01T00:00:00+00:00")) // timedelta(microseconds=1)
    return unix * 1000, int(offset.total_seconds())


def clock(at: Time) -> datetime:
    """What the clock on the wall of `at` shows (ns are cut)."""
    ns, offset = at
    return datetime(1970, 1, 1) + timedelta(seconds=ns // NS + offset)


def rounded(x: float, decimals: int, method: str) -> float:
    p = 10.0**decimals
    i = x * p
    f = math.fmod(i, 1.0)
    if method == "*up":
        return (math.ceil(i) if f >= 10.0 ** -max(7, decimals) else math.floor(i)) / p
    if method == "*middle":
        return (math.ceil(i) if f >= 0.5 else math.floor(i)) / p
    if method == "*down":
        return math.floor(i) / p
    return x


def r5(x: float) -> float:
    return rounded(x, 5, "*middle")


# --- 2: objects ----------------------------------------------------------------------------------------------------


class Timing:
    def __init__(self, row: Row) -> None:
        self.id, years, months, month_days, week_days, span = row
        lists = [[int(x) for x in text.split(";") if x.lstrip("-").isdigit()] for text in (years, months, month_days)]
        self.years, self.months, self.month_days = lists
        self.week_days = [int(x) % 7 for x in week_days.split(";") if x.isdigit()]
        self.start = span.split(";")[0]
        # EndTime is not copied into rating plans

    def start_on(self, day: Time) -> Time:
        """StartTime on the day of a time, in its offset."""
        hours, minutes, seconds = map(int, self.start.split(":"))
        at = clock(day)
        midnight = at.replace(hour=0, minute=0, second=0)
        local = midnight + timedelta(hours=hours, minutes=minutes, seconds=seconds)
        return ((local - datetime(1970, 1, 1)) // timedelta(seconds=1) - day[1]) * NS, day[1]

    def active(self, at: Time) -> bool:
        t = clock(at)
        return (
            (not self.years or t.year in self.years)
            and (not self.months or t.month in self.months)
            and (not self.month_days or t.day in self.month_days)
            and (not self.week_days or t.isoweekday() % 7 in self.week_days)
            and self.start_on(at)[0] <= at[0]
        )

    def values(self) -> tuple[Any, ...]:
        return self.id, self.years, self.months, self.month_days, self.week_days, self.start


class Binding:
    def __init__(self, timing: Timing, destination_rate: Row, rate_rows: list[Row], weight: float) -> None:
        self.timing = timing
        self.weight = weight
        self.connect_fee = float(rate_rows[0][1] or 0)
        _, _, _, self.method, decimals, max_cost, self.strategy = destination_rate
        self.decimals, self.max_cost = int(decimals or 0), float(max_cost or 0)
        slots = [
            {
                "GroupIntervalStart": duration(row[5]),
                "Value": float(row[2] or 0),
                "RateIncrement": duration(row[4]) or NS,
                "RateUnit": duration(row[3]) or NS,
            }
            for row in rate_rows
        ]
        self.slots = sorted(slots, key=lambda slot: slot["GroupIntervalStart"])

    def slot_at(self, usage: int) -> dict[str, Any]:
        fitting = [slot for slot in self.slots if slot["GroupIntervalStart"] <= usage]
        return max(fitting, key=lambda slot: slot["GroupIntervalStart"])

    def same(self, other: Binding) -> bool:
        return self.weight == other.weight and self.timing.values() == other.timing.values()

    def described(self) -> dict[str, Any]:
        return {
            "Timing": self.timing.id,
            "Weight": self.weight,
            "ConnectFee": self.connect_fee,
            "Rounding": (self.method, self.decimals, self.max_cost, self.strategy),
            "Rates": self.slots,
        }


class Tariff:
    """`files`: file name → rows of cells. `removed`: plans that were taken away after the load."""

    def __init__(self, files: dict[str, list[Row]], removed: set[str], rals: dict[str, Any]) -> None:
        self.files = files
        self.removed = removed
        self.depth = rals["fallback_depth"]
        self.shortening = rals["rp_subject_prefix_matching"]

    def destinations_owning(self, prefix: str) -> set[str]:
        return {name for name, owned in self.files["Destinations.csv"] if owned == prefix}

    def plan(self, name: str) -> dict[str, list[Binding]] | None:
        """Destination id → bindings in row order."""
        if name in self.removed or not any(row[0] == name for row in self.files["RatingPlans.csv"]):
            return None
        timings = {row[0]: Timing(row) for row in self.files["Timings.csv"]}
        timings.setdefault("*any", Timing(["*any", "", "", "", "", "00:00:00"]))
        plan: dict[str, list[Binding]] = {}
        for plan_id, rates_id, timing_id, weight in self.files["RatingPlans.csv"]:
            for row in self.files["DestinationRates.csv"]:
                if plan_id == name and row[0] == rates_id:
                    rates = [rate for rate in self.files["Rates.csv"] if rate[0] == row[2]]
                    plan.setdefault(row[1], []).append(Binding(timings[timing_id], row, rates, float(weight or 0)))
        return plan

    def profile(self, key: str) -> tuple[str, list[tuple[Time, str, list[str]]]] | None:
        """(id, activations by time with full fallback keys)."""
        direction, tenant, category, subject = key.split(":")
        rows = [row for row in self.files["RatingProfiles.csv"] if row[:3] == [tenant, category, subject]]
        if rows:
            activations = [
                (time(at), plan, [f"*out:{tenant}:{category}:{name}" for name in fallback.split(";") if fallback])
                for _, _, _, at, plan, fallback in rows
            ]
            return key, sorted(activations, key=lambda activation: activation[0][0])
        if self.shortening and len(subject) > 1:
            return self.profile(f"{direction}:{tenant}:{category}:{subject[:-1]}")
        return None


# --- 3: finding the rates ------------------------------------------------------------------------------------------

Info = dict[str, Any]  # "from": ns; "fallback": keys of a gap; else what matched


def look_up(tariff: Tariff, call: dict[str, Any], key: str, start: Time, end: Time, depth: int) -> list[Info]:
    any_key = f"*out:{call['Tenant']}:{call['Category']}:*any"
    if depth > tariff.depth:
        raise Refused("UNAUTHORIZED_DESTINATION")
    found = tariff.profile(key)
    if found is None and depth == 1:
        found = tariff.profile(any_key)
    if found is None:
        raise Refused("RATING_PLAN_NOT_FOUND")
    profile_id, activations = found
    first = max((n for n, (at, _, _) in enumerate(activations) if at[0] <= start[0]), default=0)
    stop = min((n for n, (at, _, _) in enumerate(activations) if at[0] > end[0]), default=len(activations))
    infos: list[Info] = []
    for number, (at, plan_id, fallback) in enumerate(activations[first:stop]):
        plan = tariff.plan(plan_id)
        if plan is None:
            continue
        if number == 0 and at[0] > start[0]:
            infos.append({"from": start[0], "fallback": [any_key]})
        match = matched(tariff, plan, call["Destination"], start)
        if match is not None:
            prefix, name = match
            infos.append({"from": at[0], "subject": profile_id, "plan": plan_id, "prefix": prefix, "destination": name,
                          "bindings": list(plan[name])})  # fmt: skip
        elif fallback:
            infos.append({"from": at[0], "fallback": fallback})
    filled: list[Info] = []
    for number, info in enumerate(infos):
        if "fallback" not in info:
            filled.append(info)
            continue
        gap_start = start if number == 0 else (info["from"], start[1])
        gap_end = (infos[number + 1]["from"], end[1]) if number + 1 < len(infos) else end
        filled += filling(tariff, call, info["fallback"], gap_start, gap_end, depth + 1)
    if not filled or filled[0]["from"] > start[0]:
        raise Refused("UNAUTHORIZED_DESTINATION")
    return filled


def filling(tariff: Tariff, call: dict[str, Any], keys: list[str], start: Time, end: Time, depth: int) -> list[Info]:
    for key in keys:
        try:
            return look_up(tariff, call, key, start, end, depth)
        except Refused:
            pass
    raise Refused("UNAUTHORIZED_DESTINATION")


def matched(tariff: Tariff, plan: dict[str, list[Binding]], number: str, start: Time) -> tuple[str, str] | None:
    if number not in ("", "*any"):
        for length in range(len(number), 0, -1):
            prefix = number[:length]
            here = [
                (-max(binding.weight for binding in plan[name]), name)
                for name in tariff.destinations_owning(prefix)
                if name in plan and any(binding.timing.active(start) for binding in plan[name])
            ]
            if here:
                return prefix, min(here)[1]
    return ("*any", "*any") if "*any" in plan else None


# --- 4: cutting ----------------------------------------------------------------------------------------------------


def span_of(start: Time, end: Time, index: int, binding: Binding | None = None) -> Span:
    return {"start": start, "end": end, "index": index, "binding": binding}


def group_start(span: Span) -> int:
    start: int = span["index"] - (span["end"][0] - span["start"][0])
    return max(0, start)


def cut_at(span: Span, at: Time) -> Span:
    """Cut a span; the right part."""
    right = span_of(at, span["end"], span["index"])
    span["index"] -= span["end"][0] - at[0]
    span["end"] = at
    return right


def next_midnight(at: Time) -> Time:
    day = clock(at).replace(hour=0, minute=0, second=0) + timedelta(days=1)
    return ((day - datetime(1970, 1, 1)) // timedelta(seconds=1) - at[1]) * NS, at[1]


def is_midnight(at: Time) -> bool:
    return clock(at).strftime("%H:%M:%S") == "00:00:00"


def spans_of(call: dict[str, Any], infos: list[Info]) -> list[Span]:
    start, end = call["TimeStart"], call["TimeEnd"]
    index = max(call["DurationIndex"], end[0] - start[0])
    spans = [span_of(start, end, index)]
    if call["ToR"] == "*voice":
        for info in infos[1:]:
            last = spans[-1]
            if last["start"][0] < info["from"] < last["end"][0]:
                spans.append(cut_at(last, (info["from"], start[1])))
        at = 0
        while at < len(spans):
            span = spans[at]
            at += 1
            midnight = next_midnight(span["start"])
            same_day = clock(span["start"]).day == clock(span["end"]).day
            if not is_midnight(span["end"]) and not same_day and midnight[0] < span["end"][0]:
                spans.insert(at, cut_at(span, midnight))
    bindings = infos[0]["bindings"]
    at = 0
    while at < len(spans):
        span = spans[at]
        at += 1
        for binding in candidates(bindings, span):
            right = attach_or_cut(binding, span, call["ToR"] == "*voice")
            if right is not None:
                spans.insert(at, right)
                if span["binding"] is not None:
                    break
    return rounded_up(spans)


def candidates(bindings: list[Binding], span: Span) -> list[Binding]:
    def start_of(binding: Binding) -> int:
        return binding.timing.start_on(span["start"])[0]

    if len(bindings) > 12:
        bindings.sort(key=lambda binding: (-binding.weight, start_of(binding)))
    for here in range(1, len(bindings) if len(bindings) <= 12 else 0):
        while here > 0:
            a, b = bindings[here], bindings[here - 1]
            if not (a.weight > b.weight or start_of(a) < start_of(b)):
                break
            bindings[here - 1], bindings[here] = a, b
            here -= 1
    best = None
    for number, binding in enumerate(bindings):
        if not binding.timing.active(span["start"]):
            continue
        if best is None:
            best = number
            continue
        if binding.weight < bindings[best].weight:
            break
        if start_of(binding) > start_of(bindings[best]):
            best = number
    best = best or 0
    found = [bindings[best]]
    for binding in bindings[best + 1 :]:
        if binding.weight < bindings[best].weight:
            break
        if start_of(binding) < span["end"][0]:
            found.append(binding)
    return found


def attach(binding: Binding, span: Span) -> None:
    present = span["binding"]
    starts = binding.timing.start_on(span["start"])[0]
    if starts > span["start"][0]:
        return
    if present is None or binding.weight > present.weight or starts > present.timing.start_on(span["start"])[0]:
        span["binding"] = binding


def attach_or_cut(binding: Binding, span: Span, voice: bool) -> Span | None:
    """The right part, when it cut."""
    start, end = span["start"], span["end"]
    at_start = binding.timing.active(start)
    at_end = binding.timing.active((end[0] - NS, end[1]) if is_midnight(end) else end)
    if not at_start and not at_end:
        return None
    for slot in binding.slots:
        if group_start(span) < slot["GroupIntervalStart"] < span["index"]:
            attach(binding, span)
            right = cut_at(span, (start[0] + slot["GroupIntervalStart"] - group_start(span), start[1]))
            attach(binding, right)
            return right
    if not voice:
        if at_start:
            attach(binding, span)
        return None
    if at_start:
        attach(binding, span)
        if at_end or next_midnight(start)[0] >= end[0]:
            return None
        return cut_at(span, next_midnight(start))
    border = binding.timing.start_on(end if binding.timing.start == "00:00:00" else start)
    if not start[0] < border[0] < end[0]:
        return None
    right = cut_at(span, (border[0], start[1]))
    attach(binding, right)
    return right


def rounded_up(spans: list[Span]) -> list[Span]:
    out: list[Span] = []
    covered = None
    for span in spans:
        if covered is not None:
            if span["end"][0] <= covered[0]:
                continue
            if span["start"][0] < covered[0]:
                span["start"] = covered
        if span["binding"] is None:
            raise Refused("UNAUTHORIZED_DESTINATION")
        increment = span["binding"].slot_at(group_start(span))["RateIncrement"]
        rest = (span["end"][0] - span["start"][0]) % increment
        if rest:
            span["end"] = (span["end"][0] + increment - rest, span["end"][1])
            span["index"] += increment - rest
        covered = span["end"]
        out.append(span)
    return out


# --- 5, 6: price and CallCost ----------------------------------------------------------------------------------------


def price(span: Span) -> None:
    slot = span["slot"] = span["binding"].slot_at(group_start(span))
    length = span["end"][0] - span["start"][0]
    n = length // slot["RateIncrement"]
    c = r5(length * (slot["Value"] / slot["RateUnit"]))
    span["increments"] = [(slot["RateIncrement"], r5(c / n), n)]
    span["factor"] = 1


def compressed(spans: list[Span]) -> list[Span]:
    out: list[Span] = []
    for span in spans:
        last = out[-1] if out else None
        if (
            last is not None
            and last["increments"] == span["increments"]
            and last["binding"].same(span["binding"])
            and last["slot"]["Value"] == span["slot"]["Value"]
            and last["slot"]["RateUnit"] == span["slot"]["RateUnit"]
        ):
            last["factor"] += 1
            last["end"], last["index"] = span["end"], span["index"]
        else:
            out.append(span)
    return out


def call_cost(tariff: Tariff, call: dict[str, Any]) -> dict[str, Any]:
    """The CallCost of a call with usage. Raises Refused."""
    call = {**call, "TimeStart": time(call["TimeStart"]), "TimeEnd": time(call["TimeEnd"])}
    call["ToR"] = call["ToR"] or "*voice"
    call["Category"] = call["Category"] or "call"
    call["Tenant"] = call["Tenant"] or "cgrates.org"
    subject = call["Subject"] or call["Account"]
    key = f"*out:{call['Tenant']}:{call['Category']}:{subject}"
    infos = look_up(tariff, call, key, call["TimeStart"], call["TimeEnd"], 1)
    spans = spans_of(call, infos)
    for span in spans:
        price(span)
    usage = sum(span["end"][0] - span["start"][0] for span in spans)
    spans = compressed(spans)
    if call["LoopIndex"] == 0:
        spans[0]["increments"].insert(0, (0, spans[0]["binding"].connect_fee, 1))
    total, so_far, decimals, method = 0.0, call["MaxCostSoFar"], 0, ""
    for span in spans:
        binding = span["binding"]
        span["cost"] = r5(sum(cost * factor for _, cost, factor in span["increments"])) * span["factor"]
        total += span["cost"]
        so_far += total
        if binding.strategy == "*free" and binding.max_cost > 0 and so_far >= binding.max_cost:
            total = so_far = binding.max_cost
        if binding.decimals > decimals:
            decimals, method = binding.decimals, binding.method
    return {
        "Destination": call["Destination"] or "*any",
        "Cost": rounded(total, decimals, method) if decimals else total,
        "RatedUsage": usage,
        "Timespans": [
            {
                "TimeStart": span["start"][0],
                "TimeEnd": span["end"][0],
                "Cost": span["cost"],
                "DurationIndex": span["index"],
                "Increments": span["increments"],
                "Matched": tuple(infos[0][name] for name in ("subject", "prefix", "destination", "plan")),
                "CompressFactor": span["factor"],
                "RateInterval": span["binding"].described(),
            }
            for span in spans
        ],
    }


# --- 7: EventCost ----------------------------------------------------------------------------------------------------


def event_cost(cost: dict[str, Any]) -> dict[str, Any]:
    charges = []
    total, usage = 0.0, 0
    for span in cost["Timespans"]:
        charge = sum(price * factor for _, price, factor in span["Increments"])
        total += r5(r5(charge) * span["CompressFactor"])
        usage += sum(length * factor for length, _, factor in span["Increments"]) * span["CompressFactor"]
        charges.append((span["Increments"], span["CompressFactor"], span["Matched"], span["RateInterval"]["Rates"]))
    return {"StartTime": cost["Timespans"][0]["TimeStart"], "Usage": usage, "Cost": r5(total), "Charges": charges}
