"""The API's CallDescriptor as parameter, and its decoded form (spec 10 §6, 20 §3.1)."""

from __future__ import annotations

from math import ceil
from typing import Any

from cgr_cluster.events.amounts import grains_of, nano_of
from cgr_cluster.events.instant import ZERO, Instant
from cgr_cluster.rating.types import BalanceInfo, CallDescriptor, Increment, MonetaryInfo, UnitInfo
from cgr_cluster.rpc.registry import Params


class UnitInfoParams(Params, go="engine.UnitInfo"):
    UUID: str = ""
    ID: str = ""
    Value: float = 0.0
    DestinationID: str = ""
    Consumed: float = 0.0
    Factor: float = 0.0
    Category: str = ""
    ToR: str = ""
    RateInterval: Any = None


class MonetaryInfoParams(Params, go="engine.MonetaryInfo"):
    UUID: str = ""
    ID: str = ""
    Value: float = 0.0
    RateInterval: Any = None


class DebitInfoParams(Params, go="engine.DebitInfo"):
    Unit: UnitInfoParams | None = None
    Monetary: MonetaryInfoParams | None = None
    AccountID: str = ""


class IncrementParams(Params, go="engine.Increment"):
    Duration: int = 0
    Cost: float = 0.0
    BalanceInfo: DebitInfoParams | None = None
    CompressFactor: int = 0


class CallDescriptorParams(Params, go="engine.CallDescriptorWithAPIOpts"):
    """FallbackSubject and RatingInfos are accepted and not looked at."""

    Tenant: str = ""
    Category: str = ""
    Subject: str = ""
    Account: str = ""
    Destination: str = ""
    ToR: str = ""
    TimeStart: Instant = ZERO
    TimeEnd: Instant = ZERO
    LoopIndex: float = 0.0
    DurationIndex: int = 0
    MaxRate: float = 0.0
    MaxRateUnit: int = 0
    MaxCostSoFar: float = 0.0
    CgrID: str = ""
    RunID: str = ""
    ForceDuration: bool = False
    PerformRounding: bool = False
    DenyNegativeAccount: bool = False
    DryRun: bool = False
    ExtraFields: dict[str, str] | None = None
    Increments: list[IncrementParams] | None = None
    FallbackSubject: str = ""
    APIOpts: dict[str, Any] | None = None


def descriptor_of(params: CallDescriptorParams) -> CallDescriptor:
    """The descriptor as given: empty fields stay empty."""
    return CallDescriptor(
        params.Tenant,
        params.Category,
        params.Subject,
        params.Account,
        params.Destination,
        params.ToR,
        params.TimeStart,
        params.TimeEnd,
        params.DurationIndex,
        ceil(abs(params.LoopIndex)),  # what counts is whether it is 0
        params.MaxRate,
        params.MaxRateUnit,
        nano_of(params.MaxCostSoFar),
        params.ForceDuration,
        params.PerformRounding,
        params.DenyNegativeAccount,
        params.DryRun,
        params.ExtraFields or {},
        params.CgrID,
        params.RunID,
        [_increment(increment) for increment in params.Increments or []],
        params.APIOpts or {},
    )


def _increment(params: IncrementParams) -> Increment:
    """A missing CompressFactor counts once."""
    info = params.BalanceInfo
    return Increment(
        params.Duration,
        nano_of(params.Cost),
        params.CompressFactor or 1,
        None if info is None else _balance_info(info),
    )


def _balance_info(params: DebitInfoParams) -> BalanceInfo:
    unit, monetary = params.Unit, params.Monetary
    return BalanceInfo(
        None
        if unit is None
        else UnitInfo(
            unit.UUID,
            unit.ID,
            grains_of(unit.Value),
            unit.DestinationID,
            grains_of(unit.Consumed),
            unit.Factor,
            unit.Category,
            unit.ToR,
        ),
        None if monetary is None else MonetaryInfo(monetary.UUID, monetary.ID, nano_of(monetary.Value)),
        params.AccountID,
    )
