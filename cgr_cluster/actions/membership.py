"""Which accounts are in which action plan, and which actions wait for the next reload (spec 20 §6.3).

Where it lives. A plan may have a million accounts, which come and go one by one. So the plan itself (reference data,
`ActionPlan`) does not list them: every account carries its own links (`AccountPlans`, under the account's key in the
account's shard), and the list of a plan's accounts is gathered from the shards when somebody asks. A link names the plan
and its `membership`, an id that the plan got when it was set anew: setting a plan with Overwrite, or removing it, makes all
its links void at once, without touching an account; a void link goes when the account's links are next written. An
account that moves to another shard takes its links along.

Tasks ("run this group once at the next reload") live beside the links (`PendingActions`); those without an account are in
the leader's shard under an empty key.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from cgr_cluster.actions.types import ActionPlan
from cgr_cluster.engine.domain import GenerationView, Part, step, stored
from cgr_cluster.engine.placement import belongs_by_key

NO_ACCOUNT = ""


@belongs_by_key("account")
@stored("account_plans")
class AccountPlans(msgspec.Struct, array_like=True, gc=False):
    """The plans of one account: plan id → membership. Kept under the account's id."""

    plans: dict[str, str] = {}

    def draft(self) -> AccountPlans:
        return AccountPlans(dict(self.plans))


@belongs_by_key("account")
@stored("pending_actions")
class PendingActions(msgspec.Struct, array_like=True, gc=False):
    """Action groups that run on the account at the next reload of the scheduler, in order. Kept under the account's id."""

    actions_ids: list[str] = []

    def draft(self) -> PendingActions:
        return PendingActions(list(self.actions_ids))


def is_member(links: AccountPlans | None, plan: ActionPlan) -> bool:
    return links is not None and links.plans.get(plan.id) == plan.membership


def plans_of(part: Part, account_id: str) -> list[ActionPlan]:
    """The plans that the account is in, in the order in which it was attached."""
    links = part.read(AccountPlans, account_id)
    if links is None:
        return []
    return list(_current(links, part.generation))


def _current(links: AccountPlans, generation: GenerationView) -> Iterator[ActionPlan]:
    for plan_id, membership in links.plans.items():
        plan: ActionPlan | None = generation.get("action_plan", plan_id)
        if plan is not None and plan.membership == membership:
            yield plan


def set_links(part: Part, account_id: str, plans: list[ActionPlan]) -> None:
    """Make these the account's plans."""
    if plans:
        part.put(AccountPlans, account_id, AccountPlans({plan.id: plan.membership for plan in plans}))
    elif part.read(AccountPlans, account_id) is not None:
        part.delete(AccountPlans, account_id)


def detach(part: Part, account_id: str, plan_id: str = "") -> bool:
    """Take the account out of the plan (or of all plans). Answers whether it was in it."""
    plans = plans_of(part, account_id)
    kept = [plan for plan in plans if plan_id and plan.id != plan_id]
    if len(kept) == len(plans):
        return False
    set_links(part, account_id, kept)
    return True


def add_pending(part: Part, account_id: str, actions_id: str) -> None:
    """A task for the next reload. The part is on the account's shard (on the leader's for NO_ACCOUNT)."""
    pending = part.edit(PendingActions, account_id)
    if pending is None:
        part.put(PendingActions, account_id, PendingActions([actions_id]))
    else:
        pending.actions_ids.append(actions_id)


def members_here(part: Part, plan_id: str, membership: str) -> tuple[list[str], int]:
    """Accounts of the plan in this shard, sorted, and how many accounts of the shard have any plan."""
    found, scanned = [], 0
    for account_id, links in part.all(AccountPlans):
        scanned += 1
        if links.plans.get(plan_id) == membership:
            found.append(account_id)
    found.sort()
    return found, scanned


@step("actions.attach", idempotent=True)
def attach(part: Part, account_id: str, plan_id: str, membership: str) -> bool:
    """Put the account into a plan (SetActionPlanAccounts)."""
    links = part.read(AccountPlans, account_id)
    if links is not None and links.plans.get(plan_id) == membership:
        return False
    kept = {} if links is None else {plan.id: plan.membership for plan in _current(links, part.generation)}
    kept[plan_id] = membership
    part.put(AccountPlans, account_id, AccountPlans(kept))
    return True
