"""The product's debits and refunds, which count increments, against the naive ones, which go through them one by one
(spec 20 §3.2-3.9): random accounts with every kind of balance, random requests."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from cgr_cluster.accounts.debit import Setting
from cgr_cluster.accounts.hooks import TriggerHook
from cgr_cluster.accounts.types import Account
from cgr_cluster.rating.types import CallDescriptor
from cgr_cluster.rpc.errors import ApiError
from tests.property import naive_requests as naive
from tests.property.account_cases import TARIFF, Cases, evaluator
from tests.property.naive_debit import Bank as NaiveBank
from tests.unit.accounts_world import NOW, Bank, returned

seeds = st.integers(0, 2**62)


class Hooks:
    """The triggers of one request's accounts, by one evaluator."""

    def __init__(self) -> None:
        self._evaluator = evaluator()

    def __call__(self, account: Account) -> TriggerHook:
        return self._evaluator.hook(account)


class Real(Bank):
    """The product's side. New balances are called "made"."""

    def __init__(self, cases: Cases) -> None:
        super().__init__(TARIFF)
        self.stored = dict(cases.accounts)
        self.members = cases.members()

    @property
    def setting(self) -> Setting:
        return Setting(TARIFF, NOW.ns, self.stored.get, self.members.__getitem__, lambda: "made", Hooks(), "seed")

    def answer(self, work: Any, asked: CallDescriptor) -> Any:
        """What a request answers, in the form of the naive one; an error's text."""
        try:
            cost = work(asked)
        except ApiError as error:
            return error.text
        return naive.Answer(
            cost.cost_nano,
            naive.shown_by_product(cost),
            cost.rated_usage_ns,
            cost.account_summary,
            sorted(self.changed),
        )


def naive_bank(accounts: dict[str, Account], cases: Cases) -> NaiveBank:
    return NaiveBank(accounts, TARIFF, cases.members(), NOW.ns, Hooks())


def expected(work: Any, *args: Any) -> Any:
    try:
        found = work(*args)
    except ApiError as error:
        return error.text
    found.changed.sort()
    for span in found.spans or ():
        del span["key"], span["first"]
    return found


@settings(deadline=None, max_examples=400)
@given(seeds)
def test_debits_are_the_naive_ones(seed: int) -> None:
    cases = Cases(seed)
    asked = cases.request()
    bank, real = naive_bank(cases.accounts, cases), Real(cases)
    wanted = expected(naive.debit, bank, asked)
    found = real.answer(real.debit, asked)
    kept = isinstance(wanted, str) or asked.dry_run
    if asked.dry_run and not isinstance(wanted, str):
        wanted.changed = []
    assert found == wanted
    assert real.stored == (cases.accounts if kept else bank.accounts)


@settings(deadline=None, max_examples=400)
@given(seeds)
def test_maximum_debits_are_the_naive_ones(seed: int) -> None:
    cases = Cases(seed)
    asked = cases.request()
    bank, real = naive_bank(cases.accounts, cases), Real(cases)
    wanted = expected(naive.max_debit, bank, naive_bank(cases.accounts, cases), asked)
    assert real.answer(real.max_debit, asked) == wanted
    assert real.stored == (cases.accounts if isinstance(wanted, str) else bank.accounts)


@settings(deadline=None, max_examples=200)
@given(seeds)
def test_maximum_times_are_the_naive_ones(seed: int) -> None:
    cases = Cases(seed)
    asked = cases.request()
    real = Real(cases)
    answers: list[int | str] = []
    for work in (lambda: naive.max_time(naive_bank(cases.accounts, cases), asked), lambda: real.max_time(asked)):
        try:
            answers.append(work())
        except ApiError as error:
            answers.append(error.text)
    assert answers[0] == answers[1]
    assert real.stored == cases.accounts


@settings(deadline=None, max_examples=200)
@given(seeds, st.booleans())
def test_refunds_are_the_naive_ones(seed: int, whole: bool) -> None:
    """Of what a debit has taken: all of it, or without its first increments."""
    cases = Cases(seed)
    asked = cases.request()
    real = Real(cases)
    try:
        back = returned(real.debit(asked), asked)
    except ApiError:
        return
    if not whole:
        del back.increments[:1]
    bank = naive_bank(real.stored, cases)
    real.refund(back)
    naive.refund(bank, back)
    assert real.stored == bank.accounts
