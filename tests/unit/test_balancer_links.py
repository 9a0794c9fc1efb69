"""The balancer's links to its workers (`balancer/links.py`)."""

from __future__ import annotations

import asyncio
from typing import Any

import zmq

from balancer.links import WorkerLinks


def test_links_that_are_closed_with_a_look_for_input_scheduled_are_left_alone() -> None:
    async def run() -> list[dict[str, Any]]:
        failures: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: failures.append(context))
        context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        links = WorkerLinks(context, "inproc://balancer", lambda link, data: None, lambda: None)
        assert not links.send(b"nobody", b"")  # has the loop look for input afterwards
        links.close()
        await asyncio.sleep(0)
        context.term()
        return failures

    assert asyncio.run(run()) == []
