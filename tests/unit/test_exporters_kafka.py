"""`*kafka_json_map` with the cluster that librdkafka has for tests: topic, key, what is not acknowledged (spec 40 §7)."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from cgr_cluster.edge.transports import Transports
from cgr_cluster.exporters.failed import FailedPost
from cgr_cluster.exporters.payload import Payload
from cgr_cluster.node.node import Node
from cgr_cluster.rpc.errors import ApiError
from tests.unit.exporters_world import configure, export, exporter, field

QUIET = logging.getLogger("kafka-test")
QUIET.setLevel(logging.CRITICAL)
WAIT_S = 90.0


@pytest.fixture(scope="module")
def brokers() -> Iterator[str]:
    cluster = Producer({"bootstrap.servers": "unused", "test.mock.num.brokers": 1}, logger=QUIET)
    found = cluster.list_topics(timeout=WAIT_S).brokers.values()
    yield ";".join(f"{broker.host}:{broker.port}" for broker in found)
    del cluster


def message_of(brokers: str, topic: str) -> tuple[str, str]:
    """Key and body of the first message of a topic."""
    consumer = Consumer({"bootstrap.servers": brokers.replace(";", ","), "group.id": "test"}, logger=QUIET)
    partitions = consumer.list_topics(topic, timeout=WAIT_S).topics[topic].partitions
    consumer.assign([TopicPartition(topic, number, 0) for number in partitions])
    try:
        message = consumer.poll(WAIT_S)
        while message is not None and message.error() is not None:  # such as a leader that is not known yet
            message = consumer.poll(WAIT_S)
        assert message is not None
        return message.key().decode(), message.value().decode()
    finally:
        consumer.close()


def test_an_event_is_a_message_with_the_key_of_its_record(brokers: str) -> None:
    node = Node()
    fields = [field("*exp.Account", "~*req.Account")]
    configure(
        node,
        exporter("K", "*kafka_json_map", export_path=brokers, opts={"kafkaTopic": "calls"}, fields=fields),
    )
    node.call("ConfigSv1.SetConfig", {"Config": {"general": {"reply_timeout": "90s"}}})
    metrics = export(node, {"CGRID": "c1", "RunID": "*raw"})
    assert metrics["result"]["K"]["PositiveExports"] == ["ev1"], metrics
    key, body = message_of(brokers, "calls")
    assert key == "c1:*raw" and json.loads(body) == {"Account": "491700099"}


def test_what_is_not_acknowledged_in_time_has_failed() -> None:
    post = FailedPost("K", "*kafka_json_map", "127.0.0.1:1", Payload("{}", key="k"), timeout_s=0.1)
    with pytest.raises(ApiError, match=r"^Kafka 127\.0\.0\.1:1: "):
        Transports().send(post)


def test_options_that_cannot_be_used(tmp_path: object) -> None:
    opts = {"kafkaTLS": True, "kafkaCAPath": f"{tmp_path}/none.pem"}
    post = FailedPost("K", "*kafka_json_map", "127.0.0.1:1", Payload("{}", key="k"), opts=opts)
    with pytest.raises(ApiError, match=r"^Kafka 127\.0\.0\.1:1: .*ssl\.ca\.location"):
        Transports().send(post)
