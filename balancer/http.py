"""HTTP (spec chapter 01 §8): JSON-RPC in POST bodies, /ws, /health, /metrics, /prometheus, CDRs of switches (40 §8); httptools
parses, this file decides.

Responses of pipelined requests leave in the order of the requests; the answers of several calls in one body in the order in
which they end. Unlike the original an empty or malformed body is told so: 400 with an error document.

Bounds: HEADER_BYTES of headers, MAX_BODY of body, PIPELINED requests that wait for their response.
"""

from __future__ import annotations

import base64
import hmac
import logging
import time
from collections import deque
from email.utils import formatdate
from typing import Any

import httptools
import msgspec

from balancer.connection import Connection, Turn
from balancer.forms import form_fields
from balancer.websocket import WebSocket
from cgr_cluster.routing.stream import MAX_DOCUMENT, DocumentStream
from cgr_cluster.rpc.encode import NO_ID, encode_error
from cgr_cluster.rpc.envelope import Envelope, decode_envelope, decode_usual

logger = logging.getLogger("cgr_cluster.balancer")

HEADER_BYTES = 64 << 10
MAX_BODY = MAX_DOCUMENT
PIPELINED = 64

_JSON = b"application/json"
_PLAIN = b"text/plain; charset=utf-8"
_METRICS = b"text/plain; version=0.0.4; charset=utf-8"
_REASONS = {200: b"OK", 400: b"Bad Request", 401: b"Unauthorized", 403: b"Forbidden", 404: b"Not Found",
            413: b"Content Too Large", 431: b"Request Header Fields Too Large", 503: b"Service Unavailable"}  # fmt: skip
_CORS = (
    b"Access-Control-Allow-Methods: POST, GET, OPTIONS, PUT, DELETE\r\n"
    b"Access-Control-Allow-Headers: Accept, Accept-Language, Content-Type\r\n"
)
_CHALLENGE = b'WWW-Authenticate: Basic realm="Restricted"\r\n'
_EMPTY_BODY = "the body is empty: a JSON-RPC request is expected"
_MALFORMED = "the body is no JSON-RPC request"


_PAGE, _NOT_ENABLED = "CoreSv1.GetPrometheusMetrics", "NOT_FOUND"


class _PageAnswer(msgspec.Struct):
    """The answer of the method that makes the page of metrics."""

    result: str | None
    error: str | None


_decode_page = msgspec.json.Decoder(_PageAnswer).decode


class HttpOptions(msgspec.Struct, frozen=True):
    """Section `http` of the configuration: `users` maps user → password, None: no authentication. `prometheus_path`: of section
    `prometheus_agent`. `protected`: metrics need a user too (`cluster.protect_metrics`)."""

    json_rpc_url: bytes = b"/jsonrpc"
    ws_url: bytes = b"/ws"
    users: dict[str, str] | None = None
    cdr_url: bytes = b"/cdr_http"
    freeswitch_url: bytes = b"/freeswitch_json"
    prometheus_path: bytes = b"/prometheus"
    protected: bool = False

    @classmethod
    def of(cls, config: dict[str, Any]) -> HttpOptions:
        users, section = None, config["http"]
        if section.get("use_basic_auth"):
            users = {
                user: base64.b64decode(password).decode("utf-8", "replace")
                for user, password in section.get("auth_users", {}).items()
            }
        urls = ("json_rpc_url", "ws_url", "http_cdrs", "freeswitch_cdrs_url")
        rpc, ws, cdrs, freeswitch = (str(section[key]).encode() for key in urls)
        prometheus = str(config.get("prometheus_agent", {}).get("path", "/prometheus")).encode()
        protected = bool(config.get("cluster", {}).get("protect_metrics"))
        return cls(rpc, ws, users, cdrs, freeswitch, prometheus, protected)

    def admits(self, authorization: bytes | None) -> bool:
        """Whether the credentials are those of a user. What stands before them is not looked at."""
        if self.users is None:
            return True
        if authorization is None:
            return False
        try:
            text = base64.b64decode(authorization.rpartition(b" ")[2]).decode("utf-8", "replace")
        except ValueError:
            return False
        user, _, password = text.partition(":")
        wanted = self.users.get(user)
        return wanted is not None and hmac.compare_digest(wanted.encode(), password.encode())


