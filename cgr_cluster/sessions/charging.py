"""What a session's runs are charged: the debit of 30.4.2, the update pass of 30.5.3 and the end of 30.4.3. Pure.

Rules for this file: everything that decides about money of a session is here. These are generators that yield what is
to be done at an account (`AccountCall`) and get its answer; a refusal of the account (`ApiError`) is raised at the
`yield`. They change the session they are given, a draft or a copy. Whoever drives them does the account's part: in the
same step when the account lives with the session, else by a step to the account's owner.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, TypeVar

import msgspec

from cgr_cluster.events.instant import Instant
from cgr_cluster.rating.event_cost import usage_ns, with_summary
from cgr_cluster.rating.event_cost_pieces import add_rounding, cut, join, join_call_cost, merged_summary, pause
from cgr_cluster.rating.types import AccountSummary, CallCost, CallDescriptor
from cgr_cluster.rpc.errors import ApiError
from cgr_cluster.sessions.types import DYNAPREPAID, PSEUDOPREPAID, UNLIMITED_NS, Run, Session, TimeToLive, Usage

T = TypeVar("T")


class MaxDebit(msgspec.Struct, frozen=True, gc=False):
    """Debit at most the descriptor's duration; answers a CallCost."""

    descriptor: CallDescriptor


class MaxUsage(msgspec.Struct, frozen=True, gc=False):
    """What could be debited, nothing being done; answers nanoseconds or UNLIMITED_NS."""

    descriptor: CallDescriptor


class Debit(msgspec.Struct, frozen=True, gc=False):
    """Debit the whole duration, below zero if needed; answers a CallCost."""

    descriptor: CallDescriptor


class Refund(msgspec.Struct, frozen=True, gc=False):
    """Give the descriptor's increments back to the balances that paid; answers an AccountSummary or None."""

    descriptor: CallDescriptor


class RoundingDebit(msgspec.Struct, frozen=True, gc=False):
    """Take the costs of the descriptor's increments off the balances they name; answers an AccountSummary or None."""

    descriptor: CallDescriptor


class Provision(msgspec.Struct, frozen=True, gc=False):
    """Run the action plans of `*dynaprepaid` for an account that does not exist (30.3)."""

    tenant: str
    account: str


AccountCall = MaxDebit | MaxUsage | Debit | Refund | RoundingDebit | Provision
Charging = Generator[AccountCall, Any, T]


def smallest(granted: list[int]) -> int:
    """The grant of a request: the smallest run. Unlimited only when all runs are (30.16); 0 without runs."""
    limited = [grant for grant in granted if grant != UNLIMITED_NS]
    if limited:
        return min(limited)
    return UNLIMITED_NS if granted else 0


# --- one run -----------------------------------------------------------------------------------------------------


def _piece(run: Run, need_ns: int) -> CallDescriptor:
    """The descriptor of the next piece, right behind the last successful end."""
    descriptor = run.descriptor.copy()
    start = descriptor.time_start
    if run.loop_index > 0:
        start = Instant.of(run.time_end_ns, start.offset_s)
        descriptor.time_start = start
    descriptor.time_end = start.plus(need_ns)
    descriptor.duration_index_ns = run.rated_index_ns + need_ns
    descriptor.loop_index = run.loop_index
    descriptor.max_cost_so_far_nano = run.cost_so_far_nano
    return descriptor


def _pass_free(session: Session, run: Run, duration_ns: int) -> None:
    """A piece that costs nothing and touches no account: the session is paused (30.5.4)."""
    start = _piece(run, duration_ns).time_start
    run.time_end_ns = start.ns + duration_ns
    run.rated_index_ns += duration_ns
    run.shown_index_ns += duration_ns
    piece = pause(session.cgrid, run.run_id, start, duration_ns, run.descriptor.account)
    run.cost = piece if run.cost is None else join(run.cost, piece)


