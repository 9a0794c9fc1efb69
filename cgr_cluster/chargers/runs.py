"""Charging runs: the copies of an event that are charged, one per matching charger profile (spec 30.10). Pure.

What an event needs is compiled once per generation: most tenants have one or two profiles without filters, whose
attributes are `*none` or inline constants, and then a run is a copy of the event with some fields set.
"""

from __future__ import annotations

from typing import Any

import msgspec

from cgr_cluster.attributes.inline import is_inline
from cgr_cluster.attributes.process import (
    IGNORE_FILTERS,
    PROCESS_RUNS,
    PROFILE_IDS,
    PROFILE_RUNS,
    REMOVE,
    TO_FILL,
    process_attributes,
)
from cgr_cluster.attributes.selection import inline_profile
from cgr_cluster.attributes.settings import attribute_settings
from cgr_cluster.chargers.types import ChargerProfile
from cgr_cluster.engine.domain import GenerationView
from cgr_cluster.events.event import CGREvent
from cgr_cluster.filters.kinds import profile_kind
from cgr_cluster.filters.live import NOTHING_LIVE, Live
from cgr_cluster.filters.selection import matching
from cgr_cluster.filters.view import View
from cgr_cluster.rpc.errors import ApiError

NO_ATTRIBUTES = ("*none",)
CHARGERS_CONTEXT = "*chargers"
_ATTRIBUTE_OPTIONS = frozenset((PROCESS_RUNS, PROFILE_RUNS, IGNORE_FILTERS))


class ChargingRun(msgspec.Struct, gc=False):
    """One run. `matched` None: attributes were not asked (`*none`). `event` is the run's own copy."""

    charger: ChargerProfile
    event: CGREvent
    matched: list[str] | None
    altered: list[str]


class CompiledCharger:
    """`constants` are the fields that the run sets when they are known beforehand, else None; `options` are added to those
    of the event."""

    __slots__ = ("altered", "constants", "matched", "options", "order", "profile")

    def __init__(self, profile: ChargerProfile) -> None:
        self.profile = profile
        self.order = (-profile.weight, profile.id)
        self.constants = _constants(profile)
        self.options: dict[str, Any] = {"*subsys": "*chargers"}
        if profile.attribute_ids != NO_ATTRIBUTES:
            self.options[PROFILE_IDS] = list(profile.attribute_ids)
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
        inline = inline_profile(profile.attribute_ids[0])
    except ApiError:
        return None  # answered when the charger is used
    for attribute in inline.attributes:
        root, _, name = attribute.path.partition(".")
        if attribute.constant is None or root != "*req" or not name or "." in name:
            return None
        if attribute.constant in (REMOVE, TO_FILL):
            return None
        fields[name] = attribute.constant
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
    opts = event.opts
    simple = attribute_settings(generation).process_runs == 1 and _ATTRIBUTE_OPTIONS.isdisjoint(opts)
    for charger in matching_chargers(generation, now_ns, event, live):
        constants = charger.constants
        fields = dict(event.event)
        if constants is not None and (charger.matched is None or (simple and TO_FILL not in fields.values())):
            fields.update(constants)
            run = CGREvent(event.tenant, event.id, event.time, fields, {**opts, **charger.options})
            out.append(ChargingRun(charger.profile, run, charger.matched, charger.altered))
        else:
            out.append(_attributed(generation, now_ns, event, charger, live))
    return out


def _attributed(
    generation: GenerationView, now_ns: int, event: CGREvent, charger: CompiledCharger, live: Live
) -> ChargingRun:
    """A run whose fields AttributeS decides; nothing matching is no error."""
    profile = charger.profile
    if not generation.config("chargers").get("attributes_conns", True):
        raise ApiError("NOT_CONNECTED: AttributeS")
    run = event.copy()
    run.event["RunID"] = profile.run_id
    run.opts.update(charger.options)
    processed = process_attributes(generation, now_ns, run, CHARGERS_CONTEXT, live)
    if processed is None:
        return ChargingRun(profile, run, [], ["*req.RunID"])
    altered = ["*req.RunID", *(path for path in processed.altered if path != "*req.RunID")]
    return ChargingRun(profile, processed.event, processed.matched, altered)
