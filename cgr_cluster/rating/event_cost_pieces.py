"""Cost details of a session, piece by piece: joining, pauses, cutting, rounding (spec 30 §4.4).

Like everything about EventCosts these functions change nothing: they give a new EventCost that shares what is equal.
"""

from __future__ import annotations

from cgr_cluster.events.instant import Instant
from cgr_cluster.rating.event_cost import (
    ROUNDING,
    Builder,
    charge_cost_nano,
    charge_step_nano,
    charge_usage_ns,
    copied,
    event_cost_of,
    usage_ns,
    without_orphans,
)
from cgr_cluster.rating.rounding import rounding_difference
from cgr_cluster.rating.types import (
    AccountSummary,
    BalanceCharge,
    BalanceInfo,
    BalanceSummary,
    CallCost,
    Charge,
    ChargeIncrement,
    EventCost,
    Increment,
    MonetaryInfo,
    RatingFilter,
    RatingUnit,
    Slot,
    Timing,
    UnitInfo,
)

PAUSE = "*pause"


# --- joining -------------------------------------------------------------------------------------------------------


def join(cost: EventCost, piece: EventCost) -> EventCost:
    """`cost` with the charges of `piece` behind its own (both stay as they are). CGRID, RunID and StartTime are those of
    `cost`, if it has charges; the account summary is that of `piece`, with what `cost` knows of earlier balances."""
    made = copied(cost)
    builder = Builder(made)
    for charge in piece.charges:
        _add(made.charges, builder.taken_over(charge, piece))
    return _finished(made, cost, piece.start_time, piece.account_summary)


def join_call_cost(cost: EventCost | None, call_cost: CallCost, cgrid: str, run_id: str) -> EventCost:
    """As `join`, straight from a CallCost: what a session does with every debit. `cost` None: the first piece."""
    if cost is None:
        return event_cost_of(call_cost, cgrid, run_id)
    spans = call_cost.timespans or []
    made = copied(cost)
    builder = Builder(made)
    for span in spans:
        _add(made.charges, builder.charge_of(span))
    start = spans[0].time_start if spans else cost.start_time
    return _finished(made, cost, start, call_cost.account_summary)


def _finished(made: EventCost, cost: EventCost, start: Instant, summary: AccountSummary | None) -> EventCost:
    if not cost.charges:
        made.start_time = start
    made.account_summary = merged_summary(cost.account_summary, summary)
    return made


def _add(charges: list[Charge], charge: Charge) -> None:
    """The three rules of 30 §4.4."""
    last = charges[-1] if charges else None
    if last is None or last.rating_id != charge.rating_id or not charge.increments or not last.increments:
        charges.append(charge)
        return
    if _equal(last.increments, charge.increments):
        charges[-1] = Charge(last.rating_id, last.increments, last.compress_factor + charge.compress_factor)
        return
    tail, head = last.increments[-1], charge.increments[0]
    if last.compress_factor != 1 or not _alike(tail, head):
        charges.append(charge)
        return
    summed = ChargeIncrement(
        tail.usage_ns, tail.cost_nano, tail.accounting_id, tail.compress_factor + head.compress_factor
    )
    charges[-1] = Charge(last.rating_id, [*last.increments[:-1], summed], 1)
    if len(charge.increments) > 1:
        charges.append(Charge(charge.rating_id, charge.increments[1:], 1))
    if charge.compress_factor > 1:  # one repetition was counted into the last charge, the others stay what they are
        charges.append(Charge(charge.rating_id, charge.increments, charge.compress_factor - 1))


def _alike(a: ChargeIncrement, b: ChargeIncrement) -> bool:
    """Equal but for the count. Equal payers have equal keys within one EventCost."""
    return a.usage_ns == b.usage_ns and a.cost_nano == b.cost_nano and a.accounting_id == b.accounting_id


def _equal(left: list[ChargeIncrement], right: list[ChargeIncrement]) -> bool:
    if len(left) != len(right):
        return False
    for a, b in zip(left, right, strict=True):
        if a.compress_factor != b.compress_factor or not _alike(a, b):
            return False
    return True


