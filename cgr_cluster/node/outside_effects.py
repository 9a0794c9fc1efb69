"""What actions, filters and attributes ask of the outside (20 §5.2, 5.3, 50 §4.3): mails, calls of other JSON-RPC servers,
accounts posted to URLs, pages.

Each has time limits, so that a dead endpoint, or one that never ends its answer, holds its thread only so long; trying
again is the caller's (actions). The first argument is the endpoint, by which the worker bounds how many go there at once.
"""

from __future__ import annotations

import json
import smtplib
import socket
import ssl
import urllib.request
from email.message import EmailMessage
from http.client import HTTPException
from time import monotonic
from typing import Any

from cgr_cluster.events.nesting import read_json
from cgr_cluster.rpc.errors import ApiError

TIMEOUT_S = 2.0  # of every wait
LIMIT_S = 10.0  # of an answer as a whole
MAX_ANSWER = 1 << 20  # bytes of an answer
_THIS_MACHINE = ("localhost", "127.0.0.1", "::1")


def send_mail(server: str, mailer: dict[str, str], recipients: list[str], subject: str, body: str) -> None:
    """Raises ApiError with what the mail server (`host[:port]`) says. `mailer` is the section of the configuration;
    TLS is used when the server offers it, user and password when they are set and it asks for them; they are not sent
    to another machine unencrypted."""
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = mailer.get("from_address", ""), ", ".join(recipients), subject
    message.set_content(body)
    host, _, port = server.partition(":")
    user, password = mailer.get("auth_user", ""), mailer.get("auth_password", "")
    try:
        with smtplib.SMTP(host, int(port or 25), timeout=TIMEOUT_S) as connection:
            connection.ehlo()
            encrypted = connection.has_extn("starttls")
            if encrypted:
                connection.starttls(context=ssl.create_default_context())
                connection.ehlo()
            if (user or password) and connection.has_extn("auth"):
                if not encrypted and host not in _THIS_MACHINE:
                    raise ValueError("unencrypted connection")
                connection.login(user, password)
            connection.send_message(message)
    except (OSError, smtplib.SMTPException, ValueError) as error:
        raise ApiError(f"mail by {server}: {error}") from None


def json_rpc(address: str, transport: str, method: str, params: str) -> str:
    """Call `method` with `params` (JSON) at `host:port` (`*json`) or at a URL (`*http_jrpc`): the result as JSON. Raises
    ApiError: the other side's error, or why it cannot be reached."""
    request = b'{"method":%b,"params":[%b],"id":1}\n' % (json.dumps(method).encode(), params.encode())
    try:
        if transport == "*http_jrpc":
            answer = read_json(_post(address, request))
        else:
            answer = _over_tcp(address, request)
        error, result = answer.get("error"), answer.get("result")
    except (OSError, HTTPException, RecursionError, ValueError, AttributeError) as failure:
        raise ApiError(f"{method} at {address}: {failure}") from None
    if error:
        raise ApiError(str(error))
    return json.dumps(result)


def post_json(url: str, document: str) -> str:
    """POST a JSON document; what the other side answers. Raises ApiError when it cannot be reached or refuses."""
    try:
        return _post(url, document.encode()).decode()
    except (OSError, HTTPException, ValueError) as failure:
        raise ApiError(f"POST to {url}: {failure}") from None


def get_page(url: str, document: str) -> str:
    """GET, with a JSON document in its body or ("") without one (`*http#` of filters and attributes, 50 §4.3, 8.3); the text
    of the answer. Raises ApiError when it cannot be reached or refuses."""
    try:
        return _post(url, document.encode() or None, "GET").decode()
    except (OSError, HTTPException, ValueError) as failure:
        raise ApiError(f"GET of {url}: {failure}") from None


def _post(url: str, document: bytes | None, method: str = "POST") -> bytes:
    return post_body(url, document, {} if document is None else {"Content-Type": "application/json"}, method=method)


def post_body(
    url: str, body: bytes | None, headers: dict[str, str], timeout_s: float | None = None, *, method: str = "POST"
) -> bytes:
    """Send a request and read its answer; `timeout_s` (default: TIMEOUT_S) bounds each wait. Raises HTTPError for a status above 299, OSError,
    HTTPException and ValueError."""
    if not url.startswith(("http://", "https://")):
        raise ValueError("address is no http or https URL")
    wanted = urllib.request.Request(url, body, headers, method=method)
    wait_s = timeout_s or TIMEOUT_S
    until = monotonic() + max(LIMIT_S, wait_s)
    with urllib.request.urlopen(wanted, timeout=wait_s) as response:
        answer = bytearray()
        while data := response.read1(65536):
            answer += data
            _check(answer, until)
    return bytes(answer)


def _over_tcp(address: str, request: bytes) -> Any:
    """What a JSON-RPC server answers: one document, whether a line end follows it or not."""
    host, _, port = address.rpartition(":")
    until = monotonic() + LIMIT_S
    with socket.create_connection((host, int(port)), timeout=TIMEOUT_S) as connection:
        connection.sendall(request)
        answer = bytearray()
        while data := connection.recv(65536):
            answer += data
            if data.rstrip().endswith(b"}"):
                try:
                    return read_json(bytes(answer))
                except ValueError:
                    pass  # it goes on
            _check(answer, until)
    return read_json(bytes(answer))


def _check(answer: bytearray, until: float) -> None:
    if len(answer) > MAX_ANSWER:
        raise ValueError(f"answer of more than {MAX_ANSWER} bytes")
    if monotonic() > until:
        raise TimeoutError(f"no whole answer after {LIMIT_S:g} s")
