"""Latencies in buckets of 2 %: exact counts, percentiles to within a bucket, constant memory."""

from __future__ import annotations

import math

_GROWTH = 1.02
_LOG = math.log(_GROWTH)
_FLOOR_NS = 1000


class Latencies:
    def __init__(self) -> None:
        self.count = 0
        self.errors = 0
        self.max_ns = 0
        self._buckets = [0] * 1200  # up to some hours

    def add(self, took_ns: int) -> None:
        self.count += 1
        if took_ns > self.max_ns:
            self.max_ns = took_ns
        self._buckets[int(math.log(took_ns / _FLOOR_NS) / _LOG) if took_ns > _FLOOR_NS else 0] += 1

    def percentile_ns(self, share: float) -> int:
        """The latency that `share` of the requests (0 to 1) do not exceed; 0 without requests."""
        wanted = math.ceil(self.count * share)
        seen = 0
        for index, count in enumerate(self._buckets):
            seen += count
            if seen >= wanted and count:
                return min(int(_FLOOR_NS * _GROWTH ** (index + 1)), self.max_ns)
        return 0

    def summary(self) -> dict[str, float]:
        """Milliseconds."""
        return {
            "count": self.count,
            "errors": self.errors,
            "p50_ms": round(self.percentile_ns(0.50) / 1e6, 3),
            "p99_ms": round(self.percentile_ns(0.99) / 1e6, 3),
            "p999_ms": round(self.percentile_ns(0.999) / 1e6, 3),
            "max_ms": round(self.max_ns / 1e6, 3),
        }
