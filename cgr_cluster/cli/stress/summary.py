"""What a run says at its end, for people and (`--json`) for programs."""

from __future__ import annotations

from typing import Any

from cgr_cluster.cli.stress.balance import ENOUGH, SHOWN, Sheet, money
from cgr_cluster.cli.stress.runner import KINDS, Runner


def result(runner: Runner, sheet: Sheet, seconds: float, cpu_s: float, sessions_left: int, seed: int) -> dict[str, Any]:
    """All figures of a run. `reasons` says why it does not balance; it balances without any."""
    differing = sheet.differing
    reasons = []
    if differing:
        reasons.append(f"{len(differing)} accounts differ")
    if sheet.wrong_count:
        reasons.append(f"{sheet.wrong_count} records are not what their calls were")
    if runner.charged < ENOUGH * runner.started:
        reasons.append(f"only {runner.charged} of {runner.started} calls were charged")
    if runner.problem_count:
        reasons.append(f"{runner.problem_count} answers were not the expected ones")
    if sessions_left:
        reasons.append(f"{sessions_left} sessions are still active")
    if not runner.started:
        reasons.append("no call was made")
    cdrs = sum(figures.cdrs for figures in sheet.figures.values())
    if cdrs != runner.charged and not sheet.wrong_count:
        reasons.append(f"{runner.charged} calls, but {cdrs} CDRs")
    return {
        "run": runner.run_id,
        "seed": seed,
        "seconds": round(seconds, 3),
        "calls": runner.started,
        "calls_per_s": round(runner.started / seconds, 1) if seconds else 0,
        "requests_per_s": round(runner.requests / seconds, 1) if seconds else 0,
        "charged": runner.charged,
        "refused": runner.refused,
        "cut": runner.cut,
        "failed": runner.failed,
        "cdrs": cdrs,
        "doubts": runner.doubts,
        "late_cdrs": runner.late_cdrs,
        "reconnects": runner.connections.reconnects,
        "own_cpu_s": round(cpu_s, 3),
        "own_cpu_share": round(cpu_s / seconds, 3) if seconds else 0,
        "requests": {kind: runner.latencies[kind].summary() for kind in KINDS if runner.latencies[kind].count},
        "errors": dict(runner.errors),
        "money": {
            "priced": money(sum(f.priced for f in sheet.figures.values())),
            "in_cdrs": money(sum(f.in_cdrs for f in sheet.figures.values())),
            "priced_debited": money(sum(f.priced for f in sheet.figures.values() if f.is_debited)),
            "taken": money(sum(f.taken for f in sheet.figures.values())),
        },
        "free_seconds": {
            "priced": sum(f.priced_free for f in sheet.figures.values()) // 10**9,
            "in_cdrs": sum(f.in_cdrs_free for f in sheet.figures.values()) // 10**9,
            "taken": sum(f.taken_free for f in sheet.figures.values()) // 10**9,
        },
        "differing": [
            {
                "account": f.account,
                "priced": money(f.priced),
                "in_cdrs": money(f.in_cdrs),
                "taken": money(f.taken),
                "free_seconds": [x / 10**9 for x in (f.priced_free, f.in_cdrs_free, f.taken_free)],
                "calls": f.calls,
                "cdrs": f.cdrs,
            }
            for f in differing[:SHOWN]
        ],
        "wrong_records": sheet.wrong,
        "problems": runner.problems,
        "balanced": not reasons,
        "reasons": reasons,
    }


def text(found: dict[str, Any]) -> str:
    lines = [
        f"{found['calls']} calls in {found['seconds']:.1f} s: {found['calls_per_s']:.0f} calls/s, "
        f"{found['requests_per_s']:.0f} requests/s; this tool used {found['own_cpu_share']:.0%} of a core",
        f"  charged {found['charged']}, refused {found['refused']}, cut short {found['cut']}, failed {found['failed']}; "
        f"lost answers {found['doubts']}, late records {found['late_cdrs']}, reconnects {found['reconnects']}",
        f"  {'request':10} {'count':>9} {'errors':>7} {'p50 ms':>9} {'p99 ms':>9} {'p99.9 ms':>9} {'max ms':>9}",
    ]
    for kind, row in found["requests"].items():
        lines.append(
            f"  {kind:10} {row['count']:9} {row['errors']:7} {row['p50_ms']:9.2f} {row['p99_ms']:9.2f} "
            f"{row['p999_ms']:9.2f} {row['max_ms']:9.2f}"
        )
    lines += [f"  error {name}: {count}" for name, count in sorted(found["errors"].items())]
    sums = found["money"]
    free = found["free_seconds"]
    lines += [
        f"  money of all calls: {sums['priced']} priced, {sums['in_cdrs']} in {found['cdrs']} CDRs",
        f"  money of debited calls: {sums['priced_debited']} priced, {sums['taken']} taken from balances",
        f"  free seconds: {free['priced']} priced, {free['in_cdrs']} in CDRs, {free['taken']} taken from balances",
    ]
    lines += [f"  {word}" for word in (*found["problems"], *found["wrong_records"])]
    if found["differing"]:
        lines.append(
            f"  {'account':14} {'priced':>16} {'in CDRs':>16} {'taken':>16} calls/CDRs, free seconds of the three"
        )
        for row in found["differing"]:
            lines.append(
                f"  {row['account']:14} {row['priced']:>16} {row['in_cdrs']:>16} {row['taken']:>16} "
                f"{row['calls']}/{row['cdrs']}, {row['free_seconds']}"
            )
    lines += [f"  {reason}" for reason in found["reasons"]]
    lines.append(f"balanced: {'yes' if found['balanced'] else 'no'}")
    return "\n".join(lines)
