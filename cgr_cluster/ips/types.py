"""IP profiles, and what is allocated of their pools (spec chapter 60, section 5).

What belongs to a profile lives at the owner of the profile, so that no address is given twice: one small object per
allocation, chained in the order of their times, one per address that is taken, and the blocks of `blocks.py`. A free
address costs nothing.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_interface

import msgspec
from msgspec.structs import replace

from cgr_cluster.engine.domain import GenerationView, reference, stored
from cgr_cluster.filters.kinds import profile_kind
from cgr_cluster.filters.types import ActivationInterval
from cgr_cluster.resources.chain import Chain
from cgr_cluster.rpc.errors import ApiError

IPV4_BITS = 32
DESCENDING = "*descending"
STRATEGIES = ("", "*ascending", DESCENDING)


class IPPool(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A part of a profile. `range` is a CIDR. `type` is only kept."""

    id: str
    filter_ids: tuple[str, ...] = ()
    type: str = ""
    range: str = ""
    strategy: str = ""
    message: str = ""
    weight: float = 0.0
    blocker: bool = False


@reference("ip_profile")
class IPProfile(msgspec.Struct, frozen=True, gc=False):
    """The key is `TENANT:ID`. `ttl_ns` of an allocation: below 0 it does not end by itself, 0 takes that of the configuration.
    `state_id` names the allocations that belong to it: it is another one when the profile is stored for the first time."""

    tenant: str
    id: str
    filter_ids: tuple[str, ...] = ()
    activation_interval: ActivationInterval | None = None
    weight: float = 0.0
    ttl_ns: int = 0
    stored: bool = False
    pools: tuple[IPPool, ...] = ()
    state_id: str = ""


class Range(msgspec.Struct, frozen=True, gc=False):
    """Addresses `first` to `first + 2**host_bits - 1` of a family of `bits` (32, 128)."""

    bits: int
    first: int
    host_bits: int

    @property
    def single(self) -> bool:
        return not self.host_bits

    def holds(self, address: IPv4Address | IPv6Address) -> bool:
        return address.max_prefixlen == self.bits and int(address) >> self.host_bits == self.first >> self.host_bits

    def text(self, address: int) -> str:
        """One of its addresses as it is written."""
        return str(IPv4Address(address) if self.bits == IPV4_BITS else IPv6Address(address))


def range_of(pool: IPPool) -> Range:
    """The pool's addresses. Raises ApiError with the range for what is no CIDR."""
    try:
        if not pool.range.partition("/")[2].isdigit():
            raise ValueError
        network: IPv4Network | IPv6Network = ip_interface(pool.range).network
    except ValueError:
        raise ApiError(
            f"range <{pool.range}> of pool <{pool.id}> is no CIDR such as 10.0.0.0/24 or 2001:db8::/64"
        ) from None
    return Range(network.max_prefixlen, int(network.network_address), network.max_prefixlen - network.prefixlen)


class CompiledProfile:
    """A profile ready for events: `pools` in the order in which they are tried, `ranges` by pool id."""

    __slots__ = ("pools", "profile", "ranges")

    def __init__(self, profile: IPProfile) -> None:
        self.profile = profile
        self.pools = sorted(profile.pools, key=lambda pool: -pool.weight)
        self.ranges = {pool.id: range_of(pool) for pool in reversed(profile.pools)}  # of equal ids the first counts


IPS = profile_kind("ip_profile", "*ips", "ips", compiled=CompiledProfile)


def with_state(profile: IPProfile, generation: GenerationView, new_id: str) -> IPProfile:
    """The profile with the id of its state: that of the profile that it replaces, so addresses stay with those who have them.
    Raises as `range_of`."""
    for pool in profile.pools:
        range_of(pool)
    old: IPProfile | None = IPS.get(generation, profile.tenant, profile.id)
    return replace(profile, state_id=new_id if old is None else old.state_id)


@stored("ip_allocations")
class Allocations(msgspec.Struct, array_like=True, gc=False):
    """The allocations of `TENANT:ID`, under that key. `had_ending`: whether one that ends by itself has ever been there. A
    state whose `state_id` is not the profile's is one of an earlier profile, and counts as none."""

    state_id: str
    had_ending: bool = False
    chain: Chain = msgspec.field(default_factory=Chain)

    def draft(self) -> Allocations:
        return Allocations(self.state_id, self.had_ending, self.chain.draft())


@stored("ip_allocation")
class Allocation(msgspec.Struct, array_like=True, gc=False):
    """An address that an id has; the key is `STATE_ID:ALLOCATION_ID`. `time_ns`: when it was allocated or renewed. `expiry_ns` 0: it
    does not end by itself. `before` and `after` are its neighbours in the chain."""

    id: str
    pool_id: str
    address: str  # as it is written
    time_ns: int
    expiry_ns: int = 0
    before: str = ""
    after: str = ""

    def draft(self) -> Allocation:
        copy: Allocation = self.__copy__()  # type: ignore[attr-defined]  # every Struct has it
        return copy


@stored("ip_address")
class Taken(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """Who has an address; the key is `STATE_ID:ADDRESS:POOL_ID`."""

    allocation_id: str

    def draft(self) -> Taken:
        return self
