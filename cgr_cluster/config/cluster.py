"""Section `cluster` of the configuration: what is this system's own, with no counterpart in CGRateS.

It is read at a process's start, not at run time, and is no part of what ConfigSv1 answers. Without the section (`--ephemeral`)
its switches are off.
"""

from __future__ import annotations

from typing import Any

import msgspec

from cgr_cluster.events.durations import parse_duration

MIB = 1 << 20

# Key → default. A table of its own, since the section is merged and checked like all others before it is read.
DEFAULTS: dict[str, Any] = {
    "data_dir": "data",
    "workers": 0,
    "segment_bytes": 64 * MIB,
    "low_disk_bytes": 512 * MIB,
    "fold_interval": "60s",
    "fold_log_bytes": 256 * MIB,
    "short_lived": "10m",
    "ip_ranges": True,
    "protect_metrics": False,
    "allow_panic": False,
    "allow_shutdown": False,
}


class ClusterSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The section, read. `workers` 0: one per core. Sizes in bytes, times in ns."""

    data_dir: str
    workers: int
    segment_bytes: int
    low_disk_bytes: int
    fold_interval_ns: int
    fold_log_bytes: int
    short_lived_ns: int


def cluster_settings(section: dict[str, Any]) -> ClusterSettings:
    """Of a section that `settings.check` has let through."""
    return ClusterSettings(
        data_dir=section["data_dir"],
        workers=section["workers"],
        segment_bytes=section["segment_bytes"],
        low_disk_bytes=section["low_disk_bytes"],
        fold_interval_ns=parse_duration(section["fold_interval"]),
        fold_log_bytes=section["fold_log_bytes"],
        short_lived_ns=parse_duration(section["short_lived"]),
    )
