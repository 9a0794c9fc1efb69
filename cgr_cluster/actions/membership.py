"""Which accounts are in which action plan, and which actions wait for the next reload (spec 20 §6.3).

Where it lives. A plan may have a million accounts, which come and go one by one. So the plan itself (reference data,
`ActionPlan`) does not list them: every account carries its own links (`AccountPlans`, under the account's key in the
account's shard), and the list of a plan's accounts is gathered from the shards when somebody asks. A link names the plan
and its `membership`, an id that the plan got when it was set anew: setting a plan with Overwrite, or removing it, makes all
its links void at once, without touching an account; a void link goes when the account's links are next written. A link
also says since when it is: the scheduler counts the accounts that were attached before its last reload (20 §6.3). An account
that moves to another shard takes its links along.

Tasks ("run this group once at the next reload") live beside the links (`PendingActions`) until the moment they run, also
after the reload has taken them: whoever removes the account removes its tasks, and nothing makes it again. Tasks without
an account are in the leader's shard under an empty key.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from cgr_cluster.actions.types import ActionPlan
from cgr_cluster.actions.walk import over_shards
from cgr_cluster.engine.domain import GenerationView, Part, Steps, step, stored
from cgr_cluster.engine.placement import belongs_by_key, shard_owner

NO_ACCOUNT = ""


@belongs_by_key("account")
@stored("account_plans")
class AccountPlans(msgspec.Struct, array_like=True, gc=False):
    """The plans of one account: plan id → membership, and in the same order since when (ns). Kept under the account's id."""

    plans: dict[str, str] = {}
    since: list[int] = []

    def draft(self) -> AccountPlans:
        return AccountPlans(dict(self.plans), list(self.since))

    def links(self) -> Iterator[tuple[tuple[str, str], int]]:
        """((plan id, membership), since when)."""
        return zip(self.plans.items(), self.since, strict=True)


@belongs_by_key("account")
@stored("pending_actions")
class PendingActions(msgspec.Struct, array_like=True, gc=False):
    """Action groups that run on the account once, in order: `waiting` for the next reload of the scheduler, `taken` by
    the last one. Kept under the account's id."""

    waiting: list[str] = []
    taken: list[str] = []

    def draft(self) -> PendingActions:
        return PendingActions(list(self.waiting), list(self.taken))


def is_member(part: Part, account_id: str, plan_id: str, membership: str) -> bool:
    """Whether the account is in the plan, and the plan is still the one with this membership."""
    links = part.read(AccountPlans, account_id)
    if links is None or links.plans.get(plan_id) != membership:
        return False
    plan: ActionPlan | None = part.generation.get("action_plan", plan_id)
    return plan is not None and plan.membership == membership


def plans_of(part: Part, account_id: str) -> list[ActionPlan]:
    """The plans that the account is in, in the order in which it was attached."""
    links = part.read(AccountPlans, account_id)
    if links is None:
        return []
    return current_plans(links, part.generation)


def current_plans(links: AccountPlans, generation: GenerationView) -> list[ActionPlan]:
    """The plans of the links that are not void."""
    found = []
    for plan_id, membership in links.plans.items():
        plan: ActionPlan | None = generation.get("action_plan", plan_id)
        if plan is not None and plan.membership == membership:
            found.append(plan)
    return found


def set_links(part: Part, account_id: str, plans: list[ActionPlan]) -> None:
    """Make these the account's plans."""
    links = part.read(AccountPlans, account_id)
    if plans:
        since = {} if links is None else dict(links.links())
        held = [since.get((plan.id, plan.membership), part.now_ns) for plan in plans]
        part.put(AccountPlans, account_id, AccountPlans({plan.id: plan.membership for plan in plans}, held))
    elif links is not None:
        part.delete(AccountPlans, account_id)


def detach(part: Part, account_id: str, plan_id: str = "") -> bool:
    """Take the account out of the plan (or of all plans). Answers whether it was in it."""
    plans = plans_of(part, account_id)
    kept = [plan for plan in plans if plan_id and plan.id != plan_id]
    if len(kept) == len(plans):
        return False
    set_links(part, account_id, kept)
    return True


