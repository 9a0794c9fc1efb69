"""The edge's `outside` functions of a node in one process: everything at once, in the caller's thread."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cgr_cluster.edge import transports
from cgr_cluster.edge.exporter_service import ExporterService, Sending
from cgr_cluster.edge.failed_posts import post_files, read_posts, replace_posts
from cgr_cluster.edge.reader_files import READER_FILES
from cgr_cluster.exporters.types import Export, Outcome
from cgr_cluster.rpc.errors import ApiError


def edge_functions(service: ExporterService) -> dict[str, Callable[..., Any]]:
    def export(asked: list[Export]) -> list[Outcome]:
        answers = service.turn(asked)
        return [service.sent(each, send_error(each)) if isinstance(each, Sending) else each for each in answers]

    return {
        "ees.export": export,
        "ees.settle": service.settle,
        "ees.forget": service.forget,
        "ees.reset": service.reset,
        **NETWORK_FUNCTIONS,
    }


def send_error(sending: Sending) -> str:
    """One attempt; "" when it has arrived."""
    try:
        transports.send(sending.post)
    except ApiError as error:
        return error.text
    return ""


# Those that look at no exporter: a thread of their own may do them.
NETWORK_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "ees.post_files": post_files,
    "ees.read_posts": read_posts,
    "ees.post": transports.send,
    "ees.replace_posts": replace_posts,
    **READER_FILES,
}
