"""How a process is told to stop gracefully: SIGTERM from systemd or `kill`, SIGINT from a terminal, as often as somebody likes."""

from __future__ import annotations

import signal
from collections.abc import Callable

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def on_stop_signal(stop: Callable[[], object]) -> None:
    """Have the first stop signal call `stop`, between two instructions of the main thread. What follows is ignored: it would
    else kill the process when Python, which ends, has restored the defaults, and the graceful stop would look like a crash."""

    def told(*_: object) -> None:
        ignore_stop_signals()
        stop()

    for number in STOP_SIGNALS:
        signal.signal(number, told)


def ignore_stop_signals() -> None:
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
