"""Methods of the tariff plan store (spec chapter 10 §10, 20 §8, 30.10, 50 §5.3).

Set, Get, list and Remove of all kinds are declared from one table (`tp_store.STORE`). Loads from the store, imports and
exports are in `tp_loads.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cgr_cluster.engine.domain import Part
from cgr_cluster.rpc.errors import ApiError, missing, not_found, require
from cgr_cluster.rpc.owners import LEADER_RULE
from cgr_cluster.rpc.registry import Params, method
from cgr_cluster.tariffs import tp_loads as tp_loads  # its methods are registered with these
from cgr_cluster.tariffs import tp_store
from cgr_cluster.tariffs import tp_types as tp
from cgr_cluster.tariffs.paging import page
from cgr_cluster.tariffs.tp_store import KIND, STORE, StoreKind


class TPAndID(Params):
    TPid: str = ""
    ID: str = ""


class TPTntID(Params, go="utils.TPTntID"):
    TPid: str = ""
    Tenant: str = ""
    ID: str = ""


class TPAndTag(Params, go="v2.AttrGetTPDestination"):
    TPid: str = ""
    Tag: str = ""


class AttrGetTPRatingProfile(Params, go="v1.AttrGetTPRatingProfile"):
    TPid: str = ""
    RatingProfileID: str = ""


class AttrGetTPAccountActions(Params, go="v1.AttrGetTPAccountActions"):
    TPid: str = ""
    AccountActionsId: str = ""


class TPAndPage(Params):
    TPid: str = ""
    Limit: int | None = None
    Offset: int | None = None
    Search: str = ""


class AttrTPRatingProfileIds(Params, go="utils.AttrTPRatingProfileIds"):
    TPid: str = ""
    Tenant: str = ""
    Category: str = ""
    Subject: str = ""


class AttrGetTPIds(Params, go="v1.AttrGetTPIds"):
    pass


class AttrRemTp(Params, go="v1.AttrRemTp"):
    TPid: str = ""


# --- what a Set checks in its rows -------------------------------------------------------------------------------


def _check_rows(rows: list[Any], name_field: str, required: tuple[str, ...]) -> None:
    for row in rows:
        absent = [field for field in required if not getattr(row, field)]
        if absent:
            raise ApiError(f"MANDATORY_IE_MISSING:Action:{getattr(row, name_field)}:[{' '.join(absent)}]")


def _check_actions(item: tp.TPActions) -> None:
    _check_rows(item.Actions, "Identifier", ("Identifier",))


def _check_action_plan(item: tp.TPActionPlan) -> None:
    _check_rows(item.ActionPlan, "ActionsId", ("ActionsId", "TimingId"))


_ROW_CHECKS: dict[str, Callable[[Any], None]] = {"actions": _check_actions, "action_plan": _check_action_plan}


# --- Set, Get, list and Remove of every kind ---------------------------------------------------------------------

IdOf = Callable[[Part, Any], str]  # the id that the parameters of Get and Remove name; raises what is missing


def _plain_id(part: Part, params: TPAndID) -> str:
    require(params, "TPid", "ID")
    return params.ID


def _tenant_id(part: Part, params: TPTntID) -> str:
    require(params, "TPid", "ID")
    return f"{part.tenant(params.Tenant)}:{params.ID}"


def _rating_profile_id(part: Part, params: AttrGetTPRatingProfile) -> str:
    require(params, "TPid", "RatingProfileID")
    if params.RatingProfileID.count(":") != 3:
        raise ApiError(f"Wrong TPRatingProfileId: {params.RatingProfileID}")
    return params.RatingProfileID


def _account_actions_id(part: Part, params: AttrGetTPAccountActions) -> str:
    require(params, "TPid", "AccountActionsId")
    return params.AccountActionsId


def _tag(part: Part, params: TPAndTag) -> str:
    require(params, "TPid", "Tag")
    return params.Tag


def _ways(kind: StoreKind) -> tuple[type[Params], IdOf]:
    """How Get and Remove of the kind name an object."""
    if kind.name == "rating_profile":
        return AttrGetTPRatingProfile, _rating_profile_id
    if kind.name == "account_actions":
        return AttrGetTPAccountActions, _account_actions_id
    if "Tenant" in kind.id_fields:
        return TPTntID, _tenant_id
    return TPAndID, _plain_id


def _declare(name: str, handler: Callable[[Part, Any], Any], params: type[Any], changes: bool = False) -> None:
    handler.__annotations__["params"] = params
    method(name, owner=LEADER_RULE, changes=changes)(handler)


def _declare_set(kind: StoreKind) -> None:
    check = _ROW_CHECKS.get(kind.name)

    def set_object(part: Part, params: Any) -> str:
        require(params, "TPid", *kind.required)
        if check is not None:
            check(params)
        tp_store.put(part, kind, params)
        return "OK"

    _declare(f"APIerSv1.SetTP{kind.noun}", set_object, kind.type, changes=True)


def _declare_by_id(service: str, kind: StoreKind, params_type: type[Params], id_of: IdOf) -> None:
    def get_object(part: Part, params: Any) -> Any:
        found = tp_store.get(part, kind, params.TPid, id_of(part, params))
        if found is None:
            raise not_found()
        return found

    def remove_object(part: Part, params: Any) -> str:
        tp_store.remove(part, kind, params.TPid, id_of(part, params))
        return "OK"

    _declare(f"{service}.GetTP{kind.noun}", get_object, params_type)
    _declare(f"{service}.RemoveTP{kind.noun}", remove_object, params_type, changes=True)


def _declare_ids(kind: StoreKind) -> None:
    def ids(part: Part, params: Any) -> list[str]:
        require(params, "TPid")
        found = tp_store.ids_of(part, kind, params.TPid)
        return page(found, params.Search, params.Limit, params.Offset)

    _declare(f"APIerSv1.{kind.ids_method}", ids, TPAndPage)


for _kind in STORE:
    if not _kind.noun:
        continue
    _declare_set(_kind)
    _declare_by_id("APIerSv1", _kind, *_ways(_kind))
    _declare_ids(_kind)

# APIerSv2 names the id of a destination `Tag`
_declare_by_id("APIerSv2", KIND["destination"], TPAndTag, _tag)


# --- by load id --------------------------------------------------------------------------------------------------


def _matching(part: Part, kind: StoreKind, params: Any, fields: tuple[str, ...]) -> list[Any]:
    """Objects of the tariff plan whose `fields` are as given; empty ones are not given."""
    wanted = [(field, getattr(params, field)) for field in fields if getattr(params, field)]
    return [
        item
        for _, item in tp_store.all_of(part, kind, params.TPid)
        if all(getattr(item, field) == value for field, value in wanted)
    ]


@method("APIerSv1.GetTPRatingProfileLoadIds", owner=LEADER_RULE)
def get_rating_profile_load_ids(part: Part, params: AttrTPRatingProfileIds) -> list[str]:
    require(params, "TPid")
    found = _matching(part, KIND["rating_profile"], params, ("Tenant", "Category", "Subject"))
    return sorted({item.LoadId for item in found})


@method("APIerSv1.GetTPRatingProfilesByLoadID", owner=LEADER_RULE)
def get_rating_profiles_by_load_id(part: Part, params: tp.TPRatingProfile) -> Any:
    require(params, "TPid", "LoadId")
    return _matching(part, KIND["rating_profile"], params, ("LoadId", "Tenant", "Category", "Subject")) or _none()


@method("APIerSv1.GetTPAccountActionLoadIds", owner=LEADER_RULE)
def get_account_action_load_ids(part: Part, params: TPAndPage) -> list[str]:
    require(params, "TPid")
    load_ids = {item.LoadId for _, item in tp_store.all_of(part, KIND["account_actions"], params.TPid)}
    return page(load_ids, params.Search, params.Limit, params.Offset)


@method("APIerSv1.GetTPAccountActionsByLoadId", owner=LEADER_RULE)
def get_account_actions_by_load_id(part: Part, params: tp.TPAccountActions) -> Any:
    require(params, "TPid", "LoadId")
    return _matching(part, KIND["account_actions"], params, ("LoadId", "Tenant", "Account")) or _none()


def _none() -> Any:
    raise not_found()


# --- the store as a whole ----------------------------------------------------------------------------------------


@method("APIerSv1.GetTPIds", owner=LEADER_RULE)
def get_tp_ids(part: Part, params: AttrGetTPIds) -> list[str]:
    return tp_store.tpids(part)


@method("APIerSv1.RemTP", owner=LEADER_RULE, changes=True)
def rem_tp(part: Part, params: AttrRemTp) -> str:
    if not params.TPid:
        raise missing(["TPid"])
    tp_store.remove_all(part, params.TPid)
    return "OK"
