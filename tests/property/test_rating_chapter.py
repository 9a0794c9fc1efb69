"""The product prices as the chapter says: compared with `naive_rating` on random tariff folders and calls (10 §3-7)."""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from csv import writer
from datetime import datetime, timedelta, timezone
from itertools import count
from random import Random
from typing import Any, TypeVar

from hypothesis import event, given, settings
from hypothesis import strategies as st

from cgr_cluster.engine.codec import pack
from cgr_cluster.engine.generation import Generation
from cgr_cluster.rating.answers import call_cost_json, event_cost_json
from cgr_cluster.rating.call_cost import call_cost
from cgr_cluster.rating.event_cost import event_cost_of
from cgr_cluster.rating.params import CallDescriptorParams, descriptor_of
from cgr_cluster.rpc.decode import build
from cgr_cluster.rpc.errors import ApiError
from cgr_cluster.rpc.slow_decode import read_parameter
from cgr_cluster.tariffs.deck import read_deck
from cgr_cluster.tariffs.loading import Loader
from tests.property import naive_rating
from tests.property.naive_rating import NS, Refused, Row, Tariff

T = TypeVar("T")

PLANS = ["RP1", "RP2", "RP3"]
SUBJECTS = ["*any", "*any", "1001", "1001", "100", "gold", "silver"]
TIMINGS: list[Row] = [
    ["DAY", "", "", "", "1;2;3;4;5", "08:00:00"],
    ["EVENING", "*any", "*any", "*any", "1;2;3;4;5", "20:00:00;23:00:00"],
    ["NIGHT", "", "", "", "1;2;3;4;5", "00:00:00"],
    ["WEEKEND", "", "", "", "6;7", "00:00:00"],
    ["SUNDAY_LATE", "", "", "", "7", "18:30:00"],
    ["HOLIDAY", "", "12;6", "24;25;26", "", "00:00:00"],
    ["PROMO", "2025;2026", "3;6", "", "", "00:00:00"],
    ["NOON", "", "", "", "", "12:00:00;14:00:00"],
    ["ALL_DAY", "", "", "", "", "00:00:00"],
]


def seeded(make: Callable[[Random], T]) -> st.SearchStrategy[T]:
    """What `make` draws: one number for Hypothesis, which makes large tariffs cheap to draw."""
    return st.integers(0, 1 << 16).map(lambda seed: make(Random(seed)))


def amount(random: Random) -> str:
    return random.choice(
        ["", str(random.randrange(90)), *(str(random.randrange(10**size) / 10**5) for size in (3, 5, 6))]
    )


def rate_rows(random: Random) -> list[Row]:
    """A rate of up to four slots, in any order; the first begins at 0. The id is put in front later."""
    rows = []
    start = 0
    for _ in range(random.choice([1, 1, 2, 3, 4])):
        increment = random.choice([1, 1, 6, 10, 30, 60])
        texts = {1: ["1s", "", "0s", "1000000000"], 60: ["60s", "1m"]}.get(increment, [f"{increment}s"])
        unit = random.choice(["1s", "60s", "1m", "1h", "", "0"])
        rows.append([amount(random), amount(random), unit, random.choice(texts), f"{start}s" if start else ""])
        start += random.choice([increment * random.randint(1, 5), random.randint(1, 4000)])
    random.shuffle(rows)
    return rows


def destination_rate(random: Random) -> Row:
    return [
        random.choice(["D1", "D2", "D2", "D3", "*any"]), random.choice(["R0", "R1", "R2"]),
        random.choice(["*up", "*down", "*middle", ""]), random.choice(["", "0", "2", "4", "7"]),
        random.choice(["", "0", "0.5", "2", "20"]), random.choice(["", "*free", "*disconnect"]),
    ]  # fmt: skip


def binding(random: Random) -> Row:
    timing = random.choice(["*any", "*any", "*any", "ALL_DAY", "ALL_DAY", *(row[0] for row in TIMINGS)])
    return [random.choice(["DR0", "DR1", "DR2"]), timing, random.choice(["10", "10", "10", "20", "5.5", ""])]


