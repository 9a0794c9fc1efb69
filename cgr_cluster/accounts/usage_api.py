"""Maximum usage and debits by usage records, whose fields are all texts (spec 70: GetMaxUsage, DebitUsage)."""

from __future__ import annotations

from typing import Any

from cgr_cluster.accounts.responder_api import read_dry_run
from cgr_cluster.accounts.steps import debit, max_session_time
from cgr_cluster.engine.domain import Operation, Steps
from cgr_cluster.engine.owner import account_owner
from cgr_cluster.events.durations import parse_duration
from cgr_cluster.events.times import parse_time
from cgr_cluster.rating.types import CallDescriptor
from cgr_cluster.rpc.errors import ApiError, require, server_error
from cgr_cluster.rpc.owners import account
from cgr_cluster.rpc.registry import Params, method

NOW = "*now"


class UsageRecord(Params, go="engine.UsageRecordWithAPIOpts"):
    ToR: str = ""
    RequestType: str = ""
    Tenant: str = ""
    Category: str = ""
    Account: str = ""
    Subject: str = ""
    Destination: str = ""
    SetupTime: str = ""
    AnswerTime: str = ""
    Usage: str = ""
    ExtraFields: dict[str, str] | None = None
    APIOpts: dict[str, Any] | None = None


class AttrDebitUsageWithOptions(Params, go="v1.AttrDebitUsageWithOptions"):
    UsageRecord: UsageRecord | None = None
    AllowNegativeAccount: bool = False


def _default_usage(op: Operation, tor: str) -> str:
    """What a request without Usage asks for: `sessions.default_usage` of the type, else of `*any`."""
    limits: dict[str, Any] = op.generation.config("sessions").get("default_usage") or {}
    return str(limits.get(tor) or limits.get("*any") or "3h")


def _descriptor(op: Operation, record: UsageRecord, start: str, usage: str) -> CallDescriptor:
    """Without DurationIndex, as the records have none. Raises `SERVER_ERROR: ...` for a time or usage that cannot be read."""
    general = op.generation.config("general")
    try:
        begin = parse_time(start, op.now_ns, str(general.get("default_timezone", "Local")))
        usage_ns = parse_duration(usage)
    except ApiError as error:
        raise server_error(error) from None
    return CallDescriptor(
        tenant=op.tenant(record.Tenant),
        category=record.Category or str(general.get("default_category", "call")),
        subject=record.Subject or record.Account,
        account=record.Account,
        destination=record.Destination,
        tor=record.ToR or "*voice",
        time_start=begin,
        time_end=begin.plus(usage_ns),
        extra_fields=record.ExtraFields or {},
        opts=record.APIOpts or {},
    )


@method("APIerSv1.GetMaxUsage", owner=account())
def get_max_usage(op: Operation, params: UsageRecord) -> Steps[int]:
    """How long the account may use the service from AnswerTime, else SetupTime, else now: in nanoseconds (units); -1: no
    limit."""
    start = params.AnswerTime or params.SetupTime or NOW
    descriptor = _descriptor(op, params, start, params.Usage or _default_usage(op, params.ToR or "*voice"))
    granted: int = yield max_session_time.at(account_owner(descriptor.tenant, descriptor.account), descriptor)
    return granted


def _debit_usage(op: Operation, record: UsageRecord, allow_negative: bool) -> Steps[str]:
    require(record, "Account", "Destination", "Usage")
    descriptor = _descriptor(op, record, record.AnswerTime or NOW, record.Usage)
    descriptor.deny_negative_account = not allow_negative
    try:
        read_dry_run(op.generation, descriptor)
        yield debit.at(account_owner(descriptor.tenant, descriptor.account), descriptor)
    except ApiError as error:
        raise server_error(error) from None
    return "OK"


@method("APIerSv1.DebitUsage", owner=account(), changes=True)
def debit_usage(op: Operation, params: UsageRecord) -> Steps[str]:
    """Debit a usage from AnswerTime, else now, on; it may take the account below zero."""
    return (yield from _debit_usage(op, params, True))


@method("APIerSv1.DebitUsageWithOptions", changes=True)
def debit_usage_with_options(op: Operation, params: AttrDebitUsageWithOptions) -> Steps[str]:
    """As DebitUsage; without AllowNegativeAccount what cannot be paid is left out."""
    return (yield from _debit_usage(op, params.UsageRecord or UsageRecord(), params.AllowNegativeAccount))
