"""Mails, calls and posts against servers of this machine: what they send, and what goes wrong (spec 20 §5.2, 5.3)."""

from __future__ import annotations

import json
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from time import sleep
from typing import Any

import pytest

from cgr_cluster.node import outside_effects
from cgr_cluster.node.outside_effects import get_page, json_rpc, post_json, send_mail
from cgr_cluster.rpc.errors import ApiError

WAIT = 90.0
Talk = Callable[[socket.socket], None]


@contextmanager
def server(talk: Talk, host: str = "127.0.0.1") -> Iterator[str]:
    """`host:port` of a server that holds one conversation."""
    listener = socket.create_server((host, 0))

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            talk(connection)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"{host}:{listener.getsockname()[1]}"
    finally:
        thread.join(5)
        listener.close()


@pytest.fixture
def dead() -> Iterator[str]:
    """An address where nobody listens; it is taken, so that no other test begins to."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{taken.getsockname()[1]}"


def says(*pieces: bytes, asked: list[bytes] | None = None, until: threading.Event | None = None) -> Talk:
    """Read the request, send the pieces one by one, stay until the test has seen what it wants."""

    def talk(connection: socket.socket) -> None:
        request = whole_request(connection)
        if asked is not None:
            asked.append(request)
        for piece in pieces:
            connection.sendall(piece)
            sleep(0.02)
        if until is not None:
            until.wait(WAIT)

    return talk


def whole_request(connection: socket.socket) -> bytes:
    """Nothing of it may be unread when the connection is closed: the answer could be lost by that."""
    request = b""
    while True:
        head, _, body = request.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)^content-length: (\d+)\r?$", head, re.MULTILINE)
        if request.endswith(b"\n") and b"HTTP/" not in head:
            return request  # a line of JSON
        if b"\r\n\r\n" in request and len(body) >= int(length[1] if length else 0):
            return request
        data = connection.recv(65536)
        if not data:
            return request
        request += data


def http(body: bytes, status: str = "200 OK") -> bytes:
    return b"HTTP/1.1 %b\r\nContent-Length: %d\r\n\r\n%b" % (status.encode(), len(body), body)


def failure(function: Callable[..., Any], *args: Any) -> str:
    with pytest.raises(ApiError) as found:
        function(*args)
    return found.value.text


# --- JSON-RPC ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pieces", "result"),
    [
        ([b'{"id":1,"result":"OK","error":null}\n'], "OK"),
        ([b'{"id":1,"result":{"a":{"b":', b'1}},"error":null}'], {"a": {"b": 1}}),  # in pieces, no line end
        ([b'{"id":1,"result":{"a":1}', b',"error":null}\n'], {"a": 1}),  # a piece that ends like a whole answer
        ([b'{"id":1,"result":null}'], None),
    ],
)
def test_a_call_over_tcp(pieces: list[bytes], result: Any) -> None:
    asked: list[bytes] = []
    answered = threading.Event()
    with server(says(*pieces, asked=asked, until=answered)) as address:
        assert json.loads(json_rpc(address, "*json", "A.B", '{"c": 1}')) == result  # it does not wait for more
        answered.set()
    assert asked[0].endswith(b"\n")
    assert json.loads(asked[0]) == {"method": "A.B", "params": [{"c": 1}], "id": 1}


def test_a_call_over_http() -> None:
    asked: list[bytes] = []
    with server(says(http(b'{"id":1,"result":[1],"error":null}'), asked=asked)) as address:
        assert json_rpc(f"http://{address}/jsonrpc", "*http_jrpc", "A.B", "{}") == "[1]"
    assert asked[0].startswith(b"POST /jsonrpc ")


@pytest.mark.parametrize(
    ("transport", "pieces", "error"),
    [
        ("*json", [b'{"id":1,"result":null,"error":"NOT_FOUND"}\n'], "NOT_FOUND"),
        ("*json", [], "A.B at "),  # closed at once
        ("*json", [b"hello"], "A.B at "),
        ("*json", [b"[1]"], "A.B at "),
        ("*json", [b'{"result":' + b"[" * 3000 + b"]" * 3000 + b"}"], "A.B at "),
        ("*http_jrpc", [http(b"busy", "503 Service Unavailable")], "A.B at "),
        ("*http_jrpc", [b"garbage\r\n\r\n"], "A.B at "),
        ("*http_jrpc", [http(b"<html>")], "A.B at "),
    ],
)
def test_calls_that_fail(transport: str, pieces: list[bytes], error: str) -> None:
    with server(says(*pieces)) as address:
        where = f"http://{address}/" if transport == "*http_jrpc" else address
        assert failure(json_rpc, where, transport, "A.B", "{}").startswith(error)


# --- limits ------------------------------------------------------------------------------------------------------


def test_nobody_there(dead: str) -> None:
    assert failure(json_rpc, dead, "*json", "A.B", "{}").startswith("A.B at ")
    assert failure(json_rpc, "nonsense", "*json", "A.B", "{}").startswith("A.B at nonsense: ")
    assert failure(post_json, f"http://{dead}/", "{}").startswith("POST to ")
    assert failure(post_json, "ftp://host/", "{}") == "POST to ftp://host/: address is no http or https URL"
    assert failure(send_mail, dead, {}, ["a@b"], "s", "t").startswith("mail by ")


@pytest.mark.parametrize("transport", ["*json", "*http_jrpc"])
def test_an_endpoint_that_is_silent_holds_the_thread_for_one_wait(
    transport: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outside_effects, "TIMEOUT_S", 0.2)
    given_up = threading.Event()
    with server(says(until=given_up)) as address:
        where = f"http://{address}/" if transport == "*http_jrpc" else address
        assert "timed out" in failure(json_rpc, where, transport, "A.B", "{}")
        given_up.set()


@pytest.mark.parametrize("start", [b'{"result":"', b"HTTP/1.1 200 OK\r\n\r\n"])
def test_an_answer_that_never_ends_is_given_up(start: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Though something comes in time for each wait."""
    looks = count()
    monkeypatch.setattr(outside_effects, "monotonic", lambda: float(next(looks)))  # a second from look to look

    def drip(connection: socket.socket) -> None:
        connection.recv(65536)
        try:
            connection.sendall(start)
            while True:
                connection.sendall(b"x")
                sleep(0.001)
        except OSError:
            return

    with server(drip) as address:
        if start.startswith(b"{"):
            found = failure(json_rpc, address, "*json", "A.B", "{}")
        else:
            found = failure(get_page, f"http://{address}/", "{}")
        assert "no whole answer after 90 s" in found


