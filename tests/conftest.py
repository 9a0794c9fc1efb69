"""Property tests try the same examples in every run, so that a change is judged by what it does and not by chance.
`CGR_RANDOM=1 ./scripts/test tests/property` tries new ones: a search for defects, whose finds become examples."""

from __future__ import annotations

import os

from hypothesis import settings

settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.register_profile("random", deadline=None)
settings.load_profile("random" if os.environ.get("CGR_RANDOM") else "repeatable")
