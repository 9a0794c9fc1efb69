"""Cost details of an event: EventCost from CallCosts, and its sums (spec 10 §7.2, 20 §3.13).

An EventCost is never changed once made: every function gives a new one and shares what is equal, so a copy for a draft
costs nothing. Its tables (rating, accounting, ...) map generated keys to contents; equal content has one key. Keys are
seven hex digits, counted up within a table: the same pieces in the same order give the same keys, on any worker.
"""

from __future__ import annotations

from math import gcd
from typing import Any, TypeVar

from cgr_cluster.rating.rounding import NANO, amount_of, rounded_steps
from cgr_cluster.rating.types import (
    AccountSummary,
    BalanceCharge,
    BalanceInfo,
    CallCost,
    Charge,
    ChargeIncrement,
    EventCost,
    Increment,
    RateInterval,
    RatingFilter,
    RatingUnit,
    Timespan,
    Timing,
)

T = TypeVar("T")

NONE = "*none"
ROUNDING = "*rounding"
_NANO_PER_STEP = 10_000  # of five decimals, the default of `general.rounding_decimals`
_STEPS = (10_000, 1_000, 100, 10, 1)
_FIRST_KEY = {"rating": 1 << 24, "accounting": 2 << 24, "rating_filters": 3 << 24, "rates": 4 << 24, "timings": 5 << 24}


def event_cost_of(call_cost: CallCost, cgrid: str = "", run_id: str = "") -> EventCost:
    """The EventCost of one CallCost: a charge per (compressed) span."""
    made = EventCost(cgrid, run_id, account_summary=call_cost.account_summary)
    spans = call_cost.timespans
    if spans:
        made.start_time = spans[0].time_start
        builder = Builder(made)
        charges = [builder.charge_of(span) for span in spans]
        if any(span.round_increment is not None and span.compress_factor > 1 for span in spans):
            charges = [
                part for span, charge in zip(spans, charges, strict=True) for part in _rounded_once(span, charge)
            ]
        made.charges = charges
    return made


def _rounded_once(span: Timespan, charge: Charge) -> list[Charge]:
    """The charge of a span of several repetitions, which was rounded as a whole: its rounding goes to the last repetition,
    split off."""
    if span.round_increment is None or charge.compress_factor == 1:
        return [charge]
    return [
        Charge(charge.rating_id, charge.increments[:-1], charge.compress_factor - 1),
        Charge(charge.rating_id, charge.increments, 1),
    ]


_OPENINGS_LIMIT = 4096
_OPENINGS: dict[tuple[int, str, str, str, str], tuple[RateInterval, str, str, EventCost]] = {}
"""How an EventCost begins whose first span has this interval and match: the interval, the keys, and an EventCost with the
tables, which all share."""


def copied(base: EventCost) -> EventCost:
    """A copy whose charges may be changed, and its tables by a Builder; others share the tables."""
    return EventCost(
        base.cgrid,
        base.run_id,
        base.start_time,
        base.charges[:],
        base.account_summary,
        base.rating,
        base.accounting,
        base.rating_filters,
        base.rates,
        base.timings,
        base.flat,
    )


