"""Actions over several shards and workers: transfers, plans, the scheduler; also when workers die (spec 20 §5, 6; design 7)."""

from __future__ import annotations

from typing import Any

import pytest

from cgr_cluster.engine.owner import account_owner
from cgr_cluster.node.node import Node

SECOND = 1_000_000_000
TENANT = "cgrates.org"


def ok(node: Node, method: str, params: Any) -> Any:
    answer = node.call(method, params)
    assert answer["error"] is None, (method, answer)
    return answer["result"]


def actions(node: Node, name: str, *rows: dict[str, Any]) -> None:
    full = [{"Weight": 10, **row} for row in rows]
    ok(node, "APIerSv2.SetActions", {"ActionsId": name, "Overwrite": True, "Actions": full})


def topup(node: Node, name: str, balance: str, units: str) -> None:
    actions(
        node, name, {"Identifier": "*topup", "BalanceType": "*monetary", "Units": units, "BalanceId": balance}
    )  # fmt: skip


def value(node: Node, account: str, balance: str = "MAIN", kind: str = "*monetary") -> float | None:
    answer = node.call("APIerSv2.GetAccount", {"Tenant": TENANT, "Account": account})
    if answer["error"]:
        return None
    found = [b["Value"] for b in (answer["result"]["BalanceMap"] or {}).get(kind, ()) if b["ID"] == balance]
    return found[0] if found else None


def execute(node: Node, account: str, group: str) -> str | None:
    answer = node.call("APIerSv1.ExecuteAction", {"Tenant": TENANT, "Account": account, "ActionsId": group})
    return answer["error"]


def far_accounts(node: Node) -> tuple[str, str]:
    """Two accounts that different workers own."""
    names = [f"acc_{i}" for i in range(50)]
    first = names[0]
    home = node.shard_map[account_owner(TENANT, first).shard]
    return first, next(n for n in names if node.shard_map[account_owner(TENANT, n).shard] != home)


def transfer_node(crash_at: tuple[int, ...] = ()) -> tuple[Node, str, str]:
    node = Node(workers=2)
    source, target = far_accounts(node)
    topup(node, "FILL", "MAIN", "10")
    destination = f'{{"DestinationAccountID":"{TENANT}:{target}","DestinationBalanceID":"MAIN"}}'
    actions(
        node,
        "MOVE",
        {"Identifier": "*transfer_balance", "Units": "4", "BalanceId": "MAIN", "ExtraParameters": destination},
        {"Identifier": "*allow_negative", "Weight": 5},
    )
    assert execute(node, source, "FILL") is None
    node.events, node.crash_at = 0, set(crash_at)
    return node, source, target


def test_a_transfer_reaches_an_account_of_another_worker() -> None:
    node, source, target = transfer_node()
    assert execute(node, target, "FILL") is None
    assert execute(node, source, "MOVE") is None
    assert (value(node, source), value(node, target)) == (6, 14)


def test_a_refused_transfer_leaves_nothing_of_the_group() -> None:
    node, source, target = transfer_node()
    assert execute(node, source, "MOVE") == "PARTIALLY_EXECUTED"
    account = ok(node, "APIerSv2.GetAccount", {"Tenant": TENANT, "Account": source})
    assert (value(node, source), value(node, target), account["AllowNegative"]) == (10, None, False)


@pytest.mark.parametrize("crash", range(1, 25))
def test_a_transfer_happens_once_whoever_dies(crash: int) -> None:
    node, source, target = transfer_node()
    assert execute(node, target, "FILL") is None
    node.events, node.crash_at = 0, {crash}
    assert execute(node, source, "MOVE") is None
    assert (value(node, source), value(node, target)) == (6, 14)


