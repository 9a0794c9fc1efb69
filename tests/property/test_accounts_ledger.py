"""Money and units are conserved over any sequence of requests to a node: top-ups, debits, maximum debits, refunds, transfers,
on accounts that share balances (invariant 7)."""

from __future__ import annotations

import itertools
from decimal import Decimal
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cgr_cluster.node.node import Node
from tests.unit.test_accounts_responder import FIXED, GERMANY, MOBILE, PLAN, asked, call

NAMES = ("ann", "bob", "cem")
_plays = itertools.count(1)
GROUPS = ("", "", "FAMILY_LOW", "FAMILY_HIGH", "FAMILY_MINE")


def nano(amount: float) -> int:
    return int(Decimal(repr(amount)) * 10**9)


class Ledger:
    """Plays random requests, and keeps the sum that all balances must have by their answers."""

    def __init__(self, node: Node, seed: int) -> None:
        self.node = node
        self.random = Random(seed)
        self.prefix = f"l{next(_plays)}_"
        self.money = 0  # 10^-9
        self.units = 0  # nanoseconds
        self.given_out: list[Any] = []  # debits that may still be refunded
        for name in NAMES:
            call(node, "APIerSv2.SetAccount", Account=self.prefix + name)

    def balances(self) -> list[tuple[str, Any]]:
        ids = [self.prefix + name for name in NAMES]
        found = call(self.node, "APIerSv2.GetAccounts", AccountIDs=ids)
        return [(kind, b) for a in found for kind, held in (a["BalanceMap"] or {}).items() for b in held]

    def check(self) -> None:
        held = self.balances()
        assert sum(nano(b["Value"]) for kind, b in held if kind == "*monetary") == self.money
        assert sum(b["Value"] for kind, b in held if kind == "*voice") == self.units

    def account(self) -> str:
        return self.prefix + self.random.choice(NAMES)

    def balance(self, kind: str) -> dict[str, Any]:
        one: dict[str, Any] = {"ID": self.random.choice("XYZ"), "Weight": self.random.choice((0, 10))}
        group = self.random.choice(GROUPS)
        if group:
            one["SharedGroups"] = group
        if kind == "*voice":
            one["RatingSubject"] = self.random.choice(("", "*zero7s", "BUNDLE_FLAT"))
        elif self.random.random() < 0.2:
            one["RatingSubject"] = "BUNDLE_FLAT"
        return one

    def top_up(self) -> None:
        kind = self.random.choice(("*monetary", "*voice"))
        value = self.random.randint(1, 300) / 100 if kind == "*monetary" else self.random.randint(1, 90) * 10**9
        method = self.random.choice(("AddBalance", "AddBalance", "AddBalance", "DebitBalance"))
        params = {"Account": self.account(), "BalanceType": kind, "Value": value, "Balance": self.balance(kind)}
        assert call(self.node, f"APIerSv1.{method}", **params) == "OK"
        sign = -1 if method == "DebitBalance" else 1
        if kind == "*monetary":
            self.money += sign * nano(value)
        else:
            self.units += sign * int(value)

    def transfer(self) -> None:
        params = {
            "SourceAccountID": self.account(), "SourceBalanceID": self.random.choice(("X", "Y", "*default")),
            "DestinationAccountID": self.account(), "DestinationBalanceID": self.random.choice(("X", "Z", "*default")),
            "Units": self.random.choice((0.5, 1, 10**9, 7 * 10**9)),
        }  # fmt: skip
        call(self.node, "APIerSv1.TransferBalance", **params)  # refused or not: nothing is made up or lost

    def debit(self) -> None:
        method = self.random.choice(("Responder.Debit", "Responder.MaxDebit"))
        request = asked(
            self.account(), self.random.randint(1, 150), self.random.choice((MOBILE, GERMANY, FIXED)),
            Category=self.random.choice(("call", "call", "rounded")), LoopIndex=self.random.choice((0, 1)),
            PerformRounding=self.random.random() < 0.3, DenyNegativeAccount=self.random.random() < 0.3,
        )  # fmt: skip
        answer = call(self.node, method, **request)
        if isinstance(answer, str):
            return
        increments = []
        for span in answer["Timespans"] or ():
            for increment in span["Increments"]:
                increments.append({**increment, "CompressFactor": increment["CompressFactor"] * span["CompressFactor"]})
            if span["RoundIncrement"] is not None:
                increments.append(span["RoundIncrement"])
        self.given_out.append({**request, "Increments": increments})
        self._taken(increments, 1)

    def _taken(self, increments: list[Any], sign: int) -> None:
        for increment in increments:
            info, count = increment["BalanceInfo"], sign * increment["CompressFactor"]
            if info["Monetary"] is not None:
                self.money -= nano(increment["Cost"]) * count
            if info["Unit"] is not None and increment["Duration"]:  # the rounding's increment shows the units too
                self.units -= info["Unit"]["Consumed"] * count

    def refund(self) -> None:
        if not self.given_out:
            return
        request = self.given_out.pop(self.random.randrange(len(self.given_out)))
        call(self.node, "Responder.RefundIncrements", **request)
        self._taken(request["Increments"], -1)

    def play(self, steps: int) -> None:
        ways = (self.top_up, self.top_up, self.transfer, self.debit, self.debit, self.debit, self.refund)
        try:
            for _ in range(steps):
                self.random.choice(ways)()
                self.check()
        finally:  # members of the groups, for later plays too
            for name in NAMES:
                call(self.node, "APIerSv1.RemoveAccount", Account=self.prefix + name)


@pytest.fixture(scope="module", params=[1, 3], ids=["one worker", "three workers"])
def node(request: pytest.FixtureRequest) -> Node:
    made = Node(request.param)
    assert call(made, "APIerSv1.LoadTariffPlanFromFolder", FolderPath=str(PLAN)) == "OK"
    return made


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 2**40))
def test_no_request_makes_up_or_loses_money(node: Node, seed: int) -> None:
    Ledger(node, seed).play(25)