class Builder:
    """Adds to an EventCost that nobody else has yet. Its tables may be shared: they are copied when first written to."""

    __slots__ = ("_filters_key", "_fresh", "_last", "_made", "_rating")

    def __init__(self, made: EventCost) -> None:
        self._fresh: set[str] | None = None
        self._last: Timespan | None = None  # the span whose keys the next two are: neighbours mostly share them
        self._filters_key = ""
        self._rating = ""
        self._made = made

    def put(self, table_name: str, content: object, key: str = "") -> str:
        """The key of `content` in a table, new if need be. A given `key` (`*pause`) is kept."""
        table = getattr(self._made, table_name)
        if key:
            if key in table:
                return key
        else:
            for present, value in table.items():
                if value is content or value == content:
                    return str(present)
            return self._added(table_name, table, content)
        self._own(table_name, table)[key] = content
        return key

    def _added(self, table_name: str, table: dict[str, Any], content: object) -> str:
        """The key of a content that the table does not have."""
        number = _FIRST_KEY[table_name] + len(table)
        key = f"{number:07x}"
        while key in table:
            number += 1
            key = f"{number:07x}"
        self._own(table_name, table)[key] = content
        return key

    def _own(self, table_name: str, table: dict[str, Any]) -> dict[str, Any]:
        """The table as it may be written to: others share it until then."""
        fresh = self._fresh
        if fresh is None:
            fresh = self._fresh = set()
        if table_name not in fresh:
            fresh.add(table_name)
            table = dict(table)
            setattr(self._made, table_name, table)
        return table

    # --- from spans ----------------------------------------------------------------------------------------------

    def charge_of(self, span: Timespan) -> Charge:
        interval = span.rate_interval
        if interval is None:
            return Charge("", [], span.compress_factor)
        last = self._last
        if last is None and self._opened(span, interval):
            self._last = span
        elif last is None or last.rate_interval is not interval or not _same_match(last, span):
            self._last = span
            filters = RatingFilter(span.matched_dest_id, span.matched_prefix, span.rating_plan_id, span.matched_subject)
            self._filters_key = self.put("rating_filters", filters)
            self._rating = self._rating_key(interval, self._filters_key)
        filters_key = self._filters_key
        increments = [self._increment_of(increment, filters_key, "") for increment in span.increments]
        if span.round_increment is not None:
            increments.append(self._increment_of(span.round_increment, filters_key, ROUNDING))
        return Charge(self._rating, increments, span.compress_factor)

    def _opened(self, span: Timespan, interval: RateInterval) -> bool:
        """Whether the keys of the first span are known without looking for each content."""
        made = self._made
        if made.charges:
            return self._is_rated_as_last(span, interval)
        if made.rating or made.accounting or made.rating_filters or made.rates or made.timings:
            return False
        # The identity of an interval stands for its contents while the entry holds it.
        key = (
            id(interval), span.matched_dest_id, span.matched_prefix, span.rating_plan_id, span.matched_subject,
        )  # fmt: skip
        opening = _OPENINGS.get(key)
        if opening is None:
            tables = EventCost()
            first = Builder(tables)
            filters_key = first.put("rating_filters", RatingFilter(*key[1:]))
            rating_key = first._rating_key(interval, filters_key)
            if len(_OPENINGS) >= _OPENINGS_LIMIT:
                _OPENINGS.clear()
            opening = _OPENINGS[key] = (interval, filters_key, rating_key, tables)
        _, self._filters_key, self._rating, tables = opening
        made.rating, made.rating_filters = tables.rating, tables.rating_filters
        made.rates, made.timings = tables.rates, tables.timings
        return True

    def _is_rated_as_last(self, span: Timespan, interval: RateInterval) -> bool:
        """Whether the last charge has the keys of this span, as most pieces of a session do; they are taken over then."""
        made = self._made
        key = made.charges[-1].rating_id
        unit = made.rating.get(key)
        if unit is None:
            return False
        filters = made.rating_filters.get(unit.rating_filters_id)
        rating = interval.rating
        if (
            filters is None
            or made.rates.get(unit.rates_id) != rating.slots
            or unit.connect_fee != rating.connect_fee
            or unit.rounding_method != rating.rounding_method
            or unit.rounding_decimals != rating.rounding_decimals
            or unit.max_cost != rating.max_cost
            or unit.max_cost_strategy != rating.max_cost_strategy
            or not _same_timing(made.timings.get(unit.timing_id), interval.timing)
            or filters.destination_prefix != span.matched_prefix
            or filters.destination_id != span.matched_dest_id
            or filters.rating_plan_id != span.rating_plan_id
            or filters.subject != span.matched_subject
        ):
            return False
        self._rating = key
        self._filters_key = unit.rating_filters_id
        return True

    def _rating_key(self, interval: RateInterval | None, filters_key: str) -> str:
        if interval is None:
            return ""
        rating = interval.rating
        timing_key = ""
        if interval.timing is not None:
            timing_key = self.put("timings", bare_timing(interval.timing))
        return self.put(
            "rating",
            RatingUnit(
                rating.connect_fee,
                rating.rounding_method,
                rating.rounding_decimals,
                rating.max_cost,
                rating.max_cost_strategy,
                timing_key,
                self.put("rates", rating.slots),
                filters_key,
            ),
        )

    def _increment_of(self, increment: Increment, filters_key: str, rating_key: str) -> ChargeIncrement:
        info = increment.balance_info
        accounting_key = (
            "" if info is None else self._accounting_key(info, increment.cost_nano, filters_key, rating_key)
        )
        return ChargeIncrement(increment.duration_ns, increment.cost_nano, accounting_key, increment.compress_factor)

    def _accounting_key(self, info: BalanceInfo, cost_nano: int, filters_key: str, rating_key: str) -> str:
        money = info.monetary
        money_key = ""
        if money is not None:
            if info.unit is None and money.rate_interval is None and not rating_key:
                return self._plain_key(info.account_id, money.uuid, cost_nano)
            money_key = self.put(
                "accounting",
                BalanceCharge(
                    info.account_id,
                    money.uuid,
                    rating_key or self._rating_key(money.rate_interval, filters_key),
                    cost_nano,
                    True,
                ),
            )
        unit = info.unit
        if unit is None:
            return money_key
        return self.put(
            "accounting",
            BalanceCharge(
                info.account_id,
                unit.uuid,
                self._rating_key(unit.rate_interval, filters_key),
                unit.consumed,
                False,
                unit.factor,
                money_key or NONE,
            ),
        )

    def _plain_key(self, account_id: str, balance_uuid: str, cost_nano: int) -> str:
        """The key of what money pays without rates of its own: nearly every increment has one, which most of them share."""
        for key, entry in self._made.accounting.items():
            if (
                entry.units == cost_nano
                and entry.balance_uuid == balance_uuid
                and entry.account_id == account_id
                and entry.monetary
                and not entry.rating_id
                and not entry.extra_charge_id
                and entry.balance_factor == 1.0
            ):
                return key
        return self._added(
            "accounting", self._made.accounting, BalanceCharge(account_id, balance_uuid, "", cost_nano, True)
        )

    # --- from another EventCost ----------------------------------------------------------------------------------

    def taken_over(self, charge: Charge, source: EventCost) -> Charge:
        """A charge of `source`, with keys of this one."""
        increments = [
            ChargeIncrement(
                increment.usage_ns,
                increment.cost_nano,
                self._copied_accounting(increment.accounting_id, source),
                increment.compress_factor,
            )
            for increment in charge.increments
        ]
        return Charge(self._copied_rating(charge.rating_id, source), increments, charge.compress_factor)

    def _copied_rating(self, key: str, source: EventCost) -> str:
        unit = source.rating.get(key)
        if unit is None:
            return key
        timing = source.timings.get(unit.timing_id)
        slots = source.rates.get(unit.rates_id)
        filters = source.rating_filters.get(unit.rating_filters_id)
        return self.put(
            "rating",
            RatingUnit(
                unit.connect_fee,
                unit.rounding_method,
                unit.rounding_decimals,
                unit.max_cost,
                unit.max_cost_strategy,
                unit.timing_id if timing is None else self.put("timings", timing, special(unit.timing_id)),
                unit.rates_id if slots is None else self.put("rates", slots, special(unit.rates_id)),
                unit.rating_filters_id
                if filters is None
                else self.put("rating_filters", filters, special(unit.rating_filters_id)),
            ),
            special(key),
        )

    def _copied_accounting(self, key: str, source: EventCost) -> str:
        entry = source.accounting.get(key)
        if entry is None:
            return key
        copied = BalanceCharge(
            entry.account_id,
            entry.balance_uuid,
            self._copied_rating(entry.rating_id, source),
            entry.units,
            entry.monetary,
            entry.balance_factor,
            self._copied_accounting(entry.extra_charge_id, source),
        )
        return self.put("accounting", copied, special(key))


