"""Events that a part has caused, on their way to the thresholds: account events (spec chapter 51, section 4; design 5)."""

from __future__ import annotations

import logging
from collections.abc import Callable

from cgr_cluster.engine.domain import Part
from cgr_cluster.events.event import CGREvent
from cgr_cluster.filters.live import Need
from cgr_cluster.rpc.errors import ApiError
from cgr_cluster.thresholds.matching import thresholds_of

logger = logging.getLogger("cgr_cluster.thresholds")

PROCESS = "thresholds.process"  # the task, in process.py


def hand_over(part: Part, spawn: Callable[..., None], event: CGREvent, hops: int) -> None:
    """The event is with the thresholds' owners, and their synchronous actions have run, before the answer of its cause
    leaves. What comes of it is only logged. `spawn` is how the part leaves tasks behind; `hops`: length of the chain of
    actions and events that led here."""
    try:
        if not thresholds_of(part.generation, part.now_ns, event):
            return
    except Need:
        pass  # the task can ask
    except ApiError as error:
        log_failure(event, error)
        return
    spawn(PROCESS, event, hops)


def log_failure(event: CGREvent, error: ApiError) -> None:
    logger.warning("thresholds of event %s (%s): %s", event.id, event.opts.get("*eventType", ""), error.text)
