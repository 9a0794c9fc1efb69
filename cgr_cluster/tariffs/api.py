"""Loading tariff plan folders (spec chapter 10 §9.2, 8.4). The methods on live rating data are in `live_api.py`."""

from __future__ import annotations

from typing import Any

from cgr_cluster.engine.domain import Operation, Steps, outside
from cgr_cluster.events.instant import ZERO
from cgr_cluster.events.times import format_instant
from cgr_cluster.rpc.errors import ApiError
from cgr_cluster.rpc.owners import LEADER_RULE
from cgr_cluster.rpc.registry import Params, method
from cgr_cluster.tariffs import diff_api as diff_api  # their methods are registered with these
from cgr_cluster.tariffs import exporting as exporting
from cgr_cluster.tariffs import history as history
from cgr_cluster.tariffs import live_api as live_api
from cgr_cluster.tariffs import progress as progress
from cgr_cluster.tariffs.applying import LoadOptions, finish, load_folder, remove_folder
from cgr_cluster.tariffs.deck_load import Source, load_by_deck


class AttrLoadTpFromFolder(Params, go="utils.AttrLoadTpFromFolder"):
    FolderPath: str = ""
    DryRun: bool = False
    Validate: bool = False
    APIOpts: dict[str, Any] = {}
    Caching: str | None = None


def _load(op: Operation, params: AttrLoadTpFromFolder, removing: bool = False) -> Steps[None]:
    """A folder that is too large for turns of a worker goes by a deck."""
    if not params.FolderPath:
        raise ApiError("MANDATORY_IE_MISSING:FolderPath")
    options = LoadOptions(params.DryRun, params.Validate, source=params.FolderPath)
    files: dict[str, bytes] | None = yield outside("read_small_folder", params.FolderPath)
    if files is None:
        yield from load_by_deck(op, Source(path=params.FolderPath), options, params.Caching, removing)
        return
    left = yield from (remove_folder if removing else load_folder)(op, files, options)
    if not params.DryRun:
        yield from finish(op, left, params.Caching, removing)


@method("APIerSv1.LoadTariffPlanFromFolder", owner=LEADER_RULE, changes=True, deadline_s=None)
def load_tariff_plan_from_folder(op: Operation, params: AttrLoadTpFromFolder) -> Steps[str]:
    yield from _load(op, params)
    return "OK"


@method("APIerSv2.LoadTariffPlanFromFolder", owner=LEADER_RULE, changes=True, deadline_s=None)
def load_tariff_plan_from_folder_v2(op: Operation, params: AttrLoadTpFromFolder) -> Steps[dict[str, str]]:
    yield from _load(op, params)
    load_id = "dry_run" if params.DryRun else ""
    return {
        "LoadID": "",
        "RatingLoadID": load_id,
        "AccountingLoadID": load_id,
        "LoadTime": format_instant(ZERO),
    }


@method("APIerSv1.RemoveTPFromFolder", owner=LEADER_RULE, changes=True, deadline_s=None)
def remove_tp_from_folder(op: Operation, params: AttrLoadTpFromFolder) -> Steps[str]:
    yield from _load(op, params, removing=True)
    return "OK"