class _DateLine:
    """The Date header, made once a second."""

    def __init__(self) -> None:
        self._second = 0
        self._line = b""

    def get(self) -> bytes:
        now = int(time.time())
        if now != self._second:
            self._second = now
            self._line = f"Date: {formatdate(now, usegmt=True)}\r\n".encode()
        return self._line


_date = _DateLine()


class Exchange:
    """One request and its response. `left` calls of its body are not answered yet."""

    __slots__ = ("answers", "close", "head", "left", "old", "origin", "proven", "response")

    def __init__(self) -> None:
        self.left = 0
        self.answers: list[bytes] = []
        self.response: bytes | None = None
        self.close = False
        self.old = False  # HTTP/1.0
        self.head = False
        self.origin: bytes | None = None
        self.proven = False  # basic auth is on, and was right

    def respond(self, status: int, content_type: bytes, body: bytes, extra: bytes = b"") -> None:
        keep = b"Connection: close\r\n" if self.close else b"Connection: keep-alive\r\n" if self.old else b""
        cors = b""
        if self.origin is not None:
            cors = b"Access-Control-Allow-Origin: %b\r\n%b" % (self.origin, _CORS)
        self.response = b"HTTP/1.1 %d %b\r\nContent-Type: %b\r\n%b%b%b%b%bContent-Length: %d\r\n\r\n%b" % (
            status, _REASONS[status], content_type, _date.get(), keep, cors,
            _CHALLENGE if self.proven or status == 401 else b"", extra, len(body), b"" if self.head else body,
        )  # fmt: skip


