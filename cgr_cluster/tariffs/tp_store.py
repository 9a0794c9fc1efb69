"""The tariff plan store: rows side by side under tariff plan ids, without effect until loaded (spec chapter 10 §10).

Kept in the leader's shard, one stored object per (tariff plan, kind, id). `STORE` declares all kinds: their methods'
names, what is mandatory, and what their ids are made of.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from cgr_cluster.engine.codec import pack, unpack
from cgr_cluster.engine.domain import Part, Steps, sleep, step, stored
from cgr_cluster.engine.owner import LEADER
from cgr_cluster.tariffs import tp_types as tp
from cgr_cluster.tariffs.deck import LOAD_ORDER, Deck
from cgr_cluster.tariffs.slices import NEXT_TURN_NS, SLICE_ROWS, listed_in_slices, paced, sorted_in_slices


class StoreKind(msgspec.Struct, frozen=True):
    """`name` is the kind in decks; `noun` as in `SetTP<noun>`; `ids_method` the whole name of the list method; `required`
    the mandatory fields of Set besides TPid, in the order of the error; an id is the `id_fields` joined by `:`. A kind without
    `noun` has no methods: it comes from files only."""

    name: str
    type: type[Any]
    noun: str
    ids_method: str
    required: tuple[str, ...]
    id_fields: tuple[str, ...] = ("ID",)

    def id_of(self, item: Any) -> str:
        return ":".join([getattr(item, field) for field in self.id_fields])


_TENANT_ID = ("Tenant", "ID")
STORE: tuple[StoreKind, ...] = (
    StoreKind("destination", tp.TPDestination, "Destination", "GetTPDestinationIDs", ("ID", "Prefixes")),
    StoreKind(
        "timing", tp.TPTiming, "Timing", "GetTPTimingIds", ("ID", "Years", "Months", "MonthDays", "WeekDays", "Time")
    ),
    StoreKind("rate", tp.TPRate, "Rate", "GetTPRateIds", ("ID", "RateSlots")),
    StoreKind(
        "destination_rate", tp.TPDestinationRate, "DestinationRate", "GetTPDestinationRateIds", ("ID", "DestinationRates")
    ),
    StoreKind("rating_plan", tp.TPRatingPlan, "RatingPlan", "GetTPRatingPlanIds", ("ID", "RatingPlanBindings")),
    StoreKind(
        "rating_profile", tp.TPRatingProfile, "RatingProfile", "GetTPRatingProfileIds",
        ("LoadId", "Category", "Subject", "RatingPlanActivations"), ("LoadId", "Tenant", "Category", "Subject"),
    ),
    StoreKind("shared_group", tp.TPSharedGroups, "SharedGroups", "GetTPSharedGroupIds", ("ID", "SharedGroups")),
    StoreKind("actions", tp.TPActions, "Actions", "GetTPActionIds", ("ID", "Actions")),
    StoreKind("action_plan", tp.TPActionPlan, "ActionPlan", "GetTPActionPlanIds", ("ID", "ActionPlan")),
    StoreKind("action_trigger", tp.TPActionTriggers, "ActionTriggers", "GetTPActionTriggerIds", ("ID",)),
    StoreKind(
        "account_actions", tp.TPAccountActions, "AccountActions", "GetTPAccountActionIds",
        ("LoadId", "Account", "ActionPlanId"), ("LoadId", "Tenant", "Account"),
    ),
    StoreKind("filter", tp.TPFilterProfile, "FilterProfile", "GetTPFilterProfileIds", ("ID",), _TENANT_ID),
    StoreKind("attribute_profile", tp.TPAttributeProfile, "AttributeProfile", "GetTPAttributeProfileIds", ("ID",), _TENANT_ID),
    StoreKind("charger", tp.TPChargerProfile, "Charger", "GetTPChargerIDs", ("ID",), _TENANT_ID),
    StoreKind("resource", tp.TPResourceProfile, "Resource", "GetTPResourceIDs", ("ID", "Limit"), _TENANT_ID),
    StoreKind("ip", tp.TPIPProfile, "", "", ("ID",), _TENANT_ID),
    StoreKind("stat", tp.TPStatProfile, "Stat", "GetTPStatIDs", ("ID",), _TENANT_ID),
    StoreKind("trend", tp.TPTrendsProfile, "Trend", "GetTPTrendIDs", ("ID",), _TENANT_ID),
    StoreKind("ranking", tp.TPRankingProfile, "Ranking", "GetTPRankingIDs", ("ID",), _TENANT_ID),
    StoreKind("threshold", tp.TPThresholdProfile, "Threshold", "GetTPThresholdIDs", ("ID",), _TENANT_ID),
    StoreKind("route", tp.TPRouteProfile, "RouteProfile", "GetTPRouteProfileIDs", ("ID",), _TENANT_ID),
    StoreKind("dispatcher_profile", tp.TPDispatcherProfile, "DispatcherProfile", "GetTPDispatcherProfileIDs", ("ID",), _TENANT_ID),
    StoreKind("dispatcher_host", tp.TPDispatcherHost, "DispatcherHost", "GetTPDispatcherHostIDs", ("ID",), _TENANT_ID),
)  # fmt: skip
KIND = {kind.name: kind for kind in STORE}
for _kind in STORE:
    stored(f"tp_{_kind.name}")(_kind.type)


def _prefix(tpid: str) -> str:
    """What the keys of one tariff plan begin with; the length keeps ids with colons apart."""
    return f"{len(tpid)}:{tpid}:"


def put(part: Part, kind: StoreKind, item: Any) -> None:
    """Store `item` under its TPid and id, replacing what was there. An empty tenant becomes the default one."""
    if "Tenant" in kind.id_fields and not item.Tenant:
        item = msgspec.structs.replace(item, Tenant=part.generation.default_tenant)
    part.put(kind.type, _prefix(item.TPid) + kind.id_of(item), item)


def get(part: Part, kind: StoreKind, tpid: str, item_id: str) -> Any:
    """The object, or None."""
    return part.read(kind.type, _prefix(tpid) + item_id)


def remove(part: Part, kind: StoreKind, tpid: str, item_id: str) -> None:
    part.delete(kind.type, _prefix(tpid) + item_id)


def all_of(part: Part, kind: StoreKind, tpid: str) -> Iterator[tuple[str, Any]]:
    """(id, object) of the tariff plan, by id."""
    prefix = _prefix(tpid)
    found = [(key[len(prefix) :], item) for key, item in part.all(kind.type) if key.startswith(prefix)]
    return iter(sorted(found, key=lambda entry: entry[0]))


def ids_of(part: Part, kind: StoreKind, tpid: str) -> list[str]:
    """Ids of the tariff plan's objects, in order."""
    prefix = _prefix(tpid)
    return sorted(key[len(prefix) :] for key in part.keys(kind.type) if key.startswith(prefix))


