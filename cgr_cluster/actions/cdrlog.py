"""`*cdrlog`: a pre-rated CDR for every change of a balance that an action group makes (spec 20 §5.4, 40 §10)."""

from __future__ import annotations

from typing import Any

import msgspec

from cgr_cluster.actions.amounts import number_of_nano
from cgr_cluster.actions.types import Action
from cgr_cluster.actions.wire import set_text
from cgr_cluster.engine.domain import Part
from cgr_cluster.events.event import CGREvent
from cgr_cluster.events.instant import Instant
from cgr_cluster.events.nesting import read_json
from cgr_cluster.events.rules import split_value
from cgr_cluster.events.times import format_instant
from cgr_cluster.events.values import number_text, parse_float, parse_int, text_of
from cgr_cluster.filters.paths import MISSING, compile_value
from cgr_cluster.filters.view import View
from cgr_cluster.rpc.errors import ApiError
from cgr_cluster.rpc.owners import cgrid_of

LOGGED = (
    "*topup", "*topup_reset", "*debit", "*debit_reset", "*set_balance", "*remove_balance", "*remove_expired",
    "*transfer_balance",
)  # fmt: skip
SOURCE = "*cdrlog"
ORIGIN_HOST = "127.0.0.1"

_KEPT = frozenset(
    {"SetupTime", "AnswerTime", "PreRated", "Partial", "CostDetails", "ExtraFields"}
)  # no rule changes them
_INTEGERS = frozenset({"Usage", "OrderID"})


class Change(msgspec.Struct, gc=False):
    """A change of a balance. `amount_nano` is the Cost; `balance_nano` what the balance has after it (of several the last);
    `fields` are the action's own, which no rule changes; `removed`: one of the balances that an action has removed."""

    action: Action
    amount_nano: int
    balance_nano: int = 0
    fields: dict[str, Any] = {}
    removed: bool = False


def rules_of(extra_parameters: str) -> dict[str, Any]:
    """Field → rule, from JSON. Raises ApiError when that is broken."""
    if not extra_parameters.strip():
        return {}
    try:
        return dict(read_json(extra_parameters))
    except (ValueError, TypeError) as error:
        raise ApiError(f"invalid ExtraParameters of *cdrlog: {error}") from None


def cdr_event(part: Part, account_id: str, group_id: str, change: Change, rules: dict[str, Any]) -> CGREvent:
    """The CDR of a change. A rule is a constant or reads `~*acnt...` and `~*act...`; what is no field of a CDR becomes an
    extra field. Raises ApiError for a rule that is broken."""
    tenant, _, name = account_id.partition(":")
    origin_id = part.new_uuid()
    now = format_instant(Instant.of(part.now_ns))
    event: dict[str, Any] = {
        "CGRID": cgrid_of(origin_id, ""),
        "RunID": change.action.action_type,
        "Source": SOURCE,
        "OriginHost": ORIGIN_HOST,
        "OriginID": origin_id,
        "RequestType": "*none",
        "ToR": change.action.balance.type or "",
        "Tenant": tenant,
        "Account": name,
        "Subject": name,
        "Cost": number_of_nano(change.amount_nano),
        "Usage": 1,
        "SetupTime": now,
        "AnswerTime": now,
        "PreRated": True,
    }
    view = _view(part, account_id, group_id, change)
    for field, rule in rules.items():
        _put(event, field, _value(text_of(rule), view))
    event.update(change.fields)
    if change.removed:
        event["Cost"] = number_of_nano(change.amount_nano)
        event["ToR"] = change.action.balance.type or ""
        event["OriginID"] = origin_id
        event["CGRID"] = cgrid_of(origin_id, event["OriginHost"])
    return CGREvent(str(event["Tenant"]), part.new_uuid(), None, event, {})


def _put(event: dict[str, Any], field: str, text: str) -> None:
    """Give a field the text of its rule, as its kind takes it."""
    if field in _KEPT:
        return
    if field in _INTEGERS:
        try:
            event[field] = parse_int(text)
        except ApiError:
            return  # it stays as it was
    elif field == "Cost":
        try:
            event[field] = parse_float(text)
        except ApiError:
            event[field] = 0
    else:
        event[field] = text


def _view(part: Part, account_id: str, group_id: str, change: Change) -> View:
    """What the rules of a change read; `*acnt` and `*act` stand where the event and its options are."""
    tenant, _, name = account_id.partition(":")
    action, balance = change.action, change.action.balance
    account_fields = {
        "Tenant": tenant,
        "Account": name,
        "AccountID": account_id,
        "BalanceType": balance.type or "",
        "BalanceUUID": balance.uuid or "",
        "BalanceID": balance.id or "",
        "BalanceValue": number_text(number_of_nano(change.balance_nano)),
        "DestinationIDs": set_text(balance.destination_ids),
        "ExtraParameters": action.extra_parameters,
        "RatingSubject": balance.rating_subject or "",
        "Category": set_text(balance.categories),
        "SharedGroups": set_text(balance.shared_groups),
    }
    action_fields = {
        "ActionID": group_id,
        "ActionType": action.action_type,
        "ActionValue": number_text(number_of_nano(change.amount_nano)),
    }
    return View(part.generation, part.now_ns, tenant, account_fields, action_fields)


def _value(rule: str, view: View) -> str:
    """The texts of the rules, separated by `;`, joined. What is not there is empty."""
    out = ""
    for piece in split_value(rule):
        found = compile_value(piece.replace("~*acnt.", "~*req.").replace("~*act.", "~*opts.")).read(view)
        if found is not MISSING:
            out += text_of(found)
    return out


def connected(part: Part) -> bool:
    """Whether the scheduler has a connection to CDRs."""
    return bool(part.generation.config("schedulers").get("cdrs_conns"))
