"""Named locks and who holds or wants them (spec chapter 70, section 5). All live at the leader.

A reference takes all its locks or none, in one step of one owner: it joins the queues of all of them, and holds them when it
is the first in each. All queues have the order in which the references came, so there is always one that goes first: nothing
waits in a circle, and nobody is overtaken for ever. What is held is durable like all state: a lock survives the worker that
knows it, and ends by being unlocked or by its timeout.
"""

from __future__ import annotations

import msgspec

from cgr_cluster.engine.domain import Part, stored, timer
from cgr_cluster.rpc.errors import server_error

MAX_WAITING = 1_000  # references that hold or want one lock
MAX_LOCKS = 1_000  # locks of one reference
_LAST_NS = 2**63 - 1


@stored("guardian_reference")
class Reference(msgspec.Struct, array_like=True, gc=False):
    """Kept under its name. `call` is the uid of the call that asked for it. `overdue`: its time was over while it waited, so
    it lets go as soon as it has its locks."""

    lock_ids: list[str] | None
    call: str
    timed: bool
    held: bool = False
    overdue: bool = False

    def draft(self) -> Reference:
        return Reference(self.lock_ids, self.call, self.timed, self.held, self.overdue)

    @property
    def wanted(self) -> list[str]:
        """Its locks, each once."""
        return list(dict.fromkeys(self.lock_ids or ()))


@stored("guardian_lock")
class LockQueue(msgspec.Struct, array_like=True, gc=False):
    """Names of references in the order in which they came; kept under the id of the lock."""

    references: list[str]

    def draft(self) -> LockQueue:
        return LockQueue(list(self.references))


def signal_of(name: str) -> str:
    """What is signalled when the reference gets its locks, or is gone."""
    return f"guardian {name}"


def _timer_of(name: str) -> str:
    return f"guardian/{name}"


def enter(part: Part, name: str, call: str, lock_ids: list[str] | None, timeout_ns: int) -> bool:
    """Queue for the locks, and take them when all are free; whether the name was free. `timeout_ns` 0: none. Raises
    `SERVER_ERROR: ...` beyond a bound."""
    if part.read(Reference, name) is not None:
        return False
    reference = Reference(lock_ids, call, timeout_ns != 0)
    wanted = reference.wanted
    if len(wanted) > MAX_LOCKS:
        raise server_error(f"{len(wanted)} locks are too many for one reference, at most {MAX_LOCKS}")
    for lock_id in wanted:
        queue = part.edit(LockQueue, lock_id)
        if queue is None:
            part.put(LockQueue, lock_id, LockQueue([name]))
        elif len(queue.references) >= MAX_WAITING:
            raise server_error(f"lock {lock_id!r} is wanted by {MAX_WAITING} references already")
        else:
            queue.references.append(name)
    reference.held = _is_first(part, name, wanted)
    part.put(Reference, name, reference)
    if reference.timed:
        part.set_timer(_timer_of(name), min(part.now_ns + timeout_ns, _LAST_NS), "guardian.timeout", name)
    return True


def _is_first(part: Part, name: str, wanted: list[str]) -> bool:
    queues = (part.read(LockQueue, lock_id) for lock_id in wanted)
    return all(queue is not None and queue.references[0] == name for queue in queues)


def waits(part: Part, name: str, call: str = "") -> bool:
    """Whether a reference of this name (of this call) has not got its locks yet."""
    found = part.read(Reference, name)
    return found is not None and not found.held and call in ("", found.call)


def free(part: Part, name: str) -> list[str] | None:
    """Let go of the locks of a reference that has them; answers them as they were given, null for an unknown one."""
    found = part.read(Reference, name)
    if found is None:
        return None
    assert found.held
    going = [name]
    while going:
        going += _free_one(part, going.pop())
    return found.lock_ids


def _free_one(part: Part, name: str) -> list[str]:
    """Answers those that got their locks by this and have no time left."""
    found = part.read(Reference, name)
    assert found is not None
    part.delete(Reference, name)
    if found.timed and not found.overdue:
        part.cancel_timer(_timer_of(name))
    part.signal(signal_of(name))
    heirs: dict[str, None] = {}
    for lock_id in found.wanted:
        queue = part.edit(LockQueue, lock_id)
        assert queue is not None
        assert queue.references[0] == name
        del queue.references[0]
        if queue.references:
            heirs[queue.references[0]] = None
        else:
            part.delete(LockQueue, lock_id)
    overdue = []
    for heir in heirs:
        waiting = part.read(Reference, heir)
        assert waiting is not None
        if _is_first(part, heir, waiting.wanted):
            if waiting.overdue:
                overdue.append(heir)
            draft = part.edit(Reference, heir)
            assert draft is not None
            draft.held = True
            part.signal(signal_of(heir))
    return overdue


@timer("guardian.timeout")
def timeout(part: Part, name: str) -> None:
    """The time of a reference is over."""
    found = part.edit(Reference, name)
    if found is None:
        return
    found.overdue = True  # and its timer has gone
    if found.held:
        free(part, name)
