"""Methods on the triggers of an account (spec 20 §7.5)."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from cgr_cluster.accounts.balance_fields import id_set
from cgr_cluster.accounts.types import Account
from cgr_cluster.actions import counters
from cgr_cluster.actions.attach import add_triggers
from cgr_cluster.actions.definitions import trigger_with
from cgr_cluster.actions.execute import triggers_rearmed
from cgr_cluster.actions.trigger_api import default_zone
from cgr_cluster.actions.types import ActionTrigger, BalanceFilter
from cgr_cluster.actions.wire import trigger_json
from cgr_cluster.engine.domain import Part
from cgr_cluster.events.amounts import nano_of
from cgr_cluster.events.times import parse_time
from cgr_cluster.rpc.errors import missing, not_found, require, server_error
from cgr_cluster.rpc.owners import account
from cgr_cluster.rpc.registry import Params, method

_OWNER = account("Tenant", "Account")


class TenantAccount(Params, go="utils.TenantAccount"):
    Tenant: str = ""
    Account: str = ""


class AttrAddAccountActionTriggers(Params, go="v1.AttrAddAccountActionTriggers"):
    Tenant: str = ""
    Account: str = ""
    ActionTriggerIDs: list[str] = []
    ActionTriggerOverwrite: bool = False
    ActivationDate: str = ""
    Executed: bool = False


class AttrSetAccountActionTriggers(Params, go="v1.AttrSetAccountActionTriggers"):
    Tenant: str = ""
    Account: str = ""
    GroupID: str = ""
    UniqueID: str = ""
    ActionTrigger: dict[str, Any] = {}


class AttrResetAccountActionTriggers(Params, go="v1.AttrResetAccountActionTriggers"):
    Tenant: str = ""
    Account: str = ""
    GroupID: str = ""
    UniqueID: str = ""
    Executed: bool = False


class AttrRemoveAccountActionTriggers(Params, go="v1.AttrRemoveAccountActionTriggers"):
    Tenant: str = ""
    Account: str = ""
    GroupID: str = ""
    UniqueID: str = ""


class AttrAddActionTrigger(Params, go="v1.AttrAddActionTrigger"):
    ActionTriggersId: str = ""
    Tenant: str = ""
    Account: str = ""
    ThresholdType: str = ""
    ThresholdValue: float = 0.0
    BalanceId: str = ""
    BalanceType: str = ""
    BalanceDestinationIds: str = ""
    BalanceRatingSubject: str = ""
    BalanceWeight: float = 0.0
    BalanceExpiryTime: str = ""
    BalanceSharedGroup: str = ""
    Weight: float = 0.0
    ActionsId: str = ""


def _edit(part: Part, tenant: str, name: str) -> Account:
    """Raises `NOT_FOUND`."""
    found = part.edit(Account, f"{part.tenant(tenant)}:{name}")
    if found is None:
        raise not_found()
    return found


def _means(trigger: ActionTrigger, group_id: str, unique_id: str) -> bool:
    """Empty ids mean all."""
    return (not group_id or trigger.id == group_id) and (not unique_id or trigger.unique_id == unique_id)


@method("APIerSv1.GetAccountActionTriggers", owner=_OWNER)
def get_account_action_triggers(part: Part, params: TenantAccount) -> list[dict[str, Any]]:
    require(params, "Account")
    found = part.read(Account, f"{part.tenant(params.Tenant)}:{params.Account}")
    if found is None:
        raise server_error(not_found())
    return [trigger_json(trigger) for trigger in found.triggers or ()]


@method("APIerSv1.AddAccountActionTriggers", owner=_OWNER, changes=True)
def add_account_action_triggers(part: Part, params: AttrAddAccountActionTriggers) -> str:
    require(params, "Account")
    draft = _edit(part, params.Tenant, params.Account)
    activation = None
    if params.ActivationDate:
        activation = parse_time(params.ActivationDate, part.now_ns, default_zone(part))
    add_triggers(
        part.generation, draft, params.ActionTriggerIDs, params.ActionTriggerOverwrite, activation, params.Executed
    )
    return "OK"


@method("APIerSv1.SetAccountActionTriggers", owner=_OWNER, changes=True)
def set_account_action_triggers(part: Part, params: AttrSetAccountActionTriggers) -> str:
    """Updates the triggers meant; when there is none, makes one. Counters come with the next change of a balance."""
    require(params, "Account")
    draft = _edit(part, params.Tenant, params.Account)
    triggers = list(draft.triggers or ())
    places = [i for i, trigger in enumerate(triggers) if _means(trigger, params.GroupID, params.UniqueID)]
    if not places:
        if not params.GroupID:
            raise missing(["GroupID"])
        absent = [name for name in ("ThresholdType", "ThresholdValue") if params.ActionTrigger.get(name) in (None, "")]
        if absent:
            raise missing(absent)
        triggers.append(ActionTrigger(params.GroupID, params.UniqueID or part.new_uuid()))
        places = [len(triggers) - 1]
    for place in places:
        triggers[place] = trigger_with(triggers[place], params.ActionTrigger, part.now_ns, default_zone(part))
    draft.triggers = triggers
    triggers_rearmed(part, draft)
    return "OK"


@method("APIerSv1.ResetAccountActionTriggers", owner=_OWNER, changes=True)
def reset_account_action_triggers(part: Part, params: AttrResetAccountActionTriggers) -> str:
    require(params, "Account")
    draft = _edit(part, params.Tenant, params.Account)
    if draft.triggers is not None:
        draft.triggers = [
            replace(trigger, executed=params.Executed) if _means(trigger, params.GroupID, params.UniqueID) else trigger
            for trigger in draft.triggers
        ]
    if not params.Executed:
        triggers_rearmed(part, draft)
    return "OK"


@method("APIerSv1.RemoveAccountActionTriggers", owner=_OWNER, changes=True)
def remove_account_action_triggers(part: Part, params: AttrRemoveAccountActionTriggers) -> str:
    require(params, "Account")
    draft = _edit(part, params.Tenant, params.Account)
    kept = [t for t in draft.triggers or () if not _means(t, params.GroupID, params.UniqueID)]
    draft.triggers = kept or None
    counters.rebuild(draft)
    return "OK"


@method("APIerSv1.AddTriggeredAction", owner=_OWNER, changes=True)
def add_triggered_action(part: Part, params: AttrAddActionTrigger) -> str:
    """The old way: a trigger without UniqueID; its filter always has an ExpirationDate."""
    require(params, "Account")
    draft = part.edit(Account, f"{part.tenant(params.Tenant)}:{params.Account}")
    if draft is None:
        raise server_error(not_found())
    balance = BalanceFilter(
        id=params.BalanceId or None,
        type=params.BalanceType or None,
        expiration_date=parse_time(params.BalanceExpiryTime, part.now_ns, default_zone(part)),
        weight=params.BalanceWeight or None,
        destination_ids=id_set(params.BalanceDestinationIds) or None,
        rating_subject=params.BalanceRatingSubject or None,
        shared_groups=id_set(params.BalanceSharedGroup) or None,
    )
    trigger = ActionTrigger(
        params.ActionTriggersId,
        "",
        params.ThresholdType,
        nano_of(params.ThresholdValue),
        balance=balance,
        weight=params.Weight,
        actions_id=params.ActionsId,
    )
    draft.triggers = [*(draft.triggers or ()), trigger]
    return "OK"
