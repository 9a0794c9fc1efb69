"""The journal of an operation: what it has done, for when it must be run again (design 7).

Theory of operation. Every result that an operation is given is noted here; an intent that is logged says them all, and what
is on its way besides. After a crash the operation runs again from its start and is answered from the intent (`find`). Mostly
it takes the same way. But it sees the newest reference data, so it may ask for something else than before. Therefore a result
belongs to a step at an owner with its arguments, not to a place in the order:

1. the same step, at the same owner, with the same arguments: its result, wherever in the order it is asked for;
2. a step that changes something, at the same owner, with other arguments: the result of the one that was done there (the
   first that is left). It has had its effect, as it was begun; it is not done once more in another form;
3. anything else has not been done: it is done now, as a new step.

What is never asked for stays done; the operation's end logs it. A step keeps the number under which it was sent, so that its
owner knows it again by its `Memo`; new steps get numbers that nothing from before has.

An intent is logged again at every wait. So that an operation of many steps costs what its steps cost, and not their square,
results go into pages (`cut_page`) once they come to PAGE_BYTES; a page is logged once, and stays until the operation ends,
also while it is run again.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import Any

from cgr_cluster.engine.codec import pack, unpack
from cgr_cluster.engine.owner import Owner
from cgr_cluster.engine.placement import owner_text
from cgr_cluster.engine.records import Journaled
from cgr_cluster.rpc.errors import ApiError

PAGE_BYTES = 16 << 10  # packed results that an intent says itself

_DIGEST_BYTES = 8

Outcome = tuple[Any, "ApiError | None"]
NOTHING: Outcome = (None, None)  # of a command that is done and has no result
# number, step, owner, arguments, result, error, done
Noted = tuple[int, str, "Owner | str", Any, Any, "str | None", bool]
_NONE: frozenset[int] = frozenset()


def digest(args: Any) -> bytes:
    """Tells the arguments of a step from others. Packed ones are taken as they are; None: they tell nothing."""
    if args is None:
        return b""
    return blake2b(args if type(args) is bytes else pack(list(args)), digest_size=_DIGEST_BYTES).digest()


class Journal:
    """Of one run of an operation (`run`: how many there were before). `known`: what the intent says of these, `pages`: what
    its pages do, which are there to stay."""

    __slots__ = ("_bytes", "_done", "_last", "_logged", "_loose", "_noted", "_packed", "_sent", "_taken", "known", "pages",
                 "run")  # fmt: skip

    def __init__(
        self, run: int = 0, known: list[Journaled] | None = None, pages: Sequence[list[Journaled]] = ()
    ) -> None:
        self.run = run
        self.pages = len(pages)
        self._loose = {} if known is None else {entry.number: entry for entry in known}  # not asked for yet, on no page
        self.known = {entry.number: entry for page in pages for entry in page} | self._loose  # not asked for yet
        self._taken = frozenset(self.known) if self.known else _NONE  # numbers
        self._last = 0  # number
        self._noted = 0  # so many results there have been
        self._done: list[Noted | Journaled] = []  # those of them that are on no page
        self._packed = 0  # so many of these are Journaled
        self._bytes = 0  # of their results
        self._sent: dict[int, Noted | Journaled] = {}  # on their way, by number
        self._logged = -1 if known is None else 0  # what `_told` was in the last intent

    def next_number(self) -> int:
        self._last += 1
        while self._last in self._taken:
            self._last += 1
        return self._last

    def sent(self, number: int, step: str, owner: str, args: bytes) -> None:
        """A step that changes something leaves for its owner."""
        if number not in self._sent:
            self._sent[number] = number, step, owner, args, None, None, False

    def note(self, number: int, step: str, owner: Owner | str, args: Any, result: Any, error: str | None) -> None:
        """A step has been done. `args`: as for `digest`. What of it is wanted as text is made so when an intent is logged:
        most operations end without one."""
        if self._sent:
            self._sent.pop(number, None)
        self._noted += 1
        self._done.append((number, step, owner, args, result, error, True))

    def find(self, step: str, owner: str, args: Any, changes: bool) -> Journaled | None:
        """What is known of a step from an earlier run, by the rules above; None: it is a new one."""
        asked = digest(args)
        found: Journaled | None = None
        for entry in self.known.values():
            if entry.step == step and entry.owner == owner:
                if entry.asked == asked:
                    found = entry
                    break
                found = found or (entry if changes else None)
        if found is not None:
            del self.known[found.number]
            self._last = max(self._last, found.number)
            if not found.done:
                del self._loose[found.number]
                self._sent[found.number] = found
        return found

    def recall(self, entry: Journaled, kind: Any) -> Outcome:
        """Take an entry that was found and done into this run. Answers its result (of type `kind`), or its error."""
        self._noted += 1
        if self._loose.pop(entry.number, None) is not None:
            self._done.append(entry)
        if entry.error is not None:
            return None, ApiError(entry.error)
        return unpack(kind, entry.result), None

    @property
    def is_logged(self) -> bool:
        return self._logged >= 0

    @property
    def has_grown(self) -> bool:
        """Whether there is more to log than the last intent said."""
        return self._logged != self._told

    @property
    def _told(self) -> int:
        return self._noted + self._last  # both only grow

    def cut_page(self) -> list[Journaled] | None:
        """The results that the next intent would say, when they have become many: to be logged as page `pages - 1`."""
        self._pack()
        if self._bytes <= PAGE_BYTES:
            return None
        page: list[Journaled] = self._done  # type: ignore[assignment]  # packed, all of them
        self._done, self._packed, self._bytes = [], 0, 0
        self.pages += 1
        return page

    def entries(self) -> list[Journaled]:
        """What an intent says: what has been done in this run, what is on its way, and what is still known from before."""
        self._pack()
        self._logged = self._told
        return [*map(_journaled, (*self._done, *self._sent.values())), *self._loose.values()]

    def _pack(self) -> None:
        done = self._done
        for place in range(self._packed, len(done)):
            entry = done[place] = _journaled(done[place])
            self._bytes += len(entry.result)
        self._packed = len(done)


def _journaled(noted: Noted | Journaled) -> Journaled:
    if not isinstance(noted, tuple):
        return noted
    number, step, owner, args, result, error, done = noted
    whose = owner if isinstance(owner, str) else owner_text(owner)
    return Journaled(number, step, pack(result) if done and error is None else b"", error, whose, digest(args), done)
