"""Charging runs: the copies of an event that are charged, one per matching charger profile (spec 30.10). Pure.

What an event needs is compiled once per generation: most tenants have one or two profiles without filters, whose
attributes are `*none` or inline constants, and then a run is a copy of the event with some fields set.
"""

from __future__ import annotations

from typing import Any

import msgspec

from cgr_cluster.attributes.inline import is_inline, parse_inline
from cgr_cluster.attributes.process import process_attributes
from cgr_cluster.chargers.types import ChargerProfile
from cgr_cluster.engine.domain import GenerationView
from cgr_cluster.events.event import CGREvent
from cgr_cluster.events.values import text_of
from cgr_cluster.filters.kinds import profile_kind
from cgr_cluster.filters.live import NOTHING_LIVE, Live
from cgr_cluster.filters.selection import matching
from cgr_cluster.filters.view import View
from cgr_cluster.rpc.errors import ApiError

NO_ATTRIBUTES = ("*none",)
CHARGERS_CONTEXT = "*chargers"


class ChargingRun(msgspec.Struct, gc=False):
    """One run. `matched` None: attributes were not asked (`*none`). `event` is the run's own copy."""

    charger: ChargerProfile
    event: CGREvent
    matched: list[str] | None
    altered: list[str]


class CompiledCharger:
    """`constants` are the fields that the run sets when they are known beforehand, else None."""

    __slots__ = ("altered", "constants", "matched", "order", "profile")

    def __init__(self, profile: ChargerProfile) -> None:
        self.profile = profile
        self.order = (-profile.weight, profile.id)
        self.constants = _constants(profile)
        self.matched = None if profile.attribute_ids == NO_ATTRIBUTES else list(profile.attribute_ids[:1])
        self.altered = ["*req.RunID"]
        if self.constants is not None:
            self.altered += [f"*req.{name}" for name in self.constants if name != "RunID"]


def _constants(profile: ChargerProfile) -> dict[str, str] | None:
    """The fields that `*none` or a first inline profile of plain constants sets, RunID included; else None."""
    fields = {"RunID": profile.run_id}
    if profile.attribute_ids == NO_ATTRIBUTES:
        return fields
    if not profile.attribute_ids or not is_inline(profile.attribute_ids[0]):
        return None
    try:
        inline = parse_inline(profile.tenant, profile.attribute_ids[0])
    except ApiError:
        return None  # answered when the charger is used
    for attribute in inline.attributes:
        root, _, name = attribute.path.partition(".")
        value = "".join(attribute.value)
        if attribute.type != "*constant" or root != "*req" or not name or "." in name:
            return None
        if value == "*remove" or value.startswith("~") or value == "*attributes":
            return None
        fields[name] = value
    return fields


CHARGERS = profile_kind("charger", "*chargers", "chargers", compiled=CompiledCharger)


def matching_chargers(
    generation: GenerationView, now_ns: int, event: CGREvent, live: Live = NOTHING_LIVE
) -> list[CompiledCharger]:
    """The chargers of an event, highest weight first, equal ones by id. Raises errors of filters, and `Need`."""
    view = View(generation, now_ns, event.tenant, event.event, event.opts, live=live)
    return matching(CHARGERS, view, event.time)


def charge_runs(
    generation: GenerationView, now_ns: int, event: CGREvent, live: Live = NOTHING_LIVE
) -> list[ChargingRun]:
    """The runs of an event in charger order; empty when no charger matches. Raises errors of filters, those of
    attributes (`SERVER_ERROR: ...`), and `Need`."""
    out = []
    simple = "*attrProcessRuns" not in event.opts
    for charger in matching_chargers(generation, now_ns, event, live):
        constants = charger.constants
        fields = dict(event.event)
        if constants is not None and simple and (charger.matched is None or "*attributes" not in fields.values()):
            fields.update(constants)
            run = CGREvent(event.tenant, event.id, event.time, fields, event.opts)
            out.append(ChargingRun(charger.profile, run, charger.matched, charger.altered))
        else:
            out.append(_attributed(generation, now_ns, event, charger.profile, live))
    return out


def _attributed(
    generation: GenerationView, now_ns: int, event: CGREvent, profile: ChargerProfile, live: Live
) -> ChargingRun:
    """A run whose fields AttributeS decides; nothing matching is no error."""
    run = event.copy()
    run.event["RunID"] = profile.run_id
    context = text_of(event.opts.get("*context", "")) or CHARGERS_CONTEXT
    try:
        processed = process_attributes(generation, now_ns, run, context, profile.attribute_ids, live)
    except ApiError as error:
        if error.text != "NOT_FOUND":
            raise
        return ChargingRun(profile, run, [], ["*req.RunID"])
    altered = ["*req.RunID", *(path for path in processed.altered if path != "*req.RunID")]
    return ChargingRun(profile, processed.event, processed.matched, altered)


def run_options(charger: ChargerProfile, opts: dict[str, Any]) -> dict[str, Any]:
    """The options of a run's copy as ChargerSv1 answers them."""
    out = {**opts, "*subsys": "*chargers"}
    if charger.attribute_ids != NO_ATTRIBUTES:
        out["*attrProfileIDs"] = list(charger.attribute_ids)
    return out
