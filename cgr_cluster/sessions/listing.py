"""Lists of sessions (spec 30.11): one entry per run, found by filters on the run's event."""

from __future__ import annotations

from typing import Any

from cgr_cluster.engine.domain import Part, step
from cgr_cluster.engine.owner import Owner
from cgr_cluster.events.instant import ZERO, Instant
from cgr_cluster.events.times import format_instant
from cgr_cluster.filters.inline import is_inline
from cgr_cluster.filters.lists import find_filter, passes
from cgr_cluster.filters.view import View
from cgr_cluster.rating.answers import money
from cgr_cluster.rpc.errors import ApiError
from cgr_cluster.sessions.build import extra_fields
from cgr_cluster.sessions.reading import text_field, time_field
from cgr_cluster.sessions.settings import SessionSettings, session_settings
from cgr_cluster.sessions.types import Run, Session


def usable_filters(part: Part, tenant: str, filter_ids: list[str]) -> list[str]:
    """The filters that count: unknown ones and malformed inline ones are dropped (30.11)."""
    kept = []
    for filter_id in filter_ids:
        try:
            found = find_filter(part.generation, tenant, filter_id)
        except ApiError:
            continue
        if not is_inline(filter_id) or found.rules[0].values or found.rules[0].type.endswith(("exists", "empty")):
            kept.append(filter_id)
    return kept


def matches(part: Part, tenant: str, filter_ids: list[str], run: Run) -> bool:
    """Whether a run passes; a rule that fails matches nothing."""
    if not filter_ids:
        return True
    event = {**run.event, "CGRID": run.descriptor.cgrid}
    try:
        return passes(View(part.generation, part.now_ns, tenant, event, {}), filter_ids)
    except ApiError:
        return False


@step("sessions.list", reads=True)
def list_sessions(part: Part, tenant: str, filter_ids: list[str], passive: bool, limit: int) -> list[dict[str, Any]]:
    """The entries of matching runs, at most `limit` (0: all)."""
    settings = session_settings(part.generation)
    usable = usable_filters(part, tenant, filter_ids)
    out: list[dict[str, Any]] = []
    for _, session in part.all(Session):
        if session.passive != passive:
            continue
        for run in session.runs:
            if matches(part, tenant, usable, run):
                out.append(entry(session, run, settings, part.now_ns))
                if limit and len(out) >= limit:
                    return out
    return out


@step("sessions.count", reads=True)
def count_sessions(part: Part, tenant: str, filter_ids: list[str], passive: bool) -> int:
    usable = usable_filters(part, tenant, filter_ids)
    return sum(
        matches(part, tenant, usable, run)
        for _, session in part.all(Session)
        if session.passive == passive
        for run in session.runs
    )


@step("sessions.matching", reads=True)
def matching_sessions(part: Part, tenant: str, filter_ids: list[str], limit: int) -> list[Session]:
    """Active sessions of which a run matches. Nothing when filters were given and all of them are unusable: a mistyped
    filter must not end every call (30.11)."""
    usable = usable_filters(part, tenant, filter_ids)
    if filter_ids and not usable:
        return []
    out = []
    for _, session in part.all(Session):
        if not session.passive and any(matches(part, tenant, usable, run) for run in session.runs):
            out.append(session)
            if limit and len(out) >= limit:
                break
    return out


@step("sessions.all_ids", reads=True)
def all_ids(part: Part, passive: bool) -> list[tuple[str, str, str]]:
    """(CGRID, kind and key of the home) of the sessions of this worker."""
    return [(s.cgrid, s.home_kind, s.home_key) for _, s in part.all(Session) if s.passive == passive]


def home_of(found: tuple[str, str, str]) -> Owner:
    return Owner(found[1], found[2])


def entry(session: Session, run: Run, settings: SessionSettings, now_ns: int) -> dict[str, Any]:
    """One run as lists show it."""
    event = run.event
    text = {
        name: text_field(event, name)
        for name in ("ToR", "RequestType", "Category", "Account", "Subject", "Destination")
    }
    return {
        "CGRID": session.cgrid,
        "RunID": run.run_id,
        "ToR": text["ToR"],
        "OriginID": text_field(session.event_start, "OriginID"),
        "OriginHost": text_field(session.event_start, "OriginHost"),
        "Source": f"SessionS_{text_field(session.event_start, 'EventName')}",
        "RequestType": text["RequestType"],
        "Tenant": session.tenant,
        "Category": text["Category"],
        "Account": text["Account"],
        "Subject": text["Subject"],
        "Destination": text["Destination"],
        "SetupTime": format_instant(time_field(event, "SetupTime", now_ns, settings.zone)),
        "AnswerTime": format_instant(time_field(event, "AnswerTime", now_ns, settings.zone)),
        "Usage": run.total_ns,
        "ExtraFields": extra_fields(event),
        "NodeID": settings.node_id,
        "LoopIndex": run.loop_index,
        "DurationIndex": run.shown_index_ns,
        "MaxRate": 0,
        "MaxRateUnit": 0,
        "MaxCostSoFar": money(run.cost_so_far_nano),
        "DebitInterval": session.debit_interval_ns,
        "NextAutoDebit": format_instant(Instant.of(run.next_debit_ns) if run.next_debit_ns else ZERO),
    }
