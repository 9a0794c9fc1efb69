"""Long work in slices: a deck of a million rows takes seconds, a worker's turn at most 10 ms (design 2).

A slicing function is a generator that yields after every SLICE_ROWS rows and returns its result. In an operation it goes
on in the next turn after each slice (`paced`); where nobody waits it runs through (`whole`).
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from heapq import merge
from itertools import islice
from typing import TypeVar

from cgr_cluster.engine.domain import Steps, sleep

T = TypeVar("T")
Slices = Generator[None, None, T]

SLICE_ROWS = 1_000  # 3 to 6 ms
NEXT_TURN_NS = 1  # a deadline after this turn, so the next one


def whole(work: Slices[T]) -> T:
    """The result, without a pause."""
    while True:
        try:
            next(work)
        except StopIteration as end:
            result: T = end.value
            return result


def paced(work: Slices[T]) -> Steps[T]:
    """The result, with a turn's end after each slice."""
    while True:
        try:
            next(work)
        except StopIteration as end:
            result: T = end.value
            return result
        yield sleep(NEXT_TURN_NS)


def sorted_in_slices(items: list[str]) -> Slices[list[str]]:
    """All items in order: pieces sorted one by one, then merged."""
    pieces = []
    for start in range(0, len(items), SLICE_ROWS):
        pieces.append(sorted(items[start : start + SLICE_ROWS]))
        yield
    return (yield from listed_in_slices(merge(*pieces)))


def listed_in_slices(items: Iterable[T]) -> Slices[list[T]]:
    """All items of an iterable that makes them one by one."""
    out: list[T] = []
    iterator = iter(items)
    while piece := list(islice(iterator, SLICE_ROWS)):
        out += piece
        yield
    return out
