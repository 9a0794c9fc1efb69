"""Bad input over the wire, one by one, against one real node: an error that tells, no traceback, no dead process (spec 01)."""

from __future__ import annotations

import base64
import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import psutil
import pytest

from cgr_cluster import services
from tests.cluster.node_rig import WAIT, Client, NodeRig, wait_until

pytestmark = pytest.mark.cluster
METHODS = sorted(services.load().names())
NOT_CALLED = {"CoreSv1.Shutdown", "CoreSv1.Sleep"}  # they end the node, and wait


@pytest.fixture(scope="module")
def node() -> Iterator[NodeRig]:
    with NodeRig(workers=2) as node:
        node.processes = node.pids()  # type: ignore[attr-defined]
        yield node
        text = node.log.read_text()
        assert "Traceback" not in text, text[-4000:]
        assert " ERROR " not in text, [line for line in text.splitlines() if " ERROR " in line][:5]


@pytest.fixture(autouse=True)
def alive(node: NodeRig) -> Iterator[None]:
    """After each test the next call works and no process has died."""
    yield
    assert node.ok("CoreSv1.Ping", {}) == "Pong"
    assert node.pids() == node.processes  # type: ignore[attr-defined]


def tolerable(answer: dict[str, Any]) -> str | None:
    """What is wrong with an answer to a bad call."""
    error = answer["error"]
    if error is None:
        return None
    if not isinstance(error, str) or not error:
        return f"the error is no text: {error!r}"
    lower = error.lower()
    for sign in ("internal error", "traceback", "exception", "object has no attribute", "nonetype", ".py", "msgspec"):
        if sign in lower:
            return f"the error shows its inside: {error}"
    return None


BAD_PARAMS: dict[str, Any] = {
    "an empty object": {},
    "null": None,
    "an empty list": [],
    "a text": "x",
    "a number": 12,
    "a huge number": 10**30,
    "true": True,
    "a list of null": [None],
    "unknown fields": {"NoSuchField": 1, "Tenant": "nowhere.example"},
    "another tenant": {"Tenant": "nowhere.example", "ID": "none", "Account": "nobody", "Event": {}},
    "numbers for texts": {"Tenant": 5, "ID": [], "Account": {"a": 1}, "Event": 7, "APIOpts": "x"},
}


@pytest.mark.parametrize("what", BAD_PARAMS)
def test_every_method_with(node: NodeRig, what: str) -> None:
    """Pipelined on one connection: an answer to each, whatever it is."""
    methods = [method for method in METHODS if method not in NOT_CALLED]
    flaws = []
    with node.client() as client:
        sent = {client.send(method, BAD_PARAMS[what]): method for method in methods}
        for _ in methods:
            answer = client.receive()
            method = sent.pop(answer["id"])
            flaw = tolerable(answer)
            if flaw is not None:
                flaws.append(f"{method}: {flaw}")
    assert not sent
    assert flaws == []


def exchange(node: NodeRig, data: bytes, port: int = 0, end: bool = True) -> bytes:
    """Send bytes, shut the sending side, read what comes until the node closes."""
    with socket.create_connection(("127.0.0.1", node.port + port), WAIT) as sock:

        def send() -> None:
            try:
                sock.sendall(data)
                if end:
                    sock.shutdown(socket.SHUT_WR)
            except OSError:
                pass  # it has closed already

        sending = threading.Thread(target=send)  # the node need not take all before it is read
        sending.start()
        out = b""
        try:
            while chunk := sock.recv(1 << 16):
                out += chunk
        except ConnectionResetError:
            pass
        sending.join()
        return out


PING = b'{"method":"CoreSv1.Ping","params":[{}],"id":1}'


@pytest.mark.parametrize(
    "data",
    [
        PING[:20], b"{", b"[", b'"', b"\x00" * 100, b"\xff\xfe" + PING, b"nul", b"}{", b"GET / HTTP/1.1\r\n\r\n", b"[]", b"null", b"12",
        b'{"method":null,"params":[{}],"id":1}', b'{"method":5,"params":[{}],"id":1}', b'{"params":[{}],"id":1}', b'{"method":"CoreSv1.Ping","params":{},"id":1}',
        b'{"method":"CoreSv1.Ping","params":[],"id":1}', b'{"method":"CoreSv1.Ping","params":[{},{}],"id":1}', b'{"method":"CoreSv1.Ping","params":null,"id":1}',
        b'{"method":"CoreSv1.Ping","params":[{}],"id":{}}', b'{"method":"' + b"A" * 100_000 + b'","params":[{}],"id":1}',
        b'{"method":"CoreSv1.Ping","params":[' + b"[" * 5000 + b"]" * 5000 + b'],"id":1}', b"[" * 200_000,
        b'{"method":"CoreSv1.Ping","params":[{"Tenant":"\xff\xfe"}],"id":1}', b'{"method":"CoreSv1.Ping","params":[{"Tenant":"\\ud800"}],"id":1}',
        b'{"method":"APIerSv2.GetAccount","params":[{"Account":"\\ud800"}],"id":1}', b'{"method":"CoreSv1.Ping","params":[NaN],"id":1}',
        b'{"method":"CoreSv1.Ping","params":[1e400],"id":1}', b'{"method":"CoreSv1.Ping","params":[' + b"9" * 100_000 + b'],"id":1}',
    ],
)  # fmt: skip
def test_broken_documents(node: NodeRig, data: bytes) -> None:
    """The connection is answered or closed; nothing hangs."""
    answer = exchange(node, data)
    assert b"Traceback" not in answer
    assert b"internal error" not in answer


