"""What operations ask of the outside (`outside(name, ...)`): the I/O that workers' engines do not do themselves.

One table for the in-process node and the worker processes. A function gets the arguments of the command and answers a
value or raises ApiError. It may run twice for one operation (after a crash), so it only reads, or does what may be repeated.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

from cgr_cluster.node.keys import read_key
from cgr_cluster.node.outside_effects import json_rpc, post_json, send_mail
from cgr_cluster.node.outside_platform import process_status, read_config
from cgr_cluster.rpc.errors import ApiError

PACKAGED_PLANS = {"folder:demo": "conf.demo"}


def read_folder(path: str) -> dict[str, bytes]:
    """All CSV files of a folder and its subfolders: path relative to the folder → contents (chapter 10 §9.1)."""
    packaged = PACKAGED_PLANS.get(path)
    if packaged is not None:
        return {
            entry.name: entry.read_bytes()
            for entry in resources.files(packaged).iterdir()
            if entry.name.endswith(".csv")
        }
    root = Path(path)
    if not root.is_dir():
        raise ApiError("INVALID_PATH")
    files = {}
    try:
        for folder, _, names in os.walk(root):
            for name in names:
                if name.endswith(".csv"):
                    file = Path(folder, name)
                    files[str(file.relative_to(root))] = file.read_bytes()
    except OSError as error:
        raise ApiError(f"SERVER_ERROR: {error.strerror}: {error.filename}") from None
    return files


def folder_bytes(path: str) -> int:
    """How much `read_folder` would read."""
    if path in PACKAGED_PLANS:
        return 0  # small
    try:
        return sum(file.stat().st_size for file in Path(path).rglob("*.csv"))
    except OSError:
        return 0  # reading it says what is wrong


def write_folder(path: str, files: dict[str, bytes]) -> None:
    """Write `files` (name → contents) into a folder, which is made when it is not there (ExportTPToFolder)."""
    try:
        folder = Path(path)
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in files.items():
            (folder / name).write_bytes(data)
    except OSError as error:
        raise ApiError(f"SERVER_ERROR: {error.strerror}: {error.filename}") from None


OUTSIDE: dict[str, Callable[..., Any]] = {
    "read_folder": read_folder,
    "read_key": read_key,
    "send_mail": send_mail,
    "json_rpc": json_rpc,
    "post_json": post_json,
    "write_folder": write_folder,
    "read_config": read_config,
    "process_status": process_status,
}
NETWORK = frozenset({"send_mail", "json_rpc", "post_json"})  # those that talk to endpoints, which may be slow or dead;
# their first argument is the endpoint
