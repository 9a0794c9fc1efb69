"""The folder process: folds the log into the checkpoint, so that the log stays short and a start is fast (design 6).

Every `fold_interval_s`, or when `fold_log_bytes` of closed segments wait, or on SIGUSR1, it asks the log process to close the segment in use and folds all closed ones.
It runs niced: it costs more than logging, and nobody waits for it. A failed fold is a log line and is tried again at the next interval: the log still
has everything, and the workers have it in memory, so even corruption found here is an operator's alarm and no reason to stop serving.
"""

from __future__ import annotations

import argparse
import logging
import os
import select
import signal
import sqlite3
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from cgr_cluster.config import logs
from cgr_cluster.config.stop_signals import on_stop_signal
from cgr_cluster.log import client
from cgr_cluster.log.checkpoint import Checkpoint
from cgr_cluster.log.data_dir import DataDir
from cgr_cluster.log.errors import LogError
from cgr_cluster.log.folding import FoldResult, closed_bytes, fold_closed
from workers.children import Leash
from workers.options import NodeOptions

logger = logging.getLogger("cgr_cluster.folder")

POLL_S: Final = 1.0
NICENESS: Final = 10
EXIT_DATA: Final = 78  # the supervisor's FATAL: an operator must look; starting again does not help


class FolderOptions(msgspec.Struct, frozen=True, kw_only=True):
    data_dir: str
    socket: str = ""  # of the log process; empty: log.sock in the data directory
    fold_interval_s: float = 60.0
    fold_log_bytes: int = 256 << 20
    short_lived_s: float = 600.0


def fold_once(options: FolderOptions, checkpoint: Checkpoint, now_ns: int) -> FoldResult:
    """Closes the segment in use, if the log process runs, and folds. Raises LogError, sqlite3.Error, OSError."""
    place = DataDir(options.data_dir)
    try:
        client.roll(options.socket or str(place.socket))
    except (ConnectionError, FileNotFoundError, TimeoutError) as error:
        logger.warning("the log process is not reached: %s", error)  # what is closed can be folded all the same
    return fold_closed(place, checkpoint, now_ns - int(options.short_lived_s * 1e9))


def run(options: FolderOptions, leash: Leash | None = None) -> int:
    """Folds until it is told to stop: by the leash, or SIGTERM or SIGINT. Returns the exit status."""
    wake, wake_in = os.pipe()
    told: set[str] = set()

    def tell(what: str) -> None:
        told.add(what)
        os.write(wake_in, b"x")

    waiting: dict[int, Callable[[], object]] = {wake: lambda: os.read(wake, 64)}
    signal.signal(signal.SIGUSR1, lambda *_: tell("fold"))
    if leash is None:
        on_stop_signal(lambda: tell("stop"))
    else:
        leash.watch(waiting.__setitem__, lambda: told.add("stop"))
    os.nice(NICENESS)
    place = DataDir(options.data_dir)
    try:
        place.check()
        checkpoint = Checkpoint(place.checkpoint)
    except (LogError, sqlite3.Error) as error:
        logger.error("cannot start: %s", error)
        return EXIT_DATA
    if leash is not None:
        leash.ready()
    logger.info("ready: the checkpoint of %s goes up to segment %d", options.data_dir, checkpoint.position() - 1)
    last = time.monotonic()
    while "stop" not in told:
        for descriptor in select.select(list(waiting), [], [], POLL_S)[0]:
            waiting[descriptor]()
        due = "fold" in told or time.monotonic() - last >= options.fold_interval_s
        if "stop" in told or not (due or closed_bytes(place) >= options.fold_log_bytes):
            continue
        told.discard("fold")
        last = time.monotonic()
        try:
            result = fold_once(options, checkpoint, time.time_ns())
        except (LogError, sqlite3.Error, OSError) as error:
            logger.error("fold failed: %s; tried again in %.0f s", error, options.fold_interval_s)
            continue
        if result.segments:
            took_s = time.monotonic() - last
            logger.info("folded %d segments, %d bytes, %d rows in %.3f s", *result, took_s)
    checkpoint.close()
    logger.info("stopped")
    return 0


def main(node: NodeOptions, leash: Leash) -> None:
    """Under the supervisor."""
    options = FolderOptions(
        data_dir=node.data_dir,
        socket=node.log_socket,
        fold_interval_s=node.cluster.fold_interval_ns / 1e9,
        fold_log_bytes=node.cluster.fold_log_bytes,
        short_lived_s=node.cluster.short_lived_ns / 1e9,
    )
    sys.exit(run(options, leash))


def command() -> int:
    """As a process of its own, for instance a unit of systemd."""
    logs.setup("folder")
    parser = argparse.ArgumentParser(description="Folds the log of a node into its checkpoint.")
    parser.add_argument("--data-dir", required=True, type=Path)
    parser.add_argument("--socket", default="", help="of the log process (default: log.sock in the data directory)")
    parser.add_argument("--interval", type=float, default=60.0, help="seconds between folds")
    given = parser.parse_args()
    return run(FolderOptions(data_dir=str(given.data_dir), socket=given.socket, fold_interval_s=given.interval))


if __name__ == "__main__":
    sys.exit(command())
