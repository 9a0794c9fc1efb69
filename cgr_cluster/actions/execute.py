"""Running an action group on one account (spec 20 §5.1): order, filters, all or nothing; and the triggers of a request.

A `Run` works on a draft of the account; nothing of it stays unless whoever started it keeps the draft (runs.py, or the
request whose trigger it is). What an action does elsewhere is an *effect*: a task that is spawned with the part. An action
that must know another account before it can go on (`*transfer_balance`), or the answer of a call (calls.py), raises
`TargetUnknownError` or `CallNeededError` before it changes anything: the run is dropped, and made again with the answer
(runs.py). In a trigger, where nobody can wait, the rest of the group is left to a task.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from cgr_cluster.accounts.expiry import removes_expired
from cgr_cluster.accounts.hooks import HookOf
from cgr_cluster.accounts.types import Account, Balance
from cgr_cluster.actions import counters
from cgr_cluster.actions.account_view import account_passes
from cgr_cluster.actions.action_types import ACTIONS, WITHOUT_ACCOUNT
from cgr_cluster.actions.amounts import amount_nano
from cgr_cluster.actions.calls import AccountPost, Answer, Asked, Call, CallNeededError, LiveRead
from cgr_cluster.actions.cdrlog import Change
from cgr_cluster.actions.transfers import Credit, Target, TargetUnknownError
from cgr_cluster.actions.triggers import Changed, Evaluator
from cgr_cluster.actions.types import Action, ActionGroup, ActionTrigger
from cgr_cluster.engine.codec import unpack
from cgr_cluster.engine.domain import GenerationView, Part
from cgr_cluster.events.event import CGREvent
from cgr_cluster.events.instant import Instant
from cgr_cluster.events.times import parse_time
from cgr_cluster.filters.live import Live, Need
from cgr_cluster.rpc.errors import ApiError

Effect = tuple[str, tuple[Any, ...]]  # a task that an action leaves, and its arguments


class FilterError(Exception):
    """A filter cannot be evaluated: the group ends silently (20 §5.1)."""


def zone_of(generation: GenerationView) -> str:
    return str(generation.config("general").get("default_timezone", ""))


class Run:
    """One execution of a group. `account` is a draft, None for a group without account; `removed` once `*remove_account`
    has run. `event`: what a threshold was hit by. `hops`: length of the chain of triggers, transfers and calls that led
    here. `targets` and `answers` are what was asked for in earlier runs; `logged` what `*cdrlog` writes down."""

    def __init__(
        self, part: Part, account: Account | None, group: ActionGroup, *, nested: bool = False, start: int = 0,
        targets: list[Target] | None = None, answers: list[Answer] | None = None, event: CGREvent | None = None,
        changed: Changed | None = None, hops: int = 0,
    ) -> None:  # fmt: skip
        self.part = part
        self.account = account
        self.group = group
        self.nested = nested
        self.start = start
        self.event = event
        self.hops = hops
        self.targets = list(targets or ())
        self.answers = list(answers or ())
        self._calls: dict[int, int] = {}  # place of an action → how many calls it has made
        self.changed = changed if changed is not None else Changed()
        self.zone = zone_of(part.generation)
        self.removed = False
        self.effects: list[Effect] = []
        self.credits: list[Credit] = []
        self.logged: dict[int, list[Change]] = {}
        self.ordered = sorted(group.actions, key=lambda action: -action.weight)

    def execute(self) -> None:
        """Raises ApiError (an action's error, or an unknown type), `FilterError`, `TargetUnknownError`, `CallNeededError`."""
        for place, action in enumerate(self.ordered):
            if place < self.start:
                continue
            try:
                self._execute(place, action)
            except (TargetUnknownError, CallNeededError):
                if not self.nested:
                    raise
                self.spawn("actions.run_rest", self.the_account().id, self.group.id, place, self.hops + 1)
                return

    def _execute(self, place: int, action: Action) -> None:
        if not self._passes(place, action):
            return
        function = ACTIONS.get(action.action_type)
        if function is None:
            raise ApiError(f"action type {action.action_type} is not supported")
        if self.account is not None or action.action_type in WITHOUT_ACCOUNT:
            function(self, self._with_expiry(action), place)

    def _passes(self, place: int, action: Action) -> bool:
        if not action.filters or self.account is None:
            return True
        live = Live()
        while True:
            try:
                return account_passes(self.part.generation, self.part.now_ns, self.account, action.filters, live)
            except Need as need:
                live.known[need.key] = self._read(place, need)
            except ApiError as error:
                raise FilterError(error.text) from None

    def _read(self, place: int, need: Need) -> Any:
        """An object of others that filters of the action at `place` read. Raises `CallNeededError` until it is known."""
        wanted = LiveRead(*need.key)
        for answer in self.answers:
            if (answer.place, answer.number, answer.version) == (place, 0, wanted.version):
                if answer.error:
                    raise FilterError(answer.error)
                return unpack(need.result_type, answer.body)
        raise CallNeededError(Asked(place, 0, wanted))

    def _with_expiry(self, action: Action) -> Action:
        """ExpirationString, if it can be read, is the balance's ExpirationDate."""
        if not action.expiration_string:
            return action
        try:
            at = parse_time(action.expiration_string, self.part.now_ns, self.zone)
        except ApiError:
            return action
        return replace(action, balance=replace(action.balance, expiration_date=at))

    def the_account(self) -> Account:
        assert self.account is not None
        return self.account

    def amount(self, action: Action) -> int:
        return amount_nano(action.balance.value, self.part.now_ns, self.zone)

    def spawn(self, task: str, *args: Any) -> None:
        """An effect: a task that runs once this part is durable."""
        self.effects.append((task, args))

    def known(self, asked: Target) -> Target:
        """What is known of a destination, with what this run gives it already. Raises `TargetUnknownError`."""
        for target in self.targets:
            if target.names(asked):
                balance = target.balance
                for credit in self.credits:
                    if target.names(credit):
                        balance = Balance(credit.uuid, credit.balance_id) if balance is None else balance.copy()
                        balance.value += credit.amount
                return replace(target, balance=balance)
        raise TargetUnknownError(asked)

    def called(self, place: int, call: Call) -> bytes:
        """What the next call of the action at `place` answers, as JSON. Raises its error, and `CallNeededError` when it has
        not been made yet, or for an account that has changed since."""
        number = self._calls[place] = self._calls.get(place, 0) + 1
        version = call.version if isinstance(call, AccountPost) else ""
        for answer in reversed(self.answers):
            if (answer.place, answer.number, answer.version) == (place, number, version):
                if answer.error:
                    raise ApiError(answer.error)
                return answer.body
        raise CallNeededError(Asked(place, number, call))

    def log(self, place: int, change: Change) -> None:
        """Something for `*cdrlog`."""
        self.logged.setdefault(place, []).append(change)

    def balances_changed(self, balances: list[Balance]) -> None:
        """After an action changed balances: set up counters, evaluate triggers."""
        account = self.the_account()
        for balance in balances:
            self.changed.add(balance)
        counters.rebuild(account)
        if not self.nested:
            self.evaluate(self.changed)

    def evaluate(self, changed: Changed, only: Callable[[ActionTrigger], bool] | None = None) -> None:
        """Evaluate triggers of the account; their effects are this run's."""
        evaluator_of(self.part, self.effects, self.hops).evaluate(self.the_account(), changed, only)

    def flush(self) -> None:
        """Let the effects happen: with the part that keeps the account, or alone when the group failed."""
        for task, args in self.effects:
            self.part.spawn(task, *args)


# --- triggers ----------------------------------------------------------------------------------------------------


def evaluator_of(part: Part, effects: list[Effect] | None = None, hops: int = 0) -> Evaluator:
    """Evaluates triggers for the request of this part; their actions run on the same drafts. `effects`: where their effects
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
            if effects is None:
                nested.flush()
            else:
                effects.extend(nested.effects)

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
