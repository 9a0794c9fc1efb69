"""Events that a part has caused, on their way to thresholds and statistic queues: account events (spec chapters 51, section 4,
and 60, section 1.10; design 5)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sized

from cgr_cluster.engine.domain import GenerationView, Part
from cgr_cluster.events.event import CGREvent
from cgr_cluster.filters.live import Need
from cgr_cluster.rpc.errors import ApiError

logger = logging.getLogger("cgr_cluster.filters")

TO_THRESHOLDS = "thresholds.process"  # tasks, in the packages' process.py
TO_QUEUES = "stats.process"


def hand_over(
    part: Part,
    spawn: Callable[..., None],
    event: CGREvent,
    hops: int,
    task: str,
    found: Callable[[GenerationView, int, CGREvent], Sized],
) -> None:
    """Leave the event to `task`, which is awaited: the objects' owners have it, and what is synchronous there has run, before
    the answer of its cause leaves. What comes of it is only logged. `found`: the objects that it belongs to. `spawn` is how
    the part leaves tasks behind; `hops`: length of the chain of actions and events that led here."""
    try:
        if not found(part.generation, part.now_ns, event):
            return
    except Need:
        pass  # the task can ask
    except ApiError as error:
        log_failure(task, event, error)
        return
    spawn(task, event, hops)


def log_failure(task: str, event: CGREvent, error: ApiError) -> None:
    logger.warning("%s of event %s (%s): %s", task, event.id, event.opts.get("*eventType", ""), error.text)
