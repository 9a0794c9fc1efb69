"""Properties of prices and of cost details: what must hold for any tariff and any call (spec 10 §4-7, 30 §4.4)."""

from __future__ import annotations

import math

from hypothesis import example, given, settings
from hypothesis import strategies as st

from cgr_cluster.engine.generation import Generation
from cgr_cluster.events.instant import Instant
from cgr_cluster.rating.answers import event_cost_json
from cgr_cluster.rating.call_cost import call_cost, compress
from cgr_cluster.rating.compiled import CompiledBinding
from cgr_cluster.rating.event_cost import cost_nano, event_cost_of, usage_ns
from cgr_cluster.rating.event_cost_pieces import add_rounding, cut, increments_of, join, join_call_cost
from cgr_cluster.rating.event_cost_reading import event_cost_from_json
from cgr_cluster.rating.rate import rate
from cgr_cluster.rating.spans import Cutter, pieces_of_single, stops_of
from cgr_cluster.rating.types import (
    BalanceInfo,
    CallCost,
    CallDescriptor,
    EventCost,
    Increment,
    MonetaryInfo,
    Rating,
    Slot,
    Timing,
)
from tests.unit.rating_world import ANY_TIME, one_rate

S = 10**9
tried = settings(deadline=None, max_examples=150)

increments_s = st.sampled_from([1, 6, 10, 30, 60])
prices = st.integers(0, 10**6).map(lambda n: n / 10**5)
fees = st.integers(0, 10**5).map(lambda n: n / 10**5)


@st.composite
def ratings(draw: st.DrawFn) -> Rating:
    """Up to four slots; each starts at a multiple of the increment before it, or anywhere."""
    slots = []
    start_s = 0
    for _ in range(draw(st.integers(1, 4))):
        increment_s = draw(increments_s)
        unit_s = draw(st.sampled_from([1, 60, 3600]))
        slots.append(Slot(start_s * S, draw(prices), increment_s * S, unit_s * S))
        start_s += draw(st.one_of(st.integers(1, 5).map(lambda n, i=increment_s: n * i), st.integers(1, 100)))
    return Rating(
        draw(fees),
        draw(st.sampled_from(["*up", "*down", "*middle", ""])),
        draw(st.integers(0, 6)),
        slots=tuple(slots),
    )


starts = st.builds(
    Instant,
    st.integers(1_700_000_000, 1_800_000_000),
    st.sampled_from([0, 500_000_000]),
    st.sampled_from([0, 3600, -18_000, 20_700]),
)
usages_ns = st.one_of(st.integers(1, 4 * 3600).map(lambda s: s * S), st.integers(1, 300 * S))


def call_of(start: Instant, usage: int, tor: str = "*voice") -> CallDescriptor:
    return CallDescriptor("cgrates.org", "call", "1001", "1001", "4722", tor, start, start.plus(usage))


def middle5(x: float) -> float:
    """The rounding function as it is written in the chapter."""
    fraction, _ = math.modf(x * 100_000.0)
    return (math.ceil(x * 100_000.0) if fraction >= 0.5 else math.floor(x * 100_000.0)) / 100_000.0


def listed_cost(slot: Slot, length_ns: int) -> tuple[float, list[float]]:
    """Price of a span by the chapter's four steps, with a list of increments."""
    count = length_ns // slot.increment_ns
    whole = middle5(length_ns * (slot.value / slot.unit_ns))
    one = middle5(whole / count)
    return middle5(count * one), [one] * count


@tried
@given(ratings(), starts, usages_ns)
def test_spans_cover_the_call_and_cost_what_the_chapter_says(rating: Rating, start: Instant, usage: int) -> None:
    spans = rate(one_rate(rating), call_of(start, usage))
    position = start.ns
    for span in spans:
        assert span.time_start.ns == position
        position = span.time_end.ns
        used_ns = span.duration_index_ns - span.duration_ns
        assert used_ns == span.time_start.ns - start.ns
        slot = max((s for s in rating.slots if s.group_interval_start_ns <= used_ns), key=lambda s: s.group_interval_start_ns)  # fmt: skip
        assert span.duration_ns % slot.increment_ns == 0
        total, each = listed_cost(slot, span.duration_ns)
        (increment,) = span.increments
        assert (increment.duration_ns, increment.compress_factor) == (slot.increment_ns, len(each))
        assert increment.cost_nano == round(each[0] * 1e9)
        assert span.cost_nano == round(total * 1e9)
    assert start.ns + usage <= position < start.ns + usage + spans[-1].increments[0].duration_ns


@tried
@given(ratings(), starts, usages_ns, st.integers(0, 1000))
def test_the_short_way_and_the_general_way_cut_alike(rating: Rating, start: Instant, usage: int, before_s: int) -> None:
    """The price does not depend on how the rates are compiled."""
    end = start.plus(usage)
    binding = CompiledBinding(ANY_TIME, rating, 10.0)
    stops = stops_of(start, end, [])
    cutter = Cutter([binding], start, end, before_s * S, True)
    assert cutter.cut(start.ns, stops) == pieces_of_single(binding, start.ns, stops, before_s * S)


DAY = Timing("DAY", week_days=(1, 2, 3, 4, 5), start_time="08:00:00")
EVENING = Timing("EVENING", week_days=(1, 2, 3, 4, 5), start_time="20:00:00")
NIGHT = Timing("NIGHT", week_days=(1, 2, 3, 4, 5), start_time="00:00:00")
WEEKEND = Timing("WEEKEND", week_days=(6, 0), start_time="00:00:00")


