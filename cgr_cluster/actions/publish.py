"""Account events (spec 20 §3.10, 51 §4): what debits, changes of balances by the API and `*publish_account` send to the
connected services. The one place where they leave."""

from __future__ import annotations

from collections.abc import Callable

from cgr_cluster.accounts.summary import summarised
from cgr_cluster.accounts.types import Account
from cgr_cluster.engine.domain import GenerationView, Part
from cgr_cluster.events.event import CGREvent
from cgr_cluster.events.instant import Instant
from cgr_cluster.filters.handing_over import TO_QUEUES, TO_THRESHOLDS, hand_over
from cgr_cluster.rating.answers import account_summary_json
from cgr_cluster.stats.matching import STATS, any_queues, queues_of
from cgr_cluster.thresholds.matching import ACCOUNT_UPDATE, EVENT_TYPE, any_thresholds, thresholds_of
from cgr_cluster.thresholds.types import THRESHOLDS


def publish_account(
    part: Part, spawn: Callable[..., None], account: Account, before: Account | None, hops: int = 0
) -> None:
    """Send the account's event. `spawn` is how the part leaves tasks behind. `before`: the account before the change (None:
    it did not exist), for the Initial values. `hops`: length of the chain of actions and events that led here."""
    generation = part.generation
    thresholds, queues = listeners(generation)
    thresholds = thresholds and any_thresholds(generation, account.tenant)
    queues = queues and any_queues(generation, account.tenant)
    if not thresholds and not queues:
        return
    event = account_event(part, account, before)
    if thresholds:
        hand_over(part, spawn, event, hops, TO_THRESHOLDS, thresholds_of)
    if queues:
        hand_over(part, spawn, event, hops, TO_QUEUES, queues_of)


def somebody_listens(generation: GenerationView) -> bool:
    """Whether account events go anywhere."""
    return any(listeners(generation))


def listeners(generation: GenerationView) -> tuple[bool, bool]:
    """Whether account events go to (ThresholdS, StatS): it is connected, and has profiles."""
    return generation.derived(_listeners, "config", THRESHOLDS.name, STATS.name)


def _listeners(generation: GenerationView) -> tuple[bool, bool]:
    config = generation.config("rals")
    return (
        bool(config.get("thresholds_conns")) and bool(generation.keys(THRESHOLDS.name)),
        bool(config.get("stats_conns")) and bool(generation.keys(STATS.name)),
    )


def account_event(part: Part, account: Account, before: Account | None) -> CGREvent:
    fields = account_summary_json(summarised(account, before)) or {}
    fields["BalanceSummaries"] = [{"Weight": 0, "Factors": None, **balance} for balance in fields["BalanceSummaries"]]
    return CGREvent(account.tenant, part.new_uuid(), Instant.of(part.now_ns), fields, {EVENT_TYPE: ACCOUNT_UPDATE})
