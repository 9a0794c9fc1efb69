"""The API's JSON forms of costs: plain dicts with the API's field names (spec 10 §6, §7; 20 §2.4, §3.1, §3.13).

Parts of the results are shared between answers (rate intervals are built once): who wants to change one copies it.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from cgr_cluster.events.quotient import quotient
from cgr_cluster.events.times import format_instant
from cgr_cluster.rating.event_cost import cost_nano, usage_ns
from cgr_cluster.rating.types import (
    AccountSummary,
    BalanceCharge,
    BalanceInfo,
    BalanceSummary,
    CallCost,
    Charge,
    EventCost,
    Increment,
    MonetaryInfo,
    RateInterval,
    Slot,
    Timespan,
    Timing,
    UnitInfo,
)

Json = dict[str, Any]

NANO = 1_000_000_000
GRAIN = 100_000  # 10^-5: the grain of units in balances
MONETARY = "*monetary"


def money(nano: int) -> int | float:
    """An amount of money as a JSON number: an integer when whole."""
    whole, rest = divmod(nano, NANO)
    return quotient(nano, NANO) if rest else whole


def units(grains: int) -> int | float:
    """An amount of units (10^-5) as a JSON number."""
    whole, rest = divmod(grains, GRAIN)
    return quotient(grains, GRAIN) if rest else whole


def number(value: float) -> int | float:
    """A double as JSON shows it: whole ones without fraction, but those that are written with an exponent (01 §5)."""
    return int(value) if abs(value) < 1e21 and value == int(value) else value


# --- CallCost ------------------------------------------------------------------------------------------------------


def call_cost_json(cost: CallCost) -> Json:
    return {
        "Category": cost.category,
        "Tenant": cost.tenant,
        "Subject": cost.subject,
        "Account": cost.account,
        "Destination": cost.destination,
        "ToR": cost.tor,
        "Cost": money(cost.cost_nano),
        "Timespans": None if cost.timespans is None else [timespan_json(span) for span in cost.timespans],
        "RatedUsage": cost.rated_usage_ns,
        "AccountSummary": account_summary_json(cost.account_summary),
    }


def timespan_json(span: Timespan) -> Json:
    return {
        "TimeStart": format_instant(span.time_start),
        "TimeEnd": format_instant(span.time_end),
        "Cost": money(span.cost_nano),
        "RateInterval": rate_interval_json(span.rate_interval),
        "DurationIndex": span.duration_index_ns,
        "Increments": [increment_json(increment) for increment in span.increments] or None,
        "RoundIncrement": None if span.round_increment is None else increment_json(span.round_increment),
        "MatchedSubject": span.matched_subject,
        "MatchedPrefix": span.matched_prefix,
        "MatchedDestId": span.matched_dest_id,
        "RatingPlanId": span.rating_plan_id,
        "CompressFactor": span.compress_factor,
    }


def increment_json(increment: Increment) -> Json:
    return {
        "Duration": increment.duration_ns,
        "Cost": money(increment.cost_nano),
        "BalanceInfo": balance_info_json(increment.balance_info),
        "CompressFactor": increment.compress_factor,
    }


_NOBODY: Json = {"Unit": None, "Monetary": None, "AccountID": ""}


def balance_info_json(info: BalanceInfo | None) -> Json:
    """Who paid. None (plain rating): nobody."""
    if info is None:
        return _NOBODY
    return {
        "Unit": None if info.unit is None else _unit_json(info.unit),
        "Monetary": None if info.monetary is None else _monetary_json(info.monetary),
        "AccountID": info.account_id,
    }


def _unit_json(unit: UnitInfo) -> Json:
    return {
        "UUID": unit.uuid,
        "ID": unit.id,
        "Value": units(unit.value),
        "DestinationID": unit.destination_id,
        "Consumed": units(unit.consumed),
        "Factor": number(unit.factor),
        "Category": unit.category,
        "ToR": unit.tor,
        "RateInterval": rate_interval_json(unit.rate_interval),
    }


def _monetary_json(balance: MonetaryInfo) -> Json:
    return {
        "UUID": balance.uuid,
        "ID": balance.id,
        "Value": money(balance.value_nano),
        "RateInterval": rate_interval_json(balance.rate_interval),
    }


@lru_cache(maxsize=8192)
def rate_interval_json(interval: RateInterval | None) -> Json | None:
    if interval is None:
        return None
    rating = interval.rating
    timing = interval.timing
    return {
        "Timing": None if timing is None else {"ID": timing.id, **timing_json(timing), "EndTime": timing.end_time},
        "Rating": {
            "ConnectFee": number(rating.connect_fee),
            "RoundingMethod": rating.rounding_method,
            "RoundingDecimals": rating.rounding_decimals,
            "MaxCost": number(rating.max_cost),
            "MaxCostStrategy": rating.max_cost_strategy,
            "Rates": slots_json(rating.slots),
        },
        "Weight": number(interval.weight),
    }


@lru_cache(maxsize=8192)
def timing_json(timing: Timing) -> Json:
    """A timing as in cost details: without id and end."""
    return {
        "Years": timing.years,
        "Months": timing.months,
        "MonthDays": timing.month_days,
        "WeekDays": timing.week_days,
        "StartTime": timing.start_time,
    }


@lru_cache(maxsize=8192)
def slots_json(slots: tuple[Slot, ...]) -> list[Json]:
    return [slot_json(slot) for slot in slots]


def slot_json(slot: Slot) -> Json:
    return {
        "GroupIntervalStart": slot.group_interval_start_ns,
        "Value": number(slot.value),
        "RateIncrement": slot.increment_ns,
        "RateUnit": slot.unit_ns,
    }


def account_summary_json(summary: AccountSummary | None) -> Json | None:
    if summary is None:
        return None
    return {
        "Tenant": summary.tenant,
        "AccountID": summary.account_id,
        "BalanceSummaries": [balance_summary_json(balance) for balance in summary.balances],
        "AllowNegative": summary.allow_negative,
        "Disabled": summary.disabled,
    }


def balance_summary_json(balance: BalanceSummary) -> Json:
    """`Weight` is left out when 0, `Factors` when there are none (20 §2.4)."""
    amount = money if balance.type == MONETARY else units
    out: Json = {
        "UUID": balance.uuid,
        "ID": balance.id,
        "Type": balance.type,
        "Initial": amount(balance.initial),
        "Value": amount(balance.value),
    }
    if balance.weight:
        out["Weight"] = number(balance.weight)
    out["Disabled"] = balance.disabled
    if balance.factors:
        out["Factors"] = {name: number(factor) for name, factor in balance.factors.items()}
    return out


# --- DataCost ------------------------------------------------------------------------------------------------------


def data_cost_json(cost: CallCost) -> Json:
    """The same cost in units of data (10 §7.1)."""
    return {
        "Category": cost.category,
        "Tenant": cost.tenant,
        "Subject": cost.subject,
        "Account": cost.account,
        "Destination": cost.destination,
        "ToR": cost.tor,
        "Cost": money(cost.cost_nano),
        "DataSpans": [_data_span_json(span) for span in cost.timespans or []],
    }


def _data_span_json(span: Timespan) -> Json:
    return {
        "DataStart": max(0, span.duration_index_ns - span.duration_ns),
        "DataEnd": span.duration_index_ns,
        "Cost": money(span.cost_nano),
        "RateInterval": rate_interval_json(span.rate_interval),
        "DataIndex": span.duration_index_ns,
        "Increments": [
            {
                "Amount": increment.duration_ns,
                "Cost": money(increment.cost_nano),
                "BalanceInfo": balance_info_json(increment.balance_info),
                "CompressFactor": increment.compress_factor,
            }
            for increment in span.increments
        ],
        "MatchedSubject": span.matched_subject,
        "MatchedPrefix": span.matched_prefix,
        "MatchedDestId": span.matched_dest_id,
        "RatingPlanId": span.rating_plan_id,
    }


# --- EventCost -----------------------------------------------------------------------------------------------------


def event_cost_json(cost: EventCost) -> Json:
    return {
        "CGRID": cost.cgrid,
        "RunID": cost.run_id,
        "StartTime": format_instant(cost.start_time),
        "Usage": usage_ns(cost),
        "Cost": money(cost_nano(cost)),
        "Charges": [_charge_json(charge) for charge in cost.charges],
        "AccountSummary": account_summary_json(cost.account_summary),
        "Rating": {
            key: {
                "ConnectFee": number(unit.connect_fee),
                "RoundingMethod": unit.rounding_method,
                "RoundingDecimals": unit.rounding_decimals,
                "MaxCost": number(unit.max_cost),
                "MaxCostStrategy": unit.max_cost_strategy,
                "TimingID": unit.timing_id,
                "RatesID": unit.rates_id,
                "RatingFiltersID": unit.rating_filters_id,
            }
            for key, unit in cost.rating.items()
        },
        "Accounting": {key: _balance_charge_json(entry) for key, entry in cost.accounting.items()},
        "RatingFilters": {
            key: {
                "DestinationID": matched.destination_id,
                "DestinationPrefix": matched.destination_prefix,
                "RatingPlanID": matched.rating_plan_id,
                "Subject": matched.subject,
            }
            for key, matched in cost.rating_filters.items()
        },
        "Rates": {key: slots_json(slots) for key, slots in cost.rates.items()},
        "Timings": {key: timing_json(timing) for key, timing in cost.timings.items()},
    }


def _charge_json(charge: Charge) -> Json:
    return {
        "RatingID": charge.rating_id,
        "Increments": [
            {
                "Usage": increment.usage_ns,
                "Cost": money(increment.cost_nano),
                "AccountingID": increment.accounting_id,
                "CompressFactor": increment.compress_factor,
            }
            for increment in charge.increments
        ]
        or None,
        "CompressFactor": charge.compress_factor,
    }


def _balance_charge_json(entry: BalanceCharge) -> Json:
    out: Json = {
        "AccountID": entry.account_id,
        "BalanceUUID": entry.balance_uuid,
        "RatingID": entry.rating_id,
        "Units": money(entry.units) if entry.monetary else units(entry.units),
        "ExtraChargeID": entry.extra_charge_id,
    }
    if entry.balance_factor != 1:
        out["BalanceFactor"] = number(entry.balance_factor)
    return out
