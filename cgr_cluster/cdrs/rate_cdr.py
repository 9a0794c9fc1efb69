"""Rating, debiting and refunding one CDR (spec 40 §3.4, §3.3 step 5)."""

from __future__ import annotations

import logging

from cgr_cluster.accounts.steps import debit, debit_monetary, refund_increments
from cgr_cluster.actions.dynaprepaid import make_account
from cgr_cluster.cdrs.conversion import RATED_ANEW
from cgr_cluster.cdrs.session_costs import look_up
from cgr_cluster.cdrs.types import CDR, NOT_RATED_NANO, SessionCost
from cgr_cluster.engine.domain import Operation, Steps
from cgr_cluster.engine.owner import Owner, account_owner
from cgr_cluster.rating.call_cost import call_cost
from cgr_cluster.rating.event_cost import cost_nano, event_cost_of, usage_ns
from cgr_cluster.rating.event_cost_pieces import increments_of
from cgr_cluster.rating.types import CallCost, CallDescriptor, EventCost, Increment
from cgr_cluster.rpc.errors import ApiError

log = logging.getLogger(__name__)

# `*dynaprepaid` is treated as `*prepaid`, else a session would be paid again by its CDR (30.16)
KEEPS_DETAILS = frozenset(("*prepaid", "*postpaid", "*pseudoprepaid", "*dynaprepaid"))
PREPAID = frozenset(("*prepaid", "*dynaprepaid", "prepaid"))
DEBITED = frozenset(("*prepaid", "*postpaid", "*pseudoprepaid", "*dynaprepaid", "prepaid", "postpaid", "pseudoprepaid"))
CDRS = "*cdrs"


def rate_cdr(op: Operation, cdr: CDR) -> Steps[list[CDR]]:
    """Price a CDR (which is changed), debiting what its request type says. Mostly one record; one for each session cost
    when several are found by an OriginID prefix. Rating errors are in the record, they are not raised."""
    if cdr.request_type not in KEEPS_DETAILS:
        cdr.cost_details = None
    if cdr.usage_ns < 0:
        cdr.usage_ns = 0
    cdr.extra_info = ""
    if cdr.request_type in PREPAID and cdr.cost_details is None and (cdr.usage_ns or "LastUsed" in cdr.extra_fields):
        retries = int(op.generation.config("cdrs").get("session_cost_retries", 5))
        prefix = cdr.extra_fields.get("OriginIDPrefix")
        costs = yield from look_up(cdr.cgrid, cdr.run_id, cdr.origin_host, prefix, retries)
        if costs:
            out = []
            for cost in costs:
                out.append((yield from _with_session_cost(op, cdr.copy(), cost)))
            return out
    if cdr.cost_details is not None:
        if cdr.usage_ns <= usage_ns(cdr.cost_details):
            cdr.cost_nano = cost_nano(cdr.cost_details)
            return [cdr]
        yield from _refund(cdr, cdr.cost_details)
        cdr.cost_details = None
    yield from _rate(op, cdr)
    return [cdr]


def _with_session_cost(op: Operation, cdr: CDR, cost: SessionCost) -> Steps[CDR]:
    """The record of one session cost; rated anew when the usage is another."""
    cdr.origin_id = cost.origin_id
    if not cdr.usage_ns:
        cdr.usage_ns = cost.usage_ns
    if cdr.usage_ns == cost.usage_ns:
        cdr.cost_details = cost.cost_details
        cdr.cost_source = cost.cost_source
        cdr.cost_nano = cost_nano(cost.cost_details)
        return cdr
    yield from _refund(cdr, cost.cost_details)
    yield from _rate(op, cdr)
    if cdr.cost_details is not None:
        cdr.cost_nano = cost_nano(cdr.cost_details)
        cdr.cost_source = RATED_ANEW
    return cdr


def _descriptor(cdr: CDR) -> CallDescriptor:
    start = cdr.answer_time or cdr.setup_time
    return CallDescriptor(
        tenant=cdr.tenant,
        category=cdr.category,
        subject=cdr.subject,
        account=cdr.account,
        destination=cdr.destination,
        tor=cdr.tor,
        time_start=start,
        time_end=start.plus(cdr.usage_ns),
        duration_index_ns=cdr.usage_ns,
        perform_rounding=True,
        extra_fields=cdr.extra_fields,
    )


def _rate(op: Operation, cdr: CDR) -> Steps[None]:
    """Ask for the cost and put it, or the error, into the record."""
    try:
        if not op.generation.config("cdrs").get("rals_conns"):
            raise ApiError("NOT_CONNECTED: RALs")
        if cdr.request_type == "*directdebit":
            yield debit_monetary.at(account_owner(cdr.tenant, cdr.account), _descriptor(cdr), cdr.cost_nano, None)
            cdr.cost_source = CDRS
            return
        if cdr.request_type in DEBITED:
            cost = yield from _debit(op, cdr)
        else:
            cost = call_cost(op.generation, _descriptor(cdr))
    except ApiError as error:
        cdr.cost_nano = NOT_RATED_NANO
        cdr.cost_details = None
        cdr.extra_info = error.text
        return
    cdr.cost_source = CDRS
    cdr.cost_nano = cost.cost_nano
    cdr.cost_details = event_cost_of(cost, cdr.cgrid, cdr.run_id)


def _debit(op: Operation, cdr: CDR) -> Steps[CallCost]:
    """Debit the account; `*dynaprepaid` makes one that is not there and tries once more."""
    command = debit.at(account_owner(cdr.tenant, cdr.account), _descriptor(cdr))
    try:
        cost: CallCost = yield command
        return cost
    except ApiError as error:
        if cdr.request_type != "*dynaprepaid" or error.text != "ACCOUNT_NOT_FOUND":
            raise
    yield from make_account(op, op.generation.config("cdrs").get("scheduler_conns"), cdr.tenant, cdr.account)
    cost = yield command
    return cost


def refund_cdr(cdr: CDR) -> Steps[bool]:
    """Give back what a CDR has debited, if it is of a debited type. Answers whether its cost has any increment."""
    if cdr.cost_details is None or cdr.request_type not in DEBITED:
        return False
    return (yield from _refund(cdr, cdr.cost_details))


def _refund(cdr: CDR, details: EventCost) -> Steps[bool]:
    """Give increments back to the accounts that they name. A failure is logged: the record goes its way."""
    by_account: dict[str, list[Increment]] = {}
    increments = increments_of(details, cdr.tor)
    for increment in increments:
        if increment.balance_info is not None and increment.balance_info.account_id:
            by_account.setdefault(increment.balance_info.account_id, []).append(increment)
    for account_id, own in by_account.items():
        descriptor = _descriptor(cdr)
        descriptor.increments = own
        try:
            yield refund_increments.at(Owner("account", account_id), descriptor)
        except ApiError as error:
            log.warning("refund of CDR %s:%s to account %s failed: %s", cdr.cgrid, cdr.run_id, account_id, error.text)
    return bool(increments)
