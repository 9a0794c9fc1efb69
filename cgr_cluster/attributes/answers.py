"""Attribute profiles and altered events as the API answers them (spec chapter 50, sections 8.1 and 8.2)."""

from __future__ import annotations

from typing import Any

from cgr_cluster.attributes.process import Processed
from cgr_cluster.attributes.types import AttributeProfile
from cgr_cluster.events.event import CGREvent
from cgr_cluster.events.times import format_instant
from cgr_cluster.rating.answers import number


def processed_json(processed: Processed, event: CGREvent) -> dict[str, Any]:
    """The reply of AttributeS. `event`: the altered event, or what has become of it since."""
    return {
        "MatchedProfiles": list(processed.matched),
        "AlteredFields": list(processed.altered),
        "Tenant": event.tenant,
        "ID": event.id,
        "Time": None if event.time is None else format_instant(event.time),
        "Event": event.event,
        "APIOpts": event.opts,
    }


def profile_json(profile: AttributeProfile) -> dict[str, Any]:
    interval = profile.activation_interval
    return {
        "Tenant": profile.tenant,
        "ID": profile.id,
        "Contexts": list(profile.contexts),
        "FilterIDs": list(profile.filter_ids),
        "ActivationInterval": None
        if interval is None
        else {
            "ActivationTime": format_instant(interval.activation_time),
            "ExpiryTime": format_instant(interval.expiry_time),
        },
        "Attributes": [
            {
                "FilterIDs": list(attribute.filter_ids),
                "Path": attribute.path,
                "Type": attribute.type,
                "Value": [{"Rules": rule} for rule in attribute.value],
            }
            for attribute in profile.attributes
        ],
        "Blocker": profile.blocker,
        "Weight": number(profile.weight),
    }
