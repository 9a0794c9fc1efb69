"""A real balancer process on the wire, with a fake worker behind it (spec 01)."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cgr_cluster.node.node import Node
from cgr_cluster.routing import wire
from cgr_cluster.rpc.decode import decode_params
from cgr_cluster.rpc.errors import ApiError
from cgr_cluster.services import load
from tests.cluster.balancer_rig import (
    ROOT,
    WAIT,
    FakeWorker,
    Rig,
    default_handler,
    read_all,
    read_exactly,
    read_lines,
    read_to,
    send_to,
)
from tests.cluster.node_rig import terminate_again_and_again

pytestmark = pytest.mark.cluster
PING = b'{"method":"CoreSv1.Ping","params":[{}],"id":%d}\n'
PONG = b'{"id":%d,"result":"Pong","error":null}'


def decoding_handler(worker: FakeWorker, item: wire.RequestItem) -> tuple[bool, bytes] | None:
    """As a worker would: the parameter is decoded first; a method on profiles is answered by an empty node."""
    if item.method.endswith("Profile"):
        node = Node()
        answer = node.wait(node.send(item.method, None, raw=item.params))
        failed = answer["error"] is not None
        return failed, answer["error"].encode() if failed else json.dumps(answer["result"]).encode()
    try:
        decode_params(load().find(item.method), item.params)
    except ApiError as error:
        return True, error.text.encode()
    return default_handler(worker, item)


@pytest.fixture(scope="module")
def rig() -> Iterator[Rig]:
    found = Rig()
    found.worker(decoding_handler)
    yield found
    assert "ERROR" not in found.log.read_text()
    assert found.stop() == 0


def transcripts() -> list[tuple[str, list[str]]]:
    """(what is sent, what comes back) of chapter 01 §14."""
    out: list[tuple[str, list[str]]] = []
    for line in (Path(__file__).parent / "transcripts.txt").read_text().splitlines():
        if line.startswith("> "):
            out.append((line[2:].replace("\\n", "\n"), []))
        else:
            out[-1][1].append(line[2:])
    return out


@pytest.mark.parametrize(("sent", "answers"), transcripts())
def test_transcript(rig: Rig, sent: str, answers: list[str]) -> None:
    with rig.connect() as sock:
        sock.sendall(sent.encode() + b"\n")
        closed = any("connection closed" in answer for answer in answers)
        expected = sorted(answer for answer in answers if "connection closed" not in answer)
        found = read_all(sock).splitlines() if closed else read_lines(sock, len(expected))
        assert sorted(line.decode() for line in found) == expected
        if not closed:
            sock.sendall(PING % 99)
            assert read_lines(sock, 1) == [PONG % 99]


@pytest.mark.parametrize("size", [1, 10, 49])
def test_one_piece_at_a_time(rig: Rig, size: int) -> None:
    data = PING % 1 + PING % 2
    with rig.connect() as sock:
        for at in range(0, len(data), size):
            sock.sendall(data[at : at + size])
            time.sleep(0.001)
        assert sorted(read_lines(sock, 2)) == [PONG % 1, PONG % 2]


def test_a_half_closed_client_gets_its_answers(rig: Rig) -> None:
    with rig.connect() as sock:
        sock.sendall(b'{"method":"CoreSv1.Sleep","params":[{"Duration":100000000}],"id":1}' + PING % 2)
        sock.shutdown(socket.SHUT_WR)
        assert sorted(read_all(sock).splitlines()) == [b'{"id":1,"result":"OK","error":null}', PONG % 2]


def test_answers_come_when_they_are_ready() -> None:
    """The worker answers in the opposite order, each when the answer before has arrived."""
    rig = Rig()
    try:
        worker = rig.worker(lambda worker, item: None)
        with rig.connect() as sock:
            for number in (1, 2, 3):
                sock.sendall(PING % number)
            wait_for(lambda: len(worker.requests()) == 3)
            for number, item in zip((3, 2, 1), reversed(worker.requests()), strict=True):
                worker.send(wire.Answers(worker.batches[-1].number, [wire.AnswerItem(item.uid, False, b'"Pong"')]))
                assert read_lines(sock, 1) == [PONG % number]
    finally:
        assert rig.stop() == 0


def test_many_calls_in_flight(rig: Rig) -> None:
    with rig.connect() as sock:
        sock.sendall(b"".join(PING % number for number in range(5000)))
        found = [json.loads(line)["id"] for line in read_lines(sock, 5000)]
    assert sorted(found) == list(range(5000))


def test_nonsense_is_closed_and_does_no_harm(rig: Rig) -> None:
    for data in (b"\x00" * 1000, b"\xff\xfe{}", b"GET / HTTP/1.1\r\n\r\n", b"{" * 3000, b'{"a":' * 12_000, b"}\n"):
        with rig.connect() as sock:
            send_to(sock, data)
            assert read_all(sock) == b""
    with rig.connect() as sock:
        sock.sendall(PING % 1)
        assert read_lines(sock, 1) == [PONG % 1]


def test_noise_on_every_port(rig: Rig) -> None:
    """Random bytes, and good traffic with bytes changed: connections may be closed, the process lives (a fixed seed)."""
    source = random.Random(1)
    upgrade = (
        b"GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nOrigin: x\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    good = {
        rig.json: [PING % 1 * 3],
        rig.http: [post(PING % 1) * 2, upgrade + frame(PING % 1) * 2],
        rig.bijson: [b'{"method":"SessionSv1.Ping","params":[{}],"id":1}{"id":1,"result":"OK","error":null}'],
    }
    for _ in range(150):
        for port, samples in good.items():
            data = bytearray(source.choice([*samples, source.randbytes(300)]))
            for _ in range(source.randrange(4)):
                data[source.randrange(len(data))] = source.randrange(256)
            with rig.connect(port) as sock:
                send_to(sock, data, end=source.random() < 0.5)
    with rig.connect() as sock:
        sock.sendall(PING % 1)
        assert read_lines(sock, 1) == [PONG % 1]


# --- HTTP ---------------------------------------------------------------------------------------------------------


def http(rig: Rig, request: bytes, responses: int = 1) -> list[tuple[int, dict[str, str], bytes]]:
    """Send raw bytes; the responses as (status, headers, body)."""
    out = []
    with rig.connect(rig.http) as sock:
        sock.sendall(request)
        stream = sock.makefile("rb")
        while len(out) < responses:
            status = int(stream.readline().split()[1])
            headers = {}
            while (line := stream.readline().strip()) != b"":
                name, _, value = line.decode().partition(": ")
                headers[name.lower()] = value
            out.append((status, headers, stream.read(int(headers["content-length"]))))
    return out


def post(body: bytes, path: bytes = b"/jsonrpc", headers: bytes = b"", method: bytes = b"POST") -> bytes:
    return b"%b %b HTTP/1.1\r\nHost: x\r\n%bContent-Length: %d\r\n\r\n%b" % (method, path, headers, len(body), body)


@pytest.mark.parametrize("method", [b"POST", b"GET", b"PUT"])
def test_http_call(rig: Rig, method: bytes) -> None:
    [(status, headers, body)] = http(rig, post(PING % 7, b"/jsonrpc?x=1", method=method))
    assert (status, headers["content-type"], body) == (200, "application/json", PONG % 7 + b"\n")


def test_http_errors_of_methods_are_200(rig: Rig) -> None:
    [(status, _, body)] = http(rig, post(b'{"method":"A.B","params":[{}],"id":"x"}'))
    assert (status, json.loads(body)["error"]) == (200, "rpc: can't find service A.B")


def test_http_pipelining_keeps_the_order(rig: Rig) -> None:
    sleep = b'{"method":"CoreSv1.Sleep","params":[{"Duration":150000000}],"id":1}'
    found = http(rig, post(sleep) + post(PING % 2) + post(b"") + post(PING % 3), 4)
    assert [status for status, _, _ in found] == [200, 200, 400, 200]
    assert [json.loads(body)["id"] for _, _, body in found] == [1, 2, None, 3]


def test_http_several_calls_in_one_body(rig: Rig) -> None:
    [(status, _, body)] = http(rig, post(PING % 1 + PING % 2 + b'{"method":"A.B","params":[],"id":3}'))
    assert status == 200
    assert sorted(json.loads(line)["id"] for line in body.splitlines()) == [1, 2, 3]


@pytest.mark.parametrize("body", [b"", b"hello", b"[]", b'{"method":', b'[{"method":"CoreSv1.Ping"}]', b'{"method":5}'])
def test_http_bodies_that_are_no_request(rig: Rig, body: bytes) -> None:
    [(status, headers, answer)] = http(rig, post(body))
    assert (status, headers["content-type"]) == (400, "application/json")
    document = json.loads(answer)
    assert list(document) == ["id", "result", "error"] and document["error"]


def test_http_other_paths(rig: Rig) -> None:
    for path in (b"/", b"/jsonrpc/", b"/nope"):
        [(status, _, body)] = http(rig, post(PING % 1, path))
        assert (status, body) == (404, b"404 page not found\n")
    [(status, _, body)] = http(rig, post(b"", b"/health", method=b"GET"))
    assert (status, json.loads(body)) == (200, {"status": "ok", "workers": 1})
    [(status, _, body)] = http(rig, post(b"", b"/metrics", method=b"GET"))
    assert status == 200 and b"# TYPE cgr_requests_total counter" in body
    [(status, _, body)] = http(rig, post(b"", b"/ws", method=b"GET"))
    assert (status, body) == (400, b"not websocket protocol\n")


def test_http_cors(rig: Rig) -> None:
    preflight, call = http(
        rig, post(b"", headers=b"Origin: http://ui\r\n", method=b"OPTIONS") + post(PING % 1, headers=b"Origin: http://ui\r\n"), 2
    )  # fmt: skip
    for status, headers, _ in (preflight, call):
        assert status == 200
        assert headers["access-control-allow-origin"] == "http://ui"
        assert headers["access-control-allow-methods"] == "POST, GET, OPTIONS, PUT, DELETE"
        assert headers["access-control-allow-headers"] == "Accept, Accept-Language, Content-Type"
    assert preflight[2] == b""


def test_http_keep_alive_and_close(rig: Rig) -> None:
    for headers, version, closes in (
        (b"Connection: close\r\n", b"1.1", True),
        (b"", b"1.0", True),
        (b"", b"1.1", False),
    ):
        with rig.connect(rig.http) as sock:
            sock.sendall(post(PING % 1, headers=headers).replace(b"HTTP/1.1", b"HTTP/" + version))
            assert read_lines(sock, 7 if closes else 6)[-1] == PONG % 1
            if closes:
                assert sock.recv(1) == b""
            else:
                sock.sendall(post(PING % 2))
                assert PONG % 2 in read_to(sock, PONG % 2)


def test_http_chunked_and_expect(rig: Rig) -> None:
    with rig.connect(rig.http) as sock:
        sock.sendall(b"POST /jsonrpc HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n")
        go_on = b"HTTP/1.1 100 Continue\r\n\r\n"
        assert read_exactly(sock, len(go_on)) == go_on
        body = PING % 1
        sock.sendall(b"%x\r\n%b\r\n%x\r\n%b\r\n0\r\n\r\n" % (10, body[:10], len(body) - 10, body[10:]))
        assert PONG % 1 in read_to(sock, PONG % 1)


def test_http_upgrade_to_something_else_is_an_ordinary_call(rig: Rig) -> None:
    headers = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAA\r\n"
    found = http(rig, post(PING % 1, headers=headers) + post(PING % 2), 2)
    assert [json.loads(body)["id"] for _, _, body in found] == [1, 2]


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"POST /jsonrpc HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n", 413),
        (b"GET /jsonrpc HTTP/1.1\r\nX: " + b"x" * 70_000, 431),
    ],
)
def test_http_bounds(rig: Rig, request_bytes: bytes, status: int) -> None:
    with rig.connect(rig.http) as sock:
        send_to(sock, request_bytes)
        assert read_all(sock).startswith(b"HTTP/1.1 %d " % status)


def test_basic_auth() -> None:
    rig = Rig('[http]\nuse_basic_auth = true\n[http.auth_users]\n"ann" = "c2VjcmV0"\n')
    try:
        rig.worker()
        [(status, headers, body)] = http(rig, post(PING % 1))
        assert (status, body.strip(), headers["www-authenticate"]) == (
            401,
            b"Not authorized",
            'Basic realm="Restricted"',
        )
        wrong = post(PING % 1, headers=b"Authorization: Basic YW5uOm5v\r\n")
        right = post(PING % 1, headers=b"Authorization: Basic YW5uOnNlY3JldA==\r\n")
        (refused, _, _), (status, headers, body) = http(rig, wrong + right, 2)
        assert (refused, status, body) == (401, 200, PONG % 1 + b"\n")
        assert "www-authenticate" in headers
    finally:
        assert rig.stop() == 0


# --- Prometheus -----------------------------------------------------------------------------------------------------


def page_handler(worker: FakeWorker, item: wire.RequestItem) -> tuple[bool, bytes] | None:
    """The page of a node, an error in its place, and then none."""
    if item.method != "CoreSv1.GetPrometheusMetrics":
        return default_handler(worker, item)
    number = sum(each.method == item.method for batch in worker.batches for each in batch.requests)
    return {1: (False, b'"page 1\\n"'), 2: (True, b"SERVER_ERROR: no"), 3: (False, b'"page 2\\n"')}.get(
        number, (True, b"NOT_FOUND")
    )


def test_the_page_for_prometheus() -> None:
    """It is asked of a worker; scrapes are counted; other users' calls go on. Metrics are protected when that is wanted."""
    rig = Rig(
        '[http]\nuse_basic_auth = true\n[http.auth_users]\n"ann" = "c2VjcmV0"\n'
        '[prometheus_agent]\npath = "/prom"\n[cluster]\nprotect_metrics = true\n'
    )
    try:
        rig.worker(page_handler)
        for path in (b"/prom", b"/metrics"):
            [(status, _, body)] = http(rig, post(b"", path, method=b"GET"))
            assert (status, body) == (401, b"Not authorized\n")
        right = b"Authorization: Basic YW5uOnNlY3JldA==\r\n"
        asked = post(b"", b"/prom", headers=right, method=b"GET")
        found = [http(rig, asked)[0] for _ in range(4)]
        assert [status for status, _, _ in found] == [200, 503, 200, 404]
        assert found[0][1]["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
        assert found[0][2].startswith(b"page 1\n# HELP promhttp_metric_handler_requests_in_flight ")
        assert b'promhttp_metric_handler_requests_total{code="200"} 1\n' in found[0][2]
        assert found[1][2] == b"SERVER_ERROR: no\n"
        for line in (b'requests_total{code="200"} 2', b'requests_total{code="503"} 1', b"requests_in_flight 1"):
            assert b"promhttp_metric_handler_" + line + b"\n" in found[2][2]
        [(status, _, _)] = http(rig, post(b"", b"/metrics", headers=right, method=b"GET"))
        assert status == 200
    finally:
        assert rig.stop() == 0


# --- WebSocket ----------------------------------------------------------------------------------------------------


ORIGIN = b"Origin: http://ui\r\n"
HANDSHAKE = (
    b"GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n%b"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n" % ORIGIN
)


def websocket(rig: Rig, origin: bytes = ORIGIN) -> socket.socket:
    sock = rig.connect(rig.http)
    sock.sendall(HANDSHAKE.replace(ORIGIN, origin))
    return sock


def frame(payload: bytes, opcode: int = 1, final: bool = True) -> bytes:
    """A client's frame, masked with zeros."""
    assert len(payload) < 126
    return bytes([(0x80 if final else 0) | opcode, 0x80 | len(payload)]) + b"\0\0\0\0" + payload


def test_websocket(rig: Rig) -> None:
    with websocket(rig) as sock:
        assert read_to(sock, b"\r\n\r\n").startswith(b"HTTP/1.1 101 ")
        answer = bytes([0x81, len(PONG % 1) + 1]) + PONG % 1 + b"\n"
        sock.sendall(frame(PING % 1))
        assert read_exactly(sock, len(answer)) == answer
        half = PING % 1
        sock.sendall(frame(half[:9], final=False) + frame(half[9:20], opcode=0) + frame(half[20:], opcode=2))
        assert read_exactly(sock, len(answer)) == answer
        sock.sendall(frame(b"hi", opcode=9))
        assert read_exactly(sock, 4) == b"\x8a\x02hi"
        sock.sendall(frame(b"hello"))
        assert read_exactly(sock, 4) == b"\x88\x02\x03\xe8"


def test_websocket_needs_an_origin(rig: Rig) -> None:
    with websocket(rig, b"") as sock:
        assert read_to(sock, b"\r\n\r\n").startswith(b"HTTP/1.1 403 ")


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        (b"Origin: http://ui\r\n", b"Origin: a\r\nOrigin: b\r\n"),
        (b"websocket\r\n", b"websocket\xff\r\n"),
        (b"dGhl", b"d\xffhl"),
        (b"Version: 13", b"Version: 1\xff3"),
        (b"Origin:", b"Sec-WebSocket-Protocol: \xff,a\r\nOrigin:"),
        (b"Origin:", b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin:"),
        (b"Origin:", b"Sec-WebSocket-Version: 13\r\nOrigin:"),
    ],
)
def test_a_handshake_that_is_none_is_refused(rig: Rig, good: bytes, bad: bytes) -> None:
    with rig.connect(rig.http) as sock:
        sock.sendall(HANDSHAKE.replace(good, bad))
        assert read_all(sock).startswith(b"HTTP/1.1 400 ")


