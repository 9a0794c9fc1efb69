"""When triggers execute (spec 20 §7.1, 7.2): the conditions, their evaluation, and how far a debit may go before one.

An evaluation goes through the account's triggers by weight and executes one once per balance or counter for which its
condition holds. Debits evaluate after every increment. They do not run increment by increment: `reach` says after which
of many equal increments a trigger would execute for the first time (balances and counters move by the same amount each
time, so it is a division), the debit goes that far at once, and `taken` evaluates there.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Protocol

from msgspec.structs import replace

from cgr_cluster.accounts import operations
from cgr_cluster.accounts.amounts import grains_rounded, system_rounding, to_nano
from cgr_cluster.accounts.expiry import remove_expired
from cgr_cluster.accounts.hooks import Consumption, Subject
from cgr_cluster.accounts.types import Account, Balance, CounterFilter
from cgr_cluster.actions import counters
from cgr_cluster.actions.types import Action, ActionTrigger, BalanceFilter
from cgr_cluster.engine.domain import GenerationView
from cgr_cluster.events.instant import Instant
from cgr_cluster.events.nesting import read_json

logger = logging.getLogger("cgr_cluster.actions")

MAX_EXECUTIONS = 10_000  # of an account's triggers in one request: a recurrent trigger may execute at every increment
_AT_MOST = "*min_"
_AT_LEAST = "*max_"
EXPIRED = "*balance_expired"
CONNECT = "*event_connect"
_BALANCE_TYPES = ("*min_balance", "*max_balance")
_COUNTER_TYPES = (
    "*max_event_counter", "*min_event_counter", "*max_balance_counter", "*min_balance_counter",
)  # fmt: skip


class Runs(Protocol):
    """What executes a trigger's actions on the account (execute.py). An error has been dealt with; the answer says
    whether all of the group ran."""

    def __call__(self, account: Account, actions_id: str, changed: Changed) -> bool: ...


class Changed:
    """Balances that were created or written since the request began, by identity: only these fire `*min_balance` and
    `*max_balance`. `everything`: after a reset every balance counts."""

    __slots__ = ("_balances", "everything")

    def __init__(self, everything: bool = False) -> None:
        self._balances: dict[int, Balance] = {}
        self.everything = everything

    def add(self, balance: Balance) -> None:
        self._balances[id(balance)] = balance

    def __contains__(self, balance: Balance) -> bool:
        return self.everything or id(balance) in self._balances


def matches(wanted: BalanceFilter, balance: Balance) -> bool:
    """Whether a trigger's filter means this balance: by UUID, else by ID, else all given fields equal (sets too)."""
    if wanted.uuid:
        return wanted.uuid == balance.uuid
    if wanted.id:
        return wanted.id == balance.id
    return (
        (wanted.expiration_date is None or wanted.expiration_date.ns == balance.expiration_date.ns)
        and (wanted.weight is None or wanted.weight == balance.weight)
        and (wanted.blocker is None or wanted.blocker == balance.blocker)
        and (wanted.disabled is None or wanted.disabled == balance.disabled)
        and (wanted.rating_subject is None or wanted.rating_subject == balance.rating_subject)
        and (wanted.destination_ids is None or wanted.destination_ids == balance.destination_ids)
        and (wanted.categories is None or wanted.categories == balance.categories)
        and (wanted.shared_groups is None or wanted.shared_groups == balance.shared_groups)
        and (wanted.timing_ids is None or wanted.timing_ids == balance.timing_ids)
    )


def means(action: Action, trigger: ActionTrigger) -> bool:
    """Whether `*reset_triggers`, `*set_recurrent` and the like mean this trigger (20 §7.4)."""
    wanted = action.balance
    if wanted.type is not None and wanted.type != (trigger.balance.type or ""):
        return False
    try:
        extra = read_json(action.extra_parameters or "{}")
    except ValueError:
        extra = {}
    if not isinstance(extra, dict):
        extra = {}
    if extra.get("GroupID"):
        return bool(extra["GroupID"] == trigger.id)
    if extra.get("UniqueID"):
        return bool(extra["UniqueID"] == trigger.unique_id)
    if extra.get("ThresholdType") and extra["ThresholdType"] != trigger.threshold_type:
        return False
    as_balance = operations.balance_from(trigger.balance, trigger.balance.uuid or "")
    return operations.matches(wanted, as_balance)


def holds(trigger: ActionTrigger, balance_type: str, value: int) -> bool:
    """The condition of a threshold on a value in the grain of `balance_type`."""
    nano = to_nano(balance_type, value)
    if trigger.threshold_type.startswith(_AT_MOST):
        return nano <= trigger.threshold_nano
    return nano >= trigger.threshold_nano


