"""What rating works on and answers (spec chapter 10). Amounts of money are integers of 10^-9 units (`_nano`),
durations and times nanoseconds (`_ns`); data, messages and the like count 1 unit as 1 ns. Only `Slot.value`,
`Rating.connect_fee` and `Rating.max_cost` are doubles: they are what the tariff says, and prices are computed from
them in the order of operations of chapter 10."""

from __future__ import annotations

from typing import Any

import msgspec

from cgr_cluster.events.instant import ZERO, Instant


class Timing(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """When something is active (10 §2.2). Empty tuples: no restriction. `start_time`/`end_time` are texts `hh:mm:ss`."""

    id: str = ""
    years: tuple[int, ...] = ()
    months: tuple[int, ...] = ()
    month_days: tuple[int, ...] = ()
    week_days: tuple[int, ...] = ()
    start_time: str = ""
    end_time: str = ""


class Slot(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One rate slot (10 §2.3). `value` is the price of `unit_ns`."""

    group_interval_start_ns: int
    value: float
    increment_ns: int
    unit_ns: int


class Rating(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The rates of one destination rate (10 §2.4, 2.5). `slots` in row order of the file."""

    connect_fee: float = 0.0
    rounding_method: str = ""
    rounding_decimals: int = 0
    max_cost: float = 0.0
    max_cost_strategy: str = ""
    slots: tuple[Slot, ...] = ()


class RateInterval(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The binding that prices a span: timing, rating and the weight of the binding."""

    timing: Timing | None
    rating: Rating
    weight: float = 0.0


class UnitInfo(msgspec.Struct, array_like=True, gc=False):
    """The unit balance that paid an increment. `value` and `consumed` in 10^-5 units; `factor` as configured (1 = none)."""

    uuid: str
    id: str
    value: int
    destination_id: str
    consumed: int
    factor: float
    category: str = ""
    tor: str = ""
    rate_interval: RateInterval | None = None


class MonetaryInfo(msgspec.Struct, array_like=True, gc=False):
    """The money balance that paid an increment. `value_nano` is what it holds after the last of the merged increments
    (for a unit balance made free by MaxCost, see 20 §3.4, its value in 10^-5 units times 10^4)."""

    uuid: str
    id: str
    value_nano: int
    rate_interval: RateInterval | None = None


class BalanceInfo(msgspec.Struct, array_like=True, gc=False):
    unit: UnitInfo | None = None
    monetary: MonetaryInfo | None = None
    account_id: str = ""


class Increment(msgspec.Struct, array_like=True, gc=False):
    """`compress_factor` equal increments of `duration_ns` that cost `cost_nano` each."""

    duration_ns: int
    cost_nano: int
    compress_factor: int = 1
    balance_info: BalanceInfo | None = None


class Timespan(msgspec.Struct, array_like=True, gc=False):
    time_start: Instant
    time_end: Instant
    duration_index_ns: int
    cost_nano: int = 0
    rate_interval: RateInterval | None = None
    increments: list[Increment] = []
    round_increment: Increment | None = None
    matched_subject: str = ""
    matched_prefix: str = ""
    matched_dest_id: str = ""
    rating_plan_id: str = ""
    compress_factor: int = 1

    @property
    def duration_ns(self) -> int:
        return self.time_end.ns - self.time_start.ns


class BalanceSummary(msgspec.Struct, array_like=True, gc=False):
    """`initial` and `value` are money in nano for type `*monetary`, else 10^-5 units."""

    uuid: str
    id: str
    type: str
    initial: int
    value: int
    weight: float = 0.0
    disabled: bool = False
    factors: dict[str, float] | None = None


class AccountSummary(msgspec.Struct, array_like=True, gc=False):
    tenant: str
    account_id: str
    balances: list[BalanceSummary] = []
    allow_negative: bool = False
    disabled: bool = False


class CallCost(msgspec.Struct, array_like=True, gc=False):
    """Answer of a rating or debit (10 §6, 20 §3.1). `timespans` None: nothing was found or paid (JSON null)."""

    category: str
    tenant: str
    subject: str
    account: str
    destination: str
    tor: str
    cost_nano: int = 0
    timespans: list[Timespan] | None = None
    rated_usage_ns: int = 0
    account_summary: AccountSummary | None = None


class CallDescriptor(msgspec.Struct, array_like=True, gc=False):
    """What is to be rated or debited (10 §6, 20 §3.1); the decoded form of the API's CallDescriptor."""

    tenant: str = ""
    category: str = ""
    subject: str = ""
    account: str = ""
    destination: str = ""
    tor: str = ""
    time_start: Instant = ZERO
    time_end: Instant = ZERO
    duration_index_ns: int = 0
    loop_index: int = 0
    max_rate: float = 0.0
    max_rate_unit_ns: int = 0
    max_cost_so_far_nano: int = 0
    force_duration: bool = False
    perform_rounding: bool = False
    deny_negative_account: bool = False
    dry_run: bool = False
    extra_fields: dict[str, str] = {}
    cgrid: str = ""
    run_id: str = ""
    increments: list[Increment] = []
    opts: dict[str, Any] = {}

    def copy(self) -> CallDescriptor:
        """A copy whose fields can be set without changing this one (maps and lists are shared)."""
        copy: CallDescriptor = self.__copy__()  # type: ignore[attr-defined]  # every Struct has it
        return copy


class Charge(msgspec.Struct, array_like=True, gc=False):
    """One charge of an EventCost (10 §7.2): increments are (usage_ns, cost_nano, accounting id, compress factor)."""

    rating_id: str
    increments: list[ChargeIncrement] = []
    compress_factor: int = 0


class ChargeIncrement(msgspec.Struct, array_like=True, gc=False):
    usage_ns: int
    cost_nano: int
    accounting_id: str
    compress_factor: int


class RatingUnit(msgspec.Struct, frozen=True, array_like=True, gc=False):
    connect_fee: float
    rounding_method: str
    rounding_decimals: int
    max_cost: float
    max_cost_strategy: str
    timing_id: str
    rates_id: str
    rating_filters_id: str


class RatingFilter(msgspec.Struct, frozen=True, array_like=True, gc=False):
    destination_id: str
    destination_prefix: str
    rating_plan_id: str
    subject: str


class BalanceCharge(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An Accounting entry. `units` is money in nano when the paying balance is money (`monetary`), else 10^-5 units."""

    account_id: str
    balance_uuid: str
    rating_id: str
    units: int
    monetary: bool
    balance_factor: float = 1.0
    extra_charge_id: str = ""


class FlatCost(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Usage and cost that a client says without the charges they are made of."""

    usage_ns: int
    cost_nano: int


class EventCost(msgspec.Struct, array_like=True, gc=False):
    """The cost of an event with everything that explains it (10 §7.2, 20 §3.13). Tables map generated ids to content;
    equal content shares an id within one EventCost. `flat` stands for charges where there are none."""

    cgrid: str = ""
    run_id: str = ""
    start_time: Instant = ZERO
    charges: list[Charge] = []
    account_summary: AccountSummary | None = None
    rating: dict[str, RatingUnit] = {}
    accounting: dict[str, BalanceCharge] = {}
    rating_filters: dict[str, RatingFilter] = {}
    rates: dict[str, tuple[Slot, ...]] = {}
    timings: dict[str, Timing] = {}
    flat: FlatCost | None = None
