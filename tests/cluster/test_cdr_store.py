"""The process of the CDR store over its socket: batches, questions, a worker that was started again."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import zmq

from cgr_cluster.cdrs.queries import CdrQuery, OneOf
from cgr_cluster.cdrs.store import CdrWriter
from cgr_cluster.cdrs.store_wire import Ask, Done, Put, Told, decode, encode, pack_arguments, unpack_result
from cgr_cluster.cdrs.types import TailEntry
from cgr_cluster.engine.codec import pack
from tests.unit.cdrs_world import MARCH_NS, cdr, entry
from workers.cdr_store import StoreProcess

pytestmark = pytest.mark.cluster


class FakeLeash:
    """A supervisor in the same process."""

    def __init__(self) -> None:
        self.down, self.supervisor = os.pipe()
        self.is_ready = threading.Event()

    def ready(self) -> None:
        self.is_ready.set()

    def wanted(self) -> str:
        return "stop" if os.read(self.down, 16) else "gone"


class Client:
    def __init__(self, address: str) -> None:
        self.socket: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.DEALER)
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.setsockopt(zmq.RCVTIMEO, 90_000)
        self.socket.connect(address)
        self.asked = 0

    def put(self, *versions: int, number: int = 1, incarnation: int = 1) -> None:
        entries = [pack(entry(cdr(version), MARCH_NS + version)) for version in versions]
        self.socket.send(encode(Put(0, incarnation, number, entries)))

    def ask(self, name: str, *args: Any) -> Any:
        self.asked += 1
        self.socket.send(encode(Ask(self.asked, name, pack_arguments(args))))
        told = self.receive()
        assert isinstance(told, Told)
        assert told.id == self.asked
        return told.error or unpack_result(name, told.result)

    def receive(self) -> Any:
        return decode(self.socket.recv())


WAIT = 90


@pytest.fixture
def address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:  # what a test patches outlives the process
    leash = FakeLeash()
    address = f"ipc://{tmp_path}/s"
    thread = threading.Thread(target=lambda: StoreProcess(tmp_path / "cdrs", address).run(leash))  # type: ignore[arg-type]
    thread.start()
    assert leash.is_ready.wait(WAIT)
    yield address
    os.write(leash.supervisor, b"s")
    thread.join(WAIT)
    assert not thread.is_alive()


def test_a_store_whose_disk_is_full_still_stops(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the fixture's end, with another batch before it. It must also end with its supervisor, and not wait for the disk
    without it."""
    tried = threading.Event()

    def put(writer: CdrWriter, entries: list[TailEntry]) -> None:
        if not tried.is_set():
            client.put(2, number=2)
        tried.set()
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(CdrWriter, "put", put)
    client = Client(address)
    client.put(1)
    assert tried.wait(WAIT)


def test_batches_are_acknowledged_and_asked_for(address: str) -> None:
    client = Client(address)
    client.put(1, 2, 3)
    assert client.receive() == Done(1, 1)
    client.put(3, 4, number=2)
    assert client.receive() == Done(1, 2)

    assert client.ask("cdrs.count", (), []) == 4
    assert client.ask("cdrs.count", (OneOf("cgrid", ("cgrid-2",)),), []) == 1
    assert [row.cdr for row in client.ask("cdrs.query", CdrQuery(limit=2), [])] == [cdr(1), cdr(2)]
    assert isinstance(client.ask("cdrs.fingerprints", 7), bytes)


def test_what_an_earlier_incarnation_left_is_not_applied(address: str) -> None:
    client = Client(address)
    client.put(1, incarnation=2)
    assert client.receive() == Done(2, 1)
    client.put(2, incarnation=1)
    client.put(3, incarnation=2, number=2)
    assert client.receive() == Done(2, 2)
    assert client.ask("cdrs.count", (), []) == 2


def test_a_question_that_fails_is_answered(address: str) -> None:
    client = Client(address)
    client.put(1)
    assert client.receive() == Done(1, 1)
    error = client.ask("cdrs.query", CdrQuery((OneOf("no_such_column", ("x",)),)), [])
    assert error.startswith("SERVER_ERROR: CDR store: ")
