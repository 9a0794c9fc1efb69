"""What one balance pays in full is debited without the search for payers, and the answer is the same (spec 20 §3.2)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from cgr_cluster.accounts import debit as debits
from cgr_cluster.accounts.types import Balance
from cgr_cluster.events.instant import NS, ZERO
from cgr_cluster.rating.types import CallDescriptor
from cgr_cluster.rpc.errors import ApiError
from tests.unit.accounts_world import FIXED, GERMANY, MOBILE, NOW, PREMIUM, Bank, call, money, voice, worked_example

TARIFF = worked_example().generation()

plain = st.builds(
    lambda whole, part, until: money(whole + part / 10_000_000, "PLAIN", expiration_date=until),
    st.sampled_from([0, 1, 2, 50]),
    st.sampled_from([0, 5_000_000, 1_234_500, 1_234_567]),
    st.sampled_from([ZERO, ZERO, ZERO, NOW.plus(3_600 * NS)]),
)
balances = st.one_of(
    plain,
    st.builds(
        lambda value, **fields: money(value / 10_000_000, **fields),
        st.integers(0, 30_000_000),
        id=st.sampled_from(["A", "*default"]),
        weight=st.sampled_from([0.0, 10.0]),
        rating_subject=st.sampled_from(["", "", "", "FLAT", "*any"]),
        destination_ids=st.sampled_from([{}, {}, {"MOBILE_HOME": True}]),
        expiration_date=st.sampled_from([NOW.plus(3_600 * NS)] * 3 + [NOW.plus(-NS)]),
        blocker=st.sampled_from([False, False, False, True]),
    ),
    st.builds(
        lambda kind, value, **fields: (kind, voice(value, **fields)[1]),
        st.sampled_from(["*voice", "*generic"]),
        st.integers(0, 20),
        destination_ids=st.sampled_from([{}, {"MOBILE_HOME": True}]),
        weight=st.sampled_from([0.0, 20.0]),
    ),
)
idle = st.builds(  # units that mostly cannot pay, each for another reason
    lambda kind, value, **fields: (kind, voice(value, **fields)[1]),
    st.sampled_from(["*voice", "*voice", "*generic", "*data"]),
    st.sampled_from([0, 0, -5, 20]),
    destination_ids=st.sampled_from([{}, {"MOBILE_HOME": True}]),
    categories=st.sampled_from([{}, {"data": True}]),
    disabled=st.booleans(),
    blocker=st.sampled_from([False, False, False, True]),
    expiration_date=st.sampled_from([ZERO, ZERO, NOW.plus(3_600 * NS)]),
    rating_subject=st.sampled_from(["", "*zero1s"]),
)
calls = st.builds(
    call,
    st.integers(0, 400),
    st.sampled_from([MOBILE, FIXED, GERMANY, PREMIUM]),
    start=st.sampled_from([NOW, NOW, NOW.plus(7_200 * NS)]),  # the last one: what is valid now has expired
    loop_index=st.sampled_from([0, 0, 1]),
    duration_index_ns=st.sampled_from([0, 100 * NS]),
    subject=st.sampled_from(["1001", "1001", "ROUND", "FREE", "CAPPED_FREE", "CAPPED_CUT"]),
    perform_rounding=st.booleans(),
    force_duration=st.booleans(),
    max_rate=st.sampled_from([0.0, 0.0, 0.1]),
    max_rate_unit_ns=st.sampled_from([0, 0, 60 * NS]),
)


def _outcome(work: Any, held: list[tuple[str, Balance]], negative: bool, descriptor: CallDescriptor) -> Any:
    bank = Bank(TARIFF)
    bank.account("1001", *[(kind, balance.copy()) for kind, balance in held], allow_negative=negative)
    setting = replace(bank.setting, new_uuid=lambda: "made")
    try:
        return work(setting, bank.stored["cgrates.org:1001"], descriptor.copy())
    except ApiError as error:
        return error.text


@pytest.mark.parametrize("work", [debits.debit, debits.max_debit, debits.max_session_time])
@settings(max_examples=300)
@given(
    held=st.one_of(
        st.lists(plain, min_size=1, max_size=2),
        st.tuples(plain, idle).map(list),
        st.tuples(plain, st.one_of(idle, balances)).map(list),
        st.lists(balances, max_size=3),
    ),
    negative=st.booleans(),
    descriptor=calls,
)
def test_the_short_way_and_the_search_agree(
    work: Any, held: list[tuple[str, Balance]], negative: bool, descriptor: CallDescriptor
) -> None:
    short = _outcome(work, held, negative, descriptor)
    with pytest.MonkeyPatch.context() as patch:
        paid = debits.payment_of
        taken: list[bool] = []
        patch.setattr(debits, "payment_of", lambda *args: taken.append(paid(*args) is not None))
        searched = _outcome(work, held, negative, descriptor)
    event("short" if any(taken) else "search")
    assert short == searched


@pytest.mark.parametrize("work", [debits.debit, debits.max_debit, debits.max_session_time])
@pytest.mark.parametrize(
    "units",
    [
        voice(0),
        voice(-3),
        voice(20, disabled=True),
        voice(20, categories={"data": True}),
        voice(20, destination_ids={"NOWHERE": True}),
        voice(20, expiration_date=NOW.plus(3_600 * NS)),  # over when the call begins
    ],
)
def test_units_that_cannot_pay_leave_the_short_way_open(work: Any, units: tuple[str, Balance]) -> None:
    held = [money(50, "PLAIN"), units]
    descriptor = call(60, MOBILE, start=NOW.plus(7_200 * NS))
    found: list[bool] = []
    with pytest.MonkeyPatch.context() as patch:
        paid = debits.payment_of

        def noted(*args: Any) -> Any:
            payment = paid(*args)
            found.append(payment is not None)
            return payment

        patch.setattr(debits, "payment_of", noted)
        short = _outcome(work, held, False, descriptor)
        patch.setattr(debits, "payment_of", lambda *args: None)
        assert short == _outcome(work, held, False, descriptor)
    assert found == [True]
