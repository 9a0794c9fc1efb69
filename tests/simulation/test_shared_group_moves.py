"""An account joins a shared group: it moves to the group's shard, in steps that each have one effect (design 5, 7, 9).

The whole way runs with a worker killed at every commit and send: nothing is made, lost or done twice, a session that
runs meanwhile goes on, and all members live in one shard afterwards.
"""

from __future__ import annotations

from typing import Any

import pytest

from cgr_cluster.engine import placement
from cgr_cluster.engine.domain import StepDef
from cgr_cluster.engine.owner import Owner
from cgr_cluster.engine.placement import locate
from cgr_cluster.engine.redelivery import MEMO_KEPT_NS
from cgr_cluster.node.node import Node
from tests.simulation.test_engine import logged, remembered

NAMES = ("sg_a", "sg_b", "sg_c", "sg_d")
PLAN = {
    "Timings.csv": b"",
    "Destinations.csv": b"DST,49\n",
    "Rates.csv": b"RT,0,0.6,60s,1s,0s\n",
    "DestinationRates.csv": b"DR,DST,RT,*up,5,0,\n",
    "RatingPlans.csv": b"RP,DR,*any,10\n",
    "RatingProfiles.csv": b"cgrates.org,call,*any,2020-01-01T00:00:00Z,RP,\n",
    "SharedGroups.csv": b"SG1,*any,*lowest,\nSG2,*any,*highest,\n",
    "Chargers.csv": b"cgrates.org,CHG,,,*default,*none,0\n",
}


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("plan")
    for name, data in PLAN.items():
        (folder / name).write_bytes(data)
    return str(folder)


def new_node(plan: str, workers: int, crash_at: tuple[int, ...] = ()) -> Node:
    node = Node(workers)
    assert node.call("APIerSv1.LoadTariffPlanFromFolder", {"FolderPath": plan})["result"] == "OK"
    node.events, node.crash_at = 0, set(crash_at)
    return node


def result(node: Node, method: str, params: Any) -> Any:
    answer = node.call(method, params)
    assert answer["error"] is None, (method, params, answer)
    return answer["result"]


def topup(node: Node, account: str, value: float, groups: str) -> None:
    balance = {"ID": f"B_{account}_{groups.replace(';', '_')}", "SharedGroups": groups}
    assert (
        result(
            node,
            "APIerSv1.AddBalance",
            {"Account": account, "BalanceType": "*monetary", "Value": value, "Balance": balance},
        )
        == "OK"
    )


def session(node: Node, method: str, usage: str, **flags: bool) -> Any:
    event = {
        "OriginID": "c1", "OriginHost": "h", "ToR": "*voice", "RequestType": "*prepaid", "Account": "sg_a",
        "Destination": "4930", "Category": "call", "SetupTime": "2026-06-01T10:00:00Z",
        "AnswerTime": "2026-06-01T10:00:00Z", "Usage": usage,
    }  # fmt: skip
    return result(node, f"SessionSv1.{method}", {"Tenant": "cgrates.org", "ID": method, "Event": event, **flags})


def money(node: Node) -> dict[str, list[float]]:
    return {
        name: [b["Value"] for b in result(node, "APIerSv2.GetAccount", {"Account": name})["BalanceMap"]["*monetary"]]
        for name in NAMES
    }


def workload(node: Node) -> list[Any]:
    """Two groups that grow and become one cluster, with a session over the move and debits from the members' balances."""
    out: list[Any] = []
    topup(node, "sg_a", 1, "")
    out.append(session(node, "InitiateSession", "30s", InitSession=True))
    topup(node, "sg_a", 2, "SG1")
    out.append(session(node, "UpdateSession", "30s", UpdateSession=True))
    topup(node, "sg_b", 3, "SG1")
    topup(node, "sg_c", 4, "SG2")
    topup(node, "sg_d", 5, "SG2")
    out.append(money(node))
    topup(node, "sg_b", 6, "SG2")  # the clusters meet
    debit = {
        "Category": "call", "Tenant": "cgrates.org", "Account": "sg_d", "Subject": "sg_d", "Destination": "4930",
        "ToR": "*voice", "TimeStart": "2026-06-01T10:00:00Z", "TimeEnd": "2026-06-01T10:12:00Z",
    }  # fmt: skip
    out.append(result(node, "Responder.Debit", debit)["Cost"])
    out.append(session(node, "TerminateSession", "400s", TerminateSession=True))
    out.append(money(node))
    out.append(result(node, "APIerSv1.GetAccountsCount", {}))
    return out


