"""What operations ask of the outside (`outside(name, ...)`): the I/O that workers' engines do not do themselves.

One table for the in-process node and the worker processes. A function gets the arguments of the command and answers a
value or raises ApiError. It may run twice for one operation (after a crash), so it only reads, or does what may be repeated.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from importlib import resources
from pathlib import Path
from typing import Any

from cgr_cluster.node.keys import read_key
from cgr_cluster.node.outside_effects import get_page, json_rpc, post_json, send_mail
from cgr_cluster.node.outside_platform import is_folder, missing_folders, node_processes, process_status, read_config
from cgr_cluster.rpc.errors import ApiError

PACKAGED_PLANS = {"folder:demo": "conf.demo"}


def read_folder(path: str, tell: Callable[[int], object] = lambda size: None) -> dict[str, bytes]:
    """All CSV files of a folder and its subfolders: path relative to the folder → contents (chapter 10 §9.1). `tell` hears
    how many bytes have been read."""
    packaged = PACKAGED_PLANS.get(path)
    if packaged is not None:
        return {
            entry.name: entry.read_bytes()
            for entry in resources.files(packaged).iterdir()
            if entry.name.endswith(".csv")
        }
    root = Path(path)
    if not is_folder(path):
        raise ApiError("INVALID_PATH")
    files = {}
    size = 0
    try:
        for file in _csv_files(root):
            files[str(file.relative_to(root))] = data = file.read_bytes()
            size += len(data)
            tell(size)
    except OSError as error:
        raise ApiError(f"SERVER_ERROR: {error.strerror}: {error.filename}") from None
    return files


def _csv_files(root: Path) -> Iterator[Path]:
    """Regular files only: a pipe of such a name would never end."""
    for folder, _, names in os.walk(root):
        for name in names:
            if name.endswith(".csv") and (file := Path(folder, name)).is_file():
                yield file


def folder_bytes(path: str) -> int:
    """How much `read_folder` would read."""
    if path in PACKAGED_PLANS or not is_folder(path):
        return 0  # small, or reading it says what is wrong
    try:
        return sum(file.stat().st_size for file in _csv_files(Path(path)))
    except OSError:
        return 0


def write_folder(path: str, files: dict[str, bytes]) -> None:
    """Write `files` (name → contents) into a folder, which is made when it is not there (ExportTPToFolder)."""
    try:
        folder = Path(path)
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in files.items():
            (folder / name).write_bytes(data)
    except ValueError as error:  # a NUL in the path
        raise ApiError(f"SERVER_ERROR: {error}: {path}") from None
    except OSError as error:
        raise ApiError(f"SERVER_ERROR: {error.strerror}: {error.filename}") from None


OUTSIDE: dict[str, Callable[..., Any]] = {
    "read_folder": read_folder,
    "read_key": read_key,
    "send_mail": send_mail,
    "json_rpc": json_rpc,
    "post_json": post_json,
    "get_page": get_page,
    "write_folder": write_folder,
    "read_config": read_config,
    "missing_folders": missing_folders,
    "process_status": process_status,
    "node_processes": node_processes,
    "clock": time.time_ns,
}
NETWORK = frozenset(
    {"send_mail", "json_rpc", "post_json", "get_page"}
)  # those that talk to endpoints, which may be slow or dead;
# their first argument is the endpoint
