"""What has been loaded when: GetLoadHistory, GetLoadIDs, GetLoadTimes (spec chapter 70 §6, §10)."""

from __future__ import annotations

from typing import Any

import msgspec

from cgr_cluster.engine.domain import LAST_CHANGE, GenerationView, Part, stored
from cgr_cluster.events.layout_writing import format_layout
from cgr_cluster.events.times import format_instant, in_zone
from cgr_cluster.rpc.errors import not_found
from cgr_cluster.rpc.owners import LEADER_RULE
from cgr_cluster.rpc.registry import Params, method

MOST_LOADS = 100  # that are remembered
# Partitions of chapter 70 §4 and the kinds of reference data that they hold.
PARTITIONS = {
    "*destinations": "destination", "*reverse_destinations": "destination", "*rating_plans": "rating_plan",
    "*rating_profiles": "rating_profile", "*timings": "timing", "*shared_groups": "shared_group", "*actions": "actions",
    "*action_plans": "action_plan", "*action_triggers": "action_trigger", "*filters": "filter",
    "*attribute_profiles": "attribute_profile", "*charger_profiles": "charger", "*threshold_profiles": "threshold_profile",
    "*statqueue_profiles": "stat_profile", "*resource_profiles": "resource_profile", "*ip_profiles": "ip_profile",
    "*route_profiles": "route_profile", "*dispatcher_profiles": "dispatcher_profile", "*dispatcher_hosts": "dispatcher_host",
    "*trend_profiles": "trend_profile", "*ranking_profiles": "ranking_profile",
}  # fmt: skip
TIME_LAYOUT = "2006-01-02 15:04:05.999999999 -0700 MST"


class Load(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """`source` is the folder or the tariff plan, `id` another text for each load."""

    source: str
    id: str
    at_ns: int


@stored("load_history")
class LoadHistory(msgspec.Struct, array_like=True, gc=False):
    """The newest first."""

    loads: list[Load] = []

    def draft(self) -> LoadHistory:
        return LoadHistory(list(self.loads))


def remember(part: Part, source: str) -> None:
    """A load that makes its data live now."""
    history = part.edit(LoadHistory, "") or LoadHistory([])
    history.loads = [Load(source, part.new_uuid(), part.now_ns), *history.loads][:MOST_LOADS]
    part.put(LoadHistory, "", history)


class Paginator(Params, go="utils.Paginator"):
    Limit: int | None = None
    Offset: int | None = None


@method("APIerSv1.GetLoadHistory", owner=LEADER_RULE)
def get_load_history(part: Part, params: Paginator) -> list[dict[str, Any]]:
    """Loads of folders and of tariff plans of the store, the newest first. Raises NOT_FOUND."""
    history = part.read(LoadHistory, "") or LoadHistory([])
    start = max(params.Offset or 0, 0)
    end = None if params.Limit is None or params.Limit < 0 else start + params.Limit
    loads = history.loads[start:end]
    if not loads:
        raise not_found()
    zone = str(part.generation.config("general").get("default_timezone", ""))
    return [
        {
            "LoadID": load.source,
            "RatingLoadID": load.id,
            "AccountingLoadID": load.id,
            "LoadTime": format_instant(in_zone(load.at_ns, zone)),
        }
        for load in loads
    ]


def load_ids(generation: GenerationView, item: str) -> dict[str, int]:
    """Partition → time of its last change in ns; of one partition, or of all for "". Raises NOT_FOUND."""
    wanted = PARTITIONS if not item else {item: PARTITIONS[item]} if item in PARTITIONS else {}
    found = {name: generation.get(LAST_CHANGE, kind) for name, kind in wanted.items()}
    changed = {name: at_ns for name, at_ns in found.items() if at_ns is not None}
    if not changed:
        raise not_found()
    return changed


@method("APIerSv1.GetLoadIDs")
def get_load_ids(part: Part, params: str) -> dict[str, int]:
    return load_ids(part.generation, params)


class LoadTimeArgs(Params, go="v1.LoadTimeArgs"):
    Timezone: str = ""
    Item: str = ""


@method("APIerSv1.GetLoadTimes")
def get_load_times(part: Part, params: LoadTimeArgs) -> dict[str, str]:
    """As texts: `2026-03-02 10:00:00.5 +0000 UTC`. Raises NOT_FOUND, `unknown time zone X`."""
    zone = params.Timezone or str(part.generation.config("general").get("default_timezone", ""))
    ids = load_ids(part.generation, params.Item)
    return {name: format_layout(in_zone(at_ns, zone), TIME_LAYOUT, zone) for name, at_ns in ids.items()}
