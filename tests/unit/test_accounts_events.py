"""Account events (spec 20 §3.10, 51 §4): which requests send them, for which accounts, and what they hold. Thresholds count
them: their filters see the event."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from cgr_cluster.node.node import Node
from tests.unit.test_accounts_responder import GERMANY, account, asked, call, cdr, money, node, values, voice

__all__ = ["node"]

_ids = itertools.count(1)


def hits(node: Node, *filters: str) -> Any:
    """Starts counting account events that pass the filters; answers a function that says how many came since."""
    threshold = f"THD_{next(_ids)}"
    rules = ["*string:~*opts.*eventType:AccountUpdate", *filters]
    assert call(node, "APIerSv1.SetThresholdProfile", ID=threshold, FilterIDs=rules, MaxHits=-1, Weight=10) == "OK"
    return lambda: call(node, "ThresholdSv1.GetThreshold", ID=threshold)["Hits"]


def of(name: str) -> str:
    return f"*string:~*req.AccountID:{name}"


def test_once_for_money_and_once_for_units(node: Node) -> None:
    name = account(node, voice(10), money(5))
    came = hits(node, of(name), "*string:~*req.Tenant:cgrates.org")
    call(node, "Responder.Debit", **asked(name, 5))
    assert came() == 1
    call(node, "Responder.MaxDebit", **asked(name, 60))
    assert came() == 3
    call(node, "Responder.DebitMonetary", **cdr(name, 0.1))
    assert came() == 4


def test_what_changes_no_useful_balance_sends_nothing(node: Node) -> None:
    poor, rich = account(node), account(node, money(5))
    came = hits(node, f"*string:~*req.AccountID:{poor}|{rich}")
    call(node, "Responder.Debit", **asked(poor))  # `*default` is made by it
    assert values(node, poor) == {"*default": -0.12}
    call(node, "Responder.Debit", **asked(rich, DryRun=True))
    call(node, "Responder.Debit", **asked(rich, Subject="ONNET_FREE"))
    call(node, "Responder.GetMaxSessionTime", **asked(rich))
    call(node, "Responder.MaxDebit", **asked(poor, 60, GERMANY))
    assert came() == 0


def test_a_debt_of_an_old_default_balance_sends_nothing(node: Node) -> None:
    """Below zero it is not useful."""
    name = account(node)
    call(node, "Responder.Debit", **asked(name))
    came = hits(node, of(name))
    call(node, "Responder.Debit", **asked(name))
    assert (values(node, name), came()) == ({"*default": -0.24}, 0)


def test_refunds_send_nothing(node: Node) -> None:
    name = account(node, voice(10), money(5))
    spans = call(node, "Responder.Debit", **asked(name))["Timespans"]
    came = hits(node, of(name))
    back = asked(name, Increments=[increment for span in spans for increment in span["Increments"]])
    call(node, "Responder.RefundIncrements", **back)
    call(node, "Responder.RefundRounding", **back)
    assert came() == 0


@pytest.mark.parametrize(
    ("method", "value", "after"),
    [("AddBalance", 2, 7), ("DebitBalance", 2, 3), ("SetBalance", 2, 2)],
)
def test_changes_by_the_api_send_the_value_before_and_after(
    node: Node, method: str, value: float, after: float
) -> None:
    name = account(node, money(5))
    came = hits(
        node, of(name), "*eq:~*asm.BalanceSummaries.MAIN.Initial:5", f"*eq:~*asm.BalanceSummaries.MAIN.Value:{after}"
    )
    call(node, f"APIerSv1.{method}", Account=name, BalanceType="*monetary", Value=value, Balance={"ID": "MAIN"})
    assert came() == 1


def test_a_debit_sends_the_values_before_and_after(node: Node) -> None:
    name = account(node, money(5, Weight=10), voice(10), AllowNegative=True)
    came = hits(
        node,
        of(name),
        "*string:~*req.AllowNegative:true",
        "*string:~*req.Disabled:false",
        "*string:~*req.BalanceSummaries[0].Type:*voice",
        "*string:~*asm.BalanceSummaries.MAIN.Type:*monetary",
        "*eq:~*asm.BalanceSummaries.MAIN.Initial:5",
        "*eq:~*asm.BalanceSummaries.MAIN.Value:4.98",
        "*eq:~*asm.BalanceSummaries.MAIN.Weight:10",
        "*eq:~*asm.BalanceSummaries.V.Weight:0",
        "*eq:~*asm.BalanceSummaries.V.Initial:10000000000",
    )
    call(node, "Responder.Debit", **asked(name, 20))
    assert came() == 2


def test_members_of_a_group_are_told_each_by_itself(node: Node) -> None:
    own = account(node, money(0.02, "OWN", SharedGroups="FAMILY_MINE"))
    mum = account(node, money(5, "MUM", SharedGroups="FAMILY_MINE"))
    other = account(node, money(7, "OTHER", SharedGroups="FAMILY_MINE"))
    counts = [hits(node, of(name)) for name in (own, mum, other)]
    holds = hits(node, of(mum), "*eq:~*asm.BalanceSummaries.MUM.Value:4.9")
    call(node, "Responder.Debit", **asked(own))
    assert ([count() for count in counts], holds()) == ([1, 1, 0], 1)
