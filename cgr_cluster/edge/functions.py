"""The edge's `outside` functions: what a worker may ask of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cgr_cluster.edge.exporter_service import ExporterService
from cgr_cluster.edge.failed_posts import post_files, read_posts, replace_posts
from cgr_cluster.edge.reader_files import READER_FILES
from cgr_cluster.edge.sendings import Sending
from cgr_cluster.edge.transports import Transports
from cgr_cluster.exporters.types import Export, Outcome


def edge_functions(service: ExporterService) -> dict[str, Callable[..., Any]]:
    """All of them for a node in one process: everything at once, in the caller's thread."""
    transports = Transports()

    def export(asked: list[Export]) -> list[Outcome]:
        return [
            service.sent(each, transports.send_error(each.post)) if isinstance(each, Sending) else each
            for each in service.turn(asked)
        ]

    return {
        "ees.export": export,
        "ees.settle": service.settle,
        "ees.forget": service.forget,
        "ees.reset": service.reset,
        **network_functions(transports),
    }


def network_functions(transports: Transports) -> dict[str, Callable[..., Any]]:
    """Those that look at no exporter: any thread may do them."""
    return {
        "ees.post_files": post_files,
        "ees.read_posts": read_posts,
        "ees.post": transports.send,
        "ees.replace_posts": replace_posts,
        **READER_FILES,
    }
