"""Parts of a session request that belong to other subsystems (spec 30.5): what is answered while these are not connected.

Their services are not built yet, and a subsystem that is not there is answered as one that is not configured (30.2).
"""

from __future__ import annotations

from typing import Any

from cgr_cluster.rpc.errors import ApiError, partially_executed


def attributes(asked: bool) -> None:
    if asked:
        raise ApiError("ATTRIBUTES_ERROR:NOT_CONNECTED: AttributeS")


def resources(asked: bool) -> None:
    if asked:
        raise ApiError("NOT_CONNECTED: ResourceS")


def ips(asked: bool) -> None:
    if asked:
        raise ApiError("NOT_CONNECTED: IPs")


def routes(asked: bool) -> None:
    if asked:
        raise ApiError("NOT_CONNECTED: RouteS")


def thresholds_and_stats(thresholds: bool, stats: bool) -> None:
    """They follow the main work: their failure leaves it done."""
    if thresholds or stats:
        raise partially_executed()


def digest(usage_ns: int | None, empty: dict[str, Any]) -> dict[str, Any]:
    """The flat answer of the WithDigest methods; usage in seconds."""
    return {**empty, "MaxUsage": 0 if usage_ns is None else usage_ns / 1_000_000_000}
