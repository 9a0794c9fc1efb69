"""An account in memory for tests of sessions: one money balance, prices by increments, exact."""

from __future__ import annotations

from copy import copy
from typing import Any, NamedTuple, TypeVar

from cgr_cluster.events.event import CGREvent
from cgr_cluster.events.instant import Instant
from cgr_cluster.rating.types import (
    AccountSummary,
    BalanceInfo,
    BalanceSummary,
    CallCost,
    CallDescriptor,
    Increment,
    MonetaryInfo,
    RateInterval,
    Rating,
    Slot,
    Timespan,
)
from cgr_cluster.rpc.errors import ApiError
from cgr_cluster.sessions import charging
from cgr_cluster.sessions.types import Run, Session

T = TypeVar("T")
S = 10**9
START = Instant(1_772_445_600)


class Tariff(NamedTuple):
    """Steps of (from ns on, price of an increment in nano, increment in ns), the connect fee, and the rounding."""

    steps: tuple[tuple[int, int, int], ...]
    fee_nano: int = 0
    method: str = "*up"
    decimals: int = 4

    def increments(self, start_ns: int, length_ns: int) -> list[tuple[int, int, int]]:
        """(length, price, count) of what covers `length_ns` from `start_ns` of the call on."""
        out: list[tuple[int, int, int]] = []
        at, left = start_ns, length_ns
        while left > 0:
            _, price, increment = next(step for step in reversed(self.steps) if step[0] <= at)
            following = [step[0] for step in self.steps if step[0] > at]
            until = following[0] - at if following else left
            count = -(-min(left, until) // increment)
            out.append((increment, price, count))
            at += count * increment
            left -= count * increment
        return out

    def rating(self) -> Rating:
        slots = tuple(Slot(start, price / 1e9, increment, increment) for start, price, increment in self.steps)
        return Rating(self.fee_nano / 1e9, self.method, self.decimals, slots=slots)


FIXED = Tariff(((0, 10_000_000, S),))
MOBILE = Tariff(((0, 600_000_000, 30 * S), (60 * S, 100_000_000, 10 * S)), 200_000_000)
ROUNDED = Tariff(((0, 10_100_000, S),), 500_000_000, "*up", 2)


class Account:
    """Does what a session asks of an account. `refusal`: the error of every debit; `refuse_run`: of the n-th one only."""

    def __init__(self, tariff: Tariff, nano: int, *, negative: bool = False) -> None:
        self.tariff = tariff
        self.nano = nano
        self.negative = negative
        self.refusal = ""
        self.refuse_run = -1
        self.descriptors: list[CallDescriptor] = []

    @property
    def money(self) -> float:
        return self.nano / 1e9

    def drive(self, work: charging.Charging[T]) -> T:
        try:
            call = next(work)
            while True:
                try:
                    result = self.answer(call)
                except ApiError as error:
                    call = work.throw(error)
                else:
                    call = work.send(result)
        except StopIteration as done:
            value: T = done.value
            return value

    def answer(self, call: Any) -> Any:
        descriptor: CallDescriptor = call.descriptor
        if isinstance(call, charging.Refund):
            self.nano += sum(i.cost_nano * i.compress_factor for i in descriptor.increments)
            return self.summary()
        if isinstance(call, charging.RoundingDebit):
            self.nano -= sum(i.cost_nano for i in descriptor.increments)
            return self.summary()
        self.descriptors.append(copy(descriptor))
        if self.refusal or len(self.descriptors) - 1 == self.refuse_run:
            raise ApiError(self.refusal or "ACCOUNT_NOT_FOUND")
        length = descriptor.time_end.ns - descriptor.time_start.ns
        if isinstance(call, charging.MaxUsage):
            return -1 if self.negative else min(length, self.affordable(descriptor, length))
        if isinstance(call, charging.MaxDebit) and not self.negative:
            length = min(length, self.affordable(descriptor, length))
        return self.debit(descriptor, length)

    def affordable(self, descriptor: CallDescriptor, length: int) -> int:
        left, covered = self.nano, 0
        if descriptor.loop_index == 0:
            left -= self.tariff.fee_nano
            if left < 0:
                return 0
        at = descriptor.duration_index_ns - (descriptor.time_end.ns - descriptor.time_start.ns)
        for increment, price, count in self.tariff.increments(at, length):
            paid = count if price == 0 else min(count, left // price)
            covered += paid * increment
            left -= paid * price
            if paid < count:
                break
        return covered

    def debit(self, descriptor: CallDescriptor, length: int) -> CallCost:
        cost = CallCost("call", "t", "5001", "5001", "44", "*voice")
        if length <= 0:
            return cost
        at = descriptor.duration_index_ns - (descriptor.time_end.ns - descriptor.time_start.ns)
        payer = BalanceInfo(None, MonetaryInfo("uuid", "main", 0), "t:5001")
        cost.timespans = []
        start = descriptor.time_start
        for index, (increment, price, count) in enumerate(self.tariff.increments(at, length)):
            increments = [Increment(increment, price, count, payer)]
            if index == 0 and descriptor.loop_index == 0 and self.tariff.fee_nano:
                increments.insert(0, Increment(0, self.tariff.fee_nano, 1, payer))
            total = sum(i.cost_nano * i.compress_factor for i in increments)
            end = start.plus(increment * count)
            interval = RateInterval(None, self.tariff.rating())
            cost.timespans.append(Timespan(start, end, 0, total, interval, increments))
            start = end
            cost.cost_nano += total
        self.nano -= cost.cost_nano
        cost.account_summary = self.summary()
        return cost

    def summary(self) -> AccountSummary:
        return AccountSummary("t", "5001", [BalanceSummary("uuid", "main", "*monetary", self.nano, self.nano)])


def session_of(*request_types: str, usage_ns: int = 0) -> Session:
    """A session with one run per request type, all on one account."""
    runs = [
        Run(
            {"RunID": f"r{index}", "RequestType": kind},
            kind,
            CallDescriptor(
                tenant="t",
                account="5001",
                tor="*voice",
                time_start=START,
                time_end=START.plus(usage_ns),
                run_id=f"r{index}",
            ),
            START.ns + usage_ns,
        )
        for index, kind in enumerate(request_types)
    ]
    event = CGREvent("t", "ev", None, {"Account": "5001"})
    return Session("cgrid", "t", event.event, {}, runs, "account", "t:5001")
