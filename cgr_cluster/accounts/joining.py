"""How an account becomes a member of shared groups (spec 20 §3.11, design 5).

`shared_groups.joined` says which groups a change joins; the operation that made the change then runs `join_groups`, and
its answer leaves when the account is a member. Members of a group live in one shard, so that a debit is local: groups
that have a member in common are one *cluster*, and a cluster has one shard. The leader keeps the clusters (`GroupPlace`,
`MemberOf`) and moves, one join after the other, whoever does not live where its cluster does: the smaller clusters come to
the largest one. How a single move works is `engine/placement.py`.
"""

from __future__ import annotations

import msgspec

from cgr_cluster.accounts.types import SharedGroupMembers
from cgr_cluster.engine.domain import Operation, Part, Steps, exclusive, sleep, step, stored, task
from cgr_cluster.engine.owner import LEADER, Owner
from cgr_cluster.engine.placement import TRY_AGAIN_NS, has_moved, locate, may_move, move, shard_owner, undo_moves
from cgr_cluster.rpc.errors import ApiError, server_error

ONE_AT_A_TIME = "shared groups"
LOOK_AGAIN_NS = 2_000_000


@stored("group_place")
class GroupPlace(msgspec.Struct, array_like=True, gc=False):
    """Members of a group as the leader knows them, for its decisions only; the group's id is the key."""

    members: list[str] = []

    def draft(self) -> GroupPlace:
        return GroupPlace(list(self.members))


@stored("member_of")
class MemberOf(msgspec.Struct, array_like=True, gc=False):
    """The groups of an account (the key, `tenant:account`), at the leader."""

    groups: list[str] = []

    def draft(self) -> MemberOf:
        return MemberOf(list(self.groups))


