"""The virtual clock of a simulated node, and stand-ins for the `time` and `datetime` modules that run on it."""

from __future__ import annotations

import datetime as real_datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cgr_cluster.node.node import Node

START_NS = 1_781_600_400 * 10**9  # a Tuesday in June 2026, 09:00:00 UTC


class VirtualTime:
    """Takes the place of `time` in code that waits: sleeping moves the node's clock."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def sleep(self, seconds: float) -> None:
        self._node.advance(int(seconds * 1e9))

    def monotonic(self) -> float:
        return self._node.now_ns / 1e9


class VirtualDatetime:
    """Takes the place of the `datetime` module in code that asks for the time."""

    timedelta = real_datetime.timedelta
    timezone = real_datetime.timezone

    def __init__(self, node: Node) -> None:
        outer = self

        class DateTime(real_datetime.datetime):
            @classmethod
            def now(cls, tz: Any = None) -> Any:
                return real_datetime.datetime.fromtimestamp(outer._node.now_ns / 1e9, tz)

        self._node = node
        self.datetime = DateTime
