"""`*cdrlog`: a pre-rated CDR for every change of a balance that an action group makes (spec 20 §5.4)."""

from __future__ import annotations

from typing import Any

from cgr_cluster.actions.amounts import number_of_nano
from cgr_cluster.actions.types import Action
from cgr_cluster.actions.wire import set_text
from cgr_cluster.engine.domain import Part
from cgr_cluster.events.event import CGREvent
from cgr_cluster.events.instant import Instant
from cgr_cluster.events.nesting import read_json
from cgr_cluster.events.rules import split_value
from cgr_cluster.events.times import format_instant
from cgr_cluster.events.values import number_text, text_of
from cgr_cluster.filters.paths import MISSING, compile_value
from cgr_cluster.filters.view import View
from cgr_cluster.rpc.errors import ApiError

LOGGED = (
    "*topup", "*topup_reset", "*debit", "*debit_reset", "*set_balance", "*remove_balance", "*remove_expired",
    "*transfer_balance",
)  # fmt: skip
SOURCE = "*cdrlog"


def cdr_events(
    part: Part,
    account_id: str,
    logged: list[tuple[Action, int, dict[str, Any]]],
    extra_parameters: str,
    extra_data: dict[str, Any] | None = None,
) -> list[CGREvent]:
    """The CDRs of a group's balance actions: each with the amount (nano) and the fields that the action itself adds.

    `extra_parameters` (JSON of field → value or `~*acnt...`/`~*act...`) and `extra_data` override fields or add extra
    ones. Raises ApiError when the JSON is broken.
    """
    tenant, _, name = account_id.partition(":")
    wanted: dict[str, Any] = {}
    if extra_parameters.strip():
        try:
            wanted = dict(read_json(extra_parameters))
        except (ValueError, TypeError) as error:
            raise ApiError(f"invalid ExtraParameters of *cdrlog: {error}") from None
    wanted.update(extra_data or {})
    now = format_instant(Instant.of(part.now_ns))
    events = []
    for action, amount_nano, fields in logged:
        cost = number_of_nano(amount_nano)
        event: dict[str, Any] = {
            "RunID": action.action_type,
            "Source": SOURCE,
            "OriginHost": "127.0.0.1",
            "OriginID": part.new_uuid(),
            "RequestType": "*none",
            "ToR": action.balance.type or "",
            "Tenant": tenant,
            "Category": part.generation.config("general").get("default_category", "call"),
            "Account": name,
            "Subject": name,
            "Cost": cost,
            "Usage": 1,
            "SetupTime": now,
            "AnswerTime": now,
            "PreRated": True,
            **fields,
        }
        for field, rule in wanted.items():
            event[field] = _value(part, rule, account_id, action, cost)
        events.append(CGREvent(tenant, part.new_uuid(), None, event, {}))
    return events


def _value(part: Part, rule: Any, account_id: str, action: Action, cost: float) -> str:
    """A constant, or paths separated by `;` whose texts are joined."""
    if not isinstance(rule, str) or "~" not in rule:
        return text_of(rule)
    tenant, _, name = account_id.partition(":")
    balance = action.balance
    account_fields = {
        "Tenant": tenant,
        "Account": name,
        "AccountID": account_id,
        "BalanceType": balance.type or "",
        "BalanceUUID": balance.uuid or "",
        "BalanceID": balance.id or "",
        "BalanceValue": number_text(cost),
        "DestinationIDs": set_text(balance.destination_ids),
        "ExtraParameters": action.extra_parameters,
        "RatingSubject": balance.rating_subject or "",
        "Category": set_text(balance.categories),
        "SharedGroups": set_text(balance.shared_groups),
    }
    action_fields = {"ActionID": "", "ActionType": action.action_type, "ActionValue": number_text(cost)}
    view = View(part.generation, part.now_ns, tenant, account_fields, action_fields)
    out = ""
    for piece in split_value(rule):
        found = compile_value(piece.replace("~*acnt.", "~*req.").replace("~*act.", "~*opts.")).read(view)
        if found is not MISSING:
            out += text_of(found)
    return out


def connected(part: Part) -> bool:
    """Whether the scheduler has a connection to CDRs."""
    return bool(part.generation.config("schedulers").get("cdrs_conns"))
