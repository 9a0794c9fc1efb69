"""Action groups, plans and triggers as the API shows them (spec 20 §5, 5.5, 6.1, 7.1): null is "not given"."""

from __future__ import annotations

from typing import Any

from cgr_cluster.actions.amounts import number_of_nano, units_text
from cgr_cluster.actions.types import Action, ActionPlan, ActionTiming, ActionTrigger, BalanceFilter, ValueFormula
from cgr_cluster.events.instant import Instant
from cgr_cluster.events.times import format_instant
from cgr_cluster.events.values import number_text
from cgr_cluster.rating.answers import number
from cgr_cluster.rating.types import Timing


def timing_json(timing: Timing) -> dict[str, Any]:
    return {
        "ID": timing.id,
        "Years": list(timing.years),
        "Months": list(timing.months),
        "MonthDays": list(timing.month_days),
        "WeekDays": list(timing.week_days),
        "StartTime": timing.start_time,
        "EndTime": timing.end_time,
    }


def _value_json(value: ValueFormula | None) -> dict[str, Any] | None:
    if value is None:
        return None
    return {"Method": value.method, "Params": value.params, "Static": number_of_nano(value.static_nano)}


def _time(at: Instant | None) -> str | None:
    return None if at is None else format_instant(at)


def filter_json(balance: BalanceFilter) -> dict[str, Any]:
    """A balance filter, as in actions, triggers and counters."""
    return {
        "Uuid": balance.uuid,
        "ID": balance.id,
        "Type": balance.type,
        "Value": _value_json(balance.value),
        "ExpirationDate": _time(balance.expiration_date),
        "Weight": None if balance.weight is None else number(balance.weight),
        "DestinationIDs": balance.destination_ids,
        "RatingSubject": balance.rating_subject,
        "Categories": balance.categories,
        "SharedGroups": balance.shared_groups,
        "TimingIDs": balance.timing_ids,
        "Timings": None if balance.timings is None else [timing_json(timing) for timing in balance.timings],
        "Disabled": balance.disabled,
        "Factors": balance.factors,
        "Blocker": balance.blocker,
    }


def action_json(group_id: str, action: Action) -> dict[str, Any]:
    """The stored form (APIerSv2.GetActions)."""
    return {
        "Id": group_id,
        "ActionType": action.action_type,
        "ExtraParameters": action.extra_parameters,
        "Filters": list(action.filters) or None,
        "ExpirationString": action.expiration_string,
        "Weight": number(action.weight),
        "Balance": filter_json(action.balance),
    }


def set_text(ids: dict[str, bool] | None) -> str:
    """`A;!B`, the text form of a set."""
    return "" if ids is None else ";".join(name if included else f"!{name}" for name, included in ids.items())


def action_input_json(action: Action, now_ns: int, zone: str) -> dict[str, Any]:
    """The form of the input (APIerSv1.GetActions)."""
    balance = action.balance
    return {
        "Identifier": action.action_type,
        "BalanceId": balance.id or "",
        "BalanceUuid": balance.uuid or "",
        "BalanceType": balance.type or "",
        "Units": units_text(balance.value, now_ns, zone),
        "ExpiryTime": action.expiration_string,
        "Filters": ";".join(action.filters),
        "TimingTags": set_text(balance.timing_ids),
        "DestinationIds": set_text(balance.destination_ids),
        "RatingSubject": balance.rating_subject or "",
        "Categories": set_text(balance.categories),
        "SharedGroups": set_text(balance.shared_groups),
        "BalanceWeight": number_text(balance.weight or 0),
        "ExtraParameters": action.extra_parameters,
        "BalanceBlocker": "true" if balance.blocker else "false",
        "BalanceDisabled": "true" if balance.disabled else "false",
        "Weight": number(action.weight),
    }


def trigger_json(trigger: ActionTrigger) -> dict[str, Any]:
    return {
        "ID": trigger.id,
        "UniqueID": trigger.unique_id,
        "ThresholdType": trigger.threshold_type,
        "ThresholdValue": number_of_nano(trigger.threshold_nano),
        "Recurrent": trigger.recurrent,
        "MinSleep": trigger.min_sleep_ns,
        "ExpirationDate": format_instant(trigger.expiration_date),
        "ActivationDate": format_instant(trigger.activation_date),
        "Balance": filter_json(trigger.balance),
        "Weight": number(trigger.weight),
        "ActionsID": trigger.actions_id,
        "MinQueuedItems": trigger.min_queued_items,
        "Executed": trigger.executed,
        "LastExecutionTime": format_instant(trigger.last_execution_time),
    }


def action_timing_json(timing: ActionTiming) -> dict[str, Any]:
    shown = None
    if timing.timing is not None:
        shown = {"Timing": timing_json(timing.timing), "Rating": None, "Weight": 0}
    return {
        "Uuid": timing.uuid,
        "Timing": shown,
        "ActionsID": timing.actions_id,
        "ExtraData": None,
        "Weight": number(timing.weight),
    }


def plan_json(plan: ActionPlan, accounts: list[str]) -> dict[str, Any]:
    """A plan with its accounts (`tenant:account`)."""
    return {
        "Id": plan.id,
        "AccountIDs": dict.fromkeys(sorted(accounts), True),
        "ActionTimings": [action_timing_json(timing) for timing in plan.timings],
    }
