"""The binding that `sole_binding` names prices a call exactly as the cutter would (spec 10 §4)."""

from __future__ import annotations

from hypothesis import event, given, settings
from hypothesis import strategies as st

from cgr_cluster.events.instant import NS, Instant
from cgr_cluster.rating.compiled import CompiledBinding, Rates
from cgr_cluster.rating.spans import Cutter, pieces_of_single, same_day, sole_binding, stops_of
from cgr_cluster.rating.types import Rating, Slot, Timing

MONDAY_S = 1_740_960_000

starts = st.sampled_from(["", "00:00:00", "06:30:00", "08:00:00", "20:00:00", "23:59:59"])
week_days = st.sampled_from([(), (1, 2, 3, 4, 5), (6, 0), (1,)])
slots = st.sampled_from(
    [
        (Slot(0, 0.1, NS, 60 * NS),),
        (Slot(0, 0.2, 60 * NS, 60 * NS), Slot(60 * NS, 0.1, NS, 60 * NS)),
        (Slot(0, 0.2, NS, 60 * NS), Slot(30 * NS, 0.1, NS, 60 * NS), Slot(90 * NS, 0.3, 10 * NS, 60 * NS)),
    ]
)
bindings = st.builds(
    lambda start, days, rates, weight: CompiledBinding(
        Timing("t", week_days=days, start_time=start), Rating(slots=rates), weight
    ),
    starts,
    week_days,
    slots,
    st.sampled_from([10.0, 20.0]),
)


@settings(max_examples=500)
@given(
    held=st.lists(bindings, min_size=1, max_size=5),
    second=st.one_of(
        st.integers(0, 7 * 86_400), st.sampled_from([0, 23_400, 28_799, 28_800, 71_999, 72_000, 86_399, 86_400])
    ),
    length_s=st.one_of(st.integers(0, 200), st.integers(0, 40_000)),
    before_s=st.sampled_from([0, 0, 30, 59, 60, 3_600]),
    offset_s=st.sampled_from([0, 0, 3_600, -18_000]),
    voice=st.booleans(),
)
def test_the_sole_binding_is_what_the_cutter_finds(
    held: list[CompiledBinding], second: int, length_s: int, before_s: int, offset_s: int, voice: bool
) -> None:
    start = Instant(MONDAY_S + second, 0, offset_s)
    end = start.plus(length_s * NS)
    rates = Rates(tuple(held))
    found = sole_binding(rates, start, end, length_s * NS)
    event("sole" if found is not None else "cutter")
    if found is None:
        return
    stops = [end.ns] if not voice or same_day(start, end) else stops_of(start, end, ())
    if rates.single is not None:
        expected = pieces_of_single(rates.single, start.ns, stops, before_s * NS)
    else:
        expected = Cutter(rates.bindings, start, end, before_s * NS, voice).cut(start.ns, stops)
    assert pieces_of_single(found, start.ns, (end.ns,), before_s * NS) == expected
