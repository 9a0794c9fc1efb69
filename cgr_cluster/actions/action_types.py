"""The action types (spec 20 §5.2, 5.3): what each does to the account of a run, and the table of them.

Every function gets the run (execute.py), the action with its expiry read, and its place in the order of running. It
changes the run's draft of the account, leaves effects with `run.spawn`, and raises ApiError when it fails. A type that is
not in the table cannot be run here and is such an error.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from msgspec.structs import replace

from cgr_cluster.accounts import operations
from cgr_cluster.accounts.amounts import system_rounding, to_nano
from cgr_cluster.accounts.types import Account, Balance
from cgr_cluster.actions import calling_types, cdrlog, outside_effects, publish, transfer_types
from cgr_cluster.actions.cdrlog import Change
from cgr_cluster.actions.dynamic import DYNAMIC, run_dynamic
from cgr_cluster.actions.triggers import Changed, means
from cgr_cluster.actions.types import Action, ActionTrigger, BalanceFilter
from cgr_cluster.cdrs.session_cost_filters import cost_filter_of
from cgr_cluster.events.nesting import read_json
from cgr_cluster.events.values import float_of
from cgr_cluster.rpc.errors import ApiError

if TYPE_CHECKING:
    from cgr_cluster.actions.execute import Run


def _add(run: Run, action: Action, place: int, amount: int, **reset: bool) -> None:
    account, part = run.the_account(), run.part
    wanted = action.balance
    if wanted.factors is None and action.extra_parameters:
        wanted = _with_factors(wanted, action.extra_parameters)
    changed = operations.add_amount(
        account, wanted, amount, part.now_ns, part.new_uuid, system_rounding(part.generation), **reset
    )
    after = to_nano(wanted.type or "", changed[-1].value)
    run.log(place, Change(action, run.amount(action), after))
    run.balances_changed(changed)


def _with_factors(wanted: BalanceFilter, extra: str) -> BalanceFilter:
    """A new balance's Factors may come from ExtraParameters as JSON."""
    try:
        factors = {str(name): float_of(value) for name, value in read_json(extra).items()}
    except (ValueError, AttributeError, ApiError):
        return wanted
    return replace(wanted, factors=factors)


def topup(run: Run, action: Action, place: int) -> None:
    _add(run, action, place, abs(run.amount(action)))


def topup_reset(run: Run, action: Action, place: int) -> None:
    _add(run, action, place, abs(run.amount(action)), reset=True)


def debit(run: Run, action: Action, place: int) -> None:
    _add(run, action, place, -run.amount(action))


def debit_reset(run: Run, action: Action, place: int) -> None:
    _add(run, action, place, -run.amount(action), reset=True)


def topup_zero_negative(run: Run, action: Action, place: int) -> None:
    _add(run, action, place, -run.amount(action), reset_negative=True)


def set_balance(run: Run, action: Action, place: int) -> None:
    wanted = action.balance
    if wanted.value is not None and wanted.value.method:
        wanted = replace(wanted, value=replace(wanted.value, method="", static_nano=run.amount(action)))
    changed = operations.set_balance(run.the_account(), wanted, run.part.now_ns, run.part.new_uuid)
    run.log(place, Change(action, run.amount(action)))
    run.balances_changed(changed)


def remove_balance(run: Run, action: Action, place: int) -> None:
    for kind, balance in operations.remove_balances(run.the_account(), action.balance):
        _log_removed(run, place, action, kind, balance)


def _log_removed(run: Run, place: int, action: Action, kind: str, balance: Balance) -> None:
    shown = replace(action, balance=replace(action.balance, type=kind))
    fields = {"BalanceID": balance.id or balance.uuid}
    run.log(place, Change(shown, to_nano(kind, balance.value), fields=fields, removed=True))


def remove_expired(run: Run, action: Action, place: int) -> None:
    for kind, balance in operations.remove_balances(run.the_account(), action.balance, run.part.now_ns):
        _log_removed(run, place, action, kind, balance)


def set_expiry(run: Run, action: Action, place: int) -> None:
    wanted = action.balance
    for balance in (run.the_account().balances or {}).get(wanted.type or "", ()):
        if operations.matches(wanted, balance, skip_expiry=True):
            if wanted.expiration_date is not None:
                balance.expiration_date = wanted.expiration_date
            run.changed.add(balance)


def allow_negative(run: Run, action: Action, place: int) -> None:
    run.the_account().allow_negative = True


def deny_negative(run: Run, action: Action, place: int) -> None:
    run.the_account().allow_negative = False


def enable_account(run: Run, action: Action, place: int) -> None:
    run.the_account().disabled = False


def disable_account(run: Run, action: Action, place: int) -> None:
    run.the_account().disabled = True


def reset_account(run: Run, action: Action, place: int) -> None:
    """Every list becomes one nameless balance of 0; counters stay; triggers are armed and evaluated, but the new
    balances do not count as changed."""
    account = run.the_account()
    account.balances = {kind: [Balance("")] for kind in account.balances or {}} or account.balances
    account.triggers = _marked(account, lambda trigger: True)
    if not run.nested:
        run.evaluate(Changed())


def _marked(account: Account, test: Callable[[ActionTrigger], bool]) -> list[ActionTrigger] | None:
    """The triggers, not executed where `test` says so."""
    if account.triggers is None:
        return None
    return [replace(t, executed=False) if t.executed and test(t) else t for t in account.triggers]


