"""The line that shows a run while it lasts, on a terminal only."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from cgr_cluster.cli.stress.runner import Runner

REFRESH_S = 0.5
SHORT = {"authorize": "auth", "initiate": "init", "update": "upd", "terminate": "term", "cdr": "cdr"}


class Progress:
    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._shows = out.isatty()

    def say(self, text: str) -> None:
        if self._shows:
            self._out.write(f"\r\x1b[K{text}")
            self._out.flush()

    def end(self) -> None:
        self.say("")

    async def watch(self, runner: Runner, calls: int | None) -> None:
        """Refresh the line until cancelled."""
        last, last_over = time.monotonic(), 0
        while self._shows:
            await asyncio.sleep(REFRESH_S)
            now, over = time.monotonic(), runner.started - runner.in_flight
            rate = (over - last_over) / (now - last)
            last, last_over = now, over
            self.say(line(runner, calls, rate))


def line(runner: Runner, calls: int | None, rate: float) -> str:
    """`12000/20000 calls 3150/s 128 in flight 0 errors; p50/p99/p99.9 ms auth 3.1/6/9 ...`"""
    over = runner.started - runner.in_flight
    of = f"/{calls}" if calls else ""
    times = "  ".join(
        f"{SHORT[kind]} " + "/".join(f"{found.percentile_ns(share) / 1e6:.1f}" for share in (0.5, 0.99, 0.999))
        for kind, found in runner.latencies.items()
        if found.count
    )
    errors = sum(runner.errors.values()) + runner.doubts
    return f"{over}{of} calls  {rate:.0f}/s  {runner.in_flight} in flight  {errors} errors  p50/p99/p99.9 ms: {times}"
