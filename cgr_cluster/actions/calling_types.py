"""Action types that have something done elsewhere: by methods of ours, or by other systems (spec 20 §5.2, 5.3).

What they call, and that they fail when it fails, is theirs; how a run waits for an answer is in calls.py.
"""

from __future__ import annotations

import json
from hashlib import md5
from typing import TYPE_CHECKING, Any

import msgspec

from cgr_cluster.accounts import operations
from cgr_cluster.accounts.answers import account_json
from cgr_cluster.accounts.reading import read_account
from cgr_cluster.accounts.types import Account
from cgr_cluster.actions.calls import MAX_TRIES, AccountPost, MethodCall, RemoteCall
from cgr_cluster.actions.rpc_template import filled
from cgr_cluster.actions.types import Action, BalanceFilter, ValueFormula
from cgr_cluster.actions.wire import action_json
from cgr_cluster.events.amounts import nano_of
from cgr_cluster.events.event import CGREvent
from cgr_cluster.events.instant import Instant
from cgr_cluster.events.nesting import read_json
from cgr_cluster.events.times import format_instant
from cgr_cluster.events.values import parse_int, text_of
from cgr_cluster.rpc.errors import ApiError

if TYPE_CHECKING:
    from cgr_cluster.actions.execute import Run

INTERNAL = "*internal"
ACCOUNT_UPDATE = "AccountUpdate"
DDC = "*ddc"  # metric of distinct values, and the beginning of the ids of destinations made of them
_TRANSPORTS = ("*json", "*http_jrpc")


def encode(params: Any) -> bytes:
    return msgspec.json.encode(params)


def event_json(event: CGREvent) -> dict[str, Any]:
    return {
        "Tenant": event.tenant,
        "ID": event.id,
        "Time": None if event.time is None else format_instant(event.time),
        "Event": event.event,
        "APIOpts": event.opts,
    }


def connected(run: Run, section: str, connections: str, subsystem: str) -> None:
    """Raises `NOT_CONNECTED: X` when the configuration has no connections to it."""
    if not run.part.generation.config(section).get(connections):
        raise ApiError(f"NOT_CONNECTED: {subsystem}")


# --- *cgr_rpc ----------------------------------------------------------------------------------------------------


def cgr_rpc(run: Run, action: Action, place: int) -> None:
    """Call a method of ours (Address `*internal`) or of another system; with Async nobody waits for it."""
    call, waits = rpc_of(run, action)
    if waits:
        run.called(place, call)
    else:
        run.spawn("actions.call", call, run.hops)


def rpc_of(run: Run, action: Action) -> tuple[MethodCall | RemoteCall, bool]:
    """The call, and whether its answer is waited for. Raises ApiError when ExtraParameters cannot be read."""

    def account() -> Any:
        return None if run.account is None else account_json(run.account)

    objects = {
        "Account": account,
        "Action": lambda: action_json(run.group.id, action),
        "ExtraData": lambda: None if run.event is None else event_json(run.event),
    }
    text = filled(action.extra_parameters, objects)
    try:
        wanted: dict[str, Any] = read_json(text)
        address, method = str(wanted["Address"]), str(wanted["Method"])
        tries = int(wanted.get("Attempts") or 1)
    except KeyError as missing:
        raise ApiError(f"ExtraParameters of *cgr_rpc without {missing.args[0]}") from None
    except (ValueError, TypeError, OverflowError) as error:
        raise ApiError(f"invalid ExtraParameters of *cgr_rpc: {error}") from None
    params, waits = wanted.get("Params", {}), not wanted.get("Async")
    if address == INTERNAL:
        return MethodCall(method, encode(params), ""), waits
    transport = str(wanted.get("Transport") or "*json")
    if transport not in _TRANSPORTS:
        raise ApiError(f"unsupported transport of *cgr_rpc: {transport}")
    return RemoteCall(address, transport, method, json.dumps(params), min(max(tries, 1), MAX_TRIES)), waits


# --- sessions ----------------------------------------------------------------------------------------------------


def pairs(text: str) -> dict[str, str]:
    """`a:1&b:2`. Raises ApiError `invalid key-value pair: X`."""
    found: dict[str, str] = {}
    for pair in text.split("&") if text else ():
        name, colon, value = pair.partition(":")
        if not colon:
            raise ApiError(f"invalid key-value pair: {pair}")
        found[name] = value
    return found


def _sessions(run: Run, action: Action, place: int, method: str) -> None:
    """ExtraParameters `tenant;filters;limit;apiopts;event`, parts joined by `&`, pairs `k:v` (20 §5.3)."""
    parts = action.extra_parameters.split(";")
    if len(parts) != 5:
        raise ApiError(f"invalid number of parameters <{len(parts)}> expected 5")
    connected(run, "rals" if run.event is None else "thresholds", "sessions_conns", "SessionS")
    try:
        limit = parse_int(parts[2]) if parts[2] else 0
    except ApiError:
        limit = 0
    wanted = {
        "Tenant": run.part.tenant(parts[0]),
        "Filters": [part for part in parts[1].split("&") if part],
        "Limit": limit or None,
        "APIOpts": pairs(parts[3]),
        "Event": pairs(parts[4]),
    }
    run.called(place, MethodCall(method, encode(wanted), "SessionS"))


def alter_sessions(run: Run, action: Action, place: int) -> None:
    _sessions(run, action, place, "SessionSv1.AlterSessions")


def force_disconnect_sessions(run: Run, action: Action, place: int) -> None:
    _sessions(run, action, place, "SessionSv1.ForceDisconnect")


