"""The supervisor and children that die, or are told to stop, at awkward moments (`workers/supervisor.py`)."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.cluster.node_rig import ROOT, WAIT, NodeRig, terminate_again_and_again

pytestmark = pytest.mark.cluster


def run(case: str) -> list[str]:
    """What the children of the case (`supervised.py`) have told."""
    command = [sys.executable, "-m", "tests.cluster.supervised", case]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=WAIT, check=False)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout.splitlines()


def test_a_child_that_dies_is_told_whether_it_has_served() -> None:
    """A leader that dies while the node starts must still do what belongs to the start of the node."""
    assert run("a_child_that_dies_is_told_whether_it_has_served") == [
        "life 1: restarted=False",
        "life 2: restarted=False",
        "life 3: restarted=True",
    ]


def test_what_waits_for_its_next_start_is_not_started_by_the_stop() -> None:
    assert run("what_waits_for_its_next_start_is_not_started_by_the_stop") == ["balancer", "worker stops"]


def test_a_stop_that_comes_before_anything_is_started() -> None:
    assert run("a_stop_that_comes_before_anything_is_started") == []


def test_a_node_that_is_told_to_stop_again_and_again_stops_once() -> None:
    node = NodeRig(workers=1)
    try:
        node.start()
        assert node.process is not None
        terminate_again_and_again(node.process)
        assert node.stop() == 0, node.log.read_text()
        assert "Traceback" not in node.log.read_text()
    finally:
        node.discard()
