"""Many events at once (`APIerSv1.ExportCDRs`): the caller waits for all, so nothing of them needs to be kept meanwhile.

Asynchronous exporters are waited for too, though nobody hears of their failures. Should the worker die, the request is executed
again under the same uid: the ids of its deliveries follow from the events, so what the edge has done is not done again.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from cgr_cluster.engine.domain import Operation, Steps
from cgr_cluster.engine.owner import LEADER
from cgr_cluster.events.event import CGREvent
from cgr_cluster.exporters.payload import key_of
from cgr_cluster.exporters.process import (
    VERBOSE,
    Delivery,
    Metrics,
    deliver_all,
    deliveries_of,
    leave,
    log_failure,
)
from cgr_cluster.exporters.types import ALL
from cgr_cluster.rpc.errors import ApiError

logger = logging.getLogger("cgr_cluster.exporters")

AT_ONCE = 200  # events that are with the edge at a time


def process_events(
    op: Operation, events: Sequence[CGREvent], ee_ids: Sequence[str]
) -> Steps[tuple[dict[str, Metrics], bool]]:
    """The metrics after the last event, and whether all went well: an event that no exporter takes has not."""
    whole = True
    answer: dict[str, Metrics] = {}
    ends = [*range(AT_ONCE, len(events) - 1, AT_ONCE), len(events) - 1, len(events)]  # the last event comes alone
    begin = 0
    for end in ends:
        waited, others = [], []
        for event in events[begin:end]:
            try:
                synchronous, later = yield from deliveries_of(op, event, ee_ids)
            except ApiError as error:
                logger.warning("export of %s: %s", key_of(event), error.text)
                whole = False
                continue
            waited += _named(op, event, synchronous)
            others += _named(op, event, later)
        verbose = end == len(events) and VERBOSE in events[-1].opts
        outcomes = yield from deliver_all(op, [*waited, *others], op.hops, verbose)
        answer = {delivery.exporter_id: {} for delivery in (*waited, *others)}
        for place, (delivery, outcome) in enumerate(zip((*waited, *others), outcomes, strict=True)):
            if outcome.error:
                log_failure(delivery, outcome)
                whole = whole and place >= len(waited)
            elif place < len(waited) and outcome.metrics is not None:
                answer[delivery.exporter_id] = outcome.metrics
        begin = end
    yield leave.at(LEADER, [], [f"{op.uid}/{ALL}"], op.hops)
    return answer, whole


def _named(op: Operation, event: CGREvent, deliveries: Sequence[Delivery]) -> list[Delivery]:
    """With ids that are the same when the request is executed again, whichever records there are then."""
    key = f"{op.uid}/{key_of(event)}/{event.event.get('OriginID')}"
    return [Delivery(f"{key}/{one.exporter_id}", one.exporter_id, one.event) for one in deliveries]
