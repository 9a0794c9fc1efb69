"""The debit arithmetic of a session's runs (spec 30.4.2, 30.4.3), with the worked examples of 30.4.5 word for word."""

from __future__ import annotations

import pytest

from cgr_cluster.rating.event_cost import cost_nano, usage_ns
from cgr_cluster.rpc.errors import ApiError
from cgr_cluster.sessions import charging
from cgr_cluster.sessions.charging import smallest
from cgr_cluster.sessions.types import Run, Session, TimeToLive, Usage
from tests.unit.sessions_account import FIXED, MOBILE, ROUNDED, Account, Tariff, session_of

S = 10**9
MONEY = 10**9


def update(account: Account, session: Session, asked: float, last_used: float | None = None, **more: float) -> float:
    total = more.get("total")
    usage = Usage(
        round(asked * S),
        None if last_used is None else round(last_used * S),
        None if total is None else round(total * S),
    )
    return smallest(account.drive(charging.update(session, usage))) / S


def end(account: Account, session: Session, total: float | None = None, last_used: float | None = None) -> None:
    failure = account.drive(
        charging.end(
            session,
            None if total is None else round(total * S),
            None if last_used is None else round(last_used * S),
            None,
        )
    )
    assert failure is None


def state(run: Run) -> tuple[float, float, float]:
    return run.last_ns / S, run.total_ns / S, run.extra_ns / S


def test_example_a_corrections_and_reserve() -> None:
    account, session = Account(FIXED, 10 * MONEY), session_of("*prepaid")
    run = session.runs[0]
    steps = [
        ((60, None), 60, 9.40, (60, 60, 0)),
        ((60, 40), 60, 9.00, (60, 100, 0)),
        ((60, 60), 60, 8.40, (60, 160, 0)),
        ((10, 10), 10, 8.40, (10, 120, 40)),
        ((30, 25), 30, 8.35, (30, 165, 0)),
    ]
    for (asked, last_used), granted, balance, expected in steps:
        assert update(account, session, asked, last_used) == granted
        assert account.money == balance
        assert state(run) == expected
    end(account, session, last_used=5)
    assert account.money == 8.60
    assert run.cost is not None
    assert (run.total_ns / S, cost_nano(run.cost) / MONEY) == (140, 1.4)


def test_example_b_increments_give_a_reserve() -> None:
    account, session = Account(MOBILE, 10 * MONEY), session_of("*prepaid")
    run = session.runs[0]
    assert update(account, session, 20) == 20
    assert (account.money, run.extra_ns) == (9.20, 10 * S)
    assert update(account, session, 5) == 5
    assert account.money == 9.20
    assert update(account, session, 20) == 20
    assert (account.money, run.extra_ns) == (8.60, 15 * S)
    assert update(account, session, 40, 20) == 40
    assert account.money == 8.30
    end(account, session, 70)
    assert account.money == 8.50
    assert run.cost is not None and cost_nano(run.cost) == round(1.5 * MONEY)


def test_example_c_rounding_at_the_end() -> None:
    account, session = Account(ROUNDED, 10 * MONEY), session_of("*prepaid")
    update(account, session, 7)
    assert account.money == 9.4293
    update(account, session, 4, 7)
    assert account.money == 9.3889
    end(account, session, 11)
    assert account.money == 9.38
    cost = session.runs[0].cost
    assert cost is not None and cost_nano(cost) == round(0.62 * MONEY)
    last = cost.charges[-1].increments[-1]
    assert (last.usage_ns, last.cost_nano) == (0, 8_900_000)
    assert cost.accounting[last.accounting_id].rating_id == "*rounding"