def homes(node: Node) -> set[int]:
    generation = node.workers[0].engine.generation
    return {locate(generation, Owner("account", f"cgrates.org:{name}")) for name in NAMES}


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_members_of_connected_groups_live_in_one_shard_and_no_money_is_made_or_lost(plan: str, workers: int) -> None:
    node = new_node(plan, workers)
    out = workload(node)
    assert len(homes(node)) == 1
    assert out == workload(new_node(plan, 1))
    total = 1 + 2 + 3 + 4 + 5 + 6
    assert sum(sum(values) for values in out[-2].values()) == pytest.approx(total - 7.2 - 4.0)
    assert out[-1] == 4


def test_invariant_06_and_07_a_crash_at_every_commit_and_send_of_joins_changes_nothing(plan: str) -> None:
    calm = new_node(plan, 3)
    expected = workload(calm)
    wrong = []
    for at in range(1, calm.events + 1):
        node = new_node(plan, 3, (at,))
        try:
            out = workload(node)
        except (AssertionError, TimeoutError) as error:
            wrong.append(f"crash at event {at}: {error!r}")
            continue
        if out != expected or len(homes(node)) != 1 or node.crashes != 1:
            wrong.append(f"crash at event {at}: {out}")
        elif remembered(node) != logged(node):
            wrong.append(f"crash at event {at}: memory is not what the log holds")
        elif any(key.startswith(("intent/", "moving/", "joining/")) for _, key in node.disk):
            wrong.append(f"crash at event {at}: something is left")
    assert wrong == []


DEFECTS = [placement.freeze, placement.export, placement.take_in, placement.publish, placement.drop]


@pytest.mark.parametrize("workers", [1, 2, 3])
@pytest.mark.parametrize("step", DEFECTS, ids=lambda step: step.name)
def test_a_move_that_a_defect_ends_leaves_nobody_frozen(
    plan: str, workers: int, step: StepDef, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> None:
        raise ZeroDivisionError("on purpose")

    node = new_node(plan, workers)
    topup(node, "sg_a", 1, "SG1")
    balance = {"ID": "B", "SharedGroups": "SG1"}
    asked = {"Account": "sg_b", "BalanceType": "*monetary", "Value": 2, "Balance": balance}
    with monkeypatch.context() as defect:
        defect.setattr(step, "function", broken)
        error = node.call("APIerSv1.AddBalance", asked)["error"]
        assert "account cgrates.org:sg_b could not join its shared groups" in error
        node.run()
    for name in (
        "sg_c",
        "sg_d",
        "sg_e",
    ):  # the next that moves clears up what could not be, since that needs the step too
        topup(node, name, 1, "SG1")
    node.run()
    left = {key.partition("/")[0] for _, key in node.disk} & {"moving", "intent", "journal", "relocating", "joining"}
    assert left == ({"relocating"} if step is placement.drop and workers > 1 else set())  # that counts for a while
    generation = node.workers[0].engine.generation
    for name in ("sg_a", "sg_b"):
        owned = [shard for shard, key in node.disk if key == f"account/cgrates.org:{name}"]
        assert owned == [locate(generation, Owner("account", f"cgrates.org:{name}"))]
    values = result(node, "APIerSv2.GetAccount", {"Account": "sg_b"})["BalanceMap"]["*monetary"]
    assert [value["Value"] for value in values] == [2]
    result(node, "APIerSv1.RemoveBalances", {"Account": "sg_b", "BalanceType": "*monetary", "Balance": {"ID": "B"}})
    topup(node, "sg_b", 3, "SG1")  # and it becomes a member
    members = [value for (_, key), value in node.disk.items() if key == "shared_group_members/SG1"]
    assert len(members) == 1
    assert b"sg_b" in members[0]
    assert remembered(node) == logged(node)


def test_answers_and_step_results_that_moved_along_are_forgotten_in_time(plan: str) -> None:
    node = new_node(plan, 2)
    workload(node)
    node.advance(MEMO_KEPT_NS + 1)
    for _ in node.workers:
        result(node, "APIerSv1.GetAccountsCount", {})
    kept = {key for _, key in node.memory() if key.startswith(("done/", "memo/"))}
    assert kept == set()
