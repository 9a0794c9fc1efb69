"""Which addresses of a pool are taken, as a tree that has nodes only where some are (spec chapter 60, section 5).

Theory of operation. A block of level 0 has a bit for each of 64 neighbouring addresses: it is taken. One of level n has a bit
for each of 64 neighbouring blocks of level n - 1: all that is under it is taken. Blocks without bits are not stored. So the
first free address of a range is found by one look at each level, six bits of the address a level, however many are taken:
four for a /8. Blocks go by the addresses themselves, not by the range, so they stay true when the range of a pool changes.
"""

from __future__ import annotations

import msgspec

from cgr_cluster.engine.domain import Part, stored
from cgr_cluster.ips.types import Range

WIDTH = 6  # bits of an address a level
SIZE = 1 << WIDTH
FULL = (1 << SIZE) - 1


@stored("ip_block")
class Block(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """The key is `STATE_ID:LEVEL:NUMBER:POOL_ID`, the number that of its first address without the bits below it."""

    taken: int

    def draft(self) -> Block:
        return self


class Blocks:
    """Those of one pool, in one step."""

    __slots__ = ("_part", "_pool_id", "_state_id")

    def __init__(self, part: Part, state_id: str, pool_id: str) -> None:
        self._part = part
        self._state_id = state_id
        self._pool_id = pool_id

    def free(self, of: Range, highest: bool = False) -> int | None:
        """The lowest (or highest) address of the range that is free, None without any."""
        level = max(of.host_bits - 1, 0) // WIDTH
        number = of.first >> WIDTH * (level + 1)
        wanted = ((1 << (1 << of.host_bits - WIDTH * level)) - 1) << (of.first >> WIDTH * level) % SIZE
        while True:
            left = wanted & ~self._taken(of.bits, level, number)
            if not left:
                return None
            bit = left.bit_length() - 1 if highest else (left & -left).bit_length() - 1
            number = number << WIDTH | bit
            if not level:
                return number
            level -= 1
            wanted = FULL

    def take(self, bits: int, address: int) -> None:
        """Mark a free address of a family of `bits` as taken."""
        number = address
        for level in range(-(-bits // WIDTH)):
            number, bit = number >> WIDTH, number % SIZE
            taken = self._taken(bits, level, number) | 1 << bit
            self._put(bits, level, number, taken)
            if taken != FULL:
                return

    def give(self, bits: int, address: int) -> None:
        """Mark a taken address as free."""
        number = address
        for level in range(-(-bits // WIDTH)):
            number, bit = number >> WIDTH, number % SIZE
            before = self._taken(bits, level, number)
            self._put(bits, level, number, before & ~(1 << bit))
            if before != FULL:
                return

    def _key(self, bits: int, level: int, number: int) -> str:
        return f"{self._state_id}:{bits}.{level}:{number:x}:{self._pool_id}"

    def _taken(self, bits: int, level: int, number: int) -> int:
        block = self._part.read(Block, self._key(bits, level, number))
        return 0 if block is None else block.taken

    def _put(self, bits: int, level: int, number: int, taken: int) -> None:
        key = self._key(bits, level, number)
        if taken:
            self._part.put(Block, key, Block(taken))
        else:
            self._part.delete(Block, key)
