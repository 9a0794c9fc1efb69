"""Reading what the API defines: rows of SetActions, rows of SetActionPlan, fields of triggers (spec 20 §5.5, 6.4, 7.5)."""

from __future__ import annotations

import re
from typing import Any

from msgspec.structs import replace

from cgr_cluster.accounts.balance_fields import id_set as id_set
from cgr_cluster.actions.amounts import parse_units
from cgr_cluster.actions.schedule import predefined
from cgr_cluster.actions.types import ASAP, Action, ActionTrigger, BalanceFilter, ValueFormula
from cgr_cluster.engine.domain import GenerationView
from cgr_cluster.events.amounts import nano_of
from cgr_cluster.events.durations import parse_go_duration
from cgr_cluster.events.values import (
    bool_of,
    cannot_convert,
    duration_of,
    float_of,
    parse_bool,
    parse_int,
    text_of,
    time_of,
)
from cgr_cluster.rating.types import Timing
from cgr_cluster.rpc.errors import ApiError
from cgr_cluster.rpc.registry import Params

ANY = "*any"
RESET_TRIGGERS = "*reset_triggers"
_CLOCK = re.compile(r"([01]?[0-9]|2[0-3]):[0-5]?[0-9]:[0-5]?[0-9]")  # a time that a day has


class TPAction(Params, go="utils.TPAction"):
    """A row of APIerSv2.SetActions: all text but Weight."""

    Identifier: str = ""
    BalanceId: str = ""
    BalanceUuid: str = ""
    BalanceType: str = ""
    Units: str = ""
    ExpiryTime: str = ""
    Filters: str = ""
    TimingTags: str = ""
    DestinationIds: str = ""
    RatingSubject: str = ""
    Categories: str = ""
    SharedGroups: str = ""
    BalanceWeight: str = ""
    ExtraParameters: str = ""
    BalanceBlocker: str = ""
    BalanceDisabled: str = ""
    Weight: float = 0.0


class V1TPAction(Params, go="v1.V1TPAction"):
    """A row of APIerSv1.SetActions: Units and BalanceWeight are numbers, Filters a list."""

    Identifier: str = ""
    BalanceId: str = ""
    BalanceUuid: str = ""
    BalanceType: str = ""
    Units: float = 0.0
    ExpiryTime: str = ""
    Filters: list[str] = []
    TimingTags: str = ""
    DestinationIds: str = ""
    RatingSubject: str = ""
    Categories: str = ""
    SharedGroups: str = ""
    BalanceWeight: float | None = None
    ExtraParameters: str = ""
    BalanceBlocker: str = ""
    BalanceDisabled: str = ""
    Weight: float = 0.0


def _timings(ids: dict[str, bool], generation: GenerationView) -> tuple[Timing, ...] | None:
    """The timings named. Raises ApiError `error: NOT_FOUND querying timing with id: "X"`."""
    out = []
    for name in ids:
        stored = generation.get("timing", name)
        if stored is None:
            raise ApiError(f'error: NOT_FOUND querying timing with id: "{name}"')
        out.append(stored.timing)
    return tuple(out) or None


def _optional_bool(text: str) -> bool | None:
    return parse_bool(text) if text else None


def action_of(row: TPAction | V1TPAction, generation: GenerationView) -> Action:
    """A row of SetActions. Texts and sets that are left out are given as empty, numbers and booleans are not given;
    `*reset_triggers` of APIerSv2 has no balance field at all (20 §5, 7.4)."""
    value: ValueFormula | None = None
    if isinstance(row, V1TPAction):
        value = ValueFormula(static_nano=nano_of(row.Units))
        weight = row.BalanceWeight
        filters = tuple(row.Filters)
    else:
        if row.Units:
            value = parse_units(row.Units, row.BalanceType)
        weight = float_of(row.BalanceWeight) if row.BalanceWeight else None
        filters = tuple(part.strip() for part in row.Filters.split(";") if part.strip())
    blocker = _optional_bool(row.BalanceBlocker)
    disabled = _optional_bool(row.BalanceDisabled)
    timing_ids = id_set(row.TimingTags)
    timings = _timings(timing_ids, generation)
    balance = BalanceFilter()
    if row.Identifier != RESET_TRIGGERS or isinstance(row, V1TPAction):
        balance = BalanceFilter(
            uuid=row.BalanceUuid,
            id=row.BalanceId,
            type=row.BalanceType,
            value=value,
            weight=weight,
            destination_ids=id_set(row.DestinationIds),
            rating_subject=row.RatingSubject,
            categories=id_set(row.Categories),
            shared_groups=id_set(row.SharedGroups),
            timing_ids=timing_ids,
            timings=timings,
            disabled=disabled,
            blocker=blocker,
        )
    return Action(row.Identifier, row.ExtraParameters, filters, row.ExpiryTime, row.Weight, balance)


