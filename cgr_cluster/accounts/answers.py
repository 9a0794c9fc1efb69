"""Accounts as the API shows them: APIerSv2 (spec 20 §2.1, 2.2) and the old shape of APIerSv1 (20 §2.3)."""

from __future__ import annotations

from typing import Any

from cgr_cluster.accounts.amounts import scale_of
from cgr_cluster.accounts.types import Account, Balance, IdSet, UnitCounter
from cgr_cluster.actions.types import ActionTrigger, BalanceFilter
from cgr_cluster.actions.wire import filter_json, timing_json, trigger_json
from cgr_cluster.events.instant import ZERO, Instant
from cgr_cluster.events.times import format_instant
from cgr_cluster.rating.answers import number

_NEVER = format_instant(ZERO)
_OUT = "*out"


def number_json(balance_type: str, value: int) -> int | float:
    """A value in the grain of a balance type as a JSON number."""
    scale = scale_of(balance_type)
    return value // scale if value % scale == 0 else value / scale


def balance_json(balance_type: str, balance: Balance) -> dict[str, Any]:
    return {
        "Uuid": balance.uuid,
        "ID": balance.id,
        "Value": number_json(balance_type, balance.value),
        "ExpirationDate": format_instant(balance.expiration_date),
        "Weight": number(balance.weight),
        "DestinationIDs": balance.destination_ids,
        "RatingSubject": balance.rating_subject,
        "Categories": balance.categories,
        "SharedGroups": balance.shared_groups,
        "Timings": None if balance.timings is None else [timing_json(t) for t in balance.timings],
        "TimingIDs": balance.timing_ids,
        "Disabled": balance.disabled,
        "Factors": None if balance.factors is None else {k: number(v) for k, v in balance.factors.items()},
        "Blocker": balance.blocker,
    }


def _counter_json(balance_type: str, counter: UnitCounter) -> dict[str, Any]:
    return {
        "CounterType": counter.counter_type,
        "Counters": [
            {"Value": number_json(balance_type, one.value), "Filter": filter_json(one.filter)}
            for one in counter.counters
        ],
    }


def account_json(account: Account) -> dict[str, Any]:
    """20 §2.1. UpdateTime is the zero time: the system keeps no time of the last write."""
    return {
        "ID": account.id,
        "BalanceMap": None
        if account.balances is None
        else {kind: [balance_json(kind, b) for b in balances] for kind, balances in account.balances.items()},
        "UnitCounters": None
        if account.unit_counters is None
        else {kind: [_counter_json(kind, c) for c in counters] for kind, counters in account.unit_counters.items()},
        "ActionTriggers": None if account.triggers is None else [trigger_json(t) for t in account.triggers],
        "AllowNegative": account.allow_negative,
        "Disabled": account.disabled,
        "UpdateTime": _NEVER,
    }


def empty_account_json() -> dict[str, Any]:
    """What refunds answer that have touched nothing."""
    return account_json(Account(""))


# --- old shape ---------------------------------------------------------------------------------------------------


def _ids(ids: IdSet | None) -> str:
    return ";".join(ids or ())


def _time(at: Instant | None) -> str:
    return _NEVER if at is None else format_instant(at)


def _old_balance(balance_type: str, balance: Balance) -> dict[str, Any]:
    return {
        "Uuid": balance.uuid,
        "Id": balance.id,
        "Value": number_json(balance_type, balance.value),
        "ExpirationDate": format_instant(balance.expiration_date),
        "Weight": number(balance.weight),
        "DestinationIds": _ids(balance.destination_ids),
        "RatingSubject": balance.rating_subject,
        "Category": _ids(balance.categories),
        "SharedGroup": _ids(balance.shared_groups),
        "Timings": None if balance.timings is None else [timing_json(t) for t in balance.timings],
        "TimingIDs": _ids(balance.timing_ids),
        "Disabled": balance.disabled,
    }


def _old_trigger(trigger: ActionTrigger) -> dict[str, Any]:
    wanted = trigger.balance
    return {
        "Id": trigger.id,
        "ThresholdType": trigger.threshold_type,
        "ThresholdValue": number_json("*monetary", trigger.threshold_nano),
        "Recurrent": trigger.recurrent,
        "MinSleep": trigger.min_sleep_ns,
        "BalanceId": wanted.id or "",
        "BalanceType": wanted.type or "",
        "BalanceDestinationIds": _ids(wanted.destination_ids),
        "BalanceWeight": number(wanted.weight or 0),
        "BalanceExpirationDate": _time(wanted.expiration_date),
        "BalanceTimingTags": _ids(wanted.timing_ids),
        "BalanceRatingSubject": wanted.rating_subject or "",
        "BalanceCategory": _ids(wanted.categories),
        "BalanceSharedGroup": _ids(wanted.shared_groups),
        "BalanceDisabled": wanted.disabled or False,
        "Weight": number(trigger.weight),
        "ActionsId": trigger.actions_id,
        "MinQueuedItems": trigger.min_queued_items,
        "Executed": trigger.executed,
    }


def _old_counted(wanted: BalanceFilter) -> dict[str, Any]:
    """A counter is shown by its filter: its count is not in this shape."""
    return {
        "Uuid": wanted.uuid or "",
        "Id": wanted.id or "",
        "Value": 0 if wanted.value is None else number_json("*monetary", wanted.value.static_nano),
        "ExpirationDate": _time(wanted.expiration_date),
        "Weight": number(wanted.weight or 0),
        "DestinationIds": _ids(wanted.destination_ids),
        "RatingSubject": wanted.rating_subject or "",
        "Category": _ids(wanted.categories),
        "SharedGroup": _ids(wanted.shared_groups),
        "Timings": None if wanted.timings is None else [timing_json(t) for t in wanted.timings],
        "TimingIDs": _ids(wanted.timing_ids),
        "Disabled": wanted.disabled or False,
    }


def old_account_json(account: Account) -> dict[str, Any]:
    """20 §2.3."""
    return {
        "Id": f"{_OUT}:{account.id}",
        "BalanceMap": {
            f"{kind}{_OUT}": [_old_balance(kind, b) for b in balances]
            for kind, balances in (account.balances or {}).items()
            if balances
        },
        "UnitCounters": [
            {"BalanceType": kind, "Balances": [_old_counted(one.filter) for one in counter.counters]}
            for kind, counters in (account.unit_counters or {}).items()
            for counter in counters
        ],
        "ActionTriggers": [_old_trigger(t) for t in account.triggers or ()],
        "AllowNegative": account.allow_negative,
        "Disabled": account.disabled,
    }
