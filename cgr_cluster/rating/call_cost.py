"""The cost of a whole call: compression, connect fee, cap, rounding of the total (spec 10 §6), in this order."""

from __future__ import annotations

from typing import Protocol

from cgr_cluster.engine.domain import GenerationView
from cgr_cluster.events.instant import Instant
from cgr_cluster.rating.compiled import ANY, Settings, tariffs
from cgr_cluster.rating.event_cost import bare_timing
from cgr_cluster.rating.rate import VOICE, check_usage, connect_fee_nano, rate, rate_on_plan, unpriced_span
from cgr_cluster.rating.rounding import amount_of, nano_of, round_amount, rounded_steps
from cgr_cluster.rating.types import BalanceInfo, CallCost, CallDescriptor, Increment, Slot, Timespan
from cgr_cluster.rpc.errors import ApiError

FREE = "*free"
TEMPORARY = "*tmp"  # the category of a profile that is made up for a plan


def call_cost(generation: GenerationView, descriptor: CallDescriptor) -> CallCost:
    """What Responder.GetCost answers. The descriptor's empty fields get their defaults in the answer; a request of
    usage 0 never fails. Raises ApiError `MAX_USAGE_EXCEEDED`, `RATING_PLAN_NOT_FOUND`, `UNAUTHORIZED_DESTINATION`."""
    usage_ns = descriptor.time_end.ns - descriptor.time_start.ns
    check_usage(generation, descriptor.tor, usage_ns)
    settings = tariffs(generation).settings
    cost = _empty(settings, descriptor)
    if usage_ns == 0:
        try:
            cost.timespans = [unpriced_span(generation, descriptor)]
        except ApiError:
            cost.timespans = None  # nothing rated, nothing wrong: the answer is a cost of 0 either way
        return cost
    return completed(settings, descriptor, rate(generation, descriptor))


def cost_on_plan(generation: GenerationView, descriptor: CallDescriptor, plan_id: str) -> CallCost:
    """As `call_cost`, with a plan that is given (Responder.GetCostOnRatingPlans)."""
    usage_ns = descriptor.time_end.ns - descriptor.time_start.ns
    check_usage(generation, descriptor.tor, usage_ns)
    settings = tariffs(generation).settings
    if usage_ns == 0:
        return _empty(settings, descriptor)
    return completed(settings, descriptor, rate_on_plan(generation, descriptor, plan_id))


def cost_of_usage(
    generation: GenerationView,
    tenant: str,
    account: str,
    subject: str,
    destination: str,
    start: Instant,
    usage_ns: int,
    plan_id: str,
) -> CallCost:
    """`cost_on_plan` of a call from `start` on."""
    end = start.plus(usage_ns)
    descriptor = CallDescriptor(
        tenant, TEMPORARY, subject, account, destination, time_start=start, time_end=end, duration_index_ns=usage_ns
    )
    return cost_on_plan(generation, descriptor, plan_id)


class TotalTrace(Protocol):
    """Hears how a total comes about (explanations of a price): per compressed span the sum of its increments, its cost,
    the total before the cap and after it, and what the cap was compared with; at the end the total to be rounded."""

    def span(self, plain: float, cost: float, sum_before: float, total: float, so_far: float) -> None: ...
    def end(self, total: float, decimals: int, method: str) -> None: ...


def completed(
    settings: Settings, descriptor: CallDescriptor, spans: list[Timespan], trace: TotalTrace | None = None
) -> CallCost:
    """The CallCost of priced spans (10 §6). Takes the spans over."""
    cost = _empty(settings, descriptor)
    cost.tor = descriptor.tor or VOICE
    cost.destination = descriptor.destination or ANY
    spans = compress(spans)
    if descriptor.loop_index == 0 and spans and spans[0].rate_interval is not None:
        spans[0].increments.insert(0, Increment(0, connect_fee_nano(spans[0])))
    cost.timespans = spans
    cost.cost_nano = _total(settings, spans, descriptor.max_cost_so_far_nano, trace)
    cost.rated_usage_ns = spans[-1].time_end.ns - spans[0].time_start.ns  # spans lie side by side
    return cost


def _empty(settings: Settings, descriptor: CallDescriptor) -> CallCost:
    return CallCost(
        descriptor.category or settings.category,
        descriptor.tenant or settings.tenant,
        descriptor.subject or descriptor.account,
        descriptor.account,
        descriptor.destination,
        descriptor.tor,
    )


