"""Objects of the tariff plan store, in the text form of the CSV files (spec chapter 10 §10, 20 §8, 50 §5.3).

One Struct is three things: the parameter of its SetTP method, the stored object, and the answer of its GetTP method. So
fields are spelt as in params.txt. They are never changed once made: rows are shared, a change replaces the object. Values
are as given and checked by nothing; durations and times are texts until a load reads them.
"""

from __future__ import annotations

from typing import Any

from cgr_cluster.rpc.registry import Params


class TPObject(Params):
    """What all have in common: the tariff plan that they belong to, and a draft that needs no copy."""

    TPid: str = ""

    def draft(self) -> TPObject:
        return self


# --- rating (chapter 10) -----------------------------------------------------------------------------------------


class TPDestination(TPObject):
    ID: str = ""
    Prefixes: list[str] = []


class TPTiming(TPObject):
    """Lists as texts, `1;2;3` or `*any`; `Time` is `hh:mm:ss` or `start;end`."""

    ID: str = ""
    Years: str = ""
    Months: str = ""
    MonthDays: str = ""
    WeekDays: str = ""
    Time: str = ""


class RateSlot(Params):
    ConnectFee: float = 0.0
    Rate: float = 0.0
    RateUnit: str = ""
    RateIncrement: str = ""
    GroupIntervalStart: str = ""


class TPRate(TPObject):
    ID: str = ""
    RateSlots: list[RateSlot] = []


class DestinationRate(Params):
    """`Rate` is filled by the reference while it loads and null in the store."""

    DestinationId: str = ""
    RateId: str = ""
    Rate: TPRate | None = None
    RoundingMethod: str = ""
    RoundingDecimals: int = 0
    MaxCost: float = 0.0
    MaxCostStrategy: str = ""


class TPDestinationRate(TPObject):
    ID: str = ""
    DestinationRates: list[DestinationRate] = []


class RatingPlanBinding(Params):
    DestinationRatesId: str = ""
    TimingId: str = ""
    Weight: float = 0.0


class TPRatingPlan(TPObject):
    ID: str = ""
    RatingPlanBindings: list[RatingPlanBinding] = []


class RatingActivation(Params):
    ActivationTime: str = ""
    RatingPlanId: str = ""
    FallbackSubjects: str = ""


class TPRatingProfile(TPObject):
    LoadId: str = ""
    Tenant: str = ""
    Category: str = ""
    Subject: str = ""
    RatingPlanActivations: list[RatingActivation] = []


class SharedGroupRow(Params):
    Account: str = ""
    Strategy: str = ""
    RatingSubject: str = ""


class TPSharedGroups(TPObject):
    ID: str = ""
    SharedGroups: list[SharedGroupRow] = []


# --- accounts and actions (chapter 20) ---------------------------------------------------------------------------


class ActionRow(Params):
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


class TPActions(TPObject):
    ID: str = ""
    Actions: list[ActionRow] = []


class ActionTimingRow(Params):
    ActionsId: str = ""
    TimingId: str = ""
    Weight: float = 0.0


class TPActionPlan(TPObject):
    ID: str = ""
    ActionPlan: list[ActionTimingRow] = []


class ActionTriggerRow(Params):
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


class TPActionTriggers(TPObject):
    ID: str = ""
    ActionTriggers: list[ActionTriggerRow] = []


class TPAccountActions(TPObject):
    LoadId: str = ""
    Tenant: str = ""
    Account: str = ""
    ActionPlanId: str = ""
    ActionTriggersId: str = ""
    AllowNegative: bool = False
    Disabled: bool = False


# --- profiles with a tenant (30.10, chapters 50, 51, 60) ---------------------------------------------------------


class TPActivationInterval(Params):
    ActivationTime: str = ""
    ExpiryTime: str = ""


class TPFilterRow(Params):
    Type: str = ""
    Element: str = ""
    Values: list[str] = []


class TPFilterProfile(TPObject):
    Tenant: str = ""
    ID: str = ""
    Filters: list[TPFilterRow] = []
    ActivationInterval: TPActivationInterval | None = None


class TPAttribute(Params):
    FilterIDs: list[str] = []
    Path: str = ""
    Type: str = ""
    Value: str = ""


class TPAttributeProfile(TPObject):
    Tenant: str = ""
    ID: str = ""
    FilterIDs: list[str] = []
    ActivationInterval: TPActivationInterval | None = None
    Contexts: list[str] = []
    Attributes: list[TPAttribute] = []
    Blocker: bool = False
    Weight: float = 0.0


class TPChargerProfile(TPObject):
    Tenant: str = ""
    ID: str = ""
    FilterIDs: list[str] = []
    ActivationInterval: TPActivationInterval | None = None
    RunID: str = ""
    AttributeIDs: list[str] = []
    Weight: float = 0.0


class MetricWithFilters(Params):
    FilterIDs: list[str] = []
    MetricID: str = ""


class TPStatProfile(TPObject):
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


class TPThresholdProfile(TPObject):
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


class TPResourceProfile(TPObject):
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


class TPIPPool(Params):
    ID: str = ""
    FilterIDs: list[str] = []
    Type: str = ""
    Range: str = ""
    Strategy: str = ""
    Message: str = ""
    Weight: float = 0.0
    Blocker: bool = False


class TPIPProfile(TPObject):
    Tenant: str = ""
    ID: str = ""
    FilterIDs: list[str] = []
    ActivationInterval: TPActivationInterval | None = None
    TTL: str = ""
    Stored: bool = False
    Weight: float = 0.0
    Pools: list[TPIPPool] = []


class TPRoute(Params):
    ID: str = ""
    FilterIDs: list[str] = []
    AccountIDs: list[str] = []
    RatingPlanIDs: list[str] = []
    ResourceIDs: list[str] = []
    StatIDs: list[str] = []
    Weight: float = 0.0
    Blocker: bool = False
    RouteParameters: str = ""


class TPRouteProfile(TPObject):
    Tenant: str = ""
    ID: str = ""
    FilterIDs: list[str] = []
    ActivationInterval: TPActivationInterval | None = None
    Sorting: str = ""
    SortingParameters: list[str] = []
    Routes: list[TPRoute] = []
    Weight: float = 0.0


class TPTrendsProfile(TPObject):
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


class TPRankingProfile(TPObject):
    Tenant: str = ""
    ID: str = ""
    Schedule: str = ""
    StatIDs: list[str] = []
    MetricIDs: list[str] = []
    Sorting: str = ""
    SortingParameters: list[str] = []
    Stored: bool = False
    ThresholdIDs: list[str] = []


class TPDispatcherHostProfile(Params):
    ID: str = ""
    FilterIDs: list[str] = []
    Weight: float = 0.0
    Params: list[Any] = []
    Blocker: bool = False


class TPDispatcherProfile(TPObject):
    Tenant: str = ""
    ID: str = ""
    Subsystems: list[str] = []
    FilterIDs: list[str] = []
    ActivationInterval: TPActivationInterval | None = None
    Strategy: str = ""
    StrategyParams: list[Any] = []
    Weight: float = 0.0
    Hosts: list[TPDispatcherHostProfile] = []


class TPDispatcherHostConn(Params):
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


class TPDispatcherHost(TPObject):
    Tenant: str = ""
    ID: str = ""
    Conn: TPDispatcherHostConn | None = None
