"""Resource profiles and what a resource holds (spec chapter 60, sections 2.1 and 2.2).

A resource lives at the owner of its tenant as small objects, so that an allocation costs the same however many usages there
are: the resource itself with its total, and one object per usage. Usages are chained in the order in which they came: those
that end by themselves, whose first is the next to go, and the others.
"""

from __future__ import annotations

import msgspec
from msgspec.structs import replace

from cgr_cluster.engine.domain import reference, stored
from cgr_cluster.events.amounts import NANO
from cgr_cluster.filters.kinds import profile_kind
from cgr_cluster.filters.types import ActivationInterval
from cgr_cluster.resources.chain import Chain

UNLIMITED = -1  # limit
_EXACT_DOUBLES = 1 << 53


@reference("resource_profile")
class ResourceProfile(msgspec.Struct, frozen=True, gc=False):
    """The key is `TENANT:ID`. `usage_ttl_ns` below 0: usages do not end by themselves; 0: they are not recorded. `limit` is in
    units. `state_id` names the usages that belong to it: it is another one when the profile is stored for the first time, and
    when a change empties the resource (60 §2.4)."""

    tenant: str
    id: str
    filter_ids: tuple[str, ...] = ()
    activation_interval: ActivationInterval | None = None
    usage_ttl_ns: int = 0
    limit: float = 0.0
    allocation_message: str = ""
    blocker: bool = False
    stored: bool = False
    weight: float = 0.0
    threshold_ids: tuple[str, ...] = ()
    state_id: str = ""

    @property
    def message(self) -> str:
        """What an allocation is answered."""
        return self.allocation_message or self.id

    def has_room(self, total_nano: int) -> bool:
        """Whether the limit allows for so many units in use together."""
        if self.limit == UNLIMITED:
            return True
        limit = self.limit * NANO
        return total_nano <= (round(limit) if abs(limit) < _EXACT_DOUBLES else limit)


@stored("resource")
class Resource(msgspec.Struct, array_like=True, gc=False):
    """The usages of `TENANT:ID`, at the owner of the tenant and under that key. `used_nano`: their units together, in 10^-9.
    `had_ending`: whether one that ends by itself has ever been there. A state whose `state_id` is not the profile's is one of
    an earlier profile, and counts as none."""

    state_id: str
    used_nano: int = 0
    had_ending: bool = False
    ending: Chain = msgspec.field(default_factory=Chain)
    lasting: Chain = msgspec.field(default_factory=Chain)

    def draft(self) -> Resource:
        return Resource(self.state_id, self.used_nano, self.had_ending, self.ending.draft(), self.lasting.draft())


@stored("resource_usage")
class Usage(msgspec.Struct, array_like=True, gc=False):
    """Units held under a usage id; the key is `STATE_ID:USAGE_ID`. `expiry_ns` 0: it does not end by itself. `before` and
    `after` are its neighbours in the chain, empty at the ends."""

    id: str
    units_nano: int
    expiry_ns: int = 0
    before: str = ""
    after: str = ""

    def draft(self) -> Usage:
        return Usage(self.id, self.units_nano, self.expiry_ns, self.before, self.after)


def with_state(profile: ResourceProfile, old: ResourceProfile | None, new_id: str) -> ResourceProfile:
    """The profile with the id of its state: that of the profile it replaces, unless the change empties the resource."""
    keeps = (
        old is not None
        and (old.usage_ttl_ns, old.limit) == (profile.usage_ttl_ns, profile.limit)
        and not (old.stored and not profile.stored)
    )
    return replace(profile, state_id=old.state_id if old is not None and keeps else new_id)


RESOURCES = profile_kind("resource_profile", "*resources", "resources")
