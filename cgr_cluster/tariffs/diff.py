"""What a load would change: the objects it makes live against those that are (docs/diff.md). Pure; nothing is written.

Ids that every load makes anew (timings of action plans, triggers without an id of their own) are no differences.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from cgr_cluster.actions.types import ActionPlan, ActionTriggerGroup
from cgr_cluster.engine.domain import GenerationView
from cgr_cluster.events.instant import Instant
from cgr_cluster.events.times import format_instant
from cgr_cluster.ips.types import IPProfile
from cgr_cluster.rankings.types import RankingProfile
from cgr_cluster.rating.reference import Destination, RatingPlan
from cgr_cluster.resources.types import ResourceProfile
from cgr_cluster.stats.types import StatQueueProfile
from cgr_cluster.tariffs.loading import Loaded
from cgr_cluster.tariffs.slices import SLICE_ROWS, Slices
from cgr_cluster.thresholds.types import ThresholdProfile
from cgr_cluster.trends.types import TrendProfile

Json = dict[str, Any]
Change = tuple[str, Any, Any]  # path of the field, live value, loaded value (None: not there)

NEW_ID = ""  # what a loader for a comparison gives out
COMPARED_AT_ONCE = 200  # a plan or destination in between may be large: it is one slice of its own


class KindDiff:
    """The objects of one kind. Only the first `limit` changed ones are listed, each with its first `limit` fields."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.added = self.changed = self.unchanged = self.vanishing = 0
        self.objects: list[Json] = []

    def add(self, key: str, live: Any, loaded: Any) -> Slices[None]:
        """Compare one object with the live one (None: there is none)."""
        if live is None:
            self.added += 1
            self._list({"ID": key, "Change": "added", "Fields": [], "More": 0})
            return
        shown: list[Json] = []
        total = 0
        for number, (path, old, new) in enumerate(differences(live, loaded), 1):
            if not number % SLICE_ROWS:
                yield
            if old is None and new is None:  # a pause in a long comparison
                yield
                continue
            total += 1
            if new is None:
                self.vanishing += 1
            if len(shown) < self._limit:
                shown.append({"Field": path, "Live": plain(old), "Loaded": plain(new)})
        if not total:
            self.unchanged += 1
            return
        self.changed += 1
        self._list({"ID": key, "Change": "changed", "Fields": shown, "More": total - len(shown)})

    def _list(self, entry: Json) -> None:
        if len(self.objects) < self._limit:
            self.objects.append(entry)

    def json(self) -> Json:
        return {
            "Added": self.added,
            "Changed": self.changed,
            "Unchanged": self.unchanged,
            "Vanishing": self.vanishing,
            "Objects": self.objects,
        }


def diff_slices(
    generation: GenerationView, loaded: Loaded, own_timings: set[str], limit: int
) -> Slices[dict[str, Json]]:
    """Per kind what the load adds and changes. Predefined timings, which each load sets to its time, are left out."""
    kinds: dict[str, KindDiff] = {}
    for number, (kind, key, value) in enumerate(loaded.changes, 1):
        if kind == "timing" and key not in own_timings:
            continue
        found = kinds.get(kind)
        if found is None:
            found = kinds[kind] = KindDiff(limit)
        yield from found.add(key, generation.get(kind, key), value)
        if not number % COMPARED_AT_ONCE:
            yield
    return {kind: found.json() for kind, found in kinds.items()}


# --- two objects -----------------------------------------------------------------------------------------------------


def differences(live: Any, loaded: Any) -> Iterator[Change]:
    """The fields in which two objects of a kind differ. A change of (path, None, None) is a pause."""
    if isinstance(live, Destination) and isinstance(loaded, Destination):
        yield from _of_sets("Prefixes", live.prefixes, loaded.prefixes)
    elif isinstance(live, RatingPlan) and isinstance(loaded, RatingPlan):
        yield from _of_plans(live, loaded)
    elif isinstance(live, ActionPlan) and isinstance(loaded, ActionPlan):
        yield from _of_fields("", _without_new_ids(live, "timings"), _without_new_ids(loaded, "timings"))
    elif isinstance(live, ActionTriggerGroup) and isinstance(loaded, ActionTriggerGroup):
        yield from _of_fields("", _triggers(live, loaded), loaded)
    elif isinstance(live, ThresholdProfile | ResourceProfile | IPProfile | TrendProfile | RankingProfile) and type(
        live
    ) is type(loaded):
        yield from _of_fields("", live, msgspec.structs.replace(loaded, state_id=live.state_id))
    elif isinstance(live, StatQueueProfile) and isinstance(loaded, StatQueueProfile):
        yield from _of_fields("", _without_state(live), _without_state(loaded))
    else:
        yield from _of_fields("", live, loaded)


