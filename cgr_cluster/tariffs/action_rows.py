"""Actions and triggers from their rows in files and in the store (spec chapter 20, section 8).

Empty and `*any` cells of balance fields mean "not given", unlike in SetActions, where they are given as empty.
"""

from __future__ import annotations

from collections.abc import Callable

from cgr_cluster.actions.amounts import parse_units
from cgr_cluster.actions.definitions import ANY, id_set
from cgr_cluster.actions.types import Action, ActionTrigger, BalanceFilter
from cgr_cluster.events.amounts import nano_of
from cgr_cluster.events.durations import parse_duration
from cgr_cluster.events.times import parse_time
from cgr_cluster.events.values import float_of, parse_bool
from cgr_cluster.rating.types import Timing
from cgr_cluster.tariffs.tp_types import ActionRow, ActionTriggerRow

TimingOf = Callable[[str], Timing]  # raises ApiError for an unknown id


def _given(text: str) -> str | None:
    return None if text in ("", ANY) else text


def _set(text: str) -> dict[str, bool] | None:
    return None if text in ("", ANY) else id_set(text)


def _number(text: str) -> float | None:
    return None if text in ("", ANY) else float_of(text)


def _flag(text: str) -> bool | None:
    return None if text in ("", ANY) else parse_bool(text)


def _timings(ids: dict[str, bool] | None, timing_of: TimingOf) -> tuple[Timing, ...] | None:
    return tuple(timing_of(name) for name in ids) if ids else None


def action_of(row: ActionRow, timing_of: TimingOf) -> Action:
    """Raises ApiError for Units, numbers and bools that cannot be read, and for an unknown timing."""
    timing_ids = _set(row.TimingTags)
    balance = BalanceFilter(
        uuid=_given(row.BalanceUuid),
        id=_given(row.BalanceId),
        type=_given(row.BalanceType),
        value=parse_units(row.Units, row.BalanceType) if _given(row.Units) else None,
        weight=_number(row.BalanceWeight),
        destination_ids=_set(row.DestinationIds),
        rating_subject=_given(row.RatingSubject),
        categories=_set(row.Categories),
        shared_groups=_set(row.SharedGroups),
        timing_ids=timing_ids,
        timings=_timings(timing_ids, timing_of),
        disabled=_flag(row.BalanceDisabled),
        blocker=_flag(row.BalanceBlocker),
    )
    filters = tuple(row.Filters.split(";")) if row.Filters else ()
    return Action(row.Identifier, row.ExtraParameters, filters, row.ExpiryTime, row.Weight, balance)


def trigger_of(
    group_id: str, row: ActionTriggerRow, timing_of: TimingOf, now_ns: int, zone: str, new_id: Callable[[], str]
) -> ActionTrigger:
    """Raises ApiError for values that cannot be read and for an unknown timing. An empty UniqueID is generated."""
    timing_ids = _set(row.BalanceTimingTags)
    expiry = _given(row.BalanceExpirationDate)
    balance = BalanceFilter(
        id=_given(row.BalanceId),
        type=_given(row.BalanceType),
        expiration_date=None if expiry is None else parse_time(expiry, now_ns, zone),
        weight=_number(row.BalanceWeight),
        destination_ids=_set(row.BalanceDestinationIds),
        rating_subject=_given(row.BalanceRatingSubject),
        categories=_set(row.BalanceCategories),
        shared_groups=_set(row.BalanceSharedGroups),
        timing_ids=timing_ids,
        timings=_timings(timing_ids, timing_of),
        disabled=_flag(row.BalanceDisabled),
        blocker=_flag(row.BalanceBlocker),
    )
    return ActionTrigger(
        id=group_id,
        unique_id=row.UniqueID or new_id(),
        threshold_type=row.ThresholdType,
        threshold_nano=nano_of(row.ThresholdValue),
        recurrent=row.Recurrent,
        min_sleep_ns=parse_duration(row.MinSleep),
        expiration_date=parse_time(row.ExpirationDate, now_ns, zone),
        activation_date=parse_time(row.ActivationDate, now_ns, zone),
        balance=balance,
        weight=row.Weight,
        actions_id=row.ActionsId,
    )
