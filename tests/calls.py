"""API calls on a node in the test's own process whose outcome is known beforehand: the result, or the error's text."""

from __future__ import annotations

from typing import Any

from cgr_cluster.node.node import Node


def ok(node: Node, method: str, **params: Any) -> Any:
    answer = node.call(method, params)
    assert answer["error"] is None, (method, answer)
    return answer["result"]


def error(node: Node, method: str, **params: Any) -> str:
    answer = node.call(method, params)
    assert answer["result"] is None, (method, answer)
    return str(answer["error"])