def test_an_oversized_document_is_refused_and_its_connection_closed(node: NodeRig) -> None:
    head = b'{"method":"CoreSv1.Ping","params":[{"ID":"'
    answer = exchange(node, head + b"x" * (80 << 20))
    assert b"Traceback" not in answer


HUGE: dict[str, tuple[str, dict[str, Any]]] = {
    "a balance of 10^30": ("APIerSv1.SetBalance", {"Account": "big", "BalanceType": "*monetary", "Value": 10**30}),
    "a balance of -1": ("APIerSv1.SetBalance", {"Account": "neg", "BalanceType": "*monetary", "Value": -1}),
    "a balance of NaN": ("APIerSv1.SetBalance", {"Account": "nan", "BalanceType": "*monetary", "Value": "NaN"}),
    "a top-up of 1e308": ("APIerSv1.AddBalance", {"Account": "big", "BalanceType": "*monetary", "Value": 1e308}),
    "a debit of 10^30": ("APIerSv1.DebitBalance", {"Account": "big", "BalanceType": "*monetary", "Value": 10**30}),
    "a long account": ("APIerSv1.SetBalance", {"Account": "x" * 100_000, "BalanceType": "*monetary", "Value": 1}),
    "a long destination": (
        "APIerSv1.GetCost",
        {"Category": "call", "Subject": "s", "Destination": "4" * 100_000, "AnswerTime": "*now", "Usage": "1m"},
    ),
    "usage of 10^30": (
        "CDRsV1.ProcessEvent",
        {"Event": {"Account": "a", "Destination": "4420", "OriginID": "h1", "Usage": 10**30, "ToR": "*voice"}},
    ),
    "usage that is no text": (
        "CDRsV1.ProcessEvent",
        {"Event": {"Account": "a", "Destination": "4420", "OriginID": "h2", "Usage": "NaN", "ToR": "*voice"}},
    ),
    "negative usage": (
        "SessionSv1.InitiateSession",
        {"InitSession": True, "Event": {"Account": "a", "OriginID": "h3", "Usage": "-5s", "RequestType": "*prepaid"}},
    ),
    "times beyond the calendar": (
        "SessionSv1.InitiateSession",
        {"InitSession": True, "Event": {"Account": "a", "OriginID": "h4", "AnswerTime": "99999-01-01T00:00:00Z"}},
    ),
    "a session of 10^15 s": (
        "SessionSv1.AuthorizeEvent",
        {"GetMaxUsage": True, "Event": {"Account": "a", "OriginID": "h5", "Usage": 10**24, "RequestType": "*prepaid"}},
    ),
    "an unknown folder": ("APIerSv1.LoadTariffPlanFromFolder", {"FolderPath": "/nonexistent"}),
    "a folder that is a file": ("APIerSv1.LoadTariffPlanFromFolder", {"FolderPath": __file__}),
    "an unknown plan": ("APIerSv2.SetAccount", {"Account": "p", "ActionPlanIDs": ["NO_SUCH_PLAN"]}),
    "an unknown actions group": ("APIerSv1.ExecuteAction", {"Account": "p", "ActionsId": "NO_SUCH"}),
    "paging by -1": ("APIerSv2.GetAccounts", {"Limit": -1, "Offset": -5}),
    "an archive that is none": ("APIerSv1.ImportTariffPlanFromZip", {"TPid": "T", "File": "AAAA"}),
}  # fmt: skip


@pytest.mark.parametrize("what", HUGE)
def test_values_that_nobody_means(node: NodeRig, what: str) -> None:
    method, params = HUGE[what]
    with node.client() as client:
        assert tolerable(client.call(method, params)) is None
        assert tolerable(client.call("APIerSv2.GetAccounts", {})) is None


