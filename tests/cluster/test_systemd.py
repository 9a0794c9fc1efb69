"""What the supervisor tells systemd (Type=notify, WatchdogSec), heard on a socket like systemd's."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from tests.cluster.node_rig import ROOT, WAIT, wait_until
from tests.cluster.ports import free_port_base
from workers import supervisor

UNIT = ROOT / "conf" / "systemd" / "cgr-cluster.service"


def test_a_systemd_that_does_not_listen_holds_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    monkeypatch.setattr(supervisor, "NOTIFY_SECONDS", 0.01)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        told = 0
        while not caplog.records:
            supervisor._notify_systemd("WATCHDOG=1")
            told += 1
        assert caplog.messages == ["systemd could not be told WATCHDOG=1: timed out"]
        assert told > 1


@pytest.mark.cluster
def test_ready_watchdog_and_stopping(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(WAIT)
        environment = {**os.environ, "NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "200000"}
        command = [sys.executable, "-m", "workers.supervisor", "--workers", "1", "--port-base", str(free_port_base())]
        node = subprocess.Popen(
            [*command, "--data-dir", str(tmp_path / "data")], cwd=ROOT, env=environment, stderr=subprocess.DEVNULL
        )
        try:
            heard: list[bytes] = []
            while b"READY=1" not in heard:
                heard.append(systemd.recv(64))
            for _ in range(3):  # it goes on while nothing happens
                assert systemd.recv(64) == b"WATCHDOG=1"
            node.send_signal(signal.SIGTERM)
            end = time.monotonic() + WAIT
            while heard[-1] != b"STOPPING=1" and time.monotonic() < end:
                heard.append(systemd.recv(64))
            systemd.setblocking(False)

            def ended() -> bool:  # what it still says is taken, as systemd does: its socket holds a few messages only
                with suppress(BlockingIOError):
                    systemd.recv(64)
                return node.poll() is not None

            wait_until(ended, "the node to end")
            assert node.returncode == 0
        finally:
            node.kill()
            node.wait(WAIT)
    assert set(heard) <= {b"WATCHDOG=1", b"READY=1", b"STOPPING=1"}
    assert heard[-1] == b"STOPPING=1"


def test_the_unit_starts_what_there_is() -> None:
    """Its options are the supervisor's, and it stops no sooner than the supervisor does."""
    from workers.supervisor import FATAL, ORDER_OF_STOP, STOP_SECONDS

    text = UNIT.read_text()
    line = re.search(r"^ExecStart=\S+ -m workers\.supervisor (.*)$", text, re.MULTILINE)
    assert line is not None
    assert set(re.findall(r"--[a-z-]+", line[1])) == {"--config", "--data-dir"}
    assert f"RestartPreventExitStatus={FATAL}" in text
    stop = re.search(r"^TimeoutStopSec=(\d+)$", text, re.MULTILINE)
    assert stop is not None and int(stop[1]) > STOP_SECONDS * len(ORDER_OF_STOP)