def first_holding(trigger: ActionTrigger, balance_type: str, value: int, step: int, count: int) -> int | None:
    """The first k of 1..count for which the condition holds of `value + k * step`; None: for none of them."""
    start, move, threshold = to_nano(balance_type, value), to_nano(balance_type, step), trigger.threshold_nano
    if trigger.threshold_type.startswith(_AT_LEAST):
        start, move, threshold = -start, -move, -threshold  # start >= threshold is -start <= -threshold
    if start + move <= threshold:
        return 1
    if move >= 0:
        return None
    k = -((start - threshold) // move)  # move < 0: the smallest k with start + k * move <= threshold
    return k if k <= count else None


def may_fire(trigger: ActionTrigger, now_ns: int) -> bool:
    """Whether an evaluation looks at the trigger at all."""
    if trigger.executed:
        return False
    if trigger.expiration_date and trigger.expiration_date.ns < now_ns:
        return False
    return not (trigger.activation_date and trigger.activation_date.ns > now_ns)


def sleeps(trigger: ActionTrigger, now_ns: int) -> bool:
    """Recurrent, and less than MinSleep after it last executed."""
    return (
        trigger.recurrent
        and trigger.min_sleep_ns > 0
        and now_ns - trigger.last_execution_time.ns < trigger.min_sleep_ns
    )


def by_weight(account: Account) -> None:
    """Sort the account's triggers as every evaluation does."""
    if account.triggers and len(account.triggers) > 1:
        account.triggers.sort(key=lambda trigger: -trigger.weight)


class Evaluator:
    """Evaluates triggers of accounts for one request. `known(actions_id)` says whether an action group exists;
    `run(account, actions_id, changed)` executes one and answers whether it ran to its end."""

    __slots__ = ("_known", "_left", "_run", "generation", "now", "remove_expired")

    def __init__(
        self, generation: GenerationView, now: Instant, remove_expired: bool, known: Callable[[str], bool], run: Runs
    ) -> None:
        self.generation = generation
        self.now = now
        self.remove_expired = remove_expired
        self._known = known
        self._run = run
        self._left = MAX_EXECUTIONS

    def evaluate(self, account: Account, changed: Changed, only: Callable[[ActionTrigger], bool] | None = None) -> None:
        """One evaluation; with `only`, of those triggers. Then what has expired is removed."""
        by_weight(account)
        now_ns = self.now.ns
        for place in range(len(account.triggers or ())):  # its own actions neither add nor remove triggers
            trigger = self._renamed(account, place)
            if not may_fire(trigger, now_ns) or (only is not None and not only(trigger)):
                continue
            for _ in self._matches(account, trigger, changed):
                self._execute(account, place, changed)
        remove_expired(account, now_ns, self.remove_expired)

    def _renamed(self, account: Account, place: int) -> ActionTrigger:
        """A counter trigger's own Balance.ID becomes its UniqueID (20 §7.3)."""
        assert account.triggers is not None
        trigger = account.triggers[place]
        if counters.will_be_renamed(trigger):
            trigger = replace(trigger, balance=replace(trigger.balance, id=trigger.unique_id))
            account.triggers[place] = trigger
        return trigger

    def _matches(self, account: Account, trigger: ActionTrigger, changed: Changed) -> Iterator[None]:
        """Once for each balance or counter whose condition holds when its turn comes; what the trigger's own actions
        add is not looked at."""
        kind = trigger.threshold_type
        balance_type = trigger.balance.type or ""
        if kind in _COUNTER_TYPES:
            for counter in list(_watched(account, trigger)):
                if holds(trigger, balance_type, counter.value):
                    yield None
        elif kind == EXPIRED:
            for balance in list(_balances(account, trigger)):
                if balance.expired(self.now.ns):
                    yield None
        elif kind in _BALANCE_TYPES:
            for balance in list(_balances(account, trigger)):
                if balance in changed and holds(trigger, balance_type, balance.value):
                    yield None

    def _execute(self, account: Account, place: int, changed: Changed) -> None:
        """20 §7.2, "Execute"."""
        triggers = account.triggers
        assert triggers is not None
        trigger = triggers[place]
        if sleeps(trigger, self.now.ns):
            return
        triggers[place] = replace(trigger, last_execution_time=self.now)
        if account.disabled or not self._known(trigger.actions_id) or self._left == 0:
            return
        self._left -= 1
        if self._left == 0:
            logger.error("triggers of %s executed %d times in one request; no more", account.id, MAX_EXECUTIONS)
        triggers[place] = replace(triggers[place], executed=True)
        whole = self._run(account, trigger.actions_id, changed)
        if whole and trigger.recurrent:
            assert account.triggers is not None
            account.triggers[place] = replace(account.triggers[place], executed=False)

    def hook(self, account: Account) -> Watch:
        """The triggers and counters of an account for one debit or refund."""
        return Watch(self, account)

    # --- how far a debit may go ---------------------------------------------------------------------------------

    def executes(self, account: Account, trigger: ActionTrigger) -> bool:
        """Whether a trigger whose condition holds would do anything (that it has not done at this very time)."""
        if not may_fire(trigger, self.now.ns) or sleeps(trigger, self.now.ns):
            return False
        if account.disabled or not self._known(trigger.actions_id) or self._left == 0:
            return trigger.last_execution_time != self.now
        return True


def _balances(account: Account, trigger: ActionTrigger) -> Iterator[Balance]:
    """The balances that a trigger looks at; one without a type sees none."""
    wanted = trigger.balance
    for balance in (account.balances or {}).get(wanted.type or "", ()) if wanted.type else ():
        if matches(wanted, balance):
            yield balance


def _watched(account: Account, trigger: ActionTrigger) -> Iterator[CounterFilter]:
    wanted = counters.counter_type(trigger)
    for unit_counter in (account.unit_counters or {}).get(trigger.balance.type or "", ()):
        if unit_counter.counter_type == wanted:
            for counter in unit_counter.counters:
                if counters.watches(trigger, counter):
                    yield counter


class Watch:
    """The `TriggerHook` (accounts/hooks.py) of one account in one request."""

    __slots__ = ("_account", "_evaluator", "_subject", "changed")

    def __init__(self, evaluator: Evaluator, account: Account) -> None:
        self._evaluator = evaluator
        self._account = account
        self.changed = Changed()

    def reach(self, consumed: tuple[Consumption, ...], count: int, subject: Subject) -> int:
        """How many of `count` equal increments may be taken before a trigger executes, that one included."""
        account = self._account
        reach = count
        for trigger in account.triggers or ():
            if self._evaluator.executes(account, trigger):
                first = self._first(trigger, consumed, subject, reach)
                if first is not None and first < reach:
                    reach = first
                    if reach == 1:
                        break
        return reach

    def _first(
        self, trigger: ActionTrigger, consumed: tuple[Consumption, ...], subject: Subject, count: int
    ) -> int | None:
        """After which increment the trigger's condition first holds."""
        account, kind = self._account, trigger.threshold_type
        if counters.will_be_renamed(trigger):
            return 1  # the first evaluation renames its filter
        found: list[int | None] = []
        balance_type = trigger.balance.type or ""
        if kind in _COUNTER_TYPES:
            fed = [(one.amount, counters.fed_by(account, one, subject, self._evaluator.generation)) for one in consumed]
            for counter in _watched(account, trigger):
                amounts = [amount if any(one is counter for one in into) else 0 for amount, into in fed]
                step = sum(amounts)
                value = counter.value - step
                for amount in amounts:  # it is looked at after each consumption of an increment
                    value += amount
                    found.append(first_holding(trigger, balance_type, value, step, count))
        elif kind == EXPIRED:
            if any(balance.expired(self._evaluator.now.ns) for balance in _balances(account, trigger)):
                return 1
        elif kind in _BALANCE_TYPES:
            rounding = system_rounding(self._evaluator.generation)
            for balance in _balances(account, trigger):
                step = sum(-one.change for one in consumed if one.balance is balance)
                moves = any(one.balance is balance and one.change for one in consumed)
                if moves and balance.value % grains_rounded(balance_type, rounding):
                    return 1  # the first subtraction rounds
                if moves or balance in self.changed:
                    found.append(first_holding(trigger, balance_type, balance.value, step, count))
        return min((k for k in found if k is not None), default=None)

    def taken(self, consumed: tuple[Consumption, ...], count: int, subject: Subject) -> None:
        """`count` increments have been taken: feed the counters, evaluate after each consumption of the last."""
        account, generation = self._account, self._evaluator.generation
        for one in consumed:
            if one.balance is not None and (one.change or one.counted_type == CONNECT):  # a fee of 0 is written too
                self.changed.add(one.balance)
        held = account.unit_counters
        fed = [(one, counters.fed_by(account, one, subject, generation)) for one in consumed]
        if count > 1:
            for one, found in fed:
                for counter in found:
                    counter.value += one.amount * (count - 1)
        for one, found in fed:
            if account.unit_counters is not held:  # an execution has set them up anew
                found = counters.fed_by(account, one, subject, generation)
            for counter in found:
                counter.value += one.amount
            self._evaluator.evaluate(account, self.changed)
