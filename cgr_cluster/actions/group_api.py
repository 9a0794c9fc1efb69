"""Methods on action groups (spec 20 §5.5)."""

from __future__ import annotations

from typing import Any

from cgr_cluster.actions.definitions import TPAction, V1TPAction, action_of
from cgr_cluster.actions.execute import zone_of
from cgr_cluster.actions.types import ActionGroup
from cgr_cluster.actions.wire import action_input_json, action_json
from cgr_cluster.caches.items import note_object
from cgr_cluster.engine.domain import Part
from cgr_cluster.rpc.errors import ApiError, not_found, require, server_error
from cgr_cluster.rpc.owners import LEADER_RULE
from cgr_cluster.rpc.registry import Params, method


class AttrSetActions(Params, go="utils.AttrSetActions"):
    ActionsId: str = ""
    Overwrite: bool = False
    Actions: list[TPAction] = []


class V1AttrSetActions(Params, go="v1.V1AttrSetActions"):
    ActionsId: str = ""
    Overwrite: bool = False
    Actions: list[V1TPAction] = []


class AttrGetActions(Params, go="v2.AttrGetActions"):
    ActionIDs: list[str] = []
    Offset: int = 0
    Limit: int = 0


class AttrGetActionsCount(Params, go="v2.AttrGetActionsCount"):
    pass


class AttrRemoveActions(Params, go="v1.AttrRemoveActions"):
    ActionIDs: list[str] | None = None


def _set(part: Part, params: AttrSetActions | V1AttrSetActions, units_mandatory: bool) -> str:
    require(params, "ActionsId", "Actions")
    for row in params.Actions:
        absent = [] if row.Identifier else ["Identifier"]
        if units_mandatory and row.BalanceType and not row.Units:
            absent.append("Units")
        if absent:
            raise ApiError(f"MANDATORY_IE_MISSING:Action:{row.Identifier}:[{' '.join(absent)}]")
    if not params.Overwrite and part.generation.get("actions", params.ActionsId) is not None:
        raise ApiError("EXISTS")
    actions = tuple(action_of(row, part.generation) for row in params.Actions)
    part.set_reference("actions", params.ActionsId, ActionGroup(params.ActionsId, actions))
    return "OK"


@method("APIerSv2.SetActions", owner=LEADER_RULE, changes=True)
def set_actions(part: Part, params: AttrSetActions) -> str:
    return _set(part, params, units_mandatory=True)


@method("APIerSv1.SetActions", owner=LEADER_RULE, changes=True)
def set_actions_v1(part: Part, params: V1AttrSetActions) -> str:
    return _set(part, params, units_mandatory=False)


@method("APIerSv1.GetActions")
def get_actions_v1(part: Part, params: str) -> list[dict[str, Any]]:
    if not params:
        raise ApiError("MANDATORY_IE_MISSING ActionsId: ")
    group: ActionGroup | None = part.generation.get("actions", params)
    if group is None:
        raise server_error(not_found())
    note_object(part, "actions", params)
    zone = zone_of(part.generation)
    return [action_input_json(action, part.now_ns, zone) for action in group.actions]


@method("APIerSv2.GetActions")
def get_actions(part: Part, params: AttrGetActions) -> dict[str, list[dict[str, Any]]]:
    ids = [group_id for group_id in params.ActionIDs if group_id]
    if not params.ActionIDs:
        ids = sorted(part.generation.keys("actions"))
    first = max(params.Offset, 0)
    out = {}
    for group_id in ids[first : first + params.Limit] if params.Limit > 0 else ids[first:]:
        group: ActionGroup | None = part.generation.get("actions", group_id)
        if group is None:
            raise server_error(not_found())
        out[group_id] = [action_json(group_id, action) for action in group.actions]
    return out


@method("APIerSv2.GetActionsCount")
def get_actions_count(part: Part, params: AttrGetActionsCount) -> int:
    count = len(part.generation.keys("actions"))
    if not count:
        raise not_found()
    return count


@method("APIerSv1.RemoveActions", owner=LEADER_RULE, changes=True)
def remove_actions(part: Part, params: AttrRemoveActions) -> str:
    if params.ActionIDs is None:
        raise not_found()
    for group_id in params.ActionIDs:
        if part.generation.get("actions", group_id) is not None:
            part.remove_reference("actions", group_id)
    return "OK"
