"""Events become rated, stored CDRs (spec 40 §3.3). `process_events` is what every entry point runs: the API, the records
of sessions and those of balance changes.

Each stage runs for all events before the next begins. What is held elsewhere is reached by steps: the guard and session
costs at the CGRID's registry, debits and refunds at the account, the record at its home. A failing stage ends the call;
what earlier ones did stays.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from itertools import groupby
from typing import Any

import msgspec

from cgr_cluster.attributes.process import process_attributes
from cgr_cluster.cdrs.conversion import Defaults, cdr_of_event, defaults_of, event_json, event_of_cdr
from cgr_cluster.cdrs.guard import Claim, claim_runs
from cgr_cluster.cdrs.rate_cdr import rate_cdr, refund_cdr
from cgr_cluster.cdrs.select import find
from cgr_cluster.cdrs.stages import Stages
from cgr_cluster.cdrs.tail import EXISTS, put_at, remove
from cgr_cluster.cdrs.types import CDR, DEFAULT_RUN, Identity, StoredCdr
from cgr_cluster.chargers.runs import charge_runs
from cgr_cluster.engine.domain import GenerationView, Operation, Steps
from cgr_cluster.engine.owner import Owner
from cgr_cluster.events.event import CGREvent
from cgr_cluster.events.values import text_of
from cgr_cluster.exporters.process import sending_fails
from cgr_cluster.filters.live import Live, with_live
from cgr_cluster.rpc.errors import ApiError, missing, partially_executed
from cgr_cluster.rpc.owners import cgrid_of
from cgr_cluster.stats.matching import any_queues
from cgr_cluster.stats.process import process_event as process_stat_event
from cgr_cluster.thresholds.matching import EVENT_TYPE, any_thresholds
from cgr_cluster.thresholds.process import process_event as process_threshold_event

log = logging.getLogger(__name__)

REFUND_FLAG = "*refund"
CDR_EVENT = "CDR"  # `*eventType` of what thresholds get
CONTEXT = "*cdrs"


class Processed(msgspec.Struct, gc=False):
    """One resulting run: the event as received, its flags, and its CDR unless nothing asked for one. `rated`: the event is
    to be made anew from the CDR."""

    event: CGREvent
    flags: list[str]
    cdr: CDR | None = None
    rated: bool = False

    def final(self) -> CGREvent:
        """The event as the answer shows it, and as it goes to other services (steps 6 to 10)."""
        event = self.event
        if not self.rated or self.cdr is None:
            return event
        return CGREvent(event.tenant, event.id, event.time, event_of_cdr(self.cdr), event.opts)


def process_events(op: Operation, events: list[CGREvent], stages: Stages, hops: int = 0) -> Steps[list[Processed]]:
    """Run the stages over `events` (they are not changed). `hops`: length of the chain of actions and events that led here.

    Raises ApiError: `EXISTS` for a duplicate, `PARTIALLY_EXECUTED` when chargers or the conversion refuse an event or a
    service behind the store has failed, `MANDATORY_IE_MISSING: [Cost]`.
    """
    runs = yield from _processed(op, events, stages)
    failed = False
    if stages.export and op.generation.config("cdrs").get("ees_conns"):
        failed = yield from _export_fails(op, runs, hops)
    if stages.thresholds:
        failed = (yield from _sending_fails(op, runs, "thresholds", any_thresholds, _to_thresholds, hops)) or failed
    if stages.stats:
        failed = (yield from _sending_fails(op, runs, "queues", any_queues, process_stat_event, hops)) or failed
    if failed:
        raise partially_executed()
    return runs


def _processed(op: Operation, events: list[CGREvent], stages: Stages) -> Steps[list[Processed]]:
    """The stages up to the store."""
    if stages.attributes:
        events = yield from _attributed(op, events)
    if stages.chargers:
        runs = yield from _charged(op, events)
    else:
        runs = [Processed(event.copy(), []) for event in events]
    fresh: set[tuple[str, str]] = set()
    if not stages.reprocess:
        yield from _guard(runs, stages, fresh)
    if not (stages.refund or stages.rate or stages.store or stages.rerate or stages.export):
        return runs
    yield from _convert(op, runs, stages)
    if stages.refund:
        for run in runs:
            assert run.cdr is not None
            if (yield from refund_cdr(run.cdr)):
                run.cdr.cost_details = None
                run.flags.append(REFUND_FLAG)
    if stages.rate:
        runs = yield from _rate(op, runs)
    if stages.store:
        yield from _store(runs, stages, fresh)
    return runs


def _export_fails(op: Operation, runs: list[Processed], hops: int) -> Steps[bool]:
    """Send the events to the exporters. Answers whether one has failed; that none takes them is no failure."""
    failed = False
    wanted = op.generation.config("cdrs").get("online_cdr_exports") or ()
    for run in runs:
        event = run.final()
        what = f"CDR {event.event.get('CGRID')}:{event.event.get('RunID')}"
        failed = (yield from sending_fails(op, what, event, wanted, hops)) or failed
    return failed


def _sending_fails(
    op: Operation,
    runs: list[Processed],
    whom: str,
    any_of: Callable[[GenerationView, str], bool],
    process: Callable[[Operation, CGREvent, int], Steps[list[str]]],
    hops: int,
) -> Steps[bool]:
    """Send the events to the thresholds or queues. Answers whether one has failed; nothing that matches is no failure."""
    failed = False
    for run in runs:
        if not any_of(op.generation, run.event.tenant):
            continue
        final = run.final()
        event = CGREvent(final.tenant, final.id, final.time, final.event, {**final.opts, EVENT_TYPE: CDR_EVENT})
        try:
            yield from process(op, event, hops)
        except ApiError as error:
            if error.text != "NOT_FOUND":
                cgrid, run_id = event.event.get("CGRID"), event.event.get("RunID")
                log.warning("%s of CDR %s:%s: %s", whom, cgrid, run_id, error.text)
                failed = True
    return failed


def _to_thresholds(op: Operation, event: CGREvent, hops: int) -> Steps[list[str]]:
    return process_threshold_event(op, event, hops, plain)


def plain(event: CGREvent) -> CGREvent:
    """The event with JSON values only."""
    return CGREvent(event.tenant, event.id, event.time, event_json(event.event), event.opts)


def _attributed(op: Operation, events: list[CGREvent]) -> Steps[list[CGREvent]]:
    out = []
    for event in events:
        out.append((yield from with_live(lambda live, event=event: _after_attributes(op, event, live))))  # type: ignore[misc]  # bound now
    return out


def _after_attributes(op: Operation, event: CGREvent, live: Live) -> CGREvent:
    """The event after AttributeS. When nothing is altered, the context `*cdrs` stays in its options (kept: chargers then look
    for attributes of that context)."""
    asked = CGREvent(event.tenant, event.id, event.time, event.event, {**event.opts, "*subsys": CONTEXT})
    try:
        processed = process_attributes(op.generation, op.now_ns, asked, CONTEXT, live)
    except ApiError:
        raise partially_executed() from None
    if processed is None or not processed.altered:
        if not text_of(asked.opts.get("*context")):
            asked.opts["*context"] = CONTEXT
        return asked
    return processed.event


def _charged(op: Operation, events: list[CGREvent]) -> Steps[list[Processed]]:
    """The chargers' runs of all events."""
    runs: list[Processed] = []
    for event in events:
        try:
            found = yield from with_live(lambda live, event=event: charge_runs(op.generation, op.now_ns, event, live))  # type: ignore[misc]  # bound now
        except ApiError:
            raise partially_executed() from None
        if not found:
            raise partially_executed()
        runs += [Processed(run.event, []) for run in found]
    return runs


