"""A node with exporters, and an HTTP server that notes what it is sent."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from cgr_cluster.node.node import Node

VOICE = {
    "OriginID": "o1", "OriginHost": "h", "ToR": "*voice", "Account": "491700099", "Destination": "4915112233", "Usage": "90s",
    "AnswerTime": "2026-03-02T10:00:05Z", "Cost": 0.23,
}  # fmt: skip


def field(path: str, value: str, kind: str = "*variable", **more: Any) -> dict[str, Any]:
    return {"path": path, "type": kind, "value": value, **more}


def exporter(exporter_id: str, kind: str, **more: Any) -> dict[str, Any]:
    return {"id": exporter_id, "type": kind, "synchronous": True, "failed_posts_dir": "*none", **more}


def configure(node: Node, *exporters: dict[str, Any], **more: Any) -> dict[str, Any]:
    """SetConfig of section `ees`, and of time enough for servers that are threads; its answer."""
    section = {"enabled": True, "exporters": list(exporters), **more}
    return node.call("ConfigSv1.SetConfig", {"Config": {"ees": section, "general": {"reply_timeout": "90s"}}})


def export(node: Node, event: dict[str, Any] | None = None, *ee_ids: str, **more: Any) -> dict[str, Any]:
    asked = {"ID": "ev1", "Event": {**VOICE, **(event or {})}, "EeIDs": list(ee_ids), "APIOpts": {"*eesVerbose": True}}
    return node.call("EeSv1.ProcessEvent", {**asked, **more})


class Seen:
    """Requests that have come: path, headers, body. `status`: of the answers to come, the last of them for ever."""

    def __init__(self) -> None:
        self.url = ""
        self.status = [200]
        self.requests: list[tuple[str, dict[str, str], str]] = []

    @property
    def bodies(self) -> list[str]:
        return [body for _, _, body in self.requests]


@contextmanager
def http_server() -> Iterator[Seen]:
    seen = Seen()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            seen.requests.append((self.path, dict(self.headers.items()), body))
            status = seen.status.pop(0) if len(seen.status) > 1 else seen.status[0]
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_PUT = do_POST

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    seen.url = f"http://127.0.0.1:{server.server_port}/export"
    try:
        yield seen
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
