"""Queries of statistic queues on a schedule: when trends and rankings are computed (spec chapter 60, sections 3 and 4).

What is scheduled is durable state of the object's owner, with one timer: an instant is run once, whichever process dies. The
query itself is a task that the timer leaves behind, since it asks the owners of queues. What was due while nothing ran is run
once, late.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import msgspec

from cgr_cluster.engine.domain import (
    GenerationView,
    Operation,
    Part,
    Steps,
    everywhere,
    step,
    stored,
    task,
    timer,
    together,
)
from cgr_cluster.engine.owner import object_owner
from cgr_cluster.events.cron import next_time, parse_cron
from cgr_cluster.events.event import CGREvent
from cgr_cluster.events.instant import ZERO, Instant
from cgr_cluster.events.times import format_instant
from cgr_cluster.exporters.process import sending_fails
from cgr_cluster.rpc.errors import ApiError, not_found, partially_executed
from cgr_cluster.stats.process import NOBODY
from cgr_cluster.thresholds.matching import EVENT_TYPE, any_thresholds
from cgr_cluster.thresholds.matching import PROFILE_IDS as THRESHOLD_IDS
from cgr_cluster.thresholds.process import process_event as process_threshold_event

logger = logging.getLogger("cgr_cluster.stats")


class QueryKind(NamedTuple):
    """`name`: also the section of the configuration. `profiles`: kind of the reference data. `task` (op, tenant, id): computes
    one. `schedule_of`: a profile's schedule, None for an unknown one."""

    name: str
    profiles: str
    task: str
    schedule_of: Callable[[GenerationView, str, str], str | None]


KINDS: dict[str, QueryKind] = {}


def query_kind(
    name: str, profiles: str, task: str, schedule_of: Callable[[GenerationView, str, str], str | None]
) -> QueryKind:
    """Declare a kind."""
    kind = KINDS[name] = QueryKind(name, profiles, task, schedule_of)
    return kind


