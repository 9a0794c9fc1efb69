"""Shared groups: whose balances a shared balance opens, and who joins (spec 20 §3.11).

Members of a group live in one shard, so their accounts are read like the caller's own. Which accounts are members is
state (`SharedGroupMembers`); the group's strategies are reference data.
"""

from __future__ import annotations

from zlib import crc32

from cgr_cluster.accounts.amounts import MONETARY
from cgr_cluster.accounts.ledger import Ledger, MembersOf, Payer, groups_of
from cgr_cluster.accounts.matching import ANY_ID, useful
from cgr_cluster.accounts.types import Account, Balance
from cgr_cluster.engine.domain import GenerationView
from cgr_cluster.rating.reference import SharedGroup
from cgr_cluster.rpc.errors import not_found

_LOWEST, _HIGHEST, _RANDOM = "lowest", "highest", "random"
_STRATEGIES = {  # (order, whether the caller's own balance comes first)
    "*lowest": (_LOWEST, False),
    "*highest": (_HIGHEST, False),
    "*random": (_RANDOM, False),
    "*mine_lowest": (_LOWEST, True),
    "*mine_highest": (_HIGHEST, True),
    "*mine_random": (_RANDOM, True),
}
_DEFAULT_STRATEGY = (_RANDOM, True)  # also for a strategy that is none of these


def joined(generation: GenerationView, account: Account, before: Account | None) -> list[str]:
    """Ids of the existing groups that balances of `account` name and those of `before` did not: what it joins by a
    change."""
    known = set(groups_of(before)) if before is not None else set()
    return [g for g in groups_of(account) if g not in known and generation.get("shared_group", g) is not None]


def _ordered(payers: list[Payer], order: str, seed: str) -> list[Payer]:
    if order == _LOWEST:
        return sorted(payers, key=lambda p: p.balance.value)
    if order == _HIGHEST:
        return sorted(payers, key=lambda p: -p.balance.value)
    return sorted(payers, key=lambda p: crc32(f"{seed}:{p.balance.uuid}".encode()))


def by_strategy(payers: list[Payer], strategy: str, own: Balance, seed: str) -> list[Payer]:
    """The group's balances in the order of a strategy. Random orders come from `seed`, so that work done again has the
    same order. For `*mine_...`, `own` (the caller's balance that opened the group) changes places with the first."""
    order, mine = _STRATEGIES.get(strategy, _DEFAULT_STRATEGY)
    ordered = _ordered(payers, order, seed)
    if mine:
        for i, payer in enumerate(ordered):
            if payer.balance is own:
                ordered[0], ordered[i] = ordered[i], ordered[0]
                break
    return ordered


def require_groups(
    generation: GenerationView, account: Account, balance_type: str, category: str, destination: str, at_ns: int
) -> None:
    """Raise `NOT_FOUND` when a balance of the account that is useful, of the type or money, is in a group that does not
    exist."""
    if not groups_of(account):
        return
    for kind in (balance_type, MONETARY):
        for balance, _ in useful(generation, account, kind, category, destination, at_ns):
            for group_id in balance.shared_groups:
                if generation.get("shared_group", group_id) is None:
                    raise not_found()


def expanded(
    ledger: Ledger,
    generation: GenerationView,
    members_of: MembersOf,
    own: list[tuple[Balance, str]],
    balance_type: str,
    category: str,
    destination: str,
    at_ns: int,
    seed: str,
) -> list[Payer]:
    """The caller's useful balances with each shared one replaced by the balances of its groups. Raises `NOT_FOUND` when a
    group does not exist."""
    payers: list[Payer] = []
    for balance, kind in own:
        if not balance.shared_groups:
            payers.append(ledger.payer(balance, kind, ledger.own))
            continue
        for group_id in balance.shared_groups:
            group: SharedGroup | None = generation.get("shared_group", group_id)
            if group is None:
                raise not_found()
            shared: list[Payer] = []
            for member_id in members_of(group_id):
                member = ledger.account(member_id)
                if member is None or (member.disabled and member is not ledger.own):
                    continue
                for found, found_kind in useful(
                    generation, member, balance_type, category, destination, at_ns, group_id
                ):
                    shared.append(ledger.payer(found, found_kind, member))
            parameters = group.account_parameters.get(ledger.own.id) or group.account_parameters.get(ANY_ID)
            payers += by_strategy(shared, parameters.strategy if parameters else "", balance, seed)
    return payers
