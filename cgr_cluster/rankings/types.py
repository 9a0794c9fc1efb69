"""Ranking profiles and the last ranking of each (spec chapter 60, section 4). Pure but for the declarations."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from cgr_cluster.engine.domain import GenerationView, reference, stored
from cgr_cluster.rpc.errors import ApiError

KIND = "ranking_profile"
ASCENDING, DESCENDING = "*asc", "*desc"
Values = dict[str, int | float]


@reference(KIND)
class RankingProfile(msgspec.Struct, frozen=True, gc=False):
    """The key is `TENANT:ID`. A list that was not given is None. `state_id` names the ranking that belongs to it."""

    tenant: str
    id: str
    schedule: str = ""
    stat_ids: tuple[str, ...] | None = None
    metric_ids: tuple[str, ...] | None = None
    sorting: str = ""
    sorting_parameters: tuple[str, ...] | None = None
    stored: bool = False
    threshold_ids: tuple[str, ...] | None = None
    state_id: str = ""


@stored("ranking")
class Ranking(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """The last ranking of `TENANT:ID`, at the owner of that name and under that key. `metrics`: of each queue."""

    state_id: str
    updated_ns: int
    metrics: dict[str, Values]
    sorted_ids: list[str]

    def draft(self) -> Ranking:
        return self


def ranking_profile(generation: GenerationView, tenant: str, ranking_id: str) -> RankingProfile | None:
    found: RankingProfile | None = generation.get(KIND, f"{tenant}:{ranking_id}")
    return found


def with_state(profile: RankingProfile, old: RankingProfile | None, new_id: str) -> RankingProfile:
    """The profile with the id of its ranking: that of the profile it replaces."""
    return msgspec.structs.replace(profile, state_id=new_id if old is None else old.state_id)


def check_sorting(sorting: str) -> None:
    """Raises `NOT_IMPLEMENTED:<x>`."""
    if sorting not in (ASCENDING, DESCENDING):
        raise ApiError(f"NOT_IMPLEMENTED:{sorting}")


def ranked(metrics: Mapping[str, Values], sorting: str, parameters: tuple[str, ...]) -> list[str]:
    """Ids of queues in order: metric by metric, one without the metric last, equal ones by id. `metric:false` reverses one metric.
    Raises `NOT_IMPLEMENTED:<x>`."""
    check_sorting(sorting)
    wanted = []
    for parameter in parameters:
        metric_id, sign = parameter, 1 if sorting == ASCENDING else -1
        if parameter.endswith(":false"):
            metric_id, sign = parameter.removesuffix(":false"), -sign
        wanted.append((metric_id.removesuffix(":true"), sign))

    def place(stat_id: str) -> tuple[tuple[tuple[bool, int | float], ...], str]:
        held = metrics[stat_id]
        return tuple((name not in held, sign * held.get(name, 0)) for name, sign in wanted), stat_id

    return sorted(metrics, key=place)
