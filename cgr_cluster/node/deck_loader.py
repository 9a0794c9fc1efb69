"""The loader process: makes one deck and ends (docs/decks.md).

Its standard input is a frame with the task, and stays open as long as the worker lives: at its end the loader ends too.
Its standard output are frames that say how far it is, and one with the result. It runs niced, nobody waits for it but the
load.
"""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import IO, Any

import msgspec

import cgr_cluster
from cgr_cluster.config import logs
from cgr_cluster.engine.codec import pack, unpack
from cgr_cluster.engine.deck import DeckError
from cgr_cluster.engine.generation import Generation
from cgr_cluster.node.deck_files import DeckFolder, Rows
from cgr_cluster.rpc.errors import ApiError
from cgr_cluster.tariffs.deck_load import BuiltDeck, DeckJob
from cgr_cluster.tariffs.progress import Report, nobody

NICENESS = 10
REPORT_SECONDS = 0.2  # between two frames of one phase
_LENGTH = struct.Struct("<Q")
_FRAME = struct.Struct("<cQ")  # kind, length
_PROGRESS, _RESULT = b"p", b"r"


class Task(msgspec.Struct, array_like=True, gc=False):
    """`changes`: the snapshot of what is live, from which the loader makes its copy."""

    folder: str
    job: DeckJob
    defaults: dict[str, Any]
    number: int
    changes: list[tuple[str, str, bytes | None]]
    rows: list[tuple[str, bytes]]


class Result(msgspec.Struct, array_like=True, gc=False):
    built: BuiltDeck
    error: str = ""


class LoaderProcesses:
    """Starts loaders for a worker; `close` ends them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._running: set[subprocess.Popen[bytes]] = set()

    def build(self, generation: Generation, job: DeckJob, rows: Rows, report: Report = nobody) -> BuiltDeck:
        """Have a loader process make the deck. Blocks. Raises the API's errors; RuntimeError when the process dies."""
        task = pack(
            Task(str(self._folder), job, dict(generation.defaults), generation.number, generation.snapshot(), rows)
        )
        source = str(Path(cgr_cluster.__file__).parents[1])
        paths = [source, *filter(None, [os.environ.get("PYTHONPATH")])]
        process = subprocess.Popen(
            [sys.executable, "-m", "cgr_cluster.node.deck_loader"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        )  # fmt: skip
        self._running.add(process)
        assert process.stdin is not None and process.stdout is not None
        try:
            process.stdin.write(_LENGTH.pack(len(task)) + task)
            process.stdin.flush()
            answer = _read_frames(process.stdout, report)
            process.stdin.close()
            if process.wait() != 0 or not answer:
                raise RuntimeError(f"the loader process ended with status {process.returncode}")
        finally:
            self._running.discard(process)
        result: Result = unpack(Result, answer)
        if result.error:
            raise ApiError(result.error)
        return result.built

    def close(self) -> None:
        for process in list(self._running):
            process.kill()


def _read_frames(stream: IO[bytes], report: Report) -> bytes:
    """Pass the progress on, until the loader ends; answers the result, b"" when it died before."""
    result = b""
    while len(head := stream.read(_FRAME.size)) == _FRAME.size:
        kind, length = _FRAME.unpack(head)
        payload = stream.read(length)
        if len(payload) < length:
            break
        if kind == _RESULT:
            result = payload
        else:
            report(*unpack(tuple[str, int, int], payload))
    return result


def _write_frame(kind: bytes, payload: bytes) -> None:
    sys.stdout.buffer.write(_FRAME.pack(kind, len(payload)) + payload)
    sys.stdout.buffer.flush()


class _Reporter:
    """Tells the worker of each phase, and now and then how far it is."""

    def __init__(self) -> None:
        self._phase = ""
        self._told = 0.0

    def __call__(self, phase: str, done: int, total: int) -> None:
        now = time.monotonic()
        if phase != self._phase or now - self._told >= REPORT_SECONDS:
            self._phase, self._told = phase, now
            _write_frame(_PROGRESS, pack((phase, done, total)))


def _end_with_parent() -> None:
    sys.stdin.buffer.read()
    os._exit(1)


def main() -> None:
    os.nice(NICENESS)
    logs.setup("loader")
    data = sys.stdin.buffer
    (length,) = _LENGTH.unpack(data.read(_LENGTH.size))
    task: Task = unpack(Task, data.read(length))
    threading.Thread(target=_end_with_parent, daemon=True).start()
    folder = DeckFolder(Path(task.folder))
    folder.verifies = False  # its entries are copied as the workers read them
    try:
        generation = Generation(task.defaults, 0, folder.open).apply(task.changes, task.number)
        result = Result(folder.build(generation, task.job, task.rows, _Reporter()))
    except ApiError as error:
        result = Result(BuiltDeck(), error.text)
    except (OSError, DeckError) as error:
        result = Result(BuiltDeck(), f"SERVER_ERROR: {error}")
    _write_frame(_RESULT, pack(result))
    os._exit(0)  # without taking a large heap apart


if __name__ == "__main__":
    main()
