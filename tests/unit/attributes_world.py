"""A generation with attribute profiles, and AttributeS run on events of it."""

from __future__ import annotations

from typing import Any

from cgr_cluster.attributes.process import Processed, process_attributes
from cgr_cluster.attributes.types import Attribute, AttributeProfile
from cgr_cluster.engine.codec import pack
from cgr_cluster.engine.generation import Generation
from cgr_cluster.events.event import CGREvent
from cgr_cluster.events.instant import Instant
from cgr_cluster.events.times import parse_rfc3339
from cgr_cluster.rpc.errors import ApiError

TENANT = "cgrates.org"
NOW = parse_rfc3339("2026-03-02T10:00:00Z").ns


def constant(path: str, text: str, *filter_ids: str) -> Attribute:
    return Attribute(path, "*constant", (text,), filter_ids)


def profile(profile_id: str, *attributes: Attribute, **fields: Any) -> AttributeProfile:
    """A profile of the tenant `cgrates.org`, unless `tenant` says another; by default of any context, without filters."""
    return AttributeProfile(fields.pop("tenant", TENANT), profile_id, attributes=attributes, **fields)


def world(*profiles: AttributeProfile, config: dict[str, dict[str, Any]] | None = None, **more: Any) -> Generation:
    """`config`: sections that differ from the defaults; `more`: other reference data by kind and key."""
    changes: list[Any] = [("attribute_profile", f"{p.tenant}:{p.id}", pack(p)) for p in profiles]
    changes += [(kind, key, pack(value)) for kind, table in more.items() for key, value in table.items()]
    return Generation(config or {}).apply(changes, 1)


def processed(
    reference: Generation,
    fields: dict[str, Any],
    opts: dict[str, Any] | None = None,
    *,
    tenant: str = TENANT,
    time: str = "",
    context: str = "",
) -> Processed | None:
    event = CGREvent(tenant, "ev", parse_rfc3339(time) if time else None, fields, opts or {})
    before = (dict(event.event), dict(event.opts))
    found = process_attributes(reference, NOW, event, context)
    assert (event.event, event.opts, event.tenant) == (*before, tenant), "the caller's event is untouched"
    return found


def altered(reference: Generation, fields: dict[str, Any], opts: dict[str, Any] | None = None, **more: Any) -> Any:
    """The altered event's fields; `NOT_FOUND` when nothing matches; the text of an error."""
    try:
        found = processed(reference, fields, opts, **more)
    except ApiError as error:
        return error.text
    return "NOT_FOUND" if found is None else found.event.event


def computed(attribute: Attribute, **fields: Any) -> Any:
    """What one attribute with the path `*req.R` makes of an event; the text of an error."""
    found = altered(world(profile("A", attribute)), fields)
    return found["R"] if isinstance(found, dict) else found


def at(text: str) -> Instant:
    return parse_rfc3339(text)
