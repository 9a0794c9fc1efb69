"""Selection: the profiles of a kind that an event belongs to (spec chapter 50, section 6.3). One way for all kinds.

    found = matching(THRESHOLDS, view, event.time)                          # candidates of the index
    found = matching(THRESHOLDS, view, event.time, ids, ignore_filters)     # candidates that the caller names
    found = until_blocker(found)

Pure. Filters on live state raise `live.Need`: use `live.with_live` where they may be (docs/profiles.md).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from cgr_cluster.events.instant import Instant
from cgr_cluster.filters.kinds import ProfileKind
from cgr_cluster.filters.lists import passes
from cgr_cluster.filters.tenant_profiles import profiles_of
from cgr_cluster.filters.view import View

T = TypeVar("T")


def matching(
    kind: ProfileKind,
    view: View,
    time: Instant | None,
    ids: Sequence[str] = (),
    ignore_filters: bool = False,
) -> list[Any]:
    """What the kind's `compiled` made of the profiles that the event belongs to, by falling weight, equal ones by id.

    `time`: of the event, None when it has none (then intervals are not checked). `ids`: candidates instead of those of the
    index; only with them `ignore_filters` counts. Kinds without contexts only. Raises errors of filters, and `Need`."""
    profiles = profiles_of(kind, view.generation, view.tenant)
    if not ids and profiles.unconditional is not None:
        return [chosen.compiled for chosen in profiles.unconditional]
    candidates: Iterable[str] = dict.fromkeys(ids) if ids else profiles.candidates(view)
    found = []
    for profile_id in sorted(candidates):  # in order: which error comes first must not depend on chance
        chosen = profiles.get(profile_id)
        if chosen is None:
            continue
        profile = chosen.profile
        interval = profile.activation_interval
        if time is not None and interval is not None and not interval.holds(time.ns):
            continue
        if (ids and ignore_filters) or passes(view, profile.filter_ids):
            found.append(chosen)
    found.sort(key=lambda chosen: chosen.order)
    return [chosen.compiled for chosen in found]


def until_blocker(found: list[T], blocks: Callable[[T], bool]) -> list[T]:
    """The list up to the first that blocks, it included."""
    for place, one in enumerate(found):
        if blocks(one):
            return found[: place + 1]
    return found