def activation(random: Random) -> Row:
    """Subject, time, plan, fallback subjects."""
    at = random.choice(["2020-01-01T00:00:00Z", "2020-01-01T00:00:00Z", some_time(random), some_time(random)])
    fallback = random.choice(["", "", "gold", "silver;gold", "100;*any", "nobody;1001"])
    return [random.choice(SUBJECTS), at, random.choice(PLANS), fallback]


def some_time(random: Random) -> str:
    """On days where something changes, near a border of timings or anywhere."""
    day = random.choice([datetime(2025, 3, 4), datetime(2025, 3, 7), datetime(2025, 6, 15), datetime(2025, 12, 24)])
    border = random.choice([0, 1, 8, 12, 18.5, 20, 23, 24]) * 3600 + random.choice([0, 0, random.randint(-100, 100)])
    second = random.choice([int(border), int(border), random.randrange(86_400)])
    at = day + timedelta(seconds=second, microseconds=random.choice([0, 0, 0, 500_000]))
    return text_of(at.replace(tzinfo=zone(random)))


def zone(random: Random) -> timezone:
    return timezone(timedelta(minutes=random.choice([0, 0, 60, -300, 345])))


def text_of(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


def call(random: Random) -> dict[str, Any]:
    start = naive_rating.moment(some_time(random))
    usage_us = random.choice([random.randint(1, 400), random.randint(1, 20), random.randint(1, 50 * 3600)]) * 10**6
    usage_us += random.choice([0, 0, 0, random.randrange(10**6)])
    end = start + timedelta(microseconds=usage_us)
    if not random.randrange(20):
        end = end.astimezone(zone(random))
    return {
        "Tenant": random.choice(["", "cgrates.org"]),
        "Category": random.choice(["", "call"]),
        "Subject": random.choice(["1001", "1001", "10", "1002", "gold", "silver", ""]),
        "Account": random.choice(["1001", "gold"]),
        "Destination": random.choice(["47123", "4712", "4799", "4", "3344", "99", "", "*any"]),
        "ToR": random.choice(["*voice", "*voice", "", "*data", "*sms"]),
        "TimeStart": text_of(start),
        "TimeEnd": text_of(end),
        "DurationIndex": random.choice([0, usage_us * 1000, usage_us * 1000 + random.randrange(5000) * NS]),
        "LoopIndex": random.choice([0, 0, 1]),
        "MaxCostSoFar": random.choice([0, 0, 1.5]),
    }


@st.composite
def tariff_files(draw: st.DrawFn) -> dict[str, list[Row]]:
    owned = [["D1", "47"], ["D2", "4"], ["D2", "471"], ["D3", "4712"], ["D3", "47"], ["D1", "33"], ["D1", "33"]]
    return {
        "Destinations.csv": owned,
        "Timings.csv": TIMINGS,
        "Rates.csv": [[f"R{n}", *row] for n in range(3) for row in draw(seeded(rate_rows))],
        "DestinationRates.csv": [[f"DR{n}", *row] for n in range(3) for row in draw(rows_of(destination_rate, 2))],
        "RatingPlans.csv": [[plan, *row] for plan in PLANS for row in draw(rows_of(binding, 6))],
        "RatingProfiles.csv": [["cgrates.org", "call", *row] for row in draw(rows_of(activation, 8))],
    }


def rows_of(row: Callable[[Random], Row], most: int) -> st.SearchStrategy[list[Row]]:
    return st.lists(seeded(row), min_size=1, max_size=most, unique_by=tuple)


def loaded(files: dict[str, list[Row]], removed: set[str], rals: dict[str, Any]) -> Generation:
    data = {}
    for name, rows in files.items():
        text = io.StringIO()
        writer(text, lineterminator="\n").writerows(rows)
        data[name] = text.getvalue().encode()
    ids = count()
    changes = Loader(Generation({}), 0, "UTC", lambda: str(next(ids))).load(*read_deck(data)).changes
    packed: list[tuple[str, str, bytes | None]] = [
        (kind, key, pack(value)) for kind, key, value in changes if key not in removed
    ]
    return Generation({"general": {}, "rals": rals}).apply(packed, 1)


def plain_call_cost(answer: dict[str, Any]) -> dict[str, Any]:
    """What the chapter's steps say of an answer, in their form."""
    spans = []
    for span in answer["Timespans"]:
        interval = span["RateInterval"]
        rating = interval["Rating"]
        rounding = tuple(rating[name] for name in ("RoundingMethod", "RoundingDecimals", "MaxCost", "MaxCostStrategy"))
        spans.append({
            "TimeStart": naive_rating.time(span["TimeStart"])[0],
            "TimeEnd": naive_rating.time(span["TimeEnd"])[0],
            "Cost": span["Cost"],
            "DurationIndex": span["DurationIndex"],
            "Increments": [(i["Duration"], i["Cost"], i["CompressFactor"]) for i in span["Increments"]],
            "Matched": tuple(span[name] for name in ("MatchedSubject", "MatchedPrefix", "MatchedDestId", "RatingPlanId")),
            "CompressFactor": span["CompressFactor"],
            "RateInterval": {"Timing": interval["Timing"]["ID"], "Weight": interval["Weight"], "ConnectFee": rating["ConnectFee"],
                             "Rounding": rounding, "Rates": rating["Rates"]},
        })  # fmt: skip
    return {
        "Destination": answer["Destination"],
        "Cost": answer["Cost"],
        "RatedUsage": answer["RatedUsage"],
        "Timespans": spans,
    }


def plain_event_cost(answer: dict[str, Any]) -> dict[str, Any]:
    charges = []
    for charge in answer["Charges"]:
        rating = answer["Rating"][charge["RatingID"]]
        filters = answer["RatingFilters"][rating["RatingFiltersID"]]
        charges.append((
            [(i["Usage"], i["Cost"], i["CompressFactor"]) for i in charge["Increments"]],
            charge["CompressFactor"],
            tuple(filters[name] for name in ("Subject", "DestinationPrefix", "DestinationID", "RatingPlanID")),
            answer["Rates"][rating["RatesID"]],
        ))  # fmt: skip
    start = naive_rating.time(answer["StartTime"])[0]
    return {"StartTime": start, "Usage": answer["Usage"], "Cost": answer["Cost"], "Charges": charges}


def close(a: Any, b: Any) -> bool:
    """Equal, amounts of money to their grain."""
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(close(a[name], b[name]) for name in a)
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        return len(a) == len(b) and all(map(close, a, b))
    if isinstance(a, float) or isinstance(b, float):
        return math.isclose(a, b, rel_tol=1e-12, abs_tol=1e-9)
    return bool(a == b)


settings_of_rals = st.fixed_dictionaries(
    {
        "fallback_depth": st.sampled_from([3, 3, 3, 1, 2]),
        "rp_subject_prefix_matching": st.sampled_from([False, False, True]),
    }
)


@settings(max_examples=120, deadline=None)
@given(
    tariff_files(),
    st.sampled_from([set(), set(), {"RP2"}]),
    settings_of_rals,
    st.lists(seeded(call), min_size=10, max_size=10),
)
def test_answers_are_those_of_the_chapter(
    files: dict[str, list[Row]], removed: set[str], rals: dict[str, Any], asked: list[dict[str, Any]]
) -> None:
    generation = loaded(files, removed, rals)
    tariff = Tariff(files, removed, rals)
    for one in asked:
        event(compared(generation, tariff, one))


def compared(generation: Generation, tariff: Tariff, asked: dict[str, Any]) -> str:
    """Asserts that both answer the same; what it was."""
    try:
        expected: Any = naive_rating.call_cost(tariff, asked)
    except Refused as refused:
        expected = str(refused)
    times = {name: read_time(asked[name]) for name in ("TimeStart", "TimeEnd")}
    try:
        cost = call_cost(generation, descriptor_of(CallDescriptorParams(**{**asked, **times})))
    except ApiError as error:
        assert error.text == expected, asked
        return error.text
    found = plain_call_cost(call_cost_json(cost))
    assert close(found, expected), (found, expected, asked)
    found = plain_event_cost(event_cost_json(event_cost_of(cost)))
    assert close(found, naive_rating.event_cost(expected)), asked
    return f"{len(cost.timespans or [])} spans"


def read_time(text: str) -> Any:
    return build(Any, read_parameter("time.Time", f'"{text}"'.encode()))
