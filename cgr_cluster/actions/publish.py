"""Account events (spec 20 §3.10, 51 §4): what debits, changes of balances by the API and `*publish_account` send to the
connected services. The one place where they leave."""

from __future__ import annotations

from collections.abc import Callable

from cgr_cluster.accounts.summary import summarised
from cgr_cluster.accounts.types import Account
from cgr_cluster.engine.domain import GenerationView, Part
from cgr_cluster.events.event import CGREvent
from cgr_cluster.events.instant import Instant
from cgr_cluster.rating.answers import account_summary_json
from cgr_cluster.thresholds.handing_over import hand_over
from cgr_cluster.thresholds.matching import ACCOUNT_UPDATE, EVENT_TYPE, any_thresholds
from cgr_cluster.thresholds.types import THRESHOLDS


def publish_account(
    part: Part, spawn: Callable[..., None], account: Account, before: Account | None, hops: int = 0
) -> None:
    """Send the account's event. `spawn` is how the part leaves tasks behind. `before`: the account before the change (None:
    it did not exist), for the Initial values. `hops`: length of the chain of actions and events that led here."""
    generation = part.generation
    if not somebody_listens(generation) or not any_thresholds(generation, account.tenant):
        return
    hand_over(part, spawn, account_event(part, account, before), hops)


def somebody_listens(generation: GenerationView) -> bool:
    """Whether account events go anywhere: a service is connected, and has profiles."""
    return generation.derived(_somebody_listens, "config", THRESHOLDS.name)


def _somebody_listens(generation: GenerationView) -> bool:
    return bool(generation.config("rals").get("thresholds_conns")) and bool(generation.keys(THRESHOLDS.name))


def account_event(part: Part, account: Account, before: Account | None) -> CGREvent:
    fields = account_summary_json(summarised(account, before)) or {}
    fields["BalanceSummaries"] = [{"Weight": 0, "Factors": None, **balance} for balance in fields["BalanceSummaries"]]
    return CGREvent(account.tenant, part.new_uuid(), Instant.of(part.now_ns), fields, {EVENT_TYPE: ACCOUNT_UPDATE})
