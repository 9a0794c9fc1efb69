"""Methods that read, create, flag and remove accounts (spec 20 §4)."""

from __future__ import annotations

from typing import Any

from cgr_cluster.accounts.answers import account_json, old_account_json
from cgr_cluster.accounts.responder_api import get_account
from cgr_cluster.accounts.types import Account
from cgr_cluster.actions import counters
from cgr_cluster.actions.attach import add_plans, add_triggers, forget_account, replace_plan
from cgr_cluster.actions.scheduler import request_reload
from cgr_cluster.engine.domain import Operation, Part, Steps, everywhere, step, together
from cgr_cluster.engine.owner import account_owner
from cgr_cluster.rpc.errors import ApiError, not_found, require, server_error
from cgr_cluster.rpc.owners import account
from cgr_cluster.rpc.registry import Params, method
from cgr_cluster.tariffs.paging import page_or_not_found

ALLOW_NEGATIVE = "AllowNegative"
DISABLED = "Disabled"


class AttrGetAccount(Params, go="utils.AttrGetAccount"):
    Tenant: str = ""
    Account: str = ""


class AttrGetAccounts(Params, go="utils.AttrGetAccounts"):
    Tenant: str = ""
    AccountIDs: list[str] | None = None
    Offset: int = 0
    Limit: int = 0
    Filter: dict[str, bool] | None = None


class TenantParams(Params, go="utils.TenantWithAPIOpts"):
    Tenant: str = ""


class AttrGetAccountsCount(Params, go="utils.AttrGetAccountsCount"):
    Tenant: str = ""


class PaginatorWithTenant(Params, go="utils.PaginatorWithTenant"):
    Tenant: str = ""
    Search: str = ""
    Limit: int | None = None
    Offset: int | None = None


class AttrSetAccountV2(Params, go="engine.AttrSetAccount"):
    Tenant: str = ""
    Account: str = ""
    ActionPlanIDs: list[str] | None = None
    ActionPlansOverwrite: bool = False
    ActionTriggerIDs: list[str] | None = None
    ActionTriggerOverwrite: bool = False
    ExtraOptions: dict[str, bool] | None = None
    ReloadScheduler: bool = False


class AttrSetAccountV1(Params, go="utils.AttrSetAccount"):
    Tenant: str = ""
    Account: str = ""
    ActionPlanID: str = ""
    ActionTriggersID: str = ""
    ExtraOptions: dict[str, bool] | None = None
    ReloadScheduler: bool = False


class AttrRemoveAccount(Params, go="utils.AttrRemoveAccount"):
    Tenant: str = ""
    Account: str = ""
    ReloadScheduler: bool = False


# --- reading -----------------------------------------------------------------------------------------------------


def _stored(part: Part, params: AttrGetAccount) -> Account:
    found = part.read(Account, f"{part.tenant(params.Tenant)}:{params.Account}")
    if found is None:
        raise not_found()
    return found


@method("APIerSv2.GetAccount", owner=account())
def get_account_v2(part: Part, params: AttrGetAccount) -> dict[str, Any]:
    return account_json(_stored(part, params))


@method("APIerSv1.GetAccount", owner=account())
def get_account_v1(part: Part, params: AttrGetAccount) -> dict[str, Any]:
    return old_account_json(_stored(part, params))


@step("accounts.of_tenant", reads=True)
def accounts_of_tenant(part: Part, tenant: str) -> list[Account]:
    prefix = f"{tenant}:"
    return [found for key, found in part.all(Account) if key.startswith(prefix)]


@step("accounts.names", reads=True)
def names_of_tenant(part: Part, tenant: str) -> list[str]:
    """Ids of the tenant's accounts, without the tenant."""
    prefix = f"{tenant}:"
    return [key[len(prefix) :] for key, _ in part.all(Account) if key.startswith(prefix)]


def _accounts(op: Operation, params: AttrGetAccounts) -> Steps[list[Account]]:
    """The accounts asked for: those named, in that order, or all of the tenant by id; cut to the page, then filtered."""
    tenant = op.tenant(params.Tenant)
    ids = [name for name in params.AccountIDs or () if name]
    page = slice(max(0, params.Offset), None if params.Limit <= 0 else max(0, params.Offset) + params.Limit)
    if params.AccountIDs:
        read = yield together([get_account.at(account_owner(tenant, name), f"{tenant}:{name}") for name in ids[page]])
        found = [one for one in read if isinstance(one, Account)]
    else:
        parts = yield everywhere(accounts_of_tenant, tenant)
        found = sorted((one for accounts in parts for one in accounts), key=lambda one: one.id)[page]
    wanted = params.Filter or {}
    return [
        one
        for one in found
        if wanted.get(ALLOW_NEGATIVE, one.allow_negative) is one.allow_negative
        and wanted.get(DISABLED, one.disabled) is one.disabled
    ]


