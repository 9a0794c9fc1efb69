"""Action plans that make an account at its first call, for `*dynaprepaid` (spec 30.3)."""

from __future__ import annotations

from cgr_cluster.actions.runs import run_each
from cgr_cluster.actions.types import ActionPlan
from cgr_cluster.engine.domain import Operation, Steps
from cgr_cluster.rpc.errors import ApiError, missing, not_found
from cgr_cluster.sessions.settings import session_settings


class ProvisionError(ApiError):
    """Why the plans could not be run; authorize answers it without prefix."""


def provision(op: Operation, tenant: str, account: str) -> Steps[None]:
    """Run the action groups of the configured plans on an account. Raises ProvisionError."""
    if not session_settings(op.generation).scheduler_connected:
        raise ProvisionError(missing(["connIDs"]).text)
    runs = []
    for plan_id in op.generation.config("schedulers").get("dynaprepaid_actionplans") or []:
        plan: ActionPlan | None = op.generation.get("action_plan", str(plan_id))
        if plan is None:
            raise ProvisionError(not_found().text)
        for timing in sorted(plan.timings, key=lambda timing: -timing.weight):
            runs.append((f"{tenant}:{account}", timing.actions_id))
    try:
        yield from run_each(runs)
    except ApiError as error:
        raise ProvisionError(error.text) from error
