"""`cgr-cluster status`: how a node is, in one page: CoreSv1.Status, /health, /metrics, runs of action plans, loads."""

from __future__ import annotations

import argparse
import http.client
import json
import re
import sys
from typing import Any

from cgr_cluster.cli.client import CallFailedError, Client, UnreachableError, parse_address
from cgr_cluster.cli.load import progress_text

HTTP_TIMEOUT_S = 5.0
MOST_CALLED = 12
_SAMPLE = re.compile(r"^(cgr_\w+)(?:\{(.*)\})? (\S+)$")
_LABEL = re.compile(r'(\w+)="([^"]*)"')


def add_parser(commands: Any) -> None:
    parser = commands.add_parser("status", help="show how a node is: processes, workers, calls, latencies")
    parser.add_argument(
        "--address", default="127.0.0.1:2012", metavar="HOST:PORT", help="JSON port (default: %(default)s)"
    )
    parser.add_argument(
        "--http", metavar="HOST:PORT", help="HTTP port (default: 2080 for the JSON port 2012, else the JSON port + 2)"
    )
    parser.add_argument("--json", action="store_true", help="everything as JSON")
    parser.set_defaults(run=run)


def http_address(json_address: tuple[str, int]) -> tuple[str, int]:
    host, port = json_address
    return host, 2080 if port == 2012 else port + 2


def get(address: tuple[str, int], path: str) -> tuple[int, str]:
    """HTTP status and body. Raises UnreachableError."""
    connection = http.client.HTTPConnection(*address, timeout=HTTP_TIMEOUT_S)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read().decode()
    except OSError as error:
        raise UnreachableError(
            f"nothing answers on {address[0]}:{address[1]} (HTTP): {error.strerror or error}"
        ) from None
    finally:
        connection.close()


def read_metrics(text: str) -> dict[str, dict[str, float]]:
    """Prometheus text: name → label values joined by a blank ("" without) → value."""
    found: dict[str, dict[str, float]] = {}
    for line in text.splitlines():
        sample = _SAMPLE.match(line)
        if sample:
            labels = " ".join(value for _, value in _LABEL.findall(sample[2] or ""))
            found.setdefault(sample[1], {})[labels] = float(sample[3])
    return found


def quantile_s(metrics: dict[str, dict[str, float]], share: float) -> float | None:
    """Upper bound in seconds below which `share` of the calls were answered; None: no calls, or above all bounds."""
    buckets = metrics.get("cgr_request_seconds_bucket", {})
    wanted = share * buckets.get("+Inf", 0)
    for bound, count in buckets.items():
        if wanted and count >= wanted and bound != "+Inf":
            return float(bound)
    return None


def table(status: dict[str, Any], healthy: bool, health: dict[str, Any], metrics: dict[str, dict[str, float]]) -> str:
    requests, errors = metrics.get("cgr_requests_total", {}), metrics.get("cgr_errors_total", {})
    lines = [
        f"node {status.get('node_id', '')}  {status.get('version', '')}  {'ok' if healthy else 'NOT COMPLETE'}",
        f"  running since {status.get('running_since', '')}, pid {status.get('pid', '')}, "
        f"{status.get('resident_memory', '')} resident, {status.get('cpu_time', '')} CPU",
        "  " + ", ".join(f"{name}: {value}" for name, value in health.items()),
        f"  {int(sum(requests.values()))} calls answered, {int(sum(errors.values()))} of them with an error",
    ]
    bounds = [(name, quantile_s(metrics, share)) for name, share in (("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999))]
    if any(bound is not None for _, bound in bounds):
        shown = ("> all bounds" if bound is None else f"<= {bound * 1000:g} ms" for _, bound in bounds)
        lines.append("  " + ", ".join(f"{name} {text}" for (name, _), text in zip(bounds, shown, strict=True)))
    for name, samples in metrics.items():
        if name.startswith(("cgr_requests", "cgr_errors", "cgr_request_seconds")) or not any(samples.values()):
            continue
        for label, value in samples.items():
            lines.append(f"  {name[4:]}{' ' + label if label else ''}: {value:g}")
    if requests:
        lines.append(f"  {'most called':42} {'answers':>10} {'errors':>8}")
        for method, count in sorted(requests.items(), key=lambda item: -item[1])[:MOST_CALLED]:
            lines.append(f"  {method:42} {count:10.0f} {errors.get(method, 0):8.0f}")
    return "\n".join(lines)


def run_lines(runs: list[dict[str, Any]]) -> list[str]:
    """Runs of action plans, a line each: what is under way, and the last that has ended."""
    shown = [run for run in runs if run["Status"] != "ENDED"] + [run for run in runs if run["Status"] == "ENDED"][:1]
    lines = [f"  {'runs of action plans':30} {'status':8} {'through':>10} {'of':>10} {'failed':>8} {'a second':>10}"]
    for run in shown:
        through = run["Done"] + run["Failed"] + run["Skipped"]
        name = f"{run['ActionPlanID']} {run['ActionsID']}" if run["ActionPlanID"] else "tasks"
        lines.append(
            f"  {name:30} {run['Status'].lower():8} {through:10} {run['Accounts']:10} {run['Failed']:8} "
            f"{run['AccountsPerSecond']:10.0f}"
        )
    return lines if shown else []


def run(options: argparse.Namespace) -> int:
    try:
        address = parse_address(options.address)
        http_at = parse_address(options.http) if options.http else http_address(address)
    except ValueError as error:
        print(f"cgr-cluster status: {error}", file=sys.stderr)
        return 2
    code, body = get(http_at, "/health")
    health = json.loads(body)
    metrics = read_metrics(get(http_at, "/metrics")[1])
    try:
        with Client(address, HTTP_TIMEOUT_S) as client:
            status = client.call("CoreSv1.Status", {})
            runs = client.call("SchedulerSv1.GetRuns", {})
            loads = client.call("APIerSv1.GetLoadProgress", {})
    except CallFailedError as error:
        print(f"cgr-cluster status: the node answers {error}", file=sys.stderr)
        return 1
    if options.json:
        found = {
            "status": status,
            "healthy": code == 200,
            "health": health,
            "metrics": metrics,
            "runs": runs,
            "loads": loads,
        }
        print(json.dumps(found, indent=1))
    else:
        lines = [f"  load of {load['Source']}: {progress_text(load)}" for load in loads]
        print("\n".join([table(status, code == 200, health, metrics), *run_lines(runs), *lines]))
    return 0 if code == 200 else 1
