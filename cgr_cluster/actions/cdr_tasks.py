"""Where the CDRs of `*cdrlog` go (spec 20 §5.4): through the CDR pipeline, stored only."""

from __future__ import annotations

from cgr_cluster.cdrs.pipeline import process_events
from cgr_cluster.cdrs.stages import Stages
from cgr_cluster.engine.domain import Operation, Steps, task
from cgr_cluster.events.event import CGREvent

_STORE_ONLY = Stages(store=True)


@task("actions.cdrlog")
def store_cdrs(op: Operation, events: list[CGREvent]) -> Steps[None]:
    """Store pre-rated CDRs, without chargers and without rating."""
    yield from process_events(op, events, _STORE_ONLY)
