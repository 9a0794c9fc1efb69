"""The CDR and what is kept of it (spec 40 §1). Money in 10^-9 (`_nano`), usage in ns (units for other types of record)."""

from __future__ import annotations

import msgspec

from cgr_cluster.engine.domain import stored
from cgr_cluster.engine.owner import Owner, account_owner, registry_owner
from cgr_cluster.events.instant import ZERO, Instant
from cgr_cluster.rating.types import EventCost

NOT_RATED_NANO = -1_000_000_000  # Cost -1
DEFAULT_RUN = "*default"
VOICE = "*voice"

CdrKey = tuple[str, str, str]  # CGRID, RunID, OriginID: one CDR each


class CDR(msgspec.Struct, array_like=True, gc=False):
    """A record as the chapter has it; fields in the order of its table."""

    cgrid: str = ""
    run_id: str = ""
    order_id: int = 0
    origin_host: str = ""
    source: str = ""
    origin_id: str = ""
    tor: str = ""
    request_type: str = ""
    tenant: str = ""
    category: str = ""
    account: str = ""
    subject: str = ""
    destination: str = ""
    setup_time: Instant = ZERO
    answer_time: Instant = ZERO
    usage_ns: int = 0
    extra_fields: dict[str, str] = {}
    extra_info: str = ""
    partial: bool = False
    pre_rated: bool = False
    cost_source: str = ""
    cost_nano: int = NOT_RATED_NANO
    cost_details: EventCost | None = None

    @property
    def key(self) -> CdrKey:
        return (self.cgrid, self.run_id, self.origin_id)

    @property
    def home(self) -> Owner:
        """Whose shard keeps the record until the store has it: the account that it charges, else its CGRID."""
        if self.account:
            return account_owner(self.tenant, self.account)
        return registry_owner(self.cgrid)

    def copy(self) -> CDR:
        """A copy whose fields can be set without changing this one (extra fields and cost details are shared)."""
        copy: CDR = self.__copy__()  # type: ignore[attr-defined]  # every Struct has it
        return copy


class StoredCdr(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A stored record. `version`: ns of the write that made it, unique among the versions of one key. `created_ns`: of the
    key's first version that this one replaces, directly or not."""

    version: int
    created_ns: int
    cdr: CDR


class Identity(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """One version of one record: what a put makes and a delete removes."""

    cgrid: str
    run_id: str
    origin_id: str
    version: int


@stored("cdr")
class TailEntry(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """What the store has yet to do for one key, in the shard of the record's home: keep `cdr` as `version` (None: nothing),
    remove the versions `deletes`. It is deleted when the store has committed exactly this `stamp`, which changes with the
    entry and orders the entries of a shard. Shard key: `tail_key`."""

    stamp: int
    cgrid: str
    run_id: str
    origin_id: str
    deletes: tuple[int, ...] = ()
    version: int = 0
    created_ns: int = 0
    cdr: CDR | None = None

    @property
    def stored(self) -> StoredCdr | None:
        return None if self.cdr is None else StoredCdr(self.version, self.created_ns, self.cdr)

    def draft(self) -> TailEntry:
        return self


def tail_key(cgrid: str, run_id: str, origin_id: str) -> str:
    return f"{cgrid}\x1f{run_id}\x1f{origin_id}"


@stored("cdr_stamp")
class LastStamp(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """The last stamp that this shard gave (key ""): stamps grow within a shard."""

    stamp: int

    def draft(self) -> LastStamp:
        return self


class Mark(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """One run of a CGRID. `guarded`: an event of it was processed (the duplicate guard); `made`: a record of it may have
    been stored. `since_ns`: when it was first marked."""

    run_id: str
    since_ns: int
    guarded: bool
    made: bool


@stored("cdr_guard")
class Guard(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """The runs of one CGRID of the last ten minutes, at the CGRID's registry. Key: the CGRID."""

    marks: tuple[Mark, ...]

    def draft(self) -> Guard:
        return self


@stored("cdr_seen")
class Seen(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """Sorted fingerprints, 4 bytes each, of runs whose marks have been swept. Key: the segment (`seen.py`)."""

    fingerprints: bytes

    def draft(self) -> Seen:
        return self


@stored("cdr_registry")
class Registry(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """Of a shard's registry (key ""). While it is there, every record that the store holds of this shard's CGRIDs is known
    to Guard or Seen. `sweep_at_ns`: when marks are swept next, 0: nothing to sweep. `segments`: numbers of Seen that may be
    there are below it."""

    sweep_at_ns: int
    segments: int = 0

    def draft(self) -> Registry:
        return self


class SessionCost(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """The cost that a session left for its CDR (3.6)."""

    cgrid: str
    run_id: str
    origin_host: str
    origin_id: str
    cost_source: str
    usage_ns: int
    cost_details: EventCost
    created_ns: int = 0


@stored("session_costs")
class SessionCosts(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """The session costs of one CGRID, at its registry. Key: the CGRID. They stay until an action removes them."""

    costs: tuple[SessionCost, ...]

    def draft(self) -> SessionCosts:
        return self
