"""A large load on a real node tells how far it is, from its loader process to its last account (docs/decks.md)."""

from __future__ import annotations

import errno
import os
import re
from pathlib import Path

import pytest

from cgr_cluster.cli.load import ServerProgress, progress_text
from tests.cluster.node_rig import Client, NodeRig, wait_until

pytestmark = pytest.mark.cluster
ACCOUNTS = 30_000
HELD = """
import sys
if "cgr_cluster.node.deck_loader" in sys.orig_argv:
    open({gate!r}).read()
"""


def write_plan(folder: Path) -> str:
    folder.mkdir()
    (folder / "Destinations.csv").write_text("".join(f"D{n % 1000},4{n:06d}\n" for n in range(30_000)))
    (folder / "AccountActions.csv").write_text("".join(f"cgrates.org,a{n},,,,\n" for n in range(ACCOUNTS)))
    return str(folder)


class Gate:
    """What a loader process waits at before it begins: a pipe that it reads to its end."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        folder.mkdir()
        self._pipe = folder / "gate"
        os.mkfifo(self._pipe)
        (folder / "sitecustomize.py").write_text(HELD.format(gate=str(self._pipe)))
        monkeypatch.setenv("PYTHONPATH", str(folder))

    def someone_waits(self) -> int | None:
        """Its other end, when a loader is there; to close it lets the loader go on."""
        try:
            return os.open(self._pipe, os.O_WRONLY | os.O_NONBLOCK)
        except OSError as error:
            assert error.errno == errno.ENXIO  # nobody reads
            return None


def test_other_connections_see_a_load_and_the_log_has_its_phases(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = write_plan(tmp_path / "plan")
    gate = Gate(tmp_path / "held", monkeypatch)
    with NodeRig(workers=2) as node, node.client() as watcher:
        shown = ServerProgress("loading", ("127.0.0.1", node.port), plan)
        with shown:
            caller = Client(node.port)
            caller.send("APIerSv1.LoadTariffPlanFromFolder", {"FolderPath": plan})
            end = wait_until(gate.someone_waits, "the loader process")
            [load] = watcher.call("APIerSv1.GetLoadProgress", {})["result"]
            assert (load["Source"], load["Done"], load["Total"]) == (plan, 0, 0)
            assert shown.now() == f"the server: {load['Phase']}"
            os.close(end)
            assert caller.receive()["result"] == "OK"
            caller.close()
            assert shown.now() == "loading"
        assert watcher.call("APIerSv1.GetLoadProgress", {})["result"] == []
        assert node.ok("APIerSv1.GetAccountsCount", {}) == ACCOUNTS
        told = re.findall(rf"load of {re.escape(plan)}: ([a-z ]+)", node.log.read_text())
        assert list(dict.fromkeys(told)) == [
            "waiting for its turn", "reading bytes", "checking rows", "making objects", "packing objects", "writing objects",
            "switching", "loading accounts",
        ]  # fmt: skip
        assert f"loading accounts, 0 of {ACCOUNTS}" in node.log.read_text()


def test_a_line_of_progress() -> None:
    load = {"Phase": "checking rows", "Done": 250, "Total": 1000}
    assert progress_text(load) == "checking rows [#######.......................]  25 %  250 of 1000"
    assert progress_text({"Phase": "switching", "Done": 0, "Total": 0}) == "switching"