@method("APIerSv2.GetAccounts")
def get_accounts_v2(op: Operation, params: AttrGetAccounts) -> Steps[list[dict[str, Any]]]:
    found = yield from _accounts(op, params)
    return [account_json(one) for one in found]


@method("APIerSv1.GetAccounts")
def get_accounts_v1(op: Operation, params: AttrGetAccounts) -> Steps[list[dict[str, Any]]]:
    found = yield from _accounts(op, params)
    return [old_account_json(one) for one in found]


def _names(op: Operation, tenant: str) -> Steps[list[str]]:
    parts = yield everywhere(names_of_tenant, op.tenant(tenant))
    return sorted(name for names in parts for name in names)


@method("APIerSv1.GetAccountsCount")
def get_accounts_count_v1(op: Operation, params: TenantParams) -> Steps[int]:
    return len((yield from _names(op, params.Tenant)))


@method("APIerSv2.GetAccountsCount")
def get_accounts_count_v2(op: Operation, params: AttrGetAccountsCount) -> Steps[int]:
    count = len((yield from _names(op, params.Tenant)))
    if not count:
        raise not_found()
    return count


@method("APIerSv1.GetAccountIDs")
def get_account_ids(op: Operation, params: PaginatorWithTenant) -> Steps[list[str] | None]:
    names = yield from _names(op, params.Tenant)
    return page_or_not_found(names, params.Search, params.Limit, params.Offset)


# --- writing -----------------------------------------------------------------------------------------------------


def _edited(part: Part, account_id: str, options: dict[str, bool] | None) -> Account:
    """The draft of an account, made when there is none, with the options written."""
    found = part.edit(Account, account_id)
    if found is None:
        found = Account(account_id)
        part.put(Account, account_id, found)
    given = options or {}
    found.allow_negative = given.get(ALLOW_NEGATIVE, found.allow_negative)
    found.disabled = given.get(DISABLED, found.disabled)
    return found


@method("APIerSv2.SetAccount", owner=account(), changes=True)
def set_account_v2(part: Part, params: AttrSetAccountV2) -> str:
    require(params, "Account")
    account_id = f"{part.tenant(params.Tenant)}:{params.Account}"
    found = _edited(part, account_id, params.ExtraOptions)
    changed = False
    try:
        if params.ActionPlanIDs or params.ActionPlansOverwrite:
            changed = add_plans(part, account_id, params.ActionPlanIDs or [], params.ActionPlansOverwrite)
        if params.ActionTriggerIDs or params.ActionTriggerOverwrite:
            add_triggers(part.generation, found, params.ActionTriggerIDs or [], params.ActionTriggerOverwrite)
    except ApiError as error:
        raise server_error(error) from None
    counters.rebuild(found)
    if params.ReloadScheduler and changed:
        request_reload(part)
    return "OK"


@method("APIerSv1.SetAccount", owner=account(), changes=True)
def set_account_v1(part: Part, params: AttrSetAccountV1) -> str:
    require(params, "Account")
    account_id = f"{part.tenant(params.Tenant)}:{params.Account}"
    found = _edited(part, account_id, params.ExtraOptions)
    changed = False
    try:
        if params.ActionPlanID:
            changed = replace_plan(part, account_id, params.ActionPlanID)
        if params.ActionTriggersID:
            add_triggers(part.generation, found, [params.ActionTriggersID], True)
    except ApiError as error:
        raise server_error(error) from None
    counters.rebuild(found)
    if params.ReloadScheduler and changed:
        request_reload(part)
    return "OK"


@method("APIerSv1.RemoveAccount", owner=account(), changes=True)
def remove_account(part: Part, params: AttrRemoveAccount) -> str:
    require(params, "Account")
    account_id = f"{part.tenant(params.Tenant)}:{params.Account}"
    forget_account(part, account_id)
    if part.read(Account, account_id) is not None:
        part.delete(Account, account_id)
    return "OK"
