"""Sessions as they are kept (spec 30.4.1). Durations and times are nanoseconds, money is in nano.

A session lives in the shard of its home: the account of its first prepaid run, else that of the event, so that a debit
and the session that knows of it are one change. Maps (`event`, `event_start`, `opts_start`) and costs are replaced, never
changed in place, so drafts share them. The records are arrays: new fields go to the end, with a default.
"""

from __future__ import annotations

from typing import Any

import msgspec

from cgr_cluster.engine.domain import stored
from cgr_cluster.engine.owner import Owner
from cgr_cluster.engine.placement import belongs
from cgr_cluster.rating.types import CallDescriptor, EventCost

PREPAID = "*prepaid"
DYNAPREPAID = "*dynaprepaid"
PSEUDOPREPAID = "*pseudoprepaid"
DEBITED = frozenset({PREPAID, DYNAPREPAID})  # request types whose runs debit while the session lasts
ON_ACCOUNT = frozenset({PREPAID, DYNAPREPAID, PSEUDOPREPAID})  # request types that look at the account
UNLIMITED_NS = -1  # granted to an account that may go below zero


class Usage(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What an update asks (30.5.3 step 4). `total_ns` replaces `asked_ns` and `last_used_ns`; None: not given. `error`:
    a field could not be read, which the update pass answers."""

    asked_ns: int
    last_used_ns: int | None = None
    total_ns: int | None = None
    error: str = ""


class Run(msgspec.Struct, array_like=True, gc=False):
    """One charging run. `descriptor` is as made at the start (its times are the start and the asked end) and is never
    changed; the moving part is beside it.

    `shown_index_ns` is the DurationIndex of lists: a failed debit leaves it advanced; `rated_index_ns` is what the next
    piece is rated from (30.16)."""

    event: dict[str, Any]
    request_type: str
    descriptor: CallDescriptor
    time_end_ns: int
    cost: EventCost | None = None
    extra_ns: int = 0  # debited but not granted (reserve); below zero: granted but not debited
    last_ns: int = 0
    total_ns: int = 0
    loop_index: int = 0
    shown_index_ns: int = 0
    rated_index_ns: int = 0
    cost_so_far_nano: int = 0
    next_debit_ns: int = 0  # time of the next automatic debit, 0: none

    @property
    def run_id(self) -> str:
        return self.descriptor.run_id

    @property
    def debits(self) -> bool:
        return self.request_type in DEBITED

    def copy(self) -> Run:
        copy: Run = self.__copy__()  # type: ignore[attr-defined]  # every Struct has it
        return copy


class TimeToLive(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The TTL timer (30.12): its deadline, and what a session that reaches it is charged. None: not given."""

    deadline_ns: int
    ttl_ns: int
    last_usage_ns: int | None = None
    last_used_ns: int | None = None
    usage_ns: int | None = None


@belongs(lambda _, session: f"{session.home_kind}:{session.home_key}")
@stored("session")
class Session(msgspec.Struct, array_like=True, gc=False):
    """An active or passive session; its key is its CGRID.

    `home_kind` and `home_key` are its owner; `local`: all accounts it charges live there too. `claim` is the number of
    its claim at the registry, 0 without one. `busy`: the operation that is charging its runs on other accounts just now;
    others wait for it. `force_duration` holds for the whole session (30.5)."""

    cgrid: str
    tenant: str
    event_start: dict[str, Any]
    opts_start: dict[str, Any]
    runs: list[Run]
    home_kind: str
    home_key: str
    local: bool = True
    claim: int = 0
    connection: str = ""
    debit_interval_ns: int = 0
    chargeable: bool = True
    force_duration: bool = False
    resource_id: str = ""
    updated_ns: int = 0
    passive: bool = False
    time_to_live: TimeToLive | None = None
    busy: str = ""
    busy_since_ns: int = 0

    def draft(self) -> Session:
        """A copy whose runs may be changed; maps and costs are shared, since they are replaced only."""
        out: Session = self.__copy__()  # type: ignore[attr-defined]  # every Struct has it
        out.runs = [run.copy() for run in self.runs]
        return out

    @property
    def home(self) -> Owner:
        return Owner(self.home_kind, self.home_key)

    @property
    def leading_run(self) -> Run | None:
        """The run whose usage stands for the session: the first that debits, else the first (30.16)."""
        return next((run for run in self.runs if run.debits), self.runs[0] if self.runs else None)

    @property
    def debits_by_itself(self) -> bool:
        """Whether debit loops charge it, not the updates (30.12)."""
        return self.debit_interval_ns > 0 and any(run.debits for run in self.runs)


@stored("claim")
class Claim(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """Where the session of a CGRID lives; kept at the registry, `registry_owner(cgrid)`, under the CGRID. `number` grows
    with every change of the home."""

    kind: str
    key: str
    number: int

    def draft(self) -> Claim:
        return self

    @property
    def home(self) -> Owner:
        return Owner(self.kind, self.key)


@stored("claim_lost")
class ClaimLost(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """Kept at a home that has lost the claim `number` of a CGRID (its key) to another home: a session that an
    interrupted operation would still make here by that claim or an earlier one is refused."""

    number: int

    def draft(self) -> ClaimLost:
        return self
