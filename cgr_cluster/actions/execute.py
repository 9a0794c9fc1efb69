"""Running an action group on one account (spec 20 §5.1, 5.2): order, filters, all or nothing, and every action type.

A `Run` works on a draft of the account; nothing of it stays unless whoever started it keeps the draft (runs.py, or the
request whose trigger it is). What an action does elsewhere is an *effect*: a task that is spawned with the part. An action
that must know another account before it can go on (`*transfer_balance`) raises `TargetUnknownError`: the run is dropped, and made again
with the answer (runs.py). In a trigger, where nobody can wait, the rest of the group is left to a task instead.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import msgspec
from msgspec.structs import replace

from cgr_cluster.accounts import operations
from cgr_cluster.accounts.amounts import MONETARY, nano_of, number_of, to_nano
from cgr_cluster.accounts.expiry import removes_expired
from cgr_cluster.accounts.hooks import HookOf
from cgr_cluster.accounts.types import DEFAULT_ID, Account, Balance
from cgr_cluster.actions import cdrlog, counters, publish
from cgr_cluster.actions.account_view import account_passes
from cgr_cluster.actions.amounts import amount_nano
from cgr_cluster.actions.outside_effects import mail_of, rpc_of
from cgr_cluster.actions.triggers import Changed, Evaluator, means
from cgr_cluster.actions.types import Action, ActionGroup, ActionTrigger, BalanceFilter
from cgr_cluster.engine.domain import GenerationView, Part
from cgr_cluster.events.instant import Instant
from cgr_cluster.events.times import parse_time
from cgr_cluster.events.values import parse_int
from cgr_cluster.rpc.errors import ApiError


class Target(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """What a transfer must know of its destination. `refusal`: why it can not take anything ("": it can)."""

    account_id: str
    balance_type: str
    balance_id: str
    value: int = 0
    refusal: str = ""

    def names(self, other: Target | Credit) -> bool:
        """Whether it is the same destination."""
        return (self.account_id, self.balance_type, self.balance_id) == (
            other.account_id, other.balance_type, other.balance_id,
        )  # fmt: skip


class Credit(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """What a transfer has taken from the source `balance_uuid` and gives to a destination; amounts in the type's grain
    (negative: it is taken back from there). `hops`: length of the chain of triggers and transfers that led here."""

    account_id: str
    balance_type: str
    balance_id: str
    amount: int
    balance_uuid: str
    hops: int = 0


class TargetUnknownError(Exception):
    """The group goes on when this destination is known."""

    def __init__(self, target: Target) -> None:
        super().__init__(target.account_id)
        self.target = target


class FilterError(Exception):
    """A filter cannot be evaluated: the group ends silently (20 §5.1)."""


def zone_of(generation: GenerationView) -> str:
    return str(generation.config("general").get("default_timezone", ""))


class Run:
    """One execution of a group. `account` is a draft, None for a group without account; `removed` once `*remove_account`
    has run. `targets` are the answers to earlier asks; `logged` what `*cdrlog` writes down."""

    def __init__(
        self, part: Part, account: Account | None, group: ActionGroup, *, nested: bool = False, start: int = 0,
        targets: list[Target] | None = None, changed: Changed | None = None, hops: int = 0,
    ) -> None:  # fmt: skip
        self.part = part
        self.account = account
        self.group = group
        self.nested = nested
        self.start = start
        self.hops = hops
        self.targets = list(targets or ())
        self.changed = changed if changed is not None else Changed()
        self.zone = zone_of(part.generation)
        self.removed = False
        self.spawned: list[tuple[str, tuple[Any, ...]]] = []
        self.credits: list[Credit] = []
        self.logged: dict[int, list[tuple[Action, int, dict[str, Any]]]] = {}
        self.ordered = sorted(group.actions, key=lambda action: -action.weight)

    def execute(self) -> None:
        """Raises ApiError (an action's error, or an unknown type), `FilterError`, `TargetUnknownError`."""
        for place, action in enumerate(self.ordered):
            if place < self.start or not self._passes(action):
                continue
            function = ACTIONS.get(action.action_type)
            if function is None:
                raise ApiError(f"action type {action.action_type} is not supported")
            if self.account is None and action.action_type not in WITHOUT_ACCOUNT:
                continue
            if self.nested and action.action_type == "*transfer_balance":
                self.spawn("actions.run_rest", self._account().id, self.group.id, place, self.hops + 1)
                return
            function(self, self._with_expiry(action), place)

    def _passes(self, action: Action) -> bool:
        if not action.filters or self.account is None:
            return True
        try:
            return account_passes(self.part.generation, self.part.now_ns, self.account, action.filters)
        except ApiError as error:
            raise FilterError(error.text) from None

    def _with_expiry(self, action: Action) -> Action:
        """ExpirationString, if it can be read, is the balance's ExpirationDate."""
        if not action.expiration_string:
            return action
        try:
            at = parse_time(action.expiration_string, self.part.now_ns, self.zone)
        except ApiError:
            return action
        return replace(action, balance=replace(action.balance, expiration_date=at))

    def _account(self) -> Account:
        assert self.account is not None
        return self.account

    def amount(self, action: Action) -> int:
        return amount_nano(action.balance.value, self.part.now_ns, self.zone)

    def spawn(self, task: str, *args: Any) -> None:
        """An effect: a task that runs once this part is durable."""
        self.spawned.append((task, args))

    def known(self, asked: Target) -> Target:
        """What is known of a destination, with what this run gives it already. Raises `TargetUnknownError`."""
        for target in self.targets:
            if target.names(asked):
                given = sum(credit.amount for credit in self.credits if target.names(credit))
                return replace(target, value=target.value + given)
        raise TargetUnknownError(asked)

    def log(self, place: int, action: Action, amount: int, fields: dict[str, Any] | None = None) -> None:
        """Something for `*cdrlog`; `amount` in nano."""
        self.logged.setdefault(place, []).append((action, amount, fields or {}))

    def balances_changed(self, balances: list[Balance]) -> None:
        """After an action changed balances: set up counters, evaluate triggers."""
        account = self._account()
        for balance in balances:
            self.changed.add(balance)
        counters.rebuild(account)
        if not self.nested:
            evaluator_of(self.part, self.spawn, self.hops).evaluate(account, self.changed)

    def flush(self) -> None:
        """Let the effects happen: with the part that keeps the account, or alone when the group failed."""
        for task, args in self.spawned:
            self.part.spawn(task, *args)


# --- triggers ----------------------------------------------------------------------------------------------------


def evaluator_of(part: Part, spawn: Callable[..., None] | None = None, hops: int = 0) -> Evaluator:
    """Evaluates triggers for the request of this part; their actions run on the same drafts. `spawn`: where their effects
    go, instead of into the part at once."""
    generation = part.generation

    def run(account: Account, actions_id: str, changed: Changed) -> bool:
        group: ActionGroup = generation.get("actions", actions_id)
        nested = Run(part, account, group, nested=True, changed=changed, hops=hops)
        try:
            nested.execute()
            return True
        except (ApiError, FilterError):
            return False  # what was done stays, and so does the trigger's mark (20 §7.2)
        finally:
            for task, args in nested.spawned:
                (spawn or part.spawn)(task, *args)

    return Evaluator(
        generation,
        Instant.of(part.now_ns),
        removes_expired(generation),
        lambda actions_id: generation.get("actions", actions_id) is not None,
        run,
    )


def hooks_of(part: Part) -> HookOf:
    """The triggers and counters of accounts in a debit or refund (accounts/hooks.py); asked only for accounts that have
    some."""
    return lambda account: evaluator_of(part).hook(account)


def balances_changed(part: Part, account: Account, balances: list[Balance], hops: int = 0) -> None:
    """After an API method changed balances of a draft: set up counters, evaluate triggers (20 §4.1)."""
    changed = Changed()
    for balance in balances:
        changed.add(balance)
    counters.rebuild(account)
    evaluator_of(part, hops=hops).evaluate(account, changed)


def triggers_rearmed(part: Part, account: Account) -> None:
    """After a reset every balance counts as changed (20 §7.1)."""
    evaluator_of(part).evaluate(account, Changed(everything=True))


# --- the action types --------------------------------------------------------------------------------------------


def _add(run: Run, action: Action, place: int, amount: int, **reset: bool) -> None:
    account, part = run._account(), run.part
    wanted = action.balance
    if wanted.factors is None and action.extra_parameters:
        wanted = _with_factors(wanted, action.extra_parameters)
    changed = operations.add_amount(account, wanted, amount, part.now_ns, part.new_uuid, **reset)
    run.log(place, action, run.amount(action))
    run.balances_changed(changed)


def _with_factors(wanted: BalanceFilter, extra: str) -> BalanceFilter:
    """A new balance's Factors may come from ExtraParameters as JSON."""
    try:
        factors = {str(name): float(value) for name, value in json.loads(extra).items()}
    except (ValueError, TypeError, AttributeError):
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
    changed = operations.set_balance(run._account(), wanted, run.part.now_ns, run.part.new_uuid)
    run.log(place, action, run.amount(action))
    run.balances_changed(changed)


def remove_balance(run: Run, action: Action, place: int) -> None:
    for kind, balance in operations.remove_balances(run._account(), action.balance):
        _log_removed(run, place, action, kind, balance)


def _log_removed(run: Run, place: int, action: Action, kind: str, balance: Balance) -> None:
    shown = replace(action, balance=replace(action.balance, type=kind))
    run.log(place, shown, to_nano(kind, balance.value), {"BalanceID": balance.id})


def remove_expired(run: Run, action: Action, place: int) -> None:
    now_ns, wanted = run.part.now_ns, action.balance
    removed = False
    for kind, balances in (run._account().balances or {}).items():
        if wanted.type and kind != wanted.type:
            continue
        for balance in list(balances):
            if balance.expired(now_ns) and operations.matches(wanted, balance, skip_expiry=True):
                balances.remove(balance)
                removed = True
                _log_removed(run, place, action, kind, balance)
    if not removed:
        raise ApiError("NOT_FOUND")


def set_expiry(run: Run, action: Action, place: int) -> None:
    wanted = action.balance
    for balance in (run._account().balances or {}).get(wanted.type or "", ()):
        if operations.matches(wanted, balance, skip_expiry=True):
            if wanted.expiration_date is not None:
                balance.expiration_date = wanted.expiration_date
            run.changed.add(balance)


def transfer_monetary_default(run: Run, action: Action, place: int) -> None:
    account, now_ns = run._account(), run.part.now_ns
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
            operations.move_out(default, MONETARY, -balance.value)
            balance.value = 0
            run.changed.add(balance)
    run.changed.add(default)


def transfer_balance(run: Run, action: Action, place: int) -> None:
    """20 §4.4. The destination may be in another shard: what is to know of it is asked first."""
    account, part = run._account(), run.part
    try:
        extra = json.loads(action.extra_parameters)
        target_account = str(extra["DestinationAccountID"])
        target_id = str(extra["DestinationBalanceID"])
        reference = extra.get("DestinationReferenceValue")
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ApiError(f"invalid ExtraParameters of {action.action_type}: {action.extra_parameters}") from None
    source_id = action.balance.id or ""
    kind, source = operations.transfer_source(account, source_id, part.now_ns)
    own = target_account == account.id
    if own:
        found = operations.transfer_target(account, kind, target_id, part.now_ns)
        target = Target(target_account, kind, target_id, 0 if found is None else found.value)
    else:
        asked = Target(target_account, kind, target_id)
        target = run.known(asked)
    if target.refusal:
        raise ApiError(target.refusal)
    amount = operations.transfer_amount(
        kind,
        run.amount(action),
        None if reference is None else nano_of(reference),
        source.value,
        source.id,
        target.value,
        target_id,
    )
    initial = source.value
    operations.move_out(source, kind, amount)
    changed = [source]
    if own:
        changed.append(operations.move_in(account, kind, target_id, amount, part.now_ns, part.new_uuid))
    else:
        run.credits.append(Credit(target_account, kind, target_id, amount, source.uuid, run.hops))
    shown = replace(action, balance=replace(action.balance, type=kind))
    fields = {
        "Destination": target_account.partition(":")[2],
        "SourceBalanceSummary": _summary(kind, source, initial, source.value),
        "DestinationBalanceSummary": _summary(
            kind, Balance("", target_id), target.value, target.value + amount
        ),
    }  # fmt: skip
    run.log(place, shown, to_nano(kind, amount), fields)
    run.balances_changed(changed)


def _summary(kind: str, balance: Balance, initial: int, value: int) -> str:
    summary = {
        "UUID": balance.uuid,
        "ID": balance.id,
        "Type": kind,
        "Initial": number_of(kind, initial),
        "Value": number_of(kind, value),
        "Disabled": balance.disabled,
    }
    return json.dumps(summary, separators=(",", ":"))


def allow_negative(run: Run, action: Action, place: int) -> None:
    run._account().allow_negative = True


def deny_negative(run: Run, action: Action, place: int) -> None:
    run._account().allow_negative = False


def enable_account(run: Run, action: Action, place: int) -> None:
    run._account().disabled = False


def disable_account(run: Run, action: Action, place: int) -> None:
    run._account().disabled = True


def reset_account(run: Run, action: Action, place: int) -> None:
    """Every list becomes one nameless balance of 0; counters stay; triggers are armed and evaluated, but the new
    balances do not count as changed."""
    account = run._account()
    account.balances = {kind: [Balance("")] for kind in account.balances or {}} or account.balances
    account.triggers = _marked(account, lambda trigger: True)
    if not run.nested:
        evaluator_of(run.part, run.spawn, run.hops).evaluate(account, Changed())


def _marked(account: Account, test: Callable[[ActionTrigger], bool]) -> list[ActionTrigger] | None:
    """The triggers, not executed where `test` says so."""
    if account.triggers is None:
        return None
    return [replace(t, executed=False) if t.executed and test(t) else t for t in account.triggers]


def remove_account(run: Run, action: Action, place: int) -> None:
    if run.nested:
        run.spawn("actions.remove_account", run._account().id)  # the request whose trigger it is still stores it
        return
    if run.account is not None:
        run.removed = True
        return
    try:
        extra = json.loads(action.extra_parameters)
        account_id = f"{run.part.tenant(str(extra.get('Tenant', '')))}:{extra['Account']}"
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ApiError(f"invalid ExtraParameters of {action.action_type}: {action.extra_parameters}") from None
    run.spawn("actions.remove_account", account_id)


def reset_triggers(run: Run, action: Action, place: int) -> None:
    account = run._account()
    account.triggers = _marked(account, lambda trigger: means(action, trigger))
    if not run.nested:
        evaluator_of(run.part, run.spawn, run.hops).evaluate(
            account, Changed(everything=True), lambda trigger: means(action, trigger)
        )


def _set_recurrent(run: Run, action: Action, recurrent: bool) -> None:
    account = run._account()
    if account.triggers is not None:
        account.triggers = [replace(t, recurrent=recurrent) if means(action, t) else t for t in account.triggers]


def set_recurrent(run: Run, action: Action, place: int) -> None:
    _set_recurrent(run, action, True)


def unset_recurrent(run: Run, action: Action, place: int) -> None:
    _set_recurrent(run, action, False)


def reset_counters(run: Run, action: Action, place: int) -> None:
    """Counters of the action's type (or of all), the one of BalanceId or all of them."""
    wanted = action.balance
    for kind, unit_counters in (run._account().unit_counters or {}).items():
        if wanted.type and kind != wanted.type:
            continue
        for unit_counter in unit_counters:
            for counter in unit_counter.counters:
                if not wanted.id or counter.filter.id == wanted.id:
                    counter.value = 0


def log_account(run: Run, action: Action, place: int) -> None:
    run.spawn("actions.log_account", _account_text(run), action.extra_parameters)


def _account_text(run: Run) -> str:
    return "" if run.account is None else msgspec.json.encode(run.account).decode()


def cdr_log(run: Run, action: Action, place: int) -> None:
    """A CDR for each action of the group that changes balances; for those that have not run yet, of their Units."""
    if not cdrlog.connected(run.part):
        raise ApiError("No connection with CDR Server")
    logged: list[tuple[Action, int, dict[str, Any]]] = []
    for other_place, other in enumerate(run.ordered):
        if other.action_type in cdrlog.LOGGED:
            default: list[tuple[Action, int, dict[str, Any]]] = (
                [] if "remove" in other.action_type else [(other, run.amount(other), {})]
            )
            logged += run.logged.get(other_place, default)
    events = cdrlog.cdr_events(run.part, run._account().id, logged, action.extra_parameters)
    if events:
        run.spawn("actions.cdrlog", events)


def publish_account(run: Run, action: Action, place: int) -> None:
    publish.publish_account(run.part, run._account())


def mail(run: Run, action: Action, place: int) -> None:
    run.spawn("actions.mail", *mail_of(run.part.generation, action, _account_text(run)))


def _pairs(text: str) -> dict[str, str]:
    """`a:1&b:2`"""
    return {name: value for name, _, value in (pair.partition(":") for pair in text.split("&")) if name}


def _sessions(run: Run, action: Action, disconnect: bool) -> None:
    """ExtraParameters `tenant;filters;limit;apiopts;event`, parts joined by `&`, pairs `k:v` (20 §5.3)."""
    parts = action.extra_parameters.split(";")
    if len(parts) != 5:
        raise ApiError(f"invalid number of parameters <{len(parts)}> expected 5")
    if not run.part.generation.config("rals").get("sessions_conns"):
        raise ApiError("NOT_CONNECTED: SessionS")
    filters = [part for part in parts[1].split("&") if part]
    limit = parse_int(parts[2]) if parts[2] else 0
    opts, event = _pairs(parts[3]), _pairs(parts[4])
    run.spawn("actions.sessions", disconnect, run.part.tenant(parts[0]), filters, limit, opts, event)


def alter_sessions(run: Run, action: Action, place: int) -> None:
    _sessions(run, action, disconnect=False)


def force_disconnect_sessions(run: Run, action: Action, place: int) -> None:
    _sessions(run, action, disconnect=True)


def cgr_rpc(run: Run, action: Action, place: int) -> None:
    run.spawn("actions.rpc", *rpc_of(action, run.account))


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
    "*transfer_balance": transfer_balance,
    "*transfer_monetary_default": transfer_monetary_default,
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
    "*log": log_account,
    "*cdrlog": cdr_log,
    "*publish_account": publish_account,
    "*mail_async": mail,
    "*cgr_rpc": cgr_rpc,
    "*alter_sessions": alter_sessions,
    "*force_disconnect_sessions": force_disconnect_sessions,
}
WITHOUT_ACCOUNT = frozenset(
    {"*remove_account", "*log", "*mail_async", "*cgr_rpc", "*alter_sessions", "*force_disconnect_sessions"}
)
