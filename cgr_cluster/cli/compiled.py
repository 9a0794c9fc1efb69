"""The compiled copy of the packages that `scripts/compile` makes: where it is, and whether it is of these sources."""

from __future__ import annotations

import hashlib
import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
FOLDER = ROOT / "build" / "compiled"
PACKAGES = ("cgr_cluster", "balancer", "workers", "conf")
LAUNCHER = "node.py"  # runs the supervisor with the copy's modules
STAMP = "sources.sha256"


def stamp_of(root: Path) -> str:
    """What the packages under `root`, compiled for this Python, are told apart by."""
    digest = hashlib.sha256(f"{sys.version} {sysconfig.get_config_var('EXT_SUFFIX')}".encode())
    for package in PACKAGES:
        for file in sorted((root / package).rglob("*.py")):
            digest.update(f"{file.relative_to(root)}\0".encode())
            digest.update(file.read_bytes())
    return digest.hexdigest()


def node_command(compiled: bool = True) -> list[str]:
    """How to start a node's supervisor; its options go behind it. With `compiled`: from the compiled copy, if there is one
    of exactly these sources (else a line on stderr says so)."""
    stamp = FOLDER / STAMP
    if compiled and stamp.exists():
        if stamp.read_text() == stamp_of(ROOT):
            return [sys.executable, str(FOLDER / LAUNCHER)]
        print(f"{FOLDER} is of other sources and is not used; scripts/compile makes it anew", file=sys.stderr)
    return [sys.executable, "-m", "workers.supervisor"]
