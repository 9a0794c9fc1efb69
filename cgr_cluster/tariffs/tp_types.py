"""Objects of the tariff plan store, in the text form of the CSV files (spec chapter 10 §10, 20 §8, 50 §5.3).

One Struct is three things: the parameter of its SetTP method, the stored object, and the answer of its GetTP method. So
fields are spelt as in params.txt. They are frozen: rows are shared, and a change replaces the object. Values are as
given and checked by nothing; durations and times are texts until a load reads them.
"""

from __future__ import annotations

from typing import Any

from cgr_cluster.rpc.registry import Params


class TPObject(Params, frozen=True):
    """What all have in common: the tariff plan that they belong to, and a draft that needs no copy."""

    TPid: str = ""

    def draft(self) -> TPObject:
        return self


# --- rating (chapter 10) -----------------------------------------------------------------------------------------


class TPDestination(TPObject, frozen=True):
    ID: str = ""
    Prefixes: list[str] = []


class TPTiming(TPObject, frozen=True):
    """Lists as texts, `1;2;3` or `*any`; `Time` is `hh:mm:ss` or `start;end`."""

    ID: str = ""
    Years: str = ""
    Months: str = ""
    MonthDays: str = ""
    WeekDays: str = ""
    Time: str = ""


class RateSlot(Params, frozen=True):
    ConnectFee: float = 0.0
    Rate: float = 0.0
    RateUnit: str = ""
    RateIncrement: str = ""
    GroupIntervalStart: str = ""


class TPRate(TPObject, frozen=True):
    ID: str = ""
    RateSlots: list[RateSlot] = []


class DestinationRate(Params, frozen=True):
    """`Rate` is filled by the reference while it loads and null in the store."""

    DestinationId: str = ""
    RateId: str = ""
    Rate: TPRate | None = None
    RoundingMethod: str = ""
    RoundingDecimals: int = 0
    MaxCost: float = 0.0
    MaxCostStrategy: str = ""


class TPDestinationRate(TPObject, frozen=True):
    ID: str = ""
    DestinationRates: list[DestinationRate] = []


class RatingPlanBinding(Params, frozen=True):
    DestinationRatesId: str = ""
    TimingId: str = ""
    Weight: float = 0.0


class TPRatingPlan(TPObject, frozen=True):
    ID: str = ""
    RatingPlanBindings: list[RatingPlanBinding] = []


class RatingActivation(Params, frozen=True):
    ActivationTime: str = ""
    RatingPlanId: str = ""
    FallbackSubjects: str = ""


class TPRatingProfile(TPObject, frozen=True):
    LoadId: str = ""
    Tenant: str = ""
    Category: str = ""
    Subject: str = ""
    RatingPlanActivations: list[RatingActivation] = []


class SharedGroupRow(Params, frozen=True):
    Account: str = ""
    Strategy: str = ""
    RatingSubject: str = ""


class TPSharedGroups(TPObject, frozen=True):
    ID: str = ""
    SharedGroups: list[SharedGroupRow] = []


# --- accounts and actions (chapter 20) ---------------------------------------------------------------------------


class ActionRow(Params, frozen=True):
    Identifier: str = ""
    BalanceId: str = ""
    BalanceUuid: str = ""
    BalanceType: str = ""
    Units: str = ""
    ExpiryTime: str = ""
    Filters: str = ""
    TimingTags: str = ""
    DestinationIds: str = ""
    RatingSubject: str = ""
    Categories: str = ""
    SharedGroups: str = ""
    BalanceWeight: str = ""
    ExtraParameters: str = ""
    BalanceBlocker: str = ""
    BalanceDisabled: str = ""
    Weight: float = 0.0


class TPActions(TPObject, frozen=True):
    ID: str = ""
    Actions: list[ActionRow] = []


class ActionTimingRow(Params, frozen=True):
    ActionsId: str = ""
    TimingId: str = ""
    Weight: float = 0.0


class TPActionPlan(TPObject, frozen=True):
    ID: str = ""
    ActionPlan: list[ActionTimingRow] = []


class ActionTriggerRow(Params, frozen=True):
    Id: str = ""
    UniqueID: str = ""
    ThresholdType: str = ""
    ThresholdValue: float = 0.0
    Recurrent: bool = False
    MinSleep: str = ""
    ExpirationDate: str = ""
    ActivationDate: str = ""
    BalanceId: str = ""
    BalanceType: str = ""
    BalanceDestinationIds: str = ""
    BalanceWeight: str = ""
    BalanceExpirationDate: str = ""
    BalanceTimingTags: str = ""
    BalanceRatingSubject: str = ""
    BalanceCategories: str = ""
    BalanceSharedGroups: str = ""
    BalanceBlocker: str = ""
    BalanceDisabled: str = ""
    ActionsId: str = ""
    Weight: float = 0.0


class TPActionTriggers(TPObject, frozen=True):
    ID: str = ""
    ActionTriggers: list[ActionTriggerRow] = []


class TPAccountActions(TPObject, frozen=True):
    LoadId: str = ""
    Tenant: str = ""
    Account: str = ""
    ActionPlanId: str = ""
    ActionTriggersId: str = ""
    AllowNegative: bool = False
    Disabled: bool = False


# --- profiles with a tenant (30.10, chapters 50, 51, 60) ---------------------------------------------------------


