"""Debits, maximum usage and refunds straight from the text of spec 20 §3.2-3.9, increment by increment: what the product,
which computes with counts, is compared with. Slow and plain on purpose; only prices (`rate`, spec 10) and triggers are the
product's.

Amounts are integers: money in nano, units in 10^-5 (design 10).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from fractions import Fraction
from typing import Any

import msgspec

from cgr_cluster.accounts.hooks import Consumption, Subject, TriggerHook
from cgr_cluster.accounts.types import Account, Balance
from cgr_cluster.engine.generation import Generation
from cgr_cluster.events.instant import ZERO, Instant
from cgr_cluster.rating.rate import rate
from cgr_cluster.rating.types import CallDescriptor, RateInterval, Rating, Slot, Timespan, Timing
from cgr_cluster.rpc.errors import ApiError

MONEY = "*monetary"
NANO = 10**9
GRAINS = 10**5
FREE = {"*voice": 10**9}  # the default `*zero1s`; any other type: `*zero1ns`


def expired(balance: Balance, at_ns: int) -> bool:
    return balance.expiration_date != ZERO and balance.expiration_date.ns < at_ns


def five_decimals(nano: int) -> int:
    """The system rounding of money: half away from zero."""
    sign = -1 if nano < 0 else 1
    return sign * ((abs(nano) + 5_000) // 10_000 * 10_000)


class Row(msgspec.Struct):
    """One increment."""

    duration_ns: int
    cost: int
    unit: tuple[Any, ...] | None = None  # uuid, value, consumed, factor, type, interval
    money: tuple[Any, ...] | None = None  # uuid, value, interval
    owner: str = ""


class Span(msgspec.Struct):
    start_ns: int
    end_ns: int
    index_ns: int
    interval: RateInterval
    match: tuple[str, str, str, str]  # subject, prefix, destination, plan
    rows: list[Row]


class Turn(msgspec.Struct):
    """A useful balance."""

    balance: Balance
    kind: str
    owner: Account


class Bank:
    """The accounts of one request; `hook_of` gives the triggers and counters of those that have some."""

    def __init__(
        self, accounts: dict[str, Account], generation: Generation, members: dict[str, list[str]], now_ns: int,
        hook_of: Callable[[Account], TriggerHook],
    ) -> None:  # fmt: skip
        self.accounts = {key: account.draft() for key, account in accounts.items()}
        self.generation = generation
        self.members = members
        self.now_ns = now_ns
        self.hook_of = hook_of
        self.hooks: dict[str, TriggerHook] = {}
        self.counted: set[str] = set()
        self.touched: set[str] = set()

    def take(self, turn: Turn, amount: int) -> None:
        balance = turn.balance
        balance.value -= amount
        if turn.kind == MONEY:
            balance.value = five_decimals(balance.value)
        self.touched.add(turn.owner.id)

    def count(self, owner: Account, parts: list[Consumption], subject: Subject) -> None:
        """Call the counters of an account for one increment."""
        self.counted.add(owner.id)
        if owner.triggers or owner.unit_counters or owner.id in self.hooks:
            if owner.id not in self.hooks:
                self.hooks[owner.id] = self.hook_of(owner)
            self.hooks[owner.id].taken(tuple(parts), 1, subject)

    def clean(self) -> None:
        """Every evaluation removes what is expired by the clock."""
        for key in self.counted:
            for kind, held in (self.accounts[key].balances or {}).items():
                self.accounts[key].balances[kind] = [  # type: ignore[index]
                    b for b in held if not expired(b, self.now_ns)
                ]


# --- which balances, in which order (3.3) ------------------------------------------------------------------------


def precision(generation: Generation, ids: dict[str, bool], number: str) -> int | None:
    if not ids or ids.get("*any"):
        return 0
    for length in range(len(number), 0, -1):
        owners = generation.destinations_of(number[:length])
        if not owners:
            continue
        found = [name for name in owners if name in ids]
        if found or not any(ids.values()):
            return None if any(not ids[name] for name in found) else length
    return None


def useful(bank: Bank, account: Account, kind: str, asked: CallDescriptor, group: str = "") -> list[Turn]:
    lists = [kind] if kind in (MONEY, "*generic") else [kind, "*generic"]
    found = []
    for name in lists:
        for balance in (account.balances or {}).get(name, []):
            if balance.disabled or expired(balance, asked.time_start.ns):
                continue
            if not (balance.value > 0 or balance.blocker or balance.shared_groups):
                continue
            if balance.categories and not balance.categories.get(asked.category):
                continue
            if group and not balance.shared_groups.get(group):
                continue
            match = precision(bank.generation, balance.destination_ids, asked.destination)
            if match is not None:
                found.append((match, balance.weight, Turn(balance, name, account)))
    found.sort(key=lambda entry: (-entry[0], -entry[1]))
    return [turn for _, _, turn in found]


def collect(bank: Bank, own: Account, kind: str, asked: CallDescriptor) -> list[Turn]:
    turns: list[Turn] = []
    for turn in useful(bank, own, kind, asked):
        for group in turn.balance.shared_groups:
            known = bank.generation.get("shared_group", group)
            if known is None:
                raise ApiError("NOT_FOUND")
            shared: list[Turn] = []
            for member in bank.members.get(group, []):
                account = bank.accounts[member]
                if not account.disabled or account is own:
                    shared += useful(bank, account, kind, asked, group)
            strategy = (known.account_parameters.get(own.id) or known.account_parameters["*any"]).strategy
            if strategy.endswith("lowest"):
                shared.sort(key=lambda t: t.balance.value)
            elif strategy.endswith("highest"):
                shared.sort(key=lambda t: -t.balance.value)
            if strategy.startswith("*mine"):
                for place, one in enumerate(shared):
                    if one.balance is turn.balance:
                        shared[0], shared[place] = shared[place], shared[0]
                        break
            turns += shared
        if not turn.balance.shared_groups:
            turns.append(turn)
    return turns


def active(balance: Balance, at_ns: int, offset_s: int) -> bool:
    if balance.disabled:
        return False
    if not balance.timings:
        return True
    clock = datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(seconds=at_ns // NANO + offset_s)

    def on(timing: Timing) -> bool:
        weekday = (clock.weekday() + 1) % 7
        fits = (
            (not timing.years or clock.year in timing.years)
            and (not timing.months or clock.month in timing.months)
            and (not timing.month_days or clock.day in timing.month_days)
            and (not timing.week_days or weekday in timing.week_days)
        )
        return fits and (timing.start_time or "00:00:00") <= f"{clock:%H:%M:%S}" <= (timing.end_time or "24:00:00")

    now_on = [timing.id for timing in balance.timings if on(timing)]
    return bool(now_on) and all(balance.timing_ids.get(name, True) for name in now_on)


# --- what one balance pays (3.4, 3.5), one request (3.2) ---------------------------------------------------------


class Debit:
    """One pass over the balances. After `run`: `spans`, and `fee_owed`: `*default` paid the connect fee below zero."""

    def __init__(
        self, bank: Bank, asked: CallDescriptor, end: Instant, index_ns: int, dry: bool, negative: bool
    ) -> None:
        self.bank = bank
        self.asked = asked
        self.own = bank.accounts[f"{asked.tenant}:{asked.account}"]
        self.left = asked.time_start
        self.end = end
        self.index_ns = index_ns
        self.dry = dry
        self.negative = negative
        self.so_far = asked.max_cost_so_far_nano
        self.spans: list[Span] = []
        self.fee_owed = False
        self.last_money_subject: str | None = None
        self.subject = Subject(asked.category, asked.destination)
        self.cut = False
        self.money: list[Turn] = []
        self.changed: list[str] = []  # owners of changed useful money, then of changed useful units (3.10)

    def run(self) -> None:
        bank, asked = self.bank, self.asked
        units = collect(bank, self.own, asked.tor, asked)
        money = self.money = collect(bank, self.own, MONEY, asked)
        values = [[turn.balance.value for turn in turns] for turns in (money, units)]
        news = True
        while news and not self.over():
            news = False
            for turns, of_units in ((units, True), (money, False)):
                paid = True
                while paid and not self.over():
                    paid = False
                    for turn in turns:
                        spans = self.pays(turn, of_units)
                        if spans:
                            self.spans += spans
                            self.left = asked.time_start.plus(spans[-1].end_ns - asked.time_start.ns)
                            paid = news = True
                        if self.over():
                            break
                        if turn.balance.blocker:
                            if not self.dry:
                                raise ApiError("INSUFFICIENT_CREDIT_BALANCE_BLOCKER")
                            self.cut = True
                            break
        if not self.over():
            own_subjects = any(own_subject(turn.balance) for turn in units)
            self.rest(None if own_subjects else self.last_money_subject)
        for turns, before in zip((money, units), values, strict=True):
            moved = {t.owner.id for t, value in zip(turns, before, strict=True) if t.balance.value != value}
            self.changed += sorted(moved)

    def over(self) -> bool:
        return self.cut or bool(self.spans and self.left.ns >= self.end.ns)

    def factor(self, turn: Turn) -> float:
        name = self.asked.extra_fields.get("BalanceFactorID")
        factors = turn.balance.factors or {}
        return factors[name] if name is not None and name in factors and turn.kind != MONEY else 1

    def takes(self, turn: Turn, duration_ns: int) -> tuple[int, int, float]:
        """(what it takes from the value, Consumed in 10^-5, factor)."""
        if turn.kind == MONEY:
            return duration_ns * NANO, duration_ns * GRAINS, 1
        factor = self.factor(turn)
        up = units_of(duration_ns, factor)
        return up, up, factor

    def unit_row(self, turn: Turn, consumed: int, factor: float, interval: RateInterval | None) -> tuple[Any, ...]:
        value = turn.balance.value if turn.kind != MONEY else turn.balance.value // 10_000
        kind = MONEY if turn.kind == MONEY and interval is None else self.asked.tor
        return turn.balance.uuid, value, consumed, factor, kind, interval

    def pays(self, turn: Turn, of_units: bool) -> list[Span]:
        balance = turn.balance
        if balance.value <= 0 or not active(balance, self.left.ns, self.asked.time_start.offset_s):
            return []
        step = free_step(balance.rating_subject, self.asked.tor, of_units)
        return self.rated(turn, of_units) if step is None else self.free(turn, step)

    def free(self, turn: Turn, step: int) -> list[Span]:
        """Case A."""
        balance = turn.balance
        length = self.end.ns - self.left.ns
        wanted = max(1, -(-length // step))
        takes, consumed, factor = self.takes(turn, step)
        kind = MONEY if turn.kind == MONEY else self.asked.tor
        rows: list[Row] = []
        while len(rows) < wanted and balance.value >= takes:
            self.bank.take(turn, takes)
            rows.append(Row(step, 0, self.unit_row(turn, consumed, factor, None), None, turn.owner.id))
            self.count(turn.owner, [Consumption(kind, takes, balance, turn.kind, takes)])
        if not rows:
            return []
        prefix, name = self.asked.destination, "*any"
        if not balance.destination_ids.get("*any"):
            for size in range(len(prefix), 0, -1):
                owners = self.bank.generation.destinations_of(self.asked.destination[:size])
                mine = [owner for owner in owners if balance.destination_ids.get(owner)]
                if mine:
                    prefix, name = self.asked.destination[:size], mine[0]
                    break
        added = len(rows) * step - length if len(rows) == wanted else 0
        interval = RateInterval(None, Rating(slots=(Slot(0, 0.0, step, step),)))
        end_ns = self.left.ns + len(rows) * step
        return [Span(self.left.ns, end_ns, added, interval, (balance.uuid, prefix, name, "*none"), rows)]

    def price(self, subject: str | None) -> list[Timespan]:
        self.index_ns = max(self.index_ns, self.end.ns - self.left.ns)
        return rate(
            self.bank.generation, self.asked, subject=subject, start=self.left, end=self.end,
            duration_index_ns=self.index_ns,
        )  # fmt: skip

    def rated(self, turn: Turn, of_units: bool) -> list[Span]:
        """Case B."""
        subject = own_subject(turn.balance)
        priced = self.price(subject)
        if not of_units:
            self.last_money_subject = subject
        first: list[Row] = []
        if not self.spans and self.asked.loop_index == 0:
            paid = self.connect(fee_of(priced[0]), turn.owner)
            if paid is None:
                return []
            first = paid
        spans: list[Span] = []
        for span in priced:
            made = Span(
                span.time_start.ns, span.time_start.ns, 0, span.rate_interval,  # type: ignore[arg-type]
                (span.matched_subject, span.matched_prefix, span.matched_dest_id, span.rating_plan_id), first,
            )  # fmt: skip
            first = []
            asked = span.increments[0]
            done = 0
            for _ in range(asked.compress_factor):
                row = self.increment(turn, of_units, made.interval, asked.duration_ns, asked.cost_nano)
                if row is None:
                    break
                made.rows.append(row)
                done += 1
            made.end_ns += done * asked.duration_ns
            missing = (asked.compress_factor - done) * asked.duration_ns
            made.index_ns = max(0, span.duration_index_ns - missing)
            if made.rows:
                spans.append(made)
            if missing:
                break
        return spans

    def connect(self, fee: int, counted: Account) -> list[Row] | None:
        """The connect fee, from whoever pays it; None: a blocker bars it."""
        for payer in self.money:
            if not active(payer.balance, self.left.ns, self.asked.time_start.offset_s):
                continue
            if payer.balance.value >= fee:
                return self.pay_fee(payer, fee, counted)
            if payer.balance.blocker:
                return None
        if not fee:
            return []
        self.fee_owed = True
        return self.pay_fee(self.default(), fee, counted)

    def pay_fee(self, payer: Turn, fee: int, counted: Account) -> list[Row]:
        balance = payer.balance
        self.bank.take(payer, fee)
        self.count(
            counted,
            [
                Consumption("*event_connect", GRAINS, balance, payer.kind, fee),
                Consumption(MONEY, fee, balance, payer.kind, 0),
            ],
        )
        return [Row(0, fee, None, (balance.uuid, balance.value, None), payer.owner.id)] if fee else []

    def increment(self, turn: Turn, of_units: bool, interval: RateInterval, duration: int, cost: int) -> Row | None:
        """One increment of case B, or None when the balance cannot pay it."""
        balance, rating = turn.balance, interval.rating
        shown = interval if of_units or balance.rating_subject else None
        if rating.max_cost > 0 and self.so_far >= round(rating.max_cost * NANO):
            if rating.max_cost_strategy == "*free":
                value = balance.value if turn.kind == MONEY else balance.value * 10_000
                self.count(turn.owner, [Consumption(MONEY, 0, balance, turn.kind, 0)])
                return Row(duration, 0, None, (balance.uuid, value, shown), turn.owner.id)
            if rating.max_cost_strategy == "*disconnect" and self.dry:
                self.cut = True
                return None
        if not of_units:
            if balance.value < cost:
                return None
            self.bank.take(turn, cost)
            money = (balance.uuid, balance.value, shown)
            self.count(turn.owner, [Consumption(MONEY, cost, balance, turn.kind, cost)])
            self.so_far += cost
            return Row(duration, cost, None, money, turn.owner.id)
        takes, consumed, factor = self.takes(turn, duration)
        if balance.value < takes:
            return None
        parts = [Consumption(self.asked.tor, takes, balance, turn.kind, takes)]
        money = None
        payer: Turn | None = None
        if cost:
            payer = next((one for one in self.money if one.balance.value >= cost), None)
            if payer is None and (not self.dry or self.own.allow_negative):
                payer = self.default()
            if payer is None:
                return None
            parts.append(Consumption(MONEY, cost, payer.balance, MONEY, cost))
        self.bank.take(turn, takes)
        unit = self.unit_row(turn, consumed, factor, interval)
        if payer is not None:
            self.bank.take(payer, cost)
            own = interval if payer.balance.rating_subject else None
            money = (payer.balance.uuid, payer.balance.value, own)
        self.count(turn.owner, parts)
        self.so_far += cost
        return Row(duration, cost, unit, money, turn.owner.id)

    def rest(self, subject: str | None) -> None:
        """Step 5."""
        priced = self.price(subject)
        total = sum(s.increments[0].cost_nano * s.increments[0].compress_factor for s in priced)
        if self.asked.loop_index == 0:
            total += fee_of(priced[0])
        if total and not self.negative:
            return
        first: list[Row] = []
        if total and not self.spans and self.asked.loop_index == 0:
            first = self.connect(fee_of(priced[0]), self.own) or []
        for span in priced:
            asked = span.increments[0]
            made = Span(
                span.time_start.ns, span.time_end.ns, span.duration_index_ns, span.rate_interval,  # type: ignore[arg-type]
                (span.matched_subject, span.matched_prefix, span.matched_dest_id, span.rating_plan_id), first,
            )  # fmt: skip
            first = []
            for _ in range(asked.compress_factor):
                if not total:
                    made.rows.append(Row(asked.duration_ns, 0, None, None, self.own.id))
                    continue
                payer = self.default()
                self.bank.take(payer, asked.cost_nano)
                money = (payer.balance.uuid, payer.balance.value, None)
                self.count(
                    self.own, [Consumption(MONEY, asked.cost_nano, payer.balance, MONEY, asked.cost_nano)]
                )  # fmt: skip
                made.rows.append(Row(asked.duration_ns, asked.cost_nano, None, money, self.own.id))
            self.spans.append(made)

    def default(self) -> Turn:
        if self.own.balances is None:
            self.own.balances = {}
        held = self.own.balances.setdefault(MONEY, [])
        for balance in held:
            if balance.id == "*default":
                return Turn(balance, MONEY, self.own)
        held.append(Balance("made", "*default"))
        return Turn(held[-1], MONEY, self.own)

    def count(self, owner: Account, parts: list[Consumption]) -> None:
        if not self.dry:
            self.bank.count(owner, parts, self.subject)


def units_of(duration_ns: int, factor: float) -> int:
    """Duration x factor, rounded up at 5 decimals (3.5)."""
    exact = Fraction(str(factor)) * duration_ns * GRAINS
    return -(-exact.numerator // exact.denominator)


def fee_of(span: Timespan) -> int:
    assert span.rate_interval is not None
    return round(span.rate_interval.rating.connect_fee * NANO)


def own_subject(balance: Balance) -> str | None:
    subject = balance.rating_subject
    return None if subject in ("", "*any") or subject.startswith("*zero") else subject


def free_step(subject: str, tor: str, of_units: bool) -> int | None:
    """Case A's step, for the subjects that the tests use; None: case B, also for `*zerominute`."""
    if subject in ("", "*any"):
        return FREE.get(tor, 1) if of_units else 1 if subject else None
    if not subject.startswith("*zero"):
        return None
    return {
        "*zero1": 1, "*zero3": 3, "*zero5s": 5 * NANO, "*zero7s": 7 * NANO, "*zero30s": 30 * NANO, "*zero1m": 60 * NANO,
    }.get(subject)  # fmt: skip
