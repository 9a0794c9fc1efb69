"""Addresses against sets: what is free, and that nobody gets what another has (spec chapter 60, section 5)."""

from __future__ import annotations

from ipaddress import ip_network
from typing import cast

from hypothesis import given
from hypothesis import strategies as st

from cgr_cluster.engine.domain import Part
from cgr_cluster.ips.blocks import FULL, SIZE, Block, Blocks
from cgr_cluster.ips.types import IPPool, range_of

RANGES = st.sampled_from(
    ["10.0.0.0/24", "10.0.0.128/25", "10.0.0.64/26", "10.0.0.5/32", "10.0.0.6/31", "10.0.0.0/20", "10.0.64.0/18", "2001:db8::/119"]
)  # fmt: skip
STEPS = st.lists(st.tuples(st.sampled_from(["low", "high", "give"]), RANGES, st.integers(0, 1 << 20)), max_size=300)


class Shelf:
    """The part of a step, as far as blocks use it."""

    def __init__(self) -> None:
        self.stored: dict[str, Block] = {}

    def read(self, kind: type[Block], key: str) -> Block | None:
        return self.stored.get(key)

    def put(self, kind: type[Block], key: str, value: Block) -> None:
        self.stored[key] = value

    def delete(self, kind: type[Block], key: str) -> None:
        self.stored.pop(key, None)


@given(STEPS)
def test_blocks_know_what_is_free(steps: list[tuple[str, str, int]]) -> None:
    """Ranges that lie in each other, as a profile's do when they are changed."""
    shelf = Shelf()
    blocks = Blocks(cast("Part", shelf), "s", "p")
    taken: list[tuple[int, int]] = []
    for kind, text, number in steps:
        of, network = range_of(IPPool("p", range=text)), ip_network(text)
        inside = {
            address for bits, address in taken if bits == of.bits and of.first <= address < of.first + 2**of.host_bits
        }
        if kind == "give":
            if taken:
                bits, address = taken.pop(number % len(taken))
                blocks.give(bits, address)
            continue
        found = blocks.free(of, highest=kind == "high")
        if found is None:
            assert len(inside) == network.num_addresses
            continue
        beyond = range(of.first, found) if kind == "low" else range(found + 1, of.first + 2**of.host_bits)
        assert of.first <= found < of.first + 2**of.host_bits
        assert found not in inside and inside.issuperset(beyond)
        blocks.take(of.bits, found)
        taken.append((of.bits, found))
    for bits, address in taken:
        blocks.give(bits, address)
    assert not shelf.stored


def test_full_blocks_are_marked_above() -> None:
    shelf = Shelf()
    blocks = Blocks(cast("Part", shelf), "s", "p")
    of = range_of(IPPool("p", range="10.0.0.0/19"))
    count = 2**of.host_bits
    for number in range(count):
        assert blocks.free(of) == of.first + number
        blocks.take(of.bits, of.first + number)
    assert blocks.free(of) is None
    assert len(shelf.stored) == count // SIZE + count // SIZE**2 + 1
    assert sum(block.taken == FULL for block in shelf.stored.values()) == count // SIZE + count // SIZE**2
    blocks.give(of.bits, of.first + 4711)
    assert blocks.free(of) == blocks.free(of, highest=True) == of.first + 4711


def test_the_host_part_of_a_range_says_nothing() -> None:
    assert range_of(IPPool("p", range="10.1.2.3/24")) == range_of(IPPool("p", range="10.1.2.0/24"))
