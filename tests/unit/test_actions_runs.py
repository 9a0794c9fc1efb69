"""Runs of action plans over many accounts: in slices, seen, once, also when the plan changes meanwhile (spec 20 §6.2, 6.3)."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from cgr_cluster.actions import plan_runs, run_slices, runs, walk
from cgr_cluster.actions.run_slices import SLICE
from cgr_cluster.config import settings
from cgr_cluster.engine.domain import TIMERS, Part
from cgr_cluster.engine.engine import BACKGROUND_PAUSE_NS, Engine
from cgr_cluster.engine.owner import account_owner
from cgr_cluster.node.node import Node

SECOND = 1_000_000_000
MINUTE = 60 * SECOND
DAY = 86_400 * SECOND
TENANT = "cgrates.org"
MONEY = "*monetary"


def ok(node: Node, method: str, params: Any) -> Any:
    answer = node.call(method, params)
    assert answer["error"] is None, (method, answer)
    return answer["result"]


def topup(node: Node, name: str, units: str = "1", **fields: Any) -> None:
    row = {"Identifier": "*topup", "BalanceType": MONEY, "Units": units, "BalanceId": "MAIN", "Weight": 10, **fields}
    ok(node, "APIerSv2.SetActions", {"ActionsId": name, "Overwrite": True, "Actions": [row]})


def set_plan(node: Node, plan: str, *timings: tuple[str, str]) -> None:
    """Timings: (actions, time), or (actions, time, weight)."""
    rows = [{"ActionsId": actions, "Time": time, "Weight": 10 - place} for place, (actions, time) in enumerate(timings)]
    ok(node, "APIerSv1.SetActionPlan", {"Id": plan, "ActionPlan": rows, "Overwrite": True, "ReloadScheduler": True})


def attach(node: Node, plan: str, accounts: list[str]) -> None:
    for account in accounts:
        ok(node, "APIerSv2.SetAccount", {"Account": account, "ActionPlanIDs": [plan]})


def in_one_shard(count: int, shard: int = 7) -> list[str]:
    names, number = [], 0
    while len(names) < count:
        number += 1
        if account_owner(TENANT, f"s{number}").shard == shard:
            names.append(f"s{number}")
    return names


def value(node: Node, account: str) -> float | None:
    """What MAIN holds; 0 for an account without it, None for no account."""
    answer = node.call("APIerSv2.GetAccount", {"Account": account})
    if answer["error"] == "NOT_FOUND":
        return None
    return sum(b["Value"] for b in (answer["result"]["BalanceMap"] or {}).get(MONEY, ()) if b["ID"] == "MAIN")


def paid(node: Node, accounts: list[str]) -> int:
    return sum(bool(value(node, account)) for account in accounts)


def get_runs(node: Node, plan: str = "") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = ok(node, "SchedulerSv1.GetRuns", {"ActionPlanID": plan})
    return found


def daily(accounts: list[str], workers: int = 2) -> Node:
    """A node whose plan AP tops the accounts up at midnight."""
    node = Node(workers)
    topup(node, "FEE")
    set_plan(node, "AP", ("FEE", "00:00:00"))
    attach(node, "AP", accounts)
    ok(node, "SchedulerSv1.Reload", {})
    node.run()
    return node


def to_midnight(node: Node) -> None:
    node.advance(DAY - node.now_ns % DAY)


def until(node: Node, condition: Callable[[], bool]) -> None:
    for _ in range(1000):
        if condition():
            return
        node.advance(BACKGROUND_PAUSE_NS)
    raise AssertionError("it never came to that")


# --- slices ------------------------------------------------------------------------------------------------------


def test_a_run_pays_a_slice_in_a_group_and_leaves_room_in_between() -> None:
    accounts = in_one_shard(3 * SLICE + 5)
    node = daily(accounts, workers=1)
    groups: list[tuple[int, int]] = []  # time, accounts paid
    turn = node.workers[0].engine.turn

    def noted(now_ns: int, inputs: Any) -> Any:
        group = turn(now_ns, inputs)
        count = sum(key.startswith("account/") for _, key, _ in group.records) if group else 0
        if count:
            groups.append((now_ns, count))
        return group

    node.workers[0].engine.turn = noted  # type: ignore[method-assign]
    node.advance(DAY)
    assert [count for _, count in groups] == [SLICE, SLICE, SLICE, 5]
    assert all(b - a >= BACKGROUND_PAUSE_NS for (a, _), (b, _) in pairwise(groups))
    assert paid(node, accounts) == len(accounts)
    left = [key for _, key in node.memory() if key.startswith(("run_slice/", "shard_run/", "walk/"))]
    assert left == []


@pytest.mark.parametrize("in_a_shard", [1, 3])
def test_the_walk_to_the_accounts_ends_its_turn_often(monkeypatch: pytest.MonkeyPatch, in_a_shard: int) -> None:
    """However few there are in each shard: what is looked at in one turn is bounded."""
    accounts = [name for shard in range(40) for name in in_one_shard(in_a_shard, shard)]
    node = daily(accounts, 1)
    monkeypatch.setattr(walk, "ENOUGH", 8)
    looked_at: Counter[int] = Counter()
    turns = [0]
    turn, step = Engine.turn, run_slices.list_members.function

    def counted_turn(engine: Engine, *args: Any) -> Any:
        turns[0] += 1
        return turn(engine, *args)

    def counted_step(part: Part, shard: int, runs: Any) -> Any:
        found = step(part, shard, runs)
        looked_at[turns[0]] += found[1]
        return found

    monkeypatch.setattr(Engine, "turn", counted_turn)
    monkeypatch.setattr(run_slices.list_members, "function", counted_step)
    to_midnight(node)
    node.advance(10**9)
    assert sum(looked_at.values()) == len(accounts)
    assert max(looked_at.values()) <= 8 + walk.SHARDS_AT_ONCE


def test_what_was_packed_is_packed_after_the_run() -> None:
    accounts = in_one_shard(3)
    node = daily(accounts, workers=1)
    node.kill(0)
    assert value(node, accounts[0]) == 0  # it is in use
    node.advance(DAY)
    table = node.workers[0].engine.shards[7].tables["account"]
    assert [type(table[f"{TENANT}:{account}"]) is bytes for account in accounts] == [False, True, True]
    on_disk = {key: data for key, data in node.disk.items() if key[1].startswith("account")}
    assert {key: data for key, data in node.memory().items() if key[1].startswith("account")} == on_disk
    assert paid(node, accounts) == 3


def test_a_run_tells_how_far_it_is() -> None:
    accounts = in_one_shard(3 * SLICE)
    node = daily(accounts)
    to_midnight(node)
    node.advance(0)
    run = get_runs(node)[0]
    assert (run["ActionPlanID"], run["ActionsID"], run["Status"]) == ("AP", "FEE", "RUNNING")
    assert (run["Accounts"], run["Done"], run["Failed"], run["Skipped"]) == (3 * SLICE, SLICE, 0, 0)
    assert run["ScheduledTime"] == "2026-06-17T00:00:00Z"
    assert run["EndTime"] == "0001-01-01T00:00:00Z"
    node.advance(SECOND)
    run = get_runs(node)[0]
    assert (run["Status"], run["Done"]) == ("ENDED", 3 * SLICE)
    assert run["EndTime"].startswith("2026-06-17T00:00:00.008")  # a commit takes a microsecond
    assert run["AccountsPerSecond"] > 1000
    node.advance(DAY)
    assert [run["ScheduledTime"][:10] for run in get_runs(node, "AP")] == ["2026-06-18", "2026-06-17"]
    assert get_runs(node, "OTHER") == []
    assert len(ok(node, "SchedulerSv1.GetRuns", {"Limit": 1, "Offset": 1})) == 1


def test_a_run_is_logged_from_its_beginning_to_its_end(caplog: pytest.LogCaptureFixture) -> None:
    accounts = in_one_shard(2)
    node = daily(accounts)
    with caplog.at_level(logging.INFO, "cgr_cluster.actions"):
        node.advance(DAY)
    lines = [record.getMessage().split(" (")[0] for record in caplog.records]
    assert lines == [
        "run of plan AP, actions FEE begins: 2 accounts",
        "run of plan AP, actions FEE has ended: 2 accounts in 0.0 s, 2 done, 0 failed, 0 skipped",
    ]


def test_progress_is_logged_regularly(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cgr_cluster.engine.engine.BACKGROUND_PAUSE_NS", 6 * SECOND)
    node = daily(in_one_shard(4 * SLICE))
    to_midnight(node)
    with caplog.at_level(logging.INFO, "cgr_cluster.actions"):
        node.advance(MINUTE)
    progress = [r.getMessage().split(" (")[0] for r in caplog.records if " of 128 accounts" in r.getMessage()]
    assert progress == ["run of plan AP, actions FEE: 64 of 128 accounts, 6 a second, 0 failed, 0 skipped"]


def test_two_plans_take_turns() -> None:
    many, few = in_one_shard(6 * SLICE + 3), in_one_shard(6 * SLICE + 6)[-3:]
    node = daily(many)
    topup(node, "OTHER")
    set_plan(node, "FEW", ("OTHER", "00:00:00"))
    attach(node, "FEW", few)
    ok(node, "SchedulerSv1.Reload", {})
    to_midnight(node)
    until(node, lambda: get_runs(node, "FEW")[0]["Status"] == "ENDED")
    assert get_runs(node, "AP")[0]["Done"] <= 3 * SLICE
    node.advance(SECOND)
    assert paid(node, many + few) == len(many + few)


def test_timings_of_one_plan_due_together_run_by_weight() -> None:
    node = Node(2)
    topup(node, "FIRST")
    row = {"Identifier": "*topup_reset", "BalanceType": MONEY, "Units": "5", "BalanceId": "MAIN"}
    ok(node, "APIerSv2.SetActions", {"ActionsId": "RESET", "Actions": [{**row, "Weight": 10}]})
    set_plan(node, "AP", ("FIRST", "00:00:00"), ("RESET", "00:00:00"))
    accounts = in_one_shard(2 * SLICE)
    attach(node, "AP", accounts)
    ok(node, "SchedulerSv1.Reload", {})
    to_midnight(node)
    node.advance(SECOND)
    assert {value(node, account) for account in accounts} == {5}


def test_a_run_waits_for_the_former_run_of_its_timing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cgr_cluster.engine.engine.BACKGROUND_PAUSE_NS", 40 * SECOND)
    accounts = in_one_shard(3 * SLICE)
    node = Node(1)
    topup(node, "FEE")
    set_plan(node, "AP", ("FEE", "*every_minute"))
    attach(node, "AP", accounts)
    ok(node, "SchedulerSv1.Reload", {})
    node.advance(2 * MINUTE)
    assert [run["Status"] for run in get_runs(node)] == ["WAITING", "RUNNING"]
    node.advance(20 * MINUTE)
    ends = [(run["EndTime"], run["StartTime"]) for run in get_runs(node) if run["Status"] == "ENDED"]
    assert len(ends) >= 5
    assert all(earlier[0] <= later[1] for later, earlier in pairwise(ends))


def test_runs_that_wait_are_bounded(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cgr_cluster.engine.engine.BACKGROUND_PAUSE_NS", 9 * MINUTE)
    monkeypatch.setattr(plan_runs, "MAX_WAITING", 3)
    node = Node(1)
    topup(node, "FEE")
    set_plan(node, "AP", ("FEE", "*every_minute"))
    attach(node, "AP", in_one_shard(2 * SLICE))
    ok(node, "SchedulerSv1.Reload", {})
    node.advance(6 * MINUTE)
    assert [run["Status"] for run in get_runs(node)] == ["WAITING", "WAITING", "RUNNING"]
    left_out = [r.levelname for r in caplog.records if "is left out: 3 runs of it have not ended" in r.getMessage()]
    assert left_out == ["ERROR"] * 3


# --- what changes meanwhile --------------------------------------------------------------------------------------


def in_the_middle(accounts: list[str], workers: int = 2) -> Node:
    node = daily(accounts, workers)
    to_midnight(node)
    node.advance(0)
    assert paid(node, accounts) == SLICE
    return node


CHANGES: dict[str, tuple[str, dict[str, Any]]] = {
    "removed": ("APIerSv1.RemoveActionPlan", {"ID": "AP"}),
    "set anew": (
        "APIerSv1.SetActionPlan",
        {"Id": "AP", "ActionPlan": [{"ActionsId": "FEE", "Time": "00:00:00"}], "Overwrite": True},
    ),
}


@pytest.mark.parametrize("how", CHANGES)
def test_a_plan_that_is_removed_or_set_anew_pays_nobody_any_more(how: str) -> None:
    accounts = in_one_shard(3 * SLICE)
    node = in_the_middle(accounts)
    ok(node, *CHANGES[how])
    node.advance(SECOND)
    assert paid(node, accounts) == SLICE
    run = get_runs(node)[0]
    assert (run["Status"], run["Done"], run["Skipped"]) == ("ENDED", SLICE, 2 * SLICE)


@pytest.mark.parametrize(("others", "expected"), [((), SLICE), ((("FEE", "08:00:00"),), 2 * SLICE)])
def test_a_timing_that_is_dropped_lets_its_run_end_unless_the_plan_goes_with_it(
    others: tuple[tuple[str, str], ...], expected: int
) -> None:
    accounts = in_one_shard(2 * SLICE)
    node = Node(2)
    topup(node, "FEE")
    set_plan(node, "AP", ("FEE", "00:00:00"), *others)
    attach(node, "AP", accounts)
    ok(node, "SchedulerSv1.Reload", {})
    to_midnight(node)
    node.advance(0)
    done = paid(node, accounts)
    timing = ok(node, "APIerSv1.GetActionPlan", {"ID": "AP"})[0]["ActionTimings"][0]["Uuid"]
    ok(node, "APIerSv1.RemoveActionTiming", {"ActionPlanId": "AP", "ActionTimingId": timing})
    node.advance(SECOND)
    assert (done, paid(node, accounts)) == (SLICE, expected)


def test_an_account_that_leaves_the_plan_or_is_removed_is_skipped() -> None:
    accounts = in_one_shard(2 * SLICE)
    node = in_the_middle(accounts)
    unpaid = [account for account in accounts if not value(node, account)]
    ok(node, "APIerSv1.RemoveAccount", {"Account": unpaid[0]})
    ok(node, "APIerSv1.RemoveActionTiming", {"ActionPlanId": "AP", "Account": unpaid[1]})
    node.advance(SECOND)
    assert [value(node, account) for account in unpaid[:3]] == [None, 0, 1]
    run = get_runs(node)[0]
    assert (run["Accounts"], run["Done"], run["Skipped"]) == (2 * SLICE, 2 * SLICE - 2, 2)


def test_an_account_that_joins_the_plan_waits_for_the_next_run() -> None:
    accounts = in_one_shard(2 * SLICE + 1)
    node = in_the_middle(accounts[1:])
    attach(node, "AP", accounts[:1])
    ok(node, "SchedulerSv1.Reload", {})
    node.advance(SECOND)
    assert value(node, accounts[0]) == 0
    node.advance(DAY)
    assert value(node, accounts[0]) == 1


def test_actions_that_change_count_for_the_accounts_to_come() -> None:
    accounts = in_one_shard(2 * SLICE)
    node = in_the_middle(accounts)
    topup(node, "FEE", "7")
    node.advance(SECOND)
    assert sorted(value(node, account) or 0 for account in accounts) == [1] * SLICE + [7] * SLICE


def test_a_stopped_scheduler_lets_what_has_begun_end() -> None:
    accounts = in_one_shard(2 * SLICE)
    node = in_the_middle(accounts)
    ok(node, "ServiceManagerV1.StopService", {"ServiceID": "*scheduler"})
    node.advance(2 * DAY)
    assert {value(node, account) for account in accounts} == {1}


def test_a_node_that_is_stopped_in_the_middle_goes_on_where_it_was() -> None:
    accounts = in_one_shard(5 * SLICE)
    node = in_the_middle(accounts, workers=3)
    for stop in range(3):
        for worker in range(3):
            node.kill(worker)
        node.now_ns += (1, 30, 3 * 3600)[stop] * SECOND
        node.advance(0)
    node.advance(SECOND)
    assert {value(node, account) for account in accounts} == {1}
    assert get_runs(node)[0]["Done"] == 5 * SLICE


# --- failures ----------------------------------------------------------------------------------------------------


def test_accounts_whose_group_fails_are_counted_and_told(caplog: pytest.LogCaptureFixture) -> None:
    accounts = in_one_shard(SLICE + 3)
    node = daily(accounts)
    row = {"Identifier": "*set_balance", "BalanceType": MONEY, "Units": "1", "Weight": 10}
    ok(node, "APIerSv2.SetActions", {"ActionsId": "FEE", "Overwrite": True, "Actions": [{**row, "Identifier": "*no"}]})
    node.advance(DAY)
    run = get_runs(node)[0]
    assert (run["Accounts"], run["Done"], run["Failed"]) == (SLICE + 3, 0, SLICE + 3)
    failures = [r for r in caplog.records if "ended with: action type *no is not supported" in r.getMessage()]
    assert len(failures) == SLICE + 3
    answer = node.call("SchedulerSv1.ExecuteActions", {"ActionPlanID": "AP"})
    assert answer["error"] == "PARTIALLY_EXECUTED"


def test_failures_in_plenty_are_not_all_logged(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_slices, "FAILURES_LOGGED", 2)
    node = daily(in_one_shard(5))
    ok(node, "APIerSv1.RemoveActions", {"ActionIDs": ["FEE"]})
    node.advance(DAY)
    told = [r.getMessage() for r in caplog.records if "ended with" in r.getMessage()]
    assert [text.partition("ended with: ")[2] for text in told] == [
        "NOT_FOUND", "NOT_FOUND", "NOT_FOUND; further ones in this shard are not logged",
    ]  # fmt: skip


def test_a_defect_that_one_account_meets_stops_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    accounts = in_one_shard(SLICE + 3)
    node = daily(accounts)
    run_group = runs.run_group

    def broken(part: Any, wanted: Any, *rest: Any) -> Any:
        if wanted.account_id.endswith(f":{accounts[3]}"):
            raise ZeroDivisionError
        return run_group(part, wanted, *rest)

    monkeypatch.setattr(run_slices, "run_group", broken)
    node.advance(DAY)
    assert {value(node, account) for account in accounts} == {0, 1}
    assert (value(node, accounts[3]), get_runs(node)[0]["Failed"]) == (0, 1)


def test_a_run_that_never_goes_on_is_given_up_and_blocks_no_other(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    accounts = in_one_shard(3)
    node = daily(accounts)

    def broken(part: Part, last: str) -> None:
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setitem(TIMERS, "actions.slice", broken)
        to_midnight(node)
        node.advance(9 * MINUTE)
        assert get_runs(node)[0]["Status"] == "RUNNING"
        node.advance(2 * MINUTE)
    run = get_runs(node)[0]
    assert (run["Status"], run["Done"], run["Failed"]) == ("ENDED", 0, 3)
    assert "run of plan AP, actions FEE is given up: no progress for 600 s, 0 of 3 accounts are through" in caplog.text
    assert [key for _, key in node.memory() if key.startswith(("run_slice/", "shard_run/"))] == []
    node.advance(DAY)
    assert {value(node, account) for account in accounts} == {1}


def test_transfers_of_a_plan_are_waited_for() -> None:
    node = Node(3)
    topup(node, "FILL", "10")
    accounts = [f"t{number}" for number in range(12)]
    extra = f'{{"DestinationAccountID":"{TENANT}:bank","DestinationBalanceID":"MAIN"}}'
    row = {"Identifier": "*transfer_balance", "Units": "4", "BalanceId": "MAIN", "ExtraParameters": extra, "Weight": 10}
    ok(node, "APIerSv2.SetActions", {"ActionsId": "MOVE", "Actions": [row]})
    for account in [*accounts, "bank"]:
        ok(node, "APIerSv1.ExecuteAction", {"Account": account, "ActionsId": "FILL"})
    set_plan(node, "AP", ("MOVE", "00:00:00"))
    attach(node, "AP", accounts)
    ok(node, "SchedulerSv1.ExecuteActions", {"ActionPlanID": "AP"})
    assert value(node, "bank") == 10 + 4 * 12
    ok(node, "SchedulerSv1.ExecuteActions", {"ActionPlanID": "AP"})
    answer = node.call("SchedulerSv1.ExecuteActions", {"ActionPlanID": "AP"})  # 2 are left to each
    assert answer["error"] == "PARTIALLY_EXECUTED"
    assert (value(node, "bank"), value(node, "t5")) == (10 + 8 * 12, 2)
    assert get_runs(node)[0]["Failed"] == 12


def test_accounts_that_join_a_shared_group_by_the_plan_are_paid_once(tmp_path: Path) -> None:
    node = Node(3)
    (tmp_path / "SharedGroups.csv").write_text("SG,*any,*lowest,\n")
    ok(node, "APIerSv1.LoadTariffPlanFromFolder", {"FolderPath": str(tmp_path)})
    topup(node, "FEE", SharedGroups="SG")
    set_plan(node, "AP", ("FEE", "00:00:00"))
    accounts = [f"g{number}" for number in range(20)]
    attach(node, "AP", accounts)
    ok(node, "SchedulerSv1.Reload", {})
    for day in (1, 2, 3):
        node.advance(DAY)
        assert {value(node, account) for account in accounts} == {day}
    assert len(ok(node, "APIerSv1.GetSharedGroup", "SG")["MemberIds"]) == 20


# --- tasks -------------------------------------------------------------------------------------------------------


def asap_folder(tmp_path: Path, accounts: int) -> str:
    (tmp_path / "Actions.csv").write_text("FEE,*topup,,,MAIN,*monetary,,,,,,,1,10,,,10\n")
    (tmp_path / "ActionPlans.csv").write_text("NOW,FEE,*asap,10\n")
    (tmp_path / "AccountActions.csv").write_text("".join(f"{TENANT},a{n},NOW,,,\n" for n in range(accounts)))
    return str(tmp_path)


def loaded(tmp_path: Path) -> tuple[Node, str, list[str]]:
    """A node that has just loaded; accounts whose tasks have not run yet."""
    node = Node(2)
    folder = asap_folder(tmp_path, 40)
    ok(node, "APIerSv1.LoadTariffPlanFromFolder", {"FolderPath": folder})
    waiting = [name for name in (f"a{n}" for n in range(40)) if value(node, name) == 0]
    assert len(waiting) > 10
    return node, folder, waiting


def test_tasks_of_a_load_run_once_a_moment_after_it(tmp_path: Path) -> None:
    node, folder, _ = loaded(tmp_path)
    node.advance(SECOND)
    assert {value(node, f"a{n}") for n in range(40)} == {1}
    ok(node, "APIerSv1.LoadTariffPlanFromFolder", {"FolderPath": folder})
    node.advance(SECOND)
    assert {value(node, f"a{n}") for n in range(40)} == {2}


def test_an_account_removed_before_its_tasks_have_run_stays_removed(tmp_path: Path) -> None:
    node, _, waiting = loaded(tmp_path)
    ok(node, "APIerSv1.RemoveAccount", {"Account": waiting[0]})
    node.advance(SECOND)
    assert (value(node, waiting[0]), value(node, waiting[1])) == (None, 1)


def test_a_tariff_plan_removed_before_its_tasks_have_run_leaves_no_account(tmp_path: Path) -> None:
    node, folder, _ = loaded(tmp_path)
    ok(node, "APIerSv1.RemoveTPFromFolder", {"FolderPath": folder})
    node.advance(SECOND)
    assert node.call("APIerSv1.GetAccountIDs", {})["error"] == "NOT_FOUND"
    assert [key for _, key in node.memory() if "pending_actions" in key or "account_plans" in key] == []


def test_an_action_plan_removed_before_its_tasks_have_run_does_not_take_them_back(tmp_path: Path) -> None:
    node, _, waiting = loaded(tmp_path)
    ok(node, "APIerSv1.RemoveActionPlan", {"ID": "NOW"})
    node.advance(SECOND)
    assert value(node, waiting[0]) == 1


def test_tasks_of_an_account_run_in_order_and_none_twice() -> None:
    node = Node(2)
    topup(node, "FEE")
    set_plan(node, "NOW", ("FEE", "*asap"))
    for _ in range(SLICE + 5):
        ok(node, "APIerSv2.SetAccount", {"Account": "a", "ActionPlanIDs": ["NOW"]})
    ok(node, "SchedulerSv1.Reload", {})
    node.advance(SECOND)
    assert value(node, "a") == SLICE + 5
    ok(node, "SchedulerSv1.Reload", {})
    node.advance(SECOND)
    assert value(node, "a") == SLICE + 5


def test_a_trigger_s_transfer_does_not_make_an_account_again_that_has_been_removed() -> None:
    node = Node(2)
    topup(node, "FILL", "10")
    extra = f'{{"DestinationAccountID":"{TENANT}:bank","DestinationBalanceID":"MAIN"}}'
    row = {"Identifier": "*transfer_balance", "Units": "4", "BalanceId": "MAIN", "ExtraParameters": extra, "Weight": 10}
    ok(node, "APIerSv2.SetActions", {"ActionsId": "MOVE", "Actions": [row]})
    ok(node, "APIerSv1.ExecuteAction", {"Account": "a", "ActionsId": "FILL"})
    trigger = {"ThresholdType": "*min_balance", "ThresholdValue": 50, "BalanceType": MONEY, "ActionsID": "MOVE"}
    sent = node.send("APIerSv1.SetAccountActionTriggers", {"Account": "a", "GroupID": "G", "ActionTrigger": trigger})
    also = node.send("APIerSv1.RemoveAccount", {"Account": "a"})
    assert (node.wait(sent)["error"], node.wait(also)["error"]) == (None, None)
    node.advance(SECOND)
    assert value(node, "a") is None


# --- schedulers.filters ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (["*string:~*act.AccountID:cgrates.org:p1"], {"p0": 0, "p1": 1}),
        (["*prefix:~*act.AccountID:cgrates.org:p", "*string:~*act.ActionsID:FEE"], {"p0": 1, "p1": 1}),
        (["*string:~*act.ActionsID:OTHER"], {"p0": 0, "p1": 0}),
        (["FLTR_UNKNOWN"], {"p0": 0, "p1": 0}),
    ],
)
def test_filters_limit_what_the_scheduler_does(filters: list[str], expected: dict[str, float]) -> None:
    config = dict(settings.ephemeral())
    config["schedulers"] = {**config["schedulers"], "filters": filters}
    node = Node(2, config)
    topup(node, "FEE")
    set_plan(node, "AP", ("FEE", "00:00:00"))
    set_plan(node, "NOW", ("FEE", "*asap"))
    attach(node, "AP", list(expected))
    ok(node, "SchedulerSv1.Reload", {})
    node.advance(DAY)
    assert {account: value(node, account) for account in expected} == expected
    attach(node, "NOW", list(expected))
    ok(node, "SchedulerSv1.Reload", {})
    node.advance(SECOND)
    assert {account: value(node, account) for account in expected} == {a: 2 * v for a, v in expected.items()}
    ok(node, "SchedulerSv1.ExecuteActions", {"ActionPlanID": "AP"})
    assert {value(node, a) for a in expected} == {2 * v + 1 for v in expected.values()}
