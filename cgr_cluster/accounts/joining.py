"""How an account becomes a member of shared groups (spec 20 §3.11): a step at each group's owner.

`shared_groups.joined` says which groups a change joins; the operation that made the change then runs `join_groups`.
"""

from __future__ import annotations

from cgr_cluster.accounts.types import SharedGroupMembers
from cgr_cluster.engine.domain import Operation, Part, Steps, step, task
from cgr_cluster.engine.owner import Owner


def group_owner(group_id: str) -> Owner:
    return Owner("group", group_id)


@step("accounts.join_group", idempotent=True)
def join_group(part: Part, group_id: str, account_id: str) -> None:
    """Add a member, if it is not one yet."""
    group = part.edit(SharedGroupMembers, group_id)
    if group is None:
        part.put(SharedGroupMembers, group_id, SharedGroupMembers([account_id]))
    elif account_id not in group.members:
        group.members.append(account_id)


def join_groups(account_id: str, group_ids: list[str]) -> Steps[None]:
    for group_id in group_ids:
        yield join_group.at(group_owner(group_id), group_id, account_id)


@task("accounts.join")
def join_later(op: Operation, account_id: str, group_ids: list[str]) -> Steps[None]:
    """For changes that nobody waits for, such as a trigger's actions."""
    yield from join_groups(account_id, group_ids)
