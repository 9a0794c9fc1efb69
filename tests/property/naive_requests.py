"""Responder.Debit, MaxDebit, GetMaxSessionTime and the refunds on the naive debit (spec 20 §3.2, 3.7, 3.8, 3.9)."""

from __future__ import annotations

from typing import Any

import msgspec

from cgr_cluster.accounts.hooks import Consumption, Subject
from cgr_cluster.accounts.types import Account, Balance
from cgr_cluster.rating.rounding import round_nano
from cgr_cluster.rating.types import AccountSummary, BalanceSummary, CallCost, CallDescriptor, Increment, Slot
from cgr_cluster.rpc.errors import ApiError
from tests.property.naive_debit import MONEY, NANO, Bank, Debit, Row, Span, Turn, collect, units_of

TYPES = ("*data", "*sms", "*mms", "*voice", "*generic", MONEY)


class Answer(msgspec.Struct):
    """A CallCost as it must be: `spans` as `shown` makes them."""

    cost: int = 0
    spans: list[Any] | None = None
    rated_usage_ns: int = 0
    summary: AccountSummary | None = None
    changed: list[str] = []


# --- requests ----------------------------------------------------------------------------------------------------


def _usable(bank: Bank, asked: CallDescriptor) -> Account:
    account = bank.accounts.get(f"{asked.tenant}:{asked.account}")
    if account is None:
        raise ApiError("ACCOUNT_NOT_FOUND")
    if account.disabled:
        raise ApiError("ACCOUNT_DISABLED")
    for kind in (asked.tor, MONEY):
        collect(bank, account, kind, asked)  # NOT_FOUND
    return account


def debit(bank: Bank, asked: CallDescriptor, length_ns: int | None = None, index_ns: int | None = None) -> Answer:
    """Responder.Debit of the interval, or of its first part."""
    own = _usable(bank, asked)
    before = own.draft()
    end = asked.time_end if length_ns is None else asked.time_start.plus(length_ns)
    run = Debit(
        bank, asked, end, asked.duration_index_ns if index_ns is None else index_ns,
        dry=asked.dry_run, negative=not asked.deny_negative_account,
    )  # fmt: skip
    run.run()
    spans = shown(run.spans)
    cost = sum(span["cost"] for span in spans)
    if asked.perform_rounding:
        cost += sum(_round(bank, span, asked) for span in spans)
    usage = sum(span["end"] - span["start"] for span in spans)
    bank.clean()
    return Answer(cost, spans or None, usage, summary(own, before), run.changed)


def max_time(bank: Bank, asked: CallDescriptor) -> int:
    """Responder.GetMaxSessionTime; `bank` is spent."""
    own = _usable(bank, asked)
    if own.allow_negative:
        return -1
    length = asked.time_end.ns - asked.time_start.ns
    uuid, credit = next(
        ((b.uuid, b.value) for b in (own.balances or {}).get(MONEY, []) if b.id == "*default"), ("made", 0)
    )
    run = Debit(bank, asked, asked.time_end, max(asked.duration_index_ns, length), dry=True, negative=False)
    run.run()
    if run.fee_owed:
        return 0
    total = 0
    for span in run.spans:
        if asked.max_rate > 0 and asked.max_rate_unit_ns > 0:
            slot = slot_of(span)
            if slot.value / slot.unit_ns > asked.max_rate / asked.max_rate_unit_ns:
                break
        for row in span.rows:
            if row.money is not None and row.money[0] == uuid:
                credit -= row.cost
                if row.cost and credit < 0:
                    return min(total, length)
            total += row.duration_ns
    return min(total, length)


def max_debit(bank: Bank, spare: Bank, asked: CallDescriptor) -> Answer:
    """Responder.MaxDebit; `spare` is a copy of the accounts for the dry run."""
    length = asked.time_end.ns - asked.time_start.ns
    granted = max_time(spare, asked)
    index_ns = max(asked.duration_index_ns, length)
    own = bank.accounts[f"{asked.tenant}:{asked.account}"]
    if asked.force_duration and not own.allow_negative and granted < length:
        raise ApiError("INSUFFICIENT_CREDIT")
    real = msgspec.structs.replace(asked, dry_run=False)
    if granted == 0:
        return Answer(summary=summary(own, own))
    if granted < 0:
        return debit(bank, real, None, index_ns)
    return debit(bank, real, granted, index_ns - (length - granted))


def refund(bank: Bank, asked: CallDescriptor) -> None:
    """Responder.RefundIncrements, one increment after the other."""
    subject = Subject(asked.category, asked.destination)
    for increment in asked.increments:
        info = increment.balance_info
        owner = bank.accounts.get(info.account_id) if info is not None else None
        for _ in range(increment.compress_factor if owner is not None else 0):
            assert owner is not None and info is not None
            lists = owner.balances or {}
            parts: list[Consumption] = []
            if info.unit is not None and info.unit.uuid:
                kinds = [asked.tor, "*generic", MONEY]
                found = next(((k, b) for k in kinds for b in lists.get(k, []) if b.uuid == info.unit.uuid), None)
                if found is None:
                    break
                kind, balance = found
                back = (
                    increment.duration_ns * NANO if kind == MONEY else units_of(increment.duration_ns, info.unit.factor)
                )
                counted = MONEY if kind == MONEY else asked.tor
                bank.take(Turn(balance, kind, owner), -back)
                parts.append(Consumption(counted, -back, balance, kind, -back))
            if info.monetary is not None and info.monetary.uuid:
                payer = money_of(bank, owner, info.monetary.uuid)
                if payer is not None:
                    bank.take(payer, -increment.cost_nano)
                    parts.append(Consumption(MONEY, -increment.cost_nano, payer.balance, MONEY, -increment.cost_nano))
            if parts:
                bank.count(owner, parts, subject)
    bank.clean()


