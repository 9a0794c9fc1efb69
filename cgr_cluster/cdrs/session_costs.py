"""Session costs: what a session has cost, left at the CGRID's registry for its CDR (spec 40 §3.6)."""

from __future__ import annotations

import msgspec
from msgspec.structs import replace

from cgr_cluster.cdrs.session_cost_filters import CostFilter, passes
from cgr_cluster.cdrs.types import SessionCost, SessionCosts
from cgr_cluster.engine.domain import Operation, Part, Steps, everywhere, sleep, step, task, together
from cgr_cluster.engine.owner import SHARDS, Owner, registry_owner
from cgr_cluster.rpc.errors import ApiError

MS = 1_000_000
SHARDS_AT_ONCE = 16


@step("cdrs.store_session_cost")
def store_session_cost(part: Part, cost: SessionCost, check_duplicate: bool) -> None:
    """Keep the cost; it replaces one of the same run, host and OriginID. Raises `SERVER_ERROR: EXISTS` when asked to check
    and any cost of that CGRID and run is there."""
    kept = part.read(SessionCosts, cost.cgrid)
    costs = kept.costs if kept is not None else ()
    if check_duplicate and any(other.run_id == cost.run_id for other in costs):
        raise ApiError("SERVER_ERROR: EXISTS")
    key = (cost.run_id, cost.origin_host, cost.origin_id)
    rest = tuple(other for other in costs if (other.run_id, other.origin_host, other.origin_id) != key)
    part.put(SessionCosts, cost.cgrid, SessionCosts((*rest, replace(cost, created_ns=part.now_ns))))


@step("cdrs.remove_costs_here", idempotent=True)
def remove_costs_here(part: Part, wanted: CostFilter) -> None:
    """Remove the session costs of one shard that pass the filter."""
    for cgrid, kept in list(part.all(SessionCosts)):
        rest = tuple(cost for cost in kept.costs if not passes(cost, wanted))
        if not rest:
            part.delete(SessionCosts, cgrid)
        elif len(rest) != len(kept.costs):
            part.put(SessionCosts, cgrid, SessionCosts(rest))


@task("cdrs.remove_session_costs", awaited=True)
def remove_session_costs(op: Operation, wanted: CostFilter) -> Steps[None]:
    """`*remove_session_costs` (20 §5.3): remove those that pass the filter, of all shards."""
    for start in range(0, SHARDS, SHARDS_AT_ONCE):
        numbers = range(start, start + SHARDS_AT_ONCE)
        yield together([remove_costs_here.at(Owner("shard", str(number)), wanted) for number in numbers])


class FoundCosts(msgspec.Struct, array_like=True, gc=False):
    """`in_use`: this shard holds session costs at all; where nobody stores any there is nothing to wait for."""

    costs: list[SessionCost]
    in_use: bool


@step("cdrs.session_costs", reads=True)
def session_costs(part: Part, cgrid: str, run_id: str, origin_host: str) -> FoundCosts:
    kept = part.read(SessionCosts, cgrid)
    if kept is None:
        return FoundCosts([], next(part.all(SessionCosts), None) is not None)
    return FoundCosts(
        [cost for cost in kept.costs if cost.run_id == run_id and origin_host in ("", cost.origin_host)], True
    )


@step("cdrs.session_costs_by_prefix", reads=True)
def session_costs_by_prefix(part: Part, origin_id_prefix: str, run_id: str, origin_host: str) -> list[SessionCost]:
    return [
        cost
        for _, kept in part.all(SessionCosts)
        for cost in kept.costs
        if cost.run_id == run_id
        and origin_host in ("", cost.origin_host)
        and cost.origin_id.startswith(origin_id_prefix)
    ]


def look_up(cgrid: str, run_id: str, origin_host: str, prefix: str | None, retries: int) -> Steps[list[SessionCost]]:
    """The session costs for a CDR: by CGRID, or by the beginning of their OriginIDs when `prefix` is given. Tried up to
    `retries` times (at least once), with pauses of 1, 1, 2, 3, 5 ms ... in between."""
    pause, next_pause = MS, MS
    for attempt in range(max(retries, 1)):
        if attempt:
            yield sleep(pause)
            pause, next_pause = next_pause, pause + next_pause
        if prefix is None:
            found: FoundCosts = yield session_costs.at(registry_owner(cgrid), cgrid, run_id, origin_host)
            if found.costs or not found.in_use:
                return found.costs
            continue
        parts: list[list[SessionCost] | ApiError] = yield everywhere(
            session_costs_by_prefix, prefix, run_id, origin_host
        )
        costs: list[SessionCost] = []
        for part in parts:
            if isinstance(part, ApiError):
                raise part
            costs += part
        if costs:
            costs.sort(key=lambda cost: (cost.origin_id, cost.cgrid))
            return costs
    return []
