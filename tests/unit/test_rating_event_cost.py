"""Cost details: from CallCosts, joined, cut, rounded, to and from JSON (spec 10 §7.2, 20 §3.13, 30 §4.4)."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from cgr_cluster.events.instant import ZERO
from cgr_cluster.rating.answers import call_cost_json, event_cost_json, money
from cgr_cluster.rating.call_cost import call_cost, compress
from cgr_cluster.rating.event_cost import cost_nano, event_cost_of, usage_ns
from cgr_cluster.rating.event_cost_pieces import (
    add_rounding,
    cut,
    increments_of,
    join,
    join_call_cost,
    merged_summary,
    pause,
)
from cgr_cluster.rating.event_cost_reading import event_cost_from_json
from cgr_cluster.rating.rate import rate
from cgr_cluster.rating.types import (
    AccountSummary,
    BalanceInfo,
    BalanceSummary,
    CallCost,
    EventCost,
    FlatCost,
    Increment,
    MonetaryInfo,
    RateInterval,
    Rating,
    Slot,
    Timespan,
    UnitInfo,
)
from cgr_cluster.rpc.errors import ApiError
from tests.unit.rating_world import ANY_TIME, LONG_AGO, World, at, call, one_rate, per_minute

S = 10**9
RATE = one_rate(per_minute(0.6))


def paid(seconds: int, fee: float = 0.0, balance: str = "money", generation: Any = RATE, **fields: Any) -> CallCost:
    """A CallCost of increments of one second, all paid by one money balance."""
    spans = rate(generation, call(seconds, **fields))
    info = BalanceInfo(None, MonetaryInfo(balance, "MAIN", 5 * S), "cgrates.org:1001")
    for span in spans:
        span.increments[0].balance_info = info
        if fee:
            span.increments.insert(0, Increment(0, round(fee * S), 1, info))
            fee = 0.0
    return CallCost("call", "cgrates.org", "1001", "1001", "47", "*voice", timespans=compress(spans))


def free_units(seconds: int, uuid: str = "bundle", left: int = 0) -> CallCost:
    interval = RateInterval(None, Rating(slots=(Slot(0, 0.0, S, S),)), 0.0)
    unit = UnitInfo(uuid, "MIN", left, "47", S * 100_000, 1.0, "call", "*voice")
    span = Timespan(
        at("2025-03-04T10:00:00Z"), at("2025-03-04T10:00:00Z").plus(seconds * S), 0, 0, interval,
        [Increment(S, 0, seconds, BalanceInfo(unit, None, "cgrates.org:1001"))], None, uuid, "47", "NO", "*none",
    )  # fmt: skip
    return CallCost("call", "cgrates.org", "1001", "1001", "47", "*voice", timespans=[span])


def joined(*pieces: CallCost) -> EventCost:
    cost: EventCost | None = None
    for piece in pieces:
        cost = join_call_cost(cost, piece, "cgrid", "*default")
    assert cost is not None
    return cost


def shape(cost: EventCost) -> list[tuple[list[tuple[int, float, int]], int]]:
    """Charges as ([(usage in s, cost, count)], repetitions)."""
    return [
        ([(i.usage_ns // S, money(i.cost_nano), i.compress_factor) for i in c.increments], c.compress_factor)
        for c in cost.charges
    ]


def test_sums_follow_the_charges() -> None:
    cost = event_cost_of(paid(60, fee=0.1), "c", "r")
    assert (usage_ns(cost), money(cost_nano(cost)), cost.cgrid, cost.run_id) == (60 * S, 0.7, "c", "r")
    assert cost.start_time == at("2025-03-04T10:00:00Z")


def test_money_finer_than_five_decimals_is_rounded_per_charge() -> None:
    cost = event_cost_of(paid(1, fee=0.1234567))
    assert money(cost_nano(cost)) == 0.13346


def test_prices_of_more_decimals_keep_them() -> None:
    world = World().destination("NO", "47").plan("RP", ("NO", ANY_TIME, per_minute(0.02), 10.0))
    world.profile("*any", (LONG_AGO, "RP", "")).config["general"] = {"rounding_decimals": 7}
    cost = event_cost_of(paid(7, fee=0.123456789, generation=world.generation()))
    assert money(cost_nano(cost)) == 0.1257899  # 7 x 0.0003333 + 0.123456789


def test_equal_contents_share_a_key() -> None:
    cost = joined(paid(10), paid(5), free_units(3), paid(5))
    assert len(cost.rating) == 2
    assert len(cost.accounting) == 2
    assert {len(key) for key in (*cost.rating, *cost.accounting, *cost.rates, *cost.timings)} == {7}


@pytest.mark.parametrize(
    ("pieces", "charges"),
    [
        # rule 1: equal pieces are counted
        ([paid(10), paid(10), paid(10)], [([(1, 0.01, 10)], 3)]),
        # rule 2: the last increment grows
        ([paid(10, fee=0.1), paid(5)], [([(0, 0.1, 1), (1, 0.01, 15)], 1)]),
        ([paid(10), paid(10), paid(5), paid(3)], [([(1, 0.01, 10)], 2), ([(1, 0.01, 8)], 1)]),
        # rule 3: other payers and ratings stay apart
        ([paid(10), paid(10, balance="other")], [([(1, 0.01, 10)], 1), ([(1, 0.01, 10)], 1)]),
        ([free_units(10), paid(5)], [([(1, 0, 10)], 1), ([(1, 0.01, 5)], 1)]),
    ],
)
def test_joining(pieces: list[CallCost], charges: Any) -> None:
    direct = joined(*pieces)
    assert shape(direct) == charges
    stepwise = event_cost_of(pieces[0], "cgrid", "*default")
    for piece in pieces[1:]:
        stepwise = join(stepwise, event_cost_of(piece))
    assert stepwise == direct


def test_joining_changes_neither_side() -> None:
    first, piece = event_cost_of(paid(10)), event_cost_of(paid(5))
    before = msgspec.msgpack.encode((first, piece))
    join(first, piece)
    cut(join(first, piece), 3 * S, "*voice")
    assert msgspec.msgpack.encode((first, piece)) == before


def test_a_piece_over_midnight_counts_both_halves() -> None:
    halves = paid(10, start="2025-03-04T23:59:55Z")
    assert shape(joined(halves)) == [([(1, 0.01, 5)], 2)]
    assert shape(joined(paid(5), halves)) == [([(1, 0.01, 5)], 3)]
    grown = joined(paid(7), halves)
    assert (usage_ns(grown), money(cost_nano(grown))) == (17 * S, 0.17)


@pytest.mark.parametrize(
    ("pieces", "used", "charges", "given_back"),
    [
        ([paid(10), paid(10)], 15 * S, [([(1, 0.01, 10)], 1), ([(1, 0.01, 5)], 1)], 0.05),
        ([paid(10), paid(10), paid(10)], 20 * S, [([(1, 0.01, 10)], 2)], 0.1),
        ([paid(10, fee=0.1)], 1, [([(0, 0.1, 1), (1, 0.01, 1)], 1)], 0.09),  # the increment that has begun stays
        ([paid(10, fee=0.1)], 0, [], 0.2),
        ([free_units(10), paid(10)], 10 * S, [([(1, 0, 10)], 1)], 0.1),
        ([free_units(10), paid(10)], 4 * S + 1, [([(1, 0, 5)], 1)], 0.1),
        ([paid(10)], 10 * S, [([(1, 0.01, 10)], 1)], 0),
        ([paid(10)], 11 * S, [([(1, 0.01, 10)], 1)], 0),
    ],
)
def test_cutting(pieces: list[CallCost], used: int, charges: Any, given_back: float) -> None:
    cost = joined(*pieces)
    kept, off = cut(cost, used, "*voice")
    assert shape(kept) == charges
    assert money(sum(i.cost_nano * i.compress_factor for i in off)) == given_back
    assert cost_nano(kept) + round(given_back * S) == cost_nano(cost)
    if not charges:
        assert kept.start_time == ZERO


def test_cut_off_increments_name_who_paid() -> None:
    _, (units, money_part) = cut(joined(free_units(10), paid(10)), 5 * S, "*voice")
    assert units.balance_info is not None and units.balance_info.unit is not None
    assert (units.balance_info.unit.uuid, units.balance_info.unit.factor, units.balance_info.unit.tor) == ("bundle", 1.0, "*voice")  # fmt: skip
    assert (units.duration_ns, units.compress_factor) == (S, 5)
    assert money_part.balance_info is not None and money_part.balance_info.monetary is not None
    assert money_part.balance_info.monetary.uuid == "money"
    assert money_part.balance_info.account_id == "cgrates.org:1001"


def test_what_a_cut_leaves_unused_goes_from_the_tables() -> None:
    kept, _ = cut(joined(free_units(10), paid(10)), 5 * S, "*voice")
    assert [len(t) for t in (kept.rating, kept.accounting, kept.rates, kept.rating_filters, kept.timings)] == [
        1, 1, 1, 1, 0,
    ]  # fmt: skip


def rounded(decimals: int, method: str, *seconds: int, fee: float = 0.0) -> EventCost:
    rating = per_minute(0.606, rounding_decimals=decimals, rounding_method=method)
    return joined(*(paid(s, fee=fee if s == seconds[0] else 0.0, generation=one_rate(rating)) for s in seconds))


@pytest.mark.parametrize(
    ("decimals", "method", "seconds", "fee", "difference", "total"),
    [
        (2, "*up", (11,), 0.5, 0.0089, 0.62),  # 30.4.5 C
        (2, "*down", (11,), 0.5, -0.0011, 0.61),
        (0, "*up", (7,), 0.0, 0.9293, 1),  # decimals 0: whole money
        (4, "*up", (7,), 0.0, 0, 0.0707),
        (2, "*up", (7, 7), 0.0, 0.0086, 0.15),  # two repetitions: rounded together, booked once
        (2, "", (7,), 0.0, 0, 0.0707),
        (
            6,
            "*down",
            (7,),
            0.05906,
            0,
            0.12976,
        ),  # doubles cut it to 0.129759: a decimal that prices and balances have not
    ],
)
def test_rounding(
    decimals: int, method: str, seconds: tuple[int, ...], fee: float, difference: float, total: float
) -> None:
    cost, debits = add_rounding(rounded(decimals, method, *seconds, fee=fee))
    assert money(sum(i.cost_nano for i in debits)) == difference
    assert money(cost_nano(cost)) == total
    if debits:
        last = cost.charges[-1].increments[-1]
        entry = cost.accounting[last.accounting_id]
        assert (entry.rating_id, entry.units, entry.balance_uuid) == ("*rounding", debits[0].cost_nano, "money")


def test_free_units_are_not_rounded() -> None:
    cost = joined(free_units(10))
    assert add_rounding(cost) == (cost, [])


def test_pauses() -> None:
    cost = joined(paid(10))
    for length in (5, 5, 7):
        cost = join(cost, pause("cgrid", "*default", at("2025-03-04T10:00:10Z"), length * S, "1001"))
    assert shape(cost) == [([(1, 0.01, 10)], 1), ([(5, 0, 1)], 2), ([(7, 0, 1)], 1)]
    assert cost.rating["*pause"].rates_id == "*pause"
    assert cost.accounting["*pause"].account_id == "1001"
    assert cost.timings[cost.rating["*pause"].timing_id].start_time == "00:00:00"
    kept, off = cut(cost, 12 * S, "*voice")
    assert usage_ns(kept) == 15 * S  # the free increment that has begun stays whole
    assert sum(i.cost_nano for i in off) == 0


def balance(uuid: str, initial: int, value: int) -> BalanceSummary:
    return BalanceSummary(uuid, uuid.upper(), "*monetary", initial, value)


def test_account_summary_keeps_the_first_values_and_vanished_balances() -> None:
    first = AccountSummary("t", "1001", [balance("a", 10, 8), balance("b", 3, 0)])
    last = AccountSummary("t", "1001", [balance("a", 8, 6), balance("c", 1, 1)], disabled=True)
    merged = merged_summary(first, last)
    assert merged is not None and merged.disabled
    assert [(b.uuid, b.initial, b.value) for b in merged.balances] == [("a", 10, 6), ("c", 1, 1), ("b", 0, 0)]
    assert merged_summary(None, last) is last
    assert merged_summary(first, None) is first


def test_units_that_also_cost_money() -> None:
    piece = paid(10)
    assert piece.timespans is not None
    increment = piece.timespans[0].increments[0]
    assert increment.balance_info is not None
    increment.balance_info.unit = UnitInfo("flat", "FLAT", 0, "47", S * 100_000, 2.0, rate_interval=piece.timespans[0].rate_interval)  # fmt: skip
    cost = event_cost_of(piece)
    entry = cost.accounting[cost.charges[0].increments[0].accounting_id]
    assert (entry.balance_uuid, entry.monetary, entry.balance_factor) == ("flat", False, 2.0)
    assert entry.rating_id == cost.charges[0].rating_id
    extra = cost.accounting[entry.extra_charge_id]
    assert (extra.balance_uuid, extra.units, extra.monetary) == ("money", 10_000_000, True)
    (back,) = increments_of(cost, "*voice")
    assert back.balance_info is not None and back.balance_info.unit is not None
    assert back.balance_info.monetary is not None


# --- JSON ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "cost",
    [
        EventCost(),
        joined(paid(10, fee=0.1234567), free_units(7), paid(5, balance="b")),
        add_rounding(rounded(2, "*up", 7, 7, fee=0.5))[0],
        join(joined(paid(1)), pause("c", "r", ZERO, 5 * S, "1001")),
        event_cost_of(call_cost(RATE, call(60)), "c", "r"),
        event_cost_of(call_cost(RATE, call(0))),
        EventCost("c", "r", flat=FlatCost(60 * S, 500_000_000)),
    ],
)
def test_event_cost_comes_back_from_its_json(cost: EventCost) -> None:
    cost.account_summary = AccountSummary(
        "t", "1001", [BalanceSummary("u", "MIN", "*voice", 5, 3, 10.0, False, {"f": 2.5})]
    )
    sent = msgspec.json.decode(msgspec.json.encode(event_cost_json(cost)))
    assert event_cost_from_json(sent) == cost


def test_other_spellings_and_unknown_members_are_accepted() -> None:
    read = event_cost_from_json(
        {"cgrid": "c", "Charges": [{"ratingid": "r", "Increments": [{"Usage": 5}]}], "Extra": 1}
    )
    assert (read.cgrid, read.charges[0].rating_id, read.charges[0].increments[0].usage_ns) == ("c", "r", 5)


def test_a_cost_without_charges_is_what_its_sender_says() -> None:
    flat = event_cost_from_json({"Usage": 60 * S, "Cost": 0.5})
    assert (usage_ns(flat), cost_nano(flat)) == (60 * S, 500_000_000)
    made_of_charges = {**event_cost_json(joined(paid(10))), "Usage": 5, "Cost": 7}
    assert usage_ns(event_cost_from_json(made_of_charges)) == 10 * S


def test_wrong_types_are_errors() -> None:
    with pytest.raises(ApiError, match="json: cannot unmarshal string into Go struct field"):
        event_cost_from_json({"Charges": [{"CompressFactor": "2"}]})


def test_call_cost_json_has_whole_numbers_as_integers() -> None:
    answer = call_cost_json(call_cost(one_rate(per_minute(60, fee=1.0)), call(1)))
    assert (answer["Cost"], type(answer["Cost"])) == (2, int)
    (span,) = answer["Timespans"]
    assert span["Increments"][0] == {
        "Duration": 0, "Cost": 1, "CompressFactor": 1, "BalanceInfo": {"Unit": None, "Monetary": None, "AccountID": ""},
    }  # fmt: skip
    assert span["RateInterval"]["Timing"]["ID"] == "*any"
    assert list(span["RateInterval"]["Rating"]["Rates"][0]) == [
        "GroupIntervalStart",
        "Value",
        "RateIncrement",
        "RateUnit",
    ]


def test_the_rounding_of_a_span_that_stands_for_several_is_booked_once() -> None:
    """Two equal spans that cost 0.21006 were rounded up to 1 together (20 §3.8): the details cost 1, and refunds give 1 back."""
    cost = paid(20)
    span = (cost.timespans or [])[0]
    span.increments = [Increment(10 * S, 105_030_000, 1, span.increments[0].balance_info)]
    span.compress_factor = 2
    span.round_increment = Increment(0, 789_940_000, 1, span.increments[0].balance_info)
    details = event_cost_of(cost)
    assert (cost_nano(details), usage_ns(details)) == (S, 20 * S)
    assert sum(i.cost_nano * i.compress_factor for i in increments_of(details, "*voice")) == S
