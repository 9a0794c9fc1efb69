"""From and to the tariff plan store: loads of whole plans and of parts, imports, exports (spec chapter 10 §10, 20 §8)."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import Any

from cgr_cluster.engine.codec import pack, unpack
from cgr_cluster.engine.domain import Operation, Part, Steps, outside, step
from cgr_cluster.engine.owner import LEADER
from cgr_cluster.rpc.errors import ApiError, not_found, require, server_error
from cgr_cluster.rpc.owners import LEADER_RULE
from cgr_cluster.rpc.registry import Params, method
from cgr_cluster.tariffs import tp_store
from cgr_cluster.tariffs import tp_types as tp
from cgr_cluster.tariffs.applying import (
    LoadOptions,
    Remaining,
    finish,
    load_from_store,
    loader,
    remove_from_store,
    write,
)
from cgr_cluster.tariffs.deck import LOAD_ORDER, Deck, unzip_files, write_deck, zip_files
from cgr_cluster.tariffs.deck_load import Source, load_by_deck
from cgr_cluster.tariffs.rows import read_slices
from cgr_cluster.tariffs.slices import listed_in_slices, paced
from cgr_cluster.tariffs.tp_store import KIND, all_of


class AttrLoadTpFromStorDb(Params, go="v1.AttrLoadTpFromStorDb"):
    TPid: str = ""
    DryRun: bool = False
    Validate: bool = False
    APIOpts: dict[str, Any] = {}
    Caching: str | None = None


@method("APIerSv1.LoadTariffPlanFromStorDb", owner=LEADER_RULE, changes=True, deadline_s=None)
def load_tariff_plan_from_store(op: Operation, params: AttrLoadTpFromStorDb) -> Steps[str]:
    require(params, "TPid")
    options = LoadOptions(params.DryRun, params.Validate, validate_first=True, source=params.TPid)
    if (yield outside("is_big_in_store", params.TPid)):
        yield from load_by_deck(op, Source(tpid=params.TPid), options, params.Caching, removing=False)
        return "OK"
    left = yield from load_from_store(op, params.TPid, options)
    if not params.DryRun:
        yield from finish(op, left, params.Caching)
    return "OK"


@method("APIerSv1.RemoveTPFromStorDB", owner=LEADER_RULE, changes=True, deadline_s=None)
def remove_tp_from_store(op: Operation, params: AttrLoadTpFromStorDb) -> Steps[str]:
    require(params, "TPid")
    options = LoadOptions(params.DryRun, params.Validate, validate_first=True)
    if (yield outside("is_big_in_store", params.TPid)):
        yield from load_by_deck(op, Source(tpid=params.TPid), options, params.Caching, removing=True)
        return "OK"
    left = yield from remove_from_store(op, params.TPid, options)
    if not params.DryRun:
        yield from finish(op, left, params.Caching, removing=True)
    return "OK"


# --- parts of a plan ---------------------------------------------------------------------------------------------


def _found(part: Part, kind: str, tpid: str, name: str) -> list[Any]:
    """The object of this id, or all of the kind when the id is empty. Raises `SERVER_ERROR: NOT_FOUND`."""
    if name:
        items = _of_ids(part, kind, tpid, [name])
    else:
        items = [item for _, item in all_of(part, KIND[kind], tpid)]
    if not items:
        raise server_error("NOT_FOUND")
    return items


def _of_ids(part: Part, kind: str, tpid: str, ids: Iterable[str]) -> list[Any]:
    """Those of the objects that the store has, each once."""
    found = (tp_store.get(part, KIND[kind], tpid, name) for name in dict.fromkeys(ids))
    return [item for item in found if item is not None]


def _load_parts(part: Part, deck: Deck) -> Remaining:
    """Load some objects; of the timings only what plans copy."""

    loading = loader(part)
    try:
        for kind in LOAD_ORDER:
            loading.load_kind(kind.name, deck.get(kind.name, []))
    except ApiError as error:
        raise server_error(error) from None
    return write(part, loading.result())


class AttrLoadDestination(Params, go="v1.AttrLoadDestination"):
    TPid: str = ""
    ID: str = ""


@method("APIerSv1.LoadDestination", owner=LEADER_RULE, changes=True)
def load_destination(part: Part, params: AttrLoadDestination) -> str:
    require(params, "TPid")
    _load_parts(part, {"destination": _found(part, "destination", params.TPid, params.ID)})
    return "OK"


class AttrLoadRatingPlan(Params, go="v1.AttrLoadRatingPlan"):
    TPid: str = ""
    RatingPlanId: str = ""


@method("APIerSv1.LoadRatingPlan", owner=LEADER_RULE, changes=True)
def load_rating_plan(part: Part, params: AttrLoadRatingPlan) -> str:
    require(params, "TPid")
    tpid = params.TPid
    plans: list[tp.TPRatingPlan] = _found(part, "rating_plan", tpid, params.RatingPlanId)
    bindings = [binding for plan in plans for binding in plan.RatingPlanBindings]
    rates: list[tp.TPDestinationRate] = _of_ids(
        part, "destination_rate", tpid, (b.DestinationRatesId for b in bindings)
    )
    rows = [row for rate in rates for row in rate.DestinationRates]
    deck: Deck = {
        "destination": _of_ids(part, "destination", tpid, (row.DestinationId for row in rows)),
        "timing": _of_ids(part, "timing", tpid, (binding.TimingId for binding in bindings)),
        "rate": _of_ids(part, "rate", tpid, (row.RateId for row in rows)),
        "destination_rate": rates,
        "rating_plan": plans,
    }
    _load_parts(part, deck)
    return "OK"


_PROFILE_NAMES = ("LoadId", "Tenant", "Category", "Subject")


def _load_profiles(part: Part, tpid: str, names: list[str]) -> None:
    """Load the rating profiles with these names (of _PROFILE_NAMES; empty: any). Their plans must be live."""
    found = [
        item
        for _, item in all_of(part, KIND["rating_profile"], tpid)
        if all(not name or getattr(item, field) == name for field, name in zip(_PROFILE_NAMES, names, strict=True))
    ]
    if not found:
        shown = " ".join([tpid, *names])
        raise server_error(f"no RatingProfile for filter &{{{shown} []}}, error: NOT_FOUND")
    _load_parts(part, {"rating_profile": found})


@method("APIerSv1.LoadRatingProfile", owner=LEADER_RULE, changes=True)
def load_rating_profile(part: Part, params: tp.TPRatingProfile) -> str:
    require(params, "TPid")
    _load_profiles(part, params.TPid, [getattr(params, field) for field in _PROFILE_NAMES])
    return "OK"


class AttrLoadRatingProfile(Params, go="v2.AttrLoadRatingProfile"):
    TPid: str = ""
    RatingProfileID: str = ""


@method("APIerSv2.LoadRatingProfile", owner=LEADER_RULE, changes=True)
def load_rating_profile_v2(part: Part, params: AttrLoadRatingProfile) -> str:
    """All of the tariff plan, or the one whose id is given."""
    require(params, "TPid")
    names = params.RatingProfileID.split(":") if params.RatingProfileID else [""] * len(_PROFILE_NAMES)
    if len(names) != len(_PROFILE_NAMES):
        raise ApiError(f"Wrong TPRatingProfileId: {params.RatingProfileID}")
    _load_profiles(part, params.TPid, names)
    return "OK"


class AttrLoadSharedGroup(Params, go="v1.AttrLoadSharedGroup"):
    TPid: str = ""
    SharedGroupId: str = ""


@method("APIerSv1.LoadSharedGroup", owner=LEADER_RULE, changes=True)
def load_shared_group(part: Part, params: AttrLoadSharedGroup) -> str:
    """All groups of the tariff plan, whatever the id (10 §10)."""
    require(params, "TPid")
    _load_parts(part, {"shared_group": [item for _, item in all_of(part, KIND["shared_group"], params.TPid)]})
    return "OK"


class AttrLoadAccountActions(Params, go="v2.AttrLoadAccountActions"):
    TPid: str = ""
    AccountActionsId: str = ""


@step("tariffs.load_account_actions")
def load_account_actions(part: Part, tpid: str, load_id: str, tenant: str, account: str) -> Remaining:
    """Rows of AccountActions (empty arguments: any), with the plans, actions and triggers of the store they name."""
    wanted = [(n, v) for n, v in (("LoadId", load_id), ("Tenant", tenant), ("Account", account)) if v]
    rows: list[tp.TPAccountActions] = [
        item
        for _, item in all_of(part, KIND["account_actions"], tpid)
        if all(getattr(item, name) == value for name, value in wanted)
    ]
    if not rows:
        raise server_error("NOT_FOUND")
    plans: list[tp.TPActionPlan] = _of_ids(part, "action_plan", tpid, (row.ActionPlanId for row in rows))
    triggers: list[tp.TPActionTriggers] = _of_ids(part, "action_trigger", tpid, (row.ActionTriggersId for row in rows))
    timings = [timing for plan in plans for timing in plan.ActionPlan]
    fired = [trigger.ActionsId for group in triggers for trigger in group.ActionTriggers]
    actions: list[tp.TPActions] = _of_ids(part, "actions", tpid, [*(timing.ActionsId for timing in timings), *fired])
    deck: Deck = {
        "timing": [item for _, item in all_of(part, KIND["timing"], tpid)],
        "actions": actions,
        "action_plan": plans,
        "action_trigger": triggers,
        "account_actions": rows,
    }
    return _load_parts(part, deck)


@method("APIerSv1.LoadAccountActions", owner=LEADER_RULE, changes=True, deadline_s=None)
def load_account_actions_v1(op: Operation, params: tp.TPAccountActions) -> Steps[str]:
    require(params, "TPid")
    left = yield load_account_actions.at(LEADER, params.TPid, params.LoadId, params.Tenant, params.Account)
    yield from finish(op, left, None)
    return "OK"


@method("APIerSv2.LoadAccountActions", owner=LEADER_RULE, changes=True, deadline_s=None)
def load_account_actions_v2(op: Operation, params: AttrLoadAccountActions) -> Steps[str]:
    require(params, "TPid")
    load_id, _, account = params.AccountActionsId.partition(":")
    tenant, _, name = account.partition(":")
    left = yield load_account_actions.at(LEADER, params.TPid, load_id, tenant, name)
    yield from finish(op, left, None)
    return "OK"


# --- imports -----------------------------------------------------------------------------------------------------


class AttrImportTPFromFolder(Params, go="utils.AttrImportTPFromFolder"):
    TPid: str = ""
    FolderPath: str = ""
    RunId: str = ""
    CsvSeparator: str = ""
    APIOpts: dict[str, Any] = {}


class AttrImportTPZipFile(Params, go="v1.AttrImportTPZipFile"):
    TPid: str = ""
    File: bytes = b""


@step("tariffs.store_objects")
def store_objects(part: Part, objects: list[tuple[str, bytes]]) -> None:
    """Store (kind, packed object) entries, each in place of the object of the same id."""
    for kind, packed in objects:
        tp_store.put(part, KIND[kind], unpack(KIND[kind].type, packed))


@method("APIerSv1.ImportTariffPlanFromFolder", owner=LEADER_RULE, changes=True, deadline_s=None)
def import_tariff_plan_from_folder(op: Operation, params: AttrImportTPFromFolder) -> Steps[str]:
    require(params, "TPid", "FolderPath")
    files = yield outside("read_folder", params.FolderPath)
    load_id = f"CSVLOAD_{params.RunId}" if params.RunId else "CSVLOAD"
    yield from _import(params.TPid, files, load_id, params.CsvSeparator[:1] or ",")
    return "OK"


@method("APIerSv1.ImportTPZipFile", owner=LEADER_RULE, changes=True, deadline_s=None)
def import_tp_zip_file(op: Operation, params: AttrImportTPZipFile) -> Steps[str]:
    require(params, "TPid", "File")
    files = unzip_files(params.File)
    if files is None:
        raise server_error("zip: not a valid zip file")
    flat = {PurePosixPath(path).name: data for path, data in files.items()}
    yield from _import(params.TPid, flat, "CSVLOAD", ",")
    return "OK"


def _import(tpid: str, files: dict[str, bytes], load_id: str, separator: str) -> Steps[None]:
    """Store the rows of the files whose names the folder itself has. A bad file is left out, the others are stored."""
    here = {path for path in files if len(PurePosixPath(path).parts) == 1}
    objects: list[tuple[str, bytes]] = []
    whole = True
    for kind in LOAD_ORDER:
        if kind.file not in here:
            continue
        items, problems = yield from paced(read_slices(kind, files, tpid, load_id, separator))
        if problems:
            whole = False
            continue
        objects += yield from paced(listed_in_slices((kind.name, pack(item)) for item in items))
    yield store_objects.at(LEADER, objects)
    if not whole:
        raise server_error("PARTIALLY_EXECUTED")


# --- exports -----------------------------------------------------------------------------------------------------


class AttrDirExportTP(Params, go="utils.AttrDirExportTP"):
    TPid: str | None = None
    FileFormat: str | None = None
    FieldSeparator: str | None = None
    ExportPath: str | None = None
    Compress: bool | None = None


@step("tariffs.export_files", reads=True)
def export_files(part: Part, tpid: str, separator: str) -> dict[str, bytes]:
    """The tariff plan as CSV files. Raises NOT_FOUND for an unknown one."""
    files = write_deck(tp_store.deck_of(part, tpid), separator)
    if not files:
        raise not_found()
    return files


def _export(params: AttrDirExportTP) -> Steps[dict[str, bytes]]:
    require(params, "TPid")
    if (params.FileFormat or "*csv").lstrip("*").lower() != "csv":
        raise ApiError(f"Unsupported file format: {params.FileFormat}")
    files: dict[str, bytes] = yield export_files.at(LEADER, params.TPid or "", (params.FieldSeparator or ",")[:1])
    return files


@method("APIerSv1.ExportTPToZipString", owner=LEADER_RULE, deadline_s=None)
def export_tp_to_zip_string(op: Operation, params: AttrDirExportTP) -> Steps[str]:
    files = yield from _export(params)
    return base64.b64encode(zip_files(files)).decode()


@method("APIerSv1.ExportTPToFolder", owner=LEADER_RULE, deadline_s=None)
def export_tp_to_folder(op: Operation, params: AttrDirExportTP) -> Steps[dict[str, Any]]:
    files = yield from _export(params)
    written = {"tpexport.zip": zip_files(files)} if params.Compress else files
    folder = str(op.generation.config("general").get("tpexport_dir", ""))
    name = str(params.TPid).replace("/", "_")
    path = params.ExportPath or f"{folder}/{name if name.strip('.') else name.replace('.', '_')}"
    yield outside("write_folder", path, written)
    return {"ExportPath": path, "ExportedFiles": sorted(files), "Compressed": bool(params.Compress)}
