"""Methods on groups of action triggers (spec 20 §7.5). What is on accounts: account_trigger_api.py."""

from __future__ import annotations

from typing import Any

from cgr_cluster.actions.attach import trigger_group
from cgr_cluster.actions.definitions import trigger_with
from cgr_cluster.actions.types import ActionTrigger, ActionTriggerGroup
from cgr_cluster.actions.wire import trigger_json
from cgr_cluster.caches.items import note_object
from cgr_cluster.engine.domain import Part
from cgr_cluster.rpc.errors import not_found, require
from cgr_cluster.rpc.owners import LEADER_RULE
from cgr_cluster.rpc.registry import Params, method


class AttrSetActionTrigger(Params, go="engine.AttrSetActionTrigger"):
    GroupID: str = ""
    UniqueID: str = ""
    ActionTrigger: dict[str, Any] = {}


class AttrGetActionTriggers(Params, go="v1.AttrGetActionTriggers"):
    GroupIDs: list[str] = []


class AttrRemoveActionTrigger(Params, go="v1.AttrRemoveActionTrigger"):
    GroupID: str = ""
    UniqueID: str = ""


def default_zone(part: Part) -> str:
    return str(part.generation.config("general").get("default_timezone", ""))


@method("APIerSv1.SetActionTrigger", owner=LEADER_RULE, changes=True)
def set_action_trigger(part: Part, params: AttrSetActionTrigger) -> str:
    require(params, "GroupID")
    group: ActionTriggerGroup | None = part.generation.get("action_trigger", params.GroupID)
    triggers = list(group.triggers) if group is not None else []
    place = next((i for i, trigger in enumerate(triggers) if trigger.unique_id == params.UniqueID), None)
    if place is None or not params.UniqueID:
        triggers.append(ActionTrigger(params.GroupID, params.UniqueID or part.new_uuid()))
        place = len(triggers) - 1
    triggers[place] = trigger_with(triggers[place], params.ActionTrigger, part.now_ns, default_zone(part))
    part.set_reference("action_trigger", params.GroupID, ActionTriggerGroup(params.GroupID, tuple(triggers)))
    return "OK"


@method("APIerSv1.GetActionTriggers")
def get_action_triggers(part: Part, params: AttrGetActionTriggers) -> list[dict[str, Any]]:
    group_ids = params.GroupIDs or sorted(part.generation.keys("action_trigger"))
    found = [trigger for group_id in group_ids for trigger in trigger_group(part.generation, group_id).triggers]
    if not found:
        raise not_found()
    for group_id in group_ids:
        note_object(part, "action_trigger", group_id)
    return [trigger_json(trigger) for trigger in found]


@method("APIerSv1.RemoveActionTrigger", owner=LEADER_RULE, changes=True)
def remove_action_trigger(part: Part, params: AttrRemoveActionTrigger) -> str:
    """Removes one trigger or the whole group. An unknown group: OK; with a UniqueID: `NOT_FOUND`."""
    require(params, "GroupID")
    group: ActionTriggerGroup | None = part.generation.get("action_trigger", params.GroupID)
    if group is None:
        if params.UniqueID:
            raise not_found()
        return "OK"
    kept = tuple(t for t in group.triggers if params.UniqueID and t.unique_id != params.UniqueID)
    if kept:
        part.set_reference("action_trigger", params.GroupID, ActionTriggerGroup(params.GroupID, kept))
    else:
        part.remove_reference("action_trigger", params.GroupID)
    return "OK"
