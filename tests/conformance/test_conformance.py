"""All recorded scenarios in process, in three layouts, and every tenth that has no times of its own over the wire (design 9).

`pending.txt` lists the scenarios that need a subsystem which is not built; one of them that passes makes a test fail,
so that the list stays honest.
"""

from __future__ import annotations

import datetime
import json
import time
from pathlib import Path

import pytest

from tests.cluster.node_rig import WAIT, NodeRig
from tests.conformance import inprocess

SCENARIOS = inprocess.ROOT / "scenarios"
PENDING = dict(
    line.split(": ", 1)
    for line in (inprocess.ROOT / "pending.txt").read_text().splitlines()
    if line and not line.startswith("#")
)
NAMES = [str(file.relative_to(SCENARIOS)) for file in inprocess.scenario_files([SCENARIOS])]
READY = [name for name in NAMES if name not in PENDING]


def has_own_times(name: str) -> bool:
    """It sleeps, and expects what has happened by then and no more: in real time a matter of the machine's speed."""
    return any("sleep" in step for step in json.loads((SCENARIOS / name).read_text())["steps"])


OVER_THE_WIRE = [name for name in READY[::10] if not has_own_times(name)]
LAYOUTS = {"one worker": (1, False), "three workers": (3, False), "three workers, a kill before each step": (3, True)}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", READY)
def test_scenario(name: str, layout: str) -> None:
    workers, kill = LAYOUTS[layout]
    differences, _, _ = inprocess.run_scenario(SCENARIOS / name, workers, kill)
    assert not differences, "\n".join([name, *differences])


@pytest.mark.parametrize("name", PENDING)
def test_pending_scenario_is_still_pending(name: str) -> None:
    assert name in NAMES, f"{name} is in pending.txt and does not exist"
    differences, _, _ = inprocess.run_scenario(SCENARIOS / name)
    assert differences, f"{name} passes (it lacked {PENDING[name]}): remove its line from tests/conformance/pending.txt"


@pytest.mark.cluster
@pytest.mark.parametrize("name", OVER_THE_WIRE)
def test_scenario_over_the_wire(name: str) -> None:
    """A fresh node of two workers, real time, one TCP connection: the scenario as conform.py runs it."""
    with NodeRig(workers=2, ephemeral=True) as node:
        differences = conformance_over_the_wire(node, name)
    assert not differences, "\n".join([name, *differences])


def conformance_over_the_wire(node: NodeRig, name: str) -> list[str]:
    conform = inprocess.conform
    conform.time, conform.datetime = time, datetime  # the layouts in process replace them
    scenario = json.loads(Path(SCENARIOS, name).read_text())
    client = conform.Client("127.0.0.1", node.port, WAIT)
    out = []
    for index, call, found, _ in conform.run(scenario, client, {"tp": str(inprocess.ROOT / "tariffplans")}):
        if found:
            out += [f"  step {index} {call}", *(f"    {line}" for line in found[:12])]
    client.sock.close()
    return out
