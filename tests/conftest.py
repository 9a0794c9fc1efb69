"""What makes each run of the tests like every other one, on a machine of any speed.

Property tests try the same examples in every run, so that a change is judged by what it does and not by chance.
`CGR_RANDOM=1 ./scripts/test tests/property` tries new ones: a search for defects, whose finds become examples."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings
from hypothesis.internal.conjecture import providers

from cgr_cluster.node import keys, outside_effects

WAIT = 90.0  # seconds, for what takes a moment on a machine that is not stopped just then

settings.register_profile("repeatable", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("random", deadline=None, suppress_health_check=[HealthCheck.too_slow])
if os.environ.get("CGR_RANDOM"):
    settings.load_profile("random")
else:
    settings.load_profile("repeatable")
    # Hypothesis would draw constants from the modules that are loaded: others in each run, as tests are spread over processes.
    assert not providers._local_constants
    providers._get_local_constants = lambda: providers._local_constants

outside_effects.TIMEOUT_S = outside_effects.LIMIT_S = keys.TIMEOUT_S = WAIT  # of servers that tests start in threads
