"""What sessions read out of events and options (spec 30.2). Pure."""

from __future__ import annotations

from functools import lru_cache
from hashlib import sha1
from typing import Any
from zlib import crc32

from cgr_cluster.events.instant import ZERO, Instant
from cgr_cluster.events.times import parse_time
from cgr_cluster.events.values import bool_of, duration_of, text_of
from cgr_cluster.rpc.errors import ApiError
from cgr_cluster.sessions.settings import SessionSettings
from cgr_cluster.sessions.types import TimeToLive, Usage

SHORTEST_DEBIT_INTERVAL_NS = 10_000_000
MAIN_FIELDS = frozenset(
    [
        "CGRID",
        "RunID",
        "OrderID",
        "OriginHost",
        "Source",
        "OriginID",
        "ToR",
        "RequestType",
        "Tenant",
        "Category",
        "Account",
        "Subject",
        "Destination",
        "SetupTime",
        "AnswerTime",
        "Usage",
        "ExtraInfo",
        "Partial",
        "PreRated",
        "CostSource",
        "Cost",
        "CostDetails",
    ]
)


def text_field(event: dict[str, Any], name: str) -> str:
    """A field as text; absent is empty."""
    value = event.get(name)
    if type(value) is str:
        return value
    return "" if value is None else text_of(value)


def cgrid_of(event: dict[str, Any]) -> str:
    """The session's key: the event's CGRID, else the SHA-1 of OriginID and OriginHost."""
    return text_field(event, "CGRID") or computed_cgrid(text_field(event, "OriginID"), text_field(event, "OriginHost"))


def computed_cgrid(origin_id: str, origin_host: str) -> str:
    return sha1(f"{origin_id}{origin_host}".encode(), usedforsecurity=False).hexdigest()


def initial_cgrid_of(event: dict[str, Any]) -> str:
    """The key that a relocated session had (30.5.5), or empty."""
    initial = text_field(event, "InitialOriginID")
    return computed_cgrid(initial, text_field(event, "OriginHost")) if initial else ""


@lru_cache(maxsize=4096)
def _absolute_time(text: str, zone: str) -> Instant:
    return parse_time(text, 0, zone)


def time_field(event: dict[str, Any], name: str, now_ns: int, zone: str) -> Instant:
    """A time field; what is absent or cannot be read is the zero time."""
    value = event.get(name)
    if value is None:
        return ZERO
    if isinstance(value, Instant):
        return value
    text = text_of(value)
    try:
        return _absolute_time(text, zone) if text[:1].isdigit() else parse_time(text, now_ns, zone)
    except ApiError:
        return ZERO


def optional_duration(fields: dict[str, Any], name: str) -> int | None:
    """A duration, None when it is absent or cannot be read."""
    if name not in fields:
        return None
    try:
        return duration_of(fields[name])
    except ApiError:
        return None


def read_usage(event: dict[str, Any], settings: SessionSettings, creating: bool) -> Usage:
    """What a request asks. An unreadable Usage or TotalUsage is kept as the error of the update pass. `creating`: the
    event makes the session, so LastUsed stands in for a missing Usage."""
    last_used = optional_duration(event, "LastUsed")
    try:
        if "Usage" in event:
            asked = duration_of(event["Usage"])
        elif creating and last_used is not None:
            asked = last_used
        else:
            asked = settings.usage_of_tor(text_field(event, "ToR"))
        total = duration_of(event["TotalUsage"]) if "TotalUsage" in event else None
    except ApiError as error:
        return Usage(0, error=error.text)
    return Usage(asked, last_used, total)


def debit_interval(opts: dict[str, Any], settings: SessionSettings) -> int:
    """Raises `time: invalid duration "x"` and the like."""
    if "*sessionsDebitInterval" in opts:
        return bearable_interval(duration_of(opts["*sessionsDebitInterval"]))
    return bearable_interval(settings.debit_interval_ns)


def bearable_interval(interval_ns: int) -> int:
    """A debit loop every nanosecond would keep its worker from everything else: shorter ones act as the shortest."""
    return max(interval_ns, SHORTEST_DEBIT_INTERVAL_NS) if interval_ns > 0 else 0


def chargeable(opts: dict[str, Any]) -> bool:
    """`*sessionsChargeable`; absent and unreadable count as true."""
    if "*sessionsChargeable" not in opts:
        return True
    try:
        return bool_of(opts["*sessionsChargeable"])
    except ApiError:
        return True


def time_to_live(
    opts: dict[str, Any], opts_start: dict[str, Any], settings: SessionSettings, now_ns: int, uid: str
) -> TimeToLive | None:
    """The TTL that a request sets: each option from the request, else from the session's start, else configured. None:
    no TTL, or an option that cannot be read. `uid` seeds the random delay."""
    if not settings.ttl_ns and "*sessionsTTL" not in opts and "*sessionsTTL" not in opts_start:
        return None

    def option(name: str, configured: int | None) -> int | None:
        for given in (opts, opts_start):
            if name in given:
                return duration_of(given[name])
        return configured

    try:
        ttl = option("*sessionsTTL", settings.ttl_ns) or 0
        delay_ms = (option("*sessionsTTLMaxDelay", settings.ttl_max_delay_ns) or 0) // 1_000_000
        last_usage = option("*sessionsTTLLastUsage", settings.ttl_last_usage_ns)
        last_used = option("*sessionsTTLLastUsed", settings.ttl_last_used_ns)
        usage = option("*sessionsTTLUsage", settings.ttl_usage_ns)
    except ApiError:
        return None
    if ttl <= 0:
        return None
    if delay_ms > 0:
        ttl += crc32(uid.encode()) % delay_ms * 1_000_000
    return TimeToLive(now_ns + ttl, ttl, last_usage, last_used, usage)
