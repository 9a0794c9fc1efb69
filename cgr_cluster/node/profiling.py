"""Profiles of this process: where its time goes (cProfile), and where its memory comes from (tracemalloc).

They belong to the process and not to any shard: one that dies and is started again is not profiled any more. A start is known by
the uid of its request, so that several engines in one process, and a request that is delivered again, begin it once.
"""

from __future__ import annotations

import cProfile
import marshal
import os
import threading
import time
import tracemalloc
from pathlib import Path

import psutil

DEFAULT_INTERVAL_S = 15.0
LEAST_INTERVAL_S = 1.0  # between two files of memory


def _name() -> str:
    """Of this process in names of files."""
    return f"{''.join(c for c in psutil.Process().name() if c.isalnum() or c in '._-')}-{os.getpid()}"


# --- time ----------------------------------------------------------------------------------------------------------


class _Cpu:
    def __init__(self, uid: str, folder: str) -> None:
        self.uid = uid
        self.folder = folder
        self.profile = cProfile.Profile()


_cpu: _Cpu | None = None


def start_cpu(uid: str, folder: str) -> bool:
    """Profile this thread from now on; False when it is being profiled for another request. Raises ValueError when another
    tool does so."""
    global _cpu
    if _cpu is None:
        started = _Cpu(uid, folder)
        started.profile.enable()
        _cpu = started
    return _cpu.uid == uid


def stop_cpu() -> tuple[str, str, bytes] | None:
    """End it: folder, name of the file, and what `pstats` reads; None when nothing was profiled."""
    global _cpu
    stopped, _cpu = _cpu, None
    if stopped is None:
        return None
    stopped.profile.create_stats()
    return stopped.folder, f"cpu-{_name()}.prof", marshal.dumps(stopped.profile.stats)


# --- memory --------------------------------------------------------------------------------------------------------


class _Memory(threading.Thread):
    """Writes what has been allocated since the start and is still in use: every `interval_s`, and at the end. `most` files are
    kept, the newest; 0: all."""

    def __init__(self, uid: str, folder: str, interval_s: float, most: int, stamped: bool) -> None:
        super().__init__(name="memory profile", daemon=True)
        self.uid = uid
        self.error = ""
        self._folder = Path(folder)
        self._interval_s = interval_s
        self._most = most
        self._stamped = stamped
        self._stopped = threading.Event()
        self._written: list[Path] = []
        self._number = 0

    def run(self) -> None:
        while not self._stopped.wait(self._interval_s):
            self._write()

    def finish(self) -> None:
        self._stopped.set()
        self.join()
        self._write()
        tracemalloc.stop()

    def _write(self) -> None:
        self._number += 1
        mark = f"{time.time_ns() // 1000}" if self._stamped else f"{self._number}"
        path = self._folder / f"mem-{_name()}-{mark}.tracemalloc"
        try:
            tracemalloc.take_snapshot().dump(str(path))
            self._written.append(path)
            while 0 < self._most < len(self._written):
                self._written.pop(0).unlink(missing_ok=True)
        except OSError as error:
            self.error = f"{error.strerror}: {path}"


_memory: _Memory | None = None


def start_memory(uid: str, folder: str, interval_ns: int, most: int, stamped: bool) -> bool:
    """Trace allocations of this process from now on; False when that is done for another request."""
    global _memory
    if _memory is None:
        interval_s = max(interval_ns / 1e9, LEAST_INTERVAL_S) if interval_ns > 0 else DEFAULT_INTERVAL_S
        tracemalloc.start()
        _memory = _Memory(uid, folder, min(interval_s, threading.TIMEOUT_MAX), most, stamped)
        _memory.start()
    return _memory.uid == uid


def stop_memory() -> str | None:
    """End it, with a last file: the error of writing it, "" for none; None when nothing was traced."""
    global _memory
    stopped, _memory = _memory, None
    if stopped is None:
        return None
    stopped.finish()
    return stopped.error