@stored("joining")
class Joining(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A join that is not finished; the key is its ticket."""

    account_id: str
    failed: bool = False

    def draft(self) -> Joining:
        return self


class Relocation(msgspec.Struct, array_like=True, gc=False):
    kind: str
    key: str
    old: int


class JoinPlan(msgspec.Struct, array_like=True, gc=False):
    """Who has to move to `shard`."""

    shard: int
    relocations: list[Relocation]


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


@step("accounts.request_join")
def request_join(part: Part, account_id: str, group_ids: list[str]) -> str:
    """At the leader: have the account join. Answers a ticket for `has_joined`; "" when it is a member of all already."""
    known = part.read(MemberOf, account_id)
    if known is not None and all(group_id in known.groups for group_id in group_ids):
        return ""
    ticket = part.new_uuid()
    part.put(Joining, ticket, Joining(account_id))
    part.spawn("accounts.place", ticket, account_id, group_ids)
    return ticket


@step("accounts.has_joined", reads=True)
def has_joined(part: Part, ticket: str) -> bool:
    joining = part.read(Joining, ticket)
    if joining is not None and joining.failed:
        raise server_error(
            f"account {joining.account_id} could not join its shared groups (see the log); its balance is not shared until it is removed and added again"
        )
    return joining is None


@step("accounts.finish_join", idempotent=True)
def finish_join(part: Part, ticket: str) -> None:
    if part.read(Joining, ticket) is not None:
        part.delete(Joining, ticket)


@step("accounts.plan_join", idempotent=True)
def plan_join(part: Part, account_id: str, group_ids: list[str]) -> JoinPlan:
    """At the leader: note the membership, and say who must move so that the account's cluster lives in one shard."""
    account = part.edit(MemberOf, account_id)
    if account is None:
        account = MemberOf()
        part.put(MemberOf, account_id, account)
    for group_id in group_ids:
        place = part.edit(GroupPlace, group_id)
        if place is None:
            place = GroupPlace()
            part.put(GroupPlace, group_id, place)
        if account_id not in place.members:
            place.members.append(account_id)
        if group_id not in account.groups:
            account.groups.append(group_id)
    groups, accounts = _cluster(part, account_id)
    owners = [group_owner(g) for g in groups] + [Owner("account", a) for a in accounts]
    homes = [(owner, locate(part.generation, owner)) for owner in owners]
    settled: dict[int, int] = {}  # shard → how many of the cluster's accounts live there by a group
    for owner, shard in homes:
        if owner.kind == "account" and shard != owner.shard:
            settled[shard] = settled.get(shard, 0) + 1
    target = max(settled, key=lambda shard: (settled[shard], -shard)) if settled else locate(part.generation, owners[0])
    return JoinPlan(target, [Relocation(o.kind, o.key, shard) for o, shard in homes if shard != target])


def _cluster(part: Part, account_id: str) -> tuple[list[str], list[str]]:
    """Groups and accounts that are connected with the account by memberships."""
    groups: dict[str, None] = {}
    accounts: dict[str, None] = {account_id: None}
    todo = [account_id]
    while todo:
        account = part.read(MemberOf, todo.pop())
        for group_id in account.groups if account is not None else ():
            if group_id in groups:
                continue
            groups[group_id] = None
            place = part.read(GroupPlace, group_id)
            for member in place.members if place is not None else ():
                if member not in accounts:
                    accounts[member] = None
                    todo.append(member)
    return list(groups), list(accounts)


@step("accounts.fail_join", idempotent=True)
def fail_join(part: Part, ticket: str, account_id: str, group_ids: list[str]) -> None:
    """The account has not become a member; a balance that brings it to the groups anew will."""
    if part.read(Joining, ticket) is None:
        return
    part.put(Joining, ticket, Joining(account_id, True))
    account = part.edit(MemberOf, account_id)
    for group_id in group_ids:
        place = part.edit(GroupPlace, group_id)
        if place is not None and account_id in place.members:
            place.members.remove(account_id)
        if account is not None and group_id in account.groups:
            account.groups.remove(group_id)


@task("accounts.place", given_up="accounts.place_given_up")
def place(op: Operation, ticket: str, account_id: str, group_ids: list[str]) -> Steps[None]:
    """At the leader, one at a time: bring the cluster together, then make the account a member."""
    yield exclusive(ONE_AT_A_TIME)
    plan: JoinPlan = yield plan_join.at(LEADER, account_id, group_ids)
    if plan.relocations:
        while not (yield may_move.at(LEADER, ticket)):
            yield sleep(TRY_AGAIN_NS)
        yield from undo_moves(op.generation)  # nobody else moves now: a mark is of a move that was given up
        for relocation in plan.relocations:
            yield from move(Owner(relocation.kind, relocation.key), relocation.old, plan.shard)
        yield has_moved.at(LEADER, ticket)
    for group_id in group_ids:
        yield join_group.at(shard_owner(plan.shard), group_id, account_id)
    yield finish_join.at(LEADER, ticket)


@task("accounts.place_given_up")
def place_given_up(op: Operation, ticket: str, account_id: str, group_ids: list[str]) -> Steps[None]:
    """At the leader: whoever waits for the join is told, and nobody stays frozen."""
    yield fail_join.at(LEADER, ticket, account_id, group_ids)
    yield exclusive(ONE_AT_A_TIME)
    yield from undo_moves(op.generation)
    yield has_moved.at(LEADER, ticket)


def join_groups(account_id: str, group_ids: list[str]) -> Steps[None]:
    """Make the account a member, and wait until it is one."""
    if not group_ids:
        return
    ticket: str = yield request_join.at(LEADER, account_id, group_ids)
    try:
        while ticket and not (yield has_joined.at(LEADER, ticket)):
            yield sleep(LOOK_AGAIN_NS)
    except ApiError:
        yield finish_join.at(LEADER, ticket)
        raise


@task("accounts.join")
def join_later(op: Operation, account_id: str, group_ids: list[str]) -> Steps[None]:
    """For changes that nobody waits for, such as a trigger's actions."""
    yield from join_groups(account_id, group_ids)
