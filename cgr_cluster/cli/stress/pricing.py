"""The stress tool's own price list: what the demo tariff makes a call cost, in exact integers (units of 10^-5).

It is written from conf/demo alone and knows nothing of the server's rating, so that the two check each other. What it
uses of the API's rules (spec chapters 10 §4-6, 20 §3, 30.4): increments are charged when they begin, at the price of the
time at which they begin and of the usage until then; free units pay the seconds they can, money goes on from there; the
connect fee is due once, before the first paid increment, and not at all when free units pay the first.

All times are whole seconds, UTC.
"""

from __future__ import annotations

import csv
from functools import cache
from importlib import resources
from typing import NamedTuple

from conf.demo.tariff import GLOBAL_CODES, PEAK_FROM_S, PEAK_TO_S, ZONES, Step, zone_of_code

DAY_S = 86_400
THURSDAY = 3  # 1970-01-01; Monday is 0
SATURDAY = 5
UNITS_PER_CURRENCY = 100_000


class Rate(NamedTuple):
    """Prices to one destination: steps of the call by usage, off-peak and peak."""

    destination: str
    connect_fee: int
    steps: tuple[tuple[Step, ...], tuple[Step, ...]]  # [peak]


class Charge(NamedTuple):
    """What a call takes from an account: money in 10^-5 units, free seconds of its bundle."""

    money: int
    free_s: int


def is_peak(at_s: int) -> bool:
    day, second = divmod(at_s, DAY_S)
    return (day + THURSDAY) % 7 < SATURDAY and PEAK_FROM_S <= second < PEAK_TO_S


def seconds_to_border(at_s: int) -> int:
    """Seconds from `at_s` until the next 08:00, 20:00 or midnight: until then the price stays."""
    second = at_s % DAY_S
    for border in (PEAK_FROM_S, PEAK_TO_S):
        if second < border:
            return border - second
    return DAY_S - second


def _increments(rate: Rate, answer_s: int, begin_s: int, end_s: int) -> list[tuple[int, int, int]]:
    """(count, seconds, price) of the increments that begin in [begin_s, end_s) of the call, in order."""
    found = []
    at = begin_s
    while at < end_s:
        steps = rate.steps[is_peak(answer_s + at)]
        limit = min(end_s, at + seconds_to_border(answer_s + at))
        step = steps[0]
        for following in steps[1:]:
            if following.start_s > at:
                limit = min(limit, following.start_s)
                break
            step = following
        count = -(-(limit - at) // step.increment_s)
        found.append((count, step.increment_s, step.price))
        at += count * step.increment_s
    return found


def price(rate: Rate, answer_s: int, seconds: int, free_s: int = 0) -> Charge:
    """Of a call of `seconds` when the bundle still has `free_s` seconds for this destination."""
    free = min(seconds, free_s)
    if seconds <= 0:
        return Charge(0, 0)
    fee = 0 if free else rate.connect_fee
    return Charge(fee + sum(count * cost for count, _, cost in _increments(rate, answer_s, free, seconds)), free)


def affordable(rate: Rate, answer_s: int, seconds: int, free_s: int, money: int) -> int:
    """Seconds, at most `seconds`, that an account with this bundle and money is granted."""
    free = min(seconds, free_s)
    if not free:
        money -= rate.connect_fee
        if money < 0:
            return 0
    at = free
    for count, length, cost in _increments(rate, answer_s, free, seconds):
        paid = min(count, max(money, 0) // cost) if cost else count
        money -= paid * cost
        at += paid * length
        if paid < count:
            break
    return min(at, seconds)


@cache
def rate_of(destination: str, prefix: str) -> Rate:
    """The rate of a destination such as DST_DE_MOBILE, one of whose prefixes is `prefix`."""
    kind = destination.rpartition("_")[2]
    zone = ZONES[
        zone_of_code(int(prefix[:3]) if prefix[:3].isdigit() and int(prefix[:3]) in GLOBAL_CODES else int(prefix[0]))
    ]
    return Rate(destination, zone.connect_fee, (zone.steps(kind, False), zone.steps(kind, True)))


class Prefixes:
    """Destinations.csv: number → destination by longest prefix."""

    def __init__(self, rows: list[tuple[str, str]]) -> None:
        self.table = {prefix: destination for destination, prefix in rows}
        self.longest = max(map(len, self.table))

    def find(self, number: str) -> tuple[str, str] | None:
        """(destination, prefix), None: no destination has the number."""
        for length in range(min(len(number), self.longest), 0, -1):
            destination = self.table.get(number[:length])
            if destination is not None:
                return destination, number[:length]
        return None

    def rate(self, number: str) -> Rate | None:
        found = self.find(number)
        return rate_of(*found) if found else None


def demo_prefixes() -> Prefixes:
    text = resources.files("conf.demo").joinpath("Destinations.csv").read_text()
    rows = csv.reader(line for line in text.splitlines() if line and not line.startswith("#"))
    return Prefixes([(row[0], row[1]) for row in rows])