class TPActivationInterval(Params, frozen=True):
    ActivationTime: str = ""
    ExpiryTime: str = ""


class TPFilterRow(Params, frozen=True):
    Type: str = ""
    Element: str = ""
    Values: list[str] = []


class TPFilterProfile(TPObject, frozen=True):
    Tenant: str = ""
    ID: str = ""
    Filters: list[TPFilterRow] = []
    ActivationInterval: TPActivationInterval | None = None


class TPAttribute(Params, frozen=True):
    FilterIDs: list[str] = []
    Path: str = ""
    Type: str = ""
    Value: str = ""


class TPAttributeProfile(TPObject, frozen=True):
    Tenant: str = ""
    ID: str = ""
    FilterIDs: list[str] = []
    ActivationInterval: TPActivationInterval | None = None
    Contexts: list[str] = []
    Attributes: list[TPAttribute] = []
    Blocker: bool = False
    Weight: float = 0.0


class TPChargerProfile(TPObject, frozen=True):
    Tenant: str = ""
    ID: str = ""
    FilterIDs: list[str] = []
    ActivationInterval: TPActivationInterval | None = None
    RunID: str = ""
    AttributeIDs: list[str] = []
    Weight: float = 0.0


class MetricWithFilters(Params, frozen=True):
    FilterIDs: list[str] = []
    MetricID: str = ""


class TPStatProfile(TPObject, frozen=True):
    Tenant: str = ""
    ID: str = ""
    FilterIDs: list[str] = []
    ActivationInterval: TPActivationInterval | None = None
    QueueLength: int = 0
    TTL: str = ""
    Metrics: list[MetricWithFilters] = []
    Blocker: bool = False
    Stored: bool = False
    Weight: float = 0.0
    MinItems: int = 0
    ThresholdIDs: list[str] = []


class TPThresholdProfile(TPObject, frozen=True):
    Tenant: str = ""
    ID: str = ""
    FilterIDs: list[str] = []
    ActivationInterval: TPActivationInterval | None = None
    MaxHits: int = 0
    MinHits: int = 0
    MinSleep: str = ""
    Blocker: bool = False
    Weight: float = 0.0
    ActionIDs: list[str] = []
    EeIDs: list[str] = []
    Async: bool = False


class TPResourceProfile(TPObject, frozen=True):
    Tenant: str = ""
    ID: str = ""
    FilterIDs: list[str] = []
    ActivationInterval: TPActivationInterval | None = None
    UsageTTL: str = ""
    Limit: str = ""
    AllocationMessage: str = ""
    Blocker: bool = False
    Stored: bool = False
    Weight: float = 0.0
    ThresholdIDs: list[str] = []


class TPRoute(Params, frozen=True):
    ID: str = ""
    FilterIDs: list[str] = []
    AccountIDs: list[str] = []
    RatingPlanIDs: list[str] = []
    ResourceIDs: list[str] = []
    StatIDs: list[str] = []
    Weight: float = 0.0
    Blocker: bool = False
    RouteParameters: str = ""


class TPRouteProfile(TPObject, frozen=True):
    Tenant: str = ""
    ID: str = ""
    FilterIDs: list[str] = []
    ActivationInterval: TPActivationInterval | None = None
    Sorting: str = ""
    SortingParameters: list[str] = []
    Routes: list[TPRoute] = []
    Weight: float = 0.0


class TPTrendsProfile(TPObject, frozen=True):
    Tenant: str = ""
    ID: str = ""
    Schedule: str = ""
    StatID: str = ""
    Metrics: list[str] = []
    TTL: str = ""
    QueueLength: int = 0
    MinItems: int = 0
    CorrelationType: str = ""
    Tolerance: float = 0.0
    Stored: bool = False
    ThresholdIDs: list[str] = []


class TPRankingProfile(TPObject, frozen=True):
    Tenant: str = ""
    ID: str = ""
    Schedule: str = ""
    StatIDs: list[str] = []
    MetricIDs: list[str] = []
    Sorting: str = ""
    SortingParameters: list[str] = []
    Stored: bool = False
    ThresholdIDs: list[str] = []


class TPDispatcherHostProfile(Params, frozen=True):
    ID: str = ""
    FilterIDs: list[str] = []
    Weight: float = 0.0
    Params: list[Any] = []
    Blocker: bool = False


class TPDispatcherProfile(TPObject, frozen=True):
    Tenant: str = ""
    ID: str = ""
    Subsystems: list[str] = []
    FilterIDs: list[str] = []
    ActivationInterval: TPActivationInterval | None = None
    Strategy: str = ""
    StrategyParams: list[Any] = []
    Weight: float = 0.0
    Hosts: list[TPDispatcherHostProfile] = []


class TPDispatcherHostConn(Params, frozen=True):
    """The durations are nanoseconds."""

    Address: str = ""
    Transport: str = ""
    ConnectAttempts: int = 0
    Reconnects: int = 0
    MaxReconnectInterval: int = 0
    ConnectTimeout: int = 0
    ReplyTimeout: int = 0
    TLS: bool = False
    ClientKey: str = ""
    ClientCertificate: str = ""
    CaCertificate: str = ""


class TPDispatcherHost(TPObject, frozen=True):
    Tenant: str = ""
    ID: str = ""
    Conn: TPDispatcherHostConn | None = None
