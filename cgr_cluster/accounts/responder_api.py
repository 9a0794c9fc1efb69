"""Responder methods that look at an account, and GetAccountCost (spec 20 §3.1, §3.7, §3.9; 10 §7.1)."""

from __future__ import annotations

from typing import Any

from cgr_cluster.accounts.answers import account_json, empty_account_json
from cgr_cluster.accounts.debit import usable
from cgr_cluster.accounts.route_usage import covered_usage
from cgr_cluster.accounts.steps import (
    account_id,
    debit,
    debit_monetary,
    dry_debit,
    max_debit,
    max_session_time,
    refund_increments,
    refund_rounding,
)
from cgr_cluster.accounts.types import Account
from cgr_cluster.engine.domain import GenerationView, Operation, Part, StepDef, Steps, step
from cgr_cluster.engine.owner import Owner, account_owner
from cgr_cluster.events.amounts import nano_of
from cgr_cluster.events.descriptor import descriptor_of_event
from cgr_cluster.events.instant import ZERO, Instant
from cgr_cluster.events.values import bool_of
from cgr_cluster.rating.answers import Json, call_cost_json, event_cost_json
from cgr_cluster.rating.call_cost import call_cost
from cgr_cluster.rating.event_cost import event_cost_of
from cgr_cluster.rating.params import CallDescriptorParams, descriptor_of
from cgr_cluster.rating.rate import check_usage
from cgr_cluster.rating.types import CallCost, CallDescriptor, Increment
from cgr_cluster.rpc.errors import ApiError, server_error
from cgr_cluster.rpc.owners import account
from cgr_cluster.rpc.registry import Params, method

DRY_RUN = "*ralsDryRun"


class GetMaxSessionTimeOnAccountsArgs(Params, go="utils.GetMaxSessionTimeOnAccountsArgs"):
    Tenant: str = ""
    Subject: str = ""
    Destination: str = ""
    SetupTime: Instant = ZERO
    Usage: int = 0
    AccountIDs: list[str] | None = None


class CDRParams(Params, go="engine.CDRWithAPIOpts"):
    """What DebitMonetary looks at of a CDR."""

    ToR: str = ""
    Tenant: str = ""
    Category: str = ""
    Account: str = ""
    Subject: str = ""
    Destination: str = ""
    SetupTime: Instant = ZERO
    AnswerTime: Instant = ZERO
    Usage: int = 0
    Cost: float = 0.0
    ExtraFields: dict[str, str] | None = None
    APIOpts: dict[str, Any] | None = None


class CGREventParams(Params, go="utils.CGREvent"):
    Tenant: str = ""
    ID: str = ""
    Event: dict[str, Any] | None = None
    APIOpts: dict[str, Any] | None = None


def _descriptor(tenant: str, params: CallDescriptorParams) -> CallDescriptor:
    """The descriptor with the defaults that all Responder methods on accounts fill in."""
    descriptor = descriptor_of(params)
    descriptor.tenant = tenant
    descriptor.subject = descriptor.subject or descriptor.account
    return descriptor


def read_dry_run(generation: GenerationView, descriptor: CallDescriptor) -> None:
    """Take over the option `*ralsDryRun`. Raises `MAX_USAGE_EXCEEDED`, which comes before it, and the option's reading
    error."""
    check_usage(generation, descriptor.tor, descriptor.time_end.ns - descriptor.time_start.ns)
    if DRY_RUN in descriptor.opts:
        descriptor.dry_run = bool_of(descriptor.opts[DRY_RUN])


@method("Responder.Debit", owner=account(), changes=True)
def responder_debit(part: Part, params: CallDescriptorParams) -> Json:
    descriptor = _descriptor(part.tenant(params.Tenant), params)
    read_dry_run(part.generation, descriptor)
    return call_cost_json(debit(part, descriptor))


@method("Responder.MaxDebit", owner=account(), changes=True)
def responder_max_debit(part: Part, params: CallDescriptorParams) -> Json:
    return call_cost_json(max_debit(part, _descriptor(part.tenant(params.Tenant), params)))


@method("Responder.GetMaxSessionTime", owner=account())
def responder_max_session_time(part: Part, params: CallDescriptorParams) -> int:
    found: int = max_session_time(part, _descriptor(part.tenant(params.Tenant), params))
    return found


