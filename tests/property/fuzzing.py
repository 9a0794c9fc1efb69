"""How long a fuzz runs: short and the same each time in the suite; long and random with CGR_FUZZ_EXAMPLES."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

EXAMPLES = int(os.environ.get("CGR_FUZZ_EXAMPLES", "0"))


def fuzzed(examples: int) -> settings:
    """`CGR_FUZZ_EXAMPLES=20000 pytest tests/property/test_api_fuzz.py` for so many random examples."""
    return settings(
        max_examples=EXAMPLES or examples,
        derandomize=not EXAMPLES,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        print_blob=True,
    )