# --- two-way JSON -------------------------------------------------------------------------------------------------


def test_two_way_json(rig: Rig) -> None:
    worker = rig.workers[0]
    with rig.connect(rig.bijson) as sock:
        sock.sendall(b'{"method":"SessionSv1.Ping","params":[{}]}{"method":"SessionSv1.Ping","params":[{}],"id":"b"}\n')
        assert read_lines(sock, 1) == [b'{"id":"b","result":"Pong","error":null}']
        sock.sendall(PING % 1)
        assert json.loads(read_lines(sock, 1)[0])["error"] == "birpc: can't find method CoreSv1.Ping"
        connection = worker.requests()[-1].connection
        worker.send(wire.Tell(connection, "AgentV1.DisconnectSession", b'{"ID":"x"}', 1, 90_000))
        call = json.loads(read_lines(sock, 1)[0])
        assert call["method"] == "AgentV1.DisconnectSession" and call["params"] == [{"ID": "x"}]
        sock.sendall(json.dumps({"id": call["id"], "result": "OK", "error": None}).encode())
        wait_for(lambda: wire.TellReply(1, False, b'"OK"') in worker.replies)
    worker.send(wire.Tell(connection, "AgentV1.DisconnectSession", b"{}", 2, 90_000))
    wait_for(lambda: wire.TellReply(2, True, b"DISCONNECTED") in worker.replies)


