"""However a call is cut into updates, what it has cost in the end is its price, and the account has paid exactly that
(spec 30.4; design 9, invariants 7 and 9)."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from cgr_cluster.rating.event_cost import cost_nano, usage_ns
from cgr_cluster.rpc.errors import ApiError
from cgr_cluster.sessions import charging
from cgr_cluster.sessions.types import Usage
from tests.unit.sessions_account import FIXED, MOBILE, Account, Tariff, session_of

S = 10**9
tariffs = st.sampled_from(
    [FIXED, MOBILE, Tariff(((0, 7_000_000, 6 * S), (36 * S, 1_230_000, 4 * S)), 50_000_000, "*up", 5)]
)
updates = st.lists(st.tuples(st.integers(0, 90), st.one_of(st.none(), st.integers(0, 60))), min_size=1, max_size=8)


def price(tariff: Tariff, usage: int) -> int:
    """What a call of `usage` costs in one piece."""
    return tariff.fee_nano + sum(p * count for _, p, count in tariff.increments(0, usage))


@settings(max_examples=150, deadline=None)
@given(tariffs, updates, st.integers(0, 300))
def test_any_split_of_a_call_costs_the_same(tariff: Tariff, steps: list[tuple[int, int | None]], total: int) -> None:
    account, session = Account(tariff, 1000 * S), session_of("*prepaid")
    run = session.runs[0]
    for asked, last_used in steps:
        used = None if last_used is None else min(last_used * S, run.last_ns)
        granted = account.drive(charging.update(session, Usage(asked * S, used)))
        assert granted == [asked * S]
        if run.cost is not None:
            assert account.nano == 1000 * S - cost_nano(run.cost)
            assert usage_ns(run.cost) == run.total_ns + run.extra_ns
    charged = run.cost is not None
    account.drive(charging.end(session, total * S, None, None))
    paid = 1000 * S - account.nano
    if not charged:
        assert paid == 0
        return
    assert run.cost is not None
    assert paid == cost_nano(run.cost)
    assert paid == (price(tariff, total * S) if total else 0)
    assert run.total_ns == total * S


@settings(max_examples=100, deadline=None)
@given(tariffs, updates, st.integers(0, 3 * S), st.lists(st.booleans(), min_size=8, max_size=8))
def test_money_is_never_taken_without_being_in_the_cost(
    tariff: Tariff, steps: list[tuple[int, int | None]], money: int, refusals: list[bool]
) -> None:
    account, session = Account(tariff, money), session_of("*prepaid", "*none")
    run = session.runs[0]
    for (asked, last_used), refused in zip(steps, refusals, strict=False):
        account.refusal = "ACCOUNT_DISABLED" if refused else ""
        try:
            account.drive(charging.update(session, Usage(asked * S, None if last_used is None else last_used * S)))
        except ApiError:
            pass
        held = 0 if run.cost is None else cost_nano(run.cost)
        assert account.nano == money - held
        assert account.nano >= 0
    account.refusal = ""
    account.drive(charging.end(session, None, None, None))
    assert account.nano == money - (0 if run.cost is None else cost_nano(run.cost))