def test_example_d_money_runs_out() -> None:
    account, session = Account(FIXED, MONEY // 2), session_of("*prepaid")
    assert update(account, session, 30) == 30
    assert update(account, session, 30, 30) == 20
    assert update(account, session, 30, 20) == 0
    end(account, session, 50)
    cost = session.runs[0].cost
    assert cost is not None and (cost_nano(cost), account.money) == (MONEY // 2, 0)


@pytest.mark.parametrize(
    ("total", "last_used", "paid"),
    [(20, None, 0.2), (100, None, 1.0), (None, 35, 0.35), (None, None, 0.6), (0, None, 0), (80, 10, 0.8)],
)
def test_example_e_terminate_variants(total: float | None, last_used: float | None, paid: float) -> None:
    account, session = Account(FIXED, 10 * MONEY), session_of("*prepaid")
    update(account, session, 60)
    end(account, session, total, last_used)
    assert account.money == 10 - paid
    assert session.runs[0].event["Usage"] == session.runs[0].total_ns


def test_a_pause_is_free_and_stays_in_the_cost_details() -> None:
    account, session = Account(FIXED, 10 * MONEY), session_of("*prepaid")
    update(account, session, 30)
    session.chargeable = False
    assert update(account, session, 60) == 60
    assert account.money == 9.7
    session.chargeable = True
    update(account, session, 20)
    assert account.money == 9.5
    end(account, session, 110)
    cost = session.runs[0].cost
    assert cost is not None
    assert (usage_ns(cost), cost_nano(cost)) == (110 * S, MONEY // 2)
    assert [charge.rating_id for charge in cost.charges].count("*pause") == 1


def test_a_total_below_what_is_charged_becomes_reserve() -> None:
    account, session = Account(FIXED, 10 * MONEY), session_of("*prepaid")
    update(account, session, 90)
    assert update(account, session, 0, total=70) == 0
    assert state(session.runs[0]) == (0, 70, 20)
    assert update(account, session, 0, total=80) == 10
    assert account.money == 9.1
    end(account, session)
    assert account.money == 9.2


def test_total_usage_replaces_usage_and_last_used() -> None:
    account, session = Account(FIXED, 10 * MONEY), session_of("*none", "*prepaid")
    assert update(account, session, 1, total=30) == 30
    assert update(account, session, 1, 7, total=50) == 20
    assert account.money == 9.5


def test_a_refused_debit_gives_the_reserve_back_and_is_rated_from_the_last_end() -> None:
    account, session = Account(FIXED, 10 * MONEY), session_of("*prepaid")
    run = session.runs[0]
    update(account, session, 30)
    account.refusal = "ACCOUNT_DISABLED"
    with pytest.raises(ApiError):
        update(account, session, 30, 20)
    assert state(run) == (20, 20, 10)
    assert (run.shown_index_ns, run.rated_index_ns) == (50 * S, 30 * S)
    account.refusal = ""
    update(account, session, 40)
    assert account.descriptors[-1].time_start.ns == account.descriptors[0].time_end.ns
    assert account.descriptors[-1].duration_index_ns == 60 * S


def test_a_negative_reserve_is_debited_with_the_next_grant() -> None:
    account, session = Account(FIXED, 0), session_of("*prepaid")
    assert update(account, session, 5, 5) == -5
    account = Account(FIXED, 10 * MONEY)
    session = session_of("*prepaid")
    assert update(account, session, 5, 5) == 5
    assert account.money == 9.9


def test_usage_zero_touches_no_account() -> None:
    account, session = Account(FIXED, 0), session_of("*prepaid")
    account.refusal = "ACCOUNT_NOT_FOUND"
    assert update(account, session, 0) == 0
    assert session.runs[0].loop_index == 0


@pytest.mark.parametrize(
    ("granted", "expected"), [([], 0), ([30, 20], 20), ([-1, 20], 20), ([-1, -1], -1), ([-5, 20], -5)]
)
def test_the_smallest_grant_wins_and_unlimited_only_when_all_say_so(granted: list[int], expected: int) -> None:
    assert smallest(granted) == expected


def test_a_message_is_charged_the_smallest_grant_and_failure_gives_all_back() -> None:
    account, session = Account(FIXED, MONEY // 10), session_of("*prepaid", "*rated")
    granted, refusal = account.drive(charging.message(session, Usage(20 * S), False))
    assert (granted, refusal) == ([10 * S, 20 * S], None)
    assert [run.total_ns for run in session.runs] == [10 * S, 10 * S]
    account, session = Account(FIXED, MONEY), session_of("*prepaid", "*prepaid")
    account.refuse_run = 1
    granted, refusal = account.drive(charging.message(session, Usage(20 * S), False))
    assert refusal is not None and account.money == 1
    assert session.runs[0].total_ns == 0


def test_a_message_is_an_update_pass_that_reads_all_usages() -> None:
    account, session = Account(FIXED, MONEY), session_of("*prepaid")
    granted, refusal = account.drive(charging.message(session, Usage(20 * S, None, 5 * S), False))
    assert (granted, refusal, account.money) == ([5 * S], None, 0.95)
    account, session = Account(FIXED, MONEY), session_of("*prepaid")
    granted, refusal = account.drive(charging.message(session, Usage(0, error='time: invalid duration "x"'), False))
    assert (granted, str(refusal), account.money) == ([], 'time: invalid duration "x"', 1)
    assert session.runs[0].event["Usage"] == 0


@pytest.mark.parametrize("asked", [0, -5 * S])
def test_who_asks_for_nothing_or_less_is_refused_by_the_account_only(asked: int) -> None:
    account, session = Account(FIXED, MONEY), session_of("*prepaid", "*pseudoprepaid")
    assert account.drive(charging.authorize(session, asked)) == [asked, asked]
    assert {d.time_end.ns - d.time_start.ns for d in account.descriptors} == {0}, "no rates are asked for"
    account.refusal = "ACCOUNT_NOT_FOUND"
    with pytest.raises(ApiError, match="ACCOUNT_NOT_FOUND"):
        account.drive(charging.authorize(session, asked))


def test_ttl_applies_the_last_used_correction_twice() -> None:
    account, session = Account(FIXED, 10 * MONEY), session_of("*prepaid")
    update(account, session, 30)
    account.drive(charging.expire(session, TimeToLive(0, S, 5 * S, 10 * S, None)))
    assert session.runs[0].total_ns == 20 * S
    assert account.money == 9.8


def test_extra_usage_of_a_forced_end_is_debited_on_runs_that_debit_only() -> None:
    account, session = Account(FIXED, 10 * MONEY), session_of("*rated", "*prepaid")
    update(account, session, 30)
    account.drive(charging.end_after(session, S, None, None))
    assert [run.total_ns for run in session.runs] == [0, 31 * S]
    assert account.money == 9.69


def test_an_account_that_may_go_negative_answers_unlimited_to_pseudoprepaid() -> None:
    account, session = Account(FIXED, 0, negative=True), session_of("*pseudoprepaid")
    assert account.drive(charging.update(session, Usage(10 * S))) == [-1]


def test_tariffs_of_these_tests_price_as_written() -> None:
    assert Tariff(((0, 20_000_000, 2 * S),)).increments(0, 3 * S) == [(2 * S, 20_000_000, 2)]