def test_a_folder_with_errors_changes_nothing(node: NodeRig, tmp_path: Path) -> None:
    (tmp_path / "Rates.csv").write_text("RT,0,abc,60s,60s,0s\n")
    (tmp_path / "Destinations.csv").write_text("BROKEN_DST,+4999\n")
    answer = node.call("APIerSv1.LoadTariffPlanFromFolder", {"FolderPath": str(tmp_path)})
    assert answer["error"] and tolerable(answer) is None
    assert node.call("APIerSv1.GetDestination", "BROKEN_DST")["error"] == "NOT_FOUND"


def test_a_client_that_sends_byte_by_byte_is_answered(node: NodeRig) -> None:
    with socket.create_connection(("127.0.0.1", node.port), WAIT) as slow, node.client() as other:
        slow.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for at in range(len(PING)):
            slow.sendall(PING[at : at + 1])
            assert other.call("CoreSv1.Ping", {})["result"] == "Pong"  # nobody waits for it
        slow.sendall(b"\n")
        assert json.loads(slow.recv(1000))["result"] == "Pong"


def test_a_half_closed_client_gets_its_answers(node: NodeRig) -> None:
    answers = exchange(node, (PING + b"\n") * 20).splitlines()
    assert [json.loads(answer)["result"] for answer in answers] == ["Pong"] * 20


def test_a_client_that_never_reads_is_not_read_and_harms_nobody(node: NodeRig) -> None:
    """It asks for long answers; a few of them are kept for it, not one for each of its calls."""
    request = json.dumps({"method": "APIerSv2.GetAccounts", "params": [{"Limit": 500}], "id": 1}).encode() + b"\n"
    with socket.create_connection(("127.0.0.1", node.port), WAIT) as rude, node.client() as other:
        for at in range(500):
            assert other.call("APIerSv2.SetAccount", {"Account": f"unread-{at}"})["result"] == "OK"
        rude.setblocking(False)
        plenty, sent = memoryview(request * 3000), 0
        before_it = balancer_memory(node)

        def stuck() -> bool:
            nonlocal sent
            try:
                for _ in range(1000):
                    sent += rude.send(plenty[sent % len(request) :])
            except (BlockingIOError, ConnectionError):  # or closed already: it has not read for half a minute
                return True
            return False

        def still_stuck() -> bool:
            before = sent
            assert other.call("CoreSv1.Ping", {})["result"] == "Pong"
            return stuck() and sent == before

        wait_until(stuck, "the node to stop reading")
        wait_until(still_stuck, "the node to stop reading for good")
        assert balancer_memory(node) - before_it < 128 << 20  # 45 KB each for thousands of calls would be more


def balancer_memory(node: NodeRig) -> int:
    return int(psutil.Process(node.pids()["balancer"]).memory_info().rss)


def test_clients_that_come_and_go_in_the_middle_of_a_call(node: NodeRig) -> None:
    for cut in range(0, len(PING), 3):
        with socket.create_connection(("127.0.0.1", node.port), WAIT) as sock:
            sock.sendall(PING[:cut])
    for _ in range(20):  # gone before their answer
        client = Client(node.port)
        client.send("APIerSv2.GetAccounts", {})
        client.close()


@pytest.mark.parametrize(
    "data",
    [
        b"POST /jsonrpc HTTP/1.1\r\nHost: a\r\nContent-Length: -5\r\n\r\n", b"POST /jsonrpc HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999\r\n\r\nx",
        b"POST /jsonrpc HTTP/9.9\r\n\r\n", b"\r\n\r\n\r\n", b"GET " + b"/" * 100_000 + b" HTTP/1.1\r\n\r\n", b"POST /jsonrpc HTTP/1.1\r\n" + b"X: y\r\n" * 50_000 + b"\r\n",
        b"POST /jsonrpc HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", b"DELETE /jsonrpc HTTP/1.1\r\nHost: a\r\n\r\n",
        b"POST /jsonrpc HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n{{{", b"POST /nowhere HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
        b"GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n", PING,
        b"POST /jsonrpc HTTP/1.1\r\nHost: a\r\nContent-Length: 46\r\nContent-Length: 3\r\n\r\n" + PING,
    ],
)  # fmt: skip
def test_http_oddities(node: NodeRig, data: bytes) -> None:
    answer = exchange(node, data, port=2)
    assert b"Traceback" not in answer
    assert b"internal error" not in answer


# --- bytes that are nearly right ----------------------------------------------------------------------------------

