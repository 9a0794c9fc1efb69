"""How an event becomes a CallDescriptor (spec 10 §7.1): for GetAccountCost, sessions and CDRs."""

from __future__ import annotations

from typing import Any

from cgr_cluster.events.instant import ZERO, Instant
from cgr_cluster.events.values import duration_of, text_of, time_of
from cgr_cluster.rating.types import CallDescriptor
from cgr_cluster.rpc.errors import not_found

_NEEDED = ("Account", "Destination", "SetupTime", "Usage")


def descriptor_of_event(
    tenant: str, event: dict[str, Any], opts: dict[str, Any], now_ns: int, zone: str
) -> CallDescriptor:
    """The descriptor of an event of `tenant`. Subject is the account when absent; it starts at AnswerTime, if that is set
    and not zero, else at SetupTime. Raises `NOT_FOUND` when Account, Destination, SetupTime or Usage is missing, and the
    reading error of a bad time or usage."""
    if any(event.get(name) is None for name in _NEEDED):
        raise not_found()
    start: Instant = ZERO
    if event.get("AnswerTime") is not None:
        start = time_of(event["AnswerTime"], now_ns, zone)
    if not start:
        start = time_of(event["SetupTime"], now_ns, zone)
    usage_ns = duration_of(event["Usage"])
    account = text_of(event["Account"])
    return CallDescriptor(
        tenant=tenant,
        category=text_of(event["Category"]) if event.get("Category") is not None else "",
        subject=text_of(event["Subject"]) if event.get("Subject") is not None else account,
        account=account,
        destination=text_of(event["Destination"]),
        tor=text_of(event["ToR"]) if event.get("ToR") is not None else "",
        time_start=start,
        time_end=start.plus(usage_ns),
        duration_index_ns=usage_ns,
        opts=opts,
    )
