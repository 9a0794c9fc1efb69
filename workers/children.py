"""What the supervisor and its children say to each other: a pair of pipes per child.

Downwards the supervisor sends one byte, `s`: stop gracefully. End of file means that the supervisor is gone: the child
ends at once. Upwards a child sends one byte, `r`: ready. Children leave SIGTERM and SIGINT, which the whole process
group gets, to the supervisor.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from cgr_cluster.config.stop_signals import ignore_stop_signals

STOP = b"s"
READY = b"r"


def name_process(name: str) -> None:
    """What `ps` and `top` call this process (the kernel keeps 15 bytes). Only Linux has this; elsewhere nothing happens."""
    try:
        Path("/proc/self/comm").write_text(f"cgr-{name}")
    except OSError:
        pass  # a name is a comfort


class Leash:
    """A child's end of the pipes."""

    def __init__(self, down: int, up: int) -> None:
        self.down = down
        self._up = up
        ignore_stop_signals()

    def ready(self) -> None:
        try:
            os.write(self._up, READY)
        except BrokenPipeError:
            pass  # the supervisor has just died; `wanted` says so next

    def wanted(self) -> str:
        """What the supervisor wants, when `down` is readable: `stop`, or `gone`."""
        data = os.read(self.down, 16)
        return "stop" if data else "gone"

    def watch(self, add_reader: Callable[..., object], stop: Callable[[], None]) -> None:
        """Have a loop call `stop` when a graceful stop is wanted; the process ends at once when the supervisor is gone."""

        def readable() -> None:
            if self.wanted() == "gone":
                os._exit(70)
            stop()

        add_reader(self.down, readable)
