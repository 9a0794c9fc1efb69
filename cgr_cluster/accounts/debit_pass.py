"""One pass of a debit over an account's useful balances (spec 20 §3.2 steps 2-5, §3.4-3.6): who pays which part of the
interval.

It works on the ledger's drafts. Equal increments are counted: how many of them a balance pays is one division. Where the
paying account has triggers or counters, its hook says how far a division may go before they have to be looked at.
"""

from __future__ import annotations

from cgr_cluster.accounts.amounts import GENERIC, MONETARY, NANO_PER_GRAIN, VOICE, to_nano
from cgr_cluster.accounts.expiry import removes_expired
from cgr_cluster.accounts.hooks import Consumption, Subject
from cgr_cluster.accounts.increments import add_increment, cut_span
from cgr_cluster.accounts.ledger import Ledger, MembersOf, Payer, units_of
from cgr_cluster.accounts.matching import active, matched_destination, useful
from cgr_cluster.accounts.shared_groups import expanded
from cgr_cluster.accounts.taking import Taker
from cgr_cluster.accounts.types import Account
from cgr_cluster.accounts.zero_subject import free_step_ns, own_subject
from cgr_cluster.engine.domain import GenerationView
from cgr_cluster.events.amounts import GRAINS, NANO, nano_of
from cgr_cluster.events.instant import Instant
from cgr_cluster.rating.rate import connect_fee_nano, rate
from cgr_cluster.rating.rounding import round_nano
from cgr_cluster.rating.types import (
    BalanceInfo,
    CallDescriptor,
    Increment,
    MonetaryInfo,
    RateInterval,
    Rating,
    Slot,
    Timespan,
    UnitInfo,
)
from cgr_cluster.rpc.errors import ApiError

FREE_PLAN = "*none"
EVENT_CONNECT = "*event_connect"
CAP_FREE = "*free"
CAP_DISCONNECT = "*disconnect"