def _guard(runs: list[Processed], stages: Stages, fresh: set[tuple[str, str]]) -> Steps[None]:
    """Refuse duplicates; collect in `fresh` the (CGRID, RunID) of which no record can exist."""
    keys: list[tuple[str, str]] = []
    for run in runs:
        event = run.event.event
        if "CGRID" not in event:
            event["CGRID"] = cgrid_of(event.get("OriginID"), event.get("OriginHost"))
        keys.append((text_of(event["CGRID"]), text_of(event.get("RunID"))))
    for cgrid, group in groupby(keys, key=lambda key: key[0]):
        run_ids = [run_id for _, run_id in group]
        claim: Claim = yield from claim_runs(cgrid, run_ids, True, not stages.rerate)
        if claim.passed < len(run_ids):
            raise ApiError(EXISTS)
        _note_fresh(fresh, cgrid, run_ids, claim)


def _note_fresh(fresh: set[tuple[str, str]], cgrid: str, run_ids: list[str], claim: Claim) -> None:
    """A run that comes twice is not fresh the second time, and so not at all."""
    for run_id, new in zip(run_ids, claim.fresh, strict=True):
        if new:
            fresh.add((cgrid, run_id or DEFAULT_RUN))
        else:
            fresh.discard((cgrid, run_id or DEFAULT_RUN))