# --- action plans ------------------------------------------------------------------------------------------------


def _numbers(text: str) -> tuple[int, ...]:
    """`1;2;3`, `*any` or nothing; what is no number is dropped."""
    out = []
    for part in text.split(";"):
        try:
            out.append(parse_int(part))
        except ApiError:
            continue
    return tuple(out)


def plan_timing(
    timing_id: str, years: str, months: str, month_days: str, week_days: str, time: str, now_ns: int, zone: str
) -> Timing:
    """The timing of a row of SetActionPlan; a predefined one keeps its own id, which next runs look at. Raises ApiError `UNSUPPORTED_FORMAT:noon`."""
    if time.startswith("*") and time not in (ANY, ASAP):
        fixed = predefined(time, now_ns, zone)
        if fixed is not None:
            return fixed
    if time.startswith("+"):
        try:
            parse_go_duration(time[1:])
        except ApiError:
            raise ApiError(f"UNSUPPORTED_FORMAT:{time}") from None
    elif time != ASAP and not _CLOCK.fullmatch(time):
        raise ApiError(f"UNSUPPORTED_FORMAT:{time}")
    days = tuple(day % 7 for day in _numbers(week_days))
    return Timing(timing_id, _numbers(years), _numbers(months), _numbers(month_days), days, time)


# --- triggers ----------------------------------------------------------------------------------------------------


def _texts(value: Any) -> dict[str, bool]:
    """A list of ids (`!X` excludes) as a set."""
    if not isinstance(value, list | tuple):
        raise cannot_convert(value, "[]string")
    return id_set(";".join(text_of(item) for item in value))


def _threshold(value: Any) -> int:
    return nano_of(float_of(value))


_TRIGGER_FIELDS = {  # name of the parameter → (field of the trigger, kind)
    "ThresholdType": ("threshold_type", "text"),
    "ThresholdValue": ("threshold_nano", "amount"),
    "Recurrent": ("recurrent", "bool"),
    "Executed": ("executed", "bool"),
    "MinSleep": ("min_sleep_ns", "duration"),
    "ExpirationDate": ("expiration_date", "time"),
    "ActivationDate": ("activation_date", "time"),
    "Weight": ("weight", "number"),
    "MinQueuedItems": ("min_queued_items", "int"),
    "ActionsID": ("actions_id", "text"),
}
_BALANCE_FIELDS = {
    "BalanceID": ("id", "text"),
    "BalanceType": ("type", "text"),
    "BalanceDestinationIds": ("destination_ids", "set"),
    "BalanceWeight": ("weight", "number"),
    "BalanceExpirationDate": ("expiration_date", "time"),
    "BalanceTimingTags": ("timing_ids", "set"),
    "BalanceRatingSubject": ("rating_subject", "text"),
    "BalanceCategories": ("categories", "set"),
    "BalanceSharedGroups": ("shared_groups", "set"),
    "BalanceBlocker": ("blocker", "bool"),
    "BalanceDisabled": ("disabled", "bool"),
}


def _read(kind: str, value: Any, now_ns: int, zone: str) -> Any:
    if kind == "text":
        return text_of(value)
    if kind == "bool":
        return bool_of(value)
    if kind == "number":
        return float_of(value)
    if kind == "int":
        return int(float_of(value))
    if kind == "amount":
        return _threshold(value)
    if kind == "duration":
        return duration_of(value)
    if kind == "time":
        return time_of(value, now_ns, zone)
    return _texts(value)


def trigger_with(trigger: ActionTrigger, fields: dict[str, Any], now_ns: int, zone: str) -> ActionTrigger:
    """The trigger with the given fields of `ActionTrigger{}` (20 §7.5). Raises the parse error of a bad value."""
    changes = {
        field: _read(kind, fields[name], now_ns, zone)
        for name, (field, kind) in _TRIGGER_FIELDS.items()
        if fields.get(name) is not None
    }
    balance = {
        field: _read(kind, fields[name], now_ns, zone)
        for name, (field, kind) in _BALANCE_FIELDS.items()
        if fields.get(name) is not None
    }
    if balance:
        changes["balance"] = replace(trigger.balance, **balance)
    return replace(trigger, **changes)
