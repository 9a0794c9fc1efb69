"""A whole node as real processes, for tests: start it, call it, kill a part of it, wait for conditions."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from tests.cluster.ports import free_port_base

ROOT = Path(__file__).parents[2]
WAIT = 90.0  # seconds that a test waits for a condition at most: more than the slowest machine needs


def wait_until(condition: Callable[[], Any], what: str, seconds: float = WAIT, pause: float = 0.01) -> Any:
    """The first true answer of `condition`. Raises AssertionError when none came in time."""
    end = time.monotonic() + seconds
    while True:
        found = condition()
        if found:
            return found
        assert time.monotonic() < end, f"waited {seconds:.0f} s in vain for {what}"
        time.sleep(pause)


def terminate_again_and_again(process: subprocess.Popen[Any]) -> None:
    """SIGTERM, without end until the process has ended."""

    def ended() -> bool:
        process.terminate()
        return process.poll() is not None

    wait_until(ended, "the process to end", pause=0.0005)


class Client:
    """One TCP connection that calls one method after the other."""

    def __init__(self, port: int, timeout: float = WAIT) -> None:
        self.sock = socket.create_connection(("127.0.0.1", port), timeout)
        self._reader = self.sock.makefile("rb")
        self._last = 0

    def send(self, method: str, params: Any) -> int:
        self._last += 1
        request = {"method": method, "params": [params], "id": self._last}
        self.sock.sendall(json.dumps(request).encode() + b"\n")
        return self._last

    def receive(self) -> dict[str, Any]:
        line = self._reader.readline()
        if not line:
            raise ConnectionError("the node has closed the connection")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def call(self, method: str, params: Any) -> dict[str, Any]:
        sent = self.send(method, params)
        answer = self.receive()
        assert answer["id"] == sent, answer
        return answer

    def close(self) -> None:
        self._reader.close()
        self.sock.close()


class NodeRig:
    """A supervisor and its children. As a context it is stopped at the end, gracefully, and must end with status 0."""

    def __init__(
        self, data_dir: Path | None = None, workers: int = 2, ephemeral: bool = False, config: str = "",
        port: int | None = None,
    ) -> None:  # fmt: skip
        self.folder = Path(tempfile.mkdtemp(prefix="cgr-test-"))
        self.data_dir = data_dir or self.folder / "data"
        self.workers = workers
        self.ephemeral = ephemeral
        self.port = free_port_base() if port is None else port
        self.log = self.folder / "log"
        self.config = self.folder / "config.toml"
        self.config.write_text(config)
        self.process: subprocess.Popen[str] | None = None

    # --- life -------------------------------------------------------------------------------------------------

    def spawn(self, workers: int | None = None) -> subprocess.Popen[str]:
        where = ["--ephemeral"] if self.ephemeral else ["--data-dir", str(self.data_dir), "--config", str(self.config)]
        command = [
            sys.executable, "-m", "workers.supervisor", "--announce", "--port-base", str(self.port),
            "--workers", str(workers or self.workers), *where,
        ]  # fmt: skip
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                command, cwd=ROOT, stdout=subprocess.PIPE, stderr=log, text=True, start_new_session=True
            )
        return self.process

    def start(self, workers: int | None = None) -> NodeRig:
        process = self.spawn(workers)
        assert process.stdout is not None
        if "is ready" not in process.stdout.readline():
            raise RuntimeError(f"the node did not start, status {process.wait(WAIT)}:\n{self.log.read_text()}")
        return self

    def fail_to_start(self) -> tuple[int, str]:
        """Exit status and log of a node that cannot run."""
        process = self.spawn()
        out, _ = process.communicate(timeout=WAIT)
        assert out == ""
        return process.returncode, self.log.read_text()

    def stop(self) -> int:
        """SIGTERM to the process group, as a terminal or systemd does it. Answers the exit status."""
        assert self.process is not None and self.process.stdout is not None
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGTERM)
        status = self.process.wait(WAIT)
        self.process.stdout.close()
        self.process = None
        return status

    def __enter__(self) -> NodeRig:
        return self if self.process is not None else self.start()

    def __exit__(self, kind: object, *rest: object) -> None:
        try:
            if self.process is not None:
                status = self.stop()
                assert kind is not None or status == 0, self.log.read_text()
        finally:
            self.discard()

    def discard(self) -> None:
        if self.process is not None and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(WAIT)
        shutil.rmtree(self.folder, ignore_errors=True)

    # --- parts ------------------------------------------------------------------------------------------------

    def pids(self) -> dict[str, int]:
        """Live children by name: `log`, `store`, `worker-0`, …, `balancer`, `folder`."""
        assert self.process is not None
        found = {}
        for child in psutil.Process(self.process.pid).children():
            try:
                with child.oneshot():
                    if child.status() != psutil.STATUS_ZOMBIE and child.name().startswith("cgr-"):
                        found[child.name().removeprefix("cgr-")] = child.pid
            except psutil.NoSuchProcess:
                continue  # it ended while we looked
        return found

    def kill(self, name: str) -> int:
        """kill -9 of a child, as soon as it is there. Answers the pid it had."""
        pid: int = wait_until(lambda: self.pids().get(name), f"{name} to be there")
        os.kill(pid, signal.SIGKILL)
        return pid

    # --- calls ------------------------------------------------------------------------------------------------

    @contextmanager
    def client(self) -> Iterator[Client]:
        client = Client(self.port)
        try:
            yield client
        finally:
            client.close()

    def call(self, method: str, params: Any) -> dict[str, Any]:
        with self.client() as client:
            return client.call(method, params)

    def ok(self, method: str, params: Any) -> Any:
        answer = self.call(method, params)
        assert answer["error"] is None, (method, answer)
        return answer["result"]
