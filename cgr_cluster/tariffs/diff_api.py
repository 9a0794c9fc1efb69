"""APIerSv1.DiffTariffPlan, a method of ours: what loading a folder or a tariff plan of the store would change (docs/diff.md)."""

from __future__ import annotations

from typing import Any

from cgr_cluster.engine.domain import Operation, Steps, outside
from cgr_cluster.rpc.errors import ApiError
from cgr_cluster.rpc.owners import LEADER_RULE
from cgr_cluster.rpc.registry import Params, method
from cgr_cluster.tariffs.applying import refused_as_server_error, zone_of
from cgr_cluster.tariffs.deck import Deck, read_deck_slices
from cgr_cluster.tariffs.diff import NEW_ID, Json, diff_slices
from cgr_cluster.tariffs.loading import Loader
from cgr_cluster.tariffs.rows import Problem
from cgr_cluster.tariffs.slices import paced
from cgr_cluster.tariffs.tp_store import read_deck_of_store

LISTED = 5  # objects of a kind, and fields of an object
MAX_LISTED = 1_000


class AttrDiffTariffPlan(Params, go="v1.AttrDiffTariffPlan"):
    FolderPath: str = ""
    TPid: str = ""
    Limit: int = 0
    APIOpts: dict[str, Any] | None = None


@method("APIerSv1.DiffTariffPlan", owner=LEADER_RULE, deadline_s=None)
def diff_tariff_plan(op: Operation, params: AttrDiffTariffPlan) -> Steps[Json]:
    """Changes by kind, against what is live now. Errors are those of the load itself."""
    problems: dict[str, list[Problem]] = {}
    deck: Deck
    if params.TPid and not params.FolderPath:
        deck = yield from read_deck_of_store(params.TPid)
    elif params.FolderPath:
        files: dict[str, bytes] = yield outside("read_folder", params.FolderPath)
        deck, problems = yield from paced(read_deck_slices(files))
    else:
        raise ApiError("MANDATORY_IE_MISSING:FolderPath")
    generation = op.generation
    loader = Loader(generation, op.now_ns, zone_of(op), lambda: NEW_ID)
    loaded = yield from paced(refused_as_server_error(loader.load_slices(deck, problems)))
    limit = min(params.Limit, MAX_LISTED) if params.Limit > 0 else LISTED
    own_timings = {row.ID for row in deck.get("timing", ())}
    kinds = yield from paced(diff_slices(generation, loaded, own_timings, limit))
    return {"Kinds": kinds, "Accounts": len(loaded.accounts)}
