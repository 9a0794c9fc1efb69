"""The edge process at its stop, with something under way (`workers/edge.py`)."""

from __future__ import annotations

import asyncio
import threading
from functools import partial
from pathlib import Path
from typing import Any, cast

from cgr_cluster.edge import wire
from workers.children import Leash
from workers.edge import Edge

WAIT = 60.0


class FakeLeash:
    """A supervisor in the same process; `stop` is what it wants."""

    def __init__(self) -> None:
        self.is_ready = asyncio.Event()

    def ready(self) -> None:
        self.is_ready.set()

    def watch(self, add_reader: Any, stop: Any) -> None:
        self.stop = stop


def test_what_ends_together_with_the_edge_answers_nobody(tmp_path: Path) -> None:
    async def run() -> list[dict[str, Any]]:
        failures: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: failures.append(context))
        leash = FakeLeash()
        edge = Edge(tmp_path / "exports", f"ipc://{tmp_path}/edge")
        running = asyncio.create_task(edge.run(cast(Leash, leash)))
        await leash.is_ready.wait()
        begun, release = threading.Event(), threading.Event()

        def work() -> None:
            begun.set()
            release.wait(WAIT)

        def answer(result: Any, error: str | None) -> None:
            edge._send(b"nobody", wire.Here(1))

        edge._start(edge._do(partial(edge._with_exporters, work), answer))
        while not begun.is_set():
            await asyncio.sleep(0)
        leash.stop()
        while not edge._exporters._work_queue.qsize():  # the end waits behind it
            await asyncio.sleep(0)
        release.set()
        edge._exporters.submit(int).result(WAIT)  # the loop finds both done at once
        await running
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return failures

    assert asyncio.run(asyncio.wait_for(run(), WAIT)) == []