@stored("scheduled_query")
class ScheduledQuery(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """The key is `KIND/TENANT:ID`, at the owner of the object `TENANT:ID`. Times in ns since the epoch; `previous_ns` 0: it has not
    run yet."""

    kind: str
    tenant: str
    id: str
    next_ns: int
    previous_ns: int = 0

    def draft(self) -> ScheduledQuery:
        return self

    @property
    def key(self) -> str:
        return f"{self.kind}/{self.tenant}:{self.id}"


def _put(part: Part, kind: QueryKind, tenant: str, query_id: str, previous_ns: int) -> bool:
    """Set the next run. False: there is no such profile, or its schedule is none; it is not scheduled any more then."""
    drop(part, kind.name, tenant, query_id)
    schedule = kind.schedule_of(part.generation, tenant, query_id)
    if schedule is None:
        logger.warning("%s %s:%s is not scheduled: NOT_FOUND", kind.name, tenant, query_id)
        return False
    zone = str(part.generation.config("general").get("default_timezone", ""))
    try:
        next_ns = next_time(parse_cron(schedule), part.now_ns, zone)
    except ApiError as error:
        logger.warning("%s %s:%s is not scheduled: schedule %r: %s", kind.name, tenant, query_id, schedule, error.text)
        return False
    if next_ns is None:
        logger.warning("%s %s:%s is not scheduled: schedule %r has no run", kind.name, tenant, query_id, schedule)
        return False
    query = ScheduledQuery(kind.name, tenant, query_id, next_ns, previous_ns)
    part.put(ScheduledQuery, query.key, query)
    part.set_timer(f"query/{query.key}", next_ns, "stats.query", kind.name, tenant, query_id)
    return True


def drop(part: Part, kind: str, tenant: str, query_id: str) -> None:
    """Take one off the schedule."""
    key = f"{kind}/{tenant}:{query_id}"
    if part.read(ScheduledQuery, key) is not None:
        part.delete(ScheduledQuery, key)
        part.cancel_timer(f"query/{key}")


@step("stats.schedule_query")
def schedule(part: Part, kind: str, tenant: str, query_id: str) -> bool:
    """Schedule one, anew when it is. Answers whether that was possible."""
    return _put(part, KINDS[kind], tenant, query_id, 0)


@step("stats.keep_scheduled", idempotent=True)
def keep_scheduled(part: Part, kind: str, tenant: str, query_id: str) -> None:
    """Schedule one that is not."""
    if part.read(ScheduledQuery, f"{kind}/{tenant}:{query_id}") is None:
        _put(part, KINDS[kind], tenant, query_id, 0)


@timer("stats.query")
def due(part: Part, kind: str, tenant: str, query_id: str) -> None:
    """Leave the query to a task, and set the next run by the schedule that the profile has now."""
    query = part.read(ScheduledQuery, f"{kind}/{tenant}:{query_id}")
    if query is not None and _put(part, KINDS[kind], tenant, query_id, part.now_ns):
        part.spawn(KINDS[kind].task, tenant, query_id)


@step("stats.scheduled_queries", reads=True)
def scheduled(part: Part, kind: str, tenant: str, prefixes: list[str]) -> list[ScheduledQuery]:
    """Those of a tenant whose ids begin with one of the prefixes; without prefixes all."""
    wanted = tuple(prefixes) or ("",)
    return [
        query
        for _, query in part.all(ScheduledQuery)
        if query.kind == kind
        and query.tenant == tenant
        and query.id.startswith(wanted)
        and KINDS[kind].schedule_of(part.generation, tenant, query.id) is not None
    ]


# --- the start of the node -----------------------------------------------------------------------------------------

BATCH = 256  # steps under way at once


@step("stats.node_started")
def node_started(part: Part) -> None:
    """At the leader: the services start, and schedule what their `scheduled_ids` name."""
    part.spawn("stats.schedule_at_start")


@task("stats.schedule_at_start")
def schedule_at_start(op: Operation) -> Steps[None]:
    for kind in KINDS.values():
        wanted = at_start(op.generation, kind)
        for first in range(0, len(wanted), BATCH):
            batch = wanted[first : first + BATCH]
            yield together([keep_scheduled.at(object_owner(*one), kind.name, *one) for one in batch])


def at_start(generation: GenerationView, kind: QueryKind) -> list[tuple[str, str]]:
    """(tenant, id) of what is scheduled when the node starts: `scheduled_ids` maps tenants to ids; {} is all profiles, and a
    tenant's empty list all of the tenant."""
    profiles = [
        (tenant, name) for tenant, _, name in (key.partition(":") for key in sorted(generation.keys(kind.profiles)))
    ]
    named: dict[str, list[str] | None] = generation.config(kind.name).get("scheduled_ids") or {}
    if not named:
        return profiles
    out: list[tuple[str, str]] = []
    for tenant, ids in named.items():
        out += [(tenant, name) for name in dict.fromkeys(ids)] if ids else [one for one in profiles if one[0] == tenant]
    return out


# --- methods -------------------------------------------------------------------------------------------------------


def schedule_all(op: Operation, kind: QueryKind, tenant: str, ids: Sequence[str]) -> Steps[int]:
    """`ScheduleQueries`: how many were scheduled. Raises `PARTIALLY_EXECUTED` when one could not be; the others are."""
    wanted = list(dict.fromkeys(ids))
    outcomes = yield together([schedule.at(object_owner(tenant, one), kind.name, tenant, one) for one in wanted])
    if any(isinstance(outcome, ApiError) or not outcome for outcome in outcomes):
        raise partially_executed()
    return len(wanted)


def schedule_json(kind: QueryKind, name: str, tenant: str, prefixes: list[str] | None) -> Steps[list[dict[str, str]]]:
    """The tenant's schedule by next run; `name` is the member for the id. Raises `NOT_FOUND` for an empty one."""
    found: list[list[ScheduledQuery]] = yield everywhere(scheduled, kind.name, tenant, prefixes or [])
    queries = sorted((query for some in found for query in some), key=lambda query: (query.next_ns, query.id))
    if not queries:
        raise not_found()
    return [
        {
            name: query.id,
            "Next": format_instant(Instant.of(query.next_ns)),
            "Previous": format_instant(Instant.of(query.previous_ns) if query.previous_ns else ZERO),
        }
        for query in queries
    ]


# --- what a run tells ----------------------------------------------------------------------------------------------


def connected(op: Operation, kind: QueryKind, query_id: str) -> bool:
    """Whether queues can be asked (`stats_conns`)."""
    if op.generation.config(kind.name).get("stats_conns"):
        return True
    logger.warning("%s %s: NOT_CONNECTED: StatS", kind.name, query_id)
    return False


def inform(
    op: Operation, kind: QueryKind, tenant: str, event_type: str, fields: dict[str, Any], threshold_ids: Sequence[str]
) -> Steps[None]:
    """Tell the exporters and thresholds of a run. What fails is only logged: nobody waits for it."""
    config = op.generation.config(kind.name)
    if config.get("ees_conns"):
        event = CGREvent(tenant, op.new_uuid(), None, fields, {EVENT_TYPE: event_type})
        yield from sending_fails(op, f"{event_type} of tenant {tenant}", event, config.get("ees_exporter_ids") or ())
    if (
        not config.get("thresholds_conns")
        or tuple(threshold_ids) == NOBODY
        or not any_thresholds(op.generation, tenant)
    ):
        return
    opts = {EVENT_TYPE: event_type, THRESHOLD_IDS: list(threshold_ids)}
    try:
        yield from process_threshold_event(op, CGREvent(tenant, op.new_uuid(), None, fields, opts))
    except ApiError as error:
        if error.text != "NOT_FOUND" or threshold_ids:
            logger.warning("thresholds of %s of tenant %s: %s", event_type, tenant, error.text)