def _same_timing(kept: Timing | None, timing: Timing | None) -> bool:
    """Whether `kept` is what an EventCost keeps of `timing`."""
    if kept is None or timing is None:
        return kept is timing
    return (
        kept.start_time == timing.start_time
        and kept.week_days == timing.week_days
        and kept.month_days == timing.month_days
        and kept.months == timing.months
        and kept.years == timing.years
    )


def _same_match(a: Timespan, b: Timespan) -> bool:
    return (
        a.matched_dest_id == b.matched_dest_id
        and a.matched_prefix == b.matched_prefix
        and a.rating_plan_id == b.rating_plan_id
        and a.matched_subject == b.matched_subject
    )


def special(key: str) -> str:
    """The key itself when it has a meaning of its own (`*pause`, `*rounding`), else ""."""
    return key if key.startswith("*") else ""


def bare_timing(timing: Timing | None) -> Timing | None:
    """The values of a timing, which are what counts of it when spans are compared (10 §6) and what an EventCost keeps:
    neither id nor end (10 §7.2)."""
    if timing is None or (not timing.id and not timing.end_time):
        return timing
    return Timing("", timing.years, timing.months, timing.month_days, timing.week_days, timing.start_time)


def without_orphans(cost: EventCost) -> EventCost:
    """`cost` with only those table entries that its charges refer to."""
    accounting: dict[str, BalanceCharge] = {}
    waiting = [increment.accounting_id for charge in cost.charges for increment in charge.increments]
    ratings = {charge.rating_id for charge in cost.charges}
    while waiting:
        key = waiting.pop()
        if key in accounting:
            continue
        entry = cost.accounting.get(key)
        if entry is not None:
            accounting[key] = entry
            ratings.add(entry.rating_id)
            waiting.append(entry.extra_charge_id)
    if len(accounting) == len(cost.accounting):
        accounting = cost.accounting
    rating = _used(cost.rating, ratings)
    units = rating.values()
    return EventCost(
        cost.cgrid,
        cost.run_id,
        cost.start_time,
        cost.charges,
        cost.account_summary,
        rating,
        accounting,
        _used(cost.rating_filters, {unit.rating_filters_id for unit in units}),
        _used(cost.rates, {unit.rates_id for unit in units}),
        _used(cost.timings, {unit.timing_id for unit in units}),
    )


