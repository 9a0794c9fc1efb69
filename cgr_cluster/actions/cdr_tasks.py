"""Where the CDRs of `*cdrlog` go (spec 20 §5.4): through the CDR pipeline, without chargers."""

from __future__ import annotations

from cgr_cluster.cdrs.pipeline import process_events
from cgr_cluster.cdrs.stages import configured, stages_of
from cgr_cluster.engine.domain import Operation, Steps, task
from cgr_cluster.events.event import CGREvent


@task("actions.cdrlog", awaited=True)
def log_cdrs(op: Operation, events: list[CGREvent], hops: int) -> Steps[None]:
    """The stages that are configured, but for chargers. The records are of request type `*none`, which is not rated.
    `hops`: of the actions that they tell of."""
    yield from process_events(op, events, stages_of(configured(op.generation), ["*chargers:false"], None), hops)