def sy_publish(run: Run, action: Action, place: int) -> None:
    """Tell the session of a Sy policy counter that its threshold was hit (30.15)."""
    connected(run, "thresholds", "sessions_conns", "SessionS")
    origin_id = action.extra_parameters
    if not origin_id and run.event is not None:
        origin_id = text_of(run.event.event.get("OriginID"))
    run.called(place, MethodCall("SessionSv1.ThresholdNotify", encode(origin_id), "SessionS"))


# --- exporters, thresholds, statistics ---------------------------------------------------------------------------


def export(run: Run, action: Action, place: int) -> None:
    """The account's event, or without account that of the threshold, to the exporters in ExtraParameters."""
    part = run.part
    if run.account is not None:
        now = format_instant(Instant.of(part.now_ns))
        wanted: dict[str, Any] = {
            "Tenant": run.account.tenant,
            "ID": part.new_uuid(),
            "Event": {
                "Account": account_json(run.account),
                "EventType": ACCOUNT_UPDATE,
                "EventSource": "AccountS",
            },
            "APIOpts": {"*eventType": ACCOUNT_UPDATE, "*eventTime": now},
        }
    elif run.event is not None:
        wanted = event_json(run.event)
    else:
        return  # there is nothing to export
    connected(run, "apiers", "ees_conns", "EEs")
    wanted["EeIDs"] = action.extra_parameters.split(";")
    run.called(place, MethodCall("EeSv1.ProcessEvent", encode(wanted), "EEs"))


def _reset(run: Run, action: Action, place: int, method: str, connections: str, subsystem: str) -> None:
    """ExtraParameters `tenant:ID`, or an ID of the default tenant."""
    connected(run, "schedulers", connections, subsystem)
    tenant, colon, name = action.extra_parameters.partition(":")
    wanted = {"Tenant": tenant, "ID": name} if colon else {"Tenant": "", "ID": tenant}
    run.called(place, MethodCall(method, encode(wanted), subsystem))


def reset_threshold(run: Run, action: Action, place: int) -> None:
    _reset(run, action, place, "ThresholdSv1.ResetThreshold", "thresholds_conns", "ThresholdS")


def reset_stat_queue(run: Run, action: Action, place: int) -> None:
    _reset(run, action, place, "StatSv1.ResetStatQueue", "stats_conns", "StatS")


def set_ddestinations(run: Run, action: Action, place: int) -> None:
    """The first destination `*ddc...` of the account's balances gets as prefixes the values that the `*ddc` metrics of the
    stat queues in ExtraParameters hold."""
    names = (name for found in (run.the_account().balances or {}).values() for b in found for name in b.destination_ids)
    destination = next((name for name in names if name.startswith(DDC)), None)
    if destination is None:
        raise ApiError("NOT_FOUND")
    connected(run, "rals", "stats_conns", "StatS")
    prefixes: set[str] = set()
    for queue_id in filter(None, action.extra_parameters.split(";")):
        wanted = {"Tenant": run.part.generation.default_tenant, "ID": queue_id}
        queue = json.loads(run.called(place, MethodCall("StatSv1.GetStatQueue", encode(wanted), "StatS")))
        metric = (queue.get("SQMetrics") or {}).get(DDC) or {}
        prefixes.update(metric.get("FieldValues") or ())
    changed = {"Id": destination, "Prefixes": sorted(prefixes), "Overwrite": True}
    run.called(place, MethodCall("APIerSv1.SetDestination", encode(changed), ""))


# --- the account -------------------------------------------------------------------------------------------------


def reset_account_cdr(run: Run, action: Action, place: int) -> None:
    """Balances back to what the account's last CDR with a cost says of them; those that are gone are left out."""
    account = run.the_account()
    wanted = {
        "Tenants": [account.tenant],
        "Accounts": [account.name],
        "NotCosts": [-1],
        "OrderBy": "OrderID;desc",
        "Limit": 1,
    }
    cdrs = json.loads(run.called(place, MethodCall("CDRsV1.GetCDRs", encode(wanted), "CDRs")))
    details = cdrs[0].get("CostDetails") if cdrs else None
    if not details:
        raise ApiError("nil CostDetails")
    if not details.get("AccountSummary"):
        raise ApiError("nil AccountSummary")
    for summary in details["AccountSummary"].get("BalanceSummaries") or ():
        balance = BalanceFilter(
            uuid=summary["UUID"],
            id=summary["ID"] if summary["ID"] != summary["UUID"] else None,  # one without ID is shown by its UUID
            type=summary["Type"],
            value=ValueFormula(static_nano=nano_of(summary["Value"])),
            weight=float(summary.get("Weight") or 0),
            disabled=bool(summary.get("Disabled")),
            factors=summary.get("Factors"),
        )
        try:
            changed = operations.set_balance(account, balance, run.part.now_ns, run.part.new_uuid)
        except ApiError:
            continue  # the balance has expired or was removed
        run.balances_changed(changed)


def remote_set_account(run: Run, action: Action, place: int) -> None:
    """POST the account to the URL in ExtraParameters; an answer with balances replaces it (its id stays). Should the
    account change while the other side thinks, it is asked again."""
    account = run.the_account()
    call = AccountPost(action.extra_parameters, json.dumps(account_json(account)), _version(run, account))
    answered = read_account(account.id, run.called(place, call))
    if not answered.balances:
        return
    account.balances, account.unit_counters = answered.balances, answered.unit_counters
    account.triggers, account.allow_negative = answered.triggers, answered.allow_negative
    account.disabled = answered.disabled


def _version(run: Run, account: Account) -> str:
    """The account as it is stored, before the group; "" when it is not there yet."""
    stored = run.part.read(Account, account.id)
    return "" if stored is None else md5(msgspec.json.encode(stored), usedforsecurity=False).hexdigest()
