"""The log on a disk that loses what was not synced: whatever the moment and whatever survives, whole groups and no acknowledged one lost."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cgr_cluster.log import journal as journal_module
from cgr_cluster.log.disk import Disk
from cgr_cluster.log.errors import CorruptionError, DiskFullError
from cgr_cluster.log.format import HEADER_BYTES, LOG_WORKER, decode_body, encode_body, seal
from cgr_cluster.log.journal import Journal
from cgr_cluster.log.memory_disk import MemoryDisk
from cgr_cluster.log.recovery import find_end
from cgr_cluster.log.segments import SEGMENT_HEADER_BYTES, segment_name, segment_numbers, walk


class DiedError(Exception):
    """The process or the machine stops at this operation of the disk."""


def open_journal(disk: Disk) -> Journal:
    return Journal(disk, lambda: 0, segment_bytes=6000, first_segment_bytes=3000)


@dataclass
class Driver:
    """Workers that write numbered groups and remember which of them were acknowledged."""

    rng: random.Random
    sent: dict[int, list[bytes]] = field(default_factory=lambda: {1: [], 2: []})
    acknowledged: dict[int, int] = field(default_factory=lambda: {1: 0, 2: 0})

    def run(self, journal: Journal, batches: int) -> None:
        for worker in self.sent:
            last = journal.hello(worker, 1, self.acknowledged[worker])
            journal.commit()
            assert last >= self.acknowledged[worker]
            for group in self.sent[worker][last:]:
                journal.append(group)
        for _ in range(batches):
            for worker, groups in self.sent.items():
                for _ in range(self.rng.randrange(3)):
                    groups.append(self.group(worker, len(groups) + 1))
                    journal.append(groups[-1])
            if self.rng.random() < 0.2:
                journal.roll()
            journal.commit()
            for worker, groups in self.sent.items():
                self.acknowledged[worker] = len(groups)

    def group(self, worker: int, number: int) -> bytes:
        value = bytes([number % 256]) * self.rng.randrange(1, 900)
        return seal(encode_body([(worker, f"account/{number}", value)]), worker, 1, 1, number, 1)

    def check(self, disk: Disk) -> None:
        """What the disk holds is a prefix of whole groups of each worker, with all that was acknowledged."""
        found: dict[int, list[bytes]] = {1: [], 2: []}
        for group in open_journal(disk).read():
            if group.header.worker != LOG_WORKER:
                found[group.header.worker].append(bytes(group.body))
        for worker, groups in self.sent.items():
            assert found[worker] == [sent[HEADER_BYTES:] for sent in groups][: len(found[worker])]
            assert len(found[worker]) >= self.acknowledged[worker]


def crash_and_check(seed: int) -> None:
    rng = random.Random(seed)
    driver = Driver(rng)
    disk = MemoryDisk()
    for _ in range(rng.randrange(1, 5)):
        left = rng.randrange(1, 60)

        def before(operation: str) -> None:
            nonlocal left
            left -= 1
            if left <= 0:
                raise DiedError(operation)

        disk.before = before
        try:
            driver.run(open_journal(disk), batches=rng.randrange(12))
        except DiedError:
            pass
        disk = disk.process_died() if rng.random() < 0.3 else disk.crash(rng)
        driver.check(disk.crash(rng))  # any other way the same moment could have ended
    driver.check(disk)


@given(st.integers(0, 1 << 32))
@settings(max_examples=150, deadline=None)
def test_invariant_05_a_crash_at_any_operation_leaves_a_prefix_of_whole_groups(seed: int) -> None:
    crash_and_check(seed)


def run_seeds() -> None:
    for seed in range(300):
        crash_and_check(seed)


def test_invariant_03_is_seen_to_fail_when_a_commit_does_not_sync(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MemoryDisk, "sync", lambda self, name: self.before("sync"))
    with pytest.raises((AssertionError, CorruptionError)):
        run_seeds()


def test_invariant_05_is_seen_to_fail_when_bodies_are_not_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cgr_cluster.log.segments.check_body", lambda header, body, offset: None)
    with pytest.raises((AssertionError, CorruptionError)):
        run_seeds()


def test_invariant_03_is_seen_to_fail_when_a_start_trusts_what_was_not_proven(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a failed sync the page cache shows groups that the medium does not have."""

    def trusting(read: object, numbers: list[int]) -> journal_module.Recovered:
        found = real(read, numbers)  # type: ignore[arg-type]
        for group in found.tail:
            journal_module.replay(found.writers, group, found.segment)
        return found._replace(end=found.end._replace(proven=found.end.end), tail=[])

    real = journal_module.recover
    failed_sync_scenario()
    monkeypatch.setattr(journal_module, "recover", trusting)
    with pytest.raises((AssertionError, CorruptionError)):
        failed_sync_scenario()


