"""Log lines of the processes: one JSON object a line and event, on standard error (design 12)."""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any


def event_line(process: str, event: str, **fields: Any) -> None:
    """Writes the line at once and in one piece. `fields` are plain values; what JSON does not know is shown as text."""
    now = time.time()
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now * 1000) % 1000:03d}Z"
    line = {"time": stamp, "process": process, "pid": os.getpid(), "event": event, **fields}
    sys.stderr.write(json.dumps(line, default=str, ensure_ascii=False) + "\n")
    sys.stderr.flush()
