"""The folder process: folds the log into the checkpoint, so that the log stays short and a start is fast (design 6).

Every `fold_interval_s`, or when `fold_log_bytes` of closed segments wait, or on SIGUSR1, it asks the log process to close the segment in use and folds all closed ones.
It runs niced: it costs more than logging, and nobody waits for it. A failed fold is a log line and is tried again at the next interval: the log still
has everything. Corruption ends it.
"""

from __future__ import annotations

import argparse
import os
import signal
import sqlite3
import sys
import threading
import time
from pathlib import Path
from typing import Final

import msgspec

from cgr_cluster.log import client
from cgr_cluster.log.checkpoint import Checkpoint
from cgr_cluster.log.data_dir import DataDir
from cgr_cluster.log.errors import LogError
from cgr_cluster.log.folding import FoldResult, closed_bytes, fold_closed
from workers.event_line import event_line

POLL_S: Final = 1.0
NICENESS: Final = 10
EXIT_DATA: Final = 65  # as EX_DATAERR: an operator must look; starting again does not help


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
        event_line("folder", "log_process_not_reached", error=str(error))  # what is closed can be folded all the same
    return fold_closed(place, checkpoint, now_ns - int(options.short_lived_s * 1e9))


def run(options: FolderOptions) -> int:
    """Folds until SIGTERM or SIGINT. Returns the exit status."""
    wake = threading.Event()
    stopping = threading.Event()
    asked = threading.Event()

    def on_signal(number: int, _: object) -> None:
        (asked if number == signal.SIGUSR1 else stopping).set()
        wake.set()

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1):
        signal.signal(number, on_signal)
    os.nice(NICENESS)
    place = DataDir(options.data_dir)
    try:
        place.check()
        checkpoint = Checkpoint(place.checkpoint)
    except (LogError, sqlite3.Error) as error:
        event_line("folder", "cannot_start", error=str(error))
        return EXIT_DATA
    event_line("folder", "ready", data_dir=options.data_dir, position=checkpoint.position())
    last = time.monotonic()
    while not stopping.is_set():
        wake.wait(POLL_S)
        wake.clear()
        due = asked.is_set() or time.monotonic() - last >= options.fold_interval_s
        if stopping.is_set() or not (due or closed_bytes(place) >= options.fold_log_bytes):
            continue
        asked.clear()
        last = time.monotonic()
        try:
            result = fold_once(options, checkpoint, time.time_ns())
        except LogError as error:
            event_line("folder", "log_unreadable", error=str(error))
            return EXIT_DATA
        except (sqlite3.Error, OSError) as error:
            event_line("folder", "fold_failed", error=str(error), retry_s=options.fold_interval_s)
            continue
        if result.segments:
            seconds = round(time.monotonic() - last, 3)
            event_line("folder", "folded", **result._asdict(), seconds=seconds, position=checkpoint.position())
    checkpoint.close()
    event_line("folder", "stopped")
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description="Folds the log of a node into its checkpoint.")
    parser.add_argument("--data-dir", required=True, type=Path)
    parser.add_argument("--socket", default="", help="of the log process (default: log.sock in the data directory)")
    parser.add_argument("--interval", type=float, default=60.0, help="seconds between folds")
    given = parser.parse_args()
    return run(FolderOptions(data_dir=str(given.data_dir), socket=given.socket, fold_interval_s=given.interval))


if __name__ == "__main__":
    sys.exit(main())