@tried
@given(starts, st.integers(1, 70 * 3600), st.permutations([DAY, EVENING, NIGHT, WEEKEND]))
def test_a_covered_week_prices_every_second_by_its_timing(start: Instant, seconds: int, order: list[Timing]) -> None:
    """With equal weights row order does not matter, and each second has the timing that its own clock says."""
    rating = Rating(slots=(Slot(0, 0.6, S, 60 * S),))
    start = Instant(start.seconds, 0, start.offset_s)
    spans = rate(one_rate(rating, *((timing, rating, 10.0) for timing in order)), call_of(start, seconds * S))
    assert sum(span.duration_ns for span in spans) == seconds * S
    for span in spans:
        assert span.rate_interval is not None and span.rate_interval.timing is not None
        for second in (span.time_start.seconds, span.time_end.seconds - 1):
            local = second + start.offset_s
            week_day, hour = (local // 86_400 + 4) % 7, local % 86_400 // 3600
            expected = WEEKEND if week_day in (0, 6) else NIGHT if hour < 8 else DAY if hour < 20 else EVENING
            assert span.rate_interval.timing.id == expected.id


@tried
@given(ratings(), starts, usages_ns)
def test_a_price_is_a_pure_function(rating: Rating, start: Instant, usage: int) -> None:
    first, second = one_rate(rating), one_rate(rating)
    once = call_cost(first, call_of(start, usage))
    assert call_cost(first, call_of(start, usage)) == once == call_cost(second, call_of(start, usage))


# --- cost details --------------------------------------------------------------------------------------------------


def paid(generation: Generation, start: Instant, usage: int, index_ns: int, balance: str) -> CallCost:
    descriptor = call_of(start, usage)
    descriptor.duration_index_ns = index_ns
    spans = rate(generation, descriptor)
    for span in spans:
        span.increments[0].balance_info = BalanceInfo(None, MonetaryInfo(balance, "", 0), "cgrates.org:1001")
    return CallCost("call", "cgrates.org", "1001", "1001", "4722", "*voice", timespans=compress(spans))


pieces_s = st.lists(st.tuples(st.integers(1, 200), st.sampled_from(["a", "b"])), min_size=1, max_size=8)


def session(rating: Rating, start: Instant, sizes: list[tuple[int, str]]) -> list[CallCost]:
    """Debits one behind the other, each from one of two balances."""
    generation = one_rate(rating)
    out = []
    used = 0
    for seconds, balance in sizes:
        piece = paid(generation, start.plus(used), seconds * S, used + seconds * S, balance)
        out.append(piece)
        used += sum(span.duration_ns for span in piece.timespans or [])
    return out


def nano(cost: CallCost) -> int:
    return sum(
        increment.cost_nano * increment.compress_factor * span.compress_factor
        for span in cost.timespans or []
        for increment in span.increments
    )


@tried
@given(ratings(), starts, pieces_s)
def test_joined_pieces_cost_and_cover_what_they_did_apart(
    rating: Rating, start: Instant, sizes: list[tuple[int, str]]
) -> None:
    pieces = session(rating, start, sizes)
    cost = event_cost_of(pieces[0], "c", "r")
    by_parts = cost
    for piece in pieces[1:]:
        cost = join_call_cost(cost, piece, "c", "r")
        by_parts = join(by_parts, event_cost_of(piece))
    assert cost == by_parts
    assert usage_ns(cost) == sum(span.duration_ns for piece in pieces for span in piece.timespans or [])
    assert cost_nano(cost) == sum(nano(piece) for piece in pieces)
    assert event_cost_from_json(event_cost_json(cost)) == cost


@tried
@given(ratings(), starts, pieces_s, st.integers(0, 1_000_000))
def test_a_cut_divides_usage_and_money_exactly(
    rating: Rating, start: Instant, sizes: list[tuple[int, str]], millionths: int
) -> None:
    cost: EventCost | None = None
    for piece in session(rating, start, sizes):
        cost = join_call_cost(cost, piece, "c", "r")
    assert cost is not None
    total = usage_ns(cost)
    used = total * millionths // 1_000_000
    kept, off = cut(cost, used, "*voice")
    off_usage = sum(increment.duration_ns * increment.compress_factor for increment in off)
    off_money = sum(increment.cost_nano * increment.compress_factor for increment in off)
    assert usage_ns(kept) + off_usage == total
    assert cost_nano(kept) + off_money == cost_nano(cost)
    assert used <= usage_ns(kept) < used + 60 * S
    both = increments_of(kept, "*voice") + off
    for balance in ("a", "b"):  # each balance gets back what it paid for what was cut off
        assert _of(balance, both) == _of(balance, increments_of(cost, "*voice"))
    again, nothing = cut(kept, used, "*voice")
    assert (cost_nano(again), sum(increment.cost_nano for increment in nothing)) == (cost_nano(kept), 0)


@tried
@example(Rating(0.0, "*down", 6, slots=(Slot(0, 0.00811, S, S),)), Instant(1_700_000_000), [(1, "a")])
@given(ratings(), starts, pieces_s)
def test_rounding_books_exactly_what_it_adds(rating: Rating, start: Instant, sizes: list[tuple[int, str]]) -> None:
    cost: EventCost | None = None
    for piece in session(rating, start, sizes):
        cost = join_call_cost(cost, piece, "c", "r")
    assert cost is not None
    rounded, debits = add_rounding(cost)
    assert cost_nano(rounded) == cost_nano(cost) + sum(increment.cost_nano for increment in debits)
    assert usage_ns(rounded) == usage_ns(cost)


def _of(balance: str, increments: list[Increment]) -> int:
    total = 0
    for increment in increments:
        info = increment.balance_info
        if info is not None and info.monetary is not None and info.monetary.uuid == balance:
            total += increment.cost_nano * increment.compress_factor
    return total
