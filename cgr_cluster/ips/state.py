"""The allocations of a profile at their owner: taking, renewing and freeing addresses (spec chapter 60, section 5).

Each change touches the allocation, its neighbours in the chain, the address and a few blocks, whatever the number of
allocations and the size of the pools.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address
from typing import Any

import msgspec

from cgr_cluster.engine.domain import Part
from cgr_cluster.events.values import quote_text
from cgr_cluster.ips.blocks import Blocks
from cgr_cluster.ips.types import DESCENDING, IPS, STRATEGIES, Allocation, Allocations, IPPool, IPProfile, Range, Taken
from cgr_cluster.resources.chain import Links
from cgr_cluster.rpc.errors import ApiError

SWEPT_AT_ONCE = 200  # allocations that one step drops
EXPIRE = "ips.expire"


class Snapshot(msgspec.Struct, gc=False):
    """The allocations of a profile at one moment, to be read on while they go their way. `allocations`: by their ids, as they
    lie: packed ones are bytes."""

    profile: IPProfile
    head: Allocations
    allocations: dict[str, Any]


class ProfileState:
    """What belongs to one state of a profile, in one step."""

    __slots__ = ("_id", "_key", "_links", "_part", "_state_id", "_tenant")

    def __init__(self, part: Part, tenant: str, profile_id: str, state_id: str) -> None:
        self._part = part
        self._tenant = tenant
        self._id = profile_id
        self._key = IPS.key(tenant, profile_id)
        self._state_id = state_id
        self._links = Links(part, Allocation, state_id)

    # --- reading -------------------------------------------------------------------------------------------------

    @property
    def head(self) -> Allocations:
        """As it counts now; not to be changed."""
        found = self._part.read(Allocations, self._key)
        return found if found is not None and found.state_id == self._state_id else Allocations(self._state_id)

    def get(self, allocation_id: str) -> Allocation | None:
        return self._links.get(allocation_id)

    def all(self) -> Iterator[Allocation]:
        """In the order of their times."""
        return self._links.follow(self.head.chain.first)

    def snapshot(self, profile: IPProfile) -> Snapshot:
        return Snapshot(profile, self.head, self._part.kept(Allocation, f"{self._state_id}:"))

    def free_in(self, pool: IPPool, of: Range) -> str:
        """An address of the pool that is free, "" without any. Raises ApiError for a strategy that is none."""
        if not of.single and pool.strategy not in STRATEGIES:
            raise ApiError(
                f"unsupported strategy <{pool.strategy}> of pool <{pool.id}>; there are {', '.join(STRATEGIES[1:])}"
            )
        address = self._blocks(pool.id).free(of, pool.strategy == DESCENDING)
        return "" if address is None else of.text(address)

    def refusal(self, pool: IPPool, of: Range) -> str:
        """Why a pool without free address gives none."""
        text = of.text(of.first)
        if not of.single:
            return f"allocation failed for pool {quote_text(pool.id)}, range {quote_text(pool.range)}: IP_ALREADY_ALLOCATED"
        taken = self._part.read(Taken, self._address_key(pool.id, text))
        assert taken is not None  # every address that is taken says by whom
        return (
            f"allocation failed for pool {quote_text(pool.id)}, IP {quote_text(text)}: IP_ALREADY_ALLOCATED"
            f" (allocated to {quote_text(taken.allocation_id)})"
        )

    # --- changing ------------------------------------------------------------------------------------------------

    def take(self, allocation_id: str, pool_id: str, address: str, ttl_ns: int) -> None:
        """Give a free address to an id that has none. `ttl_ns` below 0: until it is released."""
        self._append(allocation_id, pool_id, address, ttl_ns)
        self._part.put(Taken, self._address_key(pool_id, address), Taken(allocation_id))
        of_family = ip_address(address)
        self._blocks(pool_id).take(of_family.max_prefixlen, int(of_family))

    def renew(self, held: Allocation, ttl_ns: int) -> None:
        """Let it count from now."""
        self._cancel(held)
        self._links.remove(self._edit().chain, held)
        self._append(held.id, held.pool_id, held.address, ttl_ns)

    def free(self, held: Allocation) -> None:
        """Take an address back."""
        self._links.remove(self._edit().chain, held)
        self._give_back(held)

    def drop(self, first: str) -> str:
        """Take back what an ended state has from the allocation of that id on, a piece of it; the id of the next, "" for none."""
        for number, held in enumerate(self._links.follow(first)):
            if number == SWEPT_AT_ONCE:
                return held.id
            self._links.delete(held.id)
            self._give_back(held)
        return ""

    def _append(self, allocation_id: str, pool_id: str, address: str, ttl_ns: int) -> None:
        now_ns = self._part.now_ns
        new = Allocation(allocation_id, pool_id, address, now_ns, now_ns + ttl_ns if ttl_ns > 0 else 0)
        head = self._edit()
        self._links.append(head.chain, new)
        if new.expiry_ns:
            head.had_ending = True
            self._part.set_timer(
                self._timer_key(new),
                new.expiry_ns,
                EXPIRE,
                self._tenant,
                self._id,
                self._state_id,
                new.id,
                new.expiry_ns,
            )

    def _give_back(self, held: Allocation) -> None:
        self._cancel(held)
        self._part.delete(Taken, self._address_key(held.pool_id, held.address))
        of_family = ip_address(held.address)
        self._blocks(held.pool_id).give(of_family.max_prefixlen, int(of_family))

    def _cancel(self, held: Allocation) -> None:
        if held.expiry_ns:
            self._part.cancel_timer(self._timer_key(held))

    def _timer_key(self, held: Allocation) -> str:
        return f"ip/{self._state_id}/{held.id}"

    def _address_key(self, pool_id: str, address: str) -> str:
        return f"{self._state_id}:{address}:{pool_id}"

    def _blocks(self, pool_id: str) -> Blocks:
        return Blocks(self._part, self._state_id, pool_id)

    def _edit(self) -> Allocations:
        found = self._part.read(Allocations, self._key)
        if found is None or found.state_id != self._state_id:
            if found is not None:
                sweep(self._part, self._tenant, self._id, found.state_id, found.chain.first)
            self._part.put(Allocations, self._key, Allocations(self._state_id))
        draft = self._part.edit(Allocations, self._key)
        assert draft is not None
        return draft


def sweep(part: Part, tenant: str, profile_id: str, state_id: str, first: str) -> None:
    """Drop the allocations of a state that is no more. Many go by pieces, afterwards."""
    following = ProfileState(part, tenant, profile_id, state_id).drop(first)
    if following:
        part.spawn("ips.sweep", tenant, profile_id, state_id, following)