def failed_sync_scenario() -> None:
    """Given a sync that failed, when the process restarts, acknowledges what it finds, and the power goes, then nothing is lost."""
    disk = MemoryDisk()
    driver = Driver(random.Random(5))
    driver.run(open_journal(disk), batches=3)
    journal = open_journal(disk)
    driver.run(journal, batches=2)
    disk.fail_next_sync = True
    group = driver.group(1, len(driver.sent[1]) + 1)
    driver.sent[1].append(group)
    journal.append(group)
    with pytest.raises(OSError):
        journal.commit()
    with pytest.raises(RuntimeError, match="must be opened again"):
        journal.commit()
    disk = disk.process_died()
    driver.run(open_journal(disk), batches=0)
    driver.acknowledged[1] = len(driver.sent[1])
    for seed in range(20):
        driver.check(disk.crash(random.Random(seed)))


def written_segment() -> tuple[MemoryDisk, Driver, str]:
    disk = MemoryDisk()
    driver = Driver(random.Random(1))
    journal = Journal(disk, lambda: 0, segment_bytes=20_000, first_segment_bytes=20_000)
    for worker in (1, 2):
        journal.hello(worker, 1)
    for number in range(1, 9):
        driver.sent[1].append(driver.group(1, number))
        journal.append(driver.sent[1][-1])
        if number % 2 == 0 and number < 8:
            journal.commit()
            driver.acknowledged[1] = number
    journal.commit()  # groups 7 and 8 reached the disk but nobody was told
    return disk, driver, segment_name(1)


def test_invariant_05_a_cut_at_any_byte_behind_the_last_sync_recovers_a_prefix() -> None:
    disk, driver, name = written_segment()
    whole = disk.read(name)
    end = find_end(whole, 1)
    for cut in range(end.proven, end.end + 1, 7):
        torn = disk.process_died()
        torn.write(name, cut, bytes(len(whole) - cut))
        driver.check(torn)


def test_invariant_05_a_flipped_bit_is_either_the_unacknowledged_tail_or_refused() -> None:
    disk, driver, name = written_segment()
    end = find_end(disk.read(name), 1)
    for offset in range(0, end.end, 11):
        damaged = disk.process_died()
        damaged.flip(name, offset, 0x10)
        if offset >= end.proven:
            driver.check(damaged)
        else:
            with pytest.raises(CorruptionError) as caught:
                open_journal(damaged)
            assert caught.value.file == name
            assert caught.value.offset <= offset


def test_a_full_disk_takes_nothing_and_goes_on_when_there_is_room() -> None:
    disk = MemoryDisk(capacity=7000)
    driver = Driver(random.Random(2))
    journal = open_journal(disk)
    journal.hello(1, 1)
    groups = [driver.group(1, number) for number in range(1, 40)]
    taken = 0
    with pytest.raises(DiskFullError):
        for group in groups:
            journal.append(group)
            taken += 1
    journal.commit()
    disk.capacity = 30_000
    for group in groups[taken:]:
        journal.append(group)
    journal.commit()
    assert [group.header.number for group in journal.read() if group.header.worker == 1] == list(range(1, 40))


def test_what_was_synced_last_is_proven_when_nothing_follows() -> None:
    disk = MemoryDisk()
    driver = Driver(random.Random(3))
    journal = open_journal(disk)
    driver.run(journal, batches=2)
    journal.append(driver.group(1, len(driver.sent[1]) + 1))
    journal.prove()
    proof = journal.durable
    journal.prove()
    assert journal.durable == proof, "one proof is enough"
    name = segment_name(segment_numbers(disk.names())[-1])
    data = disk.read(name)
    *_, last = walk(data, journal.durable.segment, SEGMENT_HEADER_BYTES, find_end(data, journal.durable.segment).end)
    assert last.header.synced == last.offset
    assert decode_body(last.body) == []
    disk.flip(name, last.offset - 1)
    with pytest.raises(CorruptionError):
        open_journal(disk)
