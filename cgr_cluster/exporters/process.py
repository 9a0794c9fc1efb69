"""Events to exporters: which ones take an event, and how it gets there (spec 40 §7, docs/exporters.md).

Theory of operation. Exporters live in the edge process. A synchronous one is asked while the caller waits. For an
asynchronous one a task is left behind at the event's owner: it is durable with what the caller has done, and it is tried
until the exporter's attempts are used up, whatever dies meanwhile. Either way an export has an id by which the edge knows
it when it is asked again; when what came of it is durable here, the edge is told to forget the id.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import msgspec

from cgr_cluster.attributes.process import process_attributes
from cgr_cluster.engine.domain import Operation, Part, Steps, invoke, outside, sleep, step, task
from cgr_cluster.engine.owner import Owner, account_owner, registry_owner
from cgr_cluster.events.event import CGREvent
from cgr_cluster.events.values import text_of
from cgr_cluster.exporters.settings import DEFAULT_CONTEXT, Exporter, ees_settings
from cgr_cluster.exporters.types import Export, ExportEvent, Outcome, Settle, export_event
from cgr_cluster.filters.lists import passes
from cgr_cluster.filters.live import Live, with_live
from cgr_cluster.filters.view import View
from cgr_cluster.rpc.errors import ApiError, not_found, partially_executed
from cgr_cluster.rpc.owners import cgrid_of

logger = logging.getLogger("cgr_cluster.exporters")

VERBOSE = "*eesVerbose"
EXPORTER_ID = "*exporterID"
NOT_CONNECTED = ApiError("NOT_CONNECTED: EEs")
SECOND_NS = 1_000_000_000

Metrics = dict[str, Any]


class Delivery(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """An event on its way to an exporter; `id` is the same whatever dies."""

    id: str
    exporter_id: str
    event: ExportEvent


def process_event(
    op: Operation, event: CGREvent, ee_ids: Sequence[str] = (), hops: int = 0
) -> Steps[dict[str, Metrics]]:
    """`EeSv1.ProcessEvent`: exporter id → metrics, of all that take the event. `hops`: length of the chain that led here.

    Raises `NOT_FOUND` when none does, `PARTIALLY_EXECUTED` when a synchronous one has failed, errors of filters and
    attributes, `NOT_CONNECTED: EEs` when the service is off."""
    verbose = VERBOSE in event.opts
    made, later = yield from deliveries_of(op, event, ee_ids)
    answers: dict[str, Metrics] = {delivery.exporter_id: {} for delivery in (*made, *later)}
    failed = False
    outcomes: list[Outcome] = yield from deliver_all(op, made, max(hops, op.hops), verbose)
    for delivery, outcome in zip(made, outcomes, strict=True):
        if outcome.error:
            failed = True
            log_failure(delivery, outcome)
        elif verbose and outcome.metrics is not None:
            answers[delivery.exporter_id] = outcome.metrics
    yield leave.at(owner_of(op, event), later, [delivery.id for delivery in made], max(hops, op.hops))
    if failed:
        raise partially_executed()
    return answers


def deliveries_of(
    op: Operation, event: CGREvent, ee_ids: Sequence[str]
) -> Steps[tuple[list[Delivery], list[Delivery]]]:
    """The event for each exporter that takes it: those that are waited for, those that are not. Raises as `process_event`."""
    settings = ees_settings(op.generation)
    if not settings.enabled:
        raise NOT_CONNECTED
    base = op.new_uuid()  # with the exporter's id: the same when it runs again and there are others by then
    made: list[Delivery] = []
    later: list[Delivery] = []
    for exporter in settings.exporters:
        if ee_ids and exporter.id not in ee_ids:
            continue
        seen = CGREvent(event.tenant, event.id, event.time, event.event, {**event.opts, EXPORTER_ID: exporter.id})
        if exporter.filters and not (yield from _takes(op, exporter, seen)):
            continue
        if exporter.runs_attributes:
            seen = yield from _attributed(op, exporter, seen, settings.attributes_connected)
        delivery = Delivery(f"{base}/{exporter.id}", exporter.id, export_event(seen, _hidden(op, exporter, seen)))
        (made if exporter.synchronous else later).append(delivery)
    if not made and not later:
        raise not_found()
    return made, later


def log_failure(delivery: Delivery, outcome: Outcome) -> None:
    logger.warning("exporter %s, event %s: %s", delivery.exporter_id, delivery.event.id, outcome.error)


def sending_fails(op: Operation, what: str, event: CGREvent, ee_ids: Sequence[str], hops: int = 0) -> Steps[bool]:
    """Send an event of ours to exporters. Answers whether that has failed, which is logged with `what` it is of; that none
    takes it is no failure."""
    try:
        yield from process_event(op, event, ee_ids, hops)
    except ApiError as error:
        if error.text != "NOT_FOUND":
            logger.warning("export of %s: %s", what, error.text)
            return True
    return False


def owner_of(op: Operation, event: CGREvent) -> Owner:
    """Whose shard keeps the deliveries of an event: its account, else its CGRID."""
    account = text_of(event.event.get("Account"))
    if account:
        return account_owner(op.tenant(event.tenant), account)
    fields = event.event
    return registry_owner(text_of(fields.get("CGRID")) or cgrid_of(fields.get("OriginID"), fields.get("OriginHost")))


def _takes(op: Operation, exporter: Exporter, event: CGREvent) -> Steps[bool]:
    """Whether the event passes the exporter's filters. Raises their errors."""

    def compute(live: Live) -> bool:
        view = View(op.generation, op.now_ns, event.tenant, event.event, event.opts, tenant_path=True, live=live)
        return passes(view, exporter.filters)

    return (yield from with_live(compute))


