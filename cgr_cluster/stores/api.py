"""Versions of the stores and the health of their indexes, as the administration asks for them (spec chapter 70, section 6).

The versions are those of the original's layouts of objects: what its migration tool compares. They are kept and shown. Our own
formats have versions of their own, which are checked at the start (docs/log-format.md).
"""

from __future__ import annotations

from typing import Any

import msgspec

from cgr_cluster.engine.domain import GenerationView, Operation, Part, Steps, reference, sleep
from cgr_cluster.rating.reference import Destination
from cgr_cluster.rpc.errors import not_found
from cgr_cluster.rpc.owners import ANY, LEADER_RULE
from cgr_cluster.rpc.registry import Params, method, service

service("APIerSv1")

KIND = "store_versions"
DATA_DB, STOR_DB = "data_db", "stor_db"
VERSIONS: dict[str, dict[str, int]] = {
    DATA_DB: {
        "Accounts": 3, "ActionPlans": 3, "ActionTriggers": 2, "Actions": 2, "Attributes": 6, "Chargers": 2,
        "Destinations": 1, "Dispatchers": 2, "LoadIDs": 1, "RQF": 5, "RatingPlan": 1, "RatingProfile": 1, "Resource": 1,
        "ReverseDestinations": 1, "Routes": 2, "SharedGroups": 2, "Stats": 4, "Subscribers": 1, "Thresholds": 4, "Timing": 1,
    },
    STOR_DB: {
        "CDRs": 2, "CostDetails": 2, "SessionSCosts": 3, "TpAccountActions": 1, "TpActionPlans": 1, "TpActionTriggers": 1,
        "TpActions": 1, "TpChargers": 1, "TpDestinationRates": 1, "TpDestinations": 1, "TpDispatchers": 1, "TpFilters": 1,
        "TpRates": 1, "TpRatingPlan": 1, "TpRatingPlans": 1, "TpRatingProfile": 1, "TpRatingProfiles": 1, "TpResource": 1,
        "TpResources": 1, "TpRoutes": 1, "TpSharedGroups": 1, "TpStats": 1, "TpThresholds": 1, "TpTiming": 1,
    },
}  # fmt: skip
CHECKED_AT_ONCE = 2_000  # prefixes that one turn looks at
PAUSE_NS = 1_000_000


@reference(KIND)
class StoreVersions(msgspec.Struct, frozen=True, gc=False):
    """What was set: object → version. The key is the store."""

    versions: dict[str, int]


class SetVersions(Params, go="v1.SetVersionsArg"):
    Versions: dict[str, int] | None = None
    Overwrite: bool = False


class IndexHealth(Params, go="engine.IndexHealthArgsWith2Ch"):
    """Limits of caches, which there are none of."""


# --- versions ----------------------------------------------------------------------------------------------------


def _versions(generation: GenerationView, store: str) -> dict[str, int]:
    found: StoreVersions | None = generation.get(KIND, store)
    return VERSIONS[store] if found is None else found.versions


def _shown(part: Part, store: str) -> dict[str, int]:
    """Raises `NOT_FOUND` when all were overwritten by none."""
    found = _versions(part.generation, store)
    if not found:
        raise not_found()
    return found


def _set(part: Part, store: str, params: SetVersions) -> str:
    """Put versions over those that there are; with `Overwrite` in place of them."""
    given = params.Versions or {}
    kept = {} if params.Overwrite else _versions(part.generation, store)
    part.set_reference(KIND, store, StoreVersions({**kept, **given}))
    return "OK"


@method("APIerSv1.GetDataDBVersions", owner=ANY)
def get_data_db_versions(part: Part, params: str) -> dict[str, int]:
    return _shown(part, DATA_DB)


@method("APIerSv1.GetStorDBVersions", owner=ANY)
def get_stor_db_versions(part: Part, params: str) -> dict[str, int]:
    return _shown(part, STOR_DB)


@method("APIerSv1.SetDataDBVersions", owner=LEADER_RULE, changes=True)
def set_data_db_versions(part: Part, params: SetVersions) -> str:
    return _set(part, DATA_DB, params)


@method("APIerSv1.SetStorDBVersions", owner=LEADER_RULE, changes=True)
def set_stor_db_versions(part: Part, params: SetVersions) -> str:
    return _set(part, STOR_DB, params)


# --- health ------------------------------------------------------------------------------------------------------


@method("APIerSv1.GetReverseDestinationsIndexHealth", owner=ANY, deadline_s=None)
def get_reverse_destinations_index_health(op: Operation, params: IndexHealth) -> Steps[dict[str, Any]]:
    """Destination → those of its prefixes under which it is not found; prefix → destinations found under it that do not have
    it. Null when there are none."""
    missing: dict[str, list[str]] = {}
    broken: dict[str, list[str]] = {}
    checked = 0
    for name in sorted(op.generation.keys("destination")):
        destination: Destination = op.generation.get("destination", name)
        for prefix in dict.fromkeys(destination.prefixes):
            found = op.generation.destinations_of(prefix)
            if name not in found:
                missing.setdefault(name, []).append(prefix)
            if prefix not in broken:
                for other in found:
                    if other != name and not _has(op.generation, other, prefix):
                        broken.setdefault(prefix, []).append(other)
            checked += 1
            if checked % CHECKED_AT_ONCE == 0:
                yield sleep(PAUSE_NS)
    return {"MissingReverseDestinations": missing or None, "BrokenReferences": broken or None}


def _has(generation: GenerationView, name: str, prefix: str) -> bool:
    found: Destination | None = generation.get("destination", name)
    return found is not None and prefix in found.prefixes


@method("APIerSv1.GetAccountActionPlansIndexHealth", owner=ANY)
def get_account_action_plans_index_health(part: Part, params: IndexHealth) -> dict[str, Any]:
    """Always nothing: an account's links to its plans are the only place that says which accounts a plan has, so there are no
    two that could differ (actions/membership.py)."""
    return {"MissingAccountActionPlans": None, "BrokenReferences": None}