def _convert(op: Operation, runs: list[Processed], stages: Stages) -> Steps[None]:
    """Give each run its CDR. A refund without CostDetails takes those of the stored record."""
    defaults = defaults_of(op.generation)
    for run in runs:
        event = run.event.event
        if stages.refund:
            if "CostDetails" not in event:
                stored = yield from _stored_record(event)
                event["CostDetails"] = stored.cdr.cost_details
        elif stages.rerate:
            event.pop("CostDetails", None)
        run.cdr = _cdr(op, run.event, defaults)


def _cdr(op: Operation, event: CGREvent, defaults: Defaults) -> CDR:
    try:
        cdr = cdr_of_event(event.event, event.tenant, defaults, op.now_ns)
    except ApiError:
        raise partially_executed() from None
    if cdr.request_type == "*directdebit" and "Cost" not in event.event:
        raise missing(["Cost"])
    return cdr


def _stored_record(event: dict[str, Any]) -> Steps[StoredCdr]:
    run_id = text_of(event.get("RunID"))
    cgrid = text_of(event.get("CGRID")) or cgrid_of(event.get("OriginID"), event.get("OriginHost"))
    found: list[StoredCdr] = (yield from find(cgrid, run_id)) if run_id else []
    if not found:
        raise partially_executed()
    return found[0]


def _rate(op: Operation, runs: list[Processed]) -> Steps[list[Processed]]:
    """Rate each CDR; an event whose request type is rated is made anew from its CDR."""
    out: list[Processed] = []
    for run in runs:
        assert run.cdr is not None
        if run.cdr.request_type == "*none":
            run.cdr.cost_details = None
            out.append(run)
            continue
        rated: list[CDR] = yield from rate_cdr(op, run.cdr)
        out += [Processed(run.event, run.flags, cdr, True) for cdr in rated]
    return out


def _store(runs: list[Processed], stages: Stages, fresh: set[tuple[str, str]]) -> Steps[None]:
    """Keep the records one after the other. At the first that exists already, all costs of the call are given back."""
    cdrs = [run.cdr for run in runs if run.cdr is not None]
    unknown = [cdr for cdr in cdrs if (cdr.cgrid, cdr.run_id) not in fresh]
    for cgrid, group in groupby(unknown, key=lambda cdr: cdr.cgrid):
        run_ids = [cdr.run_id for cdr in group]
        claim: Claim = yield from claim_runs(cgrid, run_ids, False, False)
        _note_fresh(fresh, cgrid, run_ids, claim)
    version = 0
    try:
        for cdr in cdrs:
            known_new = (cdr.cgrid, cdr.run_id) in fresh
            version = yield from _insert(cdr, known_new, stages.rerate, version)
    except ApiError as error:
        if error.text != EXISTS:
            raise
        for cdr in cdrs:
            yield from refund_cdr(cdr)
        raise


def _insert(cdr: CDR, known_new: bool, replacing: bool, after: int) -> Steps[int]:
    """Keep one record; answers its version. Raises `EXISTS` when there is one and it is not to be replaced."""
    replaces: list[int] = []
    created_ns = 0
    if not known_new:
        found: list[StoredCdr] = yield from find(cdr.cgrid, cdr.run_id, cdr.origin_id)
        if found and not replacing:
            raise ApiError(EXISTS)
        home = cdr.home
        elsewhere: dict[Owner, list[Identity]] = {}
        for old in found:
            after = max(after, old.version)
            created_ns = min(created_ns or old.created_ns, old.created_ns)
            if old.cdr.home == home:
                replaces.append(old.version)
            else:
                elsewhere.setdefault(old.cdr.home, []).append(Identity(*old.cdr.key, old.version))
        for owner, identities in elsewhere.items():
            yield remove.at(owner, owner.shard, identities)
    version: int = yield put_at(cdr, replaces, created_ns, after)
    return version
