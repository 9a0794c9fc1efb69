"""Accounts from JSON in the form in which APIerSv2.GetAccount shows them (spec 20 §2.1, 2.2): what answers.py writes, read
back. Names are spelt as there; what is left out is empty; unknown members are dropped."""

from __future__ import annotations

from typing import Any

import msgspec

from cgr_cluster.accounts.amounts import to_grain
from cgr_cluster.accounts.types import Account, Balance, CounterFilter, IdSet, UnitCounter
from cgr_cluster.actions.types import ActionTrigger, BalanceFilter, ValueFormula
from cgr_cluster.events.amounts import nano_of
from cgr_cluster.events.instant import ZERO, Instant
from cgr_cluster.events.times import parse_rfc3339
from cgr_cluster.rating.types import Timing
from cgr_cluster.rpc.errors import ApiError


class _Timing(msgspec.Struct):
    ID: str = ""
    Years: list[int] | None = None
    Months: list[int] | None = None
    MonthDays: list[int] | None = None
    WeekDays: list[int] | None = None
    StartTime: str = ""
    EndTime: str = ""


class _Balance(msgspec.Struct):
    Uuid: str
    ID: str = ""
    Value: int | float = 0
    ExpirationDate: str = ""
    Weight: float = 0.0
    DestinationIDs: IdSet | None = None
    RatingSubject: str = ""
    Categories: IdSet | None = None
    SharedGroups: IdSet | None = None
    Timings: list[_Timing] | None = None
    TimingIDs: IdSet | None = None
    Disabled: bool = False
    Factors: dict[str, float] | None = None
    Blocker: bool = False


class _Value(msgspec.Struct):
    Method: str = ""
    Params: dict[str, Any] | None = None
    Static: int | float = 0


class _Filter(msgspec.Struct):
    Uuid: str | None = None
    ID: str | None = None
    Type: str | None = None
    Value: _Value | None = None
    ExpirationDate: str | None = None
    Weight: float | None = None
    DestinationIDs: IdSet | None = None
    RatingSubject: str | None = None
    Categories: IdSet | None = None
    SharedGroups: IdSet | None = None
    TimingIDs: IdSet | None = None
    Timings: list[_Timing] | None = None
    Disabled: bool | None = None
    Factors: dict[str, float] | None = None
    Blocker: bool | None = None


class _Counter(msgspec.Struct):
    Value: int | float = 0
    Filter: _Filter | None = None


class _UnitCounter(msgspec.Struct):
    CounterType: str = ""
    Counters: list[_Counter] | None = None


class _Trigger(msgspec.Struct):
    ID: str = ""
    UniqueID: str = ""
    ThresholdType: str = ""
    ThresholdValue: int | float = 0
    Recurrent: bool = False
    MinSleep: int = 0
    ExpirationDate: str = ""
    ActivationDate: str = ""
    Balance: _Filter | None = None
    Weight: float = 0.0
    ActionsID: str = ""
    MinQueuedItems: int = 0
    Executed: bool = False
    LastExecutionTime: str = ""


class _Account(msgspec.Struct):
    ID: str = ""
    BalanceMap: dict[str, list[_Balance]] | None = None
    UnitCounters: dict[str, list[_UnitCounter]] | None = None
    ActionTriggers: list[_Trigger] | None = None
    AllowNegative: bool = False
    Disabled: bool = False


_decode = msgspec.json.Decoder(_Account | None).decode


def read_account(account_id: str, document: bytes) -> Account:
    """The account under `account_id`, whatever ID the document has; null is an empty one. Raises ApiError that names what cannot be read."""
    try:
        read = _decode(document) or _Account()
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ApiError(f"not an account: {error}") from None
    counters = read.UnitCounters
    return Account(
        account_id,
        None
        if read.BalanceMap is None
        else {kind: [_balance(kind, balance) for balance in found] for kind, found in read.BalanceMap.items()},
        None
        if counters is None
        else {kind: [_unit_counter(kind, counter) for counter in found] for kind, found in counters.items()},
        None if read.ActionTriggers is None else [_trigger(trigger) for trigger in read.ActionTriggers],
        read.AllowNegative,
        read.Disabled,
    )


def _time(text: str) -> Instant:
    return parse_rfc3339(text) if text else ZERO


def _timings(timings: list[_Timing] | None) -> tuple[Timing, ...] | None:
    if timings is None:
        return None
    return tuple(
        Timing(
            timing.ID, tuple(timing.Years or ()), tuple(timing.Months or ()), tuple(timing.MonthDays or ()),
            tuple(timing.WeekDays or ()), timing.StartTime, timing.EndTime,
        )
        for timing in timings
    )  # fmt: skip


def _balance(kind: str, balance: _Balance) -> Balance:
    return Balance(
        balance.Uuid,
        balance.ID,
        to_grain(kind, nano_of(balance.Value)),
        _time(balance.ExpirationDate),
        balance.Weight,
        balance.DestinationIDs or {},
        balance.RatingSubject,
        balance.Categories or {},
        balance.SharedGroups or {},
        _timings(balance.Timings),
        balance.TimingIDs or {},
        balance.Disabled,
        balance.Factors,
        balance.Blocker,
    )


def _filter(wanted: _Filter | None) -> BalanceFilter:
    if wanted is None:
        return BalanceFilter()
    value = wanted.Value
    return BalanceFilter(
        wanted.Uuid,
        wanted.ID,
        wanted.Type,
        None if value is None else ValueFormula(value.Method, value.Params, nano_of(value.Static)),
        None if wanted.ExpirationDate is None else _time(wanted.ExpirationDate),
        wanted.Weight,
        wanted.DestinationIDs,
        wanted.RatingSubject,
        wanted.Categories,
        wanted.SharedGroups,
        wanted.TimingIDs,
        _timings(wanted.Timings),
        wanted.Disabled,
        wanted.Factors,
        wanted.Blocker,
    )


def _unit_counter(kind: str, counter: _UnitCounter) -> UnitCounter:
    return UnitCounter(
        counter.CounterType,
        [CounterFilter(to_grain(kind, nano_of(one.Value)), _filter(one.Filter)) for one in counter.Counters or ()],
    )


def _trigger(trigger: _Trigger) -> ActionTrigger:
    return ActionTrigger(
        trigger.ID,
        trigger.UniqueID,
        trigger.ThresholdType,
        nano_of(trigger.ThresholdValue),
        trigger.Recurrent,
        trigger.MinSleep,
        _time(trigger.ExpirationDate),
        _time(trigger.ActivationDate),
        _filter(trigger.Balance),
        trigger.Weight,
        trigger.ActionsID,
        trigger.MinQueuedItems,
        trigger.Executed,
        _time(trigger.LastExecutionTime),
    )