def test_an_answer_without_bounds_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outside_effects, "MAX_ANSWER", 1000)
    with server(says(http(b"x" * 1001))) as address:
        assert failure(post_json, f"http://{address}/", "{}") == (
            f"POST to http://{address}/: answer of more than 1000 bytes"
        )
    with server(says(http(b"x" * 1000))) as address:
        assert get_page(f"http://{address}/", "{}") == "x" * 1000


# --- posts and mails ---------------------------------------------------------------------------------------------


def test_a_post() -> None:
    asked: list[bytes] = []
    with server(says(http(b'{"ID": "t:a"}'), asked=asked)) as address:
        assert post_json(f"http://{address}/set?x=1", '{"a":1}') == '{"ID": "t:a"}'
    head, _, body = asked[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /set?x=1 ")
    assert b"Content-Type: application/json" in head
    assert body == b'{"a":1}'


def smtp(heard: list[str], offers: str = "", refuses: str = "") -> Talk:
    """A mail server that refuses commands that begin so."""

    def talk(connection: socket.socket) -> None:
        lines = connection.makefile("r", newline="\r\n")
        connection.sendall(b"220 here\r\n")
        for line in lines:
            heard.append(line.rstrip())
            command = heard[-1][:4].upper()
            if refuses and heard[-1].upper().startswith(refuses):
                connection.sendall(b"550 no\r\n")
            elif command == "EHLO":
                connection.sendall(f"250-here\r\n250 {offers or '8BITMIME'}\r\n".encode())
            elif command == "AUTH":
                connection.sendall(b"235 ok\r\n")
            elif command == "DATA":
                connection.sendall(b"354 go\r\n")
                for text in lines:
                    heard.append(text.rstrip("\r\n"))
                    if text == ".\r\n":
                        break
                connection.sendall(b"250 ok\r\n")
            elif command == "QUIT":
                connection.sendall(b"221 bye\r\n")
                return
            else:
                connection.sendall(b"250 ok\r\n")

    return talk


@pytest.mark.parametrize(("offers", "logs_in"), [("", False), ("AUTH PLAIN", True)])
def test_a_mail(offers: str, logs_in: bool) -> None:
    heard: list[str] = []
    mailer = {"from_address": "cgr@here", "auth_user": "u", "auth_password": "p"}
    with server(smtp(heard, offers)) as address:
        send_mail(address, mailer, ["a@x", "b@x"], "Subject here", "line 1\nline 2")
    assert any(line.startswith("AUTH") for line in heard) == logs_in
    assert [line for line in map(str.lower, heard) if line.startswith("rcpt")] == ["rcpt to:<a@x>", "rcpt to:<b@x>"]
    assert {"From: cgr@here", "To: a@x, b@x", "Subject: Subject here", "line 1", "line 2"} <= set(heard)


@pytest.mark.parametrize("refuses", ["MAIL", "RCPT", "DATA"])
def test_a_mail_that_is_refused(refuses: str) -> None:
    with server(smtp([], refuses=refuses)) as address:
        assert failure(send_mail, address, {"from_address": "a@x"}, ["b@x"], "s", "t").startswith(f"mail by {address}")


def test_a_password_does_not_leave_the_machine_unencrypted() -> None:
    heard: list[str] = []
    mailer = {"from_address": "cgr@here", "auth_user": "u", "auth_password": "p"}
    with server(smtp(heard, "AUTH PLAIN"), "127.0.0.2") as address:  # stands for another machine
        assert failure(send_mail, address, mailer, ["a@x"], "s", "t") == f"mail by {address}: unencrypted connection"
    assert not any(line.startswith("AUTH") for line in heard)