class DebitPass:
    """`dry`: nothing is counted, blockers and `*disconnect` caps end it instead of failing or being ignored.
    `negative`: what nobody pays goes to the caller's `*default`. After `run`, `spans` is what was paid, unmerged."""

    __slots__ = (
        "_category",
        "_descriptor",
        "_dry",
        "_duration_index_ns",
        "_end",
        "_end_ns",
        "_generation",
        "_initial",
        "_ledger",
        "_left",
        "_money",
        "_money_subject",
        "_negative",
        "_so_far_nano",
        "_stopped",
        "_taker",
        "_tor",
        "_units",
        "covered",
        "differs",
        "fee_unpaid",
        "spans",
    )

    def __init__(
        self,
        generation: GenerationView,
        descriptor: CallDescriptor,
        ledger: Ledger,
        end: Instant,
        duration_index_ns: int,
        *,
        dry: bool,
        negative: bool,
    ) -> None:
        self._generation = generation
        self._descriptor = descriptor
        self._ledger = ledger
        self._dry = dry
        self._negative = negative
        self._tor = descriptor.tor or VOICE
        self._category = descriptor.category
        self._left = descriptor.time_start
        self._end = end
        self._end_ns = end.ns
        self._duration_index_ns = duration_index_ns
        self._so_far_nano = descriptor.max_cost_so_far_nano
        self._taker = Taker(ledger, Subject(descriptor.category, descriptor.destination))
        self._units: list[Payer] = []
        self._money: list[Payer] = []
        self._money_subject: str | None = None
        self._initial: list[int] = []
        self._stopped = False
        self.spans: list[Timespan] = []
        self.covered = False  # balances paid the whole interval
        self.differs = False  # where a real debit would have gone below zero, this dry one did not
        self.fee_unpaid = False  # no balance could pay the connect fee: `*default` did, below zero

    # --- the pass ------------------------------------------------------------------------------------------------

    def run(self, members_of: MembersOf, seed: str) -> None:
        """Pay for the interval. Raises the rating's errors, `NOT_FOUND` (a shared group), and in a real debit
        `INSUFFICIENT_CREDIT_BALANCE_BLOCKER`."""
        self._units = self._useful(self._tor, members_of, seed)
        self._money = self._useful(MONETARY, members_of, seed)
        self._initial = [payer.balance.value for payer in (*self._money, *self._units)]
        progress = True
        while progress:
            units = self._pass_over(self._units, True)
            if self._stopped:
                return
            money = self._pass_over(self._money, False)
            if self._stopped:
                return
            progress = units or money
        self._rest()

    def _useful(self, balance_type: str, members_of: MembersOf, seed: str) -> list[Payer]:
        ledger = self._ledger
        lists = ledger.own.balances
        if not lists or not (balance_type in lists or GENERIC in lists):
            return []
        at_ns = self._left.ns
        destination = self._descriptor.destination
        found = useful(self._generation, ledger.own, balance_type, self._category, destination, at_ns)
        for balance, _ in found:
            if balance.shared_groups:
                return expanded(
                    ledger, self._generation, members_of, found, balance_type, self._category, destination, at_ns, seed
                )
        return [ledger.payer(balance, kind, ledger.own) for balance, kind in found]

    def _pass_over(self, payers: list[Payer], is_unit: bool) -> bool:
        """Let each pay what it can, again as long as some did. Answers whether any did."""
        any_paid = False
        paid = bool(payers)
        while paid:
            paid = False
            for payer in payers:
                spans = self._turn(payer, is_unit)
                if spans:
                    self.spans += spans
                    self._left = spans[-1].time_end
                    paid = any_paid = True
                    if self._left.ns >= self._end_ns and not self._stopped:
                        self._stopped = self.covered = True
                if self._stopped:
                    return any_paid
                if payer.balance.blocker:
                    if not self._dry:
                        raise ApiError("INSUFFICIENT_CREDIT_BALANCE_BLOCKER")
                    self._stopped = True
                    return any_paid
        return any_paid

    def _turn(self, payer: Payer, is_unit: bool) -> list[Timespan]:
        """What one balance pays of what is left."""
        balance = payer.balance
        if balance.value <= 0 or (balance.timings and not active(balance, self._left)):
            return []
        step = free_step_ns(self._generation, balance.rating_subject, self._tor, is_unit)
        if step is not None:
            span = self._free_units(payer, step, is_unit)
            return [] if span is None else [span]
        return self._rated(payer, is_unit)

    # --- case A: free units --------------------------------------------------------------------------------------

    def _free_units(self, payer: Payer, step_ns: int, is_unit: bool) -> Timespan | None:
        balance = payer.balance
        length = self._end_ns - self._left.ns
        wanted = max(1, -(-length // step_ns))
        if is_unit and payer.type != MONETARY:
            factor = self._factor(payer)
            consumed = amount = units_of(step_ns, factor, self._ledger.rounding)
            tor = self._tor
        else:
            factor = 1.0
            consumed, amount = step_ns * GRAINS, step_ns * NANO
            tor = MONETARY
        if payer.hook is None:
            paid = self._taker.take_plain(payer, amount, wanted)
            value = balance.value
        else:
            parts = (Consumption(tor, amount, balance, payer.type, amount),)
            paid = value = 0
            while paid < wanted:
                some, values = self._taker.take((payer,), parts, wanted - paid, payer)
                if not some:
                    break
                paid += some
                value = values[0]
        if not paid:
            return None
        if payer.type == MONETARY:
            value //= NANO_PER_GRAIN
        prefix, destination_id = matched_destination(
            self._generation, balance.destination_ids, self._descriptor.destination
        )
        unit = UnitInfo(
            balance.uuid, balance.id, value, self._descriptor.destination, consumed, factor, self._category, tor
        )
        return Timespan(
            self._left,
            self._left.plus(paid * step_ns),
            paid * step_ns - length if paid == wanted else 0,
            0,
            RateInterval(None, Rating(slots=(Slot(0, 0.0, step_ns, step_ns),))),
            [Increment(step_ns, 0, paid, BalanceInfo(unit, None, payer.owner.id))],
            None,
            balance.uuid,
            prefix,
            destination_id,
            FREE_PLAN,
        )

    def _factor(self, payer: Payer) -> float:
        factors = payer.balance.factors
        if not factors or payer.type == MONETARY:
            return 1.0
        name = self._descriptor.extra_fields.get("BalanceFactorID")
        return 1.0 if name is None else factors.get(name, 1.0)

    # --- case B: rated -------------------------------------------------------------------------------------------

    def _rate(self, subject: str | None) -> list[Timespan]:
        self._duration_index_ns = max(self._duration_index_ns, self._end_ns - self._left.ns)
        return rate(
            self._generation,
            self._descriptor,
            subject=subject,
            start=self._left,
            end=self._end,
            duration_index_ns=self._duration_index_ns,
        )

    def _rated(self, payer: Payer, is_unit: bool) -> list[Timespan]:
        subject = own_subject(payer.balance.rating_subject)
        rated = self._rate(subject)
        if not is_unit:
            self._money_subject = subject
        fee: Increment | None = None
        if not self.spans and self._descriptor.loop_index == 0:
            barred, fee = self._connect_fee(connect_fee_nano(rated[0]), payer.owner)
            if barred:
                return []
        kept: list[Timespan] = []
        for span in rated:
            asked = span.increments[0]
            span.increments = paid = [] if fee is None else [fee]
            fee = None
            done = self._pay_span(payer, span, asked, paid, is_unit)
            if paid:
                kept.append(span)
            if done < asked.compress_factor:
                cut_span(span, asked, done)
                break
        return kept

    def _pay_span(self, payer: Payer, span: Timespan, asked: Increment, out: list[Increment], is_unit: bool) -> int:
        """Pay increments of a span from a balance, adding them to `out`. Answers how many."""
        interval = span.rate_interval
        assert interval is not None, "a rated span has its binding"
        rating = interval.rating
        strategy = rating.max_cost_strategy if rating.max_cost > 0 else ""
        cap_nano = nano_of(rating.max_cost) if strategy else 0
        cost = asked.cost_nano
        done = 0
        while done < asked.compress_factor:
            limit = asked.compress_factor - done
            if strategy:
                if self._so_far_nano >= cap_nano:
                    if strategy == CAP_FREE:
                        self._made_free(payer, interval, asked.duration_ns, limit, out, is_unit)
                        return asked.compress_factor
                    if strategy == CAP_DISCONNECT and self._dry:
                        self._stopped = True
                        return done
                elif cost:
                    limit = min(limit, -(-(cap_nano - self._so_far_nano) // cost))
            if is_unit:
                paid = self._pay_units(payer, interval, asked.duration_ns, cost, limit, out)
            else:
                paid = self._pay_money(payer, interval, asked.duration_ns, cost, limit, out)
            if not paid:
                return done
            self._so_far_nano += paid * cost
            done += paid
        return done

    def _made_free(
        self, payer: Payer, interval: RateInterval, duration_ns: int, count: int, out: list[Increment], is_unit: bool
    ) -> None:
        """Increments above a `*free` cap: they take nothing from the balance, not even units."""
        balance = payer.balance
        shown = interval if is_unit or balance.rating_subject else None
        parts = (Consumption(MONETARY, 0, balance, payer.type, 0),)
        done = value = 0
        while done < count:
            value = balance.value  # a trigger may top it up after the last of them
            done += self._taker.take((), parts, count - done, payer)[0]
        money = MonetaryInfo(balance.uuid, balance.id, to_nano(payer.type, value), shown)
        add_increment(out, Increment(duration_ns, 0, count, BalanceInfo(None, money, payer.owner.id)))

    def _pay_money(
        self, payer: Payer, interval: RateInterval, duration_ns: int, cost: int, limit: int, out: list[Increment]
    ) -> int:
        balance = payer.balance
        if payer.hook is None:
            paid = self._taker.take_plain(payer, cost, limit)
            value = balance.value
        else:
            parts = (Consumption(MONETARY, cost, balance, payer.type, cost),)
            paid, values = self._taker.take((payer,), parts, limit, payer)
            value = values[0] if paid else 0
        if paid:
            money = MonetaryInfo(balance.uuid, balance.id, value, interval if balance.rating_subject else None)
            add_increment(out, Increment(duration_ns, cost, paid, BalanceInfo(None, money, payer.owner.id)))
        return paid

    def _pay_units(
        self, payer: Payer, interval: RateInterval, duration_ns: int, cost: int, limit: int, out: list[Increment]
    ) -> int:
        balance = payer.balance
        factor = self._factor(payer)
        if payer.type == MONETARY:
            amount = duration_ns * NANO
        else:
            amount = units_of(duration_ns, factor, self._ledger.rounding)
        if balance.value < amount:
            return 0
        unit_part = Consumption(self._tor, amount, balance, payer.type, amount)
        money: MonetaryInfo | None = None
        if cost:
            from_money = self._money_payer(cost)
            if from_money is None:
                return 0
            bill = from_money.balance
            parts = (unit_part, Consumption(MONETARY, cost, bill, MONETARY, cost))
            forced = bill.value < cost
            if bill is balance:  # ToR `*monetary`: the same money pays twice for each increment
                needed = amount if forced else max(amount, cost)
                limit = min(limit, (bill.value - needed) // (amount + cost) + 1)
            paid, values = self._taker.take((payer, from_money), parts, limit, payer, forced=forced)
            if paid:
                money = MonetaryInfo(bill.uuid, bill.id, values[1], interval if bill.rating_subject else None)
                if bill is balance:
                    values[0] = values[1] + cost
        else:
            paid, values = self._taker.take((payer,), (unit_part,), limit, payer)
        if paid:
            consumed = amount if payer.type != MONETARY else duration_ns * GRAINS
            shown = values[0] if payer.type != MONETARY else values[0] // NANO_PER_GRAIN
            destination = self._descriptor.destination
            unit = UnitInfo(
                balance.uuid, balance.id, shown, destination, consumed, factor, self._category, self._tor, interval
            )
            add_increment(out, Increment(duration_ns, cost, paid, BalanceInfo(unit, money, payer.owner.id)))
        return paid

    def _money_payer(self, cost: int) -> Payer | None:
        """Who pays the price of priced units: the first useful money balance that can, else `*default` below zero, in a
        real debit."""
        for payer in self._money:
            if payer.balance.value >= cost:
                return payer
        if self._dry and not self._ledger.own.allow_negative:
            self.differs = True
            return None
        return self._ledger.default()

    # --- connect fee, rest ---------------------------------------------------------------------------------------

    def _connect_fee(self, fee_nano: int, counted: Account) -> tuple[bool, Increment | None]:
        """Take the fee from the first useful, active money balance that can pay it, else from `*default` below zero.
        Answers (a blocker bars it, the increment; None for a fee of 0)."""
        payer: Payer | None = None
        for candidate in self._money:
            if candidate.balance.timings and not active(candidate.balance, self._left):
                continue
            if candidate.balance.value >= fee_nano:
                payer = candidate
                break
            if candidate.balance.blocker:
                return True, None
        if payer is None:
            if not fee_nano:
                return False, None
            payer = self._ledger.default()
            self.fee_unpaid = True
        balance = payer.balance
        parts = (
            Consumption(EVENT_CONNECT, GRAINS, balance, payer.type, fee_nano),
            Consumption(MONETARY, fee_nano, balance, payer.type, 0),
        )
        self._ledger.take(payer, fee_nano, 1)
        self._taker.count(parts, 1, counted)
        if not fee_nano:
            return False, None
        money = MonetaryInfo(balance.uuid, balance.id, balance.value)
        return False, Increment(0, fee_nano, 1, BalanceInfo(None, money, payer.owner.id))

    def _rest(self) -> None:
        """What nobody paid: added when it is free, else taken from `*default` below zero, if that is allowed."""
        subject = self._money_subject
        if subject is not None and any(own_subject(payer.balance.rating_subject) for payer in self._units):
            subject = None
        rated = self._rate(subject)
        own = self._ledger.own
        if self._is_free(rated):
            for span in rated:
                span.increments[0].balance_info = BalanceInfo(None, None, own.id)
            self.spans += rated
            return
        if not self._negative:
            return
        fee: Increment | None = None
        if not self.spans and self._descriptor.loop_index == 0:
            _, fee = self._connect_fee(connect_fee_nano(rated[0]), own)
        for span in rated:
            asked = span.increments[0]
            span.increments = out = [] if fee is None else [fee]
            fee = None
            done = 0
            while done < asked.compress_factor:
                payer = self._ledger.default()  # again each time: a trigger may have removed or replaced it
                balance = payer.balance
                parts = (Consumption(MONETARY, asked.cost_nano, balance, MONETARY, asked.cost_nano),)
                paid, values = self._taker.take((payer,), parts, asked.compress_factor - done, payer, forced=True)
                info = BalanceInfo(None, MonetaryInfo(balance.uuid, balance.id, values[0]), own.id)
                add_increment(out, Increment(asked.duration_ns, asked.cost_nano, paid, info))
                done += paid
        self.spans += rated

    def _is_free(self, rated: list[Timespan]) -> bool:
        """Whether the rated cost (10 §6: with the connect fee of a first part, rounded as the rates say) is 0."""
        total = sum(s.increments[0].cost_nano * s.increments[0].compress_factor for s in rated)
        if self._descriptor.loop_index == 0:
            total += connect_fee_nano(rated[0])
        if not total:
            return True
        ratings = [s.rate_interval.rating for s in rated if s.rate_interval is not None]
        longest = max(ratings, key=lambda r: r.rounding_decimals)
        if not longest.rounding_decimals:
            return False
        return round_nano(total, longest.rounding_decimals, longest.rounding_method) == 0

    # --- what the step does with it ------------------------------------------------------------------------------

    def stored(self, now_ns: int) -> list[str]:
        """Ids of the accounts that are to be stored, after what is expired was dropped from them."""
        return self._ledger.cleaned(self._taker.counted, now_ns, self._generation.derived(removes_expired))

    def changed(self) -> list[str]:
        """Ids of the accounts of which a useful balance has changed: those of money balances, then of unit balances."""
        changed: list[str] = []
        first = 0
        for payers in (self._money, self._units):
            if payers:
                initial = self._initial[first : first + len(payers)]
                changed += {
                    p.owner.id: None for p, value in zip(payers, initial, strict=True) if p.balance.value != value
                }
                first += len(payers)
        return changed
