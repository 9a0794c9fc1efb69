"""The registry of sessions: which home has the session of a CGRID (design 5). Its steps run at `registry_owner(cgrid)`.

Theory of operation. A session, or what is left of it for its CDR, is made only with a claim, so that there is one active
session per CGRID although its requests may charge different accounts. Requests of one home share the claim: the home
itself decides who comes first. A claim of another home is taken over only after that home has said that it has no active
session, and from then on refuses to make one by the old claim (`ClaimLost`); numbers tell claims apart and only grow.
"""

from __future__ import annotations

import msgspec

from cgr_cluster.engine.domain import Part, Steps, step, timer
from cgr_cluster.engine.owner import Owner, registry_owner
from cgr_cluster.sessions.types import Claim, ClaimLost, Session

LOST_CLAIMS_KEPT_NS = 24 * 3600 * 10**9  # longer than an interrupted operation can take to be driven on
MAX_CLAIM_ROUNDS = 4  # homes that fight for one CGRID; then the session counts as existing


class Claimed(msgspec.Struct, array_like=True, gc=False):
    """`number` of the claim that was given; 0: `kind`, `key` is the home that has it. `renewed`: the home had one before, so
    more than this request may go by it."""

    number: int
    kind: str = ""
    key: str = ""
    renewed: bool = False

    @property
    def home(self) -> Owner:
        return Owner(self.kind, self.key)


@step("sessions.claim")
def claim(part: Part, cgrid: str, kind: str, key: str, instead_of: int) -> Claimed:
    """Claim `cgrid` for the home (`kind`, `key`). `instead_of`: the number of another home's claim to take over."""
    held = part.read(Claim, cgrid)
    if held is not None and (held.kind, held.key) != (kind, key) and held.number != instead_of:
        return Claimed(0, held.kind, held.key)
    number = part.now_ns if held is None else max(part.now_ns, held.number + 1)
    part.put(Claim, cgrid, Claim(kind, key, number))
    return Claimed(number, kind, key, held is not None and (held.kind, held.key) == (kind, key))


@step("sessions.where", reads=True)
def where(part: Part, cgrid: str) -> Claim | None:
    return part.read(Claim, cgrid)


@step("sessions.release", idempotent=True)
def release(part: Part, cgrid: str, number: int) -> None:
    """Give a claim back, unless it has been claimed anew since."""
    held = part.read(Claim, cgrid)
    if held is not None and held.number == number:
        part.delete(Claim, cgrid)


@step("sessions.lose_claim")
def lose_claim(part: Part, cgrid: str, number: int) -> bool:
    """At a home: give up the claim `number` of `cgrid`, unless there is an active session. Answers whether it is given
    up."""
    session = part.read(Session, cgrid)
    if session is not None and not session.passive:
        return False
    refuse_claim(part, cgrid, number)
    return True


def refuse_claim(part: Part, cgrid: str, number: int) -> None:
    """From now on no session is made here by the claim `number`, or an earlier one."""
    part.put(ClaimLost, cgrid, ClaimLost(number))
    part.set_timer(f"claim_lost/{cgrid}", part.now_ns + LOST_CLAIMS_KEPT_NS, "sessions.forget_lost_claim", cgrid)


@timer("sessions.forget_lost_claim")
def forget_lost_claim(part: Part, cgrid: str) -> None:
    part.delete(ClaimLost, cgrid)


def claim_for(cgrid: str, home: Owner) -> Steps[Claimed]:
    """The claim; number 0: another home has an active session of this CGRID."""
    instead_of = 0
    registry = registry_owner(cgrid)
    claimed: Claimed = Claimed(0)
    for _ in range(MAX_CLAIM_ROUNDS):
        claimed = yield claim.at(registry, cgrid, home.kind, home.key, instead_of)
        if claimed.number:
            return claimed
        held: Claim | None = yield where.at(registry, cgrid)
        if held is None:
            continue
        given_up: bool = yield lose_claim.at(held.home, cgrid, held.number)
        if not given_up:
            return claimed
        instead_of = held.number
    return claimed
