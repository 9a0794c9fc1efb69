"""Messages between balancer and worker."""

from __future__ import annotations

import pytest

from cgr_cluster.routing import wire


@pytest.mark.parametrize(
    "message",
    [
        wire.Hello(wire.VERSION, 1, 2, 3, [0, 1, 255], 4, "cgrates.org"),
        wire.Answers(7, [wire.AnswerItem("b:1", False, b'"Pong"'), wire.AnswerItem("b:2", True, b"NOT_FOUND")]),
        wire.Moved("b:1", 17, 2, 5),
        wire.Tell("b/1", "AgentV1.DisconnectSession", b"{}", 1, 2000),
        wire.Leaving(1),
    ],
)
def test_from_worker(message: wire.FromWorker) -> None:
    assert wire.decode_from_worker(wire.encode(message)) == message


@pytest.mark.parametrize(
    "message",
    [
        wire.Welcome(wire.VERSION, "b"),
        wire.Batch(1, 5, [wire.RequestItem("b:6", "CoreSv1.Ping", b"{}", 30_000, "")]),
        wire.TellReply(1, True, b"DISCONNECTED"),
    ],
)
def test_to_worker(message: wire.ToWorker) -> None:
    assert wire.decode_to_worker(wire.encode(message)) == message
