"""Which balances are useful for a request, and their order (spec 20 §2.2, §3.3). Pure."""

from __future__ import annotations

from cgr_cluster.accounts.amounts import GENERIC, MONETARY
from cgr_cluster.accounts.types import Account, Balance, IdSet
from cgr_cluster.engine.domain import GenerationView
from cgr_cluster.events.instant import ZERO_S, Instant
from cgr_cluster.filters.timings import active_at

ANY_ID = "*any"
NO_MATCH = -1


def precision(generation: GenerationView, destination_ids: IdSet, destination: str) -> int:
    """How precisely a balance's destinations match a number: 0 for all destinations, the length of the deciding prefix,
    or NO_MATCH. An excluded `*any` says nothing. The longest prefix that any of its destinations owns decides; when all are exclusions, the longest that
    any destination at all owns (20 §3.3, oddity kept)."""
    if not destination_ids or destination_ids.get(ANY_ID):
        return 0
    only_exclusions = not any(destination_ids.values())
    for length in range(len(destination), 0, -1):
        owners = generation.destinations_of(destination[:length])
        if not owners:
            continue
        found = [destination_ids[owner] for owner in owners if owner in destination_ids]
        if found or only_exclusions:
            return length if all(found) else NO_MATCH
    return NO_MATCH


def matched_destination(generation: GenerationView, destination_ids: IdSet, destination: str) -> tuple[str, str]:
    """(prefix, destination id) shown for units taken from a balance: the longest prefix that belongs to one of its
    destinations (exclusions aside), else the whole number and `*any` (20 §3.4)."""
    if destination_ids and not destination_ids.get(ANY_ID):
        for length in range(len(destination), 0, -1):
            prefix = destination[:length]
            for owner in generation.destinations_of(prefix):
                if destination_ids.get(owner):
                    return prefix, owner
    return destination, ANY_ID


def active(balance: Balance, at: Instant) -> bool:
    """Whether the balance's timings allow it to pay at `at` (20 §2.2)."""
    if balance.disabled:
        return False
    timings = balance.timings
    if not timings:
        return True
    some = False
    for timing in timings:
        if active_at(timing, at):
            if balance.timing_ids.get(timing.id) is False:
                return False
            some = True
    return some


def useful(
    generation: GenerationView,
    account: Account,
    balance_type: str,
    category: str,
    destination: str,
    at_ns: int,
    group: str = "",
) -> list[tuple[Balance, str]]:
    """The useful balances of a type, with the list that each is in, ordered by precision, weight, list order. For unit
    types the `*generic` ones compete in the same order. With `group`: only those shared in it (20 §3.11)."""
    lists = account.balances
    if not lists:
        return []
    found: list[tuple[int, Balance, str]] = []
    types = (balance_type,) if balance_type in (MONETARY, GENERIC) else (balance_type, GENERIC)
    for kind in types:
        for balance in lists.get(kind, ()):
            if balance.disabled or (balance.value <= 0 and not balance.blocker and not balance.shared_groups):
                continue
            if (balance.expiration_date.seconds != ZERO_S and balance.expired(at_ns)) or (
                group and not balance.shared_groups.get(group)
            ):
                continue
            if balance.categories and not balance.categories.get(category):
                continue
            match = precision(generation, balance.destination_ids, destination) if balance.destination_ids else 0
            if match != NO_MATCH:
                found.append((match, balance, kind))
    if len(found) > 1:
        found.sort(key=lambda entry: (-entry[0], -entry[1].weight))  # stable: ties keep list order
    return [(balance, kind) for _, balance, kind in found]