def debit(session: Session, run: Run, duration_ns: int, last_used_ns: int | None) -> Charging[int]:
    """debit(run, dur, lastUsed) → granted, step by step as in 30.4.2."""
    if not session.chargeable:
        _pass_free(session, run, duration_ns)
        run.last_ns = duration_ns
        run.total_ns += duration_ns
        run.loop_index += 1
        return duration_ns
    if last_used_ns is not None and last_used_ns != run.last_ns:
        run.extra_ns += run.last_ns - last_used_ns
        run.total_ns += last_used_ns - run.last_ns
        run.last_ns = last_used_ns
    if run.extra_ns >= duration_ns:
        run.extra_ns -= duration_ns
        run.last_ns = duration_ns
        run.total_ns += duration_ns
        return duration_ns
    need = duration_ns - run.extra_ns
    piece = _piece(run, need)
    run.shown_index_ns += need  # stays when the debit is refused (recorded)
    call_cost: CallCost = yield from _max_debit(run, piece)
    got = debited_ns(call_cost)
    run.extra_ns = got - need if got > need else 0
    run.last_ns = duration_ns if got >= need else got + (duration_ns - need)
    run.shown_index_ns += got - need
    run.rated_index_ns += got
    run.time_end_ns = piece.time_start.ns + got
    run.cost_so_far_nano += call_cost.cost_nano
    run.loop_index += 1
    run.total_ns += run.last_ns
    _keep(session, run, call_cost)
    return run.last_ns


def _max_debit(run: Run, piece: CallDescriptor) -> Charging[CallCost]:
    try:
        call_cost: CallCost = yield MaxDebit(piece)
    except ApiError as error:
        if run.request_type != DYNAPREPAID or error.text != "ACCOUNT_NOT_FOUND":
            raise
        yield Provision(piece.tenant, piece.account)
        call_cost = yield MaxDebit(piece)
    return call_cost


def debited_ns(call_cost: CallCost) -> int:
    """Usage that a debit covers: whole increments, so perhaps more than asked."""
    spans = call_cost.timespans
    return sum(span.duration_ns for span in spans) if spans else 0


def _keep(session: Session, run: Run, call_cost: CallCost) -> None:
    """Join a debited piece to the run's cost; an empty first piece is not kept."""
    if not call_cost.timespans and run.cost is None:
        return
    run.cost = join_call_cost(run.cost, call_cost, session.cgrid, run.run_id)


def max_usage(run: Run, descriptor: CallDescriptor) -> Charging[int]:
    """GetMaxSessionTime of a run, with the second try of `*dynaprepaid`."""
    try:
        affordable: int = yield MaxUsage(descriptor)
    except ApiError as error:
        if run.request_type != DYNAPREPAID or error.text != "ACCOUNT_NOT_FOUND":
            raise
        yield Provision(descriptor.tenant, descriptor.account)
        affordable = yield MaxUsage(descriptor)
    return affordable


# --- all runs ----------------------------------------------------------------------------------------------------


def authorize(session: Session, asked_ns: int) -> Charging[list[int]]:
    """What each run may use of `asked_ns`, nothing being debited (30.5.1). The first refusal is raised. Who asks for nothing,
    or less, is not refused by the rates, only by the account (30.4.2)."""
    granted = []
    for run in session.runs:
        if run.debits or run.request_type == PSEUDOPREPAID:
            descriptor = run.descriptor.copy()
            descriptor.duration_index_ns = max(asked_ns, 0)
            descriptor.time_end = descriptor.time_start.plus(descriptor.duration_index_ns)
            affordable = yield from max_usage(run, descriptor)
            granted.append(min(affordable, asked_ns))
        else:
            granted.append(asked_ns)
    return granted


def update(session: Session, usage: Usage) -> Charging[list[int]]:
    """One update pass over all runs (30.5.3 steps 4 and 5). A refusal is raised; runs before it keep their debits."""
    if usage.error:
        raise ApiError(usage.error)
    asked, last_used = _asked(session, usage)
    if asked is None:
        return [0 for _ in session.runs]
    automatic = session.debits_by_itself
    granted = []
    for run in session.runs:
        if run.debits and not automatic:
            granted.append((yield from debit(session, run, asked, last_used)))
        elif run.request_type == PSEUDOPREPAID:
            granted.append((yield from max_usage(run, run.descriptor)))
        else:
            granted.append(asked)
    return granted


def message(session: Session, usage: Usage, as_asked: bool) -> Charging[tuple[list[int], ApiError | None]]:
    """A one-shot event (30.7): one update pass, ended at once with the smallest grant (`as_asked`: with the usage asked).
    When a run fails all get everything back, and the refusal is the answer."""
    try:
        granted = yield from update(session, usage)
    except ApiError as error:
        yield from end(session, 0, None, None)
        return [], error
    used = smallest(granted)
    yield from end(session, usage.asked_ns if as_asked or used == UNLIMITED_NS else used, None, None)
    return granted, None


