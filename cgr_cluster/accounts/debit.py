"""Debit, MaxDebit and GetMaxSessionTime of one account (spec 20 §3.2, §3.7, §3.8). Pure: what is stored is the caller's
matter (steps.py).

The caller gives the stored account and ways to read other members of its shared groups; it gets the answer and the
drafts to store. On an `ApiError` nothing is to be stored.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from cgr_cluster.accounts.amounts import MONETARY, NANO_PER_GRAIN, VOICE, round_system, system_rounding
from cgr_cluster.accounts.debit_pass import DebitPass
from cgr_cluster.accounts.hooks import Consumption, HookOf, Subject
from cgr_cluster.accounts.ledger import Drafts, Ledger, MembersOf, Payer, ReadAccount
from cgr_cluster.accounts.one_payer import Payment, drafted, pay, payment_of
from cgr_cluster.accounts.shared_groups import require_groups
from cgr_cluster.accounts.summary import summarised
from cgr_cluster.accounts.types import Account
from cgr_cluster.engine.domain import GenerationView
from cgr_cluster.events.instant import Instant
from cgr_cluster.rating.call_cost import compress
from cgr_cluster.rating.rate import check_usage, unpriced_span
from cgr_cluster.rating.rounding import rounding_difference
from cgr_cluster.rating.types import AccountSummary, BalanceInfo, CallCost, CallDescriptor, Increment, Timespan
from cgr_cluster.rpc.errors import ApiError

UNLIMITED = -1  # the maximum usage of an account that may go below zero


class Setting(msgspec.Struct, gc=False):
    """What a debit needs besides descriptor and account. `seed` decides random orders of shared groups."""

    generation: GenerationView
    now_ns: int
    read: ReadAccount
    members_of: MembersOf
    new_uuid: Callable[[], str]
    hook_of: HookOf | None
    seed: str


class Outcome(msgspec.Struct, gc=False):
    """The answer, the drafts to store by account id, and the ids of the accounts whose account event is due: one entry
    each for its changed useful money and unit balances (20 §3.10)."""

    cost: CallCost
    drafts: dict[str, Account] = {}
    changed: list[str] = []


def usable(account: Account | None, generation: GenerationView, descriptor: CallDescriptor) -> Account:
    """The account, if the request may use it at all. Raises, in this order, `MAX_USAGE_EXCEEDED`, `ACCOUNT_NOT_FOUND`,
    `ACCOUNT_DISABLED`."""
    check_usage(generation, descriptor.tor, descriptor.time_end.ns - descriptor.time_start.ns)
    if account is None:
        raise ApiError("ACCOUNT_NOT_FOUND")
    if account.disabled:
        raise ApiError("ACCOUNT_DISABLED")
    return account


def _require_groups(setting: Setting, account: Account, descriptor: CallDescriptor) -> None:
    """What every request asks of the account's useful balances, also one that then pays nothing. Raises `NOT_FOUND` when one
    of them is in a shared group that does not exist (20 §3.3)."""
    require_groups(
        setting.generation, account, descriptor.tor or VOICE, descriptor.category, descriptor.destination,
        descriptor.time_start.ns,
    )  # fmt: skip


def debit(setting: Setting, account: Account | None, descriptor: CallDescriptor) -> Outcome:
    """Responder.Debit."""
    usable_account = usable(account, setting.generation, descriptor)
    if descriptor.time_end.ns == descriptor.time_start.ns:
        _require_groups(setting, usable_account, descriptor)
        cost = empty_cost(descriptor, usable_account)
        try:
            cost.timespans = [unpriced_span(setting.generation, descriptor)]
        except ApiError:
            cost.timespans = None  # nothing to rate: a debit of nothing succeeds all the same
        return Outcome(cost)
    return _debit(
        setting, usable_account, descriptor, descriptor.time_end, descriptor.duration_index_ns, descriptor.dry_run
    )


def max_debit(setting: Setting, account: Account | None, descriptor: CallDescriptor) -> Outcome:
    """Responder.MaxDebit: debit as much of the interval as the account can pay. Never takes more than a debit would."""
    usable_account = usable(account, setting.generation, descriptor)
    asked = descriptor.time_end.ns - descriptor.time_start.ns
    if asked == 0:
        _require_groups(setting, usable_account, descriptor)
        cost = empty_cost(descriptor, usable_account)
        if not usable_account.allow_negative:
            cost.timespans = [unpriced_span(setting.generation, descriptor)]
            return Outcome(cost)
        return debit(setting, usable_account, descriptor)
    index_ns = max(descriptor.duration_index_ns, asked)
    payment = payment_of(setting.generation, usable_account, descriptor, setting.now_ns, descriptor.time_end, index_ns)
    if payment is not None:
        return _paid(setting, usable_account, descriptor, payment)
    if usable_account.allow_negative:
        return _debit(setting, usable_account, descriptor, descriptor.time_end, index_ns, False)
    dry = _dry_pass(setting, usable_account, descriptor, index_ns)
    granted = paid_duration_ns(dry[0], dry[1], usable_account, descriptor, asked)
    if descriptor.force_duration and granted < asked:
        raise ApiError("INSUFFICIENT_CREDIT")
    if granted == 0:
        return Outcome(empty_cost(descriptor, usable_account))
    assert granted <= asked, "a maximum debit is never more than was asked"
    if granted == asked and dry[0].covered and not dry[0].differs and _unwatched(dry[1]):
        # Paid in full without going below zero: a real debit takes the same steps, so this one is it.
        outcome = _finished(setting, usable_account, descriptor, dry[0], dry[1], False)
    else:
        cut = asked - granted if granted > 0 else 0
        end = descriptor.time_end.plus(-cut) if cut else descriptor.time_end
        outcome = _debit(setting, usable_account, descriptor, end, index_ns - cut, False)
    return outcome


def max_session_time(setting: Setting, account: Account | None, descriptor: CallDescriptor) -> int:
    """Responder.GetMaxSessionTime, in nanoseconds (units): -1 for an account that may go below zero, else what can be
    paid of the asked interval."""
    usable_account = usable(account, setting.generation, descriptor)
    asked = descriptor.time_end.ns - descriptor.time_start.ns
    if usable_account.allow_negative or asked == 0:
        _require_groups(setting, usable_account, descriptor)
        return UNLIMITED if usable_account.allow_negative else 0
    index_ns = max(descriptor.duration_index_ns, asked)
    if payment_of(setting.generation, usable_account, descriptor, setting.now_ns, descriptor.time_end, index_ns):
        return asked
    run, ledger = _dry_pass(setting, usable_account, descriptor, index_ns)
    return paid_duration_ns(run, ledger, usable_account, descriptor, asked)


def paid_duration_ns(run: DebitPass, ledger: Ledger, before: Account, descriptor: CallDescriptor, asked_ns: int) -> int:
    """How long what a dry pass paid lasts, at most `asked_ns` (which an end before the start makes negative); 0 when the
    connect fee could not be paid. A span that is dearer than the descriptor's MaxRate ends the count, and so do increments
    that would take `*default` below zero."""
    if run.fee_unpaid:
        return 0
    default = ledger.find_default()
    default_uuid = "" if default is None else default.uuid
    credit = 0
    for balance in (before.balances or {}).get(MONETARY, ()) if default_uuid else ():
        if balance.uuid == default_uuid:
            credit = balance.value
    total = 0
    most_per_ns = descriptor.max_rate / descriptor.max_rate_unit_ns if descriptor.max_rate_unit_ns > 0 else 0.0
    for span in run.spans:
        if most_per_ns > 0 and _price_per_ns(span) > most_per_ns:
            break
        for increment in span.increments:
            count = increment.compress_factor
            info = increment.balance_info
            if (
                default_uuid
                and increment.cost_nano
                and info is not None
                and info.monetary is not None
                and info.monetary.uuid == default_uuid
            ):
                covered = min(count, max(0, credit) // increment.cost_nano)
                credit -= covered * increment.cost_nano
                if covered < count:
                    return min(asked_ns, total + covered * increment.duration_ns)
            total += count * increment.duration_ns
            if total >= asked_ns:
                return asked_ns
    return min(asked_ns, total)


def _price_per_ns(span: Timespan) -> float:
    """The price of the slot at the span's group start."""
    if span.rate_interval is None:
        return 0.0
    usage_ns = max(0, span.duration_index_ns - span.duration_ns)
    slots = [slot for slot in span.rate_interval.rating.slots if slot.group_interval_start_ns <= usage_ns]
    if not slots:
        return 0.0
    slot = max(slots, key=lambda one: one.group_interval_start_ns)
    return slot.value / slot.unit_ns if slot.unit_ns else 0.0