def tpids(part: Part) -> list[str]:
    return sorted({item.TPid for kind in STORE for _, item in part.all(kind.type)})


def remove_all(part: Part, tpid: str) -> None:
    prefix = _prefix(tpid)
    for kind in STORE:
        for key in [key for key, _ in part.all(kind.type) if key.startswith(prefix)]:
            part.delete(kind.type, key)


def deck_of(part: Part, tpid: str) -> Deck:
    """Everything of the tariff plan that a load reads."""
    return {kind.name: [item for _, item in all_of(part, KIND[kind.name], tpid)] for kind in LOAD_ORDER}


# --- read over many turns ----------------------------------------------------------------------------------------


@step("tariffs.store_keys", reads=True)
def store_keys(part: Part, kind: str) -> list[str]:
    """Keys of all tariff plans' objects of a kind."""
    return part.keys(KIND[kind].type)


@step("tariffs.store_items", reads=True)
def store_items(part: Part, kind: str, keys: list[str]) -> list[bytes]:
    """The objects, packed; those that have gone are left out."""
    found = (part.read(KIND[kind].type, key) for key in keys)
    return [pack(item) for item in found if item is not None]


def read_deck_of_store(tpid: str) -> Steps[Deck]:
    """Everything of the tariff plan that a load reads, by id, however much it is. What is set or removed in the
    meantime is in it or not."""
    prefix = _prefix(tpid)
    deck: Deck = {}
    for kind in LOAD_ORDER:
        declared = KIND[kind.name]
        keys = yield store_keys.at(LEADER, kind.name)
        own = yield from paced(listed_in_slices(key for key in keys if key.startswith(prefix)))
        own = yield from paced(sorted_in_slices(own))
        items: list[Any] = []
        for start in range(0, len(own), SLICE_ROWS):
            packed = yield store_items.at(LEADER, kind.name, own[start : start + SLICE_ROWS])
            items += [unpack(declared.type, one) for one in packed]
            yield sleep(NEXT_TURN_NS)
        deck[kind.name] = items
    return deck


BYTES_A_ROW = 40  # of a packed object, about


def stored_rows(tables: Mapping[str, Mapping[str, Any]], tpid: str) -> int:
    """About how many rows a tariff plan has in the leader's shard, without decoding any."""
    prefix = _prefix(tpid)
    return sum(
        _row_count(item)
        for kind in LOAD_ORDER
        for key, item in tables.get(f"tp_{kind.name}", {}).items()
        if key.startswith(prefix)
    )


def _row_count(item: Any) -> int:
    if type(item) is bytes:
        return 1 + len(item) // BYTES_A_ROW
    values = (getattr(item, field) for field in item.__struct_fields__)
    return 1 + sum(len(value) for value in values if isinstance(value, list))


def stored_plan(tables: Mapping[str, Mapping[str, Any]], tpid: str) -> list[tuple[str, Any]]:
    """(kind, object or its packed bytes) of everything that a load reads, in its order."""
    prefix = _prefix(tpid)
    return [
        (kind.name, item)
        for kind in LOAD_ORDER
        for key, item in sorted(tables.get(f"tp_{kind.name}", {}).items(), key=lambda entry: entry[0])
        if key.startswith(prefix)
    ]
