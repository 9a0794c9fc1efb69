"""Action groups on accounts as steps, and the operations that run them (spec 20 §5.1).

`run_group` is one atomic step at the account's shard: the whole group is kept, or nothing of it. When a transfer needs to
know its destination in another shard, or an action the answer of a call (calls.py), the step changes nothing and says so;
the operation asks and runs the step again with the answer. What a transfer took at the source is then given at the destination by a step of
its own; should the destination refuse after all (it changed in between), it is given back to the source. The engine does
each step exactly once, so money is neither lost nor doubled whichever process dies.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

import msgspec

from cgr_cluster.accounts import operations
from cgr_cluster.accounts.amounts import system_rounding
from cgr_cluster.accounts.joining import join_groups
from cgr_cluster.accounts.shared_groups import joined
from cgr_cluster.accounts.types import DEFAULT_ID, Account
from cgr_cluster.actions.attach import forget_account
from cgr_cluster.actions.calls import Answer, Asked, CallNeededError, answer_to
from cgr_cluster.actions.execute import FilterError, Run, balances_changed
from cgr_cluster.actions.membership import NO_ACCOUNT
from cgr_cluster.actions.transfers import Credit, Target, TargetUnknownError
from cgr_cluster.actions.types import ActionGroup
from cgr_cluster.engine.domain import Call, Operation, Part, Steps, step, task, together
from cgr_cluster.engine.owner import LEADER, Owner
from cgr_cluster.events.event import CGREvent
from cgr_cluster.rpc.errors import ApiError, partially_executed

logger = logging.getLogger("cgr_cluster.actions")

MAX_HOPS = 8  # transfers by triggers that cause each other
MAX_ASKED = 64  # destinations of the transfers of one group and calls of its actions
NOT_FOUND = "NOT_FOUND"


class GroupRun(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """What is to be run: the group, from action `start` (in the order of running), on the account (none for NO_ACCOUNT);
    `event` is what a threshold was hit by. `hops`: length of the chain of triggers, transfers and calls that led here.
    `makes`: an account that does not exist is made; else it has been removed meanwhile, and nothing is run."""

    account_id: str
    actions_id: str
    start: int = 0
    hops: int = 0
    event: CGREvent | None = None
    makes: bool = True


class Outcome(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """What a run came to. `error` "": done. `ask`, `call`: nothing has happened yet, this destination or answer must be
    known first. `groups`: shared groups that the account joins by it."""

    error: str = ""
    ask: Target | None = None
    credits: list[Credit] = []
    groups: list[str] = []
    call: Asked | None = None

    @property
    def asks(self) -> bool:
        return self.ask is not None or self.call is not None


def owner_of(account_id: str) -> Owner:
    return LEADER if account_id == NO_ACCOUNT else Owner("account", account_id)


@step("actions.run")
def run_group(part: Part, wanted: GroupRun, targets: list[Target], answers: list[Answer]) -> Outcome:
    """Run the group on the account."""
    group: ActionGroup | None = part.generation.get("actions", wanted.actions_id)
    if group is None:
        return Outcome(NOT_FOUND)
    stored = draft = None
    account_id = wanted.account_id
    if account_id != NO_ACCOUNT:
        stored = part.read(Account, account_id)
        if stored is None and not wanted.makes:
            return Outcome(NOT_FOUND)
        draft = Account(account_id) if stored is None else stored.draft()
    run = Run(
        part, draft, group, start=wanted.start, targets=targets, answers=answers, event=wanted.event, hops=wanted.hops
    )
    try:
        run.execute()
    except TargetUnknownError as unknown:
        return Outcome(ask=unknown.target)
    except CallNeededError as needed:
        return Outcome(call=needed.asked)
    except FilterError:
        run.flush()
        return Outcome()
    except ApiError as error:
        run.flush()
        return Outcome(error.text)
    if run.removed:
        part.delete(Account, account_id)
        forget_account(part, account_id)
    elif draft is not None:
        part.put(Account, account_id, draft)
    run.flush()
    groups = [] if draft is None or run.removed else joined(part.generation, draft, stored)
    return Outcome(credits=run.credits, groups=groups)


@step("actions.look_at", reads=True)
def look_at(part: Part, asked: Target) -> Target:
    """What a transfer must know of its destination."""
    account = part.read(Account, asked.account_id)
    if account is None:
        return msgspec.structs.replace(asked, refusal="destination account not found")
    try:
        found = operations.transfer_target(account, asked.balance_type, asked.balance_id, part.now_ns)
    except ApiError as error:
        return msgspec.structs.replace(asked, refusal=error.text)
    return msgspec.structs.replace(asked, balance=found)


@step("actions.give")
def give(part: Part, credit: Credit) -> None:
    """Give a destination what was taken for it. Raises ApiError, without effect, when it refuses."""
    stored = part.read(Account, credit.account_id)
    if stored is None:
        raise ApiError("destination account not found")
    draft = stored.draft()
    rounding = system_rounding(part.generation)
    balance = operations.move_in(
        draft, credit.balance_type, credit.balance_id, credit.amount, part.now_ns, lambda: credit.uuid, rounding
    )
    if credit.amount < 0 and balance.value < 0 and credit.balance_id != DEFAULT_ID:
        raise ApiError("insufficient credits in destination balance")
    balances_changed(part, draft, [balance], credit.hops)
    part.put(Account, draft.id, draft)


@step("actions.take_back")
def take_back(part: Part, account_id: str, credit: Credit) -> None:
    """Undo the source's side of a transfer that the destination refused."""
    account = part.edit(Account, account_id)
    if account is None:
        logger.warning("a transfer of %s was refused, but the account has been removed meanwhile", account_id)
        return
    rounding = system_rounding(part.generation)
    for balance in (account.balances or {}).get(credit.balance_type, ()):
        if balance.uuid == credit.balance_uuid:
            operations.move_out(balance, credit.balance_type, -credit.amount, rounding)
            return
    operations.move_in(account, credit.balance_type, DEFAULT_ID, credit.amount, part.now_ns, part.new_uuid, rounding)


