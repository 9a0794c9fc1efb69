"""The queue of chapter 60 as a plain list of all its events and a dictionary per metric: what the real one must agree with."""

from __future__ import annotations

import sys
from typing import Any

METRICS = ("*asr", "*tcd", "*tcc", "*ddc", "*highest#F", "*lowest#F", "*repsc")


class NaiveQueue:
    def __init__(self, length: int, ttl_ns: int) -> None:
        self.length, self.ttl_ns = length, ttl_ns
        self.items: list[tuple[str, int]] = []
        self.events: dict[str, dict[str, Any]] = {name: {} for name in METRICS}
        self.counts = dict.fromkeys(METRICS, 0)
        self.sums: dict[str, Any] = {"*asr": 0, "*tcd": 0, "*tcc": 0}

    def take(self, event_id: str, samples: dict[str, Any], now_ns: int) -> None:
        self.expire(now_ns)
        if self.length > 0 and len(self.items) == self.length:
            self.drop()
        self.items.append((event_id, now_ns + self.ttl_ns if self.ttl_ns > 0 else 0))
        for name, sample in samples.items():
            events = self.events[name]
            if name in self.sums:
                mean, factor = events.get(event_id, (0, 0))
                total = mean * factor + sample
                events[event_id] = (total // (factor + 1) if name == "*tcd" else total / (factor + 1)), factor + 1
                self.sums[name] += sample
                self.counts[name] += 1
            elif name == "*ddc":
                events.setdefault(event_id, []).append(sample)
                self.counts[name] += 1
            else:
                self.counts[name] += event_id not in events
                events[event_id] = sample

    def expire(self, now_ns: int) -> None:
        while self.items and self.items[0][1] and self.items[0][1] <= now_ns:
            self.drop()

    def drop(self) -> None:
        event_id, _ = self.items.pop(0)
        for name, events in self.events.items():
            if event_id not in events:
                continue
            self.counts[name] -= 1
            if name not in self.sums:
                if name == "*ddc" and len(events[event_id]) > 1:
                    first = events[event_id][0]
                    events[event_id] = [first] * (events[event_id].count(first) - 1) + [
                        value for value in events[event_id] if value != first
                    ]
                else:
                    del events[event_id]
                continue
            mean, factor = events.pop(event_id)
            gone = mean
            if name == "*asr":
                gone = 1 if mean > 0.5 else 0
                mean = (mean * factor - gone) / (factor - 1) if factor > 1 else mean
            self.sums[name] -= gone
            if factor > 1:
                events[event_id] = mean, factor - 1

    def total(self, name: str) -> Any:
        events = self.events[name]
        if name in self.sums:
            return self.sums[name]
        if name == "*ddc":
            return len({value for values in events.values() for value in values})
        if name == "*highest#F":
            return max([0, *events.values()])
        if name == "*lowest#F":
            return min([sys.float_info.max, *events.values()])
        return 0
