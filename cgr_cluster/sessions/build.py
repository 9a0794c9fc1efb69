"""A new session from an event and its charging runs (spec 30.4.1). Pure."""

from __future__ import annotations

from typing import Any

from cgr_cluster.chargers.runs import ChargingRun
from cgr_cluster.engine.owner import Owner, account_owner, registry_owner
from cgr_cluster.events.event import CGREvent
from cgr_cluster.events.instant import Instant
from cgr_cluster.events.values import text_of
from cgr_cluster.rating.types import CallDescriptor
from cgr_cluster.sessions.reading import MAIN_FIELDS, optional_duration, text_field, time_field
from cgr_cluster.sessions.settings import SessionSettings
from cgr_cluster.sessions.types import DYNAPREPAID, ON_ACCOUNT, PSEUDOPREPAID, Run, Session


def build_session(
    event: CGREvent,
    cgrid: str,
    runs: list[ChargingRun],
    settings: SessionSettings,
    now_ns: int,
    *,
    connection: str = "",
    debit_interval_ns: int = 0,
    force_duration: bool = False,
    chargeable: bool = True,
) -> Session:
    """The session of `event`, whose CGRID is in it already. `runs` are the charger's copies of that event."""
    start = dict(event.event)
    if "Usage" not in start and optional_duration(start, "LastUsed") is not None:
        start["Usage"] = start["LastUsed"]
    usage = optional_duration(start, "Usage")
    setup = time_field(start, "SetupTime", now_ns, settings.zone)
    made = [_run(run, cgrid, usage, setup, settings, now_ns, force_duration) for run in runs]
    home = _home(event.tenant, start, cgrid, made)
    return Session(
        cgrid,
        event.tenant,
        start,
        event.opts,
        made,
        home_kind=home.kind,
        home_key=home.key,
        local=is_local(made, home),
        connection=connection,
        debit_interval_ns=debit_interval_ns,
        chargeable=chargeable,
        force_duration=force_duration,
        resource_id=text_field(start, "OriginID"),
        updated_ns=now_ns,
    )


def _run(
    charging: ChargingRun,
    cgrid: str,
    usage_ns: int | None,
    setup: Instant,
    settings: SessionSettings,
    now_ns: int,
    force_duration: bool,
) -> Run:
    event = charging.event.event
    request_type = text_field(event, "RequestType")
    start = time_field(event, "AnswerTime", now_ns, settings.zone) or setup
    if usage_ns is None:
        usage_ns = settings.usage_of_tor(text_field(event, "ToR")) if request_type == PSEUDOPREPAID else 0
    descriptor = describe(charging.event.tenant, event, cgrid, settings, start, usage_ns)
    descriptor.force_duration = force_duration
    return Run(event, request_type, descriptor, descriptor.time_end.ns)


def describe(
    tenant: str, event: dict[str, Any], cgrid: str, settings: SessionSettings, start: Instant, usage_ns: int
) -> CallDescriptor:
    """What an event asks of rating: `usage_ns` from `start` on."""
    account = text_field(event, "Account")
    return CallDescriptor(
        tenant=tenant,
        category=text_field(event, "Category") or settings.default_category,
        subject=text_field(event, "Subject") or account,
        account=account,
        destination=text_field(event, "Destination"),
        tor=text_field(event, "ToR"),
        time_start=start,
        time_end=start.plus(usage_ns),
        duration_index_ns=usage_ns,
        extra_fields=extra_fields(event),
        cgrid=cgrid,
        run_id=text_field(event, "RunID"),
    )


def extra_fields(event: dict[str, Any]) -> dict[str, str]:
    """All fields but the main ones, as text."""
    return {
        name: value if type(value) is str else text_of(value)
        for name, value in event.items()
        if name not in MAIN_FIELDS
    }


def _home(tenant: str, event: dict[str, Any], cgrid: str, runs: list[Run]) -> Owner:
    for run in runs:
        if run.request_type in ON_ACCOUNT:
            return account_owner(run.descriptor.tenant, run.descriptor.account)
    account = text_field(event, "Account")
    return account_owner(tenant, account) if account else registry_owner(cgrid)


def is_local(runs: list[Run], home: Owner) -> bool:
    """Whether all accounts that the runs charge live with the session. `*dynaprepaid` may have to run action plans."""
    return all(
        run.request_type not in ON_ACCOUNT
        or (run.request_type != DYNAPREPAID and account_owner(run.descriptor.tenant, run.descriptor.account) == home)
        for run in runs
    )
