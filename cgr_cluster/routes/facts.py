"""What routes read of other owners: carriers' accounts, queues, resources; all of a profile at once (spec chapter 51, §10)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from cgr_cluster.accounts.route_usage import covered_usage
from cgr_cluster.engine.domain import Call, Steps, together
from cgr_cluster.engine.owner import object_owner, tenant_owner
from cgr_cluster.events.event import CGREvent
from cgr_cluster.events.instant import Instant
from cgr_cluster.events.values import duration_of, text_of, time_of
from cgr_cluster.filters.view import View
from cgr_cluster.resources.steps import look_at as look_at_resource
from cgr_cluster.routes.settings import RouteSettings
from cgr_cluster.routes.types import LOAD, Route
from cgr_cluster.rpc.errors import ApiError, missing
from cgr_cluster.stats.steps import Values, look_at

ACCOUNT, QUEUE, RESOURCE = "account", "queue", "resource"
NEEDED = ("Account", "Destination", "SetupTime")


class RoutedCall(msgspec.Struct, frozen=True, gc=False):
    """The call whose price with each carrier is asked."""

    tenant: str
    account: str
    subject: str
    destination: str
    start: Instant
    usage_ns: int


def require_fields(event: CGREvent, names: Sequence[str]) -> None:
    """Raises `MANDATORY_IE_MISSING: [NAME]` for the first that is missing."""
    for name in names:
        if event.event.get(name) is None:
            raise missing([name])


def call_of(event: CGREvent, now_ns: int, zone: str) -> RoutedCall:
    """Raises ApiError for what is missing or cannot be read (51 §8.2)."""
    fields = event.event
    require_fields(event, NEEDED)
    account = text_of(fields["Account"])
    return RoutedCall(
        event.tenant,
        account,
        account if fields.get("Subject") is None else text_of(fields["Subject"]),
        text_of(fields["Destination"]),
        time_of(fields["SetupTime"], now_ns, zone),
        duration_of(fields["Usage"]),
    )


class Facts:
    """What has been read for the routes of a profile; an owner's error stands for what it did not answer."""

    __slots__ = ("_found", "call")

    def __init__(self, call: RoutedCall | ApiError, found: dict[tuple[str, str], Any]) -> None:
        self.call = call
        self._found = found

    def covered_ns(self, account: str) -> int | ApiError:
        """What an account covers of the call."""
        found: int | ApiError = self._found[ACCOUNT, account]
        return found

    def metrics(self, queue_id: str) -> Values | None:
        """Values of a queue; None for an unknown one."""
        found: Values | None = _or_error(self._found[QUEUE, queue_id])
        return found

    def units_in_use(self, resource_id: str) -> Any:
        """Of a resource; None for an unknown one."""
        found = _or_error(self._found[RESOURCE, resource_id])
        return None if found is None else found["TotalUsage"]


def _or_error(found: Any) -> Any:
    if isinstance(found, ApiError):
        raise found
    return found


def read_facts(
    settings: RouteSettings, view: View, event: CGREvent, routes: Sequence[Route], sorting: str
) -> Steps[Facts]:
    """Everything that the routes name, once each."""
    call: RoutedCall | ApiError
    try:
        call = call_of(event, view.now_ns, view.zone)
    except ApiError as error:
        call = error
    asks: dict[tuple[str, str], Call] = {}
    for route in routes:
        if settings.rals_connected and isinstance(call, RoutedCall):
            for name in route.account_ids:
                asks[ACCOUNT, name] = covered_usage(
                    call.tenant, name, call.subject, call.destination, call.start, call.usage_ns
                )
        if settings.stats_connected:
            for stat_id in route.stat_ids:
                queue_id = queue_and_metric(stat_id)[0] if sorting == LOAD else stat_id
                asks[QUEUE, queue_id] = look_at.at(object_owner(event.tenant, queue_id), event.tenant, queue_id)
        if settings.resources_connected:
            for resource_id in route.resource_ids:
                asks[RESOURCE, resource_id] = look_at_resource.at(tenant_owner(event.tenant), event.tenant, resource_id)
    answers = (yield together(list(asks.values()))) if asks else []
    return Facts(call, dict(zip(asks, answers, strict=True)))


def queue_and_metric(stat_id: str) -> tuple[str, str]:
    """`STATID:METRIC` of `*load`; METRIC "": all of them."""
    queue_id, *metric = stat_id.split(":")
    return queue_id, metric[0] if len(metric) == 1 else ""