@method("Responder.GetMaxSessionTimeOnAccounts")
def max_session_time_on_accounts(op: Operation, params: GetMaxSessionTimeOnAccountsArgs) -> Steps[Json]:
    """The maximum usage of the first account without error, else the last error."""
    tenant = op.tenant(params.Tenant)
    failure: ApiError | None = None
    for name in params.AccountIDs or ():
        asked = covered_usage(tenant, name, params.Subject, params.Destination, params.SetupTime, params.Usage)
        try:
            granted = yield asked
        except ApiError as error:
            failure = error
        else:
            return {"MaxUsage": granted, "Cost": 0, "Account": name}
    if failure is not None:
        raise failure
    return {}


@step("accounts.get", reads=True)
def get_account(part: Part, account_id: str) -> Account | None:
    """The stored account."""
    return part.read(Account, account_id)


def _refund(op: Operation, params: CallDescriptorParams, refund: StepDef) -> Steps[Json]:
    """Run a refund at the owner of each account that the increments name; answer the requested account after it."""
    descriptor = _descriptor(op.tenant(params.Tenant), params)
    check_usage(op.generation, descriptor.tor, descriptor.time_end.ns - descriptor.time_start.ns)
    by_account: dict[str, list[Increment]] = {}
    for increment in descriptor.increments:
        info = increment.balance_info
        if info is not None and info.account_id:
            by_account.setdefault(info.account_id, []).append(increment)
    for owner_id, increments in by_account.items():
        own = descriptor.copy()
        own.increments = increments
        yield refund.at(Owner("account", owner_id), own)
    asked = f"{descriptor.tenant}:{descriptor.account}"
    found: Account | None = None
    if asked in by_account:
        found = yield get_account.at(account_owner(descriptor.tenant, descriptor.account), asked)
    return empty_account_json() if found is None else account_json(found)


@method("Responder.RefundIncrements", owner=account(), changes=True, when_full=True)
def responder_refund_increments(op: Operation, params: CallDescriptorParams) -> Steps[Json]:
    return (yield from _refund(op, params, refund_increments))


@method("Responder.RefundRounding", owner=account(), changes=True, when_full=True)
def responder_refund_rounding(op: Operation, params: CallDescriptorParams) -> Steps[Json]:
    return (yield from _refund(op, params, refund_rounding))


@method("Responder.DebitMonetary", owner=account(), changes=True)
def responder_debit_monetary(part: Part, params: CDRParams) -> Json:
    start = params.AnswerTime or params.SetupTime
    descriptor = CallDescriptor(
        tenant=part.tenant(params.Tenant),
        category=params.Category,
        subject=params.Subject or params.Account,
        account=params.Account,
        destination=params.Destination,
        tor=params.ToR,
        time_start=start,
        time_end=start.plus(params.Usage),
        duration_index_ns=params.Usage,
        extra_fields=params.ExtraFields or {},
        opts=params.APIOpts or {},
    )
    read_dry_run(part.generation, descriptor)
    usable(part.read(Account, account_id(part, descriptor)), part.generation, descriptor)  # its errors before rating's
    rated = call_cost(part.generation, descriptor)
    for span in rated.timespans or ():
        span.increments = [i for i in span.increments if i.duration_ns or i.cost_nano]  # a debit shows no fee of 0
    cost: CallCost = debit_monetary(part, descriptor, nano_of(params.Cost), rated)
    return call_cost_json(cost)


@method("APIerSv1.GetAccountCost")
def get_account_cost(op: Operation, params: CGREventParams) -> Steps[Json]:
    """The EventCost of a debit that is not made."""
    tenant = op.tenant(params.Tenant)
    zone = str(op.generation.config("general").get("default_timezone", "Local"))
    descriptor = descriptor_of_event(tenant, params.Event or {}, params.APIOpts or {}, op.now_ns, zone)
    descriptor.dry_run = True
    try:
        cost: CallCost = yield dry_debit.at(account_owner(tenant, descriptor.account), descriptor)
    except ApiError as error:
        raise server_error(error) from None
    return event_cost_json(event_cost_of(cost))
