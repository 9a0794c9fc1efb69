"""A real balancer process with a fake worker behind it: what tests of the wire need."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import zmq

from cgr_cluster.routing import wire
from tests.cluster.ports import free_port_base

ROOT = Path(__file__).parents[2]
WAIT = 90.0  # seconds that a test waits for something at most: more than the slowest machine needs

Handler = Callable[["FakeWorker", wire.RequestItem], tuple[bool, bytes] | None]


def default_handler(worker: FakeWorker, item: wire.RequestItem) -> tuple[bool, bytes] | None:
    """Ping, a CoreSv1.Sleep that really takes its time, CoreSv1.Status, and an echo of anything else."""
    if item.method == "CoreSv1.Sleep":
        seconds = json.loads(item.params).get("Duration", 0) / 1e9
        worker.later(seconds, item.uid, False, b'"OK"')
        return None
    if item.method.endswith(".Ping"):
        return (False, b'"Pong"')
    if item.method == "CoreSv1.Status":
        return (False, b'{"node_id":"fake"}')
    return (False, item.params)


class FakeWorker(threading.Thread):
    """Speaks wire.py; answers calls by its handler. Only its own thread touches the socket."""

    def __init__(
        self, address: str, handler: Handler = default_handler, number: int = 0, incarnation: int = 1,
        shards: list[int] | None = None,
    ) -> None:  # fmt: skip
        super().__init__(daemon=True)
        self.address = address
        self.handler = handler
        self.number = number
        self.incarnation = incarnation
        self.shards = list(range(256)) if shards is None else shards
        self.batches: list[wire.Batch] = []
        self.replies: list[wire.TellReply] = []
        self.welcomed = threading.Event()
        self._commands: list[Callable[[zmq.Socket[bytes]], None]] = []
        self._wake = os.pipe()
        self._ending = False
        self._lock = threading.Lock()
        self.start()

    def run(self) -> None:
        context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        sock = context.socket(zmq.DEALER)
        sock.setsockopt(zmq.LINGER, 0)
        sock.setsockopt(zmq.ROUTING_ID, wire.worker_link(self.number, self.incarnation))
        sock.connect(self.address)
        hello = wire.Hello(wire.VERSION, self.number, self.incarnation, 1, self.shards, 1, "cgrates.org")
        sock.send(wire.encode(hello))
        poller = zmq.Poller()
        poller.register(sock, zmq.POLLIN)
        poller.register(self._wake[0], zmq.POLLIN)
        while not self._ending:
            for ready, _ in poller.poll(1000):
                if ready == self._wake[0]:
                    os.read(self._wake[0], 100)
                    with self._lock:
                        commands, self._commands = self._commands, []
                    for command in commands:
                        command(sock)
                else:
                    self._received(sock, wire.decode_to_worker(sock.recv()))
        sock.close()
        context.term()

    def _received(self, sock: zmq.Socket[bytes], message: wire.ToWorker) -> None:
        if isinstance(message, wire.Welcome):
            self.welcomed.set()
        elif isinstance(message, wire.TellReply):
            self.replies.append(message)
        else:
            self.batches.append(message)
            answered = [(item.uid, self.handler(self, item)) for item in message.requests]
            items = [wire.AnswerItem(uid, *answer) for uid, answer in answered if answer is not None]
            sock.send(wire.encode(wire.Answers(message.number, items)))

    def do(self, command: Callable[[zmq.Socket[bytes]], None]) -> None:
        with self._lock:
            self._commands.append(command)
        os.write(self._wake[1], b"x")

    def send(self, message: wire.FromWorker) -> None:
        self.do(lambda sock: sock.send(wire.encode(message)))

    def later(self, seconds: float, uid: str, failed: bool, body: bytes) -> None:
        def due() -> None:
            self.send(wire.Answers(self.batches[-1].number, [wire.AnswerItem(uid, failed, body)]))

        timer = threading.Timer(seconds, due)
        timer.daemon = True
        timer.start()

    def requests(self) -> list[wire.RequestItem]:
        return [item for batch in self.batches for item in batch.requests]

    def end(self) -> None:
        def stop(sock: zmq.Socket[bytes]) -> None:
            self._ending = True

        self.do(stop)
        self.join(WAIT)


class Rig:
    """A balancer on free ports. `config`: TOML text."""

    def __init__(self, config: str = "") -> None:
        self.folder = tempfile.mkdtemp(prefix="cgr-")
        self.link = f"ipc://{self.folder}/balancer"
        base = free_port_base()
        self.json, self.http, self.bijson = base, base + 2, base + 3
        self.log = Path(self.folder, "log")
        path = Path(self.folder, "config.toml")
        path.write_text(config)
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "balancer", "--link", self.link, "--json", f"127.0.0.1:{self.json}",
                 "--http", f"127.0.0.1:{self.http}", "--bijson", f"127.0.0.1:{self.bijson}",
                 "--config", str(path), "--with-parent"],
                cwd=ROOT, stdout=subprocess.PIPE, stderr=log,
            )  # fmt: skip
        assert self.process.stdout is not None
        if self.process.stdout.readline() != b"ready\n":
            raise RuntimeError(self.log.read_text())
        self.workers: list[FakeWorker] = []

    def worker(self, handler: Handler = default_handler, **options: Any) -> FakeWorker:
        worker = FakeWorker(self.link, handler, **options)
        self.workers.append(worker)
        assert worker.welcomed.wait(WAIT)
        return worker

    def connect(self, port: int | None = None) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.json if port is None else port), WAIT)

    def stop(self) -> int:
        for worker in self.workers:
            worker.end()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(WAIT)
        assert self.process.stdout is not None
        self.process.stdout.close()
        shutil.rmtree(self.folder)
        return status


def send_to(sock: socket.socket, data: bytes, end: bool = False) -> None:
    """Send to one who may close before it has read everything; `end`: shut the sending side then."""
    with suppress(BrokenPipeError, ConnectionResetError):
        sock.sendall(data)
        if end:
            sock.shutdown(socket.SHUT_WR)


def read_all(sock: socket.socket) -> bytes:
    """Everything until the other side closes, be it with a reset since something that came late is not read any more."""
    out = b""
    with suppress(ConnectionResetError):
        while chunk := sock.recv(1 << 16):
            out += chunk
    return out


def read_exactly(sock: socket.socket, size: int) -> bytes:
    """So many bytes, in however many pieces they come; fewer when the other side closes."""
    out = b""
    while len(out) < size and (chunk := sock.recv(size - len(out))):
        out += chunk
    return out


def read_to(sock: socket.socket, end: bytes) -> bytes:
    """What comes, up to the piece with `end` in it, or until the other side closes."""
    out = b""
    while end not in out and (chunk := sock.recv(1 << 16)):
        out += chunk
    return out


def read_lines(sock: socket.socket, count: int) -> list[bytes]:
    """`count` answers, or fewer when the other side closes."""
    data = b""
    while data.count(b"\n") < count:
        chunk = sock.recv(1 << 16)
        if not chunk:
            break
        data += chunk
    return data.splitlines()
