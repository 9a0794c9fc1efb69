"""Methods about the processes of a node (spec chapter 70, section 2)."""

from __future__ import annotations

import pstats
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest

from cgr_cluster.config import settings
from cgr_cluster.node import profiling
from cgr_cluster.node.node import Node
from tests.calls import error, ok

S = 10**9


@pytest.fixture(params=[1, 3], ids=["one worker", "three workers"])
def node(request: pytest.FixtureRequest) -> Iterator[Node]:
    """What a failing test leaves switched on is switched off."""
    yield Node(request.param)
    profiling.stop_cpu()
    profiling.stop_memory()


@pytest.mark.parametrize(("kind", "text"), [("CPU", "CPU"), ("Memory", "memory")])
def test_errors_of_profiles(node: Node, tmp_path: Path, kind: str, text: str) -> None:
    start, stop = f"CoreSv1.Start{kind}Profiling", f"CoreSv1.Stop{kind}Profiling"
    assert error(node, start) == "MANDATORY_IE_MISSING: [DirPath]"
    assert error(node, stop) == f"stop {text} profiling: not started yet"
    (tmp_path / "file").write_text("")
    assert error(node, start, DirPath=str(tmp_path / "file")).startswith("SERVER_ERROR: ")
    assert error(node, stop) == f"stop {text} profiling: not started yet"
    assert ok(node, start, DirPath=str(tmp_path)) == "OK"
    assert error(node, start, DirPath=str(tmp_path)) == f"start {text} profiling: already started"
    assert ok(node, stop) == "OK"
    assert error(node, stop) == f"stop {text} profiling: not started yet"


def test_a_cpu_profile_says_what_has_run(node: Node, tmp_path: Path) -> None:
    folder = tmp_path / "new" / "profiles"
    ok(node, "CoreSv1.StartCPUProfiling", DirPath=str(folder))
    ok(node, "APIerSv2.SetAccount", Account="1001")
    ok(node, "CoreSv1.StopCPUProfiling")
    (file,) = folder.iterdir()  # one process
    assert file.name.startswith("cpu-") and file.suffix == ".prof"
    stats = pstats.Stats(str(file)).stats  # type: ignore[attr-defined]  # typeshed lacks it
    assert any(source.endswith("cgr_cluster/engine/engine.py") for source, _, _ in stats)


def test_a_memory_profile_says_who_has_allocated(node: Node, tmp_path: Path) -> None:
    ok(node, "CoreSv1.StartMemoryProfiling", DirPath=str(tmp_path), Interval=3600 * S, UseTimestamp=True)
    for number in range(50):
        ok(node, "APIerSv2.SetAccount", Account=f"{number}")
    ok(node, "CoreSv1.StopMemoryProfiling")
    assert not tracemalloc.is_tracing()
    (file,) = tmp_path.iterdir()
    found = tracemalloc.Snapshot.load(str(file)).statistics("filename")
    assert any("cgr_cluster/engine" in statistic.traceback[0].filename for statistic in found)


def test_so_many_files_of_memory_profiles_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files come by themselves; the newest are kept, the last one is that of the end."""
    monkeypatch.setattr(profiling, "LEAST_INTERVAL_S", 0.001)
    assert profiling.start_memory("u", str(tmp_path), 1, 2, False)
    thread = profiling._memory
    assert thread is not None
    while thread._number < 4:
        thread._stopped.wait(0.001)
    assert profiling.stop_memory() == ""
    assert sorted(int(file.stem.rpartition("-")[2]) for file in tmp_path.iterdir()) == [
        thread._number - 1,
        thread._number,
    ]


def test_a_disk_that_takes_no_file_is_told(tmp_path: Path) -> None:
    assert profiling.start_memory("u", str(tmp_path / "gone"), 0, 0, False)
    assert str(profiling.stop_memory()).startswith("No such file or directory: ")


@pytest.mark.parametrize(
    ("method", "key", "does"),
    [("CoreSv1.Panic", "allow_panic", "panic"), ("Responder.Shutdown", "allow_shutdown", "stop_node")],
)
def test_what_ends_processes_must_be_allowed(method: str, key: str, does: str) -> None:
    refused = (
        f"SERVER_ERROR: {method} is not allowed on this node; {key} in section cluster of its configuration allows it"
    )
    assert error(Node(1), method, Message="m") == refused
    config = {**settings.ephemeral(), "cluster": {key: True}}
    node, told = Node(1, config), []
    node.outside[does] = lambda *args: told.append(args)
    assert ok(node, method, Message="m") == {"panic": "OK", "stop_node": "Done!"}[does]
    assert told == [("m",) if does == "panic" else ()]
