"""Charger profiles: for whom, how often an event is charged (spec 30.10)."""

from __future__ import annotations

import msgspec

from cgr_cluster.engine.domain import reference
from cgr_cluster.filters.types import ActivationInterval


@reference("charger")
class ChargerProfile(msgspec.Struct, frozen=True, gc=False):
    """The key is `TENANT:ID`. `attribute_ids`: `*none`, names of attribute profiles, or inline attributes, one text
    with `;` between the rules of one inline profile."""

    tenant: str
    id: str
    filter_ids: tuple[str, ...] = ()
    activation_interval: ActivationInterval | None = None
    run_id: str = ""
    attribute_ids: tuple[str, ...] = ()
    weight: float = 0.0