TCP, HTTP, BIJSON = 0, 2, 3  # listeners, counted from the node's port
BODY = b'{"method":"SessionSv1.AuthorizeEvent","params":[{"GetMaxUsage":true,"Event":{"Account":"a","OriginID":"1","Usage":"1m"}}],"id":7}'
POST = b"POST /jsonrpc HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%b" % (len(BODY), BODY)
CHUNKED = b"POST /jsonrpc HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (
    len(BODY),
    BODY,
)
UPGRADE = (
    b"GET /ws HTTP/1.1\r\nHost: a\r\nOrigin: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %b\r\n\r\n" % base64.b64encode(bytes(16))
)
FRAME = bytes((0x81, 0x80 | 126, 0, len(BODY), 0, 0, 0, 0)) + BODY
SENT = {
    "TCP": (TCP, BODY + b"\n" + PING), "HTTP": (HTTP, POST + POST), "HTTP in chunks": (HTTP, CHUNKED + POST),
    "WebSocket": (HTTP, UPGRADE + FRAME + FRAME), "BiJSON": (BIJSON, BODY + b'{"id":1,"result":{},"error":null}' + PING),
}  # fmt: skip
MARKS = [
    b"{",
    b"}",
    b"[",
    b"]",
    b'"',
    b"\\",
    b":",
    b",",
    b"\x00",
    b"\xff",
    b"\r\n",
    b" ",
    b"9" * 40,
    b"\\ud800",
    b"null",
    b"",
    b"-",
    b"e9",
]


def mutated(data: bytes, random: Random) -> bytes:
    """A few bytes replaced, left out, doubled or put in; at times the end is missing."""
    for _ in range(random.randint(1, 4)):
        at = random.randrange(len(data))
        to = at + random.choice((0, 1, 1, 2, 20))
        data = data[:at] + random.choice((*MARKS, data[at:to] * 2, bytes((random.randrange(256),)))) + data[to:]
    return data[: random.randrange(len(data))] if random.random() < 0.3 else data


@pytest.mark.parametrize("what", SENT)
def test_bytes_that_are_nearly_right(node: NodeRig, what: str) -> None:
    """Whatever comes, the connection is answered or closed once its sending side is shut."""
    port, good = SENT[what]
    assert exchange(node, good, port=port)
    random = Random(what)
    for _ in range(120):
        data = mutated(good, random)
        answer = exchange(node, data, port=port)
        assert b"Traceback" not in answer and b"internal error" not in answer, data


@pytest.mark.parametrize("levels", [100, 128, 129, 900, 1000, 1100, 20_000])
def test_an_event_nested_so_deep_is_told_so_or_taken(node: NodeRig, levels: int) -> None:
    event = b'{"Account":"a","OriginID":"n%d","X":%b1%b}' % (levels, b"[" * levels, b"]" * levels)
    for method in (b"CDRsV1.ProcessEvent", b"SessionSv1.ProcessEvent"):
        data = b'{"method":"%b","params":[{"Flags":["*rals:*authorize"],"Event":%b}],"id":1}\n' % (method, event)
        answer = exchange(node, data)
        if not answer:
            assert levels > 900  # no document at all for the balancer: the connection is closed
            continue
        assert tolerable(json.loads(answer)) is None, answer
        assert (json.loads(answer)["error"] == "json: exceeded max depth") == (levels + 2 > 128)


def test_requests_that_stop_in_the_middle_harm_nobody(node: NodeRig) -> None:
    """Connections that have sent half of something stay open, as many as there are."""
    halves = [good[: len(good) // 3] for _, good in SENT.values()]
    ports = [port for port, _ in SENT.values()]
    open_ones = []
    for port, half in list(zip(ports, halves, strict=True)) * 20:
        sock = socket.create_connection(("127.0.0.1", node.port + port), WAIT)
        sock.sendall(half)
        open_ones.append(sock)
    with node.client() as client:
        for _ in range(20):
            assert client.call("CoreSv1.Ping", {})["result"] == "Pong"
    for sock in open_ones:
        sock.close()


def test_a_call_that_wants_no_answer_keeps_no_connection_open(node: NodeRig) -> None:
    """Of a two-way client that has shut its sending side."""
    assert exchange(node, b'{"method":"SessionSv1.Ping","params":[{}]}' * 3, port=BIJSON) == b""


def test_what_follows_a_refused_handshake(node: NodeRig) -> None:
    without_version = UPGRADE.replace(b"Sec-WebSocket-Version: 13\r\n", b"")
    for junk in (b"", FRAME, b"\xff" * 50, UPGRADE, bytes(50)):
        assert exchange(node, without_version + junk, port=HTTP).startswith(b"HTTP/1.1 400 ")
        assert exchange(node, UPGRADE.replace(b"Origin: a\r\n", b"") + junk, port=HTTP).startswith(b"HTTP/1.1 403 ")


def test_many_upgrades_that_nobody_wants(node: NodeRig) -> None:
    request = b"GET /x HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n"
    assert exchange(node, request * 1500, port=HTTP).count(b"HTTP/1.1 404 ") == 1500
