"""Messages to a Kafka cluster (`*kafka_json_map`, spec 40 §7), by librdkafka: keyed, acknowledged by all in-sync replicas."""

from __future__ import annotations

import logging
import threading
from time import monotonic
from typing import Any

from confluent_kafka import KafkaException, Producer

from cgr_cluster.events.values import bool_of, text_of
from cgr_cluster.rpc.errors import ApiError

DEFAULT_TOPIC = "cgrates_cdrs"
POLL_S = 0.1
_quiet = logging.getLogger("cgr_cluster.edge.kafka")
_quiet.setLevel(logging.CRITICAL)  # what goes wrong is an error of the export


class KafkaSender:
    """A producer of one exporter; threads may share it."""

    def __init__(self, brokers: str, opts: dict[str, Any], timeout_s: float) -> None:
        """Raises ApiError for options that cannot be used."""
        self._topic = text_of(opts.get("kafkaTopic")) or DEFAULT_TOPIC
        self._brokers = brokers
        self._timeout_s = timeout_s
        config: dict[str, Any] = {
            "bootstrap.servers": brokers.replace(";", ","),
            "acks": "all",
            "linger.ms": 0,
            "message.timeout.ms": max(int(timeout_s * 1000), 1),
        }
        try:
            if opts.get("kafkaTLS") is not None and bool_of(opts["kafkaTLS"]):
                config["security.protocol"] = "ssl"
                if opts.get("kafkaSkipTLSVerify") is not None and bool_of(opts["kafkaSkipTLSVerify"]):
                    config["enable.ssl.certificate.verification"] = False
                if text_of(opts.get("kafkaCAPath")):
                    config["ssl.ca.location"] = text_of(opts["kafkaCAPath"])
            self._producer = Producer(config, logger=_quiet)
        except (KafkaException, ValueError) as error:
            raise ApiError(f"Kafka {brokers}: {_reason(error)}") from None

    def send(self, body: str, key: str) -> None:
        """Raises ApiError when it is not acknowledged in time."""
        done = threading.Event()
        failed: list[str] = []

        def delivered(error: Any, message: Any) -> None:
            if error is not None:
                failed.append(str(error.str()))
            done.set()

        try:
            self._producer.produce(self._topic, body.encode(), key.encode(), on_delivery=delivered)
        except (KafkaException, BufferError) as error:
            raise ApiError(f"Kafka {self._brokers}: {_reason(error)}") from None
        until = monotonic() + self._timeout_s + 1.0  # the producer gives up by itself before
        while not done.is_set():
            self._producer.poll(POLL_S)
            if monotonic() > until:
                raise ApiError(f"Kafka {self._brokers}: no acknowledgement after {self._timeout_s:g} s")
        if failed:
            raise ApiError(f"Kafka {self._brokers}: {failed[0]}")

    def close(self) -> None:
        self._producer.flush(0)


def _reason(error: Exception) -> str:
    return str(error.args[0].str()) if isinstance(error, KafkaException) else str(error)
