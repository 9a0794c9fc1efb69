"""`*amqp_json_map`: queues and exchanges, confirmed messages, connections that die (spec 40 §7)."""

from __future__ import annotations

import json

import pytest

from cgr_cluster.edge.transports import Transports
from cgr_cluster.exporters.failed import FailedPost
from cgr_cluster.exporters.payload import Payload
from cgr_cluster.node.node import Node
from cgr_cluster.rpc.errors import ApiError
from tests.unit.amqp_broker import Broker, amqp_broker
from tests.unit.exporters_world import configure, export, exporter, field


def post(broker: Broker, **opts: str) -> FailedPost:
    return FailedPost("E", "*amqp_json_map", broker.url, Payload('{"a":"1"}'), opts=dict(opts), timeout_s=90.0)


def test_an_event_is_a_persistent_message_in_the_queue() -> None:
    node = Node()
    with amqp_broker() as broker:
        fields = [field("*exp.Account", "~*req.Account")]
        configure(node, exporter("MQ", "*amqp_json_map", export_path=broker.url, fields=fields))
        assert [export(node, None, ID=name)["result"]["MQ"]["NumberOfEvents"] for name in "ab"] == [1, 2]
        assert broker.declared == ["cgrates_cdrs"], "one connection for both"
    exchange, key, properties, body = broker.messages[0]
    assert (exchange, key, properties.delivery_mode) == ("", "cgrates_cdrs", 2)
    assert properties.content_type == "application/json" and json.loads(body) == {"Account": "491700099"}


def test_an_exchange_with_a_routing_key() -> None:
    with amqp_broker() as broker:
        wanted = post(broker, amqpQueueID="q", amqpExchange="ex", amqpExchangeType="topic", amqpRoutingKey="k.1")
        Transports().send(wanted)
    assert broker.declared == ["ex topic", "q"]
    assert broker.messages[0][:2] == ("ex", "k.1")


def test_a_kept_connection_that_has_died_is_replaced() -> None:
    transports = Transports()
    with amqp_broker() as broker:
        transports.send(post(broker))
        broker.drop_connections()
        transports.send(post(broker))
        assert len(broker.messages) == 2
        transports.close()


def test_what_the_broker_refuses_has_failed() -> None:
    transports = Transports()
    with amqp_broker() as broker:
        broker.nacks = True
        with pytest.raises(ApiError, match=r"^AMQP broker 127\.0\.0\.1:\d+/: "):
            transports.send(post(broker))
    with pytest.raises(ApiError, match="cannot be reached"):
        transports.send(post(broker))
    broker.url = "nonsense"
    with pytest.raises(ApiError, match="AMQP broker nonsense"):
        transports.send(post(broker))
