"""A broker of AMQP 0.9.1 that says yes to everything and notes it: enough of the protocol for one publisher at a time."""

from __future__ import annotations

import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from pika import frame, spec

_CAN = {"capabilities": {"publisher_confirms": True, "basic.nack": True}}
_YES = {
    spec.Channel.Open: spec.Channel.OpenOk(),
    spec.Confirm.Select: spec.Confirm.SelectOk(),
    spec.Exchange.Declare: spec.Exchange.DeclareOk(),
    spec.Queue.Bind: spec.Queue.BindOk(),
    spec.Channel.Close: spec.Channel.CloseOk(),
    spec.Connection.Open: spec.Connection.OpenOk(),
    spec.Connection.Close: spec.Connection.CloseOk(),
}


class Broker:
    """`messages`: (exchange, routing key, properties, body); `declared`: queues and exchanges; `nacks`: messages are refused."""

    def __init__(self) -> None:
        self.url = ""
        self.messages: list[tuple[str, str, Any, str]] = []
        self.declared: list[str] = []
        self.connections: list[socket.socket] = []
        self.nacks = False

    def drop_connections(self) -> None:
        for connection in self.connections:
            with suppress(OSError):  # its other end has closed it
                connection.shutdown(socket.SHUT_RDWR)
        self.connections.clear()


class _Connection:
    def __init__(self, broker: Broker, sock: socket.socket) -> None:
        self._broker = broker
        self._sock = sock
        self._publish: Any = None
        self._properties: Any = None
        self._tag = 0

    def serve(self) -> None:
        received = b""
        while data := self._sock.recv(65536):
            received += data
            while True:
                size, found = frame.decode_frame(received)
                if found is None:
                    break
                received = received[size:]
                self._take(found)

    def _say(self, channel: int, method: Any) -> None:
        self._sock.sendall(frame.Method(channel, method).marshal())

    def _take(self, found: Any) -> None:
        if isinstance(found, frame.ProtocolHeader):
            self._say(0, spec.Connection.Start(server_properties=_CAN))
        elif isinstance(found, frame.Header):
            self._properties = found.properties
        elif isinstance(found, frame.Body):
            self._message(found)
        elif isinstance(found, frame.Method):
            self._method(found.channel_number, found.method)

    def _method(self, channel: int, method: Any) -> None:
        if isinstance(method, spec.Connection.StartOk):
            self._say(0, spec.Connection.Tune(10, 131072, 0))
        elif isinstance(method, spec.Basic.Publish):
            self._publish = method
        elif isinstance(method, spec.Queue.Declare):
            self._broker.declared.append(method.queue)
            self._say(channel, spec.Queue.DeclareOk(method.queue, 0, 0))
        elif type(method) in _YES:
            if isinstance(method, spec.Exchange.Declare):
                self._broker.declared.append(f"{method.exchange} {method.type}")
            self._say(channel, _YES[type(method)])

    def _message(self, body: Any) -> None:
        publish = self._publish
        if not self._broker.nacks:
            text = body.fragment.decode()
            self._broker.messages.append((publish.exchange, publish.routing_key, self._properties, text))
        self._tag += 1
        said = spec.Basic.Nack(self._tag) if self._broker.nacks else spec.Basic.Ack(self._tag)
        self._say(body.channel_number, said)


@contextmanager
def amqp_broker() -> Iterator[Broker]:
    broker = Broker()

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            broker.connections.append(self.request)
            try:
                _Connection(broker, self.request).serve()
            except OSError:
                pass  # dropped

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        broker.url = f"amqp://guest:secret@127.0.0.1:{server.server_address[1]}/"
        try:
            yield broker
        finally:
            server.shutdown()
            thread.join()
            broker.drop_connections()
