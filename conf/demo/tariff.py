"""The demo tariff in a form that programs can read: what `scripts/demo_plan.py` writes as CSV, and what `cgr-cluster
stress` prices calls with by itself.

Prices are whole multiples of 0.00001 an increment, so that a call's price is exact integer arithmetic: units of
10^-5 of the currency. World zones are those of the first digit of the country calling code (ITU-T E.164).
"""

from __future__ import annotations

from typing import NamedTuple

KINDS = ("FIXED", "MOBILE", "ANY")  # ANY: numbers whose plan does not tell fixed from mobile
TENANT = "cgrates.org"


class DemoTiming(NamedTuple):
    """`week_days` as in Timings.csv (1 Monday ... 7 Sunday), `start` of the period on these days, UTC."""

    id: str
    week_days: str
    start: str
    peak: bool


TIMINGS = (
    DemoTiming("TM_NIGHT", "1;2;3;4;5", "00:00:00", False),
    DemoTiming("TM_DAY", "1;2;3;4;5", "08:00:00", True),
    DemoTiming("TM_EVENING", "1;2;3;4;5", "20:00:00", False),
    DemoTiming("TM_WEEKEND", "6;7", "00:00:00", False),
)
PEAK_FROM_S, PEAK_TO_S = 8 * 3600, 20 * 3600


class Step(NamedTuple):
    """From `start_s` of the call on: `price` (10^-5 units) for each begun `increment_s` seconds."""

    start_s: int
    increment_s: int
    price: int


class Zone(NamedTuple):
    """`base`: price of a second, in 10^-5 units, to a fixed line in peak time."""

    id: str
    connect_fee: int
    base: int

    def rate_id(self, kind: str, peak: bool) -> str:
        return f"RT_{self.id}_{kind}_{'PEAK' if peak else 'OFFPEAK'}"

    def steps(self, kind: str, peak: bool) -> tuple[Step, ...]:
        """Fixed lines: by the second. Mobiles: a first minute, then by six seconds. Unknown kind: by the minute."""
        second = self.base * (2 if peak else 1)
        if kind == "FIXED":
            return (Step(0, 1, second),)
        if kind == "MOBILE":
            return (Step(0, 60, second * 180), Step(60, 6, second * 15))
        return (Step(0, 60, second * 120),)

    def rate_rows(self, kind: str, peak: bool) -> list[tuple[object, ...]]:
        fee = _decimal(self.connect_fee)
        return [
            (fee, _decimal(step.price), f"{step.increment_s}s", f"{step.increment_s}s", f"{step.start_s}s")
            for step in self.steps(kind, peak)
        ]


def _decimal(units: int) -> str:
    return f"{units // 100_000}.{units % 100_000:05d}"


ZONES = {
    zone.id: zone
    for zone in (
        Zone("NORTH_AMERICA", 0, 8),
        Zone("AFRICA", 5_000, 60),
        Zone("EUROPE_WEST", 0, 10),
        Zone("EUROPE_NORTH", 0, 12),
        Zone("LATIN_AMERICA", 2_000, 30),
        Zone("OCEANIA", 1_000, 40),
        Zone("EURASIA", 0, 20),
        Zone("ASIA_EAST", 1_500, 25),
        Zone("ASIA_WEST", 2_500, 35),
        Zone("GLOBAL", 20_000, 500),
    )
}
_BY_FIRST_DIGIT = {
    "1": "NORTH_AMERICA", "2": "AFRICA", "3": "EUROPE_WEST", "4": "EUROPE_NORTH", "5": "LATIN_AMERICA",
    "6": "OCEANIA", "7": "EURASIA", "8": "ASIA_EAST", "9": "ASIA_WEST",
}  # fmt: skip
GLOBAL_CODES = frozenset({800, 808, 870, 878, 881, 882, 883, 888, 979})  # services and satellites of no country


def zone_of_code(code: int) -> str:
    return "GLOBAL" if code in GLOBAL_CODES else _BY_FIRST_DIGIT[str(code)[0]]


MESSAGE_PRICES = {
    "SMS": ("0.05", "1ns"),
    "DATA": ("0.0001", "1024ns"),
}  # category → price, unit (1 ns = 1 message or byte)


class Bundle(NamedTuple):
    """What an account of this bundle is given when the plan is loaded. `minutes` go to `minutes_to` only."""

    id: str
    money: int  # 10^-5 units
    minutes: int
    minutes_to: str
    sms: int
    data_bytes: int

    def action_rows(self) -> list[tuple[object, ...]]:
        """Rows of Actions.csv."""

        def row(balance: str, kind: str, destinations: str, units: object, weight: int) -> tuple[object, ...]:
            return (f"ACT_{self.id}", "*topup_reset", "", "", balance, kind, "", destinations, "", "", "*unlimited", "",
                    units, weight, "false", "false", 10)  # fmt: skip

        rows = [row("MONEY", "*monetary", "", _decimal(self.money), 10)]
        if self.minutes:
            rows.append(row("MINUTES", "*voice", self.minutes_to, f"{self.minutes}m", 20))
        if self.sms:
            rows.append(row("SMS", "*sms", "", self.sms, 20))
        if self.data_bytes:
            rows.append(row("DATA", "*data", "", self.data_bytes, 20))
        return rows


BUNDLES = {
    bundle.id: bundle
    for bundle in (
        Bundle("PREPAID", 100_000_000, 0, "", 0, 0),
        Bundle("PREPAID_HOME", 100_000_000, 100, "DST_DE_FIXED;DST_DE_MOBILE", 100, 1 << 30),
        Bundle("PSEUDO", 100_000_000, 0, "", 0, 0),
        Bundle("POSTPAID", 0, 0, "", 0, 0),
        Bundle("RATED", 0, 0, "", 0, 0),
    )
}


class DemoAccount(NamedTuple):
    id: str
    mode: str  # request type of its calls
    bundle: str


_MODES = (
    ("*prepaid", "PREPAID", "PREPAID_HOME"),
    ("*pseudoprepaid", "PSEUDO", "PSEUDO"),
    ("*postpaid", "POSTPAID", "POSTPAID"),
    ("*rated", "RATED", "RATED"),
)


def demo_account(number: int) -> DemoAccount:
    """Account `number` of the demo, 0 to 999: the four modes in turn, every second prepaid one with a bundle."""
    mode, first, second = _MODES[number % 4]
    return DemoAccount(f"demo{number:04d}", mode, first if number // 4 % 2 == 0 else second)


ACCOUNTS = tuple(demo_account(number) for number in range(1000))
