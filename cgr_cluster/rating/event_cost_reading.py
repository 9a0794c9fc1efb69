"""Cost details as clients send them (CDRs take them as input, chapter 40): JSON → EventCost."""

from __future__ import annotations

from typing import Any

import msgspec

from cgr_cluster.events.amounts import grains_of, nano_of
from cgr_cluster.events.instant import ZERO, Instant
from cgr_cluster.events.times import parse_rfc3339
from cgr_cluster.rating.types import (
    AccountSummary,
    BalanceCharge,
    BalanceSummary,
    Charge,
    ChargeIncrement,
    EventCost,
    FlatCost,
    RatingFilter,
    RatingUnit,
    Slot,
    Timing,
)
from cgr_cluster.rpc.decode import build
from cgr_cluster.rpc.slow_decode import read_parameter

_MONETARY = "*monetary"


class _Increment(msgspec.Struct, forbid_unknown_fields=True):
    Usage: int = 0
    Cost: float = 0.0
    AccountingID: str = ""
    CompressFactor: int = 0


class _Charge(msgspec.Struct, forbid_unknown_fields=True):
    RatingID: str = ""
    Increments: list[_Increment] | None = None
    CompressFactor: int = 0


class _Balance(msgspec.Struct, forbid_unknown_fields=True):
    UUID: str = ""
    ID: str = ""
    Type: str = ""
    Initial: float = 0.0
    Value: float = 0.0
    Weight: float = 0.0
    Disabled: bool = False
    Factors: dict[str, float] | None = None


class _Summary(msgspec.Struct, forbid_unknown_fields=True):
    Tenant: str = ""
    AccountID: str = ""
    BalanceSummaries: list[_Balance] | None = None
    AllowNegative: bool = False
    Disabled: bool = False


class _Rating(msgspec.Struct, forbid_unknown_fields=True):
    ConnectFee: float = 0.0
    RoundingMethod: str = ""
    RoundingDecimals: int = 0
    MaxCost: float = 0.0
    MaxCostStrategy: str = ""
    TimingID: str = ""
    RatesID: str = ""
    RatingFiltersID: str = ""


class _Entry(msgspec.Struct, forbid_unknown_fields=True):
    AccountID: str = ""
    BalanceUUID: str = ""
    RatingID: str = ""
    Units: float = 0.0
    BalanceFactor: float = 1.0
    ExtraChargeID: str = ""


class _Slot(msgspec.Struct, forbid_unknown_fields=True):
    GroupIntervalStart: int = 0
    Value: float = 0.0
    RateIncrement: int = 0
    RateUnit: int = 0


class _Timing(msgspec.Struct, forbid_unknown_fields=True):
    Years: list[int] | None = None
    Months: list[int] | None = None
    MonthDays: list[int] | None = None
    WeekDays: list[int] | None = None
    StartTime: str = ""


class _EventCost(msgspec.Struct, forbid_unknown_fields=True):
    CGRID: str = ""
    RunID: str = ""
    StartTime: Any = ""
    Usage: int | None = None
    Cost: float | None = None
    Charges: list[_Charge] | None = None
    AccountSummary: _Summary | None = None
    Rating: dict[str, _Rating] | None = None
    Accounting: dict[str, _Entry] | None = None
    RatingFilters: dict[str, dict[str, Any]] | None = None
    Rates: dict[str, list[_Slot]] | None = None
    Timings: dict[str, _Timing] | None = None


def event_cost_from_json(value: dict[str, Any]) -> EventCost:
    """The EventCost of its JSON object: what we answer comes back equal. Usage and Cost are read where no charges say them.

    Other spellings of names, unknown members and nulls are accepted as in parameters (chapter 01 §4). Raises ApiError
    `json: cannot unmarshal ...` for wrong types, `parsing time ...` for a bad StartTime."""
    try:
        form = msgspec.convert(value, _EventCost)
    except msgspec.ValidationError:
        form = build(_EventCost, read_parameter("engine.EventCost", msgspec.json.encode(value)) or {})
    return EventCost(
        form.CGRID,
        form.RunID,
        _instant(form.StartTime),
        [_charge(charge) for charge in form.Charges or []],
        _summary(form.AccountSummary),
        {key: _unit(unit) for key, unit in (form.Rating or {}).items()},
        {key: _entry(entry) for key, entry in (form.Accounting or {}).items()},
        {key: _filter(matched) for key, matched in (form.RatingFilters or {}).items()},
        {key: tuple(_slot(slot) for slot in slots) for key, slots in (form.Rates or {}).items()},
        {key: _timing(timing) for key, timing in (form.Timings or {}).items()},
        _flat(form),
    )


def _flat(form: _EventCost) -> FlatCost | None:
    if form.Charges or not (form.Usage or form.Cost):
        return None
    return FlatCost(form.Usage or 0, nano_of(form.Cost or 0.0))


def _instant(value: Any) -> Instant:
    if isinstance(value, Instant):
        return value
    return parse_rfc3339(str(value)) if value else ZERO


def _charge(form: _Charge) -> Charge:
    increments = [
        ChargeIncrement(increment.Usage, nano_of(increment.Cost), increment.AccountingID, increment.CompressFactor)
        for increment in form.Increments or []
    ]
    return Charge(form.RatingID, increments, form.CompressFactor)


def _summary(form: _Summary | None) -> AccountSummary | None:
    if form is None:
        return None
    return AccountSummary(
        form.Tenant,
        form.AccountID,
        [_balance(balance) for balance in form.BalanceSummaries or []],
        form.AllowNegative,
        form.Disabled,
    )


def _balance(form: _Balance) -> BalanceSummary:
    initial, value = (
        nano_of(amount) if form.Type == _MONETARY else grains_of(amount) for amount in (form.Initial, form.Value)
    )
    return BalanceSummary(form.UUID, form.ID, form.Type, initial, value, form.Weight, form.Disabled, form.Factors)


def _unit(form: _Rating) -> RatingUnit:
    return RatingUnit(
        form.ConnectFee,
        form.RoundingMethod,
        form.RoundingDecimals,
        form.MaxCost,
        form.MaxCostStrategy,
        form.TimingID,
        form.RatesID,
        form.RatingFiltersID,
    )


def _entry(form: _Entry) -> BalanceCharge:
    """An entry of money has no extra charge (that of units has `*none` or the key of its money) and names a balance
    (that of a pause does not)."""
    monetary = not form.ExtraChargeID and bool(form.BalanceUUID)
    amount = nano_of(form.Units) if monetary else grains_of(form.Units)
    return BalanceCharge(
        form.AccountID, form.BalanceUUID, form.RatingID, amount, monetary, form.BalanceFactor, form.ExtraChargeID
    )


def _filter(form: dict[str, Any]) -> RatingFilter:
    """A map of any values in the API."""
    fields = ("DestinationID", "DestinationPrefix", "RatingPlanID", "Subject")
    return RatingFilter(*(str(form.get(name) or "") for name in fields))


def _slot(form: _Slot) -> Slot:
    return Slot(form.GroupIntervalStart, form.Value, form.RateIncrement, form.RateUnit)


def _timing(form: _Timing) -> Timing:
    years, months, month_days, week_days = (
        tuple(values or ()) for values in (form.Years, form.Months, form.MonthDays, form.WeekDays)
    )
    return Timing("", years, months, month_days, week_days, form.StartTime)
