"""The methods of this package, in a module for each kind of object; importing them registers them."""

from __future__ import annotations

from cgr_cluster.actions import account_trigger_api, group_api, plan_api, run_api, scheduler_api, trigger_api
from cgr_cluster.rpc.registry import service

service("SchedulerSv1")
service("ServiceManagerV1")

__all__ = ["account_trigger_api", "group_api", "plan_api", "run_api", "scheduler_api", "trigger_api"]
