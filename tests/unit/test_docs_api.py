"""docs/api.md is what scripts/api_reference.py writes for the methods that there are."""

from __future__ import annotations

import runpy
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_current() -> None:
    page = runpy.run_path(str(ROOT / "scripts" / "api_reference.py"))["page"]
    assert (ROOT / "docs" / "api.md").read_text() == page(), "run scripts/api_reference.py"
