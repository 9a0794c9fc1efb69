"""Which calls a stress run makes: modes, accounts, numbers, times, lengths, all from one seed."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from cgr_cluster.cli.stress.pricing import DAY_S, Prefixes, Rate, rate_of
from conf.demo.tariff import BUNDLES

MONDAY_S = 1_772_409_600  # 2026-03-02T00:00:00Z: calls are answered in the week that begins here
SATURDAY_END_S = MONDAY_S + 6 * DAY_S
BORDERS_S = (0, 8 * 3600, 20 * 3600)
NEAR_BORDER = 0.25  # share of the calls that are answered so that they may cross a border
HOME = 0.5  # share of the calls of a bundle's account that go where its free minutes go
NUMBERS = 4096  # the numbers that a run dials
NUMBER_DIGITS = 12

MODES = ("prepaid", "pseudoprepaid", "postpaid", "rated")


class Number:
    __slots__ = ("digits", "is_home", "rate")

    def __init__(self, digits: str, rate: Rate, is_home: bool) -> None:
        self.digits = digits
        self.rate = rate
        self.is_home = is_home


def parse_mix(text: str) -> dict[str, int]:
    """`prepaid=40,postpaid=60` → weights by mode; a mode that is not named has none. Raises ValueError."""
    mix = dict.fromkeys(MODES, 0)
    for part in text.split(","):
        mode, equals, weight = part.strip().partition("=")
        if mode not in mix or not equals or not weight.isdigit():
            raise ValueError(f"{part.strip()!r} is no MODE=WEIGHT; modes are {', '.join(MODES)}, weights whole numbers")
        mix[mode] = int(weight)
    if not any(mix.values()):
        raise ValueError("the mix has no calls: all weights are 0")
    return mix


def parse_range(text: str) -> tuple[int, int]:
    """`MIN-MAX` or one number, in seconds. Raises ValueError."""
    low, _, high = text.partition("-")
    if not low.isdigit() or not (high or low).isdigit() or not 0 < int(low) <= int(high or low) <= 3 * 3600:
        raise ValueError(f"{text!r}: MIN-MAX in whole seconds is wanted, 1 to 10800, such as 10-180")
    return int(low), int(high or low)


HOME_DESTINATIONS = frozenset(";".join(bundle.minutes_to for bundle in BUNDLES.values()).split(";")) - {""}


class Plan:
    """Draws calls. Two plans of one seed draw the same."""

    def __init__(self, seed: int, prefixes: Prefixes, mix: dict[str, int], seconds: tuple[int, int]) -> None:
        self.random = Random(seed)
        self.modes = [mode for mode in MODES if mix[mode]]
        self.weights = [mix[mode] for mode in self.modes]
        self.low_s, self.high_s = seconds
        rows = sorted(prefixes.table.items())
        self.numbers = [self._number(*self.random.choice(rows)) for _ in range(NUMBERS)]
        home = [row for row in rows if row[1] in HOME_DESTINATIONS]
        self.home_numbers = [self._number(*self.random.choice(home)) for _ in range(256)]

    def _number(self, prefix: str, destination: str) -> Number:
        rest = NUMBER_DIGITS - len(prefix)
        digits = prefix + "".join(self.random.choice("0123456789") for _ in range(rest))
        return Number(digits, rate_of(destination, prefix), destination in HOME_DESTINATIONS)

    def mode(self) -> str:
        return self.modes[0] if len(self.modes) == 1 else self.random.choices(self.modes, self.weights)[0]

    def number(self, has_bundle: bool) -> Number:
        pool: Sequence[Number] = self.home_numbers if has_bundle and self.random.random() < HOME else self.numbers
        return pool[int(self.random.random() * len(pool))]

    def length_s(self) -> int:
        return self.low_s + int(self.random.random() * (self.high_s - self.low_s + 1))

    def answer_s(self, length_s: int) -> int:
        """When the call is answered. No call crosses the midnight of Saturday: of a call whose two halves there are equal
        the API's price holds the connect fee twice (chapter 10 §6), depending on how it is charged."""
        random = self.random.random
        if random() >= NEAR_BORDER:
            answer = MONDAY_S + int(random() * 7 * DAY_S)
        else:
            border = MONDAY_S + DAY_S * int(random() * 7 + 1) + BORDERS_S[int(random() * 3)]
            answer = border - int(random() * (length_s + 1))
        if answer < SATURDAY_END_S < answer + length_s:
            answer -= DAY_S
        return answer
