"""The duplicate guard, at the registry of the CGRID (spec 40 §3.3 step 3, design 5).

Two questions are answered in one step:

* Has an event of this CGRID and run been processed in the last ten minutes? Then it is refused (`guarded`).
* May a record of it exist already (`made`)? If not, the record is stored without a further look ("fresh"). A record exists
  per (CGRID, RunID, OriginID), in a tail or in the store, for ever; so this must hold after the ten minutes too. Every way
  to store a record marks it here before; marks that leave the guard go into the shard's fingerprints (`seen.py`).

Marks are swept once a minute and shard: there is no timer for each record.
"""

from __future__ import annotations

import msgspec

from cgr_cluster.cdrs.seen import FULL, SMALL, fingerprint, holds, merged, segment, size
from cgr_cluster.cdrs.types import DEFAULT_RUN, Guard, Mark, Registry, Seen
from cgr_cluster.engine.domain import Part, Steps, outside, step, timer
from cgr_cluster.engine.owner import registry_owner

GUARD_TTL_NS = 600_000_000_000
SWEEP_NS = 60_000_000_000


class Claim(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """What the registry says to a claim of runs: `passed` of them are not duplicates, counted up to the first that is.
    `fresh`, for each passed one: no record of it can exist. `known` False: the registry has to learn first what the
    store holds; nothing is marked."""

    passed: int = 0
    fresh: list[bool] = []
    known: bool = True


@step("cdrs.learn")
def learn(part: Part, fingerprints: bytes) -> None:
    """Open the registry of this shard with what the store holds for it."""
    if part.read(Registry, "") is None:
        part.put(Registry, "", Registry(0, 3 if fingerprints else 0))
        if fingerprints:
            part.put(Seen, "2", Seen(fingerprints))


@step("cdrs.claim")
def claim(part: Part, cgrid: str, runs: list[str], guarding: bool, refusing: bool) -> Claim:
    """Mark runs of a CGRID as about to be stored. `guarding`: as processed events too; `refusing`: stop at the first run
    that is guarded."""
    registry = part.read(Registry, "")
    if registry is None:
        return Claim(known=False)
    now_ns = part.now_ns
    guard = part.read(Guard, cgrid)
    if guard is None and len(runs) == 1 and runs[0]:  # most events
        run_id = runs[0]
        part.put(Guard, cgrid, Guard((Mark(run_id, now_ns, guarding, True),)))
        if not registry.sweep_at_ns:
            _sweep_at(part, registry, now_ns + GUARD_TTL_NS)
        return Claim(1, [not registry.segments or not _seen(part, registry, cgrid, run_id)])
    marks = {mark.run_id: mark for mark in guard.marks} if guard is not None else {}
    fresh: list[bool] = []
    for run_id in runs:
        mark = marks.get(run_id)
        if mark is not None and refusing and mark.guarded and now_ns < mark.since_ns + GUARD_TTL_NS:
            break
        made_run = run_id or DEFAULT_RUN  # the record of a run without a name
        made = marks.get(made_run)
        fresh.append((made is None or not made.made) and not _seen(part, registry, cgrid, made_run))
        if guarding:
            marks[run_id] = Mark(run_id, now_ns, True, made is not None and made.made)
        since_ns = now_ns if made is None or (guarding and run_id == made_run) else made.since_ns
        made = marks.get(made_run)
        marks[made_run] = Mark(made_run, since_ns, made is not None and made.guarded, True)
    if fresh:
        part.put(Guard, cgrid, Guard(tuple(marks.values())))
        if not registry.sweep_at_ns:
            _sweep_at(part, registry, now_ns + GUARD_TTL_NS)
    return Claim(len(fresh), fresh)


def _seen(part: Part, registry: Registry, cgrid: str, run_id: str) -> bool:
    value = -1
    for number in range(registry.segments):
        seen = part.read(Seen, str(number))
        if seen is not None:
            if value < 0:
                value = fingerprint(cgrid, run_id)
            if holds(seen.fingerprints, value):
                return True
    return False


def _sweep_at(part: Part, registry: Registry, at_ns: int) -> None:
    part.put(Registry, "", Registry(at_ns, registry.segments))
    if at_ns:
        part.set_timer("cdrs.sweep", at_ns, "cdrs.sweep")


@timer("cdrs.sweep")
def sweep(part: Part) -> None:
    """Drop the marks that no longer guard; remember in fingerprints those that made records."""
    registry = part.read(Registry, "")
    if registry is None:
        return
    now_ns = part.now_ns
    gone: set[int] = set()
    left = False
    for cgrid, guard in part.all(Guard):
        live = tuple(mark for mark in guard.marks if now_ns < mark.since_ns + GUARD_TTL_NS)
        if len(live) == len(guard.marks):
            left = True
            continue
        gone.update(fingerprint(cgrid, mark.run_id) for mark in guard.marks if mark.made and mark not in live)
        if live:
            left = True
            part.put(Guard, cgrid, Guard(live))
        else:
            part.delete(Guard, cgrid)
    if gone:
        registry = _remember(part, registry, segment(gone))
    _sweep_at(part, registry, now_ns + SWEEP_NS if left else 0)


def _remember(part: Part, registry: Registry, news: bytes) -> Registry:
    """Put swept fingerprints into the shard's segments."""
    small = part.read(Seen, "0")
    if small is not None:
        news = merged(small.fingerprints, news)
    if size(news) <= SMALL:
        part.put(Seen, "0", Seen(news))
        return Registry(registry.sweep_at_ns, max(registry.segments, 1))
    part.delete(Seen, "0")
    large = part.read(Seen, "1")
    if large is not None:
        news = merged(large.fingerprints, news)
    if size(news) <= FULL:
        part.put(Seen, "1", Seen(news))
        return Registry(registry.sweep_at_ns, max(registry.segments, 2))
    part.delete(Seen, "1")
    number = max(registry.segments, 2)
    part.put(Seen, str(number), Seen(news))
    return Registry(registry.sweep_at_ns, number + 1)


def claim_runs(cgrid: str, runs: list[str], guarding: bool, refusing: bool) -> Steps[Claim]:
    """`claim` at the registry, which is opened first where that has not been done."""
    owner = registry_owner(cgrid)
    answer: Claim = yield claim.at(owner, cgrid, runs, guarding, refusing)
    if not answer.known:
        fingerprints: bytes = yield outside("cdrs.fingerprints", owner.shard)
        yield learn.at(owner, fingerprints)
        answer = yield claim.at(owner, cgrid, runs, guarding, refusing)
    return answer
