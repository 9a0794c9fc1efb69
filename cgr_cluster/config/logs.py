"""Log lines: one line an event, `time level process component message`, to standard error, for grep and journald."""

from __future__ import annotations

import logging
import sys
import time

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


class _Line(logging.Formatter):
    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        whole, millis = divmod(int(record.created * 1000), 1000)
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole))
        name = record.name.removeprefix("cgr_cluster.")
        text = f"{stamp}.{millis:03d}Z {record.levelname} {self._process} {name} {record.getMessage()}"
        if record.exc_info:
            text += " | " + self.formatException(record.exc_info).replace("\n", " | ")
        return text


def setup(process: str, level: str = "info") -> None:
    """Log of this process: `process` is its name in the cluster (`worker-2`, `log`, `balancer`)."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Line(process))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(LEVELS[level])