@step("actions.attach", idempotent=True)
def attach(part: Part, account_id: str, plan_id: str, membership: str) -> bool:
    """Put the account into a plan (SetActionPlanAccounts), unless the plan is another one by now."""
    plan: ActionPlan | None = part.generation.get("action_plan", plan_id)
    if plan is None or plan.membership != membership or is_member(part, account_id, plan_id, membership):
        return False
    set_links(part, account_id, [*(held for held in plans_of(part, account_id) if held.id != plan_id), plan])
    return True


# --- tasks -------------------------------------------------------------------------------------------------------


def add_pending(part: Part, account_id: str, actions_id: str) -> None:
    """A task for the next reload. The part is on the account's shard (on the leader's for NO_ACCOUNT)."""
    pending = part.edit(PendingActions, account_id)
    if pending is None:
        part.put(PendingActions, account_id, PendingActions([actions_id]))
    else:
        pending.waiting.append(actions_id)


def next_taken(part: Part, account_id: str) -> str | None:
    """The group that a reload took first of those that have not run."""
    pending = part.read(PendingActions, account_id)
    return pending.taken[0] if pending is not None and pending.taken else None


def drop_taken(part: Part, account_id: str) -> None:
    """The group of `next_taken` has run, or is not to run."""
    pending = part.edit(PendingActions, account_id)
    if pending is None or not pending.taken:
        return  # the group removed its own account
    del pending.taken[0]
    if not pending.taken and not pending.waiting:
        part.delete(PendingActions, account_id)


@step("actions.shards_with_tasks", reads=True)
def shards_with_tasks(part: Part) -> list[int]:
    return part.shards_with(PendingActions)


# --- a plan's accounts -------------------------------------------------------------------------------------------


class Attached(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """Which accounts of a plan: those attached after, and until (ns); by default all."""

    after_ns: int = -1
    until_ns: int = 1 << 62


ALL = Attached()


def members_of(plans: list[ActionPlan]) -> Steps[list[list[str]]]:
    """The accounts of each plan, from all shards, sorted."""
    wanted = [(plan.id, plan.membership) for plan in plans]
    found = yield from over_shards(shards_with_plans, lambda number: members_here.at(shard_owner(number), wanted))
    return [sorted(account_id for _, lists in found for account_id in lists[place]) for place in range(len(plans))]


@step("actions.shards_with_plans", reads=True)
def shards_with_plans(part: Part) -> list[int]:
    return part.shards_with(AccountPlans)


@step("actions.members_here", reads=True)
def members_here(part: Part, plans: list[tuple[str, str]]) -> tuple[list[list[str]], int]:
    """Accounts of each (plan id, membership) in one shard, sorted, and how many accounts have any plan."""
    return listed(part, plans, ALL)


def listed(part: Part, plans: list[tuple[str, str]], attached: Attached) -> tuple[list[list[str]], int]:
    """The same, of these accounts."""
    out: list[list[str]] = [[] for _ in plans]
    places = {plan: place for place, plan in enumerate(plans)}
    scanned = 0
    for account_id, links in part.scan(AccountPlans):
        scanned += 1
        for link, since_ns in links.links():
            place = places.get(link)
            if place is not None and attached.after_ns < since_ns <= attached.until_ns:
                out[place].append(account_id)
    for ids in out:
        ids.sort()
    return out, scanned


def counts_of(
    plans: list[ActionPlan], attached: Attached, tenant: str | None, name: str | None
) -> Steps[list[tuple[int, int]]]:
    """Of each plan: how many of these accounts it has, and how many of them are of this tenant and name (None: any)."""
    wanted = [(plan.id, plan.membership) for plan in plans]
    found = yield from over_shards(
        shards_with_plans, lambda number: counts_here.at(shard_owner(number), wanted, attached, tenant, name)
    )
    counts = [counts for _, counts in found]
    return [(sum(c[place][0] for c in counts), sum(c[place][1] for c in counts)) for place in range(len(plans))]


@step("actions.counts_here", reads=True)
def counts_here(
    part: Part, plans: list[tuple[str, str]], attached: Attached, tenant: str | None, name: str | None
) -> tuple[list[tuple[int, int]], int]:
    """What `counts_of` sums up, of one shard, and how many accounts have any plan."""
    lists, scanned = listed(part, plans, attached)
    return [(len(ids), sum(_concerns(account_id, tenant, name) for account_id in ids)) for ids in lists], scanned


def _concerns(account_id: str, tenant: str | None, name: str | None) -> bool:
    its_tenant, _, its_name = account_id.partition(":")
    return (tenant is None or tenant == its_tenant) and (name is None or name == its_name)
