"""The large loads that are under way in a worker's process: what `GetLoadProgress` answers, and lines in the log."""

from __future__ import annotations

import logging
import time

from msgspec.structs import replace

from cgr_cluster.tariffs.progress import LoadProgress, Report

logger = logging.getLogger("cgr_cluster.tariffs")

LOG_SECONDS = 10.0  # between two lines of one phase
LOST_SECONDS = 3600.0  # a load that has told nothing for so long was given up


class RunningLoads:
    """Threads of the shell tell, the loop's thread lists; each entry is replaced whole."""

    def __init__(self) -> None:
        self._loads: dict[str, LoadProgress] = {}
        self._told: dict[str, float] = {}
        self._logged: dict[str, float] = {}

    def reporter(self, uid: str, source: str) -> Report:
        return lambda phase, done, total: self.note(uid, source, phase, done, total)

    def note(self, uid: str, source: str, phase: str, done: int, total: int) -> None:
        now = time.monotonic()
        known = self._loads.get(uid)
        if known is None:
            self._loads[uid] = LoadProgress(uid, source, phase, done, total, time.time_ns())
        else:
            self._loads[uid] = replace(known, phase=phase, done=done, total=total)
        self._told[uid] = now
        if known is None or known.phase != phase or now - self._logged.get(uid, 0.0) >= LOG_SECONDS:
            self._logged[uid] = now
            of = f", {done} of {total}" if total else ""
            logger.info("load of %s: %s%s", source, phase, of)

    def end(self, uid: str) -> None:
        for table in (self._loads, self._told, self._logged):
            table.pop(uid, None)

    def listed(self) -> list[LoadProgress]:
        old = time.monotonic() - LOST_SECONDS
        return [load for uid, load in list(self._loads.items()) if self._told.get(uid, old) > old]
