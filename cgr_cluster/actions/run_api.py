"""ExecuteAction (spec 20 §5.1)."""

from __future__ import annotations

from cgr_cluster.actions import cdr_tasks, session_tasks
from cgr_cluster.actions.membership import NO_ACCOUNT
from cgr_cluster.actions.runs import run_or_fail
from cgr_cluster.engine.domain import Operation, Steps
from cgr_cluster.rpc.errors import not_found, require
from cgr_cluster.rpc.owners import account
from cgr_cluster.rpc.registry import Params, method

__all__ = ["cdr_tasks", "session_tasks"]  # imported for the tasks that they register


class AttrExecuteAction(Params, go="utils.AttrExecuteAction"):
    Tenant: str = ""
    Account: str = ""
    ActionsId: str = ""


@method("APIerSv1.ExecuteAction", owner=account("Tenant", "Account"), changes=True)
def execute_action(op: Operation, params: AttrExecuteAction) -> Steps[str]:
    """Run a group on an account, which is made if there is none; without Account only what needs no account."""
    require(params, "ActionsId")
    if op.generation.get("actions", params.ActionsId) is None:
        raise not_found()
    account_id = f"{op.tenant(params.Tenant)}:{params.Account}" if params.Account else NO_ACCOUNT
    yield from run_or_fail(account_id, params.ActionsId, op.hops)
    return "OK"
