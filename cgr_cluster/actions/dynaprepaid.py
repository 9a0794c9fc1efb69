"""Action plans that make an account at its first call, for `*dynaprepaid` (spec 30.3, 40 §3.4)."""

from __future__ import annotations

from cgr_cluster.actions.runs import run_each
from cgr_cluster.actions.types import ActionPlan
from cgr_cluster.engine.domain import Operation, Steps
from cgr_cluster.rpc.errors import ApiError, missing, not_found


class NotMadeError(ApiError):
    """Why the account could not be made. SessionS answers it without prefix at authorize (30.3)."""


def make_account(op: Operation, connected: object, tenant: str, account: str) -> Steps[None]:
    """Run the action groups of `schedulers.dynaprepaid_actionplans` on an account, plan by plan, timings by weight.
    `connected`: the `scheduler_conns` of the service that asks. Raises NotMadeError: `MANDATORY_IE_MISSING: [connIDs]`
    without any, `NOT_FOUND` for a plan that is not there. A group that fails is logged."""
    if not connected:
        raise NotMadeError(missing(["connIDs"]).text)
    runs = []
    for plan_id in op.generation.config("schedulers").get("dynaprepaid_actionplans") or []:
        plan: ActionPlan | None = op.generation.get("action_plan", str(plan_id))
        if plan is None:
            raise NotMadeError(not_found().text)
        for timing in sorted(plan.timings, key=lambda timing: -timing.weight):
            runs.append((f"{tenant}:{account}", timing.actions_id))
    yield from run_each(runs)