def _without_state(profile: StatQueueProfile) -> StatQueueProfile:
    """What was loaded, without what names the content."""
    metrics = tuple(msgspec.structs.replace(metric, number=0) for metric in profile.metrics)
    return msgspec.structs.replace(profile, metrics=metrics, era="", revision=0, numbers=0)


def _of_sets(path: str, live: tuple[str, ...], loaded: tuple[str, ...]) -> Iterator[Change]:
    """Members that go, then those that come."""
    if live == loaded:
        return
    before, after = set(live), set(loaded)
    for member in live:
        if member not in after:
            yield path, member, None
    for member in loaded:
        if member not in before:
            yield path, None, member


def _of_plans(live: RatingPlan, loaded: RatingPlan) -> Iterator[Change]:
    """By destination, with what the bindings refer to: their keys are made of its contents, so equal keys are equal."""
    for number, (destination, bindings) in enumerate(loaded.bindings.items(), 1):
        before = live.bindings.get(destination)
        if before != bindings:
            path = f"DestinationRates.{destination}"
            old = None if before is None else _resolved(live, before)
            new = _resolved(loaded, bindings)
            if old is None:
                yield path, None, new
            else:
                yield from _of_fields(path, old, new)
        if not number % SLICE_ROWS:
            yield "", None, None
    for destination in live.bindings:
        if destination not in loaded.bindings:
            yield f"DestinationRates.{destination}", _resolved(live, live.bindings[destination]), None


def _resolved(plan: RatingPlan, bindings: Any) -> tuple[Json, ...]:
    return tuple(
        {"Timing": plan.timings[b.timing], "Rating": plan.ratings[b.rating], "Weight": b.weight} for b in bindings
    )


def _without_new_ids(plan: ActionPlan, field: str) -> ActionPlan:
    timings = tuple(msgspec.structs.replace(timing, uuid=NEW_ID) for timing in plan.timings)
    return msgspec.structs.replace(plan, timings=timings)


def _triggers(live: ActionTriggerGroup, loaded: ActionTriggerGroup) -> ActionTriggerGroup:
    """The live group, without the ids of triggers that the load would name anew."""
    triggers = tuple(
        msgspec.structs.replace(trigger, unique_id=NEW_ID)
        if position < len(loaded.triggers) and loaded.triggers[position].unique_id == NEW_ID
        else trigger
        for position, trigger in enumerate(live.triggers)
    )
    return msgspec.structs.replace(live, triggers=triggers)


def _of_fields(path: str, live: Any, loaded: Any) -> Iterator[Change]:
    if live == loaded:
        return
    before, after = _members(live), _members(loaded)
    if before is None or after is None:
        yield path, live, loaded
        return
    for name in dict.fromkeys((*before, *after)):
        yield from _of_fields(f"{path}.{name}" if path else name, before.get(name), after.get(name))


def _members(value: Any) -> dict[str, Any] | None:
    """Named parts of a value; None: it has none."""
    if isinstance(value, msgspec.Struct) and not isinstance(value, Instant):
        return {api_name(name): getattr(value, name) for name in value.__struct_fields__}
    if isinstance(value, Mapping):
        return {str(name): part for name, part in value.items()}
    if isinstance(value, list | tuple) and value and isinstance(value[0], msgspec.Struct | Mapping | list | tuple):
        return {str(position): part for position, part in enumerate(value)}
    return None


def api_name(name: str) -> str:
    """`rating_plan_id` → `RatingPlanID`."""
    return "".join("ID" if word == "id" else word.capitalize() for word in name.split("_"))


def plain(value: Any) -> Any:
    """A value for JSON."""
    if isinstance(value, Instant):
        return format_instant(value)
    members = _members(value)
    if members is not None:
        if isinstance(value, list | tuple):
            return [plain(part) for part in value]
        return {name: plain(part) for name, part in members.items()}
    return list(value) if isinstance(value, tuple | set | frozenset) else value