def _used(table: dict[str, T], keys: set[str]) -> dict[str, T]:
    """The entries of these keys; the table itself when it has no others."""
    if table.keys() <= keys:
        return table
    return {key: value for key, value in table.items() if key in keys}


# --- sums ----------------------------------------------------------------------------------------------------------


def charge_usage_ns(charge: Charge) -> int:
    """Usage of one repetition of a charge."""
    usage = 0
    for increment in charge.increments:
        usage += increment.usage_ns * increment.compress_factor
    return usage


def charge_cost_nano(charge: Charge) -> int:
    """Cost of one repetition of a charge, rounded to the decimals that prices have (five, unless the configuration had
    them rounded to more)."""
    cost = 0
    for increment in charge.increments:
        cost += increment.cost_nano * increment.compress_factor
    return cost if cost % _NANO_PER_STEP == 0 else _rounded(charge)


def _rounded(charge: Charge) -> int:
    """The same in doubles, for amounts finer than five decimals (connect fees): half-way cases are decided by them."""
    step = charge_step_nano(charge)
    cost = 0.0
    for increment in charge.increments:
        cost += amount_of(increment.cost_nano) * increment.compress_factor
    return rounded_steps(cost, NANO / step) * step


def charge_step_nano(charge: Charge) -> int:
    """The last decimal that the prices of a charge have, which its cost is rounded to."""
    step = _NANO_PER_STEP
    for increment in charge.increments:
        if increment.usage_ns:
            step = gcd(step, increment.cost_nano)
    return next(power for power in _STEPS if step % power == 0)


def usage_ns(cost: EventCost) -> int:
    """Usage covered: increments rounded up included."""
    usage = 0
    for charge in cost.charges:
        usage += charge_usage_ns(charge) * charge.compress_factor
    return usage if cost.charges or cost.flat is None else cost.flat.usage_ns


def cost_nano(cost: EventCost) -> int:
    """Cost of all charges: no cap, no rounding but to five decimals (10 §7.2)."""
    total = 0
    for charge in cost.charges:
        total += charge_cost_nano(charge) * charge.compress_factor
    return total if cost.charges or cost.flat is None else cost.flat.cost_nano


def with_summary(cost: EventCost, summary: AccountSummary | None) -> EventCost:
    """`cost` with another account summary."""
    made = copied(cost)
    made.account_summary = summary
    return made
