"""How a node starts on what it finds: torn and damaged logs, taken ports and directories, no room on the disk (design 6, 12)."""

from __future__ import annotations

import errno
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cgr_cluster.log import inspect
from cgr_cluster.log.data_dir import DataDir
from cgr_cluster.log.segments import segment_name, segment_numbers
from tests.cluster.node_rig import NodeRig, wait_until

pytestmark = pytest.mark.cluster
PLAN = str(Path(__file__).parents[1] / "conformance/tariffplans/sessions_retail")
CANNOT_RUN = 78


def balance(account: str, value: float) -> dict[str, Any]:
    return {"Account": account, "BalanceType": "*monetary", "Value": value, "Balance": {"ID": "main"}}


def value(node: NodeRig, account: str) -> float:
    return float(node.ok("APIerSv2.GetAccount", {"Account": account})["BalanceMap"]["*monetary"][0]["Value"])


@pytest.fixture
def node() -> Iterator[NodeRig]:
    node = NodeRig(workers=1)
    yield node
    node.discard()


def newest_segment(node: NodeRig) -> Path:
    folder = DataDir(node.data_dir).segments
    return Path(folder, segment_name(max(segment_numbers(os.listdir(folder)))))


def with_accounts(node: NodeRig, count: int = 20) -> None:
    node.start()
    for number in range(count):
        node.ok("APIerSv1.SetBalance", balance(f"a{number}", number))


def crash(node: NodeRig) -> None:
    """Everything ends at once, as when the power goes."""
    assert node.process is not None and node.process.stdout is not None
    os.killpg(node.process.pid, 9)
    node.process.wait()
    node.process.stdout.close()
    node.process = None


def test_a_torn_tail_is_cut_and_everything_acknowledged_is_there(node: NodeRig) -> None:
    with_accounts(node)
    crash(node)
    file = newest_segment(node)
    whole = inspect.check(node.data_dir)
    end = max(segment.end for segment in whole.segments)
    with file.open("r+b") as log:
        log.seek(end)
        log.write(b"\x5a" * 300)  # a group of which only a part arrived
    node.start()
    assert [value(node, f"a{number}") for number in range(20)] == list(range(20))
    assert node.stop() == 0


def test_a_flipped_bit_in_the_middle_is_refused_with_file_and_offset(node: NodeRig) -> None:
    with_accounts(node)
    crash(node)
    file = newest_segment(node)
    data = bytearray(file.read_bytes())
    at = data.index(b"account/") + 3
    data[at] ^= 1
    file.write_bytes(data)
    status, log = node.fail_to_start()
    assert status == CANNOT_RUN, log
    errors = [line for line in log.splitlines() if " ERROR log " in line]
    assert errors and file.name in errors[-1], log
    assert "offset" in errors[-1]
    assert "Traceback" not in log


def test_a_second_node_on_the_same_directory_is_refused(node: NodeRig) -> None:
    with_accounts(node, 1)
    second = NodeRig(data_dir=node.data_dir, workers=1)
    try:
        status, log = second.fail_to_start()
        assert status == CANNOT_RUN
        assert str(node.data_dir) in log
        assert "Traceback" not in log
    finally:
        second.discard()
    assert value(node, "a0") == 0  # the first goes on
    assert node.stop() == 0


@pytest.mark.parametrize("listener", ["json", "http"])
def test_a_port_in_use_is_told_with_its_address(node: NodeRig, listener: str) -> None:
    port = node.port + {"json": 0, "http": 2}[listener]
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        taken.listen()
        status, log = node.fail_to_start()
    assert status == CANNOT_RUN, log
    assert f"127.0.0.1:{port} is in use" in log
    assert "Traceback" not in log


def test_a_data_directory_that_is_a_file_is_told(node: NodeRig) -> None:
    node.data_dir.write_text("not a directory")
    status, log = node.fail_to_start()
    assert status == CANNOT_RUN, log
    assert str(node.data_dir) in log
    assert "Traceback" not in log


def test_a_log_that_is_a_file_is_told(node: NodeRig) -> None:
    node.data_dir.mkdir()
    DataDir(node.data_dir).segments.write_text("not a directory")
    status, log = node.fail_to_start()
    assert status == CANNOT_RUN, log
    assert "Traceback" not in log, log


def mount(folder: Path, *options: str) -> None:
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", *options, "tmpfs", str(folder)], capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip(f"a tmpfs cannot be mounted here: {done.stderr.strip()}")


@pytest.fixture
def mounted(node: NodeRig) -> Iterator[Path]:
    """Where a test mounts; it is unmounted at the end."""
    folder = node.folder / "mounted"
    yield folder
    if os.path.ismount(folder):
        subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_directory_that_cannot_be_written_is_told(node: NodeRig, mounted: Path) -> None:
    mount(mounted, "-o", "ro,size=1m")
    node.data_dir = mounted / "data"
    status, log = node.fail_to_start()
    assert status == CANNOT_RUN, log
    assert str(node.data_dir) in log
    assert "Traceback" not in log


def fill(file: Path, left: int) -> None:
    """Take the room of its file system but for `left` bytes; again when somebody has taken some between look and take."""
    while True:
        with file.open("wb") as opened:
            try:
                os.posix_fallocate(opened.fileno(), 0, shutil.disk_usage(file.parent).free - left)
                return
            except OSError as error:
                assert error.errno == errno.ENOSPC


def session(call: str, **fields: Any) -> dict[str, Any]:
    return {
        "OriginID": call, "OriginHost": "sw1", "ToR": "*voice", "RequestType": "*prepaid", "Account": "a0",
        "Destination": "442071112222", "AnswerTime": "2026-03-02T10:00:00Z", **fields,
    }  # fmt: skip


def test_a_full_disk_refuses_new_work_and_lets_sessions_end(node: NodeRig, mounted: Path) -> None:
    mount(mounted, "-o", "size=800m")
    node.data_dir = mounted / "data"
    node.start()
    node.ok("APIerSv1.LoadTariffPlanFromFolder", {"FolderPath": PLAN})
    node.ok("APIerSv1.SetBalance", balance("a0", 100))
    node.ok("SessionSv1.InitiateSession", {"InitSession": True, "Event": session("c", Usage="30s")})
    ballast = mounted / "ballast"
    fill(ballast, left=1 << 20)
    refused = wait_until(lambda: node.call("APIerSv1.SetBalance", balance("a1", 1))["error"], "the node to see it")
    assert "disk" in refused
    end = {"TerminateSession": True, "Event": session("c", Usage="75s")}
    assert node.call("SessionSv1.TerminateSession", end)["error"] is None
    assert value(node, "a0") == 99.25
    assert node.call("SessionSv1.InitiateSession", {"InitSession": True, "Event": session("d", Usage="30s")})["error"]
    ballast.unlink()
    wait_until(lambda: node.call("APIerSv1.SetBalance", balance("a1", 1))["error"] is None, "the node to go on")
    assert node.stop() == 0
    node.start()
    assert value(node, "a0") == 99.25
    assert node.stop() == 0