def wait_for(condition: object) -> None:
    assert callable(condition)
    end = time.monotonic() + WAIT
    while not condition():
        assert time.monotonic() < end, "it does not happen"
        time.sleep(0.01)


# --- workers and processes ------------------------------------------------------------------------------------------


def test_a_worker_that_dies_and_comes_back() -> None:
    rig = Rig()
    try:
        with rig.connect() as sock:
            sock.sendall(PING % 1)  # nobody is there yet: it waits
            first = rig.worker(lambda worker, item: None)
            wait_for(lambda: len(first.requests()) == 1)
            first.end()
            sock.sendall(PING % 2)
            time.sleep(0.05)
            second = rig.worker(incarnation=2)
            assert sorted(read_lines(sock, 2)) == [PONG % 1, PONG % 2]
            assert first.requests()[0].uid == second.requests()[0].uid
    finally:
        assert rig.stop() == 0


def keeps_sleeps(worker: FakeWorker, item: wire.RequestItem) -> tuple[bool, bytes] | None:
    return None if item.method == "CoreSv1.Sleep" else default_handler(worker, item)


def answer_sleeps(worker: FakeWorker) -> None:
    """Answer all that have come; they are on their way when it returns."""
    items = [wire.AnswerItem(item.uid, False, b'"OK"') for item in worker.requests()]
    worker.send(wire.Answers(worker.batches[-1].number, items))
    sent = threading.Event()
    worker.do(lambda sock: sent.set())
    assert sent.wait(WAIT)