def _attributed(op: Operation, exporter: Exporter, event: CGREvent, connected: bool) -> Steps[CGREvent]:
    """The event after AttributeS; nothing that matches leaves it as it is."""
    if not connected:
        raise ApiError("NOT_CONNECTED: AttributeS")
    context = exporter.attribute_context or text_of(event.opts.get("*context")) or DEFAULT_CONTEXT
    opts = {**event.opts, "*subsys": DEFAULT_CONTEXT, "*context": context}
    if exporter.attribute_ids:
        opts["*attrProfileIDs"] = list(exporter.attribute_ids)
    asked = CGREvent(event.tenant, event.id, event.time, event.event, opts)
    processed = yield from with_live(lambda live: process_attributes(op.generation, op.now_ns, asked, context, live))
    if processed is None or not processed.altered:
        return event
    altered: CGREvent = processed.event
    return altered


def _hidden(op: Operation, exporter: Exporter, event: CGREvent) -> tuple[str, ...]:
    """Those of the exporter's masked destinations that the event's is in."""
    if not exporter.masks:
        return ()
    number = text_of(event.event.get("Destination"))
    owners = {name for end in range(len(number), 0, -1) for name in op.generation.destinations_of(number[:end])}
    return tuple(name for name in exporter.masks if name in owners)


# --- on the way ---------------------------------------------------------------------------------------------------


@step("ees.leave")
def leave(part: Part, deliveries: list[Delivery], made: list[str], hops: int) -> None:
    """Deliveries to be made later, and those that have been made, which the edge may forget when this is durable."""
    for delivery in deliveries:
        part.spawn("ees.deliver", delivery, hops)
    if made:
        part.spawn("ees.forget", made)


@task("ees.deliver")
def deliver(op: Operation, delivery: Delivery, hops: int) -> Steps[None]:
    """An asynchronous export. What fails for good is logged; the edge has counted it and keeps it as a failed post."""
    (outcome,) = yield from deliver_all(op, [delivery], hops)
    if outcome.error:
        log_failure(delivery, outcome)
    yield outside("ees.forget", [delivery.id])


@task("ees.forget")
def forget(op: Operation, deliveries: list[str]) -> Steps[None]:
    yield outside("ees.forget", deliveries)


def deliver_all(
    op: Operation, deliveries: Sequence[Delivery], hops: int, verbose: bool = False
) -> Steps[list[Outcome]]:  # fmt: skip
    """What came of each, after up to its exporter's number of attempts, 1, 1, 2, 3, 5 ... seconds apart."""
    settings = ees_settings(op.generation)
    outcomes = [Outcome()] * len(deliveries)
    open_places = list(range(len(deliveries)))
    pause, following = 1, 1
    number = 1
    while open_places:
        exports, places = [], []
        for place in open_places:
            delivery = deliveries[place]
            exporter = settings.of_id(delivery.exporter_id)
            if exporter is None:
                outcomes[place] = Outcome(f"exporter {delivery.exporter_id} is not configured any more")
                continue
            last = number >= exporter.attempts
            generation = op.generation.number
            exports.append(Export(delivery.id, generation, exporter.definition, delivery.event, last, verbose))
            places.append(place)
        found: list[Outcome] = yield from _attempt(exports, hops)
        for place, outcome in zip(places, found, strict=True):
            outcomes[place] = outcome
        open_places = [place for place in places if outcomes[place].error and outcomes[place].again]
        if open_places:
            yield sleep(pause * SECOND_NS)
            pause, following = following, pause + following
            number += 1
    return outcomes


def _attempt(exports: list[Export], hops: int) -> Steps[list[Outcome]]:
    """One attempt of each."""
    if not exports:
        return []
    found: list[Outcome] = yield outside("ees.export", exports, returns=list[Outcome])
    outcomes = list(found)
    for place, outcome in enumerate(found):
        if outcome.call is not None:
            error = yield from _called(outcome, hops)
            outcomes[place] = yield outside("ees.settle", Settle(exports[place], error), returns=Outcome)
    return outcomes


def _called(outcome: Outcome, hops: int) -> Steps[str]:
    """Call the method of an `*rpc` exporter; its error, "" for none."""
    assert outcome.call is not None
    try:
        yield invoke(outcome.call.method, outcome.call.params, hops)
    except ApiError as error:
        return error.text or "UNKNOWN_ERROR"
    return ""
