"""A large load on a real node tells how far it is, from its loader process to its last account (docs/decks.md)."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from cgr_cluster.cli.load import ServerProgress, progress_text
from tests.cluster.node_rig import Client, NodeRig, wait_until

pytestmark = pytest.mark.cluster
ACCOUNTS = 30_000
ATTEMPTS = 5


def write_plan(folder: Path) -> str:
    folder.mkdir()
    (folder / "Destinations.csv").write_text("".join(f"D{n % 1000},4{n:06d}\n" for n in range(30_000)))
    (folder / "AccountActions.csv").write_text("".join(f"cgrates.org,a{n},,,,\n" for n in range(ACCOUNTS)))
    return str(folder)


def load_and_watch(plan: str) -> tuple[list[dict[str, Any]], set[str]]:
    """What another connection and the command line saw of a load, from its beginning to its end."""
    seen: list[dict[str, Any]] = []
    lines = set()
    with NodeRig(workers=2) as node, node.client() as watcher:
        shown = ServerProgress("loading", ("127.0.0.1", node.port), plan)
        caller = Client(node.port)
        caller.send("APIerSv1.LoadTariffPlanFromFolder", {"FolderPath": plan})
        answer: list[Any] = []
        waiting = threading.Thread(target=lambda: answer.append(caller.receive()))
        waiting.start()

        def ended() -> bool:
            seen.extend(watcher.call("APIerSv1.GetLoadProgress", {})["result"])
            lines.add(shown.now())
            return bool(answer)

        wait_until(ended, "the load to end")
        waiting.join()
        caller.close()
        assert answer[0]["result"] == "OK"
        assert watcher.call("APIerSv1.GetLoadProgress", {})["result"] == []
        assert node.ok("APIerSv1.GetAccountsCount", {}) == ACCOUNTS
        with shown:
            pass  # closes its connection
        assert "load of" in node.log.read_text()
    return seen, lines


def test_the_phases_of_a_load_are_seen_by_other_connections(tmp_path: Path) -> None:
    plan = write_plan(tmp_path / "plan")
    for _ in range(ATTEMPTS):  # on a busy machine phases pass between two looks
        seen, lines = load_and_watch(plan)
        phases = list(dict.fromkeys(load["Phase"] for load in seen))
        counted = [(load["Done"], load["Total"]) for load in seen if load["Phase"] == "loading accounts"]
        assert counted == sorted(counted)
        assert {total for _, total in counted} <= {0, ACCOUNTS}
        assert {load["Source"] for load in seen} <= {plan}
        shown = any("the server: loading accounts" in line for line in lines)
        if len(phases) >= 3 and phases[-1] == "loading accounts" and counted[-1][1] == ACCOUNTS and shown:
            return
    raise AssertionError(f"the phases were not seen in {ATTEMPTS} loads; the last: {phases}, {lines}")


def test_a_line_of_progress() -> None:
    load = {"Phase": "checking rows", "Done": 250, "Total": 1000}
    assert progress_text(load) == "checking rows [#######.......................]  25 %  250 of 1000"
    assert progress_text({"Phase": "switching", "Done": 0, "Total": 0}) == "switching"
