"""How long a process's loop is to sleep until something is due."""

from __future__ import annotations

MS = 1_000_000


def wait_s(left_ns: int) -> float:
    """Seconds for `call_later`, whole milliseconds rounded up. uvloop counts in these and rounds: what is due in less than
    half of one it would call at once, again and again, for half a millisecond of a full core."""
    return max(0, -(-left_ns // MS)) / 1000
