"""Methods that change balances (spec 20 §4.1-4.4): each is an action on one account, run at once."""

from __future__ import annotations

import json
import logging
from typing import Any

import msgspec

from cgr_cluster.accounts.balance_fields import FlatBalance, given_fields, read_balance, with_timings
from cgr_cluster.accounts.joining import join_groups
from cgr_cluster.accounts.shared_groups import joined
from cgr_cluster.accounts.types import Account
from cgr_cluster.actions.execute import FilterError, Run
from cgr_cluster.actions.runs import give, look_at, take_back
from cgr_cluster.actions.transfers import Credit, Target, TargetUnknownError
from cgr_cluster.actions.types import Action, ActionGroup, BalanceFilter, ValueFormula
from cgr_cluster.engine.domain import Operation, Part, Steps, step
from cgr_cluster.engine.owner import Owner
from cgr_cluster.events.amounts import nano_of
from cgr_cluster.rpc.errors import ApiError, missing, not_found, partially_executed, require, server_error
from cgr_cluster.rpc.owners import account
from cgr_cluster.rpc.registry import Params, method

logger = logging.getLogger("cgr_cluster.accounts")

TOPUP, TOPUP_RESET, DEBIT, DEBIT_RESET = "*topup", "*topup_reset", "*debit", "*debit_reset"
SET_BALANCE, REMOVE_BALANCE, TRANSFER = "*set_balance", "*remove_balance", "*transfer_balance"
PUBLISH, CDRLOG = "*publish_account", "*cdrlog"


class AttrAddBalance(FlatBalance, go="v1.AttrAddBalance"):
    Tenant: str = ""
    Account: str = ""
    BalanceType: str = ""
    Value: float = 0.0
    Balance: dict[str, Any] | None = None
    ActionExtraData: dict[str, Any] | None = None
    Overwrite: bool = False
    Cdrlog: bool = False


class AttrSetBalance(FlatBalance, go="utils.AttrSetBalance"):
    Tenant: str = ""
    Account: str = ""
    BalanceType: str = ""
    Value: float = 0.0
    Balance: dict[str, Any] | None = None
    ActionExtraData: dict[str, Any] | None = None
    Cdrlog: bool = False


class AttrBalance(FlatBalance, go="utils.AttrBalance"):
    BalanceType: str = ""
    Value: float = 0.0
    Balance: dict[str, Any] | None = None
    ActionExtraData: dict[str, Any] | None = None
    Cdrlog: bool = False


class AttrSetBalances(Params, go="utils.AttrSetBalances"):
    Tenant: str = ""
    Account: str = ""
    Balances: list[AttrBalance] | None = None


class AttrTransferBalance(Params, go="utils.AttrTransferBalance"):
    Tenant: str = ""
    SourceAccountID: str = ""
    SourceBalanceID: str = ""
    DestinationAccountID: str = ""
    DestinationBalanceID: str = ""
    DestinationReferenceValue: float | None = None
    Units: float = 0.0
    Cdrlog: bool = False


class Acted(msgspec.Struct, array_like=True, gc=False):
    """What a run of actions came to. `error` "": done, and the account joins `groups`. `ask`: nothing has happened yet,
    this destination of a transfer must be known first."""

    error: str = ""
    groups: list[str] = []
    ask: Target | None = None
    credits: list[Credit] = []


@step("accounts.act")
def act(part: Part, account_id: str, actions: list[Action], create: bool, targets: list[Target]) -> Acted:
    """Run actions on the account, all or nothing. An unknown account is made, and stays also when they fail; without
    `create` it raises `NOT_FOUND`."""
    stored = part.read(Account, account_id)
    if stored is None and not create:
        raise not_found()
    draft = Account(account_id) if stored is None else stored.draft()
    run = Run(part, draft, ActionGroup("", tuple(actions)), targets=targets)
    try:
        run.execute()
    except TargetUnknownError as unknown:
        return Acted(ask=unknown.target)
    except (ApiError, FilterError) as error:
        if stored is None:
            part.put(Account, account_id, Account(account_id))
        run.flush()
        return Acted(error=str(error) or "filter cannot be evaluated")
    part.put(Account, account_id, draft)
    run.flush()
    return Acted(groups=joined(part.generation, draft, stored), credits=run.credits)


@step("accounts.create", idempotent=True)
def create_account(part: Part, account_id: str) -> None:
    """Make an account, if there is none."""
    if part.read(Account, account_id) is None:
        part.put(Account, account_id, Account(account_id))


def _owner(account_id: str) -> Owner:
    return Owner("account", account_id)


def _run(account_id: str, action: Action, extra: dict[str, Any] | None, cdrlog: bool) -> Steps[None]:
    """Run an action, publish the account, write its CDR if wanted, and join the groups that it names."""
    actions = [action, Action(PUBLISH)]
    if cdrlog:
        actions.append(Action(CDRLOG, extra_parameters=json.dumps(extra) if extra else ""))
    yield from _act(account_id, actions, create=True)


def _act(account_id: str, actions: list[Action], create: bool) -> Steps[None]:
    acted: Acted = yield act.at(_owner(account_id), account_id, actions, create, [])
    if acted.error:
        logger.warning("%s on account %s failed: %s", actions[0].action_type, account_id, acted.error)
        raise partially_executed()
    yield from join_groups(account_id, acted.groups)


