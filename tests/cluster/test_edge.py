"""Exporters over real processes: nothing acknowledged is lost and no row comes twice when the edge, or a worker, is killed."""

from __future__ import annotations

import csv
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.cluster.node_rig import WAIT, NodeRig, wait_until

pytestmark = pytest.mark.cluster

EVENTS = 60


def config(folder: Path, **exporter: object) -> dict[str, object]:
    fields = [
        {"path": "*hdr.ID", "type": "*constant", "value": "ID"},
        {"path": "*exp.ID", "type": "*variable", "value": "~*req.OriginID"},
        {"path": "*trl.N", "type": "*variable", "value": "~*em.NumberOfEvents"},
    ]
    one = {
        "id": "BILLING",
        "type": "*file_csv",
        "export_path": str(folder),
        "attempts": 3,
        "fields": fields,
        **exporter,
    }
    return {
        "enabled": True,
        "cache": {"*file_csv": {"limit": -1, "ttl": "1h"}},
        "failed_posts": {"dir": "*none"},
        "exporters": [one],
    }


def rows_of(folder: Path) -> list[list[str]]:
    return [row for file in sorted(folder.glob("*.csv")) for row in csv.reader(file.read_text().splitlines())]


def test_rows_are_written_once_whatever_is_killed(tmp_path: Path) -> None:
    folder = tmp_path / "exports"
    folder.mkdir()
    with NodeRig(workers=2, data_dir=tmp_path / "data") as node, node.client() as client:
        assert client.call("ConfigSv1.SetConfig", {"Config": {"ees": config(folder)}})["result"] == "OK"
        for number in range(EVENTS):
            if number in (20, 40):
                node.kill("edge")
            if number == 30:
                node.kill("worker-1")
            event = {"OriginID": f"call-{number}", "Account": f"a{number}", "ToR": "*voice", "Usage": "1s"}
            answer = client.call("EeSv1.ProcessEvent", {"ID": f"e{number}", "Event": event})
            assert answer["error"] is None and answer["result"] == {"BILLING": {}}, answer
        wait_until(lambda: len(rows_of(folder)) >= EVENTS + 1, "all rows")
        node.kill("edge")
        last = {"OriginID": "last", "Account": "last", "ToR": "*voice", "Usage": "1s"}
        client.call("EeSv1.ProcessEvent", {"ID": "last", "Event": last})
        wait_until(lambda: ["last"] in rows_of(folder), "the row after the kill")
    rows = rows_of(folder)
    assert rows[0] == ["ID"], "one file goes on over all deaths"
    assert sorted(row[0] for row in rows[1:-1]) == sorted([*(f"call-{n}" for n in range(EVENTS)), "last"])
    assert rows[-1] == [str(EVENTS + 1)], "a graceful stop writes the trailer, and metrics have survived"


@pytest.fixture
def silent() -> Iterator[tuple[str, list[str], threading.Event]]:
    """An endpoint that answers nobody before it is told to; what it was sent."""
    bodies: list[str] = []
    free = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            bodies.append(self.rfile.read(int(self.headers["Content-Length"])).decode())
            free.wait(WAIT)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.handle_error = lambda request, address: None  # type: ignore[method-assign]  # callers that are killed
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/", bodies, free
    finally:
        free.set()
        server.shutdown()
        server.server_close()
        thread.join()


def test_a_silent_endpoint_delays_only_what_is_for_it(
    tmp_path: Path, silent: tuple[str, list[str], threading.Event]
) -> None:
    """And what it was to get is delivered when the edge that was sending is killed."""
    url, bodies, free = silent
    folder = tmp_path / "exports"
    folder.mkdir()
    ees = config(folder)
    slow = {"id": "SLOW", "type": "*http_json_map", "export_path": url, "failed_posts_dir": "*none"}
    ees["exporters"] = [slow, *ees["exporters"]]  # type: ignore[misc]
    with NodeRig(workers=2, data_dir=tmp_path / "data") as node, node.client() as client:
        changes = {"general": {"reply_timeout": "10m"}, "ees": ees}
        assert client.call("ConfigSv1.SetConfig", {"Config": changes})["result"] == "OK"
        for number in range(EVENTS):
            event = {"OriginID": f"call-{number}", "Account": f"a{number}"}
            answer = client.call("EeSv1.ProcessEvent", {"ID": f"e{number}", "Event": event})
            assert answer["result"] == {"SLOW": {}, "BILLING": {}}, answer
        wait_until(lambda: len(rows_of(folder)) == EVENTS + 1, "all rows of the file")
        wait_until(lambda: bodies, "a request at the silent endpoint")
        assert len(bodies) < EVENTS, "it has only a few of them"
        node.kill("edge")
        free.set()
        wait_until(lambda: len({json.loads(body)["OriginID"] for body in list(bodies)}) == EVENTS, "all of them there")
    assert len(rows_of(folder)) == EVENTS + 2