def run_on(
    account_id: str, actions_id: str, start: int = 0, hops: int = 0, event: CGREvent | None = None, makes: bool = True
) -> Steps[str]:
    """Run a group on an account (on none for NO_ACCOUNT), see GroupRun. Answers the error, "" when all went well."""
    wanted = GroupRun(account_id, actions_id, start, hops, event, makes)
    return (yield from _finish(wanted, (yield run_group.at(owner_of(account_id), wanted, [], []))))


def _finish(wanted: GroupRun, outcome: Outcome) -> Steps[str]:
    """Ask what the run needs to know, and deliver its transfers."""
    owner = owner_of(wanted.account_id)
    try:
        known = yield from asked(
            outcome, wanted.hops, lambda targets, answers: run_group.at(owner, wanted, targets, answers)
        )
    except ApiError as error:
        return error.text
    assert known is not None
    return (yield from deliver(wanted.account_id, known))


def asked(
    outcome: Outcome | None, hops: int, again: Callable[[list[Target], list[Answer]], Call]
) -> Steps[Outcome | None]:
    """Ask what a run needs to know, and make it again with the answers until it needs no more. Raises ApiError: it needs
    more than MAX_ASKED."""
    targets: list[Target] = []
    answers: list[Answer] = []
    while outcome is not None and outcome.asks:
        if len(targets) + len(answers) >= MAX_ASKED:
            raise ApiError(f"more than {MAX_ASKED} destinations of transfers and calls in one group")
        if outcome.ask is not None:
            targets.append((yield look_at.at(Owner("account", outcome.ask.account_id), outcome.ask)))
        elif outcome.call is not None:
            answers.append((yield from answer_to(outcome.call, hops)))
        outcome = yield again(targets, answers)
    return outcome


def deliver(account_id: str, outcome: Outcome) -> Steps[str]:
    """Deliver the transfers of a run, and join shared groups. Answers the run's error."""
    error = outcome.error
    for credit in outcome.credits:
        try:
            yield give.at(Owner("account", credit.account_id), credit)
        except ApiError as refused:
            error = refused.text
            yield take_back.at(owner_of(account_id), account_id, credit)
    yield from join_groups(account_id, outcome.groups)
    return error


def run_each(runs: list[tuple[str, str]]) -> Steps[int]:
    """Run (account id, actions id) pairs, in order for each account. Answers how many failed; they are logged."""
    failed = 0
    wanted = [GroupRun(account_id, actions_id) for account_id, actions_id in runs]
    outcomes = yield together([run_group.at(owner_of(one.account_id), one, [], []) for one in wanted])
    for one, outcome in zip(wanted, outcomes, strict=True):
        error = outcome.text if isinstance(outcome, ApiError) else (yield from _finish(one, outcome))
        if error:
            failed += 1
            logger.warning("actions %s on account %s ended with: %s", one.actions_id, one.account_id or "-", error)
    return failed


def run_or_fail(account_id: str, actions_id: str, hops: int = 0) -> Steps[None]:
    """Run a group on an account. Raises PARTIALLY_EXECUTED when the group failed."""
    if (yield from run_on(account_id, actions_id, hops=hops)):
        raise partially_executed()


@task("actions.run_rest")
def run_rest(op: Operation, account_id: str, actions_id: str, start: int, hops: int) -> Steps[None]:
    """The rest of a group that a trigger began: from a transfer on, which has to ask. Triggers of two accounts may send
    money to and fro: MAX_HOPS ends that."""
    if hops > MAX_HOPS:
        logger.error(
            "actions %s of a trigger of %s: more than %d transfers by triggers", actions_id, account_id, MAX_HOPS
        )
        return
    error = yield from run_on(account_id, actions_id, start, hops, makes=False)
    if error:
        logger.warning("actions %s of a trigger of %s ended with: %s", actions_id, account_id, error)


@step("actions.remove_account_here")
def remove_account_here(part: Part, account_id: str) -> None:
    """Delete the account and its plan links; nothing when there is none."""
    if part.read(Account, account_id) is not None:
        part.delete(Account, account_id)
    forget_account(part, account_id)


@task("actions.remove_account", awaited=True)
def remove_account(op: Operation, account_id: str) -> Steps[None]:
    """`*remove_account` of an account named in ExtraParameters."""
    yield remove_account_here.at(Owner("account", account_id), account_id)
