"""Loading tariff plan folders (spec chapter 10 §9.2, 8.4). The methods on live rating data are in `live_api.py`."""

from __future__ import annotations

from typing import Any

from cgr_cluster.engine.domain import Operation, Steps, outside
from cgr_cluster.events.instant import ZERO
from cgr_cluster.events.times import format_instant
from cgr_cluster.rpc.errors import ApiError
from cgr_cluster.rpc.owners import LEADER_RULE
from cgr_cluster.rpc.registry import Params, method
from cgr_cluster.tariffs import live_api as live_api  # its methods are registered with these
from cgr_cluster.tariffs.applying import LoadOptions, finish, load_folder, remove_folder


class AttrLoadTpFromFolder(Params, go="utils.AttrLoadTpFromFolder"):
    FolderPath: str = ""
    DryRun: bool = False
    Validate: bool = False
    APIOpts: dict[str, Any] = {}
    Caching: str | None = None


def _read(path: str) -> Steps[dict[str, bytes]]:
    if not path:
        raise ApiError("MANDATORY_IE_MISSING:FolderPath")
    files: dict[str, bytes] = yield outside("read_folder", path)
    return files


def _load(op: Operation, params: AttrLoadTpFromFolder) -> Steps[None]:
    files = yield from _read(params.FolderPath)
    left = yield from load_folder(op, files, LoadOptions(params.DryRun, params.Validate))
    if not params.DryRun:
        yield from finish(op, left, params.Caching)


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
    files = yield from _read(params.FolderPath)
    left = yield from remove_folder(op, files, LoadOptions(params.DryRun, params.Validate))
    if not params.DryRun:
        yield from finish(op, left, params.Caching, removing=True)
    return "OK"
