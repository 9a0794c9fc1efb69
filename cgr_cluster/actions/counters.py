"""Unit counters of accounts: made from the counter triggers, fed by debits and refunds (spec 20 §7.3).

Values are integers in the grain of the counter's type (`accounts/amounts.py`); connections (`*event_connect`) count in
10^-5 like every unit.
"""

from __future__ import annotations

from msgspec.structs import replace

from cgr_cluster.accounts.hooks import Consumption, Subject
from cgr_cluster.accounts.types import Account, Balance, CounterFilter, UnitCounter
from cgr_cluster.actions.types import ActionTrigger, BalanceFilter
from cgr_cluster.engine.domain import GenerationView

EVENT = "*event"
BALANCE = "*balance"


def counter_type(trigger: ActionTrigger) -> str | None:
    """`*event` or `*balance` for a counter trigger, None for any other."""
    if "counter" not in trigger.threshold_type:
        return None
    return BALANCE if "balance" in trigger.threshold_type else EVENT


def rebuild(account: Account) -> None:
    """Make the counters that the account's triggers want. Values of counters that stay (same type, same filter id) are
    kept, counters of triggers that went are removed; None when there are none."""
    old = {
        (kind, unit_counter.counter_type, counter.filter.id): counter.value
        for kind, unit_counters in (account.unit_counters or {}).items()
        for unit_counter in unit_counters
        for counter in unit_counter.counters
    }
    made: dict[str, list[UnitCounter]] = {}
    for trigger in account.triggers or ():
        wanted = counter_type(trigger)
        if wanted is None:
            continue
        kind = trigger.balance.type or ""
        unit_counters = made.setdefault(kind, [])
        unit_counter = next((u for u in unit_counters if u.counter_type == wanted), None)
        if unit_counter is None:
            unit_counter = UnitCounter(wanted, [])
            unit_counters.append(unit_counter)
        balance = trigger.balance
        if not balance.id and trigger.unique_id:
            balance = replace(balance, id=trigger.unique_id)
        unit_counter.counters.append(CounterFilter(old.get((kind, wanted, balance.id), 0), balance))
    account.unit_counters = made or None


def fed_by(
    account: Account, consumed: Consumption, subject: Subject, generation: GenerationView
) -> list[CounterFilter]:
    """The counters that one consumption is added to."""
    found = []
    for unit_counter in (account.unit_counters or {}).get(consumed.counted_type, ()):
        for counter in unit_counter.counters:
            if unit_counter.counter_type == BALANCE:
                if consumed.balance is not None and counts_balance(counter.filter, consumed.balance):
                    found.append(counter)
            elif _counts_event(counter.filter, subject, generation):
                found.append(counter)
    return found


def _counts_event(wanted: BalanceFilter, subject: Subject, generation: GenerationView) -> bool:
    if wanted.categories is not None and subject.category and not wanted.categories.get(subject.category):
        return False
    if wanted.destination_ids is None or not subject.destination:
        return True
    number = subject.destination
    return any(
        destination in wanted.destination_ids
        for length in range(len(number), 0, -1)
        for destination in generation.destinations_of(number[:length])
    )


def _included(wanted: dict[str, bool] | None, held: dict[str, bool]) -> bool:
    return wanted is None or all(name in held and held[name] == value for name, value in wanted.items())


def counts_balance(wanted: BalanceFilter, balance: Balance) -> bool:
    """Whether a balance has the filter's fields: sets included, its id ignored."""
    return (
        (wanted.uuid is None or not wanted.uuid or wanted.uuid == balance.uuid)
        and (wanted.weight is None or wanted.weight == balance.weight)
        and (wanted.blocker is None or wanted.blocker == balance.blocker)
        and (wanted.disabled is None or wanted.disabled == balance.disabled)
        and (wanted.expiration_date is None or wanted.expiration_date.ns == balance.expiration_date.ns)
        and (wanted.rating_subject is None or wanted.rating_subject == balance.rating_subject)
        and _included(wanted.destination_ids, balance.destination_ids)
        and _included(wanted.categories, balance.categories)
        and _included(wanted.shared_groups, balance.shared_groups)
        and _included(wanted.timing_ids, balance.timing_ids)
    )


def will_be_renamed(trigger: ActionTrigger) -> bool:
    """Whether the next evaluation makes the trigger's UniqueID the id of its filter."""
    return (
        bool(trigger.unique_id)
        and trigger.balance.id not in ("", trigger.unique_id)
        and counter_type(trigger) is not None
    )


def watches(trigger: ActionTrigger, counter: CounterFilter) -> bool:
    """Whether a counter trigger is compared with this counter: their filters are equal, by their ids when both have one."""
    wanted, held = trigger.balance, counter.filter
    if wanted.id is not None and held.id is not None:
        return wanted.id == held.id
    return wanted == held
