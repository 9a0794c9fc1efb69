"""A loop sleeps until what is due is due, and not until just before."""

from __future__ import annotations

import pytest

from workers.alarms import MS, wait_s


@pytest.mark.parametrize(
    ("left_ns", "expected_s"),
    [(-5 * MS, 0.0), (0, 0.0), (1, 0.001), (MS // 2, 0.001), (MS, 0.001), (MS + 1, 0.002), (2_500 * MS, 2.5)],
)
def test_what_is_ahead_is_never_called_before_its_time(left_ns: int, expected_s: float) -> None:
    assert wait_s(left_ns) == expected_s
