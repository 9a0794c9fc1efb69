"""What a carrier's account covers of a call (spec chapters 20 §3.7, 51 §8.2)."""

from __future__ import annotations

from cgr_cluster.accounts.steps import max_session_time
from cgr_cluster.engine.domain import Call
from cgr_cluster.engine.owner import account_owner
from cgr_cluster.events.instant import Instant
from cgr_cluster.rating.types import CallDescriptor

ROUTES = "*routes"  # the category of the rating profiles that it is looked up with


def covered_usage(tenant: str, account: str, subject: str, destination: str, start: Instant, usage_ns: int) -> Call:
    """The step that answers the maximum session time in ns, -1 for no limit; nothing is debited. `subject` empty: the
    account's."""
    descriptor = CallDescriptor(
        tenant=tenant,
        category=ROUTES,
        subject=subject or account,
        account=account,
        destination=destination,
        tor="*voice",
        time_start=start,
        time_end=start.plus(usage_ns),
        duration_index_ns=usage_ns,
    )
    return max_session_time.at(account_owner(tenant, account), descriptor)