def merged_summary(first: AccountSummary | None, last: AccountSummary | None) -> AccountSummary | None:
    """The summary after the last piece: `initial` of each balance from the first summary that knows it; a balance that
    has vanished since is kept at the end with initial 0 and value 0."""
    if last is None or first is None:
        return last or first
    if len(last.balances) == len(first.balances) == 1 and last.balances[0].uuid == first.balances[0].uuid:
        balance = last.balances[0]
        balances = [_summary(balance, first.balances[0].initial, balance.value)]
        return AccountSummary(last.tenant, last.account_id, balances, last.allow_negative, last.disabled)
    before = {balance.uuid: balance for balance in first.balances}
    balances = []
    for balance in last.balances:
        known = before.pop(balance.uuid, None)
        balances.append(balance if known is None else _summary(balance, known.initial, balance.value))
    balances.extend(_summary(balance, 0, 0) for balance in before.values())
    return AccountSummary(last.tenant, last.account_id, balances, last.allow_negative, last.disabled)


def _summary(balance: BalanceSummary, initial: int, value: int) -> BalanceSummary:
    return BalanceSummary(
        balance.uuid, balance.id, balance.type, initial, value, balance.weight, balance.disabled, balance.factors
    )


# --- pauses --------------------------------------------------------------------------------------------------------

_PAUSE_UNIT = RatingUnit(0.0, "*up", 5, 0.0, "", "5ffffff", PAUSE, PAUSE)
_PAUSE_TIMING = Timing(start_time="00:00:00")
_PAUSE_SLOTS = (Slot(0, 0.0, 1, 1),)
_PAUSE_FILTER = RatingFilter("", "", PAUSE, "")


def pause(cgrid: str, run_id: str, start: Instant, length_ns: int, account: str) -> EventCost:
    """A free piece, to be joined. `account` is the bare account name."""
    return EventCost(
        cgrid,
        run_id,
        start,
        [Charge(PAUSE, [ChargeIncrement(length_ns, 0, PAUSE, 1)], 1)],
        rating={PAUSE: _PAUSE_UNIT},
        accounting={PAUSE: BalanceCharge(account, "", PAUSE, 0, False)},
        rating_filters={PAUSE: _PAUSE_FILTER},
        rates={PAUSE: _PAUSE_SLOTS},
        timings={_PAUSE_UNIT.timing_id: _PAUSE_TIMING},
    )


# --- cutting -------------------------------------------------------------------------------------------------------


def cut(cost: EventCost, used_ns: int, tor: str) -> tuple[EventCost, list[Increment]]:
    """(what stays of `cost` at a usage, the cut-off increments for a refund). The increment that has begun stays whole.
    At 0 nothing stays, the connect fee neither. `tor` names the unit balances, as in `increments_of`."""
    if used_ns >= usage_ns(cost):
        return cost, []
    if used_ns <= 0:
        return EventCost(cost.cgrid, cost.run_id, account_summary=cost.account_summary), increments_of(cost, tor)
    kept: list[Charge] = []
    off: list[Charge] = []
    left_ns = used_ns
    for charge in cost.charges:
        once_ns = charge_usage_ns(charge)
        whole_ns = once_ns * charge.compress_factor
        if left_ns == 0:
            off.append(charge)
        elif whole_ns <= left_ns:
            kept.append(charge)
            left_ns -= whole_ns
        else:
            _cut_charge(charge, once_ns, left_ns, kept, off)
            left_ns = 0
    made = copied(cost)
    made.charges = kept
    return without_orphans(made), _refundable(cost, off, tor)


def _cut_charge(charge: Charge, once_ns: int, left_ns: int, kept: list[Charge], off: list[Charge]) -> None:
    """Cut inside a charge that is longer than `left_ns` (which is not 0)."""
    whole, left_ns = divmod(left_ns, once_ns)
    if whole:
        kept.append(Charge(charge.rating_id, charge.increments, whole))
    begun = 0
    if left_ns:
        begun = 1
        stays, goes = _cut_increments(charge.increments, left_ns)
        kept.append(Charge(charge.rating_id, stays, 1))
        if goes:
            off.append(Charge(charge.rating_id, goes, 1))
    if charge.compress_factor > whole + begun:
        off.append(Charge(charge.rating_id, charge.increments, charge.compress_factor - whole - begun))


