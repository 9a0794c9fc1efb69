"""Counters of a balancer and their Prometheus text form. No clock, no locks: one loop writes and reads them."""

from __future__ import annotations

from bisect import bisect_left

BOUNDS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
_BOUNDS_NS = tuple(int(bound * 1e9) for bound in BOUNDS_S)


class Scrapes:
    """Counters of the page that Prometheus reads (chapter 70 §8)."""

    def __init__(self) -> None:
        self.in_flight = 0
        self._ended = {200: 0, 500: 0, 503: 0}  # status → responses

    def ended(self, status: int) -> None:
        self._ended[status] += 1

    def text(self) -> str:
        name = "promhttp_metric_handler_requests"
        return (
            f"# HELP {name}_in_flight Scrapes under way, this one included.\n# TYPE {name}_in_flight gauge\n{name}_in_flight {self.in_flight}\n"
            f"# HELP {name}_total Scrapes by status of the response, this one included.\n# TYPE {name}_total counter\n"
        ) + "".join(f'{name}_total{{code="{status}"}} {count}\n' for status, count in self._ended.items())


class Metrics:
    def __init__(self) -> None:
        self.scrapes = Scrapes()
        self.requests: dict[str, int] = {}  # by method, as called; only methods that exist
        self.errors: dict[str, int] = {}  # answers that are errors, by method
        self.unknown = 0  # calls of methods that do not exist, or with params that are no list
        self.refused = 0  # by the limit of concurrent calls
        self.timeouts = 0
        self.redelivered = 0
        self.moved = 0
        self.malformed = 0  # streams closed for what they sent
        self.batches = 0
        self._buckets = [0] * (len(_BOUNDS_NS) + 1)
        self._sum_ns = 0

    def answered(self, method: str, failed: bool, took_ns: int) -> None:
        self.requests[method] = self.requests.get(method, 0) + 1
        if failed:
            self.errors[method] = self.errors.get(method, 0) + 1
        self._buckets[bisect_left(_BOUNDS_NS, took_ns)] += 1
        self._sum_ns += took_ns

    def text(self, gauges: dict[str, tuple[str, dict[str, float]]]) -> str:
        """Prometheus text. `gauges`: name → (help, label text or "" → value), such as
        `{"connections": ("Open connections.", {'kind="tcp"': 3})}`."""
        out: list[str] = []

        def family(name: str, kind: str, about: str, values: dict[str, float]) -> None:
            out.append(f"# HELP cgr_{name} {about}")
            out.append(f"# TYPE cgr_{name} {kind}")
            out.extend(
                f"cgr_{name}{{{labels}}} {value:.15g}" if labels else f"cgr_{name} {value:.15g}"
                for labels, value in values.items()
            )

        by_method = {f'method="{method}"': float(count) for method, count in sorted(self.requests.items())}
        family("requests_total", "counter", "Answered calls.", by_method)
        by_method = {f'method="{method}"': float(count) for method, count in sorted(self.errors.items())}
        family("errors_total", "counter", "Answers that are errors.", by_method)
        for name, about, count in (
            ("unroutable_total", "Calls of unknown methods, or with params that are no list.", self.unknown),
            ("refused_total", "Calls refused by the limit of concurrent calls.", self.refused),
            ("timeouts_total", "Calls answered REPLY_TIMEOUT by the balancer.", self.timeouts),
            ("redelivered_total", "Calls delivered again after a worker's restart.", self.redelivered),
            ("moved_total", "Calls sent on since their shard had moved.", self.moved),
            ("malformed_total", "Connections closed for what they sent.", self.malformed),
            ("batches_total", "Batches sent to workers.", self.batches),
        ):
            family(name, "counter", about, {"": float(count)})
        total = 0
        buckets: dict[str, float] = {}
        for bound, count in zip((*map(str, BOUNDS_S), "+Inf"), self._buckets, strict=True):
            total += count
            buckets[f'le="{bound}"'] = float(total)
        out.append("# HELP cgr_request_seconds From reading a call to its answer.")
        out.append("# TYPE cgr_request_seconds histogram")
        out.extend(f"cgr_request_seconds_bucket{{{label}}} {count:.0f}" for label, count in buckets.items())
        out.append(f"cgr_request_seconds_sum {self._sum_ns / 1e9}")
        out.append(f"cgr_request_seconds_count {total}")
        for name, (about, values) in gauges.items():
            family(name, "gauge", about, values)
        return "\n".join(out) + "\n"