def test_a_trigger_leaves_a_transfer_to_a_task() -> None:
    node, source, target = transfer_node()
    assert execute(node, target, "FILL") is None
    trigger = {
        "ThresholdType": "*min_balance", "ThresholdValue": 8, "BalanceType": "*monetary", "BalanceID": "MAIN",
        "ActionsID": "MOVE",
    }  # fmt: skip
    ok(node, "APIerSv1.SetAccountActionTriggers", {"Account": source, "GroupID": "G", "ActionTrigger": trigger})
    ok(
        node,
        "APIerSv1.DebitBalance",
        {"Account": source, "BalanceType": "*monetary", "Value": 3, "Balance": {"ID": "MAIN"}},
    )
    node.run()
    assert (value(node, source), value(node, target)) == (3, 14)


def test_triggers_that_send_money_to_and_fro_come_to_an_end() -> None:
    node, source, target = transfer_node()
    for account, other in ((source, target), (target, source)):
        name = f"TO_{other}"
        extra = f'{{"DestinationAccountID":"{TENANT}:{other}","DestinationBalanceID":"MAIN"}}'
        row = {"Identifier": "*transfer_balance", "Units": "1", "BalanceId": "MAIN", "ExtraParameters": extra}
        actions(node, name, row)
        trigger = {"ThresholdType": "*max_balance", "ThresholdValue": 11, "BalanceType": "*monetary", "Recurrent": True}
        params = {"Account": account, "GroupID": "G", "ActionTrigger": {**trigger, "ActionsID": name}}
        assert execute(node, account, "FILL") is None
        ok(node, "APIerSv1.SetAccountActionTriggers", params)
    assert execute(node, target, "FILL") is None
    node.run()
    first, second = value(node, source), value(node, target)
    assert first is not None and second is not None
    assert first + second == 40


def plan_node(accounts: int, workers: int = 2, time: str = "00:00:00") -> Node:
    node = Node(workers=workers)
    topup(node, "FEE", "MAIN", "1")
    row = {"ActionsId": "FEE", "Time": time, "Weight": 10}
    ok(node, "APIerSv1.SetActionPlan", {"Id": "AP", "ActionPlan": [row], "ReloadScheduler": True})
    for i in range(accounts):
        ok(node, "APIerSv2.SetAccount", {"Account": f"p{i}", "ActionPlanIDs": ["AP"], "ReloadScheduler": i % 7 == 0})
    ok(node, "SchedulerSv1.Reload", {})
    node.run()
    return node


def paid(node: Node, accounts: int) -> set[float | None]:
    return {value(node, f"p{i}") for i in range(accounts)}


def test_a_daily_plan_runs_once_a_day_on_every_account() -> None:
    node = plan_node(30)
    node.advance(86_400 * SECOND)
    assert paid(node, 30) == {1}
    node.advance(86_400 * SECOND)
    assert paid(node, 30) == {2}
    plan = ok(node, "APIerSv1.GetActionPlan", {"ID": "AP"})[0]
    assert sorted(plan["AccountIDs"]) == sorted(f"{TENANT}:p{i}" for i in range(30))


@pytest.mark.parametrize("crash", range(1, 60, 3))
def test_a_plan_instant_is_paid_once_whoever_dies(crash: int) -> None:
    node = plan_node(5)
    node.events, node.crash_at = 0, {crash, crash + 5}
    node.advance(86_400 * SECOND)
    assert paid(node, 5) == {1}


def test_a_delayed_plan_runs_once() -> None:
    node = plan_node(3, time="+2s")
    node.advance(10 * SECOND)
    assert paid(node, 3) == {1}


def test_setting_a_plan_again_loses_its_accounts() -> None:
    node = plan_node(2)
    row = {"ActionsId": "FEE", "Time": "00:00:00", "Weight": 10}
    assert node.call("APIerSv1.SetActionPlan", {"Id": "AP", "ActionPlan": [row]})["error"] == "EXISTS"
    ok(node, "APIerSv1.SetActionPlan", {"Id": "AP", "ActionPlan": [row], "Overwrite": True})
    assert ok(node, "APIerSv1.GetActionPlan", {"ID": "AP"})[0]["AccountIDs"] == {}
    assert ok(node, "APIerSv1.GetAccountActionPlan", {"Account": "p0"}) == []


