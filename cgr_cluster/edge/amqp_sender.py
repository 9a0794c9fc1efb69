"""Messages to an AMQP 0.9.1 broker (`*amqp_json_map`, spec 40 §7): one confirmed message at a time over a kept connection.

The queue, and the exchange when one is named, are declared as durable ones; a message is persistent, and has arrived when the
broker has confirmed it.
"""

from __future__ import annotations

import logging
from typing import Any

import pika
from pika.exceptions import AMQPError

from cgr_cluster.events.values import text_of
from cgr_cluster.exporters.payload import JSON
from cgr_cluster.rpc.errors import ApiError

logging.getLogger("pika").setLevel(logging.CRITICAL)  # what goes wrong is an error of the export

DEFAULT_QUEUE = "cgrates_cdrs"
DEFAULT_EXCHANGE_TYPE = "direct"
HEARTBEAT_S = 10  # a broker that has gone without a word is noticed after two of them


class AmqpSender:
    """A connection. Not thread-safe."""

    def __init__(self, url: str, opts: dict[str, Any], timeout_s: float) -> None:
        """Raises ApiError."""
        queue = text_of(opts.get("amqpQueueID")) or DEFAULT_QUEUE
        self._exchange = text_of(opts.get("amqpExchange"))
        self._routing_key = text_of(opts.get("amqpRoutingKey")) or queue
        self._url = url
        try:
            parameters = pika.URLParameters(url)
            parameters.socket_timeout = parameters.stack_timeout = timeout_s
            parameters.blocked_connection_timeout = timeout_s
            parameters.heartbeat = HEARTBEAT_S
            self._connection = pika.BlockingConnection(parameters)
        except (AMQPError, OSError, ValueError, LookupError, TypeError) as error:
            raise ApiError(f"AMQP broker {_address(url)}: {_reason(error)}") from None
        try:
            self._channel = self._connection.channel()
            self._channel.confirm_delivery()
            if self._exchange:
                kind = text_of(opts.get("amqpExchangeType")) or DEFAULT_EXCHANGE_TYPE
                self._channel.exchange_declare(self._exchange, kind, durable=True)
            self._channel.queue_declare(queue, durable=True)
            if self._exchange:
                self._channel.queue_bind(queue, self._exchange, self._routing_key)
        except (AMQPError, OSError) as error:
            self.close()
            raise ApiError(f"AMQP broker {_address(url)}: {_reason(error)}") from None

    def send(self, body: str) -> None:
        """Raises ApiError when the broker has not confirmed it."""
        properties = pika.BasicProperties(content_type=JSON, delivery_mode=2)
        try:
            self._channel.basic_publish(self._exchange, self._routing_key, body.encode(), properties, mandatory=True)
        except (AMQPError, OSError) as error:
            raise ApiError(f"AMQP broker {_address(self._url)}: {_reason(error)}") from None

    def close(self) -> None:
        try:
            self._connection.close()
        except (AMQPError, OSError):
            pass  # it is closed


def _address(url: str) -> str:
    """Without user and password."""
    return url.rpartition("@")[2] or url


def _reason(error: Exception) -> str:
    return str(error) or "it cannot be reached"