def remove_account(run: Run, action: Action, place: int) -> None:
    if run.nested:
        run.spawn("actions.remove_account", run.the_account().id)  # the request whose trigger it is still stores it
        return
    if run.account is not None:
        run.removed = True
        return
    try:
        extra = read_json(action.extra_parameters)
        account_id = f"{run.part.tenant(str(extra.get('Tenant') or ''))}:{extra['Account']}"
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ApiError(f"invalid ExtraParameters of {action.action_type}: {action.extra_parameters}") from None
    run.spawn("actions.remove_account", account_id)


def reset_triggers(run: Run, action: Action, place: int) -> None:
    account = run.the_account()
    account.triggers = _marked(account, lambda trigger: means(action, trigger))
    if not run.nested:
        run.evaluate(Changed(everything=True), lambda trigger: means(action, trigger))


def _set_recurrent(run: Run, action: Action, recurrent: bool) -> None:
    account = run.the_account()
    if account.triggers is not None:
        account.triggers = [replace(t, recurrent=recurrent) if means(action, t) else t for t in account.triggers]


def set_recurrent(run: Run, action: Action, place: int) -> None:
    _set_recurrent(run, action, True)


def unset_recurrent(run: Run, action: Action, place: int) -> None:
    _set_recurrent(run, action, False)


def reset_counters(run: Run, action: Action, place: int) -> None:
    """Counters of the action's type (or of all), the one of BalanceId or all of them."""
    wanted = action.balance
    for kind, unit_counters in (run.the_account().unit_counters or {}).items():
        if wanted.type and kind != wanted.type:
            continue
        for unit_counter in unit_counters:
            for counter in unit_counter.counters:
                if not wanted.id or counter.filter.id == wanted.id:
                    counter.value = 0


def cdr_log(run: Run, action: Action, place: int) -> None:
    """A CDR for each action of the group that changes balances; for those that have not run yet, of their Units."""
    if not cdrlog.connected(run.part):
        raise ApiError("No connection with CDR Server")
    changes: list[Change] = []
    for other_place, other in enumerate(run.ordered):
        if other.action_type in cdrlog.LOGGED:
            default = [] if "remove" in other.action_type else [Change(other, run.amount(other))]
            changes += run.logged.get(other_place, default)
    account_id, group_id = run.the_account().id, run.group.id
    rules = cdrlog.rules_of(action.extra_parameters)
    events = [cdrlog.cdr_event(run.part, account_id, group_id, change, rules) for change in changes]
    if events:
        run.spawn("actions.cdrlog", events, run.hops)


def publish_account(run: Run, action: Action, place: int) -> None:
    account = run.the_account()
    publish.publish_account(run.part, run.spawn, account, run.part.read(Account, account.id), run.hops)


def remove_session_costs(run: Run, action: Action, place: int) -> None:
    """Session costs that pass the filters in ExtraParameters (`;`), of the default tenant; without filters all."""
    run.spawn("cdrs.remove_session_costs", cost_filter_of(run.part, action.extra_parameters, run.zone))


ACTIONS: dict[str, Callable[[Run, Action, int], None]] = {
    "*topup": topup,
    "*topup_reset": topup_reset,
    "*topup_zero_negative": topup_zero_negative,
    "*debit": debit,
    "*debit_reset": debit_reset,
    "*set_balance": set_balance,
    "*remove_balance": remove_balance,
    "*remove_expired": remove_expired,
    "*set_expiry": set_expiry,
    "*transfer_balance": transfer_types.transfer_balance,
    "*transfer_monetary_default": transfer_types.transfer_monetary_default,
    "*allow_negative": allow_negative,
    "*deny_negative": deny_negative,
    "*enable_account": enable_account,
    "*disable_account": disable_account,
    "*reset_account": reset_account,
    "*remove_account": remove_account,
    "*reset_triggers": reset_triggers,
    "*set_recurrent": set_recurrent,
    "*unset_recurrent": unset_recurrent,
    "*reset_counters": reset_counters,
    "*log": outside_effects.log_account,
    "*cdrlog": cdr_log,
    "*publish_account": publish_account,
    "*mail_async": outside_effects.mail,
    "*cgr_rpc": calling_types.cgr_rpc,
    "*alter_sessions": calling_types.alter_sessions,
    "*force_disconnect_sessions": calling_types.force_disconnect_sessions,
    "*sy_publish": calling_types.sy_publish,
    "*export": calling_types.export,
    "*reset_threshold": calling_types.reset_threshold,
    "*reset_stat_queue": calling_types.reset_stat_queue,
    "*set_ddestinations": calling_types.set_ddestinations,
    "*reset_account_cdr": calling_types.reset_account_cdr,
    "*remote_set_account": calling_types.remote_set_account,
    "*remove_session_costs": remove_session_costs,
    **dict.fromkeys(DYNAMIC, run_dynamic),
}
WITHOUT_ACCOUNT = frozenset(
    {
        "*remove_account", "*log", "*mail_async", "*cgr_rpc", "*alter_sessions", "*force_disconnect_sessions", "*sy_publish",
        "*export", "*reset_threshold", "*reset_stat_queue", "*remove_session_costs", *DYNAMIC,
    }
)  # fmt: skip