def test_limit_of_concurrent_calls() -> None:
    rig = Rig("[cores]\ncaps = 2\n")
    try:
        worker = rig.worker(keeps_sleeps)
        with rig.connect() as sock:
            sleep = b'{"method":"CoreSv1.Sleep","params":[{"Duration":1}],"id":%d}'
            sock.sendall(b"".join(sleep % number for number in range(4)))
            errors = [json.loads(line)["error"] for line in read_lines(sock, 2)]
            assert errors == ["MAX_CONCURRENT_RPC_EXCEEDED"] * 2
            wait_for(lambda: len(worker.requests()) == 2)
            answer_sleeps(worker)
            assert [json.loads(line)["error"] for line in read_lines(sock, 2)] == [None] * 2
            sock.sendall(b'{"method":"CoreSv1.Status","params":[{}],"id":9}')
            assert json.loads(read_lines(sock, 1)[0])["result"] == {"node_id": "fake", "caps_allocated": 1}
    finally:
        assert rig.stop() == 0


def test_a_port_in_use_is_said_clearly() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with tempfile.TemporaryDirectory(prefix="cgr-") as folder:
            done = subprocess.run(
                [sys.executable, "-m", "balancer", "--link", f"ipc://{folder}/b", "--json", f"127.0.0.1:{port}"],
                cwd=ROOT, capture_output=True, text=True, timeout=WAIT, check=False,
            )  # fmt: skip
    assert done.returncode == 78
    assert f"listener json: address 127.0.0.1:{port} is in use by another program" in done.stderr