def money_of(bank: Bank, owner: Account, uuid: str) -> Turn | None:
    """The money balance with this UUID: the owner's, or (ours) that of whoever shares a group with it."""
    for account in (owner, *bank.accounts.values()):
        for balance in (account.balances or {}).get(MONEY, []):
            if balance.uuid == uuid and account.id == owner.id:
                return Turn(balance, MONEY, account)
            groups = {g for held in (owner.balances or {}).values() for b in held for g in b.shared_groups}
            if balance.uuid == uuid and any(account.id in bank.members[group] for group in groups):
                return Turn(balance, MONEY, account)
    return None


# --- answers -----------------------------------------------------------------------------------------------------


def slot_of(span: Span) -> Slot:
    """The slot at the group start of a span."""
    used = max(0, span.index_ns - (span.end_ns - span.start_ns))
    fitting = [slot for slot in span.interval.rating.slots if slot.group_interval_start_ns <= used]
    return max(fitting, key=lambda slot: slot.group_interval_start_ns)


def shown(spans: list[Span]) -> list[Any]:
    """Equal neighbours merged: increments in a span, then whole spans (20 §3.1, 10 §6)."""
    out: list[Any] = []
    for span in spans:
        rows: list[Any] = []
        for row in span.rows:
            if rows and _key(rows[-1][0]) == _key(row):
                rows[-1] = (row, rows[-1][1] + 1)
            else:
                rows.append((row, 1))
        slot = slot_of(span)
        key = (
            [(_key(row), count) for row, count in rows], span.interval.weight, span.interval.timing, slot.value,
            slot.unit_ns, span.match,
        )  # fmt: skip
        made = {
            "key": key, "start": span.start_ns, "end": span.end_ns, "index": span.index_ns,
            "interval": span.interval, "match": span.match, "rows": [row_shown(row, n) for row, n in rows],
            "cost": sum(row.cost * n for row, n in rows), "factor": 1, "rounding": None,
            "first": rows[0][0] if rows else None,
        }  # fmt: skip
        if out and out[-1]["key"] == key:
            last = out[-1]
            last.update(rows=made["rows"], end=made["end"], index=made["index"], factor=last["factor"] + 1)
            last["cost"] += made["cost"]
        else:
            out.append(made)
    return out


def row_shown(row: Row, count: int) -> Any:
    return row.duration_ns, row.cost, count, row.unit, row.money, row.owner


def _key(row: Row) -> Any:
    """What makes increments equal: not what is left in the balances."""
    unit = None if row.unit is None else (row.unit[0], *row.unit[2:])
    money = None if row.money is None else (row.money[0], row.money[2])
    return row.duration_ns, row.cost, unit, money, row.owner


def _round(bank: Bank, span: Any, asked: CallDescriptor) -> int:
    """PerformRounding of one span (3.8): what it adds."""
    first = span["first"]
    if first is None or not first.cost or first.money is None:
        return 0
    rating = span["interval"].rating
    added = round_nano(span["cost"], rating.rounding_decimals, rating.rounding_method) - span["cost"]
    if not added:
        return 0
    span["cost"] += added
    span["rounding"] = added
    payer = money_of(bank, bank.accounts[first.owner], first.money[0])
    if payer is not None:
        bank.take(payer, added)
        if not asked.dry_run:
            part = Consumption(MONEY, added, payer.balance, MONEY, added)
            bank.count(payer.owner, [part], Subject(asked.category, asked.destination))
    return added


def summary(own: Account, before: Account) -> AccountSummary:
    old = {b.uuid: b.value for held in (before.balances or {}).values() for b in held}
    left = {b.uuid for held in (own.balances or {}).values() for b in held}
    rows = [_balance(k, b, old.get(b.uuid, 0), b.value) for k in TYPES for b in (own.balances or {}).get(k, [])]
    gone = [_balance(k, b, 0, 0) for k in TYPES for b in (before.balances or {}).get(k, []) if b.uuid not in left]
    tenant, _, name = own.id.partition(":")
    return AccountSummary(tenant, name, rows + gone, own.allow_negative, own.disabled)


def _balance(kind: str, b: Balance, initial: int, value: int) -> BalanceSummary:
    return BalanceSummary(b.uuid, b.id or b.uuid, kind, initial, value, b.weight, b.disabled, b.factors)


def shown_by_product(cost: CallCost) -> list[Any] | None:
    """The spans of a real answer in the form of `shown`."""
    if cost.timespans is None:
        return None
    return [
        {
            "start": s.time_start.ns, "end": s.time_end.ns, "index": s.duration_index_ns, "interval": s.rate_interval,
            "match": (s.matched_subject, s.matched_prefix, s.matched_dest_id, s.rating_plan_id),
            "rows": [_increment(i) for i in s.increments], "cost": s.cost_nano, "factor": s.compress_factor,
            "rounding": None if s.round_increment is None else s.round_increment.cost_nano,
        }
        for s in cost.timespans
    ]  # fmt: skip


def _increment(increment: Increment) -> Any:
    info = increment.balance_info
    assert info is not None
    unit, money = info.unit, info.monetary
    return (
        increment.duration_ns,
        increment.cost_nano,
        increment.compress_factor,
        None if unit is None else (unit.uuid, unit.value, unit.consumed, unit.factor, unit.tor, unit.rate_interval),
        None if money is None else (money.uuid, money.value_nano, money.rate_interval),
        info.account_id,
    )
