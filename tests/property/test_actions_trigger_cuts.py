"""Cutting a debit at the increment where a trigger executes gives what going increment by increment gives (20 §7.2)."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from cgr_cluster.accounts.amounts import MONETARY
from cgr_cluster.accounts.hooks import Consumption, Subject
from cgr_cluster.accounts.types import Account, Balance
from cgr_cluster.actions import counters
from cgr_cluster.actions.triggers import Changed, Evaluator, Watch
from cgr_cluster.actions.types import ActionTrigger, BalanceFilter
from cgr_cluster.events.amounts import GRAINS, NANO
from cgr_cluster.events.instant import Instant

NOW = Instant.of(1_800_000_000 * NANO)
SUBJECT = Subject("call", "+4930")


class NoDestinations:
    """Reference data without destinations."""

    def config(self, section: str) -> dict[str, Any]:
        return {}

    def derived(self, build: Any, *kinds: str) -> Any:
        return build(self)

    def destinations_of(self, prefix: str) -> tuple[str, ...]:
        return ("GERMANY",) if prefix == "+49" else ()


def evaluator(log: list[tuple[Any, ...]]) -> Evaluator:
    def run(account: Account, actions_id: str, changed: Changed) -> bool:
        main = account.balances[MONETARY][0]  # type: ignore[index]
        log.append((actions_id, main.value))
        if actions_id == "TOPUP":
            main.value += 3 * NANO
            changed.add(main)
        elif actions_id == "BONUS":
            made = Balance(f"bonus{len(log)}", "BONUS", 2 * GRAINS)
            account.balances.setdefault("*sms", []).append(made)  # type: ignore[union-attr]
            changed.add(made)
        elif actions_id == "OFF":
            account.disabled = True
        return actions_id != "BROKEN"

    return Evaluator(NoDestinations(), NOW, True, lambda actions_id: actions_id != "UNKNOWN", run)  # type: ignore[arg-type]


triggers = st.builds(
    ActionTrigger,
    id=st.just("GRP"),
    unique_id=st.sampled_from(("A", "B", "C", "D", "E")),
    threshold_type=st.sampled_from(
        (
            "*min_balance", "*max_balance", "*max_event_counter", "*min_event_counter", "*max_balance_counter",
            "*min_balance_counter", "*balance_expired",
        )
    ),
    threshold_nano=st.integers(-2, 30).map(lambda n: n * NANO),
    recurrent=st.booleans(),
    min_sleep_ns=st.sampled_from((0, 0, NANO)),
    weight=st.sampled_from((0.0, 10.0, 20.0)),
    balance=st.builds(
        BalanceFilter,
        id=st.sampled_from((None, "MAIN", "V")),
        type=st.sampled_from((MONETARY, "*voice", "*sms", "*event_connect")),
        destination_ids=st.sampled_from((None, {"GERMANY": True}, {"FRANCE": True})),
    ),
    actions_id=st.sampled_from(("TOPUP", "BONUS", "OFF", "UNKNOWN", "BROKEN")),
)  # fmt: skip


def fresh(held: list[ActionTrigger]) -> Account:
    account = Account(
        "cgrates.org:a",
        {
            MONETARY: [Balance("m", "MAIN", 20 * NANO), Balance("o", "OLD", NANO, Instant.of(NOW.ns - 1))],
            "*voice": [Balance("v", "V", 15 * GRAINS)],
        },
        triggers=list(held),
    )
    counters.rebuild(account)
    return account


def consumptions(account: Account, units: int, cost_nano: int) -> tuple[Consumption, ...]:
    assert account.balances is not None
    voice = account.balances["*voice"][0]
    money = account.balances[MONETARY][0]
    found = []
    if units:
        found.append(Consumption("*voice", units, voice, "*voice", units))
    if cost_nano:
        found.append(Consumption(MONETARY, cost_nano, money, MONETARY, cost_nano))
    return tuple(found)


def debit(account: Account, watch: Watch, units: int, cost_nano: int, count: int, by_one: bool) -> None:
    """Take `count` increments, in as few goes as the triggers allow, or one by one."""
    consumed = consumptions(account, units, cost_nano)
    while count:
        some = 1 if by_one else watch.reach(consumed, count, SUBJECT)
        assert 1 <= some <= count
        for one in consumed:
            assert one.balance is not None
            one.balance.value -= one.change * some
        watch.taken(consumed, some, SUBJECT)
        count -= some


@settings(max_examples=300, deadline=None)
@given(
    st.lists(triggers, max_size=4, unique_by=lambda t: t.unique_id),
    st.sampled_from((0, 1, 3)),
    st.sampled_from((0, 1, 2, 5)),
    st.integers(1, 40),
)
def test_cuts_give_what_single_increments_give(held: list[ActionTrigger], units: int, cost: int, count: int) -> None:
    ends = []
    for by_one in (True, False):
        account, log = fresh(held), []
        watch = evaluator(log).hook(account)
        debit(account, watch, units * GRAINS, cost * NANO // 2, count, by_one)
        ends.append((account, log))
    assert ends[0] == ends[1]


def test_a_billion_increments_are_one_go_when_nothing_executes() -> None:
    account = fresh([ActionTrigger("G", "U", "*min_balance", -10 * NANO, balance=BalanceFilter(type=MONETARY))])
    account.balances = {MONETARY: [Balance("m", "MAIN", 20 * NANO)]}
    watch = evaluator([]).hook(account)
    money = account.balances[MONETARY][0]
    consumed = (Consumption(MONETARY, 1, money, MONETARY, 1),)
    assert watch.reach(consumed, 10**9, SUBJECT) == 10**9


def test_the_cut_is_where_the_condition_first_holds() -> None:
    low = ActionTrigger(
        "G", "U", "*min_balance", 5 * NANO, balance=BalanceFilter(type=MONETARY, id="MAIN"), actions_id="TOPUP"
    )
    account = fresh([low])
    watch = evaluator([]).hook(account)
    assert watch.reach(consumptions(account, 0, 2 * NANO), 100, SUBJECT) == 8  # 20 - 8 * 2 <= 5


def test_a_refund_cuts_upwards() -> None:
    high = ActionTrigger(
        "G", "U", "*max_balance", 30 * NANO, balance=BalanceFilter(type=MONETARY, id="MAIN"), actions_id="TOPUP"
    )
    account = fresh([high])
    watch = evaluator([]).hook(account)
    assert watch.reach(consumptions(account, 0, -3 * NANO), 100, SUBJECT) == 4  # 20 + 4 * 3 >= 30
