"""Turns at endpoints: a dead one holds few threads, and nobody else."""

from __future__ import annotations

import asyncio

from workers.endpoints import Endpoints


def test_few_calls_at_once_to_one_endpoint_and_others_go_on() -> None:
    async def run() -> list[str]:
        endpoints, log, dead = Endpoints(2), [], asyncio.Event()

        async def call(endpoint: str, name: str) -> None:
            async with endpoints.turn(endpoint):
                log.append(f"+{name}")
                if endpoint == "dead":
                    await dead.wait()
            log.append(f"-{name}")

        calls = [asyncio.create_task(call("dead", f"d{n}")) for n in range(4)]
        await asyncio.sleep(0)
        await call("alive", "a")
        seen = list(log)
        dead.set()
        await asyncio.gather(*calls)
        assert not endpoints._turns  # nothing is kept of an endpoint that nobody calls
        assert sorted(log) == sorted([f"{sign}d{n}" for n in range(4) for sign in "+-"] + ["+a", "-a"])
        return seen

    assert asyncio.run(run()) == ["+d0", "+d1", "+a", "-a"]
