"""What CoreSv1 and ConfigSv1 ask of the outside: the state of this process, and files of a configuration."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import Any

import psutil

from cgr_cluster import __version__
from cgr_cluster.events.durations import format_duration
from cgr_cluster.rpc.errors import ApiError

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


def size_text(size: float) -> str:
    """`9.1MiB`."""
    unit = 0
    while size >= 1024 and unit < len(_UNITS) - 1:
        size /= 1024
        unit += 1
    return f"{size:.0f}{_UNITS[unit]}" if unit == 0 else f"{size:.1f}{_UNITS[unit]}"


def process_status() -> dict[str, Any]:
    """CoreSv1.Status of this process; `running_since` in ns since the epoch. Names are the API's, values are ours."""
    process = psutil.Process()
    with process.oneshot():
        memory = process.memory_info()
        cpu = process.cpu_times()
        return {
            "active_memory": size_text(memory.rss - getattr(memory, "shared", 0)),
            "cpu_time": format_duration(int((cpu.user + cpu.system) * 1e9)),
            "go_version": "none",
            "goroutines": threading.active_count(),
            "open_files": process.num_fds(),
            "os_threads_in_use": process.num_threads(),
            "pid": os.getpid(),
            "resident_memory": size_text(memory.rss),
            "running_since": int(process.create_time() * 1e9) or time.time_ns(),
            "system_memory": size_text(psutil.virtual_memory().total),
            "version": f"cgr_cluster@v{__version__}",
        }


OURS = "cgr-"  # what the names of a node's processes begin with


def node_processes() -> list[dict[str, Any]]:
    """Figures of all processes of this node, in the units of Prometheus; what the system does not tell is left out. Outside of
    a node (all in one process) it is that process alone."""
    own = psutil.Process()
    family = [own]
    parent = own.parent()
    if own.name().startswith(OURS) and parent is not None:
        try:
            children = parent.children()
        except psutil.Error:  # it has just died, and so will this process
            children = [own]
        family = [parent, *sorted((one for one in children), key=lambda one: one.pid)]
    found = []
    for process in family:
        name = "supervisor" if process is parent else _short_name(process)
        if name:
            found.append({"process": name, **_figures(process)})
    return found


def _short_name(process: psutil.Process) -> str:
    """`worker-0`; "" for one that has ended."""
    try:
        return str(process.name()).removeprefix(OURS)
    except psutil.Error:
        return ""


def _figures(process: psutil.Process) -> dict[str, float]:
    """What can be read of it: one that ends meanwhile tells less."""
    figures: dict[str, float] = {}
    try:
        with process.oneshot():
            cpu, memory = process.cpu_times(), process.memory_info()
            figures["cpu_seconds_total"] = cpu.user + cpu.system
            figures["resident_memory_bytes"] = memory.rss
            figures["virtual_memory_bytes"] = memory.vms
            figures["start_time_seconds"] = process.create_time()
            figures["threads"] = process.num_threads()
            figures["open_fds"] = process.num_fds()
            figures["max_fds"] = process.rlimit(psutil.RLIMIT_NOFILE)[0]
    except psutil.Error:
        pass
    return figures


def read_config(path: str) -> list[str]:
    """The texts of a configuration file, or of all `*.json` below a folder in the order of their names."""
    root = Path(path)
    try:
        if root.is_file():
            return [root.read_text()]
        if not root.is_dir():
            raise ApiError(f'path:"{path}" is not reachable')
        return [file.read_text() for file in sorted(root.rglob("*.json"))]
    except (OSError, ValueError) as error:  # the latter: no UTF-8, or a NUL in the path
        raise ApiError(f'path:"{path}" is not reachable: {error}') from None


def missing_folders(paths: list[str]) -> list[str]:
    """Those of `paths` that are no folders."""
    return [path for path in paths if not is_folder(path)]


def is_folder(path: str) -> bool:
    """False also for a name that is empty, too long, or has a NUL in it."""
    return os.path.isdir(path)
