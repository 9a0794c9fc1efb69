"""Structural checks of rating plans, for loads with Validate (spec chapter 10, section 9.2)."""

from __future__ import annotations

from itertools import pairwise

from cgr_cluster.rating.reference import RatingPlan
from cgr_cluster.rating.types import Rating, Timing

_MIDNIGHT = "00:00:00"


def flaw(plan: RatingPlan) -> str:
    """What is wrong with the plan, for the operator; "" when nothing is."""
    if not _covers_the_week(plan):
        return f"rating plan {plan.id}: its timings do not cover the week"
    for rating in plan.ratings.values():
        if not _slots_fit(rating):
            return f"rating plan {plan.id}: a rate has slots that do not follow each other"
    for timing in plan.timings.values():
        if timing.week_days and (timing.years or timing.months or timing.month_days):
            return f"rating plan {plan.id}: timing {timing.id} mixes dates with week days"
    return ""


def _dated(timing: Timing) -> bool:
    return bool(timing.years or timing.months or timing.month_days)


def _covers_the_week(plan: RatingPlan) -> bool:
    covered: set[int] = set()
    for timing in plan.timings.values():
        if _dated(timing) or timing.start_time != _MIDNIGHT:
            continue
        if not timing.week_days:
            return True
        covered.update(timing.week_days)
    return covered >= set(range(7))


def _slots_fit(rating: Rating) -> bool:
    slots = sorted(rating.slots, key=lambda slot: slot.group_interval_start_ns)
    for slot, following in pairwise(slots):
        if following.group_interval_start_ns <= slot.group_interval_start_ns:
            return False
        if not slot.increment_ns or not slot.unit_ns:
            return False
        if following.group_interval_start_ns % slot.increment_ns:
            return False
    return True