def _zone(op: Operation) -> str:
    return str(op.generation.config("general").get("default_timezone", "Local"))


def _read(op: Operation, given: AttrAddBalance | AttrSetBalance | AttrBalance) -> BalanceFilter:
    fields = given_fields(given, given.Balance)
    return read_balance(given.BalanceType, given.Value, fields, op.now_ns, _zone(op))


def _with_timings(op: Operation, account_id: str, wanted: BalanceFilter) -> Steps[BalanceFilter]:
    """Look the timings up. The account exists from here on, even when one of them does not."""
    if wanted.timing_ids:
        yield create_account.at(_owner(account_id), account_id)
    return with_timings(wanted, op.generation)


def _change(op: Operation, params: AttrAddBalance, action_type: str) -> Steps[str]:
    require(params, "Account", "BalanceType")
    account_id = f"{op.tenant(params.Tenant)}:{params.Account}"
    wanted = _read(op, params)
    wanted = yield from _with_timings(op, account_id, wanted)
    yield from _run(account_id, Action(action_type, balance=wanted), params.ActionExtraData, params.Cdrlog)
    return "OK"


@method("APIerSv1.AddBalance", owner=account(), changes=True)
def add_balance(op: Operation, params: AttrAddBalance) -> Steps[str]:
    return (yield from _change(op, params, TOPUP_RESET if params.Overwrite else TOPUP))


@method("APIerSv1.DebitBalance", owner=account(), changes=True)
def debit_balance(op: Operation, params: AttrAddBalance) -> Steps[str]:
    return (yield from _change(op, params, DEBIT_RESET if params.Overwrite else DEBIT))


def _set(op: Operation, account_id: str, one: AttrBalance | AttrSetBalance) -> Steps[None]:
    wanted = _read(op, one)
    if not wanted.id and not wanted.uuid:
        raise missing(["BalanceID or BalanceUUID"])
    wanted = yield from _with_timings(op, account_id, wanted)
    yield from _run(account_id, Action(SET_BALANCE, balance=wanted), one.ActionExtraData, one.Cdrlog)


@method("APIerSv1.SetBalance", owner=account(), changes=True)
def set_balance(op: Operation, params: AttrSetBalance) -> Steps[str]:
    require(params, "Account", "BalanceType")
    yield from _set(op, f"{op.tenant(params.Tenant)}:{params.Account}", params)
    return "OK"


@method("APIerSv1.SetBalances", owner=account(), changes=True)
def set_balances(op: Operation, params: AttrSetBalances) -> Steps[str]:
    """Each in order, until the first error; what was set before it stays."""
    require(params, "Account", "Balances")
    account_id = f"{op.tenant(params.Tenant)}:{params.Account}"
    for one in params.Balances or ():
        yield from _set(op, account_id, one)
    return "OK"


@method("APIerSv1.RemoveBalances", owner=account(), changes=True)
def remove_balances(op: Operation, params: AttrSetBalance) -> Steps[str]:
    require(params, "Account", "BalanceType")
    account_id = f"{op.tenant(params.Tenant)}:{params.Account}"
    wanted = _read(op, params)
    yield from _act(account_id, [Action(REMOVE_BALANCE, balance=wanted)], create=False)
    return "OK"


@method("APIerSv1.TransferBalance", owner=account("Tenant", "SourceAccountID"), changes=True)
def transfer_balance(op: Operation, params: AttrTransferBalance) -> Steps[str]:
    require(params, "SourceAccountID", "SourceBalanceID", "DestinationAccountID", "DestinationBalanceID")
    tenant = op.tenant(params.Tenant)
    source = f"{tenant}:{params.SourceAccountID}"
    target: dict[str, Any] = {
        "DestinationAccountID": f"{tenant}:{params.DestinationAccountID}",
        "DestinationBalanceID": params.DestinationBalanceID,
    }
    if params.DestinationReferenceValue is not None:
        target["DestinationReferenceValue"] = params.DestinationReferenceValue
    units = ValueFormula(static_nano=nano_of(params.Units))
    wanted = BalanceFilter(id=params.SourceBalanceID, value=units)
    actions = [Action(TRANSFER, extra_parameters=json.dumps(target), balance=wanted)]
    if params.Cdrlog:
        actions.append(Action(CDRLOG))
    error = yield from _transfer(source, actions)
    if error:
        logger.warning("transfer from account %s failed: %s", source, error)
        raise server_error(partially_executed())
    return ""


def _transfer(source: str, actions: list[Action]) -> Steps[str]:
    """Run the transfer at the source with what its destination answers, then deliver it. Answers the error."""
    try:
        acted: Acted = yield act.at(_owner(source), source, actions, False, [])
        if acted.ask is not None:
            target: Target = yield look_at.at(_owner(acted.ask.account_id), acted.ask)
            acted = yield act.at(_owner(source), source, actions, False, [target])
    except ApiError as unknown:
        return unknown.text
    for credit in acted.credits:
        try:
            yield give.at(_owner(credit.account_id), credit)
        except ApiError as refused:
            yield take_back.at(_owner(source), source, credit)
            return refused.text
    return acted.error
