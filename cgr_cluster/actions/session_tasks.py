"""`*alter_sessions` and `*force_disconnect_sessions` (spec 20 §5.3): the sessions' own methods, run as tasks."""

from __future__ import annotations

from cgr_cluster.engine.domain import Operation, Steps, task
from cgr_cluster.sessions.api_lists import alter_sessions, force_disconnect
from cgr_cluster.sessions.params import SessionFilterWithEvent


@task("actions.sessions")
def sessions(
    op: Operation,
    disconnect: bool,
    tenant: str,
    filters: list[str],
    limit: int,
    opts: dict[str, str],
    event: dict[str, str],
) -> Steps[None]:
    """Disconnect the matching sessions, or have their clients alter them. That there is none is logged by the engine."""
    params = SessionFilterWithEvent(
        Tenant=tenant, Filters=filters, Limit=limit or None, APIOpts=dict(opts), Event=dict(event)
    )
    yield from (force_disconnect if disconnect else alter_sessions)(op, params)