def one_shot(
    session: Session, usage: Usage, total_ns: int | None, last_used_ns: int | None, answer_time: Any | None
) -> Charging[ApiError | None]:
    """A terminate without session: debited like an update and ended with the same values (30.5.6). A refused debit is
    raised, after what was debited before has been given back."""
    try:
        yield from update(session, usage)
    except ApiError:
        yield from end(session, 0, None, None)
        raise
    return (yield from end(session, total_ns, last_used_ns, answer_time))


def expire(session: Session, limit: TimeToLive) -> Charging[ApiError | None]:
    """The end of a session that was not heard of any more (30.12): extra usage first, on runs that debit."""
    extra = limit.ttl_ns if limit.last_usage_ns is None else limit.last_usage_ns
    return (yield from end_after(session, extra, limit.last_used_ns, limit.usage_ns))


def end_after(
    session: Session, extra_ns: int, last_used_ns: int | None, total_ns: int | None
) -> Charging[ApiError | None]:
    """Debit `extra_ns` on the runs that debit, then end; a refused debit of the extra usage is left out."""
    for run in session.runs:
        if run.debits:
            try:
                yield from debit(session, run, extra_ns, last_used_ns)
            except ApiError:
                continue
    return (yield from end(session, total_ns, last_used_ns, None))


def automatic_debit(session: Session, index: int, duration_ns: int) -> Charging[int]:
    """One tick of a debit loop (30.12) → granted."""
    return (yield from debit(session, session.runs[index], duration_ns, None))


def _asked(session: Session, usage: Usage) -> tuple[int | None, int | None]:
    """(asked, last used). None asked: the total given lies below what is charged, the surplus became reserve (30.16)."""
    if usage.total_ns is None:
        return usage.asked_ns, usage.last_used_ns
    leading = session.leading_run
    charged = leading.total_ns if leading is not None else 0
    if charged == 0:
        return usage.total_ns, usage.last_used_ns
    if usage.total_ns >= charged:
        return usage.total_ns - charged, None
    for run in session.runs:
        surplus = run.total_ns - usage.total_ns
        if run.debits and surplus > 0:
            run.extra_ns += surplus
            run.total_ns -= surplus
            run.last_ns = 0
    return None, None


def end(
    session: Session, total_ns: int | None, last_used_ns: int | None, answer_time: Any | None
) -> Charging[ApiError | None]:
    """End every run: refund or debit to the exact usage, round (30.4.3). Answers the refusal of an extra debit, if there
    was one; all runs are ended all the same. `answer_time` replaces the field when it is not None."""
    failure: ApiError | None = None
    for run in session.runs:
        if total_ns is not None:
            run.total_ns = total_ns
        elif last_used_ns is not None and last_used_ns != run.last_ns:
            run.total_ns += last_used_ns - run.last_ns
        if run.cost is not None:
            try:
                yield from _settle(session, run)
            except ApiError as error:
                failure = failure or error
            yield from _round(session, run)
        run.event = _ended_event(run, answer_time)
    leading = session.leading_run
    if leading is not None:
        session.event_start = {**session.event_start, "Usage": leading.total_ns}
    return failure


def _ended_event(run: Run, answer_time: Any | None) -> dict[str, Any]:
    event = {**run.event, "Usage": run.total_ns}
    if answer_time is not None:
        event["AnswerTime"] = answer_time
    return event


def _settle(session: Session, run: Run) -> Charging[None]:
    """Make the run's cost cover its usage exactly: debit what is missing, refund what is too much."""
    assert run.cost is not None
    missing = run.total_ns - usage_ns(run.cost)
    if missing > 0:
        if not session.chargeable:
            _pass_free(session, run, missing)
            return
        call_cost: CallCost = yield Debit(_piece(run, missing))
        run.rated_index_ns += missing
        run.shown_index_ns += missing
        run.time_end_ns += missing
        run.cost_so_far_nano += call_cost.cost_nano
        _keep(session, run, call_cost)
    elif missing < 0:
        run.cost, surplus = cut(run.cost, run.total_ns, run.descriptor.tor)
        if surplus:
            refund = run.descriptor.copy()
            refund.increments = surplus
            summary: AccountSummary | None = yield Refund(refund)
            run.cost = with_summary(run.cost, merged_summary(run.cost.account_summary, summary))


def _round(session: Session, run: Run) -> Charging[None]:
    """The rounding of 30.4.4, charge by charge."""
    assert run.cost is not None
    rounded, increments = add_rounding(run.cost)
    if not increments:
        return
    descriptor = run.descriptor.copy()
    descriptor.increments = increments
    summary: AccountSummary | None = yield RoundingDebit(descriptor)
    run.cost = with_summary(rounded, merged_summary(rounded.account_summary, summary))