def test_accounts_of_a_plan_are_shown_and_swept() -> None:
    node = plan_node(2)
    row = {"ActionsId": "FEE", "Time": "00:00:00", "Weight": 10}
    params = {"Id": "AP2", "ActionPlan": [row], "AccountIDs": [f"{TENANT}:p0", f"{TENANT}:p9"]}
    ok(node, "APIerSv1.SetActionPlanAccounts", params)
    plans = [entry["ActionPlanId"] for entry in ok(node, "APIerSv1.GetAccountActionPlan", {"Account": "p0"})]
    assert plans == ["AP", "AP2"]
    ok(node, "APIerSv1.RemoveActionPlan", {"ID": "AP2"})
    ok(node, "APIerSv1.ComputeAccountActionPlans", {})
    links = [name for _, name in node.memory() if name.startswith("account_plans/")]
    assert sorted(links) == [f"account_plans/{TENANT}:p0", f"account_plans/{TENANT}:p1"]


def test_a_stopped_scheduler_runs_nothing() -> None:
    node = plan_node(2)
    service = {"ServiceID": "*scheduler"}
    assert ok(node, "ServiceManagerV1.ServiceStatus", service) == "RUNNING"
    ok(node, "ServiceManagerV1.StopService", service)
    assert ok(node, "ServiceManagerV1.ServiceStatus", service) == "STOPPED"
    node.advance(86_400 * SECOND)
    assert paid(node, 2) == {None}
    ok(node, "ServiceManagerV1.StartService", service)
    node.advance(86_400 * SECOND)
    assert paid(node, 2) == {1}
    assert node.call("ServiceManagerV1.ServiceStatus", {"ServiceID": "x"})["error"] == "UNSUPPORTED_SERVICE_ID"


def test_a_replay_runs_what_fell_into_the_interval() -> None:
    node = plan_node(2)
    ok(
        node,
        "SchedulerSv1.ExecuteActions",
        {"TimeStart": "2026-01-01T00:00:00Z", "TimeEnd": "2026-01-03T12:00:00Z"},
    )
    assert paid(node, 2) == {3}


def test_scheduled_actions_are_listed_in_queue_order() -> None:
    node = plan_node(2)
    rows = [
        {"ActionsId": "FEE", "Time": "00:00:00", "Weight": 20},
        {"ActionsId": "FEE", "Time": "*asap", "Weight": 20},
        {"ActionsId": "FEE", "Years": "2045", "Time": "10:00:00", "Weight": 20},
    ]
    ok(node, "APIerSv1.SetActionPlan", {"Id": "B", "ActionPlan": rows, "ReloadScheduler": True})
    node.run()
    found = ok(node, "APIerSv1.GetScheduledActions", {})
    assert [(entry["ActionPlanID"], entry["Accounts"]) for entry in found] == [("B", 0), ("AP", 2), ("B", 0)]
    assert found[2]["NextRunTime"] == "2045-01-01T10:00:00Z"
    assert len(ok(node, "APIerSv1.GetScheduledActions", {"Account": "p1"})) == 1
    assert len(ok(node, "APIerSv1.GetScheduledActions", {"Limit": 1, "Offset": 1})) == 1


def test_a_group_of_a_plan_without_accounts_runs_once_on_none() -> None:
    node = plan_node(0)
    node.advance(86_400 * SECOND)
    assert node.call("APIerSv1.GetAccountIDs", {})["error"] == "NOT_FOUND"


def test_an_execution_on_one_account_makes_it() -> None:
    node = plan_node(0)
    params = {"ActionPlanIDs": ["AP"], "AccountID": "new"}
    ok(node, "SchedulerSv1.ExecuteActionPlans", params)
    assert value(node, "new") == 1
    other = {"ActionPlanIDs": ["NOPE"], "AccountID": "other"}
    assert node.call("SchedulerSv1.ExecuteActionPlans", other)["error"] == "NOT_FOUND"
    assert ok(node, "APIerSv2.GetAccount", {"Account": "other"})["BalanceMap"] is None
