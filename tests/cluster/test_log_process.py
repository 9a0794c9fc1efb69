"""The log process and the folder as real processes on real files: killed, damaged, full."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cgr_cluster.log import client, inspect
from cgr_cluster.log.checkpoint import load, position
from cgr_cluster.log.client import LogClient
from cgr_cluster.log.data_dir import DataDir
from cgr_cluster.log.errors import RefusalError
from cgr_cluster.log.format import encode_body, seal
from cgr_cluster.log.recovery import find_end
from cgr_cluster.log.segments import segment_name, segment_numbers
from tests.cluster.node_rig import WAIT

pytestmark = pytest.mark.cluster
ROOT = Path(__file__).resolve().parents[2]


class LogNode:
    """A data directory and the processes on it."""

    def __init__(self, path: Path, *options: str) -> None:
        self.place = DataDir(path)
        self.socket = str(path / "log.sock")
        self.options = options
        self.processes: list[subprocess.Popen[str]] = []

    def start(self) -> subprocess.Popen[str]:
        process = self.spawn("workers.log_process", *self.options)
        assert process.stderr is not None
        line = process.stderr.readline()
        assert " ready in " in line, line
        return process

    def spawn(self, module: str, *options: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", module, "--data-dir", str(self.place.path), *options]
        process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
        self.processes.append(process)
        return process

    def fail_to_start(self) -> str:
        process = self.spawn("workers.log_process", *self.options)
        _, errors = process.communicate(timeout=WAIT)
        assert process.returncode == 78
        _, found, text = errors.splitlines()[-1].partition("cannot start: ")
        assert found
        return text

    def stop_all(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.wait()
            assert process.stderr is not None
            process.stderr.close()


@pytest.fixture
def node(tmp_path: Path) -> Iterator[LogNode]:
    node = LogNode(tmp_path / "data", "--segment-bytes", "400000", "--first-segment-bytes", "100000")
    yield node
    node.stop_all()


def group(number: int, worker: int = 1, incarnation: int = 1, size: int = 300) -> bytes:
    return seal(
        encode_body([(worker, f"account/{number}", number.to_bytes(8, "big") + bytes(size))]),
        worker,
        incarnation,
        1,
        number,
        1,
    )


class Worker:
    """A client that appends numbered groups as fast as they are acknowledged, some in flight."""

    def __init__(self, node: LogNode, worker: int = 1, incarnation: int = 1) -> None:
        self.worker = worker
        self.incarnation = incarnation
        self.refused: list[str] = []
        self.low_disk = False
        self.moved = asyncio.Event()
        self.client = LogClient(node.socket, worker, incarnation, self.on_ack, self.on_refused)

    def on_ack(self, number: int, low_disk: bool) -> None:
        self.low_disk = low_disk
        self.moved.set()

    def on_refused(self, code: str, text: str) -> None:
        self.refused.append(code)
        self.moved.set()

    @property
    def acknowledged(self) -> int:
        return self.client.link.acknowledged

    async def append_to(self, number: int, window: int = 20) -> None:
        link = self.client.link
        while self.acknowledged < number and not self.refused:
            while link.appended < number and link.unacknowledged < window:
                following = link.appended + 1
                self.client.append(following, group(following, self.worker, self.incarnation))
            self.moved.clear()
            if self.acknowledged < number:
                await asyncio.wait_for(self.moved.wait(), WAIT)


def numbers_in(node: LogNode, worker: int = 1) -> list[int]:
    rows = load([worker], node.place.path)
    return sorted(int.from_bytes(value[:8], "big") for _, _, value in rows)


def logged_numbers(node: LogNode, worker: int = 1) -> list[int]:
    lines = (json.loads(line) for line in inspect.dump(node.place.path, shard=worker))
    return [line["number"] for line in lines]


def test_invariant_03_kill_in_the_middle_of_a_stream_loses_nothing_and_repeats_nothing(node: LogNode) -> None:
    async def scenario() -> None:
        process = node.start()
        one, two = Worker(node, 1), Worker(node, 2)
        await asyncio.gather(one.client.start(), two.client.start())
        for kill in range(1, 6):
            streams = asyncio.gather(one.append_to(kill * 400), two.append_to(kill * 300))
            while one.acknowledged < kill * 400 - 350:
                await asyncio.sleep(0.001)
            process.kill()
            process.wait()
            acknowledged = one.acknowledged
            process = node.start()
            await streams
            assert logged_numbers(node)[:acknowledged] == list(range(1, acknowledged + 1))
        one.client.close()
        two.client.close()
        process.send_signal(signal.SIGTERM)
        assert process.wait(WAIT) == 0

    asyncio.run(scenario())
    assert logged_numbers(node, 1) == list(range(1, 2001))
    assert logged_numbers(node, 2) == list(range(1, 1501))
    assert numbers_in(node, 2) == list(range(1, 1501))
    report = inspect.check(node.place.path)
    assert report.problem == ""
    assert report.last_numbers[1].number == 2000


def test_invariant_05_a_torn_tail_is_cut_and_a_flipped_bit_before_it_refused(node: LogNode) -> None:
    async def write(incarnation: int) -> None:
        worker = Worker(node, 1, incarnation)
        await worker.client.start()
        await worker.append_to(50, window=1)
        worker.client.close()

    process = node.start()
    asyncio.run(write(1))
    process.kill()
    process.wait()
    newest = segment_numbers(os.listdir(node.place.segments))[-1]
    path = node.place.segments / segment_name(newest)
    whole = path.read_bytes()
    end = find_end(whole, newest)
    path.write_bytes(whole[: end.end - 330] + bytes(len(whole) - end.end + 330))
    node.start().kill()
    assert logged_numbers(node) == list(range(1, 50))
    node.stop_all()

    newest = segment_numbers(os.listdir(node.place.segments))[-1]
    damaged = bytearray(whole)
    damaged[end.proven - 2000] ^= 8
    path.write_bytes(damaged)
    text = node.fail_to_start()
    assert segment_name(newest - 1) in text
    report = inspect.check(node.place.path)
    assert f"at offset {report.bad_offset}" in text


def test_invariant_01_a_fenced_worker_is_refused_by_code(node: LogNode) -> None:
    async def scenario() -> None:
        node.start()
        old = Worker(node, 1, 1)
        await old.client.start()
        await old.append_to(5)
        await asyncio.to_thread(client.fence, node.socket, 1, 1)
        await old.append_to(6)
        assert old.refused == ["FENCED"]
        with pytest.raises(RefusalError, match="only incarnation 2 may write"):
            await Worker(node, 1, 1).client.start()
        new = Worker(node, 1, 2)
        welcome = await new.client.start()
        assert welcome.last_number == 0
        rows = list(load([1], node.place.path, welcome.durable))
        assert len(rows) == 5
        new.client.close()

    asyncio.run(scenario())


def test_a_second_log_process_is_refused_with_the_pid_of_the_first(node: LogNode) -> None:
    process = node.start()
    assert f"in use by the log process with pid {process.pid}" in node.fail_to_start()


def test_the_folder_folds_on_demand_and_drops_segments(node: LogNode) -> None:
    async def write() -> None:
        worker = Worker(node)
        await worker.client.start()
        await worker.append_to(3000, window=200)
        worker.client.close()

    node.start()
    folder = node.spawn("workers.folder", "--interval", "1000")
    assert folder.stderr is not None
    assert " ready: " in folder.stderr.readline()
    asyncio.run(write())
    assert len(segment_numbers(os.listdir(node.place.segments))) > 2
    folder.send_signal(signal.SIGUSR1)
    line = folder.stderr.readline()
    assert "folded" in line
    assert "3000 rows" in line
    assert position(node.place.path) == client.stats(node.socket)["segment"]
    assert len(segment_numbers(os.listdir(node.place.segments))) == 1
    assert numbers_in(node) == list(range(1, 3001))
    folder.send_signal(signal.SIGTERM)
    assert folder.wait(WAIT) == 0


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)], capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip(f"a small file system cannot be mounted: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_is_told_before_it_is_full_and_nothing_is_lost(small_disk: Path) -> None:
    node = LogNode(
        small_disk / "data",
        *("--segment-bytes", "500000", "--first-segment-bytes", "500000", "--low-disk-bytes", "1200000"),
    )
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(1_400_000))

    async def scenario() -> None:
        process = node.start()
        worker = Worker(node)
        await worker.client.start()
        while not worker.low_disk:
            await worker.append_to(worker.acknowledged + 20)
            await asyncio.sleep(0.01)
        told_at = worker.acknowledged
        await worker.append_to(told_at + 500)  # from the reserve: what ends and gives back
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(worker.append_to(20_000), 0.8)
        assert worker.acknowledged < 20_000
        assert not worker.refused
        assert process.poll() is None
        ballast.unlink()
        total = worker.client.link.appended
        await worker.append_to(total)
        worker.client.close()
        assert logged_numbers(node) == list(range(1, total + 1))

    try:
        asyncio.run(scenario())
    finally:
        node.stop_all()


def test_a_data_directory_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    node = LogNode(tmp_path / "file" / "data")
    assert "cannot be made" in node.fail_to_start()


def test_a_client_connects_when_the_log_process_comes_up(node: LogNode) -> None:
    async def scenario() -> None:
        worker = Worker(node)
        starting = asyncio.create_task(worker.client.start())
        await asyncio.sleep(0.05)
        await asyncio.to_thread(node.start)
        assert (await starting).last_number == 0
        worker.client.close()

    asyncio.run(scenario())
