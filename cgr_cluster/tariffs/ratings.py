"""Rating plans and timings from their text forms (spec chapter 10, sections 2.2 to 2.5).

Keys of a plan's timings and ratings are the first 8 hex digits of SHA-1 over a text, the same on every system. Slots,
ratings and bindings that are equal are one object: large decks repeat few prices.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from decimal import Decimal
from hashlib import sha1

from msgspec.structs import replace

from cgr_cluster.events.amounts import nano_of
from cgr_cluster.events.durations import format_duration, parse_duration
from cgr_cluster.rating.reference import Binding, RatingPlan
from cgr_cluster.rating.types import Rating, Slot, Timing
from cgr_cluster.rpc.errors import ApiError
from cgr_cluster.tariffs import tp_types as tp
from cgr_cluster.tariffs.slices import SLICE_ROWS, Slices

ANY = "*any"
_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
_WEEK_DAYS = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
_INTEGER = re.compile(r"[-+]?[0-9]{1,18}")


# --- texts of keys -----------------------------------------------------------------------------------------------


def short_hash(text: str) -> str:
    return sha1(text.encode(), usedforsecurity=False).hexdigest()[:8]


def float_text(value: float) -> str:
    """The shortest form; an exponent below 1e-4 and from 1e6 up (`2e-06`, `1e+06`)."""
    if value == 0:
        return "0"
    sign, digits, exponent = Decimal(repr(value)).normalize().as_tuple()
    assert isinstance(exponent, int)  # finite
    power = len(digits) + exponent - 1
    text = "".join(map(str, digits))
    if power < -4 or power >= 6:
        mantissa = text[0] + (f".{text[1:]}" if len(text) > 1 else "")
        out = f"{mantissa}e{'-' if power < 0 else '+'}{abs(power):02d}"
    elif exponent >= 0:
        out = text + "0" * exponent
    elif power >= 0:
        out = f"{text[: power + 1]}.{text[power + 1 :]}"
    else:
        out = f"0.{'0' * (-power - 1)}{text}"
    return f"-{out}" if sign else out


def _names(values: Iterable[int], names: tuple[str, ...], first: int, kind: str) -> str:
    texts = (names[value - first] if first <= value < first + len(names) else f"%!{kind}({value})" for value in values)
    return " ".join(texts)


def timing_key(timing: Timing) -> str:
    years, month_days = " ".join(map(str, timing.years)), " ".join(map(str, timing.month_days))
    months, week_days = _names(timing.months, _MONTHS, 1, "Month"), _names(timing.week_days, _WEEK_DAYS, 0, "Weekday")
    return short_hash(
        f"&{{{timing.id} [{years}] [{months}] [{month_days}] [{week_days}] {timing.start_time}   {timing.id}}}"
    )


def slot_key(slot: Slot) -> str:
    return short_hash(
        f"&{{{format_duration(slot.group_interval_start_ns)} {float_text(slot.value)}"
        f" {format_duration(slot.increment_ns)} {format_duration(slot.unit_ns)}}}"
    )


# --- timings -----------------------------------------------------------------------------------------------------


def _numbers(text: str) -> tuple[int, ...]:
    """`1;2;3`; `*any` and nothing are no restriction, what is no number is dropped."""
    if text in ("", ANY):
        return ()
    return tuple(int(part) for part in text.split(";") if _INTEGER.fullmatch(part))


def timing_of(row: tp.TPTiming) -> Timing:
    start, _, rest = row.Time.partition(";")
    return Timing(
        row.ID,
        _numbers(row.Years),
        _numbers(row.Months),
        _numbers(row.MonthDays),
        tuple(0 if day == 7 else day for day in _numbers(row.WeekDays)),
        start,
        rest.partition(";")[0],
    )


# --- rates and plans ---------------------------------------------------------------------------------------------


def _duration_or_zero(text: str) -> int:
    """A bad duration in the store acts as none (10 §10); files with one are refused when they are read."""
    try:
        return parse_duration(text)
    except ApiError:
        return 0


class PriceList:
    """Rates by id, and the ratings that destination rates make of them."""

    def __init__(self) -> None:
        self._rates: dict[str, tuple[float, tuple[Slot, ...]]] = {}
        self._slots: dict[tuple[str, float, str, str], Slot] = {}
        self._slot_lists: dict[tuple[Slot, ...], tuple[Slot, ...]] = {}
        self._slot_keys: dict[Slot, str] = {}
        self._ratings: dict[tuple[object, ...], tuple[str, Rating]] = {}

    def add(self, rate: tp.TPRate) -> None:
        slots = tuple(self._slot(row) for row in rate.RateSlots)
        slots = self._slot_lists.setdefault(slots, slots)
        connect_fee = rate.RateSlots[0].ConnectFee if rate.RateSlots else 0.0  # only the first row's counts
        self._rates[rate.ID] = (connect_fee, slots)

    def _slot(self, row: tp.RateSlot) -> Slot:
        key = (row.GroupIntervalStart, row.Rate, row.RateIncrement, row.RateUnit)
        slot = self._slots.get(key)
        if slot is None:
            slot = self._slots[key] = Slot(
                _duration_or_zero(row.GroupIntervalStart), row.Rate, _duration_or_zero(row.RateIncrement),
                _duration_or_zero(row.RateUnit),
            )  # fmt: skip
        return slot

    def __contains__(self, rate_id: str) -> bool:
        return rate_id in self._rates

    def rating(self, row: tp.DestinationRate) -> tuple[str, Rating]:
        """The rating of a destination rate and its key. Raises ApiError for an unknown rate, and for prices beyond 10^15."""
        found = self._rates.get(row.RateId)
        if found is None:
            raise ApiError(f'could not find rate for tag "{row.RateId}"')
        connect_fee, slots = found
        content = (connect_fee, row.RoundingMethod, row.RoundingDecimals, row.MaxCost, row.MaxCostStrategy, slots)
        entry = self._ratings.get(content)
        if entry is None:
            for price in (connect_fee, row.MaxCost, *(slot.value for slot in slots)):
                nano_of(price)  # refuses what would price calls at infinity
            text = (
                f"{float_text(connect_fee)} {row.RoundingMethod} {row.RoundingDecimals} {float_text(row.MaxCost)}"
                f" {row.MaxCostStrategy}" + "".join(self._slot_key(slot) for slot in slots)
            )
            rating = Rating(
                connect_fee, row.RoundingMethod, row.RoundingDecimals, row.MaxCost, row.MaxCostStrategy, slots
            )  # fmt: skip
            entry = self._ratings[content] = (short_hash(text), rating)
        return entry

    def _slot_key(self, slot: Slot) -> str:
        key = self._slot_keys.get(slot)
        if key is None:
            key = self._slot_keys[slot] = slot_key(slot)
        return key


class PlanBuilder:
    """Makes rating plans; bindings that repeat over plans and destinations are shared."""

    def __init__(self, prices: PriceList) -> None:
        self._prices = prices
        self._bindings: dict[Binding, Binding] = {}
        self._lists: dict[tuple[Binding, ...], tuple[Binding, ...]] = {}

    def plan(
        self, row: tp.TPRatingPlan, timing_of_id: Callable[[str], Timing],
        destination_rate_of_id: Callable[[str], tp.TPDestinationRate],
    ) -> Slices[RatingPlan]:  # fmt: skip
        """The plan of a row group. The functions raise the API's errors for unknown ids; the timing is asked first."""
        timings: dict[str, Timing] = {}
        ratings: dict[str, Rating] = {}
        bindings: dict[str, tuple[Binding, ...]] = {}
        done = 0
        for part in row.RatingPlanBindings:
            timing = replace(timing_of_id(part.TimingId), end_time="")  # a plan's copy has no end (10 §2.5)
            key = timing_key(timing)
            timings[key] = timing
            for destination_rate in destination_rate_of_id(part.DestinationRatesId).DestinationRates:
                done += 1
                if not done % SLICE_ROWS:
                    yield
                rating_key, rating = self._prices.rating(destination_rate)
                ratings[rating_key] = rating
                binding = Binding(key, rating_key, part.Weight)
                binding = self._bindings.setdefault(binding, binding)
                earlier = bindings.get(destination_rate.DestinationId, ())
                if binding not in earlier:
                    longer = (*earlier, binding)
                    bindings[destination_rate.DestinationId] = self._lists.setdefault(longer, longer)
        return RatingPlan(row.ID, timings, ratings, bindings)
