"""A JSON-RPC connection for the command line: one call at a time over TCP (spec chapter 01)."""

from __future__ import annotations

import socket
from typing import Any

import msgspec


class CallFailedError(Exception):
    """The server answered with an error; the text is the API's."""


class UnreachableError(Exception):
    """There is no server, or it has gone; the text says where and why."""


class _Reply(msgspec.Struct):
    id: Any = None
    result: msgspec.Raw = msgspec.Raw(b"null")
    error: str | None = None


_decode = msgspec.json.Decoder(_Reply).decode


def parse_address(text: str) -> tuple[str, int]:
    """`HOST:PORT`, `:PORT` or `PORT`. Raises ValueError."""
    host, _, port = text.rpartition(":")
    if not port.isdigit() or not 0 < int(port) < 65536:
        raise ValueError(f"{text!r} is no address; HOST:PORT is wanted, such as 127.0.0.1:2012")
    return host.strip("[]") or "127.0.0.1", int(port)


class Client:
    """Connect, `call`, `close`. Answers are one line each, so a line is a document."""

    def __init__(self, address: tuple[str, int], timeout_s: float | None = 300.0) -> None:
        self._address = f"{address[0]}:{address[1]}"
        try:
            self._socket = socket.create_connection(address, timeout=5.0)
        except OSError as error:
            raise UnreachableError(f"nothing answers on {self._address}: {error.strerror or error}") from None
        self._socket.settimeout(timeout_s)
        self._lines = self._socket.makefile("rb")
        self._last_id = 0

    def call(self, method: str, params: Any) -> Any:
        """The result. Raises CallFailedError, UnreachableError."""
        return msgspec.json.decode(self.call_raw(method, msgspec.json.encode(params)))

    def call_raw(self, method: str, params: bytes) -> bytes:
        """The same on JSON bytes: the one parameter in, the result out."""
        self._last_id += 1
        head = msgspec.json.encode(method)
        try:
            self._socket.sendall(b'{"method":%b,"params":[%b],"id":%d}\n' % (head, params, self._last_id))
            line = self._lines.readline()
        except TimeoutError:
            raise UnreachableError(f"{self._address} has not answered {method} in time") from None
        except OSError as error:
            raise UnreachableError(f"the connection to {self._address} broke: {error.strerror or error}") from None
        if not line:
            raise UnreachableError(f"{self._address} closed the connection during {method}")
        try:
            reply = _decode(line)
        except msgspec.DecodeError:
            what = "HTTP: its JSON port is wanted" if line.startswith(b"HTTP/") else "no JSON-RPC"
            raise UnreachableError(f"{self._address} speaks {what}") from None
        if reply.error is not None:
            raise CallFailedError(reply.error)
        return bytes(reply.result)

    def close(self) -> None:
        self._lines.close()
        self._socket.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