def empty_cost(descriptor: CallDescriptor, account: Account) -> CallCost:
    """An answer that has debited nothing."""
    return CallCost(
        descriptor.category,
        descriptor.tenant,
        descriptor.subject or descriptor.account,
        descriptor.account,
        descriptor.destination,
        descriptor.tor,
        account_summary=summarised(account, account),
    )


# --- passes ------------------------------------------------------------------------------------------------------


def _dry_pass(
    setting: Setting, account: Account, descriptor: CallDescriptor, index_ns: int
) -> tuple[DebitPass, Ledger]:
    ledger = Ledger(account, setting.read, setting.new_uuid, None, system_rounding(setting.generation))
    run = DebitPass(setting.generation, descriptor, ledger, descriptor.time_end, index_ns, dry=True, negative=False)
    run.run(setting.members_of, setting.seed)
    return run, ledger


def _unwatched(ledger: Ledger) -> bool:
    """No account of the ledger has triggers or counters, so that dry and real passes do the same."""
    return not any(draft.triggers or draft.unit_counters for draft in ledger.drafts.values())


def _debit(
    setting: Setting, account: Account, descriptor: CallDescriptor, end: Instant, index_ns: int, dry: bool
) -> Outcome:
    if not dry:
        payment = payment_of(setting.generation, account, descriptor, setting.now_ns, end, index_ns)
        if payment is not None:
            return _paid(setting, account, descriptor, payment)
    ledger = Ledger(
        account, setting.read, setting.new_uuid, None if dry else setting.hook_of, system_rounding(setting.generation)
    )
    negative = not descriptor.deny_negative_account
    run = DebitPass(setting.generation, descriptor, ledger, end, index_ns, dry=dry, negative=negative)
    run.run(setting.members_of, setting.seed)
    return _finished(setting, account, descriptor, run, ledger, dry)


