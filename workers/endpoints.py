"""Calls to endpoints outside: how many go to one of them at once.

All network calls of a worker share NETWORK_THREADS threads. An endpoint that does not answer holds each thread until its
time limit; with this bound it holds only a few of them, and calls to others go on.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Endpoints:
    def __init__(self, at_once: int) -> None:
        self._at_once = at_once
        self._turns: dict[str, tuple[asyncio.Semaphore, int]] = {}  # endpoint → turns, how many hold or want one

    @asynccontextmanager
    async def turn(self, endpoint: str) -> AsyncIterator[None]:
        """Wait for a turn at the endpoint, in order, and hold it."""
        turns, wanted = self._turns.get(endpoint) or (asyncio.Semaphore(self._at_once), 0)
        self._turns[endpoint] = turns, wanted + 1
        try:
            async with turns:
                yield
        finally:
            turns, wanted = self._turns.pop(endpoint)
            if wanted > 1:
                self._turns[endpoint] = turns, wanted - 1
