"""Attribute profiles: how an event is rewritten (spec chapter 50, section 8.1)."""

from __future__ import annotations

import msgspec

from cgr_cluster.engine.domain import reference
from cgr_cluster.filters.types import ActivationInterval


class Attribute(msgspec.Struct, frozen=True, gc=False):
    """One rewriting. `value` holds the rules of its pieces; an empty `type` works as `*variable`."""

    path: str
    type: str = ""
    value: tuple[str, ...] = ()
    filter_ids: tuple[str, ...] = ()


@reference("attribute_profile")
class AttributeProfile(msgspec.Struct, frozen=True, gc=False):
    """The key is `TENANT:ID`."""

    tenant: str
    id: str
    contexts: tuple[str, ...] = ("*any",)
    filter_ids: tuple[str, ...] = ()
    activation_interval: ActivationInterval | None = None
    attributes: tuple[Attribute, ...] = ()
    blocker: bool = False
    weight: float = 0.0
