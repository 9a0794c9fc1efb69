"""Authorizing, allocating and releasing (spec chapter 60, sections 2.2 to 2.4).

Theory of operation. What matches is found where the event is. The owner of the tenant's resources then checks and records
in one step, so that two requests never share the last free unit. Each resource tells the thresholds of its new total as an
event of this operation, and what that causes has happened before the sender is answered.
"""

from __future__ import annotations

import logging
from typing import Any

from cgr_cluster.engine.domain import Operation, Steps
from cgr_cluster.engine.owner import tenant_owner
from cgr_cluster.events.event import CGREvent
from cgr_cluster.filters.live import with_live
from cgr_cluster.resources import steps
from cgr_cluster.resources.answers import units_of
from cgr_cluster.resources.matching import any_resources, resource_settings, resources_of, units_nano_of, usage_of
from cgr_cluster.resources.steps import Held
from cgr_cluster.resources.types import ResourceProfile
from cgr_cluster.rpc.errors import ApiError, not_found, partially_executed
from cgr_cluster.thresholds.matching import EVENT_TYPE
from cgr_cluster.thresholds.matching import PROFILE_IDS as THRESHOLD_IDS
from cgr_cluster.thresholds.process import process_event as process_threshold_event

logger = logging.getLogger("cgr_cluster.resources")

RESOURCE_UPDATE = "ResourceUpdate"
NOBODY = ("*none",)


def _found(op: Operation, event: CGREvent) -> Steps[list[ResourceProfile]]:
    """Raises `NOT_FOUND`, and errors of filters."""
    if not any_resources(op.generation, event.tenant):
        raise not_found()
    found: list[ResourceProfile] = yield from with_live(
        lambda live: resources_of(op.generation, op.now_ns, event, live)
    )
    if not found:
        raise not_found()
    return found


def _ids(found: list[ResourceProfile]) -> list[str]:
    return [profile.id for profile in found]


def resources_for(op: Operation, event: CGREvent) -> Steps[list[dict[str, Any]]]:
    """`ResourceSv1.GetResourcesForEvent`: in order. Raises as `authorize`, units apart."""
    usage_of(op.generation, event)
    found = yield from _found(op, event)
    shown: list[dict[str, Any]] = yield steps.shown.at(tenant_owner(event.tenant), event.tenant, _ids(found))
    return shown


def authorize(op: Operation, event: CGREvent) -> Steps[str]:
    """`ResourceSv1.AuthorizeResources`: the message of the resource that has room; nothing is held. Raises
    `MANDATORY_IE_MISSING: ...`, errors of options and filters, `NOT_FOUND`, `RESOURCE_UNAUTHORIZED`."""
    usage_of(op.generation, event)
    found = yield from _found(op, event)
    units_nano = units_nano_of(op.generation, event)
    owner = tenant_owner(event.tenant)
    message, stale = yield steps.authorize.at(owner, event.tenant, _ids(found), units_nano)
    if stale:
        yield steps.expire.at(owner, event.tenant, _ids(found))
    if not message:
        raise ApiError("RESOURCE_UNAUTHORIZED")
    return str(message)


def allocate(op: Operation, event: CGREvent) -> Steps[str]:
    """`ResourceSv1.AllocateResources`: the message of the resource that has room. Raises as `authorize`,
    `RESOURCE_UNAVAILABLE`, and `PARTIALLY_EXECUTED` when the units are held and thresholds have failed."""
    usage_id, ttl_ns = usage_of(op.generation, event)
    found = yield from _found(op, event)
    units_nano = units_nano_of(op.generation, event)
    held: Held = yield steps.allocate.at(
        tenant_owner(event.tenant), event.tenant, _ids(found), usage_id, units_nano, ttl_ns
    )
    if not held.message:
        raise ApiError("RESOURCE_UNAVAILABLE")
    yield from _inform(op, event, found, held)
    return held.message


def release(op: Operation, event: CGREvent) -> Steps[str]:
    """`ResourceSv1.ReleaseResources`. Raises as `allocate`, and `cannot find usage record with id: U`."""
    usage_id, ttl_ns = usage_of(op.generation, event)
    found = yield from _found(op, event)
    held: Held = yield steps.release.at(tenant_owner(event.tenant), event.tenant, _ids(found), usage_id, ttl_ns)
    if held.missing:
        raise ApiError(f"cannot find usage record with id: {usage_id}")
    yield from _inform(op, event, found, held)
    return "OK"


def _inform(op: Operation, event: CGREvent, found: list[ResourceProfile], held: Held) -> Steps[None]:
    """Tell the thresholds of the new totals. Raises `PARTIALLY_EXECUTED` when that fails: also when a resource names thresholds
    and none of them matches (60 §2.4)."""
    if not resource_settings(op.generation).thresholds_connected:
        return
    failed = False
    for profile in found:
        if profile.threshold_ids == NOBODY or profile.id not in held.totals:
            continue
        total = units_of(held.totals[profile.id])
        fields = {"EventType": RESOURCE_UPDATE, "ResourceID": profile.id, "Usage": total}
        opts = {**event.opts, EVENT_TYPE: RESOURCE_UPDATE, THRESHOLD_IDS: list(profile.threshold_ids)}
        try:
            yield from process_threshold_event(op, CGREvent(event.tenant, op.new_uuid(), None, fields, opts))
        except ApiError as error:
            if error.text != "NOT_FOUND" or profile.threshold_ids:
                logger.warning("thresholds of resource %s:%s: %s", profile.tenant, profile.id, error.text)
                failed = True
    if failed:
        raise partially_executed()
