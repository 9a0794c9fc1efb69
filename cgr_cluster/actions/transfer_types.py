"""`*transfer_balance` and `*transfer_monetary_default` (spec 20 §4.4, 5.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import replace

from cgr_cluster.accounts import operations
from cgr_cluster.accounts.amounts import MONETARY, system_rounding, to_nano
from cgr_cluster.accounts.summary import balance_summarised
from cgr_cluster.accounts.types import DEFAULT_ID, Balance
from cgr_cluster.actions.amounts import number_of_nano
from cgr_cluster.actions.cdrlog import Change
from cgr_cluster.actions.transfers import Credit, Target
from cgr_cluster.actions.types import Action
from cgr_cluster.events.amounts import nano_of
from cgr_cluster.events.nesting import read_json
from cgr_cluster.rating.answers import balance_summary_json
from cgr_cluster.rpc.errors import ApiError

if TYPE_CHECKING:
    from cgr_cluster.actions.execute import Run


def transfer_monetary_default(run: Run, action: Action, place: int) -> None:
    account, now_ns = run.the_account(), run.part.now_ns
    rounding = system_rounding(run.part.generation)
    balances = (account.balances or {}).get(MONETARY)
    if balances is None:
        raise ApiError(f"account {account.id} does not have monetary balance")
    default = next((b for b in balances if b.id == DEFAULT_ID), None)
    if default is None:
        default = Balance(run.part.new_uuid(), DEFAULT_ID)
        balances.append(default)
    for balance in balances:
        if balance is default or balance.value <= 0 or balance.expired(now_ns):
            continue
        if operations.matches(action.balance, balance):
            operations.move_out(default, MONETARY, -balance.value, rounding)
            balance.value = 0
            run.changed.add(balance)
    run.changed.add(default)


class _Wanted(msgspec.Struct):
    """ExtraParameters of `*transfer_balance`."""

    DestinationAccountID: str
    DestinationBalanceID: str
    DestinationReferenceValue: float | None = None


def _wanted(action: Action) -> _Wanted:
    try:
        return msgspec.convert(read_json(action.extra_parameters), _Wanted)
    except ValueError:
        raise ApiError(f"invalid ExtraParameters of {action.action_type}: {action.extra_parameters}") from None


def transfer_balance(run: Run, action: Action, place: int) -> None:
    """The destination may be in another shard: what is to know of it is asked first."""
    account, part = run.the_account(), run.part
    rounding = system_rounding(part.generation)
    wanted = _wanted(action)
    kind, source = operations.transfer_source(account, action.balance.id or "", part.now_ns)
    target = Target(wanted.DestinationAccountID, kind, wanted.DestinationBalanceID)
    own = target.account_id == account.id
    if own:
        target = replace(target, balance=operations.transfer_target(account, kind, target.balance_id, part.now_ns))
    else:
        target = run.known(target)
    if target.refusal:
        raise ApiError(target.refusal)
    reference = wanted.DestinationReferenceValue
    amount = operations.transfer_amount(
        kind,
        run.amount(action),
        None if reference is None else nano_of(reference),
        source.value,
        source.id,
        target.value,
        target.balance_id,
        rounding,
    )
    initial = source.value
    operations.move_out(source, kind, amount, rounding)
    source_summary = _summary(kind, source, initial)
    changed = [source]
    if own:
        given = operations.move_in(account, kind, target.balance_id, amount, part.now_ns, part.new_uuid, rounding)
        changed.append(given)
    else:
        given = Balance(part.new_uuid(), target.balance_id) if target.balance is None else target.balance.copy()
        given.value += amount
        run.credits.append(
            Credit(target.account_id, kind, target.balance_id, amount, source.uuid, run.hops, given.uuid)
        )
    nano = to_nano(kind, amount)
    fields: dict[str, Any] = {
        "Destination": target.account_id.partition(":")[2],
        "SourceBalanceSummary": source_summary,
        "DestinationBalanceSummary": _summary(kind, given, target.value),
        "Account": account.name,
        "Cost": number_of_nano(nano),
    }
    shown = replace(action, balance=replace(action.balance, type=kind))
    run.log(place, Change(shown, nano, fields=fields))
    run.balances_changed(changed)


def _summary(kind: str, balance: Balance, initial: int) -> str:
    return msgspec.json.encode(balance_summary_json(balance_summarised(balance, kind, initial, balance.value))).decode()
