"""What ends a worker process or the whole node, for who may ask for it (CoreSv1.Panic, Responder.Shutdown)."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Callable
from typing import Any

logger = logging.getLogger("cgr_cluster.worker")

DIES_AFTER_SECONDS = 0.25  # so that its answer leaves first: a call without one is delivered again, and kills again
PANIC_STATUS = 2


def panic(message: str) -> None:
    """This process dies without cleaning anything up, in a moment."""
    logger.critical("CoreSv1.Panic: %s", message)
    dying = threading.Timer(DIES_AFTER_SECONDS, os._exit, (PANIC_STATUS,))
    dying.daemon = True
    dying.start()


def stop_node() -> None:
    """Tell the supervisor, which is the parent of every worker, to stop in order."""
    logger.warning("Responder.Shutdown: the node stops")
    os.kill(os.getppid(), signal.SIGTERM)


END: dict[str, Callable[..., Any]] = {"panic": panic, "stop_node": stop_node}  # of worker processes only
