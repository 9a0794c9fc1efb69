"""Runs of action plans on three workers, one of them killed at every commit and send (spec 20 §6.2; design 9, invariant 17):
every account is paid once, whatever is under way when the process dies."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from random import Random
from typing import Any

import pytest

from cgr_cluster.actions import run_slices
from cgr_cluster.actions.run_slices import ShardRun
from cgr_cluster.engine.codec import unpack
from cgr_cluster.engine.engine import Engine
from cgr_cluster.engine.messages import Group
from cgr_cluster.engine.owner import account_owner
from cgr_cluster.node.node import Node
from tests.simulation.crashing import (
    TENANT,
    WORKERS,
    Prepare,
    Workload,
    accounts_apart,
    crash_everywhere,
    flaws,
    money_nano,
    ok,
    run,
)
from tests.simulation.slow_node import SlowNode

S = 10**9
DAY = 86_400 * S
UNIT = 10**9
LEFT_BEHIND = ("run_slice/", "shard_run/", "walk/", "relocating/", "pending_actions/", "joining/")


@pytest.fixture(autouse=True)
def small_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_slices, "SLICE", 2)


def members(node: Node) -> list[str]:
    """Two accounts on different workers, and three more in the shard of the first."""
    apart = accounts_apart(node, 2)
    shard = account_owner(TENANT, apart[0]).shard
    names = (f"same{number}" for number in range(100_000))
    return apart + list(islice((name for name in names if account_owner(TENANT, name).shard == shard), 3))


def actions(node: Node, name: str, *rows: dict[str, Any]) -> None:
    full = [
        {"BalanceType": "*monetary", "BalanceId": "MAIN", "Weight": 10 - place, **row} for place, row in enumerate(rows)
    ]
    ok(node, "APIerSv2.SetActions", {"ActionsId": name, "Overwrite": True, "Actions": full})


def plan(node: Node, time: str, *groups: str) -> None:
    rows = [{"ActionsId": group, "Time": time, "Weight": 10 - place} for place, group in enumerate(groups)]
    ok(node, "APIerSv1.SetActionPlan", {"Id": "AP", "ActionPlan": rows, "ReloadScheduler": True})
    for account in members(node):
        ok(node, "APIerSv2.SetAccount", {"Account": account, "ActionPlanIDs": ["AP"]})
    if time != "*asap":
        ok(node, "SchedulerSv1.Reload", {})


def top_up(node: Node) -> None:
    """A daily top-up, then a transfer to an account of another worker."""
    bank = accounts_apart(node, 3)[2]
    ok(node, "APIerSv2.SetAccount", {"Account": bank})
    extra = f'{{"DestinationAccountID":"{TENANT}:{bank}","DestinationBalanceID":"MAIN"}}'
    actions(node, "GIFT", {"Identifier": "*topup", "Units": "2.5"})
    actions(node, "MOVE", {"Identifier": "*transfer_balance", "Units": "1", "ExtraParameters": extra})
    plan(node, "00:00:00", "GIFT", "MOVE")


def one_day(node: Node) -> list[Any]:
    node.advance(DAY)
    return []


def executed(node: Node) -> list[Any]:
    return [node.call("SchedulerSv1.ExecuteActions", {"ActionPlanID": "AP"})]


def executed_twice(node: Node) -> list[Any]:
    return executed(node) + executed(node)


def joining(node: Node) -> None:
    """A top-up by which the accounts join a shared group, and so move to one shard while the plan runs."""
    ok(node, "APIerSv1.SetTPSharedGroups", {
        "TPid": "TP", "ID": "SG", "SharedGroups": [{"Account": "*any", "Strategy": "*lowest", "RatingSubject": ""}],
    })  # fmt: skip
    ok(node, "APIerSv1.LoadSharedGroup", {"TPid": "TP", "SharedGroupId": "SG"})
    actions(node, "GIFT", {"Identifier": "*topup", "Units": "2.5", "SharedGroups": "SG"})
    plan(node, "00:00:00", "GIFT")


def joined_meanwhile(node: Node) -> list[Any]:
    """Accounts move, by other calls, while a run lists its accounts."""
    node.advance(DAY - node.now_ns % DAY - 1)
    balance = {"ID": "OTHER", "SharedGroups": "SG"}
    params = {"BalanceType": "*monetary", "Value": 1, "Balance": balance}
    first = node.send("APIerSv1.AddBalance", {"Account": members(node)[1], **params})
    second = node.send("APIerSv1.AddBalance", {"Account": members(node)[3], **params})
    node.now_ns += 1
    out = [node.wait(first), node.wait(second)]
    node.advance(DAY // 2)
    return out


def asap(node: Node) -> None:
    actions(node, "GIFT", {"Identifier": "*topup", "Units": "2.5"})
    plan(node, "*asap", "GIFT")


def removed_right_away(node: Node) -> list[Any]:
    """Every task has run, or never does: the account is gone at the end."""
    accounts = members(node)
    reload = node.send("SchedulerSv1.Reload", {})
    removals = [node.send("APIerSv1.RemoveAccount", {"Account": account}) for account in accounts]
    out = [node.wait(uid) for uid in [reload, *removals]]
    node.advance(S)
    return out


def is_paid(units: float) -> Callable[[Node], bool]:
    def paid(node: Node) -> bool:
        left = [key for _, key in node.disk if key.startswith(LEFT_BEHIND)]
        return sum(money_nano(node).values()) == round(units * UNIT) and left == []

    return paid


CASES: dict[str, tuple[Prepare, Workload, Callable[[Node], bool]]] = {
    "by the scheduler": (top_up, one_day, is_paid(5 * 2.5)),
    "by a call": (top_up, executed, is_paid(5 * 2.5)),
    "while it makes accounts move": (joining, one_day, is_paid(5 * 2.5)),
    "while calls make accounts move": (joining, joined_meanwhile, is_paid(5 * 2.5 + 2)),
    "tasks of accounts that are removed": (asap, removed_right_away, is_paid(0)),
}


@pytest.mark.parametrize("name", CASES)
def test_invariants_03_04_06_07_17_a_crash_at_any_event_changes_nothing(name: str) -> None:
    prepare, workload, balanced = CASES[name]
    wrong, events = crash_everywhere(prepare, workload, balanced, (None,))
    assert events >= 10
    assert wrong == []


@pytest.mark.parametrize("name", CASES)
def test_invariants_07_17_any_order_of_turns_and_crashes_changes_nothing(name: str) -> None:
    prepare, workload, balanced = CASES[name]
    _, expected, events = run(prepare, workload, ())
    for seed in range(15):
        random = Random(seed)
        node = SlowNode(WORKERS, seed)
        prepare(node)
        node.run()
        crash_at = random.sample(range(1, events + 10), random.choice((0, 1, 2, 3, 5)))
        node.crash_at = {node.events + number for number in crash_at}
        answers = workload(node)
        node.run()
        assert answers == expected, (seed, crash_at)
        assert flaws(node) == [], (seed, crash_at)
        assert balanced(node), (seed, crash_at, money_nano(node))


def test_invariant_17_is_shown_to_fail_when_a_payment_is_logged_without_its_slice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    close_group = Engine._close_group

    def forgetful(engine: Engine) -> Group | None:
        group = close_group(engine)
        if group is not None:
            group.records = [record for record in group.records if not is_progress(*record[1:])]
        return group

    def is_progress(key: str, value: bytes | None) -> bool:
        taken = key.startswith("run_slice/") and value is None
        return taken or (key.startswith("shard_run/") and value is not None and unpack(ShardRun, value).next > 0)

    monkeypatch.setattr(Engine, "_close_group", forgetful)
    _, _, events = run(top_up, executed_twice, ())
    totals = (sum(money_nano(run(top_up, executed_twice, (at,))[0]).values()) for at in range(events // 2, events))
    assert any(total > 2 * 5 * 2.5 * UNIT for total in totals)
