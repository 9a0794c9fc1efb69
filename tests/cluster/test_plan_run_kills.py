"""A run of an action plan on a real node whose processes are killed with -9, and that is stopped, in the middle: every
account is paid once (spec 20 §6.2; design 9, invariant 17)."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.node_rig import Client, NodeRig, wait_until

pytestmark = pytest.mark.cluster
ACCOUNTS = 4000
ATTEMPTS = 5
CONFIG = """
[schedulers]
enabled = true
[rals]
enabled = true
[apiers]
enabled = true
"""


def write_plan(folder: Path, time: str, accounts: int) -> str:
    folder.mkdir()
    (folder / "Actions.csv").write_text("FEE,*topup,,,MAIN,*monetary,,,,,,,1,10,,,10\n")
    (folder / "Timings.csv").write_text(f"TM,*any,1,1,*any,{time}\n")
    (folder / "ActionPlans.csv").write_text("AP,FEE,TM,10\n")
    (folder / "AccountActions.csv").write_text("".join(f"cgrates.org,a{n},AP,,,\n" for n in range(accounts)))
    return str(folder)


def run(node: NodeRig) -> dict[str, Any]:
    """The newest run; empty while the node cannot say."""
    with contextlib.suppress(OSError, ValueError):
        answer = node.call("SchedulerSv1.GetRuns", {"Limit": 1})
        if answer["result"]:
            found: dict[str, Any] = answer["result"][0]
            return found
    return {}


def goes_on(node: NodeRig, accounts: float) -> bool:
    """Wait until so many accounts are paid. Answers whether the run goes on; on a busy machine it may have ended
    before this process has seen anything of it."""
    found = wait_until(lambda: of(run(node), accounts), f"{accounts:.0f} accounts to be paid")
    return bool(found["Status"] != "ENDED")


def of(found: dict[str, Any], accounts: float) -> dict[str, Any] | None:
    return found if found.get("Done", 0) >= accounts else None


def some_time(attempt: Callable[[Path, int], bool], tmp_path: Path) -> None:
    """Try again, with more accounts, where a run was over before it was disturbed. Whatever comes, each attempt checks what was paid."""
    assert any(attempt(tmp_path / f"plan{number}", ACCOUNTS << number) for number in range(ATTEMPTS))


def paid(node: NodeRig, count: int) -> set[float]:
    accounts = node.ok("APIerSv2.GetAccounts", {})
    assert len(accounts) == count
    return {sum(b["Value"] for b in (account["BalanceMap"] or {}).get("*monetary", ())) for account in accounts}


def test_a_run_pays_every_account_once_whatever_is_killed(tmp_path: Path) -> None:
    def attempt(folder: Path, accounts: int) -> bool:
        in_the_middle = True
        with NodeRig(workers=2, config=CONFIG) as node:
            node.ok("APIerSv1.LoadTariffPlanFromFolder", {"FolderPath": write_plan(folder, "00:00:00", accounts)})
            caller = Client(node.port)
            caller.send("SchedulerSv1.ExecuteActions", {"ActionPlanID": "AP"})
            for share, victims in ((0.05, ["worker-0"]), (0.3, ["worker-1", "log"])):
                in_the_middle &= goes_on(node, share * accounts)
                for victim in victims:
                    node.kill(victim)
            assert caller.receive()["result"] == "OK"
            caller.close()
            assert run(node)["Done"] == accounts
            assert paid(node, accounts) == {1}
        return in_the_middle

    some_time(attempt, tmp_path)


def test_a_run_goes_on_after_a_stop(tmp_path: Path) -> None:
    def attempt(folder: Path, accounts: int) -> bool:
        with NodeRig(workers=2, config=CONFIG) as node:
            node.ok("APIerSv1.LoadTariffPlanFromFolder", {"FolderPath": write_plan(folder, "+100ms", accounts)})
            in_the_middle = goes_on(node, 0.1 * accounts)
            assert node.stop() == 0
            node.start(workers=3)  # shards are shared out anew
            wait_until(lambda: run(node).get("Status") == "ENDED", "the run to end")
            assert run(node)["Done"] == accounts
            assert paid(node, accounts) == {1}
        return in_the_middle

    some_time(attempt, tmp_path)


def test_the_scheduler_reloads_when_the_node_starts_but_not_when_a_worker_is_restarted() -> None:
    with NodeRig(workers=2, config=CONFIG) as node:
        row = {"Identifier": "*topup", "BalanceType": "*monetary", "Units": "3", "BalanceId": "MAIN", "Weight": 10}
        node.ok("APIerSv2.SetActions", {"ActionsId": "GIFT", "Actions": [row]})
        plan = {"Id": "NOW", "ActionPlan": [{"ActionsId": "GIFT", "Time": "*asap", "Weight": 10}]}
        node.ok("APIerSv1.SetActionPlan", plan)
        node.ok("APIerSv2.SetAccount", {"Account": "a", "ActionPlanIDs": ["NOW"]})

        def given() -> bool:
            return bool(node.ok("APIerSv2.GetAccount", {"Account": "a"})["BalanceMap"])

        old = node.kill("worker-0")
        wait_until(lambda: node.pids().get("worker-0", old) != old, "the leader to be back")
        assert not given()
        assert node.stop() == 0
        node.start()
        wait_until(given, "the task to run")