def _cut_increments(
    increments: list[ChargeIncrement], left_ns: int
) -> tuple[list[ChargeIncrement], list[ChargeIncrement]]:
    stays: list[ChargeIncrement] = []
    goes: list[ChargeIncrement] = []
    for increment in increments:
        count = increment.compress_factor
        if left_ns <= 0:
            goes.append(increment)
            continue
        if increment.usage_ns:
            stay = min(count, -(-left_ns // increment.usage_ns))
            left_ns -= stay * increment.usage_ns
        else:
            stay = count
        stays.append(_counted(increment, stay))
        if stay < count:
            goes.append(_counted(increment, count - stay))
    return stays, goes


def _counted(increment: ChargeIncrement, count: int) -> ChargeIncrement:
    if count == increment.compress_factor:
        return increment
    return ChargeIncrement(increment.usage_ns, increment.cost_nano, increment.accounting_id, count)


def increments_of(cost: EventCost, tor: str) -> list[Increment]:
    """All increments of `cost` in the form that a refund takes (20 §3.9). `tor`: the list that its unit balances are in."""
    return _refundable(cost, cost.charges, tor)


def _refundable(cost: EventCost, charges: list[Charge], tor: str) -> list[Increment]:
    out = []
    for charge in charges:
        for increment in charge.increments:
            out.append(
                Increment(
                    increment.usage_ns,
                    increment.cost_nano,
                    increment.compress_factor * charge.compress_factor,
                    _payer(cost, increment.accounting_id, tor),
                )
            )
    return out


def _payer(cost: EventCost, key: str, tor: str) -> BalanceInfo | None:
    entry = cost.accounting.get(key)
    if entry is None:
        return None
    if entry.monetary:
        return BalanceInfo(None, MonetaryInfo(entry.balance_uuid, "", 0), entry.account_id)
    money = cost.accounting.get(entry.extra_charge_id)
    return BalanceInfo(
        UnitInfo(entry.balance_uuid, "", 0, "", entry.units, entry.balance_factor, tor=tor),
        None if money is None else MonetaryInfo(money.balance_uuid, "", 0),
        entry.account_id,
    )


# --- rounding ------------------------------------------------------------------------------------------------------


def add_rounding(cost: EventCost) -> tuple[EventCost, list[Increment]]:
    """(`cost` with a `*rounding` increment in each charge that money pays and that its rate rounds, those increments
    for the accounts to debit: their cost may be negative). Decimals 0 round to whole money.

    A charge of several repetitions is rounded as a whole; its increment goes to the last repetition, split off."""
    differences = [_rounding_of(cost, charge) for charge in cost.charges]
    if not any(differences):
        return cost, []
    made = copied(cost)
    builder = Builder(made)
    charges: list[Charge] = []
    debits: list[Increment] = []
    for charge, difference in zip(cost.charges, differences, strict=True):
        payer = _money_of_first(cost, charge)
        if not difference or payer is None:
            charges.append(charge)
            continue
        key = builder.put("accounting", BalanceCharge(payer.account_id, payer.balance_uuid, ROUNDING, difference, True))
        if charge.compress_factor > 1:
            charges.append(Charge(charge.rating_id, charge.increments, charge.compress_factor - 1))
        increments = [*charge.increments, ChargeIncrement(0, difference, key, 1)]
        charges.append(Charge(charge.rating_id, increments, 1))
        debits.append(
            Increment(0, difference, 1, BalanceInfo(None, MonetaryInfo(payer.balance_uuid, "", 0), payer.account_id))
        )
    made.charges = charges
    return made, debits


def _rounding_of(cost: EventCost, charge: Charge) -> int:
    """What rounding adds to a charge as a whole, 0 when it is not rounded."""
    unit = cost.rating.get(charge.rating_id)
    if unit is None or _money_of_first(cost, charge) is None:
        return 0
    total = charge_cost_nano(charge) * charge.compress_factor
    return rounding_difference(total, unit.rounding_decimals, unit.rounding_method, charge_step_nano(charge))


def _money_of_first(cost: EventCost, charge: Charge) -> BalanceCharge | None:
    """The entry of the money that paid the first increment, if that cost something."""
    if not charge.increments or not charge.increments[0].cost_nano:
        return None
    entry = cost.accounting.get(charge.increments[0].accounting_id)
    if entry is not None and not entry.monetary:
        entry = cost.accounting.get(entry.extra_charge_id)
    return entry if entry is not None and entry.monetary else None