class HttpConnection(Connection):
    KIND = "http"

    def __init__(self, turn: Turn, options: HttpOptions) -> None:
        super().__init__(turn)
        self.options = options
        self._parser = httptools.HttpRequestParser(self)
        self._waiting: deque[Exchange] = deque()
        self._websocket: WebSocket | None = None
        self._header_bytes = 0
        self._reset()

    def _reset(self) -> None:
        self._url = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._body: list[bytes] = []
        self._body_bytes = 0
        self._in_body = False
        self._refused = False

    # --- bytes in -----------------------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        if self.ending:
            return
        if self._websocket is not None:
            self._websocket.received(data)
            return
        left = data
        while left and self._websocket is None:
            if not self._in_body:
                self._header_bytes += len(left)
            read, left = left, b""
            try:
                self._parser.feed_data(read)
            except httptools.HttpParserUpgrade as upgrade:
                left = self._upgraded(read[upgrade.args[0] :])
            except httptools.HttpParserError:
                self._refuse(400, b"malformed HTTP request\n")
        if not self._in_body and self._header_bytes > HEADER_BYTES:
            self._refuse(431, b"the header is too big\n")
        self.turn.schedule()

    def eof_received(self) -> bool:
        if self._websocket is not None:
            return False
        return super().eof_received()

    def on_message_begin(self) -> None:
        self._reset()

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        self._in_body = True
        for name, value in self._headers:
            if name == b"expect" and value.lower() == b"100-continue" and not self._waiting:
                self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            elif name == b"content-length" and value.isdigit() and int(value) > MAX_BODY:
                self._refuse(413, b"the body is too big\n")

    def on_body(self, body: bytes) -> None:
        self._body_bytes += len(body)
        if self._body_bytes > MAX_BODY:
            self._refuse(413, b"the body is too big\n")
        elif not self._refused:
            self._body.append(body)

    def on_message_complete(self) -> None:
        self._in_body = False
        self._header_bytes = 0
        if self._refused or self.ending:
            return
        if self._parser.should_upgrade():
            return  # without looking for a body the parser raises HttpParserUpgrade next
        exchange = self._exchange()
        self._waiting.append(exchange)
        if exchange.close:
            self.ending = True
        self._handle(exchange)
        self._read_or_not()

    def _exchange(self) -> Exchange:
        exchange = Exchange()
        exchange.close = not self._parser.should_keep_alive()
        exchange.old = self._parser.get_http_version() == "1.0"
        exchange.head = self._parser.get_method() == b"HEAD"
        exchange.origin = self._header(b"origin")
        return exchange

    def _header(self, wanted: bytes) -> bytes | None:
        for name, value in self._headers:
            if name == wanted:
                return value
        return None

    def _path(self) -> bytes:
        return self._url.partition(b"?")[0]

    def _refuse(self, status: int, text: bytes) -> None:
        """Answer what can not be a request, and end the connection behind the responses before it."""
        if self._refused or self.ending:
            return
        self._refused = True
        exchange = Exchange()
        exchange.close = True
        exchange.respond(status, _PLAIN, text)
        self._waiting.append(exchange)
        self.core.metrics.malformed += 1
        self._settle()
        self.end()

    # --- requests -----------------------------------------------------------------------------------------------

    def _handle(self, exchange: Exchange) -> None:
        path = self._path()
        if path == self.options.json_rpc_url:
            self._json_rpc(exchange)
        elif path == self.options.ws_url:
            if self._admitted(exchange):
                exchange.respond(400, _PLAIN, b"not websocket protocol\n")
        elif path == self.options.cdr_url:
            self._form(exchange)
        elif path == self.options.freeswitch_url:
            record = self._whole_body().decode("utf-8", "replace")
            self._cdr(exchange, "CDRsV1.ProcessFreeSwitchRecord", {"Record": record})
        elif path == b"/health":
            healthy = self.core.is_complete()
            body = msgspec.json.encode({"status": "ok" if healthy else "incomplete", "workers": self.core.workers_up()})
            exchange.respond(200 if healthy else 503, _JSON, body + b"\n")
        elif path == b"/metrics":
            if self._may_read_metrics(exchange):
                exchange.respond(200, _METRICS, self.core.metrics_text(self._connections()).encode())
        elif path == self.options.prometheus_path:
            if self._may_read_metrics(exchange):
                self._prometheus(exchange)
        else:
            self._no_page(exchange)
        self._settle()

    def _no_page(self, exchange: Exchange) -> None:
        exchange.respond(404, _PLAIN, b"404 page not found\n", b"X-Content-Type-Options: nosniff\r\n")

    def _may_read_metrics(self, exchange: Exchange) -> bool:
        return not self.options.protected or self._admitted(exchange)

    def _prometheus(self, exchange: Exchange) -> None:
        """A call like any other, whose answer is the page (chapter 70 §8)."""
        counts = self.core.metrics.scrapes
        counts.in_flight += 1

        def reply(answer: bytes) -> None:
            found = _decode_page(answer)
            if found.error == _NOT_ENABLED:
                self._no_page(exchange)
            elif found.result is None:
                counts.ended(503)
                exchange.respond(503, _PLAIN, f"{found.error}\n".encode())
            else:
                counts.ended(200)
                exchange.respond(200, _METRICS, (found.result + counts.text()).encode())
            counts.in_flight -= 1
            self._settle()

        self.core.request(self.client, Envelope(_PAGE, NO_ID, b"{}"), reply, time.monotonic_ns())

    def _connections(self) -> dict[str, int]:
        kinds: dict[str, int] = {}
        for connection in self.turn.connections:
            kinds[connection.KIND] = kinds.get(connection.KIND, 0) + 1
        return kinds

    def _admitted(self, exchange: Exchange) -> bool:
        if self.options.users is None:
            return True
        if self.options.admits(self._header(b"authorization")):
            exchange.proven = True
            return True
        exchange.respond(401, _PLAIN, b"Not authorized\n")
        return False

    def _json_rpc(self, exchange: Exchange) -> None:
        if self._parser.get_method() == b"OPTIONS":
            exchange.respond(200, _JSON, b"")
            return
        if not self._admitted(exchange):
            return
        body = self._whole_body()
        stream: DocumentStream[Envelope] = DocumentStream(decode_usual, decode_envelope, MAX_BODY)
        calls = stream.feed(body)
        if not calls:
            text = _MALFORMED if body.strip() else _EMPTY_BODY
            exchange.respond(400, _JSON, encode_error(NO_ID, text))
            return
        exchange.left = len(calls)
        now = time.monotonic_ns()
        if len(calls) == 1:
            self.core.request(self.client, calls[0], self._single(exchange), now)
            return
        for envelope in calls:
            self.core.request(self.client, envelope, self._one_of(exchange), now)

    def _whole_body(self) -> bytes:
        return self._body[0] if len(self._body) == 1 else b"".join(self._body)

    def _peer(self) -> str:
        host, port = (self.transport.get_extra_info("peername") or ("", 0))[:2]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def _form(self, exchange: Exchange) -> None:
        try:
            fields = form_fields(self._url, self._header(b"content-type"), self._whole_body())
        except ValueError as error:
            logger.warning("form of %s: %s", self._peer(), error)
            exchange.respond(200, _PLAIN, b"")
            return
        self._cdr(exchange, "CDRsV1.ProcessForm", {"Fields": fields, "Source": self._peer()})

    def _cdr(self, exchange: Exchange, method: str, params: dict[str, Any]) -> None:
        """A record that a switch has posted: whatever comes of it, the answer is 200 without a body; errors are logged."""

        def reply(answer: bytes) -> None:
            error = msgspec.json.decode(answer)["error"]
            if error is not None:
                logger.warning("%s of %s: %s", method, self._peer(), error)
            exchange.respond(200, _PLAIN, b"")
            self._settle()

        envelope = Envelope(method, NO_ID, msgspec.json.encode(params))
        self.core.request(self.client, envelope, reply, time.monotonic_ns())

    def _single(self, exchange: Exchange) -> Any:
        def reply(answer: bytes) -> None:
            exchange.respond(200, _JSON, answer)
            self._settle()

        return reply

    def _one_of(self, exchange: Exchange) -> Any:
        def reply(answer: bytes) -> None:
            exchange.answers.append(answer)
            exchange.left -= 1
            if not exchange.left:
                exchange.respond(200, _JSON, b"".join(exchange.answers))
                self._settle()

        return reply

    def _settle(self) -> None:
        """Write the responses that are ready, in the order of the requests."""
        waiting = self._waiting
        was_full = self.is_full()
        while waiting and waiting[0].response is not None:
            self.answer(waiting.popleft().response or b"")
        if was_full and not self.is_full():
            self._read_or_not()

    def is_full(self) -> bool:
        return len(self._waiting) >= PIPELINED

    def is_idle(self) -> bool:
        return not self._waiting and super().is_idle()

    # --- WebSocket ----------------------------------------------------------------------------------------------

    def _upgraded(self, rest: bytes) -> bytes:
        """Answers what is to be read as HTTP again."""
        if self._path() != self.options.ws_url:  # nobody wants this upgrade: it is an ordinary request
            head = self._head(b"upgrade")
            self._parser = httptools.HttpRequestParser(self)
            return head + rest
        exchange = self._exchange()
        if not self._admitted(exchange):
            self._waiting.append(exchange)
            self._settle()
            self.end()
            return b""
        self._websocket = WebSocket(self)
        self._websocket.received(self._head())  # the handshake is answered before anything behind it is looked at
        if rest:
            self._websocket.received(rest)
        return b""

    def _head(self, without: bytes = b"") -> bytes:
        """The head of this request again, less one header."""
        version = self._parser.get_http_version().encode()
        lines = [b"%b %b HTTP/%b" % (self._parser.get_method(), self._url, version)]
        lines += [b"%b: %b" % header for header in self._headers if header[0] != without]
        return b"\r\n".join(lines) + b"\r\n\r\n"

    def flush(self) -> None:
        if self._websocket is not None:
            self._websocket.frame_answers()
        super().flush()
