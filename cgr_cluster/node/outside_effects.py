"""What actions ask of the outside (20 §5.2, 5.3): mails, and calls of other JSON-RPC servers.

Each has a time limit, so that a dead endpoint holds its thread only so long; trying again is the caller's (actions).
"""

from __future__ import annotations

import json
import smtplib
import socket
import urllib.error
import urllib.request
from email.message import EmailMessage

from cgr_cluster.rpc.errors import ApiError

TIMEOUT_S = 2.0
MAX_ANSWER = 1 << 20  # bytes of an answer


def send_mail(server: str, sender: str, recipients: list[str], subject: str, body: str) -> None:
    """Raises ApiError with what the mail server (`host[:port]`) says."""
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = sender, ", ".join(recipients), subject
    message.set_content(body)
    host, _, port = server.partition(":")
    try:
        with smtplib.SMTP(host, int(port or 25), timeout=TIMEOUT_S) as connection:
            connection.send_message(message)
    except (OSError, smtplib.SMTPException, ValueError) as error:
        raise ApiError(f"mail by {server}: {error}") from None


def json_rpc(transport: str, address: str, method: str, params: str) -> None:
    """Call `method` with `params` (JSON) at `host:port` (`*json`) or at a URL (`*http_jrpc`). Raises ApiError: the other
    side's error, or why it cannot be reached."""
    request = b'{"method":%b,"params":[%b],"id":1}\n' % (json.dumps(method).encode(), params.encode())
    try:
        answer = _over_http(address, request) if transport == "*http_jrpc" else _over_tcp(address, request)
        error = json.loads(answer).get("error")
    except (OSError, urllib.error.URLError, ValueError, AttributeError) as failure:
        raise ApiError(f"{method} at {address}: {failure}") from None
    if error:
        raise ApiError(str(error))


def _over_http(url: str, request: bytes) -> bytes:
    if not url.startswith(("http://", "https://")):
        raise ValueError("address is no http or https URL")
    wanted = urllib.request.Request(url, request, {"Content-Type": "application/json"})
    with urllib.request.urlopen(wanted, timeout=TIMEOUT_S) as response:
        return bytes(response.read(MAX_ANSWER))


def _over_tcp(address: str, request: bytes) -> bytes:
    host, _, port = address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=TIMEOUT_S) as connection:
        connection.sendall(request)
        answer = b""
        while not answer.endswith(b"\n") and len(answer) < MAX_ANSWER:
            data = connection.recv(65536)
            if not data:
                break
            answer += data
    return answer
