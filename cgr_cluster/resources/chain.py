"""Chains of stored objects: in the order in which they came, so that one more or one less touches its neighbours only.

What is held under an id of its own (usages of a resource, allocations of addresses) is one small stored object each, with the
ids of its neighbours; who holds them keeps the ends of the chain.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, Protocol, TypeVar

import msgspec

from cgr_cluster.engine.domain import Part


class Chain(msgspec.Struct, array_like=True, gc=False):
    """Ids of the first and the last; empty without any."""

    first: str = ""
    last: str = ""

    def draft(self) -> Chain:
        return Chain(self.first, self.last)


class Linked(Protocol):
    """A stored object of a chain. `before` and `after` are its neighbours' ids, empty at the ends."""

    id: str
    before: str
    after: str


L = TypeVar("L", bound=Linked)


class Links(Generic[L]):
    """Objects of one type whose keys are `PREFIX:ID`, in one step. The chains that it is given must be drafts to be changed."""

    __slots__ = ("_kind", "_part", "_prefix")

    def __init__(self, part: Part, kind: type[L], prefix: str) -> None:
        self._part = part
        self._kind = kind
        self._prefix = prefix

    def key(self, object_id: str) -> str:
        return f"{self._prefix}:{object_id}"

    def get(self, object_id: str) -> L | None:
        """The object; not to be changed."""
        return self._part.read(self._kind, self.key(object_id))

    def follow(self, first: str) -> Iterator[L]:
        """From the object of that id on, in order."""
        following = first
        while following:
            found = self.get(following)
            if found is None:
                return
            yield found
            following = found.after

    def append(self, chain: Chain, new: L) -> None:
        """Store a new object as the last of the chain."""
        if chain.last:
            self._neighbour(chain.last).after = new.id
            new.before = chain.last
        else:
            chain.first = new.id
        chain.last = new.id
        self._part.put(self._kind, self.key(new.id), new)

    def remove(self, chain: Chain, gone: L) -> None:
        """Delete an object of the chain."""
        if gone.before:
            self._neighbour(gone.before).after = gone.after
        else:
            chain.first = gone.after
        if gone.after:
            self._neighbour(gone.after).before = gone.before
        else:
            chain.last = gone.before
        self.delete(gone.id)

    def delete(self, object_id: str) -> None:
        """Delete an object whose chain is no more."""
        self._part.delete(self._kind, self.key(object_id))

    def _neighbour(self, object_id: str) -> L:
        found = self._part.edit(self._kind, self.key(object_id))
        assert found is not None  # chains are whole
        return found
