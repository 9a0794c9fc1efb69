"""A node whose action groups can also be run with the event of a threshold, as thresholds run them (spec 51 §3.2)."""

from __future__ import annotations

import copy
from typing import Any

from cgr_cluster.actions.membership import NO_ACCOUNT
from cgr_cluster.actions.runs import run_on
from cgr_cluster.config import settings
from cgr_cluster.engine.domain import Operation, Steps
from cgr_cluster.events.event import CGREvent
from cgr_cluster.node.node import Node
from cgr_cluster.rpc.owners import ANY
from cgr_cluster.rpc.registry import Method
from cgr_cluster.services import load

MONEY = "*monetary"
TENANT = "cgrates.org"


def _hit(op: Operation, params: dict[str, Any]) -> Steps[str]:
    event = CGREvent(TENANT, "hit", None, params["event"], params["opts"])
    account = f"{TENANT}:{params['account']}" if params["account"] else NO_ACCOUNT
    return (yield from run_on(account, params["group"], hops=op.hops, event=event))


def new_node(workers: int = 1, crash_at: tuple[int, ...] = (), **changes: dict[str, Any]) -> Node:
    """`changes`: section → keys of the configuration."""
    registry = copy.deepcopy(load())
    registry.add(Method("TestSv1.Hit", _hit, Any, ANY, True, None, True))
    config = copy.deepcopy(dict(settings.ephemeral()))
    for section, keys in changes.items():
        config[section] = {**config[section], **keys}
    return Node(workers, config, crash_at, registry=registry)


def ok(node: Node, method: str, params: Any) -> Any:
    answer = node.call(method, params)
    assert answer["error"] is None, (method, params, answer)
    return answer["result"]


def group(node: Node, name: str, *rows: dict[str, Any]) -> None:
    """Set an action group whose actions run in the order given."""
    full = [{"Weight": 100 - place, **row} for place, row in enumerate(rows)]
    ok(node, "APIerSv2.SetActions", {"ActionsId": name, "Overwrite": True, "Actions": full})


def execute(node: Node, *rows: dict[str, Any], account: str = "a") -> str | None:
    """The error of ExecuteAction with a group of these actions; effects have happened."""
    group(node, "G", *rows)
    answer = node.call("APIerSv1.ExecuteAction", {"Account": account, "ActionsId": "G"})
    node.run()
    return answer["error"]


def hit(
    node: Node, *rows: dict[str, Any], event: dict[str, Any], opts: dict[str, Any] | None = None, account: str = ""
) -> str:
    """The error ("" for none) of a group of these actions, run as by a threshold."""
    group(node, "G", *rows)
    found: str = ok(node, "TestSv1.Hit", {"group": "G", "event": event, "opts": opts or {}, "account": account})
    node.run()
    return found


def add(node: Node, balance: str, value: float, kind: str = MONEY, account: str = "a", **fields: Any) -> None:
    wanted = {"Account": account, "BalanceType": kind, "Value": value, "Balance": {"ID": balance, **fields}}
    ok(node, "APIerSv1.AddBalance", wanted)


def stored(node: Node, account: str = "a") -> dict[str, Any]:
    found: dict[str, Any] = ok(node, "APIerSv2.GetAccount", {"Account": account})
    return found


def values(node: Node, kind: str = MONEY, account: str = "a") -> dict[str, float]:
    return {b["ID"]: b["Value"] for b in (stored(node, account)["BalanceMap"] or {}).get(kind, ())}


def money(identifier: str, units: str, balance: str = "MAIN", **more: Any) -> dict[str, Any]:
    return {"Identifier": identifier, "BalanceType": MONEY, "Units": units, "BalanceId": balance, **more}