def _paid(setting: Setting, account: Account, descriptor: CallDescriptor, payment: Payment) -> Outcome:
    """The outcome of a debit that one balance pays."""
    before = payment.balance.value
    draft, balance = drafted(account, payment.balance)
    balance.value = payment.values[-1]
    total = pay(account.id, payment)
    rounding = system_rounding(setting.generation)
    assert abs(before - total - balance.value) <= rounding // 2 * len(payment.values), "money conserved"
    spans = payment.rated
    if len(spans) > 1 or len(spans[0].increments) > 1:
        spans = compress(spans)
    if descriptor.perform_rounding:

        def take(info: BalanceInfo, difference: int) -> None:
            balance.value = round_system(MONETARY, balance.value - difference, rounding)

        total += _round_spans(spans, rounding, take)
    return Outcome(
        _cost(descriptor, spans, total, summarised(draft, account)),
        {account.id: draft} if balance.value != before else {},
        [account.id] if balance.value != before else [],
    )


def _finished(
    setting: Setting, account: Account, descriptor: CallDescriptor, run: DebitPass, ledger: Ledger, dry: bool
) -> Outcome:
    """Total, compress and round what a pass has paid, and say what is to be stored."""
    spans = run.spans
    total, shown = _totals(spans)
    assert ledger.money_taken_nano == shown, "money conserved: what balances lost is what the answer shows"
    spans = compress(spans)
    if descriptor.perform_rounding:
        rounding = system_rounding(setting.generation)
        subject = Subject(descriptor.category, descriptor.destination)

        def take(info: BalanceInfo, difference: int) -> None:
            assert info.monetary is not None
            owner, uuid = ledger.account(info.account_id), info.monetary.uuid
            payer = None if owner is None else ledger.find_shared(owner, MONETARY, uuid, setting.members_of)
            if payer is not None:  # else a trigger's action has removed it
                take_counted(ledger, payer, difference, subject)

        total += _round_spans(spans, rounding, take)
    if dry:
        drafts: dict[str, Account] = {}
        changed: list[str] = []
    else:
        drafts = {account_id: ledger.drafts[account_id] for account_id in run.stored(setting.now_ns)}
        changed = run.changed()
    return Outcome(_cost(descriptor, spans, total, summarised(ledger.own, account)), drafts, changed)


def _cost(descriptor: CallDescriptor, spans: list[Timespan], total: int, summary: AccountSummary) -> CallCost:
    """The answer of a debit; `spans` are compressed."""
    usage_ns = 0
    for span in spans:
        usage_ns += span.duration_ns
    return CallCost(
        descriptor.category,
        descriptor.tenant,
        descriptor.subject or descriptor.account,
        descriptor.account,
        descriptor.destination,
        descriptor.tor or VOICE,
        total,
        spans or None,
        usage_ns,
        summary,
    )


def _totals(spans: list[Timespan]) -> tuple[int, int]:
    """Sets each span's cost; answers (their sum, how much money the answer says that balances have paid)."""
    total = shown = 0
    for span in spans:
        cost = 0
        for increment in span.increments:
            count = increment.compress_factor
            cost += increment.cost_nano * count
            info = increment.balance_info
            if info is None:
                continue
            if info.monetary is not None:
                shown += increment.cost_nano * count
            if info.unit is not None and info.unit.tor == MONETARY:
                shown += info.unit.consumed * NANO_PER_GRAIN * count
        span.cost_nano = cost
        total += cost
    return total, shown


def _round_spans(spans: list[Timespan], step_nano: int, take: Callable[[BalanceInfo, int], None]) -> int:
    """Round the cost of each span that money pays from its start, and `take` the difference from that balance (20 §3.8).
    Answers the sum of the differences. `step_nano`: the system rounding."""
    total = 0
    for span in spans:
        first = span.increments[0] if span.increments else None
        if first is None or not first.cost_nano or span.rate_interval is None:
            continue
        info = first.balance_info
        if info is None or info.monetary is None:
            continue
        rating = span.rate_interval.rating
        decimals, method = rating.rounding_decimals, rating.rounding_method
        difference = rounding_difference(span.cost_nano, decimals, method, step_nano)
        if not difference:
            continue
        span.round_increment = Increment(0, difference, 1, info)
        span.cost_nano += difference
        total += difference
        take(info, difference)
    return total


def take_counted(drafts: Drafts, payer: Payer, amount_nano: int, subject: Subject) -> None:
    """Take an amount (negative: give it back) from a money balance once, feeding the owner's counters."""
    drafts.take(payer, amount_nano, 1)
    if payer.hook is not None:
        payer.hook.taken((Consumption(MONETARY, amount_nano, payer.balance, MONETARY, amount_nano),), 1, subject)
