"""Accounts with triggers: what tests of them begin with, do and look at (spec 20 §7)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cgr_cluster.node.node import Node
from tests.unit.actions_world import MONEY, add, group, ok, stored, values

PLAN = Path(__file__).parents[1] / "conformance" / "tariffplans" / "accounts_main"
SECOND = 1_000_000_000
ZERO = "0001-01-01T00:00:00Z"
GERMANY, MOBILE, FIXED = "+49301234567", "+40721000111", "+40211234567"
NOTE = {"Identifier": "*topup", "BalanceType": "*sms", "Units": "1", "BalanceId": "N"}


def new_node(money: float = 10, plan: bool = False) -> Node:
    """An account `a` with `money` in MAIN; group NOTE gives an SMS, so that values(node, "*sms") counts executions."""
    node = Node(2)
    if plan:
        ok(node, "APIerSv1.LoadTariffPlanFromFolder", {"FolderPath": str(PLAN)})
    group(node, "NOTE", NOTE)
    add(node, "MAIN", money)
    return node


def trigger(node: Node, unique: str, **fields: Any) -> None:
    """A trigger of the account; setting it evaluates it (every balance counts as changed)."""
    wanted = {"ActionsID": "NOTE", "BalanceType": MONEY, **fields}
    ok(
        node,
        "APIerSv1.SetAccountActionTriggers",
        {"Account": "a", "GroupID": "T", "UniqueID": unique, "ActionTrigger": wanted},
    )


def quiet_trigger(node: Node, unique: str, **fields: Any) -> None:
    """The same by a group, which evaluates nothing."""
    wanted = {"ActionsID": "NOTE", "BalanceType": MONEY, **fields}
    ok(node, "APIerSv1.SetActionTrigger", {"GroupID": "Q", "UniqueID": unique, "ActionTrigger": wanted})
    ok(node, "APIerSv1.AddAccountActionTriggers", {"Account": "a", "ActionTriggerIDs": ["Q"]})


def times(node: Node) -> float:
    """How often NOTE has been executed."""
    return values(node, "*sms").get("N", 0)


def triggers(node: Node) -> dict[str, dict[str, Any]]:
    return {found["UniqueID"]: found for found in stored(node)["ActionTriggers"] or ()}


def debit_balance(node: Node, amount: float, balance: str = "MAIN", kind: str = MONEY) -> None:
    wanted = {"Account": "a", "BalanceType": kind, "Value": amount, "Balance": {"ID": balance}}
    ok(node, "APIerSv1.DebitBalance", wanted)


def debit(node: Node, number: str, seconds: int, **fields: Any) -> dict[str, Any]:
    call = {
        "ToR": "*voice", "Category": "call", "Account": "a", "Destination": number,
        "TimeStart": "2026-03-10T09:00:00Z", "TimeEnd": f"2026-03-10T09:{seconds // 60:02d}:{seconds % 60:02d}Z", **fields,
    }  # fmt: skip
    found: dict[str, Any] = ok(node, "Responder.Debit", call)
    return found


def counters(node: Node) -> dict[str, float]:
    """Unique id of the trigger → value."""
    found = stored(node)["UnitCounters"] or {}
    return {
        counter["Filter"]["ID"]: counter["Value"]
        for kinds in found.values()
        for unit_counter in kinds
        for counter in unit_counter["Counters"]
    }