def _total(settings: Settings, spans: list[Timespan], max_cost_so_far_nano: int, trace: TotalTrace | None) -> int:
    """Sets each span's cost and answers the total, capped and rounded. In doubles, in the reference's order."""
    power = settings.power
    total = 0.0
    so_far = amount_of(max_cost_so_far_nano)  # grows by the running total: with two spans the first counts twice (kept)
    decimals = 0
    method = ""
    for span in spans:
        plain = 0.0
        for increment in span.increments:
            plain += amount_of(increment.cost_nano) * increment.compress_factor
        cost = rounded_steps(plain, power) / power * span.compress_factor
        span.cost_nano = nano_of(cost)
        total += cost
        so_far += total
        sum_before, compared = total, so_far
        interval = span.rate_interval
        if interval is not None:
            rating = interval.rating
            if rating.max_cost_strategy == FREE and 0 < rating.max_cost <= so_far:
                total = so_far = rating.max_cost
            if rating.rounding_decimals > decimals:
                decimals = rating.rounding_decimals
                method = rating.rounding_method
        if trace is not None:
            trace.span(plain, cost, sum_before, total, compared)
    if trace is not None:
        trace.end(total, decimals, method)
    return nano_of(round_amount(total, decimals, method) if decimals else total)


# --- compression -------------------------------------------------------------------------------------------------


def compress(spans: list[Timespan]) -> list[Timespan]:
    """Merge equal neighbouring increments inside each span, then equal neighbouring spans. Changes the spans given.
    Of merged increments the last one's balance values are kept: they say what is left after all of them."""
    out: list[Timespan] = []
    for span in spans:
        if len(span.increments) > 1:
            span.increments = _merged(span.increments)
        if out and _mergeable(out[-1], span):
            last = out[-1]
            last.increments = span.increments
            last.compress_factor += span.compress_factor
            last.cost_nano += span.cost_nano
            last.time_end = span.time_end
            last.duration_index_ns = span.duration_index_ns
        else:
            out.append(span)
    return out


def _merged(increments: list[Increment]) -> list[Increment]:
    out: list[Increment] = []
    for increment in increments:
        last = out[-1] if out else None
        if last is not None and _alike(last, increment):
            last.compress_factor += increment.compress_factor
            last.balance_info = increment.balance_info
        else:
            out.append(increment)
    return out


def _alike(a: Increment, b: Increment) -> bool:
    return a.duration_ns == b.duration_ns and a.cost_nano == b.cost_nano and same_payer(a.balance_info, b.balance_info)


def same_payer(a: BalanceInfo | None, b: BalanceInfo | None) -> bool:
    """Whether the same balances of the same account paid alike (20 §3.1); what is left in them does not matter."""
    if a is None or b is None:
        return a is b
    if a.account_id != b.account_id:
        return False
    if a.unit is None or b.unit is None:
        if a.unit is not b.unit:
            return False
    elif (
        a.unit.uuid != b.unit.uuid or a.unit.consumed != b.unit.consumed or a.unit.rate_interval != b.unit.rate_interval
    ):
        return False
    if a.monetary is None or b.monetary is None:
        return a.monetary is b.monetary
    return a.monetary.uuid == b.monetary.uuid and a.monetary.rate_interval == b.monetary.rate_interval


def _mergeable(a: Timespan, b: Timespan) -> bool:
    if len(a.increments) != len(b.increments) or a.round_increment is not None or b.round_increment is not None:
        return False
    for left, right in zip(a.increments, b.increments, strict=True):
        if left.compress_factor != right.compress_factor or not _alike(left, right):
            return False
    return (
        a.matched_subject == b.matched_subject
        and a.matched_prefix == b.matched_prefix
        and a.matched_dest_id == b.matched_dest_id
        and a.rating_plan_id == b.rating_plan_id
        and _same_binding(a, b)
        and _unit_price(a) == _unit_price(b)
    )


def _same_binding(a: Timespan, b: Timespan) -> bool:
    left, right = a.rate_interval, b.rate_interval
    if left is right:
        return True
    return (
        left is not None
        and right is not None
        and left.weight == right.weight
        and bare_timing(left.timing) == bare_timing(right.timing)
    )


def _unit_price(span: Timespan) -> tuple[float, int]:
    """(price, unit length) of the slot at the span's group start."""
    interval = span.rate_interval
    if interval is None or not interval.rating.slots:
        return 0.0, 0
    usage_ns = max(0, span.duration_index_ns - span.duration_ns)
    found: Slot = interval.rating.slots[0]
    for slot in interval.rating.slots:
        if slot.group_interval_start_ns > usage_ns:
            break
        found = slot
    return found.value, found.unit_ns
