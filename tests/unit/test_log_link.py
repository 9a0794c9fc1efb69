"""A worker's end of the log connection against the log's service, without sockets."""

from __future__ import annotations

import pytest

from cgr_cluster.log import wire
from cgr_cluster.log.format import encode_body, seal
from cgr_cluster.log.journal import Journal
from cgr_cluster.log.link import BacklogError, Link
from cgr_cluster.log.memory_disk import MemoryDisk
from cgr_cluster.log.service import Service
from cgr_cluster.log.wire import Ack, Frames, Refused, Welcome


class Wires:
    """Connections of links to one service."""

    def __init__(self, disk: MemoryDisk | None = None) -> None:
        self.disk = disk or MemoryDisk()
        self.service = Service(Journal(self.disk, lambda: 0, segment_bytes=9000, first_segment_bytes=9000))
        self.count = 0
        self.events: list[Ack | Welcome | Refused] = []

    def connect(self, link: Link) -> int:
        self.count += 1
        self.frames = Frames()
        return self.send(link, self.count, link.connected())

    def send(self, link: Link, connection: int, data: bytes) -> int:
        while data:
            for kind, payload in self.frames.feed(data):
                assert self.service.take(connection, kind, payload)
            data = b""
            for answer in self.service.commit():
                for event, more in link.receive(answer.data):
                    self.events.append(event)
                    data += more
        return connection


@pytest.fixture
def wires() -> Wires:
    return Wires()


def group(number: int, worker: int = 1, incarnation: int = 1, size: int = 100) -> bytes:
    return seal(encode_body([(1, f"account/{number}", bytes(size))]), worker, incarnation, 1, number, 1)


def logged(service: Service) -> list[int]:
    return [g.header.number for g in service.journal.read() if g.header.worker == 1]


def test_groups_are_acknowledged_after_the_commit(wires: Wires) -> None:
    link = Link(1, 1)
    connection = wires.connect(link)
    wires.send(link, connection, link.append(1, group(1)) + link.append(2, group(2)))
    assert [type(event) for event in wires.events] == [Welcome, Ack]
    assert link.acknowledged == 2
    assert link.unacknowledged == 0


def test_what_was_lost_with_the_connection_is_sent_again_and_written_once(wires: Wires) -> None:
    link = Link(1, 1)
    connection = wires.connect(link)
    wires.send(link, connection, link.append(1, group(1)))
    arrived = link.append(2, group(2))
    for kind, payload in Frames().feed(arrived):
        wires.service.take(connection, kind, payload)
    wires.service.commit()  # the answer is lost
    link.disconnected()
    assert link.append(3, group(3)) == b""
    wires.connect(link)
    assert link.acknowledged == 3
    assert logged(wires.service) == [1, 2, 3]


def test_a_repeated_number_is_acknowledged_and_not_written(wires: Wires) -> None:
    link = Link(1, 1)
    connection = wires.connect(link)
    data = link.append(1, group(1))
    wires.send(link, connection, data)
    wires.send(link, connection, data)
    assert link.acknowledged == 1
    assert logged(wires.service) == [1]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (wire.append(group(2)), "GAP"),
        (wire.append(group(1, incarnation=2)), "BAD_GROUP"),
        (wire.append(group(1)[:-1] + b"x"), "BAD_GROUP"),
        (wire.frame(wire.Frame.ACK, b""), "PROTOCOL"),
    ],
)
def test_a_refusal_names_its_reason_and_ends_the_link(wires: Wires, data: bytes, code: str) -> None:
    link = Link(1, 1)
    connection = wires.connect(link)
    wires.send(link, connection, data)
    refusal = wires.events[-1]
    assert isinstance(refusal, Refused)
    assert refusal.code == code
    assert logged(wires.service) == []


def test_invariant_01_the_older_incarnation_is_refused_also_after_the_log_starts_again(wires: Wires) -> None:
    old = Link(1, 1)
    connection = wires.connect(old)
    wires.send(old, connection, old.append(1, group(1)))
    wires.connect(Link(1, 2))
    wires.send(old, connection, old.append(2, group(2)))
    assert isinstance(wires.events[-1], Refused)
    restarted = Wires(wires.disk.process_died())
    restarted.connect(late := Link(1, 1))
    assert late.acknowledged == 0
    assert isinstance(restarted.events[-1], Refused)
    assert restarted.events[-1].code == "FENCED"


def test_invariant_01_is_seen_to_fail_when_hello_does_not_shut_out(
    wires: Wires, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cgr_cluster.log.writers.Writers._admit", lambda self, worker, incarnation: None)
    with pytest.raises((AssertionError, KeyError)):
        test_invariant_01_the_older_incarnation_is_refused_also_after_the_log_starts_again(wires)


def test_invariant_14_unacknowledged_groups_are_bounded(wires: Wires) -> None:
    link = Link(1, 1, max_unacknowledged_bytes=400)
    number = 0
    while link.has_room:
        number += 1
        link.append(number, group(number))
    with pytest.raises(BacklogError):
        link.append(number + 1, group(number + 1))
    wires.connect(link)
    assert link.has_room
    assert link.acknowledged == number


def test_a_group_is_held_while_the_disk_is_full(wires: Wires) -> None:
    link = Link(1, 1)
    connection = wires.connect(link)
    wires.disk.capacity = 9000
    number = 0
    taken = True
    while taken:
        number += 1
        for kind, payload in Frames().feed(link.append(number, group(number, size=1500))):
            taken = wires.service.take(connection, kind, payload)
    wires.service.commit()
    wires.disk.capacity = 100_000
    assert wires.service.take(connection, kind, payload)
    (answer,) = wires.service.commit()
    link.receive(answer.data)
    assert link.acknowledged == number
    assert logged(wires.service) == list(range(1, number + 1))
