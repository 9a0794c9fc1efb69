"""A resource at its owner: recording, freeing and expiring usages (spec chapter 60, section 2.4).

Each change touches the resource, the usage and its neighbours in the chain, whatever the number of usages.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from cgr_cluster.engine.domain import Part
from cgr_cluster.resources.chain import Chain, Links
from cgr_cluster.resources.types import RESOURCES, Resource, ResourceProfile, Usage

SWEPT_AT_ONCE = 500  # usages of a resource that is no more that one step drops


class Snapshot(msgspec.Struct, gc=False):
    """A resource at one moment, to be read on while it goes its way. `usages`: by their ids, as they lie: packed ones are
    bytes."""

    profile: ResourceProfile
    head: Resource
    usages: dict[str, Any]


class Pool:
    """A resource in one step."""

    __slots__ = ("_key", "_links", "_part", "profile")

    def __init__(self, part: Part, profile: ResourceProfile) -> None:
        self._part = part
        self._key = RESOURCES.key(profile.tenant, profile.id)
        self.profile = profile
        self._links = Links(part, Usage, profile.state_id)

    # --- reading -------------------------------------------------------------------------------------------------

    @property
    def head(self) -> Resource:
        """As it counts now; not to be changed."""
        found = self._part.read(Resource, self._key)
        return (
            found if found is not None and found.state_id == self.profile.state_id else Resource(self.profile.state_id)
        )

    def snapshot(self) -> Snapshot:
        return Snapshot(self.profile, self.head, self._part.kept(Usage, f"{self.profile.state_id}:"))

    def usage(self, usage_id: str) -> Usage | None:
        return self._links.get(usage_id)

    def usages(self, chain: Chain) -> Iterator[Usage]:
        """In the order in which they came."""
        return self._links.follow(chain.first)

    def expired(self, now_ns: int) -> Iterator[Usage]:
        """What has ended by itself: from the front up to the first that lasts."""
        for usage in self.usages(self.head.ending):
            if usage.expiry_ns > now_ns:
                return
            yield usage

    # --- changing ------------------------------------------------------------------------------------------------

    def expire(self) -> None:
        for usage in list(self.expired(self._part.now_ns)):
            self.free(usage.id)

    def free(self, usage_id: str) -> bool:
        """Give the units of a usage back; False when there is none."""
        usage = self.usage(usage_id)
        if usage is None:
            return False
        head = self._edit()
        head.used_nano -= usage.units_nano
        self._links.remove(head.ending if usage.expiry_ns else head.lasting, usage)
        return True

    def record(self, usage_id: str, units_nano: int, ttl_ns: int) -> None:
        """Hold units under an id that holds none. `ttl_ns` below 0: until they are freed; 0: nothing is recorded."""
        if not ttl_ns:
            return
        head = self._edit()
        usage = Usage(usage_id, units_nano, self._part.now_ns + ttl_ns if ttl_ns > 0 else 0)
        if usage.expiry_ns:
            head.had_ending = True
        head.used_nano += units_nano
        self._links.append(head.ending if usage.expiry_ns else head.lasting, usage)

    def _edit(self) -> Resource:
        found = self._part.read(Resource, self._key)
        if found is None or found.state_id != self.profile.state_id:
            if found is not None:
                drop_content(self._part, self.profile.tenant, found)
            self._part.put(Resource, self._key, Resource(self.profile.state_id))
        draft = self._part.edit(Resource, self._key)
        assert draft is not None
        return draft


def drop_content(part: Part, tenant: str, gone: Resource) -> None:
    """Drop the usages of a resource that is no more. Many go by pieces, afterwards."""
    for chain in (gone.ending, gone.lasting):
        drop_chain(part, tenant, gone.state_id, chain.first)


def drop_chain(part: Part, tenant: str, state_id: str, first: str) -> None:
    links = Links(part, Usage, state_id)
    for number, usage in enumerate(links.follow(first)):
        if number == SWEPT_AT_ONCE:
            part.spawn("resources.sweep", tenant, state_id, usage.id)
            return
        links.delete(usage.id)