def test_a_graceful_stop_answers_what_is_in_flight() -> None:
    rig = Rig()
    worker = rig.worker(keeps_sleeps)
    with rig.connect() as sock:
        sock.sendall(b'{"method":"CoreSv1.Sleep","params":[{"Duration":1}],"id":1}')
        wait_for(lambda: len(worker.requests()) == 1)
        rig.process.send_signal(signal.SIGSTOP)  # it must not wait longer for the answer than it does at a stop
        rig.process.terminate()
        answer_sleeps(worker)
        rig.process.send_signal(signal.SIGCONT)
        assert read_all(sock) == b'{"id":1,"result":"OK","error":null}\n'
    assert rig.stop() == 0


def test_signals_that_come_after_the_first_do_not_kill_it() -> None:
    """Whenever they come: while it waits, while its loop closes, while Python ends."""
    rig = Rig()
    terminate_again_and_again(rig.process)
    assert rig.stop() == 0


def test_it_ends_with_its_parent() -> None:
    with tempfile.TemporaryDirectory(prefix="cgr-") as folder:
        child = f'["{sys.executable}", "-m", "balancer", "--link", "ipc://{folder}/b", "--with-parent"]'
        code = f"import subprocess; p = subprocess.Popen({child}, stdout=subprocess.PIPE); p.stdout.readline(); print(p.pid)"
        done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, timeout=WAIT, check=True)
        wait_for(lambda: not os.path.exists(f"/proc/{int(done.stdout)}") or is_zombie(int(done.stdout)))


def is_zombie(pid: int) -> bool:
    """Ended, and not reaped (by an init that does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True
