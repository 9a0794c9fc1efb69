"""GuardianSv1: named locks for clients (spec chapter 70, section 5)."""

from __future__ import annotations

from typing import Any

from cgr_cluster.engine.domain import Operation, Part, Steps, signal, step
from cgr_cluster.engine.owner import LEADER
from cgr_cluster.guardian import locks
from cgr_cluster.rpc.owners import LEADER_RULE
from cgr_cluster.rpc.registry import Params, method, service

service("GuardianSv1")


class RemoteLockParams(Params, go="dispatchers.AttrRemoteLockWithAPIOpts"):
    ReferenceID: str = ""
    LockIDs: list[str] | None = None
    Timeout: int = 0
    Tenant: str = ""
    APIOpts: dict[str, Any] | None = None


class RemoteUnlockParams(Params, go="dispatchers.AttrRemoteUnlockWithAPIOpts"):
    RefID: str = ""
    Tenant: str = ""
    APIOpts: dict[str, Any] | None = None


@step("guardian.enter")
def enter(part: Part, name: str, call: str, lock_ids: list[str] | None, timeout_ns: int) -> bool:
    return locks.enter(part, name, call, lock_ids, timeout_ns)


@step("guardian.waits", reads=True)
def waits(part: Part, name: str, call: str) -> bool:
    return locks.waits(part, name, call)


@step("guardian.free")
def free(part: Part, name: str) -> tuple[bool, list[str] | None]:
    """Whether the reference waits for its locks, so that nothing is done; and the locks it has let go of."""
    if locks.waits(part, name):
        return True, None
    return False, locks.free(part, name)


@method("GuardianSv1.RemoteLock", owner=LEADER_RULE, changes=True, deadline_s=None)
def remote_lock(op: Operation, params: RemoteLockParams) -> Steps[str]:
    """The reference, once it has all locks; "" when it is in use. `Timeout` (ns, 0: none) counts from the call."""
    name = params.ReferenceID or op.new_uuid()
    if not (yield enter.at(LEADER, name, op.uid, params.LockIDs, params.Timeout)):
        return ""
    while (yield waits.at(LEADER, name, op.uid)):
        yield signal(locks.signal_of(name))
    return name


@method("GuardianSv1.RemoteUnlock", owner=LEADER_RULE, changes=True, deadline_s=None, when_full=True)
def remote_unlock(op: Operation, params: RemoteUnlockParams) -> Steps[list[str] | None]:
    """The locks that were let go of, as they were given; null for a reference that is not known (any more). One that still
    waits for its locks lets go when it has got them, and so does the answer wait."""
    while True:
        waiting: bool
        freed: list[str] | None
        waiting, freed = yield free.at(LEADER, params.RefID)
        if not waiting:
            return freed
        yield signal(locks.signal_of(params.RefID))
